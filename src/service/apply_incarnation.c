/* Incarnations: what happens when a store turns out to be older than its peers remember it. */
#include "base/log.h"
#include "base/random.h"
#include "codec/keys.h"
#include "service/apply_internal.h"
#include "store/meta.h"

#include <string.h>

/* Reads one log entry into value. */
static int read_log(struct sup_apply *a, struct sup_txn *t, const struct sup_key *k,
                    struct sup_buf *value, struct sup_err *err)
{
    int rc = sup_txn_get(t, SUP_CF_LOG, sup_key_slice(k), value);

    (void)a;
    if (rc != SUP_OK)
        return sup_err_set(err, rc, "cannot read the log: %s", sup_code_name(rc));
    return SUP_OK;
}

static int move_entry(struct sup_apply *a, struct sup_txn *t, uint64_t old, uint64_t seq,
                      struct sup_buf *value, struct sup_mem *m, struct sup_err *err)
{
    struct sup_log_entry e;
    struct sup_key k;
    int rc;

    sup_key_log(&k, old, seq);
    rc = read_log(a, t, &k, value, err);
    if (rc == SUP_OK)
        rc = sup_log_entry_decode(sup_buf_slice(value), m, &e, err);
    if (rc == SUP_OK)
        rc = sup_apply_log_own(a, t, e.key, e.cls, e.encoded, err);
    if (rc == SUP_OK)
        sup_txn_delete(t, SUP_CF_LOG, sup_key_slice(&k));
    return rc;
}

/* The version vector never goes down elsewhere; here the old incarnation's entry does, to what is
 * agreed. */
static void lower(struct sup_vv *v, uint64_t incarnation, uint64_t seq)
{
    for (size_t i = 0; i < v->n; i++) {
        if (v->e[i].incarnation == incarnation)
            v->e[i].seq = seq;
    }
}

int sup_apply_renew_incarnation(struct sup_apply *a, struct sup_txn *t, uint64_t old,
                                uint64_t agreed_seq, struct sup_err *err)
{
    uint64_t last = sup_vv_get(&a->now.vv, old);
    uint64_t fresh = sup_random_id();
    struct sup_mem *m;
    struct sup_buf value;
    int rc = SUP_OK;

    if (a->now.incarnation != old)
        return SUP_OK;
    if (agreed_seq > last)
        agreed_seq = last;
    m = sup_mem_new();
    if (!m)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    sup_buf_init(&value, SUP_DECISION_MAX + SUP_KEY_MAX + 64);
    a->now.incarnation = fresh;
    lower(&a->now.vv, old, agreed_seq);
    sup_meta_put_u64(t, SUP_META_INCARNATION, fresh);
    for (uint64_t seq = agreed_seq + 1; rc == SUP_OK && seq <= last; seq++) {
        sup_mem_reset(m);
        rc = move_entry(a, t, old, seq, &value, m, err);
    }
    sup_buf_fini(&value);
    sup_mem_free(m);
    if (rc == SUP_OK)
        sup_log_warn("apply", "this store was rolled back: taking a new incarnation",
                     SUP_U("old", old), SUP_U("agreed", agreed_seq), SUP_U("last", last),
                     SUP_U("new", fresh));
    return rc;
}
