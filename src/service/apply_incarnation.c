/* The log, and under which incarnation this node writes it. */
#include "base/clock.h"
#include "base/log.h"
#include "codec/keys.h"
#include "service/apply_internal.h"
#include "store/meta.h"

/* How often peers' claims make this node leave an incarnation that it is certain of. Such a claim
 * is false: a peer lies, or believed one that did. To leave the incarnation heals the second; to do
 * so at each claim would let a liar fill version vectors with this node's incarnations. */
#define DOUBT_EVERY_MS (24 * 3600 * INT64_C(1000))

void sup_apply_settle(struct sup_apply *a, uint64_t incarnation)
{
    a->settled = incarnation;
}

bool sup_apply_settled(struct sup_apply *a)
{
    return a->settled == sup_apply_incarnation(a);
}

void sup_apply_revoke(struct sup_apply *a, uint64_t incarnation)
{
    a->revoked = incarnation;
}

bool sup_apply_is_certain(const struct sup_apply *a)
{
    return a->now.fresh || a->settled == a->now.incarnation;
}

bool sup_apply_certain(struct sup_apply *a)
{
    bool certain;

    pthread_mutex_lock(&a->mutex);
    certain = a->published_fresh || a->settled == a->published_incarnation;
    pthread_mutex_unlock(&a->mutex);
    return certain;
}

static bool may_continue(struct sup_apply *a)
{
    if (!sup_apply_is_certain(a))
        return false;
    return a->revoked != a->now.incarnation ||
           (a->doubted_ms != INT64_MIN && a->opts.mono_ms() - a->doubted_ms < DOUBT_EVERY_MS);
}

/* When the version vector has no room the old one is continued: a node that cannot decide would be
 * worse than one that a repair may have to mend. */
static void renew(struct sup_apply *a, struct sup_txn *t)
{
    uint64_t old = a->now.incarnation;

    if (a->now.vv.n == SUP_VV_MAX && sup_vv_get(&a->now.vv, old) > 0) {
        sup_log_error("apply", "too many incarnations are known: the present one is continued",
                      SUP_U("incarnation", old));
        a->now.fresh = true;
        return;
    }
    if (sup_apply_is_certain(a))
        a->doubted_ms = a->opts.mono_ms();
    a->now.incarnation = a->opts.random_id();
    a->now.fresh = true;
    sup_meta_put_u64(t, SUP_META_INCARNATION, a->now.incarnation);
    sup_log_info("apply", "takes a new incarnation", SUP_U("old", old),
                 SUP_U("last", sup_vv_get(&a->now.vv, old)), SUP_U("new", a->now.incarnation));
}

int sup_apply_log(struct sup_apply *a, struct sup_txn *t, uint64_t incarnation, uint64_t seq,
                  const struct sup_log_entry *e, struct sup_err *err)
{
    struct sup_key k;

    if (sup_vv_raise(&a->now.vv, incarnation, seq) != SUP_OK)
        return sup_err_set(err, SUP_ELIMIT, "more than %d incarnations are known", SUP_VV_MAX);
    sup_key_log(&k, incarnation, seq);
    sup_buf_reset(&a->scratch);
    sup_log_entry_encode(e, &a->scratch);
    if (a->scratch.failed)
        return sup_err_set(err, a->scratch.failed, "log entry is too large");
    sup_txn_put(t, SUP_CF_LOG, sup_key_slice(&k), sup_buf_slice(&a->scratch));
    a->now.log_bytes += sup_key_slice(&k).n + a->scratch.n;
    return SUP_OK;
}

int sup_apply_log_own(struct sup_apply *a, struct sup_txn *t, struct sup_slice key,
                      enum sup_class cls, struct sup_slice encoded, struct sup_err *err)
{
    struct sup_log_entry e = {.key = key, .cls = cls, .encoded = encoded};

    if (!may_continue(a))
        renew(a, t);
    return sup_apply_log(a, t, a->now.incarnation, sup_vv_get(&a->now.vv, a->now.incarnation) + 1,
                         &e, err);
}

int sup_apply_adopt_vv(struct sup_apply *a, struct sup_txn *t, const struct sup_vv *vv,
                       struct sup_err *err)
{
    (void)t; /* the end of the batch writes the counters */
    for (size_t i = 0; i < vv->n; i++) {
        uint64_t incarnation = vv->e[i].incarnation;
        uint64_t seq = sup_apply_believed(a, incarnation, vv->e[i].seq);
        if (seq <= sup_vv_get(&a->now.vv, incarnation))
            continue;
        /* The donor has more of ours than we have: this store is an old copy. */
        if (incarnation == a->now.incarnation)
            a->revoked = incarnation;
        if (!sup_apply_admit(a, incarnation))
            continue;
        if (sup_vv_raise(&a->now.vv, incarnation, seq) != SUP_OK ||
            sup_vv_raise(&a->now.floor, incarnation, seq) != SUP_OK)
            return sup_err_set(err, SUP_ELIMIT, "more than %d incarnations are known", SUP_VV_MAX);
    }
    return SUP_OK;
}

/* Deletes while iterating: the keys are collected first, for an iterator of a transaction must not
 * outlive the next write. */
static int delete_some(struct sup_apply *a, struct sup_txn *t, struct sup_apply_trim *trim,
                       size_t max, struct sup_err *err)
{
    struct sup_key lower;
    struct sup_key upper;
    struct sup_iter *it;
    uint64_t last = trim->from;
    size_t n = 0;
    int rc;

    sup_key_log(&lower, trim->incarnation, trim->from);
    sup_key_log(&upper, trim->incarnation, trim->upto + 1);
    it =
        sup_iter_new(a->opts.store, NULL, SUP_CF_LOG, sup_key_slice(&lower), sup_key_slice(&upper));
    if (!it)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    for (; n < max && sup_iter_valid(it); sup_iter_next(it), n++) {
        uint64_t incarnation = 0;
        uint64_t bytes = sup_iter_key(it).n + sup_iter_value(it).n;
        sup_txn_delete(t, SUP_CF_LOG, sup_iter_key(it));
        a->now.log_bytes -= bytes < a->now.log_bytes ? bytes : a->now.log_bytes;
        (void)sup_key_log_parse(sup_iter_key(it), &incarnation, &last);
    }
    trim->more = sup_iter_valid(it);
    rc = sup_iter_status(it, err);
    sup_iter_free(it);
    if (n > 0)
        trim->from = last + 1;
    return rc;
}

int sup_apply_trim(struct sup_apply *a, struct sup_txn *t, struct sup_apply_trim *trim, size_t max,
                   struct sup_err *err)
{
    uint64_t have = sup_vv_get(&a->written, trim->incarnation);

    /* Only what was committed: entries of this very batch are not to be seen below. */
    if (trim->upto > have)
        trim->upto = have;
    trim->more = false;
    if (trim->upto == 0)
        return SUP_OK;
    if (sup_vv_raise(&a->now.floor, trim->incarnation, trim->upto) != SUP_OK)
        return sup_err_set(err, SUP_ELIMIT, "more than %d incarnations are known", SUP_VV_MAX);
    return delete_some(a, t, trim, max, err);
}
