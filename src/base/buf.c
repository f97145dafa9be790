#include "base/buf.h"

#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 64

void sup_buf_init(struct sup_buf *b, size_t max)
{
    /* One byte of the address space is kept for the NUL. */
    *b = (struct sup_buf){.max = max < SIZE_MAX ? max : SIZE_MAX - 1};
}

void sup_buf_fini(struct sup_buf *b)
{
    free(b->p);
    *b = (struct sup_buf){.max = b->max};
}

void sup_buf_reset(struct sup_buf *b)
{
    b->n = 0;
    b->failed = SUP_OK;
    if (b->p != NULL)
        b->p[0] = '\0';
}

uint8_t *sup_buf_reserve(struct sup_buf *b, size_t n)
{
    if (b->failed)
        return NULL;
    if (n > b->max || b->n > b->max - n) {
        b->failed = SUP_ELIMIT;
        return NULL;
    }
    size_t need = b->n + n + 1; /* with the NUL */
    if (need > b->cap) {
        size_t cap = b->cap < FIRST_CAP ? FIRST_CAP : b->cap;
        while (cap < need)
            cap = cap > SIZE_MAX / 2 ? need : cap * 2;
        if (cap > b->max + 1)
            cap = b->max + 1;
        uint8_t *p = realloc(b->p, cap);
        if (p == NULL) {
            b->failed = SUP_ENOMEM;
            return NULL;
        }
        b->p = p;
        b->cap = cap;
    }
    /* The caller may fill what it asked for and move ->n without another call. */
    b->p[b->n] = '\0';
    b->p[b->n + n] = '\0';
    return b->p + b->n;
}

void sup_buf_add(struct sup_buf *b, const void *p, size_t n)
{
    uint8_t *to = sup_buf_reserve(b, n);
    if (to == NULL || n == 0)
        return;
    memcpy(to, p, n);
    b->n += n;
}

void sup_buf_add_slice(struct sup_buf *b, struct sup_slice s)
{
    sup_buf_add(b, s.p, s.n);
}

void sup_buf_add_str(struct sup_buf *b, const char *s)
{
    sup_buf_add_slice(b, sup_slice_str(s));
}

void sup_buf_add_byte(struct sup_buf *b, uint8_t c)
{
    sup_buf_add(b, &c, 1);
}

void sup_buf_add_be16(struct sup_buf *b, uint16_t v)
{
    uint8_t bytes[2];
    sup_put_be16(bytes, v);
    sup_buf_add(b, bytes, sizeof(bytes));
}

void sup_buf_add_be32(struct sup_buf *b, uint32_t v)
{
    uint8_t bytes[4];
    sup_put_be32(bytes, v);
    sup_buf_add(b, bytes, sizeof(bytes));
}

void sup_buf_add_be64(struct sup_buf *b, uint64_t v)
{
    uint8_t bytes[8];
    sup_put_be64(bytes, v);
    sup_buf_add(b, bytes, sizeof(bytes));
}

void sup_buf_addf(struct sup_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) {
        if (!b->failed)
            b->failed = SUP_ELIMIT; /* vsnprintf refuses what is longer than INT_MAX */
        return;
    }
    uint8_t *to = sup_buf_reserve(b, (size_t)n);
    if (to == NULL)
        return;
    va_start(ap, fmt);
    (void)vsnprintf((char *)to, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->n += (size_t)n;
}

struct sup_slice sup_buf_slice(const struct sup_buf *b)
{
    return (struct sup_slice){b->p, b->n};
}

const char *sup_buf_str(struct sup_buf *b)
{
    if (b->failed || b->p == NULL)
        return "";
    b->p[b->n] = '\0';
    return (const char *)b->p;
}

char *sup_buf_steal(struct sup_buf *b)
{
    char *text = NULL;
    if (sup_buf_reserve(b, 0) != NULL) { /* an empty buffer has no memory yet */
        text = (char *)b->p;
        b->p = NULL;
    }
    sup_buf_fini(b);
    return text;
}
