#include "core/join.h"

#include "codec/keys.h"
#include "property.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PEERS 3

static struct sup_join join;
static const struct sup_join_peer absent = {.member = true};
static const struct sup_join_peer ready = {.member = true,
                                           .connected = true,
                                           .standing = SUP_STANDING_READY,
                                           .snapshots = true,
                                           .repairs = true,
                                           .has_data = true};
static const struct sup_join_peer fresh = {.member = true,
                                           .connected = true,
                                           .standing = SUP_STANDING_NEW,
                                           .snapshots = true,
                                           .repairs = true};

static int begin(void **state)
{
    (void)state;
    sup_join_init(&join, SUP_JOIN_NEW, 30000, 0);
    for (size_t i = 0; i < PEERS; i++)
        sup_join_see(&join, 0, i, &absent);
    return 0;
}

static struct sup_join_peer with(struct sup_join_peer p, enum sup_standing standing, bool data)
{
    p.standing = standing;
    p.has_data = data;
    return p;
}

static void a_node_without_peers_is_ready(void **state)
{
    (void)state;
    assert_true(sup_join_move(&join, 0, 0));
    assert_int_equal(join.phase, SUP_JOIN_READY);
}

static void a_new_cluster_is_ready_at_once(void **state)
{
    struct sup_join_peer own_event = with(fresh, SUP_STANDING_NEW, true);
    struct sup_join_peer empty = with(ready, SUP_STANDING_READY, false);

    (void)state;
    sup_join_see(&join, 10, 0, &fresh);
    sup_join_see(&join, 10, 1, &own_event); /* took an event of its Region already */
    assert_false(sup_join_move(&join, 10, PEERS));
    sup_join_see(&join, 20, 2, &empty); /* was quicker */
    assert_true(sup_join_move(&join, 20, PEERS));
    assert_int_equal(join.phase, SUP_JOIN_READY);
}

static void absent_peers_are_waited_for_a_while(void **state)
{
    (void)state;
    sup_join_see(&join, 0, 0, &fresh);
    assert_false(sup_join_move(&join, SUP_JOIN_NEW_MS - 1, PEERS));
    assert_true(sup_join_move(&join, SUP_JOIN_NEW_MS, PEERS));
    assert_int_equal(join.phase, SUP_JOIN_ALONE);
    assert_true(sup_join_answers(join.phase));
    /* One with a set appears: the answers were those of a node that knew too little. */
    sup_join_see(&join, 70000, 1, &ready);
    assert_true(sup_join_move(&join, 70000, PEERS));
    assert_int_equal(join.phase, SUP_JOIN_COPY);
    assert_false(sup_join_answers(join.phase));
    assert_int_equal(sup_join_next(&join, 70000, 0), SUP_JOIN_WAIT);
    assert_int_equal(sup_join_next(&join, 70000, 1), SUP_JOIN_ASK);
    assert_int_equal(sup_join_next(&join, 70000, 1), SUP_JOIN_WAIT);
}

static void nobody_is_met(void **state)
{
    (void)state;
    assert_false(sup_join_move(&join, 29999, PEERS));
    assert_true(sup_join_move(&join, 30000, PEERS));
    assert_int_equal(join.phase, SUP_JOIN_ALONE);
}

static void two_that_were_alone_do_not_wait_for_each_other(void **state)
{
    struct sup_join_peer alone = with(ready, SUP_STANDING_ALONE, true);

    (void)state;
    (void)sup_join_move(&join, 30000, 1);
    assert_int_equal(join.phase, SUP_JOIN_ALONE);
    sup_join_see(&join, 30001, 0, &alone);
    assert_true(sup_join_move(&join, 30001, 1));
    assert_int_equal(join.phase, SUP_JOIN_READY);
}

static void one_that_joins_is_no_donor_but_knows_more(void **state)
{
    struct sup_join_peer joining = with(ready, SUP_STANDING_JOINING, true);

    (void)state;
    sup_join_see(&join, 0, 0, &joining);
    assert_false(sup_join_move(&join, SUP_JOIN_NEW_MS, 1));
    sup_join_see(&join, 6000, 0, &ready);
    assert_true(sup_join_move(&join, 6000, 1));
    assert_int_equal(join.phase, SUP_JOIN_COPY);
}

