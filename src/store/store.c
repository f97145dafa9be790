#include "store/ops.h"

#include <stdlib.h>
#include <string.h>

const char *sup_cf_name(enum sup_cf cf)
{
    static const char *const names[SUP_N_CFS] = {
        [SUP_CF_META] = "meta",         [SUP_CF_RECORDS] = "records",
        [SUP_CF_LOG] = "log",           [SUP_CF_QUARANTINE] = "quarantine",
        [SUP_CF_PEERS] = "peers",       [SUP_CF_SES] = "ses",
        [SUP_CF_OUTBOX] = "outbox",     [SUP_CF_DEDUP] = "dedup",
        [SUP_CF_AUDIT] = "audit",       [SUP_CF_EXPIRY] = "expiry",
        [SUP_CF_SCAN] = "scan",         [SUP_CF_REPORTS] = "reports",
        [SUP_CF_SOFT] = "soft",         [SUP_CF_EVENTS] = "events",
        [SUP_CF_RATES] = "rates",       [SUP_CF_IMPORT] = "import",
        [SUP_CF_SEEN] = "seen",         [SUP_CF_ARCHIVES] = "archives",
        [SUP_CF_EVIDENCE] = "evidence",
    };

    return (unsigned)cf < SUP_N_CFS ? names[cf] : "unknown";
}

void sup_store_close(struct sup_store *s)
{
    if (s != NULL)
        s->ops->close(s);
}

uint64_t sup_store_node_id(const struct sup_store *s)
{
    return s->node_id;
}

struct sup_snapshot *sup_store_snapshot(struct sup_store *s)
{
    return s->ops->snapshot(s);
}

void sup_snapshot_free(struct sup_store *s, struct sup_snapshot *snap)
{
    if (snap != NULL)
        s->ops->snapshot_free(s, snap);
}

int sup_store_give(struct sup_buf *out, const void *p, size_t n, struct sup_err *err)
{
    sup_buf_reset(out);
    sup_buf_add(out, p, n);
    if (out->failed)
        return sup_err_set(err, out->failed, "value of %zu bytes does not fit", n);
    return SUP_OK;
}

int sup_store_get(struct sup_store *s, const struct sup_snapshot *snap, enum sup_cf cf,
                  struct sup_slice key, struct sup_buf *out, struct sup_err *err)
{
    sup_buf_reset(out);
    return s->ops->get(s, snap, cf, key, out, err);
}

uint64_t sup_store_estimate_keys(struct sup_store *s, enum sup_cf cf)
{
    return s->ops->estimate_keys(s, cf);
}

uint64_t sup_store_disk_bytes(struct sup_store *s)
{
    return s->ops->disk_bytes(s);
}

void sup_store_memory(struct sup_store *s, struct sup_store_memory *out)
{
    *out = (struct sup_store_memory){0};
    s->ops->memory(s, out);
}

int sup_store_checkpoint(struct sup_store *s, const char *dir, struct sup_err *err)
{
    return s->ops->checkpoint(s, dir, err);
}

int sup_store_health(struct sup_store *s, struct sup_err *err)
{
    return s->ops->health(s, err);
}

/* --- iterators --- */

int sup_iter_init(struct sup_iter *it, const struct sup_iter_ops *ops, struct sup_slice lower,
                  struct sup_slice upper)
{
    uint8_t *bounds = malloc(lower.n + upper.n + 1);

    if (bounds == NULL)
        return SUP_ENOMEM;
    if (lower.n > 0)
        memcpy(bounds, lower.p, lower.n);
    if (upper.n > 0)
        memcpy(bounds + lower.n, upper.p, upper.n);
    *it = (struct sup_iter){
        .ops = ops,
        .bounds = bounds,
        .lower = {bounds, lower.n},
        .upper = {bounds + lower.n, upper.n},
    };
    return SUP_OK;
}

void sup_iter_fini(struct sup_iter *it)
{
    free(it->bounds);
    it->bounds = NULL;
}

struct sup_iter *sup_iter_new(struct sup_store *s, const struct sup_snapshot *snap, enum sup_cf cf,
                              struct sup_slice lower, struct sup_slice upper)
{
    struct sup_iter *it = s->ops->iter(s, snap, cf, lower, upper);

    if (it != NULL)
        it->ops->seek(it, it->lower);
    return it;
}

struct sup_iter *sup_iter_scan(struct sup_store *s, const struct sup_snapshot *snap, enum sup_cf cf,
                               struct sup_slice lower, struct sup_slice upper)
{
    struct sup_iter *it = s->ops->scan(s, snap, cf, lower, upper);

    if (it != NULL)
        it->ops->seek(it, it->lower);
    return it;
}

/* The back end may know the upper bound too and stop there; it is checked here for all of them: to
 * RocksDB it is told, but not to what a transaction lays over it. */
bool sup_iter_valid(const struct sup_iter *it)
{
    if (it->txn != NULL && it->txn->err.code != SUP_OK)
        return false;
    if (!it->ops->valid(it))
        return false;
    return it->upper.n == 0 || sup_slice_cmp(it->ops->key(it), it->upper) < 0;
}

struct sup_slice sup_iter_key(const struct sup_iter *it)
{
    return it->ops->key(it);
}

struct sup_slice sup_iter_value(const struct sup_iter *it)
{
    return it->ops->value(it);
}

void sup_iter_next(struct sup_iter *it)
{
    if (sup_iter_valid(it))
        it->ops->next(it);
}

void sup_iter_seek(struct sup_iter *it, struct sup_slice key)
{
    it->ops->seek(it, sup_slice_cmp(key, it->lower) < 0 ? it->lower : key);
}

int sup_iter_status(const struct sup_iter *it, struct sup_err *err)
{
    if (it->txn != NULL && it->txn->err.code != SUP_OK)
        return sup_txn_status(it->txn, err);
    return it->ops->status(it, err);
}

void sup_iter_free(struct sup_iter *it)
{
    if (it == NULL)
        return;
    /* A transaction that read only a part of what it meant to read must not commit. */
    if (it->txn != NULL && it->txn->err.code == SUP_OK)
        (void)it->ops->status(it, &it->txn->err);
    it->ops->free(it);
}
