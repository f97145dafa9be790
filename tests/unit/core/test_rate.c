#include "property.h"

#include "core/rate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define T0 INT64_C(1000000)

/* A client that sends whenever it may; each answer comes back 20 ms later. Runs for ms, returns how
 * many were sent. */
static uint64_t run_busy(struct sup_rate *r, int64_t *now, int64_t ms)
{
    uint64_t sent = 0;

    for (int64_t end = *now + ms; *now < end; ++*now) {
        while (sup_rate_take(r, *now) == 0)
            sent++;
        sup_rate_success(r, *now); /* in steady state some answer arrives each millisecond */
    }
    return sent;
}

static void starts_at_one(void **state)
{
    struct sup_rate r;

    (void)state;
    sup_rate_init(&r, 0, 100, T0);
    assert_true(fabs(r.rps - SUP_RATE_START) < 1e-9);
    assert_int_equal(sup_rate_take(&r, T0), 0);
    int64_t wait = sup_rate_take(&r, T0);
    assert_in_range(wait, 1020, 1022); /* a little less than is allowed */
    assert_true(sup_rate_take(&r, T0 + wait - 2) > 0);
    assert_int_equal(sup_rate_take(&r, T0 + wait), 0);
}

static void odd_settings(void **state)
{
    static const double odd[] = {-1, 0, (double)NAN, -(double)INFINITY, 1e-9};
    struct sup_rate r;

    (void)state;
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        sup_rate_init(&r, odd[i], 10, T0);
        assert_true(r.rps >= SUP_RATE_MIN && r.rps <= SUP_RATE_START);
        sup_rate_init(&r, 5, odd[i], T0);
        assert_true(fabs(r.rps - SUP_RATE_MAX_MIN) < 1e-9);
        assert_true(sup_rate_take(&r, T0) == 0 && sup_rate_take(&r, T0) > 0);
    }
    /* Somebody who allows a request in ten seconds gets no more, whatever happens. */
    sup_rate_init(&r, 7, 0.1, T0);
    for (int i = 1; i < 20; i++) {
        if (i % 2 == 0)
            sup_rate_throttled(&r, T0 + i * 20000);
        else if (sup_rate_take(&r, T0 + i * 20000) == 0)
            sup_rate_success(&r, T0 + i * 20000 + 100);
        assert_true(fabs(r.rps - 0.1) < 1e-9);
    }
    sup_rate_init(&r, 1e9, 50, T0); /* a kept rate above a maximum that was lowered since */
    assert_true(fabs(r.rps - 50) < 1e-9);
}

/* Asking again after the time that take said succeeds. */
static void the_wait_is_right(void **state)
{
    struct sup_rng rng = property_rng(__func__);

    (void)state;
    for (size_t c = property_cases(2000); c > 0; c--) {
        struct sup_rate r;
        int64_t now = T0;
        sup_rate_init(&r, SUP_RATE_MIN + sup_rng_unit(&rng) * 300, 300, now);
        for (int i = 0; i < 50; i++) {
            int64_t wait = sup_rate_take(&r, now);
            if (wait == 0)
                continue;
            assert_true(wait > 0 && wait <= 1030 / SUP_RATE_MIN + 1);
            now += wait;
            assert_int_equal(sup_rate_take(&r, now), 0);
        }
    }
}

/* In any window: no more than a burst (half a second's worth, at least one) plus rate times time.
 */
