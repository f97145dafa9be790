#include "model/hlc.h"

/* How far ahead of the wall clock the bound is persisted: once in so long is an extra write needed,
 * and so far at most does a restart put the clock ahead. */
#define RESERVE_AHEAD_MS 2000
/* When the clock is ahead of the wall by more than that (restarts in quick succession, a wall clock
 * set back), it is the least that is reserved: bounds that grew by the full measure from each other
 * would let every restart push the clock further, until peers quarantine what this node says. */
#define RESERVE_MIN_MS 64
/* Renew when less than this is left: 2 million times, more than a batch issues. */
#define RESERVE_LOW_MS 32

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
    sup_hlc_time least = (sup_hlc_time)RESERVE_MIN_MS << SUP_HLC_COUNTER_BITS;
    sup_hlc_time ahead = (sup_hlc_time)RESERVE_AHEAD_MS << SUP_HLC_COUNTER_BITS;
    sup_hlc_time wall = sup_hlc_from_ms(wall_ms);

    if (next < h->reserved && h->reserved - next > low)
        return false;
    least = next > SUP_HLC_MAX - least ? SUP_HLC_MAX : next + least;
    ahead = wall > SUP_HLC_MAX - ahead ? SUP_HLC_MAX : wall + ahead;
    *reserve = least > ahead ? least : ahead;
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
    int64_t limit;

    /* A limit past the end of time lets everything through. */
    if (__builtin_add_overflow(wall_ms, max_drift_ms, &limit))
        limit = max_drift_ms > 0 ? INT64_MAX : INT64_MIN;
    if (sup_hlc_ms(remote) > limit)
        return false;
    if (remote > h->last)
        h->last = remote;
    return true;
}
