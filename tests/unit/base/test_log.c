#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/thread.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The log writes into a datagram socket: what one read gives is what one write(2) wrote, so these
 * tests see the lines and that each was one write. */
static int log_end;
static int read_end;
static char line[2 * PIPE_BUF];

static int setup(void **state)
{
    (void)state;
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) != 0)
        return -1;
    log_end = fds[0];
    read_end = fds[1];
    sup_log_configure(SUP_LOG_INFO, SUP_LOG_TEXT, log_end);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sup_log_configure(SUP_LOG_INFO, SUP_LOG_TEXT, STDERR_FILENO);
    close(log_end);
    close(read_end);
    return 0;
}

/* The line of the last event, without its time and newline; both are looked at first. */
static const char *last(void)
{
    ssize_t n = recv(read_end, line, sizeof(line) - 1, MSG_DONTWAIT);
    assert_true(n > 0);
    assert_true(n <= PIPE_BUF);
    line[n] = '\0';
    assert_int_equal(strlen(line), n);
    assert_ptr_equal(strchr(line, '\n'), line + n - 1);
    line[n - 1] = '\0';
    assert_true(sup_utf8_valid(line, strlen(line)));
    for (char *p = line; *p != '\0'; p++)
        assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
    return line;
}

static const char *last_text(void)
{
    const char *text = last();
    const char *space = strchr(text, ' ');
    int64_t ms;
    assert_non_null(space);
    assert_int_equal(sup_time_parse(text, (size_t)(space - text), &ms), SUP_OK);
    assert_true(ms <= sup_wall_ms() && ms > sup_wall_ms() - 600000);
    return space + 1;
}

static json_t *last_json(void)
{
    json_error_t error;
    json_t *o = json_loads(last(), JSON_REJECT_DUPLICATES, &error);
    if (o == NULL)
        fail_msg("%s in %s", error.text, line);
    assert_true(json_is_object(o));
    return o;
}

static void text_line(void **state)
{
    (void)state;
    sup_log_info("mesh", "peer connected", SUP_S("peer", "eu-west-1"), SUP_I("lag", 3));
    assert_string_equal(last_text(), "INFO mesh: peer connected peer=eu-west-1 lag=3");
    sup_log_error("store", "no fields");
    assert_string_equal(last_text(), "ERROR store: no fields");
    sup_log_warn("aws", "numbers", SUP_I("min", INT64_MIN), SUP_U("max", UINT64_MAX),
                 SUP_D("half", 0.5));
    assert_string_equal(last_text(), "WARN aws: numbers min=-9223372036854775808 "
                                     "max=18446744073709551615 half=0.5");
}

static void text_values_that_need_quotes(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *want;
    } cases[] = {
        {"plain-1.2:3/4@x", "plain-1.2:3/4@x"},
        {"", "\"\""},
        {NULL, "-"},
        {"-", "\"-\""},
        {"two words", "\"two words\""},
        {"a=b", "\"a=b\""},
        {"say \"hi\"", "\"say \\\"hi\\\"\""},
        {"back\\slash", "\"back\\\\slash\""},
        {"x\nERROR forged: line", "\"x\\nERROR forged: line\""},
        {"x\r\t\x01\x7f", "\"x\\r\\t\\u0001\\u007f\""},
        {"\x1b[31mred", "\"\\u001b[31mred\""},
        {"j\xc3\xbcrgen", "j\xc3\xbcrgen"},
        {"\xf0\x9f\x93\xa7", "\xf0\x9f\x93\xa7"},
        {"j\xfcrgen", "\"j\xef\xbf\xbdrgen\""},
        {"cut\xe2\x82", "\"cut\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xc2\x9b[31m", "\"\\u009b[31m\""}, /* C1: a terminal's control sequence */
        {"a\xe2\x80\xae"
         "b",
         "\"a\\u202eb\""}, /* right-to-left override */
        {"a\xe2\x80\xa8"
         "b",
         "\"a\\u2028b\""}, /* line separator */
    };
    for (size_t i = 0; i < SUP_COUNT(cases); i++) {
        sup_log_info("t", "v", SUP_S("k", cases[i].value));
        char want[100];
        (void)snprintf(want, sizeof(want), "INFO t: v k=%s", cases[i].want);
        assert_string_equal(last_text(), want);
    }
}

