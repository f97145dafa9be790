#include "service/ses_worker.h"

#include "aws/sesv2.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "service/ses_internal.h"
#include "service/status.h"
#include "store/meta.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The allowed rate is kept over a restart; losing some seconds of it costs seconds. */
#define SAVE_EVERY_MS 10000
/* Passing trouble: full jitter between these. */
#define RETRY_BASE_MS 1000
#define RETRY_CAP_MS  (5 * 60 * 1000)
/* SES says that it will never do this. Asked again now and then: accounts and rules change. */
#define REFUSED_WAIT_MS (6 * 3600 * 1000)
/* Credentials or permissions: every call will fail. */
#define PAUSE_BASE_MS 5000
#define PAUSE_CAP_MS  (2 * 60 * 1000)
#define IDLE_MS       1000
/* One thread keeps up with about so many calls a second at 100 ms each. */
#define RPS_PER_THREAD 10.0

static const char *const rate_keys[] = {"ses-rate-get", "ses-rate-put", "ses-rate-delete"};

struct sup_rate *sup_ses_rate(struct sup_ses_worker *w, enum sup_outbox_step step)
{
    return &w->rates[(size_t)step - SUP_OUTBOX_GET];
}

/* --- choosing work --- */

static bool is_claimed(const struct sup_ses_worker *w, struct sup_slice key)
{
    for (size_t i = 0; i < w->n_claimed; i++) {
        const struct sup_ses_task *t = &w->claimed[i];
        if (sup_slice_eq(sup_slice_of(t->key, t->key_n), key))
            return true;
    }
    return false;
}

/* Taken entries leave tombstones at the front, which every look would have to step over: so it
 * begins where the last one found the first entry, or at what was put in since. Under mutex: what
 * is committed after the iterator was made is told to the next look. */
static struct sup_iter *outbox_iter(struct sup_ses_worker *w)
{
    struct sup_key from;
    int64_t low = sup_apply_outbox_low(w->opts.apply);

    if (low < w->low_ms)
        w->low_ms = low;
    if (low < w->evidence_low_ms)
        w->evidence_low_ms = low;
    sup_key_timed(&from, w->low_ms > 0 ? w->low_ms : 0, (struct sup_slice){NULL, 0});
    return sup_iter_new(w->opts.store, NULL, SUP_CF_OUTBOX, sup_key_slice(&from),
                        (struct sup_slice){NULL, 0});
}

/* What is to be known of the entry. */
static bool read_task(struct sup_ses_task *task, struct sup_iter *it)
{
    struct sup_outbox_entry e = {0};
    struct sup_slice key;

    if (!sup_key_timed_parse(sup_iter_key(it), &task->due_ms, &key) || key.n > sizeof(task->key) ||
        sup_outbox_entry_decode(sup_iter_value(it), &e, NULL) != SUP_OK)
        return false;
    memcpy(task->key, key.p, key.n);
    task->key_n = key.n;
    task->run = e.run;
    task->failed = e.last_error[0] != '\0';
    return true;
}

/* Under mutex. routine: the budget allows calls that are not urgent. Entries that have to wait for
 * it are looked at once: the next look begins behind them. */
static bool claim_from(struct sup_ses_worker *w, struct sup_iter *it, bool routine,
                       struct sup_ses_task *task, int64_t *next_ms)
{
    int64_t now = sup_wall_ms();
    bool first = true;

    for (; sup_iter_valid(it); sup_iter_next(it)) {
        if (!read_task(task, it))
            continue;
        if (task->due_ms <= now && task->run && !routine) {
            w->skipped = true;
            continue;
        }
        if (first)
            w->low_ms = task->due_ms;
        first = false;
        if (task->due_ms > now) {
            *next_ms = task->due_ms - now < IDLE_MS ? task->due_ms - now : IDLE_MS;
            return false;
        }
        if (is_claimed(w, sup_slice_of(task->key, task->key_n)))
            continue;
        w->claimed[w->n_claimed++] = *task;
        return true;
    }
    if (first && sup_iter_status(it, NULL) == SUP_OK)
        w->low_ms = INT64_MAX;
    return false;
}

