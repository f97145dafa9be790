#include "sqs.h"

#include "region.h"
#include "sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool queue_name_ok(const char *name)
{
    size_t n = name ? strlen(name) : 0;
    return n && n <= 80 &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == n;
}

static void reply_url(struct sim_request *r, const char *name)
{
    struct sim_buf url = {0};
    sim_sqs_url(r, name, &url);
    r->output = json_pack("{s:s}", "QueueUrl", sim_buf_cstr(&url));
    sim_buf_fini(&url);
}

enum sim_outcome sim_sqs_create_queue(struct sim_request *r)
{
    const char *name = sim_input_str(r, "QueueName");
    if (!queue_name_ok(name))
        return sim_fail(
            r, 400, "InvalidParameterValue",
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 "
            "in length");
    struct sim_queue *q = sim_queues_create(&r->region->queues, name, sim_region_now(r->region));
    const char *wrong = sim_sqs_set(q, json_object_get(r->input, "Attributes"));
    if (wrong)
        return sim_fail(r, 400, "InvalidAttributeName", "Unknown or wrong Attribute %s.", wrong);
    reply_url(r, name);
    return SIM_DONE;
}

enum sim_outcome sim_sqs_delete_queue(struct sim_request *r)
{
    struct sim_queue *q = sim_sqs_queue(r);
    if (q)
        sim_queues_delete(&r->region->queues, q->name);
    return SIM_DONE;
}

enum sim_outcome sim_sqs_get_queue_url(struct sim_request *r)
{
    const char *name = sim_input_str(r, "QueueName");
    if (!name || !sim_queues_find(&r->region->queues, name))
        return sim_fail(r, 400, "QueueDoesNotExist", "The specified queue does not exist.");
    reply_url(r, name);
    return SIM_DONE;
}

struct listing {
    const struct sim_request *request;
    const char *prefix;
    json_t *urls;
};

static void add_url(struct sim_queue *q, void *arg)
{
    struct listing *l = arg;
    if (strncmp(q->name, l->prefix, strlen(l->prefix)) != 0)
        return;
    struct sim_buf url = {0};
    sim_sqs_url(l->request, q->name, &url);
    json_array_append_new(l->urls, json_string(sim_buf_cstr(&url)));
    sim_buf_fini(&url);
}

enum sim_outcome sim_sqs_list_queues(struct sim_request *r)
{
    const char *prefix = sim_input_str(r, "QueueNamePrefix");
    struct listing l = {r, prefix ? prefix : "", json_array()};
    sim_queues_each(&r->region->queues, add_url, &l);
    r->output = json_object();
    if (json_array_size(l.urls))
        json_object_set(r->output, "QueueUrls", l.urls);
    json_decref(l.urls);
    return SIM_DONE;
}

enum sim_outcome sim_sqs_purge_queue(struct sim_request *r)
{
    struct sim_queue *q = sim_sqs_queue(r);
    if (q)
        sim_queue_purge(q);
    return SIM_DONE;
}

static void set_number(json_t *out, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    json_object_set_new(out, name, json_string(text));
}

json_t *sim_sqs_attributes(const struct sim_request *r, struct sim_queue *q)
{
    struct sim_queue_counts counts;
    sim_queue_counts(q, &counts);
    json_t *out = json_object();
    char arn[256];
    snprintf(arn, sizeof arn, "arn:aws:sqs:%s:%s:%s", r->region->name, SIM_ACCOUNT, q->name);
    json_object_set_new(out, "QueueArn", json_string(arn));
    set_number(out, "ApproximateNumberOfMessages", (int64_t)counts.visible);
    set_number(out, "ApproximateNumberOfMessagesNotVisible", (int64_t)counts.in_flight);
    set_number(out, "ApproximateNumberOfMessagesDelayed", (int64_t)counts.delayed);
    pthread_mutex_lock(&q->lock);
    set_number(out, "CreatedTimestamp", q->created_ms / 1000);
    set_number(out, "LastModifiedTimestamp", q->created_ms / 1000);
    set_number(out, "VisibilityTimeout", q->visibility_ms / 1000);
    set_number(out, "MaximumMessageSize", (int64_t)SIM_QUEUE_BODY_MAX);
    set_number(out, "MessageRetentionPeriod", q->retention_s);
    set_number(out, "DelaySeconds", q->delay_ms / 1000);
    set_number(out, "ReceiveMessageWaitTimeSeconds", q->wait_ms / 1000);
    if (q->dead_letter) {
        char policy[512];
        snprintf(policy, sizeof policy,
                 "{\"deadLetterTargetArn\":\"arn:aws:sqs:%s:%s:%s\",\"maxReceiveCount\":%u}",
                 r->region->name, SIM_ACCOUNT, q->dead_letter, q->max_receives);
        json_object_set_new(out, "RedrivePolicy", json_string(policy));
    }
    pthread_mutex_unlock(&q->lock);
    return out;
}

