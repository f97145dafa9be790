#ifndef SUP_STORE_STORE_H
#define SUP_STORE_STORE_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* The store: ordered key-value column families with atomic, durable transactions and snapshots.
 *
 * Two back ends stand behind the same calls and pass the same conformance suite: RocksDB, and a
 * twin in memory for tests and simulation. Nothing here knows what is stored: keys and values are
 * made by codec/.
 *
 * Threads: reads, snapshots and iterators from any thread. Transactions from one thread at a time
 * (store/writer.h runs it). */

enum sup_cf {
    SUP_CF_META,
    SUP_CF_RECORDS,
    SUP_CF_LOG,
    SUP_CF_QUARANTINE,
    SUP_CF_PEERS,
    SUP_CF_SES,
    SUP_CF_OUTBOX,
    SUP_CF_DEDUP,
    SUP_CF_AUDIT,
    SUP_CF_EXPIRY,
    SUP_CF_SCAN,    /* scratch: the Region's list as a scan reads it */
    SUP_CF_REPORTS, /* what reconciliations found and did */
    SUP_CF_IMPORT,  /* the rows of the import job under way */
    SUP_CF_SOFT,
    SUP_CF_EVENTS,
    SUP_CF_RATES,
    SUP_CF_SEEN,     /* which sends were counted */
    SUP_CF_ARCHIVES, /* how far archives in S3 were read */
    SUP_CF_EVIDENCE, /* adopted entries of which SES is to be asked who added them */
    SUP_N_CFS
};
const char *sup_cf_name(enum sup_cf cf);

struct sup_store;

/* Who owns the store. Written when the store is made, compared at every later open. One that was
 * made for no cluster may be opened for any: whoever does so writes which (service/rekey.h). */
struct sup_store_identity {
    const char *node;    /* name in the mesh */
    const char *cluster; /* "" when there is no mesh */
};

struct sup_store_opts {
    const char *dir; /* made if missing (its parent must exist) */
    struct sup_store_identity identity;
    uint64_t cache_bytes; /* block cache; 0 = 64 MiB */
    bool create;          /* false: SUP_ENOTFOUND when there is no store in dir */
};

/* The schema that this program writes. Column families that an older store lacks are made when it
 * is opened. A store of a larger version is refused. */
#define SUP_STORE_SCHEMA 1

/* Opens or makes the store. SUP_EEXIST: another process has it open (the text says so).
 * SUP_EVERSION: made by a newer supsync. SUP_EINPUT: belongs to another node or cluster (both are
 * named). SUP_ECORRUPT, SUP_EIO. The caller closes with sup_store_close. */
int sup_store_open(const struct sup_store_opts *opts, struct sup_store **out, struct sup_err *err);
/* The twin; contents are lost at close. */
int sup_store_open_memory(const struct sup_store_identity *identity, struct sup_store **out,
                          struct sup_err *err);
/* Flushes and closes; every snapshot, iterator and transaction must be gone. NULL is fine. */
void sup_store_close(struct sup_store *s);

/* Made with the store: random, never 0, the same for the store's whole life. (The incarnation,
 * which can be renewed, is a value like others: SUP_META_INCARNATION in store/meta.h.) */
uint64_t sup_store_node_id(const struct sup_store *s);

/* --- reading --- */
struct sup_snapshot; /* a consistent view; may be NULL in every call: the newest state */
struct sup_snapshot *sup_store_snapshot(struct sup_store *s);
void sup_snapshot_free(struct sup_store *s, struct sup_snapshot *snap);

/* Appends the value to out (cleared first). SUP_OK, SUP_ENOTFOUND, or SUP_EIO/SUP_ECORRUPT. */
int sup_store_get(struct sup_store *s, const struct sup_snapshot *snap, enum sup_cf cf,
                  struct sup_slice key, struct sup_buf *out, struct sup_err *err);

struct sup_iter;
/* Iterates keys in [lower, upper) in order; empty slices leave an end open. The bounds are copied.
 * Positioned at the first key. Never NULL unless out of memory. */
struct sup_iter *sup_iter_new(struct sup_store *s, const struct sup_snapshot *snap, enum sup_cf cf,
                              struct sup_slice lower, struct sup_slice upper);
