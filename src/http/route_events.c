/* Archived events, documents in a row: what SQS and SNS brought to others, from files. */
#include "http/routes.h"
#include "service/sources.h"

#include <string.h>

/* Types that this version does not know, and what is no event, stand under these names, too. */
static json_t *count_types(const struct sup_event_tally *t)
{
    json_t *o = json_object();

    for (int i = 0; i < SUP_EVENT_KINDS; i++)
        if (t->events[i] > 0)
            json_object_set_new(o, sup_event_type_name((enum sup_event_type)i),
                                json_integer((json_int_t)t->events[i]));
    return o;
}

static json_t *count_verdicts(const struct sup_event_tally *t)
{
    json_t *o = json_object();

    for (int i = 0; i < SUP_VERDICT_KINDS; i++)
        if (t->verdicts[i] > 0)
            json_object_set_new(o, sup_verdict_kind_name((enum sup_verdict_kind)i),
                                json_integer((json_int_t)t->verdicts[i]));
    return o;
}

static void answer(void *arg, const struct sup_event_job *job)
{
    struct sup_httpd_req *req = arg;
    const struct sup_event_tally *t = sup_event_job_tally(job);
    size_t n = sup_event_job_documents(job);
    json_t *outcomes = sup_httpd_req_param(req, "outcomes") == NULL ? json_array() : NULL;
    json_t *refused = json_array();

    for (size_t i = 0; i < n; i++) {
        struct sup_event_document d = sup_event_job_document(job, i);
        if (outcomes != NULL)
            json_array_append_new(outcomes, json_string(sup_event_outcome_name(d.outcome)));
        if (d.outcome != SUP_OUTCOME_REFUSED)
            continue;
        /* s? gives null for what is not UTF-8. */
        json_array_append_new(refused, json_pack("{s:I, s:I, s:s?}", "index", (json_int_t)i,
                                                 "offset", (json_int_t)d.offset, "error", d.why));
    }
    json_t *o = json_pack(
        "{s:I, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:o}", "documents", (json_int_t)n, "events",
        count_types(t), "verdicts", count_verdicts(t), "suppressed", (json_int_t)t->suppressed,
        "cleared", (json_int_t)t->cleared, "duplicates", (json_int_t)t->duplicates, "older",
        (json_int_t)t->older, "unreadable", (json_int_t)t->unparsable, "refused", refused);
    if (outcomes != NULL)
        json_object_set_new(o, "outcomes", outcomes);
    sup_httpd_json(req, MHD_HTTP_OK, o);
}

void sup_route_events(struct sup_httpd_req *req)
{
    static const char *const params[] = {"outcomes", NULL};
    const struct sup_httpd_param *outcomes;
    struct sup_err err = {0};

    if (!sup_httpd_req_only(req, params))
        return;
    outcomes = sup_httpd_req_param(req, "outcomes");
    if (outcomes != NULL && strcmp(outcomes->value, "no") != 0) {
        sup_httpd_problem(req, MHD_HTTP_BAD_REQUEST, SUP_EINPUT,
                          "outcomes: only \"no\", for who does not want one a document");
        return;
    }
    if (req->body.n == 0) {
        sup_httpd_problem(req, MHD_HTTP_BAD_REQUEST, SUP_EINPUT,
                          "the body is empty: send JSON documents in a row");
        return;
    }
    if (sup_service_backfill(req->service, sup_buf_slice(&req->body), answer, req, &err) == SUP_OK)
        return;
    sup_httpd_fail(req, &err);
    if (sup_code_is_transient(err.code))
        req->retry_after_s = 1;
}
