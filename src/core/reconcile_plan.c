#include "core/reconcile_plan.h"

#include "model/hlc.h"

#include <string.h>

/* SES's clock and ours differ a little, and its times are cut to milliseconds. */
#define CLOCK_SLACK_MS 1000
/* How long a put may have been under way whose end was not recorded, retries included. */
#define UNRECORDED_MS (2 * 60 * 1000)
/* An event's spelling may not show in the list yet for so long. */
#define LIST_LAG_MS (5 * 60 * 1000)
/* Spellings that are of no more use are forgotten when there is no room. */
#define FORGET_MS (3600 * 1000)

static const struct sup_ses_spelling *find(const struct sup_ses_entry *e, const char *spelling)
{
    for (size_t i = 0; e && i < e->n_spellings; i++) {
        if (strcmp(e->spellings[i].spelling, spelling) == 0)
            return &e->spellings[i];
    }
    return NULL;
}

bool sup_reconcile_own(const struct sup_ses_spelling *s, const struct sup_listed *l)
{
    int64_t end;

    if (!s || s->write_begin_ms == 0)
        return false;
    /* It was there before we deleted it: the list lags, or the delete did not get through. */
    if (s->write_op == SUP_SES_DELETE)
        return l->last_update_ms <= s->write_begin_ms;
    if (s->write_op != SUP_SES_PUT || s->write_reason != l->reason)
        return false;
    end = s->write_end_ms > 0 ? s->write_end_ms : s->write_begin_ms + UNRECORDED_MS;
    return l->last_update_ms >= s->write_begin_ms - CLOCK_SLACK_MS &&
           l->last_update_ms <= end + CLOCK_SLACK_MS;
}

static struct sup_reconcile_step *add(struct sup_reconcile_plan *p, enum sup_diff_kind kind,
                                      enum sup_diff_cause cause, enum sup_diff_action action)
{
    struct sup_reconcile_step *s = &p->steps[p->n];

    if (p->n < SUP_RECONCILE_STEPS_MAX - 1)
        p->n++;
    *s = (struct sup_reconcile_step){
        .kind = kind, .cause = cause, .action = action, .spelling = "", .reason = p->desired};
    return s;
}

static void add_listed(struct sup_reconcile_plan *p, const struct sup_listed *l,
                       const struct sup_reconcile_rules *r, enum sup_diff_kind kind,
                       enum sup_diff_cause cause, enum sup_diff_action action)
{
    struct sup_reconcile_step *s = add(p, kind, cause, action);

    s->spelling = l->spelling;
    s->reason = l->reason;
    s->time_ms = l->last_update_ms > r->now_ms ? r->now_ms : l->last_update_ms;
    if (s->time_ms < 1)
        s->time_ms = 1;
}

/* Would the entry, taken for a decision of its time, win over what its register holds? A
 * suppression that expired counts as cleared from then on. */
static bool is_news(const struct sup_registers *rs, const struct sup_listed *l, int64_t now_ms)
{
    enum sup_class cls = l->reason == SUP_REASON_COMPLAINT ? SUP_CLASS_COMPLAINT : SUP_CLASS_BOUNCE;
    const struct sup_register *r;
    int64_t until;

    if (!rs || !rs->r[cls - 1].present)
        return true;
    r = &rs->r[cls - 1];
    until = sup_hlc_ms(r->time);
    if (r->state == SUP_SUPPRESSED && r->expires_ms > until && r->expires_ms <= now_ms)
        until = r->expires_ms;
    return l->last_update_ms > until;
}

static void plan_unwanted(const struct sup_reconcile_address *a,
                          const struct sup_reconcile_rules *r, size_t n,
                          struct sup_reconcile_plan *out)
{
    bool adopted = false;

    for (size_t i = 0; i < n; i++) {
        const struct sup_listed *l = &a->listed[i];
        if (l->reason == SUP_REASON_NONE) {
            add_listed(out, l, r, SUP_DIFF_UNMANAGED, SUP_WHY_UNKNOWN_REASON, SUP_DO_NOTHING);
        } else if (!sup_reconcile_own(find(a->known, l->spelling), l) &&
                   is_news(a->registers, l, r->now_ms)) {
            add_listed(out, l, r, SUP_DIFF_EXTRA, SUP_WHY_ADDED, SUP_DO_ADOPT_ADD);
            adopted = true;
        }
    }
    for (size_t i = 0; !adopted && i < n; i++) {
        const struct sup_listed *l = &a->listed[i];
        bool own = sup_reconcile_own(find(a->known, l->spelling), l);
        if (l->reason == SUP_REASON_NONE)
            continue;
        /* Without any decision nothing is deleted, even if we put it once. */
        add_listed(out, l, r, a->registers ? SUP_DIFF_EXTRA : SUP_DIFF_UNMANAGED,
                   own ? SUP_WHY_OWN_WRITE : SUP_WHY_CLEARED,
                   a->registers ? SUP_DO_DELETE : SUP_DO_NOTHING);
    }
    if (adopted && n > 1)
        add_listed(out, &a->listed[0], r, SUP_DIFF_TWIN, SUP_WHY_SPELLINGS, SUP_DO_NOTHING);
}

