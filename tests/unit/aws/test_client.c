/* The client and its operations against a scripted server: retry, throttles, skew, lies. */
#include "aws_fixture.h"
#include "aws_script.h"
#include "http_peer.h"

#include "aws/client.h"
#include "aws/sesv2.h"
#include "aws/sqs.h"
#include "aws/xml.h"
#include "base/clock.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char account_body[] =
    "{\"SendingEnabled\":true,\"ProductionAccessEnabled\":false,\"EnforcementStatus\":"
    "\"PROBATION\","
    "\"SendQuota\":{\"MaxSendRate\":14.0,\"Max24HourSend\":50000,\"SentLast24Hours\":7},"
    "\"SuppressionAttributes\":{\"SuppressedReasons\":[\"BOUNCE\",\"COMPLAINT\"]}}";

/* GetAccount is the plainest operation: what it meets holds for all. */
static int get_account(struct aws_script *w)
{
    struct sup_ses_account a;
    return sup_ses_get_account(w->aws, &a, NULL, &w->e, &w->err);
}

/* ---- retry ---- */

static void test_passing_trouble_is_repeated(void **state)
{
    struct aws_script *w = *state;
    /* The reset comes on a fresh connection: libcurl itself repeats on one that had gone stale. */
    SCRIPT(w, {.fault = PEER_RESET}, {.status = 503}, {.body = account_body});
    assert_int_equal(get_account(w), SUP_OK);
    assert_int_equal(aws_script_calls(w), 3);
    assert_int_equal(w->e.attempts, 3);
}

static void test_attempts_have_an_end(void **state)
{
    struct aws_script *w = *state;
    SCRIPT(w, {.status = 500,
               .headers = "x-amzn-errortype: InternalFailure:http://x/\r\n",
               .body = "{\"message\":\"sorry\"}"});
    assert_int_equal(get_account(w), SUP_EAGAIN);
    assert_int_equal(aws_script_calls(w), 3);
    assert_string_equal(w->e.code, "InternalFailure");
    assert_string_equal(w->e.message, "sorry");
    assert_true(w->e.retryable);
    assert_false(w->e.throttled);
    assert_non_null(strstr(w->err.msg, "HTTP 500 InternalFailure: sorry"));
}

static void test_the_callers_rate_control_sees_each_throttle(void **state)
{
    struct aws_script *w = *state;
    SCRIPT(w, {.status = 429,
               .headers = "x-amzn-errortype: TooManyRequestsException\r\n",
               .body = "{\"message\":\"slow\"}"});
    assert_int_equal(get_account(w), SUP_EAGAIN);
    assert_int_equal(aws_script_calls(w), 1);
    assert_true(w->e.throttled && w->e.retryable);
    /* SQS has no such control above it: the client repeats. */
    struct sup_sqs_batch b;
    struct sup_sqs_receive req = {
        .queue_url = w->queue, .max_messages = 10, .visibility_timeout_s = -1};
    SCRIPT(w, {.status = 400, .body = "{\"__type\":\"com.amazonaws.sqs#RequestThrottled\"}"},
           {.body = "{}"});
    assert_int_equal(sup_sqs_receive(w->aws, &req, &b, &w->e, &w->err), SUP_OK);
    sup_sqs_batch_fini(&b);
    assert_int_equal(aws_script_calls(w), 2);
    assert_true(w->e.throttled);
}

