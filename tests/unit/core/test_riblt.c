/* Rateless IBLT: sets that differ, decoded; symbols kept in place; hostile symbols. */
#include "core/riblt.h"
#include "core/strata.h"
#include "property.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct sup_hash_key key;

static int setup(void **state)
{
    sup_hash_key_derive("riblt test", (struct sup_slice){NULL, 0}, &key);
    return property_setup(state);
}

static struct sup_riblt_item *random_items(struct sup_rng *r, size_t n)
{
    struct sup_riblt_item *items = calloc(n + 1, sizeof(*items));

    assert_non_null(items);
    for (size_t i = 0; i < n; i++)
        items[i] = (struct sup_riblt_item){sup_rng_u64(r), sup_rng_u64(r)};
    return items;
}

static int cmp_diff(const void *a, const void *b)
{
    const struct sup_riblt_diff *x = a;
    const struct sup_riblt_diff *y = b;

    if (x->item.key != y->item.key)
        return x->item.key < y->item.key ? -1 : 1;
    if (x->item.digest != y->item.digest)
        return x->item.digest < y->item.digest ? -1 : 1;
    return x->side - y->side;
}

/* The sender has the first common + theirs of items, the receiver the first common and the rest. */
static size_t reconcile(const struct sup_riblt_item *items, size_t common, size_t theirs,
                        size_t ours)
{
    size_t d = theirs + ours;
    size_t max = d * 4 + 400;
    struct sup_riblt_symbol *a = calloc(max, sizeof(*a));
    struct sup_riblt_symbol *b = calloc(max, sizeof(*b));
    struct sup_riblt_decoder *dec = sup_riblt_decoder_new(&key, max);
    struct sup_riblt_diff *want = calloc(d + 1, sizeof(*want));
    struct sup_riblt_diff *got;
    size_t n = 0;
    size_t used;

    assert_true(a && b && dec && want);
    for (size_t i = 0; i < common + theirs; i++)
        sup_riblt_toggle(a, max, &key, &items[i], 1);
    for (size_t i = 0; i < common; i++)
        sup_riblt_toggle(b, max, &key, &items[i], 1);
    for (size_t i = 0; i < ours; i++)
        sup_riblt_toggle(b, max, &key, &items[common + theirs + i], 1);
    sup_riblt_subtract(a, b, max);
    assert_false(sup_riblt_decoder_done(dec));
    for (size_t i = 0; i < max && !sup_riblt_decoder_done(dec); i++)
        assert_int_equal(sup_riblt_decoder_add(dec, &a[i]), SUP_OK);
    assert_true(sup_riblt_decoder_done(dec));
    got = (struct sup_riblt_diff *)(uintptr_t)sup_riblt_decoder_diff(dec, &n);
    assert_int_equal(n, d);
    for (size_t i = 0; i < d; i++) {
        want[i].item = items[common + i];
        want[i].side = i < theirs ? 1 : -1;
    }
    if (d > 0) {
        qsort(got, n, sizeof(*got), cmp_diff);
        qsort(want, d, sizeof(*want), cmp_diff);
    }
    for (size_t i = 0; i < d; i++)
        assert_int_equal(cmp_diff(&got[i], &want[i]), 0);
    used = sup_riblt_decoder_symbols(dec);
    sup_riblt_decoder_free(dec);
    free(want);
    free(a);
    free(b);
    return used;
}

static void any_two_sets_are_reconciled(void **state)
{
    struct sup_rng r = property_rng("reconcile");

    (void)state;
    for (size_t c = 0; c < property_cases(200); c++) {
        size_t common = sup_rng_below(&r, 500);
        size_t theirs = sup_rng_below(&r, property_chance(&r, 50) ? 4 : 200);
        size_t ours = sup_rng_below(&r, property_chance(&r, 50) ? 4 : 200);
        struct sup_riblt_item *items = random_items(&r, common + theirs + ours);
        reconcile(items, common, theirs, ours);
        free(items);
    }
}

