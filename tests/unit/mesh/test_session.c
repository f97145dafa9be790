/* Sessions: HELLO and each of its refusals, heartbeats, round trips, unknown frames, orderly and
 * disorderly ends. */
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "mesh_rig.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct ends {
    struct rig_node a; /* dials */
    struct rig_node b; /* listens */
    struct sup_heart *heart;
    struct sup_session *sa;
    struct sup_session *sb;
    int rc_a;
    int rc_b;
    struct sup_err err_a;
    struct sup_err err_b;
    struct sup_mesh_mem *mem;
    struct sup_mesh_msg msg;
};

static struct pki *pki;
static struct sup_mesh_tls *tls_a;
static struct sup_mesh_tls *tls_b;

static int group_setup(void **state)
{
    (void)state;
    pki = pki_new();
    pki_issue(pki, "ca", "a", "a", false);
    pki_issue(pki, "ca", "b", "b", false);
    tls_a = rig_tls(pki, "ca", "a");
    tls_b = rig_tls(pki, "ca", "b");
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    sup_mesh_tls_free(tls_a);
    sup_mesh_tls_free(tls_b);
    pki_free(pki);
    return 0;
}

static int setup(void **state)
{
    struct ends *e = calloc(1, sizeof(*e));

    rig_node(&e->a, "a", "b");
    rig_node(&e->b, "b", "a");
    e->mem = sup_mesh_mem_new();
    assert_int_equal(sup_heart_start(&e->heart, NULL), SUP_OK);
    *state = e;
    return 0;
}

static int teardown(void **state)
{
    struct ends *e = *state;

    sup_session_free(e->sa);
    sup_session_free(e->sb);
    sup_heart_free(e->heart);
    sup_mesh_mem_free(e->mem);
    free(e);
    return 0;
}

struct accepting {
    struct ends *e;
    struct sup_link *link;
};

static void *accept_session(void *arg)
{
    struct accepting *x = arg;

    x->e->rc_b =
        sup_session_open_accepted(x->link, &x->e->b.local, x->e->heart, &x->e->sb, &x->e->err_b);
    return NULL;
}

/* HELLO on both ends; a expects to find expected. */
static void meet(struct ends *e, const char *expected)
{
    struct sup_link *a;
    struct accepting x = {.e = e};
    pthread_t t;

    rig_links(tls_a, tls_b, "b", &a, &x.link);
    assert_int_equal(sup_thread_start(&t, "accept", accept_session, &x), SUP_OK);
    e->rc_a = sup_session_open_dialed(a, &e->a.local, expected, e->heart, &e->sa, &e->err_a);
    (void)pthread_join(t, NULL);
}

static void must_meet(struct ends *e)
{
    meet(e, "b");
    if (e->rc_a != SUP_OK || e->rc_b != SUP_OK)
        print_error("a: %s\nb: %s\n", e->err_a.msg, e->err_b.msg);
    assert_int_equal(e->rc_a, SUP_OK);
    assert_int_equal(e->rc_b, SUP_OK);
}

/* --- HELLO --- */

static void hello_tells_both(void **state)
{
    struct ends *e = *state;

    e->a.local.features = 5;
    must_meet(e);
    const struct sup_hello *seen_by_b = sup_session_peer(e->sb);
    const struct sup_hello *seen_by_a = sup_session_peer(e->sa);
    assert_string_equal(seen_by_b->node, "a");
    assert_string_equal(seen_by_a->node, "b");
    assert_string_equal(seen_by_a->cluster, "test");
    assert_int_equal(seen_by_b->features, 5);
    assert_true(seen_by_b->node_id == e->a.local.node_id);
    assert_true(seen_by_b->incarnation == e->a.incarnation);
    assert_int_equal(sup_vv_get(&seen_by_b->vv, e->a.incarnation), 1);
    assert_in_range(sup_wall_ms() - seen_by_b->wall_ms, 0, 10000);
    assert_non_null(strstr(sup_session_address(e->sb), "127.0.0.1:"));
}

