/* A peer with a valid certificate that means harm: b is a real node over real TLS, and a, whose
 * certificate is good, sends what no program of ours would. b must neither fall, nor grow without
 * bound, nor move its clock, nor take in what it did not ask for; and it must still serve. */
#include "base/clock.h"
#include "base/random.h"
#include "codec/keys.h"
#include "mesh/session_impl.h"
#include "mesh_rig.h"
#include "service/apply_txn.h"
#include "service/quarantine.h"
#include "service/replicate.h"
#include "service/sketch_keeper.h"
#include "store/memory.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include <cmocka.h>

#define DRIFT_MS  60000
#define DECISIONS 2000
#define ENDS_MS   15000 /* within which b must have ended a session */
/* What b may have more of after an attack than before: queues of links, caches. */
#define GROWTH_MAX (24U << 20)

/* Of the sanitizers' run-time, when there is one: theirs is not the C library's heap. */
extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

struct host;
typedef void script_fn(struct host *h, struct sup_session *s);

struct host {
    struct sup_hash_key hash;
    struct sup_store *store;
    struct sup_sketch_keeper *keeper;
    struct sup_apply *apply;
    struct sup_options options;
    struct sup_peer_options peer;
    struct sup_replicator *replicator;
    char listen[64];
    char dial[64];
    char file[3][128];
    int port;

    struct rig_node a; /* the hostile one */
    struct sup_heart *heart;
    struct sup_mesh_server *server; /* a's */
    _Atomic(script_fn *) script;
    atomic_uint sent;    /* scripts that sent all theirs */
    atomic_uint scripts; /* whose session ended then, too */
    struct sup_mesh_mem *mem;
    struct sup_mesh_msg msg;
};

static struct pki *pki;
static struct sup_mesh_tls *tls_a;

static int group_setup(void **state)
{
    (void)state;
    pki = pki_new();
    pki_issue(pki, "ca", "a", "a", false);
    pki_issue(pki, "ca", "b", "b", false);
    tls_a = rig_tls(pki, "ca", "a");
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    sup_mesh_tls_free(tls_a);
    pki_free(pki);
    return 0;
}

static size_t in_use(void)
{
    if (__sanitizer_get_current_allocated_bytes)
        return __sanitizer_get_current_allocated_bytes();
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* --- b --- */

static int decide_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    const char *domain = arg;
    int rc = SUP_OK;

    for (int i = 0; rc == SUP_OK && i < (domain ? 1 : DECISIONS); i++) {
        char address[64];
        struct sup_applied out;
        (void)snprintf(address, sizeof(address), "n%d@%s", i, domain ? domain : "example.com");
        const struct sup_proposal p = {
            .key = sup_slice_str(address),
            .d = {.cls = SUP_CLASS_BOUNCE, .state = SUP_SUPPRESSED, .cause = SUP_CAUSE_EVENT}};
        rc = sup_apply_decide(a, t, &p, &out, err);
    }
    return rc;
}

static void b_start(struct host *h)
{
    struct sup_store_identity id = {.node = "b", .cluster = "test"};
    struct sup_apply_options o;

    sup_hash_key_derive("test", (struct sup_slice){NULL, 0}, &h->hash);
    assert_int_equal(sup_store_open_memory(&id, &h->store, NULL), SUP_OK);
    assert_int_equal(sup_sketch_keeper_open(h->store, &h->hash, 64, &h->keeper, NULL), SUP_OK);
    o = (struct sup_apply_options){.store = h->store,
                                   .hash = h->hash,
                                   .keeper = h->keeper,
                                   .max_clock_drift_ms = DRIFT_MS,
                                   .dedup_ttl_ms = 1000000};
    assert_int_equal(sup_apply_start(&o, &h->apply, NULL), SUP_OK);
    sup_apply_settle(h->apply, sup_apply_incarnation(h->apply));
    assert_int_equal(sup_apply_run(h->apply, decide_run, NULL, NULL), SUP_OK);
}

