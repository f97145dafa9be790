/* Events as SES's documentation describes them and as others saw them, each in every envelope that
 * they come in: what follows must be the same. Quotes are single here, for the eyes. */
#include "base/array.h"
#include "core/event_read.h"
#include "event_text.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAIL(destination)                                                                          \
    "'mail':{'timestamp':'2026-01-02T03:04:00.000Z','messageId':'m-1','source':'s@x.com',"         \
    "'sendingAccountId':'123456789012','destination':[" destination                                \
    "],'headersTruncated':false,'tags':{'ses:configuration-set':['c'],'campaign':['a','b']}}"
#define BOUNCE(type, sub, recipients, destination)                                                 \
    "{'eventType':'Bounce','bounce':{'bounceType':'" type "','bounceSubType':'" sub                \
    "','bouncedRecipients':[" recipients                                                           \
    "],'timestamp':'2026-01-02T03:04:05.678Z','feedbackId':'f-1','reportingMTA':'dsn; a'}," MAIL(  \
        destination) "}"
#define COMPLAINT(members, recipients, destination)                                                \
    "{'notificationType':'Complaint','complaint':{" members "'complainedRecipients':[" recipients  \
    "],'timestamp':'2026-01-02T03:04:05.678Z','feedbackId':'f-2','userAgent':'u'}," MAIL(          \
        destination) "}"
#define TO(address)       "{'emailAddress':'" address "'}"
#define FAILED(a, s)      "{'emailAddress':'" a "','action':'failed','status':'" s "'}"
#define A                 "'a@example.com'"
#define AB                "'a@example.com','b@example.com'"
#define ONE(rule, what)   "Bounce [" rule "] " what " " rule " a@example.com"
#define ONE_C(rule, what) "Complaint [" rule "] " what " " rule " a@example.com"