static void decommissioned_peers_are_not_waited_for(void **state)
{
    struct sup_join_peer gone = {.member = false};

    (void)state;
    for (size_t i = 0; i < PEERS; i++)
        sup_join_see(&join, 0, i, i == 0 ? &fresh : &gone);
    assert_true(sup_join_move(&join, 0, PEERS));
    assert_int_equal(join.phase, SUP_JOIN_READY);
}

/* What a new mesh decides in its first instants need not wait for an absent member. */
static void new_nodes_read_each_others_logs(void **state)
{
    static const struct {
        enum sup_standing standing;
        bool has_data, in_new, in_copy;
    } cases[] = {
        {SUP_STANDING_NEW, false, true, false},      {SUP_STANDING_NEW, true, true, false},
        {SUP_STANDING_JOINING, false, false, false}, {SUP_STANDING_JOINING, true, false, false},
        {SUP_STANDING_ALONE, false, true, false},    {SUP_STANDING_ALONE, true, false, false},
        {SUP_STANDING_READY, false, true, false},    {SUP_STANDING_READY, true, false, false},
        {SUP_STANDING_UNSAID, false, true, false},   {SUP_STANDING_UNSAID, true, false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int p = SUP_JOIN_NEW; p <= SUP_JOIN_READY; p++) {
            enum sup_join_phase phase = (enum sup_join_phase)p;
            bool want = phase == SUP_JOIN_NEW    ? cases[i].in_new
                        : phase == SUP_JOIN_COPY ? cases[i].in_copy
                                                 : true;
            assert_int_equal(sup_join_pulls_from(phase, cases[i].standing, cases[i].has_data),
                             want);
        }
    }
}

static void the_whole_way(void **state)
{
    struct sup_join_peer level = ready;

    (void)state;
    sup_join_see(&join, 1, 0, &ready);
    sup_join_see(&join, 1, 1, &ready);
    assert_true(sup_join_move(&join, 1, PEERS));
    assert_false(sup_join_pulls(join.phase));
    assert_int_equal(sup_join_next(&join, 1, 0), SUP_JOIN_ASK);
    sup_join_copied(&join, 2);
    assert_int_equal(join.phase, SUP_JOIN_LOG);
    assert_true(sup_join_pulls(join.phase));
    assert_false(sup_join_move(&join, 3, PEERS));
    level.covered = true;
    sup_join_see(&join, 4, 1, &level);
    assert_true(sup_join_move(&join, 4, PEERS));
    assert_int_equal(join.phase, SUP_JOIN_CHECK);
    assert_int_equal(sup_join_next(&join, 4, 0), SUP_JOIN_WAIT); /* the donor is no second peer */
    assert_int_equal(sup_join_next(&join, 4, 1), SUP_JOIN_COMPARE);
    sup_join_compared(&join, 5, 1, SUP_EAGAIN); /* busy */
    assert_int_equal(sup_join_next(&join, 6, 1), SUP_JOIN_WAIT);
    assert_int_equal(sup_join_next(&join, 6 + SUP_JOIN_BUSY_MS, 1), SUP_JOIN_COMPARE);
    assert_false(sup_join_answers(join.phase));
    sup_join_compared(&join, 2000, 1, SUP_OK);
    assert_int_equal(join.phase, SUP_JOIN_READY);
}

static void there_is_no_second_peer(void **state)
{
    struct sup_join_peer level = ready;

    (void)state;
    level.covered = true;
    sup_join_init(&join, SUP_JOIN_LOG, 30000, 0);
    sup_join_see(&join, 0, 0, &level);
    assert_true(sup_join_move(&join, 0, 1));
    assert_int_equal(join.phase, SUP_JOIN_READY);
    /* Or it does not come. */
    sup_join_init(&join, SUP_JOIN_COPY, 30000, 0);
    sup_join_see(&join, 0, 0, &level);
    sup_join_see(&join, 0, 1, &absent);
    (void)sup_join_move(&join, 0, 2);
    assert_int_equal(sup_join_next(&join, 0, 0), SUP_JOIN_ASK);
    sup_join_copied(&join, 0);
    (void)sup_join_move(&join, 0, 2);
    assert_int_equal(join.phase, SUP_JOIN_CHECK);
    assert_false(sup_join_move(&join, SUP_JOIN_SECOND_MS - 1, 2));
    assert_true(sup_join_move(&join, SUP_JOIN_SECOND_MS, 2));
    assert_int_equal(join.phase, SUP_JOIN_READY);
}

