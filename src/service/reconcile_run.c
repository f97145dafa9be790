/* One run: scan, look once to see whether the fuse must hold, look again and act. */
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "service/apply_txn.h"
#include "service/reconcile_internal.h"
#include "service/reconcile_saved.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Addresses a transaction: large enough to be cheap, small enough not to hold up the writer. */
#define BATCH_MAX 128

/* Rows of an import job, by SES's limits; and what one takes, by rule of thumb: the object, the
 * job, looking whether it is done. */
#define JOB_PUTS_MAX    100000
#define JOB_DELETES_MAX 10000
#define JOB_CALLS       6
#define JOB_MS          30000
#define DAY_MS          ((int64_t)24 * 3600 * 1000)

/* Questions about adopted entries that may wait: at half a request a second some five hours'. What
 * is adopted beyond that, as from a list of before supsync, stays without. */
#define EVIDENCE_MAX 10000

struct run {
    struct sup_reconciler *rc;
    struct sup_report *report;
    struct sup_reconcile_rules rules;
    bool dry;
    bool note;  /* what is found becomes what is known */
    bool write; /* else plan and report only */
    uint64_t removals;
    uint64_t listed;
    struct sup_saved_plan *saved; /* for the pass under way; NULL: none is applied */
    uint64_t expected;            /* of the address in hand, by the saved plan */
    uint64_t moved;               /* changed between the look and the act */
    uint64_t questions;           /* about what is adopted, that may still be put */
    uint64_t concerned; /* addresses that the second look would do or say something about */
    struct sup_scan_item *batch;
    size_t n_batch;
    struct sup_difference d; /* scratch */
    struct sup_buf value;    /* scratch */
    struct sup_report tally; /* of the batch under way */
    struct sup_reconcile_plan plan;
};

/* --- the first look --- */

/* Does what is known of the list differ from what was found, though nothing is to be decided? */
static bool is_stale(const struct sup_reconcile_address *a)
{
    size_t listed = 0;

    for (size_t i = 0; a->known && i < a->known->n_spellings; i++)
        listed += a->known->spellings[i].present;
    if (listed != a->n_listed || (a->known && a->known->absent_since_ms != 0))
        return true;
    for (size_t i = 0; i < a->n_listed; i++) {
        const struct sup_listed *l = &a->listed[i];
        bool same = false;
        for (size_t j = 0; a->known && j < a->known->n_spellings; j++) {
            const struct sup_ses_spelling *s = &a->known->spellings[j];
            same = same || (s->present && s->reason == l->reason &&
                            s->last_update_ms == l->last_update_ms &&
                            strcmp(s->spelling, l->spelling) == 0);
        }
        if (!same)
            return true;
    }
    return false;
}

static int look(void *arg, const struct sup_walk_address *w, struct sup_err *err)
{
    struct run *r = arg;
    uint64_t *counts = r->report->counts;

    (void)err;
    counts[SUP_COUNT_SCANNED] += w->a.n_listed;
    if (w->unmanaged) {
        r->concerned++;
        return SUP_OK;
    }
    sup_reconcile_plan(&w->a, &r->rules, &r->plan);
    counts[SUP_COUNT_SUPPRESSED] += r->plan.desired != SUP_REASON_NONE;
    counts[SUP_COUNT_MATCHED] += r->plan.matched;
    r->concerned += r->plan.n > 0 || (!r->plan.busy && is_stale(&w->a));
    r->removals += r->plan.removed;
    r->listed += r->plan.known_listed;
    return SUP_OK;
}

/* --- the fuse --- */

/* Moves the fuse on; true when removals are to be held. A confirmation covers what was shown, and
 * the little that the fuse would let through anyway. */
static bool judge(struct run *r, struct sup_fuse *f)
{
    const struct sup_options *c = r->rc->opts.config;
    bool mass =
        sup_reconcile_is_mass(r->removals, r->listed, c->ses.fuse_percent, c->ses.fuse_count);
    uint64_t more = r->removals > f->removals ? r->removals - f->removals : 0;

    if (!mass) {
        memset(f, 0, sizeof(*f));
        return false;
    }
    if ((f->state == SUP_FUSE_CONFIRMED || f->state == SUP_FUSE_DECLINED) &&
        !sup_reconcile_is_mass(more, r->listed, c->ses.fuse_percent, c->ses.fuse_count)) {
        if (f->state == SUP_FUSE_CONFIRMED)
            return false;
        /* Declined: what was removed by mistake is put back where removals would be propagated,
         * and stays away where it would be put back. */
        if (r->rules.removal == SUP_RECONCILE_PROPAGATE) {
            r->rules.removal = SUP_RECONCILE_RESTORE;
            return false;
        }
        return true;
    }
    if (f->state != SUP_FUSE_TRIPPED) {
        memset(f, 0, sizeof(*f));
        f->state = SUP_FUSE_TRIPPED;
        f->since_ms = sup_wall_ms();
    }
    f->removals = r->removals;
    f->listed = r->listed;
    sup_text_copy(f->run, sizeof(f->run), r->report->id);
    return true;
}

