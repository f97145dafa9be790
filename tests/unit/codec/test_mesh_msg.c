/* Messages: round trips, golden bytes of version 1, and every value that must be refused. */
#include "base/random.h"
#include "codec/mesh_msg.h"
#include "codec/value.h"
#include "golden.h"
#include "mesh.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

struct fixture {
    struct sup_mesh_mem *mem;
    struct sup_mesh_msg in;
    struct sup_mesh_msg out;
    struct sup_buf body;
    struct sup_err err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->mem = sup_mesh_mem_new();
    sup_buf_init(&f->body, SUP_FRAME_BODY_MAX);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    sup_mesh_mem_free(f->mem);
    sup_buf_fini(&f->body);
    free(f);
    return 0;
}

static void there_and_back(struct fixture *f)
{
    sup_buf_reset(&f->body);
    assert_int_equal(sup_mesh_msg_encode(&f->in, f->mem, &f->body, &f->err), SUP_OK);
    memset(&f->out, 0xa5, sizeof(f->out));
    int rc = sup_mesh_msg_decode((unsigned)f->in.type, sup_buf_slice(&f->body), f->mem, &f->out,
                                 &f->err);
    if (rc != SUP_OK)
        print_error("%s\n", f->err.msg);
    assert_int_equal(rc, SUP_OK);
    assert_int_equal(f->out.type, f->in.type);
}

static void same_vv(const struct sup_vv *a, const struct sup_vv *b)
{
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->e, b->e, a->n * sizeof(a->e[0]));
}

static void some_vv(struct sup_vv *vv, size_t n)
{
    sup_vv_init(vv);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(sup_vv_raise(vv, (i + 1) * 0x0123456789abcdefULL, i * i + 1), SUP_OK);
}

static void good_hello(struct sup_mesh_msg *m)
{
    memset(m, 0, sizeof(*m));
    m->type = SUP_FRAME_HELLO;
    m->u.hello = (struct sup_hello){.min_version = 1,
                                    .max_version = 1,
                                    .features = 0x8000000000000001ULL,
                                    .cluster = "prod",
                                    .node = "eu-west-1/b",
                                    .node_id = 0x1122334455667788ULL,
                                    .incarnation = 0x99aabbccddeeff00ULL,
                                    .drift_limit_ms = 60000,
                                    .key_check = 0xfeedfacecafebeefULL,
                                    .wall_ms = 1795500000123};
    some_vv(&m->u.hello.vv, 3);
}

static void hello(void **state)
{
    struct fixture *f = *state;

    good_hello(&f->in);
    there_and_back(f);
    const struct sup_hello *a = &f->in.u.hello;
    const struct sup_hello *b = &f->out.u.hello;
    assert_int_equal(a->min_version, b->min_version);
    assert_int_equal(a->max_version, b->max_version);
    assert_true(a->features == b->features && a->node_id == b->node_id);
    assert_true(a->incarnation == b->incarnation && a->key_check == b->key_check);
    assert_int_equal(a->drift_limit_ms, b->drift_limit_ms);
    assert_int_equal(a->wall_ms, b->wall_ms);
    assert_string_equal(a->cluster, b->cluster);
    assert_string_equal(a->node, b->node);
    same_vv(&a->vv, &b->vv);
    /* The largest one is within what a stranger may send. */
    some_vv(&f->in.u.hello.vv, SUP_VV_MAX);
    there_and_back(f);
    same_vv(&f->in.u.hello.vv, &f->out.u.hello.vv);
    assert_true(f->body.n <= SUP_MESH_HELLO_MAX);
}

static void set_reason(struct fixture *f, const char *reason)
{
    (void)snprintf(f->in.u.goodbye.reason, sizeof(f->in.u.goodbye.reason), "%s", reason);
}

static void goodbye(void **state)
{
    struct fixture *f = *state;

    memset(&f->in, 0, sizeof(f->in));
    for (int i = 0; i < 2; i++) {
        f->in.type = i ? SUP_FRAME_BYE : SUP_FRAME_REFUSE;
        f->in.u.goodbye.code = SUP_REFUSED_DRIFT;
        set_reason(f, "other drift limit");
        there_and_back(f);
        assert_int_equal(f->out.u.goodbye.code, SUP_REFUSED_DRIFT);
        assert_string_equal(f->out.u.goodbye.reason, "other drift limit");
        memset(f->in.u.goodbye.reason, 'x', SUP_MESH_REASON_MAX);
        f->in.u.goodbye.reason[3] = '\x1b'; /* a terminal's escape must not arrive */
        there_and_back(f);
        assert_int_equal(strlen(f->out.u.goodbye.reason), SUP_MESH_REASON_MAX);
        assert_int_equal(f->out.u.goodbye.reason[3], '?');
    }
    assert_string_equal(sup_refusal_name(SUP_REFUSED_DRIFT), "drift");
    assert_string_equal(sup_refusal_name(12345), "other");
}

