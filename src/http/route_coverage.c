/* Whether an entry of the list protects: for the account and for each configuration set. */
#include "http/routes.h"
#include "service/coverage.h"

struct answer {
    json_t *sets, *gaps, *notes;
};

static json_t *reasons_of(unsigned reasons)
{
    json_t *list = json_array();
    if (reasons & SUP_COVERS_BOUNCE)
        json_array_append_new(list, json_string("BOUNCE"));
    if (reasons & SUP_COVERS_COMPLAINT)
        json_array_append_new(list, json_string("COMPLAINT"));
    return list;
}

static void add_set(void *arg, const struct sup_coverage_set *c)
{
    struct answer *a = arg;
    json_array_append_new(a->sets,
                          json_pack("{s:s, s:b, s:o, s:s*}", "name", c->name, "overrides",
                                    c->overrides, "suppressed_reasons", reasons_of(c->reasons),
                                    "scope", c->scope[0] ? c->scope : NULL));
}

static void add_gap(void *arg, const char *text)
{
    struct answer *a = arg;
    json_array_append_new(a->gaps, json_string(text));
}

static void add_note(void *arg, const char *text)
{
    struct answer *a = arg;
    json_array_append_new(a->notes, json_string(text));
}

void sup_route_coverage(struct sup_httpd_req *req)
{
    static const char *const none[] = {NULL};
    struct answer a = {json_array(), json_array(), json_array()};
    struct sup_coverage_account account;
    struct sup_err err = {0};

    if (sup_httpd_req_only(req, none)) {
        if (sup_service_coverage(req->service, &account, add_set, add_gap, add_note, &a, &err) ==
            SUP_OK)
            sup_httpd_json(req, MHD_HTTP_OK,
                           json_pack("{s:b, s:{s:b, s:b, s:s, s:o}, s:O, s:O, s:O}", "covered",
                                     json_array_size(a.gaps) == 0, "account", "sending_enabled",
                                     account.sending_enabled, "production_access",
                                     account.production_access, "enforcement_status",
                                     account.enforcement_status, "suppressed_reasons",
                                     reasons_of(account.reasons), "configuration_sets", a.sets,
                                     "gaps", a.gaps, "notes", a.notes));
        else
            sup_httpd_problem(req, MHD_HTTP_SERVICE_UNAVAILABLE, err.code, "%s", err.msg);
    }
    json_decref(a.sets);
    json_decref(a.gaps);
    json_decref(a.notes);
}