static void b_replicate(struct host *h)
{
    struct sup_replicator_options o = {.config = &h->options, .apply = h->apply, .store = h->store};
    struct sup_err err = {0};

    static const char *const names[3] = {"ca.pem", "b.pem", "b.key"};
    for (size_t i = 0; i < 3; i++)
        (void)snprintf(h->file[i], sizeof(h->file[i]), "%s", pki_path(pki, names[i]));
    h->peer = (struct sup_peer_options){.name = "a", .url = h->dial};
    h->options.node = "b";
    h->options.mesh.enabled = true;
    h->options.mesh.cluster = "test";
    h->options.mesh.listen = h->listen;
    h->options.mesh.tls_ca = h->file[0];
    h->options.mesh.tls_cert = h->file[1];
    h->options.mesh.tls_key = h->file[2];
    h->options.mesh.tls_crl = "";
    h->options.mesh.max_clock_drift_ms = DRIFT_MS;
    h->options.mesh.log_max_bytes = 1U << 30;
    h->options.mesh.peers = &h->peer;
    h->options.mesh.n_peers = 1;
    if (sup_replicator_start(&o, &h->replicator, &err) != SUP_OK)
        fail_msg("%s", err.msg);
}

/* --- a --- */

static void serve(void *arg, struct sup_session *s)
{
    struct host *h = arg;
    struct sup_mesh_mem *mem = sup_mesh_mem_new();
    struct sup_mesh_msg *msg = malloc(sizeof(*msg));
    script_fn *script;
    int rc;

    do {
        rc = sup_session_recv(s, -1, mem, msg, NULL);
    } while (rc == SUP_OK && msg->type != SUP_FRAME_PULL);
    script = h->script;
    if (rc == SUP_OK && script) {
        script(h, s);
        atomic_fetch_add(&h->sent, 1);
    }
    while (rc == SUP_OK)
        rc = sup_session_recv(s, -1, mem, msg, NULL);
    atomic_fetch_add(&h->scripts, script ? 1 : 0);
    free(msg);
    sup_mesh_mem_free(mem);
}

static int free_port(void)
{
    struct sup_listener *l = NULL;
    int port;

    assert_int_equal(sup_listener_open(rig_url(false, 0), NULL, &l, NULL), SUP_OK);
    port = sup_listener_port(l);
    sup_listener_free(l);
    return port;
}

static struct host *host_new(script_fn *script)
{
    struct host *h = calloc(1, sizeof(*h));

    h->mem = sup_mesh_mem_new();
    h->script = script;
    b_start(h);
    rig_node(&h->a, "a", "b");
    h->a.local.key_check = h->hash.check;
    h->a.local.features = SUP_FEATURE_REPAIR;
    assert_int_equal(sup_heart_start(&h->heart, NULL), SUP_OK);
    struct sup_mesh_server_opts o = {.url = rig_url(true, 0),
                                     .tls = tls_a,
                                     .local = &h->a.local,
                                     .heart = h->heart,
                                     .serve = serve,
                                     .arg = h};
    assert_int_equal(sup_mesh_server_start(&o, &h->server, NULL), SUP_OK);
    h->port = free_port();
    (void)snprintf(h->dial, sizeof(h->dial), "%s", rig_url(true, sup_mesh_server_port(h->server)));
    (void)snprintf(h->listen, sizeof(h->listen), "%s", rig_url(true, h->port));
    b_replicate(h);
    return h;
}

static struct sup_session *dial(struct host *h)
{
    struct sup_dialer *d = NULL;
    struct sup_link *link = NULL;
    struct sup_session *s = NULL;
    struct sup_err err = {0};

    assert_int_equal(sup_dialer_new(h->listen, tls_a, "b", &d, NULL), SUP_OK);
    int rc = sup_link_dial(d, 5000, &link, &err);
    if (rc == SUP_OK)
        rc = sup_session_open_dialed(link, &h->a.local, "b", h->heart, &s, &err);
    if (rc != SUP_OK)
        fail_msg("%s", err.msg);
    sup_dialer_free(d);
    return s;
}

