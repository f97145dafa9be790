#ifndef SUP_SERVICE_SOFT_JOB_H
#define SUP_SERVICE_SOFT_JOB_H

#include "core/classify.h"
#include "core/escalation.h"
#include "service/apply.h"
#include "service/options.h"

/* The soft bounces and deliveries of a body of events, on their way through apply: what waits for a
 * resend, and whether an address had too many. */
struct sup_soft_job;

/* config and apply are borrowed. NULL when out of memory. */
struct sup_soft_job *sup_soft_job_new(const struct sup_options *config, struct sup_apply *apply);
void sup_soft_job_free(struct sup_soft_job *j);

void sup_soft_job_reset(struct sup_soft_job *j);
/* SUP_OK, SUP_ENOMEM, SUP_ELIMIT. */
int sup_soft_job_take(struct sup_soft_job *j, const struct sup_event *event,
                      const struct sup_verdicts *vs, const struct sup_classify_context *ctx);
bool sup_soft_job_empty(const struct sup_soft_job *j);

struct sup_soft_result {
    uint64_t kept;
    uint64_t escalated;      /* suppressions decided */
    uint64_t would_escalate; /* in shadow mode */
};
/* On the writer thread; may run again after an aborted batch. *out is set anew. */
int sup_soft_job_run(struct sup_soft_job *j, int64_t now_ms, struct sup_txn *t,
                     struct sup_soft_result *out, struct sup_err *err);

/* The newest that the state of an address (key 'a') tells of; INT64_MAX if it cannot be read. */
int64_t sup_soft_state_newest(struct sup_slice value);

#endif
