/* Single values: from text to their place with range checks, and back to YAML. */
#include "agent/config_internal.h"
#include "base/clock.h"
#include "base/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX 2048

/* The longest unit that divides ms: what one would have written. */
static void print_duration(int64_t ms, struct sup_buf *out)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    size_t i = 0;
    if (ms == 0)
        i = 3;
    else
        while (ms % units[i].ms != 0)
            i++;
    sup_buf_addf(out, "%" PRId64 "%s", ms / units[i].ms, units[i].unit);
}

static void describe_range(const struct sup_key *key, struct sup_buf *out)
{
    if (key->type == SUP_KEY_DURATION) {
        sup_buf_add_str(out, "a duration from ");
        print_duration((int64_t)key->min, out);
        sup_buf_add_str(out, " to ");
        print_duration((int64_t)key->max, out);
        sup_buf_add_str(out, ", such as 90s, 10m or 6h");
    } else {
        sup_buf_addf(out, "a %s from %.10g to %.10g",
                     key->type == SUP_KEY_NUMBER ? "number" : "whole number", key->min, key->max);
    }
}

/* What may stand there, in words, for the end of an error. */
static void describe(const struct sup_key *key, struct sup_buf *out)
{
    if (key->what != NULL) {
        sup_buf_add_str(out, key->what);
    } else if (key->type == SUP_KEY_ENUM) {
        for (size_t i = 0; key->names[i] != NULL; i++) {
            const char *sep = i == 0 ? "" : key->names[i + 1] == NULL ? " or " : ", ";
            sup_buf_addf(out, "%s%s", sep, key->names[i]);
        }
    } else if (key->type == SUP_KEY_BOOL) {
        sup_buf_add_str(out, "true or false");
    } else if (key->type == SUP_KEY_STRING || key->type == SUP_KEY_FILE ||
               key->type == SUP_KEY_PATH) {
        sup_buf_addf(out, "up to %d printable characters", VALUE_MAX);
    } else {
        describe_range(key, out);
    }
}

/* A user or password in a URL must not reach a log through an error text. */
static void quotable(const char *text, char *out, size_t cap)
{
    const char *scheme = strstr(text, "://");
    if (scheme != NULL && strchr(scheme, '@') != NULL) {
        snprintf(out, cap, "URL with a user name");
        return;
    }
    size_t i = 0;
    for (; text[i] != '\0' && i + 1 < cap; i++)
        out[i] = text[i] > 0 && text[i] < ' ' ? '?' : text[i];
    out[i] = '\0';
}

static int not_allowed(struct sup_reading *r, const struct sup_key *key, const char *text,
                       size_t line)
{
    char quoted[96];
    struct sup_buf what;
    sup_buf_init(&what, 400);
    quotable(text, quoted, sizeof(quoted));
    describe(key, &what);
    int rc = sup_config_refuse(r, line, key->path, "\"%s\" is not allowed: use %s", quoted,
                               sup_buf_str(&what));
    sup_buf_fini(&what);
    return rc;
}

/* Strict decimal; no sign, no hexadecimal, no infinity. */
static bool parse_number(const struct sup_key *key, const char *text, double *out)
{
    size_t n = strlen(text);
    bool whole = key->type != SUP_KEY_NUMBER;
    if (n == 0 || n > 20 || strspn(text, whole ? "0123456789" : "0123456789.") != n)
        return false;
    char *end;
    errno = 0;
    *out = strtod(text, &end);
    return *end == '\0' && errno == 0 && *out >= key->min && *out <= key->max;
}

static bool set_number(const struct sup_key *key, void *at, const char *text)
{
    double d;
    if (!parse_number(key, text, &d))
        return false;
    if (key->type == SUP_KEY_NUMBER) {
        memcpy(at, &d, sizeof(d));
    } else if (key->type == SUP_KEY_UINT) {
        unsigned u = (unsigned)d;
        memcpy(at, &u, sizeof(u));
    } else {
        uint64_t u = (uint64_t)d * (key->type == SUP_KEY_MIB ? 1024 * 1024 : 1);
        memcpy(at, &u, sizeof(u));
    }
    return true;
}

static bool set_duration(const struct sup_key *key, void *at, const char *text)
{
    int64_t ms;
    if (sup_duration_parse(text, &ms) != SUP_OK || (double)ms < key->min || (double)ms > key->max)
        return false;
    memcpy(at, &ms, sizeof(ms));
    return true;
}

static bool set_enum(const struct sup_key *key, void *at, const char *text)
{
    for (unsigned i = 0; key->names[i] != NULL; i++) {
        if (strcmp(key->names[i], text) == 0) {
            memcpy(at, &i, sizeof(i));
            return true;
        }
    }
    return false;
}

static bool set_bool(void *at, const char *text)
{
    bool b = strcmp(text, "true") == 0;
    if (!b && strcmp(text, "false") != 0)
        return false;
    memcpy(at, &b, sizeof(b));
    return true;
}

