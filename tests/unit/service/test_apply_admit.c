/* A member that brings more incarnations than its share, that claims what was never decided, or
 * that uses another's numbers: what it does costs nobody else anything. */
#include "base/clock.h"
#include "core/admission.h"
#include "service/apply_members.h"
#include "service/apply_txn.h"
#include "store/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct world {
    struct sup_store *store;
    struct sup_apply *apply;
    uint64_t h, c, d; /* members; h means harm */
};

static void start(struct world *w)
{
    struct sup_apply_options o = {
        .store = w->store, .max_clock_drift_ms = 60000, .dedup_ttl_ms = 1000000};

    sup_hash_key_derive("test", (struct sup_slice){NULL, 0}, &o.hash);
    assert_int_equal(sup_apply_start(&o, &w->apply, NULL), SUP_OK);
    sup_apply_share_among(w->apply, 3);
    w->h = sup_apply_member(w->apply, "h");
    w->c = sup_apply_member(w->apply, "c");
    w->d = sup_apply_member(w->apply, "d");
}

static void stop(struct world *w)
{
    sup_apply_stop(w->apply);
    sup_apply_free(w->apply);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct sup_store_identity id = {.node = "b", .cluster = "test"};

    if (!w || sup_store_open_memory(&id, &w->store, NULL) != SUP_OK)
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

/* --- what members send --- */

struct message {
    uint64_t from;
    struct sup_mutation m;
    const struct sup_vv *adopt; /* instead of m */
    enum sup_remote out;
};

static int message_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct message *g = arg;

    sup_apply_from(a, g->from);
    return g->adopt ? sup_apply_adopt_vv(a, t, g->adopt, err)
                    : sup_apply_remote(a, t, &g->m, &g->out, err);
}

static int send(struct world *w, uint64_t from, uint64_t incarnation, uint64_t seq, const char *key,
                enum sup_remote *out)
{
    struct sup_decision d = {.cls = SUP_CLASS_BOUNCE,
                             .state = SUP_SUPPRESSED,
                             .cause = SUP_CAUSE_EVENT,
                             .time = sup_hlc_from_ms(1700000000000),
                             .origin = 77};
    struct message g = {
        .from = from,
        .m = {.incarnation = incarnation, .seq = seq, .key = sup_slice_str(key), .cls = d.cls}};
    struct sup_buf encoded;
    int rc;

    sup_buf_init(&encoded, SUP_DECISION_MAX);
    sup_decision_encode(&d, &encoded);
    g.m.encoded = sup_buf_slice(&encoded);
    rc = sup_apply_run(w->apply, message_run, &g, NULL);
    sup_buf_fini(&encoded);
    *out = g.out;
    return rc;
}

static enum sup_remote sent(struct world *w, uint64_t from, uint64_t incarnation, uint64_t seq,
                            const char *key)
{
    enum sup_remote out = SUP_REMOTE_DUPLICATE;

    assert_int_equal(send(w, from, incarnation, seq, key, &out), SUP_OK);
    return out;
}

static void adopt(struct world *w, uint64_t from, const struct sup_vv *vv)
{
    struct message g = {.from = from, .adopt = vv};

    assert_int_equal(sup_apply_run(w->apply, message_run, &g, NULL), SUP_OK);
}

static int decide_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    const struct sup_proposal p = {
        .key = sup_slice_str(arg),
        .d = {.cls = SUP_CLASS_MANUAL, .state = SUP_SUPPRESSED, .cause = SUP_CAUSE_OPERATOR}};
    struct sup_applied out;

    return sup_apply_decide(a, t, &p, &out, err);
}

static void decide(struct world *w, const char *key)
{
    assert_int_equal(sup_apply_run(w->apply, decide_run, (void *)(uintptr_t)key, NULL), SUP_OK);
}

/* --- what the node has --- */

static uint64_t position(struct world *w, uint64_t incarnation)
{
    struct sup_vv vv;

    sup_apply_vv(w->apply, &vv);
    return sup_vv_get(&vv, incarnation);
}

static size_t rows(struct world *w, enum sup_cf cf)
{
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(w->store, NULL, cf, open, open);
    size_t n = 0;

    for (; sup_iter_valid(it); sup_iter_next(it))
        n++;
    sup_iter_free(it);
    return n;
}

