/* When a peer is repaired from. */
#include "core/repair_when.h"
#include "property.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct world {
    struct sup_repair_when w;
    struct sup_rng rng;
    uint64_t heard;
    int64_t now;
};

static struct world fresh(bool second)
{
    struct world x = {.now = 1000};

    sup_rng_seed(&x.rng, 1);
    sup_repair_when_begin(&x.w, x.now, second);
    return x;
}

/* A heartbeat a second, looked at each quarter; true if one of the looks said so. */
static bool heartbeat(struct world *x, bool equal, bool level)
{
    bool due = false;

    x->heard++;
    for (int i = 0; i < 4 && !due; i++) {
        x->now += 250;
        due = sup_repair_when_due(&x->w, x->now, x->heard, equal, level);
    }
    return due;
}

/* Seconds until it is due; -1: not within an hour. */
static int until_due(struct world *x, bool equal, bool level)
{
    for (int s = 1; s <= 3600; s++) {
        if (heartbeat(x, equal, level))
            return s;
    }
    return -1;
}

static void equal_sets_are_left_alone(void **state)
{
    struct world x = fresh(false);

    (void)state;
    assert_int_equal(until_due(&x, true, true), -1);
    assert_int_equal(until_due(&x, true, false), -1);
    assert_false(sup_repair_when_due(&x.w, x.now, x.heard, true, true));
}

static void level_nodes_that_differ_twice_repair_at_once(void **state)
{
    struct world x = fresh(false);
    struct world second = fresh(true);

    (void)state;
    assert_int_equal(until_due(&x, false, true), 2);
    /* The other one of the pair leaves it the time to do so. */
    assert_in_range(until_due(&second, false, true), 3, 4);
}

static void one_difference_between_two_equal_roots_is_none(void **state)
{
    struct world x = fresh(false);

    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_false(heartbeat(&x, false, true));
        assert_false(heartbeat(&x, true, true));
    }
}

static void what_is_on_its_way_gets_a_minute(void **state)
{
    struct world x = fresh(false);

    (void)state;
    assert_in_range(until_due(&x, false, false), 60, 62);
}

/* Not by the same heartbeat over and over. */
static void a_silent_peer_says_nothing_new(void **state)
{
    struct world x = fresh(false);

    (void)state;
    for (int i = 0; i < 100; i++) {
        x.now += 250;
        assert_false(sup_repair_when_due(&x.w, x.now, 1, false, true));
    }
}

static void repairs_keep_their_distance(void **state)
{
    struct world x = fresh(false);

    (void)state;
    for (int i = 0; i < 50; i++) {
        assert_true(until_due(&x, false, true) > 0);
        sup_repair_when_done(&x.w, x.now, SUP_REPAIR_NEWS, &x.rng);
        assert_in_range(until_due(&x, false, true), 10, 31);
        sup_repair_when_done(&x.w, x.now, SUP_REPAIR_REFUSED, &x.rng);
        assert_in_range(until_due(&x, false, true), 2, 5);
        sup_repair_when_done(&x.w, x.now, SUP_REPAIR_NEWS, &x.rng);
    }
}

static void fruitless_repairs_get_rare_but_do_not_end(void **state)
{
    struct world x = fresh(false);
    int last = 0;

    (void)state;
    for (int i = 0; i < 12; i++) {
        int s = until_due(&x, false, true);
        assert_true(s > 0);
        last = s;
        sup_repair_when_done(&x.w, x.now, SUP_REPAIR_NO_NEWS, &x.rng);
    }
    assert_in_range(last, 10 << SUP_REPAIR_DOUBLINGS, (30 << SUP_REPAIR_DOUBLINGS) + 1);
    /* Equal once: the next difference is a new one. */
    x.now += 3600 * 1000;
    assert_false(heartbeat(&x, true, true));
    assert_int_equal(until_due(&x, false, true), 2);
    sup_repair_when_done(&x.w, x.now, SUP_REPAIR_NO_NEWS, &x.rng);
    assert_in_range(until_due(&x, false, true), 10, 31);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_sets_are_left_alone),
        cmocka_unit_test(level_nodes_that_differ_twice_repair_at_once),
        cmocka_unit_test(one_difference_between_two_equal_roots_is_none),
        cmocka_unit_test(what_is_on_its_way_gets_a_minute),
        cmocka_unit_test(a_silent_peer_says_nothing_new),
        cmocka_unit_test(repairs_keep_their_distance),
        cmocka_unit_test(fruitless_repairs_get_rare_but_do_not_end),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
