#include "query.h"
#include "region.h"
#include "sim.h"

#include <stdio.h>
#include <string.h>

static enum sim_outcome no_topic(struct sim_request *r)
{
    return sim_fail(r, 404, "NotFound", "Topic does not exist");
}

enum sim_outcome sim_sns_create_topic(struct sim_request *r)
{
    const char *name = sim_input_str(r, "Name");
    char arn[SIM_ARN_LEN];
    if (!name || !*name || strlen(name) > 128 || strpbrk(name, ": /"))
        return sim_fail(r, 400, "InvalidParameter", "Invalid parameter: Topic Name");
    sim_topic_arn(r->region, name, arn);
    sim_topics_create(&r->region->topics, arn);
    r->output = json_pack("{s:s}", "TopicArn", arn);
    return SIM_DONE;
}

static void add_topic(const char *arn, void *value, void *arg)
{
    (void)value;
    json_array_append_new(arg, json_pack("{s:s}", "TopicArn", arn));
}

enum sim_outcome sim_sns_list_topics(struct sim_request *r)
{
    json_t *list = json_array();
    pthread_mutex_lock(&r->region->topics.lock);
    sim_strmap_each(&r->region->topics.by_arn, add_topic, list);
    pthread_mutex_unlock(&r->region->topics.lock);
    r->output = json_pack("{s:o}", "Topics", list);
    return SIM_DONE;
}

static bool wants_raw(const struct sim_request *r)
{
    for (int i = 1; i <= 10; i++) {
        char key[64], value[64];
        snprintf(key, sizeof key, "Attributes.entry.%d.key", i);
        snprintf(value, sizeof value, "Attributes.entry.%d.value", i);
        const char *k = sim_input_str(r, key), *v = sim_input_str(r, value);
        if (k && v && strcmp(k, "RawMessageDelivery") == 0)
            return strcmp(v, "true") == 0;
    }
    return false;
}

enum sim_outcome sim_sns_subscribe(struct sim_request *r)
{
    const char *topic = sim_input_str(r, "TopicArn");
    const char *protocol = sim_input_str(r, "Protocol");
    const char *endpoint = sim_input_str(r, "Endpoint");
    const char *queue = endpoint ? strrchr(endpoint, ':') : NULL;
    char arn[SIM_ARN_LEN];
    if (!protocol || strcmp(protocol, "sqs") != 0 || !queue)
        return sim_fail(r, 400, "InvalidParameter",
                        "Invalid parameter: only queues can be subscribed in the simulator");
    if (!topic || !sim_topics_subscribe(&r->region->topics, topic, queue + 1, wants_raw(r), arn))
        return no_topic(r);
    r->output = json_pack("{s:s}", "SubscriptionArn", arn);
    return SIM_DONE;
}

enum sim_outcome sim_sns_unsubscribe(struct sim_request *r)
{
    const char *arn = sim_input_str(r, "SubscriptionArn");
    if (arn)
        sim_topics_unsubscribe(&r->region->topics, arn);
    return SIM_DONE;
}

enum sim_outcome sim_sns_list_subscriptions(struct sim_request *r)
{
    const char *arn = sim_input_str(r, "TopicArn");
    json_t *list = json_array();
    pthread_mutex_lock(&r->region->topics.lock);
    const struct sim_topic *topic = arn ? sim_strmap_get(&r->region->topics.by_arn, arn) : NULL;
    for (size_t i = 0; topic && i < topic->n; i++) {
        char endpoint[SIM_ARN_LEN];
        snprintf(endpoint, sizeof endpoint, "arn:aws:sqs:%s:%s:%s", r->region->name, SIM_ACCOUNT,
                 topic->subscriptions[i].queue);
        json_array_append_new(list,
                              json_pack("{s:s,s:s,s:s,s:s,s:s}", "SubscriptionArn",
                                        topic->subscriptions[i].arn, "Owner", SIM_ACCOUNT,
                                        "Protocol", "sqs", "Endpoint", endpoint, "TopicArn", arn));
    }
    pthread_mutex_unlock(&r->region->topics.lock);
    r->output = json_pack("{s:o}", "Subscriptions", list);
    return topic ? SIM_DONE : no_topic(r);
}

#define MESSAGE_MAX ((size_t)256 * 1024)

enum sim_outcome sim_sns_publish_op(struct sim_request *r)
{
    const char *arn = sim_input_str(r, "TopicArn");
    const char *message = sim_input_str(r, "Message");
    char id[40];
    if (!arn || !message || !*message || strlen(message) > MESSAGE_MAX)
        return sim_fail(r, 400, "InvalidParameter",
                        "Invalid parameter: TopicArn and a Message of at most 256 KiB are needed");
    if (!sim_topics_publish(r->sim, r->region, arn, sim_input_str(r, "Subject"), message, id))
        return no_topic(r);
    r->output = json_pack("{s:s}", "MessageId", id);
    return SIM_DONE;
}
