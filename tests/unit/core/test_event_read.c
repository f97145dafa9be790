#include "core/event_read.h"

#include "base/clock.h"
#include "event_text.h"
#include "property.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct sup_event_reader *reader;
static struct sup_buf scratch, wrapped;

static int setup(void **state)
{
    reader = sup_event_reader_new();
    sup_buf_init(&scratch, 8 << 20);
    sup_buf_init(&wrapped, 8 << 20);
    return property_setup(state) || reader == NULL;
}

static int teardown(void **state)
{
    (void)state;
    sup_event_reader_free(reader);
    sup_event_reader_free(NULL);
    sup_buf_fini(&scratch);
    sup_buf_fini(&wrapped);
    return 0;
}

static struct sup_event read_ok(const char *body)
{
    struct sup_event e;
    struct sup_err err = {0};
    int rc = sup_event_read(reader, sup_slice_str(body), &e, &err);

    if (rc != SUP_OK)
        fail_msg("%s: %s", body, err.msg);
    return e;
}

static void read_fails(const char *body, int code, const char *text)
{
    struct sup_event e;
    struct sup_err err = {0};
    int rc = sup_event_read(reader, sup_slice_str(body), &e, &err);

    if (rc != code || err.code != code || strstr(err.msg, text) == NULL)
        fail_msg("%s: got %s \"%s\", expected %s \"%s\"", body, sup_code_name(rc), err.msg,
                 sup_code_name(code), text);
}

static void assert_text(struct sup_slice s, const char *want)
{
    if (!sup_slice_eq(s, sup_slice_str(want)))
        fail_msg("\"%.*s\" is not \"%s\"", (int)s.n, (const char *)s.p, want);
}

static void assert_time(int64_t ms, const char *want)
{
    char text[SUP_TIME_STR_MAX];

    assert_true(ms != SUP_NO_TIME);
    assert_string_equal(sup_time_format(ms, text), want);
}

/* --- the event --- */

static const char bounce[] =
    "{\"eventType\":\"Bounce\",\"bounce\":{\"bounceType\":\"Permanent\",\"bounceSubType\":"
    "\"General\","
    "\"bouncedRecipients\":[{\"emailAddress\":\"Foo.Bar@Example.COM\",\"action\":\"failed\","
    "\"status\":\"5.1.1\",\"diagnosticCode\":\"smtp; 550 \\u00fcnknown\"}],"
    "\"timestamp\":\"2026-01-02T03:04:05.678Z\",\"feedbackId\":\"f-1\"},"
    "\"mail\":{\"timestamp\":\"2026-01-02T03:04:00Z\",\"messageId\":\"m-1\",\"source\":\"S "
    "<s@x.com>\","
    "\"sourceArn\":\"arn:aws:ses:eu-west-1:1:identity/x.com\",\"sendingAccountId\":\"1\","
    "\"destination\":[\"Foo.Bar@Example.COM\",\"b@y.com\"],"
    "\"commonHeaders\":{\"subject\":\"Hi\"},"
    "\"tags\":{\"ses:configuration-set\":[\"set\",\"other\"],\"ses:tenant-name\":[\"acme\"]}}}";

static void test_every_field(void **state)
{
    (void)state;
    struct sup_event e = read_ok(bounce);
    assert_int_equal(e.type, SUP_EVENT_BOUNCE);
    assert_true(e.from_event_publishing);
    assert_text(e.type_text, "Bounce");
    assert_text(e.bounce_type, "Permanent");
    assert_text(e.sub_type, "General");
    assert_text(e.feedback_type, "");
    assert_text(e.feedback_id, "f-1");
    assert_time(e.event_ms, "2026-01-02T03:04:05.678Z");
    assert_true(e.envelope_ms == SUP_NO_TIME);
    assert_int_equal(e.n_recipients, 1);
    assert_text(e.recipients[0].address, "Foo.Bar@Example.COM");
    assert_text(e.recipients[0].action, "failed");
    assert_text(e.recipients[0].status, "5.1.1");
    assert_text(e.recipients[0].diagnostic, "smtp; 550 \xc3\xbcnknown");
    assert_time(e.mail_ms, "2026-01-02T03:04:00.000Z");
    assert_text(e.message_id, "m-1");
    assert_text(e.source, "S <s@x.com>");
    assert_text(e.source_arn, "arn:aws:ses:eu-west-1:1:identity/x.com");
    assert_text(e.account, "1");
    assert_text(e.configuration_set, "set");
    assert_text(e.tenant, "acme");
    assert_text(e.subject, "Hi");
    assert_int_equal(e.n_destination, 2);
    assert_text(e.destination[1], "b@y.com");
    assert_text(e.sns_message_id, "");
    assert_text(e.topic_arn, "");
}

