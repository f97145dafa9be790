#ifndef SUP_SERVICE_COVERAGE_KEEPER_H
#define SUP_SERVICE_COVERAGE_KEEPER_H

#include "aws/client.h"
#include "service/apply.h"
#include "service/coverage.h"
#include "service/options.h"
#include "service/ses_calls.h"

/* Audits coverage at start, every scan_interval, and when asked, on a thread of its own; keeps the
 * newest result. If the configuration says so, and the agent writes at all, it switches on what the
 * account's attributes lack. */

struct sup_coverage_keeper;

struct sup_coverage_options {
    const struct sup_options *config;
    struct sup_aws *aws;
    struct sup_ses_calls *calls; /* NULL: nobody keeps books */
    struct sup_apply *apply;
    struct sup_store *store;
};

int sup_coverage_keeper_start(const struct sup_coverage_options *opts,
                              struct sup_coverage_keeper **out, struct sup_err *err);
void sup_coverage_keeper_close(struct sup_coverage_keeper *k); /* does not block; NULL is fine */
void sup_coverage_keeper_stop(struct sup_coverage_keeper *k);  /* ends an audit, waits */
void sup_coverage_keeper_free(struct sup_coverage_keeper *k);

#define SUP_AUDIT_WRITES  1U /* it may change the account's attributes, if all else lets it */
#define SUP_AUDIT_FOR_RUN 2U /* its calls are those of a run of the reconciler */

/* Asks for an audit that begins from now on; the number is for waiting. how: bits of SUP_AUDIT_….
 * Does not block. */
uint64_t sup_coverage_keeper_ask(struct sup_coverage_keeper *k, unsigned how);
/* Until that audit, or (0) the one under way, is over, at most ms (negative: for ever). Its error;
 * SUP_ETIMEDOUT; SUP_ECLOSED. */
int sup_coverage_keeper_wait(struct sup_coverage_keeper *k, uint64_t ticket, int64_t ms,
                             struct sup_err *err);
/* The newest; NULL: none yet. The caller's until sup_coverage_drop. */
struct sup_coverage *sup_coverage_keeper_get(struct sup_coverage_keeper *k);
/* Fills out->coverage, adds problems. */
void sup_coverage_keeper_status(struct sup_coverage_keeper *k, struct sup_status *out);

#endif
