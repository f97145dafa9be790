/* The store in memory: one tree a column family, and every version of the store is a set of trees.
 */
#include "store/memory.h"

#include "store/meta.h"
#include "store/ops.h"
#include "store/tree.h"

#include <pthread.h>
#include <stdlib.h>

struct version {
    struct sup_tree cf[SUP_N_CFS];
};

struct memory {
    struct sup_store base;
    pthread_mutex_t mutex; /* guards what follows */
    struct version now;
    struct version synced; /* what a power cut leaves */
    int fail_commits;
};

struct memory_snapshot {
    struct sup_snapshot base;
    struct version version;
};

struct memory_txn {
    struct sup_txn base;
    struct version version;
    struct version mark; /* at first: the state when the transaction began */
};

struct memory_iter {
    struct sup_iter base;
    struct sup_tree tree;
    struct sup_tree_entry entry;
    bool valid;
};

static struct memory *memory_of(struct sup_store *s)
{
    return (struct memory *)(void *)s;
}

static struct memory_txn *memory_txn_of(struct sup_txn *t)
{
    return (struct memory_txn *)(void *)t;
}

static void version_fini(struct version *v)
{
    for (size_t i = 0; i < SUP_N_CFS; i++)
        sup_tree_fini(&v->cf[i]);
}

static void version_copy(struct version *to, const struct version *from)
{
    for (size_t i = 0; i < SUP_N_CFS; i++)
        to->cf[i] = sup_tree_copy(&from->cf[i]);
}

static void version_set(struct version *to, const struct version *from)
{
    struct version old = *to;

    version_copy(to, from);
    version_fini(&old);
}

/* The trees to read: the snapshot's, or a copy of the newest. The caller finishes the copy. */
static struct sup_tree tree_of(struct memory *m, const struct sup_snapshot *snap, enum sup_cf cf)
{
    if (snap != NULL)
        return sup_tree_copy(&((const struct memory_snapshot *)(const void *)snap)->version.cf[cf]);
    pthread_mutex_lock(&m->mutex);
    struct sup_tree t = sup_tree_copy(&m->now.cf[cf]);
    pthread_mutex_unlock(&m->mutex);
    return t;
}

/* --- reading --- */

static int tree_give(const struct sup_tree *t, struct sup_slice key, struct sup_buf *out,
                     struct sup_err *err)
{
    struct sup_slice value;

    if (!sup_tree_get(t, key, &value))
        return SUP_ENOTFOUND;
    return sup_store_give(out, value.p, value.n, err);
}

static int memory_get(struct sup_store *s, const struct sup_snapshot *snap, enum sup_cf cf,
                      struct sup_slice key, struct sup_buf *out, struct sup_err *err)
{
    struct sup_tree t = tree_of(memory_of(s), snap, cf);
    int code = tree_give(&t, key, out, err);

    sup_tree_fini(&t);
    return code;
}

static struct sup_snapshot *memory_snapshot(struct sup_store *s)
{
    struct memory *m = memory_of(s);
    struct memory_snapshot *snap = calloc(1, sizeof(*snap));

    if (snap == NULL)
        return NULL;
    snap->base.store = s;
    pthread_mutex_lock(&m->mutex);
    version_copy(&snap->version, &m->now);
    pthread_mutex_unlock(&m->mutex);
    return &snap->base;
}

static void memory_snapshot_free(struct sup_store *s, struct sup_snapshot *base)
{
    struct memory_snapshot *snap = (struct memory_snapshot *)(void *)base;

    (void)s;
    version_fini(&snap->version);
    free(snap);
}

static uint64_t memory_estimate_keys(struct sup_store *s, enum sup_cf cf)
{
    struct sup_tree t = tree_of(memory_of(s), NULL, cf);
    uint64_t n = sup_tree_count(&t);

    sup_tree_fini(&t);
    return n;
}

static uint64_t memory_disk_bytes(struct sup_store *s)
{
    uint64_t n = 0;

    for (int cf = 0; cf < SUP_N_CFS; cf++) {
        struct sup_tree t = tree_of(memory_of(s), NULL, (enum sup_cf)cf);
        n += sup_tree_bytes(&t);
        sup_tree_fini(&t);
    }
    return n;
}

/* All of it is what RocksDB would have in memtables. */
static void memory_memory(struct sup_store *s, struct sup_store_memory *out)
{
    out->memtables = memory_disk_bytes(s);
}