static void text_keys_and_sentences_cannot_break_out(void **state)
{
    (void)state;
    sup_log_info("a\nb", "c\nd \x80", SUP_S("k e=y\n", "v"));
    assert_string_equal(last_text(), "INFO a\\nb: c\\nd \xef\xbf\xbd k_e_y_=v");
}

static void json_line(void **state)
{
    (void)state;
    sup_log_configure(SUP_LOG_INFO, SUP_LOG_JSON, log_end);
    sup_log_warn("mesh", "peer \"gone\"", SUP_S("peer", "a\"b\\c\n\x01\x7f\xff"), SUP_I("lag", -3),
                 SUP_U("big", UINT64_C(1) << 53), SUP_D("rate", 1.25), SUP_S("none", NULL),
                 SUP_D("nan", (double)NAN), SUP_D("inf", -(double)INFINITY), SUP_S("k\"ey", ""));
    json_t *o = last_json();
    assert_true(strncmp(line, "{\"ts\":\"", 7) == 0);
    int64_t ms;
    const char *ts = json_string_value(json_object_get(o, "ts"));
    assert_int_equal(sup_time_parse(ts, strlen(ts), &ms), SUP_OK);
    assert_string_equal(json_string_value(json_object_get(o, "level")), "warn");
    assert_string_equal(json_string_value(json_object_get(o, "component")), "mesh");
    assert_string_equal(json_string_value(json_object_get(o, "msg")), "peer \"gone\"");
    assert_string_equal(json_string_value(json_object_get(o, "peer")),
                        "a\"b\\c\n\x01\x7f\xef\xbf\xbd");
    assert_int_equal(json_integer_value(json_object_get(o, "lag")), -3);
    assert_int_equal(json_integer_value(json_object_get(o, "big")), INT64_C(1) << 53);
    assert_true(json_real_value(json_object_get(o, "rate")) == 1.25);
    assert_true(json_is_null(json_object_get(o, "none")));
    assert_true(json_is_string(json_object_get(o, "nan")));
    assert_string_equal(json_string_value(json_object_get(o, "inf")), "-inf");
    assert_string_equal(json_string_value(json_object_get(o, "k\"ey")), "");
    assert_int_equal(json_object_size(o), 12);
    json_decref(o);
}

static void levels_filter(void **state)
{
    (void)state;
    static const enum sup_log_level levels[] = {SUP_LOG_ERROR, SUP_LOG_WARN, SUP_LOG_INFO,
                                                SUP_LOG_DEBUG};
    for (size_t set = 0; set < 4; set++) {
        sup_log_configure(levels[set], SUP_LOG_TEXT, log_end);
        int evaluated = 0;
        sup_log_error("t", "e", SUP_I("n", evaluated++));
        sup_log_warn("t", "w", SUP_I("n", evaluated++));
        sup_log_info("t", "i", SUP_I("n", evaluated++));
        sup_log_debug("t", "d", SUP_I("n", evaluated++));
        assert_int_equal(evaluated, set + 1); /* the fields of a silent event cost nothing */
        for (size_t l = 0; l < 4; l++) {
            assert_int_equal(sup_log_enabled(levels[l]) != 0, l <= set);
            if (l <= set)
                (void)last_text();
        }
        assert_true(recv(read_end, line, sizeof(line), MSG_DONTWAIT) < 0);
    }
}

static void long_values_and_lines_are_cut(void **state)
{
    (void)state;
    char value[3000];
    memset(value, '\x01', sizeof(value) - 1); /* six bytes each when escaped */
    value[sizeof(value) - 1] = '\0';
    for (int json = 0; json < 2; json++) {
        sup_log_configure(SUP_LOG_INFO, json ? SUP_LOG_JSON : SUP_LOG_TEXT, log_end);
        sup_log_info("t", "v", SUP_S("long", value), SUP_I("after", 1));
        const char *text = json ? last() : last_text();
        assert_non_null(strstr(text, "\xe2\x80\xa6\""));
        assert_non_null(strstr(text, json ? ",\"after\":1}" : " after=1"));
        /* Too many: those that do not fit are left out as a whole, the line says so, and a short
         * one may still follow. */
        sup_log_info("t", value, SUP_S("a", value), SUP_S("b", value), SUP_S("c", value),
                     SUP_S("d", value), SUP_I("z", 1));
        text = json ? last() : last_text();
        assert_null(strstr(text, json ? "\"d\":" : " d="));
        assert_non_null(strstr(text, json ? ",\"z\":1,\"cut\":true}" : " z=1 cut=true"));
        if (json) {
            json_error_t error;
            json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, &error);
            assert_non_null(o);
            json_decref(o);
        }
    }
}

