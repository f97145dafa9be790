/* Two honest nodes and a member that means harm: it brings incarnations without end, a new one of
 * its own with each heartbeat, claims to have what nobody ever decided, and uses the honest ones'
 * numbers. These must go on replicating with each other as if it were not there. */
#include "base/clock.h"
#include "base/random.h"
#include "core/admission.h"
#include "mesh_rig.h"
#include "replica_node.h"
#include "service/apply_members.h"
#include "service/apply_txn.h"

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MESSAGES  20
#define PER       250 /* mutations in each, every one of another incarnation */
#define DECISIONS 300
#define WAIT_MS   60000

static struct replica_node b, c;
static struct sup_mesh_server *server;
static struct sup_heart *heart;
static struct rig_node hostile;
static atomic_uint floods; /* that were sent whole */
static atomic_bool over;

/* --- the hostile one --- */

static void lie(void *arg, uint64_t *incarnation, struct sup_vv *vv)
{
    (void)arg;
    *incarnation = sup_random_id();
    sup_vv_init(vv);
    (void)sup_vv_raise(vv, sup_apply_incarnation(b.apply), UINT64_MAX >> 1);
    (void)sup_vv_raise(vv, sup_apply_incarnation(c.apply), UINT64_MAX >> 1);
    while (sup_vv_raise(vv, sup_random_id(), 1000) == SUP_OK)
        ;
}

static bool knows_all(void *arg, const char *node)
{
    (void)arg;
    (void)node;
    return true;
}

/* The same decisions for all, so that the sets can be equal in the end, each under a new
 * incarnation. */
static struct sup_mesh_msg *flood(size_t k)
{
    static _Thread_local struct sup_mesh_msg msg;
    static _Thread_local struct sup_mutation ms[PER];
    static _Thread_local char keys[PER][48];
    static _Thread_local uint8_t bytes[256];
    const struct sup_decision d = {.cls = SUP_CLASS_BOUNCE,
                                   .state = SUP_SUPPRESSED,
                                   .cause = SUP_CAUSE_EVENT,
                                   .time = sup_hlc_from_ms(1700000000000),
                                   .origin = 77};
    struct sup_buf encoded;

    sup_buf_init(&encoded, sizeof(bytes));
    sup_decision_encode(&d, &encoded);
    memcpy(bytes, encoded.p, encoded.n);
    for (size_t i = 0; i < PER; i++) {
        (void)snprintf(keys[i], sizeof(keys[i]), "m%zu-%zu@flood.example", k, i);
        ms[i] = (struct sup_mutation){.incarnation = sup_random_id(),
                                      .seq = 1,
                                      .key = sup_slice_str(keys[i]),
                                      .cls = SUP_CLASS_BOUNCE,
                                      .encoded = sup_slice_of(bytes, encoded.n)};
    }
    sup_buf_fini(&encoded);
    msg.type = SUP_FRAME_MUTATIONS;
    msg.u.mutations = (struct sup_mutations){.m = ms, .n = PER};
    return &msg;
}

/* One of those, under the number that an honest node's next decision would have where it is sent
 * to. That one may come first; then this is a gap, or is known. */
static const struct sup_mesh_msg *forgery(const struct replica_node *victim,
                                          const struct replica_node *to)
{
    struct sup_mesh_msg *msg = flood(0);
    struct sup_mutation *m = (struct sup_mutation *)(uintptr_t)msg->u.mutations.m;
    struct sup_vv vv;

    sup_apply_vv(to->apply, &vv);
    m->incarnation = sup_apply_incarnation(victim->apply);
    m->seq = sup_vv_get(&vv, m->incarnation) + 1;
    msg->u.mutations.n = 1;
    return msg;
}

static void serve(void *arg, struct sup_session *s)
{
    bool to_b = strcmp(sup_session_peer(s)->node, "b") == 0;
    struct sup_mesh_mem *mem = sup_mesh_mem_new();
    struct sup_mesh_msg *msg = malloc(sizeof(*msg));
    int rc;

    (void)arg;
    do {
        rc = sup_session_recv(s, -1, mem, msg, NULL);
    } while (rc == SUP_OK && msg->type != SUP_FRAME_PULL);
    for (size_t k = 0; rc == SUP_OK && k < MESSAGES; k++)
        rc = sup_session_send(s, flood(k), 5000);
    atomic_fetch_add(&floods, rc == SUP_OK);
    if (rc == SUP_OK)
        rc = sup_session_send(s, to_b ? forgery(&c, &b) : forgery(&b, &c), 5000);
    while (rc == SUP_OK || rc == SUP_ETIMEDOUT) {
        rc = sup_session_recv(s, 100, mem, msg, NULL);
        if (atomic_load(&over))
            break;
    }
    free(msg);
    sup_mesh_mem_free(mem);
}

