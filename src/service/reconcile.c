/* When the reconciler runs, and who waits for it. */
#include "service/reconcile.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "service/internal.h"
#include "service/reconcile_internal.h"
#include "service/status.h"
#include "store/meta.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define META_RATE "ses-rate-list"
/* At start: what already waits in the queue, and what the peers know, comes first. */
#define START_MS      2000
#define LEVEL_WAIT_MS 15000
#define LEVEL_LOOK_MS 100
/* After a run that failed; jitter comes on top. */
#define RETRY_MS 60000
/* How soon a repair is noticed; and how long after that the run begins, so that the repairs of
 * several peers share one. */
#define REPAIR_LOOK_MS 2000
#define REPAIR_RUN_MS  10000
/* How long the end of a run waits for an audit of coverage. Where there are many configuration sets
 * and tenants, the report tells of the one before. */
#define COVERAGE_WAIT_MS 10000
/* Part of an interval by which it is stretched or cut at random, so that agents do not scan in
 * step. */
#define JITTER 0.1

/* --- one run --- */

static void make_id(struct sup_report *r)
{
    time_t s = (time_t)(r->started_ms / 1000);
    struct tm tm;
    char text[32];

    gmtime_r(&s, &tm);
    strftime(text, sizeof(text), "%Y%m%dT%H%M%S", &tm);
    snprintf(r->id, sizeof(r->id), "%s.%03dZ-%08" PRIx32, text, (int)(r->started_ms % 1000),
             (uint32_t)sup_random_u64());
}

static void begin_report(struct sup_reconciler *rc, int kind, struct sup_report *r)
{
    bool dry = kind == RUN_DRY;
    const struct sup_options *c = rc->opts.config;
    const char *mode = c->ses.mode == SUP_MODE_OBSERVE ? "observe" : "enforce";

    memset(r, 0, sizeof(*r));
    r->started_ms = sup_wall_ms();
    make_id(r);
    sup_text_copy(r->region, sizeof(r->region), c->region);
    sup_text_copy(r->mode, sizeof(r->mode), dry ? "dry-run" : mode);
    if (kind == RUN_PLAN)
        memcpy(r->plan, rc->plan, sizeof(r->plan));
}

/* What nobody works on, and what is under way. */
static bool is_converged(const struct sup_report *r)
{
    const uint64_t *c = r->counts;
    uint64_t open = c[SUP_COUNT_WAITING] + c[SUP_COUNT_WITHHELD] + c[SUP_COUNT_REPORTED] +
                    c[SUP_COUNT_PENDING] + c[SUP_COUNT_FAILED];

    if (strcmp(r->mode, "enforce") != 0)
        open += c[SUP_COUNT_PUTS] + c[SUP_COUNT_DELETES] + c[SUP_COUNT_ADOPTED] +
                c[SUP_COUNT_ADOPTED_REMOVALS];
    return r->error[0] == '\0' && open == 0;
}

static int64_t next_run_ms(struct sup_reconciler *rc, const struct sup_report *r, bool failed)
{
    const struct sup_options *c = rc->opts.config;
    double interval = (double)c->ses.scan_interval_ms;
    int64_t next_day = sup_ses_calls_wait_ms(rc->opts.calls);

    /* Not all agents at once, when it begins. */
    if (next_day > 0)
        return next_day + (int64_t)sup_rng_below(&rc->rng, RETRY_MS);
    if (failed && interval > RETRY_MS)
        interval = RETRY_MS;
    /* Who is gone is looked for again as soon as that says something. */
    if (r->counts[SUP_COUNT_WAITING] > 0 && interval > (double)c->ses.absence_interval_ms)
        return c->ses.absence_interval_ms + 50;
    return (int64_t)(interval * (1 - JITTER + 2 * JITTER * sup_rng_unit(&rc->rng)));
}

static void finish_report(struct sup_reconciler *rc, struct sup_report *r, int code,
                          const struct sup_err *why)
{
    struct sup_err err = {0};

    if (code != SUP_OK)
        sup_text_copy(r->error, sizeof(r->error), why->msg[0] ? why->msg : sup_code_name(code));
    r->finished_ms = sup_wall_ms();
    r->calls_per_day = sup_ses_calls_per_day(rc->opts.calls);
    r->budget_used_up = sup_ses_calls_wait_ms(rc->opts.calls) > 0;
    r->converged = is_converged(r);
    pthread_mutex_lock(&rc->mutex);
    if (strcmp(r->mode, "dry-run") != 0 && r->plan[0] == '\0')
        rc->due_mono_ms = sup_mono_ms() + next_run_ms(rc, r, code != SUP_OK);
    r->next_run_ms = r->finished_ms + rc->due_mono_ms - sup_mono_ms();
    pthread_mutex_unlock(&rc->mutex);
    code = sup_report_save(rc, r, &err);
    if (code == SUP_OK)
        code = sup_report_prune(rc, &err);
    if (code != SUP_OK)
        sup_log_error("reconcile", "the report cannot be stored", SUP_S("error", err.msg));
}

