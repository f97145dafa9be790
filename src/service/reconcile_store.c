/* Reports and the fuse in the store, and reading them. */
#include "base/log.h"
#include "service/internal.h"
#include "service/reconcile_internal.h"

#include <stdlib.h>
#include <string.h>

#define VALUE_MAX    (64U << 10)
#define REPORTS_KEPT 200
#define DELETE_MAX   5000 /* keys a transaction */
/* Differences of all reports, and what is left of a report when those are too many. */
#define DIFFERENCES_KEPT 2000000
#define SAMPLE           1000

struct saving {
    enum sup_cf cf;
    struct sup_slice key;
    struct sup_slice value;
};

static int save_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    const struct saving *s = arg;

    (void)a;
    (void)err;
    sup_txn_put(t, s->cf, s->key, s->value);
    return SUP_OK;
}

static int save(struct sup_reconciler *rc, enum sup_cf cf, struct sup_slice key,
                const struct sup_buf *value, struct sup_err *err)
{
    struct saving s = {.cf = cf, .key = key, .value = sup_buf_slice(value)};

    if (value->failed)
        return sup_err_set(err, value->failed, "value is too large");
    return sup_apply_run(rc->opts.apply, save_run, &s, err);
}

int sup_report_save(struct sup_reconciler *rc, const struct sup_report *r, struct sup_err *err)
{
    struct sup_buf value;
    struct sup_report_key k;
    int code;

    sup_buf_init(&value, VALUE_MAX);
    sup_report_encode(r, &value);
    sup_report_key(&k, r->id);
    code = save(rc, SUP_CF_REPORTS, sup_slice_of(k.b, k.n), &value, err);
    sup_buf_fini(&value);
    return code;
}

int sup_fuse_save(struct sup_reconciler *rc, const struct sup_fuse *f, struct sup_err *err)
{
    struct sup_buf value;
    int code;

    sup_buf_init(&value, VALUE_MAX);
    sup_fuse_encode(f, &value);
    code = save(rc, SUP_CF_META, sup_slice_str(SUP_META_FUSE), &value, err);
    sup_buf_fini(&value);
    if (code == SUP_OK) {
        pthread_mutex_lock(&rc->mutex);
        rc->fuse = *f;
        pthread_mutex_unlock(&rc->mutex);
    }
    return code;
}

void sup_fuse_load(struct sup_reconciler *rc)
{
    struct sup_buf value;

    sup_buf_init(&value, VALUE_MAX);
    if (sup_store_get(rc->opts.store, NULL, SUP_CF_META, sup_slice_str(SUP_META_FUSE), &value,
                      NULL) != SUP_OK ||
        sup_fuse_decode(sup_buf_slice(&value), &rc->fuse, NULL) != SUP_OK)
        memset(&rc->fuse, 0, sizeof(rc->fuse));
    sup_buf_fini(&value);
}

/* A head's key has no NUL. */
static bool is_head(struct sup_slice key)
{
    return key.n > 0 && key.n <= SUP_REPORT_ID_MAX && !memchr(key.p, 0, key.n);
}

/* All heads, oldest first. */
static int heads(struct sup_store *s, bool (*each)(void *arg, const struct sup_report *r),
                 void *arg, struct sup_err *err)
{
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(s, NULL, SUP_CF_REPORTS, open, open);
    struct sup_report r;
    bool go_on = true;
    int rc = SUP_OK;

    if (!it)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    while (rc == SUP_OK && go_on && sup_iter_valid(it)) {
        struct sup_report_key end;
        if (!is_head(sup_iter_key(it))) {
            sup_iter_next(it); /* a difference whose head was never written */
            continue;
        }
        rc = sup_report_decode(sup_iter_value(it), &r, err);
        if (rc != SUP_OK)
            break;
        go_on = each(arg, &r);
        sup_report_key_end(&end, r.id);
        sup_iter_seek(it, sup_slice_of(end.b, end.n));
    }
    if (rc == SUP_OK)
        rc = sup_iter_status(it, err);
    sup_iter_free(it);
    return rc;
}

