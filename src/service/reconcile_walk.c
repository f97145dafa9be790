/* The three streams of a reconciliation as they lie in the store, joined over one snapshot, each
 * read in one sweep that leaves the cache to those who look something up.
 *
 * Desired is the audit trail: it has every decision of every address, ordered by address, and the
 * largest of each class is what the register holds. (Records are ordered by hash: reading them in
 * the order of addresses is a lookup each, all over the disk.) Known and listed are ordered by
 * address themselves. */
#include "codec/audit.h"
#include "core/merge.h"
#include "core/reconcile_join.h"
#include "service/apply_txn.h"
#include "service/reconcile_internal.h"

#include <stdlib.h>
#include <string.h>

/* Keys of entries that earlier scans left, for one transaction that removes them. */
#define STALE_MAX (64U << 10)

/* The address whose entries a stream has gathered, being ahead of it by one entry. */
struct group {
    bool any;
    uint8_t key[SUP_KEY_MAX];
    size_t n;
};

struct walk {
    struct sup_reconciler *rc;
    struct sup_snapshot *snap;
    struct sup_iter *desired;
    struct sup_iter *known;
    struct sup_iter *listed;

    struct group decided;
    struct sup_registers registers;
    bool has_registers; /* else there is no record */

    struct group group;
    struct sup_listed entries[SUP_SPELLINGS_MAX];
    char spellings[SUP_SPELLINGS_MAX][SUP_ADDRESS_MAX + 1];
    size_t n_entries;
    struct sup_buf stale; /* keys, each after its length */

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

/* Begins with the address at which the iterator stands; at its end there is none. */
static int group_begin(struct group *g, const struct sup_iter *it, struct sup_err *err)
{
    struct sup_slice key;

    g->any = sup_iter_valid(it);
    if (!g->any)
        return SUP_OK;
    key = front_of(sup_iter_key(it));
    if (key.n > sizeof(g->key))
        return sup_err_set(err, SUP_ECORRUPT, "damaged key in the store");
    memcpy(g->key, key.p, key.n);
    g->n = key.n;
    return SUP_OK;
}

static bool group_key(const struct group *g, struct sup_slice *key)
{
    *key = sup_slice_of(g->key, g->n);
    return g->any;
}

/* Does the iterator still stand at an entry of the group's address? */
static bool group_goes_on(const struct group *g, const struct sup_iter *it)
{
    return g->any && sup_iter_valid(it) &&
           sup_slice_eq(front_of(sup_iter_key(it)), sup_slice_of(g->key, g->n));
}

static bool desired_key(void *arg, struct sup_slice *key)
{
    return group_key(&((struct walk *)arg)->decided, key);
}

/* Of decisions of one class that share time and origin the largest comes first (codec/audit.h):
 * what is compared by bytes elsewhere does not come up here. */
static int take_decision(struct walk *w, struct sup_err *err)
{
    enum sup_class cls = SUP_CLASS_BOUNCE;
    struct sup_register r;
    int rc;

    if (sup_key_audit_is_mark(sup_iter_key(w->desired)))
        return SUP_OK;
    rc = sup_register_decode(sup_iter_value(w->desired), &r, &cls, err);
    r.encoded = (struct sup_slice){NULL, 0};
    if (rc == SUP_OK)
        (void)sup_register_merge(&w->registers.r[cls - 1], &r);
    w->has_registers = true;
    return rc;
}

static int desired_next(void *arg, struct sup_err *err)
{
    struct walk *w = arg;
    int rc = group_begin(&w->decided, w->desired, err);

    memset(&w->registers, 0, sizeof(w->registers));
    w->has_registers = false;
    for (; rc == SUP_OK && group_goes_on(&w->decided, w->desired); sup_iter_next(w->desired))
        rc = take_decision(w, err);
    return rc;
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
    return group_key(&((struct walk *)arg)->group, key);
}

/* --- what earlier scans left --- */

static int remove_stale(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    const struct walk *w = arg;
    struct sup_cur c = sup_cur_of(sup_buf_slice(&w->stale));

    (void)a;
    (void)err;
    while (c.n > 0 && !c.failed)
        sup_txn_delete(t, SUP_CF_SCAN, sup_cur_take(&c, sup_cur_be16(&c)));
    return SUP_OK;
}

static int sweep(struct walk *w, struct sup_err *err)
{
    int rc = SUP_OK;

    if (w->stale.n > 0)
        rc = sup_apply_run(w->rc->opts.apply, remove_stale, w, err);
    sup_buf_reset(&w->stale);
    return rc;
}

static int note_stale(struct walk *w, struct sup_slice key, struct sup_err *err)
{
    int rc = w->stale.n + 2 + key.n > STALE_MAX ? sweep(w, err) : SUP_OK;

    sup_buf_add_be16(&w->stale, (uint16_t)key.n);
    sup_buf_add_slice(&w->stale, key);
    return rc;
}

/* Takes the entry at which the iterator stands into the group, unless it is stale. */
static int take_listed(struct walk *w, struct sup_err *err)
{
    struct sup_slice key = sup_iter_key(w->listed);
    size_t n = front_of(key).n + 1;
    struct sup_scan_entry e;
    int rc = sup_scan_entry_decode(sup_iter_value(w->listed), &e, err);

    if (rc == SUP_OK && e.scan != w->rc->scan)
        return note_stale(w, key, err);
    if (rc != SUP_OK || n > key.n || w->n_entries == SUP_SPELLINGS_MAX)
        return rc;
    if (key.n - n > SUP_ADDRESS_MAX)
        return sup_err_set(err, SUP_ECORRUPT, "damaged key in the scan");
    memcpy(w->spellings[w->n_entries], key.p + n, key.n - n);
    w->spellings[w->n_entries][key.n - n] = '\0';
    w->entries[w->n_entries] = (struct sup_listed){.spelling = w->spellings[w->n_entries],
                                                   .reason = e.reason,
                                                   .last_update_ms = e.last_update_ms};
    w->n_entries++;
    return SUP_OK;
}

/* Gathers the entries of the next address that has any. */
static int listed_next(void *arg, struct sup_err *err)
{
    struct walk *w = arg;
    int rc;

    w->n_entries = 0;
    do {
        rc = group_begin(&w->group, w->listed, err);
        for (; rc == SUP_OK && group_goes_on(&w->group, w->listed); sup_iter_next(w->listed))
            rc = take_listed(w, err);
    } while (rc == SUP_OK && w->group.any && w->n_entries == 0);
    return rc;
}

/* --- all three --- */

static int visit(void *arg, struct sup_slice key, const bool at[SUP_N_STREAMS], struct sup_err *err)
{
    struct walk *w = arg;
    struct sup_walk_address x = {.a.key = key};
    int rc = SUP_OK;

    if (sup_stop_is_set(&w->rc->stop))
        return SUP_ECLOSED;
    if (at[SUP_STREAM_KNOWN])
        rc = sup_ses_entry_decode(sup_iter_value(w->known), &w->entry, err);
    if (rc != SUP_OK)
        return rc;
    x.a.registers = at[SUP_STREAM_DESIRED] && w->has_registers ? &w->registers : NULL;
    x.a.known = at[SUP_STREAM_KNOWN] ? &w->entry : NULL;
    x.a.listed = w->entries;
    x.a.n_listed = at[SUP_STREAM_LISTED] ? w->n_entries : 0;
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
    int rc = desired_next(w, err);

    if (rc == SUP_OK)
        rc = listed_next(w, err);
    if (rc == SUP_OK)
        rc = sup_reconcile_join(streams, visit, w, err);
    if (rc == SUP_OK)
        rc = sup_iter_status(w->desired, err);
    if (rc == SUP_OK)
        rc = sup_iter_status(w->known, err);
    if (rc == SUP_OK)
        rc = sup_iter_status(w->listed, err);
    return rc == SUP_OK ? sweep(w, err) : rc;
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
    sup_buf_init(&w->stale, 2 * STALE_MAX);
    w->snap = sup_store_snapshot(s);
    w->desired = sup_iter_scan(s, w->snap, SUP_CF_AUDIT, open, open);
    w->known = sup_iter_scan(s, w->snap, SUP_CF_SES, open, open);
    w->listed = sup_iter_scan(s, w->snap, SUP_CF_SCAN, open, open);
    code = w->snap && w->desired && w->known && w->listed
               ? join(w, err)
               : sup_err_set(err, SUP_ENOMEM, "out of memory");
    sup_iter_free(w->desired);
    sup_iter_free(w->known);
    sup_iter_free(w->listed);
    sup_snapshot_free(s, w->snap);
    sup_buf_fini(&w->stale);
    free(w);
    return code;
}
