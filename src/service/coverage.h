#ifndef SUP_SERVICE_COVERAGE_H
#define SUP_SERVICE_COVERAGE_H

#include "codec/coverage.h"
#include "core/coverage.h"
#include "service/service.h"

#include <stdatomic.h>

/* Where a list entry protects and where it does not (core/coverage.h), as an audit found it. */

#define SUP_COVERAGE_NAME_MAX 64

/* A tenant or a configuration set; a mail with it and nothing else. */
struct sup_coverage_item {
    char name[SUP_COVERAGE_NAME_MAX + 1];
    struct sup_suppression own;
    struct sup_effective effective;
    bool sending; /* of a tenant: it may send */
    bool unread;  /* SES did not tell; own and effective say nothing */
};

struct sup_coverage_items {
    struct sup_coverage_item *items;
    size_t n, cap;
    bool known; /* all of them are there, or as many as are kept */
};

/* What is known of a Region, immutable once published. */
struct sup_coverage {
    atomic_uint holders;
    struct sup_coverage_brief brief; /* with the first texts of each kind */
    struct sup_coverage_items sets, tenants;
    struct sup_coverage_change changes[SUP_COVERAGE_CHANGES_MAX]; /* that we made, oldest first */
    size_t n_changes;
    bool partial; /* only the brief is known: it is from before a restart */
    /* All texts, up to a bound; brief counts them. */
    char (*texts[3])[SUP_COVERAGE_TEXT_MAX + 1];
    size_t n_texts[3], cap_texts[3];
};
enum { SUP_COVERAGE_GAP_TEXTS, SUP_COVERAGE_UNKNOWN_TEXTS, SUP_COVERAGE_NOTE_TEXTS };

/* Gives back what sup_service_coverage gave; NULL is fine. Any thread. */
void sup_coverage_drop(struct sup_coverage *c);

/* fresh: asks SES now, a call for the account and one for each set and tenant, at the allowed pace,
 * writes nothing, and waits for the end; else the newest that is known. *out is the caller's until
 * sup_coverage_drop. Errors: those of GetAccount; SUP_ENOTFOUND: nothing is known yet; SUP_ECLOSED:
 * the agent stops. Any thread that may wait. */
int sup_service_coverage(struct sup_service *s, bool fresh, struct sup_coverage **out,
                         struct sup_err *err);

#endif
