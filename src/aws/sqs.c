#include "aws/sqs.h"

#include "aws/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ten bodies of 1 MiB, each byte escaped to six in the worst case. */
#define RECEIVE_BODY_MAX (80u << 20)
#define REQUEST_MAX      (256u << 10)
#define HANDLE_MAX       4096

int sup_sqs_queue_url_check(const char *queue_url, bool insecure, struct sup_err *err)
{
    struct sup_url u;
    int rc = sup_url_parse(&u, queue_url, err);

    if (rc == SUP_OK && (u.path.n < 2 || u.query.n > 0))
        rc = sup_err_set(err, SUP_EINPUT, "a queue URL has a path and no query");
    if (rc == SUP_OK)
        rc = sup_aws_url_allowed(queue_url, insecure, err);
    return rc == SUP_OK ? rc : sup_err_prefix(err, rc, "queue URL");
}

/* ---- calls ---- */

static bool ends_with(struct sup_slice s, const char *tail)
{
    size_t n = strlen(tail);
    return s.n >= n && memcmp(s.p + s.n - n, tail, n) == 0;
}

/* Requests go to the service's endpoint, as in botocore. Where none is configured and the queue
 * lives on a host that is not AWS's (an emulator), the queue URL's own origin is the only place
 * that can answer. */
static int origin_of(const struct sup_aws *a, const char *queue_url, struct sup_buf *out,
                     struct sup_err *err)
{
    struct sup_url u;
    int rc = sup_sqs_queue_url_check(queue_url, sup_aws_client_insecure(a), err);

    if (rc != SUP_OK)
        return rc;
    (void)sup_url_parse(&u, queue_url, NULL);
    if (sup_aws_client_custom(a, SUP_AWS_SQS) || ends_with(u.host, ".amazonaws.com") ||
        ends_with(u.host, ".amazonaws.com.cn") || ends_with(u.host, ".api.aws"))
        return SUP_OK;
    sup_buf_add_slice(out, u.scheme);
    sup_buf_add_str(out, "://");
    sup_buf_add_slice(out, u.authority);
    return out->failed;
}

struct sqs_call {
    const char *action;
    const char *queue_url; /* NULL: GetQueueUrl has none */
    json_t *body;          /* taken over */
    int64_t wait_ms;
    struct sup_stop *stop;
    bool long_poll;
};

/* On SUP_OK r has the reply. */
static int call_raw(struct sup_aws *a, const struct sqs_call *c, struct sup_http_response *r,
                    struct sup_aws_error *aerr, struct sup_err *err)
{
    char target[64];
    struct sup_buf body;
    struct sup_buf origin;

    snprintf(target, sizeof target, "AmazonSQS.%s", c->action);
    struct sup_header headers[] = {{"content-type", "application/x-amz-json-1.0"},
                                   {"x-amz-target", target},
                                   {"x-amzn-query-mode", "true"}};
    sup_buf_init(&body, REQUEST_MAX);
    sup_buf_init(&origin, 512);
    int rc = sup_json_write(c->body, &body, err);
    if (rc == SUP_OK && c->queue_url != NULL)
        rc = origin_of(a, c->queue_url, &origin, err);
    if (rc == SUP_OK) {
        struct sup_aws_call ac = {.service = SUP_AWS_SQS,
                                  .method = "POST",
                                  .url = origin.n > 0 ? sup_buf_str(&origin) : NULL,
                                  .path = "/",
                                  .headers = headers,
                                  .n_headers = sizeof headers / sizeof headers[0],
                                  .body = sup_buf_slice(&body),
                                  .extra_timeout_ms = c->wait_ms,
                                  .max_body = RECEIVE_BODY_MAX,
                                  .long_poll = c->long_poll,
                                  .stop = c->stop};
        rc = sup_aws_call(a, &ac, r, aerr, err);
    } else if (aerr != NULL) {
        memset(aerr, 0, sizeof *aerr);
    }
    if (rc != SUP_OK)
        sup_err_prefix(err, rc, "SQS %s", c->action);
    sup_buf_fini(&origin);
    sup_buf_fini(&body);
    return rc;
}

/* On SUP_OK *reply is an object that the caller releases. */
static int call(struct sup_aws *a, const struct sqs_call *c, json_t **reply,
                struct sup_aws_error *aerr, struct sup_err *err)
{
    struct sup_http_response r;