/* The refusing side says text; the other side is told the same words. refused_by_b: the listening
 * side refuses, else the dialling one, whose refusal reaches b after b has opened. */
static void refused(struct ends *e, const char *expected, bool refused_by_b, int code,
                    const char *text)
{
    meet(e, expected);
    const struct sup_err *refuser = refused_by_b ? &e->err_b : &e->err_a;
    assert_int_equal(refused_by_b ? e->rc_b : e->rc_a, code);
    if (!strstr(refuser->msg, text))
        print_error("\"%s\" does not say \"%s\"\n", refuser->msg, text);
    assert_non_null(strstr(refuser->msg, text));
    if (refused_by_b) {
        assert_int_equal(e->rc_a, SUP_EAUTH);
        assert_non_null(strstr(e->err_a.msg, "refused by peer: "));
        assert_non_null(strstr(e->err_a.msg, text));
        return;
    }
    assert_int_equal(e->rc_b, SUP_OK);
    assert_int_equal(sup_session_recv(e->sb, 5000, e->mem, &e->msg, &e->err_b), SUP_EAUTH);
    assert_non_null(strstr(e->err_b.msg, text));
}

static void other_cluster(void **state)
{
    struct ends *e = *state;

    (void)snprintf(e->b.cluster, sizeof(e->b.cluster), "prod");
    refused(e, "b", true, SUP_EINPUT, "cluster is test, not prod");
}

static void other_drift_limit(void **state)
{
    struct ends *e = *state;

    e->a.local.drift_limit_ms = 1000;
    refused(e, "b", true, SUP_EINPUT, "max_clock_drift is 1000 ms, here 60000 ms");
}

static void other_hash_key(void **state)
{
    struct ends *e = *state;

    e->a.local.key_check = 43;
    refused(e, "b", true, SUP_EINPUT, "hash key differs");
}

static void unknown_peer(void **state)
{
    struct ends *e = *state;

    (void)snprintf(e->b.knows, sizeof(e->b.knows), "c");
    refused(e, "b", true, SUP_EAUTH, "a is not among the configured peers of b");
}

static void wrong_node_answers(void **state)
{
    struct ends *e = *state;

    refused(e, "c", false, SUP_EAUTH, "node b answers where c was dialled");
}

static void itself(void **state)
{
    struct ends *e = *state;

    e->a.local.node_id = e->b.local.node_id;
    refused(e, "b", true, SUP_EAUTH, "has the id of this node");
}

/* --- raw peers: what a session makes of frames that no session would send --- */

static void raw_frame(struct sup_link *l, uint16_t type, uint16_t flags, struct sup_slice body)
{
    struct sup_buf frame;

    sup_buf_init(&frame, SUP_FRAME_BODY_MAX + SUP_FRAME_HEADER);
    assert_int_equal(sup_frame_encode(type, flags, body, &frame), SUP_OK);
    assert_int_equal(sup_link_send(l, sup_buf_slice(&frame), 5000), SUP_OK);
    sup_buf_fini(&frame);
}

static void raw_message(struct ends *e, struct sup_link *l)
{
    struct sup_buf body;

    sup_buf_init(&body, SUP_FRAME_BODY_MAX);
    assert_int_equal(sup_mesh_msg_encode(&e->msg, e->mem, &body, NULL), SUP_OK);
    raw_frame(l, (uint16_t)e->msg.type, 0, sup_buf_slice(&body));
    sup_buf_fini(&body);
}

static void raw_hello(struct ends *e)
{
    memset(&e->msg, 0, sizeof(e->msg));
    e->msg.type = SUP_FRAME_HELLO;
    struct sup_hello *h = &e->msg.u.hello;
    *h = (struct sup_hello){.min_version = SUP_MESH_VERSION_MIN,
                            .max_version = SUP_MESH_VERSION_MAX,
                            .cluster = "test",
                            .node = "a",
                            .node_id = 77,
                            .incarnation = 78,
                            .drift_limit_ms = 60000,
                            .key_check = 42};
}

