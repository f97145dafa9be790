#include "core/outbox_plan.h"
#include "core/reconcile_join.h"
#include "core/reconcile_plan.h"

#include "base/random.h"
#include "model/hlc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEY       "foo@x.com"
#define NOW       100000000
#define SCAN      (NOW - 100)
#define INTERVAL  600000
#define ROUNDS    20000
#define SPELLINGS 4

static const char *const spellings[SPELLINGS] = {"foo@x.com", "Foo@x.com", "FOO@x.com",
                                                 "fOo@x.com"};

/* Everything about one address. */
struct world {
    bool has_record;
    struct sup_registers registers;
    bool has_known;
    struct sup_ses_entry known;
    struct sup_listed listed[SPELLINGS];
    size_t n_listed;
    struct sup_reconcile_rules rules;
};

static void world_init(struct world *w)
{
    memset(w, 0, sizeof(*w));
    sup_ses_entry_init(&w->known);
    w->rules = (struct sup_reconcile_rules){
        .now_ms = NOW, .scan_begin_ms = SCAN, .absence_interval_ms = INTERVAL};
}

static void decide(struct world *w, enum sup_class cls, enum sup_state state, int64_t ms)
{
    w->has_record = true;
    w->registers.r[cls - 1] = (struct sup_register){
        .present = true, .state = state, .time = sup_hlc_from_ms(ms), .origin = 1};
}

static struct sup_ses_spelling *know(struct world *w, const char *spelling, enum sup_reason reason)
{
    struct sup_ses_spelling *s = sup_ses_entry_spelling(&w->known, spelling);

    assert_non_null(s);
    w->has_known = true;
    s->present = reason != SUP_REASON_NONE;
    s->reason = reason;
    return s;
}

static void list(struct world *w, const char *spelling, enum sup_reason reason, int64_t ms)
{
    w->listed[w->n_listed++] =
        (struct sup_listed){.spelling = spelling, .reason = reason, .last_update_ms = ms};
}

static struct sup_reconcile_address address_of(const struct world *w)
{
    return (struct sup_reconcile_address){
        .key = SUP_SLICE_LIT(KEY),
        .registers = w->has_record ? &w->registers : NULL,
        .known = w->has_known ? &w->known : NULL,
        .listed = w->listed,
        .n_listed = w->n_listed,
    };
}

static void plan_of(const struct world *w, struct sup_reconcile_plan *p)
{
    struct sup_reconcile_address a = address_of(w);

    sup_reconcile_plan(&a, &w->rules, p);
}

static void expect_one(const struct world *w, enum sup_diff_kind kind, enum sup_diff_cause cause,
                       enum sup_diff_action action)
{
    struct sup_reconcile_plan p;

    plan_of(w, &p);
    assert_int_equal(p.n, 1);
    assert_int_equal(p.steps[0].kind, kind);
    assert_int_equal(p.steps[0].cause, cause);
    assert_int_equal(p.steps[0].action, action);
}

static void expect_nothing(const struct world *w, bool matched)
{
    struct sup_reconcile_plan p;

    plan_of(w, &p);
    assert_int_equal(p.n, 0);
    assert_int_equal(p.matched, matched);
}

/* --- the rows of the table --- */

static void suppressed_and_never_listed_is_put(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    decide(&w, SUP_CLASS_BOUNCE, SUP_SUPPRESSED, 1000);
    expect_one(&w, SUP_DIFF_MISSING, SUP_WHY_NEVER_LISTED, SUP_DO_PUT);
    list(&w, KEY, SUP_REASON_BOUNCE, 5);
    expect_nothing(&w, true);
}

static void a_strangers_entry_is_adopted_unless_a_clear_is_newer(void **state)
{
    struct sup_reconcile_plan p;
    struct world w;

    (void)state;
    world_init(&w);
    list(&w, "Foo@x.com", SUP_REASON_BOUNCE, 5000);
    plan_of(&w, &p);
    assert_int_equal(p.n, 1);
    assert_int_equal(p.steps[0].action, SUP_DO_ADOPT_ADD);
    assert_int_equal(p.steps[0].time_ms, 5000);
    assert_string_equal(p.steps[0].spelling, "Foo@x.com");
    decide(&w, SUP_CLASS_BOUNCE, SUP_CLEARED, 4999);
    expect_one(&w, SUP_DIFF_EXTRA, SUP_WHY_ADDED, SUP_DO_ADOPT_ADD);
    decide(&w, SUP_CLASS_BOUNCE, SUP_CLEARED, 5000);
    expect_one(&w, SUP_DIFF_EXTRA, SUP_WHY_CLEARED, SUP_DO_DELETE);
}

