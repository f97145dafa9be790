#ifndef SUP_STORE_OPS_H
#define SUP_STORE_OPS_H

#include "store/store.h"

#include <stdatomic.h>

/* What a back end implements. store.c stands before it and keeps what is common: the transaction's
 * sticky error and size, the iterator's bounds, the identity. Contracts are those of store.h, with
 * these differences: no call is made on a failed transaction, and keys are within an iterator's
 * lower bound. A back end embeds each struct below as the first member of its own. */

struct sup_store_ops {
    void (*close)(struct sup_store *s);

    struct sup_snapshot *(*snapshot)(struct sup_store *s);
    void (*snapshot_free)(struct sup_store *s, struct sup_snapshot *snap);
    int (*get)(struct sup_store *s, const struct sup_snapshot *snap, enum sup_cf cf,
               struct sup_slice key, struct sup_buf *out, struct sup_err *err);
    struct sup_iter *(*iter)(struct sup_store *s, const struct sup_snapshot *snap, enum sup_cf cf,
                             struct sup_slice lower, struct sup_slice upper);
    /* As iter; what it reads is not cached. */
    struct sup_iter *(*scan)(struct sup_store *s, const struct sup_snapshot *snap, enum sup_cf cf,
                             struct sup_slice lower, struct sup_slice upper);

    uint64_t (*estimate_keys)(struct sup_store *s, enum sup_cf cf);
    uint64_t (*disk_bytes)(struct sup_store *s);
    void (*memory)(struct sup_store *s, struct sup_store_memory *out);
    int (*checkpoint)(struct sup_store *s, const char *dir, struct sup_err *err);

    int (*health)(struct sup_store *s, struct sup_err *err);

    struct sup_txn *(*begin)(struct sup_store *s);
    int (*txn_get)(struct sup_txn *t, enum sup_cf cf, struct sup_slice key, struct sup_buf *out,
                   struct sup_err *err);
    int (*txn_put)(struct sup_txn *t, enum sup_cf cf, struct sup_slice key, struct sup_slice value,
                   struct sup_err *err);
    int (*txn_delete)(struct sup_txn *t, enum sup_cf cf, struct sup_slice key, struct sup_err *err);
    struct sup_iter *(*txn_iter)(struct sup_txn *t, enum sup_cf cf, struct sup_slice lower,
                                 struct sup_slice upper);
    void (*txn_mark)(struct sup_txn *t);
    /* To the mark, or to the beginning if there is none. Keeps the mark. */
    int (*txn_rollback)(struct sup_txn *t, struct sup_err *err);
    /* Does not free. */
    int (*txn_commit)(struct sup_txn *t, bool sync, struct sup_err *err);
    void (*txn_free)(struct sup_txn *t);
};

struct sup_store {
    const struct sup_store_ops *ops;
    uint64_t node_id;
    atomic_bool txn_open;
};

struct sup_snapshot {
    const struct sup_store *store;
};

struct sup_txn_size {
    size_t bytes;
    size_t writes;
};

struct sup_txn {
    struct sup_store *store;
    struct sup_err err; /* sticky; code SUP_OK while there is none */
    bool intruder;      /* begun while another was open: stays failed */
    struct sup_txn_size size;
    struct sup_txn_size mark_size;
    bool mark_failed; /* the sticky error is older than the mark */
};

struct sup_iter_ops {
    bool (*valid)(const struct sup_iter *it);
    struct sup_slice (*key)(const struct sup_iter *it);
    struct sup_slice (*value)(const struct sup_iter *it);
    void (*next)(struct sup_iter *it);
    void (*seek)(struct sup_iter *it, struct sup_slice key);
    int (*status)(const struct sup_iter *it, struct sup_err *err);
    void (*free)(struct sup_iter *it);
};

struct sup_iter {
    const struct sup_iter_ops *ops;
    struct sup_txn *txn; /* NULL outside of transactions */
    uint8_t *bounds;     /* owned: lower and upper point into it */
    struct sup_slice lower;
    struct sup_slice upper; /* empty: none */
};

/* Copies the bounds. SUP_OK or SUP_ENOMEM. */
int sup_iter_init(struct sup_iter *it, const struct sup_iter_ops *ops, struct sup_slice lower,
                  struct sup_slice upper);
void sup_iter_fini(struct sup_iter *it);

/* Copies p[0..n) into out, emptied first; SUP_OK, or SUP_ELIMIT or SUP_ENOMEM with a text. */
int sup_store_give(struct sup_buf *out, const void *p, size_t n, struct sup_err *err);

/* Compares the store's identity with the one given and sets ->node_id; writes one into an empty
 * store if create. SUP_ENOTFOUND: empty and not create. Else the errors of sup_store_open. */
int sup_store_identify(struct sup_store *s, const struct sup_store_identity *identity, bool create,
                       struct sup_err *err);

#endif
