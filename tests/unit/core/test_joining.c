/* Joining as one step: what comes of each event, with parts that are lost, late or never asked for.
 */
#include "core/joining.h"

#include "codec/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WINDOW 5000

static struct sup_joining joining;
static struct sup_joining_actions out;
static struct sup_joining_part parts[4];
static struct sup_snapshot_msg msg;
static struct sup_snapshot_record records[4]; /* in the order of their keys */
static struct sup_hash_key hash;

static const struct sup_join_peer ready = {.member = true,
                                           .connected = true,
                                           .standing = SUP_STANDING_READY,
                                           .snapshots = true,
                                           .repairs = true,
                                           .has_data = true};

static int by_key(const void *a, const void *b)
{
    struct sup_key k[2];

    sup_key_record(&k[0], &hash, ((const struct sup_snapshot_record *)a)->key);
    sup_key_record(&k[1], &hash, ((const struct sup_snapshot_record *)b)->key);
    return sup_slice_cmp(sup_key_slice(&k[0]), sup_key_slice(&k[1]));
}

static void event(int64_t now, struct sup_joining_event e)
{
    sup_joining_step(&joining, now, &e, &out);
}

static void members(size_t n)
{
    for (size_t i = 0; i < n; i++)
        event(0, (struct sup_joining_event){.type = SUP_JOINING_MEMBER, .peer = i, .n = 1});
}

static int begin(void **state)
{
    static const char *const addresses[] = {"a@x.com", "b@x.com", "c@x.com", "d@x.com"};
    struct sup_joining_options o = {.alone_ms = 30000, .stream = 40, .window = WINDOW};

    (void)state;
    sup_hash_key_derive("c", (struct sup_slice){NULL, 0}, &hash);
    for (size_t i = 0; i < 4; i++)
        records[i] = (struct sup_snapshot_record){
            .key = sup_slice_str(addresses[i]), .decisions = {SUP_SLICE_LIT("d")}, .n = 1};
    qsort(records, 4, sizeof(records[0]), by_key);
    sup_joining_init(&joining, SUP_JOIN_NEW, NULL, &o, 0);
    members(3);
    return 0;
}

static void seen(int64_t now, size_t peer, struct sup_join_peer view)
{
    char name[16];

    (void)snprintf(name, sizeof(name), "p%zu", peer);
    event(now, (struct sup_joining_event){
                   .type = SUP_JOINING_SEEN, .peer = peer, .view = &view, .name = name});
}

static void lost(int64_t now, size_t peer)
{
    event(now, (struct sup_joining_event){.type = SUP_JOINING_LOST, .peer = peer});
}

/* Record i alone, or, with none, what waits in quarantine. */
static void chunk(int64_t now, size_t peer, size_t i, size_t n)
{
    static const struct sup_repair_entry waits = {SUP_SLICE_LIT("q@x.com"), SUP_SLICE_LIT("d")};

    memset(&msg.u.chunk, 0, sizeof(msg.u.chunk));
    msg.id = joining.stream.id;
    msg.u.chunk.records = &records[i];
    msg.u.chunk.n = n;
    msg.u.chunk.quarantined = &waits;
    msg.u.chunk.n_quarantined = n == 0;
    msg.u.chunk.set = 4;
    msg.u.chunk.size = 50;
    msg.u.chunk.last = n > 0 && i == 3;
    if (!joining.stream.begun)
        (void)sup_vv_raise(&msg.u.chunk.vv, 7, 100 - peer);
    event(now, (struct sup_joining_event){.type = SUP_JOINING_CHUNK,
                                          .peer = peer,
                                          .msg = &msg,
                                          .hash = &hash,
                                          .part = &parts[i]});
}

static void applied(int64_t now, size_t i, int code)
{
    event(now,
          (struct sup_joining_event){.type = SUP_JOINING_APPLIED, .part = &parts[i], .code = code});
}

static void stored(int64_t now, enum sup_join_phase phase, int code)
{
    event(now,
          (struct sup_joining_event){.type = SUP_JOINING_STORED, .phase = phase, .code = code});
}

