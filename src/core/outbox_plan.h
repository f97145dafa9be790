#ifndef SUP_CORE_OUTBOX_PLAN_H
#define SUP_CORE_OUTBOX_PLAN_H

#include "codec/value.h"
#include "model/decision.h"

/* The next call that brings one address's entries of the Region's SES list in line with what is
 * decided. Pure. The worker executes one step, records its outcome and asks again, so a crash at
 * any point repeats at most one idempotent call. */

enum sup_outbox_step {
    SUP_OUTBOX_DONE,
    SUP_OUTBOX_GET, /* SES probably added this spelling itself: look before writing */
    SUP_OUTBOX_PUT,
    SUP_OUTBOX_DELETE
};

struct sup_outbox_plan {
    enum sup_outbox_step step;
    char spelling[SUP_ADDRESS_MAX + 1];
    enum sup_reason reason; /* PUT */
};

/* desired: NONE = not suppressed.
 *
 * Suppressed: one spelling is enough, because SES matches sends case-blind. A listed spelling with
 * the desired reason, or with COMPLAINT (which outranks BOUNCE), is left alone: a needless put
 * would renew its LastUpdateTime. Otherwise what events told of is looked up first; a listed BOUNCE
 * becomes COMPLAINT; and only then a put is made, of the spelling that this Region's events noted
 * last, else of the key.
 *
 * Not suppressed: every spelling that is, or may be, listed is deleted, because SES deletes by
 * exact spelling. */
void sup_outbox_plan(struct sup_slice key, enum sup_reason desired, const struct sup_ses_entry *e,
                     struct sup_outbox_plan *out);

#endif
