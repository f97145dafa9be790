#ifndef SUP_AWS_CREDENTIALS_H
#define SUP_AWS_CREDENTIALS_H

#include "aws/config.h"
#include "aws/env.h"
#include "base/err.h"
#include "base/thread.h"

#include <stdbool.h>
#include <stdint.h>

struct sup_aws_credentials {
    char *access_key_id;
    char *secret_access_key;
    char *session_token; /* NULL when there is none */
    char *account_id;    /* NULL when not known */
    int64_t expires_ms;  /* wall time; 0: never */
    const char *source;  /* static text: "environment", "assume-role", … */
};
/* Wipes and frees the strings; the struct may be filled again. */
void sup_aws_credentials_fini(struct sup_aws_credentials *c);
int sup_aws_credentials_copy(struct sup_aws_credentials *to,
                             const struct sup_aws_credentials *from);

struct sup_aws_provider_options {
    const struct sup_aws_env *env;       /* borrowed, must outlive the provider */
    const struct sup_aws_config *config; /* borrowed likewise */
    const char *profile;                 /* explicit; NULL: AWS_PROFILE or "default" */
    const char *region;                  /* for STS and SSO endpoints when the profile has none */
    const char *endpoint_url; /* explicit endpoint for STS (supsync's aws.endpoint_url) */
    bool profile_only;        /* only what the profile says (no env keys, no IMDS) */
    bool insecure;            /* see sup_aws_endpoint_query */
    struct sup_stop *stop;    /* may be NULL */
};

/* The default chain, cached and refreshed: environment, assume-role profile, web identity
 * (environment and profile), SSO, shared credentials, process, configuration file, container, EC2
 * metadata.
 *
 * get refreshes 15 minutes ahead of expiry with one thread while the others go on with the old
 * keys, and from 10 minutes on makes everybody wait. When a refresh fails, keys that are still
 * valid stay in use; keys of the metadata services stay in use even past their expiry (static
 * stability) while the service cannot answer. Thread-safe. */
struct sup_aws_provider;
int sup_aws_provider_new(struct sup_aws_provider **out, const struct sup_aws_provider_options *opt,
                         struct sup_err *err);
void sup_aws_provider_free(struct sup_aws_provider *p);
/* out is filled with a copy that the caller finishes. SUP_OK; SUP_EAUTH (nothing configured, or the
 * configuration is wrong); SUP_EAGAIN (the source cannot be reached now); SUP_ECLOSED; SUP_ENOMEM.
 */
int sup_aws_provider_get(struct sup_aws_provider *p, struct sup_aws_credentials *out,
                         struct sup_err *err);
/* AWS refused the keys as expired: the next get fetches anew. */
void sup_aws_provider_invalidate(struct sup_aws_provider *p);

#endif
