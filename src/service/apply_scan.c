/* What a list scan found, brought into the store: adoptions, what is known of the list, and what
 * is to be written to it. */
#include "base/text.h"
#include "codec/keys.h"
#include "core/outbox_plan.h"
#include "service/apply_explain.h"
#include "service/apply_internal.h"

#include <stdlib.h>
#include <string.h>

struct finding {
    struct sup_apply *a;
    struct sup_txn *t;
    struct sup_reconcile_address address;
    const struct sup_reconcile_rules *rules;
    const char *region;
    struct sup_mem *mem;
    struct sup_record record;
    struct sup_ses_entry entry;
};

static int read_record(struct finding *f, struct sup_err *err)
{
    int rc;

    sup_mem_reset(f->mem);
    rc = sup_apply_record(f->a, f->t, f->address.key, f->mem, &f->record, err);
    f->address.registers = rc == SUP_OK ? &f->record.registers : NULL;
    return rc == SUP_ENOTFOUND ? SUP_OK : rc;
}

static int read_entry(struct finding *f, struct sup_err *err)
{
    struct sup_apply *a = f->a;
    int rc = sup_txn_get(f->t, SUP_CF_SES, f->address.key, &a->value);

    sup_ses_entry_init(&f->entry);
    f->address.known = rc == SUP_OK ? &f->entry : NULL;
    if (rc == SUP_ENOTFOUND)
        return SUP_OK;
    if (rc != SUP_OK)
        return sup_err_set(err, rc, "cannot read an SES entry: %s", sup_code_name(rc));
    return sup_ses_entry_decode(sup_buf_slice(&a->value), &f->entry, err);
}

static int write_entry(struct finding *f, struct sup_err *err)
{
    struct sup_apply *a = f->a;

    sup_buf_reset(&a->scratch);
    sup_ses_entry_encode(&f->entry, &a->scratch);
    if (a->scratch.failed)
        return sup_err_set(err, a->scratch.failed, "SES entry is too large");
    sup_txn_put(f->t, SUP_CF_SES, f->address.key, sup_buf_slice(&a->scratch));
    return SUP_OK;
}

static int want_evidence(struct finding *f, const struct sup_reconcile_step *s, struct sup_err *err)
{
    struct sup_evidence_wanted e = {.reason = s->reason, .decided_ms = s->time_ms};

    sup_text_copy(e.spelling, sizeof(e.spelling), s->spelling);
    for (size_t i = 0; i < f->address.n_listed; i++) {
        if (strcmp(f->address.listed[i].spelling, s->spelling) == 0)
            e.last_update_ms = f->address.listed[i].last_update_ms;
    }
    e.queued_ms = f->a->batch_ms;
    return sup_apply_want_evidence(f->a, f->t, f->address.key, f->a->batch_ms, &e, err);
}

static int adopt_add(struct finding *f, const struct sup_reconcile_step *s, struct sup_err *err)
{
    struct sup_decision d = {
        .cls = sup_apply_reason_class(s->reason),
        .state = SUP_SUPPRESSED,
        .cause = SUP_CAUSE_ADOPTED,
        .time = sup_hlc_from_ms(s->time_ms),
        .note = sup_slice_str("found in the Region's SES list"),
        .evidence = {.region = sup_slice_str(f->region), .spelling = sup_slice_str(s->spelling)},
    };
    bool won;
    int rc = sup_apply_adopt(f->a, f->t, f->address.key, &d, &won, err);

    return won && f->rules->explain ? want_evidence(f, s, err) : rc;
}

/* Clears what suppressed when the entry went. */
static int adopt_removal(struct finding *f, const struct sup_reconcile_step *s, struct sup_err *err)
{
    bool suppresses[SUP_N_CLASSES];
    int rc = SUP_OK;

    for (size_t i = 0; i < SUP_N_CLASSES; i++)
        suppresses[i] = sup_register_suppresses(&f->record.registers.r[i], f->rules->now_ms);
    for (size_t i = 0; rc == SUP_OK && i < SUP_N_CLASSES; i++) {
        struct sup_decision d = {
            .cls = (enum sup_class)(i + 1),
            .state = SUP_CLEARED,
            .cause = SUP_CAUSE_ADOPTED,
            .evidence = {.region = sup_slice_str(f->region)},
            .time = sup_hlc_from_ms(s->time_ms),
            .note = sup_slice_str("removed from the Region's SES list"),
        };
        bool won;
        if (suppresses[i])
            rc = sup_apply_adopt(f->a, f->t, f->address.key, &d, &won, err);
    }
    return rc;
}

