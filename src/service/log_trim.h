#ifndef SUP_SERVICE_LOG_TRIM_H
#define SUP_SERVICE_LOG_TRIM_H

#include "base/thread.h"
#include "service/apply.h"

/* Deletes log entries up to upto, some thousand a transaction; ends early when stop is set or a
 * commit fails, which is logged. Not from the writer thread. */
void sup_log_trim(struct sup_apply *a, const struct sup_vv *upto, struct sup_stop *stop);

/* For a node without a mesh: nobody acknowledges anything, and the first peer to come would like
 * all of it, but past max_bytes the older half of it goes, as in a mesh. That peer copies the set,
 * or repairs. */
void sup_log_trim_alone(struct sup_apply *a, uint64_t max_bytes, struct sup_stop *stop);

#endif