static int check_fuse(struct run *r, struct sup_err *err)
{
    struct sup_reconciler *rc = r->rc;
    struct sup_fuse before;
    struct sup_fuse f;

    pthread_mutex_lock(&rc->mutex);
    before = f = rc->fuse;
    pthread_mutex_unlock(&rc->mutex);
    r->rules.hold_removals = judge(r, &f);
    sup_text_copy(r->report->fuse, sizeof(r->report->fuse), sup_fuse_state_name(f.state));
    if (r->dry)
        return SUP_OK;
    if (f.state == SUP_FUSE_TRIPPED && before.state != SUP_FUSE_TRIPPED)
        sup_log_error("reconcile", "the fuse tripped: entries vanished from the list in a mass",
                      SUP_U("gone", f.removals), SUP_U("of", f.listed));
    return sup_fuse_save(rc, &f, err);
}

/* A confirmation is for one change. */
static int use_up_fuse(struct run *r, struct sup_err *err)
{
    struct sup_fuse f;

    pthread_mutex_lock(&r->rc->mutex);
    f = r->rc->fuse;
    pthread_mutex_unlock(&r->rc->mutex);
    /* Entries gone for the first time wait for a second scan, and so does the confirmation. */
    if (!r->write || r->report->counts[SUP_COUNT_WAITING] > 0 || r->rules.hold_removals ||
        (f.state != SUP_FUSE_CONFIRMED && f.state != SUP_FUSE_DECLINED))
        return SUP_OK;
    memset(&f, 0, sizeof(f));
    sup_text_copy(r->report->fuse, sizeof(r->report->fuse), sup_fuse_state_name(f.state));
    return sup_fuse_save(r->rc, &f, err);
}

/* --- recording --- */

static void count_kind(uint64_t *counts, enum sup_diff_kind kind)
{
    static const enum sup_report_count of[] = {
        [SUP_DIFF_MISSING] = SUP_COUNT_MISSING, [SUP_DIFF_REMOVED] = SUP_COUNT_REMOVED,
        [SUP_DIFF_EXTRA] = SUP_COUNT_EXTRA,     [SUP_DIFF_REASON] = SUP_COUNT_REASON,
        [SUP_DIFF_TWIN] = SUP_COUNT_TWINS,      [SUP_DIFF_UNMANAGED] = SUP_COUNT_UNMANAGED};

    counts[of[kind]]++;
}

static void count_action(uint64_t *counts, const struct sup_difference *d)
{
    switch (d->action) {
    case SUP_DO_PUT:
        counts[SUP_COUNT_PUTS]++;
        counts[SUP_COUNT_RESTORED] += d->kind == SUP_DIFF_REMOVED;
        break;
    case SUP_DO_DELETE:
        counts[SUP_COUNT_DELETES]++;
        break;
    case SUP_DO_ADOPT_ADD:
        counts[SUP_COUNT_ADOPTED]++;
        break;
    case SUP_DO_ADOPT_REMOVAL:
        counts[SUP_COUNT_ADOPTED_REMOVALS]++;
        break;
    case SUP_DO_WAIT:
        counts[SUP_COUNT_WAITING]++;
        break;
    case SUP_DO_REPORT:
        counts[SUP_COUNT_REPORTED]++;
        break;
    case SUP_DO_NOTHING:
        break;
    }
}

static enum sup_diff_result result_of(const struct run *r, const struct sup_reconcile_step *s)
{
    if (s->action == SUP_DO_NOTHING || s->action == SUP_DO_WAIT || s->action == SUP_DO_REPORT)
        return SUP_DIFF_NONE;
    if (s->withheld)
        return SUP_DIFF_WITHHELD;
    if (!r->write)
        return SUP_DIFF_PLANNED;
    return s->action == SUP_DO_PUT || s->action == SUP_DO_DELETE ? SUP_DIFF_PENDING : SUP_DIFF_DONE;
}

