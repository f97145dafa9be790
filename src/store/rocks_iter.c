#include "store/rocks.h"

#include <stdlib.h>

/* Merges two ordered sequences: the store's, and what a transaction wrote over it. */
struct rocks_iter {
    struct sup_iter base;
    rocksdb_iterator_t *it;
    rocksdb_readoptions_t *read; /* its upper bound points into base.bounds */
    struct sup_overlay *overlay; /* NULL: the store alone */
    enum sup_cf cf;
    size_t place; /* in the overlay */
    bool over;    /* what the iterator stands at is the overlay's */
    struct sup_overlay_entry entry;
};

static const struct rocks_iter *rocks_iter_const(const struct sup_iter *it)
{
    return (const struct rocks_iter *)(const void *)it;
}

static struct rocks_iter *rocks_iter_of(struct sup_iter *it)
{
    return (struct rocks_iter *)(void *)it;
}

static struct sup_slice store_key(const struct rocks_iter *it)
{
    size_t n;
    const char *p = rocksdb_iter_key(it->it, &n);

    return sup_slice_of(p, n);
}

static bool store_valid(const struct rocks_iter *it)
{
    return rocksdb_iter_valid(it->it) != 0;
}

/* Finds what comes first, the overlay's if both have the key, and passes over what was deleted. */
static void settle(struct rocks_iter *it)
{
    it->over = false;
    while (it->overlay != NULL && sup_overlay_at(it->overlay, it->cf, it->place, &it->entry)) {
        int order = store_valid(it) ? sup_slice_cmp(it->entry.key, store_key(it)) : -1;
        if (order > 0)
            return;
        it->over = !it->entry.deleted;
        if (it->over)
            return;
        it->place++;
        if (order == 0)
            rocksdb_iter_next(it->it);
    }
}

static bool iter_valid(const struct sup_iter *base)
{
    const struct rocks_iter *it = rocks_iter_const(base);

    return it->over || store_valid(it);
}

static struct sup_slice iter_key(const struct sup_iter *base)
{
    const struct rocks_iter *it = rocks_iter_const(base);

    return it->over ? it->entry.key : store_key(it);
}

static struct sup_slice iter_value(const struct sup_iter *base)
{
    const struct rocks_iter *it = rocks_iter_const(base);
    size_t n;

    if (it->over)
        return it->entry.value;
    const char *p = rocksdb_iter_value(it->it, &n);
    return sup_slice_of(p, n);
}

static void iter_next(struct sup_iter *base)
{
    struct rocks_iter *it = rocks_iter_of(base);

    if (!it->over || (store_valid(it) && sup_slice_eq(it->entry.key, store_key(it))))
        rocksdb_iter_next(it->it);
    it->place += it->over ? 1 : 0;
    settle(it);
}

static void iter_seek(struct sup_iter *base, struct sup_slice key)
{
    struct rocks_iter *it = rocks_iter_of(base);

    rocksdb_iter_seek(it->it, (const char *)key.p, key.n);
    if (it->overlay != NULL)
        it->place = sup_overlay_seek(it->overlay, it->cf, key);
    settle(it);
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
                                struct sup_overlay *overlay, enum sup_cf cf, struct sup_slice lower,
                                struct sup_slice upper, bool cache)
{
    struct rocks_iter *it = calloc(1, sizeof(*it));

    if (it == NULL)
        return NULL;
    if ((overlay != NULL && sup_overlay_sort(overlay, cf) != SUP_OK) ||
        sup_iter_init(&it->base, &iter_ops, lower, upper) != SUP_OK) {
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
    it->overlay = overlay;
    it->cf = cf;
    return &it->base;
}
