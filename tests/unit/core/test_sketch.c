/* Sketches: a random history gives the sketch of the set that is left. */
#include "core/sketch.h"
#include "property.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SYMBOLS = 700, KEYS = 200 };

static struct sup_sketch_keys keys;

static int setup(void **state)
{
    struct sup_hash_key address;

    sup_hash_key_derive("sketch test", (struct sup_slice){NULL, 0}, &address);
    sup_sketch_keys_derive(&address, &keys);
    return property_setup(state);
}

static void fresh(struct sup_sketch *s)
{
    assert_int_equal(sup_sketch_init(s, &keys, SYMBOLS), SUP_OK);
}

struct set {
    uint64_t key[KEYS];
    uint64_t digest[KEYS]; /* 0: absent */
};

static void random_set(struct sup_rng *r, struct set *s)
{
    for (size_t i = 0; i < KEYS; i++) {
        s->key[i] = sup_rng_u64(r);
        s->digest[i] = 0;
    }
}

static void random_change(struct sup_rng *r, struct set *set, struct sup_sketch *sketch)
{
    size_t i = sup_rng_below(r, KEYS);
    struct sup_sketch_change c = {.key = set->key[i], .before = set->digest[i]};

    c.after = property_chance(r, 20) ? 0 : property_chance(r, 10) ? c.before : sup_rng_u64(r);
    set->digest[i] = c.after;
    sup_sketch_update(sketch, &c);
}

static void scan(const struct set *set, struct sup_sketch *out)
{
    fresh(out);
    for (size_t i = 0; i < KEYS; i++) {
        struct sup_sketch_change c = {.key = set->key[i], .after = set->digest[i]};
        sup_sketch_update(out, &c);
    }
}

static void history_does_not_matter(void **state)
{
    struct sup_rng r = property_rng("history");

    (void)state;
    for (size_t c = 0; c < property_cases(30); c++) {
        struct sup_sketch kept;
        struct sup_sketch scanned;
        struct set set;
        random_set(&r, &set);
        fresh(&kept);
        for (int i = 0; i < 500; i++)
            random_change(&r, &set, &kept);
        scan(&set, &scanned);
        assert_true(sup_sketch_eq(&kept, &scanned));
        sup_sketch_fini(&kept);
        sup_sketch_fini(&scanned);
    }
}

static void any_difference_shows(void **state)
{
    struct sup_rng r = property_rng("differs");
    struct sup_sketch a;
    struct sup_sketch b;
    struct set set;

    (void)state;
    random_set(&r, &set);
    size_t estimated = 0;
    fresh(&a);
    for (int i = 0; i < 500; i++)
        random_change(&r, &set, &a);
    for (size_t c = 0; c < property_cases(100); c++) {
        size_t i = sup_rng_below(&r, KEYS);
        struct sup_sketch_change change = {.key = set.key[i], .before = set.digest[i]};
        struct sup_sketch_change back = {.key = set.key[i], .after = set.digest[i]};
        back.before = change.after = set.digest[i] ^ 1ULL << sup_rng_below(&r, 64);
        assert_int_equal(sup_sketch_copy(&b, &a), SUP_OK);
        sup_sketch_update(&b, &change);
        assert_false(sup_sketch_eq(&a, &b));
        assert_false(sup_sketch_sum_eq(&a.root, &b.root));
        for (unsigned s = 0; s < SUP_SKETCH_SHARDS; s++)
            assert_true(sup_sketch_sum_eq(&a.shards[s], &b.shards[s]) ==
                        (s != sup_sketch_shard(change.key)));
        estimated += sup_strata_estimate(&a.strata, &b.strata) > 0;
        sup_sketch_update(&b, &back);
        assert_true(sup_sketch_eq(&a, &b));
        sup_sketch_fini(&b);
    }
    /* The estimate is one: the two items of a change may cancel each other out in it, seldom. */
    assert_true(estimated * 10 >= property_cases(100) * 9);
    sup_sketch_fini(&a);
}

/* The audit: while the set is scanned it goes on changing. */
static void corrections_do_not_mind_later_changes(void **state)
{
    struct sup_rng r = property_rng("correct");

    (void)state;
    for (size_t c = 0; c < property_cases(20); c++) {
        struct sup_sketch live;
        struct sup_sketch copy;
        struct sup_sketch scanned;
        struct sup_sketch want;
        struct set set;
        struct sup_sketch_change damage = {.key = sup_rng_u64(&r), .after = sup_rng_u64(&r)};
        random_set(&r, &set);
        fresh(&live);
        for (int i = 0; i < 200; i++)
            random_change(&r, &set, &live);
        sup_sketch_update(&live, &damage);
        assert_int_equal(sup_sketch_copy(&copy, &live), SUP_OK);
        scan(&set, &scanned);
        assert_false(sup_sketch_eq(&copy, &scanned));
        for (int i = 0; i < 200; i++)
            random_change(&r, &set, &live);
        sup_sketch_correct(&live, &copy, &scanned);
        scan(&set, &want);
        assert_true(sup_sketch_eq(&live, &want));
        sup_sketch_fini(&live);
        sup_sketch_fini(&copy);
        sup_sketch_fini(&scanned);
        sup_sketch_fini(&want);
    }
}

