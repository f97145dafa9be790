#ifndef SUP_CORE_CLASSIFY_RULES_H
#define SUP_CORE_CLASSIFY_RULES_H

#include "core/classify.h"

/* What a row says of an event; recipients may still fare differently (classify.c). */
struct sup_classify_rule {
    const char *name;
    const char *type;     /* bounceType or complaintFeedbackType; NULL: any */
    const char *sub_type; /* bounceSubType or complaintSubType; NULL: any; '*' stands for any run */
    enum sup_verdict_kind kind;
    enum sup_class cls;
    enum sup_cause cause;
    bool needs_status; /* SOFT: only with a failing status, else the auto-reply of a person away */
};

/* The first row that fits; never NULL. event is a bounce or a complaint. */
const struct sup_classify_rule *sup_classify_rule_for(const struct sup_event *event);

#endif
