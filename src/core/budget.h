#ifndef SUP_CORE_BUDGET_H
#define SUP_CORE_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

/* How many calls of SES's API an agent may make a day: SES allows about one call a second for an
 * account and Region, whoever makes it ("Service quotas in Amazon SES"), and others of the account
 * need some, too.
 *
 * A day begins at 00:00 UTC. The last tenth of it is kept for urgent calls: single puts and deletes
 * that follow a decision. Routine calls (scans, what a scan found to be written, import jobs,
 * evidence, coverage) wait for the next day when the other nine are used up, and urgent ones when
 * all is. Pure; times are wall time, in ms; not thread-safe. */

struct sup_budget {
    uint64_t per_day; /* 0: no limit */
    int64_t day;      /* since 1970, to which used belongs */
    uint64_t used;
};

/* Calls that may still be made today; UINT64_MAX without a limit. */
uint64_t sup_budget_left(struct sup_budget *b, bool urgent, int64_t wall_ms);
/* Takes one: 0, or how long it is to the next day. */
int64_t sup_budget_take(struct sup_budget *b, bool urgent, int64_t wall_ms);
/* Some were made without asking, such as the client's own repetitions. */
void sup_budget_spend(struct sup_budget *b, uint64_t n, int64_t wall_ms);
/* How long so many routine calls take at rps a second, beside others_a_day of other routine calls:
 * days, where the budget is the limit. */
int64_t sup_budget_spread_ms(struct sup_budget *b, uint64_t calls, uint64_t others_a_day,
                             double rps, int64_t wall_ms);

#endif