/* The first due entry that nobody works on. *next_ms: when to look again. */
static bool claim(struct sup_ses_worker *w, struct sup_ses_task *task, int64_t *next_ms)
{
    bool routine = sup_ses_calls_may(w->opts.calls, false);
    bool found = false;

    *next_ms = IDLE_MS;
    if (!routine && !sup_ses_calls_may(w->opts.calls, true))
        return false;
    pthread_mutex_lock(&w->mutex);
    if (routine && w->skipped) {
        w->low_ms = 0;
        w->skipped = false;
    }
    struct sup_iter *it = outbox_iter(w);
    if (it)
        found = claim_from(w, it, routine, task, next_ms);
    pthread_mutex_unlock(&w->mutex);
    sup_iter_free(it);
    return found;
}

static void unclaim(struct sup_ses_worker *w, const struct sup_ses_task *task)
{
    pthread_mutex_lock(&w->mutex);
    for (size_t i = 0; i < w->n_claimed; i++) {
        if (w->claimed[i].key_n == task->key_n &&
            memcmp(w->claimed[i].key, task->key, task->key_n) == 0) {
            w->claimed[i] = w->claimed[--w->n_claimed];
            break;
        }
    }
    pthread_mutex_unlock(&w->mutex);
}

/* --- calling --- */

/* Waits until the step's rate, and no pause, allows a call. False: stopping. */
static bool wait_for_rate(struct sup_ses_worker *w, enum sup_outbox_step step)
{
    for (;;) {
        int64_t now = sup_mono_ms();
        int64_t wait;
        pthread_mutex_lock(&w->mutex);
        wait = w->paused_until_mono_ms - now;
        if (wait <= 0)
            wait = sup_rate_take(sup_ses_rate(w, step), now);
        pthread_mutex_unlock(&w->mutex);
        if (wait == 0)
            return !sup_stop_is_set(&w->stop);
        if (sup_stop_wait_ms(&w->stop, wait))
            return false;
    }
}

static void call_get(struct sup_ses_worker *w, struct sup_ses_outcome *o,
                     struct sup_aws_error *aerr, struct sup_err *err)
{
    struct sup_ses_list list = {0};

    o->code = sup_ses_get(w->opts.aws, o->plan.spelling, &list, &w->stop, aerr, err);
    o->found = o->code == SUP_OK;
    if (o->found) {
        o->reason = list.items[0].reason;
        o->last_update_ms = list.items[0].last_update_ms;
    }
    sup_ses_list_fini(&list);
}

static void count_call(struct sup_ses_worker *w, const struct sup_ses_task *task,
                       const struct sup_ses_outcome *o, const struct sup_aws_error *aerr)
{
    static const enum sup_report_call ops[] = {[SUP_OUTBOX_GET] = SUP_CALL_GET,
                                               [SUP_OUTBOX_PUT] = SUP_CALL_PUT,
                                               [SUP_OUTBOX_DELETE] = SUP_CALL_DELETE};
    const struct sup_ses_call_made m = {.op = ops[o->plan.step],
                                        .code = o->code,
                                        .aws = aerr,
                                        .for_run = task->run,
                                        .again = task->failed};

    sup_ses_calls_made(w->opts.calls, &m);
}

static void call(struct sup_ses_worker *w, struct sup_ses_task *task, struct sup_ses_outcome *o)
{
    struct sup_aws_error aerr = {0};
    struct sup_err err = {0};

    pthread_mutex_lock(&w->mutex);
    sup_rate_sent(sup_ses_rate(w, o->plan.step), sup_mono_ms());
    pthread_mutex_unlock(&w->mutex);
    o->begin_ms = sup_wall_ms();
    switch (o->plan.step) {
    case SUP_OUTBOX_GET:
        call_get(w, o, &aerr, &err);
        break;
    case SUP_OUTBOX_PUT:
        o->code = sup_ses_put(w->opts.aws, o->plan.spelling, o->plan.reason, &aerr, &err);
        break;
    case SUP_OUTBOX_DELETE:
        o->code = sup_ses_delete(w->opts.aws, o->plan.spelling, &aerr, &err);
        break;
    case SUP_OUTBOX_DONE:
        o->code = SUP_EBUG;
        break;
    }
    o->end_ms = sup_wall_ms();
    count_call(w, task, o, &aerr);
    task->failed = false; /* if another step follows, this one did not fail */
    /* Absent already is what a delete wants, and an answer to a get. */
    if (o->code == SUP_ENOTFOUND && o->plan.step != SUP_OUTBOX_PUT)
        o->code = SUP_OK;
    o->throttled = aerr.throttled;
    sup_text_copy(o->error, sizeof(o->error), err.msg);
    if (o->code == SUP_EINPUT && o->plan.step == SUP_OUTBOX_DELETE && strchr(o->plan.spelling, '/'))
        snprintf(o->error, sizeof(o->error),
                 "SES cannot delete an address with a '/' through its API (a defect of SES); it "
                 "takes a DELETE import job");
}

