#include "core/json_split.h"

#include <string.h>

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Offset behind the bracket that closes the one at p[0], or 0. */
static size_t balanced(const uint8_t *p, size_t n)
{
    size_t depth = 0;

    for (size_t i = 0; i < n; i++) {
        if (p[i] == '"') {
            for (i++; i < n && p[i] != '"'; i++)
                if (p[i] == '\\')
                    i++;
        } else if (p[i] == '{' || p[i] == '[') {
            depth++;
        } else if ((p[i] == '}' || p[i] == ']') && --depth == 0) {
            return i + 1;
        }
    }
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

bool sup_json_split(struct sup_slice *rest, struct sup_slice *document)
{
    while (rest->n > 0 && is_space(rest->p[0])) {
        rest->p++;
        rest->n--;
    }
    if (rest->n == 0)
        return false;
    size_t n;
    if (rest->p[0] == '{' || rest->p[0] == '[') {
        n = balanced(rest->p, rest->n);
        if (n == 0)
            n = next_document_line(rest->p, rest->n);
    } else {
        n = line_end(rest->p, rest->n);
    }
    *document = sup_slice_of(rest->p, n);
    rest->p += n;
    rest->n -= n;
    return true;
}