enum sim_outcome sim_sqs_get_attributes(struct sim_request *r)
{
    struct sim_queue *q = sim_sqs_queue(r);
    if (!q)
        return SIM_DONE;
    json_t *all = sim_sqs_attributes(r, q), *wanted = json_object();
    const json_t *names = json_object_get(r->input, "AttributeNames");
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (name && strcmp(name, "All") == 0)
            json_object_update(wanted, all);
        else if (name && json_object_get(all, name))
            json_object_set(wanted, name, json_object_get(all, name));
    }
    json_decref(all);
    r->output = json_object();
    if (json_object_size(wanted))
        json_object_set(r->output, "Attributes", wanted);
    json_decref(wanted);
    return SIM_DONE;
}

static bool set_redrive(struct sim_queue *q, const char *text)
{
    if (!*text) {
        sim_queue_set_dead_letter(q, NULL, 0);
        return true;
    }
    json_t *policy = json_loads(text, 0, NULL);
    const char *arn = json_string_value(json_object_get(policy, "deadLetterTargetArn"));
    const char *colon = arn ? strrchr(arn, ':') : NULL;
    int64_t max = 10;
    bool ok = colon && sim_json_int(policy, "maxReceiveCount", &max) && max >= 1 && max <= 1000;
    if (ok)
        sim_queue_set_dead_letter(q, colon + 1, (unsigned)max);
    json_decref(policy);
    return ok;
}

static bool set_one(struct sim_queue *q, const json_t *attributes, const char *name)
{
    static const struct {
        const char *name;
        int64_t most;
    } known[] = {{"VisibilityTimeout", 43200},
                 {"ReceiveMessageWaitTimeSeconds", 20},
                 {"DelaySeconds", 900},
                 {"MessageRetentionPeriod", 1209600},
                 {"MaximumMessageSize", 1048576}};
    const char *text = json_string_value(json_object_get(attributes, name));
    if (strcmp(name, "RedrivePolicy") == 0)
        return text && set_redrive(q, text);
    if (strcmp(name, "Policy") == 0)
        return true; /* access policies are not simulated */
    size_t i = 0;
    while (i < sizeof known / sizeof *known && strcmp(known[i].name, name) != 0)
        i++;
    int64_t v = -1;
    if (i == sizeof known / sizeof *known || !sim_json_int(attributes, name, &v) || v < 0 ||
        v > known[i].most)
        return false;
    int64_t *fields[] = {&q->visibility_ms, &q->wait_ms, &q->delay_ms, &q->retention_s};
    pthread_mutex_lock(&q->lock);
    if (i < 4)
        *fields[i] = i < 3 ? v * 1000 : v;
    pthread_mutex_unlock(&q->lock);
    return true;
}

const char *sim_sqs_set(struct sim_queue *q, const json_t *attributes)
{
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)attributes, name, v)
    {
        if (!set_one(q, attributes, name))
            return name;
    }
    return NULL;
}

enum sim_outcome sim_sqs_set_attributes(struct sim_request *r)
{
    struct sim_queue *q = sim_sqs_queue(r);
    const char *wrong = q ? sim_sqs_set(q, json_object_get(r->input, "Attributes")) : NULL;
    if (wrong)
        sim_fail(r, 400, "InvalidAttributeName", "Unknown or wrong Attribute %s.", wrong);
    return SIM_DONE;
}
