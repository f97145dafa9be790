#ifndef SUP_MODEL_SUPPRESSION_H
#define SUP_MODEL_SUPPRESSION_H

#include <stdbool.h>

/* What the account, a tenant or a configuration set says of suppression: which reasons count, and
 * on whose list SES looks (SuppressionAttributes and SuppressionOptions of the SES API v2). */

/* Bytes of a text about them, without the NUL. */
#define SUP_COVERAGE_TEXT_MAX 239

enum sup_scope {
    SUP_SCOPE_NONE, /* nothing is said */
    SUP_SCOPE_ACCOUNT,
    SUP_SCOPE_TENANT,
    SUP_SCOPE_OTHER /* a word that this program does not know */
};

struct sup_suppression {
    bool given;       /* there are settings at all */
    bool has_reasons; /* among them reasons, if only none */
    unsigned reasons; /* bits of enum sup_reason */
    enum sup_scope scope;
};

#endif
