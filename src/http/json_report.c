#include "http/json_report.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/hash.h"
#include "http/json_out.h"
#include "http/stream.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Differences of an answer that is given in one piece, and bytes of one that is streamed. */
#define STREAM_FROM 1000
#define PIECE_BYTES (32U << 10)

/* 0 is "none" in what is stored. */
static json_t *time_of(int64_t ms)
{
    char s[SUP_TIME_STR_MAX];

    return ms == 0 ? json_null() : json_string(sup_time_format(ms, s));
}

static json_t *number(uint64_t v)
{
    return json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v);
}

static json_t *text_or_null(const char *s)
{
    return s[0] ? json_string(s) : json_null();
}

static json_t *numbers(const uint64_t *v, size_t n, const char *(*name)(size_t i))
{
    json_t *o = json_object();

    for (size_t i = 0; i < n; i++)
        json_object_set_new(o, name(i), number(v[i]));
    return o;
}

static const char *count_name(size_t i)
{
    return sup_report_count_name((enum sup_report_count)i);
}

static const char *call_name(size_t i)
{
    return sup_report_call_name((enum sup_report_call)i);
}

json_t *sup_json_reasons(unsigned reasons)
{
    json_t *list = json_array();

    if (reasons & (unsigned)SUP_REASON_BOUNCE)
        json_array_append_new(list, json_string("BOUNCE"));
    if (reasons & (unsigned)SUP_REASON_COMPLAINT)
        json_array_append_new(list, json_string("COMPLAINT"));
    return list;
}

static json_t *texts(const struct sup_coverage_texts *t)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < t->n; i++)
        json_array_append_new(list, json_string(t->text[i]));
    return list;
}

/* The lists hold the first ones, the counts tell of all. */
json_t *sup_json_coverage(const struct sup_coverage_brief *b)
{
    if (b->state == SUP_COVERAGE_NONE)
        return json_null();
    return json_pack(
        "{s:s, s:o, s:{s:b, s:b, s:s, s:o}, s:{s:o, s:o, s:o, s:o, s:o}, s:{s:s, s:o}, s:o, s:o, "
        "s:o}",
        "state", sup_coverage_state_name(b->state), "checked", time_of(b->checked_ms), "account",
        "sending_enabled", b->sending_enabled, "production_access", b->production_access,
        "enforcement_status", b->enforcement_status, "suppressed_reasons",
        sup_json_reasons(b->reasons), "counts", "configuration_sets", number(b->n_sets), "tenants",
        b->tenants_known ? number(b->n_tenants) : json_null(), "gaps", number(b->gaps.total),
        "unknown", number(b->unknown.total), "notes", number(b->notes.total), "managed", "state",
        sup_coverage_managed_name(b->managed), "text", text_or_null(b->managed_text), "gaps",
        texts(&b->gaps), "unknown", texts(&b->unknown), "notes", texts(&b->notes));
}

static json_t *head_of(const struct sup_report *r)
{
    json_t *o = json_pack(
        "{s:s, s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:{s:o, s:b}, s:{s:o, s:o, s:f, s:o}, s:s, s:o, "
        "s:o, s:b}",
        "id", r->id, "region", r->region, "started", time_of(r->started_ms), "finished",
        time_of(r->finished_ms), "mode", r->mode, "next_run", time_of(r->next_run_ms), "counts",
        numbers(r->counts, SUP_N_COUNTS, count_name), "api_calls",
        numbers(r->calls, SUP_N_CALLS, call_name), "budget", "calls_per_day",
        r->calls_per_day > 0 ? number(r->calls_per_day) : json_null(), "used_up", r->budget_used_up,
        "estimate", "calls", number(r->estimated_calls), "import_jobs", number(r->estimated_jobs),
        "seconds", (double)r->estimated_ms / 1000.0, "finish",
        time_of(r->estimated_calls > 0 ? r->finished_ms + (int64_t)r->estimated_ms : 0), "fuse",
        r->fuse, "plan", text_or_null(r->plan), "error", text_or_null(r->error), "converged",
        r->converged);

    /* Those that are listed may be fewer. */
    if (o)
        json_object_set_new(o, "differences_found", number(r->n_found));
    return o;
}

json_t *sup_json_report_head(const struct sup_report *r)
{
    json_t *o = head_of(r);

    json_object_set_new(o, "coverage", sup_json_coverage(&r->coverage));
    return o;
}

static void add_member(struct sup_buf *out, const char *key, const char *value)
{
    sup_buf_addf(out, "\"%s\":", key);
    if (value[0])
        sup_json_string(out, value, strlen(value));
    else
        sup_buf_add_str(out, "null");
}

