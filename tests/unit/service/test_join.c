/* Joining by snapshot: what is given and for how long, and an empty node beside one that has a set.
 */
#include "base/clock.h"
#include "base/log.h"
#include "codec/keys.h"
#include "property.h"
#include "replica_node.h"
#include "service/apply_txn.h"
#include "service/replicate.h"
#include "service/sketch_keeper.h"
#include "service/snapshot.h"
#include "store/meta.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define RECORDS 3000

/* --- a set --- */

static int fill_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    const size_t *n = arg;
    int rc = SUP_OK;

    for (size_t i = 0; rc == SUP_OK && i < *n; i++) {
        char address[64];
        struct sup_applied out;
        int len = snprintf(address, sizeof(address), "u%zu@example.com", i);
        struct sup_proposal p = {
            .key = sup_slice_of(address, (size_t)len),
            .d = {.cls = SUP_CLASS_BOUNCE, .state = i % 5 == 4 ? SUP_CLEARED : SUP_SUPPRESSED}};
        rc = sup_apply_decide(a, t, &p, &out, err);
        p.d.cls = SUP_CLASS_COMPLAINT;
        if (rc == SUP_OK && i % 3 == 0)
            rc = sup_apply_decide(a, t, &p, &out, err);
    }
    return rc;
}

/* A peer's decision of a day ahead. */
static int future_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct sup_decision d = {.cls = SUP_CLASS_MANUAL,
                             .state = SUP_SUPPRESSED,
                             .time = sup_hlc_from_ms(sup_wall_ms() + 86400000),
                             .origin = 99};
    struct sup_mutation m = {.incarnation = 77,
                             .seq = 1,
                             .key = SUP_SLICE_LIT("later@example.com"),
                             .cls = SUP_CLASS_MANUAL};
    enum sup_remote outcome = SUP_REMOTE_APPLIED;
    struct sup_buf b;
    int rc;

    (void)arg;
    sup_buf_init(&b, SUP_DECISION_MAX);
    sup_decision_encode(&d, &b);
    m.encoded = sup_buf_slice(&b);
    rc = sup_apply_remote(a, t, &m, &outcome, err);
    assert_int_equal(outcome, SUP_REMOTE_QUARANTINED);
    sup_buf_fini(&b);
    return rc;
}

static void fill(struct replica_node *n, size_t records)
{
    assert_int_equal(sup_apply_run(n->apply, fill_run, &records, NULL), SUP_OK);
    assert_int_equal(sup_apply_run(n->apply, future_run, NULL, NULL), SUP_OK);
}

static size_t count(const struct replica_node *n, enum sup_cf cf)
{
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(n->store, NULL, cf, open, open);
    size_t k = 0;

    for (; sup_iter_valid(it); sup_iter_next(it))
        k++;
    sup_iter_free(it);
    return k;
}

/* --- giving --- */

struct taker {
    struct sup_snapshot_serve *serve;
    struct sup_snapshot_env env;
    bool ready;
    size_t chunks, records, quarantined, vvs;
    uint64_t credit, largest;
    enum sup_snapshot_state state;
    bool last, unordered;
    struct sup_key at; /* the last record's */
    const struct sup_hash_key *hash;
};

static bool is_ready(void *arg)
{
    return ((struct taker *)arg)->ready;
}

static int take(void *arg, const struct sup_mesh_msg *msg)
{
    struct taker *t = arg;
    const struct sup_snapshot_chunk *c = &msg->u.snapshot.u.chunk;
    struct sup_mesh_mem *m = sup_mesh_mem_new();
    struct sup_buf body;

    assert_int_equal(msg->type, SUP_FRAME_SNAPSHOT_CHUNK);
    sup_buf_init(&body, SUP_FRAME_BODY_MAX);
    assert_int_equal(sup_mesh_msg_encode(msg, m, &body, NULL), SUP_OK);
    /* What it takes from the credit is no less than it is. */
    assert_true(sup_snapshot_credit(c) >= body.n);
    sup_buf_fini(&body);
    sup_mesh_mem_free(m);
    t->chunks++;
    t->state = c->state;
    t->last = c->last;
    t->records += c->n;
    t->quarantined += c->n_quarantined;
    t->vvs += c->vv.n > 0;
    t->credit += sup_snapshot_credit(c);
    t->largest = sup_snapshot_credit(c) > t->largest ? sup_snapshot_credit(c) : t->largest;
    for (size_t i = 0; i < c->n; i++) {
        struct sup_key k;
        sup_key_record(&k, t->hash, c->records[i].key);
        t->unordered |= sup_slice_cmp(sup_key_slice(&k), sup_key_slice(&t->at)) <= 0;
        t->at = k;
    }
    return SUP_OK;
}

