/* How the agent is: status, liveness, readiness, metrics. */
#include "base/metrics.h"
#include "http/json_out.h"
#include "http/routes.h"

#include <stdlib.h>

#define METRICS_MAX (16 * 1024 * 1024)

static const char *const no_params[] = {NULL};

/* On the heap: the struct is too large for the stacks of the server's threads. */
static struct sup_status *status_of(struct sup_httpd_req *req)
{
    struct sup_status *st = calloc(1, sizeof(*st));
    if (st != NULL)
        sup_service_status(req->service, st);
    else
        sup_httpd_problem(req, MHD_HTTP_SERVICE_UNAVAILABLE, SUP_ENOMEM, "out of memory");
    return st;
}

void sup_route_status(struct sup_httpd_req *req)
{
    if (!sup_httpd_req_only(req, no_params))
        return;
    struct sup_status *st = status_of(req);
    json_t *body = st != NULL ? sup_json_status(st) : NULL;
    if (st != NULL) {
        json_object_set_new(body, "join", sup_json_join(&st->join));
        json_object_set_new(body, "coverage", sup_json_coverage_status(st));
    }
    if (st != NULL)
        sup_httpd_json(req, MHD_HTTP_OK, body);
    free(st);
}

void sup_route_healthz(struct sup_httpd_req *req)
{
    sup_httpd_json(req, MHD_HTTP_OK, json_pack("{s:s}", "status", "alive"));
}

void sup_route_readyz(struct sup_httpd_req *req)
{
    if (req->service == NULL) {
        sup_httpd_json(req, MHD_HTTP_SERVICE_UNAVAILABLE,
                       json_pack("{s:b, s:[s]}", "ready", false, "reasons",
                                 "the agent is starting or stopping"));
        return;
    }
    struct sup_status *st = status_of(req);
    if (st == NULL)
        return;
    json_t *reasons = json_array();
    for (size_t i = 0; !st->ready && i < st->n_problems; i++)
        json_array_append_new(reasons, json_string(st->problems[i]));
    if (!st->ready && st->n_problems == 0)
        json_array_append_new(reasons, json_string("the node has not caught up yet"));
    sup_httpd_json(req, st->ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
                   json_pack("{s:b, s:o}", "ready", st->ready, "reasons", reasons));
    free(st);
}

void sup_route_metrics(struct sup_httpd_req *req)
{
    req->status = MHD_HTTP_OK;
    req->type = "text/plain; version=0.0.4; charset=utf-8";
    sup_metrics_write(&req->out);
}
