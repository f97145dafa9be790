/* The three streams of a reconciliation as they lie in the store, joined over one snapshot.
 *
 * Desired is walked by the audit trail, which has every address in order (see list.c); known and
 * listed are ordered by address themselves. */
#include "codec/keys.h"
#include "core/reconcile_join.h"
#include "service/reconcile_internal.h"

#include <stdlib.h>
#include <string.h>

#define VALUE_MAX (1U << 20)
/* Most addresses have few decisions: going on is cheaper than to seek. */
#define NEAR 4

struct walk {
    struct sup_reconciler *rc;
    struct sup_snapshot *snap;
    struct sup_iter *desired;
    struct sup_iter *known;
    struct sup_iter *listed;
    struct sup_mem *mem;
    struct sup_buf value;

    /* the group of scan entries of one address */
    bool has_group;
    uint8_t group_key[SUP_KEY_MAX];
    size_t group_key_n;
    struct sup_listed group[SUP_SPELLINGS_MAX];
    char spellings[SUP_SPELLINGS_MAX][SUP_ADDRESS_MAX + 1];
    size_t n_group;

    struct sup_record record;
    struct sup_ses_entry entry;
    int (*visit)(void *arg, const struct sup_walk_address *w, struct sup_err *err);
    void *arg;
};

/* The part of a key in front of its first NUL. */
static struct sup_slice front_of(struct sup_slice key)
{
    const uint8_t *nul = key.n > 0 ? memchr(key.p, 0, key.n) : NULL;

    return nul ? sup_slice_of(key.p, (size_t)(nul - key.p)) : key;
}

static bool desired_key(void *arg, struct sup_slice *key)
{
    struct walk *w = arg;

    if (!sup_iter_valid(w->desired))
        return false;
    *key = front_of(sup_iter_key(w->desired));
    return true;
}

static int desired_next(void *arg, struct sup_err *err)
{
    struct walk *w = arg;
    struct sup_slice address = front_of(sup_iter_key(w->desired));
    struct sup_key end;

    if (address.n > SUP_ADDRESS_MAX)
        return sup_err_set(err, SUP_ECORRUPT, "damaged key in the audit trail");
    sup_key_audit_end(&end, address);
    for (int i = 0; i < NEAR; i++) {
        sup_iter_next(w->desired);
        if (!sup_iter_valid(w->desired) ||
            sup_slice_cmp(sup_iter_key(w->desired), sup_key_slice(&end)) >= 0)
            return SUP_OK;
    }
    sup_iter_seek(w->desired, sup_key_slice(&end));
    return SUP_OK;
}

static bool known_key(void *arg, struct sup_slice *key)
{
    struct walk *w = arg;

    if (!sup_iter_valid(w->known))
        return false;
    *key = sup_iter_key(w->known);
    return true;
}

static int known_next(void *arg, struct sup_err *err)
{
    struct walk *w = arg;

    (void)err;
    sup_iter_next(w->known);
    return SUP_OK;
}

static bool listed_key(void *arg, struct sup_slice *key)
{
    struct walk *w = arg;

    *key = sup_slice_of(w->group_key, w->group_key_n);
    return w->has_group;
}

static int take_listed(struct walk *w, struct sup_slice spelling, struct sup_err *err)
{
    struct sup_scan_entry e;
    int rc = sup_scan_entry_decode(sup_iter_value(w->listed), &e, err);

    if (rc != SUP_OK || w->n_group == SUP_SPELLINGS_MAX)
        return rc;
    if (spelling.n > SUP_ADDRESS_MAX)
        return sup_err_set(err, SUP_ECORRUPT, "damaged key in the scan");
    memcpy(w->spellings[w->n_group], spelling.p, spelling.n);
    w->spellings[w->n_group][spelling.n] = '\0';
    w->group[w->n_group] = (struct sup_listed){.spelling = w->spellings[w->n_group],
                                               .reason = e.reason,
                                               .last_update_ms = e.last_update_ms};
    w->n_group++;
    return SUP_OK;
}

