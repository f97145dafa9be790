/* The sketch that is kept is that of the records, whatever happens to commits. */
#include "base/clock.h"
#include "codec/keys.h"
#include "property.h"
#include "service/apply_txn.h"
#include "service/sketch_keeper.h"
#include "store/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SYMBOLS = 512, ADDRESSES = 40 };

struct world {
    struct sup_store *store;
    struct sup_sketch_keeper *keeper;
    struct sup_apply *apply;
    struct sup_hash_key hash;
};

static void start(struct world *w)
{
    struct sup_apply_options o = {
        .store = w->store, .hash = w->hash, .max_clock_drift_ms = 60000, .dedup_ttl_ms = 1000000};
    struct sup_err err = {0};

    if (sup_sketch_keeper_open(w->store, &w->hash, SYMBOLS, &w->keeper, &err) != SUP_OK)
        fail_msg("%s", err.msg);
    o.keeper = w->keeper;
    if (sup_apply_start(&o, &w->apply, &err) != SUP_OK)
        fail_msg("%s", err.msg);
}

static void stop(struct world *w)
{
    sup_apply_stop(w->apply);
    sup_apply_free(w->apply);
    sup_sketch_keeper_free(w->keeper);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct sup_store_identity id = {.node = "a", .cluster = "c"};

    sup_hash_key_derive("c", (struct sup_slice){NULL, 0}, &w->hash);
    if (sup_store_open_memory(&id, &w->store, NULL) != SUP_OK)
        return -1;
    start(w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    stop(w);
    sup_store_close(w->store);
    free(w);
    return 0;
}

static void assert_kept(struct world *w)
{
    struct sup_sketch scanned;
    struct sup_sketch kept;

    assert_int_equal(sup_sketch_init(&scanned, sup_sketch_keeper_keys(w->keeper), SYMBOLS), SUP_OK);
    assert_int_equal(sup_sketch_scan(w->store, NULL, &scanned, NULL), SUP_OK);
    assert_int_equal(sup_sketch_keeper_copy(w->keeper, &kept), SUP_OK);
    assert_true(sup_sketch_eq(&scanned, &kept));
    sup_sketch_fini(&scanned);
    sup_sketch_fini(&kept);
}

struct op {
    struct sup_apply_job job;
    struct sup_rng rng; /* its own: it runs on the writer's thread */
    bool fail;
    int code;
    bool finished;
};

static int decide(struct sup_apply *a, struct sup_txn *t, struct sup_rng *r, struct sup_err *err)
{
    char address[64];
    struct sup_applied out;
    int n = snprintf(address, sizeof(address), "u%d@example.com", (int)sup_rng_below(r, ADDRESSES));
    struct sup_proposal p = {.key = sup_slice_of(address, (size_t)n),
                             .d = {.cls = (enum sup_class)(1 + sup_rng_below(r, SUP_N_CLASSES)),
                                   .state = property_chance(r, 50) ? SUP_SUPPRESSED : SUP_CLEARED,
                                   .cause = SUP_CAUSE_OPERATOR},
                             .reversal = property_chance(r, 20)};

    return sup_apply_decide(a, t, &p, &out, err);
}

static int op_run(struct sup_apply_job *j, struct sup_txn *t, struct sup_err *err)
{
    struct op *o = (struct op *)j;
    int rc = SUP_OK;

    for (size_t i = 1 + sup_rng_below(&o->rng, 5); rc == SUP_OK && i > 0; i--)
        rc = decide(j->apply, t, &o->rng, err);
    return rc == SUP_OK && o->fail ? sup_err_set(err, SUP_EINPUT, "on purpose") : rc;
}

static void op_done(struct sup_apply_job *j, int code, const struct sup_err *err)
{
    struct op *o = (struct op *)j;

    (void)err;
    o->code = code;
    __atomic_store_n(&o->finished, true, __ATOMIC_RELEASE);
}

static int nothing(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    (void)a;
    (void)t;
    (void)arg;
    (void)err;
    return SUP_OK;
}

/* Groups of jobs, some of which fail, in commits, some of which fail. */
static void operations(struct world *w, struct sup_rng *r, size_t groups)
{
    enum { GROUP = 8 };
    struct op ops[GROUP];

    for (size_t g = 0; g < groups; g++) {
        bool broken = property_chance(r, 20);
        sup_store_memory_fail_commits(w->store, broken ? SUP_EIO : SUP_OK);
        for (size_t i = 0; i < GROUP; i++) {
            ops[i] = (struct op){.job = {.run = op_run, .done = op_done},
                                 .fail = property_chance(r, 25)};
            sup_rng_seed(&ops[i].rng, sup_rng_u64(r));
            assert_int_equal(sup_apply_submit(w->apply, &ops[i].job, -1), SUP_OK);
        }
        /* Jobs are run in order: then all are done. */
        (void)sup_apply_run(w->apply, nothing, NULL, NULL);
        for (size_t i = 0; i < GROUP; i++) {
            assert_true(__atomic_load_n(&ops[i].finished, __ATOMIC_ACQUIRE));
            if (ops[i].fail)
                assert_int_not_equal(ops[i].code, SUP_OK);
            else /* a group that wrote nothing needs no disk */
                assert_true(ops[i].code == SUP_OK || (broken && ops[i].code == SUP_EIO));
        }
    }
    sup_store_memory_fail_commits(w->store, SUP_OK);
}

static void kept_through_failures(void **state)
{
    struct world *w = *state;
    struct sup_rng r = property_rng("failures");

    for (size_t c = 0; c < property_cases(20); c++) {
        operations(w, &r, 5);
        assert_kept(w);
    }
    assert_true(sup_sketch_keeper_root(w->keeper).count > 0);
}

static void made_again_at_start(void **state)
{
    struct world *w = *state;
    struct sup_rng r = property_rng("start");
    struct sup_sketch_sum before;
    struct sup_sketch_sum after;

    operations(w, &r, 10);
    before = sup_sketch_keeper_root(w->keeper);
    stop(w);
    start(w);
    after = sup_sketch_keeper_root(w->keeper);
    assert_true(before.count > 0 && sup_sketch_sum_eq(&before, &after));
    operations(w, &r, 5);
    assert_kept(w);
}

/* first and last seen are each node's own. */
static int touch(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct sup_mem *m = sup_mem_new();
    struct sup_slice key = sup_slice_str("t@example.com");
    struct sup_proposal p = {.key = key, .d = {.cls = SUP_CLASS_MANUAL, .state = SUP_SUPPRESSED}};
    struct sup_record record;
    struct sup_applied out;
    struct sup_buf value;
    struct sup_key k;
    int rc = SUP_OK;

    (void)arg;
    sup_key_record(&k, sup_apply_hash(a), key);
    if (sup_apply_record(a, t, key, m, &record, err) == SUP_ENOTFOUND)
        rc = sup_apply_decide(a, t, &p, &out, err);
    if (rc == SUP_OK)
        rc = sup_apply_record(a, t, key, m, &record, err);
    record.first_seen_ms += 1000;
    record.last_seen_ms += 2000;
    sup_buf_init(&value, 1U << 20);
    sup_record_encode(&record, &value);
    sup_txn_put(t, SUP_CF_RECORDS, sup_key_slice(&k), sup_buf_slice(&value));
    sup_buf_fini(&value);
    sup_mem_free(m);
    return rc;
}

static void times_of_sight_do_not_count(void **state)
{
    struct world *w = *state;

    assert_int_equal(sup_apply_run(w->apply, touch, NULL, NULL), SUP_OK);
    assert_int_equal(sup_apply_run(w->apply, touch, NULL, NULL), SUP_OK);
    assert_int_equal(sup_sketch_keeper_root(w->keeper).count, 1);
    assert_kept(w);
}

static void audit_finds_and_corrects(void **state)
{
    struct world *w = *state;
    struct sup_rng r = property_rng("audit");
    struct sup_sketch_change damage = {.key = 5, .after = 6};
    bool sound = false;

    operations(w, &r, 10);
    assert_int_equal(sup_sketch_keeper_audit(w->keeper, w->apply, w->store, &sound, NULL), SUP_OK);
    assert_true(sound);
    sup_sketch_keeper_changed(w->keeper, &damage, 1);
    assert_int_equal(sup_sketch_keeper_audit(w->keeper, w->apply, w->store, &sound, NULL), SUP_OK);
    assert_false(sound);
    assert_kept(w);
    assert_int_equal(sup_sketch_keeper_audit(w->keeper, w->apply, w->store, &sound, NULL), SUP_OK);
    assert_true(sound);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(kept_through_failures), TEST(made_again_at_start),
                                       TEST(times_of_sight_do_not_count),
                                       TEST(audit_finds_and_corrects)};

    return cmocka_run_group_tests(tests, property_setup, NULL);
}