static void donors_take_turns(void **state)
{
    struct sup_join_peer old = ready;

    (void)state;
    old.snapshots = false;
    sup_join_see(&join, 0, 0, &ready);
    sup_join_see(&join, 0, 1, &ready);
    sup_join_see(&join, 0, 2, &old);
    (void)sup_join_move(&join, 0, PEERS);
    assert_int_equal(sup_join_next(&join, 0, 0), SUP_JOIN_ASK);
    sup_join_see(&join, 10, 0, &absent); /* its link dropped */
    assert_int_equal(sup_join_next(&join, 10, 1), SUP_JOIN_ASK);
    sup_join_failed(&join, 20, 1, SUP_JOIN_BROKEN_MS);
    sup_join_see(&join, 30, 0, &absent);
    /* The only one left cannot give snapshots: it is repaired from. */
    assert_int_equal(sup_join_next(&join, 30, 2), SUP_JOIN_ADOPT);
    sup_join_failed(&join, 40, 2, SUP_JOIN_BUSY_MS);
    sup_join_see(&join, 50, 0, &ready);
    assert_int_equal(sup_join_next(&join, 50, 0), SUP_JOIN_WAIT); /* too soon */
    assert_int_equal(sup_join_next(&join, 10 + SUP_JOIN_LOST_MS, 0), SUP_JOIN_ASK);
    assert_false(sup_join_silent(&join, 10 + SUP_JOIN_LOST_MS + SUP_JOIN_SILENT_MS - 1, 0));
    assert_true(sup_join_silent(&join, 10 + SUP_JOIN_LOST_MS + SUP_JOIN_SILENT_MS, 0));
}

/* --- donors that are gone --- */

static void copying(size_t n)
{
    for (size_t i = 0; i < n; i++)
        sup_join_see(&join, 0, i, &ready);
    (void)sup_join_move(&join, 0, n);
    assert_int_equal(sup_join_next(&join, 0, 0), SUP_JOIN_ASK);
}

/* All peers are there, and have nothing any more, or a part as this node has. */
static void a_part_of_a_copy_is_all_that_is_left(void **state)
{
    struct sup_join_peer joining = with(ready, SUP_STANDING_JOINING, false);

    (void)state;
    copying(2);
    sup_join_see(&join, 1000, 0, &fresh); /* it lost its disk */
    sup_join_see(&join, 1000, 1, &joining);
    assert_false(sup_join_move(&join, 1000, 2));
    assert_false(sup_join_move(&join, 29999, 2));
    sup_join_see(&join, 30000, 1, &ready); /* it had the whole of it, after all */
    assert_false(sup_join_move(&join, 30000, 2));
    sup_join_see(&join, 31000, 1, &joining);
    assert_false(sup_join_move(&join, 59999, 2));
    assert_true(sup_join_move(&join, 60000, 2));
    assert_int_equal(join.phase, SUP_JOIN_ALONE);
}

static void an_absent_peer_may_have_the_rest(void **state)
{
    (void)state;
    copying(2);
    sup_join_see(&join, 1000, 0, &fresh);
    sup_join_see(&join, 1000, 1, &absent);
    assert_false(sup_join_move(&join, 10000000, 2));
    assert_int_equal(join.phase, SUP_JOIN_COPY);
    sup_join_see(&join, 10000000, 1, &(struct sup_join_peer){.member = false}); /* decommissioned */
    assert_true(sup_join_move(&join, 10030000, 2));
    assert_int_equal(join.phase, SUP_JOIN_ALONE);
    assert_true(sup_join_move(&join, 10030000, 2));
    assert_int_equal(join.phase, SUP_JOIN_READY);
}

/* As good as any node's set that cannot reach the others. */
static void a_whole_copy_does_not_wait_for_ever(void **state)
{
    (void)state;
    copying(2);
    sup_join_copied(&join, 100);
    sup_join_see(&join, 200, 0, &absent);
    assert_false(sup_join_move(&join, 1000, 2)); /* the other one can be read from */
    sup_join_see(&join, 2000, 1, &absent);
    assert_false(sup_join_move(&join, 30999, 2));
    assert_true(sup_join_move(&join, 31000, 2));
    assert_int_equal(join.phase, SUP_JOIN_CHECK);
    assert_true(sup_join_move(&join, 31000 + SUP_JOIN_SECOND_MS, 2));
    assert_int_equal(join.phase, SUP_JOIN_READY);
}

/* --- streams --- */

static struct sup_hash_key hash;

struct keyed {
    char address[32];
    struct sup_key key;
};