static void log_report(const struct sup_report *r)
{
    const uint64_t *c = r->counts;

    if (r->error[0] != '\0')
        sup_log_error("reconcile", "run failed", SUP_S("id", r->id), SUP_S("error", r->error));
    else
        sup_log_info("reconcile", "run finished", SUP_S("id", r->id), SUP_S("mode", r->mode),
                     SUP_S("converged", r->converged ? "yes" : "no"),
                     SUP_U("scanned", c[SUP_COUNT_SCANNED]), SUP_U("matched", c[SUP_COUNT_MATCHED]),
                     SUP_U("puts", c[SUP_COUNT_PUTS]), SUP_U("deletes", c[SUP_COUNT_DELETES]),
                     SUP_U("adopted", c[SUP_COUNT_ADOPTED]),
                     SUP_U("withheld", c[SUP_COUNT_WITHHELD]));
}

static int save_rate(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    const struct sup_reconciler *rc = arg;

    (void)a;
    (void)err;
    sup_meta_put_u64(t, META_RATE, (uint64_t)(rc->rate.rps * 1000.0));
    sup_ses_calls_put(rc->opts.calls, t);
    return SUP_OK;
}

/* One run at a time: what was called for runs since before was called for this one. */
static void count_calls(struct sup_reconciler *rc, const uint64_t before[SUP_N_CALLS],
                        struct sup_report *r)
{
    uint64_t now[SUP_N_CALLS];

    sup_ses_calls_for_runs(rc->opts.calls, now);
    for (size_t i = 0; i < SUP_N_CALLS; i++)
        r->calls[i] += now[i] - before[i];
}

/* A run that somebody waits for tells of coverage as it is now; a dry one, and a plan that does not
 * say so, change nothing. The other runs take what the keeper found last: it has its own times. */
static uint64_t ask_coverage(struct sup_reconciler *rc, int kind, bool demanded)
{
    if (!rc->opts.ask_coverage || !demanded)
        return 0;
    return rc->opts.ask_coverage(rc->opts.arg,
                                 kind == RUN_APPLY || (kind == RUN_PLAN && rc->plan_manages));
}

static void run(struct sup_reconciler *rc, int kind, uint64_t ticket)
{
    struct sup_report *r = calloc(1, sizeof(*r));
    uint64_t before[SUP_N_CALLS];
    struct sup_err err = {0};
    uint64_t audit;
    int code;

    if (!r)
        return;
    begin_report(rc, kind, r);
    sup_ses_calls_run_began(rc->opts.calls, r->started_ms);
    sup_ses_calls_for_runs(rc->opts.calls, before);
    audit = ask_coverage(rc, kind, ticket > rc->done[kind]);
    code = sup_reconcile_run(rc, kind == RUN_DRY, r, &err);
    if (code == SUP_OK)
        code = sup_reconcile_settle(rc, r, &err);
    if (rc->opts.get_coverage)
        rc->opts.get_coverage(rc->opts.arg, audit, COVERAGE_WAIT_MS, &r->coverage);
    if (!sup_stop_is_set(&rc->stop)) {
        count_calls(rc, before, r);
        finish_report(rc, r, code, &err);
        log_report(r);
        (void)sup_apply_run(rc->opts.apply, save_rate, rc, NULL);
        pthread_mutex_lock(&rc->mutex);
        if (kind == RUN_APPLY)
            rc->last = *r;
        rc->done[kind] = ticket;
        sup_text_copy(rc->last_id[kind], sizeof(rc->last_id[kind]), r->id);
        pthread_cond_broadcast(&rc->cond);
        pthread_mutex_unlock(&rc->mutex);
    }
    free(r);
}

/* --- the thread --- */

/* Returns how long it is to the next run. Holds the mutex. */
static int64_t see_repairs(struct sup_reconciler *rc)
{
    uint64_t repaired = rc->opts.repaired ? rc->opts.repaired(rc->opts.arg) : 0;
    int64_t now = sup_mono_ms();

    if (repaired != rc->repaired && rc->due_mono_ms > now + REPAIR_RUN_MS)
        rc->due_mono_ms = now + REPAIR_RUN_MS;
    rc->repaired = repaired;
    return rc->due_mono_ms - now;
}

