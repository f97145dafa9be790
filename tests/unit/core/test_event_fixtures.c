/* Every third-party event file, what it is and what follows from it. */
#include "aws_fixture.h"
#include "base/array.h"
#include "core/event_read.h"
#include "event_text.h"
#include "json_reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What is expected of a file, as event_verdicts_text_of writes it. */
struct expected {
    const char *file;
    const char *events;
};

static const struct expected table[] = {
    {"ses-events/awsdocs-event-bounce.json",
     "Bounce [bounce-permanent-general] suppress bounce-permanent-general recipient@example.com"},
    {"ses-events/awsdocs-event-complaint.json",
     "Complaint [complaint-abuse] suppress complaint-abuse recipient@example.com"},
    {"ses-events/awsdocs-event-delivery-delay.json", "DeliveryDelay"},
    {"ses-events/awsdocs-event-delivery.json", "Delivery"},
    {"ses-events/awsdocs-event-open.json", "Open"},
    {"ses-events/awsdocs-event-send.json", "Send"},
    {"ses-events/awsdocs-notification-bounce-permanent-general-with-dsn.json",
     "Bounce [bounce-permanent-general] suppress bounce-permanent-general jane@example.com"},
    {"ses-events/awsdocs-notification-bounce-without-dsn-two-recipients.json",
     "Bounce [bounce-permanent-general] suppress bounce-permanent-general jane@example.com "
     "suppress bounce-permanent-general richard@example.com"},
    {"ses-events/awsdocs-notification-complaint-with-feedback-report.json",
     "Complaint [complaint-abuse] suppress complaint-abuse richard@example.com"},
    {"ses-events/awsdocs-notification-delivery.json", "Delivery"},
    {"ses-events/awsdocs-received-mail-sns-action.json", "Unknown"},
    {"ses-events/django-bouncy-bounce-mixed-failed-and-delayed.json",
     "Bounce [bounce-permanent-general] suppress bounce-permanent-general recipient1@example.com "
     "soft recipient-delayed recipient2@example.com"},
    {"ses-events/django-bouncy-bounce-no-dsn-offset-timestamp.json",
     "Bounce [bounce-permanent-general] suppress bounce-permanent-general recipient1@example.com "
     "suppress bounce-permanent-general recipient2@example.com"},
    {"ses-events/django-bouncy-complaint-no-feedback.json",
     "Complaint [complaint-no-type] suppress complaint-no-type recipient1@example.com"},
    {"ses-events/django-bouncy-complaint-offset-arrivaldate.json",
     "Complaint [complaint-abuse] suppress complaint-abuse recipient1@example.com"},
    {"ses-events/gcnotify-bounce-permanent-general.json",
     "Bounce [bounce-permanent-general] simulator recipient-simulator "
     "bounce@simulator.amazonses.com"},
    {"ses-events/gcnotify-bounce-permanent-noemail.json",
     "Bounce [bounce-permanent-no-email] simulator recipient-simulator "
     "bounce@simulator.amazonses.com"},
    {"ses-events/gcnotify-bounce-permanent-suppressed.json",
     "Bounce [bounce-global-list] simulator recipient-simulator bounce@simulator.amazonses.com"},
    {"ses-events/gcnotify-bounce-transient-general.json",
     "Bounce [bounce-transient-general] simulator recipient-simulator "
     "bounce@simulator.amazonses.com"},
    {"ses-events/gcnotify-bounce-transient-mailboxfull.json",
     "Bounce [bounce-transient-mailbox-full] simulator recipient-simulator "
     "bounce@simulator.amazonses.com"},
    {"ses-events/gcnotify-bounce-transient-messagetoolarge.json",
     "Bounce [bounce-transient-message-too-large] simulator recipient-simulator "
     "bounce@simulator.amazonses.com"},
    {"ses-events/gcnotify-bounce-undetermined-undetermined.json",
     "Bounce [bounce-undetermined] simulator recipient-simulator bounce@simulator.amazonses.com"},
    {"ses-events/gcnotify-complaint-abuse.json",
     "Complaint [complaint-abuse] suppress complaint-abuse recipient1@example.com"},
    {"ses-events/gcnotify-complaint-subtype-onaccountsuppressionlist.json",
     "Complaint [complaint-echo-account-list] echo complaint-echo-account-list "
     "recipient1@example.com"},
    {"ses-events/gcnotify-complaint-type-missing.json",
     "Complaint [complaint-no-type] suppress complaint-no-type recipient1@example.com"},
    {"ses-events/laravel-event-manager-open.json", "Open"},
    {"ses-events/localstack-recorded-send-templated-no-subject.json", "Send"},
    {"ses-events/moto-complaint-odd-mail-timestamp-null-account.json",
     "Complaint [complaint-abuse] suppress complaint-abuse recipient@example.com"},
    {"ses-events/sisimai-bounce-simulator.json",
     "Bounce [bounce-permanent-general] simulator recipient-simulator "
     "bounce@simulator.amazonses.com"},
    {"ses-events/sisimai-complaint-simulator.json",
     "Complaint [complaint-abuse] simulator recipient-simulator complaint@simulator.amazonses.com"},
    {"ses-events/sisimai-delivery-simulator.json", "Delivery"},
    {"ses-events/yii-ses-feedback-bounce-transient-unknown-host.json",
     "Bounce [bounce-transient-general] soft bounce-transient-general "
     "joeblogss@baddomainnameexample.com"},
    {"sns-envelopes/anymail-bounce-full-duplicate-x-tag-headers.json",
     "Bounce [bounce-permanent-general] suppress bounce-permanent-general jane@example.com"},
    {"sns-envelopes/anymail-click-minimal-envelope.json", "Click"},
    {"sns-envelopes/anymail-complaint-minimal-envelope.json",
     "Complaint [complaint-abuse] suppress complaint-abuse richard@example.com"},
    {"sns-envelopes/anymail-delivery-minimal-envelope.json", "Delivery"},
    {"sns-envelopes/anymail-open-minimal-envelope.json", "Open"},
    {"sns-envelopes/anymail-send-minimal-envelope.json", "Send"},
    {"sns-envelopes/anymail-subscription-confirmation.json", "None"},
    {"sns-envelopes/anymail-unsubscribe-confirmation.json", "None"},
    {"sns-envelopes/anymail-validated-topic-plain-text.json", "None"},
    {"sns-envelopes/awsdocs-Notification.json", "refused"},
    {"sns-envelopes/awsdocs-SubscriptionConfirmation.json", "None"},
    {"sns-envelopes/awsdocs-http-post-Notification.http.txt", "refused"},
    {"sns-envelopes/awsdocs-http-post-SubscriptionConfirmation.http.txt", "refused"},
    {"sns-envelopes/awsdocs-sqs-raw-delivery-disabled.json", "refused"},
    {"sns-envelopes/awsdocs-sqs-raw-delivery-enabled.txt", "refused"},
    {"sns-envelopes/awsdocs-sqs-subscriber-envelope.json", "refused"},
    {"sns-envelopes/java-v2-negative-signature-not-base64.json", "None"},
    {"sns-envelopes/java-v2-negative-timestamp.json", "None"},
    {"sns-envelopes/java-v2-negative-unknown-type.json", "refused"},
    {"sns-envelopes/ope-tech-bounce.json",
     "Bounce [bounce-permanent-general] suppress bounce-permanent-general jane@example.com"},
    {"sns-envelopes/ope-tech-complaint.json",
     "Complaint [complaint-abuse] suppress complaint-abuse recipient@example.com"},
    {"sns-envelopes/ope-tech-delivery.json", "Delivery"},
    {"sns-envelopes/ope-tech-reject.json", "Reject"},
    {"sns-envelopes/ope-tech-subscription-confirmation.json", "None"},
    {"sns-envelopes/ses-sns-engine-AmazonSnsSubscriptionSucceeded.json", "None"},
    {"wrapped/lambda-go-ses-inbound-sns.json", "Unknown"},
    {"wrapped/lambda-go-sns-record.json", "refused"},
    {"wrapped/lambda-go-sqs-record.json", "refused"},
    {"wrapped/lambda-local-sns-record-ses-delivery.json", "Delivery"},
    {"wrapped/powertools-sns-record.json", "refused"},
    {"wrapped/powertools-sqs-raw-delivery.json", "refused"},
    {"wrapped/powertools-sqs-two-records.json", "refused\n"
                                                "refused"},
    {"wrapped/powertools-sqs-with-sns-envelope.json", "refused"},
    {"wrapped/ses-events-logger-sns-record-bounce-no-headers.json",
     "Bounce [bounce-permanent-general] suppress bounce-permanent-general jane@example.com "
     "suppress bounce-permanent-general richard@example.com"},
    {"wrapped/ses-events-logger-sns-record-complaint.json",
     "Complaint [complaint-no-type] suppress complaint-no-type richard@example.com"},
    {"eventbridge/awsdocs-advisor-recommendation-open.json", "Unknown"},
    {"eventbridge/powertools-generic-replay-event.json", "Unknown"},
    {"firehose-s3/awsdocs-sns-firehose-s3-one-message-pretty.json", "refused"},
    {"firehose-s3/awsdocs-sns-firehose-s3-three-messages.ndjson", "refused\n"
                                                                  "refused\n"
                                                                  "refused"},
    {"firehose-s3/derived-ses-records-newline-delimited.ndjson",
     "Bounce [bounce-permanent-general] suppress bounce-permanent-general recipient@example.com\n"
     "Complaint [complaint-abuse] suppress complaint-abuse recipient@example.com\n"
     "Delivery\n"
     "Send\n"
     "Reject\n"
     "Open\n"
     "Click\n"
     "Rendering Failure\n"
     "DeliveryDelay\n"
     "Subscription"},
    {"firehose-s3/lambda-go-s3-put-notification.json", "refused"},
    {"firehose-s3/powertools-firehose-put.json", "refused\n"
                                                 "refused"},
    {"firehose-s3/powertools-firehose-sns-record.json", "refused"},
    {"sns-signed/aws-actionmailbox-inbound_email.json", "Unknown"},
    {"sns-signed/aws-actionmailbox-invalid_signature.json", "None"},
    {"sns-signed/aws-actionmailbox-valid_signature.json", "None"},
    {"sns-signed/aws-java-v1-notification-messageattributes.json", "refused"},
    {"sns-signed/aws-java-v2-notification-no-subject.json", "refused"},
    {"sns-signed/aws-java-v2-notification-signature-v2.json", "refused"},
    {"sns-signed/aws-java-v2-notification-with-subject.json", "refused"},
    {"sns-signed/aws-java-v2-subscription-confirmation.json", "None"},
    {"sns-signed/aws-php-http-v1-no-subject.json", "refused"},
    {"sns-signed/aws-php-http-v1-subject.json", "refused"},
    {"sns-signed/aws-php-http-v2-no-subject.json", "refused"},
    {"sns-signed/aws-php-lambda-v1-no-subject.json", "refused"},
    {"sns-signed/aws-php-lambda-v1-subject-null.json", "refused"},
    {"sns-signed/django-bouncy-ses-bounce.json",
     "Bounce [bounce-permanent-general] suppress bounce-permanent-general username@example.com"},
    {"sns-signed/django-bouncy-ses-complaint.json",
     "Complaint [complaint-abuse] suppress complaint-abuse recipient1@example.com"},
    {"sns-signed/django-bouncy-subscription-confirmation.json", "None"},
    {"sns-signed/django-ses-complaint-subtype-null.json",
     "Complaint [complaint-abuse] simulator recipient-simulator complaint@simulator.amazonses.com"},
    {"sns-signed/powertools-sqs-record-sns-envelope.json", "refused"},
    {"sns-signed/signing-cert-urls.json", "refused"},
    {"sns-signed/sisimai-bounce-account-masked.json",
     "Bounce [bounce-permanent-general] simulator recipient-simulator "
     "bounce@simulator.amazonses.com"},
    {"sns-signed/string-to-sign-php.txt", "refused"},
};

