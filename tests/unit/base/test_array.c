#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/array.h"
#include "base/err.h"

#include <stdlib.h>

/* One test asks for more memory than there is; the sanitizers are to answer as malloc does. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void grows_and_keeps_the_items(void **state)
{
    (void)state;
    uint32_t *items = NULL;
    size_t cap = 0;
    int moves = 0;
    for (size_t n = 0; n < 100000; n++) {
        size_t before = cap;
        assert_int_equal(sup_array_grow((void **)&items, &cap, n + 1, sizeof(*items)), SUP_OK);
        assert_true(cap >= n + 1);
        moves += cap != before;
        items[n] = (uint32_t)(n * 2654435761u);
    }
    for (size_t n = 0; n < 100000; n++)
        assert_int_equal(items[n], (uint32_t)(n * 2654435761u));
    assert_true(moves < 20); /* doubling: log2(100000) and a little */
    free(items);
}

static void no_growth_when_it_fits(void **state)
{
    (void)state;
    char *items = NULL;
    size_t cap = 0;
    assert_int_equal(sup_array_grow((void **)&items, &cap, 0, 1), SUP_OK);
    assert_null(items);
    assert_int_equal(sup_array_grow((void **)&items, &cap, 100, 1), SUP_OK);
    char *was = items;
    size_t was_cap = cap;
    for (size_t need = 0; need <= was_cap; need++)
        assert_int_equal(sup_array_grow((void **)&items, &cap, need, 1), SUP_OK);
    assert_ptr_equal(items, was);
    assert_int_equal(cap, was_cap);
    free(items);
}

static void one_jump(void **state)
{
    (void)state;
    uint64_t *items = NULL;
    size_t cap = 0;
    assert_int_equal(sup_array_grow((void **)&items, &cap, 5000, sizeof(*items)), SUP_OK);
    assert_true(cap >= 5000);
    items[4999] = 1;
    free(items);
}

static void impossible_sizes_change_nothing(void **state)
{
    (void)state;
    uint64_t *items = NULL;
    size_t cap = 0;
    assert_int_equal(sup_array_grow((void **)&items, &cap, 4, sizeof(*items)), SUP_OK);
    uint64_t *was = items;
    size_t was_cap = cap;
    /* Products that would wrap around, and one that does not but that nobody can have. */
    assert_int_equal(sup_array_grow((void **)&items, &cap, SIZE_MAX, 8), SUP_ENOMEM);
    assert_int_equal(sup_array_grow((void **)&items, &cap, SIZE_MAX / 8 + 2, 8), SUP_ENOMEM);
    assert_int_equal(sup_array_grow((void **)&items, &cap, SIZE_MAX / 2 + 3, 2), SUP_ENOMEM);
    assert_int_equal(sup_array_grow((void **)&items, &cap, 100, 0), SUP_ENOMEM);
    assert_int_equal(sup_array_grow((void **)&items, &cap, SIZE_MAX / 16, 8), SUP_ENOMEM);
    assert_ptr_equal(items, was);
    assert_int_equal(cap, was_cap);
    free(items);
}

static void count_of_an_array(void **state)
{
    (void)state;
    struct {
        char c[3];
    } a[7];
    assert_int_equal(SUP_COUNT(a), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_keeps_the_items),
        cmocka_unit_test(no_growth_when_it_fits),
        cmocka_unit_test(one_jump),
        cmocka_unit_test(impossible_sizes_change_nothing),
        cmocka_unit_test(count_of_an_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
