#ifndef SUP_AWS_SES_SETTINGS_H
#define SUP_AWS_SES_SETTINGS_H

#include "aws/sesv2.h"
#include "model/suppression.h"

/* What the account, its configuration sets and its tenants say of suppression. aerr may be NULL;
 * errors as in client.h; throttles are not retried inside; stop as in sesv2.h. */

/* The account's SuppressionAttributes as SES gave them, members included that this program does not
 * know: PutAccountSuppressionAttributes clears what it is not sent. */
struct sup_ses_attributes {
    void *owner; /* NULL: the reply had none */
};
void sup_ses_attributes_fini(struct sup_ses_attributes *a);
/* Are all members but the reasons the same? */
bool sup_ses_attributes_same_rest(const struct sup_ses_attributes *a,
                                  const struct sup_ses_attributes *b);
/* GetAccount. attributes is the caller's to release on SUP_OK. */
int sup_ses_read_account(struct sup_aws *a, struct sup_ses_account *out,
                         struct sup_ses_attributes *attributes, struct sup_stop *stop,
                         struct sup_aws_error *aerr, struct sup_err *err);
/* PutAccountSuppressionAttributes of what was read, with BOUNCE and COMPLAINT among the reasons;
 * other reasons and members go back as they came. */
int sup_ses_complete_attributes(struct sup_aws *a, const struct sup_ses_attributes *read,
                                struct sup_stop *stop, struct sup_aws_error *aerr,
                                struct sup_err *err);

#define SUP_SES_NAME_MAX 64

/* A page of names; owns them. */
struct sup_ses_names {
    const char **names;
    size_t n;
    const char *next_token; /* NULL on the last page */
    void *owner;
};
void sup_ses_names_fini(struct sup_ses_names *s);

/* ListConfigurationSets, by the path of all models up to 2025 and, where that is gone, by the new
 * one. next_token NULL: the first page. */
int sup_ses_sets_page(struct sup_aws *a, const char *next_token, struct sup_ses_names *out,
                      struct sup_stop *stop, struct sup_aws_error *aerr, struct sup_err *err);
int sup_ses_get_set(struct sup_aws *a, const char *name, struct sup_suppression *out,
                    struct sup_stop *stop, struct sup_aws_error *aerr, struct sup_err *err);

/* ListTenants. SUP_ENOTFOUND: SES does not know of tenants there. */
int sup_ses_tenants_page(struct sup_aws *a, const char *next_token, struct sup_ses_names *out,
                         struct sup_stop *stop, struct sup_aws_error *aerr, struct sup_err *err);
/* sending: whether the tenant may send (SendingStatus is not DISABLED). */
int sup_ses_get_tenant(struct sup_aws *a, const char *name, struct sup_suppression *out,
                       bool *sending, struct sup_stop *stop, struct sup_aws_error *aerr,
                       struct sup_err *err);

#endif
