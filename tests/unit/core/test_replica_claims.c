/* What peers claim, and how long it is remembered: claims of decisions that were never made, more
 * incarnations than a version vector holds, and incarnations that retire. */
#include "core/replica.h"

#include "codec/mesh_msg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define OWN       1000ULL
#define X         7ULL
#define OLD       3ULL
#define RETIRE_MS 60000

struct world {
    struct sup_replica *r;
    struct sup_replica_self self;
    struct sup_replica_actions *out;
    int64_t now;
};

static int setup(void **state)
{
    static struct world w;
    struct sup_replica_options o = {
        .n_peers = 2, .seed = 1, .trim_every_ms = 1000, .retire_ms = RETIRE_MS};

    memset(&w, 0, sizeof(w));
    w.self.incarnation = OWN;
    w.now = 1;
    *state = &w;
    return sup_replica_new(&o, &w.r, NULL);
}

static int teardown(void **state)
{
    struct world *w = *state;

    sup_replica_free(w->r);
    return 0;
}

static struct sup_vv vv_of(uint64_t incarnation, uint64_t seq)
{
    struct sup_vv v;

    sup_vv_init(&v);
    assert_int_equal(sup_vv_raise(&v, incarnation, seq), SUP_OK);
    return v;
}

static struct sup_vv full_vv(uint64_t first)
{
    struct sup_vv v;

    sup_vv_init(&v);
    for (uint64_t i = 0; i < SUP_VV_MAX; i++)
        assert_int_equal(sup_vv_raise(&v, first + i, 1), SUP_OK);
    return v;
}

static void step(struct world *w, struct sup_replica_event e)
{
    w->out = sup_replica_step(w->r, w->now, &w->self, &e);
}

static const struct sup_replica_action *find(const struct world *w,
                                             enum sup_replica_action_type type)
{
    for (size_t i = 0; i < w->out->n; i++) {
        if (w->out->a[i].type == type)
            return &w->out->a[i];
    }
    return NULL;
}

static struct sup_replica_action found(const struct world *w, enum sup_replica_action_type type)
{
    static const struct sup_replica_action none;
    const struct sup_replica_action *a = find(w, type);

    assert_non_null(a);
    return a ? *a : none;
}

static void says_vv(struct world *w, enum sup_replica_event_type type, size_t peer,
                    uint64_t present, const struct sup_vv *vv)
{
    step(w, (struct sup_replica_event){.type = type,
                                       .peer = peer,
                                       .session = 5,
                                       .vv = vv,
                                       .incarnation = present,
                                       .cost = 1000});
}

static void tick(struct world *w, int64_t ms)
{
    w->now += ms;
    step(w, (struct sup_replica_event){.type = SUP_EV_TICK});
}

static bool mutate(struct world *w, uint64_t incarnation, uint64_t seq)
{
    struct sup_mutation m = {.incarnation = incarnation, .seq = seq};

    step(w, (struct sup_replica_event){
                .type = SUP_EV_MUTATIONS, .session = 5, .m = &m, .n = 1, .cost = 1});
    return find(w, SUP_ACT_SUBMIT) != NULL;
}

/* --- claims --- */

/* It sends what it has from the beginning: what such a peer says that it has cannot be relied on.
 */
static void claims_of_ours_that_we_never_made(void **state)
{
    struct world *w = *state;
    struct sup_vv claim = vv_of(OWN, 1000000);
    struct sup_replica_peer_view view;

    w->self.certain = true;
    w->self.vv = vv_of(OWN, 4);
    says_vv(w, SUP_EV_ACCEPTED, 0, 0, &claim);
    says_vv(w, SUP_EV_PULL, 0, 0, &claim);
    step(w, (struct sup_replica_event){.type = SUP_EV_MAY_SEND, .session = 5});
    assert_non_null(find(w, SUP_ACT_FILL));
    assert_int_equal(w->out->ranges[0].from, 1);
    assert_int_equal(w->out->ranges[0].to, 4);
    sup_replica_peer(w->r, 0, &view);
    assert_int_equal(sup_vv_get(view.has, OWN), 0); /* and by it nothing is trimmed */
    /* It is told of, once, and is nothing that could be waited for. */
    says_vv(w, SUP_EV_DIALED, 0, X, &claim);
    assert_non_null(find(w, SUP_ACT_ALARM));
    assert_non_null(strstr(found(w, SUP_ACT_ALARM).text, "never made"));
    says_vv(w, SUP_EV_PEER_VV, 0, X, &claim);
    assert_null(find(w, SUP_ACT_ALARM));
    for (int i = 0; i < 100; i++) {
        tick(w, 1000);
        assert_null(find(w, SUP_ACT_CLOSE_DIALED));
        assert_null(find(w, SUP_ACT_REPAIR));
    }
}

/* Of a peer whose vector is full of what is unknown here, what it gets is remembered all the same:
 * else it would be sent the same without end. */