    *reply = NULL;
    sup_http_response_init(&r);
    int rc = call_raw(a, c, &r, aerr, err);
    if (rc == SUP_OK) {
        rc = sup_json_object(sup_buf_slice(&r.body), reply, err);
        if (rc != SUP_OK)
            sup_err_prefix(err, rc, "SQS %s", c->action);
    }
    sup_http_response_fini(&r);
    return rc;
}

/* ---- receive ---- */

void sup_sqs_batch_fini(struct sup_sqs_batch *b)
{
    json_decref(b->owner);
    *b = (struct sup_sqs_batch){0};
}

static bool bad(int rc)
{
    return rc != SUP_OK && rc != SUP_ENOTFOUND;
}

static int parse_message(const json_t *o, struct sup_sqs_message *m)
{
    const json_t *body = json_object_get(o, "Body");
    const json_t *attributes = json_object_get(o, "Attributes");

    if (sup_json_text(o, "MessageId", &m->id) != SUP_OK ||
        sup_json_text(o, "ReceiptHandle", &m->receipt_handle) != SUP_OK || !json_is_string(body))
        return SUP_ECORRUPT;
    m->body = json_string_value(body);
    m->body_n = json_string_length(body);
    if (attributes == NULL || json_is_null(attributes))
        return SUP_OK;
    if (!json_is_object(attributes) ||
        bad(sup_json_digits(attributes, "SentTimestamp", &m->sent_ms)) ||
        bad(sup_json_digits(attributes, "ApproximateReceiveCount", &m->receive_count)))
        return SUP_ECORRUPT;
    return SUP_OK;
}

static int parse_batch(json_t *reply, struct sup_sqs_batch *b, struct sup_err *err)
{
    const json_t *list = NULL;

    /* The key is absent when nothing came. */
    if (bad(sup_json_array(reply, "Messages", &list)) || json_array_size(list) > SUP_SQS_BATCH_MAX)
        return sup_err_set(err, SUP_ECORRUPT, "odd list of messages");
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (parse_message(json_array_get(list, i), &b->messages[i]) != SUP_OK)
            return sup_err_set(err, SUP_ECORRUPT, "odd message in the reply");
        b->n = i + 1;
    }
    return SUP_OK;
}

static json_t *receive_body(const struct sup_sqs_receive *req)
{
    json_t *body =
        json_pack("{s:s, s:i, s:i, s:[s,s]}", "QueueUrl", req->queue_url, "MaxNumberOfMessages",
                  (int)req->max_messages, "WaitTimeSeconds", (int)req->wait_s,
                  "MessageSystemAttributeNames", "SentTimestamp", "ApproximateReceiveCount");

    if (body != NULL && req->visibility_timeout_s >= 0)
        json_object_set_new(body, "VisibilityTimeout", json_integer(req->visibility_timeout_s));
    return body;
}

/* Jansson's tree owns the messages. */
static int read_tree(void *arg, struct sup_slice reply, struct sup_sqs_batch *b,
                     struct sup_err *err)
{
    json_t *tree = NULL;
    int rc = sup_json_object(reply, &tree, err);

    (void)arg;
    if (rc != SUP_OK)
        return rc;
    b->owner = tree;
    return parse_batch(tree, b, err);
}

int sup_sqs_receive(struct sup_aws *a, const struct sup_sqs_receive *req, struct sup_sqs_batch *b,
                    struct sup_aws_error *aerr, struct sup_err *err)
{
    struct sup_http_response r;

    *b = (struct sup_sqs_batch){0};
    if (aerr != NULL)
        memset(aerr, 0, sizeof *aerr);
    if (req->max_messages < 1 || req->max_messages > SUP_SQS_BATCH_MAX || req->wait_s > 20 ||
        req->visibility_timeout_s > 43200)
        return sup_err_set(err, SUP_EINPUT, "SQS ReceiveMessage: 1 to 10 messages, wait 0 to 20 s");
    struct sqs_call c = {.action = "ReceiveMessage",
                         .queue_url = req->queue_url,
                         .body = receive_body(req),
                         .wait_ms = (int64_t)req->wait_s * 1000,
                         .stop = req->stop,
                         .long_poll = req->wait_s > 0};
    sup_http_response_init(&r);
    int rc = call_raw(a, &c, &r, aerr, err);
    if (rc == SUP_OK) {
        rc = req->read != NULL ? req->read(req->arg, sup_buf_slice(&r.body), b, err)
                               : read_tree(NULL, sup_buf_slice(&r.body), b, err);
        if (rc != SUP_OK)
            sup_err_prefix(err, rc, "SQS ReceiveMessage");
    }
    sup_http_response_fini(&r);
    if (rc != SUP_OK)
        sup_sqs_batch_fini(b);
    return rc;
}

