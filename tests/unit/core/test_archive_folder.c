/* Firehose's folders of time. */
#include "base/array.h"
#include "base/err.h"
#include "core/archive_folder.h"
#include "property.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_valid(void **state)
{
    static const char *const good[] = {"%Y/%m/%d/%H/", "%Y/%m/%d/", "%Y%m%d",
                                       "year=%Y/month=%m/day=%d/hour=%H/"};
    static const char *const bad[] = {"",         "/",          "%Y/%m/",      "%d/%m/%Y/",
                                      "%Y/%d/%m", "%Y%m%d%H%H", "%Y/%m/%d/%M", "%Y/%m/%d/%",
                                      "%%Y%m%d",  "%Y\n%m%d"};

    (void)state;
    for (size_t i = 0; i < SUP_COUNT(good); i++)
        assert_true(sup_archive_folder_valid(good[i]));
    for (size_t i = 0; i < SUP_COUNT(bad); i++)
        assert_false(sup_archive_folder_valid(bad[i]));
}

static void check(const char *pattern, int64_t ms, const char *want)
{
    struct sup_buf b;

    sup_buf_init(&b, 256);
    sup_archive_folder(pattern, ms, &b);
    assert_string_equal(sup_buf_str(&b), want);
    sup_buf_fini(&b);
}

static void test_names(void **state)
{
    (void)state;
    check("%Y/%m/%d/%H/", 0, "1970/01/01/00/");
    check("%Y/%m/%d/%H/", -5, "1970/01/01/00/");
    check("%Y/%m/%d/%H/", INT64_C(1795503600000) - 1, "2026/11/24/06/");
    check("%Y/%m/%d/%H/", INT64_C(1795503600000), "2026/11/24/07/");
    check("myPrefix/year=%Y/month=%m/day=%d/hour=%H/", INT64_C(1535364000000),
          "myPrefix/year=2018/month=08/day=27/hour=10/");
    check("y=%Y/m=%m/d=%d/", INT64_C(1709164800000), "y=2024/m=02/d=29/");
}

/* What the watcher relies on: folders sort as times do. */
static void test_order(void **state)
{
    struct sup_rng rng = property_rng("order");
    struct sup_buf a, b;

    (void)state;
    sup_buf_init(&a, 256);
    sup_buf_init(&b, 256);
    for (size_t i = 0; i < property_cases(20000); i++) {
        int64_t t = (int64_t)sup_rng_below(&rng, UINT64_C(4102444800000)); /* until 2100 */
        int64_t u = t + (int64_t)sup_rng_below(&rng, UINT64_C(10) * 24 * 3600 * 1000);
        sup_buf_reset(&a);
        sup_buf_reset(&b);
        sup_archive_folder("x/%Y/%m/%d/%H/", t, &a);
        sup_archive_folder("x/%Y/%m/%d/%H/", u, &b);
        assert_true(strcmp(sup_buf_str(&a), sup_buf_str(&b)) <= 0);
        if (u - t >= 3600 * 1000)
            assert_true(strcmp(sup_buf_str(&a), sup_buf_str(&b)) < 0);
    }
    sup_buf_fini(&a);
    sup_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_order),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
