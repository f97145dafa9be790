#include "service/join_store.h"

#include "base/clock.h"
#include "base/text.h"
#include "service/quarantine.h"
#include "store/meta.h"

#include <stdlib.h>
#include <string.h>

#define STATE_MAX (64U << 10)

static int put_state(struct sup_txn *t, const struct sup_join_state *s, struct sup_err *err)
{
    struct sup_buf value;

    sup_buf_init(&value, STATE_MAX);
    sup_join_state_encode(s, &value);
    if (!value.failed)
        sup_txn_put(t, SUP_CF_META, SUP_SLICE_LIT(SUP_META_JOIN), sup_buf_slice(&value));
    int rc = value.failed;
    sup_buf_fini(&value);
    return rc == SUP_OK ? rc : sup_err_set(err, rc, "the state of joining is too large");
}

static int decode_state(int rc, struct sup_buf *value, struct sup_join_state *out,
                        struct sup_err *err)
{
    if (rc == SUP_OK)
        rc = sup_join_state_decode(sup_buf_slice(value), out, err);
    sup_buf_fini(value);
    return rc;
}

/* SUP_ENOTFOUND: there is none. */
static int get_state(struct sup_txn *t, struct sup_join_state *out, struct sup_err *err)
{
    struct sup_buf value;

    sup_buf_init(&value, STATE_MAX);
    return decode_state(sup_txn_get(t, SUP_CF_META, SUP_SLICE_LIT(SUP_META_JOIN), &value), &value,
                        out, err);
}

/* What is committed; likewise. */
static int get_committed(struct sup_store *store, struct sup_join_state *out, struct sup_err *err)
{
    struct sup_buf value;
    int rc;

    sup_buf_init(&value, STATE_MAX);
    rc = sup_store_get(store, NULL, SUP_CF_META, SUP_SLICE_LIT(SUP_META_JOIN), &value, err);
    return decode_state(rc, &value, out, err);
}

static bool has_records(struct sup_store *store)
{
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(store, NULL, SUP_CF_RECORDS, open, open);
    bool any = it && sup_iter_valid(it);

    if (it)
        sup_iter_free(it);
    return any;
}

int sup_join_store_first(struct sup_apply *a, struct sup_store *store, struct sup_join_state *out,
                         enum sup_join_phase *phase, bool *unsaid, struct sup_err *err)
{
    struct sup_vv vv;
    uint64_t ready = 0;
    int rc = sup_meta_get_u64(store, NULL, SUP_META_READY, &ready, err);

    memset(out, 0, sizeof(*out));
    *phase = SUP_JOIN_READY;
    *unsaid = false;
    if (rc != SUP_ENOTFOUND)
        return rc;
    rc = get_committed(store, out, err);
    if (rc == SUP_OK)
        *phase = out->phase;
    if (rc != SUP_ENOTFOUND)
        return rc;
    sup_apply_vv(a, &vv);
    if (vv.n == 0 && !has_records(store))
        *phase = SUP_JOIN_NEW;
    *unsaid = true;
    return SUP_OK;
}

int sup_join_store_phase(struct sup_txn *t, enum sup_join_phase phase, const char *donor,
                         struct sup_err *err)
{
    struct sup_join_state *s = calloc(1, sizeof(*s));
    int rc = s ? get_state(t, s, err) : sup_err_set(err, SUP_ENOMEM, "out of memory");

    if (rc == SUP_ENOTFOUND) {
        s->began_ms = sup_wall_ms();
        rc = SUP_OK;
    }
    if (rc == SUP_OK && phase == SUP_JOIN_READY) {
        sup_meta_put_u64(t, SUP_META_READY, 1);
        sup_txn_delete(t, SUP_CF_META, SUP_SLICE_LIT(SUP_META_JOIN));
    } else if (rc == SUP_OK && (phase != SUP_JOIN_ALONE || s->phase == SUP_JOIN_NEW)) {
        s->phase = phase;
        if (donor)
            sup_text_copy(s->donor, sizeof(s->donor), donor);
        rc = put_state(t, s, err);
    }
    free(s);
    return rc;
}

/* A chunk whose predecessor was not committed would leave a hole. */
static int check_fit(const struct sup_joining_part *p, struct sup_txn *t, struct sup_err *err)
{
    struct sup_join_state *s = calloc(1, sizeof(*s));
    int rc = s ? get_state(t, s, err) : sup_err_set(err, SUP_ENOMEM, "out of memory");

    if (rc == SUP_OK &&
        (s->bytes != p->before_bytes ||
         !sup_slice_eq(sup_slice_of(s->after, s->after_n), sup_slice_of(p->before, p->before_n))))
        rc = sup_err_set(err, SUP_EAGAIN, "what came before it was not applied");
    free(s);
    return rc;
}

/* Beyond the quarantine's end the part fails, as a message of the log does (service/quarantine.h),
 * and the donor is left alone for a while: one whose clock is wrong must not fill the disk. */
static int check_quarantine(struct sup_apply *a, enum sup_remote outcome, bool *looked,
                            struct sup_err *err)
{
    if (outcome != SUP_REMOTE_QUARANTINED || *looked)
        return SUP_OK;
    *looked = true;
    return sup_quarantine_is_full(a) ? sup_quarantine_refuse(err) : SUP_OK;
}

static int put_quarantined(struct sup_apply *a, struct sup_txn *t, const struct sup_repair_entry *e,
                           enum sup_remote *outcome, struct sup_err *err)
{
    enum sup_class cls = SUP_CLASS_BOUNCE;
    struct sup_register reg;
    int rc = sup_register_decode(e->encoded, &reg, &cls, err);

    *outcome = SUP_REMOTE_DUPLICATE;
    return rc == SUP_OK ? sup_apply_repaired(a, t, e->key, cls, e->encoded, outcome, err) : rc;
}

int sup_join_store_part(struct sup_apply *a, struct sup_txn *t, const struct sup_joining_part *part,
                        const struct sup_snapshot_chunk *chunk, struct sup_err *err)
{
    enum sup_remote outcome;
    bool looked = false;
    int rc = check_fit(part, t, err);

    for (size_t i = 0; rc == SUP_OK && i < chunk->n_quarantined; i++) {
        rc = put_quarantined(a, t, &chunk->quarantined[i], &outcome, err);
        if (rc == SUP_OK)
            rc = check_quarantine(a, outcome, &looked, err);
    }
    for (size_t i = 0; rc == SUP_OK && i < chunk->n; i++) {
        const struct sup_snapshot_record *r = &chunk->records[i];
        rc = sup_apply_joined(a, t, r->key, r->decisions, r->n, &outcome, err);
        if (rc == SUP_OK)
            rc = check_quarantine(a, outcome, &looked, err);
    }
    if (rc == SUP_OK && chunk->last)
        rc = sup_apply_adopt_vv(a, t, &part->state.vv, err);
    return rc == SUP_OK ? put_state(t, &part->state, err) : rc;
}
