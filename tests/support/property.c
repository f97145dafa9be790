#include "property.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static uint64_t seed;
static uint64_t factor = 1;

int property_setup(void **state)
{
    const char *s = getenv("SUPSYNC_SEED");
    const char *cases = getenv("SUPSYNC_CASES");
    struct timespec now;

    (void)state;
    clock_gettime(CLOCK_REALTIME, &now);
    seed = s && *s ? strtoull(s, NULL, 0) : (uint64_t)now.tv_sec << 20 ^ (uint64_t)now.tv_nsec;
    if (cases && *cases)
        factor = strtoull(cases, NULL, 10);
    print_message("SUPSYNC_SEED=0x%" PRIx64 "\n", seed);
    return 0;
}

struct sup_rng property_rng(const char *name)
{
    struct sup_rng r;
    uint64_t h = 0xcbf29ce484222325; /* FNV-1a */

    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * 0x100000001b3;
    sup_rng_seed(&r, seed ^ h);
    return r;
}

size_t property_cases(size_t n)
{
    return n * (factor > 0 ? factor : 1);
}

bool property_chance(struct sup_rng *r, unsigned percent)
{
    return sup_rng_below(r, 100) < percent;
}

void property_bytes(struct sup_rng *r, void *p, size_t n)
{
    uint8_t *b = p;

    for (size_t i = 0; i < n; i++)
        b[i] = (uint8_t)sup_rng_u64(r);
}

uint64_t property_edge_u64(struct sup_rng *r)
{
    switch (sup_rng_below(r, 5)) {
    case 0:
        return sup_rng_below(r, 8);
    case 1:
        return UINT64_MAX - sup_rng_below(r, 8);
    case 2:
        return (uint64_t)INT64_MAX - 4 + sup_rng_below(r, 8);
    case 3:
        return UINT64_C(1) << sup_rng_below(r, 64);
    default:
        return sup_rng_u64(r);
    }
}

int64_t property_edge_i64(struct sup_rng *r)
{
    uint64_t u = property_edge_u64(r);
    int64_t i;

    memcpy(&i, &u, sizeof(i));
    return i;
}

void property_mutate(struct sup_rng *r, uint8_t *p, size_t n)
{
    static const uint8_t lengths[] = {0x00, 0x01, 0x7f, 0x80, 0xff, 0x0f, 0xfe};
    size_t changes = n > 0 ? 1 + sup_rng_below(r, 4) : 0;

    while (changes-- > 0) {
        size_t at = sup_rng_below(r, n);
        size_t from = sup_rng_below(r, n);
        size_t len = sup_rng_below(r, n - (at > from ? at : from));
        switch (sup_rng_below(r, 4)) {
        case 0:
            p[at] ^= (uint8_t)(1u << sup_rng_below(r, 8));
            break;
        case 1:
            p[at] = (uint8_t)sup_rng_u64(r);
            break;
        case 2:
            p[at] = lengths[sup_rng_below(r, sizeof(lengths))];
            break;
        default:
            memmove(p + at, p + from, len);
            break;
        }
    }
}
