#include "core/escalation.h"

#include <string.h>
#include <strings.h>

#define HOUR_MS ((int64_t)3600 * 1000)

void sup_escalation_init(struct sup_escalation *e)
{
    *e = (struct sup_escalation){.delivered_ms = INT64_MIN, .escalated_ms = INT64_MIN};
}

uint8_t sup_escalation_weight(struct sup_slice sub_type, const char *rule)
{
    static const struct {
        const char *sub_type;
        uint8_t weight;
    } weights[] = {
        {"Transient/MessageTooLarge", 0},
        {"Transient/ContentRejected", 0},
        {"Transient/AttachmentRejected", 0},
        {"Transient/CustomTimeoutExceeded", SUP_ESCALATION_ONE / 2},
        {"Undetermined/Undetermined", SUP_ESCALATION_ONE / 2},
    };

    /* Not final: SES goes on trying. */
    if (strcmp(rule, "recipient-delayed") == 0 || strcmp(rule, "recipient-action-unknown") == 0)
        return 0;
    for (size_t i = 0; i < sizeof(weights) / sizeof(weights[0]); i++)
        if (sub_type.n == strlen(weights[i].sub_type) &&
            strncasecmp((const char *)sub_type.p, weights[i].sub_type, sub_type.n) == 0)
            return weights[i].weight;
    return SUP_ESCALATION_ONE;
}

static void forget(struct sup_escalation *e, size_t i)
{
    e->n--;
    memmove(e->time_ms + i, e->time_ms + i + 1, (e->n - i) * sizeof(e->time_ms[0]));
    memmove(e->weight + i, e->weight + i + 1, e->n - i);
}

/* False: the new one is itself what room would be made of. What is kept is the same in whatever
 * order they came. */
static bool make_room(struct sup_escalation *e, int64_t time_ms, uint8_t weight)
{
    size_t i = 0;

    if (e->n < SUP_ESCALATION_KEPT)
        return true;
    while (i < e->n && e->weight[i] > 0)
        i++;
    bool all_weigh = i == e->n;
    if (all_weigh)
        i = 0;
    if ((all_weigh && weight == 0) || ((weight == 0) != all_weigh && time_ms < e->time_ms[i]))
        return false;
    forget(e, i);
    return true;
}

void sup_escalation_bounced(struct sup_escalation *e, int64_t time_ms, uint8_t weight)
{
    if (!make_room(e, time_ms, weight))
        return;
    size_t at = e->n;
    while (at > 0 && e->time_ms[at - 1] > time_ms)
        at--;
    memmove(e->time_ms + at + 1, e->time_ms + at, (e->n - at) * sizeof(e->time_ms[0]));
    memmove(e->weight + at + 1, e->weight + at, e->n - at);
    e->time_ms[at] = time_ms;
    e->weight[at] = weight;
    e->n++;
}

void sup_escalation_delivered(struct sup_escalation *e, int64_t time_ms)
{
    if (time_ms > e->delivered_ms)
        e->delivered_ms = time_ms;
}

static bool counts(const struct sup_escalation *e, size_t i)
{
    return e->time_ms[i] > e->delivered_ms && e->time_ms[i] > e->escalated_ms;
}

/* What weighs within the window that ends with soft bounce `last`. */
static unsigned weigh(const struct sup_escalation *e, size_t last, int64_t window_ms)
{
    unsigned sum = 0;

    for (size_t i = 0; i <= last; i++)
        if (counts(e, i) && e->time_ms[last] - e->time_ms[i] < window_ms)
            sum += e->weight[i];
    return sum;
}

bool sup_escalation_due(const struct sup_escalation *e, const struct sup_escalation_policy *p,
                        const char **why)
{
    unsigned since = 0, within = 0;

    for (size_t i = 0; i < e->n; i++) {
        if (!counts(e, i))
            continue;
        since += e->weight[i];
        unsigned here = weigh(e, i, p->window_ms);
        within = here > within ? here : within;
    }
    bool a = p->consecutive > 0 && since >= p->consecutive * SUP_ESCALATION_ONE;
    bool b = p->count > 0 && within >= p->count * SUP_ESCALATION_ONE;
    if (why != NULL)
        *why = a ? "consecutive" : "window";
    return a || b;
}

void sup_escalation_followed(struct sup_escalation *e)
{
    if (e->n > 0 && e->time_ms[e->n - 1] > e->escalated_ms)
        e->escalated_ms = e->time_ms[e->n - 1];
}

unsigned sup_escalation_since(const struct sup_escalation *e)
{
    unsigned n = 0;

    for (size_t i = 0; i < e->n; i++)
        n += e->time_ms[i] > e->delivered_ms;
    return n;
}

int64_t sup_soft_backoff_ms(unsigned bounces)
{
    static const int64_t hours[] = {1, 1, 4, 24};

    return (bounces < 4 ? hours[bounces] : 72) * HOUR_MS;
}
