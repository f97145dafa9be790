#include "core/budget.h"

#define DAY_MS ((int64_t)24 * 3600 * 1000)
/* A plan that takes longer is hopeless anyway, and milliseconds have an end. */
#define DAYS_MAX 36500

static uint64_t routine(const struct sup_budget *b)
{
    return b->per_day - b->per_day / 10;
}

/* A clock that is set back a little, over midnight, does not give a second budget; one that was
 * years ahead and was mended does not take it away for years. */
static void roll(struct sup_budget *b, int64_t wall_ms)
{
    int64_t day = wall_ms / DAY_MS;

    if (day > b->day || day < b->day - 1) {
        b->day = day;
        b->used = 0;
    }
}

uint64_t sup_budget_left(struct sup_budget *b, bool urgent, int64_t wall_ms)
{
    uint64_t max = urgent ? b->per_day : routine(b);

    roll(b, wall_ms);
    if (b->per_day == 0)
        return UINT64_MAX;
    return max > b->used ? max - b->used : 0;
}

static int64_t to_midnight(int64_t wall_ms)
{
    return DAY_MS - wall_ms % DAY_MS;
}

int64_t sup_budget_take(struct sup_budget *b, bool urgent, int64_t wall_ms)
{
    if (sup_budget_left(b, urgent, wall_ms) == 0)
        return to_midnight(wall_ms);
    b->used++;
    return 0;
}

void sup_budget_spend(struct sup_budget *b, uint64_t n, int64_t wall_ms)
{
    roll(b, wall_ms);
    b->used = b->used > UINT64_MAX - n ? UINT64_MAX : b->used + n;
}

static int64_t at_rate(uint64_t calls, double rps)
{
    double ms = (double)calls * 1000.0 / rps;

    return ms < (double)DAY_MS * DAYS_MAX ? (int64_t)ms : DAY_MS * DAYS_MAX;
}

int64_t sup_budget_spread_ms(struct sup_budget *b, uint64_t calls, uint64_t others_a_day,
                             double rps, int64_t wall_ms)
{
    uint64_t today = sup_budget_left(b, false, wall_ms);
    double part = (double)to_midnight(wall_ms) / (double)DAY_MS;
    uint64_t others = (uint64_t)((double)others_a_day * part);
    uint64_t a_day = routine(b) > others_a_day ? routine(b) - others_a_day : 1;
    uint64_t days;
    int64_t last_ms;

    today = today > others ? today - others : 0;
    if (b->per_day == 0 || calls <= today)
        return at_rate(calls, rps);
    calls -= today;
    days = (calls - 1) / a_day;
    if (days > DAYS_MAX)
        days = DAYS_MAX;
    last_ms = at_rate(calls - days * a_day, rps);
    return to_midnight(wall_ms) + (int64_t)days * DAY_MS + (last_ms < DAY_MS ? last_ms : DAY_MS);
}
