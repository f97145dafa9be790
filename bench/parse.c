/* How many events are read and classified in a second of one core's time, beside what simdjson
 * alone takes for the same two documents (outer and Message).
 *
 *   bench_parse [seconds-per-case [FILE]]
 *
 * FILE: an SQS body to use instead of the built-in 2 kB SNS-wrapped bounce. Prints a table and one
 * line of JSON. */
#include "core/classify.h"
#include "core/event_read.h"
#include "core/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct bench {
    struct sup_slice body;    /* as SQS delivers it */
    struct sup_slice message; /* the SES event in it */
    struct sup_event_reader *reader;
    struct sup_json_parser *outer, *inner;
    struct sup_verdicts verdicts;
    struct sup_event event;
};

static void must(int rc, const char *what)
{
    if (rc != SUP_OK) {
        fprintf(stderr, "%s: %s\n", what, sup_code_name(rc));
        exit(EXIT_FAILURE);
    }
}

/* --- the document --- */

static void add_headers(struct sup_buf *b)
{
    static const char *const names[] = {"From",         "To",           "Subject",
                                        "MIME-Version", "Content-Type", "Message-ID"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        sup_buf_addf(b, "%s{\"name\":\"%s\",\"value\":\"value %zu of a header of usual length\"}",
                     i > 0 ? "," : "", names[i], i);
}

static void make_event(struct sup_buf *b)
{
    sup_buf_add_str(
        b, "{\"eventType\":\"Bounce\",\"bounce\":{\"bounceType\":\"Permanent\","
           "\"bounceSubType\":\"General\",\"bouncedRecipients\":[{\"emailAddress\":"
           "\"recipient@example.com\",\"action\":\"failed\",\"status\":\"5.1.1\","
           "\"diagnosticCode\":\"smtp; 550 5.1.1 user unknown\"}],\"timestamp\":"
           "\"2026-08-05T00:41:02.669Z\",\"feedbackId\":\"01000157c44f053b-61b59c11-9236-"
           "11e6-8f96-7be8aexample-000000\",\"reportingMTA\":\"dsn; mta.example.com\"},"
           "\"mail\":{\"timestamp\":\"2026-08-05T00:40:02.012Z\",\"source\":\"Sender Name "
           "<sender@example.com>\",\"sourceArn\":\"arn:aws:ses:us-east-1:123456789012:"
           "identity/sender@example.com\",\"sendingAccountId\":\"123456789012\","
           "\"messageId\":\"EXAMPLE7c191be45-e9aedb9a-02f9-4d12-a87d-dd0099a07f8a-000000\","
           "\"destination\":[\"recipient@example.com\"],\"headersTruncated\":false,"
           "\"headers\":[");
    add_headers(b);
    sup_buf_add_str(b,
                    "],\"commonHeaders\":{\"from\":[\"Sender Name <sender@example.com>\"],\"to\":["
                    "\"recipient@example.com\"],\"subject\":\"Message sent from Amazon SES\"},"
                    "\"tags\":{\"ses:configuration-set\":[\"ConfigSet\"],\"ses:source-ip\":["
                    "\"192.0.2.0\"],\"ses:from-domain\":[\"example.com\"]}}}");
}

static void make_body(struct sup_slice message, struct sup_buf *b)
{
    sup_buf_add_str(b, "{\"Type\":\"Notification\",\"MessageId\":\"165545c9-2a5c-472c-8df2-"
                       "7ff2be2b3b1b\",\"TopicArn\":\"arn:aws:sns:us-east-1:123456789012:ses\","
                       "\"Message\":\"");
    for (size_t i = 0; i < message.n; i++) {
        if (message.p[i] == '"' || message.p[i] == '\\')
            sup_buf_add_byte(b, '\\');
        sup_buf_add_byte(b, message.p[i]);
    }
    sup_buf_add_str(b, "\",\"Timestamp\":\"2026-08-05T00:41:03.000Z\",\"SignatureVersion\":\"1\","
                       "\"Signature\":\"");
    for (size_t i = 0; i < 344; i++)
        sup_buf_add_byte(b, 'x');
    sup_buf_add_str(b, "\",\"SigningCertURL\":\"https://sns.us-east-1.amazonaws.com/"
                       "SimpleNotificationService-0.pem\"}");
}

static void read_file(const char *path, struct sup_buf *b)
{
    char chunk[4096];
    size_t n;
    FILE *f = fopen(path, "rb");

    if (f == NULL) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        sup_buf_add(b, chunk, n);
    fclose(f);
}

/* --- the cases --- */

static int find_message(void *ctx, struct sup_slice key, struct sup_json_value *v)
{
    struct bench *b = ctx;

    if (v->type == SUP_JSON_OBJECT && key.n == 0)
        return sup_json_each(v, (struct sup_json_sink){find_message, ctx});
    if (key.n == 7 && memcmp(key.p, "Message", 7) == 0 && v->type == SUP_JSON_STRING)
        b->message = sup_json_string(v);
    return SUP_OK;
}

static int ignore(void *ctx, struct sup_slice key, struct sup_json_value *v)
{
    (void)ctx;
    (void)key;
    (void)v;
    return SUP_OK;
}

static void parse_only(struct bench *b)
{
    const struct sup_json_sink sink = {ignore, NULL};

    must(sup_json_walk(&sup_json_simdjson, b->outer, b->body, sink, NULL), "parse");
    must(sup_json_walk(&sup_json_simdjson, b->inner, b->message, sink, NULL), "parse");
}

static void read_event(struct bench *b)
{
    must(sup_event_read(b->reader, b->body, &b->event, NULL), "read");
}

static void read_bare_event(struct bench *b)
{
    must(sup_event_read(b->reader, b->message, &b->event, NULL), "read");
}

static void classify(struct bench *b)
{
    const struct sup_classify_context ctx = {.now_ms = INT64_C(1800000000000),
                                             .sent_ms = SUP_NO_TIME};

    must(sup_classify(&b->event, &ctx, &b->verdicts), "classify");
}

static void read_and_classify(struct bench *b)
{
    read_event(b);
    classify(b);
}

static const struct {
    const char *name;
    const char *what;
    void (*run)(struct bench *b);
} cases[] = {
    {"simdjson", "simdjson only: outer document and Message, nothing taken", parse_only},
    {"read_bare", "sup_event_read, bare SES event", read_bare_event},
    {"read_sns", "sup_event_read, SNS-wrapped", read_event},
    {"classify", "sup_classify only", classify},
    {"read_classify", "sup_event_read, SNS-wrapped, and sup_classify", read_and_classify},
};

/* CPU time, so that other work on the machine blurs the figures less. */
static int64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static double rate(struct bench *b, void (*run)(struct bench *), double seconds)
{
    const int64_t start = cpu_ns(), stop = start + (int64_t)(seconds * 1e9);
    int64_t now = start;
    uint64_t n = 0;

    read_event(b);
    while (now < stop) {
        for (int i = 0; i < 1000; i++)
            run(b);
        n += 1000;
        now = cpu_ns();
    }
    return (double)n * 1e9 / (double)(now - start);
}

static void run_all(struct bench *b, double seconds)
{
    double rates[sizeof(cases) / sizeof(cases[0])];
    const size_t n_cases = sizeof(cases) / sizeof(cases[0]);

    printf("body %zu bytes, SES event %zu bytes\n", b->body.n, b->message.n);
    for (size_t i = 0; i < n_cases; i++) {
        rates[i] = rate(b, cases[i].run, seconds);
        printf("%12.0f /s  %8.1f ns  %s\n", rates[i], 1e9 / rates[i], cases[i].what);
    }
    printf("{\"bench\":\"parse\",\"body_bytes\":%zu", b->body.n);
    for (size_t i = 0; i < n_cases; i++)
        printf(",\"%s_per_s\":%.0f", cases[i].name, rates[i]);
    printf("}\n");
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 2.0;
    struct bench b = {0};
    struct sup_buf event, body;

    sup_buf_init(&event, SUP_EVENT_BODY_MAX);
    sup_buf_init(&body, SUP_EVENT_BODY_MAX);
    make_event(&event);
    if (argc > 2)
        read_file(argv[2], &body);
    else
        make_body(sup_buf_slice(&event), &body);
    b.body = sup_buf_slice(&body);
    b.reader = sup_event_reader_new();
    b.outer = sup_json_simdjson.new_parser(SUP_EVENT_BODY_MAX);
    b.inner = sup_json_simdjson.new_parser(SUP_EVENT_BODY_MAX);
    if (b.reader == NULL || b.outer == NULL || b.inner == NULL)
        must(SUP_ENOMEM, "start");
    must(sup_json_walk(&sup_json_simdjson, b.outer, b.body,
                       (struct sup_json_sink){find_message, &b}, NULL),
         "body");
    sup_buf_reset(&event); /* the outer parser's strings go with its next walk */
    sup_buf_add_slice(&event, b.message);
    b.message = sup_buf_slice(&event);
    run_all(&b, seconds);
    sup_event_reader_free(b.reader);
    sup_json_simdjson.free_parser(b.outer);
    sup_json_simdjson.free_parser(b.inner);
    sup_verdicts_fini(&b.verdicts);
    sup_buf_fini(&event);
    sup_buf_fini(&body);
    return EXIT_SUCCESS;
}