/* The next frame of that type, others skipped; its body is decoded into e->msg. */
static void raw_expect(struct ends *e, struct sup_link *l, enum sup_frame_type type)
{
    struct sup_frame f;

    do
        assert_int_equal(sup_link_recv(l, 5000, &f, NULL), SUP_OK);
    while (f.type != type);
    assert_int_equal(sup_mesh_msg_decode(f.type, f.body, e->mem, &e->msg, NULL), SUP_OK);
}

struct raw {
    struct sup_link *link;
    struct accepting x;
    pthread_t thread;
};

static void raw_begin(struct ends *e, struct raw *r)
{
    r->x.e = e;
    rig_links(tls_a, tls_b, "b", &r->link, &r->x.link);
    assert_int_equal(sup_thread_start(&r->thread, "accept", accept_session, &r->x), SUP_OK);
}

static void raw_open(struct ends *e, struct raw *r)
{
    raw_begin(e, r);
    raw_hello(e);
    raw_message(e, r->link);
    raw_expect(e, r->link, SUP_FRAME_HELLO);
    assert_string_equal(e->msg.u.hello.node, "b");
    (void)pthread_join(r->thread, NULL);
    assert_int_equal(e->rc_b, SUP_OK);
}

static void no_common_version(void **state)
{
    struct ends *e = *state;
    struct raw r;

    raw_begin(e, &r);
    raw_hello(e);
    e->msg.u.hello.min_version = e->msg.u.hello.max_version = SUP_MESH_VERSION_MAX + 1;
    raw_message(e, r.link);
    raw_expect(e, r.link, SUP_FRAME_REFUSE);
    assert_int_equal(e->msg.u.goodbye.code, SUP_REFUSED_VERSION);
    assert_non_null(strstr(e->msg.u.goodbye.reason, "protocol versions"));
    sup_link_free(r.link);
    (void)pthread_join(r.thread, NULL);
    assert_int_equal(e->rc_b, SUP_EVERSION);
}

/* A newer peer that still speaks our version is welcome. */
static void overlapping_versions(void **state)
{
    struct ends *e = *state;
    struct raw r;

    raw_begin(e, &r);
    raw_hello(e);
    e->msg.u.hello.max_version = SUP_MESH_VERSION_MAX + 5;
    raw_message(e, r.link);
    raw_expect(e, r.link, SUP_FRAME_HELLO);
    (void)pthread_join(r.thread, NULL);
    assert_int_equal(e->rc_b, SUP_OK);
    sup_link_free(r.link);
}

static void first_frame_is_no_hello(void **state)
{
    struct ends *e = *state;
    struct raw r;

    raw_begin(e, &r);
    raw_frame(r.link, SUP_FRAME_PULL, 0, SUP_SLICE_LIT(""));
    raw_expect(e, r.link, SUP_FRAME_REFUSE);
    assert_int_equal(e->msg.u.goodbye.code, SUP_REFUSED_PROTOCOL);
    sup_link_free(r.link);
    (void)pthread_join(r.thread, NULL);
    assert_int_equal(e->rc_b, SUP_ECORRUPT);
    assert_non_null(strstr(e->err_b.msg, "first frame is PULL"));
}

static void a_hello_is_small(void **state)
{
    struct ends *e = *state;
    struct raw r;
    static uint8_t big[SUP_MESH_HELLO_MAX + 1];

    raw_begin(e, &r);
    raw_frame(r.link, SUP_FRAME_HELLO, 0, sup_slice_of(big, sizeof(big)));
    (void)pthread_join(r.thread, NULL);
    assert_int_equal(e->rc_b, SUP_ELIMIT);
    assert_non_null(strstr(e->err_b.msg, "at most 65536"));
    sup_link_free(r.link);
}

