#ifndef PROPERTY_H
#define PROPERTY_H

#include "base/random.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Property tests: random cases from a seed that is printed, so that a failure can be run again:
 *
 *   SUPSYNC_SEED=0x5eed tests/test_model_hlc
 *
 * SUPSYNC_CASES=10 runs ten times as many cases. */

/* cmocka group setup: takes the seed from the environment or the clock and prints it. */
int property_setup(void **state);

/* The generator of one test: the same for the same seed and name, whatever other tests drew. */
struct sup_rng property_rng(const char *name);

size_t property_cases(size_t n);

bool property_chance(struct sup_rng *r, unsigned percent);
void property_bytes(struct sup_rng *r, void *p, size_t n);
/* Mostly small or at an edge of its type: where mistakes are. */
uint64_t property_edge_u64(struct sup_rng *r);
int64_t property_edge_i64(struct sup_rng *r);
/* 1 to 4 random changes to p[0..n): bits, bytes, length bytes, parts copied over others. */
void property_mutate(struct sup_rng *r, uint8_t *p, size_t n);

#endif
