#include "base/buf.h"

#include "base/err.h"

#include <string.h>

struct sup_slice sup_slice_of(const void *p, size_t n)
{
    return (struct sup_slice){p, n};
}

struct sup_slice sup_slice_str(const char *s)
{
    return (struct sup_slice){(const uint8_t *)s, s == NULL ? 0 : strlen(s)};
}

int sup_slice_eq(struct sup_slice a, struct sup_slice b)
{
    /* An empty slice may hold a null pointer, which memcmp must never see. */
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

int sup_slice_cmp(struct sup_slice a, struct sup_slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n == 0 ? 0 : memcmp(a.p, b.p, n);
    if (c != 0)
        return c;
    return (a.n > b.n) - (a.n < b.n);
}

void sup_put_be16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

void sup_put_be32(uint8_t *p, uint32_t v)
{
    sup_put_be16(p, (uint16_t)(v >> 16));
    sup_put_be16(p + 2, (uint16_t)v);
}

void sup_put_be64(uint8_t *p, uint64_t v)
{
    sup_put_be32(p, (uint32_t)(v >> 32));
    sup_put_be32(p + 4, (uint32_t)v);
}

uint16_t sup_get_be16(const uint8_t *p)
{
    return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}

uint32_t sup_get_be32(const uint8_t *p)
{
    return (uint32_t)sup_get_be16(p) << 16 | sup_get_be16(p + 2);
}

uint64_t sup_get_be64(const uint8_t *p)
{
    return (uint64_t)sup_get_be32(p) << 32 | sup_get_be32(p + 4);
}

struct sup_cur sup_cur_of(struct sup_slice s)
{
    return (struct sup_cur){s.p, s.n, 0};
}

/* The next n bytes, or NULL with ->failed set. After a failure nothing more is handed out, so that
 * a reader cannot get back in step by accident and take the middle of a field for its start. */
static const uint8_t *cur_next(struct sup_cur *c, size_t n)
{
    if (c->failed || n > c->n) {
        c->failed = SUP_EINPUT;
        return NULL;
    }
    const uint8_t *p = c->p;
    if (n > 0)
        c->p += n;
    c->n -= n;
    return p;
}

uint8_t sup_cur_byte(struct sup_cur *c)
{
    const uint8_t *p = cur_next(c, 1);
    return p == NULL ? 0 : *p;
}

uint16_t sup_cur_be16(struct sup_cur *c)
{
    const uint8_t *p = cur_next(c, 2);
    return p == NULL ? 0 : sup_get_be16(p);
}

uint32_t sup_cur_be32(struct sup_cur *c)
{
    const uint8_t *p = cur_next(c, 4);
    return p == NULL ? 0 : sup_get_be32(p);
}

uint64_t sup_cur_be64(struct sup_cur *c)
{
    const uint8_t *p = cur_next(c, 8);
    return p == NULL ? 0 : sup_get_be64(p);
}

struct sup_slice sup_cur_take(struct sup_cur *c, size_t n)
{
    const uint8_t *p = cur_next(c, n);
    return (struct sup_slice){p, p == NULL ? 0 : n};
}
