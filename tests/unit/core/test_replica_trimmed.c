/* A puller whose server's log begins behind what it needs. */
#include "core/replica.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define X 7ULL /* the incarnation that all of this is about */

struct puller {
    struct sup_replica *r;
    struct sup_replica_self self;
    struct sup_replica_actions *out;
    int64_t now;
};

static void step(struct puller *w, struct sup_replica_event e, uint64_t seq)
{
    struct sup_vv vv;

    sup_vv_init(&vv);
    assert_int_equal(sup_vv_raise(&vv, X, seq), SUP_OK);
    e.vv = &vv;
    w->out = sup_replica_step(w->r, w->now, &w->self, &e);
}

static struct puller *puller_new(size_t n_peers, uint64_t has)
{
    static struct puller w;
    struct sup_replica_options o = {.n_peers = n_peers, .seed = 1, .trim_every_ms = INT64_MAX / 2};

    memset(&w, 0, sizeof(w));
    assert_int_equal(sup_replica_new(&o, &w.r, NULL), SUP_OK);
    w.self.incarnation = 1000;
    w.now = 1;
    step(&w, (struct sup_replica_event){.type = SUP_EV_TICK}, 0); /* looks at what to trim, once */
    assert_int_equal(sup_vv_raise(&w.self.vv, X, has), SUP_OK);
    return &w;
}

/* The session of the action, which is told of once at most; 0 = there is none. */
static uint64_t said(const struct puller *w, enum sup_replica_action_type type)
{
    uint64_t session = 0;

    for (size_t i = 0; i < w->out->n; i++) {
        if (w->out->a[i].type == type) {
            assert_int_equal(session, 0);
            session = w->out->a[i].session;
        }
    }
    return session;
}

static uint64_t repairs(const struct puller *w)
{
    return said(w, SUP_ACT_REPAIR);
}

static void tick(struct puller *w, int64_t ms)
{
    w->now += ms;
    step(w, (struct sup_replica_event){.type = SUP_EV_TICK}, 0);
}

static void event(struct puller *w, enum sup_replica_event_type type, size_t peer, uint64_t session,
                  uint64_t seq)
{
    step(w, (struct sup_replica_event){.type = type, .peer = peer, .session = session}, seq);
}

static void dialed(struct puller *w, size_t peer, uint64_t session, uint64_t has)
{
    event(w, SUP_EV_DIALED, peer, session, has);
    assert_int_equal(said(w, SUP_ACT_PULL), session);
}

static void trimmed(struct puller *w, size_t peer, uint64_t session, uint64_t floor)
{
    event(w, SUP_EV_TRIMMED, peer, session, floor);
}

static void repaired(struct puller *w, size_t peer, uint64_t session, int code)
{
    step(w,
         (struct sup_replica_event){
             .type = SUP_EV_REPAIRED, .peer = peer, .session = session, .code = code},
         0);
}

static void has(struct puller *w, uint64_t seq)
{
    assert_int_equal(sup_vv_raise(&w->self.vv, X, seq), SUP_OK);
}

static void repaired_at_once(void **state)
{
    struct puller *w = puller_new(1, 3);

    (void)state;
    dialed(w, 0, 5, 9);
    trimmed(w, 0, 4, 6); /* of another session */
    assert_int_equal(repairs(w), 0);
    trimmed(w, 0, 5, 3); /* but it reaches back to us */
    assert_int_equal(repairs(w), 0);
    trimmed(w, 0, 5, 6);
    assert_int_equal(repairs(w), 5);
    trimmed(w, 0, 5, 6); /* it is under way */
    assert_int_equal(repairs(w), 0);
    has(w, 9);
    repaired(w, 0, 5, SUP_OK);
    assert_int_equal(said(w, SUP_ACT_ACK), 5);
    tick(w, 10 * SUP_REPLICA_STALL_MS);
    assert_int_equal(w->out->n, 0);
    sup_replica_free(w->r);
}

static void a_new_session_is_told_anew(void **state)
{
    struct puller *w = puller_new(1, 3);

    (void)state;
    dialed(w, 0, 5, 9);
    trimmed(w, 0, 5, 6);
    assert_int_equal(repairs(w), 5);
    event(w, SUP_EV_DIAL_LOST, 0, 5, 0); /* and the repair with it */
    tick(w, SUP_REPLICA_AGAIN_MS);
    assert_int_equal(repairs(w), 0);
    dialed(w, 0, 6, 9);
    tick(w, 1000);
    assert_int_equal(repairs(w), 0);
    trimmed(w, 0, 6, 6);
    assert_int_equal(repairs(w), 6);
    sup_replica_free(w->r);
}