static void a_peers_full_vector_does_not_hold_up_ours(void **state)
{
    struct world *w = *state;
    struct sup_vv full = full_vv(100000);
    struct sup_vv other = full_vv(200000);
    const struct sup_replica_range range = {.incarnation = OWN, .from = 1, .to = 4};
    uint64_t generation;

    w->self.vv = vv_of(OWN, 4);
    says_vv(w, SUP_EV_ACCEPTED, 0, 0, &full);
    says_vv(w, SUP_EV_PULL, 0, 0, &full);
    step(w, (struct sup_replica_event){.type = SUP_EV_MAY_SEND, .session = 5});
    assert_non_null(find(w, SUP_ACT_FILL));
    generation = found(w, SUP_ACT_FILL).generation;
    step(w, (struct sup_replica_event){.type = SUP_EV_FILLED,
                                       .session = 5,
                                       .ranges = &range,
                                       .n = 1,
                                       .cost = 10,
                                       .generation = generation});
    assert_non_null(find(w, SUP_ACT_TRANSMIT));
    says_vv(w, SUP_EV_ACK, 0, 0, &other);
    assert_null(find(w, SUP_ACT_CLOSE_ACCEPTED));
    step(w, (struct sup_replica_event){.type = SUP_EV_MAY_SEND, .session = 5});
    assert_null(find(w, SUP_ACT_FILL));
}

/* More incarnations on one session than a vector holds. Known ones must still be in sequence. */
static void mutations_of_incarnations_without_end(void **state)
{
    struct world *w = *state;
    struct sup_vv none = vv_of(1, 0);

    w->self.vv = vv_of(X, 9);
    says_vv(w, SUP_EV_DIALED, 0, X, &none);
    for (uint64_t i = 0; i < 3 * SUP_VV_MAX; i++) {
        assert_true(mutate(w, 100000 + i, 1));
        step(w, (struct sup_replica_event){.type = SUP_EV_APPLIED, .session = 5, .cost = 1});
    }
    assert_true(mutate(w, X, 10));
    assert_true(mutate(w, X, 11));
    assert_false(mutate(w, X, 13));
    assert_non_null(find(w, SUP_ACT_CLOSE_DIALED));
}

/* What the owner of the replica leaves out of a peer's word, as nothing it keeps count of, is not
 * waited for any more, though the peer sent some of it. */
static void what_is_not_counted_is_not_waited_for(void **state)
{
    struct world *w = *state;
    struct sup_vv none = vv_of(1, 0);

    says_vv(w, SUP_EV_DIALED, 0, X, &none);
    assert_true(mutate(w, 555, 1));
    tick(w, 100); /* it is watched from here on */
    step(w, (struct sup_replica_event){.type = SUP_EV_APPLIED, .session = 5, .cost = 1});
    for (int i = 0; i < 100; i++) {
        says_vv(w, SUP_EV_PEER_VV, 0, X, &none);
        tick(w, 1000);
        assert_null(find(w, SUP_ACT_CLOSE_DIALED));
        assert_null(find(w, SUP_ACT_REPAIR));
    }
}

/* --- retiring --- */

/* OLD is trimmed here, and both peers have it. */
static void all_have_it(struct world *w, uint64_t second_has)
{
    struct sup_vv first = vv_of(OLD, 5);
    struct sup_vv second = vv_of(OLD, second_has);

    w->self.vv = vv_of(OLD, 5);
    assert_int_equal(sup_vv_raise(&w->self.vv, OWN, 2), SUP_OK);
    w->self.floor = vv_of(OLD, 5);
    assert_int_equal(sup_vv_raise(&w->self.floor, OWN, 2), SUP_OK);
    says_vv(w, SUP_EV_DIALED, 0, 50, &first);
    says_vv(w, SUP_EV_DIALED, 1, 60, &second);
}

static bool retires_within(struct world *w, int64_t ms)
{
    for (; ms > 0; ms -= 1000) {
        tick(w, 1000);
        if (find(w, SUP_ACT_RETIRE))
            return true;
    }
    return false;
}

static void an_old_incarnation_retires(void **state)
{
    struct world *w = *state;

    all_have_it(w, 5);
    assert_false(retires_within(w, RETIRE_MS - 2000));
    assert_true(retires_within(w, 5000));
    /* Our own present one does not, trimmed as it is. */
    assert_int_equal(w->out->retire.n, 1);
    assert_int_equal(w->out->retire.e[0].incarnation, OLD);
    assert_int_equal(w->out->retire.e[0].seq, 5);
}

/* What a peer once said that its log lacks of it is no reason to repair. */
static void what_was_trimmed_of_it_is_not_lacking(void **state)
{
    struct world *w = *state;
    struct sup_vv whole = vv_of(OLD, 5);

    all_have_it(w, 5);
    step(w, (struct sup_replica_event){.type = SUP_EV_TRIMMED, .session = 5, .vv = &whole});
    assert_null(find(w, SUP_ACT_REPAIR));
    assert_true(retires_within(w, RETIRE_MS + 5000));
    sup_vv_remove(&w->self.vv, OLD);
    sup_vv_remove(&w->self.floor, OLD);
    for (size_t i = 0; i < 120; i++) {
        struct sup_vv none = vv_of(50, 1);
        w->self.vv = vv_of(50, 1);
        says_vv(w, SUP_EV_PEER_VV, 0, 50, &none);
        says_vv(w, SUP_EV_PEER_VV, 1, 60, &none);
        tick(w, 1000);
        assert_null(find(w, SUP_ACT_REPAIR));
    }
}