static void a_clear_of_bounces_does_not_undo_a_complaint(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    decide(&w, SUP_CLASS_BOUNCE, SUP_CLEARED, 9000);
    list(&w, KEY, SUP_REASON_COMPLAINT, 5000);
    expect_one(&w, SUP_DIFF_EXTRA, SUP_WHY_ADDED, SUP_DO_ADOPT_ADD);
    decide(&w, SUP_CLASS_COMPLAINT, SUP_CLEARED, 9000);
    expect_one(&w, SUP_DIFF_EXTRA, SUP_WHY_CLEARED, SUP_DO_DELETE);
}

static void a_suppression_that_expired_counts_as_cleared_then(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    decide(&w, SUP_CLASS_BOUNCE, SUP_SUPPRESSED, 1000);
    w.registers.r[0].expires_ms = 6000;
    list(&w, KEY, SUP_REASON_BOUNCE, 5999);
    expect_one(&w, SUP_DIFF_EXTRA, SUP_WHY_CLEARED, SUP_DO_DELETE);
    w.listed[0].last_update_ms = 6001;
    expect_one(&w, SUP_DIFF_EXTRA, SUP_WHY_ADDED, SUP_DO_ADOPT_ADD);
}

static void our_own_put_is_never_evidence(void **state)
{
    struct sup_ses_spelling *s;
    struct world w;

    (void)state;
    world_init(&w);
    /* The put was under way when the operator cleared: its time is later than the clear. */
    s = know(&w, KEY, SUP_REASON_BOUNCE);
    s->write_op = SUP_SES_PUT;
    s->write_reason = SUP_REASON_BOUNCE;
    s->write_begin_ms = 5000;
    s->write_end_ms = 9000;
    decide(&w, SUP_CLASS_BOUNCE, SUP_CLEARED, 6000);
    list(&w, KEY, SUP_REASON_BOUNCE, 8000);
    expect_one(&w, SUP_DIFF_EXTRA, SUP_WHY_OWN_WRITE, SUP_DO_DELETE);
    /* The end was never recorded: a crash. */
    s->write_end_ms = 0;
    expect_one(&w, SUP_DIFF_EXTRA, SUP_WHY_OWN_WRITE, SUP_DO_DELETE);
    /* Long after, or with another reason, it was somebody else. */
    w.listed[0].last_update_ms = 5000 + 10 * 60 * 1000;
    expect_one(&w, SUP_DIFF_EXTRA, SUP_WHY_ADDED, SUP_DO_ADOPT_ADD);
    w.listed[0] = (struct sup_listed){KEY, SUP_REASON_COMPLAINT, 8000};
    expect_one(&w, SUP_DIFF_EXTRA, SUP_WHY_ADDED, SUP_DO_ADOPT_ADD);
}

static void what_was_there_before_our_delete_is_no_evidence(void **state)
{
    struct sup_ses_spelling *s;
    struct world w;

    (void)state;
    world_init(&w);
    s = know(&w, KEY, SUP_REASON_NONE);
    s->write_op = SUP_SES_DELETE;
    s->write_begin_ms = 9000;
    s->write_end_ms = 9100;
    decide(&w, SUP_CLASS_BOUNCE, SUP_CLEARED, 6000);
    list(&w, KEY, SUP_REASON_BOUNCE, 8999);
    expect_one(&w, SUP_DIFF_EXTRA, SUP_WHY_OWN_WRITE, SUP_DO_DELETE);
    w.listed[0].last_update_ms = 9200;
    expect_one(&w, SUP_DIFF_EXTRA, SUP_WHY_ADDED, SUP_DO_ADOPT_ADD);
}

static void without_any_decision_nothing_is_deleted(void **state)
{
    struct sup_ses_spelling *s;
    struct world w;

    (void)state;
    world_init(&w);
    s = know(&w, KEY, SUP_REASON_BOUNCE);
    s->write_op = SUP_SES_PUT;
    s->write_reason = SUP_REASON_BOUNCE;
    s->write_begin_ms = 5000;
    s->write_end_ms = 5100;
    list(&w, KEY, SUP_REASON_BOUNCE, 5050);
    expect_one(&w, SUP_DIFF_UNMANAGED, SUP_WHY_OWN_WRITE, SUP_DO_NOTHING);
}

static void every_spelling_is_deleted(void **state)
{
    struct sup_reconcile_plan p;
    struct world w;

    (void)state;
    world_init(&w);
    decide(&w, SUP_CLASS_BOUNCE, SUP_CLEARED, 9000);
    for (size_t i = 0; i < SPELLINGS; i++)
        list(&w, spellings[i], SUP_REASON_BOUNCE, 100);
    plan_of(&w, &p);
    assert_int_equal(p.n, SPELLINGS);
    for (size_t i = 0; i < SPELLINGS; i++) {
        assert_int_equal(p.steps[i].action, SUP_DO_DELETE);
        assert_string_equal(p.steps[i].spelling, spellings[i]);
    }
}