/* n incarnations of one decision each; how many of them were counted. */
static size_t flood(struct world *w, uint64_t from, uint64_t first, size_t n)
{
    size_t counted = 0;

    for (size_t i = 0; i < n; i++) {
        char key[48];
        (void)snprintf(key, sizeof(key), "a%zu@flood.example", i);
        enum sup_remote out = sent(w, from, first + i, 1, key);
        assert_true(out == SUP_REMOTE_APPLIED || out == SUP_REMOTE_UNCOUNTED);
        counted += out == SUP_REMOTE_APPLIED;
    }
    return counted;
}

/* --- cases --- */

static void a_flood_ends_with_the_share(void **state)
{
    struct world *w = *state;
    size_t share = sup_admission_share(3);
    uint64_t n;

    assert_int_equal(flood(w, w->h, 1000, 700), share);
    /* Nothing of it is lost, but only what is counted is logged. */
    assert_int_equal(rows(w, SUP_CF_RECORDS), 700);
    assert_int_equal(rows(w, SUP_CF_LOG), share);
    /* What it says is its own has a share of its own. */
    for (n = 0; n < 200; n++) {
        sup_apply_heard(w->apply, w->h, 5000 + n, 1);
        if (sent(w, w->h, 5000 + n, 1, "own@flood.example") != SUP_REMOTE_APPLIED)
            break;
    }
    assert_int_equal(n, share);
    /* Others go on, and so does this node. */
    sup_apply_heard(w->apply, w->c, 70, 0);
    assert_int_equal(sent(w, w->c, 70, 1, "c1@x.com"), SUP_REMOTE_APPLIED);
    assert_int_equal(sent(w, w->c, 71, 1, "c2@x.com"), SUP_REMOTE_APPLIED);
    assert_int_equal(position(w, 70), 1);
    assert_int_equal(position(w, 71), 1);
    decide(w, "own@x.com");
    assert_int_equal(position(w, sup_apply_incarnation(w->apply)), 1);
}

static void shares_are_remembered(void **state)
{
    struct world *w = *state;
    size_t share = sup_admission_share(3);

    assert_int_equal(flood(w, w->h, 1000, share + 1), share);
    stop(w);
    sup_store_memory_crash(w->store);
    start(w);
    assert_int_equal(flood(w, w->h, 9000, 10), 0);
    assert_int_equal(flood(w, w->d, 9000, 10), 10);
}

/* The relays of an honest node are full of what another one flooded it with. What it brings of a
 * dead node is merged all the same, and of the living nobody depends on it. */
static void a_full_relay_still_carries(void **state)
{
    struct world *w = *state;

    flood(w, w->d, 1000, 300);
    assert_int_equal(sent(w, w->d, 70, 1, "late@x.com"), SUP_REMOTE_UNCOUNTED);
    assert_int_equal(position(w, 70), 0);
    /* Gaps are nobody's business where nothing is counted. */
    assert_int_equal(sent(w, w->d, 70, 9, "later@x.com"), SUP_REMOTE_UNCOUNTED);
    assert_int_equal(rows(w, SUP_CF_RECORDS), 302);
    /* Its owner comes back. */
    sup_apply_heard(w->apply, w->c, 70, 9);
    assert_int_equal(sent(w, w->c, 70, 1, "late@x.com"), SUP_REMOTE_APPLIED);
    assert_int_equal(sent(w, w->d, 70, 2, "later@x.com"), SUP_REMOTE_APPLIED);
    assert_int_equal(position(w, 70), 2);
}

static void numbers_used_falsely_hide_nothing(void **state)
{
    struct world *w = *state;

    sup_apply_heard(w->apply, w->c, 70, 0);
    assert_int_equal(sent(w, w->h, 70, 1, "false@x.com"), SUP_REMOTE_APPLIED);
    assert_int_equal(sent(w, w->c, 70, 1, "true@x.com"), SUP_REMOTE_APPLIED);
    assert_int_equal(rows(w, SUP_CF_RECORDS), 2);
    /* From anybody else a number that was there is what was there. */
    assert_int_equal(sent(w, w->d, 70, 1, "third@x.com"), SUP_REMOTE_DUPLICATE);
    assert_int_equal(rows(w, SUP_CF_RECORDS), 2);
    assert_int_equal(position(w, 70), 1);
}

static void nobody_decides_in_our_name(void **state)
{
    struct world *w = *state;
    uint64_t own;

    decide(w, "a@x.com");
    own = sup_apply_incarnation(w->apply);
    assert_true(sup_apply_certain(w->apply));
    assert_int_equal(sent(w, w->h, own, 2, "false@x.com"), SUP_REMOTE_UNCOUNTED);
    assert_int_equal(sent(w, w->h, own, 1, "again@x.com"), SUP_REMOTE_DUPLICATE);
    assert_int_equal(position(w, own), 1);
    decide(w, "b@x.com");
    assert_int_equal(position(w, own), 2);
    assert_int_equal(rows(w, SUP_CF_LOG), 2);
}

