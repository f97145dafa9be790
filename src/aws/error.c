/* Errors of the AWS protocols: REST JSON (SES v2), JSON 1.0 with query compatibility (SQS), query
 * XML (STS), and the form without a body (S3 HEAD). */
#include "aws/client.h"
#include "aws/xml.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static void set_text(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from != NULL ? from : "");
    /* AWS's text ends up in logs and on terminals. */
    for (char *c = to; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
}

/* "ns#Name:http://…" to "Name"; the query-compatible form "Name;Sender" likewise. */
static void set_code(struct sup_aws_error *e, const char *raw)
{
    if (raw == NULL)
        return;
    const char *hash = strrchr(raw, '#');
    const char *name = hash != NULL ? hash + 1 : raw;
    size_t n = strcspn(name, ":;, ");
    if (n == 0 || n >= sizeof e->code)
        return;
    memcpy(e->code, name, n);
    e->code[n] = '\0';
}

static const char *json_text(const json_t *o, const char *const *keys)
{
    for (; *keys != NULL; keys++) {
        const char *s = json_string_value(json_object_get(o, *keys));
        if (s != NULL)
            return s;
    }
    return NULL;
}

static void parse_json(struct sup_aws_error *e, struct sup_slice body)
{
    static const char *const code_keys[] = {"__type", "code", "Code", NULL};
    static const char *const message_keys[] = {"message", "Message", "errorMessage", NULL};
    json_error_t je;
    json_t *o = json_loadb((const char *)body.p, body.n, 0, &je);

    if (e->code[0] == '\0')
        set_code(e, json_text(o, code_keys));
    set_text(e->message, sizeof e->message, json_text(o, message_keys));
    json_decref(o);
}

static void parse_xml(struct sup_aws_error *e, struct sup_slice body)
{
    struct sup_buf text;

    sup_buf_init(&text, 4096);
    if (e->code[0] == '\0' && sup_xml_text(body, "Code", &text))
        set_code(e, sup_buf_str(&text));
    if (sup_xml_text(body, "Message", &text))
        set_text(e->message, sizeof e->message, sup_buf_str(&text));
    if (e->request_id[0] == '\0' && sup_xml_text(body, "RequestId", &text))
        set_text(e->request_id, sizeof e->request_id, sup_buf_str(&text));
    sup_buf_fini(&text);
}

void sup_aws_error_parse(struct sup_aws_error *e, const struct sup_http_response *r)
{
    struct sup_slice body = sup_buf_slice(&r->body);
    const char *id = sup_http_response_header(r, "x-amzn-requestid");

    e->http_status = r->status;
    e->code[0] = '\0';
    e->message[0] = '\0';
    if (id == NULL)
        id = sup_http_response_header(r, "x-amz-request-id");
    set_text(e->request_id, sizeof e->request_id, id);
    set_code(e, sup_http_response_header(r, "x-amzn-errortype"));
    while (body.n > 0 && strchr(" \t\r\n", body.p[0]) != NULL && body.p[0] != '\0')
        body = sup_slice_of(body.p + 1, body.n - 1);
    if (body.n > 0 && body.p[0] == '{')
        parse_json(e, body);
    else if (body.n > 0 && body.p[0] == '<')
        parse_xml(e, body);
    /* SQS keeps the old codes there; they are what its documentation and the retry lists name. */
    if (e->code[0] == '\0')
        set_code(e, sup_http_response_header(r, "x-amzn-query-error"));
}

/* ---- meaning ---- */

static bool in(const char *code, const char *const *list)
{
    for (; *list != NULL; list++)
        if (strcmp(code, *list) == 0)
            return true;
    return false;
}

static bool is_auth(const struct sup_aws_error *e)
{
    static const char *const codes[] = {"AccessDenied",
                                        "AccessDeniedException",
                                        "AuthorizationError",
                                        "ExpiredToken",
                                        "ExpiredTokenException",
                                        "ExpiredTokenIdentity",
                                        "IncompleteSignature",
                                        "IncompleteSignatureException",
                                        "InvalidAccessKeyId",
                                        "InvalidClientTokenId",
                                        "InvalidIdentityToken",
                                        "InvalidSecurity",
                                        "InvalidSignatureException",
                                        "MissingAuthenticationToken",
                                        "MissingAuthenticationTokenException",
                                        "NotAuthorized",
                                        "OptInRequired",
                                        "RequestExpired",
                                        "RequestInTheFuture",
                                        "RequestTimeTooSkewed",
                                        "SignatureDoesNotMatch",
                                        "UnrecognizedClientException",
                                        "AuthFailure",
                                        NULL};
    return in(e->code, codes) || e->http_status == 401 || e->http_status == 403;
}

int sup_aws_error_code(const struct sup_aws_error *e)
{
    enum sup_retry_class cls = sup_retry_classify(e->http_status, e->code);

    if (cls != SUP_RETRY_NONE || e->http_status >= 500)
        return SUP_EAGAIN;
    if (is_auth(e))
        return SUP_EAUTH;
    if (e->http_status == 404 || strstr(e->code, "NotFound") != NULL ||
        strstr(e->code, "NonExistent") != NULL || strstr(e->code, "DoesNotExist") != NULL)
        return SUP_ENOTFOUND;
    if (e->http_status >= 400)
        return SUP_EINPUT;
    return SUP_ECORRUPT; /* neither success nor an error: a redirect, say */
}
