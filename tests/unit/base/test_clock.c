#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/random.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIN_MS INT64_C(-62167219200000)
#define MAX_MS INT64_C(253402300799999)

static void expect_time(const char *s, int64_t want)
{
    /* An exact copy without a NUL: the parser must stay inside its n bytes. */
    size_t n = strlen(s);
    char *exact = malloc(n + (n == 0));
    memcpy(exact, s, n);
    int64_t got = INT64_MIN;
    int rc = sup_time_parse(exact, n, &got);
    free(exact);
    if (rc != SUP_OK || got != want)
        fail_msg("\"%s\": code %d, %lld instead of %lld", s, rc, (long long)got, (long long)want);
}

static void expect_refused(const char *s)
{
    size_t n = strlen(s);
    char *exact = malloc(n + (n == 0));
    memcpy(exact, s, n);
    int64_t got = 42;
    int rc = sup_time_parse(exact, n, &got);
    free(exact);
    if (rc != SUP_EINPUT || got != 42)
        fail_msg("\"%s\": code %d, %lld instead of a refusal", s, rc, (long long)got);
}

/* The expected numbers come from GNU date -u -d … +%s. */
static void calendar_times(void **state)
{
    (void)state;
    static const struct {
        const char *s;
        int64_t ms;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:00.000Z", 0},
        {"2026-11-24T06:15:36.123Z", 1795500936123},
        {"2016-01-27T14:59:38.237Z", 1453906778237},
        {"2016-01-27T14:59:38.2Z", 1453906778200},
        {"2016-01-27T14:59:38.2379999999Z", 1453906778237},
        {"2016-01-27T14:59:38,237Z", 1453906778237},
        {"2018-10-08T14:05:45 +0000", 1539007545000},
        {"2018-10-08T14:05:45+0000", 1539007545000},
        {"2018-10-08T14:05:45 +00:00", 1539007545000},
        {"2018-10-08T14:05:45  Z", 1539007545000},
        {"2018-10-08 14:05:45Z", 1539007545000},
        {"2018-10-08 14:05:45", 1539007545000},
        {"2018-10-08T14:05:45", 1539007545000},
        {"2018-10-08t14:05:45z", 1539007545000},
        {" 2018-10-08T14:05:45Z ", 1539007545000},
        {"2018-10-08T14:05Z", 1539007500000},
        {"2018-10-08", 1538956800000},
        {"2009-12-31T19:00:00-05:00", 1262304000000},
        {"2009-12-31T19:00:00-0500", 1262304000000},
        {"2009-12-31T19:00:00-05", 1262304000000},
        {"2009-12-31T19:00:00.5-05:00", 1262304000500},
        {"2010-01-01T05:30:00+05:30", 1262304000000},
        {"2010-01-01T00:00:00-00:00", 1262304000000},
        {"2016-02-29T00:00:00Z", 1456704000000},
        {"2000-02-29T12:00:00Z", 951825600000},
        {"1600-02-29T00:00:00Z", -11670998400000},
        {"1969-12-31T23:59:59.999Z", -1},
        {"1900-03-01T00:00:00Z", -2203891200000},
        {"0000-01-01T00:00:00Z", MIN_MS},
        {"0000-02-29T00:00:00Z", -62162121600000},
        {"9999-12-31T23:59:59.999Z", MAX_MS},
        {"2016-12-31T23:59:60Z", 1483228800000},
        {"2016-12-31T23:59:60.5Z", 1483228800500},
        {"2017-01-01T01:59:60+02:00", 1483228800000},
        {"2038-01-19T03:14:08Z", 2147483648000},
    };
    for (size_t i = 0; i < SUP_COUNT(cases); i++)
        expect_time(cases[i].s, cases[i].ms);
}