/* By hand: there may be a hundred thousand of them. */
static void add_difference(struct sup_buf *out, const struct sup_difference *d)
{
    char t[SUP_TIME_STR_MAX] = "";

    sup_buf_add_byte(out, '{');
    add_member(out, "address", d->address);
    sup_buf_add_byte(out, ',');
    add_member(out, "spelling", d->spelling);
    sup_buf_addf(out, ",\"kind\":\"%s\",\"cause\":\"%s\",\"action\":\"%s\",\"result\":\"%s\",",
                 sup_diff_kind_name(d->kind), sup_diff_cause_name(d->cause),
                 sup_diff_action_name(d->action), sup_diff_result_name(d->result));
    add_member(out, "reason", sup_reason_name(d->reason));
    sup_buf_add_byte(out, ',');
    add_member(out, "time", d->time_ms != 0 ? sup_time_format(d->time_ms, t) : "");
    sup_buf_add_byte(out, ',');
    add_member(out, "source", sup_diff_source_name(d->source));
    sup_buf_add_byte(out, ',');
    add_member(out, "error", d->error);
    sup_buf_add_byte(out, '}');
}

/* --- answers of any length --- */

/* What is written, in pieces: into the answer itself, or into its stream. */
struct writing {
    struct sup_service *service;
    char id[SUP_REPORT_ID_MAX + 1];
    struct sup_buf piece;
    struct sup_reply_stream *stream; /* NULL: piece is the whole answer */
    uint64_t left;                   /* differences that may still be written */
    bool any;
};

/* False when nobody reads any more, or it is too much. */
static bool pass_on(struct writing *w, bool end)
{
    bool ok = !w->piece.failed;

    if (!w->stream || (!end && w->piece.n < PIECE_BYTES))
        return ok;
    ok = ok && sup_reply_stream_write(w->stream, w->piece.p, w->piece.n);
    sup_buf_reset(&w->piece);
    return ok;
}

static void free_writing(void *arg)
{
    struct writing *w = arg;

    sup_buf_fini(&w->piece);
    free(w);
}

/* NULL when out of memory. */
static struct writing *writing_of(const struct sup_httpd_req *req, const char *id)
{
    struct writing *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    w->service = req->service;
    sup_text_copy(w->id, sizeof(w->id), id);
    w->left = SUP_JSON_DIFFERENCES_MAX;
    sup_buf_init(&w->piece, SUP_HTTPD_REPLY_MAX);
    return w;
}

/* Starts a stream that ends with w; on error req is answered. */
static void stream(struct sup_httpd_req *req, struct writing *w, const char *type,
                   void (*produce)(struct sup_reply_stream *, void *))
{
    if (sup_reply_stream_start(req, produce, free_writing, w) != SUP_OK) {
        free_writing(w);
        return;
    }
    req->status = MHD_HTTP_OK;
    req->type = type;
}

/* --- reports --- */

static void add_head(struct sup_buf *out, json_t *head)
{
    char *s = head ? json_dumps(head, JSON_COMPACT) : NULL;

    json_decref(head);
    /* All but the closing brace. */
    sup_buf_add(out, s ? s : "{", s ? strlen(s) - 1 : 1);
    free(s);
}

static bool write_difference(void *arg, const struct sup_difference *d)
{
    struct writing *w = arg;

    if (w->left == 0)
        return false;
    w->left--;
    if (w->any)
        sup_buf_add_byte(&w->piece, ',');
    w->any = true;
    add_difference(&w->piece, d);
    return pass_on(w, false);
}

/* All of the report but its head, which is written. */
static int write_report(struct writing *w, struct sup_err *err)
{
    struct sup_report r;
    int rc;

    sup_buf_add_str(&w->piece, ",\"differences\":[");
    rc = sup_service_report(w->service, w->id, &r, write_difference, w, err);
    sup_buf_add_str(&w->piece, "]}\n");
    return rc;
}

static void produce_report(struct sup_reply_stream *s, void *arg)
{
    struct writing *w = arg;
    struct sup_err err = {0};

    w->stream = s;
    if (write_report(w, &err) != SUP_OK || !pass_on(w, true)) {
        sup_log_warn("http", "a report was cut off", SUP_S("error", err.msg));
        sup_reply_stream_fail(s);
    }
}