static void test_types(void **state)
{
    static const struct {
        const char *name;
        enum sup_event_type type;
    } types[] = {
        {"Delivery", SUP_EVENT_DELIVERY},
        {"Send", SUP_EVENT_SEND},
        {"Reject", SUP_EVENT_REJECT},
        {"Open", SUP_EVENT_OPEN},
        {"Click", SUP_EVENT_CLICK},
        {"Rendering Failure", SUP_EVENT_RENDERING_FAILURE},
        {"DeliveryDelay", SUP_EVENT_DELIVERY_DELAY},
        {"Subscription", SUP_EVENT_SUBSCRIPTION},
        {"Received", SUP_EVENT_UNKNOWN},
        {"Teleported", SUP_EVENT_UNKNOWN},
        {"bounce", SUP_EVENT_UNKNOWN},
        {"AmazonSnsSubscriptionSucceeded", SUP_EVENT_NONE},
    };
    char body[256];

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        snprintf(body, sizeof(body), "{\"eventType\":\"%s\"}", types[i].name);
        struct sup_event e = read_ok(body);
        assert_int_equal(e.type, types[i].type);
        assert_text(e.type_text, types[i].name);
        assert_true(e.from_event_publishing);
        snprintf(body, sizeof(body), "{\"notificationType\":\"%s\"}", types[i].name);
        e = read_ok(body);
        assert_int_equal(e.type, types[i].type);
        assert_false(e.from_event_publishing);
        if (types[i].type > SUP_EVENT_NONE)
            assert_string_equal(sup_event_type_name(e.type), types[i].name);
    }
}

/* Blocks of other types do not leak in, wherever they stand. */
static void test_only_the_types_block_counts(void **state)
{
    (void)state;
    struct sup_event e = read_ok(
        "{\"bounce\":{\"bounceType\":\"Permanent\",\"feedbackId\":\"b\",\"bouncedRecipients\":["
        "{\"emailAddress\":\"b@x\"}]},\"complaint\":{\"feedbackId\":\"c\",\"complainedRecipients\":"
        "["
        "{\"emailAddress\":\"c@x\"}]},\"delivery\":{\"recipients\":[\"d@x\"]},"
        "\"mail\":{\"destination\":[]},\"notificationType\":\"Complaint\"}");
    assert_int_equal(e.type, SUP_EVENT_COMPLAINT);
    assert_text(e.feedback_id, "c");
    assert_text(e.bounce_type, "");
    assert_int_equal(e.n_recipients, 1);
    assert_text(e.recipients[0].address, "c@x");
    e = read_ok(
        "{\"delivery\":{\"recipients\":[\"d@x\",\"e@x\"]},\"notificationType\":\"Delivery\"}");
    assert_int_equal(e.n_recipients, 2);
    assert_text(e.recipients[1].address, "e@x");
    assert_text(e.recipients[1].status, "");
}

static void test_null_is_absent(void **state)
{
    (void)state;
    struct sup_event e = read_ok(
        "{\"notificationType\":\"Complaint\",\"eventType\":null,\"complaint\":{"
        "\"complaintSubType\":null,\"complaintFeedbackType\":null,\"timestamp\":null,"
        "\"feedbackId\":null,\"complainedRecipients\":null},\"bounce\":null,\"mail\":{"
        "\"destination\":[\"a@x\"],\"sendingAccountId\":null,\"tags\":null,\"commonHeaders\":null,"
        "\"timestamp\":null}}");
    assert_int_equal(e.type, SUP_EVENT_COMPLAINT);
    assert_true(e.event_ms == SUP_NO_TIME && e.mail_ms == SUP_NO_TIME);
    assert_int_equal(e.n_recipients, 0);
    assert_int_equal(e.n_destination, 1);
    read_fails("{\"notificationType\":\"Bounce\",\"bounce\":null,\"mail\":{}}", SUP_EINPUT,
               "Bounce without its details");
    read_fails("{\"notificationType\":\"Bounce\",\"bounce\":{},\"mail\":null}", SUP_EINPUT,
               "Bounce without its mail");
    read_fails("{\"notificationType\":\"Complaint\",\"mail\":{}}", SUP_EINPUT,
               "Complaint without its details");
}

