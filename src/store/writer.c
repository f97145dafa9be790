#include "store/writer.h"

#include "base/log.h"
#include "base/metrics.h"
#include "base/queue.h"
#include "base/thread.h"
#include "store/batch.h"

#include <stdlib.h>
#include <string.h>

struct sup_writer {
    struct sup_writer_opts opts;
    struct sup_queue *queue;
    pthread_t thread;
    bool joined;

    /* Of the writer thread alone. */
    struct sup_batch_slot *group; /* opts.group_max_jobs of them */
    void **popped;                /* as many */
    void **carry; /* as many: jobs that done callbacks submitted while the queue was full */
    size_t n_carry;

    pthread_mutex_t mutex; /* guards health */
    struct sup_err health;

    struct sup_metric *commits;
    struct sup_metric *failures;
    struct sup_metric *jobs;
    struct sup_metric *commit_us;
};

static void register_metrics(struct sup_writer *w)
{
    w->commits = sup_metric("supsync_store_commits_total", NULL, SUP_COUNTER,
                            "Synced commits, one a group of jobs");
    w->failures = sup_metric("supsync_store_commit_failures_total", NULL, SUP_COUNTER,
                             "Groups of jobs that could not be committed");
    w->jobs = sup_metric("supsync_store_jobs_total", NULL, SUP_COUNTER,
                         "Jobs of the writer thread, whatever their outcome");
    w->commit_us = sup_metric("supsync_store_commit_microseconds_total", NULL, SUP_COUNTER,
                              "Time spent in commits");
}

/* --- one group --- */

static void note_health(struct sup_writer *w, int code, const struct sup_err *err)
{
    pthread_mutex_lock(&w->mutex);
    int before = w->health.code;
    w->health = *err;
    w->health.code = code;
    pthread_mutex_unlock(&w->mutex);

    sup_metric_add(code == SUP_OK ? w->commits : w->failures, 1);
    if (code != SUP_OK && before != code)
        sup_log_error("store", "commits fail", SUP_S("error", err->msg));
    else if (code == SUP_OK && before != SUP_OK)
        sup_log_info("store", "commits succeed again");
}

static void serve_group(struct sup_writer *w, size_t n)
{
    struct sup_err err = {0};
    int64_t commit_us = 0;
    int code = sup_batch_run(&w->opts, w->group, n, &commit_us, &err);

    err.code = code;
    sup_metric_add(w->jobs, (int64_t)n);
    sup_metric_add(w->commit_us, commit_us);
    note_health(w, code, &err);
    sup_batch_finish(&w->opts, w->group, n, code, &err);
}

/* Takes the next group: jobs carried over first, then what waits in the queue. 0: closed and empty.
 */
static size_t next_group(struct sup_writer *w)
{
    size_t n = 0;
    size_t popped = 0;

    for (; n < w->n_carry; n++)
        w->group[n].job = w->carry[n];
    w->n_carry = 0;
    if (n < w->opts.group_max_jobs)
        (void)sup_queue_pop(w->queue, w->popped, w->opts.group_max_jobs - n, &popped,
                            n > 0 ? 0 : -1);
    for (size_t i = 0; i < popped; i++)
        w->group[n++].job = w->popped[i];
    return n;
}

/* The writer whose thread this is. */
static _Thread_local const struct sup_writer *own_writer;

static void *writer_main(void *arg)
{
    struct sup_writer *w = arg;

    own_writer = w;
    for (size_t n = next_group(w); n > 0; n = next_group(w))
        serve_group(w, n);
    return NULL;
}

/* --- for callers --- */

static void writer_free(struct sup_writer *w)
{
    if (w->queue != NULL) {
        sup_queue_close(w->queue);
        sup_queue_free(w->queue);
    }
    free(w->group);
    free(w->popped);
    free(w->carry);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}

