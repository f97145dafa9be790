#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"

#include <string.h>

static void kernel_bytes_differ(void **state)
{
    (void)state;
    uint8_t a[1000] = {0};
    uint8_t b[1000] = {0};
    sup_random_bytes(a, sizeof(a));
    sup_random_bytes(b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    int ones = 0;
    for (size_t i = 0; i < sizeof(a); i++)
        ones += __builtin_popcount(a[i]);
    assert_true(ones > 3600 && ones < 4400); /* 4000 ± 9 standard deviations */
    sup_random_bytes(a, 0);
    assert_true(sup_random_u64() != sup_random_u64());
    assert_true(sup_random_id() != 0);
}

/* The first outputs of xoshiro256** from the state {1, 2, 3, 4}, as the authors' C code and other
 * implementations' test suites have them. */
static void generator_is_xoshiro(void **state)
{
    (void)state;
    static const uint64_t want[] = {11520u,
                                    0u,
                                    1509978240u,
                                    1215971899390074240u,
                                    1216172134540287360u,
                                    607988272756665600u,
                                    16172922978634559625u,
                                    8476171486693032832u,
                                    10595114339597558777u,
                                    2904607092377533576u};
    struct sup_rng r = {{1, 2, 3, 4}};
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
        assert_true(sup_rng_u64(&r) == want[i]);
}

/* SplitMix64 from 1234567, likewise. */
static void seed_is_splitmix(void **state)
{
    (void)state;
    struct sup_rng r;
    sup_rng_seed(&r, 1234567);
    assert_true(r.s[0] == 6457827717110365317u);
    assert_true(r.s[1] == 3203168211198807973u);
    assert_true(r.s[2] == 9817491932198370423u);
    assert_true(r.s[3] == 4593380528125082431u);
    sup_rng_seed(&r, 0);
    assert_true((r.s[0] | r.s[1] | r.s[2] | r.s[3]) != 0);
}

static void same_seed_same_sequence(void **state)
{
    (void)state;
    struct sup_rng a;
    struct sup_rng b;
    struct sup_rng c;
    sup_rng_seed(&a, 7);
    sup_rng_seed(&b, 7);
    sup_rng_seed(&c, 8);
    int same = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t v = sup_rng_u64(&a);
        assert_true(v == sup_rng_u64(&b));
        same += v == sup_rng_u64(&c);
    }
    assert_int_equal(same, 0);
}

static void below_is_in_range_and_even(void **state)
{
    (void)state;
    struct sup_rng r;
    sup_rng_seed(&r, 42);
    assert_int_equal(sup_rng_below(&r, 0), 0);
    assert_int_equal(sup_rng_below(&r, 1), 0);
    int hits[6] = {0};
    for (int i = 0; i < 60000; i++)
        hits[sup_rng_below(&r, 6)]++;
    for (int i = 0; i < 6; i++)
        assert_true(hits[i] > 9000 && hits[i] < 11000);
    /* With n just above 2^63 a plain remainder would fall below 2^62 half of the time. */
    uint64_t n = (UINT64_C(1) << 63) + (UINT64_C(1) << 62);
    int low = 0;
    for (int i = 0; i < 30000; i++) {
        uint64_t v = sup_rng_below(&r, n);
        assert_true(v < n);
        low += v < n / 3;
    }
    assert_true(low > 9000 && low < 11000);
}

static void unit_is_in_range(void **state)
{
    (void)state;
    struct sup_rng r;
    sup_rng_seed(&r, 1);
    double sum = 0;
    for (int i = 0; i < 10000; i++) {
        double u = sup_rng_unit(&r);
        assert_true(u >= 0 && u < 1);
        sum += u;
    }
    assert_true(sum > 4800 && sum < 5200);
    r = (struct sup_rng){{0, UINT64_MAX, 0, 0}};
    assert_true(sup_rng_unit(&r) < 1);
}

static void backoff_grows_to_the_cap(void **state)
{
    (void)state;
    struct sup_rng r;
    sup_rng_seed(&r, 3);
    for (unsigned attempt = 0; attempt < 200; attempt++) {
        int64_t limit = attempt < 8 ? INT64_C(100) << attempt : 20000;
        if (limit > 20000)
            limit = 20000;
        int64_t highest = 0;
        for (int i = 0; i < 300; i++) {
            int64_t ms = sup_backoff_ms(&r, 100, 20000, attempt);
            assert_true(ms >= 0 && ms < limit);
            if (ms > highest)
                highest = ms;
        }
        assert_true(highest > limit / 2);
    }
}

static void backoff_at_the_edges(void **state)
{
    (void)state;
    struct sup_rng r;
    sup_rng_seed(&r, 4);
    assert_int_equal(sup_backoff_ms(&r, 0, 1000, 5), 0);
    assert_int_equal(sup_backoff_ms(&r, -1, 1000, 5), 0);
    assert_int_equal(sup_backoff_ms(&r, 10, 0, 5), 0);
    assert_int_equal(sup_backoff_ms(&r, 10, -7, 5), 0);
    for (unsigned attempt = 0; attempt < 70; attempt++) {
        int64_t ms = sup_backoff_ms(&r, INT64_MAX, INT64_MAX, attempt);
        assert_true(ms >= 0 && ms < INT64_MAX);
        ms = sup_backoff_ms(&r, 1, INT64_MAX, attempt);
        assert_true(ms >= 0 && (attempt > 62 || ms < INT64_C(1) << attempt));
        assert_true(sup_backoff_ms(&r, 5000, 10, attempt) < 10); /* the cap is below the base */
    }
    assert_true(sup_backoff_ms(&r, 100, 1000, UINT32_MAX) < 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernel_bytes_differ),        cmocka_unit_test(generator_is_xoshiro),
        cmocka_unit_test(seed_is_splitmix),           cmocka_unit_test(same_seed_same_sequence),
        cmocka_unit_test(below_is_in_range_and_even), cmocka_unit_test(unit_is_in_range),
        cmocka_unit_test(backoff_grows_to_the_cap),   cmocka_unit_test(backoff_at_the_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