/* The paper's figure 4: 1.72 for few differences, 1.35 in the limit. */
static void overhead_is_the_papers(void **state)
{
    static const struct {
        size_t d, runs;
        double most;
    } rows[] = {
        {1, 200, 1.05}, {10, 200, 1.95}, {100, 40, 1.6}, {1000, 10, 1.46}, {20000, 1, 1.40}};
    struct sup_rng r = property_rng("overhead");

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t used = 0;
        for (size_t k = 0; k < rows[i].runs; k++) {
            struct sup_riblt_item *items = random_items(&r, 100 + rows[i].d);
            used += reconcile(items, 100, rows[i].d / 2, rows[i].d - rows[i].d / 2);
            free(items);
        }
        double overhead = (double)used / (double)(rows[i].d * rows[i].runs);
        print_message("d=%zu: %.3f symbols a difference\n", rows[i].d, overhead);
        assert_true(overhead < rows[i].most);
    }
}

static void equal_sets_need_one_symbol(void **state)
{
    struct sup_rng r = property_rng("equal");
    struct sup_riblt_item *items = random_items(&r, 100);

    (void)state;
    assert_int_equal(reconcile(items, 100, 0, 0), 1);
    assert_int_equal(reconcile(items, 0, 0, 0), 1);
    free(items);
}

/* Index i holds an item with probability 1/(1+i/2): nearly, as the jumps are those of a continuous
 * distribution rounded up. */
static void indexes_thin_out_as_they_should(void **state)
{
    enum { N = 40000 };
    static const uint64_t at[] = {0, 10, 30, 100, 1000};
    struct sup_rng r = property_rng("density");
    size_t seen[sizeof(at) / sizeof(at[0])] = {0};

    (void)state;
    for (int i = 0; i < N; i++) {
        struct sup_riblt_walk w;
        uint64_t last = 0;
        sup_riblt_walk_init(&w, sup_rng_u64(&r));
        assert_int_equal(w.index, 0);
        for (; w.index <= 1000; sup_riblt_walk_next(&w)) {
            assert_true(w.index == 0 || w.index > last);
            last = w.index;
            for (size_t k = 0; k < sizeof(at) / sizeof(at[0]); k++)
                seen[k] += w.index == at[k];
        }
    }
    for (size_t k = 0; k < sizeof(at) / sizeof(at[0]); k++) {
        double p = 1 / (1 + (double)at[k] / 2);
        double sigma = sqrt(N * p * (1 - p));
        assert_true(fabs((double)seen[k] - N * p) <= 6 * sigma + 0.03 * N * p);
    }
}

static void walks_end(void **state)
{
    static const uint64_t seeds[] = {0, 1, 2, UINT64_MAX, 1ULL << 63};

    (void)state;
    for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
        struct sup_riblt_walk w;
        int steps = 0;
        sup_riblt_walk_init(&w, seeds[i]);
        while (w.index != UINT64_MAX && steps < 10000) {
            uint64_t before = w.index;
            assert_true(sup_riblt_walk_next(&w) > before);
            steps++;
        }
        assert_int_equal(w.index, UINT64_MAX);
        assert_int_equal(sup_riblt_walk_next(&w), UINT64_MAX);
    }
}

/* Two programs that disagree in these can never repair each other: fixed for ever. */
static void indexes_are_fixed_for_ever(void **state)
{
    static const uint64_t want[] = {0, 1, 2, 4, 6, 8, 20, 24, 34, 36, 126, 153};
    struct sup_riblt_walk w;

    (void)state;
    sup_riblt_walk_init(&w, 0x0123456789abcdef);
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++, sup_riblt_walk_next(&w))
        assert_int_equal(w.index, want[i]);
}

