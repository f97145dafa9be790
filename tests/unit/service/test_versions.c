/* Nodes of another version beside one of this: an older one without what version 1 got later, a
 * newer one that offers more, and one with which there is no common version. The other is this
 * program too; what it says is changed on the way (mesh_proxy.h). */
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "codec/keys.h"
#include "mesh_proxy.h"
#include "mesh_rig.h"
#include "replica_node.h"
#include "service/apply_txn.h"
#include "service/replicate.h"
#include "service/service.h"
#include "store/meta.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PATIENCE_MS 60000
#define RECORDS     300

/* How a node differs from what it is. */
struct otherwise {
    uint32_t min_version, max_version;
    uint64_t features;
    bool old;  /* says nothing that version 1 got later */
    bool more; /* sends frames that nobody knows yet */
};

/* What `other` is to `here`, and what `here` is to it. */
struct pair {
    struct replica_node here, other;
    struct mesh_proxy *to_other, *to_here;
    struct replica_node through[2]; /* the proxies' names and addresses */
    struct otherwise *o;
};

/* --- what is said otherwise --- */

static void change(const struct otherwise *o, struct sup_mesh_msg *msg)
{
    if (msg->type == SUP_FRAME_HELLO) {
        msg->u.hello.min_version = o->min_version;
        msg->u.hello.max_version = o->max_version;
        msg->u.hello.features = o->features;
        if (o->old) {
            msg->u.hello.standing = SUP_STANDING_UNSAID;
            msg->u.hello.epoch = msg->u.hello.members = 0;
        }
    } else if (msg->type == SUP_FRAME_HEARTBEAT && o->old) {
        msg->u.heartbeat.standing = SUP_STANDING_UNSAID;
        msg->u.heartbeat.epoch = msg->u.heartbeat.members = 0;
        msg->u.heartbeat.has_root = msg->u.heartbeat.has_root && o->features & SUP_FEATURE_REPAIR;
    }
}

/* On the connection dialled by `here` the listening end is the other one … */
static void from_listening(void *arg, bool listening, struct sup_mesh_msg *msg)
{
    if (listening)
        change(arg, msg);
}

/* … and on the other's own it is the dialling end. */
static void from_dialling(void *arg, bool listening, struct sup_mesh_msg *msg)
{
    if (!listening)
        change(arg, msg);
}

static void unknown_frames(void *arg, bool listening, struct sup_buf *frames)
{
    const struct otherwise *o = arg;

    (void)listening;
    if (o->more)
        assert_int_equal(sup_frame_encode(999, SUP_FRAME_SKIPPABLE, SUP_SLICE_LIT("news"), frames),
                         SUP_OK);
}

/* --- nodes --- */

static int fill_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    const char *prefix = arg;
    int rc = SUP_OK;

    for (int i = 0; rc == SUP_OK && i < RECORDS; i++) {
        char address[64];
        struct sup_applied out;
        int n = snprintf(address, sizeof(address), "%s%d@example.com", prefix, i);
        struct sup_proposal p = {.key = sup_slice_of(address, (size_t)n),
                                 .d = {.cls = SUP_CLASS_BOUNCE, .state = SUP_SUPPRESSED}};
        rc = sup_apply_decide(a, t, &p, &out, err);
    }
    return rc;
}

static int ready_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    (void)a;
    (void)arg;
    (void)err;
    sup_meta_put_u64(t, SUP_META_READY, 1);
    return SUP_OK;
}

/* What came outside of any log: only repair carries it. */
static int unlogged_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct sup_decision d = {.cls = SUP_CLASS_MANUAL,
                             .state = SUP_SUPPRESSED,
                             .time = sup_hlc_from_ms(sup_wall_ms() - 5000),
                             .origin = 77};
    enum sup_remote out;
    struct sup_buf b;
    int rc;

    sup_buf_init(&b, SUP_DECISION_MAX);
    sup_decision_encode(&d, &b);
    rc = sup_apply_repaired(a, t, sup_slice_str(arg), SUP_CLASS_MANUAL, sup_buf_slice(&b), &out,
                            err);
    sup_buf_fini(&b);
    return rc;
}

static void run(struct replica_node *n,
                int (*fn)(struct sup_apply *, struct sup_txn *, void *, struct sup_err *),
                char *arg)
{
    assert_int_equal(sup_apply_run(n->apply, fn, arg, NULL), SUP_OK);
}

static void pair_open(struct pair *p)
{
    memset(p, 0, sizeof(*p));
    replica_node_open(&p->here, "here", 64);
    replica_node_open(&p->other, "other", 64);
    p->here.options.mesh.join_wait_ms = p->other.options.mesh.join_wait_ms = 1000;
}

