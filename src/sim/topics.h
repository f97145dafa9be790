#ifndef SIM_TOPICS_H
#define SIM_TOPICS_H

#include "strmap.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct sim;
struct sim_region;

/* SNS topics of one Region and the queues subscribed to them. Any thread. */
struct sim_subscription {
    char *arn;
    char *queue; /* name, same Region */
    bool raw;    /* RawMessageDelivery */
};
struct sim_topic {
    char *arn;
    struct sim_subscription *subscriptions;
    size_t n;
};
struct sim_topics {
    pthread_mutex_t lock;
    struct sim_strmap by_arn;
};

#define SIM_ARN_LEN 256
void sim_topics_init(struct sim_topics *t);
void sim_topics_fini(struct sim_topics *t);
void sim_topic_arn(const struct sim_region *g, const char *name, char arn[SIM_ARN_LEN]);
void sim_topics_create(struct sim_topics *t, const char *arn);
bool sim_topics_exists(struct sim_topics *t, const char *arn);
/* subscription_arn: SIM_ARN_LEN bytes. false: no such topic, or it has too many already. */
bool sim_topics_subscribe(struct sim_topics *t, const char *arn, const char *queue, bool raw,
                          char *subscription_arn);
bool sim_topics_unsubscribe(struct sim_topics *t, const char *subscription_arn);

/* Sends to every subscribed queue, in an SNS envelope unless the subscription is raw. subject may
 * be NULL; message_id: 40 bytes. false: no such topic. */
bool sim_topics_publish(struct sim *s, struct sim_region *g, const char *arn, const char *subject,
                        const char *message, char *message_id);

/* What SES publishes to and the queue behind it, there from the start in every Region. */
#define SIM_EVENTS "ses-events"

#endif
