#ifndef SUP_AWS_SQS_H
#define SUP_AWS_SQS_H

#include "aws/client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Amazon SQS, JSON protocol 1.0. aerr may be NULL everywhere; errors as in client.h. */

#define SUP_SQS_BATCH_MAX 10

struct sup_sqs_message {
    const char *id;
    const char *receipt_handle; /* of this receive: only the newest one deletes */
    const char *body;
    size_t body_n;
    int64_t sent_ms;       /* SentTimestamp, 0 when missing */
    int64_t receive_count; /* ApproximateReceiveCount, 0 when missing */
};

/* Owns everything that its messages point to, unless the caller's reader does. */
struct sup_sqs_batch {
    struct sup_sqs_message messages[SUP_SQS_BATCH_MAX];
    size_t n;
    void *owner;
};
/* Allowed on a zeroed batch; zeroes it. */
void sup_sqs_batch_fini(struct sup_sqs_batch *b);

struct sup_sqs_receive {
    const char *queue_url;
    unsigned max_messages;    /* 1..10 */
    unsigned wait_s;          /* 0..20 */
    int visibility_timeout_s; /* negative: the queue's */
    struct sup_stop *stop;    /* NULL: the client's */
    /* Reads the reply in a way of the caller's (fills messages and n; what they point to is his);
     * NULL: Jansson does. SUP_OK, SUP_ECORRUPT, SUP_ENOMEM. */
    int (*read)(void *arg, struct sup_slice reply, struct sup_sqs_batch *b, struct sup_err *err);
    void *arg;
};
/* An empty queue is SUP_OK with n = 0. b is set in every case (empty on error). */
int sup_sqs_receive(struct sup_aws *a, const struct sup_sqs_receive *req, struct sup_sqs_batch *b,
                    struct sup_aws_error *aerr, struct sup_err *err);

struct sup_sqs_entry {
    const char *receipt_handle;
    int visibility_timeout_s; /* change visibility only: 0..43200 */
    int result;               /* out: SUP_OK, or why this entry failed (SUP_EAGAIN: AWS's fault) */
    char code[64];            /* out: AWS's code when it failed */
};
/* n is 1..10. SUP_OK when AWS answered: look at each entry's result. On any other code every
 * entry's result is that code. */
int sup_sqs_delete_batch(struct sup_aws *a, const char *queue_url, struct sup_sqs_entry *entries,
                         size_t n, struct sup_aws_error *aerr, struct sup_err *err);
int sup_sqs_change_visibility_batch(struct sup_aws *a, const char *queue_url,
                                    struct sup_sqs_entry *entries, size_t n,
                                    struct sup_aws_error *aerr, struct sup_err *err);

/* out is malloc'd. SUP_ENOTFOUND when there is no such queue. */
int sup_sqs_get_queue_url(struct sup_aws *a, const char *queue_name, char **out,
                          struct sup_aws_error *aerr, struct sup_err *err);

struct sup_sqs_attributes {
    int64_t visible;   /* ApproximateNumberOfMessages */
    int64_t in_flight; /* ApproximateNumberOfMessagesNotVisible */
    int64_t delayed;   /* ApproximateNumberOfMessagesDelayed */
    int64_t visibility_timeout_s;
    int64_t retention_s;        /* MessageRetentionPeriod */
    bool has_dead_letter_queue; /* RedrivePolicy names one */
};
int sup_sqs_get_attributes(struct sup_aws *a, const char *queue_url, struct sup_sqs_attributes *out,
                           struct sup_aws_error *aerr, struct sup_err *err);

/* SUP_OK, or SUP_EINPUT: not a URL with a path, or http:// beyond loopback unless insecure. */
int sup_sqs_queue_url_check(const char *queue_url, bool insecure, struct sup_err *err);

#endif
