/* The replica, one step at a time. */
#include "core/replica.h"

#include "codec/mesh_msg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define OWN 1000ULL
#define X   7ULL
#define Y   9ULL

struct world {
    struct sup_replica *r;
    struct sup_replica_self self;
    struct sup_replica_actions *out;
    int64_t now;
};

static struct world *world_new(size_t n_peers, uint64_t log_max)
{
    static struct world w;
    struct sup_replica_options o = {
        .n_peers = n_peers, .seed = 1, .trim_every_ms = 1000, .log_max = log_max};

    memset(&w, 0, sizeof(w));
    assert_int_equal(sup_replica_new(&o, &w.r, NULL), SUP_OK);
    w.self.incarnation = OWN;
    w.now = 1;
    return &w;
}

static struct sup_vv vv_of(uint64_t a, uint64_t a_seq, uint64_t b, uint64_t b_seq)
{
    struct sup_vv v;

    sup_vv_init(&v);
    assert_int_equal(sup_vv_raise(&v, a, a_seq), SUP_OK);
    assert_int_equal(sup_vv_raise(&v, b, b_seq), SUP_OK);
    return v;
}

static void step(struct world *w, struct sup_replica_event e)
{
    w->out = sup_replica_step(w->r, w->now, &w->self, &e);
}

static bool says(const struct world *w, enum sup_replica_action_type type)
{
    for (size_t i = 0; i < w->out->n; i++) {
        if (w->out->a[i].type == type)
            return true;
    }
    return false;
}

/* The action, which must be there. */
static struct sup_replica_action action(const struct world *w, enum sup_replica_action_type type)
{
    for (size_t i = 0; i < w->out->n; i++) {
        if (w->out->a[i].type == type)
            return w->out->a[i];
    }
    fail_msg("no action %d", type);
    return (struct sup_replica_action){0};
}

static void assert_only(const struct world *w, enum sup_replica_action_type type)
{
    assert_int_equal(w->out->n, 1);
    assert_true(says(w, type));
}

static void assert_nothing(const struct world *w)
{
    assert_int_equal(w->out->n, 0);
}

static void tick(struct world *w, int64_t ms)
{
    w->now += ms;
    step(w, (struct sup_replica_event){.type = SUP_EV_TICK});
}

/* Old enough that what others decided is passed on. */
static void age(struct world *w)
{
    tick(w, SUP_REPLICA_RELAY_MS);
    tick(w, SUP_REPLICA_RELAY_MS);
}

static void dialed(struct world *w, size_t peer, uint64_t session, struct sup_vv has)
{
    step(w, (struct sup_replica_event){
                .type = SUP_EV_DIALED, .peer = peer, .session = session, .vv = &has});
}

static void peer_vv(struct world *w, size_t peer, uint64_t session, struct sup_vv has)
{
    step(w, (struct sup_replica_event){
                .type = SUP_EV_PEER_VV, .peer = peer, .session = session, .vv = &has});
}

static void mutation(struct world *w, uint64_t session, uint64_t incarnation, uint64_t seq,
                     uint64_t cost)
{
    struct sup_mutation m = {.incarnation = incarnation, .seq = seq};

    step(w, (struct sup_replica_event){.type = SUP_EV_MUTATIONS,
                                       .peer = 0,
                                       .session = session,
                                       .m = &m,
                                       .n = 1,
                                       .cost = cost});
}

static void applied(struct world *w, uint64_t session, uint64_t cost, int code)
{
    step(w, (struct sup_replica_event){
                .type = SUP_EV_APPLIED, .session = session, .cost = cost, .code = code});
}

static void accepted(struct world *w, size_t peer, uint64_t session)
{
    struct sup_vv none;

    sup_vv_init(&none);
    step(w, (struct sup_replica_event){
                .type = SUP_EV_ACCEPTED, .peer = peer, .session = session, .vv = &none});
}

static void said(struct world *w, enum sup_replica_event_type type, size_t peer, uint64_t session,
                 struct sup_vv has, uint64_t credit)
{
    step(w, (struct sup_replica_event){
                .type = type, .peer = peer, .session = session, .vv = &has, .cost = credit});
}

static void may_send(struct world *w, uint64_t session)
{
    step(w, (struct sup_replica_event){.type = SUP_EV_MAY_SEND, .session = session});
}

/* --- pulling --- */

