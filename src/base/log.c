#include "base/log.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "base/utf8.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A line is never longer than a pipe takes in one piece, so that the lines of several processes on
 * the same pipe (journald, a container's log) cannot mix. */
#define LINE_MAX_ PIPE_BUF
/* One string value takes at most this much of it, so that the other fields have room. */
#define VALUE_MAX 1024
/* Kept free for what ends a line that had to be cut. */
#define TAIL_MAX 32

static atomic_int log_level = SUP_LOG_INFO;
static atomic_int log_format = SUP_LOG_TEXT;
static atomic_int log_fd = STDERR_FILENO;

static const char *const level_text[] = {"ERROR", "WARN", "INFO", "DEBUG"};
static const char *const level_json[] = {"error", "warn", "info", "debug"};

/* A line in the making. When something does not fit, nothing of it is written and full is set. */
struct line {
    size_t n;
    size_t limit;
    bool full;
    char p[LINE_MAX_];
};

void sup_log_configure(enum sup_log_level level, enum sup_log_format format, int fd)
{
    atomic_store(&log_level, (int)level);
    atomic_store(&log_format, (int)format);
    atomic_store(&log_fd, fd);
}

int sup_log_enabled(enum sup_log_level level)
{
    return (int)level <= atomic_load_explicit(&log_level, memory_order_relaxed);
}

static void put(struct line *l, const char *p, size_t n)
{
    if (l->full || n > l->limit - l->n) {
        l->full = true;
        return;
    }
    memcpy(l->p + l->n, p, n);
    l->n += n;
}

static void put_str(struct line *l, const char *s)
{
    put(l, s, strlen(s));
}

/* Characters that could break a line, move a terminal's cursor or make text show in another order
 * than it has: C0, DEL and C1 controls, line separators, bidirectional controls. */
static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029 || c == 0x200e ||
           c == 0x200f || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/* Writes one character with JSON's escapes, which serve for the text format too. */
static void put_char(struct line *l, uint32_t c, const uint8_t *utf8, size_t len, bool quoted)
{
    char escape[8];
    if (quoted && (c == '"' || c == '\\')) {
        escape[0] = '\\';
        escape[1] = (char)c;
        put(l, escape, 2);
    } else if (c == '\n' || c == '\r' || c == '\t') {
        escape[0] = '\\';
        escape[1] = c == '\n' ? 'n' : c == '\r' ? 'r' : 't';
        put(l, escape, 2);
    } else if (is_control(c)) {
        put(l, escape, (size_t)snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)c & 0xffff));
    } else {
        put(l, (const char *)utf8, len);
    }
}

/* Well-formed whatever s holds: a byte that is not UTF-8 becomes U+FFFD. A long value is cut and
 * ends in U+2026. */
static void put_escaped(struct line *l, const char *s, bool quoted)
{
    const uint8_t *p = (const uint8_t *)s;
    size_t left = strlen(s);
    size_t start = l->n;
    while (left > 0 && !l->full) {
        if (l->n - start >= VALUE_MAX) {
            put_str(l, "\xe2\x80\xa6");
            return;
        }
        uint32_t c;
        size_t len = sup_utf8_decode(p, left, &c);
        if (len == 0)
            put_str(l, "\xef\xbf\xbd");
        else
            put_char(l, c, p, len, quoted);
        p += len == 0 ? 1 : len;
        left -= len == 0 ? 1 : len;
    }
}

static void put_quoted(struct line *l, const char *s)
{
    put_str(l, "\"");
    put_escaped(l, s, true);
    put_str(l, "\"");
}

/* Can s stand in the text format without quotes, and still be told apart from what is around it? */
static bool is_bare(const char *s)
{
    const uint8_t *p = (const uint8_t *)s;
    size_t left = strlen(s);
    if (left == 0 || strcmp(s, "-") == 0)
        return false;
    while (left > 0) {
        uint32_t c;
        size_t len = sup_utf8_decode(p, left, &c);
        if (len == 0 || c == ' ' || c == '"' || c == '=' || c == '\\' || is_control(c))
            return false;
        p += len;
        left -= len;
    }
    return true;
}