static const struct {
    const char *event;
    const char *want;
} table[] = {
    /* Bounce types, SES developer guide. */
    {BOUNCE("Permanent", "General", FAILED("a@example.com", "5.1.1"), A),
     ONE("bounce-permanent-general", "suppress")},
    {BOUNCE("Permanent", "NoEmail", TO("a@example.com"), A),
     ONE("bounce-permanent-no-email", "suppress")},
    {BOUNCE("Permanent", "Suppressed", FAILED("a@example.com", "5.1.1"), A),
     ONE("bounce-global-list", "suppress")},
    {BOUNCE("Permanent", "OnAccountSuppressionList", FAILED("a@example.com", "5.1.1"), A),
     ONE("bounce-echo-account-list", "echo")},
    {BOUNCE("Permanent", "OnTenantSuppressionList", FAILED("a@example.com", "5.1.1"), A),
     ONE("bounce-echo-tenant-list", "echo")},
    {BOUNCE("Permanent", "EmailValidationSuppressed", TO("a@example.com"), A),
     ONE("bounce-validation", "ignore")},
    {BOUNCE("Permanent", "UnsubscribedRecipient", TO("a@example.com"), A),
     ONE("bounce-unsubscribed", "ignore")},
    {BOUNCE("Permanent", "SomethingNew", TO("a@example.com"), A),
     ONE("bounce-permanent-other", "suppress")},
    {BOUNCE("Undetermined", "Undetermined", TO("a@example.com"), A),
     ONE("bounce-undetermined", "soft")},
    {BOUNCE("Transient", "General", FAILED("a@example.com", "5.4.4"), A),
     ONE("bounce-transient-general", "soft")},
    /* An automatic reply of somebody who is away: no status that says failure. */
    {BOUNCE("Transient", "General", TO("a@example.com"), A),
     "Bounce [bounce-transient-general] ignore bounce-transient-no-status a@example.com"},
    {BOUNCE("Transient", "MailboxFull", FAILED("a@example.com", "4.2.2"), A),
     ONE("bounce-transient-mailbox-full", "soft")},
    {BOUNCE("Transient", "MessageTooLarge", TO("a@example.com"), A),
     ONE("bounce-transient-message-too-large", "soft")},
    {BOUNCE("Transient", "ContentRejected", TO("a@example.com"), A),
     ONE("bounce-transient-content-rejected", "soft")},
    {BOUNCE("Transient", "AttachmentRejected", TO("a@example.com"), A),
     ONE("bounce-transient-attachment-rejected", "soft")},
    {BOUNCE("Transient", "CustomTimeoutExceeded", TO("a@example.com"), A),
     ONE("bounce-transient-timeout", "soft")},
    /* Recipients fare differently. */
    {BOUNCE("Permanent", "General",
            FAILED("a@example.com", "5.1.1") ",{'emailAddress':'b@example.com','action':'delayed',"
                                             "'status':'4.0.0','diagnosticCode':null}",
            AB),
     "Bounce [bounce-permanent-general] suppress bounce-permanent-general a@example.com "
     "soft recipient-delayed b@example.com"},
    {BOUNCE("Permanent", "General", FAILED("a@example.com", "4.4.7"), A),
     "Bounce [bounce-permanent-general] soft recipient-status-transient a@example.com"},
    {BOUNCE("Permanent", "General", "{'emailAddress':'a@example.com','action':'delivered'}", AB),
     "Bounce [bounce-permanent-general] ignore recipient-not-failed a@example.com"},
    /* Only who is named bounced. */
    {BOUNCE("Permanent", "General", TO("b@example.com"), AB ",'c@example.com'"),
     "Bounce [bounce-permanent-general] suppress bounce-permanent-general b@example.com"},
    /* Forwarded: the Final-Recipient is somebody else. */
    {BOUNCE("Permanent", "General", TO("elsewhere@example.net"), A),
     ONE("bounce-permanent-general", "suppress")},
    {BOUNCE("Permanent", "General", TO("elsewhere@example.net"), AB),
     "Bounce [bounce-permanent-general] unmapped recipient-unmapped elsewhere@example.net"},
    /* Spellings. */
    {BOUNCE("Permanent", "General", TO("Foo Bar <A@EXAMPLE.com>"), AB),
     ONE("bounce-permanent-general", "suppress")},
    {BOUNCE("Permanent", "General", TO("<a@example.com>"), "'A. <a@example.com>','b@example.com'"),
     ONE("bounce-permanent-general", "suppress")},
    {BOUNCE("Permanent", "General", TO(" a@example.com "), AB),
     ONE("bounce-permanent-general", "suppress")},
    {BOUNCE("Permanent", "General", TO("a+label@example.com"), "'a+label@example.com'," A),
     "Bounce [bounce-permanent-general] suppress bounce-permanent-general a+label@example.com"},
    {BOUNCE("Permanent", "General", TO("bounce+x@simulator.amazonses.com"),
            "'bounce+x@simulator.amazonses.com'"),
     "Bounce [bounce-permanent-general] simulator recipient-simulator "
     "bounce+x@simulator.amazonses.com"},
    /* A list of strings, a string for a list, nothing at all. */
    {BOUNCE("Permanent", "General", "'a@example.com'", AB),
     ONE("bounce-permanent-general", "suppress")},
    {BOUNCE("Permanent", "General", "", A), ONE("bounce-permanent-general", "suppress")},
    {BOUNCE("Permanent", "General", "", AB),
     "Bounce [bounce-permanent-general] ambiguous recipients-not-named a@example.com "
     "ambiguous recipients-not-named b@example.com"},
    /* Complaints. */
    {COMPLAINT("'complaintFeedbackType':'abuse','complaintSubType':null,'arrivalDate':"
               "'2009-12-03T04:24:21.000-05:00',",
               TO("a@example.com"), A),
     ONE_C("complaint-abuse", "suppress")},
    {COMPLAINT("'complaintFeedbackType':'fraud',", TO("a@example.com"), A),
     ONE_C("complaint-fraud", "suppress")},
    {COMPLAINT("'complaintFeedbackType':'virus',", TO("a@example.com"), A),
     ONE_C("complaint-virus", "suppress")},
    {COMPLAINT("'complaintFeedbackType':'other',", TO("a@example.com"), A),
     ONE_C("complaint-other", "suppress")},
    {COMPLAINT("'complaintFeedbackType':null,", TO("a@example.com"), A),
     ONE_C("complaint-no-type", "suppress")},
    {COMPLAINT("'complaintFeedbackType':'opt-out',", TO("a@example.com"), A),
     ONE_C("complaint-unknown-type", "suppress")},
    {COMPLAINT("'complaintFeedbackType':'auth-failure',", TO("a@example.com"), A),
     ONE_C("complaint-auth-failure", "ignore")},
    {COMPLAINT("'complaintFeedbackType':'not-spam',", TO("a@example.com"), A),
     ONE_C("complaint-not-spam", "clear")},
    {COMPLAINT("'complaintFeedbackType':'abuse',", TO("a@example.com") "," TO("b@example.com"), AB),
     "Complaint [complaint-abuse] ambiguous complaint-several-recipients a@example.com "
     "ambiguous complaint-several-recipients b@example.com"},
    {COMPLAINT("'complaintFeedbackType':'not-spam',", TO("a@example.com") "," TO("b@example.com"),
               AB),
     "Complaint [complaint-not-spam] ambiguous complaint-several-recipients a@example.com "
     "ambiguous complaint-several-recipients b@example.com"},
    {COMPLAINT("'complaintFeedbackType':'abuse',", TO("a@example.com") "," TO("A@example.com"), AB),
     ONE_C("complaint-abuse", "suppress")},
    /* Echoes name no recipient. */
    {COMPLAINT("'complaintSubType':'OnAccountSuppressionList',", "", A),
     ONE_C("complaint-echo-account-list", "echo")},
    {COMPLAINT("'complaintSubType':'OnTenantSuppressionList','complaintFeedbackType':'abuse',",
               TO("a@example.com"), A),
     ONE_C("complaint-echo-tenant-list", "echo")},
    {COMPLAINT("'complaintSubType':'OnAccountSuppressionList',", "", AB),
     "Complaint [complaint-echo-account-list] ambiguous recipients-not-named a@example.com "
     "ambiguous recipients-not-named b@example.com"},
    /* What decides nothing. */
    {"{'eventType':'Send','send':{}," MAIL(A) "}", "Send"},
    {"{'eventType':'Delivery','delivery':{'recipients':[" A "],'timestamp':"
     "'2026-01-02T03:04:05.678Z','smtpResponse':'250 2.6.0 ok','reportingMTA':'m'}," MAIL(A) "}",
     "Delivery"},
    {"{'notificationType':'Delivery','delivery':{'recipients':[{'emailAddress':" A
     "}],'timestamp':1},'mail':{'destination':[" A "]}}",
     "Delivery"},
    {"{'eventType':'Reject','reject':{'reason':'Bad content'}," MAIL(A) "}", "Reject"},
    {"{'eventType':'Open','open':{'ipAddress':'192.0.2.1','userAgent':'u'}," MAIL(A) "}", "Open"},
    {"{'eventType':'Click','click':{'link':'http://x/','linkTags':{'a':['b']}}," MAIL(A) "}",
     "Click"},
    {"{'eventType':'Rendering Failure','failure':{'errorMessage':'e','templateName':'t'}," MAIL(
         A) "}",
     "Rendering Failure"},
    {"{'eventType':'RenderingFailure','failure':{}," MAIL(A) "}", "Rendering Failure"},
    {"{'eventType':'DeliveryDelay','deliveryDelay':{'delayType':'SpamDetected','expirationTime':"
     "'2026-01-02T15:04:05.678Z','delayedRecipients':[" FAILED("a@example.com",
                                                               "4.4.1") "]}," MAIL(A) "}",
     "DeliveryDelay"},
    {"{'eventType':'Subscription','subscription':{'contactList':'l','source':'UnsubscribeHeader',"
     "'newTopicPreferences':{'unsubscribeAll':true,'topicSubscriptionStatus':[]}}," MAIL(A) "}",
     "Subscription"},
    {"{'eventType':'Teleport','teleport':{'to':['x']}," MAIL(A) "}", "Unknown"},
    {"{'notificationType':'Received','receipt':{'recipients':[" A "]}," MAIL(A) ",'content':'c'}",
     "Unknown"},
    {"{'notificationType':'AmazonSnsSubscriptionSucceeded','message':'You have successfully "
     "subscribed your Amazon SNS topic to receive Bounce notifications from Amazon SES.'}\n",
     "None"},
    /* Members in another order, the type last; unknown ones everywhere. */
    {"{'x':[{'eventType':'Send'}]," MAIL(
         A) ",'bounce':{'new':{},'bouncedRecipients':[{"
            "'newer':[],'emailAddress':" A "}],'bounceSubType':'General','bounceType':'Permanent'},"
            "'eventType':'Bounce'}",
     ONE("bounce-permanent-general", "suppress")},
    /* No events. */
    {"{'eventType':'Bounce'," MAIL(A) "}", "refused"},
    {"{'eventType':'Bounce','bounce':{'bounceType':'Permanent','bouncedRecipients':[" TO(
         "a@example.com") "]}}",
     "refused"},
    {"{'eventType':'Bounce','bounce':{'bounceType':'Permanent','bouncedRecipients':" A
     "}," MAIL(A) "}",
     "refused"},
    {"{'AlarmName':'CPU','NewStateValue':'ALARM'}", "refused"},
    {"{}", "refused"},
    {"{'eventType':'Bounce','bounce':{'bounceType':'Perman", "refused"},
};