/* ---- batches ---- */

static void set_all(struct sup_sqs_entry *entries, size_t n, int rc)
{
    for (size_t i = 0; i < n; i++) {
        entries[i].result = rc;
        entries[i].code[0] = '\0';
    }
}

/* Ids are the index as one digit. NULL: an id that was never sent. */
static struct sup_sqs_entry *entry_of(const json_t *o, struct sup_sqs_entry *entries, size_t n)
{
    const char *id = NULL;

    if (sup_json_text(o, "Id", &id) != SUP_OK || id[0] < '0' || id[0] > '9' || id[1] != '\0')
        return NULL;
    size_t i = (size_t)(id[0] - '0');
    return i < n ? &entries[i] : NULL;
}

static int parse_failed(const json_t *o, struct sup_sqs_entry *e)
{
    bool sender = false;
    const char *code = "";

    if (bad(sup_json_bool(o, "SenderFault", &sender)) || bad(sup_json_text(o, "Code", &code)))
        return SUP_ECORRUPT;
    e->result = sender ? SUP_EINPUT : SUP_EAGAIN;
    snprintf(e->code, sizeof e->code, "%s", code);
    return SUP_OK;
}

static int parse_results(const json_t *reply, struct sup_sqs_entry *entries, size_t n)
{
    const json_t *done = NULL;
    const json_t *failed = NULL;

    if (bad(sup_json_array(reply, "Successful", &done)) ||
        bad(sup_json_array(reply, "Failed", &failed)) || (done == NULL && failed == NULL))
        return SUP_ECORRUPT;
    /* An entry that the reply does not mention is not known to be done. */
    set_all(entries, n, SUP_EAGAIN);
    for (size_t i = 0; i < json_array_size(done); i++) {
        struct sup_sqs_entry *e = entry_of(json_array_get(done, i), entries, n);
        if (e == NULL)
            return SUP_ECORRUPT;
        e->result = SUP_OK;
    }
    for (size_t i = 0; i < json_array_size(failed); i++) {
        struct sup_sqs_entry *e = entry_of(json_array_get(failed, i), entries, n);
        if (e == NULL || parse_failed(json_array_get(failed, i), e) != SUP_OK)
            return SUP_ECORRUPT;
    }
    return SUP_OK;
}

static json_t *batch_body(const char *queue_url, const struct sup_sqs_entry *entries, size_t n,
                          bool visibility)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        char id[2] = {(char)('0' + i), '\0'};
        json_t *e = json_pack("{s:s, s:s}", "Id", id, "ReceiptHandle", entries[i].receipt_handle);
        if (e != NULL && visibility)
            json_object_set_new(e, "VisibilityTimeout",
                                json_integer(entries[i].visibility_timeout_s));
        if (json_array_append_new(list, e) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return json_pack("{s:s, s:o}", "QueueUrl", queue_url, "Entries", list);
}

static int check_entries(const struct sup_sqs_entry *entries, size_t n, bool visibility)
{
    if (n < 1 || n > SUP_SQS_BATCH_MAX)
        return SUP_EINPUT;
    for (size_t i = 0; i < n; i++) {
        const struct sup_sqs_entry *e = &entries[i];
        if (e->receipt_handle == NULL || e->receipt_handle[0] == '\0' ||
            strlen(e->receipt_handle) > HANDLE_MAX)
            return SUP_EINPUT;
        if (visibility && (e->visibility_timeout_s < 0 || e->visibility_timeout_s > 43200))
            return SUP_EINPUT;
    }
    return SUP_OK;
}

static int batch(struct sup_aws *a, const char *action, const char *queue_url,
                 struct sup_sqs_entry *entries, size_t n, bool visibility,
                 struct sup_aws_error *aerr, struct sup_err *err)
{
    json_t *reply = NULL;

