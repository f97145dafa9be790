#ifndef SUP_AWS_ENDPOINT_H
#define SUP_AWS_ENDPOINT_H

#include "aws/config.h"
#include "aws/env.h"
#include "base/err.h"

#include <stdbool.h>

enum sup_aws_service {
    SUP_AWS_SESV2,
    SUP_AWS_SQS,
    SUP_AWS_STS,
    SUP_AWS_S3,
    SUP_AWS_SSO, /* portal.sso: GetRoleCredentials */
    SUP_AWS_N_SERVICES
};

/* "ses" for SESV2: the signing name is not the host prefix. */
const char *sup_aws_signing_name(enum sup_aws_service s);

struct sup_aws_endpoint_query {
    const struct sup_aws_env *env;
    const struct sup_aws_config *config; /* may be NULL */
    const char *profile;                 /* may be NULL: "default" */
    const char *explicit_url;            /* supsync's own configuration; wins over everything */
    bool insecure;                       /* allow http:// beyond loopback */
};

/* Base URL without a trailing '/', malloc'd. Order: explicit_url, AWS_ENDPOINT_URL_<SERVICE>,
 * AWS_ENDPOINT_URL, the services section, the profile's endpoint_url, the built-in host with FIPS,
 * dual-stack and partition. SUP_OK, SUP_EINPUT (bad Region, bad URL, http:// to a host that is not
 * loopback), SUP_ENOMEM. */
int sup_aws_endpoint(char **out, const struct sup_aws_endpoint_query *q,
                     enum sup_aws_service service, const char *region, struct sup_err *err);
/* Does the endpoint come from configuration or environment rather than being built in? */
bool sup_aws_endpoint_is_custom(const struct sup_aws_endpoint_query *q,
                                enum sup_aws_service service);
/* A Region name fit for a host label: [a-z0-9-], at most 63. */
bool sup_aws_region_valid(const char *region);
/* AWS_REGION, AWS_DEFAULT_REGION, the profile's region; NULL when none. Borrowed. */
const char *sup_aws_region(const struct sup_aws_env *env, const struct sup_aws_config *config,
                           const char *profile);
/* SUP_OK when url is https, or http to loopback, or insecure. */
int sup_aws_url_allowed(const char *url, bool insecure, struct sup_err *err);

#endif