/* Adapts the rate and counts. */
static void digest(struct sup_ses_worker *w, const struct sup_ses_outcome *o)
{
    struct sup_rate *rate = sup_ses_rate(w, o->plan.step);
    int64_t now = sup_mono_ms();

    pthread_mutex_lock(&w->mutex);
    if (o->throttled) {
        w->throttles++;
        sup_rate_throttled(rate, now);
    } else if (o->code == SUP_OK) {
        sup_rate_success(rate, now);
    }
    if (o->code == SUP_OK) {
        w->gets += o->plan.step == SUP_OUTBOX_GET;
        w->puts += o->plan.step == SUP_OUTBOX_PUT;
        w->deletes += o->plan.step == SUP_OUTBOX_DELETE;
        w->pauses = 0;
        w->last_error[0] = '\0';
    } else if (!o->throttled && o->code != SUP_ECLOSED) {
        w->errors++;
        sup_text_copy(w->last_error, sizeof(w->last_error), o->error);
    }
    if (o->code == SUP_EAUTH && now >= w->paused_until_mono_ms)
        w->paused_until_mono_ms =
            now + PAUSE_BASE_MS + sup_backoff_ms(&w->rng, PAUSE_BASE_MS, PAUSE_CAP_MS, w->pauses++);
    pthread_mutex_unlock(&w->mutex);
}

static int64_t retry_wait(struct sup_ses_worker *w, const struct sup_ses_outcome *o,
                          unsigned failures)
{
    int64_t wait;

    if (o->throttled || o->code == SUP_EAUTH)
        return 0; /* the rate, or the pause, is the brake */
    if (o->code == SUP_EINPUT || o->code == SUP_ELIMIT)
        return REFUSED_WAIT_MS;
    pthread_mutex_lock(&w->mutex);
    wait = RETRY_BASE_MS + sup_backoff_ms(&w->rng, RETRY_BASE_MS, RETRY_CAP_MS, failures);
    pthread_mutex_unlock(&w->mutex);
    return wait;
}

/* How often the entry failed before. */
static unsigned failures(struct sup_ses_worker *w, const struct sup_ses_task *task)
{
    struct sup_outbox_entry e = {0};
    struct sup_buf value;
    struct sup_key k;

    sup_buf_init(&value, 4096);
    sup_key_timed(&k, task->due_ms, sup_slice_of(task->key, task->key_n));
    if (sup_store_get(w->opts.store, NULL, SUP_CF_OUTBOX, sup_key_slice(&k), &value, NULL) ==
        SUP_OK)
        (void)sup_outbox_entry_decode(sup_buf_slice(&value), &e, NULL);
    sup_buf_fini(&value);
    return e.attempts;
}

static int fail(struct sup_ses_worker *w, const struct sup_ses_task *task,
                const struct sup_ses_outcome *o, struct sup_err *err)
{
    if (o->code == SUP_ECLOSED)
        return SUP_ECLOSED;
    if (!o->throttled)
        sup_log_warn("ses", "call failed; it stays in the outbox",
                     SUP_S("address", o->plan.spelling), SUP_S("error", o->error));
    return sup_ses_postpone(w, task, retry_wait(w, o, failures(w, task)), !o->throttled, o->error,
                            err);
}

/* One step; *more: another one may follow. */
static int step(struct sup_ses_worker *w, struct sup_ses_task *task, bool *more,
                struct sup_err *err)
{
    struct sup_ses_outcome o = {0};
    int rc = sup_ses_load(w, task, &o.plan, err);