    if (aerr != NULL)
        memset(aerr, 0, sizeof *aerr);
    int rc = check_entries(entries, n, visibility);
    if (rc != SUP_OK) {
        sup_err_set(err, rc, "SQS %s: 1 to 10 entries with receipt handles", action);
    } else {
        struct sqs_call c = {.action = action,
                             .queue_url = queue_url,
                             .body = batch_body(queue_url, entries, n, visibility)};
        rc = call(a, &c, &reply, aerr, err);
        if (rc == SUP_OK && (rc = parse_results(reply, entries, n)) != SUP_OK)
            sup_err_set(err, rc, "SQS %s: odd reply", action);
        json_decref(reply);
    }
    if (rc != SUP_OK)
        set_all(entries, n <= SUP_SQS_BATCH_MAX ? n : 0, rc);
    return rc;
}

int sup_sqs_delete_batch(struct sup_aws *a, const char *queue_url, struct sup_sqs_entry *entries,
                         size_t n, struct sup_aws_error *aerr, struct sup_err *err)
{
    return batch(a, "DeleteMessageBatch", queue_url, entries, n, false, aerr, err);
}

int sup_sqs_change_visibility_batch(struct sup_aws *a, const char *queue_url,
                                    struct sup_sqs_entry *entries, size_t n,
                                    struct sup_aws_error *aerr, struct sup_err *err)
{
    return batch(a, "ChangeMessageVisibilityBatch", queue_url, entries, n, true, aerr, err);
}

/* ---- queue ---- */

int sup_sqs_get_queue_url(struct sup_aws *a, const char *queue_name, char **out,
                          struct sup_aws_error *aerr, struct sup_err *err)
{
    struct sqs_call c = {.action = "GetQueueUrl",
                         .body = json_pack("{s:s}", "QueueName", queue_name)};
    json_t *reply = NULL;
    const char *url = NULL;

    *out = NULL;
    int rc = call(a, &c, &reply, aerr, err);
    if (rc == SUP_OK && sup_json_text(reply, "QueueUrl", &url) != SUP_OK)
        rc = sup_err_set(err, SUP_ECORRUPT, "SQS GetQueueUrl: no URL in the reply");
    if (rc == SUP_OK && (*out = strdup(url)) == NULL)
        rc = sup_err_set(err, SUP_ENOMEM, "out of memory");
    json_decref(reply);
    return rc;
}

static int parse_attributes(const json_t *o, struct sup_sqs_attributes *out)
{
    const char *redrive = NULL;

    if (!json_is_object(o) ||
        bad(sup_json_digits(o, "ApproximateNumberOfMessages", &out->visible)) ||
        bad(sup_json_digits(o, "ApproximateNumberOfMessagesNotVisible", &out->in_flight)) ||
        bad(sup_json_digits(o, "ApproximateNumberOfMessagesDelayed", &out->delayed)) ||
        bad(sup_json_digits(o, "VisibilityTimeout", &out->visibility_timeout_s)) ||
        bad(sup_json_digits(o, "MessageRetentionPeriod", &out->retention_s)) ||
        bad(sup_json_text(o, "RedrivePolicy", &redrive)))
        return SUP_ECORRUPT;
    out->has_dead_letter_queue = redrive != NULL && strstr(redrive, "deadLetterTargetArn") != NULL;
    return SUP_OK;
}

int sup_sqs_get_attributes(struct sup_aws *a, const char *queue_url, struct sup_sqs_attributes *out,
                           struct sup_aws_error *aerr, struct sup_err *err)
{
    struct sqs_call c = {
        .action = "GetQueueAttributes",
        .queue_url = queue_url,
        .body = json_pack("{s:s, s:[s]}", "QueueUrl", queue_url, "AttributeNames", "All")};
    json_t *reply = NULL;

    *out = (struct sup_sqs_attributes){0};
    int rc = call(a, &c, &reply, aerr, err);
    if (rc == SUP_OK && parse_attributes(json_object_get(reply, "Attributes"), out) != SUP_OK)
        rc = sup_err_set(err, SUP_ECORRUPT, "SQS GetQueueAttributes: odd attributes");
    json_decref(reply);
    return rc;
}