static void a_session_begins_with_a_pull(void **state)
{
    struct world *w = world_new(1, 0);

    (void)state;
    dialed(w, 0, 5, vv_of(X, 3, Y, 0));
    assert_true(says(w, SUP_ACT_PULL));
    assert_int_equal(action(w, SUP_ACT_PULL).session, 5);
    assert_int_equal(action(w, SUP_ACT_PULL).amount, SUP_REPLICA_CREDIT);
    sup_replica_free(w->r);
}

static void acknowledged_when_durable_and_only_then(void **state)
{
    struct world *w = world_new(1, 0);
    struct sup_replica_peer_view view;

    (void)state;
    dialed(w, 0, 5, vv_of(X, 3, Y, 0));
    mutation(w, 5, X, 1, 100);
    assert_only(w, SUP_ACT_SUBMIT);
    mutation(w, 5, X, 2, 50);
    assert_only(w, SUP_ACT_SUBMIT);
    sup_replica_peer(w->r, 0, &view);
    assert_int_equal(view.unacknowledged, 150);
    w->self.vv = vv_of(X, 1, Y, 0);
    applied(w, 5, 100, SUP_OK);
    assert_only(w, SUP_ACT_ACK);
    assert_int_equal(action(w, SUP_ACT_ACK).amount, 100);
    sup_replica_peer(w->r, 0, &view);
    assert_int_equal(view.unacknowledged, 50);
    sup_replica_free(w->r);
}

static void a_failed_commit_ends_the_session_unacknowledged(void **state)
{
    struct world *w = world_new(1, 0);

    (void)state;
    dialed(w, 0, 5, vv_of(X, 3, Y, 0));
    mutation(w, 5, X, 1, 100);
    applied(w, 5, 100, SUP_EIO);
    assert_only(w, SUP_ACT_CLOSE_DIALED);
    /* What comes behind is not taken any more. */
    mutation(w, 5, X, 2, 100);
    assert_nothing(w);
    sup_replica_free(w->r);
}

static void a_gap_ends_the_session(void **state)
{
    struct world *w = world_new(1, 0);
    struct sup_replica_peer_view view;

    (void)state;
    w->self.vv = vv_of(X, 4, Y, 0);
    dialed(w, 0, 5, vv_of(X, 9, Y, 0));
    mutation(w, 5, X, 5, 10);
    assert_only(w, SUP_ACT_SUBMIT);
    mutation(w, 5, X, 4, 10); /* a repetition is none */
    assert_only(w, SUP_ACT_SUBMIT);
    mutation(w, 5, X, 7, 10);
    assert_only(w, SUP_ACT_CLOSE_DIALED);
    assert_int_equal(action(w, SUP_ACT_CLOSE_DIALED).refusal, SUP_REFUSED_PROTOCOL);
    sup_replica_peer(w->r, 0, &view);
    assert_int_equal(view.gaps, 1);
    sup_replica_free(w->r);
}

static void what_others_brought_is_no_gap(void **state)
{
    struct world *w = world_new(2, 0);

    (void)state;
    dialed(w, 0, 5, vv_of(X, 9, Y, 0));
    mutation(w, 5, X, 1, 10);
    w->self.vv = vv_of(X, 6, Y, 0); /* from another peer */
    mutation(w, 5, X, 7, 10);
    assert_only(w, SUP_ACT_SUBMIT);
    sup_replica_free(w->r);
}

static void number_zero_is_a_gap(void **state)
{
    struct world *w = world_new(1, 0);

    (void)state;
    dialed(w, 0, 5, vv_of(X, 9, Y, 0));
    mutation(w, 5, X, 0, 10);
    assert_only(w, SUP_ACT_CLOSE_DIALED);
    sup_replica_free(w->r);
}

static void a_peer_that_overdraws_its_credit_is_cut_off(void **state)
{
    struct world *w = world_new(1, 0);
    uint64_t seq = 1;

    (void)state;
    dialed(w, 0, 5, vv_of(X, 99, Y, 0));
    for (uint64_t sum = 0; sum + (1U << 20) <= SUP_REPLICA_CREDIT + SUP_FRAME_BODY_MAX;
         sum += 1U << 20) {
        mutation(w, 5, X, seq++, 1U << 20);
        assert_only(w, SUP_ACT_SUBMIT);
    }
    mutation(w, 5, X, seq, 1U << 20);
    assert_only(w, SUP_ACT_CLOSE_DIALED);
    sup_replica_free(w->r);
}

