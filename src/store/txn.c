#include "store/ops.h"

struct sup_txn *sup_txn_begin(struct sup_store *s)
{
    struct sup_txn *t = s->ops->begin(s);

    if (t == NULL)
        return NULL;
    t->store = s;
    if (atomic_exchange(&s->txn_open, true)) {
        t->intruder = true;
        t->mark_failed = true;
        sup_err_set(&t->err, SUP_EBUG, "a second transaction was begun while one is open");
    }
    return t;
}

static void txn_free(struct sup_txn *t)
{
    struct sup_store *s = t->store;
    bool intruder = t->intruder;

    s->ops->txn_free(t);
    if (!intruder)
        atomic_store(&s->txn_open, false);
}

int sup_txn_get(struct sup_txn *t, enum sup_cf cf, struct sup_slice key, struct sup_buf *out)
{
    sup_buf_reset(out);
    if (t->err.code != SUP_OK)
        return t->err.code;

    struct sup_err err = {0};
    int code = t->store->ops->txn_get(t, cf, key, out, &err);
    if (code != SUP_OK && code != SUP_ENOTFOUND)
        t->err = err;
    return code;
}

/* Counts a write of n bytes; false if the transaction has failed or is full. */
static bool account(struct sup_txn *t, size_t n)
{
    if (t->err.code != SUP_OK)
        return false;
    if (n > SUP_TXN_MAX_BYTES - t->size.bytes) {
        sup_err_set(&t->err, SUP_ELIMIT, "transaction larger than %u bytes", SUP_TXN_MAX_BYTES);
        return false;
    }
    t->size.bytes += n;
    t->size.writes++;
    return true;
}

void sup_txn_put(struct sup_txn *t, enum sup_cf cf, struct sup_slice key, struct sup_slice value)
{
    if (key.n <= SUP_TXN_MAX_BYTES && value.n <= SUP_TXN_MAX_BYTES - key.n) {
        if (account(t, key.n + value.n))
            (void)t->store->ops->txn_put(t, cf, key, value, &t->err);
    } else {
        (void)account(t, SUP_TXN_MAX_BYTES + (size_t)1);
    }
}

void sup_txn_delete(struct sup_txn *t, enum sup_cf cf, struct sup_slice key)
{
    if (account(t, key.n))
        (void)t->store->ops->txn_delete(t, cf, key, &t->err);
}

struct sup_iter *sup_txn_iter(struct sup_txn *t, enum sup_cf cf, struct sup_slice lower,
                              struct sup_slice upper)
{
    struct sup_iter *it = t->store->ops->txn_iter(t, cf, lower, upper);

    if (it != NULL) {
        it->txn = t;
        it->ops->seek(it, it->lower);
    }
    return it;
}

int sup_txn_status(const struct sup_txn *t, struct sup_err *err)
{
    if (t->err.code != SUP_OK && err != NULL)
        *err = t->err;
    return t->err.code;
}

void sup_txn_mark(struct sup_txn *t)
{
    t->mark_failed = t->err.code != SUP_OK;
    t->mark_size = t->size;
    t->store->ops->txn_mark(t);
}

void sup_txn_rollback_to_mark(struct sup_txn *t)
{
    if (!t->mark_failed)
        t->err.code = SUP_OK;
    if (t->size.writes == t->mark_size.writes)
        return;
    t->size = t->mark_size;
    (void)t->store->ops->txn_rollback(t, &t->err);
}

int sup_txn_commit(struct sup_txn *t, bool sync, struct sup_err *err)
{
    int code = sup_txn_status(t, err);

    if (code == SUP_OK && t->size.writes > 0)
        code = t->store->ops->txn_commit(t, sync, err);
    txn_free(t);
    return code;
}

void sup_txn_abort(struct sup_txn *t)
{
    if (t != NULL)
        txn_free(t);
}