static void heartbeat(void **state)
{
    struct fixture *f = *state;

    memset(&f->in, 0, sizeof(f->in));
    f->in.type = SUP_FRAME_HEARTBEAT;
    f->in.u.heartbeat = (struct sup_heartbeat){.wall_ms = -5,
                                               .mono_ns = UINT64_MAX,
                                               .echo_mono_ns = 7,
                                               .echo_held_us = UINT64_MAX,
                                               .incarnation = 9};
    some_vv(&f->in.u.heartbeat.vv, 2);
    there_and_back(f);
    assert_int_equal(f->out.u.heartbeat.wall_ms, -5);
    assert_true(f->out.u.heartbeat.mono_ns == UINT64_MAX);
    assert_int_equal(f->out.u.heartbeat.echo_mono_ns, 7);
    assert_true(f->out.u.heartbeat.echo_held_us == UINT64_MAX);
    assert_int_equal(f->out.u.heartbeat.incarnation, 9);
    same_vv(&f->in.u.heartbeat.vv, &f->out.u.heartbeat.vv);
}

static void pull_and_ack(void **state)
{
    struct fixture *f = *state;

    memset(&f->in, 0, sizeof(f->in));
    for (int i = 0; i < 2; i++) {
        f->in.type = i ? SUP_FRAME_ACK : SUP_FRAME_PULL;
        f->in.u.pull.credit = 1U << 20;
        some_vv(&f->in.u.pull.vv, (size_t)i * 5);
        there_and_back(f);
        assert_int_equal(f->out.u.pull.credit, 1U << 20);
        same_vv(&f->in.u.pull.vv, &f->out.u.pull.vv);
    }
}

static void trimmed(void **state)
{
    struct fixture *f = *state;

    memset(&f->in, 0, sizeof(f->in));
    f->in.type = SUP_FRAME_TRIMMED;
    for (size_t n = 0; n <= SUP_VV_MAX; n = 3 * n + 1) {
        some_vv(&f->in.u.trimmed.floor, n);
        there_and_back(f);
        same_vv(&f->in.u.trimmed.floor, &f->out.u.trimmed.floor);
    }
}

static void mutations_at_random(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = (uint64_t)time(NULL);
    struct sup_rng rng;
    static struct sup_mutation ms[SUP_MESH_MUTATIONS_MAX];
    static uint8_t bytes[SUP_DECISION_MAX];

    print_message("seed %llu\n", (unsigned long long)seed);
    sup_rng_seed(&rng, seed);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(1 + sup_rng_below(&rng, 255)); /* keys hold no NUL */
    for (int round = 0; round < 40; round++) {
        size_t n = round == 0 ? SUP_MESH_MUTATIONS_MAX : 1 + sup_rng_below(&rng, 300);
        size_t big = round == 0 ? 200 : sizeof(bytes);
        size_t size = 0;
        for (size_t i = 0; i < n; i++) {
            ms[i] = (struct sup_mutation){
                .incarnation = 1 + sup_rng_below(&rng, UINT64_MAX),
                .seq = 1 + (sup_rng_u64(&rng) >> (1 + sup_rng_below(&rng, 63))),
                .key = sup_slice_of(bytes, 1 + sup_rng_below(&rng, SUP_ADDRESS_MAX)),
                .cls = (enum sup_class)(1 + sup_rng_below(&rng, SUP_N_CLASSES)),
                .encoded = sup_slice_of(bytes, 1 + sup_rng_below(&rng, big))};
            size += sup_mesh_mutation_size(&ms[i]);
        }
        f->in.type = SUP_FRAME_MUTATIONS;
        f->in.u.mutations = (struct sup_mutations){.m = ms, .n = n};
        there_and_back(f);
        assert_int_equal(f->out.u.mutations.n, n);
        assert_int_equal(f->out.u.mutations.cost, f->body.n);
        assert_int_equal(f->body.n, size); /* or credit would leak away, or grow */
        for (size_t i = 0; i < n; i++) {
            const struct sup_mutation *m = &f->out.u.mutations.m[i];
            assert_true(m->incarnation == ms[i].incarnation && m->seq == ms[i].seq);
            assert_int_equal(m->cls, ms[i].cls);
            assert_true(sup_slice_eq(m->key, ms[i].key));
            assert_true(sup_slice_eq(m->encoded, ms[i].encoded));
        }
    }
}