static void stale_sessions_are_not_heard(void **state)
{
    struct world *w = world_new(1, 0);

    (void)state;
    dialed(w, 0, 5, vv_of(X, 9, Y, 0));
    mutation(w, 5, X, 1, 10);
    dialed(w, 0, 6, vv_of(X, 9, Y, 0));
    mutation(w, 5, X, 2, 10);
    assert_nothing(w);
    applied(w, 5, 10, SUP_OK);
    assert_nothing(w);
    sup_replica_free(w->r);
}

static void waits_between_dials_grow_and_a_good_session_resets_them(void **state)
{
    struct world *w = world_new(1, 0);
    uint64_t most = 0;

    (void)state;
    for (int i = 0; i < 60; i++) {
        step(w, (struct sup_replica_event){.type = SUP_EV_DIAL_LOST});
        assert_only(w, SUP_ACT_DIAL);
        assert_true(action(w, SUP_ACT_DIAL).amount < 10000);
        if (action(w, SUP_ACT_DIAL).amount > most)
            most = action(w, SUP_ACT_DIAL).amount;
    }
    assert_true(most > 5000);
    step(w, (struct sup_replica_event){.type = SUP_EV_DIAL_LOST, .lived_ms = 60000});
    assert_true(action(w, SUP_ACT_DIAL).amount < 100);
    sup_replica_free(w->r);
}

static void a_stalled_peer_is_redialled_then_repaired(void **state)
{
    struct world *w = world_new(1, 0);

    (void)state;
    w->self.vv = vv_of(X, 3, Y, 0);
    dialed(w, 0, 5, vv_of(X, 9, Y, 0));
    tick(w, SUP_REPLICA_STALL_MS - 1);
    assert_false(says(w, SUP_ACT_CLOSE_DIALED));
    tick(w, 1);
    assert_true(says(w, SUP_ACT_CLOSE_DIALED));
    dialed(w, 0, 6, vv_of(X, 9, Y, 0));
    tick(w, SUP_REPLICA_STALL_MS);
    assert_true(says(w, SUP_ACT_REPAIR));
    assert_int_equal(action(w, SUP_ACT_REPAIR).session, 6);
    /* What the repair brought counts as progress. */
    w->self.vv = vv_of(X, 9, Y, 0);
    w->self.floor = w->self.vv;
    step(w, (struct sup_replica_event){.type = SUP_EV_REPAIRED, .session = 6});
    assert_only(w, SUP_ACT_ACK);
    assert_int_equal(action(w, SUP_ACT_ACK).amount, 0);
    tick(w, 10 * SUP_REPLICA_STALL_MS);
    assert_false(says(w, SUP_ACT_CLOSE_DIALED));
    assert_false(says(w, SUP_ACT_REPAIR));
    sup_replica_free(w->r);
}

static void who_has_nothing_is_repaired_soon(void **state)
{
    struct world *w = world_new(1, 0);

    (void)state;
    dialed(w, 0, 5, vv_of(X, 9, Y, 0));
    tick(w, SUP_REPLICA_REACH_MS - 1);
    assert_false(says(w, SUP_ACT_REPAIR));
    tick(w, 1);
    assert_true(says(w, SUP_ACT_REPAIR));
    assert_false(says(w, SUP_ACT_CLOSE_DIALED));
    /* While it is under way the session gets the usual time. */
    tick(w, SUP_REPLICA_STALL_MS - 1);
    assert_false(says(w, SUP_ACT_CLOSE_DIALED));
    tick(w, 1);
    assert_true(says(w, SUP_ACT_CLOSE_DIALED));
    sup_replica_free(w->r);
}

static void progress_is_no_stall(void **state)
{
    struct world *w = world_new(1, 0);

    (void)state;
    dialed(w, 0, 5, vv_of(X, 1000, Y, 0));
    for (uint64_t seq = 1; seq < 100; seq++) {
        mutation(w, 5, X, seq, 10);
        w->self.vv = vv_of(X, seq, Y, 0);
        applied(w, 5, 10, SUP_OK);
        tick(w, SUP_REPLICA_STALL_MS - 1);
        assert_false(says(w, SUP_ACT_CLOSE_DIALED));
        assert_false(says(w, SUP_ACT_REPAIR));
    }
    sup_replica_free(w->r);
}

/* --- incarnations --- */

