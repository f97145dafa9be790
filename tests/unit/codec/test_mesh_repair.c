/* Messages of repair: round trips, limits, damage. */
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
static uint8_t junk[SUP_REPAIR_SYMBOLS_MAX * SUP_REPAIR_SYMBOL_MAX + 1];

static int setup(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(junk); i++)
        junk[i] = (uint8_t)(i * 7 + 1);
    return mesh_msg_open(&f, SUP_FRAME_BODY_MAX);
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

static void travel(enum sup_frame_type type)
{
    if (encode(type) != SUP_OK)
        fail_msg("%s", f.err.msg);
    assert_int_equal(mesh_msg_decode(&f), SUP_OK);
    assert_int_equal(f.out.type, type);
    assert_int_equal(f.out.u.repair.round, type == SUP_FRAME_REPAIR_SUMS ? 0 : f.in.u.repair.round);
}

static bool same(struct sup_slice a, struct sup_slice b)
{
    return sup_slice_eq(a, b);
}

static void asks(void **state)
{
    struct sup_repair_ask *in = &f.in.u.repair.u.ask;
    const struct sup_repair_ask *out = &f.out.u.repair.u.ask;

    (void)state;
    f.in.u.repair.round = 7;
    travel(SUP_FRAME_REPAIR_ASK);
    assert_int_equal(out->symbols + out->shards.n + out->strata.n, 0);
    in->symbols = 1ULL << 40;
    in->shards = sup_slice_of(junk, SUP_REPAIR_SHARDS_SIZE);
    in->strata = sup_slice_of(junk, SUP_REPAIR_STRATA_SIZE);
    travel(SUP_FRAME_REPAIR_ASK);
    assert_true(out->symbols == 1ULL << 40);
    assert_true(same(in->shards, out->shards) && same(in->strata, out->strata));
    in->shards.n--;
    assert_int_equal(encode(SUP_FRAME_REPAIR_ASK), SUP_EINPUT);
    in->shards.n++;
    in->strata.n++;
    assert_int_equal(encode(SUP_FRAME_REPAIR_ASK), SUP_EINPUT);
}

static void symbols(void **state)
{
    struct sup_repair_symbols *in = &f.in.u.repair.u.symbols;
    const struct sup_repair_symbols *out = &f.out.u.repair.u.symbols;

    (void)state;
    f.in.u.repair.round = UINT32_MAX;
    *in = (struct sup_repair_symbols){.first = 9,
                                      .count = SUP_REPAIR_SYMBOLS_MAX,
                                      .n_set = 1000000,
                                      .until = 9 + SUP_REPAIR_SYMBOLS_MAX,
                                      .state = SUP_REPAIR_END,
                                      .symbols = sup_slice_of(junk, sizeof(junk) - 1)};
    travel(SUP_FRAME_REPAIR_SYMBOLS);
    assert_int_equal(out->first, 9);
    assert_int_equal(out->count, SUP_REPAIR_SYMBOLS_MAX);
    assert_int_equal(out->n_set, 1000000);
    assert_int_equal(out->until, in->until);
    assert_int_equal(out->state, SUP_REPAIR_END);
    assert_true(same(in->symbols, out->symbols));
    in->symbols.n++; /* more bytes than so many symbols have */
    assert_int_equal(encode(SUP_FRAME_REPAIR_SYMBOLS), SUP_EINPUT);
    in->symbols.n--;
    in->until--; /* ends before what it holds */
    assert_int_equal(encode(SUP_FRAME_REPAIR_SYMBOLS), SUP_EINPUT);
    in->until = in->first = 1ULL << 32;
    assert_int_equal(encode(SUP_FRAME_REPAIR_SYMBOLS), SUP_EINPUT);
    in->first = 0;
    in->count++;
    assert_int_equal(encode(SUP_FRAME_REPAIR_SYMBOLS), SUP_EINPUT);
}

/* state 4 is for a newer program to define. */
static void unknown_states_are_refused(void **state)
{
    static const uint8_t body[] = {0x08, 1, 0x30, 4};
    static const uint8_t known[] = {0x08, 1, 0x30, 3};

    (void)state;
    assert_int_equal(sup_mesh_msg_decode(SUP_FRAME_REPAIR_SYMBOLS,
                                         sup_slice_of(known, sizeof(known)), f.mem, &f.out, &f.err),
                     SUP_OK);
    assert_int_equal(f.out.u.repair.u.symbols.state, SUP_REPAIR_DIFFERENT);
    assert_int_equal(sup_mesh_msg_decode(SUP_FRAME_REPAIR_SYMBOLS, sup_slice_of(body, sizeof(body)),
                                         f.mem, &f.out, &f.err),
                     SUP_ECORRUPT);
}