static void taker_open(struct taker *t, const struct replica_node *n,
                       struct sup_snapshot_gate *gate, int64_t hold_ms)
{
    *t = (struct taker){.ready = true, .hash = &n->hash};
    t->env = (struct sup_snapshot_env){.apply = n->apply,
                                       .store = n->store,
                                       .ready = is_ready,
                                       .send = take,
                                       .arg = t,
                                       .hold_ms = hold_ms};
    t->serve = sup_snapshot_serve_new(&t->env, gate);
    assert_non_null(t->serve);
}

static void say(struct taker *t, enum sup_frame_type type, struct sup_slice after, uint64_t credit)
{
    struct sup_mesh_msg *msg = calloc(1, sizeof(*msg));

    msg->type = type;
    msg->u.snapshot.id = 5;
    if (type == SUP_FRAME_SNAPSHOT_ASK)
        msg->u.snapshot.u.ask = (struct sup_snapshot_ask){.after = after, .credit = credit};
    else
        msg->u.snapshot.u.ack.credit = credit;
    assert_int_equal(sup_snapshot_serve_message(t->serve, msg), SUP_OK);
    free(msg);
}

/* Until there is nothing more to do; waits as it is told, which is for its share of the time. */
static void serve(struct taker *t)
{
    int64_t wait_ms = 0;

    while (wait_ms >= 0) {
        if (wait_ms > 0)
            usleep((useconds_t)(wait_ms * 1000));
        assert_int_equal(sup_snapshot_serve_step(t->serve, &wait_ms), SUP_OK);
    }
}

static const struct sup_slice start = {NULL, 0};

static void a_snapshot_is_whole_in_order_and_in_parts(void **state)
{
    struct sup_snapshot_gate gate = {0};
    struct sup_key half;
    struct taker t;
    struct replica_node n;
    size_t before;

    (void)state;
    replica_node_open(&n, "a", 64);
    fill(&n, RECORDS);
    taker_open(&t, &n, &gate, 0);
    say(&t, SUP_FRAME_SNAPSHOT_ASK, start, 1);
    serve(&t);
    assert_int_equal(t.chunks, 1); /* no more than credit for one */
    say(&t, SUP_FRAME_SNAPSHOT_ACK, start, t.credit);
    serve(&t);
    assert_int_equal(t.chunks, 2);
    half = t.at;
    before = t.records;
    assert_true(before > 0 && before < RECORDS);
    say(&t, SUP_FRAME_SNAPSHOT_ASK, sup_key_slice(&half), 64U << 20);
    serve(&t);
    assert_true(t.last);
    assert_false(t.unordered);
    assert_int_equal(t.records, RECORDS);
    assert_int_equal(t.quarantined, 2); /* once a stream */
    assert_int_equal(t.vvs, 2);
    assert_int_equal(gate.held, 0);
    sup_snapshot_serve_free(t.serve);
    replica_node_close(&n);
}

static void views_are_few_and_held_for_a_bounded_time(void **state)
{
    struct sup_snapshot_gate gate = {0};
    struct taker t[SUP_SNAPSHOTS_SERVED_MAX + 1];
    struct replica_node n;
    int64_t wait_ms;

    (void)state;
    replica_node_open(&n, "a", 64);
    fill(&n, RECORDS);
    for (size_t i = 0; i <= SUP_SNAPSHOTS_SERVED_MAX; i++) {
        taker_open(&t[i], &n, &gate, 30);
        say(&t[i], SUP_FRAME_SNAPSHOT_ASK, start, 1);
        assert_int_equal(sup_snapshot_serve_step(t[i].serve, &wait_ms), SUP_OK);
    }
    for (size_t i = 0; i < SUP_SNAPSHOTS_SERVED_MAX; i++)
        serve(&t[i]);
    assert_int_equal(t[SUP_SNAPSHOTS_SERVED_MAX].state, SUP_SNAPSHOT_BUSY);
    assert_int_equal(gate.held, SUP_SNAPSHOTS_SERVED_MAX);
    usleep(40000);
    serve(&t[0]);
    assert_int_equal(t[0].state, SUP_SNAPSHOT_EXPIRED);
    assert_int_equal(gate.held, SUP_SNAPSHOTS_SERVED_MAX - 1);
    say(&t[1], SUP_FRAME_SNAPSHOT_ACK, start, 0); /* no more, please */
    serve(&t[1]);
    assert_int_equal(gate.held, 0);
    t[0].ready = false;
    say(&t[0], SUP_FRAME_SNAPSHOT_ASK, start, 1);
    serve(&t[0]);
    assert_int_equal(t[0].state, SUP_SNAPSHOT_NOT_READY);
    for (size_t i = 0; i <= SUP_SNAPSHOTS_SERVED_MAX; i++)
        sup_snapshot_serve_free(t[i].serve);
    assert_int_equal(gate.held, 0);
    replica_node_close(&n);
}

