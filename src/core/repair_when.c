#include "core/repair_when.h"

#define LEVEL_ROOTS 2
#define BUSY_MS     2000

void sup_repair_when_begin(struct sup_repair_when *w, int64_t now_ms, bool second)
{
    *w = (struct sup_repair_when){.next_ms = now_ms, .differ_since_ms = -1, .second = second};
    if (second)
        w->next_ms += SUP_REPAIR_SECOND_MS;
}

bool sup_repair_when_due(struct sup_repair_when *w, int64_t now_ms, uint64_t heard, bool equal,
                         bool level)
{
    if (heard != w->heard) {
        w->heard = heard;
        if (equal) {
            w->differ_since_ms = -1;
            w->fruitless = 0;
        } else if (w->differ_since_ms < 0) {
            w->differ_since_ms = now_ms;
        }
        w->level_differed = equal || !level ? 0 : w->level_differed + 1;
    }
    if (w->differ_since_ms < 0 || now_ms < w->next_ms)
        return false;
    return w->level_differed >= LEVEL_ROOTS || now_ms - w->differ_since_ms >= SUP_REPAIR_UNLEVEL_MS;
}

void sup_repair_when_done(struct sup_repair_when *w, int64_t now_ms, enum sup_repair_outcome o,
                          struct sup_rng *rng)
{
    int64_t wait = SUP_REPAIR_EVERY_MIN_MS +
                   (int64_t)sup_rng_below(rng, SUP_REPAIR_EVERY_MAX_MS - SUP_REPAIR_EVERY_MIN_MS);

    w->level_differed = 0;
    if (o == SUP_REPAIR_REFUSED) {
        w->next_ms = now_ms + BUSY_MS + (int64_t)sup_rng_below(rng, BUSY_MS);
        return;
    }
    w->next_ms = now_ms + (wait << w->fruitless);
    if (o == SUP_REPAIR_NEWS)
        w->fruitless = 0;
    else if (w->fruitless < SUP_REPAIR_DOUBLINGS)
        w->fruitless++;
}
