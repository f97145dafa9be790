#include "clock.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t read_ms(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t sim_mono_ms(void)
{
    return read_ms(CLOCK_MONOTONIC);
}

int64_t sim_wall_ms(void)
{
    return read_ms(CLOCK_REALTIME);
}

static struct tm split(int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm = {0};
    gmtime_r(&seconds, &tm);
    return tm;
}

void sim_time_iso(char out[SIM_TIME_LEN], int64_t wall_ms)
{
    struct tm tm = split(wall_ms);
    size_t n = strftime(out, SIM_TIME_LEN, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, SIM_TIME_LEN - n, ".%03uZ", (unsigned)(wall_ms % 1000) % 1000);
}

void sim_time_basic(char out[SIM_TIME_LEN], int64_t wall_ms)
{
    struct tm tm = split(wall_ms);
    strftime(out, SIM_TIME_LEN, "%Y%m%dT%H%M%SZ", &tm);
}

void sim_time_http(char out[SIM_TIME_LEN], int64_t wall_ms)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm tm = split(wall_ms);
    snprintf(out, SIM_TIME_LEN, "%s, %02u %s %04u %02u:%02u:%02u GMT", days[tm.tm_wday % 7],
             (unsigned)tm.tm_mday % 100, months[tm.tm_mon % 12],
             (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
             (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}

bool sim_time_parse_basic(const char *s, int64_t *wall_ms)
{
    struct tm tm = {0};
    const char *end = strptime(s, "%Y%m%dT%H%M%SZ", &tm);
    if (!end || *end || strlen(s) != 16)
        return false;
    *wall_ms = (int64_t)timegm(&tm) * 1000;
    return true;
}

static bool parse_epoch(const char *s, int64_t *wall_ms)
{
    if (!*s || strspn(s, "0123456789.eE+") != strlen(s))
        return false;
    char *end = NULL;
    double seconds = strtod(s, &end);
    if (*end || !(seconds >= 0 && seconds < 1e11))
        return false;
    *wall_ms = llround(seconds * 1000);
    return true;
}

/* +HH:MM or -HH:MM */
static bool parse_offset(const char *s, int64_t *offset_ms)
{
    struct tm tm = {0};
    const char *end = *s == '+' || *s == '-' ? strptime(s + 1, "%H:%M", &tm) : NULL;
    if (!end || *end)
        return false;
    int64_t ms = ((int64_t)tm.tm_hour * 60 + tm.tm_min) * 60000;
    *offset_ms = *s == '+' ? ms : -ms;
    return true;
}

bool sim_time_parse(const char *s, int64_t *wall_ms)
{
    struct tm tm = {0};
    const char *p = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!p)
        return parse_epoch(s, wall_ms);
    int64_t ms = (int64_t)timegm(&tm) * 1000;
    if (*p == '.') {
        int64_t scale = 100;
        for (p++; *p >= '0' && *p <= '9'; p++, scale /= 10)
            ms += (*p - '0') * scale;
    }
    int64_t offset = 0;
    if (*p && strcmp(p, "Z") != 0 && !parse_offset(p, &offset))
        return false;
    *wall_ms = ms - offset;
    return true;
}

static _Atomic uint64_t random_state;

void sim_random_seed(uint64_t seed)
{
    atomic_store(&random_state, seed);
}

/* SplitMix64 (Steele, Lea, Flood 2014): its state is a counter, so one atomic add is the lock. */
uint64_t sim_random(void)
{
    uint64_t z = atomic_fetch_add(&random_state, 0x9e3779b97f4a7c15u) + 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void sim_uuid(char out[SIM_UUID_LEN])
{
    uint64_t a = sim_random(), b = sim_random();
    snprintf(out, SIM_UUID_LEN, "%08x-%04x-%04x-%04x-%012llx", (unsigned)(a >> 32),
             (unsigned)(a >> 16 & 0xffff), (unsigned)(a & 0xfff) | 0x4000,
             (unsigned)(b >> 48 & 0x3fff) | 0x8000, (unsigned long long)(b & 0xffffffffffff));
}
