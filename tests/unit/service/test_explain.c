/* Adoption, the question that goes with it, and its answer, on the store in memory. */
#include "base/clock.h"
#include "base/text.h"
#include "codec/keys.h"
#include "codec/value.h"
#include "property.h"
#include "service/apply_explain.h"
#include "store/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define T0  1700000000000LL
#define KEY "foo@x.com"

static _Atomic int64_t wall;

static int64_t test_wall(void)
{
    return atomic_load(&wall);
}

struct world {
    struct sup_store *store;
    struct sup_apply *apply;
    struct sup_mem *mem;
    struct sup_buf value;
    struct sup_hash_key hash;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct sup_store_identity id = {.node = "n1", .cluster = "test"};
    struct sup_apply_options o = {
        .max_clock_drift_ms = 60000, .dedup_ttl_ms = 1000, .wall_ms = test_wall};
    struct sup_err err = {0};

    atomic_store(&wall, T0);
    assert_non_null(w);
    assert_int_equal(sup_store_open_memory(&id, &w->store, &err), SUP_OK);
    sup_hash_key_derive("test", (struct sup_slice){NULL, 0}, &w->hash);
    o.hash = w->hash;
    o.store = w->store;
    if (sup_apply_start(&o, &w->apply, &err) != SUP_OK)
        fail_msg("%s", err.msg);
    w->mem = sup_mem_new();
    sup_buf_init(&w->value, 1U << 20);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    sup_apply_stop(w->apply);
    sup_apply_free(w->apply);
    sup_store_close(w->store);
    sup_mem_free(w->mem);
    sup_buf_fini(&w->value);
    free(w);
    return 0;
}

/* --- jobs --- */

struct job {
    struct world *w;
    struct sup_listed listed[2];
    size_t n_listed;
    bool explain;
    struct sup_reconcile_plan plan;
    /* of an answer */
    int64_t due_ms;
    struct sup_evidence_wanted wanted;
    const struct sup_explanation *x;
    int64_t wait_ms;
};

static int adopt_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct job *j = arg;
    struct sup_reconcile_address address = {
        .key = sup_slice_str(KEY), .listed = j->listed, .n_listed = j->n_listed};
    struct sup_reconcile_rules rules = {.now_ms = test_wall(),
                                        .scan_begin_ms = test_wall() - 1,
                                        .absence_interval_ms = 1000,
                                        .explain = j->explain};

    return sup_apply_reconcile(a, t, &address, &rules, "eu-west-1", SUP_RECONCILE_ACT, &j->plan,
                               err);
}

static int answer_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct job *j = arg;

    if (j->wait_ms > 0)
        return sup_apply_postpone_evidence(a, t, sup_slice_str(KEY), j->due_ms, &j->wanted,
                                           j->wait_ms, err);
    return sup_apply_explain(a, t, sup_slice_str(KEY), j->due_ms, &j->wanted, "eu-west-1", j->x,
                             err);
}

static void run(struct job *j,
                int (*what)(struct sup_apply *, struct sup_txn *, void *, struct sup_err *))
{
    struct sup_err err = {0};

    if (sup_apply_run(j->w->apply, what, j, &err) != SUP_OK)
        fail_msg("%s", err.msg);
}

static void adopt(struct world *w, const char *spelling, enum sup_reason reason, int64_t ms)
{
    struct job j = {.w = w, .listed = {{spelling, reason, ms}}, .n_listed = 1, .explain = true};

    run(&j, adopt_run);
    assert_int_equal(j.plan.steps[0].action, SUP_DO_ADOPT_ADD);
}

static int rule_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct sup_proposal *p = arg;
    struct sup_applied out;

    return sup_apply_decide(a, t, p, &out, err);
}

static void rule(struct world *w, enum sup_state state)
{
    struct sup_proposal p = {
        .key = sup_slice_str(KEY),
        .d = {.cls = SUP_CLASS_BOUNCE, .state = state, .cause = SUP_CAUSE_OPERATOR}};

    assert_int_equal(sup_apply_run(w->apply, rule_run, &p, NULL), SUP_OK);
}

/* --- looking --- */

