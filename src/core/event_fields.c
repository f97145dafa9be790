/* The members of SES events and their envelopes that supsync reads, as tables. Names are those of
 * the SES developer guide, "Amazon SNS notification contents" and "Contents of event data", of the
 * SNS guide, "Parsing Amazon SNS message formats", and of Lambda's and Firehose's event formats. */
#include "core/event_fields.h"

#include "base/array.h"
#include "core/event_read.h"
#include "core/json_bind.h"

#include <stdlib.h>
#include <string.h>

/* What begin and element functions get as owner. */
struct reading {
    struct sup_document *doc;
    struct sup_document_lists *lists;
};

#define DOC(member)    offsetof(struct sup_document, member)
#define SNS(member)    offsetof(struct sup_sns_fields, member)
#define RECORD(member) offsetof(struct sup_record_fields, member)
#define BLOCK(member)  offsetof(struct sup_event_block, member)
#define MAIL(member)   offsetof(struct sup_event, member)
#define RCPT(member)   offsetof(struct sup_event_recipient, member)

#define TEXT(n, at)                                                                                \
    {                                                                                              \
        .name = (n), .kind = SUP_BIND_TEXT, .offset = (at)                                         \
    }
#define LAX(n, at)                                                                                 \
    {                                                                                              \
        .name = (n), .kind = SUP_BIND_TEXT, .offset = (at), .lax = true                            \
    }
#define TIME(n, at)                                                                                \
    {                                                                                              \
        .name = (n), .kind = SUP_BIND_TIME, .offset = (at)                                         \
    }
/* --- recipients --- */

static const struct sup_json_bind recipient_rows[] = {
    TEXT("emailAddress", RCPT(address)),
    TEXT("action", RCPT(action)),
    TEXT("status", RCPT(status)),
    LAX("diagnosticCode", RCPT(diagnostic)),
};
static const struct sup_json_table recipient_table = SUP_JSON_TABLE(recipient_rows);

static int too_many(struct sup_json_target *t, size_t max)
{
    return sup_err_set(t->err, SUP_ELIMIT, "%s has more than %zu elements", t->name, max);
}

static int add_recipient(struct sup_json_target *t, struct sup_event_recipient **out)
{
    struct sup_document_lists *l = ((struct reading *)t->owner)->lists;

    if (l->n_recipients >= SUP_EVENT_RECIPIENTS_MAX)
        return too_many(t, SUP_EVENT_RECIPIENTS_MAX);
    if (sup_array_grow((void **)&l->recipients, &l->cap_recipients, l->n_recipients + 1,
                       sizeof(*l->recipients)) != SUP_OK)
        return sup_err_set(t->err, SUP_ENOMEM, "out of memory");
    *out = &l->recipients[l->n_recipients++];
    memset(*out, 0, sizeof(**out));
    ((struct sup_event_block *)t->base)->n++;
    return SUP_OK;
}

/* Bounces, complaints and delays list objects, deliveries strings; who wraps events may mix that
 * up.
 */
static int take_recipient(struct sup_json_target *t, struct sup_json_value *v)
{
    struct sup_event_recipient *r = NULL;

    if (v->type != SUP_JSON_STRING && v->type != SUP_JSON_OBJECT)
        return sup_json_bind_mismatch(t, v, "a list of recipients");
    int rc = add_recipient(t, &r);
    if (rc != SUP_OK)
        return rc;
    if (v->type == SUP_JSON_STRING) {
        r->address = sup_json_string(v);
        return SUP_OK;
    }
    struct sup_json_target inner = {
        .table = &recipient_table, .name = t->name, .base = r, .owner = t->owner, .err = t->err};
    return sup_json_bind_object(&inner, v);
}

static void begin_recipients(struct sup_json_target *t, bool present)
{
    struct sup_event_block *b = t->base;

    (void)present;
    b->first = ((struct reading *)t->owner)->lists->n_recipients;
    b->n = 0;
}

#define RECIPIENTS(member)                                                                         \
    {                                                                                              \
        .name = (member), .kind = SUP_BIND_ARRAY, .begin = begin_recipients,                       \
        .element = take_recipient                                                                  \
    }

/* --- blocks --- */

