#include "http/routes.h"
#include "service/rates.h"

#include <stdlib.h>
#include <string.h>

#define ROWS_DEFAULT 20
#define ROWS_MAX     1000

static const char note[] =
    "An estimate: SES does not tell its representative volume, leaves out mail to verified "
    "domains, and hears of complaints that are never published. Left out: soft bounces, hits of "
    "the account's own list, the mailbox simulator. CloudWatch's Reputation metrics are the truth.";

static json_int_t number(const struct sup_rate_counts *c, enum sup_rate_what what)
{
    return (json_int_t)c->n[what];
}

static json_t *window_json(const struct sup_rate_counts *c, const struct sup_rate_window *w)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:f, s:f, s:b, s:{s:I, s:I, s:I, s:I}}", "sends",
                     number(c, SUP_RATE_SENDS), "bounces", number(c, SUP_RATE_BOUNCES),
                     "complaints", number(c, SUP_RATE_COMPLAINTS), "global_list",
                     number(c, SUP_RATE_GLOBAL), "bounce_rate", sup_rate_bounces(c),
                     "complaint_rate", sup_rate_complaints(c), "full",
                     (int)(w->minutes > 0 || c->n[SUP_RATE_SENDS] >= w->sends), "excluded", "soft",
                     number(c, SUP_RATE_SOFT), "own_list", number(c, SUP_RATE_ECHOES), "simulator",
                     number(c, SUP_RATE_SIMULATOR), "other", number(c, SUP_RATE_OTHER));
}

static json_t *row_json(const struct sup_rate_row *r)
{
    json_t *windows = json_object();

    for (size_t i = 0; i < SUP_RATE_WINDOWS; i++)
        json_object_set_new(windows, sup_rate_windows[i].name,
                            window_json(&r->view.window[i], &sup_rate_windows[i]));
    /* s? : a name that was cut may not be UTF-8 any more. */
    json_t *name = json_string(r->name);
    return json_pack("{s:s, s:o, s:s, s:s, s:o}", "kind", sup_rate_kind_name(r->kind), "name",
                     name != NULL ? name : json_null(), "bounce_level",
                     sup_rate_level_name(r->bounces), "complaint_level",
                     sup_rate_level_name(r->complaints), "windows", windows);
}

static bool limit_of(struct sup_httpd_req *req, size_t *out)
{
    const struct sup_httpd_param *p = sup_httpd_req_param(req, "limit");
    char *end;

    *out = ROWS_DEFAULT;
    if (p == NULL)
        return true;
    unsigned long v = strtoul(p->value, &end, 10);
    if (p->value[0] >= '0' && p->value[0] <= '9' && *end == '\0' && v > 0 && v <= ROWS_MAX) {
        *out = v;
        return true;
    }
    sup_httpd_problem(req, MHD_HTTP_BAD_REQUEST, SUP_EINPUT, "\"limit\": use 1 to %d", ROWS_MAX);
    return false;
}

void sup_route_rates(struct sup_httpd_req *req)
{
    static const char *const known[] = {"domains", "limit", NULL};
    const struct sup_httpd_param *domains = sup_httpd_req_param(req, "domains");
    struct sup_rate_row *rows = NULL;
    struct sup_err err = {0};
    size_t n = 0, limit;

    if (!sup_httpd_req_only(req, known) || !limit_of(req, &limit))
        return;
    bool all = domains != NULL && strcmp(domains->value, "true") == 0;
    if (sup_service_rates(req->service, all ? SUP_RATE_DOMAIN : SUP_RATE_IDENTITY, limit, &rows, &n,
                          &err) != SUP_OK) {
        sup_httpd_fail(req, &err);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, row_json(&rows[i]));
    free(rows);
    sup_httpd_json(req, MHD_HTTP_OK,
                   json_pack("{s:b, s:s, s:o}", "estimate", 1, "note", note, "rates", list));
}