static void no_hello_at_all(void **state)
{
    struct ends *e = *state;
    struct raw r;
    int64_t begin = sup_mono_ms();

    raw_begin(e, &r);
    (void)pthread_join(r.thread, NULL);
    assert_int_equal(e->rc_b, SUP_ETIMEDOUT);
    assert_non_null(strstr(e->err_b.msg, "no HELLO within 5000 ms"));
    assert_in_range(sup_mono_ms() - begin, SUP_HELLO_TIMEOUT_MS, SUP_HELLO_TIMEOUT_MS + 2000);
    sup_link_free(r.link);
}

static void unknown_frames(void **state)
{
    struct ends *e = *state;
    struct raw r;
    struct sup_mesh_msg *got = malloc(sizeof(*got));

    raw_open(e, &r);
    raw_frame(r.link, 999, SUP_FRAME_SKIPPABLE, SUP_SLICE_LIT("from the future"));
    memset(&e->msg, 0, sizeof(e->msg));
    e->msg.type = SUP_FRAME_PULL;
    e->msg.u.pull.credit = 11;
    raw_message(e, r.link);
    assert_int_equal(sup_session_recv(e->sb, 5000, e->mem, got, &e->err_b), SUP_OK);
    assert_int_equal(got->type, SUP_FRAME_PULL);
    assert_int_equal(got->u.pull.credit, 11);
    raw_frame(r.link, 999, 0, SUP_SLICE_LIT("from the future"));
    assert_int_equal(sup_session_recv(e->sb, 5000, e->mem, got, &e->err_b), SUP_EVERSION);
    assert_non_null(strstr(e->err_b.msg, "unknown type 999"));
    raw_expect(e, r.link, SUP_FRAME_REFUSE);
    assert_non_null(strstr(e->msg.u.goodbye.reason, "unknown type 999"));
    /* It stays over. */
    assert_int_equal(sup_session_recv(e->sb, 100, e->mem, got, &e->err_b), SUP_EVERSION);
    sup_link_free(r.link);
    free(got);
}

static void broken_frames(void **state)
{
    struct ends *e = *state;
    static const struct {
        uint16_t type;
        struct sup_slice body;
        const char *text;
    } cases[] = {{SUP_FRAME_MUTATIONS, {(const uint8_t *)"\xff\xff", 2}, "malformed MUTATIONS"},
                 {SUP_FRAME_MUTATIONS, {(const uint8_t *)"", 0}, "number of mutations"},
                 {SUP_FRAME_HELLO, {NULL, 0}, "a second HELLO"},
                 {SUP_FRAME_HEARTBEAT, {(const uint8_t *)"\x32\x00", 2}, "version vector"}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct raw r;
        raw_open(e, &r);
        if (cases[i].body.p) {
            raw_frame(r.link, cases[i].type, 0, cases[i].body);
        } else {
            raw_hello(e);
            raw_message(e, r.link);
        }
        assert_int_equal(sup_session_recv(e->sb, 5000, e->mem, &e->msg, &e->err_b), SUP_ECORRUPT);
        if (!strstr(e->err_b.msg, cases[i].text))
            print_error("\"%s\" does not say \"%s\"\n", e->err_b.msg, cases[i].text);
        assert_non_null(strstr(e->err_b.msg, cases[i].text));
        sup_session_free(e->sb);
        e->sb = NULL;
        sup_link_free(r.link);
    }
}

/* --- an open session --- */

