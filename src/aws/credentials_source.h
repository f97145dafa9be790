#ifndef SUP_AWS_CREDENTIALS_SOURCE_H
#define SUP_AWS_CREDENTIALS_SOURCE_H

#include "aws/credentials.h"
#include "aws/endpoint.h"
#include "aws/sts.h"
#include "base/buf.h"

#include <jansson.h>

/* The links of the default chain. Each takes the provider's options and fills out (empty before),
 * or answers SUP_ENOTFOUND: "not configured, ask the next one". Any other error ends the chain,
 * because a source that is configured and broken must not be passed over in silence. None of them
 * caches. */

int sup_cred_chain(const struct sup_aws_provider_options *o, struct sup_aws_credentials *out,
                   struct sup_err *err);

int sup_cred_environment(const struct sup_aws_provider_options *o, struct sup_aws_credentials *out,
                         struct sup_err *err);
int sup_cred_profile(const struct sup_aws_provider_options *o, const char *profile,
                     struct sup_aws_credentials *out, struct sup_err *err);
int sup_cred_web_identity_env(const struct sup_aws_provider_options *o,
                              struct sup_aws_credentials *out, struct sup_err *err);
int sup_cred_sso(const struct sup_aws_provider_options *o, const char *profile,
                 struct sup_aws_credentials *out, struct sup_err *err);
int sup_cred_process(const char *command, const char *account_id, struct sup_stop *stop,
                     struct sup_aws_credentials *out, struct sup_err *err);
int sup_cred_container(const struct sup_aws_provider_options *o, struct sup_aws_credentials *out,
                       struct sup_err *err);
int sup_cred_imds(const struct sup_aws_provider_options *o, struct sup_aws_credentials *out,
                  struct sup_err *err);

/* Base URL of the metadata service by environment and profile; malloc'd into *out. Pure but for
 * that. */
int sup_cred_imds_endpoint(const struct sup_aws_provider_options *o, char **out,
                           struct sup_err *err);

/* ---- shared by the links ---- */

/* Names of the members of a credentials document; expiration may be ISO text or, when in_ms, a
 * number. */
struct sup_cred_json {
    const char *access_key_id, *secret_access_key, *session_token, *expiration, *account_id;
    bool token_required;
};
/* Fills out from o. SUP_OK or SUP_ECORRUPT (a member missing or of the wrong type). */
int sup_cred_from_json(const json_t *o, const struct sup_cred_json *names,
                       struct sup_aws_credentials *out, struct sup_err *err);
int sup_cred_from_text(struct sup_aws_credentials *out, const char *key_id, const char *secret,
                       const char *token, const char *account_id);
/* Turns what err holds into SUP_EAUTH: wrong configuration is a credentials matter for callers. */
int sup_cred_refuse(struct sup_err *err);
/* A token file: its text without white space at the end; refused when it has control bytes inside.
 * malloc'd. SUP_OK, SUP_EAUTH. */
int sup_cred_read_token(const struct sup_aws_env *env, const char *path, char **out,
                        struct sup_err *err);
/* One GET or PUT for a metadata service or the SSO portal; r is initialised by the caller. */
int sup_cred_http(const struct sup_aws_provider_options *o, const char *method, const char *url,
                  const struct sup_header *headers, size_t n_headers, int64_t timeout_ms,
                  struct sup_http_response *r, struct sup_err *err);
/* The STS to ask: endpoint malloc'd into *endpoint (caller frees), the rest of sts filled. */
int sup_cred_sts(const struct sup_aws_provider_options *o, const char *profile, struct sup_sts *sts,
                 char **endpoint, struct sup_err *err);

#endif