static void any_bytes_make_good_json(void **state)
{
    (void)state;
    uint64_t seed = sup_random_u64();
    print_message("seed %llu\n", (unsigned long long)seed);
    struct sup_rng r;
    sup_rng_seed(&r, seed);
    for (int i = 0; i < 5000; i++) {
        char texts[4][400];
        for (int t = 0; t < 4; t++) {
            size_t n = (size_t)sup_rng_below(&r, sizeof(texts[t]));
            for (size_t k = 0; k < n; k++)
                texts[t][k] = (char)(1 + sup_rng_below(&r, 255));
            texts[t][n] = '\0';
        }
        bool json = i % 2;
        sup_log_configure(SUP_LOG_INFO, json ? SUP_LOG_JSON : SUP_LOG_TEXT, log_end);
        sup_log_info(texts[0], texts[1], SUP_S(texts[2], texts[3]));
        if (json)
            json_decref(last_json());
        else
            (void)last_text();
    }
}

static int64_t lines_lost(void)
{
    return sup_metric_get(sup_metric("supsync_log_lines_lost_total", NULL, SUP_COUNTER, ""));
}

static void lost_lines_are_counted_and_errno_is_kept(void **state)
{
    (void)state;
    int64_t before = lines_lost();
    sup_log_configure(SUP_LOG_INFO, SUP_LOG_TEXT, -1);
    errno = ENOENT;
    sup_log_info("t", "nobody hears this");
    assert_int_equal(errno, ENOENT);
    assert_int_equal(lines_lost(), before + 1);
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (full >= 0) {
        sup_log_configure(SUP_LOG_INFO, SUP_LOG_TEXT, full);
        sup_log_info("t", "nor this");
        assert_int_equal(lines_lost(), before + 2);
        close(full);
    }
}

#define LINES 2000

static void *chatter(void *arg)
{
    const char *name = arg;
    for (int i = 0; i < LINES; i++)
        sup_log_info("t", "chatter", SUP_S("who", name), SUP_I("i", i),
                     SUP_S("pad", "0123456789012345678901234567890123456789"));
    return NULL;
}

static void threads_do_not_mix_their_lines(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    sup_log_configure(SUP_LOG_INFO, SUP_LOG_TEXT, fds[1]);
    static const char *const names[] = {"a", "b", "c"};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(sup_thread_start(&threads[i], "chatter", chatter, (void *)names[i]),
                         SUP_OK);
    FILE *in = fdopen(fds[0], "r");
    int next[3] = {0};
    for (int got = 0; got < 3 * LINES; got++) {
        assert_non_null(fgets(line, sizeof(line), in));
        char who;
        int i;
        assert_int_equal(
            sscanf(line, "%*s INFO t: chatter who=%c i=%d pad=012345678901234567890", &who, &i), 2);
        assert_true(who >= 'a' && who <= 'c');
        assert_int_equal(next[who - 'a']++, i);
        assert_string_equal(line + strlen(line) - 4, "789\n");
    }
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    sup_log_configure(SUP_LOG_INFO, SUP_LOG_TEXT, log_end);
    (void)fclose(in);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(text_line, setup, teardown),
        cmocka_unit_test_setup_teardown(text_values_that_need_quotes, setup, teardown),
        cmocka_unit_test_setup_teardown(text_keys_and_sentences_cannot_break_out, setup, teardown),
        cmocka_unit_test_setup_teardown(json_line, setup, teardown),
        cmocka_unit_test_setup_teardown(levels_filter, setup, teardown),
        cmocka_unit_test_setup_teardown(long_values_and_lines_are_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(any_bytes_make_good_json, setup, teardown),
        cmocka_unit_test_setup_teardown(lost_lines_are_counted_and_errno_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(threads_do_not_mix_their_lines, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
