/* What hangs on a decision for the Region's own list: outbox entries and expiries. */
#include "codec/keys.h"
#include "service/apply_internal.h"

#include <string.h>

static int read_ses(struct sup_apply *a, struct sup_txn *t, struct sup_slice key,
                    struct sup_ses_entry *e, struct sup_err *err)
{
    int rc = sup_txn_get(t, SUP_CF_SES, key, &a->value);

    if (rc == SUP_ENOTFOUND) {
        sup_ses_entry_init(e);
        return SUP_OK;
    }
    if (rc != SUP_OK)
        return sup_err_set(err, rc, "cannot read an SES entry: %s", sup_code_name(rc));
    return sup_ses_entry_decode(sup_buf_slice(&a->value), e, err);
}

static void note_spellings(struct sup_ses_entry *e, const struct sup_proposal *p, int64_t now_ms)
{
    for (size_t i = 0; i < p->n_spellings; i++) {
        struct sup_ses_spelling *s = sup_ses_entry_spelling(e, p->spellings[i]);
        if (!s)
            continue;
        s->noted_ms = now_ms;
        s->unverified = !s->present;
    }
}

/* A clear reaches for whatever may be listed: all spellings ever noted, and the key itself, which a
 * peer's agent or a person may have put. */
static void doubt_all(struct sup_ses_entry *e, struct sup_slice key)
{
    char text[SUP_ADDRESS_MAX + 1];

    memcpy(text, key.p, key.n);
    text[key.n] = '\0';
    (void)sup_ses_entry_spelling(e, text);
    for (size_t i = 0; i < e->n_spellings; i++)
        e->spellings[i].unverified = !e->spellings[i].present;
}

static int put_outbox(struct sup_apply *a, struct sup_txn *t, struct sup_slice key, int64_t due_ms,
                      struct sup_err *err)
{
    struct sup_outbox_entry o = {.queued_ms = a->batch_ms, .run = a->reconciling};
    struct sup_key k;

    sup_key_timed(&k, due_ms, key);
    sup_buf_reset(&a->scratch);
    sup_outbox_entry_encode(&o, &a->scratch);
    if (a->scratch.failed)
        return sup_err_set(err, a->scratch.failed, "outbox entry is too large");
    sup_txn_put(t, SUP_CF_OUTBOX, sup_key_slice(&k), sup_buf_slice(&a->scratch));
    sup_apply_touch_outbox(a, due_ms);
    return SUP_OK;
}

/* What a reconciliation put there waits where the day's calls are short; a decision does not. */
static int make_urgent(struct sup_apply *a, struct sup_txn *t, struct sup_slice key, int64_t due_ms,
                       struct sup_err *err)
{
    struct sup_outbox_entry o;
    struct sup_key k;
    int rc;

    sup_key_timed(&k, due_ms, key);
    rc = sup_txn_get(t, SUP_CF_OUTBOX, sup_key_slice(&k), &a->value);
    if (rc == SUP_OK)
        rc = sup_outbox_entry_decode(sup_buf_slice(&a->value), &o, err);
    if (rc == SUP_OK && !o.run)
        return SUP_OK;
    return rc == SUP_OK || rc == SUP_ENOTFOUND ? put_outbox(a, t, key, due_ms, err) : rc;
}

int sup_apply_outbox(struct sup_apply *a, struct sup_txn *t, struct sup_slice key,
                     const struct sup_proposal *p, bool cleared, struct sup_err *err)
{
    struct sup_ses_entry e;
    int rc = read_ses(a, t, key, &e, err);

    if (rc != SUP_OK)
        return rc;
    if (p)
        note_spellings(&e, p, a->batch_ms);
    if (cleared)
        doubt_all(&e, key);
    if (e.outbox_due_ms > a->batch_ms) {
        /* It waits in a back-off that was about the old state of things. */
        struct sup_key k;
        sup_key_timed(&k, e.outbox_due_ms, key);
        sup_txn_delete(t, SUP_CF_OUTBOX, sup_key_slice(&k));
        e.outbox_due_ms = 0;
    }
    if (e.outbox_due_ms == 0) {
        e.outbox_due_ms = a->batch_ms > 0 ? a->batch_ms : 1;
        rc = put_outbox(a, t, key, e.outbox_due_ms, err);
    } else if (!a->reconciling) {
        rc = make_urgent(a, t, key, e.outbox_due_ms, err);
    }
    if (rc != SUP_OK)
        return rc;
    sup_buf_reset(&a->scratch);
    sup_ses_entry_encode(&e, &a->scratch);
    if (a->scratch.failed)
        return sup_err_set(err, a->scratch.failed, "SES entry is too large");
    sup_txn_put(t, SUP_CF_SES, key, sup_buf_slice(&a->scratch));
    return SUP_OK;
}

/* Takes the first expiry that is due out of the transaction. *key holds the address. */
static int take_expiry(struct sup_apply *a, struct sup_txn *t, struct sup_key *key, bool *due,
                       struct sup_err *err)
{
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_txn_iter(t, SUP_CF_EXPIRY, open, open);
    struct sup_key whole;
    int rc;

    *due = false;
    if (!it)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    rc = sup_iter_status(it, err);
    if (rc == SUP_OK && sup_iter_valid(it)) {
        struct sup_slice k = sup_iter_key(it);
        struct sup_slice address;
        int64_t ms = 0;
        if (!sup_key_timed_parse(k, &ms, &address) || k.n > sizeof(whole.b)) {
            rc = sup_err_set(err, SUP_ECORRUPT, "damaged key in expiry");
        } else if (ms <= a->batch_ms) {
            *due = true;
            memcpy(whole.b, k.p, k.n);
            whole.n = k.n;
            memcpy(key->b, address.p, address.n);
            key->n = address.n;
        }
    }
    sup_iter_free(it);
    if (rc == SUP_OK && *due)
        sup_txn_delete(t, SUP_CF_EXPIRY, sup_key_slice(&whole));
    return rc;
}

static int expire_one(struct sup_apply *a, struct sup_txn *t, struct sup_slice key,
                      struct sup_err *err)
{
    struct sup_record record;
    int rc;

    sup_mem_reset(a->mem);
    rc = sup_apply_record(a, t, key, a->mem, &record, err);
    if (rc != SUP_OK)
        return rc == SUP_ENOTFOUND ? SUP_OK : rc;
    return sup_apply_outbox(
        a, t, key, NULL,
        sup_registers_effective(&record.registers, a->batch_ms, NULL) == SUP_REASON_NONE, err);
}

int sup_apply_expire(struct sup_apply *a, struct sup_txn *t, size_t max, size_t *expired,
                     struct sup_err *err)
{
    struct sup_key key;
    bool due = true;
    int rc = SUP_OK;

    for (*expired = 0; *expired < max; (*expired)++) {
        rc = take_expiry(a, t, &key, &due, err);
        if (rc != SUP_OK || !due)
            break;
        rc = expire_one(a, t, sup_key_slice(&key), err);
        if (rc != SUP_OK)
            break;
    }
    return rc;
}