static void upkeep_in_place_is_the_sequence_of_the_set(void **state)
{
    enum { N = 300, SYMBOLS = 500 };
    struct sup_rng r = property_rng("upkeep");

    (void)state;
    for (size_t c = 0; c < property_cases(20); c++) {
        struct sup_riblt_item *items = random_items(&r, N);
        struct sup_riblt_symbol *kept = calloc(SYMBOLS, sizeof(*kept));
        struct sup_riblt_symbol *made = calloc(SYMBOLS, sizeof(*made));
        struct sup_riblt_source source;
        size_t n = 0;
        size_t first = 0;
        assert_true(kept && made);
        for (int op = 0; op < 400; op++) {
            if (n < N && property_chance(&r, 60)) {
                sup_riblt_toggle(kept, SYMBOLS, &key, &items[n++], 1);
            } else if (n > 0) {
                size_t i = sup_rng_below(&r, n);
                struct sup_riblt_item gone = items[i];
                sup_riblt_toggle(kept, SYMBOLS, &key, &gone, -1);
                items[i] = items[--n];
                items[n] = gone;
            }
        }
        assert_int_equal(sup_riblt_source_init(&source, &key, items, n), SUP_OK);
        while (first < SYMBOLS) {
            size_t piece = 1 + sup_rng_below(&r, SYMBOLS - first);
            sup_riblt_source_take(&source, made + first, piece);
            first += piece;
        }
        assert_memory_equal(kept, made, SYMBOLS * sizeof(*kept));
        sup_riblt_source_fini(&source);
        free(kept);
        free(made);
        free(items);
    }
}

static void symbols_travel(void **state)
{
    struct sup_rng r = property_rng("wire");

    (void)state;
    for (size_t c = 0; c < property_cases(2000); c++) {
        uint64_t first = sup_rng_below(&r, 2) ? 0 : property_edge_u64(&r) >> 8;
        uint64_t n_set = sup_rng_below(&r, 2) ? sup_rng_below(&r, 10000000) : property_edge_u64(&r);
        struct sup_riblt_symbol s[3];
        struct sup_riblt_symbol back;
        struct sup_buf b;
        struct sup_cur cur;
        sup_buf_init(&b, 3 * SUP_RIBLT_WIRE_MAX);
        for (int i = 0; i < 3; i++)
            s[i] = (struct sup_riblt_symbol){sup_rng_u64(&r), sup_rng_u64(&r),
                                             sup_rng_u64(&r) >> 16, (int32_t)property_edge_u64(&r)};
        sup_riblt_pack(s, 3, first, n_set, &b);
        assert_int_equal(b.failed, SUP_OK);
        cur = sup_cur_of(sup_buf_slice(&b));
        for (uint64_t i = 0; i < 3; i++) {
            sup_riblt_unpack(&cur, first + i, n_set, &back);
            assert_int_equal(cur.failed, SUP_OK);
            assert_memory_equal(&back, &s[i], sizeof(back));
        }
        assert_int_equal(cur.n, 0);
        cur = sup_cur_of(sup_slice_of(b.p, sup_rng_below(&r, 22)));
        sup_riblt_unpack(&cur, first, n_set, &back);
        assert_int_equal(cur.failed, SUP_EINPUT);
        sup_buf_fini(&b);
    }
}

