/* GET /v1/regions: every Region of the mesh, for reports over all of them. */
#include "base/clock.h"
#include "http/json_report.h"
#include "http/routes.h"
#include "service/regions.h"

#include <stdlib.h>

/* A peer that is there answers in a round trip; one that is not must not hold up the page. */
#define WAIT_MS     3000
#define REGIONS_MAX (1 + SUP_STATUS_PEERS_MAX)

static const char *const no_params[] = {NULL};

static json_t *time_of(int64_t ms)
{
    char s[SUP_TIME_STR_MAX];

    return ms == SUP_NO_TIME || ms == 0 ? json_null() : json_string(sup_time_format(ms, s));
}

static json_t *number(uint64_t v)
{
    return json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v);
}

/* By the node's status; what it never compared with the list is not known to be converged. */
static bool is_converged(const struct sup_region_view *v)
{
    const struct sup_summary *s = &v->summary;

    return v->known && s->converged && s->has_report;
}

static const char *state_of(const struct sup_region_view *v)
{
    return !v->known ? "unknown" : is_converged(v) ? "converged" : "not converged";
}

static json_t *problems_of(const struct sup_summary *s)
{
    json_t *list = json_array();

    for (size_t i = 0; i < s->n_problems; i++)
        json_array_append_new(list, json_string(s->problems[i]));
    return list;
}

static json_t *view_of(const struct sup_region_view *v)
{
    const struct sup_summary *s = &v->summary;
    bool ever = v->heard_ms != SUP_NO_TIME;
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:b, s:o}", "node", v->node, "region", v->region, "state",
                  state_of(v), "connected", v->connected, "heard", time_of(v->heard_ms));

    json_object_set_new(o, "mode", ever ? json_string(s->mode) : json_null());
    json_object_set_new(o, "healthy", v->known ? json_boolean(s->healthy) : json_null());
    json_object_set_new(
        o, "outbox",
        ever ? json_pack("{s:o, s:o}", "pending", number(s->pending), "failing", number(s->failing))
             : json_null());
    json_object_set_new(o, "problems", problems_of(s));
    json_object_set_new(o, "last_run",
                        s->has_report ? sup_json_report_head(&s->report) : json_null());
    json_object_set_new(o, "error", v->error[0] ? json_string(v->error) : json_null());
    return o;
}

/* The oldest scan is none at all when a Region has none, or is not known to have one. */
static json_t *mesh_of(const struct sup_region_view *views, size_t n)
{
    json_t *list = json_array();
    int64_t oldest = INT64_MAX;
    uint64_t pending = 0;
    int unknown = 0;
    bool converged = true;

    for (size_t i = 0; i < n; i++) {
        const struct sup_summary *s = &views[i].summary;
        int64_t scan = s->has_report ? s->report.finished_ms : 0;
        oldest = scan < oldest ? scan : oldest;
        pending += s->pending;
        unknown += !views[i].known;
        converged = converged && is_converged(&views[i]);
        json_array_append_new(list, view_of(&views[i]));
    }
    return json_pack("{s:s, s:o, s:b, s:o, s:o, s:i, s:o}", "node", views[0].node, "asked",
                     time_of(sup_wall_ms()), "converged", converged, "oldest_scan", time_of(oldest),
                     "pending", number(pending), "unknown", unknown, "regions", list);
}

void sup_route_regions(struct sup_httpd_req *req)
{
    struct sup_region_view *views;

    if (!sup_httpd_req_only(req, no_params))
        return;
    views = calloc(REGIONS_MAX, sizeof(*views));
    if (views) {
        size_t n = sup_service_regions(req->service, WAIT_MS, views, REGIONS_MAX);
        sup_httpd_json(req, MHD_HTTP_OK, mesh_of(views, n));
    } else {
        sup_httpd_problem(req, MHD_HTTP_SERVICE_UNAVAILABLE, SUP_ENOMEM, "out of memory");
    }
    free(views);
}
