/* The event log, streamed a JSON object a line, however long it is. */
#include "base/clock.h"
#include "base/log.h"
#include "http/routes.h"
#include "http/stream.h"
#include "service/event_log.h"

#include <stdlib.h>
#include <string.h>

/* A stream outlives its request, so it keeps its own texts. */
struct searching {
    struct sup_service *service;
    struct sup_event_filter filter;
    struct sup_reply_stream *stream;
    char *address, *type, *message_id;
};

static json_t *lines(struct sup_slice s)
{
    json_t *list = json_array();

    while (s.n > 0) {
        const uint8_t *nl = memchr(s.p, '\n', s.n);
        size_t n = nl != NULL ? (size_t)(nl - s.p) : s.n;
        json_array_append_new(list, json_stringn((const char *)s.p, n));
        n += nl != NULL;
        s = sup_slice_of(s.p + n, s.n - n);
    }
    return list;
}

static json_t *text(struct sup_slice s)
{
    json_t *v = s.n > 0 ? json_stringn((const char *)s.p, s.n) : NULL;
    return v != NULL ? v : json_null();
}

static bool write_row(void *arg, int64_t time_ms, const struct sup_event_entry *e)
{
    struct searching *x = arg;
    char t[SUP_TIME_STR_MAX];
    json_t *event = json_loadb((const char *)e->raw.p, e->raw.n, JSON_ALLOW_NUL, NULL);
    json_t *v = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "time", sup_time_format(time_ms, t),
                          "type", text(e->type), "message_id", text(e->message_id), "addresses",
                          lines(e->addresses), "verdicts", lines(e->verdicts), "event",
                          event != NULL ? event : text(e->raw));
    char *line = v != NULL ? json_dumps(v, JSON_COMPACT) : NULL;
    bool ok = line != NULL && sup_reply_stream_write(x->stream, line, strlen(line)) &&
              sup_reply_stream_write(x->stream, "\n", 1);

    if (line == NULL)
        sup_reply_stream_fail(x->stream);
    free(line);
    json_decref(v);
    return ok;
}

static void produce(struct sup_reply_stream *s, void *arg)
{
    struct searching *x = arg;
    struct sup_err err = {0};

    x->stream = s;
    if (sup_service_events(x->service, &x->filter, write_row, x, &err) != SUP_OK) {
        sup_log_warn("http", "the event log was cut off", SUP_S("error", err.msg));
        sup_reply_stream_fail(s);
    }
}

static void free_searching(void *arg)
{
    struct searching *x = arg;

    free(x->address);
    free(x->type);
    free(x->message_id);
    free(x);
}

static const char *value_of(const struct sup_httpd_req *req, const char *name)
{
    const struct sup_httpd_param *p = sup_httpd_req_param(req, name);
    return p != NULL ? p->value : "";
}

static bool take_time(struct sup_httpd_req *req, const char *name, int64_t *out)
{
    const char *s = value_of(req, name);

    *out = SUP_NO_TIME;
    if (*s == '\0' || sup_time_parse(s, strlen(s), out) == SUP_OK)
        return true;
    sup_httpd_problem(req, MHD_HTTP_BAD_REQUEST, SUP_EINPUT, "\"%s\" is not a time", name);
    return false;
}

static bool take_filter(struct sup_httpd_req *req, struct searching *x)
{
    const char *address = value_of(req, "address"), *limit = value_of(req, "limit");
    struct sup_address a = {0};
    struct sup_err err = {0};

    if (!take_time(req, "since", &x->filter.since_ms) ||
        !take_time(req, "until", &x->filter.until_ms))
        return false;
    if (*address != '\0' && sup_address_parse(address, strlen(address), &a, &err) != SUP_OK) {
        sup_httpd_fail(req, &err);
        return false;
    }
    if (strlen(limit) > 18 || strspn(limit, "0123456789") != strlen(limit)) {
        sup_httpd_problem(req, MHD_HTTP_BAD_REQUEST, SUP_EINPUT, "\"limit\" is not a number");
        return false;
    }
    x->filter.limit = strtoull(limit, NULL, 10);
    x->filter.address = x->address = strdup(*address != '\0' ? a.key : "");
    x->filter.type = x->type = strdup(value_of(req, "type"));
    x->filter.message_id = x->message_id = strdup(value_of(req, "message_id"));
    if (x->address != NULL && x->type != NULL && x->message_id != NULL)
        return true;
    sup_httpd_problem(req, MHD_HTTP_SERVICE_UNAVAILABLE, SUP_ENOMEM, "out of memory");
    return false;
}

void sup_route_event_log(struct sup_httpd_req *req)
{
    static const char *const known[] = {"since", "until",      "address", "type",
                                        "limit", "message_id", NULL};
    struct searching *x = calloc(1, sizeof(*x));

    if (x == NULL) {
        sup_httpd_problem(req, MHD_HTTP_SERVICE_UNAVAILABLE, SUP_ENOMEM, "out of memory");
        return;
    }
    x->service = req->service;
    if (!sup_httpd_req_only(req, known) || !take_filter(req, x)) {
        free_searching(x);
        return;
    }
    req->status = MHD_HTTP_OK;
    req->type = "application/x-ndjson";
    if (sup_reply_stream_start(req, produce, free_searching, x) != SUP_OK)
        free_searching(x);
}
