#ifndef SUP_SERVICE_SOFT_KNOWN_H
#define SUP_SERVICE_SOFT_KNOWN_H

#include "store/store.h"

#include <stdbool.h>

/* Which addresses may have a state of soft bounces. Nearly all deliveries are to addresses without
 * one, and to look for it in the store would cost as much as all else that a delivery takes. A
 * Bloom filter of fixed size: with half a million states about one lookup in a hundred is in vain,
 * with many millions most are, and nothing worse. Deleted states stay in it until a restart.
 *
 * All on the writer thread. */
struct sup_soft_known;

#define SUP_SOFT_KNOWN_BYTES (1U << 20)

struct sup_soft_known *sup_soft_known_new(void); /* NULL when out of memory */
void sup_soft_known_free(struct sup_soft_known *k);

/* To be told of each state that is written, in a transaction that may fail, too. */
void sup_soft_known_add(struct sup_soft_known *k, struct sup_slice address);
/* *maybe false: the address has no state. Reads the store's states once, at the first call. Errors
 * of the store. */
int sup_soft_known_ask(struct sup_soft_known *k, struct sup_store *s, struct sup_slice address,
                       bool *maybe, struct sup_err *err);

#endif
