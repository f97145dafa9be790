#include "clock.h"
#include "region.h"
#include "ses.h"
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Events as SES's event publishing makes them ("Contents of event data that Amazon SES publishes to
 * Amazon SNS" of the SES developer guide). */

static json_t *tags_of(const struct sim_mail *m)
{
    const char *at = strrchr(m->source, '@');
    char *domain = sim_strndup(at ? at + 1 : "", strcspn(at ? at + 1 : "", "> "));
    json_t *tags = json_pack("{s:[s],s:[s],s:[s],s:[s],s:[s]}", "ses:operation", "SendEmail",
                             "ses:configuration-set", m->set, "ses:source-ip", "127.0.0.1",
                             "ses:from-domain", domain, "ses:caller-identity",
                             m->request->auth.access_key ? m->request->auth.access_key : "unknown");
    free(domain);
    if (m->tenant)
        json_object_set_new(tags, "ses:tenant-name", json_pack("[s]", m->tenant));
    for (size_t i = 0; i < json_array_size(m->tags); i++) {
        const json_t *tag = json_array_get(m->tags, i);
        const char *name = json_string_value(json_object_get(tag, "Name"));
        const char *value = json_string_value(json_object_get(tag, "Value"));
        if (name && value)
            json_object_set_new(tags, name, json_pack("[s]", value));
    }
    return tags;
}

static json_t *headers_of(const struct sim_mail *m)
{
    struct sim_buf to = {0};
    for (size_t i = 0; i < json_array_size(m->to); i++) {
        if (i)
            sim_buf_str(&to, ", ");
        sim_buf_str(&to, json_string_value(json_array_get(m->to, i)));
    }
    json_t *headers =
        json_pack("[{s:s,s:s},{s:s,s:s},{s:s,s:s},{s:s,s:s}]", "name", "From", "value", m->source,
                  "name", "To", "value", sim_buf_cstr(&to), "name", "Subject", "value",
                  m->subject ? m->subject : "", "name", "MIME-Version", "value", "1.0");
    sim_buf_fini(&to);
    return headers;
}

static json_t *mail_of(const struct sim_mail *m)
{
    char time[SIM_TIME_LEN];
    sim_time_iso(time, m->time_ms);
    char *sender = sim_mail_bare_address(m->source);
    struct sim_buf arn = {0};
    sim_buf_printf(&arn, "arn:aws:ses:%s:%s:identity/%s", m->request->region->name, SIM_ACCOUNT,
                   sender);
    json_t *mail = json_pack(
        "{s:s,s:s,s:s,s:s,s:s,s:O,s:b,s:o,s:{s:[s],s:O,s:s,s:s},s:o}", "timestamp", time, "source",
        m->source, "sourceArn", sim_buf_cstr(&arn), "sendingAccountId", SIM_ACCOUNT, "messageId",
        m->message_id, "destination", m->destination, "headersTruncated", 0, "headers",
        headers_of(m), "commonHeaders", "from", m->source, "to", m->to, "messageId", m->message_id,
        "subject", m->subject ? m->subject : "", "tags", tags_of(m));
    sim_buf_fini(&arn);
    free(sender);
    return mail;
}

/* Takes block. */
static void publish(const struct sim_mail *m, const char *type, const char *name, json_t *block)
{
    struct sim_region *g = m->request->region;
    json_t *event = json_pack("{s:s,s:o,s:o}", "eventType", type, "mail", mail_of(m), name, block);
    char *text = json_dumps(event, JSON_COMPACT);
    char arn[SIM_ARN_LEN], id[40];
    sim_topic_arn(g, SIM_EVENTS, arn);
    if (text)
        sim_topics_publish(m->request->sim, g, arn, "Amazon SES Email Event Notification", text,
                           id);
    free(text);
    json_decref(event);
}

void sim_mail_publish_send(const struct sim_mail *m)
{
    publish(m, "Send", "send", json_object());
}

struct bounce {
    const char *type;
    const char *sub_type;
    const char *status; /* NULL: no DSN was there */
    const char *diagnostic;
};
static const struct bounce bounces[SIM_FATES] = {
    [SIM_FATE_BOUNCE] = {"Permanent", "General", "5.1.1", "smtp; 550 5.1.1 user unknown"},
    [SIM_FATE_GLOBAL_LIST] = {"Permanent", "Suppressed", "5.1.1",
                              "Amazon SES has suppressed sending to this address because it has a "
                              "recent history of bouncing as an invalid address."},
    [SIM_FATE_SOFT] = {"Transient", "MailboxFull", "4.2.2", "smtp; 452 4.2.2 mailbox full"},
    [SIM_FATE_OOTO] = {"Transient", "General", NULL, NULL},
    [SIM_FATE_BOUNCE_ECHO] = {"Permanent", "OnAccountSuppressionList", "5.1.1",
                              "Amazon SES did not send the message to this address because it is "
                              "on the suppression list for your account."},
};

