/* What a profile of the shared files can say: a role to assume, a web identity, SSO, keys, a
 * process. */
#include "aws/credentials_source.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CHAIN_MAX 8 /* source_profile steps */

/* The profiles on the way here: a loop is an error, a profile that is its own source means its
 * keys. */
struct walk {
    const struct sup_aws_provider_options *o;
    const char *seen[CHAIN_MAX];
    size_t n;
};

static int load_profile(struct walk *w, const char *name, struct sup_aws_credentials *out,
                        struct sup_err *err);

static const char *get(const struct walk *w, const char *profile, const char *key)
{
    return sup_aws_config_get(w->o->config, SUP_AWS_PROFILE, profile, key);
}

static void session_name(const struct sup_aws_env *env, const char *given, char *out, size_t size)
{
    if (given == NULL)
        snprintf(out, size, "supsync-%" PRId64, sup_aws_wall_ms(env));
    else
        snprintf(out, size, "%s", given);
}

/* ---- keys ---- */

static int static_keys(struct walk *w, const char *profile, struct sup_aws_credentials *out,
                       struct sup_err *err)
{
    const char *key_id = get(w, profile, "aws_access_key_id");
    const char *secret = get(w, profile, "aws_secret_access_key");
    const char *token = get(w, profile, "aws_session_token");

    if (key_id == NULL && secret == NULL)
        return SUP_ENOTFOUND;
    if (key_id == NULL || secret == NULL)
        return sup_err_set(err, SUP_EAUTH, "profile %s has only half of a key pair", profile);
    if (token == NULL)
        token = get(w, profile, "aws_security_token");
    int rc = sup_cred_from_text(out, key_id, secret, token, get(w, profile, "aws_account_id"));
    out->source = "profile";
    return rc;
}

static int process(struct walk *w, const char *profile, struct sup_aws_credentials *out,
                   struct sup_err *err)
{
    const char *command = get(w, profile, "credential_process");

    if (command == NULL)
        return SUP_ENOTFOUND;
    return sup_cred_process(command, get(w, profile, "aws_account_id"), w->o->stop, out, err);
}

/* Keys of the credentials file, then the process, then keys of the config file. */
static int keys_or_process(struct walk *w, const char *profile, struct sup_aws_credentials *out,
                           struct sup_err *err)
{
    bool shared = sup_aws_config_is_from(w->o->config, profile, "aws_access_key_id",
                                         SUP_AWS_CREDENTIALS_FILE);
    int rc = shared ? static_keys(w, profile, out, err) : process(w, profile, out, err);

    if (rc == SUP_ENOTFOUND)
        rc = shared ? process(w, profile, out, err) : static_keys(w, profile, out, err);
    return rc;
}

/* ---- web identity ---- */

static int web_identity(const struct sup_aws_provider_options *o, const char *profile,
                        const char *token_file, const char *role_arn, const char *name,
                        const char *duration, struct sup_aws_credentials *out, struct sup_err *err)
{
    char session[128];
    struct sup_sts sts;
    char *endpoint = NULL;
    char *token = NULL;

    if (role_arn == NULL)
        return sup_err_set(err, SUP_EAUTH,
                           "`web_identity_token_file` was specified but `role_arn` was missing");
    session_name(o->env, name, session, sizeof session);
    struct sup_sts_role role = {
        .role_arn = role_arn, .session_name = session, .duration_s = duration};
    int rc = sup_cred_read_token(o->env, token_file, &token, err);
    if (rc == SUP_OK)
        rc = sup_cred_sts(o, profile, &sts, &endpoint, err);
    if (rc == SUP_OK)
        rc = sup_sts_assume_role_with_web_identity(&sts, &role, token, out, err);
    if (rc == SUP_OK)
        out->source = "web-identity";
    free(token);
    free(endpoint);
    return rc;
}

int sup_cred_web_identity_env(const struct sup_aws_provider_options *o,
                              struct sup_aws_credentials *out, struct sup_err *err)
{
    const char *file = sup_aws_getenv(o->env, "AWS_WEB_IDENTITY_TOKEN_FILE");

    if (file == NULL)
        return SUP_ENOTFOUND;
    const char *role = sup_aws_getenv(o->env, "AWS_ROLE_ARN");
    if (role == NULL)
        return sup_err_set(err, SUP_EAUTH,
                           "AWS_WEB_IDENTITY_TOKEN_FILE is set but AWS_ROLE_ARN is not");
    return web_identity(o, sup_aws_config_profile(o->env, o->profile), file, role,
                        sup_aws_getenv(o->env, "AWS_ROLE_SESSION_NAME"), NULL, out, err);
}

/* ---- roles ---- */

