#include "base/clock.h"
#include "base/text.h"
#include "codec/value.h"
#include "service/apply_txn.h"
#include "service/ses_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX (64U << 10)

static struct sup_slice task_key(const struct sup_ses_task *t)
{
    return (struct sup_slice){t->key, t->key_n};
}

/* What one address's list entries should be and are, read from the store or a transaction. */
struct view {
    struct sup_ses_entry entry;
    enum sup_reason desired;
};

static int view_of(struct sup_slice ses, struct sup_slice record, bool has_record, int64_t now_ms,
                   struct view *out, struct sup_err *err)
{
    struct sup_record r;
    struct sup_mem *m;
    int rc = sup_ses_entry_decode(ses, &out->entry, err);

    out->desired = SUP_REASON_NONE;
    if (rc != SUP_OK || !has_record)
        return rc;
    m = sup_mem_new();
    if (!m)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    rc = sup_record_decode(record, m, &r, err);
    if (rc == SUP_OK)
        out->desired = sup_registers_effective(&r.registers, now_ms, NULL);
    sup_mem_free(m);
    return rc;
}

int sup_ses_load(struct sup_ses_worker *w, const struct sup_ses_task *task,
                 struct sup_outbox_plan *plan, struct sup_err *err)
{
    struct sup_snapshot *snap = sup_store_snapshot(w->opts.store);
    struct sup_slice key = task_key(task);
    struct view *v = malloc(sizeof(*v));
    struct sup_key k;
    struct sup_buf ses;
    struct sup_buf record;
    int rc;

    sup_buf_init(&ses, VALUE_MAX);
    sup_buf_init(&record, VALUE_MAX);
    sup_key_record(&k, sup_apply_hash(w->opts.apply), key);
    rc = v ? sup_store_get(w->opts.store, snap, SUP_CF_SES, key, &ses, err)
           : sup_err_set(err, SUP_ENOMEM, "out of memory");
    if (rc == SUP_OK) {
        int found =
            sup_store_get(w->opts.store, snap, SUP_CF_RECORDS, sup_key_slice(&k), &record, err);
        if (found != SUP_OK && found != SUP_ENOTFOUND)
            rc = found;
        else
            rc = view_of(sup_buf_slice(&ses), sup_buf_slice(&record), found == SUP_OK,
                         sup_wall_ms(), v, err);
    }
    if (rc == SUP_OK && v->entry.outbox_due_ms != task->due_ms)
        rc = SUP_ENOTFOUND;
    if (rc == SUP_OK)
        sup_outbox_plan(key, v->desired, &v->entry, plan);
    sup_buf_fini(&ses);
    sup_buf_fini(&record);
    sup_snapshot_free(w->opts.store, snap);
    free(v);
    return rc;
}

/* --- changes, on the writer thread --- */

struct change {
    struct sup_ses_worker *w;
    const struct sup_ses_task *task;
    const struct sup_outbox_plan *plan;
    const struct sup_ses_outcome *outcome;
    int64_t wait_ms;
    bool counts;
    const char *error;
    /* read in the transaction */
    struct view view;
    struct sup_buf value;
    int (*apply)(struct change *c, struct sup_apply *a, struct sup_txn *t, struct sup_err *err);
};

static int read_view(struct change *c, struct sup_apply *a, struct sup_txn *t, struct sup_err *err)
{
    struct sup_slice key = task_key(c->task);
    struct sup_buf record;
    struct sup_key k;
    int rc = sup_txn_get(t, SUP_CF_SES, key, &c->value);
    int found;

    if (rc != SUP_OK)
        return sup_err_set(err, rc, "cannot read an SES entry: %s", sup_code_name(rc));
    sup_buf_init(&record, VALUE_MAX);
    sup_key_record(&k, sup_apply_hash(a), key);
    found = sup_txn_get(t, SUP_CF_RECORDS, sup_key_slice(&k), &record);
    if (found != SUP_OK && found != SUP_ENOTFOUND)
        rc = sup_err_set(err, found, "cannot read a record: %s", sup_code_name(found));
    else
        rc = view_of(sup_buf_slice(&c->value), sup_buf_slice(&record), found == SUP_OK,
                     sup_apply_now_ms(a), &c->view, err);
    sup_buf_fini(&record);
    return rc;
}

static int write_entry(struct change *c, struct sup_txn *t, struct sup_err *err)
{
    sup_buf_reset(&c->value);
    sup_ses_entry_encode(&c->view.entry, &c->value);
    if (c->value.failed)
        return sup_err_set(err, c->value.failed, "SES entry is too large");
    sup_txn_put(t, SUP_CF_SES, task_key(c->task), sup_buf_slice(&c->value));
    return SUP_OK;
}

static int change_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct change *c = arg;
    int rc = read_view(c, a, t, err);

    sup_ses_calls_put(c->w->opts.calls, t);
    return rc == SUP_OK ? c->apply(c, a, t, err) : rc;
}

static int change(struct change *c, struct sup_err *err)
{
    int rc;

    sup_buf_init(&c->value, VALUE_MAX);
    rc = sup_apply_run(c->w->opts.apply, change_run, c, err);
    sup_buf_fini(&c->value);
    return rc;
}

static bool same_step(const struct sup_outbox_plan *a, const struct sup_outbox_plan *b)
{
    return a->step == b->step && a->reason == b->reason && strcmp(a->spelling, b->spelling) == 0;
}

static int apply_intend(struct change *c, struct sup_apply *a, struct sup_txn *t,
                        struct sup_err *err)
{
    struct sup_outbox_plan now;
    struct sup_ses_spelling *s;