static int by_key(const void *a, const void *b)
{
    const struct keyed *x = a;
    const struct keyed *y = b;

    return sup_slice_cmp(sup_key_slice(&x->key), sup_key_slice(&y->key));
}

static void make_keys(struct keyed *k, size_t n)
{
    sup_hash_key_derive("c", (struct sup_slice){NULL, 0}, &hash);
    for (size_t i = 0; i < n; i++) {
        int len = snprintf(k[i].address, sizeof(k[i].address), "a%zu@example.com", i);
        sup_key_record(&k[i].key, &hash, sup_slice_of(k[i].address, (size_t)len));
    }
    qsort(k, n, sizeof(*k), by_key);
}

static struct sup_snapshot_record record_of(const struct keyed *k)
{
    return (struct sup_snapshot_record){
        .key = sup_slice_str(k->address), .decisions = {SUP_SLICE_LIT("d")}, .n = 1};
}

/* Many mutations of many origins; each donor has, at the time of its snapshot, a prefix of each
 * origin's. The copy is taken in parts from random donors. What its version vector covers must be
 * in it; and a vector of a last mile more would not be. */
#define KEYS    64
#define ORIGINS 4
#define SEQS    40

static void what_parts_cover_together_is_there(void **state)
{
    static struct keyed keys[KEYS];
    struct sup_rng rng = property_rng(__func__);

    (void)state;
    make_keys(keys, KEYS);
    for (int round = 0; round < 300; round++) {
        size_t key_of[ORIGINS][SEQS + 1];
        uint64_t part_has[KEYS][ORIGINS] = {{0}};
        struct sup_join_state s = {.phase = SUP_JOIN_COPY};
        size_t at = 0;
        for (size_t o = 0; o < ORIGINS; o++) {
            for (size_t q = 1; q <= SEQS; q++)
                key_of[o][q] = sup_rng_below(&rng, KEYS);
        }
        while (s.phase == SUP_JOIN_COPY) {
            size_t take = 1 + sup_rng_below(&rng, KEYS);
            struct sup_snapshot_chunk c = {.set = KEYS};
            struct sup_snapshot_record r[KEYS];
            struct sup_join_stream stream;
            sup_join_stream_begin(&stream, 1);
            for (size_t o = 0; o < ORIGINS; o++) {
                uint64_t has = 1 + sup_rng_below(&rng, SEQS);
                assert_int_equal(sup_vv_raise(&c.vv, o + 1, has), SUP_OK);
                for (size_t k = at; k < KEYS && k < at + take; k++)
                    part_has[k][o] = has;
            }
            for (c.n = 0; c.n < take && at < KEYS; c.n++)
                r[c.n] = record_of(&keys[at++]);
            c.records = r;
            c.last = at == KEYS;
            assert_int_equal(sup_join_stream_chunk(&stream, &c, &hash, &s, NULL), SUP_OK);
        }
        assert_int_equal(s.phase, SUP_JOIN_LOG);
        assert_int_equal(s.records, KEYS);
        for (size_t o = 0; o < ORIGINS; o++) {
            uint64_t covered = sup_vv_get(&s.vv, o + 1);
            uint64_t least = SEQS;
            for (uint64_t q = 1; q <= covered; q++)
                assert_true(part_has[key_of[o][q]][o] >= q);
            for (size_t k = 0; k < KEYS; k++)
                least = part_has[k][o] < least ? part_has[k][o] : least;
            assert_int_equal(covered, least);
        }
    }
}

static void an_origin_that_one_donor_does_not_know_is_not_covered(void **state)
{
    static struct keyed keys[2];
    struct sup_join_state s = {.phase = SUP_JOIN_COPY};
    struct sup_snapshot_record r[2];
    struct sup_join_stream stream;
    struct sup_snapshot_chunk c = {.n = 1, .records = r, .set = 2};

    (void)state;
    make_keys(keys, 2);
    r[0] = record_of(&keys[0]);
    r[1] = record_of(&keys[1]);
    (void)sup_vv_raise(&c.vv, 7, 100);
    (void)sup_vv_raise(&c.vv, 8, 100);
    sup_join_stream_begin(&stream, 1);
    assert_int_equal(sup_join_stream_chunk(&stream, &c, &hash, &s, NULL), SUP_OK);
    sup_vv_init(&c.vv);
    (void)sup_vv_raise(&c.vv, 8, 200);
    c.records = &r[1];
    c.last = true;
    sup_join_stream_begin(&stream, 2);
    assert_int_equal(sup_join_stream_chunk(&stream, &c, &hash, &s, NULL), SUP_OK);
    assert_int_equal(sup_vv_get(&s.vv, 7), 0);
    assert_int_equal(sup_vv_get(&s.vv, 8), 100);
}

