/* The event reader over two JSON readers: they must tell the same of every third-party file and of
 * thousands of damaged copies. */
#include "aws_fixture.h"
#include "base/array.h"
#include "core/classify.h"
#include "core/event_read.h"
#include "event_text.h"
#include "json_reference.h"
#include "property.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const folders[] = {"ses-events",  "sns-envelopes", "wrapped",
                                      "eventbridge", "firehose-s3",   "sns-signed"};

struct pair {
    struct sup_event_reader *fast, *plain;
    struct sup_buf a, b;
    struct sup_verdicts verdicts;
};

static void pair_init(struct pair *p)
{
    memset(p, 0, sizeof(*p));
    p->fast = sup_event_reader_new();
    p->plain = sup_event_reader_new_with(&json_reference);
    sup_buf_init(&p->a, 64 << 20);
    sup_buf_init(&p->b, 64 << 20);
}

static void pair_fini(struct pair *p)
{
    sup_event_reader_free(p->fast);
    sup_event_reader_free(p->plain);
    sup_buf_fini(&p->a);
    sup_buf_fini(&p->b);
    sup_verdicts_fini(&p->verdicts);
}

/* Whatever was read can be classified, and the verdicts keep their promises. */
static void classify_all(struct pair *p, struct sup_slice body)
{
    const struct sup_classify_context ctx = {.now_ms = INT64_C(1700000000000),
                                             .sent_ms = SUP_NO_TIME};
    struct sup_event e;
    int rc;

    sup_event_reader_begin_stream(p->fast, body);
    while ((rc = sup_event_reader_next(p->fast, &e, NULL)) != SUP_ENOTFOUND) {
        if (rc != SUP_OK)
            continue;
        assert_int_equal(sup_classify(&e, &ctx, &p->verdicts), SUP_OK);
        for (size_t i = 0; i < p->verdicts.n; i++) {
            const struct sup_event_verdict *v = &p->verdicts.v[i];
            assert_true(v->time_ms <= ctx.now_ms);
            assert_true(v->kind == SUP_VERDICT_BAD_ADDRESS || v->address.key_len > 0);
            assert_true(v->kind != SUP_VERDICT_SUPPRESS || v->n_spellings > 0);
        }
    }
}

static bool agree(struct pair *p, struct sup_slice body)
{
    bool read = false;

    for (int stream = 0; stream < 2; stream++) {
        event_text_of(p->fast, body, stream != 0, &p->a);
        event_text_of(p->plain, body, stream != 0, &p->b);
        if (!sup_slice_eq(sup_buf_slice(&p->a), sup_buf_slice(&p->b))) {
            print_message("body:\n%.*s\nfast:\n%s\nplain:\n%s\n", (int)body.n, (const char *)body.p,
                          sup_buf_str(&p->a), sup_buf_str(&p->b));
            fail();
        }
        read |= strstr(sup_buf_str(&p->a), "event ") != NULL;
    }
    classify_all(p, body);
    return read;
}

static void put(uint8_t *p, size_t *n, size_t cap, size_t at, size_t cut, const void *s, size_t len)
{
    if (at + cut > *n || *n - cut + len > cap)
        return;
    memmove(p + at + len, p + at + cut, *n - at - cut);
    memcpy(p + at, s, len);
    *n = *n - cut + len;
}

/* Offset behind a random quote, or anywhere if there are none: keys and values begin there. */
static size_t spot(struct sup_rng *rng, const uint8_t *p, size_t n)
{
    size_t at = sup_rng_below(rng, n);
    const uint8_t *q = memchr(p + at, '"', n - at);

    return q != NULL && property_chance(rng, 50) ? (size_t)(q - p) : at;
}

