/* The serving side of replication: another node pulls, we send from the log. */
#include "base/clock.h"
#include "base/log.h"
#include "codec/keys.h"
#include "service/replicate_internal.h"

#include <stdlib.h>

/* A message is sent when it holds so much: large enough for TLS records and zstd, small enough not
 * to delay the first mutation of a burst. */
#define MESSAGE_BYTES (128U << 10)
#define MESSAGE_COUNT 4096
/* How long a send may wait for room before the peer counts as stuck; its heartbeats go on
 * meanwhile. */
#define SEND_TIMEOUT_MS 30000

struct serving {
    struct sup_replicator *r;
    struct sup_session *session;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct sup_repair_serve *repair; /* NULL when no sketch is kept */
    bool pulled;                     /* PULL came */
    bool over;
    struct sup_vv sent; /* what the peer has or is on its way to it */
    uint64_t credit;
    /* sender only */
    struct sup_mutation *m;
    size_t n;
    size_t bytes;
    struct sup_buf *values; /* what m points to, one a mutation */
    struct sup_mem *mem;
};

static void take_message(struct serving *v, const struct sup_mesh_msg *msg)
{
    pthread_mutex_lock(&v->mutex);
    if (msg->type == SUP_FRAME_PULL) {
        v->sent = msg->u.pull.vv;
        v->credit = msg->u.pull.credit;
        v->pulled = true;
    } else if (msg->type == SUP_FRAME_ACK && v->pulled) {
        /* It may have got the same from others meanwhile. */
        (void)sup_vv_merge(&v->sent, &msg->u.pull.vv);
        if (msg->u.pull.credit > SUP_PULL_CREDIT - v->credit && v->credit <= SUP_PULL_CREDIT)
            v->credit = SUP_PULL_CREDIT;
        else
            v->credit += msg->u.pull.credit;
    } else if (v->repair && sup_peer_repair_is(msg->type) &&
               sup_repair_serve_message(v->repair, msg) == SUP_OK) {
        sup_apply_wake(v->r->opts.apply); /* where the sender waits */
    } else {
        v->over = true;
        sup_session_close(v->session, SUP_REFUSED_PROTOCOL, "unexpected message");
    }
    pthread_cond_broadcast(&v->cond);
    pthread_mutex_unlock(&v->mutex);
}

static void *reader_main(void *arg)
{
    struct serving *v = arg;
    struct sup_mesh_mem *mem = sup_mesh_mem_new();
    struct sup_mesh_msg *msg = malloc(sizeof(*msg));
    struct sup_err err = {0};
    int rc = mem && msg ? SUP_OK : SUP_ENOMEM;

    while (rc == SUP_OK || rc == SUP_ETIMEDOUT) {
        rc = sup_session_recv(v->session, -1, mem, msg, &err);
        if (rc == SUP_OK)
            take_message(v, msg);
    }
    pthread_mutex_lock(&v->mutex);
    v->over = true;
    pthread_cond_broadcast(&v->cond);
    pthread_mutex_unlock(&v->mutex);
    sup_apply_wake(v->r->opts.apply);
    free(msg);
    sup_mesh_mem_free(mem);
    return NULL;
}

/* Waits for credit. Gives what was sent so far; false when the session is over. */
static bool ready_to_send(struct serving *v, struct sup_vv *sent, uint64_t *credit)
{
    bool over;

    pthread_mutex_lock(&v->mutex);
    while (!v->over && (!v->pulled || v->credit == 0))
        sup_cond_wait_ms(&v->cond, &v->mutex, -1);
    *sent = v->sent;
    *credit = v->credit;
    over = v->over;
    pthread_mutex_unlock(&v->mutex);
    return !over;
}