/* b's own decisions still reach who asks for them, and new ones are taken at a sane time. */
static void must_still_serve(struct host *h)
{
    struct sup_session *s = dial(h);
    struct sup_mesh_msg pull = {.type = SUP_FRAME_PULL, .u.pull.credit = 1U << 20};
    char domain[64];
    size_t got = 0;
    int64_t deadline = sup_mono_ms() + ENDS_MS;

    (void)snprintf(domain, sizeof(domain), "after-%llu.example",
                   (unsigned long long)sup_random_u64());
    assert_int_equal(sup_apply_run(h->apply, decide_run, domain, NULL), SUP_OK);
    assert_in_range(sup_apply_clock_ahead_ms(h->apply) + DRIFT_MS, 0, 2 * DRIFT_MS);
    assert_int_equal(sup_session_send(s, &pull, 1000), SUP_OK);
    while (got < DECISIONS + 1 && sup_mono_ms() < deadline) {
        int rc = sup_session_recv(s, 1000, h->mem, &h->msg, NULL);
        assert_true(rc == SUP_OK || rc == SUP_ETIMEDOUT);
        if (rc == SUP_OK && h->msg.type == SUP_FRAME_MUTATIONS)
            got += h->msg.u.mutations.n;
    }
    assert_true(got >= DECISIONS + 1);
    sup_session_free(s);
}

static void host_free(struct host *h)
{
    must_still_serve(h);
    sup_replicator_stop(h->replicator);
    sup_replicator_free(h->replicator);
    sup_mesh_server_close(h->server);
    sup_mesh_server_stop(h->server);
    sup_mesh_server_free(h->server);
    sup_heart_free(h->heart);
    sup_apply_stop(h->apply);
    sup_apply_free(h->apply);
    sup_sketch_keeper_free(h->keeper);
    sup_store_close(h->store);
    sup_mesh_mem_free(h->mem);
    free(h);
}

/* --- what b has --- */

static size_t rows(struct host *h, enum sup_cf cf)
{
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(h->store, NULL, cf, open, open);
    size_t n = 0;

    for (; it && sup_iter_valid(it); sup_iter_next(it))
        n++;
    sup_iter_free(it);
    return n;
}

/* --- sending anything --- */

static void raw(struct sup_session *s, const void *p, size_t n)
{
    (void)sup_link_send(s->link, sup_slice_of(p, n), 5000); /* b may have closed meanwhile */
}

static void frame(struct sup_session *s, unsigned type, unsigned flags, const void *p, size_t n)
{
    struct sup_buf out;

    sup_buf_init(&out, SUP_FRAME_HEADER + SUP_FRAME_BODY_MAX);
    assert_int_equal(sup_frame_encode((uint16_t)type, (uint16_t)flags, sup_slice_of(p, n), &out),
                     SUP_OK);
    raw(s, out.p, out.n);
    sup_buf_fini(&out);
}

/* b ends the session; what it sent before is read. */
static void must_end(struct host *h, struct sup_session *s, const char *what)
{
    int64_t deadline = sup_mono_ms() + ENDS_MS;
    struct sup_err err = {0};
    int rc = SUP_OK;

    while ((rc == SUP_OK || rc == SUP_ETIMEDOUT) && sup_mono_ms() < deadline)
        rc = sup_session_recv(s, 500, h->mem, &h->msg, &err);
    print_message("%s: %s\n", what, err.msg);
    assert_true(rc != SUP_OK && rc != SUP_ETIMEDOUT);
    sup_session_free(s);
}

/* --- frames and messages --- */

static void frames_that_are_none(void **state)
{
    (void)state;
    struct host *h = host_new(NULL);
    const uint8_t oversized[SUP_FRAME_HEADER] = {0x00, 0x50, 0x00, 0x00, 0, SUP_FRAME_PULL};
    const uint8_t huge[SUP_FRAME_HEADER] = {0xff, 0xff, 0xff, 0xff, 0, SUP_FRAME_HEARTBEAT};
    const uint8_t unsummed[SUP_FRAME_HEADER + 4] = {0, 0, 0, 4, 0, SUP_FRAME_PULL, 0, 0, 1, 2, 3};
    const uint8_t flags[SUP_FRAME_HEADER] = {0, 0, 0, 0, 0, SUP_FRAME_PULL, 0, 0x80};
    size_t before = in_use();
    struct sup_session *s = dial(h);

    raw(s, oversized, sizeof(oversized));
    must_end(h, s, "5 MiB announced");
    s = dial(h);
    raw(s, huge, sizeof(huge));
    must_end(h, s, "4 GiB announced");
    s = dial(h);
    raw(s, unsummed, sizeof(unsummed));
    must_end(h, s, "wrong checksum");
    s = dial(h);
    raw(s, flags, sizeof(flags));
    must_end(h, s, "unknown flag");
    assert_in_range(in_use(), 0, before + GROWTH_MAX);
    host_free(h);
}

