#ifndef SUP_STORE_META_H
#define SUP_STORE_META_H

#include "store/store.h"

/* Keys of SUP_CF_META. The store itself writes those of the first group, when it is made.
 * codec/keys.h makes the keys of the version vector, which begin with "vv/": no key here may. */

#define SUP_META_SCHEMA  "schema"  /* number: SUP_STORE_SCHEMA of the last writer */
#define SUP_META_NODE    "node"    /* text: name in the mesh */
#define SUP_META_NODE_ID "node-id" /* number, random */
#define SUP_META_CLUSTER "cluster" /* text */
#define SUP_META_CREATED "created" /* number: wall clock, ms */
#define SUP_META_INCARNATION                                                                       \
    "incarnation" /* number, random: names this copy's sequence numbers                            \
                   */

#define SUP_META_HLC_RESERVED "hlc-reserved" /* number: no time at or above it was ever used */
#define SUP_META_SEQ          "seq"          /* number: last sequence number of the incarnation */
#define SUP_META_HASH_KEY     "hash-key"     /* 16 bytes: key of the record keys' hash */
#define SUP_META_REKEY        "rekey"        /* number: 1 while records move to another hash key */
#define SUP_META_LOG_BYTES    "log-bytes"    /* number: keys and values of SUP_CF_LOG */
#define SUP_META_READY        "ready"        /* number: 1 once the node has joined */

/* Numbers are 8 bytes, big endian. A value of another length is SUP_ECORRUPT. */
int sup_meta_get_u64(struct sup_store *s, const struct sup_snapshot *snap, const char *key,
                     uint64_t *v, struct sup_err *err);
/* The transaction's view. Corruption does not stick to t. */
int sup_meta_txn_get_u64(struct sup_txn *t, const char *key, uint64_t *v, struct sup_err *err);
void sup_meta_put_u64(struct sup_txn *t, const char *key, uint64_t v);

#endif
