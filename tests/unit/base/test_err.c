#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"

#include <stdio.h>
#include <string.h>

static void set_writes_code_and_text(void **state)
{
    (void)state;
    struct sup_err err;
    assert_int_equal(sup_err_set(&err, SUP_EINPUT, "line %d: %s", 3, "no colon"), SUP_EINPUT);
    assert_int_equal(err.code, SUP_EINPUT);
    assert_string_equal(err.msg, "line 3: no colon");
}

static void null_err_is_allowed(void **state)
{
    (void)state;
    assert_int_equal(sup_err_set(NULL, SUP_EIO, "x"), SUP_EIO);
    assert_int_equal(sup_err_prefix(NULL, SUP_EAGAIN, "x"), SUP_EAGAIN);
}

static void prefix_keeps_code_and_text(void **state)
{
    (void)state;
    struct sup_err err;
    sup_err_set(&err, SUP_ENOTFOUND, "no such queue");
    assert_int_equal(sup_err_prefix(&err, SUP_EBUG, "queue %s", "q1"), SUP_ENOTFOUND);
    assert_string_equal(err.msg, "queue q1: no such queue");
}

static void own_text_may_be_an_argument(void **state)
{
    (void)state;
    struct sup_err err;
    sup_err_set(&err, SUP_EIO, "disk full");
    sup_err_set(&err, SUP_EIO, "commit: %s (%s)", err.msg, err.msg);
    assert_string_equal(err.msg, "commit: disk full (disk full)");
    sup_err_prefix(&err, SUP_EIO, "[%s]", err.msg);
    assert_string_equal(err.msg, "[commit: disk full (disk full)]: commit: disk full (disk full)");
}

static void long_text_is_cut(void **state)
{
    (void)state;
    char longer[2 * SUP_ERR_MSG_MAX];
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';

    /* Canaries on both sides of the text. */
    struct {
        struct sup_err err;
        char after[8];
    } box;
    memset(&box, '#', sizeof(box));
    sup_err_set(&box.err, SUP_EIO, "%s", longer);
    assert_int_equal(strlen(box.err.msg), SUP_ERR_MSG_MAX - 1);
    sup_err_prefix(&box.err, SUP_EIO, "%s", "where");
    assert_int_equal(strlen(box.err.msg), SUP_ERR_MSG_MAX - 1);
    assert_memory_equal(box.err.msg, "where: aaa", 10);
    sup_err_prefix(&box.err, SUP_EIO, "%s", longer);
    assert_int_equal(strlen(box.err.msg), SUP_ERR_MSG_MAX - 1);
    assert_memory_equal(box.after, "########", 8);
}

/* The text at every length around the maximum, with prefixes of every small length. */
static void cut_at_every_length(void **state)
{
    (void)state;
    char text[SUP_ERR_MSG_MAX + 8];
    for (size_t n = SUP_ERR_MSG_MAX - 8; n < SUP_ERR_MSG_MAX + 8; n++) {
        memset(text, 'b', n);
        text[n] = '\0';
        for (int width = 0; width < 12; width++) {
            struct sup_err err;
            sup_err_set(&err, SUP_EIO, "%s", text);
            size_t had = strlen(err.msg);
            sup_err_prefix(&err, SUP_EIO, "%.*s", width, "abcdefghijkl");
            size_t want = had + 2 + (size_t)width;
            if (want > SUP_ERR_MSG_MAX - 1)
                want = SUP_ERR_MSG_MAX - 1;
            assert_int_equal(strlen(err.msg), want);
            assert_memory_equal(err.msg + width, ": b", 3);
        }
    }
}

static void code_names_are_distinct_words(void **state)
{
    (void)state;
    for (int a = SUP_OK; a <= SUP_EBUG; a++) {
        const char *name = sup_code_name(a);
        assert_true(strlen(name) > 0);
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
        assert_string_not_equal(name, sup_code_name(SUP_EBUG + 1));
        for (int b = SUP_OK; b < a; b++)
            assert_string_not_equal(name, sup_code_name(b));
    }
    assert_string_equal(sup_code_name(SUP_ENOTFOUND), "not-found");
    assert_non_null(sup_code_name(-1));
    assert_non_null(sup_code_name(100000));
}

static void transient_codes(void **state)
{
    (void)state;
    for (int code = -1; code <= SUP_EBUG + 1; code++) {
        int want = code == SUP_EAGAIN || code == SUP_ETIMEDOUT || code == SUP_EIO;
        assert_int_equal(sup_code_is_transient(code), want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_writes_code_and_text),
        cmocka_unit_test(null_err_is_allowed),
        cmocka_unit_test(prefix_keeps_code_and_text),
        cmocka_unit_test(own_text_may_be_an_argument),
        cmocka_unit_test(long_text_is_cut),
        cmocka_unit_test(cut_at_every_length),
        cmocka_unit_test(code_names_are_distinct_words),
        cmocka_unit_test(transient_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