/* --- what must not pass, in either direction --- */

static void refuse_to_send(struct fixture *f)
{
    sup_buf_reset(&f->body);
    assert_int_equal(sup_mesh_msg_encode(&f->in, f->mem, &f->body, &f->err), SUP_EINPUT);
    assert_non_null(strstr(f->err.msg, "cannot send"));
    assert_int_equal(f->body.n, 0);
}

static void bad_hellos(void **state)
{
    struct fixture *f = *state;
    struct sup_hello *h = &f->in.u.hello;

    good_hello(&f->in);
    h->min_version = 0;
    refuse_to_send(f);
    good_hello(&f->in);
    h->max_version = 0;
    refuse_to_send(f);
    good_hello(&f->in);
    h->cluster[0] = '\0';
    refuse_to_send(f);
    good_hello(&f->in);
    h->node[2] = ' ';
    refuse_to_send(f);
    good_hello(&f->in);
    h->node[2] = '\n';
    refuse_to_send(f);
    good_hello(&f->in);
    h->node_id = 0;
    refuse_to_send(f);
    good_hello(&f->in);
    h->incarnation = 0;
    refuse_to_send(f);
}

static struct sup_mutation good_mutation(void)
{
    return (struct sup_mutation){.incarnation = 1,
                                 .seq = 1,
                                 .key = SUP_SLICE_LIT("a@example.com"),
                                 .cls = SUP_CLASS_BOUNCE,
                                 .encoded = SUP_SLICE_LIT("decision")};
}

static void bad_mutations_are_not_sent(void **state)
{
    struct fixture *f = *state;
    static uint8_t big[SUP_DECISION_MAX + 1];
    struct sup_mutation m = good_mutation();

    memset(big, 'x', sizeof(big));
    f->in.type = SUP_FRAME_MUTATIONS;
    f->in.u.mutations = (struct sup_mutations){.m = &m, .n = 0};
    refuse_to_send(f);
    f->in.u.mutations.n = SUP_MESH_MUTATIONS_MAX + 1;
    refuse_to_send(f);
    f->in.u.mutations.n = 1;
    m.incarnation = 0;
    refuse_to_send(f);
    m = good_mutation();
    m.seq = 0;
    refuse_to_send(f);
    m = good_mutation();
    m.key.n = 0;
    refuse_to_send(f);
    m.key = sup_slice_of(big, SUP_ADDRESS_MAX + 1);
    refuse_to_send(f);
    m.key = SUP_SLICE_LIT("a\0b@example.com");
    refuse_to_send(f);
    m = good_mutation();
    m.cls = (enum sup_class)0;
    refuse_to_send(f);
    m = good_mutation();
    m.encoded.n = 0;
    refuse_to_send(f);
    m.encoded = sup_slice_of(big, SUP_DECISION_MAX + 1);
    refuse_to_send(f);
}

static void refuse_to_read(struct fixture *f, unsigned type, struct sup_slice body, int code)
{
    assert_int_equal(sup_mesh_msg_decode(type, body, f->mem, &f->out, &f->err), code);
    assert_true(f->err.msg[0] != '\0');
}

/* Built with protobuf-c directly: what a peer with other rules could send. */
static void read_mutation(struct fixture *f, const struct sup_mutation *m, uint32_t cls, int code)
{
    Supsync__Mesh__Mutations all = SUPSYNC__MESH__MUTATIONS__INIT;
    Supsync__Mesh__Mutation one = SUPSYNC__MESH__MUTATION__INIT;
    Supsync__Mesh__Mutation *list[] = {&one};
    static uint8_t bytes[16384];

    one.incarnation = m->incarnation;
    one.seq = m->seq;
    one.class_ = cls;
    one.key = (ProtobufCBinaryData){m->key.n, (uint8_t *)(uintptr_t)m->key.p};
    one.decision = (ProtobufCBinaryData){m->encoded.n, (uint8_t *)(uintptr_t)m->encoded.p};
    all.n_mutations = 1;
    all.mutations = list;
    assert_true(supsync__mesh__mutations__get_packed_size(&all) <= sizeof(bytes));
    size_t n = supsync__mesh__mutations__pack(&all, bytes);
    assert_int_equal(
        sup_mesh_msg_decode(SUP_FRAME_MUTATIONS, sup_slice_of(bytes, n), f->mem, &f->out, &f->err),
        code);
}

