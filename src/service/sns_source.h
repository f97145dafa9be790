#ifndef SUP_SERVICE_SNS_SOURCE_H
#define SUP_SERVICE_SNS_SOURCE_H

#include "base/buf.h"
#include "service/apply.h"
#include "service/options.h"
#include "service/service.h"

#include <stdbool.h>

/* Ingest from SNS over HTTP: whom to believe, and what to answer.
 *
 * A valid signature says only that some AWS customer's topic sent it, so the topic must be one of
 * those configured. SNS takes any answer from 200 to 499 for delivered and repeats after 5xx or
 * silence (SNS developer guide, "Amazon SNS message delivery retries"): 200 follows the synced
 * commit, 503 says trouble of our own, 4xx what will never be taken. */
struct sup_sns_source;

/* SUP_EINPUT: files of the configuration. SUP_ENOMEM. Both are borrowed. */
int sup_sns_source_new(const struct sup_options *config, struct sup_apply *apply,
                       struct sup_sns_source **out, struct sup_err *err);
/* Ends fetches under way; deliveries from now on are answered 503. Does not wait. */
void sup_sns_source_close(struct sup_sns_source *s);
void sup_sns_source_free(struct sup_sns_source *s); /* no delivery is being taken; NULL is fine */

struct sup_sns_delivery {
    struct sup_slice body;
    bool raw;                 /* x-amz-sns-rawdelivery: true */
    const char *topic_header; /* x-amz-sns-topic-arn; NULL = none */
};

struct sup_sns_answer {
    unsigned status;
    char text[256]; /* for a person */
};

/* Blocks: for the commit, and at times for a certificate. Any thread. */
void sup_sns_source_take(struct sup_sns_source *s, const struct sup_sns_delivery *d,
                         struct sup_sns_answer *out);
/* The same, of the service; 503 where there is none configured. */
void sup_service_take_sns(struct sup_service *s, const struct sup_sns_delivery *d,
                          struct sup_sns_answer *out);

/* Adds problems. Any thread. */
void sup_sns_source_status(struct sup_sns_source *s, struct sup_status *out);

#endif
