#include "aws/wire.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define HEADERS_MAX 40

struct parts {
    struct sup_header headers[HEADERS_MAX];
    size_t n;
    char *host;
    char *path;
    char *query;
};

static int add(struct parts *p, const char *name, const char *value)
{
    if (p->n == HEADERS_MAX)
        return SUP_ELIMIT;
    p->headers[p->n++] = (struct sup_header){name, value};
    return SUP_OK;
}

static char *dup_slice(struct sup_slice s)
{
    return sup_text_dup((const char *)s.p, s.n);
}

static int split(struct parts *p, const struct sup_aws_wire *w, struct sup_err *err)
{
    struct sup_url url;
    int rc = sup_url_parse(&url, w->url, err);

    if (rc != SUP_OK)
        return rc;
    p->host = dup_slice(url.authority);
    p->path = dup_slice(url.path);
    p->query = dup_slice(url.query);
    if (p->host == NULL || p->path == NULL || p->query == NULL)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    rc = add(p, "host", p->host);
    for (size_t i = 0; rc == SUP_OK && i < w->n_headers; i++)
        rc = add(p, w->headers[i].name, w->headers[i].value);
    return rc == SUP_OK ? rc : sup_err_set(err, rc, "too many request headers");
}

static int sign(struct parts *p, struct sup_sigv4 *s, const struct sup_aws_wire *w,
                struct sup_err *err)
{
    struct sup_sigv4_scope scope = {.access_key_id = w->credentials->access_key_id,
                                    .secret_access_key = w->credentials->secret_access_key,
                                    .session_token = w->credentials->session_token,
                                    .region = w->region,
                                    .service = w->service,
                                    .wall_ms = w->wall_ms,
                                    .flags = w->sigv4_flags};
    struct sup_sigv4_request req = {.method = w->method,
                                    .path = p->path,
                                    .query = p->query,
                                    .headers = p->headers,
                                    .n_headers = p->n,
                                    .body = w->body};
    int rc = sup_sigv4_sign(s, &scope, &req, err);

    if (rc == SUP_OK)
        rc = add(p, "x-amz-date", s->date);
    if (rc == SUP_OK && scope.session_token != NULL && scope.session_token[0] != '\0')
        rc = add(p, "x-amz-security-token", scope.session_token);
    if (rc == SUP_OK && (w->sigv4_flags & SUP_SIGV4_SIGN_BODY))
        rc = add(p, "x-amz-content-sha256", s->payload_hash);
    if (rc == SUP_OK)
        rc = add(p, "authorization", sup_buf_str(&s->authorization));
    return rc;
}

int sup_aws_wire_send(const struct sup_aws_wire *w, struct sup_http_response *r,
                      struct sup_err *err)
{
    struct parts p = {.n = 0};
    struct sup_sigv4 s;

    sup_sigv4_init(&s);
    int rc = split(&p, w, err);
    if (rc == SUP_OK && w->credentials != NULL)
        rc = sign(&p, &s, w, err);
    if (rc == SUP_OK) {
        struct sup_http_request req = {.method = w->method,
                                       .url = w->url,
                                       .headers = p.headers,
                                       .n_headers = p.n,
                                       .body = w->body,
                                       .connect_timeout_ms = w->connect_timeout_ms,
                                       .timeout_ms = w->timeout_ms,
                                       .max_body = w->max_body,
                                       .no_repeat = w->no_repeat,
                                       .stop = w->stop};
        rc = w->http.send(w->http.arg, &req, r, err);
    }
    sup_sigv4_fini(&s);
    free(p.host);
    free(p.path);
    free(p.query);
    return rc;
}
