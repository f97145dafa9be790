#include "property.h"

#include "base/array.h"
#include "model/hlc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define DAY_MS INT64_C(86400000)
#define T0     INT64_C(1764000000000) /* November 2025 */

static void stamps(void **state)
{
    (void)state;
    assert_true(sup_hlc_from_ms(1) == UINT64_C(1) << SUP_HLC_COUNTER_BITS);
    assert_true(sup_hlc_ms(sup_hlc_from_ms(T0)) == T0);
    assert_true(sup_hlc_ms(sup_hlc_from_ms(T0) + 65535) == T0);
    assert_true(sup_hlc_from_ms(-1) == 0);
    assert_true(sup_hlc_from_ms(INT64_MIN) == 0);
    assert_true(sup_hlc_ms(sup_hlc_from_ms(INT64_MAX)) == (INT64_C(1) << 48) - 1);
    assert_true(sup_hlc_ms(SUP_HLC_MAX) == (INT64_C(1) << 48) - 1);
}

static void counter_carries_into_the_milliseconds(void **state)
{
    struct sup_hlc h;
    sup_hlc_time last;

    (void)state;
    sup_hlc_init(&h, 0);
    last = sup_hlc_now(&h, T0);
    assert_true(last == sup_hlc_from_ms(T0));
    for (int i = 0; i < 200000; i++) {
        sup_hlc_time t = sup_hlc_now(&h, T0);
        assert_true(t == last + 1);
        last = t;
    }
    assert_true(sup_hlc_ms(last) == T0 + 200000 / 65536);
    /* the wall catches up and leads again */
    assert_true(sup_hlc_now(&h, T0 + 10) == sup_hlc_from_ms(T0 + 10));
}

static void ends_of_time(void **state)
{
    struct sup_hlc h;
    sup_hlc_time reserve = 0;

    (void)state;
    sup_hlc_init(&h, SUP_HLC_MAX - 2);
    assert_true(sup_hlc_now(&h, T0) == SUP_HLC_MAX - 1);
    assert_true(sup_hlc_needs_reserve(&h, T0, &reserve) && reserve == SUP_HLC_MAX);
    assert_true(sup_hlc_now(&h, INT64_MAX) == SUP_HLC_MAX);
    assert_true(sup_hlc_now(&h, INT64_MIN) == SUP_HLC_MAX); /* stands still, does not wrap */
    assert_true(sup_hlc_needs_reserve(&h, INT64_MAX, &reserve) && reserve == SUP_HLC_MAX);

    sup_hlc_init(&h, 0);
    assert_true(sup_hlc_now(&h, INT64_MIN) == 1);
    assert_true(sup_hlc_now(&h, 0) == 2);
}

static void drift_limit(void **state)
{
    static const struct {
        int64_t remote_ms, wall_ms, drift_ms;
        bool moves;
    } cases[] = {
        {T0, T0, 60000, true},
        {T0 + 60000, T0, 60000, true},
        {T0 + 60001, T0, 60000, false},
        {T0 - 30 * DAY_MS, T0, 60000, true},
        {T0, T0, 0, true},
        {T0 + 1, T0, 0, false},
        {T0, INT64_MIN, 60000, false},
        {T0, INT64_MAX, 60000, true},
        {T0, T0, INT64_MAX, true},
        {T0, 0, INT64_MAX, true},
        {T0, -1, INT64_MIN, false},
    };

    (void)state;
    for (size_t i = 0; i < SUP_COUNT(cases); i++) {
        struct sup_hlc h;
        sup_hlc_time before;
        sup_hlc_time remote = sup_hlc_from_ms(cases[i].remote_ms) + 7;
        sup_hlc_init(&h, sup_hlc_from_ms(T0 - DAY_MS));
        before = h.last;
        assert_int_equal(sup_hlc_merge(&h, remote, cases[i].wall_ms, cases[i].drift_ms),
                         cases[i].moves);
        if (!cases[i].moves || remote < before)
            assert_true(h.last == before);
        else
            assert_true(h.last == remote);
    }
}

/* A node as the writer runs it: a batch reads the wall once, merges and issues, and at its end
 * persists the bound if asked to; a crash loses the clock but what was persisted, and whatever was
 * issued by a batch that did not end never left the node. */
struct node {
    struct sup_hlc h;
    sup_hlc_time persisted;
    sup_hlc_time largest_durable; /* issued by batches that ended */
    sup_hlc_time largest_merged;  /* merged by batches that ended */
};