static void twins_are_reported(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    decide(&w, SUP_CLASS_BOUNCE, SUP_SUPPRESSED, 9000);
    list(&w, spellings[0], SUP_REASON_BOUNCE, 100);
    list(&w, spellings[1], SUP_REASON_BOUNCE, 100);
    expect_one(&w, SUP_DIFF_TWIN, SUP_WHY_SPELLINGS, SUP_DO_NOTHING);
}

static void reasons(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    decide(&w, SUP_CLASS_COMPLAINT, SUP_SUPPRESSED, 9000);
    list(&w, KEY, SUP_REASON_BOUNCE, 100);
    expect_one(&w, SUP_DIFF_REASON, SUP_WHY_COMPLAINT_OUTRANKS, SUP_DO_PUT);
    world_init(&w);
    decide(&w, SUP_CLASS_BOUNCE, SUP_SUPPRESSED, 9000);
    list(&w, KEY, SUP_REASON_COMPLAINT, 100);
    expect_one(&w, SUP_DIFF_REASON, SUP_WHY_COMPLAINT_FOUND, SUP_DO_ADOPT_ADD);
    /* A complaint that was cleared since stays cleared; the entry may stay as it is. */
    decide(&w, SUP_CLASS_COMPLAINT, SUP_CLEARED, 200);
    expect_nothing(&w, true);
}

static void absence_counts_after_two_scans(void **state)
{
    struct sup_reconcile_address a;
    struct sup_reconcile_plan p;
    struct world w;

    (void)state;
    world_init(&w);
    decide(&w, SUP_CLASS_BOUNCE, SUP_SUPPRESSED, 1000);
    know(&w, KEY, SUP_REASON_BOUNCE);
    expect_one(&w, SUP_DIFF_REMOVED, SUP_WHY_GONE_ONCE, SUP_DO_WAIT);
    plan_of(&w, &p);
    assert_true(p.removed);
    a = address_of(&w);
    sup_reconcile_observe(&w.known, &a, &w.rules, &p);
    assert_int_equal(w.known.absent_since_ms, SCAN);
    assert_true(w.known.spellings[0].present); /* not put before it is known to be gone */
    w.rules.scan_begin_ms += INTERVAL - 1;
    expect_one(&w, SUP_DIFF_REMOVED, SUP_WHY_GONE_ONCE, SUP_DO_WAIT);
    w.rules.scan_begin_ms += 1;
    expect_one(&w, SUP_DIFF_REMOVED, SUP_WHY_GONE, SUP_DO_PUT);
    w.rules.removal = SUP_RECONCILE_REPORT;
    expect_one(&w, SUP_DIFF_REMOVED, SUP_WHY_GONE, SUP_DO_REPORT);
    w.rules.removal = SUP_RECONCILE_PROPAGATE;
    expect_one(&w, SUP_DIFF_REMOVED, SUP_WHY_GONE, SUP_DO_ADOPT_REMOVAL);
    w.rules.hold_removals = true;
    plan_of(&w, &p);
    assert_true(p.steps[0].withheld);
    /* Decided after it was gone: the removal says nothing about that. */
    w.rules.hold_removals = false;
    decide(&w, SUP_CLASS_BOUNCE, SUP_SUPPRESSED, SCAN + 1);
    expect_one(&w, SUP_DIFF_REMOVED, SUP_WHY_GONE, SUP_DO_PUT);
    /* Listed in between: it starts anew. */
    list(&w, KEY, SUP_REASON_BOUNCE, 500);
    plan_of(&w, &p);
    a = address_of(&w);
    sup_reconcile_observe(&w.known, &a, &w.rules, &p);
    assert_int_equal(w.known.absent_since_ms, 0);
}

/* Who only looks on says what one who acts would have said, and says it again and again. */
static void absence_is_noted_without_acting(void **state)
{
    struct sup_reconcile_address a;
    struct sup_reconcile_plan p;
    struct world w;

    (void)state;
    world_init(&w);
    decide(&w, SUP_CLASS_BOUNCE, SUP_SUPPRESSED, 1000);
    /* Found listed, though never put: from then on it is known to be. */
    list(&w, KEY, SUP_REASON_BOUNCE, 500);
    plan_of(&w, &p);
    a = address_of(&w);
    sup_reconcile_note(&w.known, &a, &w.rules, &p);
    w.has_known = true;
    w.n_listed = 0;
    for (int i = 0; i < 4; i++) {
        expect_one(&w, SUP_DIFF_REMOVED, i == 0 ? SUP_WHY_GONE_ONCE : SUP_WHY_GONE,
                   i == 0 ? SUP_DO_WAIT : SUP_DO_PUT);
        plan_of(&w, &p);
        a = address_of(&w);
        sup_reconcile_note(&w.known, &a, &w.rules, &p);
        assert_int_equal(w.known.absent_since_ms, SCAN);
        w.rules.scan_begin_ms += INTERVAL;
        w.rules.now_ms += INTERVAL;
    }
    /* Somebody lets it act: the very next run does. */
    plan_of(&w, &p);
    sup_reconcile_observe(&w.known, &a, &w.rules, &p);
    assert_int_equal(w.known.absent_since_ms, 0);
    assert_false(w.known.spellings[0].present);
}

