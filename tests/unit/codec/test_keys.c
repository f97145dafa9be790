#include "property.h"

#include "base/array.h"
#include "codec/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int sign(int v)
{
    return (v > 0) - (v < 0);
}

static int cmp_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int cmp_keys(const struct sup_key *a, const struct sup_key *b)
{
    return sign(sup_slice_cmp(sup_key_slice(a), sup_key_slice(b)));
}

/* Short addresses over few letters: prefixes of each other and equal ones are common. Bytes next to
 * the NUL that ends an address in audit keys are among them. */
static struct sup_slice random_address(struct sup_rng *r, char *out)
{
    static const char letters[] = "ab@.\x01\xff";
    size_t n = 1 + sup_rng_below(r, property_chance(r, 5) ? SUP_ADDRESS_MAX : 5);

    for (size_t i = 0; i < n; i++)
        out[i] = letters[sup_rng_below(r, sizeof(letters) - 1)];
    return sup_slice_of(out, n);
}

struct tuple {
    uint64_t num[2];
    uint8_t cls;
    char text[SUP_ADDRESS_MAX];
    struct sup_slice address;
};

static void random_tuple(struct sup_rng *r, struct tuple *t)
{
    t->num[0] = property_edge_u64(r);
    t->num[1] = property_edge_u64(r);
    t->cls = (uint8_t)sup_rng_below(r, 4);
    t->address = random_address(r, t->text);
}

/* A second tuple that often shares parts with the first. */
static void random_neighbour(struct sup_rng *r, const struct tuple *t, struct tuple *o)
{
    random_tuple(r, o);
    for (int i = 0; i < 2; i++) {
        if (property_chance(r, 60))
            o->num[i] = t->num[i];
    }
    if (property_chance(r, 60))
        o->cls = t->cls;
    if (property_chance(r, 40)) {
        memcpy(o->text, t->text, t->address.n);
        o->address = sup_slice_of(o->text, 1 + sup_rng_below(r, t->address.n));
    }
}

static int cmp_parts(const int *parts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (parts[i] != 0)
            return parts[i];
    }
    return 0;
}

static void order_of_keys_is_order_of_tuples(void **state)
{
    struct sup_rng r = property_rng(__func__);
    struct sup_hash_key hash;

    (void)state;
    sup_hash_key_derive("test", sup_slice_str("s"), &hash);
    for (size_t c = property_cases(40000); c > 0; c--) {
        struct tuple a;
        struct tuple b;
        struct sup_key x;
        struct sup_key y;
        random_tuple(&r, &a);
        random_neighbour(&r, &a, &b);
        int num0 = cmp_u64(a.num[0], b.num[0]);
        int num1 = cmp_u64(a.num[1], b.num[1]);
        int cls = cmp_u64(a.cls, b.cls);
        int address = sign(sup_slice_cmp(a.address, b.address));

        sup_key_log(&x, a.num[0], a.num[1]);
        sup_key_log(&y, b.num[0], b.num[1]);
        assert_int_equal(cmp_keys(&x, &y), cmp_parts((int[]){num0, num1}, 2));

        sup_key_quarantine(&x, a.num[0], a.cls, a.num[1], a.address);
        sup_key_quarantine(&y, b.num[0], b.cls, b.num[1], b.address);
        assert_int_equal(cmp_keys(&x, &y), cmp_parts((int[]){num0, cls, num1, address}, 4));

        sup_key_audit(&x, a.address, a.num[0], a.cls, a.num[1]);
        sup_key_audit(&y, b.address, b.num[0], b.cls, b.num[1]);
        assert_int_equal(cmp_keys(&x, &y), cmp_parts((int[]){address, num0, cls, num1}, 4));

        int64_t ms_a = (int64_t)(a.num[0] >> 1);
        int64_t ms_b = (int64_t)(b.num[0] >> 1);
        sup_key_timed(&x, ms_a, a.address);
        sup_key_timed(&y, ms_b, b.address);
        assert_int_equal(cmp_keys(&x, &y),
                         cmp_parts((int[]){(ms_a > ms_b) - (ms_a < ms_b), address}, 2));

        sup_key_record(&x, &hash, a.address);
        sup_key_record(&y, &hash, b.address);
        int hashed = cmp_u64(sup_hash64(&hash, a.address), sup_hash64(&hash, b.address));
        assert_int_equal(cmp_keys(&x, &y), cmp_parts((int[]){hashed, address}, 2));

        sup_key_meta_vv(&x, a.num[0]);
        sup_key_meta_vv(&y, b.num[0]);
        assert_int_equal(cmp_keys(&x, &y), num0);
        sup_key_meta_vv_end(&y);
        assert_int_equal(cmp_keys(&x, &y), -1);
        sup_key_meta_floor(&x, a.num[0]);
        sup_key_meta_floor(&y, b.num[0]);
        assert_int_equal(cmp_keys(&x, &y), num0);
        sup_key_meta_floor_end(&y);
        assert_int_equal(cmp_keys(&x, &y), -1);
        /* The scan over one kind never meets the other. */
        sup_key_meta_vv(&x, 0);
        assert_int_equal(cmp_keys(&y, &x), -1);
    }
}

