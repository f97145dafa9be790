/* An empty node that joins, and the only member that has a set means harm: what it gives for a
 * snapshot is out of order, damaged, without end, of the future, or claims what it does not hold.
 * The node must take nothing in that is wrong, end the stream, and stay within its bounds. */
#include "base/clock.h"
#include "base/random.h"
#include "codec/keys.h"
#include "mesh/session_impl.h"
#include "mesh_rig.h"
#include "replica_node.h"
#include "service/apply_txn.h"
#include "service/quarantine.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include <cmocka.h>

#define WAIT_MS 30000
#define N       600

/* A donor's records as b's store orders them. */
struct sorted {
    char address[48];
    struct sup_key key;
};

struct host;
typedef void script_fn(struct host *h, struct sup_session *s, uint32_t id);

struct host {
    struct replica_node b;
    struct replica_node a; /* its name and address */
    struct rig_node hostile;
    struct sup_heart *heart;
    struct sup_mesh_server *server;
    script_fn *script;
    atomic_uint asks, cancels, ends;
    unsigned given; /* messages */
    struct sorted sorted[N];
    struct sup_snapshot_record records[N];
    uint8_t decision[256];
    size_t decision_n;
    struct sup_mesh_msg msg; /* of scripts */
    struct sup_repair_entry quarantined[SUP_SNAPSHOT_RECORDS_MAX];
    char keys[SUP_SNAPSHOT_RECORDS_MAX][64];
};

/* --- the donor --- */

static bool knows_all(void *arg, const char *node)
{
    (void)arg;
    (void)node;
    return true;
}

static enum sup_standing is_ready(void *arg)
{
    (void)arg;
    return SUP_STANDING_READY;
}

static void serve(void *arg, struct sup_session *s)
{
    struct host *h = arg;
    struct sup_mesh_mem *mem = sup_mesh_mem_new();
    struct sup_mesh_msg *msg = malloc(sizeof(*msg));
    int rc = SUP_OK;

    while (rc == SUP_OK) {
        rc = sup_session_recv(s, -1, mem, msg, NULL);
        if (rc == SUP_OK && msg->type == SUP_FRAME_SNAPSHOT_ASK) {
            h->script(h, s, msg->u.snapshot.id);
            atomic_fetch_add(&h->asks, 1);
        } else if (rc == SUP_OK && msg->type == SUP_FRAME_SNAPSHOT_ACK &&
                   msg->u.snapshot.u.ack.credit == 0) {
            atomic_fetch_add(&h->cancels, 1);
        }
    }
    atomic_fetch_add(&h->ends, atomic_load(&h->asks) > 0);
    free(msg);
    sup_mesh_mem_free(mem);
}

static int by_key(const void *a, const void *b)
{
    return sup_slice_cmp(sup_key_slice(&((const struct sorted *)a)->key),
                         sup_key_slice(&((const struct sorted *)b)->key));
}

static void encode(struct host *h, int64_t ms, enum sup_class cls)
{
    const struct sup_decision d = {.cls = cls,
                                   .state = SUP_SUPPRESSED,
                                   .cause = SUP_CAUSE_EVENT,
                                   .time = sup_hlc_from_ms(ms),
                                   .origin = 77};
    struct sup_buf b;

    sup_buf_init(&b, sizeof(h->decision));
    sup_decision_encode(&d, &b);
    memcpy(h->decision, b.p, b.n);
    h->decision_n = b.n;
    sup_buf_fini(&b);
}

static void make_records(struct host *h)
{
    encode(h, 1700000000000, SUP_CLASS_BOUNCE);
    for (size_t i = 0; i < N; i++) {
        struct sorted *s = &h->sorted[i];
        (void)snprintf(s->address, sizeof(s->address), "r%zu@example.net", i);
        sup_key_record(&s->key, &h->b.hash, sup_slice_str(s->address));
    }
    qsort(h->sorted, N, sizeof(h->sorted[0]), by_key);
    for (size_t i = 0; i < N; i++) {
        h->records[i].key = sup_slice_str(h->sorted[i].address);
        h->records[i].n = 1;
        h->records[i].decisions[0] = sup_slice_of(h->decision, h->decision_n);
    }
}