static void a_put_that_never_showed_is_put_again(void **state)
{
    static const enum sup_reconcile_removal policies[] = {
        SUP_RECONCILE_RESTORE, SUP_RECONCILE_PROPAGATE, SUP_RECONCILE_REPORT};
    struct sup_ses_spelling *s;
    struct world w;

    (void)state;
    world_init(&w);
    decide(&w, SUP_CLASS_BOUNCE, SUP_SUPPRESSED, 1000);
    s = know(&w, KEY, SUP_REASON_BOUNCE);
    s->write_op = SUP_SES_PUT;
    s->write_reason = SUP_REASON_BOUNCE;
    s->write_begin_ms = 2000;
    s->write_end_ms = 2100;
    expect_one(&w, SUP_DIFF_REMOVED, SUP_WHY_GONE_ONCE, SUP_DO_WAIT);
    w.known.absent_since_ms = SCAN - INTERVAL;
    for (size_t i = 0; i < 3; i++) {
        w.rules.removal = policies[i];
        expect_one(&w, SUP_DIFF_REMOVED, SUP_WHY_GONE, SUP_DO_PUT);
    }
    /* It was there: who took it away is for the policy. */
    s->last_update_ms = 2050;
    expect_one(&w, SUP_DIFF_REMOVED, SUP_WHY_GONE, SUP_DO_REPORT);
}

static void what_changed_during_the_scan_is_left_alone(void **state)
{
    struct sup_ses_spelling *s;
    struct world w;

    (void)state;
    world_init(&w);
    decide(&w, SUP_CLASS_BOUNCE, SUP_SUPPRESSED, 1000);
    s = know(&w, KEY, SUP_REASON_BOUNCE);
    s->write_op = SUP_SES_PUT;
    s->write_begin_ms = SCAN - 10;
    s->write_end_ms = SCAN;
    expect_nothing(&w, true);
    s->write_end_ms = SCAN - 1;
    expect_one(&w, SUP_DIFF_REMOVED, SUP_WHY_GONE_ONCE, SUP_DO_WAIT);
    s->last_update_ms = SCAN + 1; /* SES added it, as an event told */
    expect_nothing(&w, true);
    s->last_update_ms = NOW + 1; /* SES's clock: says nothing */
    expect_one(&w, SUP_DIFF_REMOVED, SUP_WHY_GONE_ONCE, SUP_DO_WAIT);
}

static void unknown_reasons_are_left_alone(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    list(&w, KEY, SUP_REASON_NONE, 100);
    expect_one(&w, SUP_DIFF_UNMANAGED, SUP_WHY_UNKNOWN_REASON, SUP_DO_NOTHING);
}

static void fuse_thresholds(void **state)
{
    (void)state;
    assert_false(sup_reconcile_is_mass(0, 0, 0, 0));
    assert_false(sup_reconcile_is_mass(1, 1, 5, 1000));
    assert_true(sup_reconcile_is_mass(1, 1, 100, 0));
    assert_true(sup_reconcile_is_mass(2, 39, 5, 1000));
    assert_false(sup_reconcile_is_mass(2, 40, 5, 1000));
    assert_true(sup_reconcile_is_mass(1001, 1000000, 5, 1000));
    assert_false(sup_reconcile_is_mass(1000, 1000000, 5, 1000));
    assert_false(sup_reconcile_is_mass(50, 50, 100, 1000));
}

static void full_known_entries_make_room(void **state)
{
    struct sup_reconcile_address a;
    struct sup_reconcile_plan p;
    struct world w;
    char text[32];

    (void)state;
    world_init(&w);
    decide(&w, SUP_CLASS_BOUNCE, SUP_SUPPRESSED, 1000);
    for (int i = 0; i < SUP_SPELLINGS_MAX; i++) {
        snprintf(text, sizeof(text), "f%dOO@x.com", i);
        know(&w, text, SUP_REASON_NONE);
    }
    list(&w, KEY, SUP_REASON_BOUNCE, 100);
    plan_of(&w, &p);
    a = address_of(&w);
    sup_reconcile_observe(&w.known, &a, &w.rules, &p);
    assert_non_null(sup_ses_entry_spelling(&w.known, KEY));
    assert_true(sup_ses_entry_spelling(&w.known, KEY)->present);
}

