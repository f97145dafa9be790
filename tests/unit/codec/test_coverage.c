/* What an audit of coverage found comes back as it went, in a report and in the history. */
#include "codec/coverage.h"
#include "codec/report.h"

#include "base/random.h"
#include "model/decision.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void random_text(struct sup_rng *rng, char *out, size_t cap)
{
    size_t n = (size_t)sup_rng_below(rng, cap);

    for (size_t i = 0; i < n; i++)
        out[i] = (char)(' ' + sup_rng_below(rng, 95));
    out[n] = '\0';
}

static void random_texts(struct sup_rng *rng, struct sup_coverage_texts *t)
{
    memset(t, 0, sizeof(*t));
    t->n = (uint32_t)sup_rng_below(rng, SUP_COVERAGE_KEPT_MAX + 1);
    t->total = t->n + (t->n == SUP_COVERAGE_KEPT_MAX ? sup_rng_below(rng, 1000) : 0);
    for (uint32_t i = 0; i < t->n; i++)
        random_text(rng, t->text[i], sizeof(t->text[0]));
}

static void random_brief(struct sup_rng *rng, struct sup_coverage_brief *b)
{
    memset(b, 0, sizeof(*b));
    b->state = (enum sup_coverage_state)(1 + sup_rng_below(rng, SUP_COVERAGE_UNKNOWN));
    b->checked_ms = (int64_t)sup_rng_below(rng, 1ULL << 42);
    b->reasons = (unsigned)sup_rng_below(rng, 4);
    b->production_access = sup_rng_below(rng, 2);
    b->sending_enabled = sup_rng_below(rng, 2);
    random_text(rng, b->enforcement_status, sizeof(b->enforcement_status));
    b->n_sets = sup_rng_below(rng, 10000);
    b->n_tenants = sup_rng_below(rng, 10000);
    b->tenants_known = sup_rng_below(rng, 2);
    b->managed = (enum sup_coverage_managed)sup_rng_below(rng, SUP_MANAGED_FAILED + 1);
    random_text(rng, b->managed_text, sizeof(b->managed_text));
    random_texts(rng, &b->gaps);
    random_texts(rng, &b->unknown);
    random_texts(rng, &b->notes);
}

static void same_texts(const struct sup_coverage_texts *a, const struct sup_coverage_texts *b)
{
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->total, b->total);
    for (uint32_t i = 0; i < a->n; i++)
        assert_string_equal(a->text[i], b->text[i]);
}

static void same_brief(const struct sup_coverage_brief *a, const struct sup_coverage_brief *b)
{
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->checked_ms, b->checked_ms);
    assert_int_equal(a->reasons, b->reasons);
    assert_int_equal(a->production_access, b->production_access);
    assert_int_equal(a->sending_enabled, b->sending_enabled);
    assert_string_equal(a->enforcement_status, b->enforcement_status);
    assert_int_equal(a->n_sets, b->n_sets);
    assert_int_equal(a->n_tenants, b->n_tenants);
    assert_int_equal(a->tenants_known, b->tenants_known);
    assert_int_equal(a->managed, b->managed);
    assert_string_equal(a->managed_text, b->managed_text);
    same_texts(&a->gaps, &b->gaps);
    same_texts(&a->unknown, &b->unknown);
    same_texts(&a->notes, &b->notes);
}

static struct sup_rng seeded(void)
{
    struct sup_rng rng;
    uint64_t seed = sup_random_u64();

    print_message("seed %llu\n", (unsigned long long)seed);
    sup_rng_seed(&rng, seed);
    return rng;
}

static void test_in_a_report(void **state)
{
    struct sup_rng rng = seeded();
    struct sup_report *in = calloc(1, sizeof(*in)), *out = calloc(1, sizeof(*out));
    struct sup_buf buf;

    (void)state;
    sup_buf_init(&buf, 1U << 20);
    snprintf(in->id, sizeof(in->id), "20261124T075200.123Z-00000001");
    for (int i = 0; i < 200; i++) {
        random_brief(&rng, &in->coverage);
        sup_buf_reset(&buf);
        sup_report_encode(in, &buf);
        assert_int_equal(buf.failed, 0);
        assert_int_equal(sup_report_decode(sup_buf_slice(&buf), out, NULL), SUP_OK);
        same_brief(&in->coverage, &out->coverage);
        assert_string_equal(out->id, in->id);
    }
    sup_buf_fini(&buf);
    free(in);
    free(out);
}