static struct host *host_new(script_fn *script)
{
    struct host *h = calloc(1, sizeof(*h));
    const struct replica_node *const peers[] = {&h->a};

    assert_non_null(h);
    h->script = script;
    replica_node_open(&h->b, "b", 1024);
    make_records(h);
    rig_node(&h->hostile, "a", "b");
    (void)snprintf(h->hostile.cluster, sizeof(h->hostile.cluster), "c");
    h->hostile.local.key_check = h->b.hash.check;
    h->hostile.local.drift_limit_ms = REPLICA_NODE_DRIFT_MS;
    h->hostile.local.features = SUP_FEATURE_SNAPSHOT;
    h->hostile.local.known = knows_all;
    h->hostile.local.standing = is_ready;
    assert_int_equal(sup_heart_start(&h->heart, NULL), SUP_OK);
    struct sup_mesh_server_opts o = {.url = rig_url(false, 0),
                                     .local = &h->hostile.local,
                                     .heart = h->heart,
                                     .serve = serve,
                                     .arg = h};
    assert_int_equal(sup_mesh_server_start(&o, &h->server, NULL), SUP_OK);
    h->a.name = "a";
    (void)snprintf(h->a.url, sizeof(h->a.url), "%s",
                   rig_url(false, sup_mesh_server_port(h->server)));
    replica_node_address(&h->b);
    replica_node_replicate(&h->b, peers, 1);
    return h;
}

static int decide_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    const struct sup_proposal p = {
        .key = SUP_SLICE_LIT("own@example.com"),
        .d = {.cls = SUP_CLASS_MANUAL, .state = SUP_SUPPRESSED, .cause = SUP_CAUSE_OPERATOR}};
    struct sup_applied out;

    (void)arg;
    return sup_apply_decide(a, t, &p, &out, err);
}

/* Afterwards the node still decides, at a sane time and under a sane number. */
static void host_free(struct host *h)
{
    struct sup_vv vv;

    assert_int_equal(sup_apply_run(h->b.apply, decide_run, NULL, NULL), SUP_OK);
    assert_in_range(sup_apply_clock_ahead_ms(h->b.apply) + REPLICA_NODE_DRIFT_MS, 0,
                    2 * REPLICA_NODE_DRIFT_MS);
    sup_apply_vv(h->b.apply, &vv);
    assert_in_range(sup_vv_get(&vv, sup_apply_incarnation(h->b.apply)), 1, 2);
    replica_node_close(&h->b);
    sup_mesh_server_close(h->server);
    sup_mesh_server_stop(h->server);
    sup_mesh_server_free(h->server);
    sup_heart_free(h->heart);
    free(h);
}

static size_t rows(struct host *h, enum sup_cf cf)
{
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(h->b.store, NULL, cf, open, open);
    size_t n = 0;

    for (; sup_iter_valid(it); sup_iter_next(it))
        n++;
    sup_iter_free(it);
    return n;
}

/* The first chunk of a stream, without records yet. */
static struct sup_snapshot_chunk *begin(struct host *h, uint32_t id)
{
    struct sup_snapshot_chunk *c = &h->msg.u.snapshot.u.chunk;

    memset(&h->msg, 0, sizeof(h->msg));
    h->msg.type = SUP_FRAME_SNAPSHOT_CHUNK;
    h->msg.u.snapshot.id = id;
    c->set = N;
    (void)sup_vv_raise(&c->vv, h->hostile.incarnation, 1);
    c->records = h->records;
    c->quarantined = h->quarantined;
    return c;
}

static int give(struct host *h, struct sup_session *s)
{
    return sup_session_send(s, &h->msg, 5000);
}