static void asks_of(size_t peer)
{
    seen(10, peer, ready);
    assert_true(out.ask);
    assert_int_equal(joining.said, SUP_JOIN_COPY);
}

/* --- the copy --- */

static void a_copy_goes_on_where_it_is_durable(void **state)
{
    struct sup_key k;

    (void)state;
    asks_of(0);
    assert_int_equal(out.id, 41);
    assert_int_equal(out.after.n, 0);
    assert_int_equal(out.credit, WINDOW);
    chunk(20, 0, 0, 1);
    assert_true(out.submit);
    chunk(21, 0, 1, 1);
    assert_true(out.submit);
    applied(30, 0, SUP_OK);
    assert_true(out.ack);
    assert_true(out.credit > 0);
    lost(31, 0); /* with the second one under way */
    seen(32, 1, ready);
    assert_false(out.ask); /* it is not known yet where to go on */
    applied(33, 1, SUP_OK);
    assert_false(out.ack); /* nobody is there to be told */
    seen(34, 1, ready);
    assert_true(out.ask);
    assert_int_equal(out.id, 42);
    sup_key_record(&k, &hash, records[1].key);
    assert_true(sup_slice_eq(out.after, sup_key_slice(&k)));
    chunk(35, 1, 2, 2);
    assert_true(out.submit);
    assert_int_equal(joining.said, SUP_JOIN_COPY);
}

static void what_fails_is_asked_for_again(void **state)
{
    (void)state;
    asks_of(0);
    chunk(20, 0, 0, 1);
    chunk(21, 0, 1, 1);
    applied(30, 0, SUP_EIO);
    assert_true(out.cancel);
    assert_int_equal(out.id, 41);
    applied(31, 1, SUP_EAGAIN); /* it did not fit any more */
    assert_false(out.cancel);
    chunk(32, 0, 2, 1); /* was on its way */
    assert_false(out.submit);
    assert_int_equal(out.code, SUP_OK);
    seen(33, 0, ready);
    assert_false(out.ask); /* not at once */
    seen(31 + SUP_JOIN_BUSY_MS, 0, ready);
    assert_true(out.ask);
    assert_int_equal(out.after.n, 0);
}

/* The last record's key does not tell these two states apart. */
static void a_part_without_records_counts(void **state)
{
    (void)state;
    asks_of(0);
    chunk(20, 0, 1, 0); /* quarantined decisions only */
    chunk(21, 0, 0, 1);
    assert_int_equal(parts[0].before_n, 0);
    assert_int_equal(parts[1].before_n, 0);
    assert_int_equal(parts[1].before_bytes, 0);
    assert_int_equal(parts[0].before_bytes, 50);
}

static void a_stream_that_breaks_the_protocol_is_refused(void **state)
{
    (void)state;
    asks_of(0);
    chunk(20, 0, 1, 1);
    chunk(21, 0, 0, 1); /* goes back */
    assert_int_equal(out.code, SUP_EINPUT);
    assert_false(out.submit);
    applied(22, 1, SUP_OK);
    assert_false(out.ack);
    seen(23, 0, ready);
    assert_false(out.ask);
    seen(23, 1, ready);
    assert_true(out.ask);
}

static void a_donor_that_gives_none_is_not_asked_at_once(void **state)
{
    (void)state;
    asks_of(0);
    memset(&msg.u.chunk, 0, sizeof(msg.u.chunk));
    msg.id = joining.stream.id;
    msg.u.chunk.state = SUP_SNAPSHOT_BUSY;
    event(20, (struct sup_joining_event){
                  .type = SUP_JOINING_CHUNK, .peer = 0, .msg = &msg, .part = &parts[0]});
    assert_int_equal(out.refused, SUP_SNAPSHOT_BUSY);
    seen(21, 0, ready);
    assert_false(out.ask);
    seen(21, 1, ready);
    assert_true(out.ask);
}

static void a_silent_donor_is_told_to_stop(void **state)
{
    (void)state;
    asks_of(0);
    chunk(20, 0, 0, 1);
    seen(20 + SUP_JOIN_SILENT_MS, 0, ready);
    assert_false(out.cancel); /* it waits for us */
    applied(30000, 0, SUP_OK);
    seen(30000 + SUP_JOIN_SILENT_MS, 0, ready);
    assert_true(out.cancel);
    assert_int_equal(out.id, 41);
}

