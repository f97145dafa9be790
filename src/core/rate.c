#include "core/rate.h"

#include <stdbool.h>

/* Tokens never pile up past this many seconds' worth: SES's limiter would throttle a larger burst.
 */
#define BURST_SECONDS 0.5

/* Where requests go one by one, the one that arrives a little early because the one before it was
 * late on its way would be throttled, and that costs seconds: leave so much of the rate unused. */
#define SINGLE_SHARE 0.98

static double burst(const struct sup_rate *r)
{
    double b = r->rps * BURST_SECONDS;

    return b < 1 ? 1 : b;
}

static bool is_single(const struct sup_rate *r)
{
    return r->rps * BURST_SECONDS <= 1;
}

static double pace(const struct sup_rate *r)
{
    return is_single(r) ? r->rps * SINGLE_SHARE : r->rps;
}

/* Sets the rate, within its bounds. A maximum below the least is meant: it holds. */
static void set(struct sup_rate *r, double rps)
{
    if (rps < SUP_RATE_MIN)
        rps = SUP_RATE_MIN;
    r->rps = rps > r->max_rps ? r->max_rps : rps;
}

void sup_rate_init(struct sup_rate *r, double rps, double max_rps, int64_t now_ms)
{
    r->max_rps = max_rps > SUP_RATE_MAX_MIN ? max_rps : SUP_RATE_MAX_MIN;
    set(r, rps > 0 ? rps : SUP_RATE_START);
    r->tokens = 1;
    r->refill_ms = now_ms;
    r->grow_ms = now_ms;
}

static void refill(struct sup_rate *r, int64_t now_ms)
{
    if (now_ms > r->refill_ms) {
        r->tokens += (double)(now_ms - r->refill_ms) / 1000.0 * pace(r);
        r->refill_ms = now_ms;
    }
    if (r->tokens > burst(r))
        r->tokens = burst(r);
}

int64_t sup_rate_take(struct sup_rate *r, int64_t now_ms)
{
    double wait;

    refill(r, now_ms);
    if (r->tokens >= 1) {
        r->tokens -= 1;
        return 0;
    }
    wait = (1 - r->tokens) / pace(r) * 1000.0;
    return (int64_t)wait + 1;
}

void sup_rate_sent(struct sup_rate *r, int64_t now_ms)
{
    if (is_single(r) && now_ms > r->refill_ms)
        r->refill_ms = now_ms;
}

void sup_rate_success(struct sup_rate *r, int64_t now_ms)
{
    double seconds = (double)(now_ms - r->grow_ms) / 1000.0;

    if (seconds <= 0)
        return;
    refill(r, now_ms);
    /* A request now and then is no evidence that a higher rate would be allowed, nor is an idle
     * hour: only who uses up the rate may raise it (as RFC 7661 says of TCP's window). */
    if (r->tokens >= burst(r))
        return;
    set(r, r->rps + (seconds < 1 ? seconds : 1));
    r->grow_ms = now_ms;
}

void sup_rate_throttled(struct sup_rate *r, int64_t now_ms)
{
    refill(r, now_ms);
    r->tokens = 0;
    if (now_ms < r->grow_ms)
        return;
    set(r, r->rps / 2);
    /* No growth, and no second halving, for the next second. */
    r->grow_ms = now_ms + 1000;
}