static bool has_ended(void *arg)
{
    struct host *h = arg;
    return atomic_load(&h->ends) > 0;
}

static bool was_cancelled(void *arg)
{
    struct host *h = arg;
    return atomic_load(&h->cancels) > 0;
}

/* b takes nothing of it, and ends the session. */
static void must_end(script_fn *script)
{
    struct host *h = host_new(script);

    assert_true(rig_eventually(has_ended, h, WAIT_MS));
    assert_int_equal(rows(h, SUP_CF_RECORDS), 0);
    host_free(h);
}

/* The same, found out only while it is taken in: b wants no more of it. */
static void must_be_cancelled(script_fn *script)
{
    struct host *h = host_new(script);

    assert_true(rig_eventually(was_cancelled, h, WAIT_MS));
    assert_int_equal(rows(h, SUP_CF_RECORDS), 0);
    host_free(h);
}

/* --- order --- */

static void backwards(struct host *h, struct sup_session *s, uint32_t id)
{
    struct sup_snapshot_chunk *c = begin(h, id);
    struct sup_snapshot_record swap = h->records[3];

    h->records[3] = h->records[4];
    h->records[4] = swap;
    c->n = 10;
    (void)give(h, s);
}

static void records_out_of_order(void **state)
{
    (void)state;
    must_end(backwards);
}

static void doubled(struct host *h, struct sup_session *s, uint32_t id)
{
    struct sup_snapshot_chunk *c = begin(h, id);

    h->records[4] = h->records[3];
    c->n = 10;
    (void)give(h, s);
}

static void records_twice(void **state)
{
    (void)state;
    must_end(doubled);
}

/* The second chunk begins before the end of the first. */
static void again(struct host *h, struct sup_session *s, uint32_t id)
{
    struct sup_snapshot_chunk *c = begin(h, id);

    c->n = 10;
    (void)give(h, s);
    c->records = h->records + 9;
    sup_vv_init(&c->vv);
    (void)give(h, s);
}

static void a_cursor_that_goes_back(void **state)
{
    struct host *h = host_new(again);

    (void)state;
    assert_true(rig_eventually(has_ended, h, WAIT_MS));
    assert_in_range(rows(h, SUP_CF_RECORDS), 0, 10); /* the first one was good */
    host_free(h);
}

static void of_another_stream(struct host *h, struct sup_session *s, uint32_t id)
{
    struct sup_snapshot_chunk *c = begin(h, id + 1);

    c->n = 10;
    c->last = true;
    (void)give(h, s);
    (void)begin(h, id);
    (void)give(h, s); /* nothing: not even the last one */
}

static void chunks_of_no_stream(void **state)
{
    (void)state;
    must_end(of_another_stream);
}

/* --- what is in it --- */

static void without_vv(struct host *h, struct sup_session *s, uint32_t id)
{
    struct sup_snapshot_chunk *c = begin(h, id);

    sup_vv_init(&c->vv);
    c->n = 10;
    (void)give(h, s);
}

static void no_version_vector(void **state)
{
    (void)state;
    must_end(without_vv);
}

static void no_key(struct host *h, struct sup_session *s, uint32_t id)
{
    struct sup_snapshot_chunk *c = begin(h, id);

    h->records[0].key = SUP_SLICE_LIT("NOT a key");
    c->n = 1;
    (void)give(h, s);
}

static void addresses_that_are_none(void **state)
{
    (void)state;
    must_be_cancelled(no_key);
}

static void no_decision(struct host *h, struct sup_session *s, uint32_t id)
{
    struct sup_snapshot_chunk *c = begin(h, id);

    h->records[9].decisions[0] = SUP_SLICE_LIT("\xff\xff\xff\xff\xff");
    c->n = 10;
    (void)give(h, s);
}

static void decisions_that_are_none(void **state)
{
    (void)state;
    must_be_cancelled(no_decision);
}

/* --- frames --- */

