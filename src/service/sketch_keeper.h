#ifndef SUP_SERVICE_SKETCH_KEEPER_H
#define SUP_SERVICE_SKETCH_KEEPER_H

#include "core/sketch.h"
#include "store/store.h"

/* Keeps the sketch of the store's records: made by a scan at start, moved on with each commit.
 *
 * Any thread, unless it says otherwise. */

struct sup_apply;
struct sup_sketch_keeper;

/* Scans all records: a few seconds for ten million. Nothing may write meanwhile. */
int sup_sketch_keeper_open(struct sup_store *store, const struct sup_hash_key *hash,
                           size_t n_symbols, struct sup_sketch_keeper **out, struct sup_err *err);
void sup_sketch_keeper_free(struct sup_sketch_keeper *k); /* NULL is fine */

const struct sup_sketch_keys *sup_sketch_keeper_keys(const struct sup_sketch_keeper *k);

/* What a commit changed; by apply, on the writer thread, when the commit succeeded. */
void sup_sketch_keeper_changed(struct sup_sketch_keeper *k, const struct sup_sketch_change *c,
                               size_t n);

struct sup_sketch_sum sup_sketch_keeper_root(struct sup_sketch_keeper *k);
void sup_sketch_keeper_sums(struct sup_sketch_keeper *k,
                            struct sup_sketch_sum sums[SUP_SKETCH_SHARDS]);
/* A copy of it all, which holds up commits for a millisecond or two. SUP_ENOMEM; *out is the
 * caller's to fini. */
int sup_sketch_keeper_copy(struct sup_sketch_keeper *k, struct sup_sketch *out);

/* Compares with a scan of the records and corrects what differs; writes go on meanwhile. *sound:
 * nothing differed. Not from the writer thread. Takes the memory of two more sketches. */
int sup_sketch_keeper_audit(struct sup_sketch_keeper *k, struct sup_apply *apply,
                            struct sup_store *store, bool *sound, struct sup_err *err);

/* The sketch of what a snapshot (NULL: the newest state) holds. out is initialised and empty. */
int sup_sketch_scan(struct sup_store *store, const struct sup_snapshot *snap,
                    struct sup_sketch *out, struct sup_err *err);

#endif