/* A report of before there was coverage, and one whose run ended before the first audit. */
static void test_a_report_without(void **state)
{
    struct sup_report *in = calloc(1, sizeof(*in)), *out = calloc(1, sizeof(*out));
    struct sup_buf buf;

    (void)state;
    sup_buf_init(&buf, 1U << 20);
    sup_report_encode(in, &buf);
    memset(out, 0xff, sizeof(*out));
    assert_int_equal(sup_report_decode(sup_buf_slice(&buf), out, NULL), SUP_OK);
    assert_int_equal(out->coverage.state, SUP_COVERAGE_NONE);
    assert_int_equal(out->coverage.gaps.n, 0);
    sup_buf_fini(&buf);
    free(in);
    free(out);
}

static void test_history(void **state)
{
    struct sup_rng rng = seeded();
    struct sup_coverage_history *in = calloc(1, sizeof(*in)), *out = calloc(1, sizeof(*out));
    struct sup_buf buf;

    (void)state;
    sup_buf_init(&buf, 1U << 20);
    for (int i = 0; i < 200; i++) {
        memset(in, 0, sizeof(*in));
        if (i % 5 != 0)
            random_brief(&rng, &in->last);
        in->n_changes = (size_t)sup_rng_below(&rng, SUP_COVERAGE_CHANGES_MAX + 1);
        for (size_t k = 0; k < in->n_changes; k++) {
            in->changes[k].time_ms = (int64_t)k * 1000;
            in->changes[k].before = (unsigned)sup_rng_below(&rng, 4);
            in->changes[k].after = 3;
            random_text(&rng, in->changes[k].text, sizeof(in->changes[k].text));
        }
        sup_buf_reset(&buf);
        sup_coverage_history_encode(in, &buf);
        assert_int_equal(buf.failed, 0);
        assert_int_equal(sup_coverage_history_decode(sup_buf_slice(&buf), out, NULL), SUP_OK);
        same_brief(&in->last, &out->last);
        assert_int_equal(in->n_changes, out->n_changes);
        for (size_t k = 0; k < in->n_changes; k++) {
            assert_int_equal(in->changes[k].time_ms, out->changes[k].time_ms);
            assert_int_equal(in->changes[k].before, out->changes[k].before);
            assert_int_equal(in->changes[k].after, out->changes[k].after);
            assert_string_equal(in->changes[k].text, out->changes[k].text);
        }
    }
    sup_buf_fini(&buf);
    free(in);
    free(out);
}

/* Whatever is stored, decoding stays within its bounds and says so or not. */
static void test_damaged_history(void **state)
{
    struct sup_rng rng = seeded();
    struct sup_coverage_history *h = calloc(1, sizeof(*h)), *out = calloc(1, sizeof(*out));
    struct sup_buf buf;
    int sound = 0;

    (void)state;
    sup_buf_init(&buf, 1U << 20);
    random_brief(&rng, &h->last);
    h->n_changes = SUP_COVERAGE_CHANGES_MAX;
    sup_coverage_history_encode(h, &buf);
    for (int i = 0; i < 2000; i++) {
        size_t at = (size_t)sup_rng_below(&rng, buf.n);
        uint8_t was = buf.p[at];
        buf.p[at] = (uint8_t)sup_rng_below(&rng, 256);
        size_t n = i % 2 ? buf.n : (size_t)sup_rng_below(&rng, buf.n + 1);
        struct sup_err err = {0};
        int rc = sup_coverage_history_decode(sup_slice_of(buf.p, n), out, &err);
        sound += rc == SUP_OK;
        assert_true(rc == SUP_OK || err.msg[0] != '\0');
        if (rc == SUP_OK) {
            assert_true(out->n_changes <= SUP_COVERAGE_CHANGES_MAX);
            assert_true(out->last.gaps.n <= SUP_COVERAGE_KEPT_MAX);
            assert_true(out->last.gaps.total >= out->last.gaps.n);
            assert_true(out->last.state <= SUP_COVERAGE_UNKNOWN);
        }
        buf.p[at] = was;
    }
    assert_true(sound > 0);
    sup_buf_fini(&buf);
    free(h);
    free(out);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(sup_coverage_state_name(SUP_COVERAGE_COVERED), "covered");
    assert_string_equal(sup_coverage_state_name((enum sup_coverage_state)77), "unknown");
    assert_string_equal(sup_coverage_managed_name(SUP_MANAGED_PLANNED), "planned");
    assert_string_equal(sup_coverage_managed_name((enum sup_coverage_managed)77), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_a_report), cmocka_unit_test(test_a_report_without),
        cmocka_unit_test(test_history),     cmocka_unit_test(test_damaged_history),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