static void never_above_the_bound(void **state)
{
    struct sup_rng rng = property_rng(__func__);

    (void)state;
    for (size_t c = property_cases(60); c > 0; c--) {
        enum { STEPS = 3000 };
        static double allowed[STEPS + 1]; /* integral of the rate */
        static double taken[STEPS + 1];
        struct sup_rate r;
        int64_t now = T0;
        double max = 1 + sup_rng_unit(&rng) * 200;
        double worst = 0;
        double lowest = 0;
        sup_rate_init(&r, sup_rng_unit(&rng) * max, max, now);
        for (int i = 1; i <= STEPS; i++) {
            int64_t dt = property_chance(&rng, 2) ? (int64_t)sup_rng_below(&rng, 20000)
                                                  : (int64_t)sup_rng_below(&rng, 30);
            double rate = r.rps;
            now += dt;
            taken[i] = taken[i - 1];
            while (sup_rate_take(&r, now) == 0)
                taken[i]++;
            allowed[i] = allowed[i - 1] + rate * (double)dt / 1000;
            if (property_chance(&rng, 30))
                sup_rate_success(&r, now);
            if (property_chance(&rng, 1))
                sup_rate_throttled(&r, now);
            if (property_chance(&rng, 1))
                (void)sup_rate_take(&r, now - 5000); /* a clock read out of order */
            assert_true(r.rps >= SUP_RATE_MIN && r.rps <= max + 1e-9);
            assert_true(r.tokens >= 0);
            /* over all windows that end here */
            double excess = taken[i] - allowed[i];
            if (excess - lowest > worst)
                worst = excess - lowest;
            if (excess < lowest)
                lowest = excess;
        }
        double burst = max / 2 < 1 ? 1 : max / 2;
        assert_true(worst <= burst + 1);
    }
}

static void grows_by_one_a_second(void **state)
{
    struct sup_rate r;
    int64_t now = T0;

    (void)state;
    sup_rate_init(&r, 0, 1000, now);
    for (int s = 1; s <= 210; s++) {
        (void)run_busy(&r, &now, 1000);
        assert_true(fabs(r.rps - (1 + s)) < 0.1 * (1 + s) + 0.2);
    }
    assert_true(r.rps >= 200);
    /* and the maximum holds */
    sup_rate_init(&r, 195, 200, now);
    (void)run_busy(&r, &now, 20000);
    assert_true(fabs(r.rps - 200) < 1e-9);
    uint64_t sent = run_busy(&r, &now, 10000);
    assert_in_range(sent, 1990, 2010);
}

/* What is done between token and request takes a different time each time: where requests go one by
 * one they keep their distance all the same, and nearly all of the rate is used. */
static void late_requests_keep_their_distance(void **state)
{
    struct sup_rng rng = property_rng(__func__);

    (void)state;
    for (size_t c = property_cases(200); c > 0; c--) {
        struct sup_rate r;
        double max = 0.3 + sup_rng_unit(&rng) * 1.7;
        int64_t now = T0, last = 0;
        int sent = 0;
        sup_rate_init(&r, max, max, now);
        while (now < T0 + 200000) {
            int64_t wait = sup_rate_take(&r, now);
            now += wait;
            if (wait > 0)
                continue;
            now += (int64_t)sup_rng_below(&rng, 20);
            sup_rate_sent(&r, now);
            assert_true(sent == 0 || (double)(now - last) >= 1000 / max);
            last = now;
            sent++;
            sup_rate_success(&r, now + (int64_t)sup_rng_below(&rng, 100));
        }
        assert_true(sent >= 0.94 * 200 * max - 1);
    }
}

/* Answers need not come every millisecond: a slow Region's rate grows as well. */
static void grows_with_sparse_answers(void **state)
{
    struct sup_rate r;
    int64_t now = T0;
    int64_t end = T0 + 60000;

    (void)state;
    sup_rate_init(&r, 0, 1000, now);
    while (now < end) {
        int64_t wait = sup_rate_take(&r, now);
        now += wait;
        if (wait == 0)
            sup_rate_success(&r, now + 1);
    }
    assert_in_range((uint64_t)r.rps, 45, 62);
}

static void idle_time_and_trickle_raise_nothing(void **state)
{
    struct sup_rate r;
    int64_t now = T0;

    (void)state;
    sup_rate_init(&r, 20, 1000, now);
    assert_int_equal(sup_rate_take(&r, now), 0);
    now += 3600000;
    sup_rate_success(&r, now);
    assert_true(r.rps <= 21);
    for (int i = 0; i < 3600; i++) {
        now += 1000;
        assert_int_equal(sup_rate_take(&r, now), 0);
        sup_rate_success(&r, now + 100);
    }
    assert_true(r.rps <= 25);
    /* nor do tokens pile up */
    uint64_t burst = 0;
    now += 3600000;
    while (sup_rate_take(&r, now) == 0)
        burst++;
    assert_in_range(burst, 1, 12);
}