static void parsing_gives_back_what_was_built(void **state)
{
    struct sup_rng r = property_rng(__func__);
    struct sup_hash_key hash;

    (void)state;
    sup_hash_key_derive("test", sup_slice_str("s"), &hash);
    for (size_t c = property_cases(20000); c > 0; c--) {
        struct tuple t;
        struct sup_key k;
        uint64_t u = 0;
        uint64_t v = 0;
        int64_t ms = 0;
        struct sup_slice address = {NULL, 0};
        random_tuple(&r, &t);

        sup_key_record(&k, &hash, t.address);
        assert_true(sup_key_record_parse(sup_key_slice(&k), &u, &address));
        assert_true(u == sup_hash64(&hash, t.address) && sup_slice_eq(address, t.address));

        sup_key_log(&k, t.num[0], t.num[1]);
        assert_true(sup_key_log_parse(sup_key_slice(&k), &u, &v));
        assert_true(u == t.num[0] && v == t.num[1]);

        sup_key_quarantine(&k, t.num[0], t.cls, t.num[1], t.address);
        assert_true(sup_key_quarantine_parse(sup_key_slice(&k), &u));
        assert_true(u == t.num[0]);

        sup_key_audit(&k, t.address, t.num[0], t.cls, t.num[1]);
        assert_true(sup_key_audit_parse(sup_key_slice(&k), &address, &u));
        assert_true(u == t.num[0] && sup_slice_eq(address, t.address));

        sup_key_timed(&k, (int64_t)(t.num[0] >> 1), t.address);
        assert_true(sup_key_timed_parse(sup_key_slice(&k), &ms, &address));
        assert_true(ms == (int64_t)(t.num[0] >> 1) && sup_slice_eq(address, t.address));
        sup_key_timed(&k, -1 - (int64_t)(t.num[0] >> 1), t.address);
        assert_true(sup_key_timed_parse(sup_key_slice(&k), &ms, &address) && ms == 0);

        sup_key_meta_vv(&k, t.num[0]);
        assert_true(sup_key_meta_vv_parse(sup_key_slice(&k), &u) && u == t.num[0]);
        assert_false(sup_key_meta_floor_parse(sup_key_slice(&k), &u));

        sup_key_meta_floor(&k, t.num[0]);
        assert_true(sup_key_meta_floor_parse(sup_key_slice(&k), &u) && u == t.num[0]);
        assert_false(sup_key_meta_vv_parse(sup_key_slice(&k), &u));
    }
}

/* The bounds enclose every key of their address and none of another, whatever it is a prefix of. */
static void audit_bounds_enclose_one_address(void **state)
{
    struct sup_rng r = property_rng(__func__);

    (void)state;
    for (size_t c = property_cases(40000); c > 0; c--) {
        struct tuple a;
        struct tuple b;
        struct sup_key first;
        struct sup_key end;
        struct sup_key k;
        random_tuple(&r, &a);
        random_neighbour(&r, &a, &b);
        sup_key_audit_first(&first, a.address);
        sup_key_audit_end(&end, a.address);
        sup_key_audit(&k, b.address, b.num[0], b.cls, b.num[1]);
        bool inside = cmp_keys(&first, &k) <= 0 && cmp_keys(&k, &end) < 0;
        assert_int_equal(inside, sup_slice_eq(a.address, b.address));
        sup_key_audit(&k, a.address, a.num[0], a.cls, a.num[1]);
        assert_true(cmp_keys(&first, &k) < 0 && cmp_keys(&k, &end) < 0);
    }
}

