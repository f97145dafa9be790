/* Repair between two nodes whose stores differ in records that are in no log: message by message,
 * and over real sessions between two replicators. */
#include "base/clock.h"
#include "base/log.h"
#include "codec/keys.h"
#include "property.h"
#include "replica_node.h"
#include "service/apply_txn.h"
#include "service/repair.h"
#include "service/replicate.h"
#include "service/sketch_keeper.h"
#include "store/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static enum sup_class unlogged_class; /* of unlogged records; 0: any */

static void node_start(struct replica_node *n, const char *name, size_t symbols)
{
    unlogged_class = 0;
    replica_node_open(n, name, symbols);
    sup_apply_settle(n->apply, sup_apply_incarnation(n->apply));
}

/* --- records that are in no log --- */

struct unlogged {
    uint32_t first, n;
    int64_t ms; /* time of the decision */
    enum sup_state state;
    uint64_t origin;
    enum sup_class cls;
};

static int unlogged_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    const struct unlogged *u = arg;
    struct sup_buf b;
    int rc = SUP_OK;

    sup_buf_init(&b, SUP_DECISION_MAX);
    for (uint32_t i = u->first; rc == SUP_OK && i < u->first + u->n; i++) {
        char address[64];
        enum sup_remote out;
        int len = snprintf(address, sizeof(address), "user%u@example.com", i);
        struct sup_decision d = {.cls = u->cls ? u->cls : (enum sup_class)(1 + i % SUP_N_CLASSES),
                                 .state = u->state,
                                 .cause = SUP_CAUSE_EVENT,
                                 .time = sup_hlc_from_ms(u->ms),
                                 .origin = u->origin};
        sup_buf_reset(&b);
        sup_decision_encode(&d, &b);
        rc = sup_apply_repaired(a, t, sup_slice_of(address, (size_t)len), d.cls, sup_buf_slice(&b),
                                &out, err);
    }
    sup_buf_fini(&b);
    return rc;
}

static void write_unlogged(struct replica_node *n, uint32_t first, uint32_t count, int64_t ms,
                           enum sup_state state)
{
    struct unlogged u = {
        .first = first, .n = count, .ms = ms, .state = state, .origin = 5, .cls = unlogged_class};
    struct sup_err err = {0};

    if (count > 0 && sup_apply_run(n->apply, unlogged_run, &u, &err) != SUP_OK)
        fail_msg("%s", err.msg);
}

static int decide_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct sup_applied out;
    struct sup_proposal p = {.key = sup_slice_str(arg),
                             .d = {.cls = SUP_CLASS_MANUAL, .state = SUP_SUPPRESSED}};

    return sup_apply_decide(a, t, &p, &out, err);
}

static void decide(struct replica_node *n, unsigned i)
{
    char address[64];

    (void)snprintf(address, sizeof(address), "%s%u@example.org", n->name, i);
    assert_int_equal(sup_apply_run(n->apply, decide_run, address, NULL), SUP_OK);
}

/* Not by the sketches alone: what was kept must also be true. */
static void assert_equal(struct replica_node *a, struct replica_node *b)
{
    bool sound = false;

    assert_true(replica_node_equal_roots(a, b));
    assert_int_equal(sup_sketch_keeper_audit(a->keeper, a->apply, a->store, &sound, NULL), SUP_OK);
    assert_true(sound);
    assert_int_equal(sup_sketch_keeper_audit(b->keeper, b->apply, b->store, &sound, NULL), SUP_OK);
    assert_true(sound);
}

/* --- message by message --- */

struct wire {
    struct sup_repair_pull *pull;
    struct sup_repair_serve *serve;
    struct sup_mesh_mem *mem;
    struct sup_buf buf;
    size_t messages;
};

static int to_server(void *arg, const struct sup_mesh_msg *msg)
{
    struct wire *w = arg;

    w->messages++;
    return sup_repair_serve_message(w->serve, msg);
}

static int to_puller(void *arg, const struct sup_mesh_msg *msg)
{
    static struct sup_mesh_msg copy;
    struct wire *w = arg;
    struct sup_mesh_mem *mem = sup_mesh_mem_new();
    struct sup_err err = {0};

    w->messages++;
    sup_buf_reset(&w->buf);
    assert_int_equal(sup_mesh_msg_encode(msg, w->mem, &w->buf, NULL), SUP_OK);
    assert_int_equal(sup_mesh_msg_decode(msg->type, sup_buf_slice(&w->buf), mem, &copy, NULL),
                     SUP_OK);
    if (sup_repair_pull_message(w->pull, &copy, &mem, &err) != SUP_OK)
        fail_msg("%s", err.msg);
    sup_mesh_mem_free(mem);
    return SUP_OK;
}