static void test_last_of_repeated_keys_wins(void **state)
{
    (void)state;
    struct sup_event e = read_ok(
        "{\"eventType\":\"Open\",\"eventType\":\"Bounce\",\"bounce\":{\"bounceType\":\"Transient\","
        "\"feedbackId\":\"1\",\"bouncedRecipients\":[{\"emailAddress\":\"a@x\"}]},\"bounce\":{"
        "\"feedbackId\":\"2\",\"feedbackId\":\"3\",\"bouncedRecipients\":[{\"emailAddress\":\"b@"
        "x\"}],"
        "\"bouncedRecipients\":[{\"emailAddress\":\"c@x\"},{\"emailAddress\":\"d@x\"}]},"
        "\"mail\":{\"messageId\":\"1\",\"destination\":[\"a@x\"]},"
        "\"mail\":{\"destination\":[\"b@x\"],\"destination\":[\"c@x\"]}}");
    assert_int_equal(e.type, SUP_EVENT_BOUNCE);
    assert_text(e.bounce_type, "");
    assert_text(e.feedback_id, "3");
    assert_int_equal(e.n_recipients, 2);
    assert_text(e.recipients[0].address, "c@x");
    assert_text(e.message_id, "");
    assert_int_equal(e.n_destination, 1);
    assert_text(e.destination[0], "c@x");
}