static const struct sup_json_bind bounce_rows[] = {
    TEXT("bounceType", BLOCK(bounce_type)), TEXT("bounceSubType", BLOCK(sub_type)),
    TEXT("feedbackId", BLOCK(feedback_id)), TIME("timestamp", BLOCK(event_ms)),
    RECIPIENTS("bouncedRecipients"),
};
static const struct sup_json_bind complaint_rows[] = {
    TEXT("complaintFeedbackType", BLOCK(feedback_type)),
    TEXT("complaintSubType", BLOCK(sub_type)),
    TEXT("feedbackId", BLOCK(feedback_id)),
    TIME("timestamp", BLOCK(event_ms)),
    RECIPIENTS("complainedRecipients"),
};
static const struct sup_json_bind delivery_rows[] = {
    TIME("timestamp", BLOCK(event_ms)),
    RECIPIENTS("recipients"),
};
static const struct sup_json_bind delay_rows[] = {
    TIME("timestamp", BLOCK(event_ms)),
    TEXT("delayType", BLOCK(sub_type)),
    RECIPIENTS("delayedRecipients"),
};
static const struct sup_json_bind reject_rows[] = {LAX("reason", BLOCK(sub_type))};
static const struct sup_json_bind timestamp_rows[] = {
    {.name = "timestamp", .kind = SUP_BIND_TIME, .offset = BLOCK(event_ms), .lax = true}};

static const struct sup_json_table bounce_table = SUP_JSON_TABLE(bounce_rows);
static const struct sup_json_table complaint_table = SUP_JSON_TABLE(complaint_rows);
static const struct sup_json_table delivery_table = SUP_JSON_TABLE(delivery_rows);
static const struct sup_json_table delay_table = SUP_JSON_TABLE(delay_rows);
static const struct sup_json_table reject_table = SUP_JSON_TABLE(reject_rows);
static const struct sup_json_table timestamp_table = SUP_JSON_TABLE(timestamp_rows);

static void begin_block(struct sup_json_target *t, bool present)
{
    struct sup_event_block *b = t->base;

    *b = (struct sup_event_block){.present = present, .event_ms = SUP_NO_TIME};
}

/* --- mail --- */

static int take_destination(struct sup_json_target *t, struct sup_json_value *v)
{
    struct sup_document_lists *l = ((struct reading *)t->owner)->lists;

    if (v->type != SUP_JSON_STRING)
        return sup_json_bind_mismatch(t, v, "a list of strings");
    if (l->n_destination >= SUP_EVENT_RECIPIENTS_MAX)
        return too_many(t, SUP_EVENT_RECIPIENTS_MAX);
    if (sup_array_grow((void **)&l->destination, &l->cap_destination, l->n_destination + 1,
                       sizeof(*l->destination)) != SUP_OK)
        return sup_err_set(t->err, SUP_ENOMEM, "out of memory");
    l->destination[l->n_destination++] = sup_json_string(v);
    return SUP_OK;
}

static void begin_destination(struct sup_json_target *t, bool present)
{
    (void)present;
    ((struct reading *)t->owner)->lists->n_destination = 0;
}

static void empty_tags(struct sup_event *mail, struct sup_document_lists *l)
{
    l->n_tags = 0;
    mail->configuration_set = (struct sup_slice){0};
    mail->tenant = (struct sup_slice){0};
}

static void begin_tags(struct sup_json_target *t, bool present)
{
    (void)present;
    empty_tags(t->base, ((struct reading *)t->owner)->lists);
}

struct tag_values {
    struct sup_json_target *target;
    struct sup_slice name;
    struct sup_slice first;
};

static int take_tag_value(void *ctx, struct sup_slice key, struct sup_json_value *v)
{
    struct tag_values *w = ctx;
    struct sup_document_lists *l = ((struct reading *)w->target->owner)->lists;

    (void)key;
    if (v->type != SUP_JSON_STRING)
        return SUP_OK;
    struct sup_slice value = sup_json_string(v);
    if (w->first.p == NULL)
        w->first = value;
    if (l->n_tags == SUP_EVENT_TAGS_MAX)
        return SUP_OK;
    if (sup_array_grow((void **)&l->tags, &l->cap_tags, l->n_tags + 1, sizeof(*l->tags)) != SUP_OK)
        return sup_err_set(w->target->err, SUP_ENOMEM, "out of memory");
    l->tags[l->n_tags++] = (struct sup_event_tag){.name = w->name, .value = value};
    return SUP_OK;
}

