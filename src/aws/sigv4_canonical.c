#include "aws/sigv4_canonical.h"

#include "base/array.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CANONICAL_MAX (1u << 20)

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Value of the %XX at s[i], or -1. */
static int escape_at(struct sup_slice s, size_t i)
{
    if (s.p[i] != '%' || s.n - i < 3)
        return -1;
    int hi = hex_value(s.p[i + 1]);
    int lo = hex_value(s.p[i + 2]);
    return hi < 0 || lo < 0 ? -1 : hi * 16 + lo;
}

/* ---- path ---- */

/* RFC 3986 5.2.4 as the SDKs do it: "." and empty segments go, ".." takes its parent with it, a
 * trailing slash stays. */
static void normalize_path(struct sup_buf *out, struct sup_slice path)
{
    size_t i = 0;
    bool slash_end = false;

    while (i < path.n) {
        size_t end = i;
        while (end < path.n && path.p[end] != '/')
            end++;
        struct sup_slice seg = sup_slice_of(path.p + i, end - i);
        slash_end = end < path.n;
        if (sup_slice_eq(seg, SUP_SLICE_LIT(".."))) {
            while (out->n > 0 && out->p[--out->n] != '/')
                continue;
            slash_end = true;
        } else if (sup_slice_eq(seg, SUP_SLICE_LIT("."))) {
            slash_end = true;
        } else if (seg.n > 0) {
            sup_buf_add_byte(out, '/');
            sup_buf_add_slice(out, seg);
        }
        i = end + 1;
    }
    if (out->n == 0 || slash_end)
        sup_buf_add_byte(out, '/');
}

/* Once-encoded stays as it is; only what never should be raw on the wire is encoded. */
static void encode_once(struct sup_buf *out, struct sup_slice path)
{
    for (size_t i = 0; i < path.n; i++) {
        int v = escape_at(path, i);
        if (v >= 0) {
            sup_buf_addf(out, "%%%02X", (unsigned)v);
            i += 2;
        } else {
            sup_uri_encode(out, sup_slice_of(path.p + i, 1), 1);
        }
    }
}

void sup_canonical_path(struct sup_buf *out, const char *path, unsigned flags)
{
    struct sup_slice p = sup_slice_str(path);
    struct sup_buf normal;

    if (p.n == 0)
        p = SUP_SLICE_LIT("/");
    sup_buf_init(&normal, CANONICAL_MAX);
    if (flags & SUP_SIGV4_NORMALIZE) {
        normalize_path(&normal, p);
        p = sup_buf_slice(&normal);
    }
    if (flags & SUP_SIGV4_DOUBLE_ENCODE)
        sup_uri_encode(out, p, 1);
    else
        encode_once(out, p);
    if (normal.failed)
        out->failed = normal.failed;
    sup_buf_fini(&normal);
}

/* ---- sorting ---- */

struct pair {
    size_t name_at, name_n; /* offsets: the text buffer moves while it grows */
    size_t value_at, value_n;
    const uint8_t *base; /* set before sorting */
};

struct pairs {
    struct pair *items;
    size_t n, cap;
    struct sup_buf text;
};

static void pairs_init(struct pairs *p)
{
    *p = (struct pairs){0};
    sup_buf_init(&p->text, CANONICAL_MAX);
}

static void pairs_fini(struct pairs *p)
{
    free(p->items);
    sup_buf_fini(&p->text);
}

static struct pair *pairs_add(struct pairs *p)
{
    if (sup_array_grow((void **)&p->items, &p->cap, p->n + 1, sizeof *p->items) != SUP_OK)
        return NULL;
    p->items[p->n] = (struct pair){0};
    return &p->items[p->n++];
}

static struct sup_slice pair_name(const struct pair *p)
{
    return sup_slice_of(p->base + p->name_at, p->name_n);
}

static struct sup_slice pair_value(const struct pair *p)
{
    return sup_slice_of(p->base + p->value_at, p->value_n);
}

static int by_name_and_value(const void *a, const void *b)
{
    int c = sup_slice_cmp(pair_name(a), pair_name(b));
    return c != 0 ? c : sup_slice_cmp(pair_value(a), pair_value(b));
}

/* Text grows in order of arrival, so the value's offset is the arrival order. */
static int by_name_and_arrival(const void *a, const void *b)
{
    const struct pair *x = a;
    const struct pair *y = b;
    int c = sup_slice_cmp(pair_name(x), pair_name(y));
    return c != 0 ? c : (x->value_at > y->value_at) - (x->value_at < y->value_at);
}

static int pairs_sort(struct pairs *p, int (*cmp)(const void *, const void *))
{
    if (p->text.failed)
        return p->text.failed;
    for (size_t i = 0; i < p->n; i++)
        p->items[i].base = p->text.p != NULL ? p->text.p : (const uint8_t *)"";
    if (p->n > 1)
        qsort(p->items, p->n, sizeof *p->items, cmp);
    return SUP_OK;
}

