/* When coverage is audited, who waits for it, and what is kept of it. */
#include "service/coverage_keeper.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/text.h"
#include "service/coverage_internal.h"
#include "service/internal.h"
#include "service/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* After an audit that failed: doubled each time. */
#define RETRY_MIN_MS 2000
#define RETRY_MAX_MS 60000
/* Failures in a row until somebody is to look: one may be a hiccup of SES. */
#define FAILURES_TOLD 3
/* Part of an interval by which it is stretched or cut at random, so that agents do not ask in step.
 */
#define JITTER     0.1
#define STORED_MAX 65536

struct sup_coverage_keeper {
    struct sup_coverage_options opts;
    struct sup_stop stop;
    pthread_t thread;
    bool started;
    struct sup_rate rates[SUP_N_ASKS]; /* keeper's thread only, as is rng */
    struct sup_rng rng;

    pthread_mutex_t mutex; /* all below */
    pthread_cond_t cond;
    uint64_t wanted;
    uint64_t begun;
    uint64_t done;
    bool running;
    unsigned how; /* of the audit that is wanted */
    int64_t due_mono_ms;
    unsigned failures; /* in a row */
    int failed_code;
    char error[160]; /* of the last audit; "" = it went well */
    struct sup_coverage *newest;
};

/* --- the store --- */

static int put_history(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    const struct sup_coverage_history *h = arg;
    struct sup_buf value;
    int rc;

    (void)a;
    sup_buf_init(&value, STORED_MAX);
    sup_coverage_history_encode(h, &value);
    rc = value.failed;
    if (rc == SUP_OK)
        sup_txn_put(t, SUP_CF_META, sup_slice_str(SUP_META_COVERAGE), sup_buf_slice(&value));
    sup_buf_fini(&value);
    return rc == SUP_OK ? rc : sup_err_set(err, rc, "coverage does not fit");
}

int sup_coverage_store(const struct sup_coverage_options *opts,
                       const struct sup_coverage_brief *last, const struct sup_coverage *c,
                       struct sup_err *err)
{
    struct sup_coverage_history *h = calloc(1, sizeof(*h));
    int rc;

    if (!h)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    if (last)
        h->last = *last;
    h->n_changes = c->n_changes;
    memcpy(h->changes, c->changes, sizeof(h->changes));
    rc = sup_apply_run(opts->apply, put_history, h, err);
    free(h);
    return rc;
}

/* What was known before the restart, until the first audit is over. */
static void load(struct sup_coverage_keeper *k)
{
    struct sup_coverage_history *h = calloc(1, sizeof(*h));
    struct sup_coverage *c = sup_coverage_new();
    struct sup_buf value;

    sup_buf_init(&value, STORED_MAX);
    if (h && c &&
        sup_store_get(k->opts.store, NULL, SUP_CF_META, sup_slice_str(SUP_META_COVERAGE), &value,
                      NULL) == SUP_OK &&
        sup_coverage_history_decode(sup_buf_slice(&value), h, NULL) == SUP_OK) {
        c->brief = h->last;
        c->n_changes = h->n_changes;
        memcpy(c->changes, h->changes, sizeof(c->changes));
        c->partial = true;
        k->newest = sup_coverage_hold(c);
    }
    sup_coverage_drop(c);
    sup_buf_fini(&value);
    free(h);
}

/* --- one audit --- */

/* 0: covered, or nothing is known. */
static void measure(const struct sup_coverage_brief *b)
{
    sup_metric_set(sup_metric("supsync_coverage_gaps", NULL, SUP_GAUGE,
                              "places where entries of the list do not protect"),
                   (int64_t)b->gaps.total);
    sup_metric_set(sup_metric("supsync_coverage_unknown", NULL, SUP_GAUGE,
                              "things that the last audit of coverage could not read"),
                   (int64_t)b->unknown.total);
    sup_metric_set(sup_metric("supsync_coverage_checked_milliseconds", NULL, SUP_GAUGE,
                              "when the last audit of coverage began, since 1970"),
                   b->checked_ms);
}

static void log_result(const struct sup_coverage *before, const struct sup_coverage *now)
{
    const struct sup_coverage_brief *b = &now->brief;

    if (before && before->brief.state == b->state && before->brief.gaps.total == b->gaps.total)
        return;
    for (uint32_t i = 0; i < b->gaps.n; i++)
        sup_log_warn("coverage", "gap", SUP_S("what", b->gaps.text[i]));
    sup_log_info("coverage", "audited", SUP_S("state", sup_coverage_state_name(b->state)),
                 SUP_U("gaps", b->gaps.total), SUP_U("unknown", b->unknown.total),
                 SUP_U("configuration_sets", b->n_sets), SUP_U("tenants", b->n_tenants));
}

