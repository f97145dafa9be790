#include "aws/s3_list.h"

#include "aws/xml.h"
#include "base/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define QUERY_MAX (32U << 10) /* prefix, start-after and token, encoded */
#define KEY_MAX   4096        /* 1024 bytes by S3's rule; encoded up to three times as much */
#define TOKEN_MAX 8192

static void add_parameter(struct sup_buf *query, const char *name, const char *value)
{
    if (value == NULL || value[0] == '\0')
        return;
    sup_buf_addf(query, "&%s=", name);
    sup_uri_encode(query, sup_slice_str(value), 0);
}

static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* encoding-type=url: as in a form, a space may be a '+'. False: a NUL, or no such encoding. */
static bool decode_key(struct sup_slice text, struct sup_buf *out)
{
    sup_buf_reset(out);
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i] == '+' ? ' ' : text.p[i];
        if (c == '%') {
            int high = i + 2 < text.n ? digit(text.p[i + 1]) : -1;
            int low = i + 2 < text.n ? digit(text.p[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (uint8_t)(high << 4 | low);
            i += 2;
        }
        if (c == 0)
            return false;
        sup_buf_add_byte(out, c);
    }
    return out->n > 0 && out->failed == SUP_OK;
}

struct reading {
    struct sup_slice xml;
    bool encoded;
    struct sup_buf text, key, etag;
};

static bool number(struct reading *r, struct sup_slice in, const char *name, uint64_t *out)
{
    char *end = NULL;

    if (!sup_xml_text(in, name, &r->text) || r->text.n == 0 || r->text.p[0] < '0' ||
        r->text.p[0] > '9')
        return false;
    *out = strtoull(sup_buf_str(&r->text), &end, 10);
    return *end == '\0';
}

static bool read_object(struct reading *r, struct sup_slice in, struct sup_s3_object *o)
{
    if (!sup_xml_text(in, "Key", &r->text))
        return false;
    if (r->encoded ? !decode_key(sup_buf_slice(&r->text), &r->key) : r->text.n == 0)
        return false;
    if (!r->encoded) {
        sup_buf_reset(&r->key);
        sup_buf_add_slice(&r->key, sup_buf_slice(&r->text));
    }
    sup_xml_text(in, "ETag", &r->etag);
    if (!number(r, in, "Size", &o->size))
        return false;
    o->modified_ms = 0;
    if (sup_xml_text(in, "LastModified", &r->text))
        (void)sup_time_parse(sup_buf_str(&r->text), r->text.n, &o->modified_ms);
    o->key = sup_buf_str(&r->key);
    o->etag = sup_buf_str(&r->etag);
    return strlen(o->key) == r->key.n;
}

enum page_end { PAGE_LAST, PAGE_MORE, PAGE_ENOUGH, PAGE_DAMAGED };

/* A page is damaged when anything of it is: objects must not be left out silently. */
static enum page_end read_page(struct reading *r, struct sup_buf *token,
                               bool (*each)(void *arg, const struct sup_s3_object *o), void *arg)
{
    struct sup_slice rest = r->xml, inner;
    struct sup_s3_object o;

    if (!sup_xml_text(r->xml, "IsTruncated", &r->text))
        return PAGE_DAMAGED;
    bool more = strcmp(sup_buf_str(&r->text), "true") == 0;
    r->encoded =
        sup_xml_text(r->xml, "EncodingType", &r->text) && strcmp(sup_buf_str(&r->text), "url") == 0;
    while (sup_xml_next(&rest, "Contents", &inner)) {
        if (!read_object(r, inner, &o))
            return PAGE_DAMAGED;
        if (!each(arg, &o))
            return PAGE_ENOUGH;
    }
    if (!more)
        return PAGE_LAST;
    if (!sup_xml_text(r->xml, "NextContinuationToken", &r->text) || r->text.n == 0 ||
        sup_slice_eq(sup_buf_slice(&r->text), sup_buf_slice(token)))
        return PAGE_DAMAGED;
    sup_buf_reset(token);
    sup_buf_add_slice(token, sup_buf_slice(&r->text));
    return token->failed == SUP_OK ? PAGE_MORE : PAGE_DAMAGED;
}

static int ask(struct sup_s3_bucket *b, const struct sup_s3_listing *l, struct sup_buf *token,
               struct sup_http_response *page, struct sup_err *err)
{
    struct sup_buf query;
    struct sup_s3_call call = {.stop = l->stop};

    sup_buf_init(&query, QUERY_MAX);
    sup_buf_add_str(&query, "list-type=2&encoding-type=url");
    if (l->page > 0)
        sup_buf_addf(&query, "&max-keys=%u", l->page);
    add_parameter(&query, "prefix", l->prefix);
    add_parameter(&query, "start-after", token->n == 0 ? l->start_after : NULL);
    add_parameter(&query, "continuation-token", sup_buf_str(token));
    call.query = sup_buf_str(&query);
    int rc = query.failed ? sup_err_set(err, query.failed, "S3: prefix too long")
                          : sup_s3_get(b, &call, page, err);
    sup_buf_fini(&query);
    return rc;
}

int sup_s3_list(struct sup_s3_bucket *b, const struct sup_s3_listing *l,
                bool (*each)(void *arg, const struct sup_s3_object *o), void *arg,
                struct sup_err *err)
{
    struct sup_http_response page;
    struct sup_buf token;
    struct reading r = {0};
    enum page_end end = PAGE_MORE;
    int rc = SUP_OK;

    sup_http_response_init(&page);
    sup_buf_init(&token, TOKEN_MAX);
    sup_buf_init(&r.text, TOKEN_MAX);
    sup_buf_init(&r.key, KEY_MAX);
    sup_buf_init(&r.etag, 256);
    while (rc == SUP_OK && end == PAGE_MORE) {
        rc = ask(b, l, &token, &page, err);
        r.xml = sup_buf_slice(&page.body);
        if (rc == SUP_OK)
            end = read_page(&r, &token, each, arg);
    }
    if (rc == SUP_OK && end == PAGE_DAMAGED)
        rc = sup_err_set(err, SUP_ECORRUPT, "s3://%s/: a list of objects that cannot be understood",
                         b->name);
    sup_buf_fini(&r.etag);
    sup_buf_fini(&r.key);
    sup_buf_fini(&r.text);
    sup_buf_fini(&token);
    sup_http_response_fini(&page);
    return rc;
}