static struct sup_event_reader *reader;
static struct sup_verdicts verdicts;

static int setup(void **state)
{
    (void)state;
    reader = sup_event_reader_new();
    return reader == NULL;
}

static int teardown(void **state)
{
    (void)state;
    sup_event_reader_free(reader);
    sup_verdicts_fini(&verdicts);
    return 0;
}

static char *quoted(const char *text)
{
    char *copy = strdup(text);

    assert_non_null(copy);
    for (char *p = copy; *p != '\0'; p++)
        *p = *p == '\'' ? '"' : *p;
    return copy;
}

/* text as a JSON string, with its quotes. */
static char *as_string(const char *text)
{
    json_t *s = json_string(text);
    char *out = json_dumps(s, JSON_ENCODE_ANY);

    assert_non_null(out);
    json_decref(s);
    return out;
}

static char *format(const char *before, const char *text, const char *after)
{
    struct sup_buf b;

    sup_buf_init(&b, 1 << 20);
    char *q = quoted(before), *r = quoted(after);
    sup_buf_addf(&b, "%s%s%s", q, text, r);
    free(q);
    free(r);
    char *out = sup_buf_steal(&b);
    assert_non_null(out);
    return out;
}

static char *around_string(const char *before, const char *text, const char *after)
{
    char *s = as_string(text), *out = format(before, s, after);

    free(s);
    return out;
}

