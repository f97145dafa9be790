#include "core/json_locate.h"

#include "base/utf8.h"
#include "core/json.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct scan {
    const uint8_t *p;
    size_t n;
    size_t at;
    const char *what; /* the first thing that is wrong */
};

static const char *const too_short = "document ends too early";

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* The byte under the cursor; 0 at the end (NUL is legal nowhere outside, nor raw inside, strings).
 */
static uint8_t peek(const struct scan *s)
{
    return s->at < s->n ? s->p[s->at] : 0;
}

static bool fail(struct scan *s, const char *what)
{
    s->what = s->at < s->n ? what : too_short;
    return false;
}

static void skip_space(struct scan *s)
{
    while (s->at < s->n && is_space(s->p[s->at]))
        s->at++;
}

static bool hex4(struct scan *s, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++, s->at++) {
        uint8_t c = peek(s), l = (uint8_t)(c | 0x20);
        if (!is_digit(c) && !(l >= 'a' && l <= 'f'))
            return fail(s, "malformed \\u escape");
        *out = *out << 4 | (uint32_t)(is_digit(c) ? c - '0' : l - 'a' + 10);
    }
    return true;
}

/* Behind "\u". */
static bool unicode_escape(struct scan *s)
{
    uint32_t unit;

    if (!hex4(s, &unit))
        return false;
    if (unit < 0xd800 || unit > 0xdfff)
        return true;
    if (unit >= 0xdc00 || peek(s) != '\\')
        return fail(s, "unpaired surrogate");
    s->at++;
    if (peek(s) != 'u')
        return fail(s, "unpaired surrogate");
    s->at++;
    if (!hex4(s, &unit))
        return false;
    return unit >= 0xdc00 && unit <= 0xdfff ? true : fail(s, "unpaired surrogate");
}

static bool escape(struct scan *s)
{
    uint8_t c = peek(s);

    if (c == 0 || strchr("\"\\/bfnrtu", c) == NULL)
        return fail(s, "unknown escape");
    s->at++;
    return c == 'u' ? unicode_escape(s) : true;
}

static bool string(struct scan *s)
{
    s->at++;
    while (s->at < s->n && s->p[s->at] != '"') {
        uint8_t c = s->p[s->at];
        if (c < 0x20)
            return fail(s, "control character in a string");
        if (c == '\\') {
            s->at++;
            if (!escape(s))
                return false;
            continue;
        }
        size_t len = c < 0x80 ? 1 : sup_utf8_decode(s->p + s->at, s->n - s->at, NULL);
        if (len == 0)
            return fail(s, "invalid UTF-8");
        s->at += len;
    }
    if (s->at == s->n)
        return fail(s, too_short);
    s->at++;
    return true;
}

static bool digits(struct scan *s)
{
    if (!is_digit(peek(s)))
        return fail(s, "malformed number");
    while (is_digit(peek(s)))
        s->at++;
    return true;
}

static bool fits(const char *text, bool real)
{
    errno = 0;
    if (real)
        return isfinite(strtod(text, NULL));
    if (text[0] == '-')
        (void)strtoll(text, NULL, 10);
    else
        (void)strtoull(text, NULL, 10);
    return errno == 0;
}

static bool in_range(struct scan *s, size_t from, bool real)
{
    size_t n = s->at - from;
    char *text = malloc(n + 1);

    if (text == NULL)
        return true; /* only the wording suffers */
    memcpy(text, s->p + from, n);
    text[n] = '\0';
    bool ok = fits(text, real);
    free(text);
    if (!ok) {
        s->at = from;
        return fail(s, "number out of range");
    }
    return true;
}

static bool number(struct scan *s)
{
    size_t from = s->at;
    bool real = false;

    if (peek(s) == '-')
        s->at++;
    if (peek(s) == '0')
        s->at++;
    else if (!digits(s))
        return false;
    if (peek(s) == '.') {
        real = true;
        s->at++;
        if (!digits(s))
            return false;
    }
    if ((peek(s) | 0x20) == 'e') {
        real = true;
        s->at++;
        if (peek(s) == '+' || peek(s) == '-')
            s->at++;
        if (!digits(s))
            return false;
    }
    return in_range(s, from, real);
}

static bool word(struct scan *s, const char *w)
{
    for (; *w != '\0'; w++, s->at++)
        if (peek(s) != (uint8_t)*w)
            return fail(s, "unknown word");
    return true;
}

static bool scalar(struct scan *s)
{
    switch (peek(s)) {
    case '"':
        return string(s);
    case 't':
        return word(s, "true");
    case 'f':
        return word(s, "false");
    case 'n':
        return word(s, "null");
    default:
        return peek(s) == '-' || is_digit(peek(s)) ? number(s) : fail(s, "expected a value");
    }
}

/* The key and colon in front of a member. */
static bool key(struct scan *s)
{
    skip_space(s);
    if (peek(s) != '"')
        return fail(s, "expected a key");
    if (!string(s))
        return false;
    skip_space(s);
    if (peek(s) != ':')
        return fail(s, "expected ':'");
    s->at++;
    return true;
}

/* Behind a value: closes what ends here and steps over one comma. *depth 0: the document is over.
 */
static bool after_value(struct scan *s, const char *closers, size_t *depth)
{
    while (*depth > 0) {
        skip_space(s);
        uint8_t c = peek(s);
        if (c == ',') {
            s->at++;
            return closers[*depth - 1] == '}' ? key(s) : true;
        }
        if (c != (uint8_t)closers[*depth - 1])
            return fail(s,
                        closers[*depth - 1] == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
        s->at++;
        (*depth)--;
    }
    return true;
}

/* At a bracket. *inside: something stands in it; the cursor is at its first value. */
static bool enter(struct scan *s, char *closers, size_t *depth, bool *inside)
{
    char close = peek(s) == '{' ? '}' : ']';

    s->at++;
    skip_space(s);
    *inside = peek(s) != (uint8_t)close;
    if (!*inside) {
        s->at++;
        return true;
    }
    if (*depth == SUP_JSON_DEPTH_MAX)
        return fail(s, "nested too deep");
    closers[(*depth)++] = close;
    return close == '}' ? key(s) : true;
}

static bool document(struct scan *s)
{
    char closers[SUP_JSON_DEPTH_MAX];
    size_t depth = 0;
    bool inside;

    do {
        skip_space(s);
        inside = false;
        if (peek(s) == '{' || peek(s) == '[') {
            if (!enter(s, closers, &depth, &inside))
                return false;
        } else if (depth == 0) {
            return fail(s, "not a JSON object or array");
        } else if (!scalar(s)) {
            return false;
        }
        if (!inside && !after_value(s, closers, &depth))
            return false;
    } while (inside || depth > 0);
    return true;
}

const char *sup_json_locate(struct sup_slice text, size_t *at)
{
    struct scan s = {.p = text.p, .n = text.n};

    if (document(&s)) {
        skip_space(&s);
        if (s.at < s.n)
            s.what = "something behind the end of the document";
    }
    *at = s.at;
    return s.what;
}
