#ifndef SUP_STORE_WRITER_H
#define SUP_STORE_WRITER_H

#include "store/store.h"

/* The one thread that writes. Jobs queue up while the last commit is being synced; the writer then
 * runs them all in one transaction and commits once (group commit). */

struct sup_writer;

/* A job. The caller owns the memory, which must live until done ran.
 *
 * run: on the writer thread, writes into t. Returning non-zero takes back this job's writes only.
 * done: on the writer thread, after the group's commit was synced (code SUP_OK), or when run failed
 *       (its code), or the commit failed (SUP_EIO …; nothing of the group was written). Must not
 * block and must not wait for another job; it may submit one. */
struct sup_job {
    int (*run)(struct sup_job *job, struct sup_txn *t, struct sup_err *err);
    void (*done)(struct sup_job *job, int code, const struct sup_err *err);
};

struct sup_writer_opts {
    struct sup_store *store;
    size_t queue_max;      /* jobs waiting; submit blocks when full (back-pressure) */
    size_t group_max_jobs; /* jobs a commit */
    /* Before the first job and after the last one of each group, on the writer thread; may be NULL.
     * begin reads the clock once per batch; end may add writes (HLC reservation, counters). A
     * failing end fails the group. */
    int (*begin)(void *arg, struct sup_txn *t, struct sup_err *err);
    int (*end)(void *arg, struct sup_txn *t, struct sup_err *err);
    /* After the outcome of each group's commit is known, before the jobs' done. */
    void (*committed)(void *arg, int code);
    void *arg;
};

int sup_writer_start(const struct sup_writer_opts *opts, struct sup_writer **out,
                     struct sup_err *err);
/* Hands a job over. Blocks while the queue is full, at most timeout_ms (negative: for ever).
 * SUP_OK: done will run exactly once. SUP_ETIMEDOUT, SUP_ECLOSED: done will not run. */
int sup_writer_submit(struct sup_writer *w, struct sup_job *job, int64_t timeout_ms);
/* Submits and waits for done. For callers that may block; never from the writer thread. */
int sup_writer_run(struct sup_writer *w,
                   int (*run)(void *arg, struct sup_txn *t, struct sup_err *err), void *arg,
                   struct sup_err *err);
size_t sup_writer_queue_len(struct sup_writer *w);
/* SUP_OK, or the code of the last commit if it failed (cleared by the next one that succeeds). */
int sup_writer_health(struct sup_writer *w, struct sup_err *err);
/* No new jobs; waits until all handed-over jobs are committed and done. */
void sup_writer_stop(struct sup_writer *w);
void sup_writer_free(struct sup_writer *w);

#endif