/* Which kind of run is due; waits until one is. N_RUN_KINDS: stopping. */
static int next_kind(struct sup_reconciler *rc, uint64_t *ticket)
{
    int kind = N_RUN_KINDS;

    pthread_mutex_lock(&rc->mutex);
    rc->running = false;
    while (kind == N_RUN_KINDS && !sup_stop_is_set(&rc->stop)) {
        int64_t left = see_repairs(rc);
        if (rc->wanted[RUN_DRY] > rc->done[RUN_DRY])
            kind = RUN_DRY;
        else if (rc->wanted[RUN_PLAN] > rc->done[RUN_PLAN])
            kind = RUN_PLAN;
        else if (rc->wanted[RUN_APPLY] > rc->done[RUN_APPLY] || left <= 0)
            kind = RUN_APPLY;
        else
            (void)sup_cond_wait_ms(&rc->cond, &rc->mutex,
                                   left < REPAIR_LOOK_MS ? left : REPAIR_LOOK_MS);
    }
    if (kind != N_RUN_KINDS) {
        *ticket = rc->wanted[kind];
        rc->running = true;
    }
    pthread_mutex_unlock(&rc->mutex);
    return kind;
}

/* Before the peers' decisions are here, what they made us put would look like a stranger's. */
static void wait_for_peers(struct sup_reconciler *rc)
{
    int64_t end = sup_mono_ms() + LEVEL_WAIT_MS;

    while (rc->opts.level && !rc->opts.level(rc->opts.arg) && sup_mono_ms() < end) {
        if (sup_stop_wait_ms(&rc->stop, LEVEL_LOOK_MS))
            return;
    }
}

/* A node that joins would take all of its Region's list for news. */
static bool wait_for_join(struct sup_reconciler *rc)
{
    while (rc->opts.joining && rc->opts.joining(rc->opts.arg)) {
        if (sup_stop_wait_ms(&rc->stop, LEVEL_LOOK_MS))
            return false;
    }
    return true;
}

static void *reconciler_main(void *arg)
{
    struct sup_reconciler *rc = arg;
    uint64_t ticket = 0;
    bool first = true;
    int kind;

    while ((kind = next_kind(rc, &ticket)) != N_RUN_KINDS) {
        if (!wait_for_join(rc))
            continue; /* which ends the loop */
        if (first)
            wait_for_peers(rc);
        first = false;
        run(rc, kind, ticket);
    }
    return NULL;
}

int sup_reconciler_start(const struct sup_reconciler_options *opts, struct sup_reconciler **out,
                         struct sup_err *err)
{
    struct sup_reconciler *rc = calloc(1, sizeof(*rc));
    uint64_t milli = 0;

    if (!rc)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    rc->opts = *opts;
    sup_stop_init(&rc->stop);
    pthread_mutex_init(&rc->mutex, NULL);
    sup_cond_init(&rc->cond);
    sup_rng_seed(&rc->rng, sup_random_u64());
    (void)sup_meta_get_u64(opts->store, NULL, META_RATE, &milli, NULL);
    sup_rate_init(&rc->rate, (double)milli / 1000.0, opts->config->ses.max_rps, sup_mono_ms());
    rc->resume = true;
    rc->due_mono_ms = sup_mono_ms() + START_MS + (int64_t)sup_rng_below(&rc->rng, START_MS);
    sup_fuse_load(rc);
    sup_report_load_last(rc);
    if (sup_thread_start(&rc->thread, "reconciler", reconciler_main, rc) != SUP_OK) {
        sup_reconciler_free(rc);
        return sup_err_set(err, SUP_EAGAIN, "cannot start a thread");
    }
    rc->started = true;
    *out = rc;
    return SUP_OK;
}

void sup_reconciler_close(struct sup_reconciler *rc)
{
    if (!rc)
        return;
    sup_stop_set(&rc->stop);
    pthread_mutex_lock(&rc->mutex);
    pthread_cond_broadcast(&rc->cond);
    pthread_mutex_unlock(&rc->mutex);
}

void sup_reconciler_stop(struct sup_reconciler *rc)
{
    if (!rc || !rc->started)
        return;
    sup_reconciler_close(rc);
    pthread_join(rc->thread, NULL);
    rc->started = false;
}

void sup_reconciler_free(struct sup_reconciler *rc)
{
    if (!rc)
        return;
    pthread_cond_destroy(&rc->cond);
    pthread_mutex_destroy(&rc->mutex);
    sup_stop_fini(&rc->stop);
    free(rc);
}

