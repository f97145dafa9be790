#include "http/json_report.h"

#include "base/clock.h"
#include "codec/hash.h"
#include "http/json_out.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

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

json_t *sup_json_report_head(const struct sup_report *r)
{
    return json_pack(
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
}

static void add_member(struct sup_buf *out, const char *key, const char *value)
{
    sup_buf_addf(out, "\"%s\":", key);
    if (value[0])
        sup_json_string(out, value, strlen(value));
    else
        sup_buf_add_str(out, "null");
}

struct writing {
    struct sup_buf *out;
    bool any;
};

/* By hand: there may be a hundred thousand of them. */
static bool add_difference(void *arg, const struct sup_difference *d)
{
    struct writing *w = arg;
    char t[SUP_TIME_STR_MAX] = "";

    if (w->any)
        sup_buf_add_byte(w->out, ',');
    w->any = true;
    sup_buf_add_byte(w->out, '{');
    add_member(w->out, "address", d->address);
    sup_buf_add_byte(w->out, ',');
    add_member(w->out, "spelling", d->spelling);
    sup_buf_addf(w->out, ",\"kind\":\"%s\",\"cause\":\"%s\",\"action\":\"%s\",\"result\":\"%s\",",
                 sup_diff_kind_name(d->kind), sup_diff_cause_name(d->cause),
                 sup_diff_action_name(d->action), sup_diff_result_name(d->result));
    add_member(w->out, "reason", sup_reason_name(d->reason));
    sup_buf_add_byte(w->out, ',');
    add_member(w->out, "time", d->time_ms != 0 ? sup_time_format(d->time_ms, t) : "");
    sup_buf_add_byte(w->out, ',');
    add_member(w->out, "error", d->error);
    sup_buf_add_byte(w->out, '}');
    return !w->out->failed;
}

static void add_head(struct sup_buf *out, json_t *head)
{
    char *s = head ? json_dumps(head, JSON_COMPACT) : NULL;

    json_decref(head);
    /* All but the closing brace. */
    sup_buf_add(out, s ? s : "{", s ? strlen(s) - 1 : 1);
    free(s);
}

void sup_json_report_answer(struct sup_httpd_req *req, const char *id)
{
    struct sup_report r;
    struct sup_err err = {0};
    struct sup_buf list;
    struct writing w = {.out = &list};

    sup_buf_init(&list, SUP_HTTPD_REPLY_MAX);
    if (sup_service_report(req->service, id, &r, add_difference, &w, &err) != SUP_OK) {
        sup_httpd_fail(req, &err);
    } else {
        req->status = MHD_HTTP_OK;
        req->type = "application/json";
        add_head(&req->out, sup_json_report_head(&r));
        sup_buf_add_str(&req->out, ",\"differences\":[");
        sup_buf_add_slice(&req->out, sup_buf_slice(&list));
        sup_buf_add_str(&req->out, "]}\n");
        if (list.failed)
            req->out.failed = list.failed;
    }
    sup_buf_fini(&list);
}

/* --- the plan file --- */

struct planning {
    struct sup_buf *out;
    uint64_t sum;
};

/* Sums up the line that begins at, and ends it. */
static void end_line(struct planning *p, size_t at)
{
    sup_buf_add_byte(p->out, '\n');
    if (!p->out->failed)
        p->sum = sup_checksum64(p->sum, sup_slice_of(p->out->p + at, p->out->n - at));
}

static bool add_step(void *arg, const struct sup_difference *d)
{
    struct planning *p = arg;
    struct writing line = {.out = p->out};
    size_t at = p->out->n;

    if (d->result != SUP_DIFF_PLANNED)
        return true;
    add_difference(&line, d);
    end_line(p, at);
    return !p->out->failed;
}

int sup_json_plan(struct sup_service *s, const char *id, struct sup_buf *out, uint64_t *sum,
                  struct sup_err *err)
{
    struct planning p = {.out = out};
    char found[SUP_REPORT_ID_MAX + 1];
    struct sup_report r;
    char t[SUP_TIME_STR_MAX];
    int rc = sup_service_plan(s, id, &r, NULL, NULL, err);

    if (rc != SUP_OK)
        return rc;
    sup_buf_addf(out, "{\"supsync_plan\":1,\"id\":\"%s\",\"node\":", r.id);
    sup_json_string(out, sup_service_node(s), strlen(sup_service_node(s)));
    sup_buf_add_str(out, ",\"region\":");
    sup_json_string(out, r.region, strlen(r.region));
    sup_buf_addf(out, ",\"time\":\"%s\"}", sup_time_format(r.finished_ms, t));
    end_line(&p, 0);
    memcpy(found, r.id, sizeof(found));
    rc = sup_service_plan(s, found, &r, add_step, &p, err);
    sup_buf_addf(out, "{\"checksum\":\"%016" PRIx64 "\"}\n", p.sum);
    *sum = p.sum;
    return rc;
}

json_t *sup_json_fuse(const struct sup_fuse *f)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "state", sup_fuse_state_name(f->state),
                     "removals", number(f->removals), "listed", number(f->listed), "since",
                     time_of(f->since_ms), "report", text_or_null(f->run), "actor",
                     text_or_null(f->actor));
}