static int adopt(struct finding *f, const struct sup_reconcile_plan *plan, struct sup_err *err)
{
    int rc = SUP_OK;

    for (size_t i = 0; rc == SUP_OK && i < plan->n; i++) {
        const struct sup_reconcile_step *s = &plan->steps[i];
        if (s->withheld)
            continue;
        if (s->action == SUP_DO_ADOPT_ADD)
            rc = adopt_add(f, s, err);
        else if (s->action == SUP_DO_ADOPT_REMOVAL)
            rc = adopt_removal(f, s, err);
    }
    return rc;
}

static bool same_entry(const struct sup_ses_entry *a, const struct sup_ses_entry *b)
{
    struct sup_buf x;
    struct sup_buf y;
    bool same;

    sup_buf_init(&x, 1U << 20);
    sup_buf_init(&y, 1U << 20);
    sup_ses_entry_encode(a, &x);
    sup_ses_entry_encode(b, &y);
    same = sup_slice_eq(sup_buf_slice(&x), sup_buf_slice(&y));
    sup_buf_fini(&x);
    sup_buf_fini(&y);
    return same;
}

static int take_from_outbox(struct finding *f, struct sup_err *err)
{
    struct sup_key k;

    sup_key_timed(&k, f->entry.outbox_due_ms, f->address.key);
    sup_txn_delete(f->t, SUP_CF_OUTBOX, sup_key_slice(&k));
    f->entry.outbox_due_ms = 0;
    return write_entry(f, err);
}

/* Into the outbox what is to be written. An adoption put the address there because its state
 * changed; but the list holds it already, or does not any more, and then nothing is to be done. */
static int settle_outbox(struct finding *f, const struct sup_reconcile_plan *plan, bool waited,
                         struct sup_err *err)
{
    struct sup_outbox_plan next;
    enum sup_reason desired = SUP_REASON_NONE;
    int rc = read_record(f, err);

    if (rc == SUP_OK)
        rc = read_entry(f, err);
    if (rc != SUP_OK)
        return rc;
    sup_reconcile_observe(&f->entry, &f->address, f->rules, plan);
    if (f->address.registers)
        desired = sup_registers_effective(f->address.registers, f->rules->now_ms, NULL);
    sup_outbox_plan(f->address.key, desired, &f->entry, &next);
    if (next.step == SUP_OUTBOX_DONE)
        return f->entry.outbox_due_ms != 0 && !waited ? take_from_outbox(f, err)
                                                      : write_entry(f, err);
    rc = write_entry(f, err);
    /* Nothing is deleted that no decision speaks of. */
    if (rc == SUP_OK && f->entry.outbox_due_ms == 0 && f->address.registers)
        rc = sup_apply_outbox(f->a, f->t, f->address.key, NULL, false, err);
    return rc;
}

static int run(struct finding *f, enum sup_reconcile_mode mode, struct sup_reconcile_plan *plan,
               struct sup_err *err)
{
    struct sup_ses_entry before;
    bool waited;
    int rc = read_record(f, err);

    if (rc == SUP_OK)
        rc = read_entry(f, err);
    if (rc != SUP_OK)
        return rc;
    sup_reconcile_plan(&f->address, f->rules, plan);
    if (plan->busy || mode == SUP_RECONCILE_LOOK)
        return SUP_OK;
    waited = f->entry.outbox_due_ms != 0;
    before = f->entry;
    if (mode == SUP_RECONCILE_NOTE)
        sup_reconcile_note(&f->entry, &f->address, f->rules, plan);
    else
        sup_reconcile_observe(&f->entry, &f->address, f->rules, plan);
    if ((plan->n == 0 || mode == SUP_RECONCILE_NOTE) && same_entry(&before, &f->entry))
        return SUP_OK;
    rc = write_entry(f, err);
    if (rc != SUP_OK || mode == SUP_RECONCILE_NOTE)
        return rc;
    rc = adopt(f, plan, err);
    return rc == SUP_OK ? settle_outbox(f, plan, waited, err) : rc;
}

int sup_apply_reconcile(struct sup_apply *a, struct sup_txn *t,
                        const struct sup_reconcile_address *address,
                        const struct sup_reconcile_rules *rules, const char *region,
                        enum sup_reconcile_mode mode, struct sup_reconcile_plan *done,
                        struct sup_err *err)
{
    struct finding *f = malloc(sizeof(*f));
    int rc = SUP_ENOMEM;

    if (f)
        *f = (struct finding){.a = a,
                              .t = t,
                              .address = *address,
                              .rules = rules,
                              .region = region,
                              .mem = sup_mem_new()};
    a->reconciling = true;
    if (f && f->mem)
        rc = run(f, mode, done, err);
    else
        sup_err_set(err, rc, "out of memory");
    a->reconciling = false;
    if (f)
        sup_mem_free(f->mem);
    free(f);
    return rc;
}
