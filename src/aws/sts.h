#ifndef SUP_AWS_STS_H
#define SUP_AWS_STS_H

#include "aws/credentials.h"
#include "aws/http.h"

/* AWS STS, query protocol. These stand below the client: credentials must not need credentials'
 * client. No retries here; the provider's refresh policy repeats. */

struct sup_sts {
    const struct sup_aws_env *env;
    const char *endpoint; /* base URL */
    const char *region;   /* signing Region */
    struct sup_stop *stop;
};

struct sup_sts_role {
    const char *role_arn;
    const char *session_name;
    const char *external_id; /* NULL: none */
    const char *duration_s;  /* digits, NULL: AWS's default */
};

/* Signed with base. SUP_OK; SUP_EAUTH (refused); SUP_EAGAIN, SUP_ETIMEDOUT, SUP_EIO; SUP_ECORRUPT.
 */
int sup_sts_assume_role(const struct sup_sts *sts, const struct sup_sts_role *role,
                        const struct sup_aws_credentials *base, struct sup_aws_credentials *out,
                        struct sup_err *err);
/* Unsigned. token is the text of the identity token. */
int sup_sts_assume_role_with_web_identity(const struct sup_sts *sts,
                                          const struct sup_sts_role *role, const char *token,
                                          struct sup_aws_credentials *out, struct sup_err *err);

#endif