/* 1 GiB of zeros in 32 KiB; with the size stated, with none, with a smaller one than it has. */
static void zstd_bombs(void **state)
{
    (void)state;
    struct host *h = host_new(NULL);
    size_t before = in_use();

    for (int kind = 0; kind < 3; kind++) {
        struct sup_session *s = dial(h);
        size_t cap = 1U << 20;
        uint8_t *bomb = malloc(cap);
        static const uint8_t zeros[1U << 16];
        ZSTD_CCtx *z = ZSTD_createCCtx();
        ZSTD_outBuffer out = {bomb, cap, 0};
        size_t pieces = (64U << 20) / sizeof(zeros);

        (void)ZSTD_CCtx_setParameter(z, ZSTD_c_contentSizeFlag, kind != 1);
        if (kind == 0)
            (void)ZSTD_CCtx_setPledgedSrcSize(z, pieces * sizeof(zeros));
        for (size_t i = 0; i < pieces; i++) {
            ZSTD_inBuffer in = {zeros, sizeof(zeros), 0};
            while (in.pos < in.size)
                assert_false(ZSTD_isError(ZSTD_compressStream2(z, &out, &in, ZSTD_e_continue)));
        }
        ZSTD_inBuffer end = {zeros, 0, 0};
        assert_int_equal(ZSTD_compressStream2(z, &out, &end, ZSTD_e_end), 0);
        if (kind == 2) { /* the size field of a frame that states 4 bytes of it, made small */
            ZSTD_freeCCtx(z);
            out.pos = ZSTD_compress(bomb, cap, zeros, sizeof(zeros), 1);
            bomb[5] = 1; /* little endian, behind magic and descriptor */
            z = NULL;
        }
        frame(s, SUP_FRAME_MUTATIONS, SUP_FRAME_ZSTD, bomb, out.pos);
        must_end(h, s, kind == 0 ? "64 MiB stated" : kind == 1 ? "no size stated" : "wrong size");
        ZSTD_freeCCtx(z);
        free(bomb);
    }
    assert_in_range(in_use(), 0, before + GROWTH_MAX);
    host_free(h);
}

static void unknown_types(void **state)
{
    (void)state;
    struct host *h = host_new(NULL);
    struct sup_session *s = dial(h);
    uint8_t noise[256];

    sup_random_bytes(noise, sizeof(noise));
    for (unsigned type = 100; type < 1100; type++)
        frame(s, type, SUP_FRAME_SKIPPABLE, noise, sizeof(noise));
    assert_int_equal(sup_session_recv(s, 300, h->mem, &h->msg, NULL), SUP_ETIMEDOUT);
    frame(s, 1100, 0, noise, sizeof(noise));
    must_end(h, s, "unknown type");
    host_free(h);
}

/* Every type that there is, with noise for a body, and what only a serving end sends. */
static void noise_as_messages(void **state)
{
    (void)state;
    struct host *h = host_new(NULL);
    size_t records = rows(h, SUP_CF_RECORDS);
    uint64_t seed = sup_random_u64();
    struct sup_rng rng;

    print_message("seed %llu\n", (unsigned long long)seed);
    sup_rng_seed(&rng, seed);
    for (unsigned type = 1; type < 40; type++) {
        struct sup_session *s;
        uint8_t noise[512];
        size_t n = sup_rng_below(&rng, sizeof(noise));
        if (strcmp(sup_frame_type_name(type), "unknown") == 0)
            continue;
        s = dial(h);
        for (size_t i = 0; i < n; i++)
            noise[i] = (uint8_t)sup_rng_u64(&rng);
        noise[n] = 0x07; /* wire type 7 does not exist */
        frame(s, type, 0, noise, n + 1);
        must_end(h, s, sup_frame_type_name(type));
    }
    assert_int_equal(rows(h, SUP_CF_RECORDS), records);
    host_free(h);
}

