/* Rates: what counts, in which window, and when a threshold is passed. */
#include "base/array.h"
#include "codec/rate_counts.h"
#include "core/event_read.h"
#include "core/rates.h"
#include "property.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- what counts --- */

static void add_item(void *arg, const struct sup_rate_item *item)
{
    static const char *const names[SUP_N_RATE_WHATS] = {"send", "bounce", "complaint", "global",
                                                        "soft", "echo",   "simulator", "other"};
    struct sup_buf *out = arg;

    sup_buf_addf(out, "%s%s %u %.*s;", names[item->what], item->global ? "+global" : "", item->n,
                 (int)item->domain.n, item->domain.n > 0 ? (const char *)item->domain.p : "");
}

static void check(const char *body, bool ignore_global, const char *want)
{
    struct sup_event_reader *r = sup_event_reader_new();
    struct sup_classify_policy policy = {.ignore_global_list = ignore_global};
    struct sup_classify_context ctx = {
        .now_ms = 1800000000000, .sent_ms = SUP_NO_TIME, .policy = &policy};
    struct sup_verdicts vs = {0};
    struct sup_event event;
    struct sup_err err = {0};
    struct sup_buf out;

    sup_buf_init(&out, 4096);
    if (sup_event_read(r, sup_slice_str(body), &event, &err) != SUP_OK)
        fail_msg("%s: %s", body, err.msg);
    assert_int_equal(sup_classify(&event, &ctx, &vs), SUP_OK);
    sup_rates_of(&event, &vs, add_item, &out);
    assert_string_equal(sup_buf_str(&out), want);
    sup_buf_fini(&out);
    sup_verdicts_fini(&vs);
    sup_event_reader_free(r);
}

#define BOUNCE(type, sub, to)                                                                      \
    "{\"eventType\":\"Bounce\",\"mail\":{\"messageId\":\"m\",\"destination\":[" to "]},"           \
    "\"bounce\":{\"bounceType\":\"" type "\",\"bounceSubType\":\"" sub                             \
    "\",\"feedbackId\":\"f\",\"bouncedRecipients\":[{\"emailAddress\":" to                         \
    ",\"status\":\"5.1.1\"}]}}"
#define COMPLAINT(kind, sub)                                                                       \
    "{\"eventType\":\"Complaint\",\"mail\":{\"messageId\":\"m\",\"destination\":[\"a@x.example\"," \
    "\"b@x.example\"]},\"complaint\":{\"complaintFeedbackType\":" kind                             \
    ",\"complaintSubType\":" sub ",\"feedbackId\":\"f\",\"complainedRecipients\":["                \
    "{\"emailAddress\":\"a@x.example\"},{\"emailAddress\":\"b@x.example\"}]}}"