static void batch(struct node *n, struct sup_rng *r, int64_t wall_ms, int64_t drift_ms, bool ends)
{
    sup_hlc_time last = n->h.last;
    sup_hlc_time issued = 0;
    sup_hlc_time merged = 0;
    sup_hlc_time reserve = 0;

    for (size_t k = sup_rng_below(r, 20); k > 0; k--) {
        if (property_chance(r, 25)) {
            sup_hlc_time remote =
                sup_hlc_from_ms(wall_ms + (int64_t)sup_rng_below(r, 130000) - 65000) +
                sup_rng_below(r, 65536);
            bool near = sup_hlc_ms(remote) - wall_ms <= drift_ms;
            sup_hlc_time before = n->h.last;
            assert_int_equal(sup_hlc_merge(&n->h, remote, wall_ms, drift_ms), near);
            if (!near)
                assert_true(n->h.last == before);
            else if (remote > merged)
                merged = remote;
        } else {
            issued = sup_hlc_now(&n->h, wall_ms);
            assert_true(issued > last && issued > merged);
            assert_true(issued > n->largest_durable && issued > n->largest_merged);
            last = issued;
        }
    }
    if (!ends)
        return;
    if (sup_hlc_needs_reserve(&n->h, wall_ms, &reserve)) {
        assert_true(reserve > n->h.last);
        n->persisted = reserve;
        sup_hlc_reserved(&n->h, reserve);
    }
    if (issued > n->largest_durable)
        n->largest_durable = issued;
    if (merged > n->largest_merged)
        n->largest_merged = merged;
    assert_true(n->largest_durable < n->persisted && n->largest_merged < n->persisted);
    assert_true(n->h.reserved == n->persisted);
}

static void never_reissued_whatever_the_wall_does(void **state)
{
    struct sup_rng r = property_rng(__func__);

    (void)state;
    for (size_t life = property_cases(200); life > 0; life--) {
        struct node n;
        int64_t wall = T0;
        memset(&n, 0, sizeof(n));
        sup_hlc_init(&n.h, 0);
        for (int step = 0; step < 200; step++) {
            switch (sup_rng_below(&r, 20)) {
            case 0: /* the wall is set by days */
                wall += ((int64_t)sup_rng_below(&r, 21) - 10) * DAY_MS;
                break;
            case 1:
                wall -= (int64_t)sup_rng_below(&r, 5000);
                break;
            case 2: /* stands */
                break;
            default:
                wall += (int64_t)sup_rng_below(&r, 300);
            }
            bool crash = property_chance(&r, 10);
            batch(&n, &r, wall, 60000, !crash);
            if (crash)
                sup_hlc_init(&n.h, n.persisted);
        }
    }
}

/* Restarting again and again must not outrun the wall: peers would quarantine all that this node
 * says (60 s by default). */
static void crash_loop_stays_near_the_wall(void **state)
{
    struct sup_hlc h;
    sup_hlc_time persisted = 0;
    sup_hlc_time reserve = 0;
    int64_t wall = T0;

    (void)state;
    for (int restart = 0; restart < 600; restart++, wall += 100) {
        sup_hlc_init(&h, persisted);
        sup_hlc_time t = sup_hlc_now(&h, wall);
        assert_true(sup_hlc_ms(t) - wall <= 5000);
        if (sup_hlc_needs_reserve(&h, wall, &reserve))
            persisted = reserve;
        assert_true(t < persisted);
    }
}

/* The bound is there to save writes: at a steady pace one renewal in a second or more. */
static void renewals_are_rare(void **state)
{
    struct sup_hlc h;
    sup_hlc_time reserve = 0;
    int renewals = 0;

    (void)state;
    sup_hlc_init(&h, 0);
    for (int64_t wall = T0; wall < T0 + 60000; wall += 5) {
        for (int k = 0; k < 50; k++)
            (void)sup_hlc_now(&h, wall);
        if (sup_hlc_needs_reserve(&h, wall, &reserve)) {
            sup_hlc_reserved(&h, reserve);
            renewals++;
        }
    }
    assert_in_range(renewals, 20, 60);
    sup_hlc_reserved(&h, 5); /* a bound is never lowered */
    assert_true(h.reserved == reserve);
}

/* Two nodes that exchange what they issue: causality holds though one wall is slow. */
static void causality_over_skewed_walls(void **state)
{
    struct sup_rng r = property_rng(__func__);
    struct sup_hlc h[2];
    sup_hlc_time last_seen = 0;
    int64_t wall = T0;

    (void)state;
    sup_hlc_init(&h[0], 0);
    sup_hlc_init(&h[1], 0);
    for (size_t i = property_cases(20000); i > 0; i--) {
        size_t who = sup_rng_below(&r, 2);
        int64_t my_wall = who == 0 ? wall : wall - 30000;
        wall += (int64_t)sup_rng_below(&r, 3);
        assert_true(sup_hlc_merge(&h[who], last_seen, my_wall, 60000));
        sup_hlc_time t = sup_hlc_now(&h[who], my_wall);
        assert_true(t > last_seen);
        last_seen = t;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stamps),
        cmocka_unit_test(counter_carries_into_the_milliseconds),
        cmocka_unit_test(ends_of_time),
        cmocka_unit_test(drift_limit),
        cmocka_unit_test(never_reissued_whatever_the_wall_does),
        cmocka_unit_test(crash_loop_stays_near_the_wall),
        cmocka_unit_test(renewals_are_rare),
        cmocka_unit_test(causality_over_skewed_walls),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
