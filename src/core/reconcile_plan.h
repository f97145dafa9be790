#ifndef SUP_CORE_RECONCILE_PLAN_H
#define SUP_CORE_RECONCILE_PLAN_H

#include "codec/difference.h"
#include "codec/value.h"
#include "model/decision.h"

/* What is to be done about one address, from the three things known of it: what is desired (its
 * registers), what this Region's list was last known to hold, and what a scan of the list found.
 *
 * Two facts about SES rule here. A put renews LastUpdateTime, so an entry whose time falls into the
 * window of our own last put is never evidence. And SES removes entries by itself, so that absence
 * alone is no decision: it counts after two scans absence_interval apart, and then as the Region's
 * policy says. Pure. */

enum sup_reconcile_removal { SUP_RECONCILE_RESTORE, SUP_RECONCILE_PROPAGATE, SUP_RECONCILE_REPORT };

struct sup_listed {
    const char *spelling;
    enum sup_reason reason; /* NONE: one that this program does not know */
    int64_t last_update_ms;
};

struct sup_reconcile_address {
    struct sup_slice key;
    const struct sup_registers *registers; /* NULL: no record */
    const struct sup_ses_entry *known;     /* NULL: none */
    const struct sup_listed *listed;
    size_t n_listed; /* at most SUP_SPELLINGS_MAX are looked at */
};

struct sup_reconcile_rules {
    int64_t now_ms;
    int64_t scan_begin_ms; /* when the first page was asked for */
    int64_t absence_interval_ms;
    enum sup_reconcile_removal removal;
    bool hold_removals; /* the fuse: whoever is gone stays as it is */
    bool explain;       /* SES is asked later who added what is adopted */
};

struct sup_reconcile_step {
    enum sup_diff_kind kind;
    enum sup_diff_cause cause;
    enum sup_diff_action action;
    bool withheld;
    const char *spelling; /* of the listed entry concerned; "" = none */
    enum sup_reason reason;
    int64_t time_ms; /* of the decision, when one is adopted */
};

#define SUP_RECONCILE_STEPS_MAX (SUP_SPELLINGS_MAX + 2)

struct sup_reconcile_plan {
    enum sup_reason desired;
    bool known_listed; /* the list held it as far as we knew */
    bool removed;      /* and does not any more: counts towards the fuse */
    bool busy;         /* written since the scan began: what the scan saw of it is void */
    bool matched;      /* suppressed and listed as it should be */
    struct sup_reconcile_step steps[SUP_RECONCILE_STEPS_MAX];
    size_t n;
};

void sup_reconcile_plan(const struct sup_reconcile_address *a, const struct sup_reconcile_rules *r,
                        struct sup_reconcile_plan *out);

/* Is the listed entry the work of our own last write of that spelling? */
bool sup_reconcile_own(const struct sup_ses_spelling *s, const struct sup_listed *l);

/* Brings what is known in line with what the scan found, as plan (made of the same input) wants it;
 * e is what the plan saw as known, or empty. What an outbox plan then wants is what is to be
 * written. */
void sup_reconcile_observe(struct sup_ses_entry *e, const struct sup_reconcile_address *a,
                           const struct sup_reconcile_rules *r,
                           const struct sup_reconcile_plan *plan);

/* The same for one who only looks on (ses.mode observe): nothing of plan is carried out, and who is
 * gone stays taken for listed however often that is seen, so that every later plan says the same
 * until somebody carries it out. */
void sup_reconcile_note(struct sup_ses_entry *e, const struct sup_reconcile_address *a,
                        const struct sup_reconcile_rules *r, const struct sup_reconcile_plan *plan);

/* The fuse: are so many removals, of so many listed, a mass change? One removal never is. */
bool sup_reconcile_is_mass(uint64_t removals, uint64_t listed, double percent, uint64_t count);

#endif