static void messages_travel(void **state)
{
    struct ends *e = *state;
    struct sup_mesh_msg *got = malloc(sizeof(*got));

    must_meet(e);
    memset(&e->msg, 0, sizeof(e->msg));
    e->msg.type = SUP_FRAME_PULL;
    e->msg.u.pull.credit = 1000;
    assert_int_equal(sup_session_send(e->sa, &e->msg, 1000), SUP_OK);
    assert_int_equal(sup_session_recv(e->sb, 5000, e->mem, got, NULL), SUP_OK);
    assert_int_equal(got->type, SUP_FRAME_PULL);
    assert_int_equal(got->u.pull.credit, 1000);
    assert_int_equal(sup_session_send(e->sb, rig_mutations(9, 5, 60, 4000), 1000), SUP_OK);
    assert_int_equal(sup_session_recv(e->sa, 5000, e->mem, got, NULL), SUP_OK);
    assert_int_equal(got->type, SUP_FRAME_MUTATIONS);
    assert_int_equal(got->u.mutations.n, 60);
    assert_int_equal(got->u.mutations.m[59].seq, 64);
    assert_true(got->u.mutations.cost > 60 * 4000);
    /* Compressed on the way: the rig's bytes carry six bits each. */
    struct sup_session_stats *stats = malloc(sizeof(*stats));
    sup_session_stats(e->sa, stats);
    assert_true(stats->bytes_in < got->u.mutations.cost);
    e->msg.type = SUP_FRAME_ACK;
    assert_int_equal(sup_session_post(e->sa, &e->msg), SUP_OK);
    assert_int_equal(sup_session_recv(e->sb, 5000, e->mem, got, NULL), SUP_OK);
    assert_int_equal(got->type, SUP_FRAME_ACK);
    /* A message that may not travel is our own fault and leaves the session whole. */
    assert_int_equal(sup_session_send(e->sa, rig_mutations(0, 1, 1, 10), 1000), SUP_EINPUT);
    assert_int_equal(sup_session_recv(e->sb, 50, e->mem, got, NULL), SUP_ETIMEDOUT);
    free(stats);
    free(got);
}

static void bye_says_why(void **state)
{
    struct ends *e = *state;

    must_meet(e);
    int64_t begin = sup_mono_ms();
    sup_session_close(e->sa, SUP_REFUSED_STOPPING, "going home");
    assert_in_range(sup_mono_ms() - begin, 0, 500);
    assert_int_equal(sup_session_recv(e->sb, 5000, e->mem, &e->msg, &e->err_b), SUP_ECLOSED);
    assert_string_equal(e->err_b.msg, "ended by peer: going home");
    assert_int_equal(sup_session_recv(e->sa, 5000, e->mem, &e->msg, &e->err_a), SUP_ECLOSED);
    assert_string_equal(e->err_a.msg, "going home");
    assert_int_equal(sup_session_post(e->sa, rig_mutations(1, 1, 1, 10)), SUP_ECLOSED);
}

struct watching {
    struct ends *e;
    struct sup_session_stats stats[2];
};

static bool both_measured(void *arg)
{
    struct watching *w = arg;
    struct sup_session *s[2] = {w->e->sa, w->e->sb};
    bool all = true;

    for (int i = 0; i < 2; i++) {
        (void)sup_session_recv(s[i], 10, w->e->mem, &w->e->msg, NULL);
        sup_session_stats(s[i], &w->stats[i]);
        all = all && w->stats[i].rtt_ms >= 0;
    }
    return all && sup_vv_get(&w->stats[0].vv, w->e->b.incarnation) == 17;
}

static void heartbeats_measure_and_tell_state(void **state)
{
    struct ends *e = *state;
    struct watching *w = calloc(1, sizeof(*w));

    must_meet(e);
    w->e = e;
    sup_session_stats(e->sa, &w->stats[0]);
    assert_true(w->stats[0].rtt_ms < 0);
    assert_int_equal(sup_vv_get(&w->stats[0].vv, e->b.incarnation), 1);
    atomic_store(&e->b.seq, 17);
    assert_true(rig_eventually(both_measured, w, 8000));
    for (int i = 0; i < 2; i++) {
        assert_true(w->stats[i].rtt_ms < 200);
        assert_true(w->stats[i].clock_offset_ms > -200 && w->stats[i].clock_offset_ms < 200);
        assert_in_range(sup_mono_ms() - w->stats[i].last_heard_mono_ms, 0, 3000);
    }
    free(w);
}