/* How long to the next one. Under the mutex. */
static int64_t interval_ms(struct sup_coverage_keeper *k)
{
    double interval = (double)k->opts.config->ses.scan_interval_ms;

    if (k->failures > 0) {
        double retry = k->failures > 5 ? RETRY_MAX_MS : RETRY_MIN_MS * (double)(1U << k->failures);
        interval = retry < interval ? retry : interval;
        retry = (double)sup_ses_calls_wait_ms(k->opts.calls); /* until the next day's calls */
        interval = retry > interval ? retry : interval;
    }
    return (int64_t)(interval * (1 - JITTER + 2 * JITTER * sup_rng_unit(&k->rng)));
}

/* Takes c. */
static void publish(struct sup_coverage_keeper *k, struct sup_coverage *c, unsigned how, int rc,
                    const struct sup_err *why)
{
    pthread_mutex_lock(&k->mutex);
    struct sup_coverage *before = k->newest;
    k->failed_code = rc;
    if (rc == SUP_OK) {
        log_result(before, c);
        measure(&c->brief);
        k->newest = c;
        c = before;
        k->failures = 0;
        k->error[0] = '\0';
    } else {
        k->failures++;
        sup_text_copy(k->error, sizeof(k->error), why->msg);
    }
    k->done = k->begun;
    k->running = false;
    /* One that must not write leaves the next one that may where it is. */
    if (how & SUP_AUDIT_WRITES)
        k->due_mono_ms = sup_mono_ms() + interval_ms(k);
    pthread_cond_broadcast(&k->cond);
    pthread_mutex_unlock(&k->mutex);
    if (rc != SUP_OK)
        sup_log_warn("coverage", "cannot be audited", SUP_S("error", why->msg));
    sup_coverage_drop(c);
}

static void audit(struct sup_coverage_keeper *k, unsigned how)
{
    struct sup_audit a = {.opts = &k->opts, .stop = &k->stop, .rates = k->rates, .how = how};
    struct sup_coverage *before = sup_coverage_keeper_get(k);
    struct sup_err err = {0};
    int rc = SUP_ENOMEM;

    a.out = sup_coverage_new();
    a.before = before ? &before->brief : NULL;
    if (a.out && before) {
        a.out->n_changes = before->n_changes;
        memcpy(a.out->changes, before->changes, sizeof(before->changes));
    }
    if (a.out)
        rc = sup_audit_run(&a, &err);
    else
        sup_err_set(&err, rc, "out of memory");
    if (rc == SUP_OK && sup_coverage_store(&k->opts, &a.out->brief, a.out, &err) != SUP_OK)
        sup_log_error("coverage", "cannot be stored", SUP_S("error", err.msg));
    publish(k, a.out, how, rc, &err);
    sup_coverage_drop(before);
}

/* False: stopping. */
static bool next(struct sup_coverage_keeper *k, unsigned *how)
{
    int64_t left;

    pthread_mutex_lock(&k->mutex);
    while (!sup_stop_is_set(&k->stop) && k->wanted <= k->done &&
           (left = k->due_mono_ms - sup_mono_ms()) > 0)
        (void)sup_cond_wait_ms(&k->cond, &k->mutex, left);
    /* One that came due by itself may write; one that was asked for as those said who asked. */
    *how = k->wanted > k->done ? k->how : SUP_AUDIT_WRITES;
    k->how = 0;
    k->begun = k->wanted;
    k->running = true;
    pthread_mutex_unlock(&k->mutex);
    return !sup_stop_is_set(&k->stop);
}

static void *keeper_main(void *arg)
{
    struct sup_coverage_keeper *k = arg;
    unsigned how;

    while (next(k, &how))
        audit(k, how);
    return NULL;
}

int sup_coverage_keeper_start(const struct sup_coverage_options *opts,
                              struct sup_coverage_keeper **out, struct sup_err *err)
{
    struct sup_coverage_keeper *k = calloc(1, sizeof(*k));

    if (!k)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    k->opts = *opts;
    sup_stop_init(&k->stop);
    pthread_mutex_init(&k->mutex, NULL);
    sup_cond_init(&k->cond);
    sup_rng_seed(&k->rng, sup_random_u64());
    for (size_t i = 0; i < SUP_N_ASKS; i++)
        sup_rate_init(&k->rates[i], 0, opts->config->ses.max_rps, sup_mono_ms());
    k->due_mono_ms = sup_mono_ms();
    load(k);
    if (sup_thread_start(&k->thread, "coverage", keeper_main, k) != SUP_OK) {
        sup_coverage_keeper_free(k);
        return sup_err_set(err, SUP_EAGAIN, "cannot start a thread");
    }
    k->started = true;
    *out = k;
    return SUP_OK;
}

void sup_coverage_keeper_close(struct sup_coverage_keeper *k)
{
    if (!k)
        return;
    sup_stop_set(&k->stop);
    pthread_mutex_lock(&k->mutex);
    pthread_cond_broadcast(&k->cond);
    pthread_mutex_unlock(&k->mutex);
}