static void plan_listed(const struct sup_reconcile_address *a, const struct sup_reconcile_rules *r,
                        size_t n, struct sup_reconcile_plan *out)
{
    bool good = false;

    for (size_t i = 0; i < n; i++) {
        const struct sup_listed *l = &a->listed[i];
        good = good || l->reason == out->desired || l->reason == SUP_REASON_COMPLAINT;
        if (l->reason == SUP_REASON_COMPLAINT && out->desired == SUP_REASON_BOUNCE &&
            !sup_reconcile_own(find(a->known, l->spelling), l) &&
            is_news(a->registers, l, r->now_ms))
            add_listed(out, l, r, SUP_DIFF_REASON, SUP_WHY_COMPLAINT_FOUND, SUP_DO_ADOPT_ADD);
    }
    if (!good) {
        add_listed(out, &a->listed[0], r, SUP_DIFF_REASON,
                   out->desired == SUP_REASON_COMPLAINT ? SUP_WHY_COMPLAINT_OUTRANKS
                                                        : SUP_WHY_UNKNOWN_REASON,
                   SUP_DO_PUT);
        out->steps[out->n - 1].reason = out->desired;
    }
    out->matched = good && out->n == 0;
    if (n > 1)
        add_listed(out, &a->listed[0], r, SUP_DIFF_TWIN, SUP_WHY_SPELLINGS, SUP_DO_NOTHING);
}

/* The newest of the registers that suppress. */
static int64_t newest_ms(const struct sup_registers *rs, int64_t now_ms)
{
    int64_t newest = 0;

    for (size_t i = 0; i < SUP_N_CLASSES; i++) {
        if (sup_register_suppresses(&rs->r[i], now_ms) && sup_hlc_ms(rs->r[i].time) > newest)
            newest = sup_hlc_ms(rs->r[i].time);
    }
    return newest;
}

/* Was anything of it seen in the list since we put it? If not, the put may have come to nothing: an
 * import job that counted wrong, an answer that was none. */
static bool was_seen(const struct sup_ses_entry *e)
{
    for (size_t i = 0; i < e->n_spellings; i++) {
        const struct sup_ses_spelling *s = &e->spellings[i];
        if (s->present && (s->write_op != SUP_SES_PUT || s->last_update_ms != 0))
            return true;
    }
    return false;
}

static void plan_absent(const struct sup_reconcile_address *a, const struct sup_reconcile_rules *r,
                        struct sup_reconcile_plan *out)
{
    struct sup_reconcile_step *s;
    int64_t since;

    if (!out->known_listed) {
        add(out, SUP_DIFF_MISSING, SUP_WHY_NEVER_LISTED, SUP_DO_PUT);
        return;
    }
    since = a->known->absent_since_ms;
    out->removed = true;
    if (since == 0 || r->scan_begin_ms - since < r->absence_interval_ms) {
        s = add(out, SUP_DIFF_REMOVED, SUP_WHY_GONE_ONCE, SUP_DO_WAIT);
        s->time_ms = since > 0 ? since : r->scan_begin_ms;
        return;
    }
    /* What was decided after it was gone is not undone by its being gone, and nobody removed what
     * never came to be there. */
    s = add(out, SUP_DIFF_REMOVED, SUP_WHY_GONE, SUP_DO_PUT);
    if (!was_seen(a->known))
        s->action = SUP_DO_PUT;
    else if (r->removal == SUP_RECONCILE_REPORT)
        s->action = SUP_DO_REPORT;
    else if (r->removal == SUP_RECONCILE_PROPAGATE && newest_ms(a->registers, r->now_ms) < since)
        s->action = SUP_DO_ADOPT_REMOVAL;
    s->time_ms = since;
    s->withheld = r->hold_removals && s->action != SUP_DO_REPORT;
}

/* Entries that changed since the scan began, by our hand or as SES told us, were seen by the scan
 * before or after: nothing follows from that. */
static bool is_busy(const struct sup_ses_entry *e, const struct sup_reconcile_rules *r)
{
    int64_t scan_begin_ms = r->scan_begin_ms;

    for (size_t i = 0; e && i < e->n_spellings; i++) {
        const struct sup_ses_spelling *s = &e->spellings[i];
        if (s->write_begin_ms >= scan_begin_ms || s->write_end_ms >= scan_begin_ms ||
            (s->last_update_ms >= scan_begin_ms && s->last_update_ms <= r->now_ms))
            return true;
    }
    return false;
}

