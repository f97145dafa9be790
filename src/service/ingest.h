#ifndef SUP_SERVICE_INGEST_H
#define SUP_SERVICE_INGEST_H

#include "aws/client.h"
#include "service/apply.h"
#include "service/options.h"
#include "service/service.h"

/* Ingest from SQS: receivers long-poll the Region's queues, each message becomes one job for apply,
 * and is deleted from the queue only after that job's commit is on stable storage. What cannot be
 * parsed stays in the queue for its dead-letter policy and is counted. */

struct sup_ingest;

struct sup_ingest_options {
    const struct sup_options *config;
    struct sup_aws *aws;
    struct sup_apply *apply;
};

int sup_ingest_start(const struct sup_ingest_options *opts, struct sup_ingest **out,
                     struct sup_err *err);
/* Interrupts long polls; messages in hand are committed and deleted. Waits. */
void sup_ingest_stop(struct sup_ingest *i);
void sup_ingest_free(struct sup_ingest *i);

/* Fills out->queue and adds problems. Any thread. */
void sup_ingest_status(struct sup_ingest *i, struct sup_status *out);

#endif
