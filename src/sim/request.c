#include "request.h"

#include "clock.h"
#include "xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim_request *sim_request_new(struct sim *s, const char *uri)
{
    struct sim_request *r = sim_alloc(sizeof *r);
    r->sim = s;
    r->raw_uri = sim_strdup(uri);
    size_t path_len = strcspn(uri, "?");
    r->raw_path = sim_strndup(uri, path_len);
    r->raw_query = uri[path_len] ? r->raw_uri + path_len + 1 : r->raw_uri + path_len;
    sim_pairs_parse(&r->query, r->raw_query, strlen(r->raw_query), true);
    return r;
}

void sim_request_free(struct sim_request *r)
{
    if (!r)
        return;
    free(r->method);
    free(r->raw_uri);
    free(r->raw_path);
    free(r->target);
    free(r->key);
    sim_pairs_fini(&r->query);
    sim_buf_fini(&r->body);
    sim_auth_fini(&r->auth);
    sim_fault_fini(&r->fault);
    json_decref(r->input);
    json_decref(r->output);
    sim_buf_fini(&r->reply.body);
    for (unsigned i = 0; i < r->reply.n_headers; i++)
        free(r->reply.headers[i].value);
    free(r);
}

const char *sim_request_header(const struct sim_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

void sim_reply_header(struct sim_request *r, const char *name, const char *value)
{
    if (r->reply.n_headers == SIM_REPLY_HEADERS)
        return;
    r->reply.headers[r->reply.n_headers].name = name;
    r->reply.headers[r->reply.n_headers++].value = sim_strdup(value);
}

const char *sim_input_str(const struct sim_request *r, const char *name)
{
    return json_string_value(json_object_get(r->input, name));
}

bool sim_json_int(const json_t *object, const char *name, int64_t *out)
{
    const json_t *v = json_object_get(object, name);
    if (!v || json_is_null(v))
        return true;
    if (json_is_integer(v)) {
        *out = json_integer_value(v);
        return true;
    }
    return json_is_string(v) && sim_parse_i64(json_string_value(v), out);
}

/* The codes that SQS's older protocol uses, where they differ: the JSON protocol repeats them in
 * x-amzn-query-error so that old clients' error handling goes on working. */
static const char *sqs_query_code(const char *code)
{
    static const char *const same[] = {"QueueDoesNotExist", "BatchEntryIdsNotDistinct",
                                       "EmptyBatchRequest", "TooManyEntriesInBatchRequest",
                                       "MessageNotInflight"};
    static const char *const other[] = {
        "AWS.SimpleQueueService.NonExistentQueue",
        "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
        "AWS.SimpleQueueService.EmptyBatchRequest",
        "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
        "AWS.SimpleQueueService.MessageNotInflight",
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        if (strcmp(code, same[i]) == 0)
            return other[i];
    }
    return strcmp(code, "QueueNameExists") == 0 ? "QueueAlreadyExists" : code;
}

static void fail_json(struct sim_request *r, const char *code, const char *message)
{
    json_t *body = json_object();
    if (r->protocol == SIM_PROTO_REST_JSON) {
        sim_reply_header(r, "x-amzn-errortype", code);
    } else if (r->protocol == SIM_PROTO_JSON) {
        char text[256];
        snprintf(text, sizeof text, "%s;%s", sqs_query_code(code),
                 r->reply.status < 500 ? "Sender" : "Receiver");
        sim_reply_header(r, "x-amzn-query-error", text);
        /* SQS's own errors carry its name, those of the layer before it the framework's. */
        bool own = r->reply.status != 403;
        snprintf(text, sizeof text, "%s#%s", own ? "com.amazonaws.sqs" : "com.amazon.coral.service",
                 code);
        json_object_set_new(body, "__type", json_string(text));
    } else {
        json_object_set_new(body, "error", json_string(code));
    }
    json_object_set_new(body, "message", json_string(message));
    char *text = json_dumps(body, JSON_COMPACT);
    sim_buf_str(&r->reply.body, text ? text : "{}");
    free(text);
    json_decref(body);
    r->reply.content_type =
        r->protocol == SIM_PROTO_JSON ? "application/x-amz-json-1.0" : "application/json";
}

enum sim_outcome sim_fail(struct sim_request *r, unsigned status, const char *code, const char *fmt,
                          ...)
{
    char message[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    sim_buf_fini(&r->reply.body);
    json_decref(r->output);
    r->output = NULL;
    r->reply.status = status;
    r->reply.is_error = true;
    if (r->protocol == SIM_PROTO_QUERY || r->protocol == SIM_PROTO_S3) {
        const char *name = r->service == SIM_SQS ? sqs_query_code(code) : code;
        sim_xml_error(&r->reply.body, r->protocol == SIM_PROTO_S3, status, name, message);
        r->reply.content_type = r->protocol == SIM_PROTO_S3 ? "application/xml" : "text/xml";
    } else {
        fail_json(r, code, message);
    }
    return SIM_DONE;
}

void sim_reply_finish(struct sim_request *r)
{
    if (!r->reply.status)
        r->reply.status = 200;
    if (r->reply.is_error || r->protocol == SIM_PROTO_S3)
        return;
    if (r->protocol == SIM_PROTO_QUERY) {
        sim_xml_result(&r->reply.body, r->service == SIM_SQS, sim_op_info(r->op)->name, r->output);
        r->reply.content_type = "text/xml";
        return;
    }
    r->reply.content_type =
        r->protocol == SIM_PROTO_JSON ? "application/x-amz-json-1.0" : "application/json";
    if (!r->output)
        return;
    /* Times are epoch seconds with milliseconds: 13 digits until the year 2286. */
    char *text = json_dumps(r->output, JSON_COMPACT | JSON_REAL_PRECISION(13) | JSON_ENCODE_ANY);
    sim_buf_str(&r->reply.body, text ? text : "{}");
    free(text);
}