    sup_outbox_plan(task_key(c->task), c->view.desired, &c->view.entry, &now);
    if (!same_step(&now, c->plan))
        return SUP_EAGAIN;
    s = sup_ses_entry_spelling(&c->view.entry, now.spelling);
    if (!s)
        return sup_err_set(err, SUP_ELIMIT, "more than %d spellings of one address",
                           SUP_SPELLINGS_MAX);
    s->write_op = now.step == SUP_OUTBOX_PUT ? SUP_SES_PUT : SUP_SES_DELETE;
    s->write_reason = now.step == SUP_OUTBOX_PUT ? now.reason : SUP_REASON_NONE;
    s->write_begin_ms = sup_apply_now_ms(a);
    s->write_end_ms = 0;
    return write_entry(c, t, err);
}

int sup_ses_intend(struct sup_ses_worker *w, const struct sup_ses_task *task,
                   const struct sup_outbox_plan *plan, struct sup_err *err)
{
    struct change c = {.w = w, .task = task, .plan = plan, .apply = apply_intend};

    return change(&c, err);
}

static int apply_record(struct change *c, struct sup_apply *a, struct sup_txn *t,
                        struct sup_err *err)
{
    const struct sup_ses_outcome *o = c->outcome;
    struct sup_ses_spelling *s = sup_ses_entry_spelling(&c->view.entry, o->plan.spelling);

    (void)a;
    if (!s)
        return sup_err_set(err, SUP_ELIMIT, "more than %d spellings of one address",
                           SUP_SPELLINGS_MAX);
    s->unverified = false;
    switch (o->plan.step) {
    case SUP_OUTBOX_GET:
        s->present = o->found;
        s->reason = o->reason;
        s->last_update_ms = o->last_update_ms;
        break;
    case SUP_OUTBOX_PUT:
        s->present = true;
        s->reason = o->plan.reason;
        s->last_update_ms = 0; /* until somebody sees it there */
        s->write_end_ms = o->end_ms;
        break;
    case SUP_OUTBOX_DELETE:
        s->present = false;
        s->reason = SUP_REASON_NONE;
        s->last_update_ms = 0;
        /* The next put, if there ever is one, takes the key again. */
        s->noted_ms = 0;
        s->write_end_ms = o->end_ms;
        break;
    case SUP_OUTBOX_DONE:
        break;
    }
    return write_entry(c, t, err);
}

int sup_ses_record(struct sup_ses_worker *w, const struct sup_ses_task *task,
                   const struct sup_ses_outcome *outcome, struct sup_err *err)
{
    struct change c = {.w = w, .task = task, .outcome = outcome, .apply = apply_record};

    return change(&c, err);
}

static void remove_outbox(struct change *c, struct sup_txn *t)
{
    struct sup_key k;

    sup_key_timed(&k, c->view.entry.outbox_due_ms, task_key(c->task));
    sup_txn_delete(t, SUP_CF_OUTBOX, sup_key_slice(&k));
    c->view.entry.outbox_due_ms = 0;
}

static int apply_finish(struct change *c, struct sup_apply *a, struct sup_txn *t,
                        struct sup_err *err)
{
    struct sup_outbox_plan now;

    (void)a;
    if (c->view.entry.outbox_due_ms == 0)
        return SUP_OK;
    sup_outbox_plan(task_key(c->task), c->view.desired, &c->view.entry, &now);
    if (now.step != SUP_OUTBOX_DONE)
        return SUP_EAGAIN;
    remove_outbox(c, t);
    return write_entry(c, t, err);
}

int sup_ses_finish(struct sup_ses_worker *w, const struct sup_ses_task *task, struct sup_err *err)
{
    struct change c = {.w = w, .task = task, .apply = apply_finish};

    return change(&c, err);
}

static int apply_postpone(struct change *c, struct sup_apply *a, struct sup_txn *t,
                          struct sup_err *err)
{
    struct sup_outbox_entry o = {.queued_ms = sup_apply_now_ms(a)};
    struct sup_key k;
    int rc;

    /* Something new was decided meanwhile: that counts from the start. */
    if (c->view.entry.outbox_due_ms != c->task->due_ms)
        return SUP_OK;
    sup_key_timed(&k, c->task->due_ms, task_key(c->task));
    rc = sup_txn_get(t, SUP_CF_OUTBOX, sup_key_slice(&k), &c->value);
    if (rc == SUP_OK)
        rc = sup_outbox_entry_decode(sup_buf_slice(&c->value), &o, err);
    if (rc != SUP_OK && rc != SUP_ENOTFOUND)
        return rc;
    if (c->counts)
        o.attempts++;
    sup_text_copy(o.last_error, sizeof(o.last_error), c->error);
    remove_outbox(c, t);
    c->view.entry.outbox_due_ms = sup_apply_now_ms(a) + c->wait_ms;
    sup_buf_reset(&c->value);
    sup_outbox_entry_encode(&o, &c->value);
    sup_key_timed(&k, c->view.entry.outbox_due_ms, task_key(c->task));
    sup_txn_put(t, SUP_CF_OUTBOX, sup_key_slice(&k), sup_buf_slice(&c->value));
    sup_apply_touch_outbox(a, c->view.entry.outbox_due_ms);
    return write_entry(c, t, err);
}

int sup_ses_postpone(struct sup_ses_worker *w, const struct sup_ses_task *task, int64_t wait_ms,
                     bool counts, const char *error, struct sup_err *err)
{
    struct change c = {.w = w,
                       .task = task,
                       .wait_ms = wait_ms,
                       .counts = counts,
                       .error = error,
                       .apply = apply_postpone};

    return change(&c, err);
}
