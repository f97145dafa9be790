#include "core/event_read.h"

#include "base/array.h"
#include "core/base64.h"
#include "core/event_fields.h"
#include "core/json_split.h"

#include <stdlib.h>
#include <string.h>

/* Documents inside strings of documents: an SQS record of Lambda's holds an SNS envelope holds an
 * EventBridge envelope. One parser a level, since the strings of the outer ones stay in use. */
#define LEVELS 4

struct sup_event_reader {
    const struct sup_json_ops *json;
    struct sup_json_parser *parsers[LEVELS];
    struct sup_document document;
    struct sup_document_lists lists;
    struct sup_buf decoded; /* the base64 data of a Firehose record */
    struct sup_slice rest;  /* documents not begun yet */
    const uint8_t *start;   /* of the body, for offsets */
    struct sup_slice text;  /* the present document */
    size_t offset;
    bool stream;
    bool more; /* not a stream: the body is yet to be read */
    size_t next_record;
};

/* What the envelopes around an event said. */
struct envelope {
    int64_t ms; /* the earliest time; SUP_NO_TIME if none */
    struct sup_slice message_id;
    struct sup_slice topic_arn;
};

static int read_document(struct sup_event_reader *r, size_t level, struct sup_slice text,
                         struct envelope env, struct sup_event *out, struct sup_err *err);

/* --- small things --- */

static struct sup_slice trim(struct sup_slice s)
{
    while (s.n > 0 && strchr(" \t\r\n", s.p[0]) != NULL && s.p[0] != '\0')
        s.p++, s.n--;
    while (s.n > 0 && strchr(" \t\r\n", s.p[s.n - 1]) != NULL && s.p[s.n - 1] != '\0')
        s.n--;
    return s;
}