/* The echo of an entry of the tenant's own list. */
static const struct bounce tenant_echo = {
    "Permanent", "OnTenantSuppressionList", "5.1.1",
    "Amazon SES did not send the message to this address because it is on the suppression list for "
    "your tenant."};

static json_t *bounced_recipients(const struct bounce *b, const json_t *recipients)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(recipients); i++) {
        json_t *one = json_pack("{s:O}", "emailAddress", json_array_get(recipients, i));
        if (b->status)
            json_object_update_new(one, json_pack("{s:s,s:s,s:s}", "action", "failed", "status",
                                                  b->status, "diagnosticCode", b->diagnostic));
        json_array_append_new(list, one);
    }
    return list;
}

static void publish_bounce(const struct sim_mail *m, enum sim_fate fate, const json_t *recipients,
                           const char *feedback_id)
{
    const struct bounce *b =
        fate == SIM_FATE_BOUNCE_ECHO && m->rules.tenants_own ? &tenant_echo : &bounces[fate];
    char time[SIM_TIME_LEN], mta[128];
    sim_time_iso(time, sim_region_now(m->request->region));
    snprintf(mta, sizeof mta, "dsn; a7-31.smtp-out.%s.amazonses.com", m->request->region->name);
    json_t *block =
        json_pack("{s:s,s:s,s:s,s:o,s:s,s:s}", "feedbackId", feedback_id, "bounceType", b->type,
                  "bounceSubType", b->sub_type, "bouncedRecipients",
                  bounced_recipients(b, recipients), "timestamp", time, "reportingMTA", mta);
    publish(m, "Bounce", "bounce", block);
}

static void publish_complaint(const struct sim_mail *m, enum sim_fate fate,
                              const json_t *recipients, const char *feedback_id)
{
    bool echo = fate == SIM_FATE_COMPLAINT_ECHO;
    char time[SIM_TIME_LEN];
    sim_time_iso(time, sim_region_now(m->request->region));
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(recipients); i++)
        json_array_append_new(list,
                              json_pack("{s:O}", "emailAddress", json_array_get(recipients, i)));
    json_t *block = json_pack("{s:s,s:o,s:o,s:s}", "feedbackId", feedback_id, "complaintSubType",
                              !echo                  ? json_null()
                              : m->rules.tenants_own ? json_string("OnTenantSuppressionList")
                                                     : json_string("OnAccountSuppressionList"),
                              "complainedRecipients", list, "timestamp", time);
    if (!echo)
        json_object_update_new(
            block, json_pack("{s:s,s:s,s:s}", "userAgent", "Amazon SES Mailbox Simulator",
                             "complaintFeedbackType", "abuse", "arrivalDate", time));
    publish(m, "Complaint", "complaint", block);
}

static void publish_delivery(const struct sim_mail *m, json_t *recipient)
{
    char time[SIM_TIME_LEN], mta[128];
    int64_t now = sim_region_now(m->request->region);
    sim_time_iso(time, now);
    snprintf(mta, sizeof mta, "a7-31.smtp-out.%s.amazonses.com", m->request->region->name);
    json_t *block =
        json_pack("{s:s,s:I,s:[O],s:s,s:s,s:s}", "timestamp", time, "processingTimeMillis",
                  (json_int_t)(now - m->time_ms), "recipients", recipient, "smtpResponse",
                  "250 2.6.0 Message received", "remoteMtaIp", "127.0.2.0", "reportingMTA", mta);
    publish(m, "Delivery", "delivery", block);
}

void sim_mail_publish(const struct sim_mail *m, enum sim_fate fate, const json_t *recipients,
                      const char *feedback_id)
{
    bool reached = fate == SIM_FATE_DELIVERY || fate == SIM_FATE_COMPLAINT || fate == SIM_FATE_OOTO;
    for (size_t i = 0; reached && i < json_array_size(recipients); i++)
        publish_delivery(m, json_array_get(recipients, i));
    if (fate == SIM_FATE_COMPLAINT || fate == SIM_FATE_COMPLAINT_ECHO)
        publish_complaint(m, fate, recipients, feedback_id);
    else if (fate != SIM_FATE_DELIVERY)
        publish_bounce(m, fate, recipients, feedback_id);
}