/* As the indexes: the symbols as every version must send and read them. */
static void symbols_are_fixed_for_ever(void **state)
{
    static const char want[] =
        "fedcba9876543211fedcba987654321564b5bfe5cfde000123456789abcdeefedcba98765432125b5cc2f1a315"
        "000123456789abcdeffedcba98765432108265a91f65df00000000000000000000000000000000000000000000"
        "0001ffffffffffffffff00000000000000073fe97d146ccb000000000000000000000000000000000000000000"
        "000000";
    static const struct sup_riblt_item items[] = {
        {1, 2}, {0x0123456789abcdef, 0xfedcba9876543210}, {UINT64_MAX, 7}};
    struct sup_riblt_symbol s[6] = {{0}};
    char hex[sizeof(want)] = "";
    struct sup_buf b;

    (void)state;
    sup_buf_init(&b, 6 * SUP_RIBLT_WIRE_MAX);
    for (size_t i = 0; i < 3; i++)
        sup_riblt_toggle(s, 6, &key, &items[i], 1);
    sup_riblt_pack(s, 6, 0, 3, &b);
    assert_int_equal(b.n * 2 + 1, sizeof(want));
    for (size_t i = 0; i < b.n; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", b.p[i]);
    assert_string_equal(hex, want);
    sup_buf_fini(&b);
}

/* Whatever comes, the decoder ends: with an error, at its maximum, or believing to be done. */
static void hostile_symbols_end(void **state)
{
    struct sup_rng r = property_rng("hostile");

    (void)state;
    for (size_t c = 0; c < property_cases(300); c++) {
        size_t max = 1 + sup_rng_below(&r, 200);
        struct sup_riblt_decoder *d = sup_riblt_decoder_new(&key, max);
        struct sup_riblt_item *items = random_items(&r, 8);
        size_t n = 0;
        int rc = SUP_OK;
        assert_non_null(d);
        while (rc == SUP_OK) {
            /* Symbols that hold one item, in places where it does not belong. */
            struct sup_riblt_item *it = &items[sup_rng_below(&r, 8)];
            struct sup_riblt_symbol s = {it->key, it->digest, sup_riblt_hash(&key, it) >> 16,
                                         property_chance(&r, 50) ? 1 : -1};
            if (property_chance(&r, 20))
                s.count = (int32_t)property_edge_u64(&r);
            rc = sup_riblt_decoder_add(d, &s);
        }
        assert_true(rc == SUP_ELIMIT || rc == SUP_ECORRUPT);
        assert_false(sup_riblt_decoder_done(d));
        assert_true(sup_riblt_decoder_symbols(d) <= max);
        sup_riblt_decoder_diff(d, &n);
        assert_true(n <= max);
        assert_int_equal(sup_riblt_decoder_add(d, &(struct sup_riblt_symbol){0}), rc);
        sup_riblt_decoder_free(d);
        free(items);
    }
}

/* --- strata --- */

static uint64_t estimate(struct sup_rng *r, size_t common, size_t d)
{
    struct sup_strata a = {{0}};
    struct sup_strata b = {{0}};

    for (size_t i = 0; i < common; i++) {
        uint64_t h = sup_rng_u64(r);
        sup_strata_toggle(&a, h);
        sup_strata_toggle(&b, h);
    }
    for (size_t i = 0; i < d; i++)
        sup_strata_toggle(property_chance(r, 50) ? &a : &b, sup_rng_u64(r));
    return sup_strata_estimate(&a, &b);
}

static void estimates_are_near(void **state)
{
    static const size_t ds[] = {1, 3, 10, 100, 1000, 10000, 200000};
    struct sup_rng r = property_rng("strata");

    (void)state;
    for (size_t i = 0; i < sizeof(ds) / sizeof(ds[0]); i++) {
        enum { RUNS = 20 };
        double square = 0;
        for (int k = 0; k < RUNS; k++) {
            double off = (double)estimate(&r, 100, ds[i]) / (double)ds[i] - 1;
            square += off * off;
        }
        double error = sqrt(square / RUNS);
        print_message("d=%zu: standard error %.3f\n", ds[i], error);
        assert_true(error < (ds[i] < 20 ? 1.1 : 0.25));
    }
    assert_int_equal(estimate(&r, 1000, 0), 0);
}

static void everything_flipped_is_more_than_can_be_told(void **state)
{
    struct sup_strata a = {{0}};
    struct sup_strata b;

    (void)state;
    memset(&b, 0xff, sizeof(b));
    assert_int_equal(sup_strata_estimate(&a, &b), UINT64_MAX);
    sup_strata_xor(&a, &b);
    assert_int_equal(sup_strata_estimate(&a, &b), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_two_sets_are_reconciled),
        cmocka_unit_test(overhead_is_the_papers),
        cmocka_unit_test(equal_sets_need_one_symbol),
        cmocka_unit_test(indexes_thin_out_as_they_should),
        cmocka_unit_test(walks_end),
        cmocka_unit_test(indexes_are_fixed_for_ever),
        cmocka_unit_test(upkeep_in_place_is_the_sequence_of_the_set),
        cmocka_unit_test(symbols_travel),
        cmocka_unit_test(symbols_are_fixed_for_ever),
        cmocka_unit_test(hostile_symbols_end),
        cmocka_unit_test(estimates_are_near),
        cmocka_unit_test(everything_flipped_is_more_than_can_be_told),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
