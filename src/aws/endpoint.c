#include "aws/endpoint.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct service_names {
    const char *signing;
    const char *host;
    const char *fips_host;
    const char *env; /* AWS_ENDPOINT_URL_… */
    const char *key; /* in a services section */
};

static const struct service_names services[SUP_AWS_N_SERVICES] = {
    [SUP_AWS_SESV2] = {"ses", "email", "email-fips", "SESV2", "sesv2"},
    [SUP_AWS_SQS] = {"sqs", "sqs", "sqs-fips", "SQS", "sqs"},
    [SUP_AWS_STS] = {"sts", "sts", "sts-fips", "STS", "sts"},
    [SUP_AWS_S3] = {"s3", "s3", "s3-fips", "S3", "s3"},
    [SUP_AWS_SSO] = {"awsssoportal", "portal.sso", "portal.sso-fips", "SSO", "sso"},
};

/* Partitions by Region prefix (the SDKs' partitions.json); the first match counts. */
static const struct partition {
    const char *prefix;
    const char *dns_suffix;
    const char *dual_stack_suffix;
} partitions[] = {
    {"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
    {"us-gov-", "amazonaws.com", "api.aws"},
    {"us-isob-", "sc2s.sgov.gov", "api.aws.scloud"},
    {"us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"},
    {"eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"},
    {"us-iso-", "c2s.ic.gov", "api.aws.ic.gov"},
    {"eusc-", "amazonaws.eu", "api.amazonwebservices.eu"},
    {"", "amazonaws.com", "api.aws"},
};

const char *sup_aws_signing_name(enum sup_aws_service s)
{
    return services[s].signing;
}

bool sup_aws_region_valid(const char *region)
{
    size_t n = region != NULL ? strlen(region) : 0;

    if (n == 0 || n > 63 || region[0] == '-' || region[n - 1] == '-')
        return false;
    for (size_t i = 0; i < n; i++)
        if (!islower((unsigned char)region[i]) && !isdigit((unsigned char)region[i]) &&
            region[i] != '-')
            return false;
    return true;
}

const char *sup_aws_region(const struct sup_aws_env *env, const struct sup_aws_config *config,
                           const char *profile)
{
    const char *region = sup_aws_getenv(env, "AWS_REGION");
    if (region == NULL)
        region = sup_aws_getenv(env, "AWS_DEFAULT_REGION");
    if (region == NULL)
        region = sup_aws_config_get(config, SUP_AWS_PROFILE, profile, "region");
    return region;
}

int sup_aws_url_allowed(const char *url, bool insecure, struct sup_err *err)
{
    struct sup_url u;
    int rc = sup_url_parse(&u, url, err);

    if (rc != SUP_OK)
        return rc;
    if (u.scheme.n == 4 && !insecure && !sup_url_is_loopback(&u))
        return sup_err_set(err, SUP_EINPUT, "%s: http:// is accepted only for loopback hosts", url);
    return SUP_OK;
}

/* ---- configured URLs ---- */

/* A switch from the environment, else from the profile. */
static bool setting(const struct sup_aws_endpoint_query *q, const char *profile,
                    const char *env_name, const char *key)
{
    int v = sup_aws_parse_bool(sup_aws_getenv(q->env, env_name));
    if (v < 0)
        v = sup_aws_parse_bool(sup_aws_config_get(q->config, SUP_AWS_PROFILE, profile, key));
    return v == 1;
}

static int dup_to(char **out, const char *s)
{
    *out = strdup(s);
    return *out != NULL ? SUP_OK : SUP_ENOMEM;
}

static int configured_url(char **out, const struct sup_aws_endpoint_query *q, const char *profile,
                          const struct service_names *s)
{
    char name[64];
    const char *url = q->explicit_url;

    *out = NULL;
    if (url != NULL && url[0] != '\0')
        return dup_to(out, url);
    if (setting(q, profile, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
                "ignore_configured_endpoint_urls"))
        return SUP_OK;
    snprintf(name, sizeof name, "AWS_ENDPOINT_URL_%s", s->env);
    if ((url = sup_aws_getenv(q->env, name)) != NULL ||
        (url = sup_aws_getenv(q->env, "AWS_ENDPOINT_URL")) != NULL)
        return dup_to(out, url);
    const char *section = sup_aws_config_get(q->config, SUP_AWS_PROFILE, profile, "services");
    int rc =
        sup_aws_config_get_sub(q->config, SUP_AWS_SERVICES, section, s->key, "endpoint_url", out);
    if (rc != SUP_ENOTFOUND)
        return rc;
    url = sup_aws_config_get(q->config, SUP_AWS_PROFILE, profile, "endpoint_url");
    return url != NULL ? dup_to(out, url) : SUP_OK;
}

bool sup_aws_endpoint_is_custom(const struct sup_aws_endpoint_query *q,
                                enum sup_aws_service service)
{
    char *url = NULL;
    const char *profile = q->profile != NULL ? q->profile : "default";
    bool custom = configured_url(&url, q, profile, &services[service]) == SUP_OK && url != NULL;

    free(url);
    return custom;
}

/* ---- built-in hosts ---- */

static int built_in(char **out, const struct sup_aws_endpoint_query *q, const char *profile,
                    enum sup_aws_service service, const char *region)
{
    bool fips = setting(q, profile, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint");
    bool dual = setting(q, profile, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint");
    const struct service_names *s = &services[service];
    const struct partition *p = partitions;
    struct sup_buf b;

    while (strncmp(region, p->prefix, strlen(p->prefix)) != 0)
        p++;
    sup_buf_init(&b, 1024);
    sup_buf_addf(&b, "https://%s.", fips ? s->fips_host : s->host);
    /* S3 has a dual-stack form of its own. */
    if (service == SUP_AWS_S3 && dual)
        sup_buf_addf(&b, "dualstack.%s.%s", region, p->dns_suffix);
    else
        sup_buf_addf(&b, "%s.%s", region, dual ? p->dual_stack_suffix : p->dns_suffix);
    *out = sup_buf_steal(&b);
    return *out != NULL ? SUP_OK : SUP_ENOMEM;
}

static int check_configured(char *url, bool insecure, struct sup_err *err)
{
    struct sup_url u;
    size_t n = strlen(url);

    while (n > 0 && url[n - 1] == '/')
        url[--n] = '\0';
    int rc = sup_url_parse(&u, url, err);
    if (rc == SUP_OK && u.query.n > 0)
        rc = sup_err_set(err, SUP_EINPUT, "an endpoint URL has no query");
    if (rc != SUP_OK)
        return sup_err_prefix(err, rc, "endpoint URL '%s'", url);
    return sup_aws_url_allowed(url, insecure, err);
}

int sup_aws_endpoint(char **out, const struct sup_aws_endpoint_query *q,
                     enum sup_aws_service service, const char *region, struct sup_err *err)
{
    const char *profile = q->profile != NULL ? q->profile : "default";

    *out = NULL;
    if (!sup_aws_region_valid(region))
        return sup_err_set(err, SUP_EINPUT, "'%s' is not a Region name",
                           region != NULL ? region : "");
    int rc = configured_url(out, q, profile, &services[service]);
    if (rc == SUP_OK && *out != NULL) {
        rc = check_configured(*out, q->insecure, err);
        if (rc == SUP_OK)
            return SUP_OK;
        free(*out);
        *out = NULL;
        return rc;
    }
    if (rc == SUP_OK)
        rc = built_in(out, q, profile, service, region);
    return rc == SUP_OK ? rc : sup_err_set(err, rc, "out of memory");
}
