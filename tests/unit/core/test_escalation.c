/* When soft bounces amount to a dead mailbox. */
#include "core/escalation.h"
#include "property.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ONE SUP_ESCALATION_ONE
#define DAY ((int64_t)86400000)

static const struct sup_escalation_policy policy = {
    .consecutive = 5, .count = 3, .window_ms = 7 * DAY};

static bool due(const struct sup_escalation *e)
{
    return sup_escalation_due(e, &policy, NULL);
}

static void test_consecutive(void **state)
{
    struct sup_escalation e;
    const char *why = NULL;

    (void)state;
    sup_escalation_init(&e);
    assert_false(due(&e));
    for (int i = 1; i <= 5; i++) {
        sup_escalation_bounced(&e, i * 30 * DAY, ONE);
        assert_int_equal(due(&e), i == 5);
        assert_int_equal(sup_escalation_since(&e), i);
    }
    assert_true(sup_escalation_due(&e, &policy, &why));
    assert_string_equal(why, "consecutive");
    sup_escalation_delivered(&e, 151 * DAY);
    assert_false(due(&e));
    assert_int_equal(sup_escalation_since(&e), 0);
}

static void test_window(void **state)
{
    struct sup_escalation e;
    const char *why = NULL;

    (void)state;
    sup_escalation_init(&e);
    sup_escalation_bounced(&e, 1 * DAY, ONE);
    sup_escalation_bounced(&e, 5 * DAY, ONE);
    sup_escalation_bounced(&e, 8 * DAY, ONE); /* the first is 7 days before: outside */
    assert_false(due(&e));
    sup_escalation_bounced(&e, 9 * DAY, ONE);
    assert_true(sup_escalation_due(&e, &policy, &why));
    assert_string_equal(why, "window");
    sup_escalation_delivered(&e, 8 * DAY); /* heals what is not newer than it */
    assert_false(due(&e));
    assert_int_equal(sup_escalation_since(&e), 1);
    sup_escalation_delivered(&e, 2 * DAY); /* an older delivery takes nothing back */
    assert_false(due(&e));
}

static void test_weights(void **state)
{
    (void)state;
    assert_int_equal(sup_escalation_weight(SUP_SLICE_LIT("Transient/MailboxFull"), "r"), ONE);
    assert_int_equal(sup_escalation_weight(SUP_SLICE_LIT("Transient/General"), "r"), ONE);
    assert_int_equal(sup_escalation_weight(SUP_SLICE_LIT("Transient/New"), "r"), ONE);
    assert_int_equal(sup_escalation_weight(SUP_SLICE_LIT("Undetermined/Undetermined"), "r"), 1);
    assert_int_equal(sup_escalation_weight(SUP_SLICE_LIT("Transient/CustomTimeoutExceeded"), "r"),
                     1);
    assert_int_equal(sup_escalation_weight(SUP_SLICE_LIT("Transient/MessageTooLarge"), "r"), 0);
    assert_int_equal(sup_escalation_weight(SUP_SLICE_LIT("transient/contentrejected"), "r"), 0);
    assert_int_equal(sup_escalation_weight(SUP_SLICE_LIT("Transient/AttachmentRejected"), "r"), 0);
    assert_int_equal(sup_escalation_weight(SUP_SLICE_LIT("Permanent/General"), "recipient-delayed"),
                     0);
    struct sup_escalation e;
    sup_escalation_init(&e);
    for (int i = 0; i < 16; i++)
        sup_escalation_bounced(&e, i, 0);
    assert_false(due(&e));
}

/* Many messages that were too large do not make forget that the mailbox was full. */
static void test_what_weighs_nothing_makes_room(void **state)
{
    struct sup_escalation e;

    (void)state;
    sup_escalation_init(&e);
    for (int i = 0; i < 4; i++)
        sup_escalation_bounced(&e, i * 10 * DAY, ONE);
    for (int i = 0; i < 100; i++)
        sup_escalation_bounced(&e, 31 * DAY + i, 0);
    assert_int_equal(e.n, SUP_ESCALATION_KEPT);
    assert_false(due(&e));
    sup_escalation_bounced(&e, 50 * DAY, ONE);
    assert_true(due(&e));
    sup_escalation_bounced(&e, 5 * DAY, 0); /* older than all such that are kept */
    assert_int_equal(e.weight[0], ONE);
    assert_int_equal(e.weight[1], ONE);
}

