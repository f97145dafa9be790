/* Nodes of different versions side by side: what a newer node says in fields that this program does
 * not know must come through it unchanged, whichever way it travels: the bytes of a decision take
 * part in the merge order, so a hop that dropped a field would leave nodes that differ for ever. */
#include "base/clock.h"
#include "codec/keys.h"
#include "replica_node.h"
#include "service/apply_txn.h"
#include "service/replicate.h"
#include "service/replicate_log.h"
#include "service/sketch_keeper.h"
#include "store/meta.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ADDRESS "ann@example.com"
/* Of the node of a later version, which took the decision. */
#define NEWER_INCARNATION 0x4e45574552ULL
/* Field 100 of type bytes, 101 a varint, 102 fixed64: as a later version may add them. */
#define LATER_FIELDS "\xa2\x06\x05later\xa8\x06\x96\x01\xb1\x06\x01\x02\x03\x04\x05\x06\x07\x08"

/* These nodes are no new ones: what they hear of goes into their logs, not into a copy. */
static int joined_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    (void)a;
    (void)arg;
    (void)err;
    sup_meta_put_u64(t, SUP_META_READY, 1);
    return SUP_OK;
}

static void node_start(struct replica_node *n, const char *name)
{
    replica_node_open(n, name, 64);
    assert_int_equal(sup_apply_run(n->apply, joined_run, NULL, NULL), SUP_OK);
}

/* --- what the newer node decided --- */

static void newer_decision(struct sup_buf *b)
{
    struct sup_decision d = {.cls = SUP_CLASS_BOUNCE,
                             .state = SUP_SUPPRESSED,
                             .cause = SUP_CAUSE_EVENT,
                             .time = sup_hlc_from_ms(sup_wall_ms() - 5000),
                             .origin = 77};

    sup_buf_init(b, SUP_DECISION_MAX);
    sup_decision_encode(&d, b);
    sup_buf_add(b, LATER_FIELDS, sizeof(LATER_FIELDS) - 1);
    assert_false(b->failed);
}

static int logged_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    const struct sup_buf *encoded = arg;
    struct sup_mutation m = {.incarnation = NEWER_INCARNATION,
                             .seq = 1,
                             .key = sup_slice_str(ADDRESS),
                             .cls = SUP_CLASS_BOUNCE,
                             .encoded = sup_buf_slice(encoded)};
    enum sup_remote out;

    return sup_apply_remote(a, t, &m, &out, err);
}

static int unlogged_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    const struct sup_buf *encoded = arg;
    enum sup_remote out;

    return sup_apply_repaired(a, t, sup_slice_str(ADDRESS), SUP_CLASS_BOUNCE,
                              sup_buf_slice(encoded), &out, err);
}

/* --- what has become of it --- */

static void assert_bytes(struct sup_slice got, const struct sup_buf *expected)
{
    assert_int_equal(got.n, expected->n);
    assert_memory_equal(got.p, expected->p, got.n);
}

static bool holds(const struct replica_node *n, struct sup_buf *value)
{
    struct sup_key k;

    sup_buf_reset(value);
    sup_key_record(&k, &n->hash, sup_slice_str(ADDRESS));
    return sup_store_get(n->store, NULL, SUP_CF_RECORDS, sup_key_slice(&k), value, NULL) == SUP_OK;
}

/* Waits until the address has come, and compares the register's bytes. */
static void assert_record(struct replica_node *n, const struct sup_buf *expected, int64_t ms)
{
    int64_t deadline = sup_mono_ms() + ms;
    struct sup_mem *mem = sup_mem_new();
    struct sup_record record;
    struct sup_buf value;
    uint64_t seen = 0;

    sup_buf_init(&value, 65536);
    while (!holds(n, &value) && sup_mono_ms() < deadline)
        seen = sup_apply_wait(n->apply, seen, 20);
    if (!holds(n, &value))
        fail_msg("nothing came to %s", n->name);
    assert_int_equal(sup_record_decode(sup_buf_slice(&value), mem, &record, NULL), SUP_OK);
    assert_bytes(record.registers.r[SUP_CLASS_BOUNCE - 1].encoded, expected);
    sup_buf_fini(&value);
    sup_mem_free(mem);
}

/* What the node would send on from its log. */
static void assert_logged(struct replica_node *n, const struct sup_buf *expected)
{
    struct sup_replica_range range = {.incarnation = NEWER_INCARNATION, .from = 1, .to = 1};
    struct sup_log_reader *reader = sup_log_reader_new();
    struct sup_log_batch batch;

    assert_int_equal(sup_log_reader_fill(reader, n->store, &range, 1, 65536, &batch, NULL), SUP_OK);
    assert_int_equal(batch.n, 1);
    assert_bytes(batch.m[0].encoded, expected);
    sup_log_reader_free(reader);
}

/* newer → a → b → c, where a, b and c are this program and each knows its neighbours only. */
static void chain_keeps_unknown_fields(int (*how)(struct sup_apply *a, struct sup_txn *t, void *arg,
                                                  struct sup_err *err),
                                       bool logged)
{
    static struct replica_node n[3];
    const struct replica_node *const next[3][REPLICA_NODE_PEERS] = {
        {&n[1]}, {&n[0], &n[2]}, {&n[1]}};
    static const char *const names[3] = {"a", "b", "c"};
    struct sup_buf encoded;

    newer_decision(&encoded);
    for (size_t i = 0; i < 3; i++) {
        node_start(&n[i], names[i]);
        replica_node_address(&n[i]);
    }
    assert_int_equal(sup_apply_run(n[0].apply, how, &encoded, NULL), SUP_OK);
    for (size_t i = 0; i < 3; i++)
        replica_node_replicate(&n[i], next[i], i == 1 ? 2 : 1);
    for (size_t i = 0; i < 3; i++) {
        assert_record(&n[i], &encoded, 120000);
        if (logged)
            assert_logged(&n[i], &encoded);
    }
    for (size_t i = 0; i < 3; i++)
        replica_node_close(&n[i]);
    sup_buf_fini(&encoded);
}

static void unknown_fields_survive_replication(void **state)
{
    (void)state;
    chain_keeps_unknown_fields(logged_run, true);
}

static void unknown_fields_survive_repair(void **state)
{
    (void)state;
    chain_keeps_unknown_fields(unlogged_run, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_fields_survive_replication),
        cmocka_unit_test(unknown_fields_survive_repair),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
