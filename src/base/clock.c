#include "base/clock.h"

#include "base/err.h"

#include <stdbool.h>
#include <string.h>

#define DAY_S 86400

/* 0000-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z. */
#define MIN_MS (-62167219200000)
#define MAX_MS 253402300799999

static int64_t read_clock_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t sup_wall_ms(void)
{
    return read_clock_ns(CLOCK_REALTIME) / 1000000;
}

int64_t sup_mono_ms(void)
{
    return read_clock_ns(CLOCK_MONOTONIC) / 1000000;
}

int64_t sup_mono_ns(void)
{
    return read_clock_ns(CLOCK_MONOTONIC);
}

struct timespec sup_mono_deadline(int64_t delay_ms)
{
    const int64_t longest_ms = INT64_C(100) * 365 * DAY_S * 1000; /* no sum can overflow time_t */
    if (delay_ms < 0)
        delay_ms = 0;
    if (delay_ms > longest_ms)
        delay_ms = longest_ms;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += (time_t)(delay_ms / 1000);
    t.tv_nsec += (long)(delay_ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar, and back, for years 0 to
 * 9999. Own arithmetic since timegm(3) and gmtime(3) mend bad dates silently instead of refusing
 * them. Years are counted from March, so that the leap day is the last of its year; eras are the
 * 400 years after which the calendar repeats. Source: Howard Hinnant, "chrono-Compatible Low-Level
 * Date Algorithms". */
static int64_t days_from_date(int64_t year, int month, int day)
{
    year += 400; /* keeps all divisions positive in January and February of the year 0 */
    if (month <= 2)
        year--;
    int64_t era = year / 400;
    int64_t year_of_era = year % 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (era - 1) * 146097 + day_of_era - 719468;
}

static void date_from_days(int64_t days, int *year, int *month, int *day)
{
    days += 719468 + 146097;
    int64_t era = days / 146097;
    int64_t day_of_era = days % 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t mp = (5 * day_of_year + 2) / 153;
    *day = (int)(day_of_year - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = (int)(year_of_era + (era - 1) * 400 + (*month <= 2 ? 1 : 0));
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

/* Writes v with so many digits and what follows it; returns the place after. */
static char *put_digits(char *p, int v, int digits, char then)
{
    for (int i = digits - 1; i >= 0; i--, v /= 10)
        p[i] = (char)('0' + v % 10);
    p[digits] = then;
    return p + digits + 1;
}

char *sup_time_format(int64_t wall_ms, char out[SUP_TIME_STR_MAX])
{
    if (wall_ms < MIN_MS)
        wall_ms = MIN_MS;
    if (wall_ms > MAX_MS)
        wall_ms = MAX_MS;
    /* Rounded down, so that times before 1970 come out right as well. */
    int64_t since_min = wall_ms - MIN_MS;
    int64_t day_ms = INT64_C(1000) * DAY_S;
    int ms = (int)(since_min % day_ms);
    int year;
    int month;
    int day;
    date_from_days(since_min / day_ms + MIN_MS / day_ms, &year, &month, &day);
    char *p = put_digits(out, year, 4, '-');
    p = put_digits(p, month, 2, '-');
    p = put_digits(p, day, 2, 'T');
    p = put_digits(p, ms / 3600000, 2, ':');
    p = put_digits(p, ms / 60000 % 60, 2, ':');
    p = put_digits(p, ms / 1000 % 60, 2, '.');
    p = put_digits(p, ms % 1000, 3, 'Z');
    *p = '\0';
    return out;
}

/* A reader over the text of a time. Characters are compared as ASCII: no locale has a say. */
struct text {
    const char *p;
    const char *end;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char peek(const struct text *t)
{
    return t->p < t->end ? *t->p : '\0';
}

/* Takes the next character if it is one of the two. */
static bool take(struct text *t, char a, char b)
{
    if (t->p == t->end || (*t->p != a && *t->p != b))
        return false;
    t->p++;
    return true;
}

static bool take_number(struct text *t, int digits, int least, int most, int *value)
{
    int v = 0;
    for (int i = 0; i < digits; i++) {
        if (!is_digit(peek(t)))
            return false;
        v = v * 10 + (*t->p++ - '0');
    }
    *value = v;
    return v >= least && v <= most;
}

/* ".123456" → 123; nothing → 0. RFC 3339 allows any number of digits, ISO 8601 the comma. */
static bool take_fraction(struct text *t, int *ms)
{
    *ms = 0;
    if (!take(t, '.', ','))
        return true;
    if (!is_digit(peek(t)))
        return false;
    for (int unit = 100; is_digit(peek(t)); unit /= 10)
        *ms += (*t->p++ - '0') * unit;
    return true;
}

static bool take_date(struct text *t, int64_t *days)
{
    int year;
    int month;
    int day;
    if (!take_number(t, 4, 0, 9999, &year) || !take(t, '-', '-') ||
        !take_number(t, 2, 1, 12, &month) || !take(t, '-', '-') ||
        !take_number(t, 2, 1, days_in_month(year, month), &day))
        return false;
    *days = days_from_date(year, month, day);
    return true;
}

/* A leap second (60) becomes the first second of the next minute, as POSIX time counts it. */
static bool take_clock(struct text *t, int64_t *clock_ms)
{
    int hour;
    int minute;
    int second = 0;
    int ms = 0;
    if (!take_number(t, 2, 0, 23, &hour) || !take(t, ':', ':') ||
        !take_number(t, 2, 0, 59, &minute))
        return false;
    if (take(t, ':', ':') && (!take_number(t, 2, 0, 60, &second) || !take_fraction(t, &ms)))
        return false;
    *clock_ms = ((int64_t)hour * 3600 + (int64_t)minute * 60 + second) * 1000 + ms;
    return true;
}

/* "Z", "+01:00", "-0500", "+01", each perhaps after spaces; nothing = UTC. */
static bool take_offset(struct text *t, int64_t *offset_ms)
{
    *offset_ms = 0;
    while (take(t, ' ', ' '))
        ;
    if (t->p == t->end || take(t, 'Z', 'z'))
        return true;
    char sign = peek(t);
    int hours;
    int minutes = 0;
    if (!take(t, '+', '-') || !take_number(t, 2, 0, 23, &hours))
        return false;
    bool colon = take(t, ':', ':');
    if ((colon || is_digit(peek(t))) && !take_number(t, 2, 0, 59, &minutes))
        return false;
    *offset_ms = ((int64_t)hours * 60 + minutes) * 60000 * (sign == '-' ? -1 : 1);
    return true;
}

static int parse_calendar(struct text t, int64_t *wall_ms)
{
    int64_t days;
    int64_t clock_ms = 0;
    int64_t offset_ms = 0;
    if (!take_date(&t, &days))
        return SUP_EINPUT;
    if (t.p < t.end) {
        if (!(take(&t, 'T', 't') || take(&t, ' ', ' ')) || !take_clock(&t, &clock_ms) ||
            !take_offset(&t, &offset_ms) || t.p < t.end)
            return SUP_EINPUT;
    }
    int64_t ms = days * DAY_S * 1000 + clock_ms - offset_ms;
    if (ms < MIN_MS || ms > MAX_MS)
        return SUP_EINPUT;
    *wall_ms = ms;
    return SUP_OK;
}

/* "E9", "e+09"; nothing = 0. AWS services that are written in Java print large JSON numbers so. */
static bool take_exponent(struct text *t, int *exponent)
{
    *exponent = 0;
    if (!take(t, 'E', 'e'))
        return true;
    char sign = peek(t);
    (void)take(t, '+', '-');
    if (!is_digit(peek(t)))
        return false;
    while (is_digit(peek(t))) {
        *exponent = *exponent * 10 + (*t->p++ - '0');
        if (*exponent > 99)
            return false;
    }
    if (sign == '-')
        *exponent = -*exponent;
    return true;
}

/* Epoch seconds are read in decimal, not as a double, which would turn .123 into .122. */
static int parse_epoch(struct text t, int64_t *wall_ms)
{
    const char *digits = t.p;
    while (is_digit(peek(&t)))
        t.p++;
    int64_t point = t.p - digits; /* digits before the decimal point */
    if (take(&t, '.', '.')) {
        if (!is_digit(peek(&t)))
            return SUP_EINPUT;
        while (is_digit(peek(&t)))
            t.p++;
    }
    const char *digits_end = t.p;
    int exponent;
    if (!take_exponent(&t, &exponent) || t.p < t.end)
        return SUP_EINPUT;

    int64_t ms = 0;
    int64_t wanted = point + exponent + 3; /* digits that count for milliseconds; the rest is cut */
    for (const char *p = digits; wanted > 0; wanted--) {
        if (p < digits_end && *p == '.')
            p++;
        ms = ms * 10 + (p < digits_end ? *p++ - '0' : 0);
        if (ms > MAX_MS)
            return SUP_EINPUT;
    }
    *wall_ms = ms;
    return SUP_OK;
}

int sup_time_parse(const char *s, size_t n, int64_t *wall_ms)
{
    if (n == 0)
        return SUP_EINPUT;
    struct text t = {s, s + n};
    while (t.p < t.end && *t.p == ' ')
        t.p++;
    while (t.p < t.end && t.end[-1] == ' ')
        t.end--;
    if (t.p == t.end || !is_digit(*t.p))
        return SUP_EINPUT;
    if (t.end - t.p > 4 && t.p[4] == '-')
        return parse_calendar(t, wall_ms);
    return parse_epoch(t, wall_ms);
}

int sup_duration_parse(const char *s, int64_t *ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"ms", 1},    {"", 1000},     {"s", 1000},
                 {"m", 60000}, {"h", 3600000}, {"d", INT64_C(1000) * DAY_S}};

    if (s == NULL || !is_digit(*s))
        return SUP_EINPUT;
    int64_t v = 0;
    for (; is_digit(*s); s++) {
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *s - '0', &v))
            return SUP_EINPUT;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(s, units[i].unit) != 0)
            continue;
        if (__builtin_mul_overflow(v, units[i].ms, &v))
            return SUP_EINPUT;
        *ms = v;
        return SUP_OK;
    }
    return SUP_EINPUT;
}
