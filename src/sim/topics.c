#include "topics.h"

#include "buf.h"
#include "clock.h"
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUBSCRIPTIONS_MAX 100

void sim_topics_init(struct sim_topics *t)
{
    pthread_mutex_init(&t->lock, NULL);
}

static void drop_subscription(struct sim_subscription *s)
{
    free(s->arn);
    free(s->queue);
}

static void topic_free(void *p)
{
    struct sim_topic *topic = p;
    for (size_t i = 0; i < topic->n; i++)
        drop_subscription(&topic->subscriptions[i]);
    free(topic->subscriptions);
    free(topic->arn);
    free(topic);
}

void sim_topics_fini(struct sim_topics *t)
{
    sim_strmap_fini(&t->by_arn, topic_free);
    pthread_mutex_destroy(&t->lock);
}

void sim_topic_arn(const struct sim_region *g, const char *name, char arn[SIM_ARN_LEN])
{
    snprintf(arn, SIM_ARN_LEN, "arn:aws:sns:%s:%s:%.128s", g->name, SIM_ACCOUNT, name);
}

void sim_topics_create(struct sim_topics *t, const char *arn)
{
    pthread_mutex_lock(&t->lock);
    if (!sim_strmap_get(&t->by_arn, arn)) {
        struct sim_topic *topic = sim_alloc(sizeof *topic);
        topic->arn = sim_strdup(arn);
        sim_strmap_set(&t->by_arn, arn, topic);
    }
    pthread_mutex_unlock(&t->lock);
}

bool sim_topics_exists(struct sim_topics *t, const char *arn)
{
    pthread_mutex_lock(&t->lock);
    bool found = sim_strmap_get(&t->by_arn, arn) != NULL;
    pthread_mutex_unlock(&t->lock);
    return found;
}

static struct sim_subscription *find_queue(struct sim_topic *topic, const char *queue)
{
    for (size_t i = 0; i < topic->n; i++) {
        if (strcmp(topic->subscriptions[i].queue, queue) == 0)
            return &topic->subscriptions[i];
    }
    return NULL;
}

static struct sim_subscription *add_subscription(struct sim_topic *topic, const char *queue)
{
    if (topic->n == SUBSCRIPTIONS_MAX)
        return NULL;
    if (!topic->subscriptions)
        topic->subscriptions = sim_alloc(SUBSCRIPTIONS_MAX * sizeof *topic->subscriptions);
    char id[SIM_UUID_LEN], arn[SIM_ARN_LEN];
    sim_uuid(id);
    snprintf(arn, sizeof arn, "%.200s:%s", topic->arn, id);
    struct sim_subscription *s = &topic->subscriptions[topic->n++];
    *s = (struct sim_subscription){.arn = sim_strdup(arn), .queue = sim_strdup(queue)};
    return s;
}

bool sim_topics_subscribe(struct sim_topics *t, const char *arn, const char *queue, bool raw,
                          char *subscription_arn)
{
    pthread_mutex_lock(&t->lock);
    struct sim_topic *topic = sim_strmap_get(&t->by_arn, arn);
    struct sim_subscription *s = topic ? find_queue(topic, queue) : NULL;
    if (topic && !s)
        s = add_subscription(topic, queue);
    if (s) {
        s->raw = raw;
        snprintf(subscription_arn, SIM_ARN_LEN, "%s", s->arn);
    }
    pthread_mutex_unlock(&t->lock);
    return s != NULL;
}

bool sim_topics_unsubscribe(struct sim_topics *t, const char *subscription_arn)
{
    char topic_arn[SIM_ARN_LEN];
    snprintf(topic_arn, sizeof topic_arn, "%s", subscription_arn);
    char *colon = strrchr(topic_arn, ':');
    if (colon)
        *colon = 0;
    bool found = false;
    pthread_mutex_lock(&t->lock);
    struct sim_topic *topic = sim_strmap_get(&t->by_arn, topic_arn);
    for (size_t i = 0; topic && i < topic->n && !found; i++) {
        found = strcmp(topic->subscriptions[i].arn, subscription_arn) == 0;
        if (found) {
            drop_subscription(&topic->subscriptions[i]);
            topic->subscriptions[i] = topic->subscriptions[--topic->n];
        }
    }
    pthread_mutex_unlock(&t->lock);
    return found;
}

