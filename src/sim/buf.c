#include "buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *sim_alloc(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    if (!p) {
        fputs("supsync-sim: out of memory\n", stderr);
        exit(70);
    }
    return p;
}

char *sim_strndup(const char *s, size_t n)
{
    char *copy = sim_alloc(n + 1);
    memcpy(copy, s, n);
    return copy;
}

char *sim_strdup(const char *s)
{
    return sim_strndup(s, strlen(s));
}

static void buf_reserve(struct sim_buf *b, size_t more)
{
    if (b->cap - b->len > more)
        return;
    size_t cap = b->cap ? b->cap : 128;
    while (cap - b->len <= more)
        cap *= 2;
    char *data = sim_alloc(cap);
    if (b->len)
        memcpy(data, b->data, b->len);
    free(b->data);
    b->data = data;
    b->cap = cap;
}

void sim_buf_add(struct sim_buf *b, const void *data, size_t n)
{
    if (n > SIM_BUF_MAX - b->len)
        n = SIM_BUF_MAX - b->len;
    buf_reserve(b, n);
    if (n)
        memcpy(b->data + b->len, data, n);
    b->len += n;
    b->data[b->len] = 0;
}

void sim_buf_str(struct sim_buf *b, const char *s)
{
    sim_buf_add(b, s, strlen(s));
}

void sim_buf_char(struct sim_buf *b, char c)
{
    sim_buf_add(b, &c, 1);
}

void sim_buf_printf(struct sim_buf *b, const char *fmt, ...)
{
    char small[512];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(small, sizeof small, fmt, args);
    va_end(args);
    if (n < 0)
        return;
    if ((size_t)n < sizeof small) {
        sim_buf_add(b, small, (size_t)n);
        return;
    }
    char *big = sim_alloc((size_t)n + 1);
    va_start(args, fmt);
    vsnprintf(big, (size_t)n + 1, fmt, args);
    va_end(args);
    sim_buf_add(b, big, (size_t)n);
    free(big);
}

void sim_buf_fini(struct sim_buf *b)
{
    free(b->data);
    *b = (struct sim_buf){0};
}

const char *sim_buf_cstr(const struct sim_buf *b)
{
    return b->data ? b->data : "";
}

char *sim_buf_take(struct sim_buf *b)
{
    char *data = b->data ? b->data : sim_strdup("");
    *b = (struct sim_buf){0};
    return data;
}