static void bad_mutations_are_not_read(void **state)
{
    struct fixture *f = *state;
    static uint8_t big[SUP_DECISION_MAX + 1];
    struct sup_mutation m = good_mutation();

    memset(big, 'x', sizeof(big));
    read_mutation(f, &m, SUP_CLASS_MANUAL, SUP_OK);
    read_mutation(f, &m, 0, SUP_ECORRUPT);
    read_mutation(f, &m, SUP_N_CLASSES + 1, SUP_ECORRUPT);
    read_mutation(f, &m, UINT32_MAX, SUP_ECORRUPT);
    m.incarnation = 0;
    read_mutation(f, &m, 1, SUP_ECORRUPT);
    m = good_mutation();
    m.seq = 0;
    read_mutation(f, &m, 1, SUP_ECORRUPT);
    m = good_mutation();
    m.key.n = 0;
    read_mutation(f, &m, 1, SUP_ECORRUPT);
    m.key = sup_slice_of(big, SUP_ADDRESS_MAX + 1);
    read_mutation(f, &m, 1, SUP_ECORRUPT);
    m.key = SUP_SLICE_LIT("a\0b@example.com");
    read_mutation(f, &m, 1, SUP_ECORRUPT);
    m = good_mutation();
    m.encoded.n = 0;
    read_mutation(f, &m, 1, SUP_ECORRUPT);
    m.encoded = sup_slice_of(big, SUP_DECISION_MAX + 1);
    read_mutation(f, &m, 1, SUP_ECORRUPT);
}

static void bad_bodies(void **state)
{
    struct fixture *f = *state;
    static uint8_t many[SUP_FRAME_BODY_MAX];

    refuse_to_read(f, 0, SUP_SLICE_LIT(""), SUP_ENOTFOUND);
    refuse_to_read(f, 21, SUP_SLICE_LIT(""), SUP_ENOTFOUND);
    refuse_to_read(f, SUP_FRAME_HELLO, SUP_SLICE_LIT(""), SUP_ECORRUPT);
    refuse_to_read(f, SUP_FRAME_MUTATIONS, SUP_SLICE_LIT(""), SUP_ECORRUPT);
    for (unsigned type = SUP_FRAME_HELLO; type <= SUP_FRAME_ACK; type++)
        refuse_to_read(f, type, SUP_SLICE_LIT("\xff\xff\xff\xff"), SUP_ECORRUPT);
    /* Two million empty mutations in four megabytes: each would cost a hundred bytes here. */
    for (size_t i = 0; i < sizeof(many); i += 2) {
        many[i] = 0x0a;
        many[i + 1] = 0;
    }
    refuse_to_read(f, SUP_FRAME_MUTATIONS, sup_slice_of(many, sizeof(many)), SUP_ELIMIT);
    /* A version vector of a million entries. */
    refuse_to_read(f, SUP_FRAME_PULL, sup_slice_of(many, sizeof(many)), SUP_ELIMIT);
    refuse_to_read(f, SUP_FRAME_PULL, sup_slice_of(many, 2 * (SUP_VV_MAX + 1)), SUP_ECORRUPT);
    /* An entry without an incarnation. */
    refuse_to_read(f, SUP_FRAME_PULL, sup_slice_of(many, 2), SUP_ECORRUPT);
}

static void unknown_fields_are_ignored(void **state)
{
    struct fixture *f = *state;

    good_hello(&f->in);
    assert_int_equal(sup_mesh_msg_encode(&f->in, f->mem, &f->body, &f->err), SUP_OK);
    sup_buf_add(&f->body, "\xf2\x07\x05hello", 8); /* field 126, five bytes */
    assert_int_equal(
        sup_mesh_msg_decode(SUP_FRAME_HELLO, sup_buf_slice(&f->body), f->mem, &f->out, &f->err),
        SUP_OK);
    assert_string_equal(f->out.u.hello.node, "eu-west-1/b");
}

/* Random damage gives an error or a message within all limits; the sanitizers watch. */
static void random_damage(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = (uint64_t)time(NULL);
    struct sup_rng rng;

    sup_rng_seed(&rng, seed);
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < 20000; i++) {
        good_hello(&f->in);
        sup_buf_reset(&f->body);
        assert_int_equal(sup_mesh_msg_encode(&f->in, f->mem, &f->body, &f->err), SUP_OK);
        for (uint64_t n = 1 + sup_rng_below(&rng, 4); n > 0; n--)
            f->body.p[sup_rng_below(&rng, f->body.n)] = (uint8_t)sup_rng_u64(&rng);
        unsigned type = 1 + (unsigned)sup_rng_below(&rng, 7);
        if (sup_mesh_msg_decode(type, sup_buf_slice(&f->body), f->mem, &f->out, &f->err) != SUP_OK)
            continue;
        if (type == SUP_FRAME_HELLO) {
            assert_in_range(strlen(f->out.u.hello.node), 1, SUP_MESH_NAME_MAX);
            assert_in_range(f->out.u.hello.vv.n, 0, SUP_VV_MAX);
        }
    }
}