static bool is(struct sup_slice s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static int64_t earlier(int64_t a, int64_t b)
{
    if (a == SUP_NO_TIME || b == SUP_NO_TIME)
        return a == SUP_NO_TIME ? b : a;
    return a < b ? a : b;
}

static int none(struct sup_event *out)
{
    *out = (struct sup_event){.type = SUP_EVENT_NONE,
                              .event_ms = SUP_NO_TIME,
                              .envelope_ms = SUP_NO_TIME,
                              .mail_ms = SUP_NO_TIME};
    return SUP_OK;
}

/* --- the event itself --- */

static const struct {
    const char *name;
    enum sup_event_type type;
    enum sup_block_kind block;
} types[] = {
    {"Bounce", SUP_EVENT_BOUNCE, SUP_BLOCK_BOUNCE},
    {"Complaint", SUP_EVENT_COMPLAINT, SUP_BLOCK_COMPLAINT},
    {"Delivery", SUP_EVENT_DELIVERY, SUP_BLOCK_DELIVERY},
    {"Send", SUP_EVENT_SEND, SUP_BLOCK_NONE},
    {"Reject", SUP_EVENT_REJECT, SUP_BLOCK_REJECT},
    {"Open", SUP_EVENT_OPEN, SUP_BLOCK_OPEN},
    {"Click", SUP_EVENT_CLICK, SUP_BLOCK_CLICK},
    {"Rendering Failure", SUP_EVENT_RENDERING_FAILURE, SUP_BLOCK_FAILURE},
    {"RenderingFailure", SUP_EVENT_RENDERING_FAILURE, SUP_BLOCK_FAILURE},
    {"DeliveryDelay", SUP_EVENT_DELIVERY_DELAY, SUP_BLOCK_DELIVERY_DELAY},
    {"Subscription", SUP_EVENT_SUBSCRIPTION, SUP_BLOCK_SUBSCRIPTION},
    /* SES's greeting when a topic is attached to an identity. */
    {"AmazonSnsSubscriptionSucceeded", SUP_EVENT_NONE, SUP_BLOCK_NONE},
};

static void fill_block(struct sup_event_reader *r, enum sup_block_kind kind, struct sup_event *out)
{
    const struct sup_event_block *b = &r->document.blocks[kind];

    out->bounce_type = b->bounce_type;
    out->sub_type = b->sub_type;
    out->feedback_type = b->feedback_type;
    out->feedback_id = b->feedback_id;
    out->event_ms = b->event_ms;
    out->n_recipients = b->n;
    out->recipients = b->n > 0 ? r->lists.recipients + b->first : NULL;
}

static int fill_event(struct sup_event_reader *r, struct sup_slice type, const struct envelope *env,
                      struct sup_event *out, struct sup_err *err)
{
    const struct sup_document *d = &r->document;
    size_t i = 0;

    while (i < SUP_COUNT(types) && !is(type, types[i].name))
        i++;
    *out = d->mail;
    out->type = i < SUP_COUNT(types) ? types[i].type : SUP_EVENT_UNKNOWN;
    out->type_text = type;
    out->from_event_publishing = d->event_type.n > 0;
    fill_block(r, i < SUP_COUNT(types) ? types[i].block : SUP_BLOCK_NONE, out);
    out->destination = r->lists.n_destination > 0 ? r->lists.destination : NULL;
    out->n_destination = r->lists.n_destination;
    out->tags = r->lists.n_tags > 0 ? r->lists.tags : NULL;
    out->n_tags = r->lists.n_tags;
    out->envelope_ms = env->ms;
    out->sns_message_id = env->message_id;
    out->topic_arn = env->topic_arn;
    if (out->type != SUP_EVENT_BOUNCE && out->type != SUP_EVENT_COMPLAINT)
        return SUP_OK;
    if (!d->blocks[types[i].block].present || !d->has_mail)
        return sup_err_set(err, SUP_EINPUT, "%s without its %s", types[i].name,
                           d->has_mail ? "details" : "mail");
    return SUP_OK;
}

/* --- envelopes --- */

static int read_sns(struct sup_event_reader *r, size_t level, const struct sup_sns_fields *sns,
                    struct envelope env, struct sup_event *out, struct sup_err *err)
{
    if (is(sns->type, "SubscriptionConfirmation") || is(sns->type, "UnsubscribeConfirmation"))
        return none(out);
    if (!is(sns->type, "Notification"))
        return sup_err_set(err, SUP_EINPUT, "SNS message of an unknown Type");
    if (sns->message.p == NULL)
        return sup_err_set(err, SUP_EINPUT, "SNS notification without a Message");
    env.ms = earlier(env.ms, sns->timestamp_ms);
    env.message_id = sns->message_id;
    env.topic_arn = sns->topic_arn;
    int rc = read_document(r, level + 1, sns->message, env, out, err);
    if (rc != SUP_OK)
        sup_err_prefix(err, rc, "Message");
    return rc;
}

static int read_bridge(struct sup_event_reader *r, struct envelope env, struct sup_event *out,
                       struct sup_err *err)
{
    const struct sup_document *d = &r->document;
    struct sup_slice type = d->event_type.n > 0 ? d->event_type : d->notification_type;

    env.ms = earlier(env.ms, d->bridge_ms);
    /* What SES says about itself (sending status, advisor), and other services on the same bus. */
    if (type.n == 0 || !is(d->source, "aws.ses"))
        type = d->detail_type;
    else
        return fill_event(r, type, &env, out, err);
    none(out);
    out->type = SUP_EVENT_UNKNOWN;
    out->type_text = type;
    out->envelope_ms = env.ms;
    return SUP_OK;
}

static int decide(struct sup_event_reader *r, size_t level, struct envelope env,
                  struct sup_event *out, struct sup_err *err)
{
    const struct sup_document *d = &r->document;

    if (d->sns.type.n > 0) {
        struct sup_sns_fields sns = d->sns; /* the document is reused for the Message */
        return read_sns(r, level, &sns, env, out, err);
    }
    if (d->detail_type.n > 0 && d->has_detail)
        return read_bridge(r, env, out, err);
    if (d->event_type.n > 0)
        return fill_event(r, d->event_type, &env, out, err);
    if (d->notification_type.n > 0)
        return fill_event(r, d->notification_type, &env, out, err);
    if (!d->has_records)
        return sup_err_set(err, SUP_EINPUT, "no SES event: neither eventType nor notificationType");
    if (level > 0)
        return sup_err_set(err, SUP_EINPUT, "records inside of another document");
    return SUP_EAGAIN; /* next() goes through them */
}

/* What SNS delivers when event publishing begins; not JSON. */
static bool is_greeting(struct sup_slice text)
{
    return is(text, "Successfully validated SNS topic for Amazon SES event publishing.");
}

static int read_document(struct sup_event_reader *r, size_t level, struct sup_slice text,
                         struct envelope env, struct sup_event *out, struct sup_err *err)
{
    if (level == LEVELS)
        return sup_err_set(err, SUP_EINPUT, "envelopes nested more than %d deep", LEVELS);
    if (is_greeting(trim(text)))
        return none(out);
    if (r->parsers[level] == NULL)
        r->parsers[level] = r->json->new_parser(SUP_EVENT_BODY_MAX);
    if (r->parsers[level] == NULL)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    r->lists.keep_records = level > 0;
    int rc = sup_document_read(r->json, r->parsers[level], text, &r->document, &r->lists, err);
    return rc != SUP_OK ? rc : decide(r, level, env, out, err);
}

/* --- records --- */

/* SQS's SentTimestamp is in milliseconds, unlike what sup_time_parse takes digits for. */
static int64_t sent_ms(struct sup_slice text)
{
    int64_t ms = 0;

    if (text.n == 0 || text.n > 15)
        return SUP_NO_TIME;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return SUP_NO_TIME;
        ms = ms * 10 + (text.p[i] - '0');
    }
    return ms;
}