/* A million entries of a version vector, 24 bytes each as protobuf has them. */
static void endless_version_vectors(void **state)
{
    (void)state;
    struct host *h = host_new(NULL);
    static const unsigned types[] = {SUP_FRAME_PULL, SUP_FRAME_ACK, SUP_FRAME_HEARTBEAT};
    const size_t entries = 300000; /* that many fit a frame; more is the frame's limit */
    struct sup_buf body;
    size_t before = in_use();

    for (size_t k = 0; k < 3; k++) {
        struct sup_session *s = dial(h);
        sup_buf_init(&body, SUP_FRAME_BODY_MAX);
        for (size_t i = 0; i < entries; i++) {
            const uint8_t head[3] = {k == 2 ? 0x32 : 0x0a, 11, 0x09};
            const uint8_t tail[2] = {0x10, 0x01};
            sup_buf_add(&body, head, sizeof(head));
            sup_buf_add_be64(&body, i + 1);
            sup_buf_add(&body, tail, sizeof(tail));
        }
        assert_false(body.failed);
        frame(s, types[k], 0, body.p, body.n);
        sup_buf_fini(&body);
        must_end(h, s, "300 000 entries");
    }
    assert_in_range(in_use(), 0, before + GROWTH_MAX);
    host_free(h);
}

static const struct sup_mesh_msg *mutations(uint64_t incarnation, uint64_t seq, size_t n,
                                            int64_t time_ms)
{
    static _Thread_local struct sup_mesh_msg msg;
    static _Thread_local struct sup_mutation ms[SUP_MESH_MUTATIONS_MAX];
    static _Thread_local char keys[SUP_MESH_MUTATIONS_MAX][40];
    static _Thread_local uint8_t bytes[256];
    struct sup_buf encoded;
    const struct sup_decision d = {.cls = SUP_CLASS_BOUNCE,
                                   .state = SUP_SUPPRESSED,
                                   .cause = SUP_CAUSE_EVENT,
                                   .time = sup_hlc_from_ms(time_ms),
                                   .origin = 77};

    sup_buf_init(&encoded, sizeof(bytes));
    sup_decision_encode(&d, &encoded);
    assert_false(encoded.failed);
    memcpy(bytes, encoded.p, encoded.n);
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(keys[i], sizeof(keys[i]), "m%llu@example.net",
                       (unsigned long long)(seq + i));
        ms[i] = (struct sup_mutation){.incarnation = incarnation,
                                      .seq = seq + i,
                                      .key = sup_slice_str(keys[i]),
                                      .cls = SUP_CLASS_BOUNCE,
                                      .encoded = sup_slice_of(bytes, encoded.n)};
    }
    sup_buf_fini(&encoded);
    msg.type = SUP_FRAME_MUTATIONS;
    msg.u.mutations = (struct sup_mutations){.m = ms, .n = n};
    return &msg;
}

/* Nobody can push: what a dialling end sends as decisions is not even looked at. */
static void decisions_that_nobody_asked_for(void **state)
{
    (void)state;
    struct host *h = host_new(NULL);
    size_t records = rows(h, SUP_CF_RECORDS);
    struct sup_session *s = dial(h);

    assert_int_equal(sup_session_send(s, mutations(77, 1, 100, sup_wall_ms()), 1000), SUP_OK);
    must_end(h, s, "MUTATIONS of the dialling end");
    assert_int_equal(rows(h, SUP_CF_RECORDS), records);
    host_free(h);
}

/* --- floods --- */

/* Asks for everything, with all the credit there is, again and again, and reads nothing. */
static void pulls_without_end(void **state)
{
    (void)state;
    struct host *h = host_new(NULL);
    size_t before = in_use();
    struct sup_session *s = dial(h);
    struct sup_mesh_msg pull = {.type = SUP_FRAME_PULL, .u.pull.credit = UINT64_MAX};

    for (int i = 0; i < 5000 && sup_session_send(s, &pull, 200) == SUP_OK; i++)
        ;
    assert_in_range(in_use(), 0, before + GROWTH_MAX);
    sup_session_free(s);
    host_free(h);
}

