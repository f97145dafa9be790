/* The default chain, in the order that botocore documents. */
#include "aws/credentials_source.h"

#include <string.h>

int sup_cred_environment(const struct sup_aws_provider_options *o, struct sup_aws_credentials *out,
                         struct sup_err *err)
{
    const char *key_id = sup_aws_getenv(o->env, "AWS_ACCESS_KEY_ID");
    const char *secret = sup_aws_getenv(o->env, "AWS_SECRET_ACCESS_KEY");

    if (key_id == NULL)
        return SUP_ENOTFOUND;
    if (secret == NULL)
        return sup_err_set(err, SUP_EAUTH,
                           "AWS_ACCESS_KEY_ID is set but AWS_SECRET_ACCESS_KEY is not");
    int rc = sup_cred_from_text(out, key_id, secret, sup_aws_getenv(o->env, "AWS_SESSION_TOKEN"),
                                sup_aws_getenv(o->env, "AWS_ACCOUNT_ID"));
    out->source = "environment";
    return rc;
}

static int from_profile(const struct sup_aws_provider_options *o, struct sup_aws_credentials *out,
                        struct sup_err *err)
{
    return sup_cred_profile(o, sup_aws_config_profile(o->env, o->profile), out, err);
}

struct link {
    const char *name;
    int (*load)(const struct sup_aws_provider_options *o, struct sup_aws_credentials *out,
                struct sup_err *err);
    bool only_profile; /* asked in the profile_only form as well */
};

static const struct link chain[] = {
    {"environment", sup_cred_environment, false},
    {"profile", from_profile, true},
    {"web identity", sup_cred_web_identity_env, false},
    {"container", sup_cred_container, false},
    {"EC2 metadata", sup_cred_imds, false},
};

int sup_cred_chain(const struct sup_aws_provider_options *o, struct sup_aws_credentials *out,
                   struct sup_err *err)
{
    /* A profile that was asked for by name goes before keys that happen to be in the environment.
     */
    bool named = o->profile != NULL && o->profile[0] != '\0';

    *out = (struct sup_aws_credentials){0};
    for (size_t i = 0; i < sizeof chain / sizeof chain[0]; i++) {
        const struct link *l = &chain[i];
        if ((o->profile_only && !l->only_profile) || (named && i == 0))
            continue;
        int rc = l->load(o, out, err);
        if (rc == SUP_OK)
            return SUP_OK;
        sup_aws_credentials_fini(out);
        if (rc != SUP_ENOTFOUND) {
            sup_err_prefix(err, rc, "an error occurred while loading credentials (%s)", l->name);
            return rc == SUP_EINPUT ? sup_cred_refuse(err) : rc;
        }
    }
    return sup_err_set(
        err, SUP_EAUTH,
        "no AWS credentials: the credential provider was not enabled in environment, "
        "profile, web identity, container or EC2 metadata");
}
