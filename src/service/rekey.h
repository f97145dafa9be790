#ifndef SUP_SERVICE_REKEY_H
#define SUP_SERVICE_REKEY_H

#include "codec/hash.h"
#include "store/store.h"

/* A store that was made without a mesh becomes one of a cluster: from then on its records are
 * ordered by the hash that all nodes of the cluster use. All else stays: decisions with their
 * times, the log, which peers will want from its beginning, the node's id.
 *
 * Before anything else uses the store, which was opened for that cluster; as a rule there is
 * nothing to do. Goes on where it was ended: until all records have moved the store belongs to no
 * cluster, and the section may be taken away again, or name another one. */
int sup_rekey(struct sup_store *store, const char *cluster, const struct sup_hash_key *hash,
              struct sup_err *err);

#endif