static const char *const folders[] = {"ses-events",  "sns-envelopes", "wrapped",
                                      "eventbridge", "firehose-s3",   "sns-signed"};

static bool is_event_file(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot != NULL && strcmp(dot, ".tsv") != 0 && strcmp(dot, ".csv") != 0;
}

/* .ndjson files are streams, all others one document each. */
static bool is_stream(const char *name)
{
    return strcmp(strrchr(name, '.'), ".ndjson") == 0;
}

static const struct expected *find(const char *path)
{
    for (size_t i = 0; i < SUP_COUNT(table); i++)
        if (strcmp(table[i].file, path) == 0)
            return &table[i];
    return NULL;
}

struct counts {
    size_t files, events, new_files, wrong;
};

/* What the table does not know yet: both readers of JSON must at least see the same in it. */
static void check_new_file(const char *name, struct sup_slice body, const char *got,
                           struct counts *c)
{
    const struct sup_json_ops *readers[] = {&sup_json_simdjson, &json_reference};
    struct sup_verdicts vs = {0};
    struct sup_buf out;

    sup_buf_init(&out, 1 << 20);
    for (size_t i = 0; i < SUP_COUNT(readers); i++) {
        struct sup_event_reader *r = sup_event_reader_new_with(readers[i]);
        event_verdicts_text_of(r, body, is_stream(name), &vs, &out);
        if (strcmp(sup_buf_str(&out), got) != 0) {
            c->wrong++;
            print_message("%s: reader %zu sees\n  %s\n", name, i, sup_buf_str(&out));
        }
        sup_event_reader_free(r);
    }
    sup_buf_fini(&out);
    sup_verdicts_fini(&vs);
}