static void test_wrong_types_that_matter(void **state)
{
    static const struct {
        const char *body;
        const char *says;
    } cases[] = {
        {"{\"eventType\":1}", "eventType is a number, not a string"},
        {"{\"eventType\":\"Bounce\",\"bounce\":\"x\",\"mail\":{}}",
         "bounce is a string, not an object"},
        {"{\"eventType\":\"Bounce\",\"bounce\":[],\"mail\":{}}", "bounce is an array"},
        {"{\"eventType\":\"Bounce\",\"bounce\":{},\"mail\":[]}", "mail is an array"},
        {"{\"eventType\":\"Bounce\",\"bounce\":{\"bounceType\":true},\"mail\":{}}",
         "bounceType is a boolean"},
        {"{\"eventType\":\"Bounce\",\"bounce\":{\"feedbackId\":7},\"mail\":{}}",
         "feedbackId is a number"},
        {"{\"eventType\":\"Bounce\",\"bounce\":{\"timestamp\":{}},\"mail\":{}}",
         "timestamp is an object"},
        {"{\"eventType\":\"Bounce\",\"bounce\":{\"bouncedRecipients\":{}},\"mail\":{}}",
         "bouncedRecipients is an object, not an array"},
        {"{\"eventType\":\"Bounce\",\"bounce\":{\"bouncedRecipients\":[7]},\"mail\":{}}",
         "bouncedRecipients is a number, not a list of recipients"},
        {"{\"eventType\":\"Bounce\",\"bounce\":{\"bouncedRecipients\":[null]},\"mail\":{}}",
         "bouncedRecipients is null, not a list of recipients"},
        {"{\"eventType\":\"Bounce\",\"bounce\":{\"bouncedRecipients\":[{\"emailAddress\":1}]},"
         "\"mail\":{}}",
         "emailAddress is a number"},
        {"{\"eventType\":\"Bounce\",\"bounce\":{},\"mail\":{\"destination\":\"a@x\"}}",
         "destination is a string, not an array"},
        {"{\"eventType\":\"Bounce\",\"bounce\":{},\"mail\":{\"destination\":[1]}}",
         "destination is a number"},
        {"{\"eventType\":\"Delivery\",\"delivery\":{\"recipients\":[7]}}",
         "recipients is a number"},
        {"{\"Type\":\"Notification\",\"Message\":{}}", "Message is an object, not a string"},
        {"[]", "the document is an array, not an object"},
        {"[{\"eventType\":\"Open\"}]", "the document is an array, not an object"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        read_fails(cases[i].body, SUP_EINPUT, cases[i].says);
}

/* A bounce must not be lost for a subject that is a number. */
static void test_wrong_types_that_do_not(void **state)
{
    (void)state;
    struct sup_event e =
        read_ok("{\"eventType\":\"Bounce\",\"bounce\":{\"bounceType\":\"Permanent\","
                "\"bouncedRecipients\":[{"
                "\"emailAddress\":\"a@x\",\"diagnosticCode\":[1]}]},\"mail\":{\"messageId\":\"m\","
                "\"source\":1,\"sourceArn\":[],\"sendingAccountId\":12,\"commonHeaders\":\"x\","
                "\"tags\":[1],"
                "\"destination\":[\"a@x\"],\"headers\":7,\"new\":{\"deep\":[{}]}},\"open\":{"
                "\"timestamp\":[]}}");
    assert_text(e.source, "");
    assert_text(e.account, "");
    assert_text(e.recipients[0].diagnostic, "");
    e = read_ok(
        "{\"eventType\":\"Open\",\"mail\":{\"tags\":{\"ses:configuration-set\":\"plain\","
        "\"ses:tenant-name\":[1,\"t\"]},\"commonHeaders\":{\"subject\":{},\"to\":\"a, b\"}}}");
    assert_text(e.configuration_set, "plain");
    assert_text(e.tenant, "t");
    assert_text(e.subject, "");
}

static void test_times(void **state)
{
    static const struct {
        const char *json;
        const char *want;
    } times[] = {
        {"\"2018-10-08T14:05:45 +0000\"", "2018-10-08T14:05:45.000Z"},
        {"\"2012-05-25T14:59:38.605-07:00\"", "2012-05-25T21:59:38.605Z"},
        {"1520621625.5", "2018-03-09T18:53:45.500Z"},
        {"\"right now\"", NULL},
        {"-5", NULL},
        {"1e300", NULL},
        {"\"\"", NULL},
    };
    char body[256];

    (void)state;
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        snprintf(body, sizeof(body),
                 "{\"eventType\":\"Bounce\",\"bounce\":{\"timestamp\":%s},\"mail\":{}}",
                 times[i].json);
        struct sup_event e = read_ok(body);
        if (times[i].want == NULL)
            assert_true(e.event_ms == SUP_NO_TIME);
        else
            assert_time(e.event_ms, times[i].want);
    }
}

/* --- envelopes --- */

static void add_json_string(struct sup_buf *out, const char *s)
{
    json_t *j = json_stringn(s, strlen(s));
    char *text = json_dumps(j, JSON_ENCODE_ANY);

    sup_buf_add_str(out, text);
    free(text);
    json_decref(j);
}

static const char *sns(const char *message, const char *timestamp)
{
    sup_buf_reset(&wrapped);
    sup_buf_add_str(&wrapped,
                    "{\"Type\":\"Notification\",\"MessageId\":\"sns-1\",\"TopicArn\":\"arn:t\","
                    "\"Message\":");
    add_json_string(&wrapped, message);
    if (timestamp != NULL)
        sup_buf_addf(&wrapped, ",\"Timestamp\":\"%s\"", timestamp);
    sup_buf_add_str(&wrapped,
                    ",\"Subject\":null,\"MessageAttributes\":{\"a\":{\"Type\":\"String\"}}}");
    return sup_buf_str(&wrapped);
}

static void test_sns(void **state)
{
    (void)state;
    struct sup_event e = read_ok(sns(bounce, "2026-01-02T03:05:00Z"));
    assert_int_equal(e.type, SUP_EVENT_BOUNCE);
    assert_text(e.recipients[0].address, "Foo.Bar@Example.COM");
    assert_text(e.sns_message_id, "sns-1");
    assert_text(e.topic_arn, "arn:t");
    assert_time(e.envelope_ms, "2026-01-02T03:05:00.000Z");
    e = read_ok(sns(bounce, NULL));
    assert_true(e.envelope_ms == SUP_NO_TIME);
    /* In another envelope of the same kind: the earlier time counts, the inner id stays. */
    char *inner = strdup(sns(bounce, "2026-01-02T03:05:00Z"));
    e = read_ok(sns(inner, "2026-01-01T00:00:00Z"));
    assert_time(e.envelope_ms, "2026-01-01T00:00:00.000Z");
    e = read_ok(sns(inner, "2027-01-01T00:00:00Z"));
    assert_time(e.envelope_ms, "2026-01-02T03:05:00.000Z");
    free(inner);
}

static void test_sns_refused(void **state)
{
    (void)state;
    read_fails(sns("Hello world!", NULL), SUP_EINPUT, "Message: malformed JSON: not a JSON object");
    read_fails(sns("", NULL), SUP_EINPUT, "Message: malformed JSON");
    read_fails(sns("{}", NULL), SUP_EINPUT, "Message: no SES event");
    read_fails(sns("{\"eventType\":\"Open\"", NULL), SUP_EINPUT, "ends too early at byte 19");
    read_fails("{\"Type\":\"Notification\"}", SUP_EINPUT, "without a Message");
    read_fails("{\"Type\":\"Gossip\",\"Message\":\"{}\"}", SUP_EINPUT, "unknown Type");
}

static void test_non_events(void **state)
{
    static const char greeting[] =
        "Successfully validated SNS topic for Amazon SES event publishing.";

    (void)state;
    assert_int_equal(read_ok(sns(greeting, NULL)).type, SUP_EVENT_NONE);
    assert_int_equal(read_ok(greeting).type, SUP_EVENT_NONE);
    assert_int_equal(read_ok("  Successfully validated SNS topic for Amazon SES event "
                             "publishing.\n")
                         .type,
                     SUP_EVENT_NONE);
    assert_int_equal(read_ok(sns("{\"notificationType\":\"AmazonSnsSubscriptionSucceeded\","
                                 "\"message\":\"You have …\"}\n",
                                 NULL))
                         .type,
                     SUP_EVENT_NONE);
    assert_int_equal(read_ok("{\"Type\":\"SubscriptionConfirmation\",\"Message\":\"You\"}").type,
                     SUP_EVENT_NONE);
    assert_int_equal(read_ok("{\"Type\":\"UnsubscribeConfirmation\"}").type, SUP_EVENT_NONE);
    assert_int_equal(read_ok("{\"Records\":[]}").type, SUP_EVENT_NONE);
    assert_int_equal(read_ok("{\"records\":[]}").type, SUP_EVENT_NONE);
}

static void assert_tag(const struct sup_event *e, size_t i, const char *name, const char *value)
{
    assert_true(i < e->n_tags);
    assert_text(e->tags[i].name, name);
    assert_text(e->tags[i].value, value);
}

/* What SES writes, what it might, and tags twice: the last one wins. */
static void test_tags(void **state)
{
    (void)state;
    struct sup_event e =
        read_ok("{\"mail\":{\"messageId\":\"m\",\"tags\":{\"a\":[\"1\",\"2\"],"
                "\"ses:configuration-set\":[\"set\"],\"b\":\"3\",\"c\":[],\"d\":[4,null],"
                "\"e\":{\"f\":\"g\"},\"\":[\"\"]}},\"eventType\":\"Send\",\"send\":{}}");
    assert_int_equal(e.n_tags, 5);
    assert_tag(&e, 0, "a", "1");
    assert_tag(&e, 1, "a", "2");
    assert_tag(&e, 2, "ses:configuration-set", "set");
    assert_tag(&e, 3, "b", "3");
    assert_tag(&e, 4, "", "");
    assert_text(e.configuration_set, "set");
    e = read_ok("{\"eventType\":\"Send\",\"mail\":{\"tags\":{\"ses:configuration-set\":[\"set\"],"
                "\"ses:tenant-name\":[\"t\"]},\"tags\":{\"a\":[\"1\"]}}}");
    assert_int_equal(e.n_tags, 1);
    assert_int_equal(e.configuration_set.n + e.tenant.n, 0);
    e = read_ok("{\"eventType\":\"Send\",\"mail\":{\"tags\":{\"a\":[\"1\"]}},\"mail\":{}}");
    assert_int_equal(e.n_tags, 0);
    assert_null(e.tags);
    e = read_ok("{\"eventType\":\"Send\",\"mail\":{\"tags\":{\"a\":[\"1\"]},\"tags\":7}}");
    assert_int_equal(e.n_tags, 0);
    sup_buf_reset(&scratch);
    sup_buf_add_str(&scratch, "{\"eventType\":\"Send\",\"mail\":{\"tags\":{\"a\":[\"0\"");
    for (int i = 1; i < 2 * SUP_EVENT_TAGS_MAX; i++)
        sup_buf_addf(&scratch, ",\"%d\"", i);
    sup_buf_add_str(&scratch, "]}}}");
    e = read_ok(sup_buf_str(&scratch));
    assert_int_equal(e.n_tags, SUP_EVENT_TAGS_MAX); /* a trifle does not cost a bounce */
}

static void test_event_bridge(void **state)
{
    char body[4096];

    (void)state;
    snprintf(
        body, sizeof(body),
        "{\"version\":\"0\",\"id\":\"i\",\"detail-type\":\"Email Bounced\",\"source\":\"aws.ses\","
        "\"account\":\"1\",\"time\":\"2026-01-02T03:04:06Z\",\"region\":\"eu-west-1\","
        "\"resources\":[\"arn\"],\"detail\":%s}",
        bounce);
    struct sup_event e = read_ok(body);
    assert_int_equal(e.type, SUP_EVENT_BOUNCE);
    assert_text(e.feedback_id, "f-1");
    assert_int_equal(e.n_recipients, 1);
    assert_int_equal(e.n_destination, 2);
    assert_time(e.envelope_ms, "2026-01-02T03:04:06.000Z");
    /* EventBridge may well have an SNS topic as its target. */
    e = read_ok(sns(body, "2026-01-02T03:04:07Z"));
    assert_int_equal(e.type, SUP_EVENT_BOUNCE);
    assert_time(e.envelope_ms, "2026-01-02T03:04:06.000Z");
    e = read_ok(
        "{\"detail-type\":\"Sending Status Disabled\",\"source\":\"aws.ses\",\"detail\":{}}");
    assert_int_equal(e.type, SUP_EVENT_UNKNOWN);
    assert_text(e.type_text, "Sending Status Disabled");
    /* Somebody else's event that looks like one of SES's is not believed. */
    e = read_ok(
        "{\"detail-type\":\"Mine\",\"source\":\"my.app\",\"detail\":{\"eventType\":\"Bounce\"}}");
    assert_int_equal(e.type, SUP_EVENT_UNKNOWN);
    assert_text(e.type_text, "Mine");
    assert_int_equal(e.n_recipients, 0);
}

static void test_records(void **state)
{
    struct sup_event e;
    struct sup_err err;

    (void)state;
    sup_buf_reset(&scratch);
    sup_buf_add_str(&scratch, "{\"Records\":[{\"EventSource\":\"aws:sns\",\"Sns\":");
    sup_buf_add_str(&scratch, sns(bounce, "2026-01-02T03:05:00Z"));
    sup_buf_add_str(&scratch, "},{\"eventSource\":\"aws:sqs\",\"messageId\":\"q\",\"attributes\":{"
                              "\"SentTimestamp\":\"1520621625029\"},\"body\":");
    add_json_string(&scratch, sns(bounce, "2026-01-02T03:05:00Z"));
    sup_buf_add_str(&scratch, "},{\"body\":\"junk\"},{\"eventSource\":\"aws:s3\",\"s3\":{}},"
                              "{\"eventSource\":\"aws:ses\",\"ses\":{}},{\"body\":");
    add_json_string(&scratch, "{\"eventType\":\"Open\"}");
    sup_buf_add_str(&scratch, "},{\"data\":\"eyJldmVudFR5cGUiOiJTZW5kIn0=\"},{\"data\":\"?\"}]}");
    sup_event_reader_begin(reader, sup_buf_slice(&scratch));

    assert_int_equal(sup_event_reader_next(reader, &e, &err), SUP_OK);
    assert_int_equal(e.type, SUP_EVENT_BOUNCE);
    assert_text(e.sns_message_id, "sns-1");
    assert_time(e.envelope_ms, "2026-01-02T03:05:00.000Z");
    assert_int_equal(sup_event_reader_next(reader, &e, &err), SUP_OK);
    assert_int_equal(e.type, SUP_EVENT_BOUNCE);
    assert_true(e.envelope_ms == 1520621625029);
    assert_int_equal(sup_event_reader_next(reader, &e, &err), SUP_EINPUT);
    assert_non_null(strstr(err.msg, "record 3 of 8: malformed JSON"));
    assert_int_equal(sup_event_reader_next(reader, &e, &err), SUP_EINPUT);
    assert_non_null(strstr(err.msg, "record 4 of 8: no SES event"));
    assert_int_equal(sup_event_reader_next(reader, &e, &err), SUP_OK);
    assert_int_equal(e.type, SUP_EVENT_UNKNOWN);
    assert_int_equal(sup_event_reader_next(reader, &e, &err), SUP_OK);
    assert_int_equal(e.type, SUP_EVENT_OPEN);
    assert_int_equal(sup_event_reader_next(reader, &e, &err), SUP_OK);
    assert_int_equal(e.type, SUP_EVENT_SEND);
    assert_int_equal(sup_event_reader_next(reader, &e, &err), SUP_EINPUT);
    assert_non_null(strstr(err.msg, "no base64"));
    assert_int_equal(sup_event_reader_next(reader, &e, &err), SUP_ENOTFOUND);
    assert_int_equal(sup_event_reader_next(reader, &e, &err), SUP_ENOTFOUND);
    /* Where one is expected, several are refused rather than all but one lost. */
    read_fails(sup_buf_str(&scratch), SUP_EINPUT, "holds 8 events");
    /* One record is one event. */
    e = read_ok("{\"Records\":[{\"body\":\"{\\\"eventType\\\":\\\"Open\\\"}\"}]}");
    assert_int_equal(e.type, SUP_EVENT_OPEN);
    /* Records in records: no such thing. */
    read_fails("{\"Records\":[{\"body\":\"{\\\"Records\\\":[{\\\"body\\\":\\\"{}\\\"}]}\"}]}",
               SUP_EINPUT, "records inside of another document");
    read_fails("{\"Records\":[1]}", SUP_EINPUT, "Records is a number, not an object");
}

static void test_nesting_is_limited(void **state)
{
    char *body = strdup("{\"eventType\":\"Open\"}");

    (void)state;
    for (int level = 1; level <= 4; level++) {
        char *outer = strdup(sns(body, NULL));
        free(body);
        body = outer;
        if (level < 4)
            assert_int_equal(read_ok(body).type, SUP_EVENT_OPEN);
        else
            read_fails(body, SUP_EINPUT, "nested more than 4 deep");
    }
    free(body);
}

/* --- streams --- */

static void test_stream(void **state)
{
    static const char text[] =
        "{\"eventType\":\"Open\"}{\"eventType\":\"Click\"}\n\n"
        "{\n  \"eventType\": \"Send\"\n}\nnonsense\n"
        "{\"eventType\":\n{\"Records\":[{\"body\":\"{}\"},"
        "{\"body\":\"{\\\"eventType\\\":\\\"Reject\\\"}\"}]} {\"eventType\":\"Open\"}";
    static const struct {
        int rc;
        enum sup_event_type type;
        size_t offset;
    } want[] = {
        {SUP_OK, SUP_EVENT_OPEN, 0},
        {SUP_OK, SUP_EVENT_CLICK, 20},
        {SUP_OK, SUP_EVENT_SEND, 43},
        {SUP_EINPUT, 0, 69},
        {SUP_EINPUT, 0, 78},
        {SUP_EINPUT, 0, 92},
        {SUP_OK, SUP_EVENT_REJECT, 92},
        {SUP_OK, SUP_EVENT_OPEN, 158},
    };
    struct sup_event e;

    (void)state;
    sup_event_reader_begin_stream(reader, sup_slice_str(text));
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        assert_int_equal(sup_event_reader_next(reader, &e, NULL), want[i].rc);
        assert_int_equal(sup_event_reader_offset(reader), want[i].offset);
        if (want[i].rc == SUP_OK)
            assert_int_equal(e.type, want[i].type);
    }
    assert_int_equal(sup_event_reader_next(reader, &e, NULL), SUP_ENOTFOUND);
    sup_event_reader_begin_stream(reader, sup_slice_str(" \n"));
    assert_int_equal(sup_event_reader_next(reader, &e, NULL), SUP_ENOTFOUND);
}

