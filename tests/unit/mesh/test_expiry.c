/* Alarms before certificates end, and what a late revocation list still says. */
#include "mesh/expiry.h"

#include "base/random.h"
#include "property.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MINUTE 60000LL
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define BEGIN  1795500000000LL

static void usual_lives(void **state)
{
    static const struct {
        int64_t life, warn;
    } cases[] = {
        {10 * 365 * DAY, 14 * DAY}, /* an authority's */
        {365 * DAY, 14 * DAY},
        {90 * DAY, 14 * DAY},     /* ACME's, as it was */
        {56 * DAY, 14 * DAY},     /* where both rules meet */
        {47 * DAY, 47 * DAY / 4}, /* ACME's, as it will be */
        {7 * DAY, 42 * HOUR},
        {DAY, 6 * HOUR}, /* step-ca's */
        {HOUR, 15 * MINUTE},
        {0, 0},
        {-DAY, 0}, /* nonsense */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(sup_expiry_warn_ms(BEGIN, BEGIN + cases[i].life), cases[i].warn);
}

/* Whatever the life: no alarm in its first two thirds, in which it is renewed, and one before it
 * ends. */
static void never_too_soon_never_too_late(void **state)
{
    struct sup_rng r = property_rng("expiry");

    (void)state;
    for (int i = 0; i < 2000; i++) {
        int64_t life = MINUTE + (int64_t)sup_rng_below(&r, 1ULL << (20 + sup_rng_below(&r, 22)));
        int64_t warn = sup_expiry_warn_ms(BEGIN, BEGIN + life);
        assert_true(warn > 0 && warn <= 14 * DAY);
        assert_true(life - warn >= life / 3 * 2);
    }
}

static void lists(void **state)
{
    (void)state;
    assert_int_equal(sup_crl_state(BEGIN, 0, 0), SUP_CRL_CURRENT);
    assert_int_equal(sup_crl_state(BEGIN, BEGIN, 0), SUP_CRL_CURRENT);
    assert_int_equal(sup_crl_state(BEGIN + 1, BEGIN, 0), SUP_CRL_STALE);
    assert_int_equal(sup_crl_state(BEGIN + 1, BEGIN, DAY), SUP_CRL_LATE);
    assert_int_equal(sup_crl_state(BEGIN + DAY, BEGIN, DAY), SUP_CRL_LATE);
    assert_int_equal(sup_crl_state(BEGIN + DAY + 1, BEGIN, DAY), SUP_CRL_STALE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usual_lives),
        cmocka_unit_test(never_too_soon_never_too_late),
        cmocka_unit_test(lists),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