static bool is_text(const char *s)
{
    size_t n = strlen(s);
    if (n > VALUE_MAX || !sup_utf8_valid(s, n))
        return false;
    for (; *s != '\0'; s++) {
        if ((unsigned char)*s < ' ' || *s == 0x7f)
            return false;
    }
    return true;
}

/* A file name as the agent will open it: relative ones start at the configuration file. */
static char *resolve(struct sup_reading *r, const char *name)
{
    const char *slash = strrchr(r->path, '/');
    size_t dir =
        name[0] == '/' || slash == NULL || *name == '\0' ? 0 : (size_t)(slash - r->path) + 1;
    size_t n = strlen(name);
    char *s = sup_config_alloc(r->out, dir + n + 1);
    if (s != NULL) {
        memcpy(s, r->path, dir);
        memcpy(s + dir, name, n);
    }
    return s;
}

static int set_string(struct sup_reading *r, const struct sup_key *key, void *at, const char *text,
                      size_t line)
{
    bool is_default = key->def != NULL && strcmp(key->def, text) == 0;
    bool required = key->def == NULL || *key->def != '\0';
    if (!is_text(text) || (required && *text == '\0') ||
        (!is_default && key->check != NULL && !key->check(text)))
        return not_allowed(r, key, text, line);
    bool is_path = key->type == SUP_KEY_FILE || key->type == SUP_KEY_PATH;
    char *s;
    if (is_path) {
        s = resolve(r, text);
    } else {
        s = sup_config_alloc(r->out, strlen(text) + 1);
        if (s != NULL)
            memcpy(s, text, strlen(text));
    }
    if (s == NULL)
        return sup_err_set(r->err, SUP_ENOMEM, "out of memory");
    if (key->type == SUP_KEY_FILE && *s != '\0') {
        FILE *f = fopen(s, "re");
        if (f == NULL)
            return sup_config_refuse(r, line, key->path,
                                     "\"%.200s\" cannot be read: %s: make the file or correct "
                                     "its name",
                                     s, strerror(errno));
        fclose(f);
    }
    memcpy(at, &s, sizeof(s));
    return SUP_OK;
}

int sup_config_set(struct sup_reading *r, const struct sup_key *key, void *base, const char *text,
                   size_t line)
{
    void *at = (char *)base + key->offset;
    bool ok;
    switch (key->type) {
    case SUP_KEY_UINT:
    case SUP_KEY_UINT64:
    case SUP_KEY_MIB:
    case SUP_KEY_NUMBER:
        ok = set_number(key, at, text);
        break;
    case SUP_KEY_BOOL:
        ok = set_bool(at, text);
        break;
    case SUP_KEY_DURATION:
        ok = set_duration(key, at, text);
        break;
    case SUP_KEY_ENUM:
        ok = set_enum(key, at, text);
        break;
    default:
        return set_string(r, key, at, text, line);
    }
    return ok ? SUP_OK : not_allowed(r, key, text, line);
}

/* Double-quoted YAML; what is not printable ASCII or UTF-8 cannot be in it. */
static void print_string(const char *s, struct sup_buf *out)
{
    sup_buf_add_byte(out, '"');
    for (; *s != '\0'; s++) {
        if (*s == '"' || *s == '\\')
            sup_buf_add_byte(out, '\\');
        sup_buf_add_byte(out, (uint8_t)*s);
    }
    sup_buf_add_byte(out, '"');
}

void sup_config_print_value(const struct sup_key *key, const void *base, struct sup_buf *out)
{
    union {
        const char *s;
        unsigned u;
        uint64_t u64;
        int64_t i64;
        double d;
        bool b;
    } v;
    static const size_t sizes[] = {
        [SUP_KEY_STRING] = sizeof(v.s),     [SUP_KEY_FILE] = sizeof(v.s),
        [SUP_KEY_PATH] = sizeof(v.s),       [SUP_KEY_UINT] = sizeof(v.u),
        [SUP_KEY_UINT64] = sizeof(v.u64),   [SUP_KEY_MIB] = sizeof(v.u64),
        [SUP_KEY_NUMBER] = sizeof(v.d),     [SUP_KEY_BOOL] = sizeof(v.b),
        [SUP_KEY_DURATION] = sizeof(v.i64), [SUP_KEY_ENUM] = sizeof(v.u),
    };
    memcpy(&v, (const char *)base + key->offset, sizes[key->type]);
    if (key->type == SUP_KEY_UINT)
        sup_buf_addf(out, "%u", v.u);
    else if (key->type == SUP_KEY_ENUM)
        sup_buf_add_str(out, key->names[v.u]);
    else if (key->type == SUP_KEY_NUMBER)
        sup_buf_addf(out, "%.10g", v.d);
    else if (key->type == SUP_KEY_BOOL)
        sup_buf_add_str(out, v.b ? "true" : "false");
    else if (key->type == SUP_KEY_DURATION)
        print_duration(v.i64, out);
    else if (key->type == SUP_KEY_UINT64 || key->type == SUP_KEY_MIB)
        sup_buf_addf(out, "%" PRIu64, key->type == SUP_KEY_MIB ? v.u64 / (1024 * 1024) : v.u64);
    else
        print_string(v.s, out);
}