void sup_json_report_answer(struct sup_httpd_req *req, const char *id)
{
    struct sup_report r;
    struct sup_err err = {0};
    struct writing *w;

    if (sup_service_report(req->service, id, &r, NULL, NULL, &err) != SUP_OK) {
        sup_httpd_fail(req, &err);
        return;
    }
    w = writing_of(req, r.id);
    if (!w) {
        sup_httpd_problem(req, MHD_HTTP_SERVICE_UNAVAILABLE, SUP_ENOMEM, "out of memory");
        return;
    }
    add_head(&w->piece, sup_json_report_head(&r));
    if (r.n_differences > STREAM_FROM) {
        stream(req, w, "application/json", produce_report);
        return;
    }
    if (write_report(w, &err) != SUP_OK) {
        sup_httpd_fail(req, &err);
    } else {
        req->status = MHD_HTTP_OK;
        req->type = "application/json";
        sup_buf_add_slice(&req->out, sup_buf_slice(&w->piece));
        if (w->piece.failed)
            req->out.failed = w->piece.failed;
    }
    free_writing(w);
}

/* --- the plan file --- */

struct planning {
    struct writing *w;
    uint64_t sum;
};

/* Sums up the line that begins at, and ends it. */
static bool end_line(struct planning *p, size_t at)
{
    struct sup_buf *out = &p->w->piece;

    sup_buf_add_byte(out, '\n');
    if (!out->failed)
        p->sum = sup_checksum64(p->sum, sup_slice_of(out->p + at, out->n - at));
    return pass_on(p->w, false);
}

static bool add_step(void *arg, const struct sup_difference *d)
{
    struct planning *p = arg;
    size_t at = p->w->piece.n;

    if (d->result != SUP_DIFF_PLANNED)
        return true;
    add_difference(&p->w->piece, d);
    bool ok = end_line(p, at);
    if (!p->w->stream) /* only the sum is wanted */
        sup_buf_reset(&p->w->piece);
    return ok;
}

static int write_plan(struct writing *w, uint64_t *sum, struct sup_err *err)
{
    struct planning p = {.w = w};
    const char *node = sup_service_node(w->service);
    struct sup_report r;
    char t[SUP_TIME_STR_MAX];
    int rc = sup_service_plan(w->service, w->id, &r, NULL, NULL, err);

    if (rc != SUP_OK)
        return rc;
    sup_buf_addf(&w->piece, "{\"supsync_plan\":1,\"id\":\"%s\",\"node\":", r.id);
    sup_json_string(&w->piece, node, strlen(node));
    sup_buf_add_str(&w->piece, ",\"region\":");
    sup_json_string(&w->piece, r.region, strlen(r.region));
    sup_buf_addf(&w->piece, ",\"time\":\"%s\"}", sup_time_format(r.finished_ms, t));
    (void)end_line(&p, 0);
    sup_text_copy(w->id, sizeof(w->id), r.id);
    rc = sup_service_plan(w->service, w->id, &r, add_step, &p, err);
    sup_buf_addf(&w->piece, "{\"checksum\":\"%016" PRIx64 "\"}\n", p.sum);
    *sum = p.sum;
    return rc;
}

static void produce_plan(struct sup_reply_stream *s, void *arg)
{
    struct writing *w = arg;
    struct sup_err err = {0};
    uint64_t sum;

    w->stream = s;
    if (write_plan(w, &sum, &err) != SUP_OK || !pass_on(w, true)) {
        sup_log_warn("http", "a plan was cut off", SUP_S("error", err.msg));
        sup_reply_stream_fail(s);
    }
}

void sup_json_plan_answer(struct sup_httpd_req *req, const char *id)
{
    struct sup_report r;
    struct sup_err err = {0};
    struct writing *w;

    if (sup_service_plan(req->service, id, &r, NULL, NULL, &err) != SUP_OK) {
        sup_httpd_fail(req, &err);
        return;
    }
    w = writing_of(req, r.id);
    if (w)
        stream(req, w, "application/x-ndjson", produce_plan);
    else
        sup_httpd_problem(req, MHD_HTTP_SERVICE_UNAVAILABLE, SUP_ENOMEM, "out of memory");
}

int sup_json_plan_sum(const struct sup_httpd_req *req, const char *id, uint64_t *sum,
                      struct sup_err *err)
{
    struct writing *w = writing_of(req, id);
    int rc = w ? write_plan(w, sum, err) : sup_err_set(err, SUP_ENOMEM, "out of memory");

    if (w)
        free_writing(w);
    return rc;
}

json_t *sup_json_fuse(const struct sup_fuse *f)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "state", sup_fuse_state_name(f->state),
                     "removals", number(f->removals), "listed", number(f->listed), "since",
                     time_of(f->since_ms), "report", text_or_null(f->run), "actor",
                     text_or_null(f->actor));
}