static bool keep_last(void *arg, const struct sup_report *r)
{
    struct sup_report *last = arg;

    if (r->finished_ms > 0)
        *last = *r;
    return true;
}

static bool keep_last_real(void *arg, const struct sup_report *r)
{
    return strcmp(r->mode, "dry-run") == 0 ? true : keep_last(arg, r);
}

void sup_report_load_last(struct sup_reconciler *rc)
{
    (void)heads(rc->opts.store, keep_last_real, &rc->last, NULL);
}

/* --- removing --- */

struct counting {
    size_t n;
    char oldest[SUP_REPORT_ID_MAX + 1];
};

static bool count_head(void *arg, const struct sup_report *r)
{
    struct counting *c = arg;

    if (c->n++ == 0)
        memcpy(c->oldest, r->id, sizeof(c->oldest));
    return true;
}

struct deleting {
    struct sup_report_key from; /* moves behind what is deleted: RocksDB is slow to pass that */
    struct sup_report_key to;   /* exclusive */
    size_t n;                   /* of the last transaction */
};

static int delete_some(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct deleting *d = arg;
    struct sup_buf keys;
    struct sup_cur cur;
    struct sup_iter *it = sup_txn_iter(t, SUP_CF_REPORTS, sup_slice_of(d->from.b, d->from.n),
                                       sup_slice_of(d->to.b, d->to.n));

    (void)a;
    sup_buf_init(&keys, DELETE_MAX * (sizeof(d->to.b) + 1));
    for (d->n = 0; it && sup_iter_valid(it) && d->n < DELETE_MAX; sup_iter_next(it), d->n++) {
        struct sup_slice k = sup_iter_key(it);
        sup_buf_add_byte(&keys, (uint8_t)k.n);
        sup_buf_add_slice(&keys, k);
    }
    sup_iter_free(it);
    cur = sup_cur_of(sup_buf_slice(&keys));
    while (cur.n > 0 && !cur.failed) {
        struct sup_slice k = sup_cur_take(&cur, sup_cur_byte(&cur));
        sup_txn_delete(t, SUP_CF_REPORTS, k);
        if (k.n <= sizeof(d->from.b)) {
            memcpy(d->from.b, k.p, k.n);
            d->from.n = k.n;
        }
    }
    sup_buf_fini(&keys);
    return it ? SUP_OK : sup_err_set(err, SUP_ENOMEM, "out of memory");
}

static int delete_all(struct sup_reconciler *rc, struct deleting *d, struct sup_err *err)
{
    int code;

    do
        code = sup_apply_run(rc->opts.apply, delete_some, d, err);
    while (code == SUP_OK && d->n == DELETE_MAX);
    return code;
}

struct weighing {
    uint64_t total;
    struct sup_report fat; /* the oldest with more than a sample; id "" = none */
};

static bool weigh_head(void *arg, const struct sup_report *r)
{
    struct weighing *w = arg;

    w->total += r->n_differences;
    if (w->fat.id[0] == '\0' && r->n_differences > SAMPLE)
        w->fat = *r;
    return true;
}

/* Takes the differences of the oldest reports but a sample, until all together are few enough. The
 * head comes last: a crash before it does no harm. */
static int thin(struct sup_reconciler *rc, struct sup_err *err)
{
    for (;;) {
        struct weighing w = {0};
        struct deleting d = {0};
        int code = heads(rc->opts.store, weigh_head, &w, err);
        if (code != SUP_OK || w.total <= DIFFERENCES_KEPT || w.fat.id[0] == '\0')
            return code;
        sup_report_key_difference(&d.from, w.fat.id, SAMPLE);
        sup_report_key_end(&d.to, w.fat.id);
        w.fat.n_differences = SAMPLE;
        code = delete_all(rc, &d, err);
        if (code == SUP_OK)
            code = sup_report_save(rc, &w.fat, err);
        if (code != SUP_OK)
            return code;
    }
}

