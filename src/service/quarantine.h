#ifndef SUP_SERVICE_QUARANTINE_H
#define SUP_SERVICE_QUARANTINE_H

#include "service/apply.h"

/* Decisions from the future that wait for their time, and could wait for ever: a peer whose clock
 * is wrong, or that is malicious, must not fill the disk with them. Beyond this many the peer's
 * message fails and its session ends. Nothing is lost by that: what was not acknowledged stays in
 * the peer's log, and comes when there is room. */
#define SUP_QUARANTINE_MAX 100000

/* With what the present batch puts there. Within a job; quick unless it is nearly full. */
bool sup_quarantine_is_full(struct sup_apply *a);
int sup_quarantine_refuse(struct sup_err *err); /* SUP_ELIMIT, with the reason */

#endif
