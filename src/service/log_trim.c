#include "service/log_trim.h"

#include "base/log.h"
#include "core/replica.h"
#include "service/apply_txn.h"

/* Entries deleted in one transaction: enough to be cheap, few enough not to hold up the writer. */
#define TRIM_BATCH 4096

static int trim_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    return sup_apply_trim(a, t, arg, TRIM_BATCH, err);
}

void sup_log_trim(struct sup_apply *a, const struct sup_vv *upto, struct sup_stop *stop)
{
    for (size_t i = 0; i < upto->n; i++) {
        struct sup_apply_trim one = {
            .incarnation = upto->e[i].incarnation, .upto = upto->e[i].seq, .more = true};
        struct sup_err err = {0};
        while (one.more && !sup_stop_is_set(stop)) {
            if (sup_apply_run(a, trim_run, &one, &err) == SUP_OK)
                continue;
            sup_log_warn("replicate", "cannot trim the log", SUP_S("error", err.msg));
            return;
        }
    }
}

void sup_log_trim_alone(struct sup_apply *a, uint64_t max_bytes, struct sup_stop *stop)
{
    struct sup_vv vv;
    struct sup_vv floor;

    if (sup_apply_log_bytes(a) <= max_bytes)
        return;
    sup_apply_vv(a, &vv);
    sup_apply_floor(a, &floor);
    for (size_t i = 0; i < vv.n; i++)
        vv.e[i].seq = sup_replica_older_half(sup_vv_get(&floor, vv.e[i].incarnation), vv.e[i].seq);
    sup_log_trim(a, &vv, stop);
}