static int memory_checkpoint(struct sup_store *s, const char *dir, struct sup_err *err)
{
    (void)s;
    return sup_err_set(err, SUP_EINPUT, "a store in memory cannot be copied to %s", dir);
}

static int memory_health(struct sup_store *s, struct sup_err *err)
{
    struct memory *m = memory_of(s);

    pthread_mutex_lock(&m->mutex);
    int code = m->fail_commits;
    pthread_mutex_unlock(&m->mutex);
    if (code != SUP_OK)
        return sup_err_set(err, SUP_EAGAIN, "commits were told to fail");
    return SUP_OK;
}

/* --- iterators: each holds its own version of the tree --- */

static struct memory_iter *memory_iter_of(struct sup_iter *it)
{
    return (struct memory_iter *)(void *)it;
}

static const struct memory_iter *memory_iter_const(const struct sup_iter *it)
{
    return (const struct memory_iter *)(const void *)it;
}

static bool iter_valid(const struct sup_iter *it)
{
    return memory_iter_const(it)->valid;
}

static struct sup_slice iter_key(const struct sup_iter *it)
{
    return memory_iter_const(it)->entry.key;
}

static struct sup_slice iter_value(const struct sup_iter *it)
{
    return memory_iter_const(it)->entry.value;
}

static void iter_next(struct sup_iter *base)
{
    struct memory_iter *it = memory_iter_of(base);

    it->valid = sup_tree_seek(&it->tree, it->entry.key, true, &it->entry);
}

static void iter_seek(struct sup_iter *base, struct sup_slice key)
{
    struct memory_iter *it = memory_iter_of(base);

    it->valid = sup_tree_seek(&it->tree, key, false, &it->entry);
}

static int iter_status(const struct sup_iter *it, struct sup_err *err)
{
    (void)it;
    (void)err;
    return SUP_OK;
}