void sup_coverage_keeper_stop(struct sup_coverage_keeper *k)
{
    if (!k || !k->started)
        return;
    sup_coverage_keeper_close(k);
    pthread_join(k->thread, NULL);
    k->started = false;
}

void sup_coverage_keeper_free(struct sup_coverage_keeper *k)
{
    if (!k)
        return;
    sup_coverage_drop(k->newest);
    pthread_cond_destroy(&k->cond);
    pthread_mutex_destroy(&k->mutex);
    sup_stop_fini(&k->stop);
    free(k);
}

/* --- for others --- */

uint64_t sup_coverage_keeper_ask(struct sup_coverage_keeper *k, unsigned how)
{
    uint64_t ticket;

    pthread_mutex_lock(&k->mutex);
    ticket = ++k->wanted;
    k->how |= how;
    pthread_cond_broadcast(&k->cond);
    pthread_mutex_unlock(&k->mutex);
    return ticket;
}

/* Under the mutex. */
static bool is_over(const struct sup_coverage_keeper *k, uint64_t ticket)
{
    if (ticket > 0)
        return k->done >= ticket;
    /* The first one counts as under way before it began. */
    return !k->running && k->wanted <= k->done &&
           ((k->newest && !k->newest->partial) || k->failures > 0);
}

int sup_coverage_keeper_wait(struct sup_coverage_keeper *k, uint64_t ticket, int64_t ms,
                             struct sup_err *err)
{
    int64_t end = ms < 0 ? INT64_MAX : sup_mono_ms() + ms;
    int rc = SUP_OK;

    pthread_mutex_lock(&k->mutex);
    while (!is_over(k, ticket) && rc == SUP_OK) {
        int64_t left = ms < 0 ? -1 : end - sup_mono_ms();
        if (sup_stop_is_set(&k->stop))
            rc = sup_err_set(err, SUP_ECLOSED, "the agent is stopping");
        else if (ms >= 0 && left <= 0)
            rc = sup_err_set(err, SUP_ETIMEDOUT, "the audit of coverage takes longer");
        else
            (void)sup_cond_wait_ms(&k->cond, &k->mutex, left);
    }
    if (rc == SUP_OK && k->failed_code != SUP_OK)
        rc = sup_err_set(err, k->failed_code, "%s", k->error);
    pthread_mutex_unlock(&k->mutex);
    return rc;
}

struct sup_coverage *sup_coverage_keeper_get(struct sup_coverage_keeper *k)
{
    struct sup_coverage *c;

    pthread_mutex_lock(&k->mutex);
    c = sup_coverage_hold(k->newest);
    pthread_mutex_unlock(&k->mutex);
    return c;
}

static void add_problems(const struct sup_coverage_keeper *k, struct sup_status *out)
{
    const struct sup_coverage_brief *b = &k->newest->brief;

    if (b->gaps.total > 0)
        sup_status_problem(out, "coverage: %" PRIu64 " gap%s, see supsync audit-coverage: %s",
                           b->gaps.total, b->gaps.total == 1 ? "" : "s", b->gaps.text[0]);
    for (uint32_t i = 0; i < b->notes.n; i++)
        sup_status_problem(out, "%s", b->notes.text[i]);
    if (b->managed == SUP_MANAGED_FAILED)
        sup_status_problem(out, "%s", b->managed_text);
}

void sup_coverage_keeper_status(struct sup_coverage_keeper *k, struct sup_status *out)
{
    pthread_mutex_lock(&k->mutex);
    if (k->newest && k->newest->brief.state != SUP_COVERAGE_NONE) {
        out->coverage.state = k->newest->brief.state;
        out->coverage.checked_ms = k->newest->brief.checked_ms;
        out->coverage.gaps = k->newest->brief.gaps.total;
        out->coverage.unknown = k->newest->brief.unknown.total;
        add_problems(k, out);
    }
    sup_text_copy(out->coverage.error, sizeof(out->coverage.error), k->error);
    /* Of a budget that is used up status tells by itself. */
    if (k->failures >= FAILURES_TOLD && k->failed_code != SUP_ELIMIT)
        sup_status_problem(out, "coverage cannot be audited: %s", k->error);
    pthread_mutex_unlock(&k->mutex);
}

/* --- for HTTP --- */

int sup_service_coverage(struct sup_service *s, bool fresh, struct sup_coverage **out,
                         struct sup_err *err)
{
    int rc = SUP_OK;

    *out = NULL;
    if (fresh)
        rc =
            sup_coverage_keeper_wait(s->coverage, sup_coverage_keeper_ask(s->coverage, 0), -1, err);
    if (rc == SUP_OK)
        *out = sup_coverage_keeper_get(s->coverage);
    if (rc == SUP_OK && (!*out || (*out)->brief.state == SUP_COVERAGE_NONE)) {
        sup_coverage_drop(*out);
        *out = NULL;
        rc = sup_err_set(err, SUP_ENOTFOUND, "coverage was not checked yet");
    }
    return rc;
}