/* Gathers the next address's entries. */
static int listed_next(void *arg, struct sup_err *err)
{
    struct walk *w = arg;
    int rc = SUP_OK;

    w->n_group = 0;
    w->has_group = sup_iter_valid(w->listed);
    if (!w->has_group)
        return SUP_OK;
    struct sup_slice key = front_of(sup_iter_key(w->listed));
    if (key.n > sizeof(w->group_key))
        return sup_err_set(err, SUP_ECORRUPT, "damaged key in the scan");
    memcpy(w->group_key, key.p, key.n);
    w->group_key_n = key.n;
    for (; rc == SUP_OK && sup_iter_valid(w->listed); sup_iter_next(w->listed)) {
        struct sup_slice whole = sup_iter_key(w->listed);
        key = front_of(whole);
        if (!sup_slice_eq(key, sup_slice_of(w->group_key, w->group_key_n)))
            break;
        if (key.n < whole.n)
            rc = take_listed(w, sup_slice_of(whole.p + key.n + 1, whole.n - key.n - 1), err);
    }
    return rc;
}

/* *found: the address has a record. */
static int read_record(struct walk *w, struct sup_slice key, bool *found, struct sup_err *err)
{
    struct sup_key k;
    int rc;

    sup_key_record(&k, sup_apply_hash(w->rc->opts.apply), key);
    rc = sup_store_get(w->rc->opts.store, w->snap, SUP_CF_RECORDS, sup_key_slice(&k), &w->value,
                       err);
    *found = rc == SUP_OK;
    if (rc != SUP_OK)
        return rc == SUP_ENOTFOUND ? SUP_OK : rc;
    sup_mem_reset(w->mem);
    return sup_record_decode(sup_buf_slice(&w->value), w->mem, &w->record, err);
}

static int visit(void *arg, struct sup_slice key, const bool at[SUP_N_STREAMS], struct sup_err *err)
{
    struct walk *w = arg;
    struct sup_walk_address x = {.a.key = key};
    bool found = false;
    int rc = SUP_OK;

    if (sup_stop_is_set(&w->rc->stop))
        return SUP_ECLOSED;
    if (at[SUP_STREAM_DESIRED])
        rc = read_record(w, key, &found, err);
    if (rc == SUP_OK && at[SUP_STREAM_KNOWN])
        rc = sup_ses_entry_decode(sup_iter_value(w->known), &w->entry, err);
    if (rc != SUP_OK)
        return rc;
    x.a.registers = found ? &w->record.registers : NULL;
    x.a.known = at[SUP_STREAM_KNOWN] ? &w->entry : NULL;
    x.a.listed = w->group;
    x.a.n_listed = at[SUP_STREAM_LISTED] ? w->n_group : 0;
    if (at[SUP_STREAM_LISTED])
        x.unmanaged = sup_scan_key_unmanaged(key);
    return w->visit(w->arg, &x, err);
}

static int join(struct walk *w, struct sup_err *err)
{
    const struct sup_stream streams[SUP_N_STREAMS] = {
        [SUP_STREAM_DESIRED] = {desired_key, desired_next, w},
        [SUP_STREAM_KNOWN] = {known_key, known_next, w},
        [SUP_STREAM_LISTED] = {listed_key, listed_next, w},
    };
    int rc = listed_next(w, err);

    if (rc == SUP_OK)
        rc = sup_reconcile_join(streams, visit, w, err);
    if (rc == SUP_OK)
        rc = sup_iter_status(w->desired, err);
    if (rc == SUP_OK)
        rc = sup_iter_status(w->known, err);
    if (rc == SUP_OK)
        rc = sup_iter_status(w->listed, err);
    return rc;
}

int sup_reconcile_walk(struct sup_reconciler *rc,
                       int (*each)(void *arg, const struct sup_walk_address *w,
                                   struct sup_err *err),
                       void *arg, struct sup_err *err)
{
    struct walk *w = calloc(1, sizeof(*w));
    struct sup_store *s = rc->opts.store;
    struct sup_slice open = {NULL, 0};
    int code;

    if (!w)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    w->rc = rc;
    w->visit = each;
    w->arg = arg;
    sup_buf_init(&w->value, VALUE_MAX);
    w->mem = sup_mem_new();
    w->snap = sup_store_snapshot(s);
    w->desired = sup_iter_scan(s, w->snap, SUP_CF_AUDIT, open, open);
    w->known = sup_iter_scan(s, w->snap, SUP_CF_SES, open, open);
    w->listed = sup_iter_scan(s, w->snap, SUP_CF_SCAN, open, open);
    code = w->mem && w->snap && w->desired && w->known && w->listed
               ? join(w, err)
               : sup_err_set(err, SUP_ENOMEM, "out of memory");
    sup_iter_free(w->desired);
    sup_iter_free(w->known);
    sup_iter_free(w->listed);
    sup_snapshot_free(s, w->snap);
    sup_mem_free(w->mem);
    sup_buf_fini(&w->value);
    free(w);
    return code;
}
