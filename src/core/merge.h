#ifndef SUP_CORE_MERGE_H
#define SUP_CORE_MERGE_H

#include "model/decision.h"

/* The only conflict rule.
 *
 * Decisions of one register are totally ordered: by HLC time; then suppressed over cleared; then by
 * origin node id; then by the bytes of the encoded value. The larger one wins, on every node,
 * whatever the order of arrival: a register is the maximum of all decisions that reached it. That
 * makes the merge commutative, associative and idempotent, so repeats, reordering and crashes are
 * harmless.
 *
 * At equal times suppressed wins because mailing a dead or complaining address costs more than not
 * mailing a good one. */

enum sup_merge {
    SUP_MERGE_EQUAL,    /* the very same decision: nothing to do */
    SUP_MERGE_OLDER,    /* loses against what is there */
    SUP_MERGE_INSERTED, /* the register was empty */
    SUP_MERGE_REPLACED  /* wins against what is there */
};

/* <0, 0, >0. Both must be present. Pure. */
int sup_decision_cmp(const struct sup_register *a, const struct sup_register *b);

/* Merges incoming (present) into *current. For INSERTED and REPLACED *current becomes incoming; its
 * encoded slice is shared, not copied. Pure. */
enum sup_merge sup_register_merge(struct sup_register *current,
                                  const struct sup_register *incoming);

#endif