static void not_while_it_copies(void **state)
{
    struct puller *w = puller_new(1, 3);

    (void)state;
    w->self.holds = true;
    event(w, SUP_EV_DIALED, 0, 5, 9);
    trimmed(w, 0, 5, 6);
    tick(w, SUP_REPLICA_AGAIN_MS);
    assert_int_equal(repairs(w), 0);
    sup_replica_free(w->r);
}

static void a_busy_server_is_asked_again(void **state)
{
    struct puller *w = puller_new(1, 3);

    (void)state;
    dialed(w, 0, 5, 9);
    trimmed(w, 0, 5, 6);
    assert_int_equal(repairs(w), 5);
    repaired(w, 0, 5, SUP_EAGAIN);
    trimmed(w, 0, 5, 6);
    assert_int_equal(repairs(w), 0);
    tick(w, 1999);
    assert_int_equal(repairs(w), 0);
    tick(w, 1);
    assert_int_equal(repairs(w), 5);
    sup_replica_free(w->r);
}

/* Whatever the repairs bring: one that says so for ever costs no more than that. */
static void a_server_that_always_says_so(void **state)
{
    struct puller *w = puller_new(1, 3);

    (void)state;
    dialed(w, 0, 5, 9);
    trimmed(w, 0, 5, 6);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(repairs(w), 5);
        repaired(w, 0, 5, SUP_OK);
        trimmed(w, 0, 5, 6);
        assert_int_equal(repairs(w), 0);
        tick(w, SUP_REPLICA_AGAIN_MS - 1);
        assert_int_equal(repairs(w), 0);
        tick(w, 1);
    }
    sup_replica_free(w->r);
}

static void another_log_may_reach_back_further(void **state)
{
    struct puller *w = puller_new(3, 3);

    (void)state;
    dialed(w, 0, 5, 9);
    dialed(w, 1, 6, 9);
    dialed(w, 2, 7, 5);
    trimmed(w, 0, 5, 6);
    assert_int_equal(repairs(w), 0); /* the second may have it; the third never had */
    tick(w, SUP_REPLICA_OTHER_MS - 1);
    assert_int_equal(repairs(w), 0);
    tick(w, 1);
    assert_int_equal(repairs(w), 5); /* but does not send it */
    sup_replica_free(w->r);
}

static void nobody_is_waited_for_in_vain(void **state)
{
    struct puller *w = puller_new(2, 3);

    (void)state;
    dialed(w, 0, 5, 9);
    dialed(w, 1, 6, 9);
    trimmed(w, 0, 5, 6);
    assert_int_equal(repairs(w), 0);
    trimmed(w, 1, 6, 6); /* nobody has it in a log */
    assert_int_equal(repairs(w), 6);
    tick(w, 1000); /* two at a time would fetch the same twice */
    assert_int_equal(repairs(w), 0);
    has(w, 9);
    repaired(w, 1, 6, SUP_OK);
    tick(w, SUP_REPLICA_AGAIN_MS);
    assert_int_equal(repairs(w), 0);
    sup_replica_free(w->r);
}

/* One that goes on for very long, or for ever, does not keep the others from it. */
static void a_second_repair_begins_after_a_minute(void **state)
{
    struct puller *w = puller_new(2, 3);

    (void)state;
    dialed(w, 0, 5, 9);
    trimmed(w, 0, 5, 6);
    assert_int_equal(repairs(w), 5);
    dialed(w, 1, 6, 9);
    trimmed(w, 1, 6, 6);
    for (int s = 1; s < 60; s++) {
        event(w, SUP_EV_REPAIRING, 0, 5, 0);
        tick(w, 1000);
        assert_int_equal(w->out->n, 0);
    }
    tick(w, 1000);
    assert_int_equal(repairs(w), 6);
    sup_replica_free(w->r);
}

static void a_repair_that_goes_on_is_no_stall(void **state)
{
    struct puller *w = puller_new(1, 3);

    (void)state;
    dialed(w, 0, 5, 9);
    trimmed(w, 0, 5, 6);
    for (int i = 0; i < 20; i++) {
        tick(w, SUP_REPLICA_STALL_MS - 1);
        assert_int_equal(w->out->n, 0);
        event(w, SUP_EV_REPAIRING, 0, 5, 0);
    }
    tick(w, SUP_REPLICA_STALL_MS);
    assert_int_equal(said(w, SUP_ACT_CLOSE_DIALED), 5);
    sup_replica_free(w->r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repaired_at_once),
        cmocka_unit_test(a_new_session_is_told_anew),
        cmocka_unit_test(not_while_it_copies),
        cmocka_unit_test(a_busy_server_is_asked_again),
        cmocka_unit_test(a_server_that_always_says_so),
        cmocka_unit_test(another_log_may_reach_back_further),
        cmocka_unit_test(nobody_is_waited_for_in_vain),
        cmocka_unit_test(a_second_repair_begins_after_a_minute),
        cmocka_unit_test(a_repair_that_goes_on_is_no_stall),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