static void sums_and_fetches(void **state)
{
    struct sup_repair_fetch *in = &f.in.u.repair.u.fetch;

    (void)state;
    travel(SUP_FRAME_REPAIR_SUMS);
    assert_int_equal(f.out.u.repair.u.sums.sums.n, 0);
    f.in.u.repair.u.sums.sums = sup_slice_of(junk, SUP_REPAIR_SUMS_SIZE);
    travel(SUP_FRAME_REPAIR_SUMS);
    assert_true(same(f.in.u.repair.u.sums.sums, f.out.u.repair.u.sums.sums));
    f.in.u.repair.u.sums.sums.n--;
    assert_int_equal(encode(SUP_FRAME_REPAIR_SUMS), SUP_EINPUT);

    *in = (struct sup_repair_fetch){.count = 2, .wants = sup_slice_of(junk, 18)};
    travel(SUP_FRAME_REPAIR_FETCH);
    assert_int_equal(f.out.u.repair.u.fetch.count, 2);
    assert_true(same(in->wants, f.out.u.repair.u.fetch.wants));
    in->wants.n = 2 * SUP_REPAIR_WANT_MAX + 1;
    assert_int_equal(encode(SUP_FRAME_REPAIR_FETCH), SUP_EINPUT);
    in->count = SUP_REPAIR_WANTS_MAX + 1;
    assert_int_equal(encode(SUP_FRAME_REPAIR_FETCH), SUP_EINPUT);
}

static void records(void **state)
{
    static struct sup_repair_entry e[SUP_REPAIR_ENTRIES_MAX + 1];
    struct sup_repair_records *in = &f.in.u.repair.u.records;
    const struct sup_repair_records *out = &f.out.u.repair.u.records;

    (void)state;
    *in = (struct sup_repair_records){.last = true};
    travel(SUP_FRAME_REPAIR_RECORDS);
    assert_true(out->last && out->n == 0 && out->vv.n == 0);
    sup_vv_init(&in->vv);
    assert_int_equal(sup_vv_raise(&in->vv, 77, 3), SUP_OK);
    travel(SUP_FRAME_REPAIR_RECORDS);
    assert_true(sup_vv_get(&out->vv, 77) == 3);
    for (size_t i = 0; i < SUP_REPAIR_ENTRIES_MAX + 1; i++)
        e[i] = (struct sup_repair_entry){.key = SUP_SLICE_LIT("a@example.com"),
                                         .encoded = sup_slice_of(junk + i, 1 + i % 200)};
    *in = (struct sup_repair_records){.entries = e, .n = SUP_REPAIR_ENTRIES_MAX};
    travel(SUP_FRAME_REPAIR_RECORDS);
    assert_false(out->last);
    assert_int_equal(out->n, SUP_REPAIR_ENTRIES_MAX);
    for (size_t i = 0; i < out->n; i++)
        assert_true(same(out->entries[i].key, e[i].key) &&
                    same(out->entries[i].encoded, e[i].encoded));
    in->n++;
    assert_int_equal(encode(SUP_FRAME_REPAIR_RECORDS), SUP_EINPUT);
    in->n = 1;
    e[0].key.n = 0;
    assert_int_equal(encode(SUP_FRAME_REPAIR_RECORDS), SUP_EINPUT);
    e[0].key = SUP_SLICE_LIT("a@example.com\0");
    assert_int_equal(encode(SUP_FRAME_REPAIR_RECORDS), SUP_EINPUT);
    e[0].key = SUP_SLICE_LIT("a@example.com");
    e[0].encoded = sup_slice_of(junk, SUP_DECISION_MAX + 1);
    assert_int_equal(encode(SUP_FRAME_REPAIR_RECORDS), SUP_EINPUT);
    e[0].encoded.n = 0;
    assert_int_equal(encode(SUP_FRAME_REPAIR_RECORDS), SUP_EINPUT);
}

static void heartbeats_carry_the_root(void **state)
{
    struct sup_heartbeat *h = &f.in.u.heartbeat;
    static const uint8_t short_root[] = {0x3a, 2, 1, 2};

    (void)state;
    h->incarnation = 1;
    f.in.type = SUP_FRAME_HEARTBEAT;
    assert_int_equal(encode(SUP_FRAME_HEARTBEAT), SUP_OK);
    size_t without = f.body.n;
    h->has_root = true;
    memcpy(h->root, junk, sizeof(h->root));
    assert_int_equal(encode(SUP_FRAME_HEARTBEAT), SUP_OK);
    print_message("equal sets: %zu bytes a comparison\n", f.body.n - without);
    assert_true(f.body.n - without <= 64);
    assert_int_equal(
        sup_mesh_msg_decode(SUP_FRAME_HEARTBEAT, sup_buf_slice(&f.body), f.out_mem, &f.out, &f.err),
        SUP_OK);
    assert_true(f.out.u.heartbeat.has_root);
    assert_memory_equal(f.out.u.heartbeat.root, junk, sizeof(h->root));
    assert_int_equal(sup_mesh_msg_decode(SUP_FRAME_HEARTBEAT,
                                         sup_slice_of(short_root, sizeof(short_root)), f.out_mem,
                                         &f.out, &f.err),
                     SUP_ECORRUPT);
}