static void test_mistakes_are_not_repeated(void **state)
{
    struct aws_script *w = *state;
    static const struct {
        int status;
        const char *headers, *body;
        int rc;
        const char *code;
    } cases[] = {
        {400, "x-amzn-errortype: BadRequestException\r\n", "{\"message\":\"m\"}", SUP_EINPUT,
         "BadRequestException"},
        {404, "x-amzn-errortype: NotFoundException\r\n", "{}", SUP_ENOTFOUND, "NotFoundException"},
        {403, NULL, "{\"message\":\"no\"}", SUP_EAUTH, ""},
        {400, NULL, "{\"code\":\"UnrecognizedClientException\"}", SUP_EAUTH,
         "UnrecognizedClientException"},
        {400, "x-amzn-query-error: AWS.SimpleQueueService.NonExistentQueue;Sender\r\n",
         "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\",\"message\":\"gone\"}", SUP_ENOTFOUND,
         "QueueDoesNotExist"},
        {400, NULL, "not json", SUP_EINPUT, ""},
        {400, NULL, "{\"__type\":7,\"message\":[1]}", SUP_EINPUT, ""},
        {400, NULL, "<ErrorResponse><Error><Code>Foo</Code><Message>a &amp; b</Message></Error>",
         SUP_EINPUT, "Foo"},
        {302, "location: http://elsewhere/\r\n", "", SUP_ECORRUPT, ""},
        {501, NULL, "", SUP_EAGAIN, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        SCRIPT(w, {.status = cases[i].status, .headers = cases[i].headers, .body = cases[i].body});
        int rc = get_account(w);
        if (rc != cases[i].rc || strcmp(w->e.code, cases[i].code) != 0 || aws_script_calls(w) != 1)
            fail_msg("case %zu: %d %s after %d calls", i, rc, w->e.code, aws_script_calls(w));
    }
}

static void test_attempt_deadline(void **state)
{
    struct aws_script *w = *state;
    aws_script_open(w, 1, 300);
    SCRIPT(w, {.fault = PEER_HANG});
    int64_t t0 = sup_mono_ms();
    assert_int_equal(get_account(w), SUP_ETIMEDOUT);
    assert_in_range(sup_mono_ms() - t0, 250, 3000);
}

static void *set_stop(void *arg)
{
    void **args = arg;
    struct aws_script *w = args[0];
    while (aws_script_calls(w) == 0)
        sched_yield();
    sup_stop_set(args[1]);
    return NULL;
}

static void test_stop_ends_the_long_poll_and_the_back_off(void **state)
{
    struct aws_script *w = *state;
    struct aws_step steps[] = {{.fault = PEER_HANG},
                               {.status = 503, .headers = "x-amz-retry-after: 20000\r\n"}};
    for (int i = 0; i < 2; i++) {
        struct sup_stop stop;
        struct sup_sqs_batch b;
        pthread_t t;
        sup_stop_init(&stop);
        void *args[2] = {w, &stop};
        struct sup_sqs_receive req = {.queue_url = w->queue,
                                      .max_messages = 10,
                                      .wait_s = 20,
                                      .visibility_timeout_s = -1,
                                      .stop = &stop};
        aws_script_set(w, &steps[i], 1);
        assert_int_equal(pthread_create(&t, NULL, set_stop, args), 0);
        int64_t t0 = sup_mono_ms();
        assert_int_equal(sup_sqs_receive(w->aws, &req, &b, &w->e, &w->err), SUP_ECLOSED);
        assert_true(sup_mono_ms() - t0 < 1000);
        pthread_join(t, NULL);
        sup_stop_fini(&stop);
    }
}

/* ---- clocks and keys ---- */

static void test_clock_skew_is_corrected_for_signing(void **state)
{
    struct aws_script *w = *state;
    SCRIPT(w,
           {.status = 403,
            .headers = "x-amzn-errortype: SignatureDoesNotMatch\r\n"
                       "date: Thu, 02 Jan 2025 04:04:05 GMT\r\n"},
           {.body = account_body});
    assert_int_equal(get_account(w), SUP_OK);
    assert_int_equal(aws_script_calls(w), 2);
    assert_int_equal(sup_aws_clock_skew_ms(w->aws), 3600000);
    assert_non_null(strstr(w->headers[0], "x-amz-date: 20250102T030405Z"));
    assert_non_null(strstr(w->headers[1], "x-amz-date: 20250102T040405Z"));
    /* With the clocks in step the same code is a wrong secret, and final. */
    SCRIPT(w, {.status = 403,
               .headers = "x-amzn-errortype: SignatureDoesNotMatch\r\n"
                          "date: Thu, 02 Jan 2025 04:04:06 GMT\r\n"});
    assert_int_equal(get_account(w), SUP_EAUTH);
    assert_int_equal(aws_script_calls(w), 1);
}

static void test_expired_token_is_renewed_once(void **state)
{
    struct aws_script *w = *state;
    SCRIPT(w, {.status = 403, .headers = "x-amzn-errortype: ExpiredTokenException\r\n"});
    assert_int_equal(get_account(w), SUP_EAUTH);
    assert_int_equal(aws_script_calls(w), 2);
}

static void test_signed_headers(void **state)
{
    struct aws_script *w = *state;
    SCRIPT(w, {.body = account_body});
    assert_int_equal(get_account(w), SUP_OK);
    assert_string_equal(w->target[0], "GET /v2/email/account");
    assert_non_null(strstr(w->headers[0], "x-amz-security-token: token"));
    assert_non_null(strstr(w->headers[0],
                           "authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20250102/"
                           "eu-west-1/ses/aws4_request, SignedHeaders=host;x-amz-date;"
                           "x-amz-security-token, Signature="));
}

static void test_connections_are_reused(void **state)
{
    struct aws_script *w = *state;
    SCRIPT(w, {.body = account_body});
    for (int i = 0; i < 100; i++)
        assert_int_equal(get_account(w), SUP_OK);
    assert_int_equal(peer_connections(w->peer), 1);
}

/* ---- SES ---- */

static void test_account(void **state)
{
    struct aws_script *w = *state;
    struct sup_ses_account a;
    SCRIPT(w, {.body = account_body});
    assert_int_equal(sup_ses_get_account(w->aws, &a, NULL, &w->e, &w->err), SUP_OK);
    assert_true(a.sending_enabled);
    assert_false(a.production_access);
    assert_string_equal(a.enforcement_status, "PROBATION");
    assert_int_equal(a.suppressed_reasons, SUP_REASON_BOUNCE | SUP_REASON_COMPLAINT);
    assert_true(a.max_send_rate > 13.9 && a.max_send_rate < 14.1);
}

static void test_put_and_delete(void **state)
{
    struct aws_script *w = *state;
    SCRIPT(w, {.status = 200});
    assert_int_equal(sup_ses_put(w->aws, "Foo+x@example.com", SUP_REASON_COMPLAINT, &w->e, &w->err),
                     SUP_OK);
    assert_string_equal(w->target[0], "PUT /v2/email/suppression/addresses");
    assert_string_equal(w->body[0],
                        "{\"EmailAddress\":\"Foo+x@example.com\",\"Reason\":\"COMPLAINT\"}");
    assert_int_equal(sup_ses_delete(w->aws, "o'b/r%n+@example.com", &w->e, &w->err), SUP_OK);
    assert_string_equal(w->target[1],
                        "DELETE /v2/email/suppression/addresses/o%27b%2Fr%25n%2B%40example.com");
    int before = aws_script_calls(w);
    char longer[400];
    memset(longer, 'a', sizeof longer);
    memcpy(longer + 380, "@b.c", 5);
    assert_int_equal(sup_ses_put(w->aws, longer, SUP_REASON_BOUNCE, &w->e, &w->err), SUP_EINPUT);
    assert_int_equal(sup_ses_put(w->aws, "a@b", SUP_REASON_NONE, &w->e, &w->err), SUP_EINPUT);
    assert_int_equal(sup_ses_put(w->aws, "\xff@b", SUP_REASON_BOUNCE, &w->e, &w->err), SUP_EINPUT);
    assert_int_equal(sup_ses_delete(w->aws, "", &w->e, &w->err), SUP_EINPUT);
    assert_int_equal(sup_ses_delete(w->aws, "..", &w->e, &w->err), SUP_EINPUT);
    assert_int_equal(aws_script_calls(w), before);
}

static void test_get(void **state)
{
    struct aws_script *w = *state;
    struct sup_ses_list l;
    SCRIPT(w,
           {.body = "{\"SuppressedDestination\":{\"EmailAddress\":\"A@b.c\",\"Reason\":\"BOUNCE\","
                    "\"LastUpdateTime\":1644413765.844,\"Attributes\":{\"MessageId\":\"m\","
                    "\"FeedbackId\":\"f\"}}}"});
    assert_int_equal(sup_ses_get(w->aws, "A@b.c", &l, NULL, &w->e, &w->err), SUP_OK);
    assert_int_equal(l.n, 1);
    assert_string_equal(l.items[0].address, "A@b.c");
    assert_int_equal(l.items[0].reason, SUP_REASON_BOUNCE);
    assert_int_equal(l.items[0].last_update_ms, 1644413765844);
    assert_string_equal(l.items[0].feedback_id, "f");
    sup_ses_list_fini(&l);
    SCRIPT(w, {.status = 404, .headers = "x-amzn-errortype: NotFoundException\r\n"});
    assert_int_equal(sup_ses_get(w->aws, "A@b.c", &l, NULL, &w->e, &w->err), SUP_ENOTFOUND);
    assert_int_equal(l.n, 0);
}

static void test_list(void **state)
{
    struct aws_script *w = *state;
    struct sup_ses_list l;
    struct sup_ses_list_query q = {.reasons = SUP_REASON_BOUNCE | SUP_REASON_COMPLAINT,
                                   .start_ms = 1735689600123,
                                   .next_token = "a+b/c==",
                                   .page_size = 1000};
    SCRIPT(w,
           {.body = "{\"SuppressedDestinationSummaries\":["
                    "{\"EmailAddress\":\"a@b.c\",\"Reason\":\"BOUNCE\",\"LastUpdateTime\":1.5},"
                    "{\"EmailAddress\":\"d@b.c\",\"Reason\":\"NEWS\","
                    "\"LastUpdateTime\":\"2022-02-09T13:36:05.844000+00:00\"}],"
                    "\"NextToken\":\"AY/+=\"}"},
           {.body = "{\"SuppressedDestinationSummaries\":[]}"});
    assert_int_equal(sup_ses_list_page(w->aws, &q, &l, &w->e, &w->err), SUP_OK);
    assert_string_equal(
        w->target[0], "GET /v2/email/suppression/addresses?NextToken=a%2Bb%2Fc%3D%3D&PageSize=1000"
                      "&Reason=BOUNCE&Reason=COMPLAINT&StartDate=2025-01-01T00%3A00%3A00.123Z");
    assert_int_equal(l.n, 2);
    assert_int_equal(l.items[0].last_update_ms, 1500);
    assert_int_equal(l.items[1].last_update_ms, 1644413765844);
    assert_int_equal(l.items[1].reason, SUP_REASON_NONE);
    assert_string_equal(l.next_token, "AY/+=");
    sup_ses_list_fini(&l);
    q = (struct sup_ses_list_query){0};
    assert_int_equal(sup_ses_list_page(w->aws, &q, &l, &w->e, &w->err), SUP_OK);
    assert_string_equal(w->target[1], "GET /v2/email/suppression/addresses");
    assert_int_equal(l.n, 0);
    assert_null(l.next_token);
    sup_ses_list_fini(&l);
}

/* The published model says which operations exist, with which method, path and query names. */
static void test_requests_agree_with_the_service_model(void **state)
{
    (void)state;
    static const struct {
        const char *op, *method, *uri;
    } ours[] = {
        {"PutSuppressedDestination", "PUT", "/v2/email/suppression/addresses"},
        {"GetSuppressedDestination", "GET", "/v2/email/suppression/addresses/{EmailAddress}"},
        {"DeleteSuppressedDestination", "DELETE", "/v2/email/suppression/addresses/{EmailAddress}"},
        {"ListSuppressedDestinations", "GET", "/v2/email/suppression/addresses"},
        {"GetAccount", "GET", "/v2/email/account"},
    };
    const char *p = fixture_path("suppression/sesv2-model-suppression-subset.json");
    if (p == NULL || !fixture_exists(p))
        skip();
    json_t *d = fixture_json(p);
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        json_t *h =
            json_object_get(json_object_get(json_object_get(d, "operations"), ours[i].op), "http");
        assert_string_equal(json_string_value(json_object_get(h, "method")), ours[i].method);
        assert_string_equal(json_string_value(json_object_get(h, "requestUri")), ours[i].uri);
    }
    json_t *members = json_object_get(
        json_object_get(json_object_get(d, "shapes"), "ListSuppressedDestinationsRequest"),
        "members");
    static const char *const names[][2] = {{"Reasons", "Reason"},
                                           {"StartDate", "StartDate"},
                                           {"EndDate", "EndDate"},
                                           {"NextToken", "NextToken"},
                                           {"PageSize", "PageSize"}};
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(json_string_value(json_object_get(json_object_get(members, names[i][0]),
                                                              "locationName")),
                            names[i][1]);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(d, "metadata"), "signingName")),
        sup_aws_signing_name(SUP_AWS_SESV2));
    json_decref(d);
}

