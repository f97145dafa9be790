/* Who is a member of the mesh. */
#include "http/routes.h"
#include "service/members.h"

#include <jansson.h>
#include <string.h>

static const char *const no_params[] = {NULL};

/* False after having answered: the key holds something else. */
static bool flag_of(struct sup_httpd_req *req, const json_t *body, const char *key, bool *out)
{
    const json_t *v = json_object_get(body, key);

    *out = json_is_true(v);
    if (v == NULL || json_is_boolean(v))
        return true;
    sup_httpd_problem(req, MHD_HTTP_BAD_REQUEST, SUP_EINPUT, "\"%s\" is not true or false", key);
    return false;
}

static const char *text_of(const json_t *body, const char *key, const char *other)
{
    const char *s = json_string_value(json_object_get(body, key));
    return s != NULL && *s != '\0' ? s : other;
}

void sup_route_decommission(struct sup_httpd_req *req)
{
    static const char *const known[] = {"node", "actor", "note", "undo", "force", NULL};
    struct sup_err err = {0};
    json_t *body = sup_httpd_req_only(req, no_params) ? sup_httpd_req_json(req, known) : NULL;

    if (body == NULL)
        return;
    struct sup_member_ruling m = {
        .node = text_of(body, "node", ""),
        .actor = text_of(body, "actor", *req->token != '\0' ? req->token : "unknown"),
        .note = text_of(body, "note", "")};
    if (*m.node == '\0')
        sup_httpd_problem(req, MHD_HTTP_BAD_REQUEST, SUP_EINPUT, "\"node\" is missing: name it");
    else if (flag_of(req, body, "undo", &m.undo) && flag_of(req, body, "force", &m.force)) {
        if (sup_service_decommission(req->service, &m, &err) == SUP_OK)
            sup_httpd_json(req, MHD_HTTP_OK,
                           json_pack("{s:s, s:b}", "node", m.node, "member", m.undo));
        else
            sup_httpd_fail(req, &err);
    }
    json_decref(body);
}