static void test_what_counts(void **state)
{
    (void)state;
    /* A message to n recipients is n sends; the simulator's are none. */
    check("{\"eventType\":\"Send\",\"mail\":{\"destination\":[\"a@x.example\",\"N <b@Y.example>\","
          "\"success@simulator.amazonses.com\"]}}",
          false, "send 1 x.example;send 1 Y.example;simulator 1 simulator.amazonses.com;");
    check(BOUNCE("Permanent", "General", "\"a@x.example\""), false, "bounce 1 x.example;");
    check(BOUNCE("Permanent", "NewSubType", "\"a@x.example\""), false, "bounce 1 x.example;");
    check(BOUNCE("Permanent", "Suppressed", "\"a@x.example\""), false,
          "bounce+global 1 x.example;");
    /* What our policy makes of it is nothing to SES. */
    check(BOUNCE("Permanent", "Suppressed", "\"a@x.example\""), true, "bounce+global 1 x.example;");
    check(BOUNCE("Permanent", "OnAccountSuppressionList", "\"a@x.example\""), false,
          "echo 1 x.example;");
    check(BOUNCE("Permanent", "OnTenantSuppressionList", "\"a@x.example\""), false,
          "echo 1 x.example;");
    check(BOUNCE("Transient", "MailboxFull", "\"a@x.example\""), false, "soft 1 x.example;");
    check(BOUNCE("Permanent", "EmailValidationSuppressed", "\"a@x.example\""), false,
          "other 1 x.example;");
    check(BOUNCE("Permanent", "General", "\"bounce@simulator.amazonses.com\""), false,
          "simulator 1 simulator.amazonses.com;");
    /* One report is one complaint. */
    check(COMPLAINT("\"abuse\"", "null"), false, "complaint 1 x.example;");
    check(COMPLAINT("\"not-spam\"", "null"), false, "other 1 x.example;");
    check(COMPLAINT("\"auth-failure\"", "null"), false, "other 1 x.example;");
    check(COMPLAINT("null", "\"OnAccountSuppressionList\""), false, "echo 1 x.example;");
    /* Of an address that the mail was not sent to: still a bounce, or still a soft one. */
    check("{\"eventType\":\"Bounce\",\"mail\":{\"destination\":[\"a@x.example\",\"b@x.example\"]},"
          "\"bounce\":{\"bounceType\":\"Permanent\",\"bouncedRecipients\":[{\"emailAddress\":"
          "\"c@y.example\"}]}}",
          false, "bounce 1 y.example;");
    check("{\"eventType\":\"Bounce\",\"mail\":{\"destination\":[\"a@x.example\",\"b@x.example\"]},"
          "\"bounce\":{\"bounceType\":\"Transient\",\"bounceSubType\":\"MailboxFull\","
          "\"bouncedRecipients\":[{\"emailAddress\":\"c@y.example\"}]}}",
          false, "soft 1 y.example;");
    /* And one that is only late: what its own fields say counts, not the event's row. */
    check("{\"eventType\":\"Bounce\",\"mail\":{\"destination\":[\"a@x.example\",\"b@x.example\"]},"
          "\"bounce\":{\"bounceType\":\"Permanent\",\"bouncedRecipients\":[{\"emailAddress\":"
          "\"c@y.example\",\"action\":\"delayed\",\"status\":\"4.0.0\"}]}}",
          false, "soft 1 y.example;");
    check("{\"eventType\":\"Bounce\",\"mail\":{\"destination\":[\"a@x.example\",\"b@x.example\"]},"
          "\"bounce\":{\"bounceType\":\"Permanent\",\"bounceSubType\":\"Suppressed\","
          "\"bouncedRecipients\":[{\"emailAddress\":\"c@y.example\"}]}}",
          true, "bounce+global 1 y.example;");
    check("{\"eventType\":\"Delivery\",\"mail\":{\"destination\":[\"a@x.example\"]},"
          "\"delivery\":{}}",
          false, "");
    check("{\"eventType\":\"Open\",\"mail\":{\"destination\":[\"a@x.example\"]},\"open\":{}}",
          false, "");
}

static void test_domains_and_identities(void **state)
{
    static const struct {
        const char *address;
        const char *domain;
    } cases[] = {
        {"a@x.example", "x.example"},
        {"N <a@x.example>", "x.example"},
        {"\"a@b\"@x.example", "x.example"},
        {"nobody", ""},
        {"", ""},
        {"a@", ""},
    };
    struct sup_event e = {.source = sup_slice_str("S <s@mail.example>")};

    (void)state;
    for (size_t i = 0; i < SUP_COUNT(cases); i++) {
        struct sup_slice d = sup_rates_domain(sup_slice_str(cases[i].address));
        assert_true(sup_slice_eq(d, sup_slice_str(cases[i].domain)));
    }
    assert_true(sup_slice_eq(sup_rates_identity(&e), SUP_SLICE_LIT("mail.example")));
    e.source_arn = sup_slice_str("arn:aws:ses:eu-west-1:123456789012:identity/example.com");
    assert_true(sup_slice_eq(sup_rates_identity(&e), SUP_SLICE_LIT("example.com")));
}

static void test_minutes(void **state)
{
    struct sup_classify_context ctx = {.now_ms = 10 * 60000, .sent_ms = SUP_NO_TIME};
    struct sup_event e = {.type = SUP_EVENT_SEND,
                          .event_ms = SUP_NO_TIME,
                          .envelope_ms = 9 * 60000,
                          .mail_ms = 3 * 60000 + 59999};

    (void)state;
    assert_int_equal(sup_rates_minute(&e, &ctx), 3);
    e.type = SUP_EVENT_BOUNCE;
    e.event_ms = 7 * 60000; /* late events land in their own minute */
    assert_int_equal(sup_rates_minute(&e, &ctx), 7);
    e.event_ms = 99 * 60000; /* and those from the future in none that is not there yet */
    assert_int_equal(sup_rates_minute(&e, &ctx), 9);
    e.event_ms = -5;
    assert_int_equal(sup_rates_minute(&e, &ctx), 0);
}

/* --- windows --- */