/* ---- SQS ---- */

static void test_receive(void **state)
{
    struct aws_script *w = *state;
    struct sup_sqs_batch b;
    struct sup_sqs_receive req = {
        .queue_url = w->queue, .max_messages = 10, .wait_s = 1, .visibility_timeout_s = 60};
    SCRIPT(
        w,
        {.body =
             "{\"Messages\":[{\"MessageId\":\"i\",\"ReceiptHandle\":\"h\",\"Body\":\"a\\u0000b\","
             "\"Attributes\":{\"SentTimestamp\":\"1520621625029\","
             "\"ApproximateReceiveCount\":\"3\"}},"
             "{\"MessageId\":\"j\",\"ReceiptHandle\":\"k\",\"Body\":\"\"}]}"},
        {.body = "{}"});
    assert_int_equal(sup_sqs_receive(w->aws, &req, &b, &w->e, &w->err), SUP_OK);
    assert_int_equal(b.n, 2);
    assert_string_equal(b.messages[0].id, "i");
    assert_string_equal(b.messages[0].receipt_handle, "h");
    assert_int_equal(b.messages[0].body_n, 3);
    assert_memory_equal(b.messages[0].body, "a\0b", 3);
    assert_int_equal(b.messages[0].sent_ms, 1520621625029);
    assert_int_equal(b.messages[0].receive_count, 3);
    assert_int_equal(b.messages[1].body_n, 0);
    assert_int_equal(b.messages[1].sent_ms, 0);
    sup_sqs_batch_fini(&b);
    assert_string_equal(w->target[0], "POST /");
    assert_non_null(strcasestr(w->headers[0], "x-amz-target: AmazonSQS.ReceiveMessage\r\n"));
    assert_non_null(strcasestr(w->headers[0], "content-type: application/x-amz-json-1.0\r\n"));
    assert_non_null(strcasestr(w->headers[0], "x-amzn-query-mode: true\r\n"));
    assert_non_null(strcasestr(w->headers[0], "/eu-west-1/sqs/aws4_request"));
    assert_non_null(strstr(w->body[0], "\"WaitTimeSeconds\":1"));
    assert_non_null(strstr(w->body[0], "\"VisibilityTimeout\":60"));
    assert_int_equal(sup_sqs_receive(w->aws, &req, &b, &w->e, &w->err), SUP_OK);
    assert_int_equal(b.n, 0);
    sup_sqs_batch_fini(&b);
    req.max_messages = 11;
    assert_int_equal(sup_sqs_receive(w->aws, &req, &b, &w->e, &w->err), SUP_EINPUT);
}