/* --- envelopes --- */

static char *bare(const char *event)
{
    return strdup(event);
}

static char *pretty(const char *event)
{
    json_t *v = json_loads(event, 0, NULL);
    char *out = v != NULL ? json_dumps(v, JSON_INDENT(2)) : strdup(event);

    json_decref(v);
    return out;
}

static char *sns(const char *event)
{
    return around_string("{\n  'Type' : 'Notification',\n  'MessageId' : 'i',\n  'TopicArn' : "
                         "'arn:aws:sns:eu-west-1:1:t',\n  'Subject' : 'Amazon SES Email Event "
                         "Notification',\n  'Message' : ",
                         event,
                         ",\n  'Timestamp' : '2026-01-02T03:04:06.000Z',\n  'SignatureVersion' : "
                         "'1',\n  'UnsubscribeURL' : 'https://x/'\n}");
}

static char *sns_newline(const char *event)
{
    char *text = format("", event, "\n"), *out = sns(text);

    free(text);
    return out;
}

static char *lambda_sns(const char *event)
{
    return around_string("{'Records':[{'EventVersion':'1.0','EventSource':'aws:sns','Sns':{"
                         "'Type':'Notification','Subject':null,'Message':",
                         event,
                         ",'Timestamp':'2026-01-02T03:04:06.000Z','MessageAttributes':{}}}]}");
}

static char *lambda_sqs_of(const char *body)
{
    return around_string("{'Records':[{'messageId':'q','body':", body,
                         ",'attributes':{'SentTimestamp':'1767323046000'},'messageAttributes':{},"
                         "'eventSource':'aws:sqs'}]}");
}

static char *lambda_sqs_sns(const char *event)
{
    char *inner = sns(event), *out = lambda_sqs_of(inner);

    free(inner);
    return out;
}

static char *firehose(const char *event)
{
    size_t n = strlen(event);
    char *data = malloc(n * 2 + 8);

    assert_non_null(data);
    EVP_EncodeBlock((unsigned char *)data, (const unsigned char *)event, (int)n);
    char *out = format("{'invocationId':'v','records':[{'recordId':'r','data':'", data, "'}]}");
    free(data);
    return out;
}

static char *(*const envelopes[])(const char *event) = {
    bare, pretty, sns, sns_newline, lambda_sns, lambda_sqs_of, lambda_sqs_sns, firehose};

static void check(const char *body, const char *want)
{
    struct sup_buf out;

    sup_buf_init(&out, 1 << 16);
    event_verdicts_text_of(reader, sup_slice_str(body), false, &verdicts, &out);
    if (strcmp(sup_buf_str(&out), want) != 0)
        fail_msg("%s\nexpected %s\ngot      %s", body, want, sup_buf_str(&out));
    sup_buf_fini(&out);
}

static void test_every_event_in_every_envelope(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUP_COUNT(table); i++) {
        char *event = quoted(table[i].event);
        for (size_t k = 0; k < SUP_COUNT(envelopes); k++) {
            char *body = envelopes[k](event);
            check(body, table[i].want);
            free(body);
        }
        free(event);
    }
}

