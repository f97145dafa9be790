#include "sqs.h"

#include "clock.h"
#include "region.h"
#include "sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct receiving {
    struct sim_request *request;
    struct sim_queue *queue;
    size_t n;
    json_t *messages;    /* query protocol */
    struct sim_buf text; /* JSON protocol: the items so far */
    const json_t *system_names;
    const json_t *attribute_names;
    int64_t wait_ms;
};

static bool lists(const json_t *names, const char *name)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *v = json_string_value(json_array_get(names, i));
        if (v && (strcmp(v, name) == 0 || strcmp(v, "All") == 0 || strcmp(v, ".*") == 0))
            return true;
    }
    return false;
}

static void add_system(json_t *out, const struct receiving *x, const char *name, int64_t value)
{
    char text[24];
    if (!lists(x->system_names, name))
        return;
    snprintf(text, sizeof text, "%" PRId64, value);
    json_object_set_new(out, name, json_string(text));
}

/* Body is most of what a loaded queue sends: it is written here, not by jansson, which goes through
 * strings a character at a time. */
static void write_message(struct sim_buf *out, const struct sim_message *m, const json_t *members)
{
    char *text = json_dumps(members, JSON_COMPACT);
    if (out->len)
        sim_buf_char(out, ',');
    sim_buf_add(out, text, text ? strlen(text) - 1 : 0);
    sim_buf_str(out, ",\"Body\":");
    sim_json_string(out, m->body, m->len);
    sim_buf_char(out, '}');
    free(text);
}

static void add_message(const struct sim_message *m, const char *handle, void *arg)
{
    struct receiving *x = arg;
    json_t *system = json_object();
    add_system(system, x, "ApproximateReceiveCount", m->receives);
    add_system(system, x, "SentTimestamp", m->sent_ms);
    add_system(system, x, "ApproximateFirstReceiveTimestamp", m->first_received_ms);
    if (lists(x->system_names, "SenderId"))
        json_object_set_new(system, "SenderId", json_string("AIDAIT2UOQQY3AUEKVGXU"));
    json_t *out = json_pack("{s:s,s:s,s:s}", "MessageId", m->id, "ReceiptHandle", handle,
                            "MD5OfBody", m->md5);
    if (json_object_size(system))
        json_object_set(out, "Attributes", system);
    json_decref(system);
    json_t *named = json_object();
    const char *name;
    json_t *v;
    json_object_foreach(m->attributes, name, v)
    {
        if (lists(x->attribute_names, name))
            json_object_set(named, name, v);
    }
    if (json_object_size(named))
        json_object_set(out, "MessageAttributes", named);
    json_decref(named);
    x->n++;
    if (x->request->protocol == SIM_PROTO_JSON) {
        write_message(&x->text, m, out);
        json_decref(out);
    } else {
        json_object_set_new(out, "Body", json_stringn(m->body, m->len));
        json_array_append_new(x->messages, out);
    }
}

static bool park(void *arg)
{
    struct receiving *x = arg;
    struct sim_request *r = x->request;
    int64_t now = sim_mono_ms();
    if (!r->parking.deadline_ms)
        r->parking.deadline_ms = now + x->wait_ms;
    if (now >= r->parking.deadline_ms)
        return false;
    r->parking.connection = r->connection;
    r->parking.queue = x->queue;
    return sim_park_wait(&r->sim->park, &r->parking);
}

/* libmicrohttpd does not look at suspended connections. Without this a client that went away would
 * take messages into flight, which SQS has no reason to do for a closed connection. */
static bool peer_is_gone(const struct sim_request *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    char byte;
    return info && recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static bool read_limits(struct sim_request *r, struct sim_queue *q, struct sim_receive *receive,
                        struct receiving *x)
{
    int64_t max = 1, visibility_s = -1, wait_s = -1;
    bool numbers = sim_json_int(r->input, "MaxNumberOfMessages", &max) &&
                   sim_json_int(r->input, "VisibilityTimeout", &visibility_s) &&
                   sim_json_int(r->input, "WaitTimeSeconds", &wait_s);
    if (!numbers || max < 1 || max > 10 || visibility_s > 43200 || wait_s > 20) {
        sim_fail(
            r, 400, "InvalidParameterValue",
            "Value for parameter MaxNumberOfMessages (1 to 10), VisibilityTimeout (0 to 43200) "
            "or WaitTimeSeconds (0 to 20) is invalid.");
        return false;
    }
    receive->max = (unsigned)max;
    receive->visibility_ms = visibility_s < 0 ? -1 : visibility_s * 1000;
    pthread_mutex_lock(&q->lock);
    x->wait_ms = wait_s < 0 ? q->wait_ms : wait_s * 1000;
    pthread_mutex_unlock(&q->lock);
    return true;
}

static void reply_messages(struct receiving *x)
{
    struct sim_request *r = x->request;
    if (r->protocol != SIM_PROTO_JSON) {
        r->output = json_pack("{s:O}", "Messages", x->messages);
        return;
    }
    sim_buf_str(&r->reply.body, "{\"Messages\":[");
    sim_buf_add(&r->reply.body, x->text.data, x->text.len);
    sim_buf_str(&r->reply.body, "]}");
}

enum sim_outcome sim_sqs_receive(struct sim_request *r)
{
    struct sim_queue *q = sim_sqs_queue(r);
    struct receiving x = {.request = r, .queue = q};
    struct sim_receive receive = {.visit = add_message, .empty = park, .arg = &x};
    if (!q || !read_limits(r, q, &receive, &x))
        return SIM_DONE;
    if (r->parking.deadline_ms && peer_is_gone(r)) {
        r->abort_connection = true;
        return SIM_DONE;
    }
    x.system_names = json_object_get(r->input, "MessageSystemAttributeNames");
    if (!json_array_size(x.system_names))
        x.system_names = json_object_get(r->input, "AttributeNames");
    x.attribute_names = json_object_get(r->input, "MessageAttributeNames");
    x.messages = json_array();
    enum sim_receive_result result;
    do {
        receive.now_ms = sim_region_now(r->region);
        result = sim_queue_receive(q, &receive);
        sim_queue_bury(&r->region->queues, q, receive.dead);
    } while (result == SIM_RECEIVED && !x.n);
    if (result == SIM_RECEIVED)
        reply_messages(&x);
    else if (result == SIM_RECEIVE_EMPTY)
        r->output = json_object();
    else if (result == SIM_RECEIVE_OVER)
        sim_fail(r, 400, "OverLimit", "Too many messages in flight.");
    json_decref(x.messages);
    sim_buf_fini(&x.text);
    return result == SIM_RECEIVE_WAITS ? SIM_PARKED : SIM_DONE;
}