/* ---- query ---- */

static void recode(struct sup_buf *out, struct sup_slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        int v = escape_at(s, i);
        uint8_t c = v >= 0 ? (uint8_t)v : s.p[i];
        if (v >= 0)
            i += 2;
        sup_uri_encode(out, sup_slice_of(&c, 1), 0);
    }
}

static int add_query_pair(struct pairs *pairs, struct sup_slice text)
{
    const uint8_t *eq = memchr(text.p, '=', text.n);
    size_t name_n = eq != NULL ? (size_t)(eq - text.p) : text.n;
    size_t value_at = eq != NULL ? name_n + 1 : text.n;
    struct pair *pair = pairs_add(pairs);

    if (pair == NULL)
        return SUP_ENOMEM;
    pair->name_at = pairs->text.n;
    recode(&pairs->text, sup_slice_of(text.p, name_n));
    pair->name_n = pairs->text.n - pair->name_at;
    pair->value_at = pairs->text.n;
    recode(&pairs->text, sup_slice_of(text.p + value_at, text.n - value_at));
    pair->value_n = pairs->text.n - pair->value_at;
    return SUP_OK;
}

static int split_query(struct pairs *pairs, struct sup_slice query)
{
    size_t i = 0;
    while (i < query.n) {
        size_t end = i;
        while (end < query.n && query.p[end] != '&')
            end++;
        if (end > i) {
            int rc = add_query_pair(pairs, sup_slice_of(query.p + i, end - i));
            if (rc != SUP_OK)
                return rc;
        }
        i = end + 1;
    }
    return SUP_OK;
}

int sup_canonical_query(struct sup_buf *out, const char *query)
{
    struct pairs pairs;

    pairs_init(&pairs);
    int rc = split_query(&pairs, sup_slice_str(query));
    if (rc == SUP_OK)
        rc = pairs_sort(&pairs, by_name_and_value);
    for (size_t i = 0; rc == SUP_OK && i < pairs.n; i++) {
        if (i > 0)
            sup_buf_add_byte(out, '&');
        sup_buf_add_slice(out, pair_name(&pairs.items[i]));
        sup_buf_add_byte(out, '=');
        sup_buf_add_slice(out, pair_value(&pairs.items[i]));
    }
    pairs_fini(&pairs);
    return rc;
}

/* ---- headers ---- */

static void add_trimmed(struct sup_buf *out, const char *value)
{
    bool gap = false;
    size_t start = out->n;

    for (const char *c = value; *c != '\0'; c++) {
        if (isspace((unsigned char)*c)) {
            gap = true;
            continue;
        }
        if (gap && out->n > start)
            sup_buf_add_byte(out, ' ');
        gap = false;
        sup_buf_add_byte(out, (uint8_t)*c);
    }
}

static int add_header_pair(struct pairs *pairs, const struct sup_header *h)
{
    struct pair *pair = pairs_add(pairs);

    if (pair == NULL)
        return SUP_ENOMEM;
    pair->name_at = pairs->text.n;
    for (const char *c = h->name; *c != '\0'; c++)
        sup_buf_add_byte(&pairs->text, (uint8_t)tolower((unsigned char)*c));
    pair->name_n = pairs->text.n - pair->name_at;
    pair->value_at = pairs->text.n;
    add_trimmed(&pairs->text, h->value);
    pair->value_n = pairs->text.n - pair->value_at;
    /* An empty value still needs an offset of its own for the arrival order. */
    sup_buf_add_byte(&pairs->text, '\n');
    return SUP_OK;
}

static void write_header(struct sup_buf *out, struct sup_buf *names, const struct pair *p,
                         bool again)
{
    if (again) {
        sup_buf_add_byte(out, ',');
    } else {
        if (out->n > 0 && names->n > 0) {
            sup_buf_add_byte(out, '\n');
            sup_buf_add_byte(names, ';');
        }
        sup_buf_add_slice(out, pair_name(p));
        sup_buf_add_byte(out, ':');
        sup_buf_add_slice(names, pair_name(p));
    }
    sup_buf_add_slice(out, pair_value(p));
}

int sup_canonical_headers(struct sup_buf *out, struct sup_buf *names,
                          const struct sup_header *headers, size_t n)
{
    struct pairs pairs;
    int rc = SUP_OK;

    pairs_init(&pairs);
    for (size_t i = 0; rc == SUP_OK && i < n; i++)
        rc = add_header_pair(&pairs, &headers[i]);
    if (rc == SUP_OK)
        rc = pairs_sort(&pairs, by_name_and_arrival);
    for (size_t i = 0; rc == SUP_OK && i < pairs.n; i++) {
        bool again =
            i > 0 && sup_slice_eq(pair_name(&pairs.items[i]), pair_name(&pairs.items[i - 1]));
        write_header(out, names, &pairs.items[i], again);
    }
    sup_buf_add_byte(out, '\n');
    pairs_fini(&pairs);
    return rc;
}