static char *make_envelope(const struct sim *s, const struct sim_region *g,
                           const struct sim_notification *n, const char *signature,
                           const char *subscription_arn)
{
    struct sim_buf cert = {0}, leave = {0};
    char version[2] = {(char)('0' + (s->options.sns_signature ? s->options.sns_signature : 1)), 0};
    sim_buf_printf(&cert, "http://%s%s", s->host, s->signer.path);
    sim_buf_printf(&leave, "https://sns.%s.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=%s",
                   g->name, subscription_arn);
    json_t *envelope = json_pack(
        "{s:s,s:s,s:s,s:s*,s:s,s:s,s:s,s:s,s:s,s:s}", "Type", "Notification", "MessageId",
        n->message_id, "TopicArn", n->topic_arn, "Subject", n->subject, "Message", n->message,
        "Timestamp", n->timestamp, "SignatureVersion", version, "Signature", signature,
        "SigningCertURL", sim_buf_cstr(&cert), "UnsubscribeURL", sim_buf_cstr(&leave));
    char *text = json_dumps(envelope, JSON_INDENT(2));
    json_decref(envelope);
    sim_buf_fini(&cert);
    sim_buf_fini(&leave);
    return text ? text : sim_strdup("{}");
}

static void deliver(struct sim *s, struct sim_region *g, const struct sim_notification *n,
                    const char *signature, const struct sim_subscription *to)
{
    struct sim_queue *q = sim_queues_find(&g->queues, to->queue);
    if (!q)
        return;
    char id[40], md5[33];
    char *body = to->raw ? sim_strdup(n->message) : make_envelope(s, g, n, signature, to->arn);
    sim_queue_send(q, body, strlen(body), NULL, -1, sim_region_now(g), id, md5);
    free(body);
    sim_park_wake(&s->park, q, 1);
}

/* A copy, so that signing and sending happen outside the lock. */
static struct sim_subscription *subscriptions_of(struct sim_topics *t, const char *arn, size_t *n)
{
    pthread_mutex_lock(&t->lock);
    const struct sim_topic *topic = sim_strmap_get(&t->by_arn, arn);
    *n = topic ? topic->n : 0;
    struct sim_subscription *copy = topic ? sim_alloc(*n * sizeof *copy) : NULL;
    for (size_t i = 0; i < *n; i++)
        copy[i] = (struct sim_subscription){sim_strdup(topic->subscriptions[i].arn),
                                            sim_strdup(topic->subscriptions[i].queue),
                                            topic->subscriptions[i].raw};
    pthread_mutex_unlock(&t->lock);
    return copy;
}

bool sim_topics_publish(struct sim *s, struct sim_region *g, const char *arn, const char *subject,
                        const char *message, char *message_id)
{
    size_t count;
    struct sim_subscription *to = subscriptions_of(&g->topics, arn, &count);
    if (!to)
        return false;
    char timestamp[SIM_TIME_LEN];
    sim_uuid(message_id);
    sim_time_iso(timestamp, sim_region_now(g));
    const struct sim_notification n = {.message = message,
                                       .message_id = message_id,
                                       .subject = subject,
                                       .timestamp = timestamp,
                                       .topic_arn = arn};
    struct sim_buf signature = {0};
    sim_sns_sign(&s->signer, &n, &signature);
    for (size_t i = 0; i < count; i++) {
        deliver(s, g, &n, sim_buf_cstr(&signature), &to[i]);
        drop_subscription(&to[i]);
    }
    free(to);
    sim_buf_fini(&signature);
    return true;
}
