/* Reconciliation: run it, read its reports, decide about its fuse. */
#include "http/json_report.h"
#include "http/routes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const no_params[] = {NULL};

/* A plan file that the client checked and that says what this agent planned. */
static void apply_plan(struct sup_httpd_req *req, const char *plan, const char *checksum)
{
    char id[SUP_REPORT_ID_MAX + 1];
    char have[17];
    struct sup_err err = {0};
    uint64_t sum = 0;
    int rc = sup_json_plan_sum(req, plan, &sum, &err);

    snprintf(have, sizeof(have), "%016" PRIx64, sum);
    if (rc == SUP_OK && strcmp(have, checksum) != 0)
        rc = sup_err_set(&err, SUP_EINPUT, "the file is not the plan %s of this agent", plan);
    if (rc == SUP_OK)
        rc = sup_service_reconcile_plan(req->service, plan, id, &err);
    if (rc == SUP_OK)
        sup_json_report_answer(req, id);
    else
        sup_httpd_fail(req, &err);
}

void sup_route_plan(struct sup_httpd_req *req)
{
    if (sup_httpd_req_only(req, no_params))
        sup_json_plan_answer(req, req->rest);
}

/* True: the body names a plan, and the request is answered. */
static bool take_plan(struct sup_httpd_req *req, const json_t *body)
{
    const char *plan = json_string_value(json_object_get(body, "plan"));
    const char *checksum = json_string_value(json_object_get(body, "checksum"));

    if (json_object_get(body, "plan") == NULL && json_object_get(body, "checksum") == NULL)
        return false;
    if (plan == NULL || checksum == NULL || json_object_size(body) != 2)
        sup_httpd_problem(req, MHD_HTTP_BAD_REQUEST, SUP_EINPUT,
                          "a plan is applied by \"plan\" and \"checksum\", two strings, alone");
    else
        apply_plan(req, plan, checksum);
    return true;
}

/* Waits for the end of the run, and answers with its report. */
void sup_route_reconcile(struct sup_httpd_req *req)
{
    static const char *const known[] = {"dry_run", "plan", "checksum", NULL};
    char id[SUP_REPORT_ID_MAX + 1];
    struct sup_err err = {0};
    json_t *body = NULL;
    bool dry = false;

    if (!sup_httpd_req_only(req, no_params))
        return;
    if (req->body.n > 0) {
        body = sup_httpd_req_json(req, known);
        if (body == NULL)
            return;
        if (take_plan(req, body)) {
            json_decref(body);
            return;
        }
        const json_t *v = json_object_get(body, "dry_run");
        dry = json_is_true(v);
        bool ok = v == NULL || json_is_boolean(v);
        json_decref(body);
        if (!ok) {
            sup_httpd_problem(req, MHD_HTTP_BAD_REQUEST, SUP_EINPUT,
                              "\"dry_run\" is not true or false");
            return;
        }
    }
    if (sup_service_reconcile(req->service, dry, id, &err) == SUP_OK)
        sup_json_report_answer(req, id);
    else
        sup_httpd_fail(req, &err);
}

void sup_route_report(struct sup_httpd_req *req)
{
    if (sup_httpd_req_only(req, no_params))
        sup_json_report_answer(req, req->rest);
}

static bool add_head(void *arg, const struct sup_report *r)
{
    json_array_append_new(arg, sup_json_report_head(r));
    return true;
}

void sup_route_reports(struct sup_httpd_req *req)
{
    struct sup_err err = {0};
    json_t *list;

    if (!sup_httpd_req_only(req, no_params))
        return;
    list = json_array();
    if (sup_service_reports(req->service, add_head, list, &err) == SUP_OK) {
        sup_httpd_json(req, MHD_HTTP_OK, json_pack("{s:o}", "reports", list));
    } else {
        sup_httpd_fail(req, &err);
        json_decref(list);
    }
}

static void answer_fuse(struct sup_httpd_req *req)
{
    struct sup_fuse f;

    sup_service_fuse(req->service, &f);
    sup_httpd_json(req, MHD_HTTP_OK, sup_json_fuse(&f));
}

void sup_route_fuse(struct sup_httpd_req *req)
{
    if (sup_httpd_req_only(req, no_params))
        answer_fuse(req);
}

void sup_route_fuse_decide(struct sup_httpd_req *req)
{
    static const char *const known[] = {"decision", "actor", NULL};
    struct sup_err err = {0};
    json_t *body = sup_httpd_req_only(req, no_params) ? sup_httpd_req_json(req, known) : NULL;

    if (body == NULL)
        return;
    const char *decision = json_string_value(json_object_get(body, "decision"));
    const char *actor = json_string_value(json_object_get(body, "actor"));
    bool confirm = decision != NULL && strcmp(decision, "confirm") == 0;
    if (decision == NULL || (!confirm && strcmp(decision, "decline") != 0))
        sup_httpd_problem(req, MHD_HTTP_BAD_REQUEST, SUP_EINPUT,
                          "\"decision\" is missing or unknown: use confirm or decline");
    else if (sup_service_fuse_decide(req->service, confirm, actor != NULL ? actor : req->token,
                                     &err) == SUP_OK)
        answer_fuse(req);
    else
        sup_httpd_fail(req, &err);
    json_decref(body);
}