static int send_batch(struct serving *v)
{
    struct sup_mesh_msg msg;
    int rc = SUP_OK;

    if (v->n == 0)
        return SUP_OK;
    msg.type = SUP_FRAME_MUTATIONS;
    msg.u.mutations = (struct sup_mutations){.m = v->m, .n = v->n};
    pthread_mutex_lock(&v->mutex);
    v->credit -= v->credit < v->bytes ? v->credit : v->bytes;
    for (size_t i = 0; i < v->n && rc == SUP_OK; i++)
        rc = sup_vv_raise(&v->sent, v->m[i].incarnation, v->m[i].seq);
    pthread_mutex_unlock(&v->mutex);
    if (rc == SUP_OK)
        rc = sup_session_send(v->session, &msg, SEND_TIMEOUT_MS);
    v->n = 0;
    v->bytes = 0;
    return rc;
}

static int add(struct serving *v, uint64_t incarnation, uint64_t seq, struct sup_slice value)
{
    struct sup_buf *copy = &v->values[v->n];
    struct sup_log_entry e;
    struct sup_err err = {0};
    int rc;

    sup_buf_reset(copy);
    sup_buf_add_slice(copy, value);
    if (copy->failed)
        return copy->failed;
    rc = sup_log_entry_decode(sup_buf_slice(copy), v->mem, &e, &err);
    if (rc != SUP_OK) {
        sup_log_error("replicate", "log entry cannot be read", SUP_U("incarnation", incarnation),
                      SUP_U("seq", seq), SUP_S("error", err.msg));
        return rc;
    }
    v->m[v->n] = (struct sup_mutation){
        .incarnation = incarnation, .seq = seq, .key = e.key, .cls = e.cls, .encoded = e.encoded};
    v->bytes += sup_mesh_mutation_size(&v->m[v->n]);
    v->n++;
    return SUP_OK;
}

/* Fills one message with an incarnation's log from seq `from` to `to`. */
static int fill(struct serving *v, uint64_t incarnation, uint64_t from, uint64_t to,
                uint64_t credit)
{
    struct sup_key lower;
    struct sup_key upper;
    struct sup_iter *it;
    uint64_t expected = from;
    int rc = SUP_OK;

    sup_key_log(&lower, incarnation, from);
    sup_key_log(&upper, incarnation, to + 1);
    it = sup_iter_new(v->r->opts.store, NULL, SUP_CF_LOG, sup_key_slice(&lower),
                      sup_key_slice(&upper));
    if (!it)
        return SUP_ENOMEM;
    for (; rc == SUP_OK && sup_iter_valid(it) && v->n < MESSAGE_COUNT && v->bytes < MESSAGE_BYTES &&
           v->bytes < credit;
         sup_iter_next(it)) {
        uint64_t inc = 0;
        uint64_t seq = 0;
        if (!sup_key_log_parse(sup_iter_key(it), &inc, &seq) || seq != expected) {
            sup_log_error("replicate", "log has a gap", SUP_U("incarnation", incarnation),
                          SUP_U("expected", expected), SUP_U("found", seq));
            rc = SUP_ECORRUPT;
            break;
        }
        rc = add(v, incarnation, seq, sup_iter_value(it));
        expected++;
    }
    if (rc == SUP_OK)
        rc = sup_iter_status(it, NULL);
    if (rc == SUP_OK && expected == from) {
        sup_log_error("replicate", "log entry is missing", SUP_U("incarnation", incarnation),
                      SUP_U("seq", from));
        rc = SUP_ECORRUPT;
    }
    sup_iter_free(it);
    return rc;
}

/* Sends one message if the peer lacks something. *idle: it lacks nothing. */
static int send_some(struct serving *v, const struct sup_vv *sent, uint64_t credit, bool *idle)
{
    struct sup_vv mine;
    int rc = SUP_OK;

    sup_apply_vv(v->r->opts.apply, &mine);
    sup_mem_reset(v->mem);
    *idle = true;
    for (size_t i = 0; i < mine.n && rc == SUP_OK; i++) {
        uint64_t has = sup_vv_get(sent, mine.e[i].incarnation);
        if (has >= mine.e[i].seq)
            continue;
        if (v->n >= MESSAGE_COUNT || v->bytes >= MESSAGE_BYTES || v->bytes >= credit)
            break;
        *idle = false;
        rc = fill(v, mine.e[i].incarnation, has + 1, mine.e[i].seq, credit);
    }
    return rc == SUP_OK ? send_batch(v) : rc;
}

