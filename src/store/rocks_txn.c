/* A transaction keeps its writes in an overlay of ours and makes a batch of them at commit.
 * RocksDB's own indexed batch (WriteBatchWithIndex) keeps all families in one skip list: for the
 * reads and writes of events, it cost more than the reads of the database behind it (measured
 * with 7.8). Its transaction classes would add locks and conflict checks that one writer never
 * needs. */
#include "store/rocks.h"

#include <stdlib.h>

struct rocks_txn {
    struct sup_txn base;
    struct rocks *r;
    struct sup_overlay *overlay;
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
    t->overlay = sup_overlay_new();
    if (t->overlay != NULL)
        return &t->base;
    free(t);
    return NULL;
}

int rocks_txn_get(struct sup_txn *base, enum sup_cf cf, struct sup_slice key, struct sup_buf *out,
                  struct sup_err *err)
{
    struct rocks_txn *t = rocks_txn_of(base);
    struct sup_slice value;

    switch (sup_overlay_get(t->overlay, cf, key, &value)) {
    case SUP_OVERLAY_VALUE:
        return sup_store_give(out, value.p, value.n, err);
    case SUP_OVERLAY_DELETED:
        return SUP_ENOTFOUND;
    case SUP_OVERLAY_NONE:
        break;
    }
    return rocks_get(&t->r->base, NULL, cf, key, out, err);
}

static int outcome(int rc, struct sup_err *err)
{
    return rc == SUP_OK ? rc : sup_err_set(err, rc, "no memory for what a transaction writes");
}

int rocks_txn_put(struct sup_txn *base, enum sup_cf cf, struct sup_slice key,
                  struct sup_slice value, struct sup_err *err)
{
    return outcome(sup_overlay_put(rocks_txn_of(base)->overlay, cf, key, value), err);
}

int rocks_txn_delete(struct sup_txn *base, enum sup_cf cf, struct sup_slice key,
                     struct sup_err *err)
{
    return outcome(sup_overlay_delete(rocks_txn_of(base)->overlay, cf, key), err);
}

struct sup_iter *rocks_txn_iter(struct sup_txn *base, enum sup_cf cf, struct sup_slice lower,
                                struct sup_slice upper)
{
    struct rocks_txn *t = rocks_txn_of(base);

    return rocks_iter_new(t->r, NULL, t->overlay, cf, lower, upper, true);
}

void rocks_txn_mark(struct sup_txn *base)
{
    sup_overlay_mark(rocks_txn_of(base)->overlay);
}

int rocks_txn_rollback(struct sup_txn *base, struct sup_err *err)
{
    (void)err;
    sup_overlay_rollback(rocks_txn_of(base)->overlay);
    return SUP_OK;
}

static rocksdb_writebatch_t *batch_of(const struct rocks_txn *t)
{
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    struct sup_overlay_entry e;

    for (size_t i = 0; sup_overlay_nth(t->overlay, i, &e); i++) {
        rocksdb_column_family_handle_t *cf = t->r->cfs[e.cf];
        if (e.deleted)
            rocksdb_writebatch_delete_cf(batch, cf, (const char *)e.key.p, e.key.n);
        else
            rocksdb_writebatch_put_cf(batch, cf, (const char *)e.key.p, e.key.n,
                                      (const char *)e.value.p, e.value.n);
    }
    return batch;
}

/* What RocksDB 7.8 does when the write-ahead log or a flush finds the disk full: it refuses writes,
 * keeps answering reads, asks every five seconds how much is free, and then flushes its memtables,
 * starts a new log and goes on. Other errors leave it read-only for good. */
int rocks_txn_commit(struct sup_txn *base, bool sync, struct sup_err *err)
{
    struct rocks_txn *t = rocks_txn_of(base);
    struct rocks *r = t->r;
    rocksdb_writebatch_t *batch = batch_of(t);
    char *text = NULL;
    int state = ROCKS_WELL;

    rocksdb_write(r->db, sync ? r->write_synced : r->write, batch, &text);
    rocksdb_writebatch_destroy(batch);
    if (text != NULL)
        state = rocks_error_is_no_space(text) ? ROCKS_FULL : ROCKS_BROKEN;
    r->unsynced = text == NULL && !sync;
    atomic_store(&r->state, state);
    return rocks_error(text, err, "writing the store");
}

void rocks_txn_free(struct sup_txn *base)
{
    struct rocks_txn *t = rocks_txn_of(base);

    sup_overlay_free(t->overlay);
    free(t);
}