/* The only question that waits; false: none does. */
static bool question(struct world *w, struct job *j)
{
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(w->store, NULL, SUP_CF_EVIDENCE, open, open);
    bool any = sup_iter_valid(it);
    struct sup_slice key;

    *j = (struct job){.w = w};
    if (any) {
        assert_true(sup_key_timed_parse(sup_iter_key(it), &j->due_ms, &key));
        assert_true(sup_slice_eq(key, sup_slice_str(KEY)));
        assert_int_equal(sup_evidence_wanted_decode(sup_iter_value(it), &j->wanted, NULL), SUP_OK);
        sup_iter_next(it);
        assert_false(sup_iter_valid(it));
    }
    sup_iter_free(it);
    return any;
}

static struct sup_decision decision(struct world *w, enum sup_class cls)
{
    struct sup_decision d = {.cause = SUP_CAUSE_UNKNOWN};
    struct sup_record record;
    struct sup_key k;

    sup_key_record(&k, &w->hash, sup_slice_str(KEY));
    sup_mem_reset(w->mem);
    sup_buf_reset(&w->value);
    assert_int_equal(
        sup_store_get(w->store, NULL, SUP_CF_RECORDS, sup_key_slice(&k), &w->value, NULL), SUP_OK);
    assert_int_equal(sup_record_decode(sup_buf_slice(&w->value), w->mem, &record, NULL), SUP_OK);
    if (record.registers.r[cls - 1].present)
        assert_int_equal(sup_decision_decode(record.registers.r[cls - 1].encoded, w->mem, &d, NULL),
                         SUP_OK);
    return d;
}

static size_t outbox(struct world *w)
{
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(w->store, NULL, SUP_CF_OUTBOX, open, open);
    size_t n = 0;

    for (; sup_iter_valid(it); sup_iter_next(it))
        n++;
    sup_iter_free(it);
    return n;
}

/* --- tests --- */

static const struct sup_explanation feedback = {"f-1", "m-1"};
static const struct sup_explanation nobody = {"", ""};

static void an_answer_takes_the_place_of_the_adoption(void **state)
{
    struct world *w = *state;
    struct sup_decision d;
    struct job j;

    adopt(w, "Foo@x.com", SUP_REASON_BOUNCE, T0 - 5000);
    assert_int_equal(decision(w, SUP_CLASS_BOUNCE).cause, SUP_CAUSE_ADOPTED);
    assert_true(question(w, &j));
    assert_string_equal(j.wanted.spelling, "Foo@x.com");
    assert_int_equal(j.wanted.last_update_ms, T0 - 5000);
    j.x = &feedback;
    run(&j, answer_run);
    d = decision(w, SUP_CLASS_BOUNCE);
    assert_int_equal(d.cause, SUP_CAUSE_ADOPTED_FEEDBACK);
    assert_int_equal(d.state, SUP_SUPPRESSED);
    assert_true(sup_slice_eq(d.evidence.feedback_id, sup_slice_str("f-1")));
    assert_true(sup_slice_eq(d.evidence.message_id, sup_slice_str("m-1")));
    assert_true(sup_slice_eq(d.evidence.spelling, sup_slice_str("Foo@x.com")));
    /* The entry's time still, and the adoption is what it knew of. */
    assert_int_equal(sup_hlc_ms(d.time), T0 - 5000);
    assert_int_equal(d.time, sup_hlc_from_ms(T0 - 5000) + 1);
    assert_true(d.prior.present && d.prior.time == d.time - 1);
    assert_false(question(w, &j));
    assert_int_equal(outbox(w), 0);
}

static void a_manual_addition_has_no_ids(void **state)
{
    struct world *w = *state;
    struct job j;

    adopt(w, KEY, SUP_REASON_COMPLAINT, T0 - 5000);
    assert_true(question(w, &j));
    j.x = &nobody;
    run(&j, answer_run);
    assert_int_equal(decision(w, SUP_CLASS_COMPLAINT).cause, SUP_CAUSE_ADOPTED_MANUAL);
    assert_int_equal(decision(w, SUP_CLASS_COMPLAINT).evidence.feedback_id.n, 0);
}

static void without_an_answer_the_adoption_stays(void **state)
{
    struct world *w = *state;
    struct job j;

    adopt(w, KEY, SUP_REASON_BOUNCE, T0 - 5000);
    assert_true(question(w, &j));
    run(&j, answer_run);
    assert_int_equal(decision(w, SUP_CLASS_BOUNCE).cause, SUP_CAUSE_ADOPTED);
    assert_false(question(w, &j));
}