static void sender_loop(struct serving *v)
{
    struct sup_vv sent;
    uint64_t credit = 0;
    int rc = SUP_OK;

    while (rc == SUP_OK && ready_to_send(v, &sent, &credit)) {
        bool idle = false;
        int64_t wait_ms = -1;
        /* Asked before looking: a commit in between changes it and the wait ends at once. */
        uint64_t version = sup_apply_version(v->r->opts.apply);
        rc = send_some(v, &sent, credit, &idle);
        /* Repair gets what live mutations leave. */
        if (rc == SUP_OK && idle && v->repair)
            rc = sup_repair_serve_step(v->repair, &wait_ms);
        if (rc == SUP_OK && idle && wait_ms != 0)
            (void)sup_apply_wait(v->r->opts.apply, version,
                                 wait_ms < 0 ? SUP_HEARTBEAT_MS : wait_ms);
    }
    if (rc != SUP_OK && rc != SUP_ECLOSED)
        sup_session_close(v->session, SUP_REFUSED_OTHER, "cannot serve");
}

static int send_on(void *arg, const struct sup_mesh_msg *msg)
{
    const struct serving *v = arg;

    return sup_session_send(v->session, msg, SEND_TIMEOUT_MS);
}

static int serving_init(struct serving *v, struct sup_replicator *r, struct sup_session *s)
{
    *v = (struct serving){.r = r, .session = s};
    pthread_mutex_init(&v->mutex, NULL);
    sup_cond_init(&v->cond);
    v->mem = sup_mem_new();
    v->m = calloc(MESSAGE_COUNT, sizeof(*v->m));
    v->values = calloc(MESSAGE_COUNT, sizeof(*v->values));
    if (!v->mem || !v->m || !v->values)
        return SUP_ENOMEM;
    if (sup_apply_keeper(r->opts.apply)) {
        struct sup_repair_env env = {
            .apply = r->opts.apply, .store = r->opts.store, .send = send_on, .arg = v};
        v->repair = sup_repair_serve_new(&env, &r->repair_gate);
        if (!v->repair)
            return SUP_ENOMEM;
    }
    for (size_t i = 0; i < MESSAGE_COUNT; i++)
        sup_buf_init(&v->values[i], SUP_DECISION_MAX + SUP_KEY_MAX + 64);
    return SUP_OK;
}

static void serving_fini(struct serving *v)
{
    for (size_t i = 0; v->values && i < MESSAGE_COUNT; i++)
        sup_buf_fini(&v->values[i]);
    free(v->values);
    free(v->m);
    sup_mem_free(v->mem);
    sup_repair_serve_free(v->repair);
    pthread_cond_destroy(&v->cond);
    pthread_mutex_destroy(&v->mutex);
}

void sup_replicator_serve(void *arg, struct sup_session *s)
{
    struct serving *v = malloc(sizeof(*v));
    pthread_t reader;
    int rc = v ? serving_init(v, arg, s) : SUP_ENOMEM;

    if (rc == SUP_OK)
        rc = sup_thread_start(&reader, "mesh-serve", reader_main, v);
    if (rc == SUP_OK) {
        sender_loop(v);
        sup_session_close(s, SUP_REFUSED_STOPPING, "");
        pthread_join(reader, NULL);
    } else {
        sup_log_error("replicate", "cannot serve a peer", SUP_S("error", sup_code_name(rc)));
    }
    if (v)
        serving_fini(v);
    free(v);
}
