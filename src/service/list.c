/* The set, sorted by address.
 *
 * Records are ordered by hash, but the audit trail, which has an entry for every address that ever
 * had a decision, is ordered by address: its keys are the index, skipped through from address to
 * address, and each record is one point lookup. Memory does not depend on how large the set is. */
#include "base/clock.h"
#include "codec/keys.h"
#include "service/internal.h"

#include <string.h>
#include <strings.h>

#define VALUE_MAX (1U << 20)

struct listing {
    struct sup_service *s;
    const struct sup_list_filter *filter;
    const struct sup_snapshot *snap;
    struct sup_mem *mem;
    struct sup_buf value;
    int64_t now_ms;
};

static bool domain_matches(const char *address, const char *domain)
{
    const char *at = strrchr(address, '@');

    return domain[0] == '\0' || (at && strcasecmp(at + 1, domain) == 0);
}

static bool matches(const struct sup_list_filter *f, const struct sup_row *row,
                    const struct sup_decision *d)
{
    int64_t ms = sup_hlc_ms(d->time);

    if (f->reason != SUP_REASON_NONE && row->reason != f->reason)
        return false;
    if (f->state >= 0 && (int)row->state != f->state)
        return false;
    if ((f->since_ms != SUP_NO_TIME && ms < f->since_ms) ||
        (f->until_ms != SUP_NO_TIME && ms >= f->until_ms))
        return false;
    return f->region[0] == '\0' || sup_slice_eq(d->evidence.region, sup_slice_str(f->region));
}

/* SUP_ENOTFOUND: the address has no record, or it does not match. */
static int make_row(struct listing *l, const char *address, struct sup_text_pool *pool,
                    struct sup_row *row, struct sup_err *err)
{
    struct sup_record record;
    struct sup_decision d;
    enum sup_class cls = SUP_CLASS_BOUNCE;
    struct sup_key k;
    int rc;

    sup_key_record(&k, sup_apply_hash(l->s->apply), sup_slice_str(address));
    rc = sup_store_get(l->s->store, l->snap, SUP_CF_RECORDS, sup_key_slice(&k), &l->value, err);
    if (rc != SUP_OK)
        return rc;
    sup_mem_reset(l->mem);
    rc = sup_record_decode(sup_buf_slice(&l->value), l->mem, &record, err);
    if (rc != SUP_OK)
        return rc;
    row->address = address;
    row->reason = sup_registers_effective(&record.registers, l->now_ms, &cls);
    row->state = row->reason == SUP_REASON_NONE ? SUP_CLEARED : SUP_SUPPRESSED;
    if (row->state == SUP_CLEARED)
        row->reason = cls == SUP_CLASS_COMPLAINT ? SUP_REASON_COMPLAINT : SUP_REASON_BOUNCE;
    rc = sup_decision_decode(record.registers.r[cls - 1].encoded, l->mem, &d, err);
    if (rc != SUP_OK)
        return rc;
    if (!matches(l->filter, row, &d))
        return SUP_ENOTFOUND;
    sup_show_decision(l->s, &d, pool, &row->decision);
    return SUP_OK;
}

/* Calls back for one address. *go_on: false when the callback has had enough. */
static int visit(struct listing *l, const char *address,
                 bool (*row)(void *arg, const struct sup_row *row), void *arg, uint64_t *rows,
                 bool *go_on, struct sup_err *err)
{
    struct sup_text_pool *pool;
    struct sup_row r;
    int rc;

    if (!domain_matches(address, l->filter->domain))
        return SUP_OK;
    pool = sup_text_pool_new();
    if (!pool)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    memset(&r, 0, sizeof(r));
    rc = make_row(l, address, pool, &r, err);
    if (rc == SUP_OK) {
        *go_on = row(arg, &r);
        (*rows)++;
    }
    sup_text_pool_free(pool);
    return rc == SUP_ENOTFOUND ? SUP_OK : rc;
}

static int walk(struct listing *l, struct sup_iter *it,
                bool (*row)(void *arg, const struct sup_row *row), void *arg, bool *more,
                struct sup_err *err)
{
    uint64_t rows = 0;
    bool go_on = true;
    int rc = SUP_OK;

    *more = false;
    while (rc == SUP_OK && go_on && sup_iter_valid(it)) {
        char address[SUP_ADDRESS_MAX + 1];
        struct sup_slice a;
        sup_hlc_time time = 0;
        struct sup_key end;
        if (!sup_key_audit_parse(sup_iter_key(it), &a, &time) || a.n > SUP_ADDRESS_MAX)
            return sup_err_set(err, SUP_ECORRUPT, "damaged key in the audit trail");
        /* Whether the row behind the limit would match is not looked into: a last page may be
         * empty. */
        if (l->filter->limit > 0 && rows == l->filter->limit) {
            *more = true;
            break;
        }
        memcpy(address, a.p, a.n);
        address[a.n] = '\0';
        rc = visit(l, address, row, arg, &rows, &go_on, err);
        sup_key_audit_end(&end, sup_slice_str(address));
        sup_iter_seek(it, sup_key_slice(&end));
    }
    return rc == SUP_OK ? sup_iter_status(it, err) : rc;
}

int sup_service_list(struct sup_service *s, const struct sup_list_filter *filter,
                     bool (*row)(void *arg, const struct sup_row *row), void *arg, bool *more,
                     struct sup_err *err)
{
    struct listing l = {.s = s, .filter = filter, .now_ms = sup_wall_ms()};
    struct sup_snapshot *snap = sup_store_snapshot(s->store);
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it;
    struct sup_key lower = {.n = 0};
    bool ignored;
    int rc;

    sup_buf_init(&l.value, VALUE_MAX);
    l.snap = snap;
    l.mem = sup_mem_new();
    if (filter->after[0] != '\0')
        sup_key_audit_end(&lower, sup_slice_str(filter->after));
    it = sup_iter_new(s->store, snap, SUP_CF_AUDIT, sup_key_slice(&lower), open);
    if (it && l.mem)
        rc = walk(&l, it, row, arg, more ? more : &ignored, err);
    else
        rc = sup_err_set(err, SUP_ENOMEM, "out of memory");
    sup_iter_free(it);
    sup_mem_free(l.mem);
    sup_buf_fini(&l.value);
    sup_snapshot_free(s->store, snap);
    return rc;
}
