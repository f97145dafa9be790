#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/array.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

static size_t encode(uint32_t c, uint8_t out[4])
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xc0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xe0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}

static void every_character(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x1fffff; c++) {
        uint8_t bytes[4];
        size_t n = encode(c, bytes);
        int good = c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);
        uint32_t back = UINT32_MAX;
        size_t got = sup_utf8_decode(bytes, n, &back);
        if (got != (good ? n : 0) || (good && back != c))
            fail_msg("U+%04X", (unsigned)c);
        for (size_t cut = 0; cut < n; cut++)
            assert_int_equal(sup_utf8_decode(bytes, cut, NULL), 0);
    }
}

static void malformed(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xe0\x80\x80",
        "\xe0\x9f\xbf",
        "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf",
        "\xed\xa0\x80",
        "\xf4\x90\x80\x80",
        "\xf8\x88\x80\x80\x80",
        "\xfe",
        "\xff",
        "\xc2\x20",
        "\xe2\x28\xa1",
        "\xe2\x82\x28",
        "\xf0\x28\x8c\xbc",
        "\xf0\x90\x28\xbc",
        "\xf0\x90\x8c\x28",
    };
    for (size_t i = 0; i < SUP_COUNT(cases); i++) {
        size_t n = strlen(cases[i]);
        uint8_t *exact = malloc(n);
        memcpy(exact, cases[i], n);
        if (sup_utf8_decode(exact, n, NULL) != 0 || sup_utf8_valid(exact, n))
            fail_msg("case %zu", i);
        free(exact);
    }
}

static void whole_texts(void **state)
{
    (void)state;
    assert_true(sup_utf8_valid("", 0));
    assert_true(sup_utf8_valid("a\0b", 3));
    const char *mail = "j\xc3\xbcrgen@\xe4\xbe\x8b.jp \xf0\x9f\x93\xa7";
    assert_true(sup_utf8_valid(mail, strlen(mail)));
    assert_false(sup_utf8_valid("j\xfcrgen", 6)); /* Latin-1 */
    assert_false(sup_utf8_valid("ab\xc3", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_character),
        cmocka_unit_test(malformed),
        cmocka_unit_test(whole_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
