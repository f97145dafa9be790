#include "core/json_split.h"

#include <string.h>

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Where a string that is open at p[i] ends: behind its quote, or n. */
static size_t pass_string(struct sup_json_cut *c, const uint8_t *p, size_t n, size_t i)
{
    for (; i < n; i++) {
        if (c->escaped) {
            c->escaped = false;
        } else if (p[i] == '\\') {
            c->escaped = true;
        } else if (p[i] == '"') {
            c->in_string = false;
            return i + 1;
        }
    }
    return n;
}

/* Offset behind the bracket that closes the one at p[0], or 0. Goes on where it stopped. */
static size_t balanced(struct sup_json_cut *c, const uint8_t *p, size_t n)
{
    size_t i = c->scanned;

    while (i < n) {
        if (c->in_string) {
            i = pass_string(c, p, n, i);
            continue;
        }
        uint8_t b = p[i++];
        if (b == '"')
            c->in_string = true;
        else if (b == '{' || b == '[')
            c->depth++;
        else if ((b == '}' || b == ']') && --c->depth == 0)
            return i;
    }
    c->scanned = n;
    return 0;
}

static size_t line_end(const uint8_t *p, size_t n)
{
    const uint8_t *nl = memchr(p, '\n', n);
    return nl == NULL ? n : (size_t)(nl - p) + 1;
}

static size_t next_document_line(const uint8_t *p, size_t n)
{
    size_t i = line_end(p, n);

    while (i < n && p[i] != '{')
        i += line_end(p + i, n - i);
    return i;
}

/* Length of what begins without a bracket, or 0 when its line does not end yet. */
static size_t plain_line(struct sup_json_cut *c, const uint8_t *p, size_t n)
{
    size_t end = c->scanned + line_end(p + c->scanned, n - c->scanned);

    c->scanned = n;
    return p[end - 1] == '\n' ? end : 0;
}

enum sup_json_cut_result sup_json_cut(struct sup_json_cut *c, struct sup_slice text, bool last,
                                      struct sup_slice *document)
{
    size_t n;

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
    n = bracket ? balanced(c, text.p, text.n) : plain_line(c, text.p, text.n);
    if (n == 0 && !last)
        return SUP_JSON_CUT_MORE;
    if (n == 0)
        n = bracket ? next_document_line(text.p, text.n) : text.n;
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