static void raw(struct sup_session *s, unsigned flags, const void *p, size_t n)
{
    struct sup_buf out;

    sup_buf_init(&out, SUP_FRAME_HEADER + SUP_FRAME_BODY_MAX);
    assert_int_equal(
        sup_frame_encode(SUP_FRAME_SNAPSHOT_CHUNK, (uint16_t)flags, sup_slice_of(p, n), &out),
        SUP_OK);
    (void)sup_link_send(s->link, sup_buf_slice(&out), 5000);
    sup_buf_fini(&out);
}

static void cut(struct host *h, struct sup_session *s, uint32_t id)
{
    static const uint8_t zeros[100000];
    uint8_t packed[1000];
    size_t n = ZSTD_compress(packed, sizeof(packed), zeros, sizeof(zeros), 1);

    (void)h;
    (void)id;
    raw(s, SUP_FRAME_ZSTD, packed, n - 3);
}

static void a_compressed_chunk_that_is_cut(void **state)
{
    (void)state;
    must_end(cut);
}

static void bomb(struct host *h, struct sup_session *s, uint32_t id)
{
    size_t size = 64U << 20;
    uint8_t *zeros = calloc(1, size);
    size_t cap = ZSTD_compressBound(size);
    uint8_t *packed = malloc(cap);
    size_t n = ZSTD_compress(packed, cap, zeros, size, 1);

    (void)h;
    (void)id;
    raw(s, SUP_FRAME_ZSTD, packed, n);
    free(packed);
    free(zeros);
}

static void a_chunk_that_blows_up(void **state)
{
    (void)state;
    must_end(bomb);
}

/* --- without end --- */

static bool was_asked(void *arg)
{
    struct host *h = arg;
    return atomic_load(&h->asks) > 0;
}

/* As a store that is slow: nothing is committed until the donor has sent what it could. */
static int hold_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct host *h = arg;

    (void)a;
    (void)t;
    (void)err;
    (void)rig_eventually(was_asked, h, WAIT_MS);
    return SUP_OK;
}

static void *hold(void *arg)
{
    struct host *h = arg;

    (void)sup_apply_run(h->b.apply, hold_run, h, NULL);
    return NULL;
}

/* noise: nothing that could be compressed. */
static void future(struct host *h, uint64_t first, bool noise)
{
    struct sup_snapshot_chunk *c = &h->msg.u.snapshot.u.chunk;

    for (size_t i = 0; i < SUP_SNAPSHOT_RECORDS_MAX; i++) {
        (void)snprintf(h->keys[i], sizeof(h->keys[i]), "f%llu.%llx@example.net",
                       (unsigned long long)(first + i),
                       noise ? (unsigned long long)sup_random_u64() : 0);
        h->quarantined[i] = (struct sup_repair_entry){
            .key = sup_slice_str(h->keys[i]), .encoded = sup_slice_of(h->decision, h->decision_n)};
    }
    c->n_quarantined = SUP_SNAPSHOT_RECORDS_MAX;
}

/* A gigabyte and more without waiting for credit: b keeps no more of it than it gave, and a
 * message. */
static void without_credit(struct host *h, struct sup_session *s, uint32_t id)
{
    struct sup_snapshot_chunk *c = begin(h, id);
    pthread_t holder;

    assert_int_equal(pthread_create(&holder, NULL, hold, h), 0);
    encode(h, sup_wall_ms() + 86400000, SUP_CLASS_MANUAL);
    future(h, 0, true);
    for (h->given = 0; h->given < 4000 && sup_session_send(s, &h->msg, 1000) == SUP_OK; h->given++)
        sup_vv_init(&c->vv);
    (void)pthread_detach(holder);
}

static void a_stream_without_end(void **state)
{
    (void)state;
    struct host *h = host_new(without_credit);

    assert_true(rig_eventually(was_asked, h, WAIT_MS));
    /* What fits into 8 MiB, a message, and what both ends of a link hold: packed, for it comes in
     * packed. */
    assert_in_range(h->given, 1, 400);
    host_free(h);
}