static void one_that_forgot_it_already_does_not_hold_it_up(void **state)
{
    struct world *w = *state;

    all_have_it(w, 0);
    assert_true(retires_within(w, RETIRE_MS + 5000));
}

static void who_has_a_part_of_it_holds_it_up(void **state)
{
    struct world *w = *state;
    struct sup_vv whole = vv_of(OLD, 5);

    all_have_it(w, 4);
    assert_false(retires_within(w, 3 * RETIRE_MS));
    /* From then on the time runs, not from before. */
    says_vv(w, SUP_EV_PEER_VV, 1, 60, &whole);
    assert_false(retires_within(w, RETIRE_MS - 2000));
    assert_true(retires_within(w, 5000));
}

/* Others forgot it while this node did not know yet that all had it: its log is not trimmed. */
static void who_is_there_and_does_not_ask_for_it_does_not_want_it(void **state)
{
    struct world *w = *state;
    struct sup_vv whole = vv_of(OLD, 5);
    struct sup_vv none;

    sup_vv_init(&none);
    all_have_it(w, 0);
    w->self.floor = vv_of(OLD, 3);
    step(w, (struct sup_replica_event){.type = SUP_EV_DIAL_LOST, .peer = 1, .session = 5});
    assert_false(retires_within(w, 3 * RETIRE_MS)); /* it cannot ask */
    says_vv(w, SUP_EV_DIALED, 1, 60, &whole);
    assert_false(retires_within(w, 3 * RETIRE_MS)); /* then it may be trimmed as ever */
    says_vv(w, SUP_EV_DIALED, 1, 60, &none);
    assert_false(retires_within(w, RETIRE_MS - 2000));
    assert_true(retires_within(w, 5000));
}

static void what_is_in_the_log_holds_it_up(void **state)
{
    struct world *w = *state;

    all_have_it(w, 5);
    w->self.floor = vv_of(OLD, 4);
    assert_false(retires_within(w, 3 * RETIRE_MS));
}

static void a_present_incarnation_stays(void **state)
{
    struct world *w = *state;
    struct sup_vv whole = vv_of(OLD, 5);

    all_have_it(w, 5);
    says_vv(w, SUP_EV_PEER_VV, 1, OLD, &whole);
    assert_false(retires_within(w, 3 * RETIRE_MS));
    says_vv(w, SUP_EV_PEER_VV, 1, 61, &whole);
    assert_true(retires_within(w, RETIRE_MS + 5000));
}

/* Who joins would take a node without a version vector to have nothing. */
static void the_last_one_stays(void **state)
{
    struct world *w = *state;
    struct sup_vv both = vv_of(OLD, 5);

    assert_int_equal(sup_vv_raise(&both, OLD + 1000, 3), SUP_OK);
    w->self.vv = w->self.floor = both;
    says_vv(w, SUP_EV_DIALED, 0, 50, &both);
    says_vv(w, SUP_EV_DIALED, 1, 60, &both);
    assert_true(retires_within(w, RETIRE_MS + 5000));
    assert_int_equal(w->out->retire.n, 1);
    assert_int_equal(w->out->retire.e[0].incarnation, OLD);
    w->self.vv = w->self.floor = vv_of(OLD + 1000, 3);
    assert_false(retires_within(w, 3 * RETIRE_MS));
}

/* An absent member may be writing under it. */
static void a_member_that_was_never_met_holds_it_up(void **state)
{
    struct world *w = *state;
    struct sup_vv whole = vv_of(OLD, 5);

    w->self.vv = w->self.floor = whole;
    assert_int_equal(sup_vv_raise(&w->self.vv, OWN, 2), SUP_OK);
    says_vv(w, SUP_EV_DIALED, 0, 50, &whole);
    sup_replica_load(w->r, 1, &whole);
    assert_false(retires_within(w, 3 * RETIRE_MS));
    sup_replica_load_incarnation(w->r, 1, 60); /* from the store */
    assert_true(retires_within(w, RETIRE_MS + 5000));
}

static void a_decommissioned_one_does_not(void **state)
{
    struct world *w = *state;

    all_have_it(w, 4);
    sup_replica_retire(w->r, 1, true);
    assert_true(retires_within(w, RETIRE_MS + 5000));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(claims_of_ours_that_we_never_made),
        T(a_peers_full_vector_does_not_hold_up_ours),
        T(mutations_of_incarnations_without_end),
        T(what_is_not_counted_is_not_waited_for),
        T(an_old_incarnation_retires),
        T(what_was_trimmed_of_it_is_not_lacking),
        T(one_that_forgot_it_already_does_not_hold_it_up),
        T(who_has_a_part_of_it_holds_it_up),
        T(who_is_there_and_does_not_ask_for_it_does_not_want_it),
        T(what_is_in_the_log_holds_it_up),
        T(a_present_incarnation_stays),
        T(the_last_one_stays),
        T(a_member_that_was_never_met_holds_it_up),
        T(a_decommissioned_one_does_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
