/* Entries of the event log: what went in comes out, and damage is told. */
#include "codec/event_entry.h"
#include "property.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct sup_event_packer *packer;

static void check_same(struct sup_slice a, struct sup_slice b)
{
    assert_true(sup_slice_eq(a, b));
}

static void test_round_trip(void **state)
{
    struct sup_rng rng = property_rng("event entry");
    struct sup_buf b, scratch;
    uint8_t raw[5000];

    (void)state;
    sup_buf_init(&b, 1 << 20);
    sup_buf_init(&scratch, SUP_EVENT_ENTRY_RAW_MAX);
    for (size_t i = 0; i < property_cases(1000); i++) {
        size_t n = sup_rng_below(&rng, sizeof(raw));
        struct sup_event_entry d, e = {.type = SUP_SLICE_LIT("Bounce"),
                                       .message_id = SUP_SLICE_LIT("m"),
                                       .verdicts = SUP_SLICE_LIT("suppress r a@x\n"),
                                       .raw = {raw, n}};
        property_bytes(&rng, raw, n);
        sup_buf_reset(&b);
        assert_int_equal(sup_event_entry_encode(packer, &e, &b), SUP_OK);
        assert_int_equal(sup_event_entry_decode(sup_buf_slice(&b), &scratch, &d), SUP_OK);
        check_same(d.type, e.type);
        check_same(d.message_id, e.message_id);
        check_same(d.verdicts, e.verdicts);
        check_same(d.raw, e.raw);
        assert_int_equal(d.addresses.n, 0);
        /* Without a place for it, the document stays packed. */
        assert_int_equal(sup_event_entry_decode(sup_buf_slice(&b), NULL, &d), SUP_OK);
        assert_int_equal(d.raw.n, 0);
        assert_int_not_equal(sup_event_entry_decode(sup_slice_of(b.p, b.n - 1), &scratch, &d),
                             SUP_OK);
        property_mutate(&rng, b.p, b.n);
        int rc = sup_event_entry_decode(sup_buf_slice(&b), &scratch, &d);
        assert_true(rc == SUP_OK || rc == SUP_ECORRUPT || rc == SUP_EVERSION);
    }
    sup_buf_fini(&b);
    sup_buf_fini(&scratch);
}

static void test_limits(void **state)
{
    struct sup_event_entry d, e = {.raw = {NULL, SUP_EVENT_ENTRY_RAW_MAX + 1}};
    struct sup_buf b;

    (void)state;
    sup_buf_init(&b, 1 << 20);
    assert_int_equal(sup_event_entry_encode(packer, &e, &b), SUP_ELIMIT);
    assert_int_equal(sup_event_entry_decode(SUP_SLICE_LIT("\2"), &b, &d), SUP_EVERSION);
    assert_int_equal(sup_event_entry_decode(SUP_SLICE_LIT(""), &b, &d), SUP_ECORRUPT);
    sup_buf_fini(&b);
}

static void test_keys(void **state)
{
    struct sup_buf a, b;
    int64_t ms;

    (void)state;
    sup_buf_init(&a, 100);
    sup_buf_init(&b, 100);
    sup_key_event(&a, 1000, SUP_SLICE_LIT("x"));
    sup_key_event(&b, 1000, SUP_SLICE_LIT("x"));
    check_same(sup_buf_slice(&a), sup_buf_slice(&b)); /* the same again is the same entry */
    assert_true(sup_key_event_parse(sup_buf_slice(&a), &ms) && ms == 1000);
    assert_false(sup_key_event_parse(sup_slice_of(a.p, a.n - 1), &ms));
    sup_buf_reset(&b);
    sup_key_event(&b, 1001, SUP_SLICE_LIT("w"));
    assert_true(sup_slice_cmp(sup_buf_slice(&a), sup_buf_slice(&b)) < 0);
    sup_buf_fini(&a);
    sup_buf_fini(&b);
}

static int setup(void **state)
{
    packer = sup_event_packer_new();
    return packer != NULL ? property_setup(state) : -1;
}

static int teardown(void **state)
{
    (void)state;
    sup_event_packer_free(packer);
    sup_event_packer_free(NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_keys),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
