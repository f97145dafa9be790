/* May I mail this address? Never "allow" without the store having said so. */
#include "http/json_out.h"
#include "http/routes.h"

#include <string.h>

enum outcome { ANSWERED, MALFORMED, UNANSWERED };

static enum outcome check(struct sup_httpd_req *req, const char *address, size_t n,
                          struct sup_check *out, struct sup_err *err)
{
    if (req->service == NULL) {
        memset(out, 0, sizeof(*out));
        out->verdict = SUP_UNKNOWN;
        out->since_ms = SUP_NO_TIME;
        out->why = "the agent is starting or stopping";
        return UNANSWERED;
    }
    int rc = sup_service_check(req->service, address, n, out, err);
    if (rc != SUP_OK)
        out->verdict = SUP_UNKNOWN;
    if (rc == SUP_EINPUT)
        return MALFORMED;
    return out->verdict == SUP_UNKNOWN ? UNANSWERED : ANSWERED;
}

void sup_route_check_one(struct sup_httpd_req *req)
{
    static const char *const known[] = {"address", NULL};
    struct sup_check c;
    struct sup_err err = {0};

    if (!sup_httpd_req_only(req, known))
        return;
    const struct sup_httpd_param *address = sup_httpd_req_param(req, "address");
    if (address == NULL) {
        sup_httpd_problem(req, MHD_HTTP_BAD_REQUEST, SUP_EINPUT, "give ?address=");
        return;
    }
    enum outcome o = check(req, address->value, address->value_len, &c, &err);
    if (o == MALFORMED) {
        sup_httpd_fail(req, &err);
        return;
    }
    req->status = o == ANSWERED ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    req->type = "application/json";
    sup_json_check(&req->out, address->value, address->value_len, &c,
                   err.code != SUP_OK ? err.msg : NULL);
    sup_buf_add_byte(&req->out, '\n');
}

static void check_each(struct sup_httpd_req *req, const json_t *addresses)
{
    size_t i;
    json_t *each;
    req->status = MHD_HTTP_OK;
    req->type = "application/json";
    sup_buf_add_str(&req->out, "{\"results\":[");
    json_array_foreach(addresses, i, each)
    {
        struct sup_check c;
        struct sup_err err = {0};
        const char *s = json_string_value(each);
        size_t n = json_string_length(each);
        if (check(req, s, n, &c, &err) == UNANSWERED)
            req->status = MHD_HTTP_SERVICE_UNAVAILABLE;
        if (i > 0)
            sup_buf_add_byte(&req->out, ',');
        sup_json_check(&req->out, s, n, &c, err.code != SUP_OK ? err.msg : NULL);
    }
    sup_buf_add_str(&req->out, "]}\n");
}

/* Results come in the order of the addresses. A malformed one is "unknown" with its reason and does
 * not spoil the others. */
void sup_route_check_many(struct sup_httpd_req *req)
{
    static const char *const none[] = {NULL};
    static const char *const known[] = {"addresses", NULL};
    size_t i;
    json_t *each;

    if (!sup_httpd_req_only(req, none))
        return;
    json_t *body = sup_httpd_req_json(req, known);
    if (body == NULL)
        return;
    const json_t *addresses = json_object_get(body, "addresses");
    size_t n = json_array_size(addresses);
    bool ok = json_is_array(addresses);
    if (ok) {
        json_array_foreach(addresses, i, each)
        {
            ok = ok && json_is_string(each);
        }
    }
    if (!ok)
        sup_httpd_problem(req, MHD_HTTP_BAD_REQUEST, SUP_EINPUT,
                          "\"addresses\" is not a list of strings");
    else if (n > SUP_HTTPD_BATCH_MAX)
        sup_httpd_problem(req, MHD_HTTP_CONTENT_TOO_LARGE, SUP_ELIMIT,
                          "%zu addresses are too many: send %d at a time", n, SUP_HTTPD_BATCH_MAX);
    else
        check_each(req, addresses);
    json_decref(body);
}