static void test_batches(void **state)
{
    struct aws_script *w = *state;
    struct sup_sqs_entry e[4] = {{.receipt_handle = "a"},
                                 {.receipt_handle = "b"},
                                 {.receipt_handle = "c"},
                                 {.receipt_handle = "d"}};
    SCRIPT(w, {.body = "{\"Successful\":[{\"Id\":\"0\"}],\"Failed\":["
                       "{\"Id\":\"1\",\"SenderFault\":true,\"Code\":\"ReceiptHandleIsInvalid\"},"
                       "{\"Id\":\"2\",\"SenderFault\":false,\"Code\":\"InternalError\"}]}"});
    assert_int_equal(sup_sqs_delete_batch(w->aws, w->queue, e, 4, &w->e, &w->err), SUP_OK);
    assert_int_equal(e[0].result, SUP_OK);
    assert_int_equal(e[1].result, SUP_EINPUT);
    assert_string_equal(e[1].code, "ReceiptHandleIsInvalid");
    assert_int_equal(e[2].result, SUP_EAGAIN);
    assert_int_equal(e[3].result, SUP_EAGAIN); /* not mentioned: not known to be done */
    SCRIPT(w, {.body = "{\"Successful\":[{\"Id\":\"9\"}]}"});
    assert_int_equal(sup_sqs_delete_batch(w->aws, w->queue, e, 4, &w->e, &w->err), SUP_ECORRUPT);
    assert_int_equal(e[0].result, SUP_ECORRUPT);
    e[0].visibility_timeout_s = 30;
    SCRIPT(w, {.body = "{\"Successful\":[{\"Id\":\"0\"}]}"});
    assert_int_equal(sup_sqs_change_visibility_batch(w->aws, w->queue, e, 1, &w->e, &w->err),
                     SUP_OK);
    assert_non_null(strstr(w->body[0], "\"VisibilityTimeout\":30"));
    assert_int_equal(e[0].result, SUP_OK);
    assert_int_equal(sup_sqs_delete_batch(w->aws, w->queue, e, 0, &w->e, &w->err), SUP_EINPUT);
    assert_int_equal(sup_sqs_delete_batch(w->aws, w->queue, e, 11, &w->e, &w->err), SUP_EINPUT);
}

