#ifndef SUP_CORE_STRATA_H
#define SUP_CORE_STRATA_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* How many items do two sets differ in? An estimate from 768 bytes, so that the first
 * answer to a question for symbols can have about as many as it takes.
 *
 * Strata (Eppstein, Goodrich, Uyeda, Varghese: "What's the Difference?", SIGCOMM 2011) of odd
 * sketches (Mitzenmacher, Pagh, Pham, WWW 2014): stratum j holds a quarter as many items as the one
 * before it, and each item flips one of its bits. The bits in which two sketches differ count the
 * differing items. Standard error 9 %. Pure. */

#define SUP_STRATA       12
#define SUP_STRATA_BYTES 64 /* a stratum */
#define SUP_STRATA_SIZE  (SUP_STRATA * SUP_STRATA_BYTES)

struct sup_strata {
    uint8_t bits[SUP_STRATA_SIZE];
};

/* hash: sup_riblt_hash of an item that comes or goes. */
void sup_strata_toggle(struct sup_strata *s, uint64_t hash);
void sup_strata_xor(struct sup_strata *a, const struct sup_strata *b);
/* 0 only when the sketches are equal. */
uint64_t sup_strata_estimate(const struct sup_strata *a, const struct sup_strata *b);

#endif
