/* The audit trail: every decision that reached this node, and which of them were overruled unseen.
 *
 * A decision says what its node had in the register when it was made: the largest decision that it
 * had seen (model/decision.h). Of two decisions C < N of one register, N was made without C having
 * been seen if what N had seen is smaller than C, and C without N if what C had seen is smaller
 * than N. If both is so they are concurrent: neither maker knew of the other, and it was the order
 * of merging that made N win. Where what N had seen is larger than C, C was overruled before; by
 * whom, that one's own entry tells.
 *
 * A node can only tell of what reached it. Logs bring everything; a repair brings only what won. */
#include "base/log.h"
#include "base/metrics.h"
#include "codec/audit.h"
#include "service/apply_internal.h"

#include <string.h>

/* Entries of one address that are looked at, and marks that one arrival makes: an address about
 * which so much was decided has no trail that anybody could read. */
#define SCAN_MAX  1024
#define MARKS_MAX 64

/* -1, 0, 1 in merge order, as far as a prior tells: without the bytes. */
static int cmp_prior(const struct sup_prior *p, const struct sup_register *r)
{
    if (!p->present)
        return -1;
    if (p->time != r->time)
        return p->time < r->time ? -1 : 1;
    if (p->state != r->state)
        return p->state == SUP_CLEARED ? -1 : 1;
    return p->origin == r->origin ? 0 : p->origin < r->origin ? -1 : 1;
}

static bool unseen_by(const struct sup_register *winner, const struct sup_register *loser)
{
    return cmp_prior(&winner->prior, loser) < 0 && cmp_prior(&loser->prior, winner) < 0;
}

static enum sup_overruled_by reason(const struct sup_register *loser,
                                    const struct sup_register *winner)
{
    return loser->time != winner->time       ? SUP_OVERRULED_BY_TIME
           : loser->state != winner->state   ? SUP_OVERRULED_BY_STATE
           : loser->origin != winner->origin ? SUP_OVERRULED_BY_ORIGIN
                                             : SUP_OVERRULED_BY_BYTES;
}

struct mark {
    struct sup_key loser; /* its entry's key */
    struct sup_overruled by;
};

struct marks {
    struct mark m[MARKS_MAX];
    size_t n;
    struct mark own; /* of the arrival itself: by the smallest that overruled it */
    bool has_own;
};

static struct sup_overruled overruled(const struct sup_register *loser,
                                      const struct sup_register *winner)
{
    return (struct sup_overruled){.time = winner->time,
                                  .origin = winner->origin,
                                  .state = winner->state,
                                  .by = reason(loser, winner)};
}

static bool smaller(const struct sup_overruled *a, const struct sup_overruled *b)
{
    if (a->time != b->time)
        return a->time < b->time;
    return a->state != b->state ? a->state == SUP_CLEARED : a->origin < b->origin;
}

static void weigh(struct marks *marks, const struct sup_key *key, const struct sup_register *old,
                  const struct sup_register *arrival)
{
    int order = sup_decision_cmp(old, arrival);

    if (order < 0 && unseen_by(arrival, old) && marks->n < MARKS_MAX)
        marks->m[marks->n++] = (struct mark){.loser = *key, .by = overruled(old, arrival)};
    if (order > 0 && unseen_by(old, arrival)) {
        struct sup_overruled by = overruled(arrival, old);
        if (!marks->has_own || smaller(&by, &marks->own.by))
            marks->own.by = by;
        marks->has_own = true;
    }
}