static void pair_connect(struct pair *p, struct otherwise *o)
{
    struct mesh_proxy_edit to_other = {from_listening, unknown_frames, o};
    struct mesh_proxy_edit to_here = {from_dialling, unknown_frames, o};
    const struct replica_node *const of_here[] = {&p->through[0]};
    const struct replica_node *const of_other[] = {&p->through[1]};

    replica_node_address(&p->here);
    replica_node_address(&p->other);
    p->o = o;
    p->to_other = mesh_proxy_start(p->other.url, &to_other);
    p->to_here = mesh_proxy_start(p->here.url, &to_here);
    p->through[0].name = "other";
    p->through[1].name = "here";
    (void)snprintf(p->through[0].url, sizeof(p->through[0].url), "%s", mesh_proxy_url(p->to_other));
    (void)snprintf(p->through[1].url, sizeof(p->through[1].url), "%s", mesh_proxy_url(p->to_here));
    replica_node_replicate(&p->here, of_here, 1);
    replica_node_replicate(&p->other, of_other, 1);
}

static void pair_close(struct pair *p)
{
    replica_node_close(&p->here);
    replica_node_close(&p->other);
    mesh_proxy_stop(p->to_other);
    mesh_proxy_stop(p->to_here);
}

static bool same_sets(void *arg)
{
    const struct pair *p = arg;
    struct sup_sketch_sum sum = sup_sketch_keeper_root(p->here.keeper);

    return sum.count >= RECORDS && replica_node_equal_roots(&p->here, &p->other);
}

static bool here_answers(void *arg)
{
    const struct pair *p = arg;

    return sup_replicator_answers(p->here.replicator);
}

static void status_of(struct replica_node *n, struct sup_status *out)
{
    bool level = false;

    memset(out, 0, sizeof(*out));
    sup_replicator_status(n->replicator, out, &level);
}

/* --- tests: all pairs begin at once, for most of their time is waiting --- */

static struct otherwise newer = {
    .min_version = 1, .max_version = 9, .features = UINT64_MAX, .more = true};
static struct otherwise repairs = {
    .min_version = 1, .max_version = 1, .features = SUP_FEATURE_REPAIR, .old = true};
static struct otherwise bare = {.min_version = 1, .max_version = 1, .old = true};
static struct otherwise foreign = {.min_version = SUP_MESH_VERSION_MAX + 6,
                                   .max_version = SUP_MESH_VERSION_MAX + 8};

enum { NEWER, REPAIRS, BARE, FOREIGN, JOIN_BY_REPAIR, JOIN_BY_LOG, N_PAIRS };
static struct pair pairs[N_PAIRS];

/* Both were members for long, and decided while they did not reach each other. */
static void begin_members(struct pair *p, struct otherwise *o, bool repair)
{
    static char h[] = "h", t[] = "t", lost[] = "lost@example.com";

    pair_open(p);
    run(&p->here, ready_run, NULL);
    run(&p->other, ready_run, NULL);
    run(&p->here, fill_run, h);
    run(&p->other, fill_run, t);
    if (repair)
        run(&p->other, unlogged_run, lost);
    pair_connect(p, o);
}

/* `here` has nothing. */
static void begin_join(struct pair *p, struct otherwise *o, int64_t join_wait_ms)
{
    static char t[] = "t";

    pair_open(p);
    run(&p->other, ready_run, NULL);
    run(&p->other, fill_run, t);
    p->here.options.mesh.join_wait_ms = join_wait_ms;
    pair_connect(p, o);
}

static void *begin_one(void *arg)
{
    struct pair *p = arg;

    if (p == &pairs[NEWER])
        begin_members(p, &newer, true);
    else if (p == &pairs[REPAIRS])
        begin_members(p, &repairs, true);
    else if (p == &pairs[BARE])
        begin_members(p, &bare, false);
    else if (p == &pairs[FOREIGN])
        begin_members(p, &foreign, false);
    else if (p == &pairs[JOIN_BY_REPAIR])
        begin_join(p, &repairs, PATIENCE_MS);
    else
        begin_join(p, &bare, 1000);
    return NULL;
}

/* A node that starts waits for its peer, for a moment. */
static int begin(void **state)
{
    pthread_t thread[N_PAIRS];

    (void)state;
    for (size_t i = 0; i < N_PAIRS; i++)
        assert_int_equal(sup_thread_start(&thread[i], "begin", begin_one, &pairs[i]), SUP_OK);
    for (size_t i = 0; i < N_PAIRS; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_PAIRS; i++)
        pair_close(&pairs[i]);
    return 0;
}