static void claims_of_a_vector_end_with_the_share(void **state)
{
    struct world *w = *state;
    size_t share = sup_admission_share(3);
    struct sup_vv claim;
    struct sup_vv now;

    sup_vv_init(&claim);
    for (uint64_t i = 1; i <= SUP_VV_MAX; i++)
        assert_int_equal(sup_vv_raise(&claim, 1000 + i, UINT64_MAX), SUP_OK);
    adopt(w, w->h, &claim);
    adopt(w, w->h, &claim);
    sup_apply_vv(w->apply, &now);
    assert_int_equal(now.n, share);
    /* And of what it goes on to say that it has, the rest is not waited for. */
    sup_apply_admissible(w->apply, w->h, &claim);
    assert_int_equal(claim.n, share);
    assert_true(sup_vv_covers(&now, &claim));
}

/* As long as a node is there to say how far it has come, nobody can claim more for it: what it
 * decides next would be taken for something that is here already. */
static void a_member_alone_says_how_far_it_is(void **state)
{
    struct world *w = *state;
    struct sup_vv claim;

    sup_apply_heard(w->apply, w->c, 70, 10);
    assert_int_equal(sent(w, w->c, 70, 1, "c1@x.com"), SUP_REMOTE_APPLIED);
    sup_vv_init(&claim);
    assert_int_equal(sup_vv_raise(&claim, 70, UINT64_MAX), SUP_OK);
    adopt(w, w->h, &claim);
    assert_int_equal(position(w, 70), 10);
    /* Not even by calling it one's own. */
    sup_apply_heard(w->apply, w->h, 70, UINT64_MAX);
    adopt(w, w->h, &claim);
    assert_int_equal(position(w, 70), 10);
    assert_int_equal(sent(w, w->c, 70, 11, "c11@x.com"), SUP_REMOTE_APPLIED);
    /* It itself says what it wants. */
    claim.e[0].seq = 20;
    adopt(w, w->c, &claim);
    assert_int_equal(position(w, 70), 20);
}

static void what_we_never_made_is_not_believed(void **state)
{
    struct world *w = *state;
    struct sup_vv claim;
    uint64_t own;

    decide(w, "a@x.com");
    own = sup_apply_incarnation(w->apply);
    sup_vv_init(&claim);
    assert_int_equal(sup_vv_raise(&claim, own, UINT64_MAX >> 1), SUP_OK);
    adopt(w, w->h, &claim);
    assert_int_equal(position(w, own), 1);
    decide(w, "b@x.com");
    assert_true(sup_apply_incarnation(w->apply) == own);
    assert_int_equal(position(w, own), 2);
}

/* A peer that claims more of each new incarnation: the first claim is answered by a new one, in
 * case that somebody believed it, the others are not; vectors would be full of them. */
static void claims_without_end_make_one_incarnation(void **state)
{
    struct world *w = *state;
    struct sup_vv vv;
    uint64_t first;

    decide(w, "a@x.com");
    first = sup_apply_incarnation(w->apply);
    for (int i = 0; i < 1000; i++) {
        sup_apply_revoke(w->apply, sup_apply_incarnation(w->apply));
        decide(w, i % 2 ? "b@x.com" : "c@x.com");
    }
    sup_apply_vv(w->apply, &vv);
    assert_int_equal(vv.n, 2);
    assert_true(sup_apply_incarnation(w->apply) != first);
}

/* --- forgetting --- */

static int trim_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    return sup_apply_trim(a, t, arg, 100, err);
}

static int retire_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    return sup_apply_retire(a, t, arg, err);
}

static void retire(struct world *w, uint64_t incarnation, uint64_t seq)
{
    struct sup_vv list;

    sup_vv_init(&list);
    assert_int_equal(sup_vv_raise(&list, incarnation, seq), SUP_OK);
    assert_int_equal(sup_apply_run(w->apply, retire_run, &list, NULL), SUP_OK);
}