/* --- properties --- */

static uint64_t seed;

static void random_register(struct sup_rng *g, struct world *w, enum sup_class cls)
{
    struct sup_register *r = &w->registers.r[cls - 1];

    if (sup_rng_below(g, 3) == 0)
        return;
    decide(w, cls, sup_rng_below(g, 2) ? SUP_SUPPRESSED : SUP_CLEARED,
           1000 + (int64_t)sup_rng_below(g, 20));
    if (r->state == SUP_SUPPRESSED && sup_rng_below(g, 4) == 0)
        r->expires_ms = sup_rng_below(g, 2) ? 1000 + (int64_t)sup_rng_below(g, 30) : 2 * NOW;
}

static void random_world(struct sup_rng *g, struct world *w)
{
    world_init(w);
    for (int c = 1; c <= SUP_N_CLASSES; c++)
        random_register(g, w, (enum sup_class)c);
    for (size_t i = 0; i < SPELLINGS; i++) {
        if (sup_rng_below(g, 3) == 0)
            list(w, spellings[i], (enum sup_reason)(1 + sup_rng_below(g, 2)),
                 1000 + (int64_t)sup_rng_below(g, 20));
        if (sup_rng_below(g, 3) == 0) {
            struct sup_ses_spelling *s =
                know(w, spellings[i], (enum sup_reason)sup_rng_below(g, 3));
            s->write_op = (enum sup_ses_op)sup_rng_below(g, 3);
            s->write_reason = (enum sup_reason)(1 + sup_rng_below(g, 2));
            s->write_begin_ms =
                s->write_op == SUP_SES_NONE ? 0 : 1000 + (int64_t)sup_rng_below(g, 20);
            s->write_end_ms = s->write_begin_ms + (int64_t)sup_rng_below(g, 5);
            s->last_update_ms = (int64_t)sup_rng_below(g, 2) * 1000;
        }
    }
    w->known.absent_since_ms =
        w->has_known && sup_rng_below(g, 2) ? SCAN - (int64_t)sup_rng_below(g, 2 * INTERVAL) : 0;
    w->rules.removal = (enum sup_reconcile_removal)sup_rng_below(g, 3);
    w->rules.hold_removals = sup_rng_below(g, 4) == 0;
}

/* The table of the design, said as plainly as can be: which spellings go, which are adopted, and
 * whether something is put. */
struct naive {
    bool put, wait, report, remove, deletes[SPELLINGS], adopts[SPELLINGS];
};

static bool naive_own(const struct world *w, const struct sup_listed *l)
{
    for (size_t i = 0; i < w->known.n_spellings; i++) {
        const struct sup_ses_spelling *s = &w->known.spellings[i];
        if (strcmp(s->spelling, l->spelling) != 0 || s->write_begin_ms == 0)
            continue;
        if (s->write_op == SUP_SES_DELETE)
            return l->last_update_ms <= s->write_begin_ms;
        return s->write_op == SUP_SES_PUT && s->write_reason == l->reason &&
               llabs(l->last_update_ms - s->write_begin_ms) <= 1000000;
    }
    return false;
}

static bool naive_news(const struct world *w, const struct sup_listed *l)
{
    const struct sup_register *r = &w->registers.r[l->reason == SUP_REASON_COMPLAINT ? 1 : 0];
    bool expired = r->state == SUP_SUPPRESSED && r->expires_ms > 0 && r->expires_ms <= NOW;

    if (!r->present)
        return true;
    if (expired && r->expires_ms >= l->last_update_ms)
        return false;
    return l->last_update_ms > sup_hlc_ms(r->time);
}

static void naive_plan(const struct world *w, struct naive *n)
{
    enum sup_reason desired =
        w->has_record ? sup_registers_effective(&w->registers, NOW, NULL) : SUP_REASON_NONE;
    bool complaint = false, known = false, any = false, seen = false;
    int64_t newest = 0;

    memset(n, 0, sizeof(*n));
    for (size_t i = 0; i < w->known.n_spellings; i++) {
        const struct sup_ses_spelling *s = &w->known.spellings[i];
        known = known || s->present;
        /* Ours, and the list never showed it: the put was lost. */
        seen = seen || (s->present && !(s->write_op == SUP_SES_PUT && s->last_update_ms == 0));
    }
    for (size_t i = 0; i < w->n_listed; i++) {
        bool evidence = !naive_own(w, &w->listed[i]) && naive_news(w, &w->listed[i]);
        complaint = complaint || w->listed[i].reason == SUP_REASON_COMPLAINT;
        if (desired == SUP_REASON_NONE)
            n->adopts[i] = evidence;
        else if (desired == SUP_REASON_BOUNCE)
            n->adopts[i] = evidence && w->listed[i].reason == SUP_REASON_COMPLAINT;
        any = any || n->adopts[i];
    }
    if (desired == SUP_REASON_NONE) {
        for (size_t i = 0; i < w->n_listed; i++)
            n->deletes[i] = !any && w->has_record;
        return;
    }
    for (size_t i = 0; i < SUP_N_CLASSES; i++) {
        const struct sup_register *r = &w->registers.r[i];
        if (sup_register_suppresses(r, NOW) && sup_hlc_ms(r->time) > newest)
            newest = sup_hlc_ms(r->time);
    }
    if (w->n_listed > 0)
        n->put = desired == SUP_REASON_COMPLAINT && !complaint;
    else if (!known)
        n->put = true;
    else if (w->known.absent_since_ms == 0 || SCAN - w->known.absent_since_ms < INTERVAL)
        n->wait = true;
    else if (!seen)
        n->put = true;
    else if (w->rules.removal == SUP_RECONCILE_REPORT)
        n->report = true;
    else if (w->rules.removal == SUP_RECONCILE_PROPAGATE && newest < w->known.absent_since_ms)
        n->remove = true;
    else
        n->put = true;
}