    *more = true;
    if (rc == SUP_OK && o.plan.step == SUP_OUTBOX_DONE) {
        rc = sup_ses_finish(w, task, err);
        *more = rc == SUP_EAGAIN;
        return *more ? SUP_OK : rc;
    }
    if (rc == SUP_OK && !wait_for_rate(w, o.plan.step))
        rc = SUP_ECLOSED;
    /* It stays where it is; claim waits for the next day. */
    if (rc == SUP_OK && sup_ses_calls_take(w->opts.calls, !task->run, NULL) != SUP_OK) {
        *more = false;
        return SUP_OK;
    }
    if (rc == SUP_OK && o.plan.step != SUP_OUTBOX_GET) {
        rc = sup_ses_intend(w, task, &o.plan, err);
        if (rc == SUP_EAGAIN)
            return SUP_OK;
    }
    if (rc != SUP_OK)
        return rc;
    call(w, task, &o);
    digest(w, &o);
    if (o.code == SUP_OK)
        return sup_ses_record(w, task, &o, err);
    *more = false;
    return fail(w, task, &o, err);
}

static int save_rates(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct sup_ses_worker *w = arg;

    (void)a;
    (void)err;
    pthread_mutex_lock(&w->mutex);
    for (size_t i = 0; i < 3; i++)
        sup_meta_put_u64(t, rate_keys[i], (uint64_t)(w->rates[i].rps * 1000.0));
    pthread_mutex_unlock(&w->mutex);
    return SUP_OK;
}

static void save_now_and_then(struct sup_ses_worker *w)
{
    int64_t now = sup_mono_ms();
    bool due;

    pthread_mutex_lock(&w->mutex);
    due = now - w->saved_mono_ms >= SAVE_EVERY_MS;
    if (due)
        w->saved_mono_ms = now;
    pthread_mutex_unlock(&w->mutex);
    if (due)
        (void)sup_apply_run(w->opts.apply, save_rates, w, NULL);
}

static void idle(struct sup_ses_worker *w, uint64_t wakes, int64_t ms)
{
    pthread_mutex_lock(&w->mutex);
    if (w->wakes == wakes && !sup_stop_is_set(&w->stop))
        (void)sup_cond_wait_ms(&w->cond, &w->mutex, ms);
    pthread_mutex_unlock(&w->mutex);
}

