#ifndef SUP_STORE_ROCKS_H
#define SUP_STORE_ROCKS_H

#include "store/ops.h"
#include "store/overlay.h"

#include <rocksdb/c.h>

/* The RocksDB back end, shared by its files only. */

/* The column families of ours, and RocksDB's "default", which must be opened and stays empty. */
#define N_HANDLES (SUP_N_CFS + 1)

/* RocksDB resumes by itself after a full disk once one memtable's worth is free: the largest
 * write_buffer_size of the families. */
#define ROCKS_RESUME_MIB 64u

enum rocks_state {
    ROCKS_WELL,
    ROCKS_FULL,  /* the last commit found no space */
    ROCKS_BROKEN /* the last commit failed otherwise: RocksDB stays read-only until reopened */
};

struct rocks {
    struct sup_store base;
    char *dir; /* owned */
    rocksdb_t *db;
    rocksdb_column_family_handle_t *cfs[N_HANDLES];
    rocksdb_options_t *options[N_HANDLES]; /* the last one is also the database's */
    rocksdb_cache_t *cache;
    rocksdb_readoptions_t *read;
    rocksdb_writeoptions_t *write;
    rocksdb_writeoptions_t *write_synced;
    atomic_int state; /* enum rocks_state */
    /* The log's tail is not synced. False after a failed commit: syncing a log that failed trips an
     * assertion of RocksDB's, and its recovery moves everything to a table file anyway. */
    bool unsynced;
};

struct rocks_snapshot {
    struct sup_snapshot base;
    const rocksdb_snapshot_t *snapshot;
    rocksdb_readoptions_t *read;
};

static inline struct rocks *rocks_of(struct sup_store *s)
{
    return (struct rocks *)(void *)s;
}

static inline const struct rocks_snapshot *rocks_snapshot_of(const struct sup_snapshot *snap)
{
    return (const struct rocks_snapshot *)(const void *)snap;
}

/* rocks_options.c: fills cache, options, read and write options. */
void rocks_options_init(struct rocks *r, uint64_t cache_bytes);
void rocks_options_fini(struct rocks *r);

/* rocks_err.c: takes the text that RocksDB gave (NULL: no error) and frees it. */
int rocks_error(char *text, struct sup_err *err, const char *what);
bool rocks_error_is_no_space(const char *text);
/* The kind of error that a text of RocksDB's stands for. */
int rocks_error_code(const char *text);

/* rocks.c */
int rocks_get(struct sup_store *s, const struct sup_snapshot *snap, enum sup_cf cf,
              struct sup_slice key, struct sup_buf *out, struct sup_err *err);

/* rocks_iter.c: with an overlay, its writes are laid over the store's; NULL without. */
struct sup_iter *rocks_iter_new(struct rocks *r, const struct sup_snapshot *snap,
                                struct sup_overlay *overlay, enum sup_cf cf, struct sup_slice lower,
                                struct sup_slice upper, bool cache);

/* rocks_txn.c */
struct sup_txn *rocks_begin(struct sup_store *s);
int rocks_txn_get(struct sup_txn *t, enum sup_cf cf, struct sup_slice key, struct sup_buf *out,
                  struct sup_err *err);
int rocks_txn_put(struct sup_txn *t, enum sup_cf cf, struct sup_slice key, struct sup_slice value,
                  struct sup_err *err);
int rocks_txn_delete(struct sup_txn *t, enum sup_cf cf, struct sup_slice key, struct sup_err *err);
struct sup_iter *rocks_txn_iter(struct sup_txn *t, enum sup_cf cf, struct sup_slice lower,
                                struct sup_slice upper);
void rocks_txn_mark(struct sup_txn *t);
int rocks_txn_rollback(struct sup_txn *t, struct sup_err *err);
int rocks_txn_commit(struct sup_txn *t, bool sync, struct sup_err *err);
void rocks_txn_free(struct sup_txn *t);

#endif