static void halves_once_a_burst(void **state)
{
    struct sup_rate r;
    int64_t now = T0;

    (void)state;
    sup_rate_init(&r, 128, 128, now);
    assert_int_equal(sup_rate_take(&r, now), 0);
    for (int i = 0; i < 50; i++)
        sup_rate_throttled(&r, now + i * 10);
    assert_true(fabs(r.rps - 64) < 1e-9);
    assert_true(sup_rate_take(&r, now + 490) > 0); /* no tokens left */
    sup_rate_success(&r, now + 999);               /* no growth in that second */
    assert_true(fabs(r.rps - 64) < 1e-9);
    sup_rate_throttled(&r, now + 1000);
    assert_true(fabs(r.rps - 32) < 1e-9);
    for (int i = 2; i < 40; i++)
        sup_rate_throttled(&r, now + i * 1000);
    assert_true(fabs(r.rps - SUP_RATE_MIN) < 1e-9);
    /* and back */
    now += 60000;
    (void)run_busy(&r, &now, 130000);
    assert_true(r.rps > 100);
}

/* Against a limiter as AWS has it (a bucket of L tokens, refilled at L a second) the client finds
 * the limit: most of it is used, and a throttle comes as often as it takes to grow back. */
static void finds_an_unknown_limit(void **state)
{
    struct sup_rng rng = property_rng(__func__);

    (void)state;
    for (size_t c = property_cases(20); c > 0; c--) {
        struct sup_rate r;
        double limit = 2 + sup_rng_unit(&rng) * 100;
        double bucket = limit;
        uint64_t ok = 0;
        uint64_t throttled = 0;
        sup_rate_init(&r, 0, 1000, T0);
        for (int64_t now = T0; now < T0 + 600000; now++) {
            bucket = fmin(limit, bucket + limit / 1000);
            while (sup_rate_take(&r, now) == 0) {
                if (bucket >= 1) {
                    bucket -= 1;
                    sup_rate_success(&r, now);
                    ok++;
                } else {
                    sup_rate_throttled(&r, now);
                    throttled++;
                }
            }
        }
        assert_true((double)ok > 0.6 * limit * 600);
        /* one throttle a cycle, which takes the time to grow back from the half */
        assert_true((double)throttled < 600 / (1 + limit / 2) * 1.5 + 20);
    }
}

static void a_kept_rate_survives_a_restart(void **state)
{
    struct sup_rate r;
    struct sup_rate again;
    int64_t now = T0;

    (void)state;
    sup_rate_init(&r, 0, 1000, now);
    (void)run_busy(&r, &now, 50000);
    sup_rate_init(&again, r.rps, 1000, 5 /* another boot's monotonic clock */);
    assert_true(fabs(again.rps - r.rps) < 1e-9);
    now = 5;
    uint64_t sent = run_busy(&again, &now, 1000);
    assert_in_range(sent, (uint64_t)r.rps - 2, (uint64_t)r.rps + 3); /* no burst on top */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_at_one),
        cmocka_unit_test(odd_settings),
        cmocka_unit_test(the_wait_is_right),
        cmocka_unit_test(never_above_the_bound),
        cmocka_unit_test(grows_by_one_a_second),
        cmocka_unit_test(late_requests_keep_their_distance),
        cmocka_unit_test(grows_with_sparse_answers),
        cmocka_unit_test(idle_time_and_trickle_raise_nothing),
        cmocka_unit_test(halves_once_a_burst),
        cmocka_unit_test(finds_an_unknown_limit),
        cmocka_unit_test(a_kept_rate_survives_a_restart),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
