#ifndef SUP_SERVICE_RECONCILE_SAVED_H
#define SUP_SERVICE_RECONCILE_SAVED_H

#include "service/reconcile_internal.h"

/* The steps that a dry run stored, read in the order of the walk. */
struct sup_saved_plan;

enum sup_saved_match {
    SUP_SAVED_OTHER, /* the plan does not name the address */
    SUP_SAVED_SAME,
    SUP_SAVED_DONE, /* a put or delete that the list has no need of any more */
    SUP_SAVED_MOVED
};

int sup_saved_plan_open(struct sup_reconciler *rc, struct sup_saved_plan **out,
                        struct sup_err *err);
/* What of the plan holds for the address. The walk must ask in order. *expected is for
 * sup_plan_digest. */
enum sup_saved_match sup_saved_plan_match(struct sup_saved_plan *p,
                                          const struct sup_walk_address *w,
                                          const struct sup_reconcile_plan *now, uint64_t *expected);
/* Addresses passed over, or left, that the walk did not come by; the first one moved. */
uint64_t sup_saved_plan_moved(struct sup_saved_plan *p, const char **first);
/* NULL is fine. */
void sup_saved_plan_free(struct sup_saved_plan *p);
/* Of the steps that do something; 0: there are none. */
uint64_t sup_plan_digest(const struct sup_reconcile_plan *p);

#endif