/* --- two nodes --- */

static void connect_nodes(struct replica_node *a, struct replica_node *b)
{
    a->options.mesh.join_wait_ms = b->options.mesh.join_wait_ms = 60000;
    replica_node_connect(a, b);
}

static void await_ready(struct replica_node *n)
{
    int64_t deadline = sup_mono_ms() + 30000;
    uint64_t ready = 0;

    while (sup_meta_get_u64(n->store, NULL, SUP_META_READY, &ready, NULL) != SUP_OK &&
           sup_mono_ms() < deadline)
        usleep(5000);
    assert_int_equal(ready, 1);
    while (!sup_replicator_answers(n->replicator) && sup_mono_ms() < deadline)
        usleep(1000);
    assert_true(sup_replicator_answers(n->replicator));
}

static void an_empty_node_joins(void **state)
{
    size_t own = 1;
    struct replica_node a;
    struct replica_node b;
    struct sup_vv mine;
    struct sup_vv theirs;
    struct sup_vv floor;

    (void)state;
    replica_node_open(&a, "a", 64);
    fill(&a, RECORDS);
    replica_node_open(&b, "b", 64);
    connect_nodes(&a, &b);
    assert_false(sup_replicator_answers(b.replicator));
    /* It takes its Region's events meanwhile. */
    assert_int_equal(sup_apply_run(b.apply, fill_run, &own, NULL), SUP_OK);
    await_ready(&b);
    for (int64_t deadline = sup_mono_ms() + 20000;
         !replica_node_equal_roots(&a, &b) && sup_mono_ms() < deadline;)
        usleep(5000);
    assert_true(replica_node_equal_roots(&a, &b));
    assert_int_equal(count(&b, SUP_CF_QUARANTINE), 1);
    assert_int_equal(count(&b, SUP_CF_OUTBOX), 1); /* of its own event only */
    sup_apply_vv(a.apply, &theirs);
    sup_apply_vv(b.apply, &mine);
    sup_apply_floor(b.apply, &floor);
    assert_true(sup_vv_get(&mine, 77) == 1);
    assert_true(sup_vv_get(&floor, 77) == 1); /* not by the log */
    replica_node_close(&b);
    replica_node_close(&a);
}

static void two_new_nodes_are_ready(void **state)
{
    size_t own = 1;
    struct replica_node a;
    struct replica_node b;

    (void)state;
    replica_node_open(&a, "a", 64);
    replica_node_open(&b, "b", 64);
    connect_nodes(&a, &b);
    assert_int_equal(sup_apply_run(a.apply, fill_run, &own, NULL), SUP_OK);
    await_ready(&a);
    await_ready(&b);
    replica_node_close(&b);
    replica_node_close(&a);
}

/* Three nodes are to be a new mesh, one is late. Until the others give up waiting for it they do
 * not know that nobody has anything, but what they decide need not wait for that. */
static void a_new_mesh_decides_before_all_are_there(void **state)
{
    size_t own = 1;
    struct replica_node n[3];
    const struct replica_node *of_a[] = {&n[1], &n[2]};
    const struct replica_node *of_b[] = {&n[0], &n[2]};
    struct sup_join_progress at;
    struct sup_vv vv;
    uint64_t incarnation;

    (void)state;
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = {"a", "b", "c"};
        replica_node_open(&n[i], names[i], 64);
        replica_node_address(&n[i]);
        n[i].options.mesh.join_wait_ms = 600000;
    }
    replica_node_replicate(&n[0], of_a, 2);
    replica_node_replicate(&n[1], of_b, 2);
    assert_int_equal(sup_apply_run(n[0].apply, fill_run, &own, NULL), SUP_OK);
    incarnation = sup_apply_incarnation(n[0].apply);
    do {
        sup_replicator_join_progress(n[1].replicator, &at);
        sup_apply_vv(n[1].apply, &vv);
        usleep(1000);
    } while (at.phase == SUP_JOIN_NEW && sup_vv_get(&vv, incarnation) == 0);
    assert_int_equal(at.phase, SUP_JOIN_NEW);
    assert_false(sup_replicator_answers(n[1].replicator));
    for (int i = 0; i < 3; i++)
        replica_node_close(&n[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot_is_whole_in_order_and_in_parts),
        cmocka_unit_test(views_are_few_and_held_for_a_bounded_time),
        cmocka_unit_test(an_empty_node_joins),
        cmocka_unit_test(two_new_nodes_are_ready),
        cmocka_unit_test(a_new_mesh_decides_before_all_are_there),
    };

    sup_log_configure(SUP_LOG_ERROR, SUP_LOG_TEXT, 2);
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
