#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void appends_and_stays_a_string(void **state)
{
    (void)state;
    struct sup_buf b;
    sup_buf_init(&b, 1000);
    assert_string_equal(sup_buf_str(&b), "");
    sup_buf_add_str(&b, "a@");
    sup_buf_add_byte(&b, 'x');
    sup_buf_add(&b, ".org?", 4);
    sup_buf_add_slice(&b, SUP_SLICE_LIT(" ok"));
    sup_buf_addf(&b, " %d%%", 50);
    assert_int_equal(b.failed, SUP_OK);
    assert_int_equal(b.n, 14);
    assert_int_equal(b.p[b.n], 0);
    assert_string_equal(sup_buf_str(&b), "a@x.org ok 50%");
    sup_buf_reset(&b);
    assert_string_equal(sup_buf_str(&b), "");
    sup_buf_fini(&b);
}

static void empty_appends_are_harmless(void **state)
{
    (void)state;
    struct sup_buf b;
    sup_buf_init(&b, 4);
    sup_buf_add(&b, NULL, 0);
    sup_buf_add_str(&b, NULL);
    sup_buf_add_slice(&b, (struct sup_slice){NULL, 0});
    sup_buf_addf(&b, "%s", "");
    assert_int_equal(b.failed, SUP_OK);
    assert_int_equal(sup_buf_slice(&b).n, 0);
    sup_buf_fini(&b);
    sup_buf_fini(&b);
}

static void maximum_is_exact_and_sticks(void **state)
{
    (void)state;
    for (size_t max = 0; max < 200; max++) {
        struct sup_buf b;
        sup_buf_init(&b, max);
        for (size_t i = 0; i < max; i++)
            sup_buf_add_byte(&b, (uint8_t)i);
        assert_int_equal(b.failed, SUP_OK);
        assert_int_equal(b.n, max);
        assert_true(b.cap <= max + 1);
        sup_buf_add_byte(&b, 1);
        assert_int_equal(b.failed, SUP_ELIMIT);
        assert_int_equal(b.n, max);
        assert_string_equal(sup_buf_str(&b), "");
        sup_buf_reset(&b);
        assert_int_equal(b.failed, SUP_OK);
        sup_buf_add(&b, "0123456789", max < 10 ? max : 10);
        assert_int_equal(b.failed, SUP_OK);
        sup_buf_fini(&b);
    }
}

static void failure_sticks_for_what_would_fit(void **state)
{
    (void)state;
    struct sup_buf b;
    sup_buf_init(&b, 8);
    sup_buf_add_str(&b, "abc");
    sup_buf_addf(&b, "%s", "123456");
    sup_buf_add_str(&b, "d");
    sup_buf_addf(&b, "%d", 1);
    assert_null(sup_buf_reserve(&b, 1));
    assert_int_equal(b.failed, SUP_ELIMIT);
    assert_int_equal(b.n, 3);
    assert_null(sup_buf_steal(&b));
    assert_null(b.p);
    sup_buf_fini(&b);
}

static void huge_requests_do_not_wrap(void **state)
{
    (void)state;
    struct sup_buf b;
    sup_buf_init(&b, SIZE_MAX);
    sup_buf_add_str(&b, "abc");
    assert_null(sup_buf_reserve(&b, SIZE_MAX));
    assert_int_equal(b.failed, SUP_ELIMIT);
    sup_buf_reset(&b);
    assert_null(sup_buf_reserve(&b, SIZE_MAX - 2)); /* within the maximum, but nobody has it */
    assert_int_equal(b.failed, SUP_ENOMEM);
    assert_int_equal(b.n, 0);
    sup_buf_fini(&b);
}

static void reserve_then_fill(void **state)
{
    (void)state;
    struct sup_buf b;
    sup_buf_init(&b, 100);
    sup_buf_add_str(&b, "n=");
    uint8_t *to = sup_buf_reserve(&b, 5);
    assert_non_null(to);
    assert_int_equal(b.n, 2);
    memcpy(to, "12345", 5);
    b.n += 5;
    assert_string_equal((const char *)b.p, "n=12345");
    to = sup_buf_reserve(&b, 5);
    memcpy(to, "67", 2); /* fewer than asked for */
    b.n += 2;
    assert_string_equal(sup_buf_str(&b), "n=1234567");
    sup_buf_fini(&b);
}

static void steal_hands_over(void **state)
{
    (void)state;
    struct sup_buf b;
    sup_buf_init(&b, 100);
    sup_buf_add_str(&b, "mine");
    char *s = sup_buf_steal(&b);
    assert_string_equal(s, "mine");
    free(s);
    s = sup_buf_steal(&b); /* an empty one gives an empty string */
    assert_string_equal(s, "");
    free(s);
    sup_buf_add_str(&b, "again");
    assert_string_equal(sup_buf_str(&b), "again");
    sup_buf_fini(&b);
}

static void format_longer_than_the_memory(void **state)
{
    (void)state;
    struct sup_buf b;
    sup_buf_init(&b, 100000);
    char s[5001];
    memset(s, 'z', 5000);
    s[5000] = '\0';
    sup_buf_addf(&b, "<%s>", s);
    assert_int_equal(b.n, 5002);
    assert_int_equal(b.p[0], '<');
    assert_int_equal(b.p[5001], '>');
    sup_buf_fini(&b);
}