static void settled_when_all_peers_agree(void **state)
{
    struct world *w = world_new(2, 0);

    (void)state;
    w->self.vv = vv_of(OWN, 4, X, 0);
    dialed(w, 0, 5, vv_of(OWN, 4, X, 0));
    accepted(w, 0, 7);
    said(w, SUP_EV_PULL, 0, 7, vv_of(OWN, 4, X, 0), 1000);
    assert_false(says(w, SUP_ACT_SETTLE));
    dialed(w, 1, 6, vv_of(OWN, 2, X, 0));
    assert_false(says(w, SUP_ACT_SETTLE));
    accepted(w, 1, 8);
    assert_false(says(w, SUP_ACT_SETTLE));
    said(w, SUP_EV_PULL, 1, 8, vv_of(OWN, 2, X, 0), 1000);
    assert_true(says(w, SUP_ACT_SETTLE));
    assert_int_equal(action(w, SUP_ACT_SETTLE).amount, OWN);
    peer_vv(w, 1, 6, vv_of(OWN, 4, X, 0));
    assert_nothing(w);
    sup_replica_free(w->r);
}

static void revoked_when_one_remembers_more(void **state)
{
    struct world *w = world_new(1, 0);

    (void)state;
    w->self.vv = vv_of(OWN, 4, X, 0);
    dialed(w, 0, 6, vv_of(OWN, 5, X, 0));
    assert_false(says(w, SUP_ACT_SETTLE));
    assert_int_equal(action(w, SUP_ACT_REVOKE).amount, OWN);
    assert_true(says(w, SUP_ACT_ALARM));
    /* Once, and for good: no later word settles it. */
    w->self.vv = vv_of(OWN, 5, X, 0);
    peer_vv(w, 0, 6, vv_of(OWN, 5, X, 0));
    assert_nothing(w);
    accepted(w, 0, 7);
    said(w, SUP_EV_PULL, 0, 7, vv_of(OWN, 5, X, 0), 1000);
    assert_nothing(w);
    sup_replica_free(w->r);
}

static void a_pull_that_knows_more_settles_nothing(void **state)
{
    struct world *w = world_new(1, 0);

    (void)state;
    w->self.vv = vv_of(OWN, 4, X, 0);
    dialed(w, 0, 6, vv_of(OWN, 4, X, 0)); /* its commit was still to come */
    accepted(w, 0, 7);
    said(w, SUP_EV_PULL, 0, 7, vv_of(OWN, 5, X, 0), 1000);
    assert_false(says(w, SUP_ACT_SETTLE));
    peer_vv(w, 0, 6, vv_of(OWN, 5, X, 0));
    assert_true(says(w, SUP_ACT_REVOKE));
    sup_replica_free(w->r);
}

static void what_a_dialling_stranger_says_settles_nothing(void **state)
{
    struct world *w = world_new(1, 0);

    (void)state;
    accepted(w, 0, 5);
    said(w, SUP_EV_PULL, 0, 5, vv_of(OWN, 99, X, 0), 1000);
    assert_false(says(w, SUP_ACT_REVOKE));
    assert_false(says(w, SUP_ACT_SETTLE));
    sup_replica_free(w->r);
}

static void alone_there_is_nobody_to_ask(void **state)
{
    struct world *w = world_new(0, 0);

    (void)state;
    tick(w, 1);
    assert_only(w, SUP_ACT_SETTLE);
    tick(w, 1);
    assert_nothing(w);
    sup_replica_free(w->r);
}

/* --- serving --- */

static void serving(struct world *w, struct sup_vv has, uint64_t credit)
{
    age(w);
    accepted(w, 0, 5);
    said(w, SUP_EV_PULL, 0, 5, has, credit);
}

static void filled(struct world *w, uint64_t incarnation, uint64_t from, uint64_t to,
                   uint64_t bytes, uint64_t generation)
{
    struct sup_replica_range range = {.incarnation = incarnation, .from = from, .to = to};

    step(w, (struct sup_replica_event){.type = SUP_EV_FILLED,
                                       .session = 5,
                                       .ranges = &range,
                                       .n = 1,
                                       .cost = bytes,
                                       .generation = generation});
}