static void repairs_without_end(void **state)
{
    (void)state;
    struct host *h = host_new(NULL);
    size_t before = in_use();
    struct sup_session *s = dial(h);
    struct sup_mesh_msg *ask = calloc(1, sizeof(*ask));

    /* Sums cost the asker nothing. Some are answered; a heap of them is not kept. */
    ask->type = SUP_FRAME_REPAIR_SUMS;
    for (int i = 0; i < 5000 && sup_session_send(s, ask, 200) == SUP_OK; i++)
        ;
    must_end(h, s, "5 000 questions");
    assert_in_range(in_use(), 0, before + GROWTH_MAX);
    free(ask);
    host_free(h);
}

/* The same node a hundred times at once: one session of it is kept. */
static void many_sessions(void **state)
{
    (void)state;
    struct host *h = host_new(NULL);
    size_t before = in_use();
    enum { N = 100 };
    struct sup_session *s[N];
    size_t ended = 0;

    for (size_t i = 0; i < N; i++)
        s[i] = dial(h);
    for (size_t i = 0; i + 1 < N; i++) {
        int rc = SUP_OK;
        for (int k = 0; k < 20 && (rc == SUP_OK || rc == SUP_ETIMEDOUT); k++)
            rc = sup_session_recv(s[i], 500, h->mem, &h->msg, NULL);
        ended += rc != SUP_OK && rc != SUP_ETIMEDOUT;
    }
    assert_int_equal(ended, N - 1);
    for (size_t i = 0; i < N; i++)
        sup_session_free(s[i]);
    assert_in_range(in_use(), 0, before + GROWTH_MAX);
    host_free(h);
}

/* --- the hostile one is dialled --- */

static bool script_ran(void *arg)
{
    struct host *h = arg;
    return atomic_load(&h->scripts) > 0;
}

static bool script_sent(void *arg)
{
    struct host *h = arg;
    return atomic_load(&h->sent) > 0;
}

#define FUTURE 5000

static void from_the_future(struct host *h, struct sup_session *s)
{
    const int64_t century = 100LL * 365 * 86400000;

    (void)h;
    (void)sup_session_send(s, mutations(77, 1, FUTURE, sup_wall_ms() + century), 5000);
}

static bool future_is_here(void *arg)
{
    return rows(arg, SUP_CF_QUARANTINE) == FUTURE;
}

static void the_future_waits(void **state)
{
    (void)state;
    struct host *h = host_new(from_the_future);

    assert_true(rig_eventually(future_is_here, h, ENDS_MS));
    assert_in_range(sup_apply_clock_ahead_ms(h->apply) + DRIFT_MS, 0, DRIFT_MS + 2500);
    host_free(h);
}

/* More than the quarantine takes: the session ends, again and again, and no more is kept. */
static void endless_future(struct host *h, struct sup_session *s)
{
    const int64_t far = sup_wall_ms() + 86400000LL * 3650;
    struct sup_vv vv;

    sup_apply_vv(h->apply, &vv);
    for (uint64_t seq = sup_vv_get(&vv, 77) + 1; seq < 10 * SUP_QUARANTINE_MAX;
         seq += SUP_MESH_MUTATIONS_MAX) {
        if (sup_session_send(s, mutations(77, seq, SUP_MESH_MUTATIONS_MAX, far), 5000) != SUP_OK)
            break;
    }
}

static bool thrice(void *arg)
{
    struct host *h = arg;
    return atomic_load(&h->scripts) >= 3 && rows(h, SUP_CF_QUARANTINE) >= SUP_QUARANTINE_MAX;
}

static void the_quarantine_has_an_end(void **state)
{
    (void)state;
    struct host *h = host_new(endless_future);

    assert_true(rig_eventually(thrice, h, 120000));
    h->script = NULL;
    /* One message may pass the mark. */
    assert_in_range(rows(h, SUP_CF_QUARANTINE), SUP_QUARANTINE_MAX,
                    SUP_QUARANTINE_MAX + SUP_MESH_MUTATIONS_MAX);
    assert_in_range(sup_apply_clock_ahead_ms(h->apply) + DRIFT_MS, 0, DRIFT_MS + 2500);
    host_free(h);
}

static void with_a_gap(struct host *h, struct sup_session *s)
{
    (void)h;
    (void)sup_session_send(s, mutations(77, 5, 10, sup_wall_ms()), 5000);
}