/* Compares the arrival with all that is in the trail of its register. */
static int find(struct sup_txn *t, struct sup_slice key, enum sup_class cls,
                const struct sup_register *arrival, struct marks *marks, struct sup_err *err)
{
    struct sup_key lower;
    struct sup_key upper;
    struct sup_iter *it;
    size_t seen = 0;
    int rc;

    sup_key_audit_first(&lower, key);
    sup_key_audit_end(&upper, key);
    it = sup_txn_iter(t, SUP_CF_AUDIT, sup_key_slice(&lower), sup_key_slice(&upper));
    if (!it)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    for (; sup_iter_valid(it) && seen < SCAN_MAX; sup_iter_next(it), seen++) {
        struct sup_slice k = sup_iter_key(it);
        enum sup_class c = SUP_CLASS_BOUNCE;
        struct sup_register old;
        struct sup_key copy;
        if (sup_key_audit_is_mark(k) || k.n > sizeof(copy.b) ||
            sup_register_decode(sup_iter_value(it), &old, &c, NULL) != SUP_OK || c != cls)
            continue;
        copy.n = k.n;
        memcpy(copy.b, k.p, k.n);
        weigh(marks, &copy, &old, arrival);
    }
    rc = sup_iter_status(it, err);
    sup_iter_free(it);
    return rc;
}

static int get(struct sup_txn *t, const struct sup_key *k, struct sup_buf *value,
               struct sup_err *err)
{
    int rc = sup_txn_get(t, SUP_CF_AUDIT, sup_key_slice(k), value);

    if (rc != SUP_OK && rc != SUP_ENOTFOUND)
        return sup_err_set(err, rc, "cannot read the audit trail: %s", sup_code_name(rc));
    return rc;
}

/* Of several that overruled it the smallest is kept, so that all nodes keep the same. */
static int put_mark(struct sup_apply *a, struct sup_txn *t, const struct mark *m,
                    struct sup_err *err)
{
    struct sup_overruled before;
    struct sup_key k;
    int rc;

    sup_key_audit_mark(&k, sup_key_slice(&m->loser));
    rc = get(t, &k, &a->scratch, err);
    if (rc != SUP_OK && rc != SUP_ENOTFOUND)
        return rc;
    if (rc == SUP_OK && sup_overruled_decode(sup_buf_slice(&a->scratch), &before, NULL) == SUP_OK &&
        !smaller(&m->by, &before))
        return SUP_OK;
    if (rc == SUP_ENOTFOUND)
        sup_metric_add(a->concurrent, 1);
    sup_buf_reset(&a->scratch);
    sup_overruled_encode(&m->by, &a->scratch);
    sup_txn_put(t, SUP_CF_AUDIT, sup_key_slice(&k), sup_buf_slice(&a->scratch));
    return SUP_OK;
}

/* Can there be anything? In the common cases the trail need not be read: nothing was there, or what
 * was there is what the arrival had seen. */
static bool may_conflict(enum sup_merge merge, const struct sup_register *before,
                         const struct sup_register *arrival)
{
    if (merge == SUP_MERGE_REPLACED)
        return cmp_prior(&arrival->prior, before) != 0;
    return merge == SUP_MERGE_OLDER && cmp_prior(&arrival->prior, before) < 0;
}

/* Can there be another decision with the arrival's time and origin in the trail? The largest of all
 * is what the register holds. */
static bool may_share(enum sup_merge merge, const struct sup_register *before,
                      const struct sup_register *arrival)
{
    return merge == SUP_MERGE_OLDER ||
           (merge == SUP_MERGE_REPLACED && before->time == arrival->time);
}

/* The decision without what its maker had seen, which comes last: an event that is read again later
 * is the same decision, though its node has seen more by then. */
static struct sup_slice what_was_decided(const struct sup_register *r)
{
    struct sup_slice all = r->encoded;
    struct sup_buf prior;

    sup_buf_init(&prior, 256);
    if (r->prior.present)
        sup_decision_add_prior(&r->prior, &prior);
    if (prior.n > 0 && prior.n < all.n && memcmp(all.p + all.n - prior.n, prior.p, prior.n) == 0)
        all.n -= prior.n;
    sup_buf_fini(&prior);
    return all;
}

static void beside(struct sup_key *k, const struct sup_key *base, const struct sup_register *r)
{
    sup_key_audit_beside(k, sup_key_slice(base), what_was_decided(r));
}