static int named_source(struct walk *w, const char *source, struct sup_aws_credentials *out,
                        struct sup_err *err)
{
    int rc = SUP_ENOTFOUND;

    if (strcasecmp(source, "Environment") == 0)
        rc = sup_cred_environment(w->o, out, err);
    else if (strcasecmp(source, "Ec2InstanceMetadata") == 0)
        rc = sup_cred_imds(w->o, out, err);
    else if (strcasecmp(source, "EcsContainer") == 0)
        rc = sup_cred_container(w->o, out, err);
    else
        return sup_err_set(err, SUP_EAUTH,
                           "credential_source '%s' is not one of Environment, "
                           "Ec2InstanceMetadata, EcsContainer",
                           source);
    if (rc == SUP_ENOTFOUND)
        rc = sup_err_set(err, SUP_EAUTH,
                         "credential_source %s: the credential provider was not enabled", source);
    return rc;
}

static int base_credentials(struct walk *w, const char *profile, struct sup_aws_credentials *out,
                            struct sup_err *err)
{
    const char *source_profile = get(w, profile, "source_profile");
    const char *source = get(w, profile, "credential_source");

    if (source_profile != NULL && source != NULL)
        return sup_err_set(err, SUP_EAUTH,
                           "profile %s has both source_profile and credential_source", profile);
    if (source != NULL)
        return named_source(w, source, out, err);
    if (source_profile == NULL)
        return sup_err_set(err, SUP_EAUTH,
                           "profile %s has role_arn but no source_profile or credential_source",
                           profile);
    int rc = load_profile(w, source_profile, out, err);
    if (rc == SUP_ENOTFOUND)
        rc = sup_err_set(err, SUP_EAUTH, "source_profile %s holds no credentials", source_profile);
    return rc;
}

static int assume_role(struct walk *w, const char *profile, struct sup_aws_credentials *out,
                       struct sup_err *err)
{
    struct sup_aws_credentials base = {0};
    struct sup_sts sts;
    char session[128];
    char *endpoint = NULL;

    if (get(w, profile, "mfa_serial") != NULL)
        return sup_err_set(err, SUP_EAUTH, "profile %s wants MFA, which a daemon cannot answer",
                           profile);
    int rc = base_credentials(w, profile, &base, err);
    if (rc == SUP_OK)
        rc = sup_cred_sts(w->o, profile, &sts, &endpoint, err);
    if (rc == SUP_OK) {
        session_name(w->o->env, get(w, profile, "role_session_name"), session, sizeof session);
        struct sup_sts_role role = {.role_arn = get(w, profile, "role_arn"),
                                    .session_name = session,
                                    .external_id = get(w, profile, "external_id"),
                                    .duration_s = get(w, profile, "duration_seconds")};
        rc = sup_sts_assume_role(&sts, &role, &base, out, err);
    }
    if (rc == SUP_OK)
        out->source = "assume-role";
    sup_aws_credentials_fini(&base);
    free(endpoint);
    return rc;
}

/* ---- one profile ---- */

static bool was_seen(const struct walk *w, const char *name)
{
    for (size_t i = 0; i < w->n; i++)
        if (strcmp(w->seen[i], name) == 0)
            return true;
    return false;
}

static int load_profile(struct walk *w, const char *name, struct sup_aws_credentials *out,
                        struct sup_err *err)
{
    const char *token_file = get(w, name, "web_identity_token_file");

    if (w->n > 0 && strcmp(w->seen[w->n - 1], name) == 0)
        return static_keys(w, name, out, err);
    if (was_seen(w, name) || w->n == CHAIN_MAX)
        return sup_err_set(err, SUP_EAUTH, "source_profile %s: a loop, or too many steps", name);
    if (!sup_aws_config_has(w->o->config, SUP_AWS_PROFILE, name)) {
        if (w->n == 0 && strcmp(name, "default") == 0)
            return SUP_ENOTFOUND;
        return sup_err_set(err, SUP_EAUTH, "there is no profile %s", name);
    }
    w->seen[w->n++] = name;
    if (token_file != NULL)
        return web_identity(w->o, name, token_file, get(w, name, "role_arn"),
                            get(w, name, "role_session_name"), get(w, name, "duration_seconds"),
                            out, err);
    if (get(w, name, "role_arn") != NULL)
        return assume_role(w, name, out, err);
    int rc = sup_cred_sso(w->o, name, out, err);
    return rc == SUP_ENOTFOUND ? keys_or_process(w, name, out, err) : rc;
}

int sup_cred_profile(const struct sup_aws_provider_options *o, const char *profile,
                     struct sup_aws_credentials *out, struct sup_err *err)
{
    struct walk w = {.o = o};
    return load_profile(&w, profile, out, err);
}