/* Two sketches solve their difference by themselves. */
static void sketches_solve_their_difference(void **state)
{
    struct sup_rng r = property_rng("solve");
    struct sup_sketch a;
    struct sup_sketch b;
    struct set set;
    struct sup_riblt_decoder *d = sup_riblt_decoder_new(&keys.item, SYMBOLS);
    size_t n = 0;

    (void)state;
    random_set(&r, &set);
    fresh(&a);
    for (int i = 0; i < 500; i++)
        random_change(&r, &set, &a);
    assert_int_equal(sup_sketch_copy(&b, &a), SUP_OK);
    for (int i = 0; i < 60; i++)
        random_change(&r, &set, &b);
    sup_riblt_subtract(b.symbols, a.symbols, SYMBOLS);
    for (size_t i = 0; i < SYMBOLS && !sup_riblt_decoder_done(d); i++)
        assert_int_equal(sup_riblt_decoder_add(d, &b.symbols[i]), SUP_OK);
    assert_true(sup_riblt_decoder_done(d));
    sup_riblt_decoder_diff(d, &n);
    assert_true(n > 0 && n <= 120);
    sup_riblt_decoder_free(d);
    sup_sketch_fini(&a);
    sup_sketch_fini(&b);
}

/* --- digests --- */

static struct sup_register reg(const char *encoded)
{
    return (struct sup_register){.present = true, .encoded = sup_slice_str(encoded)};
}

static uint64_t digest(const char *address, const struct sup_registers *rs)
{
    return sup_sketch_digest(&keys, sup_slice_str(address), rs);
}

static void digests_cover_what_replicates(void **state)
{
    struct sup_registers a = {{{0}}};
    struct sup_registers b = {{{0}}};
    struct sup_sketch_keys other;
    struct sup_hash_key address;
    uint64_t d;

    (void)state;
    assert_int_equal(digest("a@b.c", &a), 0);
    a.r[0] = reg("bounce");
    d = digest("a@b.c", &a);
    assert_true(d != 0 && d == digest("a@b.c", &a));
    assert_true(d != digest("a@b.d", &a));
    b.r[1] = reg("bounce"); /* the same bytes in another place */
    assert_true(d != digest("a@b.c", &b));
    a.r[1] = reg("complaint");
    assert_true(d != digest("a@b.c", &a));
    a.r[1].present = false;
    assert_true(d == digest("a@b.c", &a));
    a.r[0].time = 99; /* it is in the bytes; by itself it says nothing */
    assert_true(d == digest("a@b.c", &a));
    a.r[0] = reg("bounc");
    assert_true(d != digest("a@b.c", &a));
    sup_hash_key_derive("another cluster", (struct sup_slice){NULL, 0}, &address);
    sup_sketch_keys_derive(&address, &other);
    assert_true(sup_sketch_digest(&other, sup_slice_str("a@b.c"), &a) != digest("a@b.c", &a));
    assert_true(keys.digest.check != keys.item.check && keys.digest.check != keys.address.check);
}

static void sums_travel(void **state)
{
    struct sup_sketch_sum s = {.count = 3, .sum = {.key = UINT64_MAX - 1, .digest = 77}};
    uint8_t b[SUP_SKETCH_SUM_SIZE];
    struct sup_sketch_sum back;

    (void)state;
    sup_sketch_sum_put(&s, b);
    back = sup_sketch_sum_get(b);
    assert_true(sup_sketch_sum_eq(&s, &back));
    back.count++;
    assert_false(sup_sketch_sum_eq(&s, &back));
}

static void the_default_fits_into_8_mib(void **state)
{
    (void)state;
    assert_true(sizeof(struct sup_sketch) + SUP_SKETCH_SYMBOLS * sizeof(struct sup_riblt_symbol) <=
                8U << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(history_does_not_matter),
        cmocka_unit_test(any_difference_shows),
        cmocka_unit_test(corrections_do_not_mind_later_changes),
        cmocka_unit_test(sketches_solve_their_difference),
        cmocka_unit_test(digests_cover_what_replicates),
        cmocka_unit_test(sums_travel),
        cmocka_unit_test(the_default_fits_into_8_mib),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