/* JSON knows no NaN and no infinity; they are written as strings. A locale's decimal comma would
 * make two fields of one. */
static void put_double(struct line *l, double d, bool json)
{
    char text[40];
    (void)snprintf(text, sizeof(text), "%.9g", d);
    for (char *p = text; *p != '\0'; p++) {
        if (*p == ',')
            *p = '.';
    }
    if (json && !isfinite(d))
        put_quoted(l, text);
    else
        put_str(l, text);
}

static void put_value(struct line *l, const struct sup_field *f, bool json)
{
    char number[24];
    switch (f->type) {
    case SUP_FIELD_STR:
        if (f->v.s == NULL)
            put_str(l, json ? "null" : "-");
        else if (!json && is_bare(f->v.s))
            put_escaped(l, f->v.s, false);
        else
            put_quoted(l, f->v.s);
        break;
    case SUP_FIELD_INT:
        (void)snprintf(number, sizeof(number), "%lld", (long long)f->v.i);
        put_str(l, number);
        break;
    case SUP_FIELD_UINT:
        (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)f->v.u);
        put_str(l, number);
        break;
    case SUP_FIELD_DOUBLE:
        put_double(l, f->v.d, json);
        break;
    }
}

static void put_text_key(struct line *l, const char *key)
{
    for (const char *p = key; *p != '\0'; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                     (*p >= '0' && *p <= '9') || *p == '_' || *p == '-' || *p == '.';
        put(l, plain ? p : "_", 1);
    }
}

static void put_field(struct line *l, const struct sup_field *f, bool json)
{
    put_str(l, json ? "," : " ");
    if (json)
        put_quoted(l, f->key);
    else
        put_text_key(l, f->key);
    put_str(l, json ? ":" : "=");
    put_value(l, f, json);
}

static void put_head(struct line *l, enum sup_log_level level, const char *component,
                     const char *text, bool json)
{
    char ts[SUP_TIME_STR_MAX];
    put_str(l, json ? "{\"ts\":\"" : "");
    put_str(l, sup_time_format(sup_wall_ms(), ts));
    put_str(l, json ? "\",\"level\":\"" : " ");
    put_str(l, json ? level_json[level] : level_text[level]);
    if (json) {
        put_str(l, "\",\"component\":");
        put_quoted(l, component);
        put_str(l, ",\"msg\":");
        put_quoted(l, text);
    } else {
        put_str(l, " ");
        put_escaped(l, component, false);
        put_str(l, ": ");
        put_escaped(l, text, false);
    }
}

/* One write in all cases but a file system that takes less than it was given. A line that cannot be
 * written is counted and dropped: the agent does not wait for, or end with, the reader of its log.
 */
static void write_line(const struct line *l)
{
    int fd = atomic_load(&log_fd);
    size_t done = 0;
    while (done < l->n) {
        ssize_t w = write(fd, l->p + done, l->n - done);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0) {
            sup_metric_add(sup_metric("supsync_log_lines_lost_total", NULL, SUP_COUNTER,
                                      "Log lines that could not be written"),
                           1);
            return;
        }
        done += (size_t)w;
    }
}

void sup_log_write(enum sup_log_level level, const char *component, const char *text,
                   const struct sup_field *fields, int n_fields)
{
    int saved_errno = errno; /* a log line between a failure and its handling must not disturb it */
    bool json = atomic_load(&log_format) == SUP_LOG_JSON;
    struct line l;
    l.n = 0;
    l.full = false;
    l.limit = sizeof(l.p) - TAIL_MAX;

    put_head(&l, level, component, text, json);
    bool cut = false;
    for (int i = 0; i < n_fields; i++) {
        size_t before = l.n;
        put_field(&l, &fields[i], json);
        if (l.full) {
            l.n = before;
            l.full = false;
            cut = true;
        }
    }
    l.limit = sizeof(l.p);
    if (cut)
        put_str(&l, json ? ",\"cut\":true" : " cut=true");
    put_str(&l, json ? "}\n" : "\n");
    write_line(&l);
    errno = saved_errno;
}
