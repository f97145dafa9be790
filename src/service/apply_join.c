/* What a snapshot brings: records by the hundred thousand, nearly all of them new. Merged as
 * everything else is, but a record at a time and without what only matters to a node that already
 * keeps a list. */
#include "service/apply_internal.h"

#include <string.h>

struct joined {
    struct sup_apply *a;
    struct sup_txn *t;
    struct sup_slice key;
    struct sup_record record;
    bool changed;
    bool quarantined;
};

static int merge_one(struct joined *j, struct sup_slice encoded, struct sup_err *err)
{
    struct sup_apply *a = j->a;
    struct sup_log_entry e = {.key = j->key, .encoded = encoded};
    struct sup_register reg;
    struct sup_register before;
    enum sup_merge merge;
    int rc = sup_register_decode(encoded, &reg, &e.cls, err);

    if (rc == SUP_OK)
        rc = sup_apply_check(&e, &reg, err);
    if (rc != SUP_OK)
        return rc;
    if (!sup_hlc_merge(&a->now.hlc, reg.time, a->batch_ms, a->opts.max_clock_drift_ms)) {
        j->quarantined = true;
        return sup_apply_quarantine(a, j->t, &e, &reg, err);
    }
    before = j->record.registers.r[e.cls - 1];
    merge = sup_register_merge(&j->record.registers.r[e.cls - 1], &reg);
    rc = sup_apply_audit(a, j->t, j->key, e.cls, merge, &before, &reg, err);
    if (rc != SUP_OK)
        return rc;
    if (merge != SUP_MERGE_INSERTED && merge != SUP_MERGE_REPLACED)
        return SUP_OK;
    sup_apply_put_expiry(j->t, j->key, &reg);
    j->changed = true;
    return SUP_OK;
}

int sup_apply_joined(struct sup_apply *a, struct sup_txn *t, struct sup_slice key,
                     const struct sup_slice *decisions, size_t n, enum sup_remote *out,
                     struct sup_err *err)
{
    struct joined j = {.a = a, .t = t, .key = key};
    struct sup_registers before;
    int rc;

    sup_mem_reset(a->mem);
    rc = sup_apply_record(a, t, key, a->mem, &j.record, err);
    if (rc == SUP_ENOTFOUND)
        memset(&j.record, 0, sizeof(j.record));
    else if (rc != SUP_OK)
        return rc;
    before = j.record.registers;
    rc = SUP_OK;
    for (size_t i = 0; rc == SUP_OK && i < n; i++)
        rc = merge_one(&j, decisions[i], err);
    if (rc == SUP_OK && j.changed)
        rc = sup_apply_put_record(a, t, key, &j.record, err);
    if (rc == SUP_OK && j.changed)
        rc = sup_apply_note_change(a, key, &before, &j.record.registers, err);
    *out = j.quarantined ? SUP_REMOTE_QUARANTINED
           : j.changed   ? SUP_REMOTE_APPLIED
                         : SUP_REMOTE_DUPLICATE;
    return rc;
}
