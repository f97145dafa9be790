#include "event_text.h"

#include "core/classify_rules.h"

#include <stdlib.h>

static void text(struct sup_buf *out, const char *name, struct sup_slice s)
{
    if (s.n == 0)
        return;
    sup_buf_addf(out, "%s(%zu)=", name, s.n);
    sup_buf_add_slice(out, s);
    sup_buf_add_byte(out, '\n');
}

static void time_of(struct sup_buf *out, const char *name, int64_t ms)
{
    if (ms != SUP_NO_TIME)
        sup_buf_addf(out, "%s=%lld\n", name, (long long)ms);
}

void event_text(const struct sup_event *e, struct sup_buf *out)
{
    sup_buf_addf(out, "event %s publishing=%d\n", sup_event_type_name(e->type),
                 e->from_event_publishing);
    text(out, "type", e->type_text);
    text(out, "bounceType", e->bounce_type);
    text(out, "subType", e->sub_type);
    text(out, "feedbackType", e->feedback_type);
    text(out, "feedbackId", e->feedback_id);
    time_of(out, "event", e->event_ms);
    time_of(out, "envelope", e->envelope_ms);
    time_of(out, "mail", e->mail_ms);
    text(out, "messageId", e->message_id);
    text(out, "source", e->source);
    text(out, "sourceArn", e->source_arn);
    text(out, "account", e->account);
    text(out, "configurationSet", e->configuration_set);
    text(out, "tenant", e->tenant);
    text(out, "subject", e->subject);
    text(out, "snsMessageId", e->sns_message_id);
    text(out, "topicArn", e->topic_arn);
    for (size_t i = 0; i < e->n_recipients; i++) {
        sup_buf_addf(out, "recipient %zu\n", i);
        text(out, " address", e->recipients[i].address);
        text(out, " action", e->recipients[i].action);
        text(out, " status", e->recipients[i].status);
        text(out, " diagnostic", e->recipients[i].diagnostic);
    }
    for (size_t i = 0; i < e->n_destination; i++)
        text(out, "destination", e->destination[i]);
    for (size_t i = 0; i < e->n_tags; i++) {
        sup_buf_addf(out, "tag %zu\n", i);
        text(out, " name", e->tags[i].name);
        text(out, " value", e->tags[i].value);
    }
}

static void begin(struct sup_event_reader *r, struct sup_slice body, bool stream)
{
    if (stream)
        sup_event_reader_begin_stream(r, body);
    else
        sup_event_reader_begin(r, body);
}

void event_text_of(struct sup_event_reader *r, struct sup_slice body, bool stream,
                   struct sup_buf *out)
{
    struct sup_event e;
    int rc;

    sup_buf_reset(out);
    begin(r, body, stream);
    while ((rc = sup_event_reader_next(r, &e, NULL)) != SUP_ENOTFOUND) {
        if (rc == SUP_OK)
            event_text(&e, out);
        else
            sup_buf_addf(out, "error %s\n",
                         rc == SUP_EINPUT || rc == SUP_ELIMIT ? "refused" : sup_code_name(rc));
    }
}

void event_verdicts_text(const struct sup_event *e, struct sup_verdicts *vs, struct sup_buf *out)
{
    const struct sup_classify_context ctx = {.region = SUP_SLICE_LIT("eu-west-1"),
                                             .now_ms = INT64_C(1800000000000),
                                             .sent_ms = SUP_NO_TIME};

    if (sup_classify(e, &ctx, vs) != SUP_OK)
        abort();
    sup_buf_add_str(out, sup_event_type_name(e->type));
    if (e->type == SUP_EVENT_BOUNCE || e->type == SUP_EVENT_COMPLAINT)
        sup_buf_addf(out, " [%s]", sup_classify_rule_for(e)->name);
    for (size_t i = 0; i < vs->n; i++)
        sup_buf_addf(out, " %s %s %s", sup_verdict_kind_name(vs->v[i].kind), vs->v[i].rule,
                     vs->v[i].address.key);
}

size_t event_verdicts_text_of(struct sup_event_reader *r, struct sup_slice body, bool stream,
                              struct sup_verdicts *vs, struct sup_buf *out)
{
    struct sup_event e;
    size_t n = 0;
    int rc;

    sup_buf_reset(out);
    begin(r, body, stream);
    for (; (rc = sup_event_reader_next(r, &e, NULL)) != SUP_ENOTFOUND; n++) {
        if (n > 0)
            sup_buf_add_byte(out, '\n');
        if (rc == SUP_OK)
            event_verdicts_text(&e, vs, out);
        else
            sup_buf_add_str(out, "refused");
    }
    return n;
}
