#include "core/strata.h"

#include <math.h>
#include <stddef.h>

#define BITS (SUP_STRATA_BYTES * 8)
/* Differing bits up to which a stratum is read: near half of them it says nothing any more. */
#define READABLE (BITS * 2 / 5)

/* The walk of the item begins with the low bits and its checksum is the high ones; which are used
 * here does not matter for either. */
void sup_strata_toggle(struct sup_strata *s, uint64_t hash)
{
    unsigned zeros = hash == 0 ? 64 : (unsigned)__builtin_ctzll(hash);
    unsigned stratum = zeros / 2 < SUP_STRATA ? zeros / 2 : SUP_STRATA - 1;
    unsigned bit = (unsigned)(hash >> 48) % BITS;

    s->bits[stratum * SUP_STRATA_BYTES + bit / 8] ^= (uint8_t)(1U << bit % 8);
}

void sup_strata_xor(struct sup_strata *a, const struct sup_strata *b)
{
    for (size_t i = 0; i < SUP_STRATA_SIZE; i++)
        a->bits[i] ^= b->bits[i];
}

static unsigned differing(const struct sup_strata *a, const struct sup_strata *b, unsigned stratum)
{
    unsigned n = 0;

    for (size_t i = stratum * SUP_STRATA_BYTES; i < (stratum + 1) * (size_t)SUP_STRATA_BYTES; i++)
        n += (unsigned)__builtin_popcount(a->bits[i] ^ b->bits[i]);
    return n;
}

/* All strata from the first readable one on, taken together, are a sample of 4^-first of the items
 * (the last stratum takes what is left over). d items flip m (1 - (1 - 2/m)^d) / 2 bits. */
uint64_t sup_strata_estimate(const struct sup_strata *a, const struct sup_strata *b)
{
    unsigned first = SUP_STRATA;
    double sum = 0;

    while (first > 0) {
        unsigned n = differing(a, b, first - 1);
        if (n > READABLE)
            break;
        sum += log1p(-2.0 * n / BITS) / log1p(-2.0 / BITS);
        first--;
    }
    if (first == SUP_STRATA) /* not even the last one: more than we can tell */
        return UINT64_MAX;
    /* One bit alone gives 1 and a little more; to round up would make two of it. */
    return (uint64_t)floor(sum * pow(4, first) + 0.5);
}