static int record(struct run *r, struct sup_txn *t, struct sup_slice key,
                  const struct sup_reconcile_step *s, struct sup_err *err)
{
    struct sup_difference *d = &r->d;
    struct sup_report_key k;

    memset(d, 0, sizeof(*d));
    snprintf(d->address, sizeof(d->address), "%.*s", (int)key.n, (const char *)key.p);
    sup_text_copy(d->spelling, sizeof(d->spelling), s->spelling);
    d->kind = s->kind;
    d->cause = s->cause;
    d->action = s->action;
    d->result = result_of(r, s);
    d->reason = s->reason;
    d->time_ms = s->time_ms;
    count_kind(r->tally.counts, d->kind);
    r->tally.counts[SUP_COUNT_WITHHELD] += d->result == SUP_DIFF_WITHHELD;
    r->tally.counts[SUP_COUNT_PENDING] += d->result == SUP_DIFF_PENDING;
    if (d->result != SUP_DIFF_WITHHELD)
        count_action(r->tally.counts, d);
    r->tally.n_found++;
    if (r->tally.n_differences == SUP_DIFFERENCES_MAX)
        return SUP_OK;
    sup_report_key_difference(&k, r->report->id, (uint32_t)r->tally.n_differences++);
    sup_buf_reset(&r->value);
    sup_difference_encode(d, &r->value);
    if (r->value.failed)
        return sup_err_set(err, r->value.failed, "difference is too large");
    sup_txn_put(t, SUP_CF_REPORTS, sup_slice_of(k.b, k.n), sup_buf_slice(&r->value));
    return SUP_OK;
}

/* --- acting --- */

static int act_unmanaged(struct run *r, struct sup_txn *t, const struct sup_scan_item *item,
                         enum sup_diff_cause cause, struct sup_err *err)
{
    struct sup_reconcile_step s = {.kind = SUP_DIFF_UNMANAGED,
                                   .cause = cause,
                                   .action = SUP_DO_NOTHING,
                                   .spelling = item->listed[0].spelling,
                                   .reason = item->listed[0].reason,
                                   .time_ms = item->listed[0].last_update_ms};

    return record(r, t, sup_slice_str(item->key + 1), &s, err);
}

/* What a saved plan does not name stays as it is. */
static void only_report(struct sup_reconcile_plan *p)
{
    for (size_t i = 0; i < p->n; i++) {
        if (p->steps[i].action != SUP_DO_NOTHING)
            p->steps[i].action = SUP_DO_REPORT;
    }
}

static bool adopts(const struct sup_reconcile_plan *p)
{
    for (size_t i = 0; i < p->n; i++) {
        if (p->steps[i].action == SUP_DO_ADOPT_ADD)
            return true;
    }
    return false;
}

static int act_one(struct run *r, struct sup_apply *a, struct sup_txn *t,
                   const struct sup_scan_item *item, struct sup_err *err)
{
    struct sup_reconcile_address address = {
        .key = sup_slice_str(item->key), .listed = item->listed, .n_listed = item->n_listed};
    enum sup_diff_cause unmanaged = sup_scan_key_unmanaged(address.key);
    int rc;

    if (unmanaged)
        return act_unmanaged(r, t, item, unmanaged, err);
    enum sup_reconcile_mode mode = SUP_RECONCILE_LOOK;
    bool write = r->write;
    r->rules.explain = r->questions > 0;
    if (r->saved) {
        rc = sup_apply_reconcile(a, t, &address, &r->rules, r->rc->opts.config->region,
                                 SUP_RECONCILE_LOOK, &r->plan, err);
        if (rc != SUP_OK)
            return rc;
        write = item->expected != 0 && sup_plan_digest(&r->plan) == item->expected;
        r->moved += item->expected != 0 && !write;
    }
    if (write)
        mode = SUP_RECONCILE_ACT;
    else if (r->note && !r->saved)
        mode = SUP_RECONCILE_NOTE;
    rc = sup_apply_reconcile(a, t, &address, &r->rules, r->rc->opts.config->region, mode, &r->plan,
                             err);
    if (r->saved && !write)
        only_report(&r->plan);
    for (size_t i = 0; rc == SUP_OK && i < r->plan.n; i++)
        rc = record(r, t, address.key, &r->plan.steps[i], err);
    r->questions -= r->rules.explain && write && adopts(&r->plan);
    return rc;
}

