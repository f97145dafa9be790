#ifndef SUP_SERVICE_SES_WORKER_H
#define SUP_SERVICE_SES_WORKER_H

#include "aws/client.h"
#include "service/apply.h"
#include "service/options.h"
#include "service/service.h"
#include "service/ses_calls.h"

/* The fast path to the Region's SES list: drains the outbox at the allowed rate.
 *
 * Each address is a small state machine whose state is in the store (core/outbox_plan.h): plan,
 * remember what is about to be written (own-write ledger), call SES, record the outcome, plan
 * again. A crash anywhere repeats at most one idempotent call. */

struct sup_ses_worker;

struct sup_ses_worker_options {
    const struct sup_options *config;
    struct sup_aws *aws;
    struct sup_ses_calls *calls;
    struct sup_apply *apply;
    struct sup_store *store;
};

/* In mode observe no thread is started and SES is never called; the outbox is kept. */
int sup_ses_worker_start(const struct sup_ses_worker_options *opts, struct sup_ses_worker **out,
                         struct sup_err *err);
/* No more calls are begun. Does not block; NULL is fine. */
void sup_ses_worker_close(struct sup_ses_worker *w);
/* Closes, and waits up to ms for the calls under way: what became of them is known then. NULL is
 * fine. */
void sup_ses_worker_drain(struct sup_ses_worker *w, int64_t ms);
/* Waits for the calls under way; whoever cannot wait has the client cut them off. They are made
 * again after the next start: that a put or delete may have come through is in the ledger. The rest
 * stays in the outbox. */
void sup_ses_worker_stop(struct sup_ses_worker *w);
void sup_ses_worker_free(struct sup_ses_worker *w);

/* The outbox changed. Any thread; never blocks for long. */
void sup_ses_worker_wake(struct sup_ses_worker *w);

/* Fills out->outbox and adds problems. */
void sup_ses_worker_status(struct sup_ses_worker *w, struct sup_status *out);

#endif
