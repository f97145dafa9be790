#include "store/rocks.h"

#include <stdlib.h>

struct rocks_iter {
    struct sup_iter base;
    rocksdb_iterator_t *it;
    rocksdb_readoptions_t *read; /* its upper bound points into base.bounds */
};

static const struct rocks_iter *rocks_iter_const(const struct sup_iter *it)
{
    return (const struct rocks_iter *)(const void *)it;
}

static struct rocks_iter *rocks_iter_of(struct sup_iter *it)
{
    return (struct rocks_iter *)(void *)it;
}

static bool iter_valid(const struct sup_iter *it)
{
    return rocksdb_iter_valid(rocks_iter_const(it)->it) != 0;
}

static struct sup_slice iter_key(const struct sup_iter *it)
{
    size_t n;
    const char *p = rocksdb_iter_key(rocks_iter_const(it)->it, &n);

    return sup_slice_of(p, n);
}

static struct sup_slice iter_value(const struct sup_iter *it)
{
    size_t n;
    const char *p = rocksdb_iter_value(rocks_iter_const(it)->it, &n);

    return sup_slice_of(p, n);
}

static void iter_next(struct sup_iter *it)
{
    rocksdb_iter_next(rocks_iter_of(it)->it);
}

static void iter_seek(struct sup_iter *it, struct sup_slice key)
{
    rocksdb_iter_seek(rocks_iter_of(it)->it, (const char *)key.p, key.n);
}

static int iter_status(const struct sup_iter *it, struct sup_err *err)
{
    char *text = NULL;

    rocksdb_iter_get_error(rocks_iter_const(it)->it, &text);
    return rocks_error(text, err, "reading the store");
}

static void iter_free(struct sup_iter *base)
{
    struct rocks_iter *it = rocks_iter_of(base);

    rocksdb_iter_destroy(it->it);
    rocksdb_readoptions_destroy(it->read);
    sup_iter_fini(&it->base);
    free(it);
}

static const struct sup_iter_ops iter_ops = {
    .valid = iter_valid,
    .key = iter_key,
    .value = iter_value,
    .next = iter_next,
    .seek = iter_seek,
    .status = iter_status,
    .free = iter_free,
};

struct sup_iter *rocks_iter_new(struct rocks *r, const struct sup_snapshot *snap,
                                rocksdb_writebatch_wi_t *batch, enum sup_cf cf,
                                struct sup_slice lower, struct sup_slice upper, bool cache)
{
    struct rocks_iter *it = calloc(1, sizeof(*it));

    if (it == NULL)
        return NULL;
    if (sup_iter_init(&it->base, &iter_ops, lower, upper) != SUP_OK) {
        free(it);
        return NULL;
    }
    it->read = rocksdb_readoptions_create();
    rocksdb_readoptions_set_fill_cache(it->read, cache);
    if (snap != NULL)
        rocksdb_readoptions_set_snapshot(it->read, rocks_snapshot_of(snap)->snapshot);
    /* Lets RocksDB stop at the bound instead of reading over the deleted keys behind it. */
    if (upper.n > 0)
        rocksdb_readoptions_set_iterate_upper_bound(it->read, (const char *)it->base.upper.p,
                                                    it->base.upper.n);
    it->it = rocksdb_create_iterator_cf(r->db, it->read, r->cfs[cf]);
    if (batch != NULL) /* takes the iterator over */
        it->it = rocksdb_writebatch_wi_create_iterator_with_base_cf(batch, it->it, r->cfs[cf]);
    return &it->base;
}