/* SES writes lists; one string is taken for a list of one. */
static int take_tag(struct sup_json_target *t, struct sup_slice name, struct sup_json_value *v)
{
    struct tag_values w = {.target = t, .name = name};
    struct sup_event *mail = t->base;
    int rc = v->type == SUP_JSON_ARRAY
                 ? sup_json_each(v, (struct sup_json_sink){.take = take_tag_value, .ctx = &w})
                 : take_tag_value(&w, name, v);

    if (sup_slice_eq(name, SUP_SLICE_LIT("ses:configuration-set")))
        mail->configuration_set = w.first;
    else if (sup_slice_eq(name, SUP_SLICE_LIT("ses:tenant-name")))
        mail->tenant = w.first;
    return rc;
}

static const struct sup_json_bind common_header_rows[] = {LAX("subject", MAIL(subject))};
static const struct sup_json_table common_header_table = SUP_JSON_TABLE(common_header_rows);

static const struct sup_json_bind mail_rows[] = {
    {.name = "destination",
     .kind = SUP_BIND_ARRAY,
     .begin = begin_destination,
     .element = take_destination},
    TEXT("messageId", MAIL(message_id)),
    TIME("timestamp", MAIL(mail_ms)),
    LAX("source", MAIL(source)),
    LAX("sourceArn", MAIL(source_arn)),
    LAX("sendingAccountId", MAIL(account)),
    {.name = "tags",
     .kind = SUP_BIND_MEMBERS,
     .begin = begin_tags,
     .member = take_tag,
     .lax = true},
    {.name = "commonHeaders", .kind = SUP_BIND_OBJECT, .table = &common_header_table, .lax = true},
};
static const struct sup_json_table mail_table = SUP_JSON_TABLE(mail_rows);

static void begin_mail(struct sup_json_target *t, bool present)
{
    struct reading *r = t->owner;

    r->lists->n_destination = 0;
    r->lists->n_tags = 0;
    r->doc->mail = (struct sup_event){.mail_ms = SUP_NO_TIME};
    r->doc->has_mail = present;
}

/* --- records --- */

static void begin_record_sns(struct sup_json_target *t, bool present)
{
    struct sup_sns_fields *sns = t->base;

    *sns = (struct sup_sns_fields){.present = present, .timestamp_ms = SUP_NO_TIME};
}

static const struct sup_json_bind sns_rows[] = {
    TEXT("Type", SNS(type)),
    TEXT("Message", SNS(message)),
    LAX("MessageId", SNS(message_id)),
    LAX("TopicArn", SNS(topic_arn)),
    TIME("Timestamp", SNS(timestamp_ms)),
};
static const struct sup_json_table sns_table = SUP_JSON_TABLE(sns_rows);

static const struct sup_json_bind record_attribute_rows[] = {LAX("SentTimestamp", RECORD(sent))};
static const struct sup_json_table record_attribute_table = SUP_JSON_TABLE(record_attribute_rows);

static const struct sup_json_bind record_rows[] = {
    {.name = "Sns",
     .kind = SUP_BIND_OBJECT,
     .table = &sns_table,
     .begin = begin_record_sns,
     .offset = RECORD(sns)},
    TEXT("body", RECORD(body)),
    TEXT("data", RECORD(data)),
    {.name = "attributes", .kind = SUP_BIND_OBJECT, .table = &record_attribute_table, .lax = true},
    LAX("messageId", RECORD(message_id)),
    LAX("eventSource", RECORD(source)),
    LAX("EventSource", RECORD(source)),
};
static const struct sup_json_table record_table = SUP_JSON_TABLE(record_rows);

static void begin_records(struct sup_json_target *t, bool present)
{
    struct reading *r = t->owner;

    r->doc->has_records = present;
    if (!r->lists->keep_records)
        r->lists->n_records = 0;
}

static int take_record(struct sup_json_target *t, struct sup_json_value *v)
{
    struct sup_document_lists *l = ((struct reading *)t->owner)->lists;

    if (l->keep_records)
        return SUP_OK;
    if (l->n_records >= SUP_EVENT_RECORDS_MAX)
        return too_many(t, SUP_EVENT_RECORDS_MAX);
    if (sup_array_grow((void **)&l->records, &l->cap_records, l->n_records + 1,
                       sizeof(*l->records)) != SUP_OK)
        return sup_err_set(t->err, SUP_ENOMEM, "out of memory");
    struct sup_record_fields *record = &l->records[l->n_records++];
    *record = (struct sup_record_fields){.sns.timestamp_ms = SUP_NO_TIME};
    struct sup_json_target inner = {
        .table = &record_table, .name = t->name, .base = record, .owner = t->owner, .err = t->err};
    return sup_json_bind_object(&inner, v);
}

/* --- the document --- */

