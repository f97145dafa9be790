#ifndef SUP_SERVICE_RATE_JOB_H
#define SUP_SERVICE_RATE_JOB_H

#include "core/classify.h"
#include "core/rates.h"
#include "service/apply.h"

/* What a body of events adds to the rates, on its way through apply: collected on the reading
 * thread, counted on the writer's, each item once however often it is delivered. */
struct sup_rate_job;

/* NULL when out of memory. apply is borrowed. */
struct sup_rate_job *sup_rate_job_new(struct sup_apply *apply);
void sup_rate_job_free(struct sup_rate_job *j);

void sup_rate_job_reset(struct sup_rate_job *j);
/* Adds an event and what was said of it. Events older than the rates reach back are left out.
 * SUP_OK, SUP_ENOMEM, SUP_ELIMIT: too much for one job. */
int sup_rate_job_take(struct sup_rate_job *j, const struct sup_event *event,
                      const struct sup_verdicts *vs, const struct sup_classify_context *ctx);
bool sup_rate_job_empty(const struct sup_rate_job *j);
/* On the writer thread; may run again after an aborted batch. */
int sup_rate_job_run(struct sup_rate_job *j, int64_t now_ms, struct sup_txn *t,
                     struct sup_err *err);

#endif
