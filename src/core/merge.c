#include "core/merge.h"

int sup_decision_cmp(const struct sup_register *a, const struct sup_register *b)
{
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    if (a->state != b->state)
        return a->state == SUP_CLEARED ? -1 : 1;
    if (a->origin != b->origin)
        return a->origin < b->origin ? -1 : 1;
    return sup_slice_cmp(a->encoded, b->encoded);
}

enum sup_merge sup_register_merge(struct sup_register *current, const struct sup_register *incoming)
{
    enum sup_merge outcome = SUP_MERGE_INSERTED;

    if (current->present) {
        int order = sup_decision_cmp(incoming, current);
        if (order <= 0)
            return order < 0 ? SUP_MERGE_OLDER : SUP_MERGE_EQUAL;
        outcome = SUP_MERGE_REPLACED;
    }
    *current = *incoming;
    return outcome;
}
