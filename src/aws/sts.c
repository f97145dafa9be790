#include "aws/sts.h"

#include "aws/client.h"
#include "aws/wire.h"
#include "aws/xml.h"
#include "base/clock.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define STS_BODY_MAX   (256u << 10)
#define STS_TIMEOUT_MS 15000

static void add_param(struct sup_buf *b, const char *name, const char *value)
{
    if (value == NULL || value[0] == '\0')
        return;
    sup_buf_addf(b, "&%s=", name);
    sup_uri_encode(b, sup_slice_str(value), 0);
}

/* ---- reply ---- */

static char *take_text(struct sup_slice xml, const char *name, struct sup_buf *text)
{
    if (!sup_xml_text(xml, name, text) || text->n == 0)
        return NULL;
    return strdup(sup_buf_str(text));
}

/* "arn:aws:sts::123456789012:assumed-role/…": the fifth field. */
static char *account_of_arn(const char *arn)
{
    for (int field = 0; arn != NULL && field < 4; field++) {
        arn = strchr(arn, ':');
        if (arn != NULL)
            arn++;
    }
    size_t n = arn != NULL ? strcspn(arn, ":") : 0;
    return n > 0 ? strndup(arn, n) : NULL;
}

static int parse_reply(struct sup_slice xml, struct sup_aws_credentials *out, struct sup_err *err)
{
    struct sup_buf text;

    sup_buf_init(&text, 64u << 10);
    *out = (struct sup_aws_credentials){0};
    out->access_key_id = take_text(xml, "AccessKeyId", &text);
    out->secret_access_key = take_text(xml, "SecretAccessKey", &text);
    out->session_token = take_text(xml, "SessionToken", &text);
    char *arn = take_text(xml, "Arn", &text);
    out->account_id = account_of_arn(arn);
    free(arn);
    bool expiry = sup_xml_text(xml, "Expiration", &text) &&
                  sup_time_parse(sup_buf_str(&text), text.n, &out->expires_ms) == SUP_OK;
    if (text.p != NULL)
        OPENSSL_cleanse(text.p, text.cap);
    sup_buf_fini(&text);
    if (out->access_key_id != NULL && out->secret_access_key != NULL &&
        out->session_token != NULL && expiry)
        return SUP_OK;
    sup_aws_credentials_fini(out);
    return sup_err_set(err, SUP_ECORRUPT, "STS: reply holds no complete credentials");
}

static int refuse(const struct sup_http_response *r, struct sup_err *err)
{
    struct sup_aws_error e = {0};

    sup_aws_error_parse(&e, r);
    int rc = sup_aws_error_code(&e);
    if (rc == SUP_EINPUT || rc == SUP_ENOTFOUND)
        rc = SUP_EAUTH;
    return sup_err_set(err, rc, "STS: HTTP %d %s: %s", e.http_status, e.code, e.message);
}

static int call(const struct sup_sts *sts, struct sup_buf *body,
                const struct sup_aws_credentials *base, struct sup_aws_credentials *out,
                struct sup_err *err)
{
    static const struct sup_header type = {"content-type", "application/x-www-form-urlencoded"};
    struct sup_http_response r;
    struct sup_buf url;

    sup_buf_init(&url, 4096);
    sup_buf_addf(&url, "%s/", sts->endpoint);
    struct sup_aws_wire w = {.http = sts->env->http,
                             .method = "POST",
                             .url = sup_buf_str(&url),
                             .headers = &type,
                             .n_headers = 1,
                             .body = sup_buf_slice(body),
                             .credentials = base,
                             .region = sts->region,
                             .service = "sts",
                             .sigv4_flags = SUP_SIGV4_DEFAULT,
                             .wall_ms = sup_aws_wall_ms(sts->env),
                             .timeout_ms = STS_TIMEOUT_MS,
                             .max_body = STS_BODY_MAX,
                             .stop = sts->stop};
    sup_http_response_init(&r);
    int rc = body->failed != SUP_OK ? sup_err_set(err, body->failed, "STS: request too large")
                                    : sup_aws_wire_send(&w, &r, err);
    if (rc != SUP_OK)
        sup_err_prefix(err, rc, "STS");
    else if (r.status != 200)
        rc = refuse(&r, err);
    else
        rc = parse_reply(sup_buf_slice(&r.body), out, err);
    if (r.body.p != NULL)
        OPENSSL_cleanse(r.body.p, r.body.cap);
    sup_http_response_fini(&r);
    sup_buf_fini(&url);
    return rc;
}

int sup_sts_assume_role(const struct sup_sts *sts, const struct sup_sts_role *role,
                        const struct sup_aws_credentials *base, struct sup_aws_credentials *out,
                        struct sup_err *err)
{
    struct sup_buf body;

    sup_buf_init(&body, 16384);
    sup_buf_add_str(&body, "Action=AssumeRole&Version=2011-06-15");
    add_param(&body, "RoleArn", role->role_arn);
    add_param(&body, "RoleSessionName", role->session_name);
    add_param(&body, "DurationSeconds", role->duration_s);
    add_param(&body, "ExternalId", role->external_id);
    int rc = call(sts, &body, base, out, err);
    sup_buf_fini(&body);
    return rc;
}

int sup_sts_assume_role_with_web_identity(const struct sup_sts *sts,
                                          const struct sup_sts_role *role, const char *token,
                                          struct sup_aws_credentials *out, struct sup_err *err)
{
    struct sup_buf body;

    sup_buf_init(&body, 128u << 10);
    sup_buf_add_str(&body, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15");
    add_param(&body, "RoleArn", role->role_arn);
    add_param(&body, "RoleSessionName", role->session_name);
    add_param(&body, "DurationSeconds", role->duration_s);
    add_param(&body, "WebIdentityToken", token);
    int rc = call(sts, &body, NULL, out, err);
    if (body.p != NULL)
        OPENSSL_cleanse(body.p, body.cap);
    sup_buf_fini(&body);
    return rc;
}