static void test_one_document_is_not_a_stream(void **state)
{
    struct sup_event e;

    (void)state;
    read_fails("{\"eventType\":\"Open\"}{\"eventType\":\"Click\"}", SUP_EINPUT,
               "something behind the end of the document at byte 20");
    read_fails("", SUP_EINPUT, "ends too early");
    sup_event_reader_begin(reader, (struct sup_slice){0});
    assert_int_equal(sup_event_reader_next(reader, &e, NULL), SUP_EINPUT);
    assert_int_equal(sup_event_reader_next(reader, &e, NULL), SUP_ENOTFOUND);
}

/* --- limits --- */

static void add_delivery(struct sup_buf *out, size_t n, const char *list)
{
    sup_buf_reset(out);
    sup_buf_addf(out, "{\"eventType\":\"Delivery\",%s", list);
    for (size_t i = 0; i < n; i++)
        sup_buf_addf(out, "%s\"r%zu@example.com\"", i > 0 ? "," : "", i);
    sup_buf_add_str(out, "]}}");
}

static void test_list_limits(void **state)
{
    static const char recipients[] = "\"delivery\":{\"recipients\":[";
    static const char destination[] = "\"mail\":{\"destination\":[";

    (void)state;
    add_delivery(&scratch, SUP_EVENT_RECIPIENTS_MAX, recipients);
    assert_int_equal(read_ok(sup_buf_str(&scratch)).n_recipients, SUP_EVENT_RECIPIENTS_MAX);
    add_delivery(&scratch, SUP_EVENT_RECIPIENTS_MAX + 1, recipients);
    read_fails(sup_buf_str(&scratch), SUP_ELIMIT, "recipients has more than 1000");
    add_delivery(&scratch, SUP_EVENT_RECIPIENTS_MAX, destination);
    assert_int_equal(read_ok(sup_buf_str(&scratch)).n_destination, SUP_EVENT_RECIPIENTS_MAX);
    add_delivery(&scratch, SUP_EVENT_RECIPIENTS_MAX + 1, destination);
    read_fails(sup_buf_str(&scratch), SUP_ELIMIT, "destination has more than 1000");
    sup_buf_reset(&scratch);
    sup_buf_add_str(&scratch, "{\"Records\":[{}");
    for (size_t i = 0; i < SUP_EVENT_RECORDS_MAX; i++)
        sup_buf_add_str(&scratch, ",{}");
    sup_buf_add_str(&scratch, "]}");
    read_fails(sup_buf_str(&scratch), SUP_ELIMIT, "Records has more than 10000");
    /* A refused document leaves nothing behind. */
    assert_int_equal(read_ok("{\"eventType\":\"Open\"}").n_recipients, 0);
}

