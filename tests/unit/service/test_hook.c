/* The hook: its arguments are words, its input is one line of JSON, and it has an end. */
#include "service/hook.h"

#include "base/array.h"
#include "base/buf.h"
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/supsync-hook-XXXXXX";
static struct sup_stop stop;

static int setup(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    if (fd < 0)
        return -1;
    close(fd);
    sup_stop_init(&stop);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    sup_stop_fini(&stop);
    return 0;
}

static int run(const char *const *argv, size_t n, int64_t timeout_ms, const char *name,
               struct sup_err *err)
{
    const struct sup_hook hook = {.argv = argv, .n = n, .timeout_ms = timeout_ms};
    const struct sup_alert alert = {.node = "eu-west-1/a",
                                    .region = "eu-west-1",
                                    .rate = "bounces",
                                    .kind = "domain",
                                    .name = name,
                                    .before = "fine",
                                    .level = "review",
                                    .value = 0.0625,
                                    .time_ms = 1786000000000};

    return sup_hook_run(&hook, &alert, &stop, err);
}

static void read_file(char *out, size_t cap)
{
    FILE *f = fopen(path, "r");

    assert_non_null(f);
    size_t n = fread(out, 1, cap - 1, f);
    out[n] = '\0';
    fclose(f);
}

static void test_input(void **state)
{
    const char *const argv[] = {"tee", path};
    struct sup_err err = {0};
    char text[1024];

    (void)state;
    assert_int_equal(run(argv, SUP_COUNT(argv), 10000, "example.com", &err), SUP_OK);
    read_file(text, sizeof(text));
    assert_string_equal(text, "{\"node\":\"eu-west-1/a\",\"region\":\"eu-west-1\","
                              "\"rate\":\"bounces\",\"kind\":\"domain\",\"name\":\"example.com\","
                              "\"before\":\"fine\",\"level\":\"review\",\"value\":0.062500,"
                              "\"time_ms\":1786000000000}\n");
}

/* A name comes from whoever sent the mail. */
static void test_names_are_only_text(void **state)
{
    const char *const argv[] = {"tee", path};
    struct sup_err err = {0};
    char text[1024];

    (void)state;
    assert_int_equal(run(argv, SUP_COUNT(argv), 10000, "a\"b\\c\n$(id)`id`;'&\x01", &err), SUP_OK);
    read_file(text, sizeof(text));
    assert_non_null(strstr(text, "\"name\":\"a\\\"b\\\\c\\u000a$(id)`id`;'&\\u0001\","));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

/* No shell looks at the arguments. */
static void test_arguments_are_words(void **state)
{
    char marker[sizeof(path) + 32];
    struct sup_err err = {0};

    (void)state;
    snprintf(marker, sizeof(marker), "$(touch %s.bad);x", path);
    const char *const argv[] = {"true", marker, "; touch y", "a b"};
    assert_int_equal(run(argv, SUP_COUNT(argv), 10000, "n", &err), SUP_OK);
    snprintf(marker, sizeof(marker), "%s.bad", path);
    assert_int_not_equal(access(marker, F_OK), 0);
    const char *const script[] = {"sh", "-c", "test \"$1\" = 'a b;c' && test $# -eq 1", "sh",
                                  "a b;c"};
    assert_int_equal(run(script, SUP_COUNT(script), 10000, "n", &err), SUP_OK);
}

static void test_failures_are_told(void **state)
{
    const char *const failing[] = {"sh", "-c", "exit 3"};
    const char *const killed[] = {"sh", "-c", "kill -TERM $$"};
    const char *const missing[] = {"/nonexistent/program"};
    struct sup_err err = {0};

    (void)state;
    assert_int_equal(run(failing, SUP_COUNT(failing), 10000, "n", &err), SUP_EIO);
    assert_string_equal(err.msg, "ended with status 3");
    assert_int_equal(run(killed, SUP_COUNT(killed), 10000, "n", &err), SUP_EIO);
    assert_string_equal(err.msg, "ended by signal 15");
    assert_int_equal(run(missing, SUP_COUNT(missing), 10000, "n", &err), SUP_EIO);
}

/* With what it started: the child of a shell must not stay behind and hold the file. */
static void test_a_slow_hook_is_ended(void **state)
{
    char script[sizeof(path) + 64];
    const char *const argv[] = {"sh", "-c", script};
    struct sup_err err = {0};
    int64_t begun = sup_mono_ms();

    (void)state;
    snprintf(script, sizeof(script), "sleep 300 & sleep 300; echo no > %s", path);
    assert_int_equal(run(argv, SUP_COUNT(argv), 100, "n", &err), SUP_ETIMEDOUT);
    assert_true(sup_mono_ms() - begun < 60000);
}

static void test_a_stop_ends_it(void **state)
{
    const char *const argv[] = {"sleep", "300"};
    struct sup_err err = {0};

    (void)state;
    sup_stop_set(&stop);
    assert_int_equal(run(argv, SUP_COUNT(argv), 300000, "n", &err), SUP_ECLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_input),
        cmocka_unit_test(test_names_are_only_text),
        cmocka_unit_test(test_arguments_are_words),
        cmocka_unit_test(test_failures_are_told),
        cmocka_unit_test(test_a_slow_hook_is_ended),
        cmocka_unit_test(test_a_stop_ends_it),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