/* Numbers from a peer can be anything. */
static void senseless_heartbeats(void **state)
{
    struct ends *e = *state;
    struct raw r;
    static const struct sup_heartbeat cases[] = {
        {.echo_mono_ns = UINT64_MAX, .incarnation = 1},
        {.echo_mono_ns = 1, .echo_held_us = UINT64_MAX, .incarnation = 1},
        {.echo_mono_ns = 1, .wall_ms = INT64_MIN, .incarnation = 1},
        {.wall_ms = INT64_MAX, .mono_ns = UINT64_MAX, .incarnation = 1},
        {0}};
    struct sup_session_stats *stats = malloc(sizeof(*stats));

    raw_open(e, &r);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(&e->msg, 0, sizeof(e->msg));
        e->msg.type = SUP_FRAME_HEARTBEAT;
        e->msg.u.heartbeat = cases[i];
        raw_message(e, r.link);
        assert_int_equal(sup_session_recv(e->sb, 50, e->mem, &e->msg, NULL), SUP_ETIMEDOUT);
    }
    sup_session_stats(e->sb, stats);
    assert_true(stats->rtt_ms < 0);
    free(stats);
    sup_link_free(r.link);
}

static void *keep_receiving(void *arg)
{
    struct ends *e = arg;
    struct sup_mesh_mem *mem = sup_mesh_mem_new();
    struct sup_mesh_msg *msg = malloc(sizeof(*msg));

    e->rc_a = sup_session_recv(e->sa, -1, mem, msg, &e->err_a);
    sup_mesh_mem_free(mem);
    free(msg);
    return NULL;
}

/* A peer that holds the connection and says nothing is found in five to six seconds; one that is
 * only slow to read is not. */
static void silence_ends_a_session(void **state)
{
    struct ends *e = *state;
    struct raw r;

    raw_open(e, &r);
    int64_t begin = sup_mono_ms();
    assert_int_equal(sup_session_recv(e->sb, 10000, e->mem, &e->msg, &e->err_b), SUP_ECLOSED);
    assert_string_equal(e->err_b.msg, "peer silent for 5 s");
    assert_in_range(sup_mono_ms() - begin, SUP_SILENCE_MS - 500, SUP_SILENCE_MS + 1000);
    sup_link_free(r.link);
}

static void a_slow_reader_keeps_its_session(void **state)
{
    struct ends *e = *state;
    pthread_t t;

    must_meet(e);
    assert_int_equal(sup_thread_start(&t, "a", keep_receiving, e), SUP_OK);
    /* b's owner reads nothing for longer than the limit, and a fills the way to it. */
    int64_t end = sup_mono_ms() + SUP_SILENCE_MS + 1500;
    while (sup_mono_ms() < end) {
        int rc = sup_session_send(e->sa, rig_mutations(9, 1, 60, 4000), 100);
        assert_true(rc == SUP_OK || rc == SUP_ETIMEDOUT);
    }
    int got = 0;
    while (sup_session_recv(e->sb, 500, e->mem, &e->msg, &e->err_b) == SUP_OK)
        got++;
    assert_true(got > 4);
    assert_int_equal(sup_session_recv(e->sb, 0, e->mem, &e->msg, &e->err_b), SUP_ETIMEDOUT);
    sup_session_close(e->sa, SUP_REFUSED_OTHER, "test is over");
    (void)pthread_join(t, NULL);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hello_tells_both),
        TEST(other_cluster),
        TEST(other_drift_limit),
        TEST(other_hash_key),
        TEST(unknown_peer),
        TEST(wrong_node_answers),
        TEST(itself),
        TEST(no_common_version),
        TEST(overlapping_versions),
        TEST(first_frame_is_no_hello),
        TEST(a_hello_is_small),
        TEST(no_hello_at_all),
        TEST(unknown_frames),
        TEST(broken_frames),
        TEST(messages_travel),
        TEST(bye_says_why),
        TEST(heartbeats_measure_and_tell_state),
        TEST(senseless_heartbeats),
        TEST(silence_ends_a_session),
        TEST(a_slow_reader_keeps_its_session),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