static int act(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct run *r = arg;
    int rc = SUP_OK;

    r->tally = *r->report;
    for (const struct sup_scan_item *i = r->batch; rc == SUP_OK && i; i = i->next)
        rc = act_one(r, a, t, i, err);
    return rc;
}

static void drop_batch(struct run *r)
{
    while (r->batch) {
        struct sup_scan_item *next = r->batch->next;
        free(r->batch);
        r->batch = next;
    }
    r->n_batch = 0;
}

/* They were put in front of each other. */
static void turn_batch(struct run *r)
{
    struct sup_scan_item *turned = NULL;

    while (r->batch) {
        struct sup_scan_item *next = r->batch->next;
        r->batch->next = turned;
        turned = r->batch;
        r->batch = next;
    }
    r->batch = turned;
}

static int flush_batch(struct run *r, struct sup_err *err)
{
    int rc;

    if (!r->batch)
        return SUP_OK;
    turn_batch(r);
    rc = sup_apply_run(r->rc->opts.apply, act, r, err);
    if (rc == SUP_OK)
        *r->report = r->tally;
    drop_batch(r);
    return rc;
}

static int gather(struct run *r, const struct sup_walk_address *w, struct sup_err *err)
{
    const struct sup_reconcile_address *a = &w->a;
    struct sup_scan_item *item;
    size_t texts = 0;
    char *at;

    for (size_t i = 0; i < a->n_listed; i++)
        texts += strlen(a->listed[i].spelling) + 1;
    item = malloc(sizeof(*item) + texts);
    if (!item)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    item->next = r->batch;
    item->expected = r->expected;
    item->n_listed = a->n_listed;
    snprintf(item->key, sizeof(item->key), "%.*s", (int)a->key.n, (const char *)a->key.p);
    at = item->texts;
    for (size_t i = 0; i < a->n_listed; i++) {
        size_t n = strlen(a->listed[i].spelling) + 1;
        memcpy(at, a->listed[i].spelling, n);
        item->listed[i] = a->listed[i];
        item->listed[i].spelling = at;
        at += n;
    }
    r->batch = item;
    return ++r->n_batch == BATCH_MAX ? flush_batch(r, err) : SUP_OK;
}

/* --- the second look --- */

static int plan_only(struct run *r, const struct sup_walk_address *w, struct sup_err *err)
{
    if (w->unmanaged || r->plan.n > 0)
        return gather(r, w, err);
    return SUP_OK;
}

static int choose(void *arg, const struct sup_walk_address *w, struct sup_err *err)
{
    struct run *r = arg;

    r->plan.n = 0;
    if (!w->unmanaged)
        sup_reconcile_plan(&w->a, &r->rules, &r->plan);
    r->expected = 0;
    if (r->saved && sup_saved_plan_match(r->saved, w, &r->plan, &r->expected) != SUP_SAVED_SAME)
        r->expected = 0;
    if (!r->note || (r->saved && r->expected == 0))
        return plan_only(r, w, err);
    if (w->unmanaged || r->plan.n > 0 || (!r->plan.busy && is_stale(&w->a)))
        return gather(r, w, err);
    return SUP_OK;
}

/* By import jobs or by single calls: the calls that n writes take, and how long. */
static uint64_t cost(const struct run *r, uint64_t n, uint64_t job_max, uint64_t *ms)
{
    const struct sup_options *c = r->rc->opts.config;
    uint64_t jobs = 0;

    if (c->ses.import_bucket[0] == '\0' || n < c->ses.import_threshold) {
        *ms = (uint64_t)((double)n * 1000.0 / c->ses.max_rps);
        return n;
    }
    jobs = n / job_max + (n % job_max != 0);
    r->report->estimated_jobs += jobs;
    *ms = jobs * JOB_MS;
    return jobs * JOB_CALLS;
}

/* Calls of scans that go on meanwhile: the list has pages of 1000. */
static uint64_t scan_calls_a_day(const struct run *r)
{
    uint64_t pages = r->report->counts[SUP_COUNT_SCANNED] / 1000 + 1;
    int64_t interval = r->rc->opts.config->ses.scan_interval_ms;

    return pages * (uint64_t)(DAY_MS / interval + (DAY_MS % interval != 0));
}

