/* IAM Identity Center: the cached token of "aws sso login" exchanged for role credentials. */
#include "aws/credentials_source.h"

#include "base/clock.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define SSO_TIMEOUT_MS 10000

struct sso {
    const char *region, *account_id, *role_name;
    const char *cache_key; /* session name, or start URL in the older form */
};

static int read_profile(const struct sup_aws_provider_options *o, const char *profile,
                        struct sso *s, struct sup_err *err)
{
    const struct sup_aws_config *c = o->config;
    const char *session = sup_aws_config_get(c, SUP_AWS_PROFILE, profile, "sso_session");
    const char *start = sup_aws_config_get(c, SUP_AWS_PROFILE, profile, "sso_start_url");

    s->account_id = sup_aws_config_get(c, SUP_AWS_PROFILE, profile, "sso_account_id");
    s->role_name = sup_aws_config_get(c, SUP_AWS_PROFILE, profile, "sso_role_name");
    /* A session alone serves bearer tokens, not credentials. */
    if ((session == NULL && start == NULL) || (s->account_id == NULL && s->role_name == NULL))
        return SUP_ENOTFOUND;
    if (session != NULL && !sup_aws_config_has(c, SUP_AWS_SSO_SESSION, session))
        return sup_err_set(err, SUP_EAUTH, "there is no [sso-session %s]", session);
    s->cache_key = session != NULL ? session : start;
    s->region = session != NULL ? sup_aws_config_get(c, SUP_AWS_SSO_SESSION, session, "sso_region")
                                : sup_aws_config_get(c, SUP_AWS_PROFILE, profile, "sso_region");
    if (s->account_id == NULL || s->role_name == NULL || s->region == NULL)
        return sup_err_set(err, SUP_EAUTH,
                           "profile %s: sso_region, sso_account_id and sso_role_name go together",
                           profile);
    return SUP_OK;
}

static void cache_path(const char *key, char *out, size_t size)
{
    uint8_t digest[EVP_MAX_MD_SIZE] = {0};
    unsigned n = 0;
    struct sup_buf b;

    (void)EVP_Digest(key, strlen(key), digest, &n, EVP_sha1(), NULL);
    sup_buf_init(&b, size);
    sup_buf_add_str(&b, "~/.aws/sso/cache/");
    for (unsigned i = 0; i < n; i++)
        sup_buf_addf(&b, "%02x", digest[i]);
    sup_buf_add_str(&b, ".json");
    memcpy(out, sup_buf_str(&b), b.n < size ? b.n + 1 : 1);
    sup_buf_fini(&b);
}

static int cached_token(const struct sup_aws_env *env, const char *key, char **out,
                        struct sup_err *err)
{
    char path[128];
    struct sup_buf text;
    json_error_t je;
    int64_t expires_ms = 0;

    *out = NULL;
    cache_path(key, path, sizeof path);
    int rc = sup_aws_read_file(env, path, 256u << 10, &text, err);
    json_t *o = rc == SUP_OK ? json_loadb((const char *)text.p, text.n, 0, &je) : NULL;
    const char *token = json_string_value(json_object_get(o, "accessToken"));
    const char *expires = json_string_value(json_object_get(o, "expiresAt"));
    if (token == NULL || expires == NULL || strpbrk(token, "\r\n") != NULL ||
        sup_time_parse(expires, strlen(expires), &expires_ms) != SUP_OK)
        rc = sup_err_set(err, SUP_EAUTH, "no usable SSO token in the cache: run 'aws sso login'");
    else if (expires_ms <= sup_aws_wall_ms(env))
        rc = sup_err_set(err, SUP_EAUTH, "the SSO token has expired: run 'aws sso login'");
    else if ((*out = strdup(token)) == NULL)
        rc = sup_err_set(err, SUP_ENOMEM, "out of memory");
    json_decref(o);
    if (text.p != NULL)
        OPENSSL_cleanse(text.p, text.cap);
    sup_buf_fini(&text);
    return rc;
}

static int parse_reply(const struct sup_http_response *r, const struct sso *s,
                       struct sup_aws_credentials *out, struct sup_err *err)
{
    static const struct sup_cred_json names = {.access_key_id = "accessKeyId",
                                               .secret_access_key = "secretAccessKey",
                                               .session_token = "sessionToken",
                                               .expiration = "expiration",
                                               .token_required = true};
    json_error_t je;

    if (r->status != 200)
        return sup_err_set(err, r->status >= 500 || r->status == 429 ? SUP_EAGAIN : SUP_EAUTH,
                           "SSO: HTTP %d", r->status);
    json_t *o = json_loadb((const char *)r->body.p, r->body.n, 0, &je);
    int rc = sup_cred_from_json(json_object_get(o, "roleCredentials"), &names, out, err);
    json_decref(o);
    if (rc != SUP_OK)
        return sup_err_prefix(err, rc, "SSO");
    out->source = "sso";
    out->account_id = strdup(s->account_id);
    return out->account_id != NULL ? SUP_OK : sup_err_set(err, SUP_ENOMEM, "out of memory");
}

static int portal_url(const struct sup_aws_provider_options *o, const char *profile,
                      const struct sso *s, struct sup_buf *url, struct sup_err *err)
{
    struct sup_aws_endpoint_query q = {.env = o->env,
                                       .config = o->config,
                                       .profile = profile,
                                       .explicit_url = o->endpoint_url,
                                       .insecure = o->insecure};
    char *base = NULL;
    int rc = sup_aws_endpoint(&base, &q, SUP_AWS_SSO, s->region, err);

    if (rc != SUP_OK)
        return rc;
    sup_buf_addf(url, "%s/federation/credentials?account_id=", base);
    sup_uri_encode(url, sup_slice_str(s->account_id), 0);
    sup_buf_add_str(url, "&role_name=");
    sup_uri_encode(url, sup_slice_str(s->role_name), 0);
    free(base);
    return url->failed == SUP_OK ? SUP_OK : sup_err_set(err, url->failed, "SSO: URL too long");
}

int sup_cred_sso(const struct sup_aws_provider_options *o, const char *profile,
                 struct sup_aws_credentials *out, struct sup_err *err)
{
    struct sso s = {0};
    struct sup_buf url;
    struct sup_http_response r;
    char *token = NULL;
    int rc = read_profile(o, profile, &s, err);

    if (rc != SUP_OK)
        return rc;
    sup_buf_init(&url, 4096);
    sup_http_response_init(&r);
    rc = cached_token(o->env, s.cache_key, &token, err);
    if (rc == SUP_OK)
        rc = portal_url(o, profile, &s, &url, err);
    if (rc == SUP_OK) {
        struct sup_header header = {"x-amz-sso_bearer_token", token};
        rc = sup_cred_http(o, "GET", sup_buf_str(&url), &header, 1, SSO_TIMEOUT_MS, &r, err);
    }
    if (rc == SUP_OK)
        rc = parse_reply(&r, &s, out, err);
    if (r.body.p != NULL)
        OPENSSL_cleanse(r.body.p, r.body.cap);
    free(token);
    sup_http_response_fini(&r);
    sup_buf_fini(&url);
    return rc == SUP_ENOTFOUND ? SUP_EAUTH : rc;
}
