/* Keys of the audit trail: the bytes that stores hold, and their order. */
#include "codec/audit.h"

#include "property.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define AT "a@b.c"

static void is(const struct sup_key *k, const char *bytes, size_t n)
{
    assert_int_equal(k->n, n);
    assert_memory_equal(k->b, bytes, n);
}

/* As stores have them. What changes here is another format, and both must be read. */
static void bytes_of_stored_keys(void **state)
{
    static const char base[] =
        AT "\0\x01\x02\x03\x04\x05\x06\x07\x08\x03\x11\x12\x13\x14\x15\x16\x17\x18";
    static const char mark[] =
        AT "\0\x01\x02\x03\x04\x05\x06\x07\x08\x03\x11\x12\x13\x14\x15\x16\x17\x18\x01";
    /* BLAKE2b of "decision" in 16 bytes, RFC 7693 without a key. */
    static const char beside[] =
        AT "\0\x01\x02\x03\x04\x05\x06\x07\x08\x03\x11\x12\x13\x14\x15\x16\x17\x18\x02"
           "\xff\x82\x40\x27\xa0\xa6\x75\x94\xc8\xa2\xab\xf5\xeb\x90\x9b\x3d";
    struct sup_key k;
    struct sup_key m;

    (void)state;
    sup_key_audit(&k, sup_slice_str(AT), 0x0102030405060708, 3, 0x1112131415161718);
    is(&k, base, sizeof(base) - 1);
    assert_false(sup_key_audit_is_mark(sup_key_slice(&k)));
    sup_key_audit_mark(&m, sup_key_slice(&k));
    is(&m, mark, sizeof(mark) - 1);
    assert_true(sup_key_audit_is_mark(sup_key_slice(&m)));
    sup_key_audit_beside(&m, sup_key_slice(&k), sup_slice_str("decision"));
    is(&m, beside, sizeof(beside) - 1);
    assert_false(sup_key_audit_is_mark(sup_key_slice(&m)));
    sup_key_audit_mark(&k, sup_key_slice(&m));
    assert_int_equal(k.n, m.n + 1);
    assert_true(sup_key_audit_is_mark(sup_key_slice(&k)));
}

/* A decision, its mark, what is beside it with its mark, and then the next time: readers rely on
 * the largest decision coming first, and on a mark coming right behind its decision. */
static void what_belongs_together_sorts_together(void **state)
{
    struct sup_rng rng = property_rng("what_belongs_together_sorts_together");

    (void)state;
    for (size_t i = 0; i < property_cases(2000); i++) {
        uint64_t time = property_edge_u64(&rng) >> 1;
        uint64_t origin = property_edge_u64(&rng);
        uint8_t bytes[40];
        struct sup_key in_order[6];
        struct sup_slice address;
        sup_hlc_time parsed = 0;
        property_bytes(&rng, bytes, sizeof(bytes));
        sup_key_audit_first(&in_order[0], sup_slice_str(AT));
        sup_key_audit(&in_order[1], sup_slice_str(AT), time, 1, origin);
        sup_key_audit_mark(&in_order[2], sup_key_slice(&in_order[1]));
        sup_key_audit_beside(&in_order[3], sup_key_slice(&in_order[1]),
                             sup_slice_of(bytes, sizeof(bytes)));
        sup_key_audit_mark(&in_order[4], sup_key_slice(&in_order[3]));
        sup_key_audit(&in_order[5], sup_slice_str(AT), time + 1, 1, 0);
        for (size_t k = 0; k + 1 < 6; k++)
            assert_true(
                sup_slice_cmp(sup_key_slice(&in_order[k]), sup_key_slice(&in_order[k + 1])) < 0);
        for (size_t k = 1; k < 5; k++) {
            assert_true(sup_key_audit_parse(sup_key_slice(&in_order[k]), &address, &parsed));
            assert_true(parsed == time);
            assert_true(sup_slice_eq(address, sup_slice_str(AT)));
            assert_true(sup_key_audit_is_mark(sup_key_slice(&in_order[k])) == (k % 2 == 0));
        }
    }
}

static void different_decisions_stand_apart(void **state)
{
    struct sup_key base;
    struct sup_key a;
    struct sup_key b;

    (void)state;
    sup_key_audit(&base, sup_slice_str(AT), 1, 2, 3);
    sup_key_audit_beside(&a, sup_key_slice(&base), sup_slice_str("one"));
    sup_key_audit_beside(&b, sup_key_slice(&base), sup_slice_str("two"));
    assert_false(sup_slice_eq(sup_key_slice(&a), sup_key_slice(&b)));
    sup_key_audit_beside(&b, sup_key_slice(&base), sup_slice_str("one"));
    assert_true(sup_slice_eq(sup_key_slice(&a), sup_key_slice(&b)));
}

/* The longest address, and one that is none. */
static void overlong_keys_stay_in_bounds(void **state)
{
    char text[2 * SUP_KEY_MAX];
    struct sup_key base;
    struct sup_key k;
    struct sup_key m;

    (void)state;
    memset(text, 'x', sizeof(text));
    sup_key_audit(&base, sup_slice_of(text, SUP_ADDRESS_MAX), 1, 2, 3);
    sup_key_audit_beside(&k, sup_key_slice(&base), sup_slice_str("d"));
    sup_key_audit_mark(&m, sup_key_slice(&k));
    assert_int_equal(m.n, base.n + 1 + 16 + 1);
    assert_true(sup_key_audit_is_mark(sup_key_slice(&m)));
    sup_key_audit(&base, sup_slice_of(text, sizeof(text)), 1, 2, 3);
    sup_key_audit_beside(&k, sup_key_slice(&base), sup_slice_str("d"));
    assert_int_equal(k.n, SUP_KEY_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_of_stored_keys),
        cmocka_unit_test(what_belongs_together_sorts_together),
        cmocka_unit_test(different_decisions_stand_apart),
        cmocka_unit_test(overlong_keys_stay_in_bounds),
    };

    return cmocka_run_group_tests(tests, property_setup, NULL);
}
