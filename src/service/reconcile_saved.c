/* A plan that was saved, held against what the list and the set are now.
 *
 * The plan of a dry run is its report: the differences that it stored with the result "planned". It
 * still holds for an address as long as the same steps would be planned now: same kind, cause,
 * action, spelling, reason and time. The time is SES's LastUpdateTime of an entry that is adopted
 * or deleted, so an entry that somebody put anew is another one. A put or a delete that came about
 * by other means is no reason to refuse. */
#include "service/reconcile_saved.h"
#include "codec/hash.h"
#include "service/internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct sup_saved_plan {
    struct sup_iter *it;
    struct sup_difference d; /* the next one that is not read yet */
    bool has;
    int code;
    uint64_t moved;
    char first[SUP_ADDRESS_MAX + 1];
};

/* --- what a step amounts to --- */

static uint64_t digest(uint64_t before, const uint32_t what[4], int64_t time_ms,
                       const char *spelling)
{
    uint64_t v = sup_checksum64(before, sup_slice_of(what, 4 * sizeof(what[0])));

    v = sup_checksum64(v, sup_slice_of(&time_ms, sizeof(time_ms)));
    return sup_checksum64(v, sup_slice_of(spelling, strlen(spelling) + 1));
}

static bool acts(enum sup_diff_action a)
{
    return a == SUP_DO_PUT || a == SUP_DO_DELETE || a == SUP_DO_ADOPT_ADD ||
           a == SUP_DO_ADOPT_REMOVAL;
}

/* 0 means "no steps". */
static uint64_t never_zero(uint64_t v)
{
    return v ? v : 1;
}

uint64_t sup_plan_digest(const struct sup_reconcile_plan *p)
{
    uint64_t v = 0;

    for (size_t i = 0; i < p->n; i++) {
        const struct sup_reconcile_step *s = &p->steps[i];
        const uint32_t what[4] = {s->kind, s->cause, s->action, s->reason};
        if (acts(s->action) && !s->withheld)
            v = never_zero(digest(v, what, s->time_ms, s->spelling));
    }
    return v;
}

/* --- the stored steps --- */

/* Goes on to the next step that does something. */
static void advance(struct sup_saved_plan *p)
{
    for (p->has = false; p->code == SUP_OK && !p->has && sup_iter_valid(p->it);
         sup_iter_next(p->it)) {
        p->code = sup_difference_decode(sup_iter_value(p->it), &p->d, NULL);
        p->has = p->code == SUP_OK && p->d.result == SUP_DIFF_PLANNED && acts(p->d.action);
    }
}

static void note_moved(struct sup_saved_plan *p, const char *address)
{
    if (p->moved++ == 0)
        memcpy(p->first, address, strlen(address) + 1);
}

int sup_saved_plan_open(struct sup_reconciler *rc, struct sup_saved_plan **out, struct sup_err *err)
{
    struct sup_saved_plan *p = calloc(1, sizeof(*p));
    struct sup_report_key lower;
    struct sup_report_key upper;

    if (!p)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    /* Only the reconciler's thread changes it while a run lasts. */
    sup_report_key_difference(&lower, rc->plan, 0);
    sup_report_key_end(&upper, rc->plan);
    p->it = sup_iter_new(rc->opts.store, NULL, SUP_CF_REPORTS, sup_slice_of(lower.b, lower.n),
                         sup_slice_of(upper.b, upper.n));
    if (!p->it) {
        free(p);
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    }
    if (!sup_iter_valid(p->it)) {
        sup_saved_plan_free(p);
        return sup_err_set(err, SUP_ENOTFOUND, "plan %s names nothing, or is not kept any more",
                           rc->plan);
    }
    advance(p);
    *out = p;
    return SUP_OK;
}

void sup_saved_plan_free(struct sup_saved_plan *p)
{
    if (!p)
        return;
    sup_iter_free(p->it);
    free(p);
}

static int compare(const struct sup_saved_plan *p, struct sup_slice key)
{
    size_t n = strlen(p->d.address);
    int c = memcmp(p->d.address, key.p, n < key.n ? n : key.n);

    return c ? c : (n > key.n) - (n < key.n);
}

