#ifndef SUP_CODEC_HASH_H
#define SUP_CODEC_HASH_H

#include "base/buf.h"

#include <stdint.h>

/* The keyed hash of addresses (SipHash-2-4, libsodium). It orders the records, and reconciliation
 * between nodes is built on it: all nodes of a cluster use the same key. Without a secret key
 * somebody could make addresses that collide. */

struct sup_hash_key {
    uint8_t k[16];
    uint64_t
        check; /* tells two keys apart without giving them away; goes into HELLO and the store */
};

/* From the cluster's name and, if not empty, a secret. Pure. */
void sup_hash_key_derive(const char *cluster, struct sup_slice secret, struct sup_hash_key *out);

/* A key for another purpose, which tells nothing about this one. Pure. */
void sup_hash_key_sub(const struct sup_hash_key *key, const char *purpose,
                      struct sup_hash_key *out);

/* XXH3-64, for finding damage; before chains pieces: 0 for the first, then the sum so far. Pure. */
uint64_t sup_checksum64(uint64_t before, struct sup_slice bytes);

uint64_t sup_hash64(const struct sup_hash_key *key, struct sup_slice bytes);

#endif
