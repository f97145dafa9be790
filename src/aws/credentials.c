/* The credentials value itself, and what every source of credentials shares. */
#include "aws/credentials.h"

#include "aws/credentials_source.h"
#include "base/clock.h"
#include "base/text.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_FILE_MAX (64u << 10)

static void wipe(char **s)
{
    if (*s != NULL)
        OPENSSL_cleanse(*s, strlen(*s));
    free(*s);
    *s = NULL;
}

void sup_aws_credentials_fini(struct sup_aws_credentials *c)
{
    wipe(&c->access_key_id);
    wipe(&c->secret_access_key);
    wipe(&c->session_token);
    wipe(&c->account_id);
    *c = (struct sup_aws_credentials){0};
}

static int dup_text(char **to, const char *from)
{
    *to = NULL;
    if (from == NULL || from[0] == '\0')
        return SUP_OK;
    *to = strdup(from);
    return *to != NULL ? SUP_OK : SUP_ENOMEM;
}

int sup_cred_from_text(struct sup_aws_credentials *out, const char *key_id, const char *secret,
                       const char *token, const char *account_id)
{
    *out = (struct sup_aws_credentials){0};
    if (dup_text(&out->access_key_id, key_id) == SUP_OK &&
        dup_text(&out->secret_access_key, secret) == SUP_OK &&
        dup_text(&out->session_token, token) == SUP_OK &&
        dup_text(&out->account_id, account_id) == SUP_OK)
        return SUP_OK;
    sup_aws_credentials_fini(out);
    return SUP_ENOMEM;
}

int sup_aws_credentials_copy(struct sup_aws_credentials *to, const struct sup_aws_credentials *from)
{
    int rc = sup_cred_from_text(to, from->access_key_id, from->secret_access_key,
                                from->session_token, from->account_id);
    if (rc == SUP_OK) {
        to->expires_ms = from->expires_ms;
        to->source = from->source;
    }
    return rc;
}

/* Keys go into headers: nothing but visible ASCII. */
static bool is_clean(const char *s)
{
    for (; *s != '\0'; s++)
        if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 0x7f)
            return false;
    return true;
}

static const char *text_of(const json_t *o, const char *name)
{
    const char *s = name != NULL ? json_string_value(json_object_get(o, name)) : NULL;
    return s != NULL && s[0] != '\0' && is_clean(s) ? s : NULL;
}

static int expiry_of(const json_t *v, int64_t *ms)
{
    const char *s = json_string_value(v);

    *ms = 0;
    if (v == NULL || json_is_null(v))
        return SUP_OK;
    if (s != NULL)
        return sup_time_parse(s, strlen(s), ms);
    if (!json_is_integer(v) || json_integer_value(v) <= 0)
        return SUP_EINPUT;
    *ms = json_integer_value(v);
    return SUP_OK;
}

int sup_cred_from_json(const json_t *o, const struct sup_cred_json *names,
                       struct sup_aws_credentials *out, struct sup_err *err)
{
    const char *key_id = text_of(o, names->access_key_id);
    const char *secret = text_of(o, names->secret_access_key);
    const char *token = text_of(o, names->session_token);
    int64_t expires_ms = 0;

    if (key_id == NULL || secret == NULL || (names->token_required && token == NULL))
        return sup_err_set(err, SUP_ECORRUPT, "credentials document lacks a key or a token");
    if (expiry_of(json_object_get(o, names->expiration), &expires_ms) != SUP_OK)
        return sup_err_set(err, SUP_ECORRUPT, "credentials document has a bad expiration");
    int rc = sup_cred_from_text(out, key_id, secret, token, text_of(o, names->account_id));
    out->expires_ms = expires_ms;
    return rc == SUP_OK ? rc : sup_err_set(err, rc, "out of memory");
}

int sup_cred_refuse(struct sup_err *err)
{
    if (err != NULL)
        err->code = SUP_EAUTH;
    return SUP_EAUTH;
}

int sup_cred_read_token(const struct sup_aws_env *env, const char *path, char **out,
                        struct sup_err *err)
{
    struct sup_buf text;

    *out = NULL;
    int rc = sup_aws_read_file(env, path, TOKEN_FILE_MAX, &text, err);
    if (rc == SUP_OK) {
        while (text.n > 0 && strchr(" \t\r\n", text.p[text.n - 1]) != NULL &&
               text.p[text.n - 1] != '\0')
            text.n--;
        for (size_t i = 0; i < text.n && rc == SUP_OK; i++)
            if (text.p[i] < ' ' || text.p[i] == 0x7f)
                rc = sup_err_set(err, SUP_EAUTH, "%s: token file holds control bytes", path);
        if (rc == SUP_OK && text.n == 0)
            rc = sup_err_set(err, SUP_EAUTH, "%s: token file is empty", path);
    }
    if (rc == SUP_OK && (*out = sup_text_dup((const char *)text.p, text.n)) == NULL)
        rc = sup_err_set(err, SUP_ENOMEM, "out of memory");
    if (text.p != NULL)
        OPENSSL_cleanse(text.p, text.cap);
    sup_buf_fini(&text);
    if (rc == SUP_OK || rc == SUP_ENOMEM)
        return rc;
    return sup_cred_refuse(err);
}

int sup_cred_http(const struct sup_aws_provider_options *o, const char *method, const char *url,
                  const struct sup_header *headers, size_t n_headers, int64_t timeout_ms,
                  struct sup_http_response *r, struct sup_err *err)
{
    struct sup_http_request req = {.method = method,
                                   .url = url,
                                   .headers = headers,
                                   .n_headers = n_headers,
                                   .connect_timeout_ms = timeout_ms,
                                   .timeout_ms = timeout_ms,
                                   .max_body = 256u << 10,
                                   .stop = o->stop};
    return o->env->http.send(o->env->http.arg, &req, r, err);
}

int sup_cred_sts(const struct sup_aws_provider_options *o, const char *profile, struct sup_sts *sts,
                 char **endpoint, struct sup_err *err)
{
    struct sup_aws_endpoint_query q = {.env = o->env,
                                       .config = o->config,
                                       .profile = sup_aws_config_profile(o->env, o->profile),
                                       .explicit_url = o->endpoint_url,
                                       .insecure = o->insecure};
    const char *region = o->region;

    if (region == NULL)
        region = sup_aws_region(o->env, o->config, profile);
    if (region == NULL)
        region = "us-east-1"; /* where STS's global endpoint lives */
    int rc = sup_aws_endpoint(endpoint, &q, SUP_AWS_STS, region, err);
    *sts =
        (struct sup_sts){.env = o->env, .endpoint = *endpoint, .region = region, .stop = o->stop};
    return rc == SUP_EINPUT ? sup_cred_refuse(err) : rc;
}
