#ifndef SUP_SERVICE_LOG_JOB_H
#define SUP_SERVICE_LOG_JOB_H

#include "core/classify.h"
#include "service/options.h"
#include "store/store.h"

/* The documents of a body and what followed from them, on their way into the event log. Does
 * nothing where the configuration keeps none. */
struct sup_log_job;

struct sup_log_job *sup_log_job_new(const struct sup_options *config); /* NULL: out of memory */
void sup_log_job_free(struct sup_log_job *j);

void sup_log_job_reset(struct sup_log_job *j);
/* An event of document raw, which lives until run. SUP_OK, SUP_ENOMEM, SUP_ELIMIT. */
int sup_log_job_take(struct sup_log_job *j, struct sup_slice raw, const struct sup_event *event,
                     const struct sup_verdicts *vs, const struct sup_classify_context *ctx);
/* A document that cannot be read, and why: type "Unreadable". */
int sup_log_job_refuse(struct sup_log_job *j, struct sup_slice raw, const char *why,
                       const struct sup_classify_context *ctx);
bool sup_log_job_empty(const struct sup_log_job *j);
/* Call when all events have been taken: packs them. Same codes. */
int sup_log_job_pack(struct sup_log_job *j);
void sup_log_job_run(struct sup_log_job *j, struct sup_txn *t);

#endif