int sup_report_prune(struct sup_reconciler *rc, struct sup_err *err)
{
    for (;;) {
        struct counting c = {0};
        struct deleting d = {0};
        int code = heads(rc->opts.store, count_head, &c, err);
        if (code == SUP_OK && c.n <= REPORTS_KEPT)
            return thin(rc, err);
        sup_report_key_end(&d.to, c.oldest);
        if (code == SUP_OK)
            code = delete_all(rc, &d, err);
        if (code != SUP_OK)
            return code;
    }
}

/* --- for HTTP --- */

static int find_report(struct sup_service *s, const char *id, struct sup_report *out,
                       struct sup_err *err)
{
    struct sup_report_key k;
    struct sup_buf value;
    int rc;

    memset(out, 0, sizeof(*out));
    if (id[0] == '\0' || strcmp(id, "last") == 0) {
        rc = heads(s->store, keep_last, out, err);
        if (rc == SUP_OK && out->id[0] == '\0')
            rc = sup_err_set(err, SUP_ENOTFOUND, "there is no report yet");
        return rc;
    }
    if (!is_head(sup_slice_str(id)))
        return sup_err_set(err, SUP_ENOTFOUND, "no such report");
    sup_report_key(&k, id);
    sup_buf_init(&value, VALUE_MAX);
    rc = sup_store_get(s->store, NULL, SUP_CF_REPORTS, sup_slice_of(k.b, k.n), &value, err);
    if (rc == SUP_OK)
        rc = sup_report_decode(sup_buf_slice(&value), out, err);
    else if (rc == SUP_ENOTFOUND)
        sup_err_set(err, rc, "no such report");
    sup_buf_fini(&value);
    return rc;
}

int sup_service_report(struct sup_service *s, const char *id, struct sup_report *out,
                       bool (*each)(void *arg, const struct sup_difference *d), void *arg,
                       struct sup_err *err)
{
    struct sup_report_key lower;
    struct sup_report_key upper;
    struct sup_difference d;
    struct sup_iter *it;
    int rc = find_report(s, id, out, err);

    if (rc != SUP_OK || !each)
        return rc;
    sup_report_key_difference(&lower, out->id, 0);
    sup_report_key_end(&upper, out->id);
    it = sup_iter_new(s->store, NULL, SUP_CF_REPORTS, sup_slice_of(lower.b, lower.n),
                      sup_slice_of(upper.b, upper.n));
    if (!it)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    for (; rc == SUP_OK && sup_iter_valid(it); sup_iter_next(it)) {
        rc = sup_difference_decode(sup_iter_value(it), &d, err);
        if (rc == SUP_OK && !each(arg, &d))
            break;
    }
    if (rc == SUP_OK)
        rc = sup_iter_status(it, err);
    sup_iter_free(it);
    return rc;
}

struct newest {
    struct sup_report *r;
    size_t n; /* ever; the ring holds the last REPORTS_KEPT */
};

static bool keep_newest(void *arg, const struct sup_report *r)
{
    struct newest *k = arg;

    k->r[k->n++ % REPORTS_KEPT] = *r;
    return true;
}

int sup_service_reports(struct sup_service *s, bool (*each)(void *arg, const struct sup_report *r),
                        void *arg, struct sup_err *err)
{
    struct newest k = {.r = calloc(REPORTS_KEPT, sizeof(*k.r))};
    int rc;

    if (!k.r)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    rc = heads(s->store, keep_newest, &k, err);
    for (size_t i = 0; rc == SUP_OK && i < k.n && i < REPORTS_KEPT; i++) {
        if (!each(arg, &k.r[(k.n - 1 - i) % REPORTS_KEPT]))
            break;
    }
    free(k.r);
    return rc;
}