static void epoch_times(void **state)
{
    (void)state;
    static const struct {
        const char *s;
        int64_t ms;
    } cases[] = {
        {"0", 0},
        {"0.0", 0},
        {"1", 1000},
        {"1539007545", 1539007545000},
        {"1539007545.", -1},
        {"1539007545.1", 1539007545100},
        {"1539007545.123", 1539007545123},
        {"1539007545.1239999999999999999999999", 1539007545123},
        {"1586298398.009", 1586298398009},
        {"1.586298398E9", 1586298398000},
        {"1.586298398123E9", 1586298398123},
        {"1.5862983981239e+09", 1586298398123},
        {"1586298398123e-3", 1586298398123},
        {"15E8", 1500000000000},
        {"5e-4", 0},
        {"0e99", 0},
        {"000000000000000000000000001", 1000},
        {" 1539007545 ", 1539007545000},
        {"2018", 2018000},
        {"253402300799.999", MAX_MS},
        {"253402300800", -1},
        {"1539007545123", -1}, /* milliseconds: as seconds this is the year 50739 */
        {"99999999999999999999999999999999999999999", -1},
        {"1e99", -1},
        {"1e100", -1},
        {"1e", -1},
        {"1e+", -1},
        {"1.e9", -1},
        {"1.5.5", -1},
        {"1,5", -1},
        {"-1", -1},
        {"+1", -1},
        {".5", -1},
        {"0x10", -1},
        {"1 2", -1},
        {"1Z", -1},
    };
    for (size_t i = 0; i < SUP_COUNT(cases); i++) {
        if (cases[i].ms < 0)
            expect_refused(cases[i].s);
        else
            expect_time(cases[i].s, cases[i].ms);
    }
}

static void refused_times(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        " ",
        "Z",
        "now",
        "null",
        "nan",
        "inf",
        "2018-10-08T",
        "2018-10-08 ZZ",
        "2018-10-08Z",
        "2018-10-08T14",
        "2018-10-08T14:",
        "2018-10-08T14:05:",
        "2018-10-08T14:05:4",
        "2018-10-08T14:05:45.",
        "2018-10-08T14:05:45.Z",
        "2018-10-08T14:05:45ZZ",
        "2018-10-08T14:05:45 UTC",
        "2018-10-08T14:05:45+",
        "2018-10-08T14:05:45+0",
        "2018-10-08T14:05:45+000",
        "2018-10-08T14:05:45+00:",
        "2018-10-08T14:05:45+00:0",
        "2018-10-08T14:05:45+24:00",
        "2018-10-08T14:05:45+00:60",
        "2018-10-08T14:05:45+00:00x",
        "2018-10-08T14:05:45 +00 00",
        "2018-10-08T24:00:00Z",
        "2018-10-08T23:60:00Z",
        "2018-10-08T23:59:61Z",
        "2018-13-08T14:05:45Z",
        "2018-00-08T14:05:45Z",
        "2018-10-00T14:05:45Z",
        "2018-10-32T14:05:45Z",
        "2018-04-31T14:05:45Z",
        "2018-02-29T14:05:45Z",
        "1900-02-29T00:00:00Z",
        "2018-1-08T14:05:45Z",
        "2018-10-8T14:05:45Z",
        "18-10-08T14:05:45Z",
        "02018-10-08T14:05:45Z",
        "-2018-10-08T14:05:45Z",
        "12018-10-08T14:05:45Z",
        "2018/10/08 14:05:45",
        "2018-10-08T14:-5:45Z",
        "2018-10-08T+4:05:45Z",
        "2018-10-08T14:05:45\n",
        "\t2018-10-08T14:05:45Z",
        "Mon, 08 Oct 2018 14:05:45 GMT",
        "0000-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "9999-12-31T23:59:60Z",
        "\xd9\xa2\xd9\xa0\xd9\xa1\xd9\xa8-10-08T14:05:45Z", /* Arabic digits */
    };
    for (size_t i = 0; i < SUP_COUNT(cases); i++)
        expect_refused(cases[i]);
    int64_t ms;
    assert_int_equal(sup_time_parse("2018-10-08T14:05:45Z\0", 21, &ms), SUP_EINPUT);
    assert_int_equal(sup_time_parse("15390\0007545", 10, &ms), SUP_EINPUT);
}