static void sends_what_the_peer_lacks(void **state)
{
    struct world *w = world_new(1, 0);
    uint64_t generation;

    (void)state;
    w->self.vv = vv_of(X, 9, Y, 3);
    age(w);
    accepted(w, 0, 5);
    may_send(w, 5);
    assert_nothing(w); /* it asked for nothing yet */
    assert_true(w->out->starved);
    said(w, SUP_EV_PULL, 0, 5, vv_of(X, 4, Y, 3), 1000);
    may_send(w, 5);
    assert_only(w, SUP_ACT_FILL);
    assert_int_equal(action(w, SUP_ACT_FILL).amount, 1000);
    assert_int_equal(w->out->n_ranges, 1);
    assert_true(w->out->ranges[0].incarnation == X);
    assert_int_equal(w->out->ranges[0].from, 5);
    assert_int_equal(w->out->ranges[0].to, 9);
    generation = action(w, SUP_ACT_FILL).generation;
    filled(w, X, 5, 7, 1000, generation);
    assert_only(w, SUP_ACT_TRANSMIT);
    may_send(w, 5);
    assert_nothing(w); /* the credit is used up */
    assert_true(w->out->starved);
    said(w, SUP_EV_ACK, 0, 5, vv_of(X, 7, Y, 3), 1000);
    may_send(w, 5);
    assert_int_equal(w->out->ranges[0].from, 8);
    filled(w, X, 8, 9, 100, generation);
    may_send(w, 5);
    assert_nothing(w);
    assert_false(w->out->starved);
    sup_replica_free(w->r);
}

static void a_new_pull_voids_what_is_being_read(void **state)
{
    struct world *w = world_new(1, 0);
    uint64_t generation;

    (void)state;
    w->self.vv = vv_of(X, 9, Y, 0);
    serving(w, vv_of(X, 4, Y, 0), 1000);
    may_send(w, 5);
    generation = action(w, SUP_ACT_FILL).generation;
    said(w, SUP_EV_PULL, 0, 5, vv_of(X, 1, Y, 0), 1000);
    filled(w, X, 5, 9, 100, generation);
    assert_nothing(w);
    may_send(w, 5);
    assert_int_equal(w->out->ranges[0].from, 2);
    sup_replica_free(w->r);
}

static void an_ack_without_a_pull_breaks_the_protocol(void **state)
{
    struct world *w = world_new(1, 0);

    (void)state;
    accepted(w, 0, 5);
    said(w, SUP_EV_ACK, 0, 5, vv_of(X, 1, Y, 0), 10);
    assert_only(w, SUP_ACT_CLOSE_ACCEPTED);
    sup_replica_free(w->r);
}

static void credit_has_a_ceiling(void **state)
{
    struct world *w = world_new(1, 0);

    (void)state;
    w->self.vv = vv_of(X, 9, Y, 0);
    serving(w, vv_of(X, 1, Y, 0), UINT64_MAX);
    said(w, SUP_EV_ACK, 0, 5, vv_of(X, 1, Y, 0), UINT64_MAX);
    may_send(w, 5);
    assert_int_equal(action(w, SUP_ACT_FILL).amount, SUP_REPLICA_MESSAGE_BYTES);
    filled(w, X, 2, 9, SUP_REPLICA_CREDIT, action(w, SUP_ACT_FILL).generation);
    w->self.vv = vv_of(X, 10, Y, 0);
    age(w);
    may_send(w, 5);
    assert_true(w->out->starved);
    sup_replica_free(w->r);
}

static void what_was_overdrawn_is_not_forgiven(void **state)
{
    struct world *w = world_new(1, 0);
    uint64_t generation;

    (void)state;
    w->self.vv = vv_of(X, 99, Y, 0);
    serving(w, vv_of(X, 0, Y, 0), 100);
    may_send(w, 5);
    generation = action(w, SUP_ACT_FILL).generation;
    filled(w, X, 1, 1, 130, generation);
    said(w, SUP_EV_ACK, 0, 5, vv_of(X, 0, Y, 0), 30);
    may_send(w, 5);
    assert_true(w->out->starved);
    said(w, SUP_EV_ACK, 0, 5, vv_of(X, 1, Y, 0), 100);
    may_send(w, 5);
    assert_int_equal(action(w, SUP_ACT_FILL).amount, 100);
    sup_replica_free(w->r);
}

