#include "json_reference.h"

#include "base/utf8.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct node {
    enum sup_json_type type;
    struct sup_slice text; /* STRING: unescaped */
    struct sup_slice key;
    double number;
    bool boolean;
    struct node *child; /* first member or element */
    struct node *next;
};

struct block {
    struct block *next;
    unsigned char bytes[];
};

struct sup_json_parser {
    struct block *memory;
    size_t max;
    const uint8_t *p;
    const uint8_t *end;
    int rc;
};

struct value {
    struct sup_json_value v;
    const struct node *node;
};

static void *get(struct sup_json_parser *j, size_t n)
{
    struct block *b = calloc(1, sizeof(*b) + n);
    if (b == NULL)
        abort();
    b->next = j->memory;
    j->memory = b;
    return b->bytes;
}

static void forget(struct sup_json_parser *j)
{
    while (j->memory != NULL) {
        struct block *b = j->memory;
        j->memory = b->next;
        free(b);
    }
}

static void *bad(struct sup_json_parser *j, int rc)
{
    if (j->rc == SUP_OK)
        j->rc = rc;
    return NULL;
}

static void space(struct sup_json_parser *j)
{
    while (j->p < j->end && (*j->p == ' ' || *j->p == '\t' || *j->p == '\n' || *j->p == '\r'))
        j->p++;
}

static bool accept(struct sup_json_parser *j, char c)
{
    if (j->p >= j->end || *j->p != (uint8_t)c)
        return false;
    j->p++;
    return true;
}

static int hex(struct sup_json_parser *j)
{
    int v = 0;

    if (j->end - j->p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        const char *digits = "0123456789abcdef0123456789ABCDEF", *d;
        uint8_t c = *j->p++;
        if (c == 0 || (d = strchr(digits, c)) == NULL)
            return -1;
        v = v * 16 + (int)(d - digits) % 16;
    }
    return v;
}

