#include "core/json_split.h"

#include "base/array.h"

#include <string.h>

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* --- where another document may begin --- */

/* What documents of events and their envelopes begin with. The same within a string has escaped
 * quotes, so what is found is an object, be it one inside of another. */
static const char *const first_names[] = {"eventType", "notificationType", "Type",
                                          "version",   "Records",          "records"};

#define SPACE_MAX   8  /* between the brace and the name */
#define NAME_WITHIN 32 /* bytes from the brace on, the quotes among them */

enum answer { NO, YES, UNKNOWN };

/* Is name in quotes at p? UNKNOWN: p ends too early to tell. */
static enum answer is_quoted(const uint8_t *p, size_t n, const char *name)
{
    size_t len = strlen(name);
    size_t have = n < len + 2 ? n : len + 2;

    for (size_t i = 0; i < have; i++)
        if (p[i] != (uint8_t)(i == 0 || i == len + 1 ? '"' : name[i - 1]))
            return NO;
    return have == len + 2 ? YES : UNKNOWN;
}

/* p[0] is a brace. */
static enum answer begins_event(const uint8_t *p, size_t n)
{
    enum answer best = NO;
    size_t i = 1;

    while (i < n && i <= SPACE_MAX && is_space(p[i]))
        i++;
    if (i == n)
        return UNKNOWN;
    for (size_t k = 0; k < SUP_COUNT(first_names) && best != YES; k++) {
        enum answer a = is_quoted(p + i, n - i, first_names[k]);
        best = a == NO ? best : a;
    }
    return best;
}

bool sup_json_next_start(struct sup_slice text, size_t from, bool last, size_t *at)
{
    const uint8_t *p = text.p;

    for (*at = from; *at < text.n; ++*at) {
        const uint8_t *brace = memchr(p + *at, '{', text.n - *at);
        if (brace == NULL) {
            *at = text.n;
            return false;
        }
        *at = (size_t)(brace - p);
        enum answer a = *at > 0 && p[*at - 1] == '\n' ? YES : begins_event(brace, text.n - *at);
        if (a == YES || (a == UNKNOWN && !last))
            return a == YES;
    }
    return false;
}

/* --- cutting --- */

/* Where a string that is open at p[i] ends: behind its quote, or n. Control characters are never
 * within one (RFC 8259 section 7): the end of a line is where a string that was cut off shows. */
static size_t pass_string(struct sup_json_cut *c, const uint8_t *p, size_t n, size_t i)
{
    for (; i < n; i++) {
        if (p[i] < 0x20) {
            c->damaged = true;
            return i;
        }
        if (c->escaped) {
            c->escaped = false;
        } else if (p[i] == '\\') {
            c->escaped = true;
        } else if (p[i] == '"') {
            c->in_string = false;
            c->behind_string = true;
            return i + 1;
        }
    }
    return n;
}

/* Behind a string nothing else stands: where quotes were lost, texts show up outside of strings. */
static bool may_follow_string(uint8_t b)
{
    return b == ',' || b == ':' || b == '}' || b == ']';
}

/* Offset behind the bracket that closes the one at p[0], or 0. Goes on where it stopped. */
static size_t balanced(struct sup_json_cut *c, const uint8_t *p, size_t n)
{
    size_t i = c->scanned;

    while (i < n && !c->damaged) {
        if (c->in_string) {
            i = pass_string(c, p, n, i);
            continue;
        }
        uint8_t b = p[i++];
        if (c->behind_string && !is_space(b)) {
            c->behind_string = false;
            c->damaged = !may_follow_string(b);
        }
        if (b == '"')
            c->in_string = true;
        else if (b == '{' || b == '[')
            c->depth++;
        else if ((b == '}' || b == ']') && --c->depth == 0)
            return i;
    }
    c->scanned = n;
    if (c->damaged)
        c->scanned = 1; /* from here on it is another start that is looked for */
    return 0;
}

/* Length of what begins with a bracket, or 0 when that cannot be told yet. */
static size_t bracketed(struct sup_json_cut *c, struct sup_slice text, bool last)
{
    size_t n = c->damaged ? 0 : balanced(c, text.p, text.n);

    if (n > 0 || (!last && !c->damaged))
        return n;
    if (sup_json_next_start(text, c->damaged ? c->scanned : 1, last, &c->scanned))
        return c->scanned;
    return last ? text.n : 0;
}

/* The same of what begins without a bracket: to the end of the line, or to an event in it. */
static size_t plain(struct sup_json_cut *c, struct sup_slice text, bool last)
{
    const uint8_t *nl = memchr(text.p + c->scanned, '\n', text.n - c->scanned);
    size_t line = nl != NULL ? (size_t)(nl - text.p) + 1 : text.n, at;
    /* Of what is behind the line only so much as says what a brace at its end is. */
    struct sup_slice near = {text.p, text.n - line < NAME_WITHIN ? text.n : line + NAME_WITHIN};
    bool found = sup_json_next_start(near, c->scanned, last || near.n < text.n, &at);

    if (at < line) {
        c->scanned = at;
        return found ? at : 0;
    }
    if (nl != NULL || last)
        return line;
    c->scanned = line;
    return 0;
}

enum sup_json_cut_result sup_json_cut(struct sup_json_cut *c, struct sup_slice text, bool last,
                                      struct sup_slice *document)
{
    while (text.n > 0 && is_space(text.p[0])) {
        text.p++;
        text.n--;
    }
    *document = sup_slice_of(text.p, 0);
    if (text.n == 0) {
        *c = (struct sup_json_cut){0};
        return SUP_JSON_CUT_END;
    }
    bool bracket = text.p[0] == '{' || text.p[0] == '[';
    size_t n = bracket ? bracketed(c, text, last) : plain(c, text, last);
    if (n == 0)
        return SUP_JSON_CUT_MORE;
    *c = (struct sup_json_cut){0};
    document->n = n;
    return SUP_JSON_CUT_FOUND;
}

bool sup_json_split(struct sup_slice *rest, struct sup_slice *document)
{
    struct sup_json_cut c = {0};

    if (rest->n == 0)
        return false;
    const uint8_t *end = rest->p + rest->n;
    if (sup_json_cut(&c, *rest, true, document) == SUP_JSON_CUT_END) {
        *rest = sup_slice_of(end, 0);
        return false;
    }
    rest->p = document->p + document->n;
    rest->n = (size_t)(end - rest->p);
    return true;
}
