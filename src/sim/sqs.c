#include "sqs.h"

#include "region.h"
#include "sim.h"

#include <string.h>

bool sim_sqs_parse(struct sim_request *r)
{
    static const char prefix[] = "AmazonSQS.";
    const char *target = sim_request_header(r, "x-amz-target");
    if (target) {
        r->protocol = SIM_PROTO_JSON;
        if (strncmp(target, prefix, sizeof prefix - 1) == 0)
            r->op = sim_op_find(SIM_SQS, target + sizeof prefix - 1);
        r->input = json_loadb(sim_buf_cstr(&r->body), r->body.len, JSON_ALLOW_NUL, NULL);
        if (!json_is_object(r->input)) {
            sim_fail(r, 400, "SerializationException", "The request body is not a JSON object.");
            return false;
        }
    } else {
        struct sim_pairs form = {0};
        r->protocol = SIM_PROTO_QUERY;
        sim_pairs_parse(&form, sim_buf_cstr(&r->body), r->body.len, true);
        const char *action = sim_pairs_get(&form, "Action");
        if (action) {
            r->op = sim_op_find(SIM_SQS, action);
            r->input = sim_sqs_query_input(action, &form);
        }
        sim_pairs_fini(&form);
    }
    if (!r->op)
        sim_fail(r, 400, "InvalidAction", "The action or operation requested is invalid.");
    return r->op != SIM_OP_NONE;
}

void sim_sqs_url(const struct sim_request *r, const char *name, struct sim_buf *url)
{
    const char *host = sim_request_header(r, "host");
    sim_buf_printf(url, "http://%s/%s/%s", host ? host : r->sim->host, SIM_ACCOUNT, name);
}

struct sim_queue *sim_sqs_queue(struct sim_request *r)
{
    const char *url = sim_input_str(r, "QueueUrl");
    const char *slash = strrchr(url ? url : r->raw_path, '/');
    const char *name = slash ? slash + 1 : url;
    if (!url && (!name || !*name)) {
        sim_fail(r, 400, "MissingParameter", "The request must contain the parameter QueueUrl.");
        return NULL;
    }
    struct sim_queue *q = sim_queues_find(&r->region->queues, name ? name : "");
    if (!q)
        sim_fail(r, 400, "QueueDoesNotExist", "The specified queue does not exist.");
    return q;
}

static bool sendable(const json_t *entry, struct sim_batch_error *why)
{
    const json_t *body = json_object_get(entry, "MessageBody");
    size_t n = json_string_length(body);
    *why = (struct sim_batch_error){0};
    if (!json_is_string(body) || !n)
        *why = (struct sim_batch_error){"MissingParameter",
                                        "The request must contain the parameter MessageBody."};
    else if (n > SIM_QUEUE_BODY_MAX)
        *why = (struct sim_batch_error){"InvalidParameterValue",
                                        "One or more parameters are invalid. Reason: Message must "
                                        "be shorter than 1048576 bytes."};
    return !why->code;
}

static bool send_one(struct sim_request *r, struct sim_queue *q, const json_t *entry, json_t *done,
                     struct sim_batch_error *why)
{
    int64_t delay_s = -1;
    if (!sendable(entry, why))
        return false;
    if (!sim_json_int(entry, "DelaySeconds", &delay_s) || delay_s > 900) {
        *why = (struct sim_batch_error){"InvalidParameterValue", "DelaySeconds is 0 to 900."};
        return false;
    }
    const json_t *body = json_object_get(entry, "MessageBody");
    char id[40], md5[33];
    sim_queue_send(q, json_string_value(body), json_string_length(body),
                   json_object_get(entry, "MessageAttributes"), delay_s < 0 ? -1 : delay_s * 1000,
                   sim_region_now(r->region), id, md5);
    json_object_set_new(done, "MessageId", json_string(id));
    json_object_set_new(done, "MD5OfMessageBody", json_string(md5));
    return true;
}

enum sim_outcome sim_sqs_send(struct sim_request *r)
{
    struct sim_queue *q = sim_sqs_queue(r);
    struct sim_batch_error why;
    if (!q)
        return SIM_DONE;
    r->output = json_object();
    if (!send_one(r, q, r->input, r->output, &why))
        return sim_fail(r, 400, why.code, "%s", why.message);
    sim_park_wake(&r->sim->park, q, 1);
    return SIM_DONE;
}

enum sim_outcome sim_sqs_send_batch(struct sim_request *r)
{
    enum sim_outcome outcome = sim_sqs_batch(r, send_one);
    struct sim_queue *q = r->reply.is_error ? NULL : sim_sqs_queue(r);
    if (q)
        sim_park_wake(&r->sim->park, q, json_array_size(json_object_get(r->output, "Successful")));
    return outcome;
}

static bool handle_error(enum sim_handle_result result, struct sim_batch_error *why)
{
    if (result != SIM_HANDLE_INVALID)
        return false;
    *why = (struct sim_batch_error){"ReceiptHandleIsInvalid",
                                    "The input receipt handle is not a valid receipt handle."};
    return true;
}

static bool delete_one(struct sim_request *r, struct sim_queue *q, const json_t *entry,
                       json_t *done, struct sim_batch_error *why)
{
    (void)r, (void)done;
    const char *handle = json_string_value(json_object_get(entry, "ReceiptHandle"));
    return !handle_error(sim_queue_delete(q, handle ? handle : ""), why);
}

enum sim_outcome sim_sqs_delete(struct sim_request *r)
{
    struct sim_queue *q = sim_sqs_queue(r);
    struct sim_batch_error why;
    if (q && !delete_one(r, q, r->input, NULL, &why))
        sim_fail(r, 404, why.code, "%s", why.message);
    return SIM_DONE;
}

enum sim_outcome sim_sqs_delete_batch(struct sim_request *r)
{
    return sim_sqs_batch(r, delete_one);
}

static bool change_one(struct sim_request *r, struct sim_queue *q, const json_t *entry,
                       json_t *done, struct sim_batch_error *why)
{
    (void)r, (void)done;
    const char *handle = json_string_value(json_object_get(entry, "ReceiptHandle"));
    int64_t seconds = -1;
    if (!sim_json_int(entry, "VisibilityTimeout", &seconds) || seconds < 0 || seconds > 43200) {
        *why =
            (struct sim_batch_error){"InvalidParameterValue", "VisibilityTimeout is 0 to 43200."};
        return false;
    }
    enum sim_handle_result result =
        sim_queue_change_visibility(q, handle ? handle : "", seconds * 1000);
    if (result == SIM_HANDLE_OLD) {
        *why = (struct sim_batch_error){"MessageNotInflight",
                                        "The message referred to is not in flight."};
        return false;
    }
    return !handle_error(result, why);
}

enum sim_outcome sim_sqs_change_visibility(struct sim_request *r)
{
    struct sim_queue *q = sim_sqs_queue(r);
    struct sim_batch_error why;
    if (q && !change_one(r, q, r->input, NULL, &why))
        sim_fail(r, 400, why.code, "%s", why.message);
    return SIM_DONE;
}

enum sim_outcome sim_sqs_change_visibility_batch(struct sim_request *r)
{
    return sim_sqs_batch(r, change_one);
}
