/* Where an entry of the list protects: for the account, each configuration set, each tenant. */
#include "base/clock.h"
#include "http/json_report.h"
#include "http/routes.h"
#include "service/coverage.h"

#include <string.h>

static json_t *own_reasons(const struct sup_suppression *s)
{
    return s->given && s->has_reasons ? sup_json_reasons(s->reasons) : json_null();
}

static const char *scope_name(enum sup_scope scope)
{
    return scope == SUP_SCOPE_TENANT ? "TENANT" : scope == SUP_SCOPE_OTHER ? "unknown" : "ACCOUNT";
}

/* overrides: the reasons are its own. What SES did not tell is null. */
static json_t *item_of(const struct sup_coverage_item *i)
{
    const struct sup_effective *e = &i->effective;
    json_t *o = json_pack("{s:s}", "name", i->name);

    json_object_set_new(o, "overrides",
                        i->unread ? json_null()
                                  : json_boolean(e->reasons_from != SUP_LEVEL_ACCOUNT));
    json_object_set_new(o, "own_reasons", i->unread ? json_null() : own_reasons(&i->own));
    json_object_set_new(o, "suppressed_reasons",
                        i->unread || !e->reasons_known ? json_null()
                                                       : sup_json_reasons(e->reasons));
    json_object_set_new(o, "scope", i->unread ? json_null() : json_string(scope_name(e->scope)));
    json_object_set_new(o, "covered",
                        i->unread ? json_null() : json_boolean(sup_coverage_gaps(e) == 0));
    return o;
}

/* null: not known. */
static json_t *items_of(const struct sup_coverage_items *list, bool tenants)
{
    json_t *a = list->known || list->n > 0 ? json_array() : json_null();

    for (size_t i = 0; i < list->n; i++) {
        json_t *o = item_of(&list->items[i]);
        if (tenants)
            json_object_set_new(o, "sending", json_boolean(list->items[i].sending));
        json_array_append_new(a, o);
    }
    return a;
}

/* All texts of a kind; after a restart only the first are known. */
static json_t *texts_of(const struct sup_coverage *c, int kind,
                        const struct sup_coverage_texts *first)
{
    json_t *a = json_array();

    for (size_t i = 0; i < c->n_texts[kind]; i++)
        json_array_append_new(a, json_string(c->texts[kind][i]));
    for (size_t i = 0; c->partial && i < first->n; i++)
        json_array_append_new(a, json_string(first->text[i]));
    return a;
}

static json_t *changes_of(const struct sup_coverage *c)
{
    json_t *a = json_array();
    char t[SUP_TIME_STR_MAX];

    for (size_t i = 0; i < c->n_changes; i++) {
        const struct sup_coverage_change *x = &c->changes[i];
        json_array_append_new(a, json_pack("{s:s, s:o, s:o, s:s}", "time",
                                           sup_time_format(x->time_ms, t), "before",
                                           sup_json_reasons(x->before), "after",
                                           sup_json_reasons(x->after), "text", x->text));
    }
    return a;
}

static json_t *answer_of(const struct sup_coverage *c)
{
    json_t *o = sup_json_coverage(&c->brief);

    json_object_set_new(o, "covered", json_boolean(c->brief.state == SUP_COVERAGE_COVERED));
    json_object_set_new(o, "age_seconds",
                        json_real((double)(sup_wall_ms() - c->brief.checked_ms) / 1000.0));
    json_object_set_new(o, "configuration_sets", items_of(&c->sets, false));
    json_object_set_new(o, "tenants", items_of(&c->tenants, true));
    json_object_set_new(o, "gaps", texts_of(c, SUP_COVERAGE_GAP_TEXTS, &c->brief.gaps));
    json_object_set_new(o, "unknown", texts_of(c, SUP_COVERAGE_UNKNOWN_TEXTS, &c->brief.unknown));
    json_object_set_new(o, "notes", texts_of(c, SUP_COVERAGE_NOTE_TEXTS, &c->brief.notes));
    json_object_set_new(o, "changes", changes_of(c));
    return o;
}

void sup_route_coverage(struct sup_httpd_req *req)
{
    static const char *const params[] = {"cached", NULL};
    struct sup_coverage *c = NULL;
    struct sup_err err = {0};

    if (!sup_httpd_req_only(req, params))
        return;
    const struct sup_httpd_param *cached = sup_httpd_req_param(req, "cached");
    bool fresh = cached == NULL || strcmp(cached->value, "true") != 0;
    if (sup_service_coverage(req->service, fresh, &c, &err) == SUP_OK)
        sup_httpd_json(req, MHD_HTTP_OK, answer_of(c));
    else
        sup_httpd_problem(req, MHD_HTTP_SERVICE_UNAVAILABLE, err.code, "%s", err.msg);
    sup_coverage_drop(c);
}
