#include "mesh/session.h"

void sup_redial_init(struct sup_redial *r, uint64_t seed)
{
    sup_rng_seed(&r->rng, seed);
    r->attempt = 0;
}

int64_t sup_redial_wait_ms(struct sup_redial *r, int64_t lived_ms)
{
    if (lived_ms >= SUP_REDIAL_STABLE_MS)
        r->attempt = 0;
    int64_t wait = sup_backoff_ms(&r->rng, SUP_REDIAL_BASE_MS, SUP_REDIAL_CAP_MS, r->attempt);
    if (r->attempt < 16) /* the cap is reached long before */
        r->attempt++;
    return wait;
}
