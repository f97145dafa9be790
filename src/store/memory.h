#ifndef SUP_STORE_MEMORY_H
#define SUP_STORE_MEMORY_H

#include "store/store.h"

/* What only the store in memory can do: accidents on demand, for tests and simulation. For stores
 * of sup_store_open_memory; on another one these are SUP_EINPUT or do nothing. */

/* What a power cut leaves: everything up to the last commit with sync, nothing after it. No
 * transaction may be open; snapshots and iterators stay valid. */
void sup_store_memory_crash(struct sup_store *s);
/* A store with the same contents and identity: what restoring an old copy of the directory gives.
 * The caller closes it. */
int sup_store_memory_clone(struct sup_store *s, struct sup_store **out, struct sup_err *err);
/* Gives a new store the ids of the caller's choice, so that a simulation is the same each time. */
int sup_store_memory_set_ids(struct sup_store *s, uint64_t node_id, uint64_t incarnation,
                             struct sup_err *err);
/* From now on each commit fails with code, until called with SUP_OK. */
void sup_store_memory_fail_commits(struct sup_store *s, int code);

#endif