static size_t index_of(const struct world *w, const char *spelling)
{
    for (size_t i = 0; i < w->n_listed; i++) {
        if (strcmp(w->listed[i].spelling, spelling) == 0)
            return i;
    }
    fail_msg("a step names a spelling that is not listed: %s", spelling);
    return 0;
}

static void plan_as_naive(const struct world *w, const struct sup_reconcile_plan *p,
                          struct naive *n)
{
    memset(n, 0, sizeof(*n));
    for (size_t i = 0; i < p->n; i++) {
        const struct sup_reconcile_step *s = &p->steps[i];
        n->put |= s->action == SUP_DO_PUT;
        n->wait |= s->action == SUP_DO_WAIT;
        n->report |= s->action == SUP_DO_REPORT;
        n->remove |= s->action == SUP_DO_ADOPT_REMOVAL;
        if (s->action == SUP_DO_DELETE)
            n->deletes[index_of(w, s->spelling)] = true;
        if (s->action == SUP_DO_ADOPT_ADD)
            n->adopts[index_of(w, s->spelling)] = true;
        if (s->withheld)
            assert_true(w->rules.hold_removals && s->kind == SUP_DIFF_REMOVED);
    }
}

static void plan_agrees_with_the_naive_model(void **state)
{
    struct sup_reconcile_plan p;
    struct naive want, have;
    struct sup_rng g;
    struct world w;

    (void)state;
    sup_rng_seed(&g, seed);
    for (int i = 0; i < ROUNDS; i++) {
        random_world(&g, &w);
        plan_of(&w, &p);
        assert_false(p.busy);
        naive_plan(&w, &want);
        plan_as_naive(&w, &p, &have);
        if (memcmp(&want, &have, sizeof(want)) != 0)
            fail_msg("round %d of seed %llu differs", i, (unsigned long long)seed);
    }
}

/* --- a list that does what it is told --- */

static void list_put(struct world *w, const char *spelling, enum sup_reason reason, int64_t ms)
{
    for (size_t i = 0; i < w->n_listed; i++) {
        if (strcmp(w->listed[i].spelling, spelling) == 0) {
            w->listed[i].reason = reason;
            w->listed[i].last_update_ms = ms;
            return;
        }
    }
    assert_true(w->n_listed < SPELLINGS);
    for (size_t i = 0; i < SPELLINGS; i++) {
        if (strcmp(spellings[i], spelling) == 0)
            list(w, spellings[i], reason, ms);
    }
}

static void list_delete(struct world *w, const char *spelling)
{
    for (size_t i = 0; i < w->n_listed; i++) {
        if (strcmp(w->listed[i].spelling, spelling) == 0) {
            w->listed[i] = w->listed[--w->n_listed];
            return;
        }
    }
}

static void adopt(struct world *w, const struct sup_reconcile_step *s)
{
    enum sup_class cls = s->reason == SUP_REASON_COMPLAINT ? SUP_CLASS_COMPLAINT : SUP_CLASS_BOUNCE;

    if (s->action == SUP_DO_ADOPT_ADD) {
        const struct sup_register *r = &w->registers.r[cls - 1];
        if (!r->present || sup_hlc_ms(r->time) < s->time_ms)
            decide(w, cls, SUP_SUPPRESSED, s->time_ms);
    } else if (s->action == SUP_DO_ADOPT_REMOVAL) {
        for (int c = 1; c <= SUP_N_CLASSES; c++) {
            if (sup_register_suppresses(&w->registers.r[c - 1], NOW))
                decide(w, (enum sup_class)c, SUP_CLEARED, s->time_ms);
        }
    }
}