static void what_others_decided_is_passed_on_later(void **state)
{
    struct world *w = world_new(1, 0);

    (void)state;
    accepted(w, 0, 5);
    said(w, SUP_EV_PULL, 0, 5, vv_of(X, 0, Y, 0), 1000);
    tick(w, SUP_REPLICA_RELAY_MS);
    w->self.vv = vv_of(OWN, 3, X, 9);
    may_send(w, 5);
    assert_int_equal(w->out->n_ranges, 1);
    assert_true(w->out->ranges[0].incarnation == OWN);
    filled(w, OWN, 1, 3, 10, action(w, SUP_ACT_FILL).generation);
    tick(w, SUP_REPLICA_RELAY_MS);
    may_send(w, 5);
    assert_nothing(w);
    w->self.vv = vv_of(OWN, 3, X, 11);
    tick(w, SUP_REPLICA_RELAY_MS);
    may_send(w, 5);
    assert_int_equal(w->out->n_ranges, 1);
    assert_true(w->out->ranges[0].incarnation == X);
    assert_int_equal(w->out->ranges[0].to, 9);
    w->self.vv = vv_of(OWN, 3, X, 4); /* it was forgotten, and comes anew */
    may_send(w, 5);
    assert_int_equal(w->out->ranges[0].to, 4);
    sup_replica_free(w->r);
}

static void nothing_goes_back_to_where_it_came_from(void **state)
{
    struct world *w = world_new(1, 0);

    (void)state;
    accepted(w, 0, 5);
    said(w, SUP_EV_PULL, 0, 5, vv_of(X, 0, Y, 0), 1000);
    dialed(w, 0, 6, vv_of(X, 1, Y, 0));
    mutation(w, 6, X, 1, 10);
    w->self.vv = vv_of(X, 1, Y, 4);
    age(w);
    peer_vv(w, 0, 6, vv_of(X, 1, Y, 3));
    may_send(w, 5);
    assert_int_equal(w->out->n_ranges, 1);
    assert_true(w->out->ranges[0].incarnation == Y);
    assert_int_equal(w->out->ranges[0].from, 4); /* a heartbeat said that it has the others */
    sup_replica_free(w->r);
}

static void each_origin_has_its_turn(void **state)
{
    struct world *w = world_new(1, 0);
    bool served[40] = {false};

    (void)state;
    for (uint64_t i = 0; i < 40; i++)
        assert_int_equal(sup_vv_raise(&w->self.vv, 100 + i, 1000000), SUP_OK);
    serving(w, vv_of(X, 0, Y, 0), SUP_REPLICA_CREDIT);
    for (int round = 0; round < 3; round++) {
        may_send(w, 5);
        assert_int_equal(w->out->n_ranges, SUP_REPLICA_RANGES_MAX);
        for (size_t i = 0; i < w->out->n_ranges; i++)
            served[w->out->ranges[i].incarnation - 100] = true;
    }
    for (size_t i = 0; i < 40; i++)
        assert_true(served[i]);
    sup_replica_free(w->r);
}

static void below_the_floor_only_repair_helps(void **state)
{
    struct world *w = world_new(1, 0);
    struct sup_replica_peer_view view;

    (void)state;
    w->self.vv = vv_of(X, 9, Y, 2);
    w->self.floor = vv_of(X, 5, Y, 0);
    serving(w, vv_of(X, 3, Y, 0), 1000);
    assert_only(w, SUP_ACT_TRIMMED); /* the peer need not find out by itself */
    assert_int_equal(action(w, SUP_ACT_TRIMMED).session, 5);
    may_send(w, 5);
    assert_true(says(w, SUP_ACT_ALARM));
    assert_false(says(w, SUP_ACT_TRIMMED));
    assert_int_equal(w->out->n_ranges, 1); /* the rest goes on */
    assert_true(w->out->ranges[0].incarnation == Y);
    sup_replica_peer(w->r, 0, &view);
    assert_true(view.needs_repair);
    said(w, SUP_EV_ACK, 0, 5, vv_of(X, 9, Y, 0), 0);
    sup_replica_peer(w->r, 0, &view);
    assert_false(view.needs_repair);
    /* Or it got it from another, and its heartbeat says so. */
    said(w, SUP_EV_PULL, 0, 5, vv_of(X, 3, Y, 0), 1000);
    sup_replica_peer(w->r, 0, &view);
    assert_true(view.needs_repair);
    dialed(w, 0, 6, vv_of(X, 3, Y, 0));
    peer_vv(w, 0, 6, vv_of(X, 5, Y, 0));
    sup_replica_peer(w->r, 0, &view);
    assert_false(view.needs_repair);
    sup_replica_free(w->r);
}

/* --- trimming --- */