static void empty_event(struct reading *r)
{
    r->doc->event_type = (struct sup_slice){0};
    r->doc->notification_type = (struct sup_slice){0};
    r->doc->has_mail = false;
    r->doc->mail = (struct sup_event){.mail_ms = SUP_NO_TIME};
    for (size_t i = 0; i < SUP_N_BLOCKS; i++)
        r->doc->blocks[i] = (struct sup_event_block){.event_ms = SUP_NO_TIME};
    r->lists->n_recipients = 0;
    r->lists->n_destination = 0;
    r->lists->n_tags = 0;
}

static void begin_detail(struct sup_json_target *t, bool present)
{
    struct reading *r = t->owner;

    empty_event(r);
    r->doc->has_detail = present;
}

#define BLOCK_ROW(n, kind_, table_)                                                                \
    {                                                                                              \
        .name = (n), .kind = SUP_BIND_OBJECT, .table = &(table_), .begin = begin_block,            \
        .offset = DOC(blocks[kind_])                                                               \
    }

#define EVENT_ROWS                                                                                 \
    TEXT("eventType", DOC(event_type)), TEXT("notificationType", DOC(notification_type)),          \
        {.name = "mail",                                                                           \
         .kind = SUP_BIND_OBJECT,                                                                  \
         .table = &mail_table,                                                                     \
         .begin = begin_mail,                                                                      \
         .offset = DOC(mail)},                                                                     \
        BLOCK_ROW("bounce", SUP_BLOCK_BOUNCE, bounce_table),                                       \
        BLOCK_ROW("complaint", SUP_BLOCK_COMPLAINT, complaint_table),                              \
        BLOCK_ROW("delivery", SUP_BLOCK_DELIVERY, delivery_table),                                 \
        BLOCK_ROW("deliveryDelay", SUP_BLOCK_DELIVERY_DELAY, delay_table),                         \
        BLOCK_ROW("reject", SUP_BLOCK_REJECT, reject_table),                                       \
        BLOCK_ROW("open", SUP_BLOCK_OPEN, timestamp_table),                                        \
        BLOCK_ROW("click", SUP_BLOCK_CLICK, timestamp_table),                                      \
        BLOCK_ROW("failure", SUP_BLOCK_FAILURE, timestamp_table),                                  \
        BLOCK_ROW("subscription", SUP_BLOCK_SUBSCRIPTION, timestamp_table)

static const struct sup_json_bind detail_rows[] = {EVENT_ROWS};
static const struct sup_json_table detail_table = SUP_JSON_TABLE(detail_rows);

static const struct sup_json_bind document_rows[] = {
    TEXT("Type", DOC(sns.type)),
    TEXT("Message", DOC(sns.message)),
    LAX("MessageId", DOC(sns.message_id)),
    LAX("TopicArn", DOC(sns.topic_arn)),
    TIME("Timestamp", DOC(sns.timestamp_ms)),
    EVENT_ROWS,
    TEXT("detail-type", DOC(detail_type)),
    TEXT("source", DOC(source)),
    TIME("time", DOC(bridge_ms)),
    {.name = "detail", .kind = SUP_BIND_OBJECT, .table = &detail_table, .begin = begin_detail},
    {.name = "Records", .kind = SUP_BIND_ARRAY, .begin = begin_records, .element = take_record},
    {.name = "records", .kind = SUP_BIND_ARRAY, .begin = begin_records, .element = take_record},
};
static const struct sup_json_table document_table = SUP_JSON_TABLE(document_rows);

static int take_root(void *ctx, struct sup_slice key, struct sup_json_value *v)
{
    (void)key;
    return sup_json_bind_object(ctx, v);
}

int sup_document_read(const struct sup_json_ops *ops, struct sup_json_parser *p,
                      struct sup_slice text, struct sup_document *out,
                      struct sup_document_lists *lists, struct sup_err *err)
{
    struct reading r = {.doc = out, .lists = lists};
    struct sup_json_target t = {
        .table = &document_table, .name = "the document", .base = out, .owner = &r, .err = err};

    *out = (struct sup_document){.sns.timestamp_ms = SUP_NO_TIME, .bridge_ms = SUP_NO_TIME};
    empty_event(&r);
    return sup_json_walk(ops, p, text, (struct sup_json_sink){.take = take_root, .ctx = &t}, err);
}

void sup_document_lists_fini(struct sup_document_lists *l)
{
    free(l->recipients);
    free(l->destination);
    free(l->tags);
    free(l->records);
    *l = (struct sup_document_lists){0};
}