static void test_body_limit(void **state)
{
    static const char head[] = "{\"eventType\":\"Open\",\"x\":\"";
    struct sup_event e;
    size_t n = SUP_EVENT_BODY_MAX;
    char *body = malloc(n + 1);

    (void)state;
    memset(body, 'x', n + 1);
    memcpy(body, head, sizeof(head) - 1);
    memcpy(body + n - 2, "\"}", 2);
    assert_int_equal(sup_event_read(reader, sup_slice_of(body, n), &e, NULL), SUP_OK);
    memcpy(body + n - 2, "x\"}", 3);
    assert_int_equal(sup_event_read(reader, sup_slice_of(body, n + 1), &e, NULL), SUP_ELIMIT);
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_field),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_only_the_types_block_counts),
        cmocka_unit_test(test_null_is_absent),
        cmocka_unit_test(test_last_of_repeated_keys_wins),
        cmocka_unit_test(test_wrong_types_that_matter),
        cmocka_unit_test(test_wrong_types_that_do_not),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_sns),
        cmocka_unit_test(test_sns_refused),
        cmocka_unit_test(test_non_events),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_event_bridge),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_nesting_is_limited),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_one_document_is_not_a_stream),
        cmocka_unit_test(test_list_limits),
        cmocka_unit_test(test_body_limit),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