/* The outbox worker: to the end. */
static void work(struct world *w, int64_t ms)
{
    struct sup_outbox_plan next;

    for (int i = 0; i < 100; i++) {
        struct sup_ses_spelling *s;
        sup_outbox_plan(SUP_SLICE_LIT(KEY),
                        w->has_record ? sup_registers_effective(&w->registers, NOW, NULL)
                                      : SUP_REASON_NONE,
                        &w->known, &next);
        if (next.step == SUP_OUTBOX_DONE)
            return;
        s = sup_ses_entry_spelling(&w->known, next.spelling);
        assert_non_null(s);
        s->unverified = false;
        s->present = next.step == SUP_OUTBOX_PUT;
        s->reason = s->present ? next.reason : SUP_REASON_NONE;
        s->write_op = s->present ? SUP_SES_PUT : SUP_SES_DELETE;
        s->write_reason = s->reason;
        s->write_begin_ms = s->write_end_ms = ms;
        if (s->present)
            list_put(w, next.spelling, next.reason, ms);
        else
            list_delete(w, next.spelling);
    }
    fail_msg("the outbox never ends");
}

static void applying_a_plan_leaves_nothing_to_do(void **state)
{
    struct sup_reconcile_plan p;
    struct sup_rng g;
    struct world w;

    (void)state;
    sup_rng_seed(&g, seed);
    for (int i = 0; i < ROUNDS; i++) {
        struct sup_reconcile_address a;
        bool waits = false; /* the second scan may be the one that is waited for */
        random_world(&g, &w);
        plan_of(&w, &p);
        for (size_t k = 0; k < p.n; k++)
            waits = waits || p.steps[k].action == SUP_DO_WAIT;
        a = address_of(&w);
        for (size_t k = 0; k < p.n; k++) {
            if (!p.steps[k].withheld)
                adopt(&w, &p.steps[k]);
        }
        sup_reconcile_observe(&w.known, &a, &w.rules, &p);
        w.has_known = true;
        /* As in the service: what no decision speaks of is not put into the outbox. */
        if (w.has_record)
            work(&w, NOW + 1);
        w.rules.now_ms = NOW + 1000;
        w.rules.scan_begin_ms = NOW + 900;
        plan_of(&w, &p);
        for (size_t k = 0; k < p.n; k++) {
            const struct sup_reconcile_step *s = &p.steps[k];
            bool quiet = s->action == SUP_DO_NOTHING || s->action == SUP_DO_REPORT ||
                         s->action == SUP_DO_WAIT || s->withheld ||
                         (waits && s->cause == SUP_WHY_GONE);
            if (!quiet)
                fail_msg("round %d of seed %llu: %s/%s/%s is left", i, (unsigned long long)seed,
                         sup_diff_kind_name(s->kind), sup_diff_cause_name(s->cause),
                         sup_diff_action_name(s->action));
        }
    }
}

/* Nothing that is noted changes what the next run plans, but that who was gone once is gone. */
static void looking_on_changes_no_plan(void **state)
{
    struct sup_reconcile_plan before;
    struct sup_reconcile_plan after;
    struct sup_rng g;
    struct world w;

    (void)state;
    sup_rng_seed(&g, seed);
    for (int i = 0; i < ROUNDS; i++) {
        struct sup_reconcile_address a;
        random_world(&g, &w);
        w.rules.now_ms = NOW + 1000; /* nothing that the world holds is younger than the scan */
        w.rules.scan_begin_ms = NOW + 900;
        plan_of(&w, &before);
        a = address_of(&w);
        sup_reconcile_note(&w.known, &a, &w.rules, &before);
        w.has_known = true;
        w.rules.now_ms += 1000;
        w.rules.scan_begin_ms += 1000;
        plan_of(&w, &after);
        assert_int_equal(before.n, after.n);
        for (size_t k = 0; k < before.n; k++) {
            const struct sup_reconcile_step *x = &before.steps[k], *y = &after.steps[k];
            bool same = x->kind == y->kind && x->cause == y->cause && x->action == y->action &&
                        x->reason == y->reason && strcmp(x->spelling, y->spelling) == 0;
            if (!same && x->cause != SUP_WHY_GONE_ONCE)
                fail_msg("round %d of seed %llu: %s became %s", i, (unsigned long long)seed,
                         sup_diff_cause_name(x->cause), sup_diff_cause_name(y->cause));
        }
    }
}

/* A cleared address comes back only by an entry that is newer than the clear and not ours. */
static void nothing_older_than_a_clear_suppresses(void **state)
{
    struct sup_reconcile_plan p;
    struct sup_rng g;
    struct world w;

    (void)state;
    sup_rng_seed(&g, seed);
    for (int i = 0; i < ROUNDS; i++) {
        random_world(&g, &w);
        for (int c = 1; c <= SUP_N_CLASSES; c++)
            decide(&w, (enum sup_class)c, SUP_CLEARED, 1010);
        plan_of(&w, &p);
        for (size_t k = 0; k < p.n; k++) {
            if (p.steps[k].action == SUP_DO_ADOPT_ADD)
                assert_true(w.listed[index_of(&w, p.steps[k].spelling)].last_update_ms > 1010);
        }
    }
}

