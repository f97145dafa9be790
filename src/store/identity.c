/* Who owns a store: written once, in the first transaction, and compared at every later open.
 * Without it a wrong data_dir, or a disk moved to another node, would send one node's sequence
 * numbers under another's name. */
#include "base/clock.h"
#include "base/random.h"
#include "store/meta.h"
#include "store/ops.h"

#include <inttypes.h>

#define NAME_MAX_BYTES 1024

static int write_identity(struct sup_store *s, const struct sup_store_identity *identity,
                          struct sup_err *err)
{
    struct sup_txn *t = sup_txn_begin(s);

    if (t == NULL)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    s->node_id = sup_random_id();
    sup_meta_put_u64(t, SUP_META_SCHEMA, SUP_STORE_SCHEMA);
    sup_meta_put_u64(t, SUP_META_NODE_ID, s->node_id);
    sup_meta_put_u64(t, SUP_META_INCARNATION, sup_random_id());
    sup_meta_put_u64(t, SUP_META_CREATED, (uint64_t)sup_wall_ms());
    sup_txn_put(t, SUP_CF_META, SUP_SLICE_LIT(SUP_META_NODE), sup_slice_str(identity->node));
    sup_txn_put(t, SUP_CF_META, SUP_SLICE_LIT(SUP_META_CLUSTER), sup_slice_str(identity->cluster));
    return sup_txn_commit(t, true, err);
}

static int read_name(struct sup_store *s, const char *key, struct sup_buf *stored,
                     struct sup_err *err)
{
    int code = sup_store_get(s, NULL, SUP_CF_META, sup_slice_str(key), stored, err);

    return code == SUP_ENOTFOUND ? sup_err_set(err, SUP_ECORRUPT, "the store names no %s", key)
                                 : code;
}

static int compare_node(struct sup_store *s, const char *given, struct sup_err *err)
{
    struct sup_buf stored;

    sup_buf_init(&stored, NAME_MAX_BYTES);
    int code = read_name(s, SUP_META_NODE, &stored, err);
    if (code == SUP_OK && !sup_slice_eq(sup_buf_slice(&stored), sup_slice_str(given)))
        code =
            sup_err_set(err, SUP_EINPUT, "the store belongs to node \"%.200s\", not to \"%.200s\"",
                        sup_buf_str(&stored), given);
    sup_buf_fini(&stored);
    return code;
}

static int compare_cluster(struct sup_store *s, const char *given, struct sup_err *err)
{
    struct sup_buf stored;

    sup_buf_init(&stored, NAME_MAX_BYTES);
    int code = read_name(s, SUP_META_CLUSTER, &stored, err);
    if (code == SUP_OK && stored.n > 0 && *given == '\0')
        code = sup_err_set(err, SUP_EINPUT,
                           "the store belongs to cluster \"%.200s\": the mesh section is missing "
                           "(with peers: [] a node is alone)",
                           sup_buf_str(&stored));
    else if (code == SUP_OK && stored.n > 0 &&
             !sup_slice_eq(sup_buf_slice(&stored), sup_slice_str(given)))
        code = sup_err_set(err, SUP_EINPUT,
                           "the store belongs to cluster \"%.200s\", not to \"%.200s\"",
                           sup_buf_str(&stored), given);
    sup_buf_fini(&stored);
    return code;
}

static int compare_identity(struct sup_store *s, const struct sup_store_identity *identity,
                            struct sup_err *err)
{
    int code = compare_node(s, identity->node, err);

    if (code == SUP_OK)
        code = compare_cluster(s, identity->cluster, err);
    if (code == SUP_OK)
        code = sup_meta_get_u64(s, NULL, SUP_META_NODE_ID, &s->node_id, err);
    if (code == SUP_ENOTFOUND || (code == SUP_OK && s->node_id == 0))
        code = sup_err_set(err, SUP_ECORRUPT, "the store has no node id");
    return code;
}

static int is_empty(struct sup_store *s, bool *empty, struct sup_err *err)
{
    *empty = true;
    for (int cf = 0; cf < SUP_N_CFS && *empty; cf++) {
        struct sup_slice open = {0};
        struct sup_iter *it = sup_iter_new(s, NULL, (enum sup_cf)cf, open, open);
        if (it == NULL)
            return sup_err_set(err, SUP_ENOMEM, "out of memory");
        int code = sup_iter_status(it, err);
        *empty = !sup_iter_valid(it);
        sup_iter_free(it);
        if (code != SUP_OK)
            return code;
    }
    return SUP_OK;
}

/* A directory whose making was cut short between RocksDB's files and our first transaction is an
 * empty store, not a broken one. */
static int identify_new(struct sup_store *s, const struct sup_store_identity *identity, bool create,
                        struct sup_err *err)
{
    bool empty = false;
    int code = is_empty(s, &empty, err);

    if (code != SUP_OK)
        return code;
    if (!empty)
        return sup_err_set(err, SUP_ECORRUPT, "the store holds data but no schema version");
    if (!create)
        return sup_err_set(err, SUP_ENOTFOUND, "the store is empty: its making was cut short");
    return write_identity(s, identity, err);
}

int sup_store_identify(struct sup_store *s, const struct sup_store_identity *identity, bool create,
                       struct sup_err *err)
{
    uint64_t schema = 0;
    int code = sup_meta_get_u64(s, NULL, SUP_META_SCHEMA, &schema, err);

    if (code == SUP_ENOTFOUND)
        return identify_new(s, identity, create, err);
    if (code != SUP_OK)
        return code;
    if (schema > SUP_STORE_SCHEMA)
        return sup_err_set(err, SUP_EVERSION,
                           "the store has schema %" PRIu64
                           " of a newer supsync; this one knows up to %d",
                           schema, SUP_STORE_SCHEMA);
    if (schema == 0)
        return sup_err_set(err, SUP_ECORRUPT, "the store has schema 0");
    return compare_identity(s, identity, err);
}