static void trims_what_all_have(void **state)
{
    struct world *w = world_new(2, 0);

    (void)state;
    w->self.vv = vv_of(X, 9, Y, 4);
    dialed(w, 0, 5, vv_of(X, 9, Y, 4));
    tick(w, 1000);
    assert_false(says(w, SUP_ACT_TRIM)); /* the other was never heard of */
    dialed(w, 1, 6, vv_of(X, 3, Y, 0));
    tick(w, 1000);
    assert_true(says(w, SUP_ACT_TRIM));
    assert_int_equal(w->out->trim.n, 1);
    assert_int_equal(sup_vv_get(&w->out->trim, X), 3);
    w->self.floor = w->out->trim;
    tick(w, 1000);
    assert_false(says(w, SUP_ACT_TRIM));
    sup_replica_free(w->r);
}

static void what_was_known_at_the_start_counts(void **state)
{
    struct world *w = world_new(1, 0);
    struct sup_vv has = vv_of(X, 2, Y, 0);

    (void)state;
    sup_replica_load(w->r, 0, &has);
    w->self.vv = vv_of(X, 9, Y, 0);
    tick(w, 1000);
    assert_int_equal(sup_vv_get(&w->out->trim, X), 2);
    sup_replica_free(w->r);
}

static void past_the_cap_the_older_half_goes(void **state)
{
    struct world *w = world_new(1, 10);
    struct sup_replica_peer_view view;

    (void)state;
    w->self.vv = vv_of(X, 10, Y, 0);
    tick(w, 1000);
    assert_false(says(w, SUP_ACT_TRIM));
    w->self.vv = vv_of(X, 12, Y, 0);
    tick(w, 1000);
    assert_true(says(w, SUP_ACT_TRIM));
    assert_int_equal(sup_vv_get(&w->out->trim, X), 6);
    assert_true(says(w, SUP_ACT_ALARM));
    sup_replica_peer(w->r, 0, &view);
    assert_true(view.needs_repair);
    sup_replica_free(w->r);
}

static void without_peers_the_log_is_kept(void **state)
{
    struct world *w = world_new(0, 0);

    (void)state;
    w->self.vv = vv_of(X, 9, Y, 0);
    tick(w, 1000);
    assert_false(says(w, SUP_ACT_TRIM));
    sup_replica_free(w->r);
}

/* --- members --- */

static void past_the_cap_in_bytes_the_older_half_goes(void **state)
{
    struct world *w = world_new(1, 0);

    (void)state;
    sup_replica_set_log_max_bytes(w->r, 1000);
    w->self.vv = vv_of(X, 12, Y, 0);
    w->self.log_bytes = 1000;
    tick(w, 1000);
    assert_false(says(w, SUP_ACT_TRIM));
    w->self.log_bytes = 1001;
    tick(w, 1000);
    assert_int_equal(sup_vv_get(&w->out->trim, X), 6);
    assert_true(says(w, SUP_ACT_ALARM));
    sup_replica_free(w->r);
}

static void a_retired_peer_holds_nothing_back(void **state)
{
    struct world *w = world_new(2, 0);
    struct sup_replica_peer_view view;

    (void)state;
    w->self.vv = vv_of(X, 9, OWN, 4);
    dialed(w, 0, 5, vv_of(X, 9, OWN, 4));
    accepted(w, 0, 7);
    said(w, SUP_EV_PULL, 0, 7, vv_of(X, 9, OWN, 4), 1000);
    tick(w, 1000);
    assert_false(says(w, SUP_ACT_TRIM));
    assert_false(says(w, SUP_ACT_SETTLE));
    sup_replica_retire(w->r, 1, true);
    tick(w, 1000);
    assert_int_equal(sup_vv_get(&w->out->trim, X), 9);
    assert_int_equal(action(w, SUP_ACT_SETTLE).amount, OWN);
    sup_replica_peer(w->r, 1, &view);
    assert_true(view.retired);
    /* It is nobody: whatever comes of it leads to nothing. */
    dialed(w, 1, 9, vv_of(OWN, 99, X, 9));
    assert_nothing(w);
    step(w, (struct sup_replica_event){.type = SUP_EV_DIAL_LOST, .peer = 1});
    assert_nothing(w);
    sup_replica_free(w->r);
}

static void who_comes_back_is_asked_again(void **state)
{
    struct world *w = world_new(1, 0);

    (void)state;
    w->self.vv = vv_of(X, 9, OWN, 4);
    sup_replica_retire(w->r, 0, true);
    tick(w, 1000);
    assert_true(says(w, SUP_ACT_SETTLE)); /* nobody else is there */
    sup_replica_retire(w->r, 0, false);
    tick(w, 1000);
    assert_false(says(w, SUP_ACT_SETTLE));
    dialed(w, 0, 5, vv_of(OWN, 5, X, 9));
    assert_true(says(w, SUP_ACT_REVOKE));
    assert_true(says(w, SUP_ACT_PULL));
    sup_replica_free(w->r);
}