/* --- the join --- */

struct words {
    const char *const *v;
    size_t n, at;
};

static bool words_key(void *arg, struct sup_slice *key)
{
    struct words *w = arg;

    if (w->at == w->n)
        return false;
    *key = sup_slice_str(w->v[w->at]);
    return true;
}

static int words_next(void *arg, struct sup_err *err)
{
    struct words *w = arg;

    (void)err;
    w->at++;
    return SUP_OK;
}

static int join_visit(void *arg, struct sup_slice key, const bool at[SUP_N_STREAMS],
                      struct sup_err *err)
{
    struct sup_buf *out = arg;

    (void)err;
    sup_buf_add_slice(out, key);
    sup_buf_addf(out, "%d%d%d ", at[0], at[1], at[2]);
    return sup_slice_eq(key, SUP_SLICE_LIT("stop")) ? SUP_ECLOSED : SUP_OK;
}

static int join(struct words w[3], struct sup_buf *out)
{
    const struct sup_stream streams[SUP_N_STREAMS] = {
        {words_key, words_next, &w[0]},
        {words_key, words_next, &w[1]},
        {words_key, words_next, &w[2]},
    };

    sup_buf_init(out, 4096);
    return sup_reconcile_join(streams, join_visit, out, NULL);
}

static void join_visits_each_key_once_in_order(void **state)
{
    static const char *const a[] = {"a", "b", "d"};
    static const char *const b[] = {"b", "c"};
    static const char *const c[] = {"a", "b", "bb", "e"};
    struct words w[3] = {{a, 3, 0}, {b, 2, 0}, {c, 4, 0}};
    struct sup_buf out;

    (void)state;
    assert_int_equal(join(w, &out), SUP_OK);
    assert_string_equal(sup_buf_str(&out), "a101 b111 bb001 c010 d100 e001 ");
    sup_buf_fini(&out);
}

static void join_ends_when_told_and_when_there_is_nothing(void **state)
{
    static const char *const a[] = {"a", "stop", "z"};
    struct words w[3] = {{a, 3, 0}, {NULL, 0, 0}, {NULL, 0, 0}};
    struct words none[3] = {{NULL, 0, 0}, {NULL, 0, 0}, {NULL, 0, 0}};
    struct sup_buf out;

    (void)state;
    assert_int_equal(join(w, &out), SUP_ECLOSED);
    assert_string_equal(sup_buf_str(&out), "a100 stop100 ");
    sup_buf_fini(&out);
    assert_int_equal(join(none, &out), SUP_OK);
    assert_string_equal(sup_buf_str(&out), "");
    sup_buf_fini(&out);
}

int main(void)
{
    const char *given = getenv("SUPSYNC_SEED");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(suppressed_and_never_listed_is_put),
        cmocka_unit_test(a_strangers_entry_is_adopted_unless_a_clear_is_newer),
        cmocka_unit_test(a_clear_of_bounces_does_not_undo_a_complaint),
        cmocka_unit_test(a_suppression_that_expired_counts_as_cleared_then),
        cmocka_unit_test(our_own_put_is_never_evidence),
        cmocka_unit_test(what_was_there_before_our_delete_is_no_evidence),
        cmocka_unit_test(without_any_decision_nothing_is_deleted),
        cmocka_unit_test(every_spelling_is_deleted),
        cmocka_unit_test(twins_are_reported),
        cmocka_unit_test(reasons),
        cmocka_unit_test(absence_counts_after_two_scans),
        cmocka_unit_test(absence_is_noted_without_acting),
        cmocka_unit_test(a_put_that_never_showed_is_put_again),
        cmocka_unit_test(what_changed_during_the_scan_is_left_alone),
        cmocka_unit_test(unknown_reasons_are_left_alone),
        cmocka_unit_test(fuse_thresholds),
        cmocka_unit_test(full_known_entries_make_room),
        cmocka_unit_test(plan_agrees_with_the_naive_model),
        cmocka_unit_test(applying_a_plan_leaves_nothing_to_do),
        cmocka_unit_test(looking_on_changes_no_plan),
        cmocka_unit_test(nothing_older_than_a_clear_suppresses),
        cmocka_unit_test(join_visits_each_key_once_in_order),
        cmocka_unit_test(join_ends_when_told_and_when_there_is_nothing),
    };

    seed = given ? strtoull(given, NULL, 10) : sup_random_u64();
    printf("seed %llu (SUPSYNC_SEED)\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
