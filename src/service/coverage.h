#ifndef SUP_SERVICE_COVERAGE_H
#define SUP_SERVICE_COVERAGE_H

#include "service/service.h"

/* Where a list entry protects and where it does not: SES looks at the list only for the reasons
 * that are effective, and a configuration set's options override the account's. */

#define SUP_COVERS_BOUNCE    1U
#define SUP_COVERS_COMPLAINT 2U

struct sup_coverage_account {
    bool sending_enabled;
    bool production_access;
    char enforcement_status[32];
    unsigned reasons;
};

struct sup_coverage_set {
    const char *name;
    bool overrides;
    unsigned reasons; /* effective ones */
    const char *scope;
};

/* Asks SES: a call for the account, one for each configuration set, at the allowed pace. set gets
 * each of them, gap every text about something that is not covered, note every text about what is
 * worth knowing besides. Any thread that may wait. Errors are those of the calls. */
int sup_service_coverage(struct sup_service *s, struct sup_coverage_account *account,
                         void (*set)(void *arg, const struct sup_coverage_set *c),
                         void (*gap)(void *arg, const char *text),
                         void (*note)(void *arg, const char *text), void *arg, struct sup_err *err);

#endif
