#ifndef SIM_SQS_H
#define SIM_SQS_H

#include "request.h"

#include "queue.h"

/* Finds operation and input of an SQS request, in either protocol. false: r holds the error. */
bool sim_sqs_parse(struct sim_request *r);
/* The query protocol's flat names ("AttributeName.1") as the JSON protocol's input. */
json_t *sim_sqs_query_input(const char *operation, const struct sim_pairs *form);

/* The queue that QueueUrl (or the request's path) names. NULL: r holds the error. */
struct sim_queue *sim_sqs_queue(struct sim_request *r);
void sim_sqs_url(const struct sim_request *r, const char *name, struct sim_buf *url);

/* Names and values as GetQueueAttributes knows them. */
json_t *sim_sqs_attributes(const struct sim_request *r, struct sim_queue *q);
/* NULL, or the name of the attribute that is wrong. */
const char *sim_sqs_set(struct sim_queue *q, const json_t *attributes);

/* One entry of a batch operation: adds to successful, or says what failed. */
struct sim_batch_error {
    const char *code;
    const char *message;
};
enum sim_outcome sim_sqs_batch(struct sim_request *r,
                               bool (*one)(struct sim_request *r, struct sim_queue *q,
                                           const json_t *entry, json_t *done,
                                           struct sim_batch_error *why));

#endif
