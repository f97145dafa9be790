/* Asking SES who added what was adopted, when there is nothing else to do. */
#include "aws/sesv2.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/value.h"
#include "service/apply_explain.h"
#include "service/ses_internal.h"

#include <stdlib.h>
#include <string.h>

#define VALUE_MAX (64U << 10)
/* Of the allowed rate: a thousand questions are no reason to take all of it. */
#define SHARE 0.5
/* An answer that does not come is given up: nothing depends on it. */
#define ATTEMPTS_MAX  5
#define RETRY_BASE_MS 30000
/* Whoever may not ask, or has no credentials, may later. */
#define REFUSED_MS (10 * 60 * 1000)

struct question {
    struct sup_ses_worker *w;
    uint8_t key[SUP_ADDRESS_MAX];
    size_t key_n;
    int64_t due_ms;
    struct sup_evidence_wanted wanted;
    struct sup_ses_list answer;
    bool answered; /* of this very entry */
    int64_t wait_ms;
};

static struct sup_slice key_of(const struct question *q)
{
    return sup_slice_of(q->key, q->key_n);
}

/* --- choosing one --- */

/* Under mutex. */
static bool read_first(struct sup_ses_worker *w, struct sup_iter *it, struct question *q,
                       int64_t *next_ms)
{
    int64_t now = sup_wall_ms();
    struct sup_slice key;

    if (!sup_iter_valid(it)) {
        if (sup_iter_status(it, NULL) == SUP_OK)
            w->evidence_low_ms = INT64_MAX;
        return false;
    }
    if (!sup_key_timed_parse(sup_iter_key(it), &q->due_ms, &key) || key.n > sizeof(q->key))
        return false;
    w->evidence_low_ms = q->due_ms;
    if (q->due_ms > now) {
        if (q->due_ms - now < *next_ms)
            *next_ms = q->due_ms - now;
        return false;
    }
    memcpy(q->key, key.p, key.n);
    q->key_n = key.n;
    if (sup_evidence_wanted_decode(sup_iter_value(it), &q->wanted, NULL) == SUP_OK)
        return true;
    w->evidence_low_ms++; /* damaged: not in the way of the others */
    return false;
}

/* Takes the turn: one question at a time. */
static bool claim(struct sup_ses_worker *w, struct question *q, int64_t *next_ms)
{
    struct sup_key from;
    struct sup_iter *it;
    bool found = false;

    pthread_mutex_lock(&w->mutex);
    if (!w->evidence_busy && w->evidence_low_ms != INT64_MAX) {
        sup_key_timed(&from, w->evidence_low_ms, (struct sup_slice){NULL, 0});
        it = sup_iter_new(w->opts.store, NULL, SUP_CF_EVIDENCE, sup_key_slice(&from),
                          (struct sup_slice){NULL, 0});
        found = it && read_first(w, it, q, next_ms);
        sup_iter_free(it);
        w->evidence_busy = found;
    }
    pthread_mutex_unlock(&w->mutex);
    return found;
}

static void unclaim(struct sup_ses_worker *w)
{
    pthread_mutex_lock(&w->mutex);
    w->evidence_busy = false;
    pthread_mutex_unlock(&w->mutex);
}

/* May a call go now, without waiting? */
static bool has_turn(struct sup_ses_worker *w, int64_t *next_ms)
{
    int64_t now = sup_mono_ms();
    int64_t wait;

    pthread_mutex_lock(&w->mutex);
    wait = w->paused_until_mono_ms > w->evidence_mono_ms ? w->paused_until_mono_ms
                                                         : w->evidence_mono_ms;
    wait -= now;
    if (wait <= 0)
        wait = sup_rate_take(sup_ses_rate(w, SUP_OUTBOX_GET), now);
    if (wait == 0)
        w->evidence_mono_ms = now + (int64_t)(1000.0 / (w->opts.config->ses.max_rps * SHARE));
    pthread_mutex_unlock(&w->mutex);
    if (wait > 0 && wait < *next_ms)
        *next_ms = wait;
    return wait == 0 && sup_ses_calls_take(w->opts.calls, false, NULL) == SUP_OK;
}

/* Does the decision stand whose evidence is asked for? */
static bool is_wanted(struct question *q)
{
    struct sup_ses_worker *w = q->w;
    struct sup_mem *mem = sup_mem_new();
    struct sup_record record;
    struct sup_buf value;
    struct sup_key k;
    bool wanted;

    sup_buf_init(&value, VALUE_MAX);
    sup_key_record(&k, sup_apply_hash(w->opts.apply), key_of(q));
    wanted =
        mem &&
        sup_store_get(w->opts.store, NULL, SUP_CF_RECORDS, sup_key_slice(&k), &value, NULL) ==
            SUP_OK &&
        sup_record_decode(sup_buf_slice(&value), mem, &record, NULL) == SUP_OK &&
        sup_evidence_is_wanted(&record.registers, &q->wanted, sup_apply_node_id(w->opts.apply));
    sup_buf_fini(&value);
    sup_mem_free(mem);
    return wanted;
}