static void mutate(struct sup_rng *rng, uint8_t *p, size_t *n, size_t cap)
{
    static const char *const snippets[] = {
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\\\\\\\"",
        "\\u0000",
        "\\ud800",
        "\xff",
        "\xc3\xa9",
        "null",
        "1",
        "1e999",
        "-0",
        "true",
        "{}",
        "[]",
        "\"\"",
        "\n",
        " ",
        "\"mail\":{},",
        "\"bounce\":[],",
        "\"eventType\":\"Bounce\",",
        "\"Type\":\"Notification\",",
        "\"Records\":[{}],",
        "\"timestamp\":1.5,",
        "\\\"mail\\\":1,",
        "\\\"bounce\\\":{},",
        "\"detail\":{},\"detail-type\":\"x\",",
        "\"emailAddress\":\"a\",",
    };
    for (uint64_t k = 1 + sup_rng_below(rng, 2); k > 0 && *n > 0; k--) {
        size_t at = spot(rng, p, *n);
        const char *s = snippets[sup_rng_below(rng, SUP_COUNT(snippets))];
        switch (sup_rng_below(rng, 4)) {
        case 0:
            property_mutate(rng, p + at, *n - at > 8 ? 8 : *n - at);
            break;
        case 1:
            put(p, n, cap, at, sup_rng_below(rng, 12), "", 0);
            break;
        case 2:
            put(p, n, cap, at, 0, s, strlen(s));
            break;
        default: { /* a piece of itself, elsewhere: repeated and misplaced members */
            uint8_t piece[200];
            size_t from = spot(rng, p, *n), len = 1 + sup_rng_below(rng, sizeof(piece));
            if (from + len > *n)
                len = *n - from;
            memcpy(piece, p + from, len);
            put(p, n, cap, at, 0, piece, len);
        }
        }
    }
}

static void damaged_copies(struct pair *p, struct sup_rng *rng, const char *body, size_t n,
                           size_t copies, size_t *ran, size_t *read)
{
    size_t cap = n + 2000;
    uint8_t *copy = malloc(cap);

    assert_non_null(copy);
    for (size_t i = 0; i < copies; i++) {
        size_t len = n;
        memcpy(copy, body, n);
        mutate(rng, copy, &len, cap);
        *read += agree(p, sup_slice_of(copy, len));
        (*ran)++;
    }
    free(copy);
}

static void test_agree_on_fixtures_and_mutations(void **state)
{
    struct sup_rng rng = property_rng("event readers");
    struct pair p;
    size_t files = 0, ran = 0, read = 0;

    (void)state;
    if (fixture_path("ses-events") == NULL)
        skip();
    pair_init(&p);
    for (size_t i = 0; i < SUP_COUNT(folders); i++) {
        char **names = fixture_list(fixture_path("%s", folders[i]));
        for (size_t k = 0; names != NULL && names[k] != NULL; k++) {
            size_t n = 0;
            char *body = fixture_read(fixture_path("%s/%s", folders[i], names[k]), &n);
            if (body == NULL)
                continue; /* a folder */
            agree(&p, sup_slice_of(body, n));
            damaged_copies(&p, &rng, body, n, property_cases(80), &ran, &read);
            files++;
            free(body);
        }
        fixture_list_free(names);
    }
    print_message("%zu files and %zu damaged copies ran, events in %zu of these\n", files, ran,
                  read);
    assert_true(files > 80 && read > ran / 40);
    pair_fini(&p);
}

/* Truncated at every byte: never an event that the whole does not hold. */
static void test_agree_on_every_prefix(void **state)
{
    static const char body[] =
        "{\"Type\":\"Notification\",\"Message\":\"{\\\"notificationType\\\":\\\"Bounce\\\","
        "\\\"bounce\\\":"
        "{\\\"bounceType\\\":\\\"Permanent\\\",\\\"bouncedRecipients\\\":[{\\\"emailAddress\\\":"
        "\\\"a@example.com\\\"}]},\\\"mail\\\":{\\\"destination\\\":[\\\"a@example.com\\\"]}}\","
        "\"Timestamp\":\"2026-01-02T03:04:05Z\"}";
    struct pair p;

    (void)state;
    pair_init(&p);
    for (size_t n = 0; n < sizeof(body) - 1; n++) {
        char *exact = malloc(n + 1); /* a copy of its own, so that reading past it shows */
        memcpy(exact, body, n);
        assert_false(agree(&p, sup_slice_of(exact, n)));
        free(exact);
    }
    assert_true(agree(&p, sup_slice_of(body, sizeof(body) - 1)));
    pair_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agree_on_fixtures_and_mutations),
        cmocka_unit_test(test_agree_on_every_prefix),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
