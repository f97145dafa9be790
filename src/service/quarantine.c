#include "service/quarantine.h"

#include "service/apply_txn.h"

bool sup_quarantine_is_full(struct sup_apply *a)
{
    const struct sup_slice open = {NULL, 0};
    struct sup_store *store = sup_apply_store(a);
    size_t n = sup_apply_quarantined(a);

    /* The estimate counts what was written twice as two, so it only says when to look. */
    if (n + sup_store_estimate_keys(store, SUP_CF_QUARANTINE) < SUP_QUARANTINE_MAX)
        return false;
    struct sup_iter *it = sup_iter_new(store, NULL, SUP_CF_QUARANTINE, open, open);
    for (; it && n < SUP_QUARANTINE_MAX && sup_iter_valid(it); sup_iter_next(it))
        n++;
    sup_iter_free(it);
    return n >= SUP_QUARANTINE_MAX;
}

int sup_quarantine_refuse(struct sup_err *err)
{
    return sup_err_set(err, SUP_ELIMIT,
                       "%d decisions from the future are quarantined already: a peer's clock is "
                       "wrong",
                       SUP_QUARANTINE_MAX);
}