/* --- the answer --- */

static int settle(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct question *q = arg;
    struct sup_explanation x = {"", ""};

    sup_ses_calls_put(q->w->opts.calls, t);
    if (q->wait_ms > 0)
        return sup_apply_postpone_evidence(a, t, key_of(q), q->due_ms, &q->wanted, q->wait_ms, err);
    if (q->answered && q->answer.items[0].feedback_id)
        x.feedback_id = q->answer.items[0].feedback_id;
    if (q->answered && q->answer.items[0].message_id)
        x.message_id = q->answer.items[0].message_id;
    return sup_apply_explain(a, t, key_of(q), q->due_ms, &q->wanted, q->w->opts.config->region,
                             q->answered ? &x : NULL, err);
}

static void ask(struct question *q, struct sup_ses_outcome *o)
{
    struct sup_ses_worker *w = q->w;
    struct sup_aws_error aerr = {0};
    struct sup_err err = {0};

    o->code = sup_ses_get(w->opts.aws, q->wanted.spelling, &q->answer, &w->stop, &aerr, &err);
    const struct sup_ses_call_made m = {
        .op = SUP_CALL_GET,
        .code = o->code,
        .aws = &aerr,
        .for_run = sup_ses_calls_is_for_run(w->opts.calls, q->wanted.queued_ms),
        .again = w->evidence_failed};
    sup_ses_calls_made(w->opts.calls, &m);
    /* Whose turn it is need not lock it. */
    w->evidence_failed = o->code != SUP_OK && o->code != SUP_ENOTFOUND;
    /* An entry that was put anew meanwhile is another one: the next scan finds it. */
    q->answered = o->code == SUP_OK && q->answer.items[0].reason == q->wanted.reason &&
                  q->answer.items[0].last_update_ms == q->wanted.last_update_ms;
    if (o->code == SUP_ENOTFOUND)
        o->code = SUP_OK;
    o->throttled = aerr.throttled;
    sup_text_copy(o->error, sizeof(o->error), err.msg);
}

/* Of trouble with a question nothing follows for other calls, but for the rate. */
static void digest(struct sup_ses_worker *w, const struct sup_ses_outcome *o)
{
    int64_t now = sup_mono_ms();

    pthread_mutex_lock(&w->mutex);
    if (o->throttled)
        sup_rate_throttled(sup_ses_rate(w, SUP_OUTBOX_GET), now);
    else if (o->code == SUP_OK)
        sup_rate_success(sup_ses_rate(w, SUP_OUTBOX_GET), now);
    else if (o->code == SUP_EAUTH)
        w->evidence_mono_ms = now + REFUSED_MS;
    w->throttles += o->throttled;
    w->gets += o->code == SUP_OK;
    pthread_mutex_unlock(&w->mutex);
    if (o->code == SUP_EAUTH)
        sup_log_warn("ses",
                     "SES may not be asked who added what was adopted: allow "
                     "ses:GetSuppressedDestination",
                     SUP_S("error", o->error));
}

static int answer(struct question *q, struct sup_err *err)
{
    struct sup_ses_outcome o = {0};

    ask(q, &o);
    digest(q->w, &o);
    if (o.throttled || o.code == SUP_ECLOSED || o.code == SUP_EAUTH)
        return SUP_OK; /* it stays in front */
    if (o.code != SUP_OK && q->wanted.attempts + 1 < ATTEMPTS_MAX)
        q->wait_ms = (int64_t)RETRY_BASE_MS << q->wanted.attempts;
    else if (o.code != SUP_OK)
        sup_log_warn("ses", "SES does not say who added an entry that was adopted",
                     SUP_S("address", q->wanted.spelling), SUP_S("error", o.error));
    return sup_apply_run(q->w->opts.apply, settle, q, err);
}

bool sup_ses_evidence(struct sup_ses_worker *w, int64_t *next_ms)
{
    struct question q = {.w = w};
    struct sup_err err = {0};
    bool asked = true;
    int rc = SUP_OK;

    if (!sup_ses_calls_may(w->opts.calls, false) || !claim(w, &q, next_ms))
        return false;
    if (!is_wanted(&q))
        rc = sup_apply_run(w->opts.apply, settle, &q, &err);
    else if (has_turn(w, next_ms))
        rc = answer(&q, &err);
    else
        asked = false;
    sup_ses_list_fini(&q.answer);
    unclaim(w);
    if (rc != SUP_OK && rc != SUP_ECLOSED) {
        sup_log_error("ses", "evidence cannot be worked on", SUP_S("error", err.msg));
        return false;
    }
    return asked;
}