static void what_was_decided_meanwhile_stands(void **state)
{
    static const enum sup_state states[] = {SUP_CLEARED, SUP_SUPPRESSED};
    struct world *w = *state;

    for (size_t i = 0; i < 2; i++) {
        struct job j;
        atomic_store(&wall, T0 + (int64_t)i * 10000);
        adopt(w, KEY, SUP_REASON_BOUNCE, test_wall() - 1);
        assert_true(question(w, &j));
        atomic_store(&wall, test_wall() + 100);
        rule(w, states[i]);
        j.x = &feedback;
        run(&j, answer_run);
        assert_int_equal(decision(w, SUP_CLASS_BOUNCE).cause, SUP_CAUSE_OPERATOR);
        assert_int_equal(decision(w, SUP_CLASS_BOUNCE).state, states[i]);
        assert_false(question(w, &j));
        rule(w, SUP_CLEARED);
    }
}

/* Even when the ruling falls into the very millisecond of the entry's time. */
static void a_ruling_of_the_same_millisecond_stands(void **state)
{
    struct world *w = *state;
    struct job j;

    adopt(w, KEY, SUP_REASON_BOUNCE, T0);
    assert_true(question(w, &j));
    rule(w, SUP_CLEARED);
    j.x = &feedback;
    run(&j, answer_run);
    assert_int_equal(decision(w, SUP_CLASS_BOUNCE).state, SUP_CLEARED);
}

static void put_off_it_is_asked_later(void **state)
{
    struct world *w = *state;
    struct job j;

    adopt(w, KEY, SUP_REASON_BOUNCE, T0 - 5000);
    for (uint32_t i = 0; i < 3; i++) {
        int64_t before;
        assert_true(question(w, &j));
        assert_int_equal(j.wanted.attempts, i);
        before = j.due_ms;
        j.wait_ms = 30000;
        run(&j, answer_run);
        assert_true(question(w, &j));
        assert_int_equal(j.due_ms, T0 + 30000);
        assert_true(j.due_ms >= before);
    }
}

static void nothing_is_asked_where_it_is_not_wanted(void **state)
{
    struct world *w = *state;
    struct job j = {.w = w, .listed = {{KEY, SUP_REASON_BOUNCE, T0 - 5000}}, .n_listed = 1};

    run(&j, adopt_run);
    assert_int_equal(decision(w, SUP_CLASS_BOUNCE).cause, SUP_CAUSE_ADOPTED);
    assert_false(question(w, &j));
}

/* Of two spellings the later entry is the decision, and the one that is asked for. */
static void twins_have_one_question(void **state)
{
    struct world *w = *state;
    struct job j = {.w = w,
                    .listed = {{"Foo@x.com", SUP_REASON_BOUNCE, T0 - 5000},
                               {"foo@x.com", SUP_REASON_BOUNCE, T0 - 6000}},
                    .n_listed = 2,
                    .explain = true};

    run(&j, adopt_run);
    assert_true(question(w, &j));
    assert_string_equal(j.wanted.spelling, "Foo@x.com");
}

/* An entry whose time SES gives as later than our clock's was decided at our clock's. */
static void times_ahead_of_the_clock(void **state)
{
    struct world *w = *state;
    struct job j;

    adopt(w, KEY, SUP_REASON_BOUNCE, T0 + 700);
    assert_true(question(w, &j));
    assert_int_equal(j.wanted.last_update_ms, T0 + 700);
    assert_int_equal(j.wanted.decided_ms, T0);
    j.x = &nobody;
    run(&j, answer_run);
    assert_int_equal(decision(w, SUP_CLASS_BOUNCE).cause, SUP_CAUSE_ADOPTED_MANUAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_answer_takes_the_place_of_the_adoption, setup, teardown),
        cmocka_unit_test_setup_teardown(a_manual_addition_has_no_ids, setup, teardown),
        cmocka_unit_test_setup_teardown(without_an_answer_the_adoption_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_decided_meanwhile_stands, setup, teardown),
        cmocka_unit_test_setup_teardown(a_ruling_of_the_same_millisecond_stands, setup, teardown),
        cmocka_unit_test_setup_teardown(put_off_it_is_asked_later, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_asked_where_it_is_not_wanted, setup, teardown),
        cmocka_unit_test_setup_teardown(twins_have_one_question, setup, teardown),
        cmocka_unit_test_setup_teardown(times_ahead_of_the_clock, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