/* Of a plan: puts and deletes go side by side, but for import jobs, which take turns. */
static void estimate(struct run *r)
{
    const uint64_t *c = r->report->counts;
    uint64_t put_ms = 0;
    uint64_t delete_ms = 0;
    uint64_t days_ms;

    r->report->estimated_calls = cost(r, c[SUP_COUNT_PUTS], JOB_PUTS_MAX, &put_ms);
    r->report->estimated_calls += cost(r, c[SUP_COUNT_DELETES], JOB_DELETES_MAX, &delete_ms);
    r->report->estimated_ms = put_ms > delete_ms ? put_ms : delete_ms;
    if (r->report->estimated_jobs > 1)
        r->report->estimated_ms = put_ms + delete_ms;
    days_ms = (uint64_t)sup_ses_calls_spread_ms(r->rc->opts.calls, r->report->estimated_calls,
                                                scan_calls_a_day(r));
    if (r->report->estimated_ms < days_ms)
        r->report->estimated_ms = days_ms;
}

/* --- a saved plan --- */

static int hold_against(void *arg, const struct sup_walk_address *w, struct sup_err *err)
{
    struct run *r = arg;

    (void)err;
    r->plan.n = 0;
    if (!w->unmanaged)
        sup_reconcile_plan(&w->a, &r->rules, &r->plan);
    (void)sup_saved_plan_match(r->saved, w, &r->plan, &r->expected);
    return SUP_OK;
}

/* Before anything is written: does all of the plan still hold? */
static int check_saved(struct run *r, struct sup_err *err)
{
    const char *first = "";
    uint64_t moved;
    int code;

    if (r->report->plan[0] == '\0')
        return SUP_OK;
    code = sup_saved_plan_open(r->rc, &r->saved, err);
    if (code == SUP_OK)
        code = sup_reconcile_walk(r->rc, hold_against, r, err);
    if (code != SUP_OK)
        return code;
    moved = sup_saved_plan_moved(r->saved, &first);
    if (moved > 0)
        return sup_err_set(err, SUP_EINPUT,
                           "the plan is refused and nothing was written: %" PRIu64
                           " of its addresses are not as it saw them, the first is %s",
                           moved, first);
    sup_saved_plan_free(r->saved);
    r->saved = NULL;
    return sup_saved_plan_open(r->rc, &r->saved, err);
}

static int check_moved(const struct run *r, struct sup_err *err)
{
    if (r->moved == 0)
        return SUP_OK;
    return sup_err_set(err, SUP_EAGAIN,
                       "%" PRIu64 " addresses of the plan changed while it was applied, and were "
                       "left as they are",
                       r->moved);
}

static int plan_and_act(struct run *r, struct sup_err *err)
{
    int code = sup_reconcile_walk(r->rc, look, r, err);

    if (code == SUP_OK)
        code = check_fuse(r, err);
    if (code == SUP_OK)
        code = check_saved(r, err);
    /* What came to be after the first look is the next run's. */
    if (code == SUP_OK && r->concerned > 0)
        code = sup_reconcile_walk(r->rc, choose, r, err);
    if (code == SUP_OK)
        code = flush_batch(r, err);
    drop_batch(r);
    estimate(r);
    if (code == SUP_OK)
        code = use_up_fuse(r, err);
    if (code == SUP_OK)
        code = check_moved(r, err);
    sup_saved_plan_free(r->saved);
    r->saved = NULL;
    return code;
}

int sup_reconcile_run(struct sup_reconciler *rc, bool dry, struct sup_report *r,
                      struct sup_err *err)
{
    const struct sup_options *c = rc->opts.config;
    struct run *run = calloc(1, sizeof(*run));
    int code;

    if (!run)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    run->rc = rc;
    run->report = r;
    run->dry = dry;
    run->note = !dry;
    run->write = !dry && c->ses.mode == SUP_MODE_ENFORCE;
    run->questions = EVIDENCE_MAX - sup_evidence_waiting(rc, 0, EVIDENCE_MAX);
    sup_buf_init(&run->value, 8192);
    code = sup_reconcile_scan(rc, r, &run->rules.scan_begin_ms, err);
    run->rules.now_ms = sup_wall_ms();
    run->rules.absence_interval_ms = c->ses.absence_interval_ms;
    run->rules.removal = (enum sup_reconcile_removal)c->ses.on_external_removal;
    if (code == SUP_OK)
        code = plan_and_act(run, err);
    sup_buf_fini(&run->value);
    free(run);
    return code;
}
