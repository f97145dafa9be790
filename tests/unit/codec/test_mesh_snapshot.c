/* Messages of joining by snapshot: round trips, limits, damage, golden bytes. */
#include "codec/mesh_msg.h"
#include "codec/value.h"
#include "golden.h"
#include "mesh_msg_fixture.h"
#include "property.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct mesh_msg_fixture f;
static struct sup_snapshot_record records[SUP_SNAPSHOT_RECORDS_MAX + 1];
static struct sup_repair_entry waiting[SUP_SNAPSHOT_RECORDS_MAX + 1];
static uint8_t junk[2 * SUP_DECISION_MAX]; /* no NUL: keys have none */

static int setup(void **state)
{
    struct sup_rng r = property_rng("snapshot");

    (void)state;
    for (size_t i = 0; i < sizeof(junk); i++)
        junk[i] = (uint8_t)(1 + sup_rng_below(&r, 255));
    return mesh_msg_open(&f, 64U << 20);
}

static int teardown(void **state)
{
    (void)state;
    mesh_msg_close(&f);
    return 0;
}

static int encode(enum sup_frame_type type)
{
    return mesh_msg_encode(&f, type);
}

static int decode(void)
{
    return mesh_msg_decode(&f);
}

static void travel(enum sup_frame_type type)
{
    if (encode(type) != SUP_OK || decode() != SUP_OK)
        fail_msg("%s", f.err.msg);
    assert_int_equal(f.out.type, type);
    assert_int_equal(f.out.u.snapshot.id, f.in.u.snapshot.id);
}

static struct sup_slice some(struct sup_rng *r, size_t max)
{
    size_t n = 1 + sup_rng_below(r, max);

    return sup_slice_of(junk + sup_rng_below(r, sizeof(junk) - n), n);
}

static void asks_and_acks(void **state)
{
    struct sup_rng r = property_rng(__func__);

    (void)state;
    for (size_t i = property_cases(500); i > 0; i--) {
        struct sup_snapshot_msg *m = &f.in.u.snapshot;
        m->id = (uint32_t)property_edge_u64(&r);
        m->u.ask = (struct sup_snapshot_ask){.after = some(&r, SUP_SNAPSHOT_KEY_MAX),
                                             .credit = property_edge_u64(&r)};
        if (sup_rng_below(&r, 4) == 0)
            m->u.ask.after.n = 0;
        travel(SUP_FRAME_SNAPSHOT_ASK);
        assert_true(sup_slice_eq(f.out.u.snapshot.u.ask.after, m->u.ask.after));
        assert_true(f.out.u.snapshot.u.ask.credit == m->u.ask.credit);
        memset(&m->u, 0, sizeof(m->u));
        m->u.ack.credit = property_edge_u64(&r);
        travel(SUP_FRAME_SNAPSHOT_ACK);
        assert_true(f.out.u.snapshot.u.ack.credit == m->u.ack.credit);
    }
    f.in.u.snapshot.u.ask.after = sup_slice_of(junk, SUP_SNAPSHOT_KEY_MAX + 1);
    assert_int_equal(encode(SUP_FRAME_SNAPSHOT_ASK), SUP_EINPUT);
}

static void fill(struct sup_rng *r, struct sup_snapshot_chunk *c)
{
    *c = (struct sup_snapshot_chunk){.set = property_edge_u64(r),
                                     .quarantined = waiting,
                                     .n_quarantined = sup_rng_below(r, 5),
                                     .records = records,
                                     .n = sup_rng_below(r, 50),
                                     .last = sup_rng_below(r, 2) == 0};
    for (size_t i = 0; i < c->n_quarantined; i++)
        waiting[i] = (struct sup_repair_entry){some(r, 320), some(r, 300)};
    for (size_t i = 0; i < c->n; i++) {
        records[i].key = some(r, 320);
        records[i].n = 1 + sup_rng_below(r, SUP_N_CLASSES);
        for (size_t k = 0; k < records[i].n; k++)
            records[i].decisions[k] = some(r, 300);
    }
    for (uint64_t i = sup_rng_below(r, 6); i > 0; i--)
        (void)sup_vv_raise(&c->vv, i, property_edge_u64(r));
}

