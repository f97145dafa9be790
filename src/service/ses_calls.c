#include "service/ses_calls.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "core/budget.h"
#include "service/status.h"
#include "store/meta.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define META_DAY  "ses-calls-day"
#define META_USED "ses-calls-used"
#define DAY_MS    ((int64_t)24 * 3600 * 1000)
#define NO_RATE   1e18 /* requests a second */

struct sup_ses_calls {
    double max_rps;
    struct sup_metric *metrics[SUP_N_CALLS];

    pthread_mutex_t mutex; /* all below */
    struct sup_budget budget;
    uint64_t total[SUP_N_CALLS];
    uint64_t for_runs[SUP_N_CALLS];
    int64_t run_began_ms;
    int64_t told_day; /* on which the log said that the budget is used up */
};

int sup_ses_calls_open(const struct sup_options *config, struct sup_store *store,
                       struct sup_ses_calls **out, struct sup_err *err)
{
    struct sup_ses_calls *c = calloc(1, sizeof(*c));
    uint64_t day = 0;

    if (!c)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    pthread_mutex_init(&c->mutex, NULL);
    c->max_rps = config->ses.max_rps;
    c->budget.per_day = config->ses.max_calls_per_day;
    (void)sup_meta_get_u64(store, NULL, META_DAY, &day, NULL);
    (void)sup_meta_get_u64(store, NULL, META_USED, &c->budget.used, NULL);
    c->budget.day = day < INT64_MAX ? (int64_t)day : 0;
    for (int i = 0; i < SUP_N_CALLS; i++) {
        char label[64];
        snprintf(label, sizeof(label), "operation=\"%s\"", sup_report_call_name(i));
        c->metrics[i] = sup_metric("supsync_ses_calls_total", label, SUP_COUNTER,
                                   "calls of SES, and of S3 for import jobs; throttled and retried "
                                   "are among the others");
    }
    *out = c;
    return SUP_OK;
}

void sup_ses_calls_free(struct sup_ses_calls *c)
{
    if (!c)
        return;
    pthread_mutex_destroy(&c->mutex);
    free(c);
}

bool sup_ses_calls_may(struct sup_ses_calls *c, bool urgent)
{
    bool may;

    pthread_mutex_lock(&c->mutex);
    may = sup_budget_left(&c->budget, urgent, sup_wall_ms()) > 0;
    pthread_mutex_unlock(&c->mutex);
    return may;
}

int sup_ses_calls_take(struct sup_ses_calls *c, bool urgent, struct sup_err *err)
{
    bool first;
    int64_t wait;

    pthread_mutex_lock(&c->mutex);
    wait = sup_budget_take(&c->budget, urgent, sup_wall_ms());
    first = wait > 0 && c->told_day != c->budget.day;
    if (first)
        c->told_day = c->budget.day;
    pthread_mutex_unlock(&c->mutex);
    if (wait == 0)
        return SUP_OK;
    if (first)
        sup_log_warn("ses", "the day's calls are used up; what is not urgent waits for the next",
                     SUP_U("max_calls_per_day", c->budget.per_day));
    return sup_err_set(err, SUP_ELIMIT,
                       "the day's calls of SES (ses.max_calls_per_day: %" PRIu64
                       ") are used up; the next day begins at 00:00 UTC",
                       c->budget.per_day);
}

static bool is_ses(enum sup_report_call op)
{
    return op != SUP_CALL_S3_PUT && op != SUP_CALL_S3_GET && op != SUP_CALL_S3_DELETE;
}

static void add(struct sup_ses_calls *c, enum sup_report_call op, uint64_t n, bool for_run)
{
    c->total[op] += n;
    if (for_run)
        c->for_runs[op] += n;
    sup_metric_add(c->metrics[op], (int64_t)n);
}

void sup_ses_calls_made(struct sup_ses_calls *c, const struct sup_ses_call_made *m)
{
    uint64_t n = m->aws->attempts;

    /* Without credentials none went out. */
    if (m->code == SUP_EAUTH && m->aws->http_status == 0)
        n = 0;
    if (n == 0)
        return;
    pthread_mutex_lock(&c->mutex);
    add(c, m->op, n, m->for_run);
    add(c, SUP_CALL_RETRIED, n - 1 + m->again, m->for_run);
    add(c, SUP_CALL_THROTTLED, m->aws->throttled, m->for_run);
    if (is_ses(m->op))
        sup_budget_spend(&c->budget, n - 1, sup_wall_ms());
    pthread_mutex_unlock(&c->mutex);
}

void sup_ses_calls_run_began(struct sup_ses_calls *c, int64_t began_ms)
{
    pthread_mutex_lock(&c->mutex);
    c->run_began_ms = began_ms;
    pthread_mutex_unlock(&c->mutex);
}

bool sup_ses_calls_is_for_run(struct sup_ses_calls *c, int64_t queued_ms)
{
    bool is;

    pthread_mutex_lock(&c->mutex);
    is = c->run_began_ms > 0 && queued_ms >= c->run_began_ms;
    pthread_mutex_unlock(&c->mutex);
    return is;
}

void sup_ses_calls_for_runs(struct sup_ses_calls *c, uint64_t out[SUP_N_CALLS])
{
    pthread_mutex_lock(&c->mutex);
    memcpy(out, c->for_runs, sizeof(c->for_runs));
    pthread_mutex_unlock(&c->mutex);
}

int64_t sup_ses_calls_spread_ms(struct sup_ses_calls *c, uint64_t calls, uint64_t others_a_day)
{
    int64_t now = sup_wall_ms();
    int64_t ms;

    if (c->budget.per_day == 0)
        return 0;
    pthread_mutex_lock(&c->mutex);
    ms = sup_budget_spread_ms(&c->budget, calls, others_a_day, NO_RATE, now);
    if (ms > 0)
        ms = sup_budget_spread_ms(&c->budget, calls, others_a_day, c->max_rps, now);
    pthread_mutex_unlock(&c->mutex);
    return ms;
}

int64_t sup_ses_calls_wait_ms(struct sup_ses_calls *c)
{
    int64_t now = sup_wall_ms();

    return sup_ses_calls_may(c, false) ? 0 : DAY_MS - now % DAY_MS;
}

uint64_t sup_ses_calls_per_day(const struct sup_ses_calls *c)
{
    return c->budget.per_day;
}

void sup_ses_calls_put(struct sup_ses_calls *c, struct sup_txn *t)
{
    pthread_mutex_lock(&c->mutex);
    if (c->budget.per_day > 0) {
        sup_meta_put_u64(t, META_DAY, (uint64_t)c->budget.day);
        sup_meta_put_u64(t, META_USED, c->budget.used);
    }
    pthread_mutex_unlock(&c->mutex);
}

void sup_ses_calls_status(struct sup_ses_calls *c, struct sup_status *out)
{
    bool routine;
    bool urgent;

    pthread_mutex_lock(&c->mutex);
    routine = sup_budget_left(&c->budget, false, sup_wall_ms()) > 0;
    urgent = sup_budget_left(&c->budget, true, sup_wall_ms()) > 0;
    out->calls.per_day = c->budget.per_day;
    out->calls.used = c->budget.used;
    memcpy(out->calls.made, c->total, sizeof(c->total));
    pthread_mutex_unlock(&c->mutex);
    if (!routine)
        sup_status_problem(out,
                           "the day's calls of SES (ses.max_calls_per_day) are used up: %s wait "
                           "until 00:00 UTC",
                           urgent ? "scans and what they find" : "all calls");
}
