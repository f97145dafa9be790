#include "http/request.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sup_httpd_req *sup_httpd_req_new(struct sup_httpd *server, bool tcp, const char *target)
{
    struct sup_httpd_req *req = calloc(1, sizeof(*req));
    if (req == NULL)
        return NULL;
    req->target = strdup(target);
    if (req->target == NULL) {
        free(req);
        return NULL;
    }
    req->server = server;
    req->tcp = tcp;
    req->rest = "";
    req->token = "";
    req->path = req->target;
    sup_buf_init(&req->body, SUP_HTTPD_BODY_MAX);
    sup_buf_init(&req->out, SUP_HTTPD_REPLY_MAX);
    sup_buf_init(&req->allow, 100);
    return req;
}

void sup_httpd_req_free(struct sup_httpd_req *req)
{
    if (req == NULL)
        return;
    sup_buf_fini(&req->body);
    sup_buf_fini(&req->out);
    sup_buf_fini(&req->allow);
    free(req->target);
    free(req);
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int sup_percent_decode(char *s, size_t *n)
{
    size_t to = 0;
    for (size_t i = 0; i < *n; i++) {
        char c = s[i];
        if (c == '%') {
            int high = *n - i < 3 ? -1 : hex(s[i + 1]);
            int low = high < 0 ? -1 : hex(s[i + 2]);
            if (low < 0)
                return SUP_EINPUT;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == '\0')
            return SUP_EINPUT;
        s[to++] = c;
    }
    *n = to;
    return SUP_OK;
}

static int add_param(struct sup_httpd_req *req, char *text, struct sup_err *err)
{
    char *eq = strchr(text, '=');
    char *value = eq != NULL ? eq + 1 : text + strlen(text);
    size_t name_len = eq != NULL ? (size_t)(eq - text) : strlen(text);
    size_t value_len = strlen(value);

    if (name_len == 0)
        return sup_err_set(err, SUP_EINPUT, "a query parameter has no name");
    if (req->n_params == SUP_HTTPD_PARAMS_MAX)
        return sup_err_set(err, SUP_EINPUT, "more than %d query parameters", SUP_HTTPD_PARAMS_MAX);
    if (sup_percent_decode(text, &name_len) != SUP_OK ||
        sup_percent_decode(value, &value_len) != SUP_OK)
        return sup_err_set(err, SUP_EINPUT,
                           "bad percent encoding in the query: use %%XX, and no %%00");
    text[name_len] = '\0';
    value[value_len] = '\0';
    if (sup_httpd_req_param(req, text) != NULL)
        return sup_err_set(err, SUP_EINPUT, "a query parameter is given twice");
    req->params[req->n_params++] =
        (struct sup_httpd_param){.name = text, .value = value, .value_len = value_len};
    return SUP_OK;
}

int sup_httpd_req_parse(struct sup_httpd_req *req, struct sup_err *err)
{
    char *query = strchr(req->target, '?');
    if (req->target[0] != '/')
        return sup_err_set(err, SUP_EINPUT, "the request target does not begin with \"/\"");
    if (query == NULL)
        return SUP_OK;
    *query++ = '\0';
    while (*query != '\0') {
        char *end = query + strcspn(query, "&");
        bool last = *end == '\0';
        *end = '\0';
        if (end > query) {
            int rc = add_param(req, query, err);
            if (rc != SUP_OK)
                return rc;
        }
        query = last ? end : end + 1;
    }
    return SUP_OK;
}

const struct sup_httpd_param *sup_httpd_req_param(const struct sup_httpd_req *req, const char *name)
{
    for (size_t i = 0; i < req->n_params; i++) {
        if (strcmp(req->params[i].name, name) == 0)
            return &req->params[i];
    }
    return NULL;
}

static bool is_known(const char *const *known, const char *name)
{
    for (; *known != NULL; known++) {
        if (strcmp(*known, name) == 0)
            return true;
    }
    return false;
}

/* For error texts. */
static void join(const char *const *known, struct sup_buf *out)
{
    sup_buf_init(out, 300);
    for (; *known != NULL; known++)
        sup_buf_addf(out, "%s%s", out->n > 0 ? ", " : "", *known);
}

bool sup_httpd_req_only(struct sup_httpd_req *req, const char *const *known)
{
    for (size_t i = 0; i < req->n_params; i++) {
        if (is_known(known, req->params[i].name))
            continue;
        struct sup_buf names;
        join(known, &names);
        sup_httpd_problem(req, MHD_HTTP_BAD_REQUEST, SUP_EINPUT, "unknown query parameter%s%s",
                          names.n > 0 ? ": use one of " : ": this route takes none",
                          sup_buf_str(&names));
        sup_buf_fini(&names);
        return false;
    }
    return true;
}

/* A web page of another site can send a form or plain text to a port of this machine, but not
 * application/json without asking first (Fetch standard, "CORS-safelisted request-header"). */
static bool is_json_type(struct sup_httpd_req *req)
{
    static const char want[] = "application/json";
    const char *type =
        MHD_lookup_connection_value(req->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
    if (type == NULL || strncasecmp(type, want, sizeof(want) - 1) != 0)
        return false;
    type += sizeof(want) - 1;
    return *type == '\0' || *type == ';' || *type == ' ';
}

json_t *sup_httpd_req_json(struct sup_httpd_req *req, const char *const *known)
{
    json_error_t where;
    const char *name;
    json_t *value;

    if (!is_json_type(req)) {
        sup_httpd_problem(req, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, SUP_EINPUT,
                          "send the body as JSON with Content-Type: application/json");
        return NULL;
    }
    json_t *body = json_loadb(req->body.n > 0 ? (const char *)req->body.p : "", req->body.n,
                              JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(body)) {
        json_decref(body);
        sup_httpd_problem(req, MHD_HTTP_BAD_REQUEST, SUP_EINPUT,
                          "the body is not a JSON object%s%s", body == NULL ? ": " : "",
                          body == NULL ? where.text : "");
        return NULL;
    }
    json_object_foreach(body, name, value)
    {
        if (is_known(known, name))
            continue;
        struct sup_buf names;
        join(known, &names);
        sup_httpd_problem(req, MHD_HTTP_BAD_REQUEST, SUP_EINPUT,
                          "unknown key in the body: use one of %s", sup_buf_str(&names));
        sup_buf_fini(&names);
        json_decref(body);
        return NULL;
    }
    return body;
}

void sup_httpd_json(struct sup_httpd_req *req, unsigned status, json_t *value)
{
    char *text = value != NULL ? json_dumps(value, JSON_COMPACT) : NULL;
    json_decref(value);
    sup_buf_reset(&req->out);
    req->status = status;
    req->type = "application/json";
    if (text == NULL) {
        /* Not worth a body: there is no memory to make one. */
        req->status = MHD_HTTP_SERVICE_UNAVAILABLE;
        return;
    }
    sup_buf_add_str(&req->out, text);
    sup_buf_add_byte(&req->out, '\n');
    free(text);
}

static const char *title_of(unsigned status)
{
    const char *s = MHD_get_reason_phrase_for(status);
    return s != NULL ? s : "Error";
}

void sup_httpd_problem(struct sup_httpd_req *req, unsigned status, int code, const char *fmt, ...)
{
    char detail[SUP_ERR_MSG_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(detail, sizeof(detail), fmt, ap);
    va_end(ap);
    /* Quoted input may have been cut in the middle of a character. */
    size_t n = strlen(detail);
    while (n > 0 && !sup_utf8_valid(detail, n))
        n--;
    sup_httpd_json(req, status,
                   json_pack("{s:s, s:s, s:i, s:s, s:s%}", "type", "about:blank", "title",
                             title_of(status), "status", (int)status, "code", sup_code_name(code),
                             "detail", detail, n));
    req->type = "application/problem+json";
}

void sup_httpd_fail(struct sup_httpd_req *req, const struct sup_err *err)
{
    static const unsigned statuses[] = {
        [SUP_ENOTFOUND] = MHD_HTTP_NOT_FOUND,
        [SUP_EAGAIN] = MHD_HTTP_SERVICE_UNAVAILABLE,
        [SUP_ETIMEDOUT] = MHD_HTTP_SERVICE_UNAVAILABLE,
        [SUP_EINPUT] = MHD_HTTP_BAD_REQUEST,
        [SUP_ELIMIT] = MHD_HTTP_BAD_REQUEST,
        [SUP_EAUTH] = MHD_HTTP_CONFLICT,
        [SUP_EEXIST] = MHD_HTTP_CONFLICT,
        [SUP_EIO] = MHD_HTTP_SERVICE_UNAVAILABLE,
        [SUP_ENOMEM] = MHD_HTTP_SERVICE_UNAVAILABLE,
        [SUP_ECLOSED] = MHD_HTTP_SERVICE_UNAVAILABLE,
        [SUP_EVERSION] = MHD_HTTP_SERVICE_UNAVAILABLE,
        [SUP_ECORRUPT] = MHD_HTTP_SERVICE_UNAVAILABLE,
        [SUP_EBUG] = MHD_HTTP_INTERNAL_SERVER_ERROR,
    };
    unsigned status = MHD_HTTP_INTERNAL_SERVER_ERROR;
    if (err->code > 0 && err->code <= SUP_EBUG && statuses[err->code] != 0)
        status = statuses[err->code];
    sup_httpd_problem(req, status, err->code, "%s", err->msg);
}
