#include "core/outbox_plan.h"

#include "base/text.h"

#include <stdio.h>

static void step(struct sup_outbox_plan *out, enum sup_outbox_step what, const char *spelling)
{
    out->step = what;
    sup_text_copy(out->spelling, sizeof(out->spelling), spelling);
}

static void plan_cleared(const struct sup_ses_entry *e, struct sup_outbox_plan *out)
{
    for (size_t i = 0; i < e->n_spellings; i++) {
        if (e->spellings[i].present || e->spellings[i].unverified) {
            step(out, SUP_OUTBOX_DELETE, e->spellings[i].spelling);
            return;
        }
    }
}

/* A listed spelling that does the job, or failing that any listed one; NULL if none is listed. */
static const struct sup_ses_spelling *listed(const struct sup_ses_entry *e, enum sup_reason desired)
{
    const struct sup_ses_spelling *any = NULL;

    for (size_t i = 0; i < e->n_spellings; i++) {
        const struct sup_ses_spelling *s = &e->spellings[i];
        if (!s->present)
            continue;
        if (s->reason == desired || s->reason == SUP_REASON_COMPLAINT)
            return s;
        any = s;
    }
    return any;
}

void sup_outbox_plan(struct sup_slice key, enum sup_reason desired, const struct sup_ses_entry *e,
                     struct sup_outbox_plan *out)
{
    const struct sup_ses_spelling *on_list;
    const struct sup_ses_spelling *noted = NULL;

    *out = (struct sup_outbox_plan){.step = SUP_OUTBOX_DONE, .reason = desired};
    if (desired == SUP_REASON_NONE) {
        plan_cleared(e, out);
        return;
    }
    on_list = listed(e, desired);
    if (on_list) {
        if (on_list->reason != desired && on_list->reason != SUP_REASON_COMPLAINT)
            step(out, SUP_OUTBOX_PUT, on_list->spelling);
        return;
    }
    for (size_t i = 0; i < e->n_spellings; i++) {
        const struct sup_ses_spelling *s = &e->spellings[i];
        if (s->unverified) {
            step(out, SUP_OUTBOX_GET, s->spelling);
            return;
        }
        if (s->noted_ms > 0 && (!noted || s->noted_ms > noted->noted_ms))
            noted = s;
    }
    if (noted) {
        step(out, SUP_OUTBOX_PUT, noted->spelling);
        return;
    }
    out->step = SUP_OUTBOX_PUT;
    snprintf(out->spelling, sizeof(out->spelling), "%.*s", (int)key.n, (const char *)key.p);
}