/* Any cut of a good text is refused or a good text itself, and no garbage is read out of bounds. */
static void cuts_and_garbage_are_harmless(void **state)
{
    (void)state;
    uint64_t seed = sup_random_u64();
    print_message("seed %llu\n", (unsigned long long)seed);
    struct sup_rng r;
    sup_rng_seed(&r, seed);
    static const char alphabet[] = "0123456789-:.,TZtz +eE\xff";
    for (int i = 0; i < 200000; i++) {
        size_t n = (size_t)sup_rng_below(&r, 30);
        char *s = malloc(n + (n == 0));
        memcpy(s, "2018-10-08T14:05:45.123 -05:00", n);
        size_t changes = (size_t)sup_rng_below(&r, 4);
        for (size_t c = 0; c < changes && n > 0; c++)
            s[sup_rng_below(&r, n)] = alphabet[sup_rng_below(&r, sizeof(alphabet) - 1)];
        int64_t ms;
        int rc = sup_time_parse(s, n, &ms);
        assert_true(rc == SUP_OK || rc == SUP_EINPUT);
        if (rc == SUP_OK)
            assert_true(ms >= MIN_MS && ms <= MAX_MS);
        free(s);
    }
}

static void formats(void **state)
{
    (void)state;
    char out[SUP_TIME_STR_MAX];
    assert_string_equal(sup_time_format(0, out), "1970-01-01T00:00:00.000Z");
    assert_string_equal(sup_time_format(1795500936123, out), "2026-11-24T06:15:36.123Z");
    assert_string_equal(sup_time_format(-1, out), "1969-12-31T23:59:59.999Z");
    assert_string_equal(sup_time_format(951825600000, out), "2000-02-29T12:00:00.000Z");
    assert_string_equal(sup_time_format(MIN_MS, out), "0000-01-01T00:00:00.000Z");
    assert_string_equal(sup_time_format(MAX_MS, out), "9999-12-31T23:59:59.999Z");
    assert_string_equal(sup_time_format(MIN_MS - 1, out), "0000-01-01T00:00:00.000Z");
    assert_string_equal(sup_time_format(INT64_MIN, out), "0000-01-01T00:00:00.000Z");
    assert_string_equal(sup_time_format(INT64_MAX, out), "9999-12-31T23:59:59.999Z");
    assert_ptr_equal(sup_time_format(0, out), out);
}

/* Every day of 10 000 years: the days follow each other and come back the same. */
static void every_day_round_trips(void **state)
{
    (void)state;
    char out[SUP_TIME_STR_MAX];
    char before[SUP_TIME_STR_MAX] = "";
    for (int64_t ms = MIN_MS; ms <= MAX_MS; ms += 86400000) {
        int64_t back;
        sup_time_format(ms, out);
        assert_true(strcmp(before, out) < 0);
        assert_int_equal(sup_time_parse(out, strlen(out), &back), SUP_OK);
        if (back != ms)
            fail_msg("%s", out);
        memcpy(before, out, sizeof(out));
    }
    assert_string_equal(out, "9999-12-31T00:00:00.000Z");
}

/* The C library as a second opinion, over its whole range of four-digit years. */
static void agrees_with_the_c_library(void **state)
{
    (void)state;
    uint64_t seed = sup_random_u64();
    print_message("seed %llu\n", (unsigned long long)seed);
    struct sup_rng r;
    sup_rng_seed(&r, seed);
    for (int i = 0; i < 100000; i++) {
        int64_t ms = MIN_MS + (int64_t)sup_rng_below(&r, (uint64_t)(MAX_MS - MIN_MS + 1));
        time_t seconds = (time_t)((ms - MIN_MS) / 1000 + MIN_MS / 1000);
        struct tm tm;
        assert_non_null(gmtime_r(&seconds, &tm));
        char want[80];
        (void)snprintf(want, sizeof(want), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
                       tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                       (int)((ms - MIN_MS) % 1000));
        char got[SUP_TIME_STR_MAX];
        assert_string_equal(sup_time_format(ms, got), want);
        expect_time(got, ms);
    }
}

