#include "property.h"

#include "base/array.h"
#include "codec/value.h"
#include "core/merge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Few values for each part, so that times, states, origins and even encoded bytes are often equal
 * and every step of the order decides some cases. */
static struct sup_register random_register(struct sup_rng *r)
{
    static const uint8_t bytes[] = "abcabdab";
    static const sup_hlc_time times[] = {0, 1, 2, UINT64_C(1) << 63, SUP_HLC_MAX};
    size_t at = sup_rng_below(r, 6);

    return (struct sup_register){
        .present = true,
        .time = times[sup_rng_below(r, SUP_COUNT(times))],
        .state = property_chance(r, 50) ? SUP_SUPPRESSED : SUP_CLEARED,
        .origin = property_chance(r, 50) ? 1 : UINT64_MAX,
        .encoded = {bytes + at, sup_rng_below(r, 3)},
    };
}

static bool same(const struct sup_register *a, const struct sup_register *b)
{
    if (!a->present || !b->present)
        return a->present == b->present;
    return a->time == b->time && a->state == b->state && a->origin == b->origin &&
           sup_slice_eq(a->encoded, b->encoded);
}

static struct sup_register merged(struct sup_register a, const struct sup_register *b)
{
    (void)sup_register_merge(&a, b);
    return a;
}

static int sign(int v)
{
    return (v > 0) - (v < 0);
}

static void total_order(void **state)
{
    struct sup_rng r = property_rng(__func__);

    (void)state;
    for (size_t i = property_cases(50000); i > 0; i--) {
        struct sup_register a = random_register(&r);
        struct sup_register b = random_register(&r);
        struct sup_register c = random_register(&r);
        int ab = sign(sup_decision_cmp(&a, &b));
        int bc = sign(sup_decision_cmp(&b, &c));
        assert_int_equal(sup_decision_cmp(&a, &a), 0);
        assert_int_equal(ab, -sign(sup_decision_cmp(&b, &a)));
        assert_int_equal(ab == 0, same(&a, &b));
        if (ab <= 0 && bc <= 0)
            assert_true(sup_decision_cmp(&a, &c) <= 0);
    }
}

/* The rule itself, part by part: the first that differs decides, whatever the later ones say. */
static struct sup_register held(enum sup_state state, sup_hlc_time time, uint64_t origin,
                                struct sup_slice encoded)
{
    return (struct sup_register){
        .present = true, .state = state, .time = time, .origin = origin, .encoded = encoded};
}

static void what_decides(void **state)
{
    const struct sup_register base = {.present = true,
                                      .time = 10,
                                      .state = SUP_CLEARED,
                                      .origin = 10,
                                      .encoded = SUP_SLICE_LIT("m")};
    struct sup_register o;

    (void)state;
    o = held(SUP_CLEARED, 11, 1, SUP_SLICE_LIT(""));
    assert_true(sup_decision_cmp(&o, &base) > 0); /* the later one, be it a clear */
    o = held(SUP_SUPPRESSED, 9, 99, SUP_SLICE_LIT("z"));
    assert_true(sup_decision_cmp(&o, &base) < 0);
    o = held(SUP_SUPPRESSED, 10, 1, SUP_SLICE_LIT(""));
    assert_true(sup_decision_cmp(&o, &base) > 0); /* suppressed over cleared */
    o = held(SUP_CLEARED, 10, 11, SUP_SLICE_LIT(""));
    assert_true(sup_decision_cmp(&o, &base) > 0); /* the larger node id */
    o = held(SUP_CLEARED, 10, 10, SUP_SLICE_LIT("ma"));
    assert_true(sup_decision_cmp(&o, &base) > 0); /* bytes, the longer of equal ones */
    o = held(SUP_CLEARED, 10, 10, SUP_SLICE_LIT("\xff"));
    assert_true(sup_decision_cmp(&o, &base) > 0); /* unsigned bytes */
    o = base;
    assert_int_equal(sup_decision_cmp(&o, &base), 0);
}

static void commutative_associative_idempotent(void **state)
{
    struct sup_rng r = property_rng(__func__);

    (void)state;
    for (size_t i = property_cases(50000); i > 0; i--) {
        struct sup_register a = random_register(&r);
        struct sup_register b = random_register(&r);
        struct sup_register c = random_register(&r);
        struct sup_register ab = merged(a, &b);
        struct sup_register ba = merged(b, &a);
        struct sup_register bc = merged(b, &c);
        struct sup_register ab_c = merged(ab, &c);
        struct sup_register a_bc = merged(a, &bc);
        struct sup_register none = {.present = false};
        struct sup_register again = merged(ab, &b);
        assert_true(same(&ab, &ba));
        assert_true(same(&ab_c, &a_bc));
        again = merged(again, &a);
        assert_true(same(&again, &ab));
        none = merged(none, &a);
        assert_true(same(&none, &a));
    }
}

static void outcome_says_what_happened(void **state)
{
    struct sup_rng r = property_rng(__func__);
    size_t seen[4] = {0};

    (void)state;
    for (size_t i = property_cases(20000); i > 0; i--) {
        struct sup_register current = {.present = false};
        struct sup_register incoming = random_register(&r);
        if (property_chance(&r, 80))
            current = random_register(&r);
        struct sup_register before = current;
        enum sup_merge outcome = sup_register_merge(&current, &incoming);
        seen[outcome]++;
        switch (outcome) {
        case SUP_MERGE_EQUAL:
            assert_true(before.present && same(&before, &incoming) && same(&current, &before));
            break;
        case SUP_MERGE_OLDER:
            assert_true(before.present && sup_decision_cmp(&incoming, &before) < 0);
            assert_true(same(&current, &before));
            break;
        case SUP_MERGE_INSERTED:
            assert_true(!before.present && same(&current, &incoming));
            break;
        case SUP_MERGE_REPLACED:
            assert_true(before.present && sup_decision_cmp(&incoming, &before) > 0);
            assert_true(same(&current, &incoming));
            break;
        }
        assert_true(current.present);
        /* at once again: nothing to do, or still older */
        assert_int_equal(sup_register_merge(&current, &incoming),
                         outcome == SUP_MERGE_OLDER ? SUP_MERGE_OLDER : SUP_MERGE_EQUAL);
    }
    for (size_t i = 0; i < SUP_COUNT(seen); i++)
        assert_true(seen[i] > 100);
}

