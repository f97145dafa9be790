#ifndef SUP_HTTP_ROUTES_H
#define SUP_HTTP_ROUTES_H

#include "http/request.h"

/* What a route does and what it needs. Routes of the same path stand together in the table. */
struct sup_route {
    const char *method;
    const char *path;
    void (*run)(struct sup_httpd_req *req);
    bool prefix; /* path ends with "/", and what follows it is the argument */
    bool open;   /* needs no token */
    bool early;  /* copes without a service; others answer 503 until there is one */
    bool slow;   /* reads much of the store: gets a thread of its own */
    bool large;  /* takes bodies of up to SUP_HTTPD_LARGE_MAX when Content-Length announces them */
};

/* Finds the route for req->path and decodes req->rest. NULL after having answered 404, 405 or 400.
 * Returns the route of GET for HEAD. */
const struct sup_route *sup_route_find(struct sup_httpd_req *req, const char *method);

#define SUP_HTTPD_BATCH_MAX 10000 /* addresses in one POST /v1/check */
#define SUP_HTTPD_PAGE      1000  /* rows of GET /v1/addresses unless told */
#define SUP_HTTPD_PAGE_MAX  10000

void sup_route_check_one(struct sup_httpd_req *req);
void sup_route_check_many(struct sup_httpd_req *req);
void sup_route_show(struct sup_httpd_req *req);
void sup_route_suppress(struct sup_httpd_req *req);
void sup_route_clear(struct sup_httpd_req *req);
void sup_route_list(struct sup_httpd_req *req);
void sup_route_reconcile(struct sup_httpd_req *req);
void sup_route_reports(struct sup_httpd_req *req);
void sup_route_report(struct sup_httpd_req *req);
void sup_route_plan(struct sup_httpd_req *req);
void sup_route_regions(struct sup_httpd_req *req);
void sup_route_coverage(struct sup_httpd_req *req);
void sup_route_fuse(struct sup_httpd_req *req);
void sup_route_fuse_decide(struct sup_httpd_req *req);
void sup_route_events(struct sup_httpd_req *req);
void sup_route_event_log(struct sup_httpd_req *req);
void sup_route_rates(struct sup_httpd_req *req);
void sup_route_soft(struct sup_httpd_req *req);
void sup_route_soft_claim(struct sup_httpd_req *req);
void sup_route_soft_ack(struct sup_httpd_req *req);
void sup_route_decommission(struct sup_httpd_req *req);
void sup_route_status(struct sup_httpd_req *req);
void sup_route_healthz(struct sup_httpd_req *req);
void sup_route_readyz(struct sup_httpd_req *req);
void sup_route_metrics(struct sup_httpd_req *req);

#endif