/* The window that a late soft bounce completes is not the newest one. */
static void test_late_soft_bounce(void **state)
{
    struct sup_escalation e;
    const char *why = NULL;

    (void)state;
    sup_escalation_init(&e);
    sup_escalation_bounced(&e, 1 * DAY, ONE);
    sup_escalation_bounced(&e, 3 * DAY, ONE);
    sup_escalation_bounced(&e, 40 * DAY, ONE);
    assert_false(due(&e));
    sup_escalation_bounced(&e, 2 * DAY, ONE);
    assert_true(sup_escalation_due(&e, &policy, &why));
    assert_string_equal(why, "window");
    sup_escalation_delivered(&e, 2 * DAY); /* so late, too: it was none */
    assert_false(due(&e));
}

/* What called for a suppression once does not again; soft bounces since the last delivery, which
 * say how long to wait with a resend, are counted on. */
static void test_followed(void **state)
{
    struct sup_escalation e;

    (void)state;
    sup_escalation_init(&e);
    for (int i = 1; i <= 3; i++)
        sup_escalation_bounced(&e, i * DAY, ONE);
    assert_true(due(&e));
    sup_escalation_followed(&e);
    assert_false(due(&e));
    assert_int_equal(sup_escalation_since(&e), 3);
    sup_escalation_bounced(&e, 2 * DAY + 1, ONE); /* late */
    for (int i = 4; i <= 6; i++) {
        assert_false(due(&e));
        sup_escalation_bounced(&e, i * DAY, ONE);
    }
    assert_true(due(&e));
    assert_int_equal(sup_escalation_since(&e), 7);
}

static void test_rules_can_be_off(void **state)
{
    const struct sup_escalation_policy off = {0};
    struct sup_escalation e;

    (void)state;
    sup_escalation_init(&e);
    for (int i = 0; i < 100; i++)
        sup_escalation_bounced(&e, i, ONE);
    assert_false(sup_escalation_due(&e, &off, NULL));
    assert_true(due(&e));
    assert_int_equal(e.n, SUP_ESCALATION_KEPT);
}

/* Events come in any order and lead to the same. */
static void test_order_does_not_matter(void **state)
{
    struct sup_rng rng = property_rng("escalation order");

    (void)state;
    for (size_t i = 0; i < property_cases(3000); i++) {
        struct sup_escalation a, b;
        int64_t times[24];
        bool delivery[24];
        size_t order[24], n = 1 + sup_rng_below(&rng, 24);
        for (size_t k = 0; k < n; k++) {
            times[k] = (int64_t)k * 1000 + (int64_t)sup_rng_below(&rng, 900);
            delivery[k] = sup_rng_below(&rng, 4) == 0;
            order[k] = k;
        }
        for (size_t k = n; k > 1; k--) {
            size_t other = sup_rng_below(&rng, k), t = order[k - 1];
            order[k - 1] = order[other];
            order[other] = t;
        }
        sup_escalation_init(&a);
        sup_escalation_init(&b);
        for (size_t k = 0; k < n; k++) {
            size_t o = order[k];
            if (delivery[k])
                sup_escalation_delivered(&a, times[k]);
            else
                sup_escalation_bounced(&a, times[k], (uint8_t)(k % 3));
            if (delivery[o])
                sup_escalation_delivered(&b, times[o]);
            else
                sup_escalation_bounced(&b, times[o], (uint8_t)(o % 3));
        }
        assert_int_equal(a.delivered_ms, b.delivered_ms);
        assert_int_equal(a.n, b.n);
        assert_memory_equal(a.time_ms, b.time_ms, a.n * sizeof(a.time_ms[0]));
        assert_memory_equal(a.weight, b.weight, a.n);
        assert_int_equal(due(&a), due(&b));
    }
}

static void test_backoff(void **state)
{
    (void)state;
    assert_int_equal(sup_soft_backoff_ms(1), 3600000);
    assert_int_equal(sup_soft_backoff_ms(2), 4 * 3600000);
    assert_int_equal(sup_soft_backoff_ms(3), DAY);
    for (unsigned n = 4; n < 100; n++)
        assert_int_equal(sup_soft_backoff_ms(n), 3 * DAY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_consecutive),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_what_weighs_nothing_makes_room),
        cmocka_unit_test(test_late_soft_bounce),
        cmocka_unit_test(test_followed),
        cmocka_unit_test(test_rules_can_be_off),
        cmocka_unit_test(test_order_does_not_matter),
        cmocka_unit_test(test_backoff),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