static size_t put_utf8(uint8_t *out, int cp)
{
    if (cp < 0x80) {
        out[0] = (uint8_t)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (uint8_t)(0xc0 | cp >> 6);
        out[1] = (uint8_t)(0x80 | (cp & 0x3f));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (uint8_t)(0xe0 | cp >> 12);
        out[1] = (uint8_t)(0x80 | (cp >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (cp & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | cp >> 18);
    out[1] = (uint8_t)(0x80 | (cp >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (cp >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (cp & 0x3f));
    return 4;
}

static bool escape(struct sup_json_parser *j, uint8_t *out, size_t *n)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";

    if (j->p >= j->end)
        return false;
    uint8_t c = *j->p++;
    const char *found = c == 0 ? NULL : strchr(names, c);
    if (found != NULL) {
        out[(*n)++] = (uint8_t)values[found - names];
        return true;
    }
    int cp = c == 'u' ? hex(j) : -1;
    if (cp >= 0xd800 && cp < 0xdc00) {
        int low = accept(j, '\\') && accept(j, 'u') ? hex(j) : -1;
        cp = low >= 0xdc00 && low < 0xe000 ? 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00) : -1;
    } else if (cp >= 0xdc00 && cp < 0xe000) {
        cp = -1;
    }
    if (cp < 0)
        return false;
    *n += put_utf8(out + *n, cp);
    return true;
}

/* Behind the opening quote. */
static bool string(struct sup_json_parser *j, struct sup_slice *out)
{
    const uint8_t *close = j->p;
    size_t n = 0;

    while (close < j->end && *close != '"')
        close += *close == '\\' ? 2 : 1;
    if (close >= j->end)
        return false;
    uint8_t *text = get(j, (size_t)(close - j->p) + 4);
    while (*j->p != '"') {
        if (*j->p < 0x20)
            return false;
        if (accept(j, '\\')) {
            if (!escape(j, text, &n))
                return false;
        } else {
            text[n++] = *j->p++;
        }
    }
    j->p++;
    *out = sup_slice_of(text, n);
    return true;
}

static bool number(struct sup_json_parser *j, struct node *node)
{
    const char *from = (const char *)j->p;
    char *text, *stop;
    size_t n;
    bool real = false;

    accept(j, '-');
    if (!accept(j, '0')) {
        if (j->p >= j->end || *j->p < '1' || *j->p > '9')
            return false;
        while (j->p < j->end && *j->p >= '0' && *j->p <= '9')
            j->p++;
    }
    for (int part = 0; part < 2; part++) {
        if (part == 0 && !accept(j, '.'))
            continue;
        if (part == 1) {
            if (!accept(j, 'e') && !accept(j, 'E'))
                continue;
            if (!accept(j, '+'))
                accept(j, '-');
        }
        real = true;
        const uint8_t *digits = j->p;
        while (j->p < j->end && *j->p >= '0' && *j->p <= '9')
            j->p++;
        if (j->p == digits)
            return false;
    }
    n = (size_t)((const char *)j->p - from);
    text = get(j, n + 1);
    memcpy(text, from, n);
    node->number = strtod(text, &stop);
    if (*stop != '\0' || !isfinite(node->number))
        return false;
    if (real)
        return true;
    node->number += 0.0; /* an integer has no negative zero */
    errno = 0;
    if (text[0] == '-')
        (void)strtoll(text, NULL, 10);
    else
        (void)strtoull(text, NULL, 10);
    return errno == 0;
}

static bool word(struct sup_json_parser *j, const char *w)
{
    for (; *w != '\0'; w++)
        if (!accept(j, *w))
            return false;
    return true;
}

static struct node *value(struct sup_json_parser *j, int depth);

static struct node *members(struct sup_json_parser *j, struct node *parent, int depth)
{
    const char close = parent->type == SUP_JSON_OBJECT ? '}' : ']';
    struct node **tail = &parent->child;

    space(j);
    if (accept(j, close))
        return parent;
    if (depth > SUP_JSON_DEPTH_MAX)
        return bad(j, SUP_ELIMIT);
    for (;;) {
        struct sup_slice key = {0};
        space(j);
        if (parent->type == SUP_JSON_OBJECT) {
            if (!accept(j, '"') || !string(j, &key))
                return bad(j, SUP_EINPUT);
            space(j);
            if (!accept(j, ':'))
                return bad(j, SUP_EINPUT);
        }
        struct node *child = value(j, depth);
        if (child == NULL)
            return NULL;
        child->key = key;
        *tail = child;
        tail = &child->next;
        space(j);
        if (accept(j, close))
            return parent;
        if (!accept(j, ','))
            return bad(j, SUP_EINPUT);
    }
}

static struct node *value(struct sup_json_parser *j, int depth)
{
    struct node *n = get(j, sizeof(*n));
    bool ok = false;

    space(j);
    if (j->p >= j->end)
        return bad(j, SUP_EINPUT);
    switch (*j->p) {
    case '{':
    case '[':
        n->type = *j->p++ == '{' ? SUP_JSON_OBJECT : SUP_JSON_ARRAY;
        return members(j, n, depth + 1);
    case '"':
        j->p++;
        n->type = SUP_JSON_STRING;
        ok = string(j, &n->text);
        break;
    case 't':
    case 'f':
        n->type = SUP_JSON_BOOL;
        n->boolean = *j->p == 't';
        ok = word(j, n->boolean ? "true" : "false");
        break;
    case 'n':
        n->type = SUP_JSON_NULL;
        ok = word(j, "null");
        break;
    default:
        n->type = SUP_JSON_NUMBER;
        ok = number(j, n);
    }
    return ok ? n : bad(j, SUP_EINPUT);
}

static struct sup_json_parser *new_parser(size_t max)
{
    struct sup_json_parser *j = calloc(1, sizeof(*j));
    if (j != NULL)
        j->max = max;
    return j;
}

static void free_parser(struct sup_json_parser *j)
{
    forget(j);
    free(j);
}

static int hand_out(struct sup_json_sink sink, const struct node *n)
{
    struct value v = {.v = {.type = n->type, .ops = &json_reference}, .node = n};
    return sink.take(sink.ctx, n->key, &v.v);
}

static int walk(struct sup_json_parser *j, struct sup_slice text, struct sup_json_sink root,
                struct sup_err *err)
{
    forget(j);
    j->rc = SUP_OK;
    if (text.n > j->max)
        return sup_err_set(err, SUP_ELIMIT, "too long");
    if (!sup_utf8_valid(text.p, text.n))
        return sup_err_set(err, SUP_EINPUT, "not UTF-8");
    uint8_t *copy = get(j, text.n + 1); /* exact, so that the sanitizer sees an overrun */
    if (text.n > 0)
        memcpy(copy, text.p, text.n);
    j->p = copy;
    j->end = copy + text.n;
    struct node *n = value(j, 0);
    space(j);
    if (n != NULL && (j->p != j->end || (n->type != SUP_JSON_OBJECT && n->type != SUP_JSON_ARRAY)))
        j->rc = SUP_EINPUT;
    if (j->rc != SUP_OK)
        return sup_err_set(err, j->rc, "malformed");
    return hand_out(root, n);
}

static const struct node *node_of(const struct sup_json_value *v)
{
    return ((const struct value *)v)->node;
}

static struct sup_slice get_string(struct sup_json_value *v)
{
    return node_of(v)->text;
}

static double get_number(struct sup_json_value *v)
{
    return node_of(v)->number;
}

static bool get_boolean(struct sup_json_value *v)
{
    return node_of(v)->boolean;
}

static int each(struct sup_json_value *v, struct sup_json_sink sink)
{
    int rc = SUP_OK;

    for (const struct node *n = node_of(v)->child; n != NULL && rc == SUP_OK; n = n->next)
        rc = hand_out(sink, n);
    return rc;
}

const struct sup_json_ops json_reference = {
    .new_parser = new_parser,
    .free_parser = free_parser,
    .walk = walk,
    .string = get_string,
    .number = get_number,
    .boolean = get_boolean,
    .each = each,
};
