#include "core/budget.h"
#include "property.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define DAY  ((int64_t)24 * 3600 * 1000)
#define NOON (20000 * DAY + DAY / 2)

static void test_no_limit(void **state)
{
    struct sup_budget b = {0};
    (void)state;

    for (int i = 0; i < 1000; i++)
        assert_int_equal(sup_budget_take(&b, i % 2, NOON), 0);
    assert_true(sup_budget_left(&b, false, NOON) == UINT64_MAX);
    assert_int_equal(sup_budget_spread_ms(&b, 1000, 5, 2, NOON), 500000);
}

static void test_the_last_tenth_is_for_urgent_calls(void **state)
{
    struct sup_budget b = {.per_day = 20};
    (void)state;

    for (int i = 0; i < 18; i++)
        assert_int_equal(sup_budget_take(&b, false, NOON), 0);
    assert_int_equal(sup_budget_left(&b, false, NOON), 0);
    assert_int_equal(sup_budget_take(&b, false, NOON), DAY / 2);
    assert_int_equal(sup_budget_left(&b, true, NOON), 2);
    assert_int_equal(sup_budget_take(&b, true, NOON), 0);
    assert_int_equal(sup_budget_take(&b, true, NOON), 0);
    assert_int_equal(sup_budget_take(&b, true, NOON + 1), DAY / 2 - 1);
    /* The next day begins afresh. */
    assert_int_equal(sup_budget_left(&b, false, NOON + DAY / 2 - 1), 0);
    assert_int_equal(sup_budget_left(&b, false, NOON + DAY / 2), 18);
}

static void test_a_single_call_a_day(void **state)
{
    struct sup_budget b = {.per_day = 1};
    (void)state;

    assert_int_equal(sup_budget_take(&b, false, NOON), 0);
    assert_true(sup_budget_take(&b, true, NOON) > 0);
    assert_int_equal(sup_budget_take(&b, true, NOON + DAY), 0);
}

static void test_repetitions_are_spent(void **state)
{
    struct sup_budget b = {.per_day = 10};
    (void)state;

    sup_budget_spend(&b, 9, NOON);
    assert_int_equal(sup_budget_left(&b, false, NOON), 0);
    assert_int_equal(sup_budget_left(&b, true, NOON), 1);
    sup_budget_spend(&b, UINT64_MAX, NOON);
    assert_int_equal(sup_budget_left(&b, true, NOON), 0);
    assert_int_equal(sup_budget_left(&b, true, NOON + DAY), 10);
}

static void test_clocks(void **state)
{
    struct sup_budget b = {.per_day = 10};
    (void)state;

    sup_budget_spend(&b, 10, NOON);
    /* A little back over midnight: the same budget. */
    assert_int_equal(sup_budget_left(&b, true, NOON - DAY / 2 - 1), 0);
    /* The clock was ten years ahead, and was mended. */
    sup_budget_spend(&b, 10, NOON + 3650 * DAY);
    assert_int_equal(sup_budget_left(&b, true, NOON), 10);
}

static void test_spread(void **state)
{
    struct sup_budget b = {.per_day = 1000};
    (void)state;

    assert_int_equal(sup_budget_spread_ms(&b, 0, 0, 1, NOON), 0);
    assert_int_equal(sup_budget_spread_ms(&b, 900, 0, 1, NOON), 900000);
    /* One more: the first of tomorrow. */
    assert_int_equal(sup_budget_spread_ms(&b, 901, 0, 1, NOON), DAY / 2 + 1000);
    assert_int_equal(sup_budget_spread_ms(&b, 900 + 900 + 1, 0, 1, NOON), DAY / 2 + DAY + 1000);
    /* Scans take 400 a day, so 200 of what is left of this one. */
    assert_int_equal(sup_budget_spread_ms(&b, 700, 400, 1, NOON), 700000);
    assert_int_equal(sup_budget_spread_ms(&b, 701, 400, 1, NOON), DAY / 2 + 1000);
    assert_int_equal(sup_budget_spread_ms(&b, 700 + 501, 400, 1, NOON), DAY / 2 + DAY + 1000);
    /* Used up: nothing before tomorrow. Hopeless: finite all the same. */
    sup_budget_spend(&b, 950, NOON);
    assert_int_equal(sup_budget_spread_ms(&b, 1, 0, 1, NOON), DAY / 2 + 1000);
    assert_true(sup_budget_spread_ms(&b, UINT64_MAX, 2000, 0.01, NOON) > 1000 * DAY);
}

/* Calls made as the budget allows, one every so many seconds, end when spread_ms said, as long as
 * no day is too short for its calls. */
static void test_spread_is_what_taking_gives(void **state)
{
    struct sup_rng rng = property_rng("budget-spread");
    size_t compared = 0;
    (void)state;

    for (size_t i = 0; i < property_cases(500); i++) {
        struct sup_budget b = {.per_day = 1 + sup_rng_below(&rng, 300)};
        int64_t begin = NOON - DAY / 2 + (int64_t)sup_rng_below(&rng, DAY);
        int64_t every = 1000 * (1 + (int64_t)sup_rng_below(&rng, 60));
        uint64_t calls = 1 + sup_rng_below(&rng, 900);
        int64_t now = begin, said;
        sup_budget_spend(&b, sup_rng_below(&rng, b.per_day + 1), begin);
        if ((int64_t)sup_budget_left(&b, false, begin) * every > DAY - begin % DAY)
            continue;
        said = sup_budget_spread_ms(&b, calls, 0, 1000.0 / (double)every, begin);
        for (uint64_t n = 0; n < calls; n++) {
            int64_t wait = sup_budget_take(&b, false, now);
            if (wait > 0)
                assert_int_equal(sup_budget_take(&b, false, now += wait), 0);
            now += every;
        }
        assert_in_range((uint64_t)(now - begin - said + 10), 0, 20);
        compared++;
    }
    assert_true(compared > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_limit),
        cmocka_unit_test(test_the_last_tenth_is_for_urgent_calls),
        cmocka_unit_test(test_a_single_call_a_day),
        cmocka_unit_test(test_repetitions_are_spent),
        cmocka_unit_test(test_clocks),
        cmocka_unit_test(test_spread),
        cmocka_unit_test(test_spread_is_what_taking_gives),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
