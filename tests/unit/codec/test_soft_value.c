/* Soft bounces as they are kept: what went in comes out, damage is told, newer fields are skipped.
 */
#include "codec/soft_value.h"
#include "property.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check_same(struct sup_slice a, struct sup_slice b)
{
    assert_int_equal(a.n, b.n);
    assert_true(sup_slice_eq(a, b));
}

static struct sup_slice some_text(struct sup_rng *rng, uint8_t *p, size_t max)
{
    size_t n = sup_rng_below(rng, max);

    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)('a' + sup_rng_below(rng, 26));
    return sup_slice_of(p, n);
}

static void test_round_trip(void **state)
{
    struct sup_rng rng = property_rng("soft value");
    uint8_t texts[11][200];
    struct sup_buf b;

    (void)state;
    sup_buf_init(&b, 1 << 16);
    for (size_t i = 0; i < property_cases(2000); i++) {
        struct sup_soft s = {.time_ms = property_edge_i64(&rng),
                             .lease = property_edge_u64(&rng),
                             .claims = (uint32_t)property_edge_u64(&rng),
                             .bounces = (uint32_t)property_edge_u64(&rng)},
                        d;
        struct sup_slice *const in[] = {
            &s.address,  &s.recipient, &s.message_id,        &s.feedback_id,
            &s.source,   &s.subject,   &s.configuration_set, &s.tenant,
            &s.sub_type, &s.status,    &s.diagnostic};
        struct sup_slice *const out[] = {
            &d.address,  &d.recipient, &d.message_id,        &d.feedback_id,
            &d.source,   &d.subject,   &d.configuration_set, &d.tenant,
            &d.sub_type, &d.status,    &d.diagnostic};
        for (size_t k = 0; k < 11; k++)
            *in[k] = some_text(&rng, texts[k], sizeof(texts[k]));
        sup_buf_reset(&b);
        sup_soft_encode(&s, &b);
        assert_int_equal(sup_soft_decode(sup_buf_slice(&b), &d), SUP_OK);
        for (size_t k = 0; k < 11; k++)
            check_same(*in[k], *out[k]);
        assert_true(d.time_ms == s.time_ms && d.lease == s.lease && d.claims == s.claims &&
                    d.bounces == s.bounces);
        property_mutate(&rng, b.p, b.n);
        (void)sup_soft_decode(sup_buf_slice(&b), &d);
    }
    sup_buf_fini(&b);
}

static void test_newer_and_damaged(void **state)
{
    static const uint8_t newer_field[] = {1, 99, 0, 2, 'x', 'y', 1, 0, 1, 'a'};
    struct sup_soft d;

    (void)state;
    assert_int_equal(sup_soft_decode(sup_slice_of(newer_field, sizeof(newer_field)), &d), SUP_OK);
    check_same(d.address, SUP_SLICE_LIT("a"));
    assert_int_equal(sup_soft_decode(sup_slice_of("\2", 1), &d), SUP_EVERSION);
    assert_int_equal(sup_soft_decode(sup_slice_of("", 0), &d), SUP_ECORRUPT);
    for (size_t n = 2; n < sizeof(newer_field); n++) {
        int rc = sup_soft_decode(sup_slice_of(newer_field, n), &d);
        assert_int_equal(rc, n == 6 ? SUP_OK : SUP_ECORRUPT);
    }
}

/* A long subject is cut between characters, so that it can be shown. */
static void test_long_texts_are_cut(void **state)
{
    char *text = malloc(9001);
    struct sup_soft s = {.time_ms = 1}, d;
    struct sup_buf b;

    (void)state;
    assert_non_null(text);
    text[0] = 'x';
    for (size_t i = 1; i < 9001; i += 2)
        memcpy(text + i, "\xc3\xbc", 2);
    s.subject = sup_slice_of(text, 9001);
    sup_buf_init(&b, 1 << 16);
    sup_soft_encode(&s, &b);
    assert_int_equal(sup_soft_decode(sup_buf_slice(&b), &d), SUP_OK);
    assert_int_equal(d.subject.n, 4095);
    sup_buf_fini(&b);
    free(text);
}

static void test_keys_sort_by_time(void **state)
{
    static const uint8_t low[SUP_SOFT_ID] = {0}, high[SUP_SOFT_ID] = {255};
    struct sup_buf a, b;
    const uint8_t *id;
    int64_t due;

    (void)state;
    sup_buf_init(&a, 100);
    sup_buf_init(&b, 100);
    sup_key_soft_due(&a, 255, high);
    sup_key_soft_due(&b, 256, low);
    assert_true(sup_slice_cmp(sup_buf_slice(&a), sup_buf_slice(&b)) < 0);
    assert_true(sup_key_soft_due_parse(sup_buf_slice(&a), &due, &id));
    assert_int_equal(due, 255);
    assert_memory_equal(id, high, SUP_SOFT_ID);
    assert_false(sup_key_soft_due_parse(sup_slice_of(a.p, a.n - 1), &due, &id));
    sup_buf_reset(&a);
    sup_key_soft_due(&a, -5, low); /* before 1970: due at once */
    assert_true(sup_key_soft_due_parse(sup_buf_slice(&a), &due, &id));
    assert_int_equal(due, 0);
    sup_buf_reset(&b);
    sup_key_soft_id(&b, low);
    assert_false(sup_key_soft_due_parse(sup_buf_slice(&b), &due, &id));
    sup_buf_fini(&a);
    sup_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_newer_and_damaged),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_keys_sort_by_time),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