static void slices_compare(void **state)
{
    (void)state;
    struct sup_slice empty = {NULL, 0};
    assert_true(sup_slice_eq(empty, sup_slice_str("")));
    assert_true(sup_slice_eq(empty, sup_slice_str(NULL)));
    assert_true(sup_slice_eq(SUP_SLICE_LIT("a\0b"), sup_slice_of("a\0b", 3)));
    assert_false(sup_slice_eq(SUP_SLICE_LIT("a\0b"), SUP_SLICE_LIT("a\0c")));
    assert_false(sup_slice_eq(SUP_SLICE_LIT("ab"), SUP_SLICE_LIT("a")));
    assert_int_equal(sup_slice_cmp(empty, empty), 0);
    assert_true(sup_slice_cmp(empty, SUP_SLICE_LIT("a")) < 0);
    assert_true(sup_slice_cmp(SUP_SLICE_LIT("ab"), SUP_SLICE_LIT("a")) > 0);
    assert_true(sup_slice_cmp(SUP_SLICE_LIT("ab"), SUP_SLICE_LIT("b")) < 0);
    assert_true(sup_slice_cmp(SUP_SLICE_LIT("\xff"), SUP_SLICE_LIT("a")) > 0); /* unsigned bytes */
}

static void numbers_are_big_endian(void **state)
{
    (void)state;
    struct sup_buf b;
    sup_buf_init(&b, 100);
    sup_buf_add_be16(&b, 0x0102);
    sup_buf_add_be32(&b, 0xf3040506);
    sup_buf_add_be64(&b, 0xf708090a0b0c0d0e);
    assert_memory_equal(b.p, "\x01\x02\xf3\x04\x05\x06\xf7\x08\x09\x0a\x0b\x0c\x0d\x0e", 14);
    struct sup_cur c = sup_cur_of(sup_buf_slice(&b));
    assert_int_equal(sup_cur_be16(&c), 0x0102);
    assert_int_equal(sup_cur_be32(&c), 0xf3040506);
    assert_true(sup_cur_be64(&c) == 0xf708090a0b0c0d0e);
    assert_int_equal(c.n, 0);
    assert_int_equal(c.failed, 0);
    sup_buf_fini(&b);
}

static void cursor_failure_sticks(void **state)
{
    (void)state;
    struct sup_cur c = sup_cur_of(SUP_SLICE_LIT("abc"));
    assert_int_equal(sup_cur_byte(&c), 'a');
    assert_int_equal(sup_cur_be32(&c), 0);
    assert_true(c.failed);
    assert_int_equal(sup_cur_byte(&c), 0); /* two bytes are left, and stay */
    struct sup_slice s = sup_cur_take(&c, 1);
    assert_int_equal(s.n, 0);
    c = sup_cur_of((struct sup_slice){NULL, 0});
    s = sup_cur_take(&c, 0);
    assert_int_equal(s.n, 0);
    assert_false(c.failed);
    assert_int_equal(sup_cur_be16(&c), 0);
    assert_true(c.failed);
    c = sup_cur_of(SUP_SLICE_LIT("abc"));
    s = sup_cur_take(&c, SIZE_MAX);
    assert_null(s.p);
    assert_true(c.failed);
}

/* Random writes, read back: what a buffer holds is what a cursor gives, and a cut at any place
 * makes the cursor fail and never read outside (the sanitizer watches an exact copy). */
static void random_round_trips(void **state)
{
    (void)state;
    uint64_t seed = sup_random_u64();
    print_message("seed %llu\n", (unsigned long long)seed);
    struct sup_rng r;
    sup_rng_seed(&r, seed);
    for (int round = 0; round < 300; round++) {
        struct sup_buf b;
        sup_buf_init(&b, 100000);
        uint64_t values[50];
        int kinds[50];
        int n = (int)sup_rng_below(&r, 50) + 1;
        for (int i = 0; i < n; i++) {
            values[i] = sup_rng_u64(&r);
            kinds[i] = (int)sup_rng_below(&r, 4);
            if (kinds[i] == 0)
                sup_buf_add_byte(&b, (uint8_t)values[i]);
            else if (kinds[i] == 1)
                sup_buf_add_be16(&b, (uint16_t)values[i]);
            else if (kinds[i] == 2)
                sup_buf_add_be32(&b, (uint32_t)values[i]);
            else
                sup_buf_add_be64(&b, values[i]);
        }
        size_t keep = sup_rng_below(&r, 2) ? b.n : sup_rng_below(&r, b.n + 1);
        uint8_t *exact = malloc(keep + (keep == 0));
        memcpy(exact, b.p, keep);
        struct sup_cur c = sup_cur_of(sup_slice_of(exact, keep));
        for (int i = 0; i < n; i++) {
            uint64_t got = 0;
            uint64_t mask = kinds[i] == 3 ? UINT64_MAX : (UINT64_C(1) << (8 << kinds[i])) - 1;
            if (kinds[i] == 0)
                got = sup_cur_byte(&c);
            else if (kinds[i] == 1)
                got = sup_cur_be16(&c);
            else if (kinds[i] == 2)
                got = sup_cur_be32(&c);
            else
                got = sup_cur_be64(&c);
            assert_true(c.failed ? got == 0 : got == (values[i] & mask));
        }
        assert_int_equal(c.failed != 0, keep != b.n);
        free(exact);
        sup_buf_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_and_stays_a_string),
        cmocka_unit_test(empty_appends_are_harmless),
        cmocka_unit_test(maximum_is_exact_and_sticks),
        cmocka_unit_test(failure_sticks_for_what_would_fit),
        cmocka_unit_test(huge_requests_do_not_wrap),
        cmocka_unit_test(reserve_then_fill),
        cmocka_unit_test(steal_hands_over),
        cmocka_unit_test(format_longer_than_the_memory),
        cmocka_unit_test(slices_compare),
        cmocka_unit_test(numbers_are_big_endian),
        cmocka_unit_test(cursor_failure_sticks),
        cmocka_unit_test(random_round_trips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