static bool parses_exactly(const uint8_t *p, size_t n, int which)
{
    struct sup_slice s = sup_slice_of(p, n);
    struct sup_slice address = {NULL, 0};
    uint64_t u = 0;
    uint64_t v = 0;
    int64_t ms = 0;
    bool ok = false;

    switch (which) {
    case 0:
        ok = sup_key_record_parse(s, &u, &address);
        break;
    case 1:
        ok = sup_key_log_parse(s, &u, &v);
        break;
    case 2:
        ok = sup_key_quarantine_parse(s, &u);
        break;
    case 3:
        ok = sup_key_audit_parse(s, &address, &u);
        break;
    case 4:
        ok = sup_key_timed_parse(s, &ms, &address);
        assert_true(!ok || ms >= 0);
        break;
    default:
        ok = sup_key_meta_vv_parse(s, &u);
        break;
    }
    if (ok && address.p)
        assert_true(address.n > 0 && address.p >= p && address.p + address.n <= p + n);
    return ok;
}

static void foreign_bytes_are_survived(void **state)
{
    struct sup_rng r = property_rng(__func__);

    (void)state;
    for (size_t c = property_cases(40000); c > 0; c--) {
        size_t n = sup_rng_below(&r, 40);
        uint8_t *p = malloc(n > 0 ? n : 1); /* exact, for the address sanitizer */
        assert_non_null(p);
        property_bytes(&r, p, n);
        if (n >= 3 && property_chance(&r, 20))
            memcpy(p, "vv/", 3);
        for (int which = 0; which < 6; which++) {
            bool ok = parses_exactly(p, n, which);
            assert_true(!ok || n >= 8);
        }
        free(p);
    }
    for (int which = 0; which < 6; which++)
        assert_false(parses_exactly(NULL, 0, which));
    assert_false(parses_exactly((const uint8_t *)"12345678", 8, 0)); /* no address */
    assert_false(parses_exactly((const uint8_t *)"12345678", 8, 4));
    assert_false(parses_exactly((const uint8_t *)"\xff"
                                                 "2345678a",
                                9, 4)); /* negative time */
    assert_false(parses_exactly((const uint8_t *)"\0"
                                                 "12345678",
                                9, 3)); /* no address */
    assert_false(parses_exactly((const uint8_t *)"a\0"
                                                 "1234567",
                                9, 3)); /* half a time */
    assert_false(parses_exactly((const uint8_t *)"123456781234567", 15, 1));
    assert_false(parses_exactly((const uint8_t *)"12345678123456789", 17, 1));
    assert_false(parses_exactly((const uint8_t *)"vv0"
                                                 "12345678",
                                11, 5));
}

/* Nothing that long is an address; a caller that forgot gets a key of the maximum, not a crash. */
static void overlong_addresses_stay_in_bounds(void **state)
{
    char text[2 * SUP_KEY_MAX];
    struct sup_slice s = {(const uint8_t *)text, sizeof(text)};
    struct sup_hash_key hash;
    struct sup_key k;

    (void)state;
    memset(text, 'x', sizeof(text));
    sup_hash_key_derive("test", sup_slice_str("s"), &hash);
    sup_key_record(&k, &hash, s);
    assert_int_equal(k.n, SUP_KEY_MAX);
    sup_key_quarantine(&k, 1, 2, 3, s);
    assert_int_equal(k.n, SUP_KEY_MAX);
    sup_key_audit(&k, s, 1, 2, 3);
    assert_int_equal(k.n, SUP_KEY_MAX);
    sup_key_audit_end(&k, s);
    assert_int_equal(k.n, SUP_KEY_MAX);
    sup_key_timed(&k, 1, s);
    assert_int_equal(k.n, SUP_KEY_MAX);
    s.n = SUP_ADDRESS_MAX; /* the longest address fits whole */
    sup_key_audit(&k, s, 1, 2, 3);
    assert_int_equal(k.n, SUP_ADDRESS_MAX + 1 + 8 + 1 + 8);
}

static void dedup_keys_tell_identities_apart(void **state)
{
    static const char *const ids[] = {
        "", "a", "b", "a\x1f", "0100018a-x|a@x.com", "0100018a-x|b@x.com"};
    struct sup_key keys[SUP_COUNT(ids)];

    (void)state;
    for (size_t i = 0; i < SUP_COUNT(ids); i++) {
        sup_key_dedup(&keys[i], sup_slice_str(ids[i]));
        assert_int_equal(keys[i].n, 16);
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(cmp_keys(&keys[i], &keys[j]), 0);
    }
    struct sup_key again;
    sup_key_dedup(&again, sup_slice_str(ids[4]));
    assert_int_equal(cmp_keys(&again, &keys[4]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_of_keys_is_order_of_tuples),
        cmocka_unit_test(parsing_gives_back_what_was_built),
        cmocka_unit_test(audit_bounds_enclose_one_address),
        cmocka_unit_test(foreign_bytes_are_survived),
        cmocka_unit_test(overlong_addresses_stay_in_bounds),
        cmocka_unit_test(dedup_keys_tell_identities_apart),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