static void test_windows(void **state)
{
    struct sup_rate_view v = {0};
    struct sup_rate_counts c = {{600, 6}};

    (void)state;
    /* 600 sends each minute, for 3 hours. */
    for (uint32_t age = 0; age < 180; age++)
        sup_rate_view_add(&v, age, &c);
    assert_int_equal(v.window[0].n[SUP_RATE_SENDS], 60 * 600);
    assert_int_equal(v.window[1].n[SUP_RATE_SENDS], 180 * 600);
    assert_int_equal(v.window[2].n[SUP_RATE_SENDS], 180 * 600);
    assert_int_equal(v.window[3].n[SUP_RATE_SENDS], 2 * 600); /* full with the second minute */
    assert_int_equal(v.window[4].n[SUP_RATE_SENDS], 17 * 600);
    assert_int_equal(v.window[5].n[SUP_RATE_SENDS], 167 * 600);
    assert_true(sup_rate_bounces(&v.window[0]) > 0.00999 && sup_rate_bounces(&v.window[0]) < 0.011);
    v = (struct sup_rate_view){0};
    sup_rate_view_add(&v, 60, &c);
    sup_rate_view_add(&v, 24 * 60, &c);
    sup_rate_view_add(&v, SUP_RATE_MINUTES, &c);
    assert_int_equal(v.window[0].n[SUP_RATE_SENDS], 0);
    assert_int_equal(v.window[1].n[SUP_RATE_SENDS], 600);
    assert_int_equal(v.window[2].n[SUP_RATE_SENDS], 1200);
    assert_int_equal(v.window[3].n[SUP_RATE_SENDS], 1200);
}

/* --- thresholds --- */

static struct sup_rate_view view_of(uint64_t sends, uint64_t bounces, uint64_t complaints)
{
    struct sup_rate_view v = {0};
    struct sup_rate_counts c = {{sends, bounces, complaints}};

    sup_rate_view_add(&v, 100, &c);
    return v;
}

static enum sup_rate_level bounces(uint64_t of_100000, enum sup_rate_level before)
{
    struct sup_rate_view v = view_of(100000, of_100000, 0);
    return sup_rate_bounce_level(&sup_rate_default_rules, &v, before);
}

static enum sup_rate_level complaints(uint64_t of_100000, enum sup_rate_level before)
{
    struct sup_rate_view v = view_of(100000, 0, of_100000);
    return sup_rate_complaint_level(&sup_rate_default_rules, &v, before);
}

static void test_levels(void **state)
{
    (void)state;
    assert_int_equal(bounces(1999, SUP_RATE_FINE), SUP_RATE_FINE);
    assert_int_equal(bounces(2000, SUP_RATE_FINE), SUP_RATE_WATCH);
    assert_int_equal(bounces(4999, SUP_RATE_FINE), SUP_RATE_WATCH);
    assert_int_equal(bounces(5000, SUP_RATE_FINE), SUP_RATE_REVIEW);
    assert_int_equal(bounces(10000, SUP_RATE_FINE), SUP_RATE_PAUSE);
    assert_int_equal(complaints(99, SUP_RATE_FINE), SUP_RATE_FINE);
    assert_int_equal(complaints(100, SUP_RATE_FINE), SUP_RATE_REVIEW);
    assert_int_equal(complaints(499, SUP_RATE_FINE), SUP_RATE_REVIEW);
    assert_int_equal(complaints(500, SUP_RATE_FINE), SUP_RATE_PAUSE);
    /* Once reached, a level is left a good way below. */
    assert_int_equal(bounces(4500, SUP_RATE_REVIEW), SUP_RATE_REVIEW);
    assert_int_equal(bounces(3999, SUP_RATE_REVIEW), SUP_RATE_WATCH);
    assert_int_equal(bounces(1700, SUP_RATE_PAUSE), SUP_RATE_WATCH);
    assert_int_equal(bounces(1599, SUP_RATE_PAUSE), SUP_RATE_FINE);
    assert_int_equal(complaints(81, SUP_RATE_REVIEW), SUP_RATE_REVIEW);
    assert_int_equal(complaints(79, SUP_RATE_REVIEW), SUP_RATE_FINE);
}

static void test_floor(void **state)
{
    struct sup_rate_view v = view_of(99, 99, 0);

    (void)state;
    assert_int_equal(sup_rate_bounce_level(&sup_rate_default_rules, &v, SUP_RATE_FINE),
                     SUP_RATE_FINE);
    v = view_of(100, 10, 0);
    assert_int_equal(sup_rate_bounce_level(&sup_rate_default_rules, &v, SUP_RATE_FINE),
                     SUP_RATE_PAUSE);
    v = view_of(999, 0, 10);
    assert_int_equal(sup_rate_complaint_level(&sup_rate_default_rules, &v, SUP_RATE_FINE),
                     SUP_RATE_FINE);
    v = view_of(0, 5, 5);
    assert_int_equal(sup_rate_bounce_level(&sup_rate_default_rules, &v, SUP_RATE_PAUSE),
                     SUP_RATE_FINE);
}