static int one_chunk(struct sup_join_state *s, struct sup_join_stream *stream,
                     const struct sup_snapshot_record *r, size_t n)
{
    struct sup_snapshot_chunk c = {.n = n, .records = r, .set = 10};

    (void)sup_vv_raise(&c.vv, 1, 1);
    return sup_join_stream_chunk(stream, &c, &hash, s, NULL);
}

static void records_come_in_order(void **state)
{
    static struct keyed keys[16];
    struct sup_rng rng = property_rng(__func__);

    (void)state;
    make_keys(keys, 16);
    for (int round = 0; round < 500; round++) {
        size_t a = sup_rng_below(&rng, 16);
        size_t b = sup_rng_below(&rng, 16);
        struct sup_snapshot_record r[2] = {record_of(&keys[a]), record_of(&keys[b])};
        struct sup_join_state together = {.phase = SUP_JOIN_COPY};
        struct sup_join_state apart = {.phase = SUP_JOIN_COPY};
        struct sup_join_stream s;
        int expected = a < b ? SUP_OK : SUP_EINPUT;
        sup_join_stream_begin(&s, 1);
        assert_int_equal(one_chunk(&together, &s, r, 2), expected);
        sup_join_stream_begin(&s, 1);
        assert_int_equal(one_chunk(&apart, &s, &r[0], 1), SUP_OK);
        sup_join_stream_begin(&s, 2); /* another donor must not go back either */
        assert_int_equal(one_chunk(&apart, &s, &r[1], 1), expected);
    }
}

static void streams_that_make_no_sense(void **state)
{
    static struct keyed keys[1];
    struct sup_join_state s = {.phase = SUP_JOIN_COPY};
    static const struct sup_repair_entry late = {SUP_SLICE_LIT("a@b"), SUP_SLICE_LIT("d")};
    struct sup_snapshot_chunk c = {.set = 1};
    struct sup_join_stream stream;
    struct sup_snapshot_record r;

    (void)state;
    make_keys(keys, 1);
    r = record_of(&keys[0]);
    sup_join_stream_begin(&stream, 1);
    c.n = 1;
    c.records = &r;
    assert_int_equal(sup_join_stream_chunk(&stream, &c, &hash, &s, NULL), SUP_EINPUT); /* no vv */
    (void)sup_vv_raise(&c.vv, 1, 1);
    assert_int_equal(sup_join_stream_chunk(&stream, &c, &hash, &s, NULL), SUP_OK);
    c.n = 0;
    assert_int_equal(sup_join_stream_chunk(&stream, &c, &hash, &s, NULL), SUP_EINPUT); /* empty */
    c.n_quarantined = 1;
    c.quarantined = &late;
    assert_int_equal(sup_join_stream_chunk(&stream, &c, &hash, &s, NULL), SUP_EINPUT);
    /* Without end, as far as what it said goes. */
    sup_join_stream_begin(&stream, 2);
    stream.quarantined = 1000000;
    assert_int_equal(sup_join_stream_chunk(&stream, &c, &hash, &s, NULL), SUP_EINPUT);
}

#define TEST(fn) cmocka_unit_test_setup(fn, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_node_without_peers_is_ready),
        TEST(a_new_cluster_is_ready_at_once),
        TEST(absent_peers_are_waited_for_a_while),
        TEST(nobody_is_met),
        TEST(two_that_were_alone_do_not_wait_for_each_other),
        TEST(one_that_joins_is_no_donor_but_knows_more),
        TEST(decommissioned_peers_are_not_waited_for),
        TEST(new_nodes_read_each_others_logs),
        TEST(the_whole_way),
        TEST(there_is_no_second_peer),
        TEST(donors_take_turns),
        TEST(a_part_of_a_copy_is_all_that_is_left),
        TEST(an_absent_peer_may_have_the_rest),
        TEST(a_whole_copy_does_not_wait_for_ever),
        TEST(what_parts_cover_together_is_there),
        TEST(an_origin_that_one_donor_does_not_know_is_not_covered),
        TEST(records_come_in_order),
        TEST(streams_that_make_no_sense),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
