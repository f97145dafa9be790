/* Credentials over HTTP from this machine's surroundings: the container endpoint and EC2's IMDSv2.
 */
#include "aws/credentials_source.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CONTAINER_HOST    "http://169.254.170.2"
#define CONTAINER_TIMEOUT 2000
#define IMDS_TIMEOUT_MS   1000
#define IMDS_TOKEN_PATH   "/latest/api/token"
#define IMDS_ROLE_PATH    "/latest/meta-data/iam/security-credentials/"
#define IMDS_TOKEN_TTL    "21600"

static const struct sup_cred_json document = {.access_key_id = "AccessKeyId",
                                              .secret_access_key = "SecretAccessKey",
                                              .session_token = "Token",
                                              .expiration = "Expiration",
                                              .account_id = "AccountId",
                                              .token_required = true};

static int parse_document(const struct sup_http_response *r, const char *what,
                          struct sup_aws_credentials *out, struct sup_err *err)
{
    json_error_t je;
    json_t *o = json_loadb((const char *)r->body.p, r->body.n, 0, &je);
    const char *code = json_string_value(json_object_get(o, "Code"));
    int rc = SUP_OK;

    if (!json_is_object(o))
        rc = sup_err_set(err, SUP_ECORRUPT, "%s: reply is not a JSON object", what);
    else if (code != NULL && strcmp(code, "Success") != 0)
        rc = sup_err_set(err, SUP_EAUTH, "%s: %.60s", what, code);
    else if ((rc = sup_cred_from_json(o, &document, out, err)) != SUP_OK)
        sup_err_prefix(err, rc, "%s", what);
    json_decref(o);
    return rc;
}

/* ---- containers (ECS task roles, EKS Pod Identity) ---- */

static bool host_is(const struct sup_url *u, const char *text)
{
    return sup_slice_eq(u->host, sup_slice_str(text));
}

