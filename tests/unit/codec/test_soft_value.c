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
    struct sup_slice name, value;
    struct sup_buf b, tags;

    (void)state;
    sup_buf_init(&b, 1 << 16);
    sup_buf_init(&tags, 1 << 16);
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
        sup_buf_reset(&tags);
        for (size_t k = sup_rng_below(&rng, 5); k > 0; k--)
            sup_soft_add_tag(&tags, s.source, s.subject);
        s.tags = sup_buf_slice(&tags);
        sup_buf_reset(&b);
        sup_soft_encode(&s, &b);
        assert_int_equal(sup_soft_decode(sup_buf_slice(&b), &d), SUP_OK);
        for (size_t k = 0; k < 11; k++)
            check_same(*in[k], *out[k]);
        check_same(s.tags, d.tags);
        assert_true(d.time_ms == s.time_ms && d.lease == s.lease && d.claims == s.claims &&
                    d.bounces == s.bounces);
        property_mutate(&rng, b.p, b.n);
        (void)sup_soft_decode(sup_buf_slice(&b), &d);
        while (sup_soft_next_tag(&d.tags, &name, &value)) {
        }
    }
    sup_buf_fini(&b);
    sup_buf_fini(&tags);
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

/* Values of version 1 as they were written before tags were kept, and since. */
static const uint8_t golden[] =
    "\1"
    "\1\0\5a@b.c" /* address */
    "\2\0\5A@b.c" /* recipient */
    "\3\0\2m1\4\0\2f1\5\0\5s@b.c\6\0\2hi\7\0\1c\10\0\1t\11\0\3T/G\12\0\0054.2.2\13\0\1d"
    "\24\0\10\0\0\1\234\0\0\0\1"  /* time */
    "\25\0\10\0\0\0\0\0\0\0\11"   /* lease */
    "\26\0\10\0\0\0\0\0\0\0\2"    /* claims */
    "\27\0\10\0\0\0\0\0\0\0\3"    /* bounces */
    "\30\0\16\0\4camp\0\6spring"; /* tags: one */

static void check_golden(const struct sup_soft *s)
{
    check_same(s->address, SUP_SLICE_LIT("a@b.c"));
    check_same(s->recipient, SUP_SLICE_LIT("A@b.c"));
    check_same(s->message_id, SUP_SLICE_LIT("m1"));
    check_same(s->feedback_id, SUP_SLICE_LIT("f1"));
    check_same(s->source, SUP_SLICE_LIT("s@b.c"));
    check_same(s->subject, SUP_SLICE_LIT("hi"));
    check_same(s->configuration_set, SUP_SLICE_LIT("c"));
    check_same(s->tenant, SUP_SLICE_LIT("t"));
    check_same(s->sub_type, SUP_SLICE_LIT("T/G"));
    check_same(s->status, SUP_SLICE_LIT("4.2.2"));
    check_same(s->diagnostic, SUP_SLICE_LIT("d"));
    assert_true(s->time_ms == 0x19c00000001);
    assert_true(s->lease == 9 && s->claims == 2 && s->bounces == 3);
}

static void test_golden(void **state)
{
    const size_t tags_n = 3 + 14;
    struct sup_slice name, value;
    struct sup_soft s;
    struct sup_buf b;

    (void)state;
    assert_int_equal(sup_soft_decode(sup_slice_of(golden, sizeof(golden) - 1 - tags_n), &s),
                     SUP_OK);
    check_golden(&s);
    assert_false(sup_soft_next_tag(&s.tags, &name, &value));
    assert_int_equal(sup_soft_decode(sup_slice_of(golden, sizeof(golden) - 1), &s), SUP_OK);
    check_golden(&s);
    sup_buf_init(&b, 4096);
    sup_soft_encode(&s, &b);
    assert_int_equal(b.n, sizeof(golden) - 1);
    assert_memory_equal(b.p, golden, b.n);
    assert_true(sup_soft_next_tag(&s.tags, &name, &value));
    check_same(name, SUP_SLICE_LIT("camp"));
    check_same(value, SUP_SLICE_LIT("spring"));
    assert_false(sup_soft_next_tag(&s.tags, &name, &value));
    sup_buf_fini(&b);
}

/* All that SES allows fits; what is more is left out as a whole, and what is damaged ends. */
static void test_many_tags(void **state)
{
    char text[256];
    struct sup_slice name, value;
    struct sup_buf list, b;
    struct sup_soft s = {.time_ms = 1}, d;
    size_t n = 0;

    (void)state;
    memset(text, 'x', sizeof(text));
    sup_buf_init(&list, SUP_SOFT_VALUE_MAX);
    for (size_t i = 0; i < 50; i++)
        sup_soft_add_tag(&list, sup_slice_of(text, 256), sup_slice_of(text, 256));
    assert_int_equal(list.n, 50 * 516);
    for (size_t i = 0; i < 50; i++)
        sup_soft_add_tag(&list, sup_slice_of(text, 256), sup_slice_of(text, 256));
    assert_in_range(list.n, SUP_SOFT_TAGS_MAX - 516, SUP_SOFT_TAGS_MAX);
    s.tags = sup_buf_slice(&list);
    sup_buf_init(&b, SUP_SOFT_VALUE_MAX);
    sup_soft_encode(&s, &b);
    assert_int_equal(b.failed, SUP_OK);
    assert_int_equal(sup_soft_decode(sup_buf_slice(&b), &d), SUP_OK);
    d.tags.n -= 1;
    while (sup_soft_next_tag(&d.tags, &name, &value))
        n++;
    assert_int_equal(n, list.n / 516 - 1);
    sup_buf_fini(&list);
    sup_buf_fini(&b);
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
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_many_tags),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_keys_sort_by_time),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