static void gaps(void **state)
{
    (void)state;
    struct host *h = host_new(with_a_gap);
    struct sup_vv vv;

    assert_true(rig_eventually(script_ran, h, ENDS_MS)); /* b ended the session */
    sup_apply_vv(h->apply, &vv);
    assert_int_equal(sup_vv_get(&vv, 77), 0);
    host_free(h);
}

/* Answers to questions that b did not ask. */
static void unasked(struct host *h, struct sup_session *s)
{
    struct sup_mesh_msg *msg = calloc(1, sizeof(*msg));

    (void)h;
    msg->type = SUP_FRAME_REPAIR_RECORDS;
    msg->u.repair.round = 1;
    msg->u.repair.u.records.last = true;
    (void)sup_vv_raise(&msg->u.repair.u.records.vv, 77, 1000000);
    (void)sup_session_send(s, msg, 5000);
    /* Behind it, what b did ask for: once that is there, b has passed the other. */
    (void)sup_session_send(s, mutations(79, 1, 10, sup_wall_ms()), 5000);
    free(msg);
}

static bool passed(void *arg)
{
    struct host *h = arg;
    struct sup_vv vv;

    sup_apply_vv(h->apply, &vv);
    return sup_vv_get(&vv, 79) == 10 || script_ran(h);
}

static void answers_to_nothing(void **state)
{
    (void)state;
    struct host *h = host_new(unasked);
    struct sup_vv vv;

    assert_true(rig_eventually(passed, h, ENDS_MS));
    sup_apply_vv(h->apply, &vv);
    assert_int_equal(sup_vv_get(&vv, 77), 0);
    host_free(h);
}

/* Heartbeats that claim what nobody has, b's own incarnation among it, and mad clocks. */
static void mad_heartbeats(struct host *h, struct sup_session *s)
{
    struct sup_mesh_msg *msg = calloc(1, sizeof(*msg));

    msg->type = SUP_FRAME_HEARTBEAT;
    for (int i = 0; i < 2000; i++) {
        struct sup_heartbeat *b = &msg->u.heartbeat;
        b->wall_ms = i % 2 ? INT64_MAX : INT64_MIN;
        b->mono_ns = sup_random_u64();
        b->echo_mono_ns = sup_random_u64();
        b->echo_held_us = sup_random_u64();
        b->incarnation = sup_random_id();
        sup_vv_init(&b->vv);
        (void)sup_vv_raise(&b->vv, sup_apply_incarnation(h->apply), UINT64_MAX >> 1);
        (void)sup_vv_raise(&b->vv, 78, UINT64_MAX >> 1);
        if (sup_session_send(s, msg, 1000) != SUP_OK)
            break;
    }
    free(msg);
}

static void lies_in_heartbeats(void **state)
{
    (void)state;
    struct host *h = host_new(mad_heartbeats);
    size_t before = in_use();
    struct sup_vv vv;

    assert_true(rig_eventually(script_sent, h, ENDS_MS));
    for (int i = 0; i < 100; i++) /* b decides on meanwhile, if need be under another incarnation */
        assert_int_equal(sup_apply_run(h->apply, decide_run, "x.example", NULL), SUP_OK);
    sup_apply_vv(h->apply, &vv);
    assert_in_range(vv.n, 1, 4);
    assert_int_equal(sup_vv_get(&vv, 78), 0);
    assert_in_range(in_use(), 0, before + GROWTH_MAX);
    host_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_that_are_none),
        cmocka_unit_test(zstd_bombs),
        cmocka_unit_test(unknown_types),
        cmocka_unit_test(noise_as_messages),
        cmocka_unit_test(endless_version_vectors),
        cmocka_unit_test(decisions_that_nobody_asked_for),
        cmocka_unit_test(pulls_without_end),
        cmocka_unit_test(repairs_without_end),
        cmocka_unit_test(many_sessions),
        cmocka_unit_test(the_future_waits),
        cmocka_unit_test(the_quarantine_has_an_end),
        cmocka_unit_test(gaps),
        cmocka_unit_test(answers_to_nothing),
        cmocka_unit_test(lies_in_heartbeats),
    };

    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