/* A rate that moves about a threshold by less than the hysteresis crosses it once. */
static void test_no_flapping(void **state)
{
    struct sup_rng rng = property_rng("rates flapping");
    enum sup_rate_level l = SUP_RATE_FINE;
    unsigned changes = 0;

    (void)state;
    for (size_t i = 0; i < property_cases(5000); i++) {
        enum sup_rate_level now = bounces(4200 + sup_rng_below(&rng, 1600), l);
        changes += now != l && (now == SUP_RATE_REVIEW || l == SUP_RATE_REVIEW);
        l = now;
    }
    assert_true(changes <= 1);
}

/* --- stored --- */

static void test_counts_stored(void **state)
{
    struct sup_rng rng = property_rng("rate counts");
    struct sup_rate_counts c, d;
    struct sup_buf b;

    (void)state;
    sup_buf_init(&b, 1000);
    for (size_t i = 0; i < property_cases(2000); i++) {
        for (size_t k = 0; k < SUP_N_RATE_WHATS; k++)
            c.n[k] = property_edge_u64(&rng);
        sup_buf_reset(&b);
        sup_rate_counts_encode(&c, &b);
        assert_int_equal(sup_rate_counts_decode(sup_buf_slice(&b), &d), SUP_OK);
        assert_memory_equal(&c, &d, sizeof(c));
        assert_int_equal(sup_rate_counts_decode(sup_slice_of(b.p, sup_rng_below(&rng, b.n)), &d),
                         SUP_ECORRUPT);
        property_mutate(&rng, b.p, b.n);
        (void)sup_rate_counts_decode(sup_buf_slice(&b), &d);
    }
    b.p[0] = 2;
    assert_int_equal(sup_rate_counts_decode(sup_buf_slice(&b), &d), SUP_EVERSION);
    d = (struct sup_rate_counts){{UINT64_MAX - 1}};
    c = (struct sup_rate_counts){{5, 1}};
    sup_rate_counts_add(&d, &c);
    assert_true(d.n[0] == UINT64_MAX && d.n[1] == 1);
    sup_buf_fini(&b);
}

static void test_keys(void **state)
{
    struct sup_buf a, b;
    enum sup_rate_kind kind;
    struct sup_slice name;
    uint32_t minute;
    char longest[300];

    (void)state;
    sup_buf_init(&a, 1000);
    sup_buf_init(&b, 1000);
    sup_key_rate(&a, 1000, SUP_RATE_DOMAIN, SUP_SLICE_LIT("x.example"));
    assert_true(sup_key_rate_parse(sup_buf_slice(&a), &minute, &kind, &name));
    assert_true(minute == 1000 && kind == SUP_RATE_DOMAIN);
    assert_true(sup_slice_eq(name, SUP_SLICE_LIT("x.example")));
    sup_key_rate(&b, 1001, SUP_RATE_REGION, (struct sup_slice){NULL, 0});
    assert_true(sup_slice_cmp(sup_buf_slice(&a), sup_buf_slice(&b)) < 0);
    memset(longest, 'x', sizeof(longest));
    sup_buf_reset(&b);
    sup_key_rate(&b, 1, SUP_RATE_SET, sup_slice_of(longest, sizeof(longest)));
    assert_true(sup_key_rate_parse(sup_buf_slice(&b), &minute, &kind, &name));
    assert_int_equal(name.n, SUP_RATE_NAME_MAX);
    assert_false(sup_key_rate_parse(sup_slice_of("\0\0\0\1\7x", 6), &minute, &kind, &name));
    assert_false(sup_key_rate_parse(sup_slice_of("\0\0\0\1", 4), &minute, &kind, &name));
    sup_buf_fini(&a);
    sup_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_counts), cmocka_unit_test(test_domains_and_identities),
        cmocka_unit_test(test_minutes),     cmocka_unit_test(test_windows),
        cmocka_unit_test(test_levels),      cmocka_unit_test(test_floor),
        cmocka_unit_test(test_no_flapping), cmocka_unit_test(test_counts_stored),
        cmocka_unit_test(test_keys),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
