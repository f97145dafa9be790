/* A transaction is an indexed write batch (WriteBatchWithIndex): reads look into the batch first.
 * RocksDB's own transaction classes would add locks and conflict checks that one writer never
 * needs. */
#include "store/rocks.h"

#include <stdlib.h>

struct rocks_txn {
    struct sup_txn base;
    struct rocks *r;
    rocksdb_writebatch_wi_t *batch;
    bool marked;
};

static struct rocks_txn *rocks_txn_of(struct sup_txn *t)
{
    return (struct rocks_txn *)(void *)t;
}

struct sup_txn *rocks_begin(struct sup_store *s)
{
    struct rocks_txn *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    t->r = rocks_of(s);
    /* Overwrite: the index keeps one entry a key, which iteration over the batch relies on. */
    t->batch = rocksdb_writebatch_wi_create(0, 1);
    return &t->base;
}

int rocks_txn_get(struct sup_txn *base, enum sup_cf cf, struct sup_slice key, struct sup_buf *out,
                  struct sup_err *err)
{
    struct rocks_txn *t = rocks_txn_of(base);
    char *text = NULL;
    size_t n = 0;
    char *value = rocksdb_writebatch_wi_get_from_batch_and_db_cf(
        t->batch, t->r->db, t->r->read, t->r->cfs[cf], (const char *)key.p, key.n, &n, &text);

    if (text != NULL)
        return rocks_error(text, err, "reading the store");
    if (value == NULL)
        return SUP_ENOTFOUND;
    int code = sup_store_give(out, value, n, err);
    rocksdb_free(value);
    return code;
}

int rocks_txn_put(struct sup_txn *base, enum sup_cf cf, struct sup_slice key,
                  struct sup_slice value, struct sup_err *err)
{
    struct rocks_txn *t = rocks_txn_of(base);

    (void)err;
    rocksdb_writebatch_wi_put_cf(t->batch, t->r->cfs[cf], (const char *)key.p, key.n,
                                 (const char *)value.p, value.n);
    return SUP_OK;
}

int rocks_txn_delete(struct sup_txn *base, enum sup_cf cf, struct sup_slice key,
                     struct sup_err *err)
{
    struct rocks_txn *t = rocks_txn_of(base);

    (void)err;
    rocksdb_writebatch_wi_delete_cf(t->batch, t->r->cfs[cf], (const char *)key.p, key.n);
    return SUP_OK;
}

struct sup_iter *rocks_txn_iter(struct sup_txn *base, enum sup_cf cf, struct sup_slice lower,
                                struct sup_slice upper)
{
    struct rocks_txn *t = rocks_txn_of(base);

    return rocks_iter_new(t->r, NULL, t->batch, cf, lower, upper, true);
}

/* The batch keeps a stack of save points; only its top is used. */
void rocks_txn_mark(struct sup_txn *base)
{
    struct rocks_txn *t = rocks_txn_of(base);

    rocksdb_writebatch_wi_set_save_point(t->batch);
    t->marked = true;
}

int rocks_txn_rollback(struct sup_txn *base, struct sup_err *err)
{
    struct rocks_txn *t = rocks_txn_of(base);
    char *text = NULL;

    if (!t->marked) {
        rocksdb_writebatch_wi_clear(t->batch);
        return SUP_OK;
    }
    rocksdb_writebatch_wi_rollback_to_save_point(t->batch, &text);
    rocksdb_writebatch_wi_set_save_point(t->batch); /* rolling back used it up */
    return rocks_error(text, err, "taking back writes");
}

/* What RocksDB 7.8 does when the write-ahead log or a flush finds the disk full: it refuses writes,
 * keeps answering reads, asks every five seconds how much is free, and then flushes its memtables,
 * starts a new log and goes on. Other errors leave it read-only for good. */
int rocks_txn_commit(struct sup_txn *base, bool sync, struct sup_err *err)
{
    struct rocks_txn *t = rocks_txn_of(base);
    struct rocks *r = t->r;
    char *text = NULL;
    int state = ROCKS_WELL;

    rocksdb_write_writebatch_wi(r->db, sync ? r->write_synced : r->write, t->batch, &text);
    if (text != NULL)
        state = rocks_error_is_no_space(text) ? ROCKS_FULL : ROCKS_BROKEN;
    r->unsynced = text == NULL && !sync;
    atomic_store(&r->state, state);
    return rocks_error(text, err, "writing the store");
}

void rocks_txn_free(struct sup_txn *base)
{
    struct rocks_txn *t = rocks_txn_of(base);

    rocksdb_writebatch_wi_destroy(t->batch);
    free(t);
}