/* Different ones each time, and a new stream whenever one was ended: what is kept of it has an
 * end. */
static void of_the_future(struct host *h, struct sup_session *s, uint32_t id)
{
    static uint64_t next;
    struct sup_snapshot_chunk *c = begin(h, id);

    encode(h, sup_wall_ms() + 86400000, SUP_CLASS_MANUAL);
    for (int k = 0; k < 4 * SUP_QUARANTINE_MAX / SUP_SNAPSHOT_RECORDS_MAX; k++) {
        future(h, next, false);
        next += SUP_SNAPSHOT_RECORDS_MAX;
        if (give(h, s) != SUP_OK)
            return;
        sup_vv_init(&c->vv);
    }
}

/* To count them costs the store more than to take them. */
static bool was_refused(void *arg)
{
    struct host *h = arg;
    return sup_store_estimate_keys(h->b.store, SUP_CF_QUARANTINE) >= SUP_QUARANTINE_MAX &&
           atomic_load(&h->cancels) + atomic_load(&h->ends) > 0;
}

static void a_snapshot_of_the_future(void **state)
{
    struct host *h = host_new(of_the_future);

    (void)state;
    assert_true(rig_eventually(was_refused, h, 4 * WAIT_MS));
    /* One message may pass the mark. */
    assert_in_range(rows(h, SUP_CF_QUARANTINE), SUP_QUARANTINE_MAX,
                    SUP_QUARANTINE_MAX + SUP_SNAPSHOT_RECORDS_MAX);
    host_free(h);
}

/* --- claims --- */

/* A whole snapshot, whose vector says that it has all of everything, even of b's own. */
static void claims(struct host *h, struct sup_session *s, uint32_t id)
{
    struct sup_snapshot_chunk *c = begin(h, id);

    (void)sup_vv_raise(&c->vv, sup_apply_incarnation(h->b.apply), UINT64_MAX);
    while (sup_vv_raise(&c->vv, sup_random_id(), UINT64_MAX) == SUP_OK)
        ;
    c->n = N;
    c->last = true;
    (void)give(h, s);
}

static bool has_all(void *arg)
{
    return rows(arg, SUP_CF_RECORDS) >= N;
}

static bool has_positions(void *arg)
{
    struct host *h = arg;
    struct sup_vv vv;

    sup_apply_vv(h->b.apply, &vv);
    return vv.n > 0;
}

static void a_vector_of_everything(void **state)
{
    struct host *h = host_new(claims);
    uint64_t first = sup_apply_incarnation(h->b.apply);
    struct sup_vv vv;

    (void)state;
    assert_true(rig_eventually(has_all, h, WAIT_MS));
    assert_true(rig_eventually(has_positions, h, WAIT_MS));
    sup_apply_vv(h->b.apply, &vv);
    assert_in_range(vv.n, 1, SUP_VV_MAX - 64);
    /* It may believe that its store is an old copy, and never writes under that number again. */
    assert_int_equal(sup_apply_run(h->b.apply, decide_run, NULL, NULL), SUP_OK);
    assert_true(sup_apply_incarnation(h->b.apply) != first);
    host_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_out_of_order),
        cmocka_unit_test(records_twice),
        cmocka_unit_test(a_cursor_that_goes_back),
        cmocka_unit_test(chunks_of_no_stream),
        cmocka_unit_test(no_version_vector),
        cmocka_unit_test(addresses_that_are_none),
        cmocka_unit_test(decisions_that_are_none),
        cmocka_unit_test(a_compressed_chunk_that_is_cut),
        cmocka_unit_test(a_chunk_that_blows_up),
        cmocka_unit_test(a_stream_without_end),
        cmocka_unit_test(a_snapshot_of_the_future),
        cmocka_unit_test(a_vector_of_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