static void same(const struct sup_snapshot_chunk *a, const struct sup_snapshot_chunk *b)
{
    assert_int_equal(a->state, b->state);
    assert_true(a->set == b->set && a->last == b->last);
    assert_true(sup_vv_covers(&a->vv, &b->vv) && sup_vv_covers(&b->vv, &a->vv));
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->n_quarantined, b->n_quarantined);
    for (size_t i = 0; i < a->n_quarantined; i++) {
        assert_true(sup_slice_eq(a->quarantined[i].key, b->quarantined[i].key));
        assert_true(sup_slice_eq(a->quarantined[i].encoded, b->quarantined[i].encoded));
    }
    for (size_t i = 0; i < a->n; i++) {
        assert_true(sup_slice_eq(a->records[i].key, b->records[i].key));
        assert_int_equal(a->records[i].n, b->records[i].n);
        for (size_t k = 0; k < a->records[i].n; k++)
            assert_true(sup_slice_eq(a->records[i].decisions[k], b->records[i].decisions[k]));
    }
}

static void chunks(void **state)
{
    struct sup_rng r = property_rng(__func__);

    (void)state;
    for (size_t i = property_cases(300); i > 0; i--) {
        struct sup_snapshot_chunk *c = &f.in.u.snapshot.u.chunk;
        f.in.u.snapshot.id = (uint32_t)i;
        fill(&r, c);
        travel(SUP_FRAME_SNAPSHOT_CHUNK);
        same(c, &f.out.u.snapshot.u.chunk);
        assert_int_equal(f.out.u.snapshot.u.chunk.size, f.body.n);
        /* Nobody gets more bytes through than what is counted against the credit. */
        assert_true(sup_snapshot_credit(&f.out.u.snapshot.u.chunk) >= f.body.n);
    }
    for (int s = SUP_SNAPSHOT_BUSY; s <= SUP_SNAPSHOT_EXPIRED; s++) {
        f.in.u.snapshot.u.chunk = (struct sup_snapshot_chunk){.state = (enum sup_snapshot_state)s};
        travel(SUP_FRAME_SNAPSHOT_CHUNK);
        assert_int_equal(f.out.u.snapshot.u.chunk.state, s);
    }
}

static void refused(const char *what)
{
    if (encode(SUP_FRAME_SNAPSHOT_CHUNK) != SUP_EINPUT)
        fail_msg("%s: encoded", what);
}

static void chunks_beyond_the_limits(void **state)
{
    struct sup_rng r = property_rng(__func__);
    struct sup_snapshot_chunk *c = &f.in.u.snapshot.u.chunk;

    (void)state;
    for (size_t i = 0; i <= SUP_SNAPSHOT_RECORDS_MAX; i++) {
        records[i] = (struct sup_snapshot_record){
            .key = SUP_SLICE_LIT("a@b"), .decisions = {SUP_SLICE_LIT("d")}, .n = 1};
        waiting[i] = (struct sup_repair_entry){SUP_SLICE_LIT("a@b"), SUP_SLICE_LIT("d")};
    }
    *c = (struct sup_snapshot_chunk){.records = records, .n = SUP_SNAPSHOT_RECORDS_MAX};
    travel(SUP_FRAME_SNAPSHOT_CHUNK);
    c->n++;
    refused("records");
    *c = (struct sup_snapshot_chunk){.quarantined = waiting,
                                     .n_quarantined = SUP_SNAPSHOT_RECORDS_MAX + 1};
    refused("quarantined decisions");
    fill(&r, c);
    c->n = 1;
    records[0].n = 0;
    refused("a record without decisions");
    records[0].n = 1;
    records[0].key = sup_slice_of(junk, 321);
    refused("a long key");
    records[0].key = sup_slice_of("a\0b", 3);
    refused("NUL in a key");
    records[0].key = SUP_SLICE_LIT("a@b");
    records[0].decisions[0] = sup_slice_of(junk, SUP_DECISION_MAX + 1);
    refused("a long decision");
    records[0].decisions[0] = SUP_SLICE_LIT("");
    refused("an empty decision");
}