static void *worker_main(void *arg)
{
    struct sup_ses_worker *w = arg;
    struct sup_ses_task task;

    while (!sup_stop_is_set(&w->stop)) {
        struct sup_err err = {0};
        uint64_t wakes;
        int64_t next_ms = 0;
        bool more = true;
        int rc = SUP_OK;
        pthread_mutex_lock(&w->mutex);
        wakes = w->wakes;
        pthread_mutex_unlock(&w->mutex);
        if (!claim(w, &task, &next_ms)) {
            if (!sup_ses_evidence(w, &next_ms))
                idle(w, wakes, next_ms);
            continue;
        }
        while (more && rc == SUP_OK)
            rc = step(w, &task, &more, &err);
        unclaim(w, &task);
        if (rc != SUP_OK && rc != SUP_ENOTFOUND && rc != SUP_ECLOSED) {
            sup_log_error("ses", "outbox entry cannot be worked on", SUP_S("error", err.msg));
            sup_stop_wait_ms(&w->stop, IDLE_MS);
        }
        save_now_and_then(w);
    }
    pthread_mutex_lock(&w->mutex);
    w->n_running--;
    pthread_cond_broadcast(&w->cond);
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

/* --- life --- */

static void load_rates(struct sup_ses_worker *w)
{
    for (size_t i = 0; i < 3; i++) {
        uint64_t milli = 0;
        (void)sup_meta_get_u64(w->opts.store, NULL, rate_keys[i], &milli, NULL);
        sup_rate_init(&w->rates[i], (double)milli / 1000.0, w->opts.config->ses.max_rps,
                      sup_mono_ms());
    }
}

static size_t thread_count(const struct sup_options *config)
{
    double n = config->ses.max_rps / RPS_PER_THREAD + 1;

    if (config->ses.mode == SUP_MODE_OBSERVE)
        return 0;
    return n > SUP_SES_THREADS_MAX ? SUP_SES_THREADS_MAX : (size_t)n;
}

int sup_ses_worker_start(const struct sup_ses_worker_options *opts, struct sup_ses_worker **out,
                         struct sup_err *err)
{
    struct sup_ses_worker *w = calloc(1, sizeof(*w));
    size_t n = thread_count(opts->config);

    if (!w)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    w->opts = *opts;
    sup_stop_init(&w->stop);
    pthread_mutex_init(&w->mutex, NULL);
    sup_cond_init(&w->cond);
    sup_rng_seed(&w->rng, sup_random_u64());
    load_rates(w);
    w->n_running = n; /* before the first of them can end */
    while (w->n_threads < n) {
        if (sup_thread_start(&w->threads[w->n_threads], "ses-worker", worker_main, w) != SUP_OK) {
            pthread_mutex_lock(&w->mutex);
            w->n_running -= n - w->n_threads;
            pthread_mutex_unlock(&w->mutex);
            sup_ses_worker_stop(w);
            sup_ses_worker_free(w);
            return sup_err_set(err, SUP_EAGAIN, "cannot start a thread");
        }
        w->n_threads++;
    }
    *out = w;
    return SUP_OK;
}

void sup_ses_worker_close(struct sup_ses_worker *w)
{
    if (!w)
        return;
    sup_stop_set(&w->stop);
    pthread_mutex_lock(&w->mutex);
    pthread_cond_broadcast(&w->cond);
    pthread_mutex_unlock(&w->mutex);
}

void sup_ses_worker_drain(struct sup_ses_worker *w, int64_t ms)
{
    int64_t end = sup_mono_ms() + ms;

    if (!w)
        return;
    sup_ses_worker_close(w);
    pthread_mutex_lock(&w->mutex);
    while (w->n_running > 0 && sup_mono_ms() < end)
        (void)sup_cond_wait_ms(&w->cond, &w->mutex, end - sup_mono_ms());
    pthread_mutex_unlock(&w->mutex);
}

void sup_ses_worker_stop(struct sup_ses_worker *w)
{
    if (!w)
        return;
    sup_ses_worker_close(w);
    for (size_t i = 0; i < w->n_threads; i++)
        pthread_join(w->threads[i], NULL);
    if (w->n_threads > 0)
        (void)sup_apply_run(w->opts.apply, save_rates, w, NULL);
    w->n_threads = 0;
}

void sup_ses_worker_free(struct sup_ses_worker *w)
{
    if (!w)
        return;
    pthread_cond_destroy(&w->cond);
    pthread_mutex_destroy(&w->mutex);
    sup_stop_fini(&w->stop);
    free(w);
}

void sup_ses_worker_wake(struct sup_ses_worker *w)
{
    pthread_mutex_lock(&w->mutex);
    w->wakes++;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->mutex);
}

static void count_outbox(struct sup_ses_worker *w, struct sup_status *out)
{
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(w->opts.store, NULL, SUP_CF_OUTBOX, open, open);
    int64_t now = sup_wall_ms();

    for (; it && sup_iter_valid(it); sup_iter_next(it)) {
        struct sup_outbox_entry e = {0};
        struct sup_slice key;
        int64_t due = 0;
        out->outbox.pending++;
        if (sup_key_timed_parse(sup_iter_key(it), &due, &key))
            out->outbox.due += due <= now;
        if (sup_outbox_entry_decode(sup_iter_value(it), &e, NULL) == SUP_OK)
            out->outbox.failing += e.attempts > 0;
    }
    sup_iter_free(it);
}

void sup_ses_worker_status(struct sup_ses_worker *w, struct sup_status *out)
{
    count_outbox(w, out);
    pthread_mutex_lock(&w->mutex);
    out->outbox.allowed_rps = sup_ses_rate(w, SUP_OUTBOX_PUT)->rps;
    out->outbox.puts = w->puts;
    out->outbox.deletes = w->deletes;
    out->outbox.throttles = w->throttles;
    out->outbox.errors = w->errors;
    sup_text_copy(out->outbox.last_error, sizeof(out->outbox.last_error), w->last_error);
    if (w->paused_until_mono_ms > sup_mono_ms())
        sup_status_problem(out, "SES calls are paused: %s", w->last_error);
    pthread_mutex_unlock(&w->mutex);
    if (out->outbox.failing > 0)
        sup_status_problem(out, "%llu entries of the SES list could not be written yet",
                           (unsigned long long)out->outbox.failing);
}