bool sup_reconciler_status(struct sup_reconciler *rc, struct sup_status *out)
{
    bool ok = true;

    pthread_mutex_lock(&rc->mutex);
    out->last_scan_ms = rc->last.id[0] ? rc->last.finished_ms : SUP_NO_TIME;
    if (rc->fuse.state == SUP_FUSE_TRIPPED)
        sup_status_problem(out,
                           "the fuse tripped: %" PRIu64 " of %" PRIu64
                           " entries vanished from the SES list; see supsync fuse show",
                           rc->fuse.removals, rc->fuse.listed);
    if (rc->last.error[0] != '\0')
        sup_status_problem(out, "the last scan failed: %s", rc->last.error);
    ok = rc->last.counts[SUP_COUNT_WAITING] + rc->last.counts[SUP_COUNT_WITHHELD] +
             rc->last.counts[SUP_COUNT_REPORTED] ==
         0;
    pthread_mutex_unlock(&rc->mutex);
    return ok;
}

bool sup_reconciler_last(struct sup_reconciler *rc, struct sup_report *out)
{
    bool any;

    pthread_mutex_lock(&rc->mutex);
    *out = rc->last;
    any = rc->last.id[0] != '\0';
    pthread_mutex_unlock(&rc->mutex);
    return any;
}

/* --- for HTTP --- */

/* Under the mutex. */
static int run_and_wait(struct sup_reconciler *rc, int kind, char id[SUP_REPORT_ID_MAX + 1],
                        struct sup_err *err)
{
    uint64_t ticket = ++rc->wanted[kind];
    bool done;

    pthread_cond_broadcast(&rc->cond);
    while (rc->done[kind] < ticket && !sup_stop_is_set(&rc->stop))
        (void)sup_cond_wait_ms(&rc->cond, &rc->mutex, -1);
    done = rc->done[kind] >= ticket;
    if (done)
        memcpy(id, rc->last_id[kind], sizeof(rc->last_id[kind]));
    return done ? SUP_OK : sup_err_set(err, SUP_ECLOSED, "the agent is stopping");
}

int sup_service_reconcile(struct sup_service *s, bool dry_run, char id[SUP_REPORT_ID_MAX + 1],
                          struct sup_err *err)
{
    struct sup_reconciler *rc = s->reconciler;
    int code;

    pthread_mutex_lock(&rc->mutex);
    code = run_and_wait(rc, dry_run ? RUN_DRY : RUN_APPLY, id, err);
    pthread_mutex_unlock(&rc->mutex);
    return code;
}

int sup_reconciler_apply_plan(struct sup_reconciler *rc, const struct sup_report *plan,
                              char id[SUP_REPORT_ID_MAX + 1], struct sup_err *err)
{
    int code;

    pthread_mutex_lock(&rc->mutex);
    /* One plan at a time. */
    while (rc->done[RUN_PLAN] < rc->wanted[RUN_PLAN] && !sup_stop_is_set(&rc->stop))
        (void)sup_cond_wait_ms(&rc->cond, &rc->mutex, -1);
    if (sup_stop_is_set(&rc->stop)) {
        code = sup_err_set(err, SUP_ECLOSED, "the agent is stopping");
    } else {
        sup_text_copy(rc->plan, sizeof(rc->plan), plan->id);
        rc->plan_manages = plan->coverage.managed == SUP_MANAGED_PLANNED;
        code = run_and_wait(rc, RUN_PLAN, id, err);
    }
    pthread_mutex_unlock(&rc->mutex);
    return code;
}

void sup_service_fuse(struct sup_service *s, struct sup_fuse *out)
{
    pthread_mutex_lock(&s->reconciler->mutex);
    *out = s->reconciler->fuse;
    pthread_mutex_unlock(&s->reconciler->mutex);
}

int sup_service_fuse_decide(struct sup_service *s, bool confirm, const char *actor,
                            struct sup_err *err)
{
    struct sup_reconciler *rc = s->reconciler;
    struct sup_fuse f;
    int code;

    sup_service_fuse(s, &f);
    if (f.state == SUP_FUSE_CLOSED)
        return sup_err_set(err, SUP_ENOTFOUND, "the fuse is not tripped");
    f.state = confirm ? SUP_FUSE_CONFIRMED : SUP_FUSE_DECLINED;
    sup_text_copy(f.actor, sizeof(f.actor), actor);
    code = sup_fuse_save(rc, &f, err);
    if (code != SUP_OK)
        return code;
    sup_log_info("reconcile", confirm ? "mass change confirmed" : "mass change declined",
                 SUP_S("actor", actor), SUP_U("gone", f.removals));
    pthread_mutex_lock(&rc->mutex);
    rc->due_mono_ms = sup_mono_ms();
    pthread_cond_broadcast(&rc->cond);
    pthread_mutex_unlock(&rc->mutex);
    return SUP_OK;
}
