#ifndef SUP_BASE_CLOCK_H
#define SUP_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Wall time is milliseconds since 1970-01-01 UTC (CLOCK_REALTIME) and is used for decisions only.
 * Deadlines are monotonic, always: a stepped wall clock must not fire or stretch them. Everything
 * here may be called from any thread. */
int64_t sup_wall_ms(void);
int64_t sup_mono_ms(void);
int64_t sup_mono_ns(void);

/* CLOCK_MONOTONIC time, delay_ms from now (0 to 100 years; others are moved there), for
 * pthread_cond_timedwait on a condition of sup_cond_init. */
struct timespec sup_mono_deadline(int64_t delay_ms);

#define SUP_TIME_STR_MAX 32

/* "2026-11-24T06:15:36.123Z"; out holds SUP_TIME_STR_MAX bytes. Returns out. Times outside the
 * years 0 to 9999 are written as the nearest such time. */
char *sup_time_format(int64_t wall_ms, char out[SUP_TIME_STR_MAX]);

/* Lenient RFC 3339 / ISO 8601: fraction of any length (cut to ms), "Z", "+00:00", "+0000", a space
 * before the offset ("2018-10-08T14:05:45 +0000" stands in one SES sample), "T" or a space between
 * date and time, no offset = UTC, no time = midnight, no seconds = 0, leap second = the next one,
 * spaces around. Also plain digits: epoch seconds with an optional fraction and decimal exponent.
 * Years are 0 to 9999. s need not end in a NUL; *wall_ms is left alone on failure. Pure.
 * Returns SUP_OK or SUP_EINPUT. */
int sup_time_parse(const char *s, size_t n, int64_t *wall_ms);

/* "90s", "10m", "6h", "14d", "250ms" or plain seconds → milliseconds. SUP_OK, or SUP_EINPUT
 * (NULL and sums past int64_t too), in which case *ms is left alone. Pure. */
int sup_duration_parse(const char *s, int64_t *ms);

#endif