static struct sup_repair_report run(struct wire *w)
{
    struct sup_repair_report report = {0};
    int64_t deadline = sup_mono_ms() + 60000;
    enum sup_repair_step step;

    do {
        int64_t wait_ms = 0;
        step = sup_repair_pull_step(w->pull, &report);
        assert_int_equal(sup_repair_serve_step(w->serve, &wait_ms), SUP_OK);
        assert_true(sup_mono_ms() < deadline);
    } while (step != SUP_REPAIR_STEP_OVER);
    return report;
}

static struct sup_repair_report repair_through(struct replica_node *to, struct replica_node *from,
                                               bool adopt, struct sup_repair_gate *gate)
{
    struct wire w = {.mem = sup_mesh_mem_new()};
    struct sup_repair_env pull = {
        .apply = to->apply, .store = to->store, .send = to_server, .arg = &w};
    struct sup_repair_env serve = {
        .apply = from->apply, .store = from->store, .send = to_puller, .arg = &w};
    struct sup_repair_report report;

    sup_buf_init(&w.buf, SUP_FRAME_BODY_MAX);
    w.pull = sup_repair_pull_new(&pull, adopt);
    w.serve = sup_repair_serve_new(&serve, gate);
    report = run(&w);
    sup_repair_pull_free(w.pull);
    sup_repair_serve_free(w.serve);
    sup_mesh_mem_free(w.mem);
    sup_buf_fini(&w.buf);
    return report;
}

static struct sup_repair_report repair(struct replica_node *to, struct replica_node *from,
                                       bool adopt)
{
    struct sup_repair_gate gate = {0};
    struct sup_repair_report report = repair_through(to, from, adopt, &gate);

    assert_int_equal(gate.held, 0);
    return report;
}

static void each_gets_what_is_newer(void **state)
{
    struct replica_node a;
    struct replica_node b;
    struct sup_repair_report r;

    (void)state;
    node_start(&a, "a", 1024);
    node_start(&b, "b", 1024);
    write_unlogged(&a, 0, 300, 1000, SUP_SUPPRESSED);
    write_unlogged(&b, 0, 300, 1000, SUP_SUPPRESSED);
    write_unlogged(&a, 300, 20, 1000, SUP_SUPPRESSED); /* only in a */
    write_unlogged(&b, 400, 30, 1000, SUP_SUPPRESSED); /* only in b */
    write_unlogged(&a, 0, 5, 2000, SUP_CLEARED);       /* newer in a */
    write_unlogged(&b, 10, 7, 2000, SUP_CLEARED);      /* newer in b */
    write_unlogged(&a, 20, 3, 2000, SUP_CLEARED);      /* at one time: suppressed wins */
    write_unlogged(&b, 20, 3, 2000, SUP_SUPPRESSED);

    r = repair(&a, &b, false);
    assert_int_equal(r.code, SUP_OK);
    assert_int_equal(r.stats.missing, 30);
    assert_int_equal(r.stats.surplus, 20);
    assert_int_equal(r.stats.changed, 15);
    assert_int_equal(r.applied, 30 + 7 + 3);
    assert_int_equal(r.stats.rounds, 1);

    r = repair(&b, &a, false);
    assert_int_equal(r.code, SUP_OK);
    assert_int_equal(r.applied, 20 + 5);
    assert_equal(&a, &b);
    r = repair(&a, &b, false);
    assert_true(r.equal && r.stats.symbols == 1);
    replica_node_close(&a);
    replica_node_close(&b);
}

/* An address of which each side has the newer register of another class. */
static void registers_are_merged_one_by_one(void **state)
{
    struct replica_node a;
    struct replica_node b;
    struct sup_repair_report r;

    (void)state;
    node_start(&a, "a", 64);
    node_start(&b, "b", 64);
    unlogged_class = SUP_CLASS_BOUNCE;
    write_unlogged(&a, 1, 1, 1000, SUP_SUPPRESSED);
    write_unlogged(&b, 1, 1, 3000, SUP_CLEARED);
    unlogged_class = SUP_CLASS_COMPLAINT;
    write_unlogged(&a, 1, 1, 3000, SUP_SUPPRESSED);
    write_unlogged(&b, 1, 1, 1000, SUP_SUPPRESSED);
    r = repair(&a, &b, false);
    assert_int_equal(r.stats.changed, 1);
    assert_int_equal(r.applied, 1);
    r = repair(&b, &a, false);
    assert_int_equal(r.applied, 1);
    assert_equal(&a, &b);
    assert_int_equal(sup_sketch_keeper_root(a.keeper).count, 1);
    replica_node_close(&a);
    replica_node_close(&b);
}

