/* A decision of a later program, on its way through nodes of this one: whatever frame brings it and
 * whatever it is stored as, the next node gets the same bytes. They take part in the merge order.
 */
#include "codec/mesh_msg.h"
#include "codec/value.h"
#include "property.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEY SUP_SLICE_LIT("ann@example.com")

struct hop {
    struct sup_rng r;
    struct sup_mesh_mem *mem, *out_mem;
    struct sup_mem *values;
    struct sup_mesh_msg in, out;
    struct sup_buf decision; /* as it is now */
    struct sup_buf bytes;
};

static struct hop h;

/* --- what a later program says --- */

static void add_varint(struct sup_buf *b, uint64_t v)
{
    uint8_t byte;

    do {
        byte = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
        sup_buf_add(b, &byte, 1);
        v >>= 7;
    } while (v > 0);
}

/* One field with a number that no field here has, of any type that protobuf has. */
static void add_unknown(struct sup_buf *b)
{
    static const uint64_t types[] = {0, 1, 2, 5};
    uint64_t type = types[sup_rng_below(&h.r, 4)];
    uint8_t data[64];

    property_bytes(&h.r, data, sizeof(data));
    add_varint(b, (100 + sup_rng_below(&h.r, 100000)) << 3 | type);
    if (type == 0) {
        add_varint(b, property_edge_u64(&h.r));
    } else if (type == 2) {
        size_t n = sup_rng_below(&h.r, sizeof(data));
        add_varint(b, n);
        sup_buf_add(b, data, n);
    } else {
        sup_buf_add(b, data, type == 1 ? 8 : 4);
    }
}

static void later_decision(void)
{
    struct sup_decision d = {.cls = SUP_CLASS_COMPLAINT,
                             .state = sup_rng_below(&h.r, 2) == 0 ? SUP_CLEARED : SUP_SUPPRESSED,
                             .cause = SUP_CAUSE_EVENT,
                             .time = sup_rng_u64(&h.r) >> 8,
                             .origin = sup_rng_u64(&h.r),
                             .actor = SUP_SLICE_LIT("ann")};

    sup_buf_reset(&h.decision);
    sup_decision_encode(&d, &h.decision);
    for (uint64_t n = 1 + sup_rng_below(&h.r, 5); n > 0; n--)
        add_unknown(&h.decision);
    assert_int_equal(h.decision.failed, SUP_OK);
}

/* --- hops: each takes the decision and leaves what came out --- */

static void arrived(struct sup_slice key, struct sup_slice decision)
{
    static uint8_t copy[SUP_DECISION_MAX];

    assert_true(sup_slice_eq(key, KEY));
    assert_true(decision.n <= sizeof(copy));
    memcpy(copy, decision.p, decision.n);
    sup_buf_reset(&h.decision);
    sup_buf_add(&h.decision, copy, decision.n);
}

static void travel(enum sup_frame_type type)
{
    h.in.type = type;
    sup_buf_reset(&h.bytes);
    assert_int_equal(sup_mesh_msg_encode(&h.in, h.mem, &h.bytes, NULL), SUP_OK);
    add_unknown(&h.bytes); /* the message has something new, too */
    assert_int_equal(sup_mesh_msg_decode(type, sup_buf_slice(&h.bytes), h.out_mem, &h.out, NULL),
                     SUP_OK);
}

static void by_mutation(void)
{
    struct sup_mutation m = {.incarnation = 1,
                             .seq = 1,
                             .key = KEY,
                             .cls = SUP_CLASS_COMPLAINT,
                             .encoded = sup_buf_slice(&h.decision)};

    h.in.u.mutations = (struct sup_mutations){.m = &m, .n = 1};
    travel(SUP_FRAME_MUTATIONS);
    assert_int_equal(h.out.u.mutations.m[0].cls, SUP_CLASS_COMPLAINT);
    arrived(h.out.u.mutations.m[0].key, h.out.u.mutations.m[0].encoded);
}

static void by_repair(void)
{
    struct sup_repair_entry e = {KEY, sup_buf_slice(&h.decision)};

    h.in.u.repair = (struct sup_repair_msg){.round = 1};
    h.in.u.repair.u.records.entries = &e;
    h.in.u.repair.u.records.n = 1;
    travel(SUP_FRAME_REPAIR_RECORDS);
    arrived(h.out.u.repair.u.records.entries[0].key, h.out.u.repair.u.records.entries[0].encoded);
}

