#include "http/routes.h"

#include <string.h>

static const struct sup_route routes[] = {
    {"GET", "/v1/check", sup_route_check_one, .early = true},
    {"POST", "/v1/check", sup_route_check_many, .early = true},
    {"GET", "/v1/addresses", sup_route_list, .slow = true},
    {"GET", "/v1/addresses/", sup_route_show, .prefix = true},
    {"PUT", "/v1/addresses/", sup_route_suppress, .prefix = true},
    {"DELETE", "/v1/addresses/", sup_route_clear, .prefix = true},
    {"POST", "/v1/reconcile", sup_route_reconcile, .slow = true},
    {"GET", "/v1/reports", sup_route_reports, .slow = true},
    {"GET", "/v1/reports/", sup_route_report, .prefix = true, .slow = true},
    {"GET", "/v1/plans/", sup_route_plan, .prefix = true, .slow = true},
    {"GET", "/v1/regions", sup_route_regions, .slow = true},
    {"GET", "/v1/coverage", sup_route_coverage, .slow = true},
    {"GET", "/v1/fuse", sup_route_fuse, .prefix = false},
    {"POST", "/v1/fuse", sup_route_fuse_decide, .slow = true},
    {"POST", "/v1/events", sup_route_events, .slow = true, .large = true},
    {"GET", "/v1/events", sup_route_event_log, .slow = true},
    {"GET", "/v1/rates", sup_route_rates, .slow = true},
    {"GET", "/v1/soft", sup_route_soft, .slow = true},
    {"POST", "/v1/soft/claim", sup_route_soft_claim, .slow = true},
    {"POST", "/v1/soft/ack", sup_route_soft_ack, .slow = true},
    {"POST", "/v1/decommission", sup_route_decommission, .slow = true},
    {"GET", "/v1/status", sup_route_status, .prefix = false},
    {"GET", "/healthz", sup_route_healthz, .open = true, .early = true},
    {"GET", "/readyz", sup_route_readyz, .open = true, .early = true},
    {"GET", "/metrics", sup_route_metrics, .early = true},
};
#define N_ROUTES (sizeof(routes) / sizeof(routes[0]))

static bool path_matches(const struct sup_route *r, const char *path)
{
    size_t n = strlen(r->path);
    return r->prefix ? strncmp(path, r->path, n) == 0 && path[n] != '\0'
                     : strcmp(path, r->path) == 0;
}

/* The Allow header of RFC 9110 section 10.2.1; HEAD goes wherever GET does. */
static void list_methods(struct sup_httpd_req *req)
{
    for (size_t i = 0; i < N_ROUTES; i++) {
        if (path_matches(&routes[i], req->path))
            sup_buf_addf(&req->allow, "%s%s", req->allow.n > 0 ? ", " : "",
                         strcmp(routes[i].method, "GET") == 0 ? "GET, HEAD" : routes[i].method);
    }
}

/* Decodes the argument in place. The path's bytes are ours: they belong to req->target. */
static bool take_rest(struct sup_httpd_req *req, const struct sup_route *r)
{
    if (!r->prefix)
        return true;
    char *rest = req->target + (req->path - req->target) + strlen(r->path);
    req->rest_len = strlen(rest);
    if (sup_percent_decode(rest, &req->rest_len) != SUP_OK) {
        sup_httpd_problem(req, MHD_HTTP_BAD_REQUEST, SUP_EINPUT,
                          "bad percent encoding in the path: use %%XX, and no %%00");
        return false;
    }
    rest[req->rest_len] = '\0';
    req->rest = rest;
    return true;
}

const struct sup_route *sup_route_find(struct sup_httpd_req *req, const char *method)
{
    bool known = false;
    if (strcmp(method, "HEAD") == 0)
        method = "GET";
    for (size_t i = 0; i < N_ROUTES; i++) {
        if (!path_matches(&routes[i], req->path))
            continue;
        known = true;
        if (strcmp(routes[i].method, method) == 0)
            return take_rest(req, &routes[i]) ? &routes[i] : NULL;
    }
    if (!known) {
        sup_httpd_problem(req, MHD_HTTP_NOT_FOUND, SUP_ENOTFOUND, "no such route");
        return NULL;
    }
    sup_httpd_problem(req, MHD_HTTP_METHOD_NOT_ALLOWED, SUP_EINPUT,
                      "this route does not know that "
                      "method");
    list_methods(req);
    return NULL;
}