static void damage(void **state)
{
    struct sup_rng r = property_rng(__func__);

    (void)state;
    for (size_t i = property_cases(3000); i > 0; i--) {
        const struct sup_snapshot_chunk *c = &f.out.u.snapshot.u.chunk;
        fill(&r, &f.in.u.snapshot.u.chunk);
        assert_int_equal(encode(SUP_FRAME_SNAPSHOT_CHUNK), SUP_OK);
        property_mutate(&r, f.body.p, f.body.n);
        int rc = decode();
        assert_true(rc == SUP_OK || rc == SUP_ECORRUPT || rc == SUP_ELIMIT);
        for (size_t k = 0; rc == SUP_OK && k < c->n; k++)
            assert_true(c->records[k].n >= 1 && c->records[k].n <= SUP_N_CLASSES);
    }
}

/* --- golden bytes: as version 1 must always send and read them --- */

static void add(struct sup_buf *hex, enum sup_frame_type type)
{
    travel(type);
    golden_add_frame(hex, (uint16_t)type, sup_buf_slice(&f.body));
}

static void golden_bytes(void **state)
{
    struct sup_snapshot_msg *m = &f.in.u.snapshot;
    struct sup_buf hex;

    (void)state;
    sup_buf_init(&hex, 16384);
    m->id = 300;
    m->u.ask = (struct sup_snapshot_ask){.credit = 8U << 20};
    add(&hex, SUP_FRAME_SNAPSHOT_ASK);
    m->u.ask.after = SUP_SLICE_LIT("\x01\x23\x45\x67\x89\xab\xcd\xef"
                                   "ann@example.com");
    add(&hex, SUP_FRAME_SNAPSHOT_ASK);
    waiting[0] = (struct sup_repair_entry){SUP_SLICE_LIT("q@example.com"), SUP_SLICE_LIT("later")};
    records[0] = (struct sup_snapshot_record){
        .key = SUP_SLICE_LIT("a@example.com"), .decisions = {SUP_SLICE_LIT("one")}, .n = 1};
    records[1] = (struct sup_snapshot_record){
        .key = SUP_SLICE_LIT("b@example.com"),
        .decisions = {SUP_SLICE_LIT("one"), SUP_SLICE_LIT("two"), SUP_SLICE_LIT("three")},
        .n = 3};
    m->u.chunk = (struct sup_snapshot_chunk){.set = 1000000,
                                             .quarantined = waiting,
                                             .n_quarantined = 1,
                                             .records = records,
                                             .n = 2,
                                             .last = true};
    assert_int_equal(sup_vv_raise(&m->u.chunk.vv, 0x0123456789abcdef, 7), SUP_OK);
    assert_int_equal(sup_vv_raise(&m->u.chunk.vv, 0x02468acf13579bde, 300), SUP_OK);
    add(&hex, SUP_FRAME_SNAPSHOT_CHUNK);
    for (int s = SUP_SNAPSHOT_BUSY; s <= SUP_SNAPSHOT_EXPIRED; s++) {
        m->u.chunk = (struct sup_snapshot_chunk){.state = (enum sup_snapshot_state)s};
        add(&hex, SUP_FRAME_SNAPSHOT_CHUNK);
    }
    m->u.ack = (struct sup_snapshot_ack){.credit = 131072};
    add(&hex, SUP_FRAME_SNAPSHOT_ACK);
    m->u.ack.credit = 0;
    add(&hex, SUP_FRAME_SNAPSHOT_ACK);
    golden_check("v1-snapshot", &hex);
    sup_buf_fini(&hex);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(asks_and_acks), TEST(chunks),       TEST(chunks_beyond_the_limits),
        TEST(damage),        TEST(golden_bytes),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
