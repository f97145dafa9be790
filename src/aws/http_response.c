#include "aws/http.h"

#include <ctype.h>
#include <string.h>

#define BODY_MAX_DEFAULT (16u << 20)

void sup_http_response_init(struct sup_http_response *r)
{
    *r = (struct sup_http_response){0};
    sup_buf_init(&r->body, BODY_MAX_DEFAULT);
    sup_buf_init(&r->headers, SUP_HTTP_HEADERS_MAX);
}

void sup_http_response_reset(struct sup_http_response *r)
{
    r->status = 0;
    r->sent = false;
    sup_buf_reset(&r->body);
    sup_buf_reset(&r->headers);
}

void sup_http_response_fini(struct sup_http_response *r)
{
    sup_buf_fini(&r->body);
    sup_buf_fini(&r->headers);
}

void sup_http_response_add_header(struct sup_http_response *r, const char *name, size_t name_n,
                                  const char *value, size_t value_n)
{
    struct sup_buf *h = &r->headers;

    if (name_n + value_n + 2 > h->max - h->n || memchr(value, '\0', value_n) != NULL ||
        memchr(name, '\0', name_n) != NULL)
        return;
    for (size_t i = 0; i < name_n; i++)
        sup_buf_add_byte(h, (uint8_t)tolower((unsigned char)name[i]));
    sup_buf_add_byte(h, 0);
    sup_buf_add(h, value, value_n);
    sup_buf_add_byte(h, 0);
}

const char *sup_http_response_header(const struct sup_http_response *r, const char *name)
{
    const char *p = (const char *)r->headers.p;

    if (r->headers.n == 0)
        return NULL;
    const char *end = p + r->headers.n;
    while (p < end) {
        const char *value = p + strlen(p) + 1;
        if (strcmp(p, name) == 0)
            return value;
        p = value + strlen(value) + 1;
    }
    return NULL;
}
