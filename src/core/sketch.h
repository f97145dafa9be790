#ifndef SUP_CORE_SKETCH_H
#define SUP_CORE_SKETCH_H

#include "core/riblt.h"
#include "core/strata.h"
#include "model/decision.h"

/* What a node keeps in memory of its whole set of records, so that two nodes can find out cheaply
 * whether and in what they differ: a root, sums per shard, strata, and a prefix of the coded
 * symbols. All of it is made of sums over the items: it follows each change in place, in the order
 * of the logarithm of the prefix, and two sketches can be added and subtracted.
 *
 * Pure; no locks. */

#define SUP_SKETCH_SHARDS 256 /* by the top bits of the address's hash */

/* Decodes up to 190 000 differences, in 7 MiB; is relied upon for five eighths of their number. */
#define SUP_SKETCH_SYMBOLS (1U << 18)

struct sup_sketch_sum {
    uint64_t count;
    struct sup_riblt_item sum; /* of the items, bit by bit modulo 2 */
};
#define SUP_SKETCH_SUM_SIZE 24
void sup_sketch_sum_put(const struct sup_sketch_sum *s, uint8_t out[SUP_SKETCH_SUM_SIZE]);
struct sup_sketch_sum sup_sketch_sum_get(const uint8_t in[SUP_SKETCH_SUM_SIZE]);
bool sup_sketch_sum_eq(const struct sup_sketch_sum *a, const struct sup_sketch_sum *b);

/* Keys of the three hashes, derived from the one of the cluster. */
struct sup_sketch_keys {
    struct sup_hash_key address; /* the records' order: sup_key_record */
    struct sup_hash_key digest;
    struct sup_hash_key item;
};
void sup_sketch_keys_derive(const struct sup_hash_key *address, struct sup_sketch_keys *out);

/* The digest of one record: of its address and the encoded decisions of its registers, which is
 * what replicates; not of when this node saw the address. 0 when no register is present: such a
 * record counts as absent. */
uint64_t sup_sketch_digest(const struct sup_sketch_keys *keys, struct sup_slice address,
                           const struct sup_registers *registers);

struct sup_sketch {
    struct sup_sketch_keys keys;
    struct sup_sketch_sum root;
    struct sup_sketch_sum shards[SUP_SKETCH_SHARDS];
    struct sup_strata strata;
    struct sup_riblt_symbol *symbols;
    size_t n_symbols;
};

/* SUP_ENOMEM. */
int sup_sketch_init(struct sup_sketch *s, const struct sup_sketch_keys *keys, size_t n_symbols);
void sup_sketch_fini(struct sup_sketch *s); /* also after a failed or no init, when zeroed */
int sup_sketch_copy(struct sup_sketch *out, const struct sup_sketch *s); /* out: not initialised */

/* A record goes from one digest to another; 0 stands for absent. */
struct sup_sketch_change {
    uint64_t key; /* hash of the address */
    uint64_t before, after;
};
void sup_sketch_update(struct sup_sketch *s, const struct sup_sketch_change *c);

bool sup_sketch_eq(const struct sup_sketch *a, const struct sup_sketch *b);
/* a becomes what it would be with the changes that lead from `from` to `to`. Same sizes. */
void sup_sketch_correct(struct sup_sketch *a, const struct sup_sketch *from,
                        const struct sup_sketch *to);

static inline unsigned sup_sketch_shard(uint64_t key)
{
    return (unsigned)(key >> 56);
}

#endif