/* ---- replicas ---- */

#define N_REPLICAS    5
#define MAX_DECISIONS 40

struct world {
    struct sup_buf bytes[MAX_DECISIONS]; /* encoded decisions */
    enum sup_class cls[MAX_DECISIONS];
    size_t n;
    struct sup_registers replica[N_REPLICAS];
    bool has[N_REPLICAS][MAX_DECISIONS];
};

static void deliver(struct world *w, size_t to, size_t d)
{
    struct sup_log_entry e = {.cls = w->cls[d], .encoded = sup_buf_slice(&w->bytes[d])};
    struct sup_register r;

    assert_int_equal(sup_log_entry_register(&e, &r, NULL), SUP_OK);
    (void)sup_register_merge(&w->replica[to].r[e.cls - 1], &r);
    w->has[to][d] = true;
}

static void make_decisions(struct world *w, struct sup_rng *r)
{
    w->n = 1 + sup_rng_below(r, MAX_DECISIONS);
    for (size_t i = 0; i < w->n; i++) {
        struct sup_decision d = {
            .cls = (enum sup_class)(1 + sup_rng_below(r, SUP_N_CLASSES)),
            .state = property_chance(r, 50) ? SUP_SUPPRESSED : SUP_CLEARED,
            .cause = (enum sup_cause)sup_rng_below(r, SUP_CAUSE_LAST + 1),
            .time = sup_hlc_from_ms((int64_t)sup_rng_below(r, 6)) + sup_rng_below(r, 2),
            .origin = sup_rng_below(r, 3),
            .note = property_chance(r, 30) ? SUP_SLICE_LIT("note") : SUP_SLICE_LIT("other"),
        };
        sup_buf_init(&w->bytes[i], SUP_DECISION_MAX);
        sup_decision_encode(&d, &w->bytes[i]);
        assert_int_equal(w->bytes[i].failed, SUP_OK);
        w->cls[i] = d.cls;
    }
}

/* State transfer, as repair does it: registers of another replica, not its decisions. */
static void copy_state(struct world *w, size_t to, size_t from)
{
    for (size_t c = 0; c < SUP_N_CLASSES; c++) {
        if (w->replica[from].r[c].present)
            (void)sup_register_merge(&w->replica[to].r[c], &w->replica[from].r[c]);
    }
    for (size_t d = 0; d < w->n; d++)
        w->has[to][d] = w->has[to][d] || w->has[from][d];
}

/* Any deliveries, in any order and number, direct or by way of another replica, with partitions
 * that heal: at the end all replicas hold the maximum of each register. */
static void replicas_converge(void **state)
{
    struct sup_rng r = property_rng(__func__);
    struct world *w = calloc(1, sizeof(*w));

    (void)state;
    assert_non_null(w);
    for (size_t c = property_cases(2000); c > 0; c--) {
        memset(w, 0, sizeof(*w));
        make_decisions(w, &r);
        unsigned cut = (unsigned)sup_rng_below(&r, 1u << N_REPLICAS); /* two sides */
        for (size_t step = sup_rng_below(&r, 200); step > 0; step--) {
            size_t to = sup_rng_below(&r, N_REPLICAS);
            size_t from = sup_rng_below(&r, N_REPLICAS);
            size_t d = sup_rng_below(&r, w->n);
            if (property_chance(&r, 2))
                cut = (unsigned)sup_rng_below(&r, 1u << N_REPLICAS);
            if ((cut >> to & 1) != (cut >> from & 1))
                continue;
            if (property_chance(&r, 20))
                copy_state(w, to, from);
            else if (w->has[from][d] || d % N_REPLICAS == from)
                deliver(w, to, d);
        }
        /* healed: each gets what it lacks, in its own order */
        for (size_t to = 0; to < N_REPLICAS; to++) {
            size_t start = sup_rng_below(&r, w->n);
            for (size_t k = 0; k < w->n; k++) {
                size_t d = (start + k) % w->n;
                if (!w->has[to][d] || property_chance(&r, 20))
                    deliver(w, to, d);
            }
        }
        struct sup_registers want = {0};
        for (size_t d = 0; d < w->n; d++) {
            struct sup_register reg;
            assert_int_equal(sup_register_decode(sup_buf_slice(&w->bytes[d]), &reg, NULL, NULL),
                             SUP_OK);
            struct sup_register *max = &want.r[w->cls[d] - 1];
            if (!max->present || sup_decision_cmp(&reg, max) > 0)
                *max = reg;
        }
        for (size_t i = 0; i < N_REPLICAS; i++) {
            for (size_t k = 0; k < SUP_N_CLASSES; k++)
                assert_true(same(&w->replica[i].r[k], &want.r[k]));
        }
        for (size_t d = 0; d < w->n; d++)
            sup_buf_fini(&w->bytes[d]);
    }
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(total_order),
        cmocka_unit_test(what_decides),
        cmocka_unit_test(commutative_associative_idempotent),
        cmocka_unit_test(outcome_says_what_happened),
        cmocka_unit_test(replicas_converge),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
