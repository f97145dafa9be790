/* What is kept of an address that had soft bounces, as every version of the program wrote it. */
#include "service/soft_job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NEVER "\x80\0\0\0\0\0\0\0" /* INT64_MIN */
#define AT(t) "\0\0\0\0\0\0\0" t   /* so many ms since 1970 */
#define ID    "0123456789abcdef"   /* of one that waits */
#define S(s)  sup_slice_of(s, sizeof(s) - 1)

static void test_every_version(void **state)
{
    (void)state;
    /* 1: the newest delivery, soft bounces with their weights to the end. */
    assert_int_equal(sup_soft_state_newest(S("\1" AT("\5") AT("\7") "\2" AT("\11") "\1")), 9);
    assert_int_equal(sup_soft_state_newest(S("\1" AT("\5"))), 5);
    /* 2: how many soft bounces; then what waits. */
    assert_int_equal(sup_soft_state_newest(S("\2" NEVER "\1" AT("\7") "\2" ID AT("\12"))), 10);
    assert_int_equal(sup_soft_state_newest(S("\2" AT("\5") "\0")), 5);
    /* 3: when it last called for a suppression. */
    assert_int_equal(
        sup_soft_state_newest(S("\3" AT("\5") AT("\7") "\1" AT("\7") "\2" ID AT("\12"))), 10);
    assert_int_equal(sup_soft_state_newest(S("\3" NEVER NEVER "\0")), INT64_MIN);
}

/* Not ours to drop. */
static void test_newer_and_damaged(void **state)
{
    static const char whole[] = "\3" AT("\5") AT("\7") "\1" AT("\7") "\2" ID AT("\12");

    (void)state;
    assert_true(sup_soft_state_newest(S("\4" AT("\5"))) == INT64_MAX);
    assert_true(sup_soft_state_newest(S("\0" AT("\5"))) == INT64_MAX);
    assert_true(sup_soft_state_newest(S("")) == INT64_MAX);
    for (size_t n = 1; n < sizeof(whole) - 1; n++) {
        bool between = n == 27; /* behind the soft bounces: nothing waits */
        assert_int_equal(sup_soft_state_newest(sup_slice_of(whole, n)) == INT64_MAX, !between);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_version),
        cmocka_unit_test(test_newer_and_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