/* All steps of the address are read; *put and *deletes say what they were if they were only that.
 */
static uint64_t take(struct sup_saved_plan *p, struct sup_slice key, enum sup_reason *put,
                     bool *deletes)
{
    uint64_t v = 0;

    *put = SUP_REASON_NONE;
    *deletes = true;
    for (bool first = true; p->has && compare(p, key) == 0; first = false) {
        const struct sup_difference *d = &p->d;
        const uint32_t what[4] = {d->kind, d->cause, d->action, d->reason};
        v = never_zero(digest(v, what, d->time_ms, d->spelling));
        *put = first && d->action == SUP_DO_PUT ? d->reason : SUP_REASON_NONE;
        *deletes = *deletes && d->action == SUP_DO_DELETE;
        advance(p);
    }
    return v;
}

enum sup_saved_match sup_saved_plan_match(struct sup_saved_plan *p,
                                          const struct sup_walk_address *w,
                                          const struct sup_reconcile_plan *now, uint64_t *expected)
{
    struct sup_slice key = w->a.key;
    enum sup_reason put;
    bool deletes;
    uint64_t is = w->unmanaged ? 0 : sup_plan_digest(now);

    *expected = 0;
    while (p->has && compare(p, key) < 0) {
        note_moved(p, p->d.address);
        advance(p);
    }
    if (!p->has || compare(p, key) != 0)
        return SUP_SAVED_OTHER;
    char address[SUP_ADDRESS_MAX + 1];
    memcpy(address, p->d.address, sizeof(address));
    *expected = take(p, key, &put, &deletes);
    if (*expected == is)
        return SUP_SAVED_SAME;
    if (is == 0 && !w->unmanaged && !now->busy &&
        ((put != SUP_REASON_NONE && now->matched && now->desired == put) ||
         (deletes && now->desired == SUP_REASON_NONE && w->a.n_listed == 0)))
        return SUP_SAVED_DONE;
    note_moved(p, address);
    return SUP_SAVED_MOVED;
}

uint64_t sup_saved_plan_moved(struct sup_saved_plan *p, const char **first)
{
    for (; p->has; advance(p))
        note_moved(p, p->d.address);
    /* What cannot be read is not as it was. */
    if (p->code != SUP_OK)
        note_moved(p, "(the stored plan is damaged)");
    *first = p->first;
    return p->moved;
}

/* --- for HTTP --- */

const char *sup_service_node(struct sup_service *s)
{
    return s->config->node;
}

int sup_service_plan(struct sup_service *s, const char *id, struct sup_report *out,
                     bool (*each)(void *arg, const struct sup_difference *d), void *arg,
                     struct sup_err *err)
{
    char found[SUP_REPORT_ID_MAX + 1]; /* id may mean the newest, and lie in out */
    int rc = sup_service_report(s, id, out, NULL, NULL, err);

    if (rc != SUP_OK)
        return rc;
    if (strcmp(out->mode, "dry-run") != 0 || out->finished_ms == 0 || out->error[0] != '\0')
        return sup_err_set(err, SUP_EINPUT, "report %s is not of a dry run that succeeded",
                           out->id);
    if (out->n_found > out->n_differences)
        return sup_err_set(err, SUP_EINPUT,
                           "only %" PRIu64 " of the plan's %" PRIu64
                           " differences are kept, so that it cannot be applied: plan anew, or "
                           "reconcile without",
                           out->n_differences, out->n_found);
    memcpy(found, out->id, sizeof(found));
    return sup_service_report(s, found, out, each, arg, err);
}

int sup_service_reconcile_plan(struct sup_service *s, const char *plan,
                               char id[SUP_REPORT_ID_MAX + 1], struct sup_err *err)
{
    struct sup_report r;
    int rc;

    if (s->config->ses.mode == SUP_MODE_OBSERVE)
        return sup_err_set(err, SUP_EINPUT, "ses.mode is observe: nothing is written");
    rc = sup_service_plan(s, plan, &r, NULL, NULL, err);
    return rc == SUP_OK ? sup_reconciler_apply_plan(s->reconciler, &r, id, err) : rc;
}
