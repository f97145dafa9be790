/* Soft bounces for resending. An id is 32 hexadecimal digits; of a claimed one a dot and 16 more,
 * its lease, follow. */
#include "base/clock.h"
#include "http/routes.h"
#include "service/soft.h"

#include <stdlib.h>
#include <string.h>

#define ROWS_DEFAULT 100
#define ROWS_MAX     10000
#define LEASE_MS     600000
#define LEASE_MAX_MS 86400000
#define ACKS_MAX     10000

struct collecting {
    json_t *list;
    size_t left;
    bool more;
};

static json_t *text(struct sup_slice s)
{
    json_t *v = s.n > 0 ? json_stringn((const char *)s.p, s.n) : NULL;
    return v != NULL ? v : json_null();
}

static void write_id(char out[52], const uint8_t *id, uint64_t lease)
{
    size_t n = 0;

    for (size_t i = 0; i < SUP_SOFT_ID; i++)
        n += (size_t)snprintf(out + n, 52 - n, "%02x", id[i]);
    if (lease != 0)
        snprintf(out + n, 52 - n, ".%016llx", (unsigned long long)lease);
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_id(const char *s, uint8_t *id, uint64_t *lease)
{
    *lease = 0;
    for (size_t i = 0; i < SUP_SOFT_ID; i++, s += 2) {
        if (hex(s[0]) < 0 || hex(s[1]) < 0)
            return false;
        id[i] = (uint8_t)(hex(s[0]) * 16 + hex(s[1]));
    }
    if (*s == '\0')
        return true;
    if (*s++ != '.')
        return false;
    for (size_t i = 0; i < 16; i++, s++) {
        if (hex(*s) < 0)
            return false;
        *lease = *lease << 4 | (uint64_t)hex(*s);
    }
    return *s == '\0' && *lease != 0;
}

/* As SES writes them: {"campaign": ["spring"]}. */
static json_t *tags_json(struct sup_slice tags)
{
    json_t *all = json_object();
    struct sup_slice name, value;

    while (sup_soft_next_tag(&tags, &name, &value)) {
        name.n = strnlen((const char *)name.p, name.n); /* jansson reads no NUL in a name */
        json_t *values = json_object_getn(all, (const char *)name.p, name.n);
        if (values == NULL) {
            values = json_array();
            json_object_setn_new(all, (const char *)name.p, name.n, values);
        }
        json_array_append_new(values, json_stringn((const char *)value.p, value.n));
    }
    return all;
}

static json_t *row_json(const struct sup_soft_row *r, bool mine)
{
    char due[SUP_TIME_STR_MAX], time[SUP_TIME_STR_MAX], id[52];

    write_id(id, r->id, mine ? r->s.lease : 0);
    sup_time_format(r->due_ms, due);
    sup_time_format(r->s.time_ms, time);
    return json_pack(
        "{s:s, s:o, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, "
        "s:I, s:b}",
        "id", id, "address", text(r->s.address), "recipient", text(r->s.recipient), "time", time,
        mine ? "lease_ends" : "due", due, "message_id", text(r->s.message_id), "feedback_id",
        text(r->s.feedback_id), "source", text(r->s.source), "subject", text(r->s.subject),
        "configuration_set", text(r->s.configuration_set), "tenant", text(r->s.tenant), "sub_type",
        text(r->s.sub_type), "status", text(r->s.status), "diagnostic", text(r->s.diagnostic),
        "tags", tags_json(r->s.tags), "bounces", (json_int_t)r->s.bounces, "claims",
        (json_int_t)r->s.claims, "claimed", (int)(r->s.lease != 0));
}

static bool add_row(void *arg, const struct sup_soft_row *r)
{
    struct collecting *c = arg;

    c->more = c->left == 0;
    if (c->left == 0)
        return false;
    c->left--;
    return json_array_append_new(c->list, row_json(r, false)) == 0;
}

static bool add_claimed(void *arg, const struct sup_soft_row *r)
{
    return json_array_append_new(arg, row_json(r, true)) == 0;
}

/* "DUE-IN-MS.ID" of the last row of a page. */
static bool cursor_of(const char *s, int64_t *ms, uint8_t *id)
{
    char *end;
    uint64_t lease;

    *ms = strtoll(s, &end, 10);
    return end != s && *end == '.' && *ms >= 0 && read_id(end + 1, id, &lease) && lease == 0;
}

static void list(struct sup_httpd_req *req, size_t limit, bool due_only)
{
    const struct sup_httpd_param *after = sup_httpd_req_param(req, "after");
    struct collecting c = {.list = json_array(), .left = limit};
    uint8_t id[SUP_SOFT_ID];
    struct sup_err err = {0};
    int64_t ms = 0;

    if (after != NULL && !cursor_of(after->value, &ms, id)) {
        json_decref(c.list);
        sup_httpd_problem(req, MHD_HTTP_BAD_REQUEST, SUP_EINPUT, "\"after\" is not a cursor");
        return;
    }
    if (sup_service_soft_list(req->service, due_only, ms, after != NULL ? id : NULL, add_row, &c,
                              &err) != SUP_OK) {
        json_decref(c.list);
        sup_httpd_fail(req, &err);
        return;
    }
    json_t *next = json_null();
    json_t *last = json_array_get(c.list, json_array_size(c.list) - 1);
    if (c.more && last != NULL) {
        int64_t due = 0;
        const char *t = json_string_value(json_object_get(last, "due"));
        sup_time_parse(t, strlen(t), &due);
        next =
            json_sprintf("%lld.%s", (long long)due, json_string_value(json_object_get(last, "id")));
    }
    sup_httpd_json(req, MHD_HTTP_OK, json_pack("{s:o, s:o}", "soft", c.list, "next", next));
}

void sup_route_soft(struct sup_httpd_req *req)
{
    static const char *const known[] = {"due", "limit", "after", NULL};
    const struct sup_httpd_param *p = sup_httpd_req_param(req, "limit");
    const struct sup_httpd_param *due = sup_httpd_req_param(req, "due");
    char *end = NULL;
    unsigned long limit = p != NULL ? strtoul(p->value, &end, 10) : ROWS_DEFAULT;

    if (!sup_httpd_req_only(req, known))
        return;
    if (p != NULL && (p->value[0] < '0' || p->value[0] > '9' || *end != '\0' || limit == 0 ||
                      limit > ROWS_MAX)) {
        sup_httpd_problem(req, MHD_HTTP_BAD_REQUEST, SUP_EINPUT, "\"limit\": use 1 to %d",
                          ROWS_MAX);
        return;
    }
    list(req, limit, due != NULL && strcmp(due->value, "true") == 0);
}

void sup_route_soft_claim(struct sup_httpd_req *req)
{
    static const char *const no_params[] = {NULL};
    static const char *const known[] = {"count", "lease", NULL};
    json_t *body = sup_httpd_req_only(req, no_params) ? sup_httpd_req_json(req, known) : NULL;
    struct sup_err err = {0};
    int64_t lease_ms = LEASE_MS;

    if (body == NULL)
        return;
    json_int_t count = json_integer_value(json_object_get(body, "count"));
    const json_t *lease = json_object_get(body, "lease");
    if (count < 1 || count > SUP_SOFT_CLAIM_MAX) {
        sup_httpd_problem(req, MHD_HTTP_BAD_REQUEST, SUP_EINPUT, "\"count\": use 1 to %d",
                          SUP_SOFT_CLAIM_MAX);
    } else if (lease != NULL &&
               (!json_is_string(lease) ||
                sup_duration_parse(json_string_value(lease), &lease_ms) != SUP_OK ||
                lease_ms < 1000 || lease_ms > LEASE_MAX_MS)) {
        sup_httpd_problem(req, MHD_HTTP_BAD_REQUEST, SUP_EINPUT,
                          "\"lease\" is not a duration from 1s to 1d: use such as 10m");
    } else {
        json_t *rows = json_array();
        if (sup_service_soft_claim(req->service, (size_t)count, lease_ms, add_claimed, rows,
                                   &err) == SUP_OK) {
            sup_httpd_json(req, MHD_HTTP_OK, json_pack("{s:o}", "soft", rows));
        } else {
            json_decref(rows);
            sup_httpd_fail(req, &err);
        }
    }
    json_decref(body);
}

static const char *ack(struct sup_httpd_req *req, const char *s, struct sup_err *err)
{
    uint8_t id[SUP_SOFT_ID];
    uint64_t lease;

    if (s == NULL || !read_id(s, id, &lease))
        return "not an id";
    switch (sup_service_soft_ack(req->service, id, lease, err)) {
    case SUP_OK:
        return "acknowledged";
    case SUP_ENOTFOUND:
        return "not there";
    case SUP_EEXIST:
        return "not yours";
    default:
        return NULL;
    }
}

void sup_route_soft_ack(struct sup_httpd_req *req)
{
    static const char *const no_params[] = {NULL};
    static const char *const known[] = {"ids", NULL};
    json_t *body = sup_httpd_req_only(req, no_params) ? sup_httpd_req_json(req, known) : NULL;
    json_t *ids = json_object_get(body, "ids"), *one, *results = json_array();
    struct sup_err err = {0};
    size_t i;

    if (body == NULL) {
        json_decref(results);
        return;
    }
    if (!json_is_array(ids) || json_array_size(ids) > ACKS_MAX) {
        sup_httpd_problem(req, MHD_HTTP_BAD_REQUEST, SUP_EINPUT,
                          "\"ids\" is not a list of at most %d ids", ACKS_MAX);
    } else {
        const char *result = "";
        json_array_foreach(ids, i, one)
        {
            result = ack(req, json_string_value(one), &err);
            if (result == NULL)
                break;
            json_array_append_new(results, json_pack("{s:O, s:s}", "id", one, "result", result));
        }
        if (result == NULL)
            sup_httpd_fail(req, &err);
        else
            sup_httpd_json(req, MHD_HTTP_OK, json_pack("{s:O}", "results", results));
    }
    json_decref(results);
    json_decref(body);
}