/* The decision that stands at k, with its mark, makes room for a larger one. */
static int displace(struct sup_apply *a, struct sup_txn *t, const struct sup_key *k,
                    const struct sup_register *old, struct sup_err *err)
{
    struct sup_key place;
    struct sup_key from;
    struct sup_key to;
    int rc;

    beside(&place, k, old);
    sup_txn_put(t, SUP_CF_AUDIT, sup_key_slice(&place), old->encoded);
    sup_key_audit_mark(&from, sup_key_slice(k));
    rc = get(t, &from, &a->value, err);
    if (rc != SUP_OK)
        return rc == SUP_ENOTFOUND ? SUP_OK : rc;
    sup_key_audit_mark(&to, sup_key_slice(&place));
    sup_txn_put(t, SUP_CF_AUDIT, sup_key_slice(&to), sup_buf_slice(&a->value));
    sup_txn_delete(t, SUP_CF_AUDIT, sup_key_slice(&from));
    return SUP_OK;
}

/* Another decision, old, stands at *k: the larger of the two is to be there, the other one beside
 * it. SUP_EEXIST: the arrival is in the trail already. */
static int make_room(struct sup_apply *a, struct sup_txn *t, enum sup_merge merge,
                     const struct sup_register *old, const struct sup_register *arrival,
                     struct sup_key *k, struct sup_err *err)
{
    struct sup_key base = *k;
    int rc;

    if (sup_slice_eq(what_was_decided(old), what_was_decided(arrival)))
        return merge == SUP_MERGE_REPLACED ? SUP_OK : SUP_EEXIST;
    if (sup_decision_cmp(old, arrival) < 0)
        return displace(a, t, k, old, err);
    beside(k, &base, arrival);
    rc = get(t, k, &a->value, err);
    return rc == SUP_OK ? SUP_EEXIST : rc == SUP_ENOTFOUND ? SUP_OK : rc;
}

/* Puts the arrival into the trail, where *k says then. SUP_EEXIST: it is there already. */
static int place(struct sup_apply *a, struct sup_txn *t, enum sup_merge merge, bool shares,
                 const struct sup_register *arrival, struct sup_key *k, struct sup_err *err)
{
    struct sup_register old;
    int rc = shares ? get(t, k, &a->scratch, err) : SUP_ENOTFOUND;

    if (rc == SUP_OK)
        rc = sup_register_decode(sup_buf_slice(&a->scratch), &old, NULL, err);
    if (rc == SUP_OK)
        rc = make_room(a, t, merge, &old, arrival, k, err);
    if (rc != SUP_OK && rc != SUP_ENOTFOUND)
        return rc;
    sup_txn_put(t, SUP_CF_AUDIT, sup_key_slice(k), arrival->encoded);
    return SUP_OK;
}

int sup_apply_audit(struct sup_apply *a, struct sup_txn *t, struct sup_slice key,
                    enum sup_class cls, enum sup_merge merge, const struct sup_register *before,
                    const struct sup_register *arrival, struct sup_err *err)
{
    struct marks marks;
    struct sup_key k;
    int rc;

    if (merge == SUP_MERGE_EQUAL)
        return SUP_OK;
    sup_key_audit(&k, key, arrival->time, (uint8_t)cls, arrival->origin);
    rc = place(a, t, merge, may_share(merge, before, arrival), arrival, &k, err);
    if (rc != SUP_OK || !may_conflict(merge, before, arrival))
        return rc == SUP_EEXIST ? SUP_OK : rc;
    marks.n = 0;
    marks.has_own = false;
    marks.own.loser = k;
    rc = find(t, key, cls, arrival, &marks, err);
    for (size_t i = 0; rc == SUP_OK && i < marks.n; i++)
        rc = put_mark(a, t, &marks.m[i], err);
    if (rc == SUP_OK && marks.has_own)
        rc = put_mark(a, t, &marks.own, err);
    return rc;
}
