/* After a run: what became of what it put into the outbox. */
#include "base/clock.h"
#include "base/text.h"
#include "codec/keys.h"
#include "codec/value.h"
#include "service/apply_explain.h"
#include "service/reconcile_internal.h"

#include <string.h>

#define POLL_MIN_MS 20
#define POLL_MAX_MS 1000
#define LOOK_SHARE  5 /* of the time at least is not spent looking */
/* As long as something moves the run waits; it ends when nothing moved for so long, or after all.
 */
#define STUCK_MS   10000
#define LONGEST_MS (10 * 60 * 1000)
/* The same for what SES says of adopted entries. */
#define EVIDENCE_MS      5000
#define EVIDENCE_POLL_MS 100
#define BATCH_MAX        512
#define VALUE_MAX        (64U << 10)

/* Entries that were queued up to until_ms; *hopeless: those among them that failed and are not
 * tried again as long as the run would wait. */
static uint64_t waiting(struct sup_reconciler *rc, int64_t until_ms, uint64_t *hopeless)
{
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(rc->opts.store, NULL, SUP_CF_OUTBOX, open, open);
    int64_t soon_ms = sup_wall_ms() + STUCK_MS;
    uint64_t n = 0;

    *hopeless = 0;
    for (; it && sup_iter_valid(it); sup_iter_next(it)) {
        struct sup_outbox_entry e = {0};
        struct sup_slice key;
        int64_t due_ms = 0;
        if (sup_outbox_entry_decode(sup_iter_value(it), &e, NULL) != SUP_OK ||
            e.queued_ms > until_ms)
            continue;
        n++;
        *hopeless += e.attempts > 0 && sup_key_timed_parse(sup_iter_key(it), &due_ms, &key) &&
                     due_ms > soon_ms;
    }
    sup_iter_free(it);
    return n;
}

/* True: all is done. False: stopping, or stuck. */
static bool wait_for_outbox(struct sup_reconciler *rc)
{
    int64_t until_ms = sup_wall_ms();
    int64_t end = sup_mono_ms() + LONGEST_MS;
    int64_t moved = sup_mono_ms();
    int64_t poll = POLL_MIN_MS;
    uint64_t hopeless = 0;
    uint64_t last = UINT64_MAX;

    for (;;) {
        int64_t looked = sup_mono_ms();
        uint64_t n = waiting(rc, until_ms, &hopeless);
        int64_t now = sup_mono_ms();
        if (n == 0)
            return true;
        if (n == hopeless || !sup_ses_calls_may(rc->opts.calls, false))
            return false;
        if (n < last) {
            last = n;
            moved = now;
        }
        if (now > end || now - moved > STUCK_MS || sup_stop_wait_ms(&rc->stop, poll))
            return false;
        poll = poll * 2 > POLL_MAX_MS ? POLL_MAX_MS : poll * 2;
        /* Where very many wait, looking at them takes long itself. */
        if (poll < (now - looked) * LOOK_SHARE)
            poll = (now - looked) * LOOK_SHARE;
    }
}

/* Done, failed (with the last error) or pending. */
static void outcome(struct sup_reconciler *rc, struct sup_difference *d, struct sup_buf *value)
{
    struct sup_store *s = rc->opts.store;
    struct sup_slice key = sup_slice_str(d->address);
    struct sup_outbox_entry o = {0};
    struct sup_ses_entry e;
    struct sup_key k;

    d->result = SUP_DIFF_PENDING;
    if (sup_store_get(s, NULL, SUP_CF_SES, key, value, NULL) != SUP_OK ||
        sup_ses_entry_decode(sup_buf_slice(value), &e, NULL) != SUP_OK)
        return;
    if (e.outbox_due_ms == 0) {
        d->result = SUP_DIFF_DONE;
        return;
    }
    if (!sup_ses_calls_may(rc->opts.calls, false))
        sup_text_copy(d->error, sizeof(d->error), "waits: the day's calls of SES are used up");
    sup_key_timed(&k, e.outbox_due_ms, key);
    if (sup_store_get(s, NULL, SUP_CF_OUTBOX, sup_key_slice(&k), value, NULL) != SUP_OK ||
        sup_outbox_entry_decode(sup_buf_slice(value), &o, NULL) != SUP_OK || o.attempts == 0)
        return;
    d->result = SUP_DIFF_FAILED;
    sup_text_copy(d->error, sizeof(d->error), o.last_error);
}

/* --- who added what was adopted --- */

uint64_t sup_evidence_waiting(struct sup_reconciler *rc, int64_t since_ms, uint64_t max)
{
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(rc->opts.store, NULL, SUP_CF_EVIDENCE, open, open);
    struct sup_evidence_wanted e;
    uint64_t n = 0;

    for (; it && sup_iter_valid(it) && n < max; sup_iter_next(it))
        n += sup_evidence_wanted_decode(sup_iter_value(it), &e, NULL) == SUP_OK &&
             e.queued_ms >= since_ms;
    sup_iter_free(it);
    return n;
}

/* Where few were adopted their report says who added them: for that it may come a little later.
 * False: they are too many. */