static void test_queue_attributes(void **state)
{
    struct aws_script *w = *state;
    struct sup_sqs_attributes a;
    char *url = NULL;
    SCRIPT(w,
           {.body = "{\"Attributes\":{\"ApproximateNumberOfMessages\":\"12\","
                    "\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":\\\"x\\\"}\"}}"},
           {.body = "{\"QueueUrl\":\"https://q\"}"},
           {.status = 400, .body = "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\"}"});
    assert_int_equal(sup_sqs_get_attributes(w->aws, w->queue, &a, &w->e, &w->err), SUP_OK);
    assert_int_equal(a.visible, 12);
    assert_true(a.has_dead_letter_queue);
    assert_int_equal(sup_sqs_get_queue_url(w->aws, "q", &url, &w->e, &w->err), SUP_OK);
    assert_string_equal(url, "https://q");
    free(url);
    assert_int_equal(sup_sqs_get_queue_url(w->aws, "q", &url, &w->e, &w->err), SUP_ENOTFOUND);
    assert_int_equal(sup_sqs_queue_url_check("http://queue.example/1/q", false, &w->err),
                     SUP_EINPUT);
    assert_int_equal(sup_sqs_queue_url_check("https://queue.example", false, &w->err), SUP_EINPUT);
    assert_int_equal(sup_sqs_queue_url_check("http://127.0.0.1:1/1/q", false, &w->err), SUP_OK);
}

