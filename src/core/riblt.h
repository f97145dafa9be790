#ifndef SUP_CORE_RIBLT_H
#define SUP_CORE_RIBLT_H

#include "base/buf.h"
#include "base/err.h"
#include "codec/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rateless invertible Bloom lookup tables (Yang, Gilad, Alizadeh: "Practical Rateless Set
 * Reconciliation", SIGCOMM 2024, arXiv 2402.02668).
 *
 * A set of 16-byte items is the source of an endless sequence of coded symbols; item x takes part
 * in symbol i with probability 1/(1+i/2). The symbols of two sets, subtracted one by one, are those
 * of their symmetric difference, and a receiver that peels them knows the d differing items after
 * about 1.35 d symbols (1.7 d for d = 10), whatever the sizes of the sets. Symbols are sums, so a
 * kept prefix of the sequence follows each change of the set in place.
 *
 * Pure; no locks. Indexes are computed in IEEE doubles with correctly rounded operations only, so
 * every machine gets the same ones. */

struct sup_riblt_item {
    uint64_t key;    /* keyed hash of the address */
    uint64_t digest; /* keyed digest of its record */
};

/* 28 bytes, since a node keeps some hundred thousand of them. check holds 48 bits. */
struct sup_riblt_symbol {
    uint64_t key;
    uint64_t digest;
    uint64_t check;
    int32_t count;
} __attribute__((packed, aligned(4)));

/* What places the item and tells it from a sum of several: without the key nobody can make items
 * that collide. Its upper 48 bits are the checksum. */
uint64_t sup_riblt_hash(const struct sup_hash_key *key, const struct sup_riblt_item *item);

/* The indexes of one item's symbols in rising order; the first is 0. */
struct sup_riblt_walk {
    uint64_t index;
    uint64_t state;
};
void sup_riblt_walk_init(struct sup_riblt_walk *w, uint64_t hash);
/* Moves on. Ends at UINT64_MAX, and stays there. */
uint64_t sup_riblt_walk_next(struct sup_riblt_walk *w);

/* Puts the item into (sign +1), or takes it out of (-1), the first n symbols. */
void sup_riblt_toggle(struct sup_riblt_symbol *symbols, size_t n, const struct sup_hash_key *key,
                      const struct sup_riblt_item *item, int sign);
void sup_riblt_subtract(struct sup_riblt_symbol *a, const struct sup_riblt_symbol *b, size_t n);
void sup_riblt_add(struct sup_riblt_symbol *a, const struct sup_riblt_symbol *b, size_t n);

/* --- the sequence of a set that is at hand, piece by piece --- */
struct sup_riblt_source {
    uint64_t next; /* index of the symbol that comes next */
    const struct sup_hash_key *key;
    const struct sup_riblt_item *items;
    size_t n_items;
    struct sup_riblt_walk *walks;
};
/* key and items are borrowed. SUP_ENOMEM. */
int sup_riblt_source_init(struct sup_riblt_source *s, const struct sup_hash_key *key,
                          const struct sup_riblt_item *items, size_t n_items);
void sup_riblt_source_fini(struct sup_riblt_source *s);
/* Writes the next n symbols. Takes time in proportion to the set: ask for large pieces. */
void sup_riblt_source_take(struct sup_riblt_source *s, struct sup_riblt_symbol *out, size_t n);

/* --- on the wire --- */
/* 16 bytes of sums, 6 of checksum, and the count as a zigzag varint of its distance from what a set
 * of n_set items puts into that symbol on average: one byte, mostly. */
#define SUP_RIBLT_WIRE_MAX 28
void sup_riblt_pack(const struct sup_riblt_symbol *symbols, size_t n, uint64_t first,
                    uint64_t n_set, struct sup_buf *out);
/* Reads one symbol; c fails when there is none, or its count is out of range. */
void sup_riblt_unpack(struct sup_cur *c, uint64_t index, uint64_t n_set,
                      struct sup_riblt_symbol *out);

/* --- decoding --- */
struct sup_riblt_diff {
    struct sup_riblt_item item;
    int side; /* +1: only in the sender's set; -1: only in the receiver's */
};
struct sup_riblt_decoder;
/* Takes at most max symbols. NULL when out of memory. */
struct sup_riblt_decoder *sup_riblt_decoder_new(const struct sup_hash_key *key, size_t max);
void sup_riblt_decoder_free(struct sup_riblt_decoder *d);
/* The next symbol, the sender's less the receiver's. SUP_OK; SUP_ELIMIT past the maximum;
 * SUP_ECORRUPT: no two sets have such symbols; SUP_ENOMEM. Failure sticks. The work on any sequence
 * is bounded: never more items are peeled than symbols came. */
int sup_riblt_decoder_add(struct sup_riblt_decoder *d, const struct sup_riblt_symbol *s);
/* Is the difference known? False before the first symbol. */
bool sup_riblt_decoder_done(const struct sup_riblt_decoder *d);
size_t sup_riblt_decoder_symbols(const struct sup_riblt_decoder *d);
/* The difference, complete once done; the decoder's memory. */
const struct sup_riblt_diff *sup_riblt_decoder_diff(const struct sup_riblt_decoder *d, size_t *n);

#endif