static void random_damage(void **state)
{
    struct sup_rng r = property_rng("damage");
    struct sup_repair_entry e[20];
    uint8_t body[4096];

    (void)state;
    for (size_t c = 0; c < property_cases(20000); c++) {
        enum sup_frame_type type =
            (enum sup_frame_type)(SUP_FRAME_REPAIR_ASK + sup_rng_below(&r, 5));
        memset(&f.in.u.repair, 0, sizeof(f.in.u.repair));
        f.in.u.repair.round = (uint32_t)sup_rng_u64(&r);
        if (type == SUP_FRAME_REPAIR_RECORDS) {
            for (size_t i = 0; i < 20; i++)
                e[i] = (struct sup_repair_entry){SUP_SLICE_LIT("x@y"), sup_slice_of(junk, 40)};
            f.in.u.repair.u.records = (struct sup_repair_records){.entries = e, .n = 20};
        } else if (type == SUP_FRAME_REPAIR_SYMBOLS) {
            f.in.u.repair.u.symbols = (struct sup_repair_symbols){
                .count = 10, .until = 10, .symbols = sup_slice_of(junk, 230)};
        } else if (type == SUP_FRAME_REPAIR_FETCH) {
            f.in.u.repair.u.fetch = (struct sup_repair_fetch){10, sup_slice_of(junk, 90)};
        }
        assert_int_equal(encode(type), SUP_OK);
        memcpy(body, f.body.p, f.body.n);
        property_mutate(&r, body, f.body.n);
        int rc = sup_mesh_msg_decode(type, sup_slice_of(body, sup_rng_below(&r, f.body.n + 1)),
                                     f.out_mem, &f.out, &f.err);
        if (rc == SUP_OK) /* then it could have been sent */
            assert_int_equal(sup_mesh_msg_encode(&f.out, f.mem, &f.body, &f.err), SUP_OK);
        else
            assert_true(rc == SUP_ECORRUPT || rc == SUP_ELIMIT);
    }
}

/* --- golden bytes: as version 1 must always send and read them --- */

static void add_frame(struct sup_buf *hex, enum sup_frame_type type)
{
    assert_int_equal(encode(type), SUP_OK);
    golden_add_frame(hex, (uint16_t)type, sup_buf_slice(&f.body));
}

static void all_frames(struct sup_buf *hex)
{
    static const struct sup_repair_entry entry = {SUP_SLICE_LIT("a@example.com"),
                                                  SUP_SLICE_LIT("decision")};
    struct sup_repair_msg *m = &f.in.u.repair;

    f.in.u.heartbeat.incarnation = 1;
    f.in.u.heartbeat.has_root = true;
    memcpy(f.in.u.heartbeat.root, junk, sizeof(f.in.u.heartbeat.root));
    add_frame(hex, SUP_FRAME_HEARTBEAT);
    memset(&f.in, 0, sizeof(f.in));
    m->round = 2;
    m->u.ask = (struct sup_repair_ask){.symbols = 300,
                                       .shards = sup_slice_of(junk, SUP_REPAIR_SHARDS_SIZE),
                                       .strata = sup_slice_of(junk, SUP_REPAIR_STRATA_SIZE)};
    add_frame(hex, SUP_FRAME_REPAIR_ASK);
    m->u.symbols = (struct sup_repair_symbols){.first = 4,
                                               .count = 2,
                                               .n_set = 1000000,
                                               .until = 300,
                                               .state = SUP_REPAIR_END,
                                               .symbols = sup_slice_of(junk, 46)};
    add_frame(hex, SUP_FRAME_REPAIR_SYMBOLS);
    m->u.sums = (struct sup_repair_sums){.sums = {NULL, 0}};
    add_frame(hex, SUP_FRAME_REPAIR_SUMS);
    m->u.fetch = (struct sup_repair_fetch){.count = 2, .wants = sup_slice_of(junk, 18)};
    add_frame(hex, SUP_FRAME_REPAIR_FETCH);
    memset(&m->u, 0, sizeof(m->u));
    m->u.records = (struct sup_repair_records){.last = true, .entries = &entry, .n = 1};
    assert_int_equal(sup_vv_raise(&m->u.records.vv, 0x0123456789abcdef, 7), SUP_OK);
    add_frame(hex, SUP_FRAME_REPAIR_RECORDS);
}

static void golden_bytes(void **state)
{
    struct sup_buf hex;

    (void)state;
    sup_buf_init(&hex, 16384);
    all_frames(&hex);
    golden_check("v1-repair", &hex);
    sup_buf_fini(&hex);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(asks),
        TEST(symbols),
        TEST(unknown_states_are_refused),
        TEST(sums_and_fetches),
        TEST(records),
        TEST(heartbeats_carry_the_root),
        TEST(random_damage),
        TEST(golden_bytes),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
