#include "model/decision.h"

#include <strings.h>

#include "base/array.h"

static const char *const class_names[] = {"unknown", "bounce", "complaint", "manual"};

const char *sup_class_name(enum sup_class c)
{
    return (size_t)c < SUP_COUNT(class_names) ? class_names[c] : class_names[0];
}

bool sup_class_parse(const char *s, enum sup_class *out)
{
    for (size_t i = 1; i < SUP_COUNT(class_names); i++) {
        if (strcasecmp(s, class_names[i]) == 0) {
            *out = (enum sup_class)i;
            return true;
        }
    }
    return false;
}

const char *sup_cause_name(enum sup_cause c)
{
    static const char *const names[] = {
        [SUP_CAUSE_UNKNOWN] = "unknown",
        [SUP_CAUSE_EVENT] = "event",
        [SUP_CAUSE_GLOBAL_LIST] = "global-list",
        [SUP_CAUSE_NOT_SPAM] = "not-spam",
        [SUP_CAUSE_OPERATOR] = "operator",
        [SUP_CAUSE_ADOPTED] = "adopted",
        [SUP_CAUSE_BACKFILL] = "backfill",
        [SUP_CAUSE_ESCALATION] = "escalation",
        [SUP_CAUSE_IMPORT] = "import",
        [SUP_CAUSE_ADOPTED_FEEDBACK] = "adopted-feedback",
        [SUP_CAUSE_ADOPTED_MANUAL] = "adopted-manual",
    };
    return (size_t)c < SUP_COUNT(names) ? names[c] : names[0];
}

const char *sup_reason_name(enum sup_reason r)
{
    switch (r) {
    case SUP_REASON_BOUNCE:
        return "BOUNCE";
    case SUP_REASON_COMPLAINT:
        return "COMPLAINT";
    case SUP_REASON_NONE:
        break;
    }
    return "";
}

bool sup_register_suppresses(const struct sup_register *r, int64_t now_ms)
{
    if (!r->present || r->state != SUP_SUPPRESSED)
        return false;
    return r->expires_ms == 0 || r->expires_ms > now_ms;
}

enum sup_reason sup_registers_effective(const struct sup_registers *rs, int64_t now_ms,
                                        enum sup_class *which)
{
    static const enum sup_class order[] = {SUP_CLASS_COMPLAINT, SUP_CLASS_BOUNCE, SUP_CLASS_MANUAL};
    enum sup_class newest = SUP_CLASS_BOUNCE;
    sup_hlc_time newest_time = 0;

    for (size_t i = 0; i < SUP_COUNT(order); i++) {
        const struct sup_register *r = &rs->r[order[i] - 1];
        if (sup_register_suppresses(r, now_ms)) {
            if (which)
                *which = order[i];
            return order[i] == SUP_CLASS_COMPLAINT ? SUP_REASON_COMPLAINT : SUP_REASON_BOUNCE;
        }
        if (r->present && r->time >= newest_time) {
            newest = order[i];
            newest_time = r->time;
        }
    }
    if (which)
        *which = newest;
    return SUP_REASON_NONE;
}