static bool wait_for_evidence(struct sup_reconciler *rc, const struct sup_report *r)
{
    double can = rc->opts.config->ses.max_rps * EVIDENCE_MS / 1000.0 / 2;
    int64_t end = sup_mono_ms() + EVIDENCE_MS;

    if (strcmp(r->mode, "enforce") != 0 || r->counts[SUP_COUNT_ADOPTED] == 0 ||
        (double)r->counts[SUP_COUNT_ADOPTED] > can)
        return false;
    while (sup_mono_ms() < end && sup_ses_calls_may(rc->opts.calls, false) &&
           sup_evidence_waiting(rc, r->started_ms, 1) > 0) {
        if (sup_stop_wait_ms(&rc->stop, EVIDENCE_POLL_MS))
            break;
    }
    return true;
}

static enum sup_diff_source source_of_cause(enum sup_cause cause)
{
    if (cause == SUP_CAUSE_ADOPTED_FEEDBACK)
        return SUP_SOURCE_FEEDBACK;
    return cause == SUP_CAUSE_ADOPTED_MANUAL ? SUP_SOURCE_MANUAL : SUP_SOURCE_UNKNOWN;
}

static enum sup_diff_source source(struct sup_reconciler *rc, struct sup_txn *t,
                                   const struct sup_difference *d, struct sup_mem *mem)
{
    enum sup_class cls = sup_apply_reason_class(d->reason);
    struct sup_decision decision;
    struct sup_record record;

    sup_mem_reset(mem);
    if (sup_apply_record(rc->opts.apply, t, sup_slice_str(d->address), mem, &record, NULL) !=
            SUP_OK ||
        sup_decision_decode(record.registers.r[cls - 1].encoded, mem, &decision, NULL) != SUP_OK)
        return SUP_SOURCE_UNKNOWN;
    return source_of_cause(decision.cause);
}

/* --- the differences --- */

struct settling {
    struct sup_reconciler *rc;
    struct sup_report *report;
    struct sup_report tally;
    uint32_t at;
    struct sup_buf value;
    struct sup_difference d;
    struct sup_mem *mem; /* NULL: it is not said who added what */
};

static int settle_one(struct settling *s, struct sup_txn *t, uint32_t index, struct sup_err *err)
{
    struct sup_report_key k;
    int rc;

    sup_report_key_difference(&k, s->report->id, index);
    rc = sup_txn_get(t, SUP_CF_REPORTS, sup_slice_of(k.b, k.n), &s->value);
    if (rc != SUP_OK)
        return sup_err_set(err, rc, "cannot read a report: %s", sup_code_name(rc));
    rc = sup_difference_decode(sup_buf_slice(&s->value), &s->d, err);
    if (rc != SUP_OK)
        return rc;
    if (s->mem && s->d.action == SUP_DO_ADOPT_ADD && s->d.result == SUP_DIFF_DONE)
        s->d.source = source(s->rc, t, &s->d, s->mem);
    else if (s->d.result == SUP_DIFF_PENDING)
        outcome(s->rc, &s->d, &s->value);
    else
        return SUP_OK;
    s->tally.counts[SUP_COUNT_PENDING] -=
        s->d.action != SUP_DO_ADOPT_ADD && s->d.result != SUP_DIFF_PENDING;
    s->tally.counts[SUP_COUNT_FAILED] += s->d.result == SUP_DIFF_FAILED;
    sup_buf_reset(&s->value);
    sup_difference_encode(&s->d, &s->value);
    sup_txn_put(t, SUP_CF_REPORTS, sup_slice_of(k.b, k.n), sup_buf_slice(&s->value));
    return SUP_OK;
}

static int settle_some(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct settling *s = arg;
    int rc = SUP_OK;

    (void)a;
    s->tally = *s->report;
    for (uint32_t i = s->at; rc == SUP_OK && i < s->report->n_differences && i < s->at + BATCH_MAX;
         i++)
        rc = settle_one(s, t, i, err);
    return rc;
}

int sup_reconcile_settle(struct sup_reconciler *rc, struct sup_report *r, struct sup_err *err)
{
    struct settling s = {.rc = rc, .report = r};
    bool all;
    int code = SUP_OK;

    all = r->counts[SUP_COUNT_PENDING] == 0 || wait_for_outbox(rc);
    if (wait_for_evidence(rc, r))
        s.mem = sup_mem_new();
    if (r->counts[SUP_COUNT_PENDING] == 0 && !s.mem)
        return SUP_OK;
    sup_buf_init(&s.value, VALUE_MAX);
    for (; code == SUP_OK && s.at < r->n_differences; s.at += BATCH_MAX) {
        code = sup_apply_run(rc->opts.apply, settle_some, &s, err);
        if (code == SUP_OK)
            *r = s.tally;
    }
    /* Those that were too many to be stored one by one. */
    if (code == SUP_OK && all)
        r->counts[SUP_COUNT_PENDING] = 0;
    sup_buf_fini(&s.value);
    sup_mem_free(s.mem);
    return code;
}
