#ifndef SUP_SERVICE_SES_CALLS_H
#define SUP_SERVICE_SES_CALLS_H

#include "aws/client.h"
#include "codec/report.h"
#include "service/apply.h"
#include "service/options.h"
#include "service/service.h"

/* The books on the agent's calls of SES, and of S3 for import jobs: how many of each kind, which of
 * them for a run of the reconciler, and what is left of the day's budget (core/budget.h;
 * ses.max_calls_per_day). The budget is stored with what the calls bring about, so that a restart
 * does not give a new one. Any thread. */

struct sup_ses_calls;

int sup_ses_calls_open(const struct sup_options *config, struct sup_store *store,
                       struct sup_ses_calls **out, struct sup_err *err);
void sup_ses_calls_free(struct sup_ses_calls *c); /* NULL is fine */

/* May a call be made? Nothing is taken. */
bool sup_ses_calls_may(struct sup_ses_calls *c, bool urgent);
/* Takes one call of SES (not of S3) out of the budget: SUP_OK, or SUP_ELIMIT with what to tell. */
int sup_ses_calls_take(struct sup_ses_calls *c, bool urgent, struct sup_err *err);

/* A call that was made or tried. */
struct sup_ses_call_made {
    enum sup_report_call op;
    int code;                        /* what the call returned */
    const struct sup_aws_error *aws; /* its other result: each attempt counts */
    bool for_run;
    bool again; /* one before it failed or was throttled */
};
void sup_ses_calls_made(struct sup_ses_calls *c, const struct sup_ses_call_made *m);

/* A run began; what was queued since is for it. */
void sup_ses_calls_run_began(struct sup_ses_calls *c, int64_t began_ms);
bool sup_ses_calls_is_for_run(struct sup_ses_calls *c, int64_t queued_ms);
/* All calls for runs since the agent started. */
void sup_ses_calls_for_runs(struct sup_ses_calls *c, uint64_t out[SUP_N_CALLS]);
/* How long so many routine calls take because of the budget, beside others_a_day; 0: they fit into
 * what is left of the day's. */
int64_t sup_ses_calls_spread_ms(struct sup_ses_calls *c, uint64_t calls, uint64_t others_a_day);
/* How long routine calls have to wait; 0: they need not. */
int64_t sup_ses_calls_wait_ms(struct sup_ses_calls *c);
uint64_t sup_ses_calls_per_day(const struct sup_ses_calls *c); /* 0 = no limit */

/* Puts what is used of the budget into the transaction. On the writer thread. */
void sup_ses_calls_put(struct sup_ses_calls *c, struct sup_txn *t);
void sup_ses_calls_status(struct sup_ses_calls *c, struct sup_status *out);

#endif
