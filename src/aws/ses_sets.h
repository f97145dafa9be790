#ifndef SUP_AWS_SES_SETS_H
#define SUP_AWS_SES_SETS_H

#include "aws/sesv2.h"

/* Configuration sets, as far as suppression goes: a set's options override the account's. aerr may
 * be NULL; errors as in client.h; throttles are not retried inside. stop as in sesv2.h. */

#define SUP_SES_SET_NAME_MAX 64

struct sup_ses_sets {
    const char **names;
    size_t n;
    const char *next_token; /* NULL on the last page */
    void *owner;
};
void sup_ses_sets_fini(struct sup_ses_sets *s);
int sup_ses_sets_page(struct sup_aws *a, const char *next_token, struct sup_ses_sets *out,
                      struct sup_stop *stop, struct sup_aws_error *aerr, struct sup_err *err);

struct sup_ses_set {
    bool overrides;   /* else the account's reasons hold */
    unsigned reasons; /* bits of enum sup_reason; with overrides, 0 = no suppression at all */
    char scope[16];   /* TENANT, ACCOUNT or "" */
};
int sup_ses_get_set(struct sup_aws *a, const char *name, struct sup_ses_set *out,
                    struct sup_stop *stop, struct sup_aws_error *aerr, struct sup_err *err);

#endif
