#ifndef SUP_CORE_COVERAGE_H
#define SUP_CORE_COVERAGE_H

#include "model/decision.h"
#include "model/suppression.h"

#include <stddef.h>

/* Where an entry of the account's list protects. Before a mail, SES asks what the configuration set
 * says, then what the tenant says, then what the account says ("Using tenant-level suppression
 * lists" of the SES developer guide): of the reasons and of the scope the first that says something
 * wins, each for itself. With scope TENANT only the tenant's list is looked at. Pure. */

#define SUP_COVERS_ALL ((unsigned)SUP_REASON_BOUNCE | (unsigned)SUP_REASON_COMPLAINT)

enum sup_level { SUP_LEVEL_ACCOUNT, SUP_LEVEL_TENANT, SUP_LEVEL_SET };

/* What a mail is judged by. */
struct sup_effective {
    bool
        reasons_known; /* false: settings without reasons, of which SES says nowhere what they do */
    unsigned reasons;  /* bits of enum sup_reason; 0: nothing is suppressed, or not known */
    enum sup_level reasons_from;
    enum sup_scope scope; /* ACCOUNT unless somebody says otherwise */
    enum sup_level scope_from;
};

/* tenant and set may be NULL: a mail without. */
void sup_coverage_effective(const struct sup_suppression *account,
                            const struct sup_suppression *tenant, const struct sup_suppression *set,
                            struct sup_effective *out);

/* The reasons whose entries on the account's list surely suppress. */
unsigned sup_coverage_protects(const struct sup_effective *e);

/* Why an entry may fail to protect; bits. Checking the account, each tenant without a set and each
 * set without a tenant is enough: of any mail, reasons and scope each come from one of the three
 * levels, where the gap shows. */
enum sup_gap {
    SUP_GAP_BOUNCE = 1,         /* entries of that reason do not count */
    SUP_GAP_COMPLAINT = 2,      /* likewise */
    SUP_GAP_REASONS = 4,        /* which reasons count is not known */
    SUP_GAP_TENANTS_LIST = 8,   /* the account's list is not looked at */
    SUP_GAP_UNKNOWN_SCOPE = 16, /* which list is looked at is not known */
};
unsigned sup_coverage_gaps(const struct sup_effective *e);
/* Those that this level brought in, not what it inherited. */
unsigned sup_coverage_own_gaps(const struct sup_effective *e, enum sup_level level);

/* What is wrong with that account, tenant or set, and what to do; name is not used for the account.
 * Writes up to max texts and returns how many. */
size_t sup_coverage_explain(enum sup_level level, const char *name, unsigned gaps,
                            char (*out)[SUP_COVERAGE_TEXT_MAX + 1], size_t max);
#define SUP_COVERAGE_TEXTS 2

#endif
