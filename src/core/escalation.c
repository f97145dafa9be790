#include "core/escalation.h"

#include <string.h>
#include <strings.h>

#define HOUR_MS ((int64_t)3600 * 1000)

void sup_escalation_init(struct sup_escalation *e)
{
    *e = (struct sup_escalation){.delivered_ms = INT64_MIN};
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

void sup_escalation_bounced(struct sup_escalation *e, int64_t time_ms, uint8_t weight)
{
    size_t at = e->n;

    while (at > 0 && e->time_ms[at - 1] > time_ms)
        at--;
    if (e->n == SUP_ESCALATION_KEPT) {
        if (at == 0)
            return; /* older than all that are kept */
        memmove(e->time_ms, e->time_ms + 1, (SUP_ESCALATION_KEPT - 1) * sizeof(e->time_ms[0]));
        memmove(e->weight, e->weight + 1, SUP_ESCALATION_KEPT - 1);
        e->n--;
        at--;
    }
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

bool sup_escalation_due(const struct sup_escalation *e, const struct sup_escalation_policy *p,
                        const char **why)
{
    unsigned since = 0, within = 0;

    for (size_t i = 0; i < e->n; i++) {
        if (e->time_ms[i] <= e->delivered_ms)
            continue;
        since += e->weight[i];
        if (e->time_ms[e->n - 1] - e->time_ms[i] < p->window_ms)
            within += e->weight[i];
    }
    bool a = p->consecutive > 0 && since >= p->consecutive * SUP_ESCALATION_ONE;
    bool b = p->count > 0 && within >= p->count * SUP_ESCALATION_ONE;
    if (why != NULL)
        *why = a ? "consecutive" : "window";
    return a || b;
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
