#include "service/rekey.h"

#include "base/clock.h"
#include "base/log.h"
#include "codec/keys.h"
#include "store/meta.h"

#include <inttypes.h>
#include <string.h>

/* Of one transaction: some megabytes. A crash costs no more than that, and what a second look
 * takes.
 */
#define BATCH          8192
#define SAY_EVERY      1000000
#define NAME_MAX_BYTES 1024

struct rekey {
    struct sup_store *store;
    const struct sup_hash_key *hash;
    struct sup_iter *it; /* of a snapshot: what is moved does not come again */
    struct sup_txn *txn;
    size_t in_txn;
    uint64_t moved;
};

/* --- is there anything to do? --- */

static int is_of_cluster(struct sup_store *store, const char *cluster, bool *yes,
                         struct sup_err *err)
{
    struct sup_buf stored;
    int rc;

    sup_buf_init(&stored, NAME_MAX_BYTES);
    rc = sup_store_get(store, NULL, SUP_CF_META, SUP_SLICE_LIT(SUP_META_CLUSTER), &stored, err);
    *yes = rc == SUP_OK && sup_slice_eq(sup_buf_slice(&stored), sup_slice_str(cluster));
    sup_buf_fini(&stored);
    return rc;
}

static int look(struct sup_store *store, const char *cluster, bool *needed, struct sup_err *err)
{
    uint64_t under_way = 0;
    bool same = false;
    int rc = is_of_cluster(store, cluster, &same, err);

    if (rc == SUP_OK)
        rc = sup_meta_get_u64(store, NULL, SUP_META_REKEY, &under_way, err);
    *needed = !same || under_way != 0;
    return rc == SUP_ENOTFOUND ? SUP_OK : rc;
}

/* --- moving --- */

static int commit(struct rekey *r, bool sync, struct sup_err *err)
{
    int rc = sup_txn_commit(r->txn, sync, err);

    r->txn = NULL;
    r->in_txn = 0;
    return rc;
}

static int begin(struct rekey *r, struct sup_err *err)
{
    r->txn = sup_txn_begin(r->store);
    return r->txn ? SUP_OK : sup_err_set(err, SUP_ENOMEM, "out of memory");
}

static void say(const struct rekey *r)
{
    if (r->moved % SAY_EVERY == 0)
        sup_log_info("store", "becomes one of a cluster", SUP_U("records_so_far", r->moved));
}

static int move_record(struct rekey *r, struct sup_err *err)
{
    struct sup_slice old = sup_iter_key(r->it);
    struct sup_slice address;
    struct sup_key key;
    uint64_t hash;

    if (!sup_key_record_parse(old, &hash, &address))
        return sup_err_set(err, SUP_ECORRUPT, "a record's key cannot be read");
    sup_key_record(&key, r->hash, address);
    if (sup_slice_eq(old, sup_key_slice(&key)))
        return SUP_OK; /* was moved already */
    sup_txn_delete(r->txn, SUP_CF_RECORDS, old);
    sup_txn_put(r->txn, SUP_CF_RECORDS, sup_key_slice(&key), sup_iter_value(r->it));
    r->moved++;
    say(r);
    if (++r->in_txn < BATCH)
        return SUP_OK;
    int rc = commit(r, false, err); /* the log keeps their order: syncing the last is enough */
    return rc == SUP_OK ? begin(r, err) : rc;
}

static int move_all(struct rekey *r, const char *cluster, struct sup_err *err)
{
    int rc = SUP_OK;

    for (; rc == SUP_OK && sup_iter_valid(r->it); sup_iter_next(r->it))
        rc = move_record(r, err);
    if (rc == SUP_OK)
        rc = sup_iter_status(r->it, err);
    if (rc != SUP_OK)
        return rc;
    sup_meta_put_u64(r->txn, SUP_META_HASH_KEY, r->hash->check);
    sup_txn_put(r->txn, SUP_CF_META, SUP_SLICE_LIT(SUP_META_CLUSTER), sup_slice_str(cluster));
    sup_txn_delete(r->txn, SUP_CF_META, SUP_SLICE_LIT(SUP_META_REKEY));
    return commit(r, true, err);
}

/* Says that records under two keys are to be expected from here on. */
static int mark(struct rekey *r, struct sup_err *err)
{
    int rc = begin(r, err);

    if (rc != SUP_OK)
        return rc;
    sup_meta_put_u64(r->txn, SUP_META_REKEY, 1);
    rc = commit(r, true, err);
    return rc == SUP_OK ? begin(r, err) : rc;
}

int sup_rekey(struct sup_store *store, const char *cluster, const struct sup_hash_key *hash,
              struct sup_err *err)
{
    struct rekey r = {.store = store, .hash = hash};
    struct sup_slice open = {NULL, 0};
    int64_t began = sup_mono_ms();
    bool needed = false;
    int rc = look(store, cluster, &needed, err);

    if (rc != SUP_OK || !needed)
        return rc;
    r.it = sup_iter_scan(store, NULL, SUP_CF_RECORDS, open, open);
    if (!r.it)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    rc = mark(&r, err);
    if (rc == SUP_OK)
        rc = move_all(&r, cluster, err);
    if (r.txn)
        sup_txn_abort(r.txn);
    sup_iter_free(r.it);
    if (rc == SUP_OK)
        sup_log_info("store", "made without a mesh, is one of a cluster now",
                     SUP_S("cluster", cluster), SUP_U("records", r.moved),
                     SUP_I("ms", sup_mono_ms() - began));
    return rc;
}