/* ---- lies ---- */

/* Every operation once; each must come back with a known code and clean objects. */
static void all_operations(struct aws_script *w, int *ok)
{
    struct sup_sqs_batch b;
    struct sup_ses_list l;
    struct sup_ses_account a;
    struct sup_sqs_attributes qa;
    struct sup_sqs_entry e[2] = {{.receipt_handle = "a"}, {.receipt_handle = "b"}};
    struct sup_sqs_receive req = {
        .queue_url = w->queue, .max_messages = 10, .visibility_timeout_s = -1};
    struct sup_ses_list_query q = {0};
    char *url = NULL;
    *ok += sup_sqs_receive(w->aws, &req, &b, &w->e, &w->err) == SUP_OK;
    assert_true(b.n <= SUP_SQS_BATCH_MAX);
    sup_sqs_batch_fini(&b);
    *ok += sup_ses_list_page(w->aws, &q, &l, &w->e, &w->err) == SUP_OK;
    sup_ses_list_fini(&l);
    *ok += sup_ses_get(w->aws, "a@b.c", &l, NULL, &w->e, &w->err) == SUP_OK;
    sup_ses_list_fini(&l);
    *ok += sup_ses_get_account(w->aws, &a, NULL, &w->e, &w->err) == SUP_OK;
    *ok += sup_sqs_delete_batch(w->aws, w->queue, e, 2, &w->e, &w->err) == SUP_OK;
    *ok += sup_sqs_get_attributes(w->aws, w->queue, &qa, &w->e, &w->err) == SUP_OK;
    *ok += sup_sqs_get_queue_url(w->aws, "q", &url, &w->e, &w->err) == SUP_OK;
    free(url);
}