static void past_the_prefix_by_shards(void **state)
{
    struct replica_node a;
    struct replica_node b;
    struct sup_repair_report r;

    (void)state;
    node_start(&a, "a", 64);
    node_start(&b, "b", 128);
    write_unlogged(&a, 0, 3000, 1000, SUP_SUPPRESSED);
    write_unlogged(&b, 0, 2000, 1000, SUP_SUPPRESSED);
    write_unlogged(&b, 5000, 1500, 1000, SUP_SUPPRESSED);
    r = repair(&a, &b, false);
    assert_int_equal(r.code, SUP_OK);
    assert_true(r.stats.shards > 200);
    assert_int_equal(r.applied, 1500);
    r = repair(&b, &a, false);
    assert_int_equal(r.applied, 1000);
    assert_equal(&a, &b);
    replica_node_close(&a);
    replica_node_close(&b);
}

static void an_empty_node_gets_all(void **state)
{
    struct replica_node a;
    struct replica_node b;
    struct sup_repair_report r;

    (void)state;
    node_start(&a, "a", 256);
    node_start(&b, "b", 256);
    write_unlogged(&b, 0, 5000, 1000, SUP_SUPPRESSED);
    r = repair(&a, &b, false);
    assert_int_equal(r.code, SUP_OK);
    assert_int_equal(r.applied, 5000);
    assert_equal(&a, &b);
    replica_node_close(&a);
    replica_node_close(&b);
}

/* A gap in the log that nobody can fill: after the repair the version vector is the donor's, and
 * what waits in its quarantine waits here too. */
static void a_gap_is_adopted(void **state)
{
    struct replica_node a;
    struct replica_node b;
    struct sup_repair_report r;
    struct sup_vv vv;
    struct sup_vv mine;

    (void)state;
    node_start(&a, "a", 256);
    node_start(&b, "b", 256);
    for (unsigned i = 0; i < 20; i++)
        decide(&b, i);
    write_unlogged(&b, 0, 4, sup_wall_ms() + 10 * REPLICA_NODE_DRIFT_MS,
                   SUP_SUPPRESSED); /* quarantined */
    sup_apply_vv(b.apply, &vv);
    sup_apply_vv(a.apply, &mine);
    assert_false(sup_vv_covers(&mine, &vv));
    r = repair(&a, &b, true);
    assert_int_equal(r.code, SUP_OK);
    assert_int_equal(r.applied, 20);
    assert_int_equal(r.quarantined, 4);
    sup_apply_vv(a.apply, &mine);
    assert_true(sup_vv_covers(&mine, &vv));
    assert_int_equal(sup_store_estimate_keys(a.store, SUP_CF_QUARANTINE), 4);
    assert_equal(&a, &b);
    replica_node_close(&a);
    replica_node_close(&b);
}

static void failed_commits_fail_the_repair(void **state)
{
    struct replica_node a;
    struct replica_node b;
    struct sup_repair_report r;

    (void)state;
    node_start(&a, "a", 256);
    node_start(&b, "b", 256);
    write_unlogged(&b, 0, 50, 1000, SUP_SUPPRESSED);
    for (unsigned i = 0; i < 3; i++)
        decide(&b, i);
    sup_store_memory_fail_commits(a.store, SUP_EIO);
    r = repair(&a, &b, true);
    assert_int_equal(r.code, SUP_EIO);
    sup_store_memory_fail_commits(a.store, SUP_OK);
    assert_int_equal(sup_sketch_keeper_root(a.keeper).count, 0);
    r = repair(&a, &b, true);
    assert_int_equal(r.code, SUP_OK);
    assert_equal(&a, &b);
    replica_node_close(&a);
    replica_node_close(&b);
}

static void a_full_gate_is_busy(void **state)
{
    struct replica_node a;
    struct replica_node b;
    struct sup_repair_gate gate = {.held = SUP_REPAIR_SERVED_MAX};
    struct sup_repair_report r;

    (void)state;
    node_start(&a, "a", 64);
    node_start(&b, "b", 64);
    write_unlogged(&b, 0, 5, 1000, SUP_SUPPRESSED);
    r = repair_through(&a, &b, false, &gate);
    assert_int_equal(r.code, SUP_EAGAIN);
    assert_int_equal(gate.held, SUP_REPAIR_SERVED_MAX);
    replica_node_close(&a);
    replica_node_close(&b);
}