static int read_data(struct sup_event_reader *r, struct sup_slice data, struct envelope env,
                     struct sup_event *out, struct sup_err *err)
{
    sup_buf_reset(&r->decoded);
    int rc = sup_base64_decode(data, &r->decoded);

    if (rc != SUP_OK)
        return sup_err_set(err, rc, "data is %s", rc == SUP_EINPUT ? "no base64" : "too long");
    return read_document(r, 1, sup_buf_slice(&r->decoded), env, out, err);
}

static int read_record(struct sup_event_reader *r, struct sup_record_fields record,
                       struct sup_event *out, struct sup_err *err)
{
    struct envelope env = {.ms = sent_ms(record.sent)};

    if (record.sns.present)
        return read_sns(r, 0, &record.sns, env, out, err);
    if (record.body.p != NULL)
        return read_document(r, 1, record.body, env, out, err);
    if (record.data.p != NULL)
        return read_data(r, record.data, env, out, err);
    if (!is(record.source, "aws:ses"))
        return sup_err_set(err, SUP_EINPUT, "no SES event in it");
    none(out); /* received mail, handed to Lambda by a receipt rule */
    out->type = SUP_EVENT_UNKNOWN;
    out->type_text = record.source;
    return SUP_OK;
}

static int next_record(struct sup_event_reader *r, struct sup_event *out, struct sup_err *err)
{
    size_t i = r->next_record++;
    int rc = read_record(r, r->lists.records[i], out, err);

    if (rc != SUP_OK)
        sup_err_prefix(err, rc, "record %zu of %zu", i + 1, r->lists.n_records);
    return rc;
}

/* --- the reader --- */

struct sup_event_reader *sup_event_reader_new_with(const struct sup_json_ops *json)
{
    struct sup_event_reader *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return NULL;
    r->json = json;
    sup_buf_init(&r->decoded, SUP_EVENT_BODY_MAX);
    return r;
}

struct sup_event_reader *sup_event_reader_new(void)
{
    return sup_event_reader_new_with(&sup_json_simdjson);
}

void sup_event_reader_free(struct sup_event_reader *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < LEVELS; i++)
        if (r->parsers[i] != NULL)
            r->json->free_parser(r->parsers[i]);
    sup_document_lists_fini(&r->lists);
    sup_buf_fini(&r->decoded);
    free(r);
}

static void begin(struct sup_event_reader *r, struct sup_slice body, bool stream)
{
    r->rest = body;
    r->start = body.p;
    r->offset = 0;
    r->stream = stream;
    r->more = true;
    r->lists.n_records = 0;
    r->next_record = 0;
}

void sup_event_reader_begin(struct sup_event_reader *r, struct sup_slice body)
{
    begin(r, body, false);
}

void sup_event_reader_begin_stream(struct sup_event_reader *r, struct sup_slice body)
{
    begin(r, body, true);
}

size_t sup_event_reader_offset(const struct sup_event_reader *r)
{
    return r->offset;
}

struct sup_slice sup_event_reader_document(const struct sup_event_reader *r)
{
    return r->text;
}

/* False at the end. A body that is no stream is one document, be it empty. */
static bool next_document(struct sup_event_reader *r, struct sup_slice *text)
{
    if (r->stream) {
        if (!sup_json_split(&r->rest, text))
            return false;
        r->offset = (size_t)(text->p - r->start);
        return true;
    }
    *text = r->rest;
    bool more = r->more;
    r->more = false;
    return more;
}

int sup_event_reader_next(struct sup_event_reader *r, struct sup_event *out, struct sup_err *err)
{
    const struct envelope env = {.ms = SUP_NO_TIME};
    struct sup_slice text;
    int rc;

    if (r->next_record < r->lists.n_records)
        return next_record(r, out, err);
    do {
        r->next_record = 0;
        r->lists.n_records = 0;
        if (!next_document(r, &text))
            return SUP_ENOTFOUND;
        r->text = text;
        rc = read_document(r, 0, text, env, out, err);
    } while (rc == SUP_EAGAIN && r->lists.n_records == 0);
    if (rc == SUP_EAGAIN)
        return next_record(r, out, err);
    r->lists.n_records = 0;
    return rc;
}

int sup_event_read(struct sup_event_reader *r, struct sup_slice body, struct sup_event *out,
                   struct sup_err *err)
{
    sup_event_reader_begin(r, body);
    int rc = sup_event_reader_next(r, out, err);

    if (rc == SUP_ENOTFOUND)
        return none(out);
    if (rc == SUP_OK && r->lists.n_records > 1)
        return sup_err_set(err, SUP_EINPUT, "holds %zu events where one is expected",
                           r->lists.n_records);
    return rc;
}