/* --- the phase --- */

static void copied(void)
{
    asks_of(0);
    chunk(20, 0, 0, 4);
    parts[0].state.phase = SUP_JOIN_LOG; /* all of it in one */
    applied(30, 0, SUP_OK);
    assert_int_equal(joining.said, SUP_JOIN_LOG);
    assert_false(out.store); /* the part did */
}

static void ready_is_said_when_it_is_stored(void **state)
{
    struct sup_join_peer level = ready;

    (void)state;
    level.covered = true;
    copied();
    seen(40, 0, level);
    assert_int_equal(joining.said, SUP_JOIN_CHECK);
    assert_false(out.compare); /* it is the one that was copied */
    seen(41, 1, level);
    assert_true(out.compare);
    event(50, (struct sup_joining_event){.type = SUP_JOINING_REPAIRED, .peer = 1, .code = SUP_OK});
    assert_true(out.store);
    assert_int_equal(out.phase, SUP_JOIN_READY);
    assert_int_equal(joining.said, SUP_JOIN_CHECK);
    stored(60, SUP_JOIN_READY, SUP_EIO);
    assert_false(out.store);
    event(70, (struct sup_joining_event){.type = SUP_JOINING_TICK, .n = 3});
    assert_true(out.store); /* again */
    event(71, (struct sup_joining_event){.type = SUP_JOINING_TICK, .n = 3});
    assert_false(out.store); /* it has not come back */
    stored(80, SUP_JOIN_READY, SUP_OK);
    assert_int_equal(joining.said, SUP_JOIN_READY);
}

/* The donor's name is stored, its number is not. */
static void the_donor_is_known_after_a_restart(void **state)
{
    struct sup_joining_options o = {.alone_ms = 30000};
    struct sup_join_state durable = {.phase = SUP_JOIN_LOG, .donor = "p1"};
    struct sup_join_peer level = ready;

    (void)state;
    level.covered = true;
    sup_joining_init(&joining, SUP_JOIN_LOG, &durable, &o, 0);
    members(3);
    seen(10, 1, level);
    assert_int_equal(joining.said, SUP_JOIN_CHECK);
    seen(20, 1, level);
    assert_false(out.compare);
    seen(21, 2, level);
    assert_true(out.compare);
}

static void an_older_program_is_repaired_from(void **state)
{
    struct sup_join_peer old = ready;

    (void)state;
    old.snapshots = false;
    old.standing = SUP_STANDING_UNSAID;
    seen(10, 0, old);
    assert_true(out.adopt);
    event(20, (struct sup_joining_event){.type = SUP_JOINING_REPAIRED, .peer = 1, .code = SUP_OK});
    assert_int_equal(joining.said, SUP_JOIN_COPY); /* of another peer, for another reason */
    event(30, (struct sup_joining_event){.type = SUP_JOINING_REPAIRED, .peer = 0, .code = SUP_OK});
    assert_int_equal(joining.said, SUP_JOIN_LOG);
    assert_true(out.store);
    assert_string_equal(joining.durable.donor, "p0");
}

/* Members are known before they are met: who sees none is not taken to be without any. */
static void members_are_known_before_the_first_tick(void **state)
{
    struct sup_join_peer empty = ready;

    (void)state;
    empty.has_data = false;
    seen(1, 0, empty);
    assert_int_equal(joining.said, SUP_JOIN_NEW);
}

#define TEST(fn) cmocka_unit_test_setup(fn, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_copy_goes_on_where_it_is_durable),
        TEST(what_fails_is_asked_for_again),
        TEST(a_part_without_records_counts),
        TEST(a_stream_that_breaks_the_protocol_is_refused),
        TEST(a_donor_that_gives_none_is_not_asked_at_once),
        TEST(a_silent_donor_is_told_to_stop),
        TEST(ready_is_said_when_it_is_stored),
        TEST(the_donor_is_known_after_a_restart),
        TEST(an_older_program_is_repaired_from),
        TEST(members_are_known_before_the_first_tick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