/* As sup_iter_new, for walking a whole family: leaves the cache to those who look something up. */
struct sup_iter *sup_iter_scan(struct sup_store *s, const struct sup_snapshot *snap, enum sup_cf cf,
                               struct sup_slice lower, struct sup_slice upper);
bool sup_iter_valid(const struct sup_iter *it);
struct sup_slice sup_iter_key(const struct sup_iter *it);   /* valid until the next move */
struct sup_slice sup_iter_value(const struct sup_iter *it); /* valid until the next move */
void sup_iter_next(struct sup_iter *it);
void sup_iter_seek(struct sup_iter *it, struct sup_slice key); /* first key >= key */
/* After the loop: SUP_OK, or the error that ended it early. */
int sup_iter_status(const struct sup_iter *it, struct sup_err *err);
void sup_iter_free(struct sup_iter *it);

/* Approximate count of keys and bytes on disk, for status and metrics. */
uint64_t sup_store_estimate_keys(struct sup_store *s, enum sup_cf cf);
uint64_t sup_store_disk_bytes(struct sup_store *s);

/* What the store keeps in memory, in bytes: it grows with what is written and read, up to the
 * limits of store/rocks_options.c. */
struct sup_store_memory {
    uint64_t memtables; /* what was written and is in no table file yet, or is still being read */
    uint64_t cache;     /* blocks that were read */
    uint64_t readers;   /* of table files, beside the cache */
};
void sup_store_memory(struct sup_store *s, struct sup_store_memory *out); /* any thread */

/* Writes a consistent copy, a store of its own, to dir, which must not exist (its parent must).
 * Files are hard links where the file system allows, so it takes seconds. Any thread. SUP_EEXIST;
 * SUP_EIO; SUP_EINPUT for a store in memory. */
int sup_store_checkpoint(struct sup_store *s, const char *dir, struct sup_err *err);

/* Can the store write, as far as the last commit told? SUP_OK. SUP_EAGAIN: the disk is full; reads
 * go on, commits fail, and the store recovers by itself some seconds after space is back. SUP_EIO:
 * it is read-only for good and the process should end and be started again. Any thread. */
int sup_store_health(struct sup_store *s, struct sup_err *err);

/* --- writing --- */
struct sup_txn;

/* The most bytes of keys and values that one transaction takes: SUP_ELIMIT past it. */
#define SUP_TXN_MAX_BYTES (256u << 20)

/* Begins a transaction; its reads see its own writes. NULL only when out of memory. The first error
 * sticks: later calls do nothing and return it; commit reports it. One check at commit is enough.
 * A second transaction while one is open is a bug of the caller: it is born failed (SUP_EBUG). */
struct sup_txn *sup_txn_begin(struct sup_store *s);
/* Like sup_store_get. SUP_ENOTFOUND is an answer, not an error: it does not stick. */
int sup_txn_get(struct sup_txn *t, enum sup_cf cf, struct sup_slice key, struct sup_buf *out);
void sup_txn_put(struct sup_txn *t, enum sup_cf cf, struct sup_slice key, struct sup_slice value);
void sup_txn_delete(struct sup_txn *t, enum sup_cf cf, struct sup_slice key);
/* Iterates the transaction's view (the store plus its own writes). Free before the next write. */
struct sup_iter *sup_txn_iter(struct sup_txn *t, enum sup_cf cf, struct sup_slice lower,
                              struct sup_slice upper);
/* The sticky error, or SUP_OK. */
int sup_txn_status(const struct sup_txn *t, struct sup_err *err);
/* A mark to which writes can be taken back; one level: a later mark replaces an earlier one.
 * Rolling back keeps the mark and clears a sticky error that arose after it. Without a mark, a
 * rollback takes back everything. */
void sup_txn_mark(struct sup_txn *t);
void sup_txn_rollback_to_mark(struct sup_txn *t);
/* Commits atomically; with sync, returns only when the write-ahead log is on stable storage. Frees
 * t in every case. A transaction without writes touches no disk.
 *
 * On error no reader of this process ever sees any of it. One exception is in the nature of disks:
 * if the log's bytes were written and only their sync failed, the transaction may stand, as a
 * whole, after the next open. So an error means "not acknowledged", and callers repeat. */
int sup_txn_commit(struct sup_txn *t, bool sync, struct sup_err *err);
void sup_txn_abort(struct sup_txn *t);

#endif
