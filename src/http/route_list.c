/* GET /v1/addresses: a page with a cursor, or the whole set as a stream of JSON lines. */
#include "base/clock.h"
#include "base/log.h"
#include "http/json_out.h"
#include "http/routes.h"
#include "http/stream.h"

#include <stdlib.h>
#include <string.h>

static const char *const known[] = {"domain", "reason", "state", "since", "until",
                                    "region", "cursor", "limit", NULL};

static const char *value_of(const struct sup_httpd_req *req, const char *name)
{
    const struct sup_httpd_param *p = sup_httpd_req_param(req, name);
    return p != NULL ? p->value : "";
}

static bool bad(struct sup_httpd_req *req, const char *name, const char *use)
{
    sup_httpd_problem(req, MHD_HTTP_BAD_REQUEST, SUP_EINPUT, "\"%s\" is not allowed: use %s", name,
                      use);
    return false;
}

static bool take_time(struct sup_httpd_req *req, const char *name, int64_t *out)
{
    const char *s = value_of(req, name);
    *out = SUP_NO_TIME;
    if (*s == '\0' || sup_time_parse(s, strlen(s), out) == SUP_OK)
        return true;
    return bad(req, name, "an RFC 3339 time such as 2026-01-31T12:00:00Z");
}

static bool take_reason(struct sup_httpd_req *req, enum sup_reason *out)
{
    const char *s = value_of(req, "reason");
    *out = SUP_REASON_NONE;
    if (strcasecmp(s, "bounce") == 0)
        *out = SUP_REASON_BOUNCE;
    else if (strcasecmp(s, "complaint") == 0)
        *out = SUP_REASON_COMPLAINT;
    else if (*s != '\0')
        return bad(req, "reason", "bounce or complaint");
    return true;
}

static bool take_state(struct sup_httpd_req *req, int *out)
{
    const char *s = value_of(req, "state");
    *out = -1;
    if (strcmp(s, "suppressed") == 0)
        *out = SUP_SUPPRESSED;
    else if (strcmp(s, "cleared") == 0)
        *out = SUP_CLEARED;
    else if (*s != '\0')
        return bad(req, "state", "suppressed or cleared");
    return true;
}

static bool take_limit(struct sup_httpd_req *req, uint64_t *out)
{
    const char *s = value_of(req, "limit");
    *out = 0;
    if (*s == '\0')
        return true;
    size_t n = strlen(s);
    if (n > 18 || strspn(s, "0123456789") != n || (*out = strtoull(s, NULL, 10)) == 0)
        return bad(req, "limit", "a number from 1");
    return true;
}

static bool take_filter(struct sup_httpd_req *req, struct sup_list_filter *f)
{
    memset(f, 0, sizeof(*f));
    f->domain = value_of(req, "domain");
    f->region = value_of(req, "region");
    f->after = value_of(req, "cursor");
    return sup_httpd_req_only(req, known) && take_reason(req, &f->reason) &&
           take_state(req, &f->state) && take_time(req, "since", &f->since_ms) &&
           take_time(req, "until", &f->until_ms) && take_limit(req, &f->limit);
}

struct page {
    json_t *rows;
    char last[SUP_ADDRESS_MAX + 1];
    bool failed;
};

static bool add_row(void *arg, const struct sup_row *row)
{
    struct page *p = arg;
    if (json_array_append_new(p->rows, sup_json_row(row)) != 0)
        p->failed = true;
    size_t n = strnlen(row->address, SUP_ADDRESS_MAX);
    memcpy(p->last, row->address, n);
    p->last[n] = '\0';
    return !p->failed;
}

static void list_page(struct sup_httpd_req *req, struct sup_list_filter *f)
{
    struct page p = {.rows = json_array()};
    struct sup_err err = {0};
    bool more = false;
    if (f->limit == 0)
        f->limit = SUP_HTTPD_PAGE;
    if (f->limit > SUP_HTTPD_PAGE_MAX)
        f->limit = SUP_HTTPD_PAGE_MAX;
    int rc = sup_service_list(req->service, f, add_row, &p, &more, &err);
    if (rc == SUP_OK && p.failed)
        rc = sup_err_set(&err, SUP_ENOMEM, "out of memory");
    if (rc != SUP_OK) {
        json_decref(p.rows);
        sup_httpd_fail(req, &err);
        return;
    }
    sup_httpd_json(req, MHD_HTTP_OK,
                   json_pack("{s:o, s:o}", "addresses", p.rows, "next",
                             more ? json_string(p.last) : json_null()));
}

/* A stream outlives its request, so it keeps its own filter. */
struct listing {
    struct sup_service *service;
    struct sup_list_filter filter;
    struct sup_reply_stream *stream;
    char *texts;
};

static bool write_row(void *arg, const struct sup_row *row)
{
    struct listing *l = arg;
    json_t *v = sup_json_row(row);
    char *line = v != NULL ? json_dumps(v, JSON_COMPACT) : NULL;
    bool ok = line != NULL && sup_reply_stream_write(l->stream, line, strlen(line)) &&
              sup_reply_stream_write(l->stream, "\n", 1);
    if (line == NULL)
        sup_reply_stream_fail(l->stream);
    free(line);
    json_decref(v);
    return ok;
}

static void produce(struct sup_reply_stream *s, void *arg)
{
    struct listing *l = arg;
    struct sup_err err;
    l->stream = s;
    if (sup_service_list(l->service, &l->filter, write_row, l, NULL, &err) != SUP_OK) {
        sup_log_warn("http", "a list was cut off", SUP_S("error", err.msg));
        sup_reply_stream_fail(s);
    }
}

static void free_listing(void *arg)
{
    struct listing *l = arg;
    free(l->texts);
    free(l);
}

static struct listing *listing_of(const struct sup_httpd_req *req, const struct sup_list_filter *f)
{
    struct listing *l = calloc(1, sizeof(*l));
    const char *from[] = {f->domain, f->region, f->after};
    if (l == NULL)
        return NULL;
    l->service = req->service;
    l->filter = *f;
    const char **to[] = {&l->filter.domain, &l->filter.region, &l->filter.after};
    size_t n = 0;
    for (size_t i = 0; i < 3; i++)
        n += strlen(from[i]) + 1;
    l->texts = malloc(n);
    if (l->texts == NULL) {
        free(l);
        return NULL;
    }
    char *at = l->texts;
    for (size_t i = 0; i < 3; i++) {
        size_t len = strlen(from[i]) + 1;
        memcpy(at, from[i], len);
        *to[i] = at;
        at += len;
    }
    return l;
}

static void list_stream(struct sup_httpd_req *req, const struct sup_list_filter *f)
{
    struct listing *l = listing_of(req, f);
    if (l == NULL) {
        sup_httpd_problem(req, MHD_HTTP_SERVICE_UNAVAILABLE, SUP_ENOMEM, "out of memory");
        return;
    }
    if (sup_reply_stream_start(req, produce, free_listing, l) != SUP_OK) {
        free_listing(l);
        return;
    }
    req->status = MHD_HTTP_OK;
    req->type = "application/x-ndjson";
}

void sup_route_list(struct sup_httpd_req *req)
{
    struct sup_list_filter f;
    if (!take_filter(req, &f))
        return;
    const char *accept =
        MHD_lookup_connection_value(req->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    if (accept != NULL && strstr(accept, "application/x-ndjson") != NULL)
        list_stream(req, &f);
    else
        list_page(req, &f);
}