/* Asks both for all they have, and acknowledges what nobody sent. */
static struct sup_session *dial(const struct replica_node *n)
{
    struct sup_mesh_msg *msg = calloc(1, sizeof(*msg));
    struct sup_dialer *d = NULL;
    struct sup_link *link = NULL;
    struct sup_session *s = NULL;
    uint64_t incarnation;

    assert_int_equal(sup_dialer_new(n->url, NULL, n->name, &d, NULL), SUP_OK);
    assert_int_equal(sup_link_dial(d, 5000, &link, NULL), SUP_OK);
    assert_int_equal(sup_session_open_dialed(link, &hostile.local, n->name, heart, &s, NULL),
                     SUP_OK);
    sup_dialer_free(d);
    msg->type = SUP_FRAME_PULL;
    lie(NULL, &incarnation, &msg->u.pull.vv);
    msg->u.pull.credit = 1U << 20;
    assert_int_equal(sup_session_send(s, msg, 1000), SUP_OK);
    for (int i = 0; i < 100; i++) {
        msg->type = SUP_FRAME_ACK;
        lie(NULL, &incarnation, &msg->u.pull.vv);
        assert_int_equal(sup_session_send(s, msg, 1000), SUP_OK);
    }
    free(msg);
    return s;
}

/* --- the honest ones --- */

static int decide_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    const struct sup_proposal p = {
        .key = sup_slice_str(arg),
        .d = {.cls = SUP_CLASS_MANUAL, .state = SUP_SUPPRESSED, .cause = SUP_CAUSE_OPERATOR}};
    struct sup_applied out;

    return sup_apply_decide(a, t, &p, &out, err);
}

static void decide(struct replica_node *n, int i)
{
    char key[64];

    (void)snprintf(key, sizeof(key), "%s%d@example.com", n->name, i);
    assert_int_equal(sup_apply_run(n->apply, decide_run, key, NULL), SUP_OK);
}

static void start(void)
{
    static struct replica_node a = {.name = "a"};
    const struct replica_node *const of_b[] = {&c, &a};
    const struct replica_node *const of_c[] = {&b, &a};

    replica_node_open(&b, "b", 4096);
    replica_node_open(&c, "c", 4096);
    rig_node(&hostile, "a", "b");
    (void)snprintf(hostile.cluster, sizeof(hostile.cluster), "c");
    hostile.local.key_check = b.hash.check;
    hostile.local.drift_limit_ms = REPLICA_NODE_DRIFT_MS;
    hostile.local.state = lie;
    hostile.local.known = knows_all;
    assert_int_equal(sup_heart_start(&heart, NULL), SUP_OK);
    struct sup_mesh_server_opts o = {
        .url = rig_url(false, 0), .local = &hostile.local, .heart = heart, .serve = serve};
    assert_int_equal(sup_mesh_server_start(&o, &server, NULL), SUP_OK);
    (void)snprintf(a.url, sizeof(a.url), "%s", rig_url(false, sup_mesh_server_port(server)));
    decide(&b, 0); /* stores with something in them do not join */
    decide(&c, 0);
    replica_node_address(&b);
    replica_node_address(&c);
    replica_node_replicate(&b, of_b, 2);
    replica_node_replicate(&c, of_c, 2);
}

static bool flooded(void *arg)
{
    (void)arg;
    return atomic_load(&floods) >= 2;
}

static bool equal(void *arg)
{
    struct sup_sketch_sum sum = sup_sketch_keeper_root(b.keeper);

    (void)arg;
    return sum.count >= MESSAGES * PER + 2 * (DECISIONS + 1) && replica_node_equal_roots(&b, &c);
}

/* Each keeps count of what the other decided: its log is trimmed by that, and sessions resume. */
static bool counted(void *arg)
{
    uint64_t of_b = sup_apply_incarnation(b.apply);
    uint64_t of_c = sup_apply_incarnation(c.apply);
    struct sup_vv at_b;
    struct sup_vv at_c;

    (void)arg;
    sup_apply_vv(b.apply, &at_b);
    sup_apply_vv(c.apply, &at_c);
    return sup_vv_get(&at_c, of_b) >= sup_vv_get(&at_b, of_b) &&
           sup_vv_get(&at_b, of_c) >= sup_vv_get(&at_c, of_c);
}