static void time_zone_and_locale_do_not_matter(void **state)
{
    (void)state;
    assert_int_equal(setenv("TZ", "America/New_York", 1), 0);
    tzset();
    (void)setlocale(LC_ALL, "de_DE.UTF-8");
    expect_time("2018-07-08T14:05:45", 1531058745000);
    char out[SUP_TIME_STR_MAX];
    assert_string_equal(sup_time_format(1531058745000, out), "2018-07-08T14:05:45.000Z");
    (void)setlocale(LC_ALL, "C");
    unsetenv("TZ");
    tzset();
}

static void durations(void **state)
{
    (void)state;
    static const struct {
        const char *s;
        int64_t ms;
    } good[] = {
        {"0", 0},
        {"90", 90000},
        {"90s", 90000},
        {"10m", 600000},
        {"6h", 21600000},
        {"14d", 1209600000},
        {"250ms", 250},
        {"0ms", 0},
        {"007s", 7000},
        {"36500d", INT64_C(36500) * 86400000},
        {"9223372036854775807ms", INT64_MAX},
    };
    for (size_t i = 0; i < SUP_COUNT(good); i++) {
        int64_t ms = -1;
        assert_int_equal(sup_duration_parse(good[i].s, &ms), SUP_OK);
        assert_true(ms == good[i].ms);
    }
    static const char *const bad[] = {"",
                                      " ",
                                      "s",
                                      "ms",
                                      "-1s",
                                      "+1s",
                                      "1.5h",
                                      "1 h",
                                      "1S",
                                      "1w",
                                      "1hh",
                                      "1h2m",
                                      "h1",
                                      "1s ",
                                      " 1s",
                                      "9223372036854775808ms",
                                      "1e3",
                                      "0x1s",
                                      "9223372036854775807s",
                                      "99999999999999999999999999d",
                                      "106751991168d"};
    int64_t ms = 42;
    for (size_t i = 0; i < SUP_COUNT(bad); i++)
        assert_int_equal(sup_duration_parse(bad[i], &ms), SUP_EINPUT);
    assert_int_equal(sup_duration_parse(NULL, &ms), SUP_EINPUT);
    assert_int_equal(ms, 42);
    assert_int_equal(sup_time_parse(NULL, 0, &ms), SUP_EINPUT);
}

static void clocks_run(void **state)
{
    (void)state;
    int64_t a = sup_mono_ns();
    int64_t b = sup_mono_ns();
    assert_true(b >= a);
    int64_t apart = sup_mono_ms() - b / 1000000;
    assert_true(apart >= 0 && apart < 60000);
    struct timespec real;
    clock_gettime(CLOCK_REALTIME, &real);
    apart = sup_wall_ms() - (int64_t)real.tv_sec * 1000;
    assert_true(apart >= 0 && apart < 60000);
    assert_true(sup_wall_ms() > 1700000000000);
}

static int64_t deadline_in(int64_t delay_ms)
{
    int64_t now = sup_mono_ns();
    struct timespec t = sup_mono_deadline(delay_ms);
    assert_true(t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
    return ((int64_t)t.tv_sec * 1000000000 + t.tv_nsec - now) / 1000000;
}

static void deadlines(void **state)
{
    (void)state;
    static const int64_t delays[] = {0, 1, 999, 1000, 1001, 123456789};
    for (size_t i = 0; i < SUP_COUNT(delays); i++) {
        int64_t in = deadline_in(delays[i]);
        assert_true(in >= delays[i] && in < delays[i] + 60000);
    }
    assert_true(deadline_in(-5) < 60000);
    assert_true(deadline_in(INT64_MIN) < 60000);
    assert_true(deadline_in(INT64_MAX) > INT64_C(50) * 365 * 86400000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calendar_times),
        cmocka_unit_test(epoch_times),
        cmocka_unit_test(refused_times),
        cmocka_unit_test(cuts_and_garbage_are_harmless),
        cmocka_unit_test(formats),
        cmocka_unit_test(every_day_round_trips),
        cmocka_unit_test(agrees_with_the_c_library),
        cmocka_unit_test(time_zone_and_locale_do_not_matter),
        cmocka_unit_test(durations),
        cmocka_unit_test(clocks_run),
        cmocka_unit_test(deadlines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