/* Full URIs: https anywhere, http only to loopback and to the ECS and EKS link-local addresses. */
static int check_full_uri(const char *uri, struct sup_err *err)
{
    struct sup_url u;
    int rc = sup_url_parse(&u, uri, err);

    if (rc != SUP_OK) {
        sup_err_prefix(err, rc, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
        return sup_cred_refuse(err);
    }
    if (u.scheme.n == 5 || sup_url_is_loopback(&u) || host_is(&u, "169.254.170.2") ||
        host_is(&u, "169.254.170.23") || host_is(&u, "fd00:ec2::23"))
        return SUP_OK;
    return sup_err_set(err, SUP_EAUTH,
                       "AWS_CONTAINER_CREDENTIALS_FULL_URI: http:// only to loopback and the ECS "
                       "and EKS addresses");
}

/* The file goes first and is read each time: EKS rotates the token. */
static int container_token(const struct sup_aws_env *env, char **out, struct sup_err *err)
{
    const char *file = sup_aws_getenv(env, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    const char *text = sup_aws_getenv(env, "AWS_CONTAINER_AUTHORIZATION_TOKEN");

    *out = NULL;
    if (file != NULL)
        return sup_cred_read_token(env, file, out, err);
    if (text == NULL)
        return SUP_OK;
    if (strpbrk(text, "\r\n") != NULL)
        return sup_err_set(err, SUP_EAUTH, "AWS_CONTAINER_AUTHORIZATION_TOKEN holds a line break");
    *out = strdup(text);
    return *out != NULL ? SUP_OK : sup_err_set(err, SUP_ENOMEM, "out of memory");
}

static int container_fetch(const struct sup_aws_provider_options *o, const char *url,
                           const char *token, struct sup_aws_credentials *out, struct sup_err *err)
{
    struct sup_header headers[2] = {{"accept", "application/json"}, {"authorization", token}};
    struct sup_http_response r;

    sup_http_response_init(&r);
    int rc =
        sup_cred_http(o, "GET", url, headers, token != NULL ? 2 : 1, CONTAINER_TIMEOUT, &r, err);
    if (rc != SUP_OK)
        sup_err_prefix(err, rc, "container credentials");
    else if (r.status == 200)
        rc = parse_document(&r, "container credentials", out, err);
    else
        rc = sup_err_set(err, r.status >= 500 || r.status == 429 ? SUP_EAGAIN : SUP_EAUTH,
                         "container credentials: HTTP %d", r.status);
    if (rc == SUP_OK)
        out->source = "container";
    if (r.body.p != NULL)
        OPENSSL_cleanse(r.body.p, r.body.cap);
    sup_http_response_fini(&r);
    return rc;
}

int sup_cred_container(const struct sup_aws_provider_options *o, struct sup_aws_credentials *out,
                       struct sup_err *err)
{
    const char *relative = sup_aws_getenv(o->env, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = sup_aws_getenv(o->env, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    struct sup_buf url;
    char *token = NULL;
    int rc = SUP_OK;

    if (relative == NULL && full == NULL)
        return SUP_ENOTFOUND;
    if (relative != NULL && relative[0] != '/')
        return sup_err_set(err, SUP_EAUTH,
                           "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin with '/'");
    sup_buf_init(&url, 8192);
    if (relative != NULL)
        sup_buf_addf(&url, CONTAINER_HOST "%s", relative);
    else if ((rc = check_full_uri(full, err)) == SUP_OK)
        sup_buf_add_str(&url, full);
    if (rc == SUP_OK)
        rc = container_token(o->env, &token, err);
    if (rc == SUP_OK)
        rc = container_fetch(o, sup_buf_str(&url), token, out, err);
    free(token);
    sup_buf_fini(&url);
    return rc;
}

/* ---- EC2 ---- */

static const char *imds_setting(const struct sup_aws_provider_options *o, const char *env_name,
                                const char *key)
{
    const char *v = sup_aws_getenv(o->env, env_name);
    if (v == NULL)
        v = sup_aws_config_get(o->config, SUP_AWS_PROFILE,
                               sup_aws_config_profile(o->env, o->profile), key);
    return v;
}

int sup_cred_imds_endpoint(const struct sup_aws_provider_options *o, char **out,
                           struct sup_err *err)
{
    const char *url =
        imds_setting(o, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint");
    const char *mode = imds_setting(o, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
                                    "ec2_metadata_service_endpoint_mode");
    struct sup_url u;

    *out = NULL;
    if (url != NULL) {
        int rc = sup_url_parse(&u, url, err);
        if (rc != SUP_OK) {
            sup_err_prefix(err, rc, "invalid uri character or form in '%s'", url);
            return sup_cred_refuse(err);
        }
    } else if (mode == NULL || strcasecmp(mode, "IPv4") == 0) {
        url = "http://169.254.169.254";
    } else if (strcasecmp(mode, "IPv6") == 0) {
        url = "http://[fd00:ec2::254]";
    } else {
        return sup_err_set(err, SUP_EAUTH, "`%s` is not a valid endpoint mode", mode);
    }
    size_t n = strlen(url);
    while (n > 0 && url[n - 1] == '/')
        n--;
    *out = strndup(url, n);
    return *out != NULL ? SUP_OK : sup_err_set(err, SUP_ENOMEM, "out of memory");
}

static int imds_request(const struct sup_aws_provider_options *o, const char *method,
                        const char *base, const char *path, const char *tail,
                        const struct sup_header *header, struct sup_http_response *r,
                        struct sup_err *err)
{
    struct sup_buf url;

    sup_buf_init(&url, 4096);
    sup_buf_addf(&url, "%s%s%s", base, path, tail);
    int rc = sup_cred_http(o, method, sup_buf_str(&url), header, header != NULL ? 1 : 0,
                           IMDS_TIMEOUT_MS, r, err);
    sup_buf_fini(&url);
    return rc != SUP_OK ? sup_err_prefix(err, rc, "EC2 metadata") : rc;
}

/* Into *token, malloc'd; NULL when only IMDSv1 is there. No answer at all is "not on EC2". */
static int imds_token(const struct sup_aws_provider_options *o, const char *base, char **token,
                      struct sup_err *err)
{
    struct sup_header ttl = {"x-aws-ec2-metadata-token-ttl-seconds", IMDS_TOKEN_TTL};
    struct sup_http_response r;

    *token = NULL;
    sup_http_response_init(&r);
    int rc = imds_request(o, "PUT", base, IMDS_TOKEN_PATH, "", &ttl, &r, err);
    if (rc == SUP_EIO || rc == SUP_ETIMEDOUT)
        rc = SUP_ENOTFOUND;
    else if (rc == SUP_OK && r.status == 403)
        rc = SUP_ENOTFOUND; /* the instance's metadata service is switched off */
    else if (rc == SUP_OK && (r.status == 404 || r.status == 405))
        rc = sup_aws_parse_bool(
                 imds_setting(o, "AWS_EC2_METADATA_V1_DISABLED", "ec2_metadata_v1_disabled")) == 1
                 ? SUP_ENOTFOUND
                 : SUP_OK;
    else if (rc == SUP_OK && r.status != 200)
        rc = sup_err_set(err, r.status >= 500 ? SUP_EAGAIN : SUP_EAUTH,
                         "EC2 metadata: HTTP %d for the token", r.status);
    else if (rc == SUP_OK) {
        for (size_t i = 0; i < r.body.n && rc == SUP_OK; i++)
            if (r.body.p[i] <= ' ' || r.body.p[i] >= 0x7f)
                rc = sup_err_set(err, SUP_ECORRUPT, "EC2 metadata: token holds odd bytes");
        if (rc == SUP_OK && (*token = strdup(sup_buf_str(&r.body))) == NULL)
            rc = sup_err_set(err, SUP_ENOMEM, "out of memory");
    }
    sup_http_response_fini(&r);
    return rc;
}

static int imds_get(const struct sup_aws_provider_options *o, const char *base, const char *token,
                    const char *tail, struct sup_http_response *r, struct sup_err *err)
{
    struct sup_header header = {"x-aws-ec2-metadata-token", token};
    int rc =
        imds_request(o, "GET", base, IMDS_ROLE_PATH, tail, token != NULL ? &header : NULL, r, err);

    if (rc == SUP_EIO)
        return SUP_EAGAIN;
    if (rc != SUP_OK || r->status == 200)
        return rc;
    if (r->status == 404)
        return SUP_ENOTFOUND; /* no role is attached to this instance */
    return sup_err_set(err, r->status >= 500 ? SUP_EAGAIN : SUP_EAUTH, "EC2 metadata: HTTP %d",
                       r->status);
}

/* The first line of the list; it becomes part of a URL. */
static int role_name(struct sup_http_response *r, char *out, size_t size, struct sup_err *err)
{
    const char *text = sup_buf_str(&r->body);
    size_t n = strcspn(text, "\r\n");

    if (n == 0)
        return SUP_ENOTFOUND;
    if (n >= size)
        return sup_err_set(err, SUP_ECORRUPT, "EC2 metadata: role name too long");
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)text[i]) && strchr("+=,.@_-", text[i]) == NULL)
            return sup_err_set(err, SUP_ECORRUPT, "EC2 metadata: odd role name");
    memcpy(out, text, n);
    out[n] = '\0';
    return SUP_OK;
}

int sup_cred_imds(const struct sup_aws_provider_options *o, struct sup_aws_credentials *out,
                  struct sup_err *err)
{
    char role[129];
    char *base = NULL;
    char *token = NULL;
    struct sup_http_response r;

    if (sup_aws_parse_bool(sup_aws_getenv(o->env, "AWS_EC2_METADATA_DISABLED")) == 1)
        return SUP_ENOTFOUND;
    int rc = sup_cred_imds_endpoint(o, &base, err);
    if (rc != SUP_OK)
        return rc;
    sup_http_response_init(&r);
    rc = imds_token(o, base, &token, err);
    if (rc == SUP_OK)
        rc = imds_get(o, base, token, "", &r, err);
    if (rc == SUP_OK)
        rc = role_name(&r, role, sizeof role, err);
    if (rc == SUP_OK) {
        sup_http_response_reset(&r);
        rc = imds_get(o, base, token, role, &r, err);
    }
    if (rc == SUP_OK)
        rc = parse_document(&r, "EC2 metadata", out, err);
    if (rc == SUP_OK)
        out->source = "ec2-metadata";
    if (r.body.p != NULL)
        OPENSSL_cleanse(r.body.p, r.body.cap);
    sup_http_response_fini(&r);
    free(token);
    free(base);
    return rc;
}