static void test_lying_replies(void **state)
{
    struct aws_script *w = *state;
    static const char *const bodies[] = {
        "",
        "{",
        "[]",
        "null",
        "\"x\"",
        "{}x",
        "{\"Messages\":{}}",
        "{\"Messages\":[1]}",
        "{\"Messages\":[{\"MessageId\":1,\"ReceiptHandle\":\"h\",\"Body\":\"b\"}]}",
        "{\"Messages\":[{\"MessageId\":\"a\\u0000\",\"ReceiptHandle\":\"h\",\"Body\":\"b\"}]}",
        "{\"Messages\":[{\"MessageId\":\"a\",\"ReceiptHandle\":\"h\",\"Body\":\"b\","
        "\"Attributes\":{\"SentTimestamp\":5}}]}",
        "{\"Messages\":[{},{},{},{},{},{},{},{},{},{},{}]}",
        "{\"SuppressedDestinationSummaries\":[{\"EmailAddress\":5}]}",
        "{\"SuppressedDestinationSummaries\":\"x\",\"NextToken\":3}",
        "{\"SuppressedDestination\":{\"EmailAddress\":\"a\",\"Reason\":\"BOUNCE\","
        "\"LastUpdateTime\":-1}}",
        "{\"SuppressedDestination\":{\"EmailAddress\":\"a\",\"Reason\":\"BOUNCE\","
        "\"LastUpdateTime\":1e300}}",
        "{\"SendingEnabled\":\"true\",\"ProductionAccessEnabled\":1}",
        "{\"QueueUrl\":7}",
        "{\"Attributes\":{\"VisibilityTimeout\":\"-5\"}}",
        "{\"Successful\":[{\"Id\":0}]}",
        "\xff\xfe{}"};
    aws_script_open(w, 1, 5000);
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        int ok = 0;
        SCRIPT(w, {.body = bodies[i]});
        all_operations(w, &ok);
        if (ok > 1) /* to ReceiveMessage any object without messages is an empty queue */
            fail_msg("%s: %d operations believed it", bodies[i], ok);
    }
}

static void test_random_replies(void **state)
{
    struct aws_script *w = *state;
    static const char seeds[][200] = {
        "{\"Messages\":[{\"MessageId\":\"i\",\"ReceiptHandle\":\"h\",\"Body\":\"b\","
        "\"Attributes\":{\"SentTimestamp\":\"1\"}}]}",
        "{\"SuppressedDestinationSummaries\":[{\"EmailAddress\":\"a@b\",\"Reason\":\"BOUNCE\","
        "\"LastUpdateTime\":1}],\"NextToken\":\"x\"}",
        "{\"Successful\":[{\"Id\":\"0\"}],\"Failed\":[{\"Id\":\"1\",\"SenderFault\":true}]}"};
    struct sup_rng rng;
    uint64_t seed = sup_random_u64();
    char text[200];
    printf("seed %llu\n", (unsigned long long)seed);
    sup_rng_seed(&rng, seed);
    aws_script_open(w, 1, 5000);
    for (int i = 0; i < 150; i++) {
        int ok = 0;
        memcpy(text, seeds[sup_rng_below(&rng, 3)], sizeof text);
        size_t n = strlen(text);
        for (int k = 0; k < 3; k++)
            text[sup_rng_below(&rng, n)] = "{}[]\",:0x\\"[sup_rng_below(&rng, 10)];
        text[sup_rng_below(&rng, n + 1)] = '\0';
        SCRIPT(w, {.status = sup_rng_below(&rng, 4) == 0 ? 400 : 200, .body = text});
        all_operations(w, &ok);
    }
}

static void test_truncated_and_endless_replies(void **state)
{
    struct aws_script *w = *state;
    aws_script_open(w, 1, 5000);
    SCRIPT(w, {.body = account_body, .fault = PEER_TRUNCATE});
    assert_int_equal(get_account(w), SUP_EIO);
    char *big = malloc((17u << 20) + 1);
    memset(big, ' ', 17u << 20);
    big[17u << 20] = '\0';
    SCRIPT(w, {.body = big});
    assert_int_equal(get_account(w), SUP_ELIMIT);
    free(big);
}

/* ---- making a client ---- */

static const char *vars_lookup(void *arg, const char *name)
{
    return json_string_value(json_object_get(arg, name));
}