static void check_file(struct sup_event_reader *r, const char *folder, const char *name,
                       struct counts *c)
{
    char path[512];
    size_t n = 0;
    struct sup_verdicts vs = {0};
    struct sup_buf out;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    char *body = fixture_read(fixture_path("%s", path), &n);
    assert_non_null(body);
    sup_buf_init(&out, 1 << 20);
    c->files++;
    c->events += event_verdicts_text_of(r, sup_slice_of(body, n), is_stream(name), &vs, &out);
    const struct expected *want = find(path);
    if (want == NULL) {
        c->new_files++;
        print_message("not in the table: {\"%s\", \"%s\"},\n", path, sup_buf_str(&out));
        check_new_file(name, sup_slice_of(body, n), sup_buf_str(&out), c);
    } else if (strcmp(want->events, sup_buf_str(&out)) != 0) {
        c->wrong++;
        print_message("%s: expected\n  %s\ngot\n  %s\n", path, want->events, sup_buf_str(&out));
    }
    free(body);
    sup_buf_fini(&out);
    sup_verdicts_fini(&vs);
}

static void check_all(const struct sup_json_ops *json)
{
    struct sup_event_reader *r;
    struct counts c = {0};

    if (fixture_path("ses-events") == NULL)
        skip();
    r = sup_event_reader_new_with(json);
    for (size_t i = 0; i < SUP_COUNT(folders); i++) {
        char **names = fixture_list(fixture_path("%s", folders[i]));
        for (size_t k = 0; names != NULL && names[k] != NULL; k++)
            if (is_event_file(names[k]))
                check_file(r, folders[i], names[k], &c);
        fixture_list_free(names);
    }
    print_message("%zu files with %zu events ran, %zu files are new to the table\n", c.files,
                  c.events, c.new_files);
    sup_event_reader_free(r);
    assert_int_equal(c.wrong, 0);
    assert_true(c.files - c.new_files > 80);
}

static void test_fixtures(void **state)
{
    (void)state;
    check_all(&sup_json_simdjson);
}

static void test_fixtures_with_reference_reader(void **state)
{
    (void)state;
    check_all(&json_reference);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixtures),
        cmocka_unit_test(test_fixtures_with_reference_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
