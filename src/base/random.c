#include "base/random.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void sup_random_bytes(void *p, size_t n)
{
    uint8_t *at = p;
    while (n > 0) {
        ssize_t got = getrandom(at, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            abort(); /* ids and keys without randomness would be worse than no agent */
        at += got;
        n -= (size_t)got;
    }
}

uint64_t sup_random_u64(void)
{
    uint64_t v;
    sup_random_bytes(&v, sizeof(v));
    return v;
}

uint64_t sup_random_id(void)
{
    uint64_t v;
    do {
        v = sup_random_u64();
    } while (v == 0);
    return v;
}

static uint64_t rotl(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

/* SplitMix64, which its authors recommend for seeding: it never gives the all-zero state, in which
 * xoshiro would stay for ever. Source: Blackman and Vigna, "Scrambled linear pseudorandom number
 * generators", 2021. */
static uint64_t splitmix64(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15;
    uint64_t z = *state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

void sup_rng_seed(struct sup_rng *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        r->s[i] = splitmix64(&seed);
}

uint64_t sup_rng_u64(struct sup_rng *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t sup_rng_below(struct sup_rng *r, uint64_t n)
{
    if (n == 0)
        return 0;
    /* The lowest 2^64 mod n values are thrown away: the rest falls evenly on all remainders. */
    uint64_t reject = (0 - n) % n;
    uint64_t v;
    do {
        v = sup_rng_u64(r);
    } while (v < reject);
    return v % n;
}

double sup_rng_unit(struct sup_rng *r)
{
    return (double)(sup_rng_u64(r) >> 11) * 0x1p-53;
}

int64_t sup_backoff_ms(struct sup_rng *r, int64_t base_ms, int64_t cap_ms, unsigned attempt)
{
    if (base_ms <= 0 || cap_ms <= 0)
        return 0;
    int64_t limit = cap_ms;
    if (attempt < 63 && base_ms <= cap_ms >> attempt)
        limit = base_ms << attempt;
    return (int64_t)sup_rng_below(r, (uint64_t)limit);
}