/* EventBridge names the event outside, too; the one inside decides, where it is SES's own. */
static void test_event_bridge(void **state)
{
    static const struct {
        const char *head; /* of the envelope */
        const char *detail;
        const char *want;
    } bridge[] = {
        {"'detail-type':'Email Bounced','source':'aws.ses'",
         BOUNCE("Permanent", "General", TO("a@example.com"), A),
         ONE("bounce-permanent-general", "suppress")},
        {"'detail-type':'Email Complaint Received','source':'aws.ses'",
         COMPLAINT("'complaintFeedbackType':'abuse',", TO("a@example.com"), A),
         ONE_C("complaint-abuse", "suppress")},
        {"'detail-type':'Email Delivery Delayed','source':'aws.ses'",
         "{'eventType':'DeliveryDelay','deliveryDelay':{}," MAIL(A) "}", "DeliveryDelay"},
        {"'detail-type':'Email Sent','source':'aws.ses'", "{'eventType':'Send'," MAIL(A) "}",
         "Send"},
        {"'detail-type':'Sending Status Enabled','source':'aws.ses'", "{'version':'1'}", "Unknown"},
        {"'detail-type':'Sending Status Disabled','source':'aws.ses'", "{'data':{'reason':'r'}}",
         "Unknown"},
        {"'detail-type':'Advisor Recommendation Status Resolved','source':'aws.ses'",
         "{'version':'1.0.0','data':{},'metadata':{'type':'BOUNCE'}}", "Unknown"},
        {"'detail-type':'Email Bounced','source':'my.program'",
         BOUNCE("Permanent", "General", TO("a@example.com"), A), "Unknown"},
        {"'detail-type':'EC2 Instance State-change Notification','source':'aws.ec2'",
         "{'state':'running'}", "Unknown"},
    };

    (void)state;
    for (size_t i = 0; i < SUP_COUNT(bridge); i++) {
        struct sup_buf b;
        sup_buf_init(&b, 1 << 16);
        sup_buf_addf(&b,
                     "{'version':'0','id':'i',%s,'account':'1','time':'2026-01-02T03:04:06Z',"
                     "'region':'eu-west-1','resources':['arn:aws:ses:eu-west-1:1:identity/x.com'],"
                     "'detail':%s}",
                     bridge[i].head, bridge[i].detail);
        char *event = quoted(sup_buf_str(&b));
        sup_buf_fini(&b);
        for (size_t k = 0; k < SUP_COUNT(envelopes); k++) {
            char *body = envelopes[k](event);
            check(body, bridge[i].want);
            free(body);
        }
        free(event);
    }
}

/* All of them in a row, as Firehose leaves them, with whatever stands between. */
static void test_in_a_row(void **state)
{
    static const char *const between[] = {"", "\n", "\n\n", "\r\n", " \t\n ", "\n\n\n"};
    struct sup_buf body, want, got;

    (void)state;
    sup_buf_init(&body, 1 << 20);
    sup_buf_init(&want, 1 << 20);
    sup_buf_init(&got, 1 << 20);
    for (size_t k = 0; k < SUP_COUNT(between) * SUP_COUNT(envelopes); k++) {
        sup_buf_reset(&body);
        sup_buf_reset(&want);
        for (size_t i = 0; i < SUP_COUNT(table) - 1; i++) { /* the last one does not end */
            char *event = quoted(table[i].event), *one = envelopes[k % SUP_COUNT(envelopes)](event);
            sup_buf_addf(&body, "%s%s", one, between[k / SUP_COUNT(envelopes)]);
            sup_buf_addf(&want, "%s%s", i > 0 ? "\n" : "", table[i].want);
            free(event);
            free(one);
        }
        event_verdicts_text_of(reader, sup_buf_slice(&body), true, &verdicts, &got);
        assert_string_equal(sup_buf_str(&got), sup_buf_str(&want));
    }
    sup_buf_fini(&body);
    sup_buf_fini(&want);
    sup_buf_fini(&got);
}

static void test_greetings(void **state)
{
    static const char greeting[] =
        "Successfully validated SNS topic for Amazon SES event publishing.";
    char *body = sns(greeting);

    (void)state;
    check(greeting, "None");
    check(body, "None");
    free(body);
    body = quoted("{'Type':'SubscriptionConfirmation','MessageId':'i','Token':'t','TopicArn':'a',"
                  "'Message':'You have chosen to subscribe','SubscribeURL':'https://x/'}");
    check(body, "None");
    char *wrapped = lambda_sqs_of(body);
    check(wrapped, "None");
    free(body);
    free(wrapped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_event_in_every_envelope),
        cmocka_unit_test(test_event_bridge),
        cmocka_unit_test(test_in_a_row),
        cmocka_unit_test(test_greetings),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
