#include "model/vv.h"

#include "base/err.h"

#include <string.h>

void sup_vv_init(struct sup_vv *v)
{
    v->n = 0;
}

void sup_vv_copy(struct sup_vv *to, const struct sup_vv *from)
{
    to->n = from->n;
    memmove(to->e, from->e, from->n * sizeof(to->e[0]));
}

/* Index of the first entry >= incarnation. */
static size_t lower_bound(const struct sup_vv *v, uint64_t incarnation)
{
    size_t lo = 0;
    size_t hi = v->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (v->e[mid].incarnation < incarnation)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

uint64_t sup_vv_get(const struct sup_vv *v, uint64_t incarnation)
{
    size_t i = lower_bound(v, incarnation);

    return i < v->n && v->e[i].incarnation == incarnation ? v->e[i].seq : 0;
}

int sup_vv_raise(struct sup_vv *v, uint64_t incarnation, uint64_t seq)
{
    size_t i = lower_bound(v, incarnation);

    if (i < v->n && v->e[i].incarnation == incarnation) {
        if (seq > v->e[i].seq)
            v->e[i].seq = seq;
        return SUP_OK;
    }
    if (seq == 0)
        return SUP_OK;
    if (v->n == SUP_VV_MAX)
        return SUP_ELIMIT;
    memmove(&v->e[i + 1], &v->e[i], (v->n - i) * sizeof(v->e[0]));
    v->e[i] = (struct sup_vv_entry){.incarnation = incarnation, .seq = seq};
    v->n++;
    return SUP_OK;
}

void sup_vv_remove(struct sup_vv *v, uint64_t incarnation)
{
    size_t i = lower_bound(v, incarnation);

    if (i == v->n || v->e[i].incarnation != incarnation)
        return;
    v->n--;
    memmove(&v->e[i], &v->e[i + 1], (v->n - i) * sizeof(v->e[0]));
}

int sup_vv_merge(struct sup_vv *v, const struct sup_vv *o)
{
    for (size_t i = 0; i < o->n; i++) {
        int rc = sup_vv_raise(v, o->e[i].incarnation, o->e[i].seq);
        if (rc != SUP_OK)
            return rc;
    }
    return SUP_OK;
}

void sup_vv_min(struct sup_vv *v, const struct sup_vv *o)
{
    size_t kept = 0;

    for (size_t i = 0; i < v->n; i++) {
        uint64_t theirs = sup_vv_get(o, v->e[i].incarnation);
        uint64_t seq = theirs < v->e[i].seq ? theirs : v->e[i].seq;
        if (seq > 0)
            v->e[kept++] = (struct sup_vv_entry){.incarnation = v->e[i].incarnation, .seq = seq};
    }
    v->n = kept;
}

bool sup_vv_covers(const struct sup_vv *v, const struct sup_vv *o)
{
    for (size_t i = 0; i < o->n; i++) {
        if (sup_vv_get(v, o->e[i].incarnation) < o->e[i].seq)
            return false;
    }
    return true;
}

uint64_t sup_vv_missing(const struct sup_vv *v, const struct sup_vv *o)
{
    uint64_t missing = 0;

    for (size_t i = 0; i < o->n; i++) {
        uint64_t mine = sup_vv_get(v, o->e[i].incarnation);
        if (o->e[i].seq > mine) {
            uint64_t more = o->e[i].seq - mine;
            missing = missing > UINT64_MAX - more ? UINT64_MAX : missing + more;
        }
    }
    return missing;
}
