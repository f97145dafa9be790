#include "model/hlc.h"

/* How far ahead of use the bound is persisted. Larger means fewer extra writes, and a jump of that
 * size at most in the times issued after a restart. */
#define RESERVE_AHEAD_MS 2000
/* Renew when less than this is left, so that a batch never has to wait for it. */
#define RESERVE_LOW_MS 1000

#define MAX_MS ((int64_t)((1ULL << (64 - SUP_HLC_COUNTER_BITS)) - 1))

sup_hlc_time sup_hlc_from_ms(int64_t wall_ms)
{
    if (wall_ms < 0)
        return 0;
    if (wall_ms > MAX_MS)
        wall_ms = MAX_MS;
    return (sup_hlc_time)wall_ms << SUP_HLC_COUNTER_BITS;
}

int64_t sup_hlc_ms(sup_hlc_time t)
{
    return (int64_t)(t >> SUP_HLC_COUNTER_BITS);
}

void sup_hlc_init(struct sup_hlc *h, sup_hlc_time reserved)
{
    h->last = reserved;
    h->reserved = reserved;
}

static sup_hlc_time next_time(const struct sup_hlc *h, int64_t wall_ms)
{
    sup_hlc_time wall = sup_hlc_from_ms(wall_ms);
    if (wall > h->last)
        return wall;
    /* One number: a full counter carries into the milliseconds by itself. */
    return h->last == SUP_HLC_MAX ? SUP_HLC_MAX : h->last + 1;
}

bool sup_hlc_needs_reserve(const struct sup_hlc *h, int64_t wall_ms, sup_hlc_time *reserve)
{
    sup_hlc_time next = next_time(h, wall_ms);
    sup_hlc_time low = (sup_hlc_time)RESERVE_LOW_MS << SUP_HLC_COUNTER_BITS;
    sup_hlc_time ahead = (sup_hlc_time)RESERVE_AHEAD_MS << SUP_HLC_COUNTER_BITS;

    if (next < h->reserved && h->reserved - next > low)
        return false;
    *reserve = next > SUP_HLC_MAX - ahead ? SUP_HLC_MAX : next + ahead;
    return true;
}

void sup_hlc_reserved(struct sup_hlc *h, sup_hlc_time reserve)
{
    if (reserve > h->reserved)
        h->reserved = reserve;
}

sup_hlc_time sup_hlc_now(struct sup_hlc *h, int64_t wall_ms)
{
    h->last = next_time(h, wall_ms);
    return h->last;
}

bool sup_hlc_merge(struct sup_hlc *h, sup_hlc_time remote, int64_t wall_ms, int64_t max_drift_ms)
{
    if (sup_hlc_ms(remote) - wall_ms > max_drift_ms)
        return false;
    if (remote > h->last)
        h->last = remote;
    return true;
}