static void expect_both(struct pair *p, uint64_t records)
{
    assert_true(rig_eventually(same_sets, p, PATIENCE_MS));
    assert_true(sup_sketch_keeper_root(p->here.keeper).count == records);
}

static bool all_there(void *arg)
{
    const struct pair *p = arg;

    return sup_sketch_keeper_root(p->here.keeper).count >= 2 * RECORDS && same_sets(arg);
}

static void one_that_offers_newer_versions_too(void **state)
{
    (void)state;
    assert_true(rig_eventually(all_there, &pairs[NEWER], PATIENCE_MS));
    expect_both(&pairs[NEWER], 2 * RECORDS + 1);
}

static void one_that_knows_repair_only(void **state)
{
    (void)state;
    assert_true(rig_eventually(all_there, &pairs[REPAIRS], PATIENCE_MS));
    expect_both(&pairs[REPAIRS], 2 * RECORDS + 1);
}

static void one_that_knows_nothing_of_it(void **state)
{
    (void)state;
    assert_true(rig_eventually(all_there, &pairs[BARE], PATIENCE_MS));
    expect_both(&pairs[BARE], 2 * RECORDS);
}

/* The donor cannot give snapshots: the set comes by repair, with its version vector. */
static void who_joins_falls_back_to_repair(void **state)
{
    struct pair *p = &pairs[JOIN_BY_REPAIR];
    struct sup_vv vv, floor, theirs;
    uint64_t ready = 0;

    (void)state;
    assert_true(rig_eventually(here_answers, p, PATIENCE_MS));
    assert_int_equal(sup_meta_get_u64(p->here.store, NULL, SUP_META_READY, &ready, NULL), SUP_OK);
    expect_both(p, RECORDS);
    sup_apply_vv(p->other.apply, &theirs);
    sup_apply_vv(p->here.apply, &vv);
    sup_apply_floor(p->here.apply, &floor);
    assert_true(sup_vv_covers(&vv, &theirs));
    assert_int_equal(sup_vv_get(&floor, sup_apply_incarnation(p->other.apply)), RECORDS);
}

/* Nor can it be compared with: what its log has is all that can be had, and is taken. */
static void who_joins_takes_the_log_at_last(void **state)
{
    struct pair *p = &pairs[JOIN_BY_LOG];

    (void)state;
    expect_both(p, RECORDS);
    assert_true(rig_eventually(here_answers, p, PATIENCE_MS));
}

/* In the words of the one that refuses. */
static bool both_say_why(void *arg)
{
    struct pair *p = arg;
    static struct sup_status s[2];
    char text[64];

    (void)snprintf(text, sizeof(text), "protocol versions %u to %u, here %d to %d",
                   p->o->min_version, p->o->max_version, SUP_MESH_VERSION_MIN,
                   SUP_MESH_VERSION_MAX);
    status_of(&p->here, &s[0]);
    status_of(&p->other, &s[1]);
    for (size_t i = 0; i < 2; i++) {
        uint64_t counted = 0;
        if (s[i].n_peers != 1 || s[i].peers[0].connected || s[i].peers[0].refusals == 0 ||
            !strstr(s[i].peers[0].last_error, text))
            return false;
        for (size_t k = 0; k < s[i].n_refusals; k++) {
            if (strcmp(s[i].refusals[k].reason, "version") == 0)
                counted = i == 0 ? s[i].refusals[k].by_us : s[i].refusals[k].by_peers;
        }
        if (counted == 0)
            return false;
    }
    return true;
}

static void without_a_common_version_both_sides_say_so(void **state)
{
    struct pair *p = &pairs[FOREIGN];

    (void)state;
    assert_true(rig_eventually(both_say_why, p, PATIENCE_MS));
    assert_int_equal(sup_sketch_keeper_root(p->here.keeper).count, RECORDS);
    assert_int_equal(sup_sketch_keeper_root(p->other.keeper).count, RECORDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_offers_newer_versions_too),
        cmocka_unit_test(one_that_knows_repair_only),
        cmocka_unit_test(one_that_knows_nothing_of_it),
        cmocka_unit_test(who_joins_falls_back_to_repair),
        cmocka_unit_test(who_joins_takes_the_log_at_last),
        cmocka_unit_test(without_a_common_version_both_sides_say_so),
    };

    sup_log_configure(SUP_LOG_ERROR, SUP_LOG_TEXT, 2);
    return cmocka_run_group_tests(tests, begin, end);
}