static void by_snapshot(void)
{
    struct sup_snapshot_record r = {.key = KEY, .decisions = {sup_buf_slice(&h.decision)}, .n = 1};

    memset(&h.in.u.snapshot, 0, sizeof(h.in.u.snapshot));
    h.in.u.snapshot.u.chunk.records = &r;
    h.in.u.snapshot.u.chunk.n = 1;
    travel(SUP_FRAME_SNAPSHOT_CHUNK);
    arrived(h.out.u.snapshot.u.chunk.records[0].key,
            h.out.u.snapshot.u.chunk.records[0].decisions[0]);
}

static void by_snapshot_of_a_quarantine(void)
{
    struct sup_repair_entry e = {KEY, sup_buf_slice(&h.decision)};

    memset(&h.in.u.snapshot, 0, sizeof(h.in.u.snapshot));
    h.in.u.snapshot.u.chunk.quarantined = &e;
    h.in.u.snapshot.u.chunk.n_quarantined = 1;
    travel(SUP_FRAME_SNAPSHOT_CHUNK);
    arrived(h.out.u.snapshot.u.chunk.quarantined[0].key,
            h.out.u.snapshot.u.chunk.quarantined[0].encoded);
}

static void in_the_log(void)
{
    struct sup_log_entry e = {
        .key = KEY, .cls = SUP_CLASS_COMPLAINT, .encoded = sup_buf_slice(&h.decision)};

    sup_buf_reset(&h.bytes);
    sup_log_entry_encode(&e, &h.bytes);
    assert_int_equal(sup_log_entry_decode(sup_buf_slice(&h.bytes), h.values, &e, NULL), SUP_OK);
    arrived(e.key, e.encoded);
}

static void in_quarantine(void)
{
    struct sup_log_entry e = {
        .key = KEY, .cls = SUP_CLASS_COMPLAINT, .encoded = sup_buf_slice(&h.decision)};
    int64_t when = 0;

    sup_buf_reset(&h.bytes);
    sup_quarantined_encode(&e, 7, &h.bytes);
    assert_int_equal(sup_quarantined_decode(sup_buf_slice(&h.bytes), h.values, &e, &when, NULL),
                     SUP_OK);
    arrived(e.key, e.encoded);
}

static void in_a_record(void)
{
    struct sup_record record = {.first_seen_ms = 1};
    struct sup_register *reg = &record.registers.r[SUP_CLASS_COMPLAINT - 1];

    assert_int_equal(sup_register_decode(sup_buf_slice(&h.decision), reg, NULL, NULL), SUP_OK);
    sup_buf_reset(&h.bytes);
    sup_record_encode(&record, &h.bytes);
    assert_int_equal(sup_record_decode(sup_buf_slice(&h.bytes), h.values, &record, NULL), SUP_OK);
    arrived(KEY, reg->encoded);
}

static void unknown_fields_survive_any_way(void **state)
{
    static void (*const hops[])(void) = {by_mutation, by_repair,     by_snapshot,
                                         in_the_log,  in_quarantine, by_snapshot_of_a_quarantine,
                                         in_a_record};
    static uint8_t first[SUP_DECISION_MAX];

    (void)state;
    h.r = property_rng(__func__);
    for (size_t i = property_cases(1000); i > 0; i--) {
        size_t n;
        later_decision();
        n = h.decision.n;
        memcpy(first, h.decision.p, n);
        for (uint64_t k = 1 + sup_rng_below(&h.r, 8); k > 0; k--) {
            sup_mem_reset(h.values);
            hops[sup_rng_below(&h.r, sizeof(hops) / sizeof(hops[0]))]();
            assert_int_equal(h.decision.n, n);
            assert_memory_equal(h.decision.p, first, n);
        }
    }
}

static int setup(void **state)
{
    (void)state;
    h.mem = sup_mesh_mem_new();
    h.out_mem = sup_mesh_mem_new();
    h.values = sup_mem_new();
    sup_buf_init(&h.decision, SUP_DECISION_MAX);
    sup_buf_init(&h.bytes, SUP_FRAME_BODY_MAX);
    return h.mem && h.out_mem && h.values ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    sup_mesh_mem_free(h.mem);
    sup_mesh_mem_free(h.out_mem);
    sup_mem_free(h.values);
    sup_buf_fini(&h.decision);
    sup_buf_fini(&h.bytes);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(unknown_fields_survive_any_way, setup, teardown),
    };

    return cmocka_run_group_tests(tests, property_setup, NULL);
}
