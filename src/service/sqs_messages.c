#include "service/sqs_messages.h"

#include <string.h>

struct reading {
    struct sup_sqs_batch *b;
    struct sup_sqs_message *m;
    struct sup_err *err;
};

static int odd(const struct reading *r, const char *what)
{
    return sup_err_set(r->err, SUP_ECORRUPT, "odd %s in the reply", what);
}

static bool is(struct sup_slice key, const char *name)
{
    return key.n == strlen(name) && memcmp(key.p, name, key.n) == 0;
}

/* As SQS sends numbers: digits in a string. */
static int take_digits(struct reading *r, struct sup_json_value *v, int64_t *out)
{
    if (v->type == SUP_JSON_NULL)
        return SUP_OK;
    struct sup_slice s = v->type == SUP_JSON_STRING ? sup_json_string(v) : (struct sup_slice){0};
    int64_t n = 0;

    if (s.n == 0 || s.n > 18)
        return odd(r, "number");
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return odd(r, "number");
        n = n * 10 + (s.p[i] - '0');
    }
    *out = n;
    return SUP_OK;
}

static int take_attribute(void *ctx, struct sup_slice key, struct sup_json_value *v)
{
    struct reading *r = ctx;

    if (is(key, "SentTimestamp"))
        return take_digits(r, v, &r->m->sent_ms);
    if (is(key, "ApproximateReceiveCount"))
        return take_digits(r, v, &r->m->receive_count);
    return SUP_OK;
}

/* Strings end with a NUL in the parser's memory. */
static int take_text(struct reading *r, struct sup_json_value *v, const char **out)
{
    if (v->type != SUP_JSON_STRING)
        return odd(r, "message");
    struct sup_slice s = sup_json_string(v);
    if (memchr(s.p, '\0', s.n) != NULL)
        return odd(r, "message");
    *out = (const char *)s.p;
    return SUP_OK;
}

static int take_member(void *ctx, struct sup_slice key, struct sup_json_value *v)
{
    struct reading *r = ctx;

    if (is(key, "MessageId"))
        return take_text(r, v, &r->m->id);
    if (is(key, "ReceiptHandle"))
        return take_text(r, v, &r->m->receipt_handle);
    if (is(key, "Attributes") && v->type == SUP_JSON_OBJECT)
        return sup_json_each(v, (struct sup_json_sink){take_attribute, r});
    if (is(key, "Attributes") && v->type != SUP_JSON_NULL)
        return odd(r, "attributes");
    if (!is(key, "Body"))
        return SUP_OK;
    if (v->type != SUP_JSON_STRING)
        return odd(r, "message");
    struct sup_slice s = sup_json_string(v);
    r->m->body = (const char *)s.p;
    r->m->body_n = s.n;
    return SUP_OK;
}

static int take_message(void *ctx, struct sup_slice key, struct sup_json_value *v)
{
    struct reading *r = ctx;

    (void)key;
    if (v->type != SUP_JSON_OBJECT || r->b->n == SUP_SQS_BATCH_MAX)
        return odd(r, "list of messages");
    r->m = &r->b->messages[r->b->n++];
    *r->m = (struct sup_sqs_message){0};
    int rc = sup_json_each(v, (struct sup_json_sink){take_member, r});
    if (rc == SUP_OK && (r->m->id == NULL || r->m->receipt_handle == NULL || r->m->body == NULL))
        rc = odd(r, "message");
    return rc;
}

static int take_reply(void *ctx, struct sup_slice key, struct sup_json_value *v)
{
    struct reading *r = ctx;

    /* The key is absent when nothing came. */
    if (!is(key, "Messages") || v->type == SUP_JSON_NULL)
        return SUP_OK;
    if (v->type != SUP_JSON_ARRAY)
        return odd(r, "list of messages");
    r->b->n = 0;
    return sup_json_each(v, (struct sup_json_sink){take_message, r});
}

static int take_root(void *ctx, struct sup_slice key, struct sup_json_value *v)
{
    struct reading *r = ctx;

    (void)key;
    if (v->type != SUP_JSON_OBJECT)
        return odd(r, "document");
    return sup_json_each(v, (struct sup_json_sink){take_reply, r});
}

int sup_sqs_messages_read(void *parser, struct sup_slice reply, struct sup_sqs_batch *b,
                          struct sup_err *err)
{
    struct sup_err own = {0};
    struct reading r = {.b = b, .err = &own};
    int rc = sup_json_walk(&sup_json_simdjson, parser, reply, (struct sup_json_sink){take_root, &r},
                           &own);

    if (rc == SUP_OK)
        return rc;
    b->n = 0;
    if (rc == SUP_EINPUT || rc == SUP_ELIMIT)
        return sup_err_set(err, SUP_ECORRUPT, "reply is not JSON: %s", own.msg);
    return sup_err_set(err, rc, "%s", own.msg);
}