static void iter_free(struct sup_iter *base)
{
    struct memory_iter *it = memory_iter_of(base);

    sup_tree_fini(&it->tree);
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

/* Consumes the tree. */
static struct sup_iter *iter_over(struct sup_tree tree, struct sup_slice lower,
                                  struct sup_slice upper)
{
    struct memory_iter *it = calloc(1, sizeof(*it));

    if (it == NULL || sup_iter_init(&it->base, &iter_ops, lower, upper) != SUP_OK) {
        sup_tree_fini(&tree);
        free(it);
        return NULL;
    }
    it->tree = tree;
    return &it->base;
}

static struct sup_iter *memory_iter(struct sup_store *s, const struct sup_snapshot *snap,
                                    enum sup_cf cf, struct sup_slice lower, struct sup_slice upper)
{
    return iter_over(tree_of(memory_of(s), snap, cf), lower, upper);
}

/* --- transactions --- */

static struct sup_txn *memory_begin(struct sup_store *s)
{
    struct memory *m = memory_of(s);
    struct memory_txn *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    pthread_mutex_lock(&m->mutex);
    version_copy(&t->version, &m->now);
    version_copy(&t->mark, &m->now);
    pthread_mutex_unlock(&m->mutex);
    return &t->base;
}

static int memory_txn_get(struct sup_txn *t, enum sup_cf cf, struct sup_slice key,
                          struct sup_buf *out, struct sup_err *err)
{
    return tree_give(&memory_txn_of(t)->version.cf[cf], key, out, err);
}

static int memory_txn_put(struct sup_txn *t, enum sup_cf cf, struct sup_slice key,
                          struct sup_slice value, struct sup_err *err)
{
    if (sup_tree_put(&memory_txn_of(t)->version.cf[cf], key, value) != SUP_OK)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    return SUP_OK;
}

static int memory_txn_delete(struct sup_txn *t, enum sup_cf cf, struct sup_slice key,
                             struct sup_err *err)
{
    if (sup_tree_delete(&memory_txn_of(t)->version.cf[cf], key) != SUP_OK)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    return SUP_OK;
}

static struct sup_iter *memory_txn_iter(struct sup_txn *t, enum sup_cf cf, struct sup_slice lower,
                                        struct sup_slice upper)
{
    return iter_over(sup_tree_copy(&memory_txn_of(t)->version.cf[cf]), lower, upper);
}

static void memory_txn_mark(struct sup_txn *base)
{
    struct memory_txn *t = memory_txn_of(base);

    version_set(&t->mark, &t->version);
}

static int memory_txn_rollback(struct sup_txn *base, struct sup_err *err)
{
    struct memory_txn *t = memory_txn_of(base);

    (void)err;
    version_set(&t->version, &t->mark);
    return SUP_OK;
}

static int memory_txn_commit(struct sup_txn *base, bool sync, struct sup_err *err)
{
    struct memory *m = memory_of(base->store);
    struct memory_txn *t = memory_txn_of(base);

    pthread_mutex_lock(&m->mutex);
    int code = m->fail_commits;
    if (code == SUP_OK) {
        version_set(&m->now, &t->version);
        if (sync) /* the log is sequential: what came before is safe now as well */
            version_set(&m->synced, &m->now);
    }
    pthread_mutex_unlock(&m->mutex);
    if (code != SUP_OK)
        return sup_err_set(err, code, "writing the store: told to fail");
    return SUP_OK;
}

static void memory_txn_free(struct sup_txn *base)
{
    struct memory_txn *t = memory_txn_of(base);

    version_fini(&t->version);
    version_fini(&t->mark);
    free(t);
}

/* --- opening and closing --- */

static void memory_close(struct sup_store *s)
{
    struct memory *m = memory_of(s);

    version_fini(&m->now);
    version_fini(&m->synced);
    pthread_mutex_destroy(&m->mutex);
    free(m);
}

static const struct sup_store_ops memory_ops = {
    .close = memory_close,
    .snapshot = memory_snapshot,
    .snapshot_free = memory_snapshot_free,
    .get = memory_get,
    .iter = memory_iter,
    .scan = memory_iter,
    .estimate_keys = memory_estimate_keys,
    .disk_bytes = memory_disk_bytes,
    .memory = memory_memory,
    .checkpoint = memory_checkpoint,
    .health = memory_health,
    .begin = memory_begin,
    .txn_get = memory_txn_get,
    .txn_put = memory_txn_put,
    .txn_delete = memory_txn_delete,
    .txn_iter = memory_txn_iter,
    .txn_mark = memory_txn_mark,
    .txn_rollback = memory_txn_rollback,
    .txn_commit = memory_txn_commit,
    .txn_free = memory_txn_free,
};

static struct memory *memory_new(void)
{
    struct memory *m = calloc(1, sizeof(*m));

    if (m == NULL)
        return NULL;
    m->base.ops = &memory_ops;
    pthread_mutex_init(&m->mutex, NULL);
    return m;
}

int sup_store_open_memory(const struct sup_store_identity *identity, struct sup_store **out,
                          struct sup_err *err)
{
    struct memory *m = memory_new();

    *out = NULL;
    if (m == NULL)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    int code = sup_store_identify(&m->base, identity, true, err);
    if (code != SUP_OK) {
        memory_close(&m->base);
        return code;
    }
    *out = &m->base;
    return SUP_OK;
}

void sup_store_memory_crash(struct sup_store *s)
{
    struct memory *m = memory_of(s);

    if (s->ops != &memory_ops)
        return;
    pthread_mutex_lock(&m->mutex);
    version_set(&m->now, &m->synced);
    pthread_mutex_unlock(&m->mutex);
}

int sup_store_memory_clone(struct sup_store *s, struct sup_store **out, struct sup_err *err)
{
    *out = NULL;
    if (s->ops != &memory_ops)
        return sup_err_set(err, SUP_EINPUT, "only a store in memory can be cloned");
    struct memory *m = memory_of(s);
    struct memory *clone = memory_new();
    if (clone == NULL)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    clone->base.node_id = s->node_id;
    pthread_mutex_lock(&m->mutex);
    version_copy(&clone->now, &m->now);
    version_copy(&clone->synced, &m->now); /* a copy on disk is whole */
    pthread_mutex_unlock(&m->mutex);
    *out = &clone->base;
    return SUP_OK;
}

int sup_store_memory_set_ids(struct sup_store *s, uint64_t node_id, uint64_t incarnation,
                             struct sup_err *err)
{
    if (s->ops != &memory_ops)
        return sup_err_set(err, SUP_EINPUT, "only a store in memory takes other ids");
    struct sup_txn *t = sup_txn_begin(s);
    if (t == NULL)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    s->node_id = node_id;
    sup_meta_put_u64(t, SUP_META_NODE_ID, node_id);
    sup_meta_put_u64(t, SUP_META_INCARNATION, incarnation);
    return sup_txn_commit(t, true, err);
}

void sup_store_memory_fail_commits(struct sup_store *s, int code)
{
    struct memory *m = memory_of(s);

    if (s->ops != &memory_ops)
        return;
    pthread_mutex_lock(&m->mutex);
    m->fail_commits = code;
    pthread_mutex_unlock(&m->mutex);
}