static void floods_are_refused(void **state)
{
    static struct sup_mesh_msg msg;
    struct replica_node a;
    struct sup_repair_gate gate = {0};
    struct sup_repair_env env;
    struct sup_repair_serve *s;
    int taken = 0;

    (void)state;
    node_start(&a, "a", 64);
    env = (struct sup_repair_env){.apply = a.apply, .store = a.store, .send = to_puller};
    s = sup_repair_serve_new(&env, &gate);
    msg.type = SUP_FRAME_REPAIR_FETCH;
    while (taken < 100 && sup_repair_serve_message(s, &msg) == SUP_OK)
        taken++;
    assert_true(taken > 1 && taken < 10);
    msg.type = SUP_FRAME_REPAIR_RECORDS; /* nobody pushes into a node */
    sup_repair_serve_free(s);
    s = sup_repair_serve_new(&env, &gate);
    assert_int_equal(sup_repair_serve_message(s, &msg), SUP_EINPUT);
    sup_repair_serve_free(s);
    replica_node_close(&a);
}

/* --- over sessions --- */

static bool become_equal(const struct replica_node *a, const struct replica_node *b, int64_t ms)
{
    int64_t deadline = sup_mono_ms() + ms;
    uint64_t seen = sup_apply_version(a->apply);

    while (!replica_node_equal_roots(a, b) && sup_mono_ms() < deadline)
        seen = sup_apply_wait(a->apply, seen, 20);
    return replica_node_equal_roots(a, b);
}

static void differing_stores_converge(size_t symbols, uint32_t n)
{
    struct replica_node a;
    struct replica_node b;

    node_start(&a, "a", symbols);
    node_start(&b, "b", symbols);
    write_unlogged(&a, 0, n, 1000, SUP_SUPPRESSED);
    write_unlogged(&b, 0, n, 1000, SUP_SUPPRESSED);
    write_unlogged(&a, n, n / 2, 1000, SUP_SUPPRESSED);
    write_unlogged(&b, 2 * n, n / 2, 1000, SUP_SUPPRESSED);
    write_unlogged(&b, 0, n / 10, 2000, SUP_CLEARED);
    replica_node_connect(&a, &b);
    for (unsigned i = 0; i < 200; i++) { /* live mutations, meanwhile */
        decide(&a, i);
        decide(&b, i);
    }
    assert_true(become_equal(&a, &b, 60000));
    assert_int_equal(sup_sketch_keeper_root(a.keeper).count, 2 * n + 400);
    assert_equal(&a, &b);
    replica_node_close(&a);
    replica_node_close(&b);
}

static void sessions_repair(void **state)
{
    (void)state;
    differing_stores_converge(1024, 200);
}

static void sessions_repair_past_the_prefix(void **state)
{
    (void)state;
    differing_stores_converge(64, 4000);
}

static int trim_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    return sup_apply_trim(a, t, arg, SIZE_MAX, err);
}

/* As it is with a node that was decommissioned and taken back, or was away for too long. */
static void a_server_says_that_its_log_was_trimmed(void **state)
{
    struct replica_node a;
    struct replica_node b;
    struct sup_apply_trim trim = {.upto = 40};
    struct sup_status *st = calloc(1, sizeof(*st));
    bool level = false;

    (void)state;
    assert_non_null(st);
    node_start(&a, "a", 1024);
    node_start(&b, "b", 1024);
    for (unsigned i = 0; i < 50; i++) {
        decide(&a, i);
        decide(&b, i);
    }
    trim.incarnation = sup_apply_incarnation(a.apply);
    assert_int_equal(sup_apply_run(a.apply, trim_run, &trim, NULL), SUP_OK);
    replica_node_connect(&a, &b);
    /* A node that must find out by itself that nothing comes takes more than thirty seconds. */
    assert_true(become_equal(&a, &b, 25000));
    assert_equal(&a, &b);
    sup_replicator_status(b.replicator, st, &level);
    assert_int_equal(st->n_peers, 1);
    assert_int_equal(st->peers[0].stalls, 0);
    assert_int_equal(st->peers[0].reconnects, 0);
    free(st);
    replica_node_close(&a);
    replica_node_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_gets_what_is_newer),
        cmocka_unit_test(registers_are_merged_one_by_one),
        cmocka_unit_test(past_the_prefix_by_shards),
        cmocka_unit_test(an_empty_node_gets_all),
        cmocka_unit_test(a_gap_is_adopted),
        cmocka_unit_test(failed_commits_fail_the_repair),
        cmocka_unit_test(a_full_gate_is_busy),
        cmocka_unit_test(floods_are_refused),
        cmocka_unit_test(sessions_repair),
        cmocka_unit_test(sessions_repair_past_the_prefix),
        cmocka_unit_test(a_server_says_that_its_log_was_trimmed),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