void sup_reconcile_plan(const struct sup_reconcile_address *a, const struct sup_reconcile_rules *r,
                        struct sup_reconcile_plan *out)
{
    size_t n = a->n_listed < SUP_SPELLINGS_MAX ? a->n_listed : SUP_SPELLINGS_MAX;

    memset(out, 0, sizeof(*out));
    if (a->registers)
        out->desired = sup_registers_effective(a->registers, r->now_ms, NULL);
    for (size_t i = 0; a->known && i < a->known->n_spellings; i++)
        out->known_listed = out->known_listed || a->known->spellings[i].present;
    out->busy = is_busy(a->known, r);
    if (out->busy) {
        out->matched = out->desired != SUP_REASON_NONE && out->known_listed;
        return;
    }
    if (out->desired == SUP_REASON_NONE)
        plan_unwanted(a, r, n, out);
    else if (n > 0)
        plan_listed(a, r, n, out);
    else
        plan_absent(a, r, out);
}

static bool useful(const struct sup_ses_spelling *s, const struct sup_reconcile_address *a,
                   int64_t scan_begin_ms)
{
    if (s->present || s->unverified || s->noted_ms > 0 ||
        s->write_begin_ms > scan_begin_ms - FORGET_MS)
        return true;
    for (size_t i = 0; i < a->n_listed; i++) {
        if (strcmp(a->listed[i].spelling, s->spelling) == 0)
            return true;
    }
    return false;
}

static struct sup_ses_spelling *room_for(struct sup_ses_entry *e, const char *spelling,
                                         const struct sup_reconcile_address *a,
                                         int64_t scan_begin_ms)
{
    struct sup_ses_spelling *s = sup_ses_entry_spelling(e, spelling);
    size_t kept = 0;

    if (s)
        return s;
    for (size_t i = 0; i < e->n_spellings; i++) {
        if (useful(&e->spellings[i], a, scan_begin_ms))
            e->spellings[kept++] = e->spellings[i];
    }
    e->n_spellings = kept;
    return sup_ses_entry_spelling(e, spelling);
}

static void set_absent(struct sup_ses_entry *e, const struct sup_reconcile_address *a,
                       int64_t scan_begin_ms)
{
    for (size_t i = 0; i < e->n_spellings; i++) {
        struct sup_ses_spelling *s = &e->spellings[i];
        bool listed = false;
        for (size_t j = 0; !listed && j < a->n_listed; j++)
            listed = strcmp(a->listed[j].spelling, s->spelling) == 0;
        if (listed)
            continue;
        s->present = false;
        s->reason = SUP_REASON_NONE;
        s->last_update_ms = 0;
        if (s->noted_ms < scan_begin_ms - LIST_LAG_MS)
            s->unverified = false;
    }
}

static bool gives_up(const struct sup_reconcile_plan *plan)
{
    for (size_t i = 0; i < plan->n; i++) {
        const struct sup_reconcile_step *s = &plan->steps[i];
        if (!s->withheld && (s->action == SUP_DO_PUT || s->action == SUP_DO_ADOPT_REMOVAL))
            return true;
    }
    return false;
}

static void observe(struct sup_ses_entry *e, const struct sup_reconcile_address *a,
                    const struct sup_reconcile_rules *r, const struct sup_reconcile_plan *plan,
                    bool carried_out)
{
    if (plan->busy)
        return;
    if (plan->removed && !(carried_out && gives_up(plan))) {
        /* Still taken for listed, so that nothing is put before it is known to be gone. */
        if (e->absent_since_ms == 0)
            e->absent_since_ms = r->scan_begin_ms;
        return;
    }
    e->absent_since_ms = 0;
    set_absent(e, a, r->scan_begin_ms);
    for (size_t i = 0; i < a->n_listed && i < SUP_SPELLINGS_MAX; i++) {
        const struct sup_listed *l = &a->listed[i];
        struct sup_ses_spelling *s = room_for(e, l->spelling, a, r->scan_begin_ms);
        if (!s)
            continue;
        s->present = true;
        s->reason = l->reason;
        s->last_update_ms = l->last_update_ms;
        s->unverified = false;
    }
}

void sup_reconcile_observe(struct sup_ses_entry *e, const struct sup_reconcile_address *a,
                           const struct sup_reconcile_rules *r,
                           const struct sup_reconcile_plan *plan)
{
    observe(e, a, r, plan, true);
}

void sup_reconcile_note(struct sup_ses_entry *e, const struct sup_reconcile_address *a,
                        const struct sup_reconcile_rules *r, const struct sup_reconcile_plan *plan)
{
    observe(e, a, r, plan, false);
}

bool sup_reconcile_is_mass(uint64_t removals, uint64_t listed, double percent, uint64_t count)
{
    if (removals == 0)
        return false;
    if (removals > count)
        return true;
    return removals > 1 && (double)removals > (double)listed * percent / 100.0;
}
