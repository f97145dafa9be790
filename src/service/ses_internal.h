#ifndef SUP_SERVICE_SES_INTERNAL_H
#define SUP_SERVICE_SES_INTERNAL_H

#include "base/random.h"
#include "base/thread.h"
#include "codec/keys.h"
#include "core/outbox_plan.h"
#include "core/rate.h"
#include "service/ses_worker.h"

/* Shared by ses_*.c only. */

#define SUP_SES_THREADS_MAX 16

/* An outbox entry that a thread works on. */
struct sup_ses_task {
    uint8_t key[SUP_ADDRESS_MAX];
    size_t key_n;
    int64_t due_ms;
    bool run;    /* a reconciliation put it there */
    bool failed; /* a call for it failed or was throttled before */
};

/* What came of a call. */
struct sup_ses_outcome {
    struct sup_outbox_plan plan;
    int64_t begin_ms, end_ms; /* wall time around the call */
    int code;
    bool found;             /* GET: is listed */
    enum sup_reason reason; /* GET */
    int64_t last_update_ms; /* GET */
    bool throttled;
    char error[160];
};

struct sup_ses_worker {
    struct sup_ses_worker_options opts;
    struct sup_stop stop;
    pthread_t threads[SUP_SES_THREADS_MAX];
    size_t n_threads;

    pthread_mutex_t mutex; /* all below */
    pthread_cond_t cond;
    uint64_t wakes;
    size_t n_running; /* threads that have not ended */
    int64_t low_ms;   /* nothing in the outbox is due before, but for what was skipped */
    bool skipped;     /* entries that wait for the budget */
    struct sup_ses_task claimed[SUP_SES_THREADS_MAX];
    size_t n_claimed;
    struct sup_rate rates[3];     /* by step: GET, PUT, DELETE */
    int64_t paused_until_mono_ms; /* trouble that concerns every call */
    unsigned pauses;
    int64_t saved_mono_ms;
    bool evidence_busy;       /* a thread works on a question of the evidence family */
    bool evidence_failed;     /* the last question, or it was throttled */
    int64_t evidence_low_ms;  /* nothing there is due before */
    int64_t evidence_mono_ms; /* no question before */
    uint64_t gets, puts, deletes, throttles, errors;
    char last_error[160];
    struct sup_rng rng;
};

/* ses_worker.c */

/* Under mutex. */
struct sup_rate *sup_ses_rate(struct sup_ses_worker *w, enum sup_outbox_step step);

/* ses_evidence.c: one question of the evidence family, if one is due and a call may go at once.
 * False: there was nothing to do; *next_ms is lowered to when there may be. */
bool sup_ses_evidence(struct sup_ses_worker *w, int64_t *next_ms);

/* ses_state.c: reading and writing the state of an address. Any thread but the writer's. */

/* The next step for a task. SUP_ENOTFOUND: it is not in the outbox any more. */
int sup_ses_load(struct sup_ses_worker *w, const struct sup_ses_task *task,
                 struct sup_outbox_plan *plan, struct sup_err *err);
/* Writes into the ledger that plan is about to be done. SUP_EAGAIN: the plan is out of date. */
int sup_ses_intend(struct sup_ses_worker *w, const struct sup_ses_task *task,
                   const struct sup_outbox_plan *plan, struct sup_err *err);
/* Records a call that went through. */
int sup_ses_record(struct sup_ses_worker *w, const struct sup_ses_task *task,
                   const struct sup_ses_outcome *outcome, struct sup_err *err);
/* Takes a finished task out of the outbox; SUP_EAGAIN: there is more to do after all. */
int sup_ses_finish(struct sup_ses_worker *w, const struct sup_ses_task *task, struct sup_err *err);
/* Puts the task off. counts: it goes on record as a failed attempt. */
int sup_ses_postpone(struct sup_ses_worker *w, const struct sup_ses_task *task, int64_t wait_ms,
                     bool counts, const char *error, struct sup_err *err);

#endif