static void a_peer_is_added(void **state)
{
    struct world *w = world_new(1, 0);
    struct sup_vv has = vv_of(X, 2, Y, 0);

    (void)state;
    w->self.vv = vv_of(X, 9, OWN, 4);
    dialed(w, 0, 5, vv_of(X, 9, OWN, 4));
    accepted(w, 0, 7);
    said(w, SUP_EV_PULL, 0, 7, vv_of(X, 9, OWN, 4), 1000);
    assert_true(says(w, SUP_ACT_SETTLE));
    assert_int_equal(sup_replica_add(w->r, NULL), SUP_OK);
    sup_replica_load(w->r, 1, &has);
    tick(w, 1000);
    assert_int_equal(sup_vv_get(&w->out->trim, X), 2); /* it holds back what it lacks */
    assert_int_equal(sup_vv_get(&w->out->trim, OWN), 0);
    dialed(w, 1, 8, vv_of(X, 9, OWN, 4));
    assert_true(says(w, SUP_ACT_PULL));
    assert_false(says(w, SUP_ACT_SETTLE));
    accepted(w, 1, 9);
    said(w, SUP_EV_PULL, 1, 9, vv_of(X, 9, OWN, 4), 1000);
    assert_true(says(w, SUP_ACT_SETTLE)); /* it was asked as well */
    /* Many, so that all that the replica holds has moved. */
    for (size_t i = 2; i < 40; i++) {
        assert_int_equal(sup_replica_add(w->r, NULL), SUP_OK);
        dialed(w, i, 100 + i, vv_of(X, 9, OWN, 4));
        assert_true(says(w, SUP_ACT_PULL));
    }
    tick(w, 1000);
    sup_replica_free(w->r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_begins_with_a_pull),
        cmocka_unit_test(acknowledged_when_durable_and_only_then),
        cmocka_unit_test(a_failed_commit_ends_the_session_unacknowledged),
        cmocka_unit_test(a_gap_ends_the_session),
        cmocka_unit_test(what_others_brought_is_no_gap),
        cmocka_unit_test(number_zero_is_a_gap),
        cmocka_unit_test(a_peer_that_overdraws_its_credit_is_cut_off),
        cmocka_unit_test(stale_sessions_are_not_heard),
        cmocka_unit_test(waits_between_dials_grow_and_a_good_session_resets_them),
        cmocka_unit_test(a_stalled_peer_is_redialled_then_repaired),
        cmocka_unit_test(who_has_nothing_is_repaired_soon),
        cmocka_unit_test(progress_is_no_stall),
        cmocka_unit_test(settled_when_all_peers_agree),
        cmocka_unit_test(revoked_when_one_remembers_more),
        cmocka_unit_test(a_pull_that_knows_more_settles_nothing),
        cmocka_unit_test(what_a_dialling_stranger_says_settles_nothing),
        cmocka_unit_test(alone_there_is_nobody_to_ask),
        cmocka_unit_test(sends_what_the_peer_lacks),
        cmocka_unit_test(a_new_pull_voids_what_is_being_read),
        cmocka_unit_test(an_ack_without_a_pull_breaks_the_protocol),
        cmocka_unit_test(credit_has_a_ceiling),
        cmocka_unit_test(what_was_overdrawn_is_not_forgiven),
        cmocka_unit_test(what_others_decided_is_passed_on_later),
        cmocka_unit_test(nothing_goes_back_to_where_it_came_from),
        cmocka_unit_test(each_origin_has_its_turn),
        cmocka_unit_test(below_the_floor_only_repair_helps),
        cmocka_unit_test(trims_what_all_have),
        cmocka_unit_test(what_was_known_at_the_start_counts),
        cmocka_unit_test(past_the_cap_the_older_half_goes),
        cmocka_unit_test(without_peers_the_log_is_kept),
        cmocka_unit_test(past_the_cap_in_bytes_the_older_half_goes),
        cmocka_unit_test(a_retired_peer_holds_nothing_back),
        cmocka_unit_test(who_comes_back_is_asked_again),
        cmocka_unit_test(a_peer_is_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
