#include "service/sketch_keeper.h"

#include "base/log.h"
#include "base/metrics.h"
#include "codec/keys.h"
#include "codec/value.h"
#include "service/apply.h"

#include <pthread.h>
#include <stdlib.h>

struct sup_sketch_keeper {
    struct sup_sketch_keys keys;
    pthread_mutex_t mutex;
    struct sup_sketch sketch; /* under mutex */
};

static int scan_one(const struct sup_iter *it, struct sup_mem *m, struct sup_sketch *out,
                    struct sup_err *err)
{
    struct sup_sketch_change c = {0};
    struct sup_slice address;
    struct sup_record record;
    int rc;

    if (!sup_key_record_parse(sup_iter_key(it), &c.key, &address))
        return sup_err_set(err, SUP_ECORRUPT, "damaged key of a record");
    sup_mem_reset(m);
    rc = sup_record_decode(sup_iter_value(it), m, &record, err);
    if (rc != SUP_OK)
        return rc;
    c.after = sup_sketch_digest(&out->keys, address, &record.registers);
    sup_sketch_update(out, &c);
    return SUP_OK;
}

int sup_sketch_scan(struct sup_store *store, const struct sup_snapshot *snap,
                    struct sup_sketch *out, struct sup_err *err)
{
    struct sup_mem *m = sup_mem_new();
    struct sup_iter *it = sup_iter_new(store, snap, SUP_CF_RECORDS, (struct sup_slice){NULL, 0},
                                       (struct sup_slice){NULL, 0});
    int rc = m && it ? SUP_OK : sup_err_set(err, SUP_ENOMEM, "out of memory");

    for (; rc == SUP_OK && sup_iter_valid(it); sup_iter_next(it))
        rc = scan_one(it, m, out, err);
    if (rc == SUP_OK)
        rc = sup_iter_status(it, err);
    if (it)
        sup_iter_free(it);
    sup_mem_free(m);
    return rc;
}

int sup_sketch_keeper_open(struct sup_store *store, const struct sup_hash_key *hash,
                           size_t n_symbols, struct sup_sketch_keeper **out, struct sup_err *err)
{
    struct sup_sketch_keeper *k = calloc(1, sizeof(*k));
    int rc;

    if (!k)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    pthread_mutex_init(&k->mutex, NULL);
    sup_sketch_keys_derive(hash, &k->keys);
    rc = sup_sketch_init(&k->sketch, &k->keys, n_symbols);
    if (rc != SUP_OK)
        (void)sup_err_set(err, rc, "out of memory");
    else
        rc = sup_sketch_scan(store, NULL, &k->sketch, err);
    if (rc != SUP_OK) {
        sup_sketch_keeper_free(k);
        return rc;
    }
    *out = k;
    return SUP_OK;
}

void sup_sketch_keeper_free(struct sup_sketch_keeper *k)
{
    if (!k)
        return;
    sup_sketch_fini(&k->sketch);
    pthread_mutex_destroy(&k->mutex);
    free(k);
}

const struct sup_sketch_keys *sup_sketch_keeper_keys(const struct sup_sketch_keeper *k)
{
    return &k->keys;
}

void sup_sketch_keeper_changed(struct sup_sketch_keeper *k, const struct sup_sketch_change *c,
                               size_t n)
{
    pthread_mutex_lock(&k->mutex);
    for (size_t i = 0; i < n; i++)
        sup_sketch_update(&k->sketch, &c[i]);
    pthread_mutex_unlock(&k->mutex);
}

struct sup_sketch_sum sup_sketch_keeper_root(struct sup_sketch_keeper *k)
{
    struct sup_sketch_sum root;

    pthread_mutex_lock(&k->mutex);
    root = k->sketch.root;
    pthread_mutex_unlock(&k->mutex);
    return root;
}

void sup_sketch_keeper_sums(struct sup_sketch_keeper *k,
                            struct sup_sketch_sum sums[SUP_SKETCH_SHARDS])
{
    pthread_mutex_lock(&k->mutex);
    for (unsigned i = 0; i < SUP_SKETCH_SHARDS; i++)
        sums[i] = k->sketch.shards[i];
    pthread_mutex_unlock(&k->mutex);
}

int sup_sketch_keeper_copy(struct sup_sketch_keeper *k, struct sup_sketch *out)
{
    int rc;

    pthread_mutex_lock(&k->mutex);
    rc = sup_sketch_copy(out, &k->sketch);
    pthread_mutex_unlock(&k->mutex);
    return rc;
}

/* --- audit --- */

struct audit {
    struct sup_sketch_keeper *k;
    struct sup_store *store;
    struct sup_snapshot *snap;
    struct sup_sketch copy;
};

/* On the writer thread, between two commits: here the store and the sketch tell of the same state.
 */
static int audit_begin(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct audit *audit = arg;

    (void)a;
    (void)t;
    if (sup_sketch_keeper_copy(audit->k, &audit->copy) != SUP_OK)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    audit->snap = sup_store_snapshot(audit->store);
    return audit->snap ? SUP_OK : sup_err_set(err, SUP_ENOMEM, "out of memory");
}

static void correct(struct sup_sketch_keeper *k, const struct sup_sketch *from,
                    const struct sup_sketch *to)
{
    pthread_mutex_lock(&k->mutex);
    sup_sketch_correct(&k->sketch, from, to);
    pthread_mutex_unlock(&k->mutex);
    sup_metric_add(sup_metric("supsync_sketch_corrections_total", NULL, SUP_COUNTER,
                              "Audits that found the sketch of the records wrong"),
                   1);
    sup_log_error("repair", "the sketch was not that of the records: corrected",
                  SUP_U("sketch_records", from->root.count), SUP_U("records", to->root.count));
}

int sup_sketch_keeper_audit(struct sup_sketch_keeper *k, struct sup_apply *apply,
                            struct sup_store *store, bool *sound, struct sup_err *err)
{
    struct audit audit = {.k = k, .store = store};
    struct sup_sketch scanned = {.symbols = NULL};
    int rc = sup_apply_run(apply, audit_begin, &audit, err);

    if (rc == SUP_OK && sup_sketch_init(&scanned, &k->keys, audit.copy.n_symbols) != SUP_OK)
        rc = sup_err_set(err, SUP_ENOMEM, "out of memory");
    if (rc == SUP_OK)
        rc = sup_sketch_scan(store, audit.snap, &scanned, err);
    if (rc == SUP_OK) {
        *sound = sup_sketch_eq(&audit.copy, &scanned);
        if (!*sound)
            correct(k, &audit.copy, &scanned);
    }
    if (audit.snap)
        sup_snapshot_free(store, audit.snap);
    sup_sketch_fini(&audit.copy);
    sup_sketch_fini(&scanned);
    return rc;
}
