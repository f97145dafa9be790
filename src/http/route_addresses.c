/* One address: show, suppress, clear. */
#include "base/clock.h"
#include "http/json_out.h"
#include "http/routes.h"

#include <string.h>

static const char *const no_params[] = {NULL};

void sup_route_show(struct sup_httpd_req *req)
{
    struct sup_shown shown;
    struct sup_err err = {0};
    if (!sup_httpd_req_only(req, no_params))
        return;
    if (sup_service_show(req->service, req->rest, req->rest_len, &shown, &err) != SUP_OK) {
        sup_httpd_fail(req, &err);
        return;
    }
    sup_httpd_json(req, MHD_HTTP_OK, sup_json_shown(&shown));
    sup_shown_fini(&shown);
}

/* A string of the body: "" when absent, NULL after having answered 400. */
static const char *text_of(struct sup_httpd_req *req, const json_t *body, const char *key)
{
    const json_t *v = json_object_get(body, key);
    if (v == NULL || json_is_null(v))
        return "";
    if (!json_is_string(v)) {
        sup_httpd_problem(req, MHD_HTTP_BAD_REQUEST, SUP_EINPUT, "\"%s\" is not a string", key);
        return NULL;
    }
    return json_string_value(v);
}

/* What suppress and clear have in common. The texts live as long as body. */
static bool ruling_of(struct sup_httpd_req *req, const json_t *body, struct sup_ruling *r)
{
    memset(r, 0, sizeof(*r));
    r->address = req->rest;
    r->address_len = req->rest_len;
    r->note = text_of(req, body, "note");
    r->actor = r->note != NULL ? text_of(req, body, "actor") : NULL;
    if (r->note == NULL || r->actor == NULL)
        return false;
    if (*r->note == '\0') {
        sup_httpd_problem(req, MHD_HTTP_BAD_REQUEST, SUP_EINPUT,
                          "\"note\" is missing: say why, for those who ask later");
        return false;
    }
    if (*r->actor == '\0')
        r->actor = req->token;
    return true;
}

static bool suppress_of(struct sup_httpd_req *req, const json_t *body, struct sup_ruling *r)
{
    const char *reason = text_of(req, body, "reason");
    const char *expires = reason != NULL ? text_of(req, body, "expires") : NULL;
    if (reason == NULL || expires == NULL)
        return false;
    if (!sup_class_parse(reason, &r->cls)) {
        sup_httpd_problem(req, MHD_HTTP_BAD_REQUEST, SUP_EINPUT,
                          "\"reason\" is missing or unknown: use bounce, complaint or manual");
        return false;
    }
    if (*expires != '\0' &&
        (sup_duration_parse(expires, &r->expires_in_ms) != SUP_OK || r->expires_in_ms <= 0)) {
        sup_httpd_problem(req, MHD_HTTP_BAD_REQUEST, SUP_EINPUT,
                          "\"expires\" is not a duration: use such as 12h or 30d");
        return false;
    }
    return true;
}

static void answer(struct sup_httpd_req *req, const char *result)
{
    struct sup_address a;
    struct sup_err err;
    const char *key = req->rest;
    if (sup_address_parse(req->rest, req->rest_len, &a, &err) == SUP_OK)
        key = a.key;
    sup_httpd_json(req, MHD_HTTP_OK, json_pack("{s:s, s:s}", "address", key, "result", result));
}

void sup_route_suppress(struct sup_httpd_req *req)
{
    static const char *const known[] = {"reason", "note", "actor", "expires", NULL};
    struct sup_ruling r;
    struct sup_err err = {0};
    json_t *body = sup_httpd_req_only(req, no_params) ? sup_httpd_req_json(req, known) : NULL;

    if (body == NULL)
        return;
    if (ruling_of(req, body, &r) && suppress_of(req, body, &r)) {
        if (sup_service_suppress(req->service, &r, &err) == SUP_OK)
            answer(req, "suppressed");
        else
            sup_httpd_fail(req, &err);
    }
    json_decref(body);
}

void sup_route_clear(struct sup_httpd_req *req)
{
    static const char *const known[] = {"note", "actor", "force", NULL};
    struct sup_ruling r;
    struct sup_err err = {0};
    json_t *body = sup_httpd_req_only(req, no_params) ? sup_httpd_req_json(req, known) : NULL;

    if (body == NULL)
        return;
    if (ruling_of(req, body, &r)) {
        const json_t *force = json_object_get(body, "force");
        r.force = json_is_true(force);
        if (force != NULL && !json_is_boolean(force))
            sup_httpd_problem(req, MHD_HTTP_BAD_REQUEST, SUP_EINPUT,
                              "\"force\" is not true or false");
        else if (sup_service_clear(req->service, &r, &err) == SUP_OK)
            answer(req, "cleared");
        else
            sup_httpd_fail(req, &err);
    }
    json_decref(body);
}
