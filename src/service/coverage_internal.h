#ifndef SUP_SERVICE_COVERAGE_INTERNAL_H
#define SUP_SERVICE_COVERAGE_INTERNAL_H

#include "aws/ses_settings.h"
#include "core/rate.h"
#include "service/coverage_keeper.h"

/* Shared by coverage*.c only. */

/* SES limits each operation by itself. */
enum sup_coverage_call {
    SUP_ASK_ACCOUNT,
    SUP_PUT_ACCOUNT,
    SUP_ASK_SETS,
    SUP_ASK_SET,
    SUP_ASK_TENANTS,
    SUP_ASK_TENANT,
    SUP_N_ASKS
};

/* One audit. Keeper's thread only. */
struct sup_audit {
    const struct sup_coverage_options *opts;
    struct sup_stop *stop;
    struct sup_rate *rates; /* of each sup_coverage_call */
    unsigned how;           /* bits of SUP_AUDIT_… */
    struct sup_coverage *out;
    const struct sup_coverage_brief *before; /* of the audit before; NULL: none */
    struct sup_suppression account;
    struct sup_aws_error aerr; /* of the last call */
};

/* Calls fn at the operation's pace and out of the day's budget, again when throttled. SUP_ECLOSED:
 * stopping; SUP_ELIMIT: the budget is used up. */
int sup_audit_call(struct sup_audit *a, enum sup_coverage_call op,
                   int (*fn)(struct sup_audit *a, void *arg, struct sup_err *err), void *arg,
                   struct sup_err *err);

/* All of it, into a->out. Errors: those of the first GetAccount, SUP_ECLOSED; of what else cannot
 * be read the result says that it is not known. */
int sup_audit_run(struct sup_audit *a, struct sup_err *err);

/* --- coverage_account.c --- */

/* GetAccount; then, if that is wanted and allowed, the attributes are completed. */
int sup_audit_account(struct sup_audit *a, struct sup_err *err);

/* --- coverage_keeper.c --- */

/* Keeps the changes of c, and last (NULL: nothing) as the newest result, on stable storage. */
int sup_coverage_store(const struct sup_coverage_options *opts,
                       const struct sup_coverage_brief *last, const struct sup_coverage *c,
                       struct sup_err *err);

/* --- coverage.c --- */

struct sup_coverage *sup_coverage_new(void); /* NULL: no memory */
struct sup_coverage *sup_coverage_hold(struct sup_coverage *c);
/* kind is one of SUP_COVERAGE_…_TEXTS. What does not fit any more is counted. */
void sup_coverage_say(struct sup_coverage *c, int kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Of the account, a tenant or a set: says each gap. */
void sup_coverage_say_gaps(struct sup_coverage *c, enum sup_level level, const char *name,
                           const struct sup_effective *e);
void sup_coverage_add_change(struct sup_coverage *c, const struct sup_coverage_change *change);
/* NULL: no memory, or too many. */
struct sup_coverage_item *sup_coverage_add(struct sup_coverage_items *list, const char *name);
/* brief.state, once all is said. */
void sup_coverage_conclude(struct sup_coverage *c);

#endif