static void a_retired_incarnation_is_forgotten(void **state)
{
    struct world *w = *state;
    struct sup_apply_trim trim = {.incarnation = 70, .upto = 2};
    struct sup_vv claim;
    size_t room;

    sent(w, w->d, 70, 1, "a@x.com");
    sent(w, w->d, 70, 2, "b@x.com");
    room = rows(w, SUP_CF_META);
    /* Not while any of its log is here, nor if more of it came than was known. */
    retire(w, 70, 2);
    assert_int_equal(position(w, 70), 2);
    assert_int_equal(sup_apply_run(w->apply, trim_run, &trim, NULL), SUP_OK);
    retire(w, 70, 1);
    assert_int_equal(position(w, 70), 2);
    retire(w, 70, 2);
    assert_int_equal(position(w, 70), 0);
    /* The entry and its charge; the floor was not there then. */
    assert_int_equal(rows(w, SUP_CF_META), room - 2);
    /* Others may speak of it for a while. */
    sup_vv_init(&claim);
    assert_int_equal(sup_vv_raise(&claim, 70, 2), SUP_OK);
    adopt(w, w->h, &claim);
    assert_int_equal(position(w, 70), 0);
    sup_apply_admissible(w->apply, w->h, &claim);
    assert_int_equal(claim.n, 0);
    stop(w);
    sup_store_memory_crash(w->store);
    start(w);
    assert_int_equal(position(w, 70), 0);
}

/* A node restored from an old copy of its store continues what all have forgotten: to all it is
 * new. */
static void a_forgotten_incarnation_may_come_back(void **state)
{
    struct world *w = *state;
    struct sup_apply_trim trim = {.incarnation = 70, .upto = 2};
    struct sup_vv claim;

    sent(w, w->c, 70, 1, "a@x.com");
    sent(w, w->c, 70, 2, "b@x.com");
    assert_int_equal(sup_apply_run(w->apply, trim_run, &trim, NULL), SUP_OK);
    retire(w, 70, 2);
    sup_apply_heard(w->apply, w->c, 70, 1);
    sup_vv_init(&claim);
    assert_int_equal(sup_vv_raise(&claim, 70, 1), SUP_OK);
    sup_apply_admissible(w->apply, w->c, &claim);
    assert_int_equal(claim.n, 1);
    assert_int_equal(sent(w, w->c, 70, 1, "a@x.com"), SUP_REMOTE_APPLIED);
    assert_int_equal(sent(w, w->c, 70, 2, "other@x.com"), SUP_REMOTE_APPLIED);
    assert_int_equal(rows(w, SUP_CF_RECORDS), 3);
}

/* The last one of a node that has left: what it said of it while it was there does not make it
 * anybody's present one. */
static void who_has_left_does_not_bring_it_back(void **state)
{
    struct world *w = *state;
    struct sup_apply_trim trim = {.incarnation = 70, .upto = 2};
    struct sup_vv claim;

    sup_apply_heard(w->apply, w->c, 70, 2);
    sent(w, w->c, 70, 1, "a@x.com");
    sent(w, w->c, 70, 2, "b@x.com");
    for (int64_t then = sup_mono_ms(); sup_mono_ms() == then;)
        ;
    assert_int_equal(sup_apply_run(w->apply, trim_run, &trim, NULL), SUP_OK);
    retire(w, 70, 2);
    sup_vv_init(&claim);
    assert_int_equal(sup_vv_raise(&claim, 70, 2), SUP_OK);
    adopt(w, w->h, &claim);
    assert_int_equal(position(w, 70), 0);
    sup_apply_admissible(w->apply, w->h, &claim);
    assert_int_equal(claim.n, 0);
}

/* Room that a retired one had is room again. */
static void what_retires_makes_room(void **state)
{
    struct world *w = *state;
    struct sup_apply_trim trim = {.incarnation = 1000, .upto = 1};

    flood(w, w->h, 1000, sup_admission_share(3));
    assert_int_equal(flood(w, w->h, 5000, 1), 0);
    assert_int_equal(sup_apply_run(w->apply, trim_run, &trim, NULL), SUP_OK);
    retire(w, 1000, 1);
    assert_int_equal(flood(w, w->h, 5000, 2), 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_flood_ends_with_the_share),
        T(shares_are_remembered),
        T(a_full_relay_still_carries),
        T(numbers_used_falsely_hide_nothing),
        T(nobody_decides_in_our_name),
        T(claims_of_a_vector_end_with_the_share),
        T(a_member_alone_says_how_far_it_is),
        T(what_we_never_made_is_not_believed),
        T(claims_without_end_make_one_incarnation),
        T(a_retired_incarnation_is_forgotten),
        T(a_forgotten_incarnation_may_come_back),
        T(who_has_left_does_not_bring_it_back),
        T(what_retires_makes_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