/* --- golden bytes: frames of protocol version 1, as they must stay readable --- */

static void golden(struct fixture *f, const char *name)
{
    struct sup_buf hex;

    sup_buf_init(&hex, 65536);
    there_and_back(f);
    golden_add_frame(&hex, (uint16_t)f->in.type, sup_buf_slice(&f->body));
    golden_check(name, &hex);
    sup_buf_fini(&hex);
}

/* What version 1 got when it was spoken already: fields that may be missing. */
static void golden_later(struct fixture *f)
{
    good_hello(&f->in);
    f->in.u.hello.features = SUP_FEATURE_REPAIR | SUP_FEATURE_SNAPSHOT;
    f->in.u.hello.epoch = 7;
    f->in.u.hello.members = 0x0102030405060708ULL;
    f->in.u.hello.standing = SUP_STANDING_JOINING;
    golden(f, "v1-hello-members");
    memset(&f->in, 0, sizeof(f->in));
    f->in.type = SUP_FRAME_HEARTBEAT;
    f->in.u.heartbeat.wall_ms = 1795500000123;
    f->in.u.heartbeat.incarnation = 0x99aabbccddeeff00ULL;
    f->in.u.heartbeat.epoch = 7;
    f->in.u.heartbeat.members = 0x0102030405060708ULL;
    f->in.u.heartbeat.standing = SUP_STANDING_READY;
    some_vv(&f->in.u.heartbeat.vv, 2);
    golden(f, "v1-heartbeat-members");
}

static void golden_bytes(void **state)
{
    struct fixture *f = *state;
    struct sup_mutation ms[2] = {good_mutation(), good_mutation()};

    good_hello(&f->in);
    golden(f, "v1-hello");
    memset(&f->in, 0, sizeof(f->in));
    f->in.type = SUP_FRAME_REFUSE;
    f->in.u.goodbye.code = SUP_REFUSED_CLUSTER;
    set_reason(f, "cluster is test, not prod");
    golden(f, "v1-refuse");
    f->in.type = SUP_FRAME_BYE;
    f->in.u.goodbye.code = SUP_REFUSED_STOPPING;
    set_reason(f, "node is stopping");
    golden(f, "v1-bye");
    memset(&f->in, 0, sizeof(f->in));
    f->in.type = SUP_FRAME_HEARTBEAT;
    f->in.u.heartbeat = (struct sup_heartbeat){.wall_ms = 1795500000123,
                                               .mono_ns = 123456789,
                                               .echo_mono_ns = 987654321,
                                               .echo_held_us = 1000,
                                               .incarnation = 0x99aabbccddeeff00ULL};
    some_vv(&f->in.u.heartbeat.vv, 2);
    golden(f, "v1-heartbeat");
    memset(&f->in, 0, sizeof(f->in));
    f->in.type = SUP_FRAME_PULL;
    f->in.u.pull.credit = 1U << 20;
    some_vv(&f->in.u.pull.vv, 2);
    golden(f, "v1-pull");
    f->in.type = SUP_FRAME_ACK;
    golden(f, "v1-ack");
    ms[1].seq = 300;
    ms[1].cls = SUP_CLASS_COMPLAINT;
    f->in.type = SUP_FRAME_MUTATIONS;
    f->in.u.mutations = (struct sup_mutations){.m = ms, .n = 2};
    golden(f, "v1-mutations");
    f->in.type = SUP_FRAME_TRIMMED;
    some_vv(&f->in.u.trimmed.floor, 2);
    golden(f, "v1-trimmed");
    golden_later(f);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hello),
        TEST(goodbye),
        TEST(heartbeat),
        TEST(pull_and_ack),
        TEST(trimmed),
        TEST(mutations_at_random),
        TEST(bad_hellos),
        TEST(bad_mutations_are_not_sent),
        TEST(bad_mutations_are_not_read),
        TEST(bad_bodies),
        TEST(unknown_fields_are_ignored),
        TEST(random_damage),
        TEST(golden_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