static int try_new(json_t *vars, const char *region, const char *endpoint, struct sup_err *err)
{
    struct sup_aws_env env = {.getenv = vars_lookup, .getenv_arg = vars};
    struct sup_aws_options o = {.region = region, .endpoint_url = endpoint, .env = &env};
    struct sup_aws *a = NULL;
    int rc = sup_aws_new(&a, &o, err);
    sup_aws_free(a);
    json_decref(vars);
    return rc;
}

static void test_bad_configuration_is_refused(void **state)
{
    (void)state;
    struct sup_err err = {0};
    assert_int_equal(try_new(json_object(), NULL, NULL, &err), SUP_EINPUT);
    assert_non_null(strstr(err.msg, "no Region"));
    assert_int_equal(try_new(json_object(), "EU!", NULL, &err), SUP_EINPUT);
    assert_int_equal(try_new(json_object(), "eu-west-1", "http://example.com", &err), SUP_EINPUT);
    assert_int_equal(try_new(json_pack("{s:s}", "AWS_MAX_ATTEMPTS", "many"), "r", NULL, &err),
                     SUP_EINPUT);
    assert_int_equal(try_new(json_pack("{s:s}", "AWS_MAX_ATTEMPTS", "0"), "r", NULL, &err),
                     SUP_EINPUT);
    assert_int_equal(try_new(json_pack("{s:s}", "AWS_MAX_ATTEMPTS", "-1"), "r", NULL, &err),
                     SUP_EINPUT);
    assert_int_equal(try_new(json_pack("{s:s}", "AWS_RETRY_MODE", "wild"), "r", NULL, &err),
                     SUP_EINPUT);
    assert_int_equal(try_new(json_pack("{s:s}", "AWS_RETRY_MODE", "standard"), "r", NULL, &err),
                     SUP_OK);
}

static void test_xml_text(void **state)
{
    (void)state;
    static const struct {
        const char *xml, *name, *want; /* NULL: not there */
    } cases[] = {
        {"<a><Code>x</Code></a>", "Code", "x"},
        {"<a><n:Code q=\"1\">x&amp;&lt;&#65;&#x42;&#0;</n:Code></a>", "Code", "x&<AB\xef\xbf\xbd"},
        {"<Codes>y</Codes><Code/>", "Code", ""},
        {"<Code>cut", "Code", NULL},
        {"<Code", "Code", NULL},
        {"", "Code", NULL},
        {"<><<>>", "Code", NULL},
        {"<Code>a&bogus;&", "Code", NULL},
        {"<Code>a&bogus;b</Code>", "Code", "a&bogus;b"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sup_buf out;
        sup_buf_init(&out, 1000);
        bool found = sup_xml_text(sup_slice_str(cases[i].xml), cases[i].name, &out);
        assert_int_equal(found, cases[i].want != NULL);
        if (found)
            assert_string_equal(sup_buf_str(&out), cases[i].want);
        sup_buf_fini(&out);
    }
}

int main(void)
{
#define WITH_PEER(t) cmocka_unit_test_setup_teardown(t, aws_script_setup, aws_script_teardown)
    const struct CMUnitTest tests[] = {
        WITH_PEER(test_passing_trouble_is_repeated),
        WITH_PEER(test_attempts_have_an_end),
        WITH_PEER(test_the_callers_rate_control_sees_each_throttle),
        WITH_PEER(test_mistakes_are_not_repeated),
        WITH_PEER(test_attempt_deadline),
        WITH_PEER(test_stop_ends_the_long_poll_and_the_back_off),
        WITH_PEER(test_clock_skew_is_corrected_for_signing),
        WITH_PEER(test_expired_token_is_renewed_once),
        WITH_PEER(test_signed_headers),
        WITH_PEER(test_connections_are_reused),
        WITH_PEER(test_account),
        WITH_PEER(test_put_and_delete),
        WITH_PEER(test_get),
        WITH_PEER(test_list),
        cmocka_unit_test(test_requests_agree_with_the_service_model),
        WITH_PEER(test_receive),
        WITH_PEER(test_batches),
        WITH_PEER(test_queue_attributes),
        WITH_PEER(test_lying_replies),
        WITH_PEER(test_random_replies),
        WITH_PEER(test_truncated_and_endless_replies),
        cmocka_unit_test(test_bad_configuration_is_refused),
        cmocka_unit_test(test_xml_text),
    };
    return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
