#ifndef SUP_BASE_RANDOM_H
#define SUP_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* From the kernel (getrandom): for ids and keys. Aborts only if the kernel has no randomness. */
void sup_random_bytes(void *p, size_t n);
uint64_t sup_random_u64(void); /* from the kernel */
uint64_t sup_random_id(void);  /* from the kernel, never 0 */

/* A seeded generator (xoshiro256**): same seed, same sequence, for jitter, tests and simulation.
 * Not for secrets. Not thread-safe: one a thread. */
struct sup_rng {
    uint64_t s[4];
};
void sup_rng_seed(struct sup_rng *r, uint64_t seed);
uint64_t sup_rng_u64(struct sup_rng *r);
uint64_t sup_rng_below(struct sup_rng *r, uint64_t n); /* uniform in [0, n); 0 for n = 0 */
double sup_rng_unit(struct sup_rng *r);                /* uniform in [0, 1) */

/* Full jitter: uniform in [0, min(cap_ms, base_ms * 2^attempt)); attempt counts from 0.
 * Source: AWS Architecture Blog, "Exponential Backoff And Jitter". */
int64_t sup_backoff_ms(struct sup_rng *r, int64_t base_ms, int64_t cap_ms, unsigned attempt);

#endif