int sup_writer_start(const struct sup_writer_opts *opts, struct sup_writer **out,
                     struct sup_err *err)
{
    *out = NULL;
    if (opts->queue_max == 0 || opts->group_max_jobs == 0)
        return sup_err_set(err, SUP_EINPUT, "the writer's queue and groups must hold a job");
    struct sup_writer *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    w->opts = *opts;
    pthread_mutex_init(&w->mutex, NULL);
    register_metrics(w);
    w->queue = sup_queue_new(opts->queue_max);
    w->group = calloc(opts->group_max_jobs, sizeof(*w->group));
    w->popped = calloc(opts->group_max_jobs, sizeof(*w->popped));
    w->carry = calloc(opts->group_max_jobs, sizeof(*w->carry));
    int code = SUP_OK;
    if (w->queue == NULL || w->group == NULL || w->popped == NULL || w->carry == NULL)
        code = sup_err_set(err, SUP_ENOMEM, "out of memory");
    else if (sup_thread_start(&w->thread, "writer", writer_main, w) != SUP_OK)
        code = sup_err_set(err, SUP_EAGAIN, "cannot start the writer thread");
    if (code != SUP_OK) {
        writer_free(w);
        return code;
    }
    *out = w;
    return SUP_OK;
}

/* From a done callback: the writer thread is the one that makes room, so it must not wait for it.
 */
static int submit_from_writer(struct sup_writer *w, struct sup_job *job)
{
    int code = sup_queue_push(w->queue, job, 0);

    if (code == SUP_ETIMEDOUT && w->n_carry < w->opts.group_max_jobs) {
        w->carry[w->n_carry++] = job;
        code = SUP_OK;
    }
    return code;
}

int sup_writer_submit(struct sup_writer *w, struct sup_job *job, int64_t timeout_ms)
{
    if (own_writer == w)
        return submit_from_writer(w, job);
    return sup_queue_push(w->queue, job, timeout_ms);
}

struct waiting_job {
    struct sup_job job;
    int (*run)(void *arg, struct sup_txn *t, struct sup_err *err);
    void *arg;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool finished;
    struct sup_err outcome;
};

static int waiting_run(struct sup_job *job, struct sup_txn *t, struct sup_err *err)
{
    struct waiting_job *w = (struct waiting_job *)(void *)job;

    return w->run(w->arg, t, err);
}

static void waiting_done(struct sup_job *job, int code, const struct sup_err *err)
{
    struct waiting_job *w = (struct waiting_job *)(void *)job;

    pthread_mutex_lock(&w->mutex);
    w->outcome = *err;
    w->outcome.code = code;
    w->finished = true;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->mutex);
}

int sup_writer_run(struct sup_writer *w,
                   int (*run)(void *arg, struct sup_txn *t, struct sup_err *err), void *arg,
                   struct sup_err *err)
{
    if (own_writer == w)
        return sup_err_set(err, SUP_EBUG, "the writer thread would wait for itself");

    struct waiting_job job = {
        .job = {.run = waiting_run, .done = waiting_done}, .run = run, .arg = arg};
    pthread_mutex_init(&job.mutex, NULL);
    sup_cond_init(&job.cond);
    int code = sup_writer_submit(w, &job.job, -1);
    if (code == SUP_OK) {
        pthread_mutex_lock(&job.mutex);
        while (!job.finished)
            pthread_cond_wait(&job.cond, &job.mutex);
        pthread_mutex_unlock(&job.mutex);
        code = job.outcome.code;
        if (code != SUP_OK && err != NULL)
            *err = job.outcome;
    } else {
        sup_err_set(err, code, "the writer has stopped");
    }
    pthread_cond_destroy(&job.cond);
    pthread_mutex_destroy(&job.mutex);
    return code;
}

size_t sup_writer_queue_len(struct sup_writer *w)
{
    return sup_queue_len(w->queue);
}

int sup_writer_health(struct sup_writer *w, struct sup_err *err)
{
    pthread_mutex_lock(&w->mutex);
    int code = w->health.code;
    if (code != SUP_OK && err != NULL)
        *err = w->health;
    pthread_mutex_unlock(&w->mutex);
    return code;
}

void sup_writer_stop(struct sup_writer *w)
{
    sup_queue_close(w->queue);
    if (!w->joined)
        pthread_join(w->thread, NULL);
    w->joined = true;
}

void sup_writer_free(struct sup_writer *w)
{
    if (w == NULL)
        return;
    sup_writer_stop(w);
    writer_free(w);
}