static void check_bounds(const struct replica_node *n, uint64_t first)
{
    struct sup_vv vv;
    size_t own = 0;

    sup_apply_vv(n->apply, &vv);
    assert_in_range(vv.n, 3, SUP_VV_MAX - SUP_ADMISSION_OWN);
    /* Of all the claims on its numbers one made it take a new incarnation, if that. */
    own += sup_vv_get(&vv, first) > 0;
    own += sup_apply_incarnation(n->apply) != first;
    assert_in_range(own, 1, 2);
    assert_in_range(sup_vv_get(&vv, sup_apply_incarnation(n->apply)), 1, 2 * DECISIONS);
}

/* --- questions --- */

static atomic_bool asking;
static atomic_uint asked;

/* All that can be asked for, as fast as it goes. */
static void *ask_main(void *arg)
{
    struct sup_session *s = arg;
    struct sup_mesh_msg *msg = calloc(1, sizeof(*msg));
    int rc = SUP_OK;

    for (uint32_t i = 1; rc == SUP_OK && atomic_load(&asking); i++) {
        memset(msg, 0, sizeof(*msg));
        switch (i % 3) {
        case 0:
            msg->type = SUP_FRAME_SUMMARY_ASK;
            msg->u.summary.id = i;
            break;
        case 1:
            msg->type = SUP_FRAME_SNAPSHOT_ASK;
            msg->u.snapshot.id = i;
            msg->u.snapshot.u.ask.credit = UINT64_MAX;
            break;
        default:
            msg->type = SUP_FRAME_PULL;
            msg->u.pull.credit = UINT64_MAX;
            break;
        }
        rc = sup_session_send(s, msg, 200);
        atomic_fetch_add(&asked, rc == SUP_OK);
        if (rc == SUP_ETIMEDOUT) /* it takes no more for the moment */
            rc = SUP_OK;
    }
    free(msg);
    return NULL;
}

static size_t threads(void)
{
    size_t n = 0;
    DIR *d = opendir("/proc/self/task");

    assert_non_null(d);
    while (readdir(d))
        n++;
    (void)closedir(d);
    return n;
}

/* b is asked without end; c hears of what b decides as ever, and b of what c does. Of the answers
 * nothing is read. */
static void ask_and_ask(void)
{
    struct sup_session *s = dial(&b);
    size_t before = threads();
    int64_t begin = sup_mono_ms();
    int64_t took;
    pthread_t thread;

    atomic_store(&asking, true);
    assert_int_equal(pthread_create(&thread, NULL, ask_main, s), 0);
    for (int i = 1; i <= 50; i++) {
        decide(&b, 2 * DECISIONS + i);
        decide(&c, 2 * DECISIONS + i);
        assert_true(rig_eventually(counted, NULL, WAIT_MS));
    }
    assert_true(rig_eventually(equal, NULL, WAIT_MS));
    took = sup_mono_ms() - begin;
    assert_in_range(threads(), 1, before + 8);
    atomic_store(&asking, false);
    pthread_join(thread, NULL);
    print_message("%u questions in %lld ms\n", atomic_load(&asked), (long long)took);
    sup_session_free(s);
}

static void honest_members_converge(void **state)
{
    uint64_t first_b;
    uint64_t first_c;
    struct sup_session *of_b;
    struct sup_session *of_c;

    (void)state;
    start();
    first_b = sup_apply_incarnation(b.apply);
    first_c = sup_apply_incarnation(c.apply);
    of_b = dial(&b);
    of_c = dial(&c);
    for (int i = 1; i <= DECISIONS; i++) {
        decide(&b, i);
        decide(&c, i);
    }
    assert_true(rig_eventually(flooded, NULL, WAIT_MS));
    assert_true(rig_eventually(equal, NULL, WAIT_MS));
    assert_true(rig_eventually(counted, NULL, WAIT_MS));
    check_bounds(&b, first_b);
    check_bounds(&c, first_c);
    /* And on. */
    decide(&b, DECISIONS + 1);
    decide(&c, DECISIONS + 1);
    assert_true(rig_eventually(equal, NULL, WAIT_MS));
    assert_true(rig_eventually(counted, NULL, WAIT_MS));
    sup_session_free(of_b);
    sup_session_free(of_c);
    ask_and_ask();
    atomic_store(&over, true);
    sup_mesh_server_close(server);
    sup_mesh_server_stop(server);
    sup_mesh_server_free(server);
    sup_heart_free(heart); /* it lies about what the two have */
    replica_node_close(&b);
    replica_node_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(honest_members_converge),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
