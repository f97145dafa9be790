/* The serving side of replication: another node pulls, we send from the log. */
#include "base/clock.h"
#include "base/log.h"
#include "service/replicate_internal.h"
#include "service/replicate_log.h"

#include <stdlib.h>
#include <string.h>

/* How long a send may wait for room before the peer counts as stuck; its heartbeats go on
 * meanwhile. */
#define SEND_TIMEOUT_MS 30000

/* What a peer may ask for in a second; what comes beyond that waits in its link. Each question
 * takes this node more than it takes the peer to ask. Acknowledgements and heartbeats are free:
 * they are paid for by what they answer. */
#define ASKS_MS   1000
#define ASKS_COST 2000
#define ASK_COST  40

struct serving {
    struct sup_replicator *r;
    struct sup_session *session;
    size_t peer;
    uint64_t session_id;                 /* the core's number */
    struct sup_repair_serve *repair;     /* NULL when no sketch is kept */
    struct sup_snapshot_serve *snapshot; /* likewise */
    struct sup_log_reader *log;          /* the sender's */
    int64_t asks_ms;                     /* the reader's: when the present second began */
    unsigned asks;                       /* the reader's: what was asked for in it */

    pthread_mutex_t mutex; /* all below */
    pthread_cond_t cond;
    bool news; /* PULL or ACK came */
    bool over;
};

static struct sup_replica_event event_of(const struct serving *v, enum sup_replica_event_type type)
{
    return (struct sup_replica_event){.type = type, .peer = v->peer, .session = v->session_id};
}

static void post_trimmed(struct serving *v)
{
    struct sup_mesh_msg *msg = calloc(1, sizeof(*msg));

    if (!msg)
        return; /* the peer finds out by what does not come */
    msg->type = SUP_FRAME_TRIMMED;
    sup_apply_floor(v->r->opts.apply, &msg->u.trimmed.floor);
    (void)sup_session_post(v->session, msg);
    free(msg);
}

static void step(struct serving *v, const struct sup_replica_event *e,
                 struct sup_replica_orders *orders)
{
    sup_replicator_step(v->r, e, orders);
    if (orders->close)
        sup_session_close(v->session, SUP_REFUSED_PROTOCOL, "unexpected message");
    if (orders->trimmed)
        post_trimmed(v);
}

static void wake_sender(struct serving *v, bool over)
{
    pthread_mutex_lock(&v->mutex);
    v->news = true;
    v->over = v->over || over;
    pthread_cond_broadcast(&v->cond);
    pthread_mutex_unlock(&v->mutex);
}

static void take_message(struct serving *v, const struct sup_mesh_msg *msg)
{
    struct sup_replica_orders orders;
    struct sup_replica_event e;

    if (msg->type == SUP_FRAME_PULL || msg->type == SUP_FRAME_ACK) {
        e = event_of(v, msg->type == SUP_FRAME_PULL ? SUP_EV_PULL : SUP_EV_ACK);
        e.vv = &msg->u.pull.vv;
        e.cost = msg->u.pull.credit;
        step(v, &e, &orders);
        wake_sender(v, orders.close);
    } else if (msg->type == SUP_FRAME_SUMMARY_ASK) {
        sup_replicator_answer_summary(v->r, v->session, msg->u.summary.id);
    } else if ((v->repair && sup_peer_repair_is(msg->type) &&
                sup_repair_serve_message(v->repair, msg) == SUP_OK) ||
               (v->snapshot && msg->type >= SUP_FRAME_SNAPSHOT_ASK &&
                sup_snapshot_serve_message(v->snapshot, msg) == SUP_OK)) {
        wake_sender(v, false);
        sup_apply_wake(v->r->opts.apply); /* where the sender may wait */
    } else {
        sup_session_close(v->session, SUP_REFUSED_PROTOCOL, "unexpected message");
        wake_sender(v, true);
    }
}

static unsigned cost_of(enum sup_frame_type type)
{
    switch ((int)type) {
    case SUP_FRAME_ACK:
        return 0;
    case SUP_FRAME_PULL:
    case SUP_FRAME_SUMMARY_ASK:
    case SUP_FRAME_SNAPSHOT_ASK:
        return ASK_COST;
    default:
        return 1;
    }
}

/* Lets a peer that asks too much wait. */
static void take_turn(struct serving *v, enum sup_frame_type type)
{
    int64_t now = sup_mono_ms();
    int64_t left;

    if (now - v->asks_ms >= ASKS_MS) {
        v->asks_ms = now;
        v->asks = 0;
    }
    v->asks += cost_of(type);
    if (v->asks <= ASKS_COST)
        return;
    pthread_mutex_lock(&v->mutex);
    while (!v->over && (left = v->asks_ms + ASKS_MS - sup_mono_ms()) > 0)
        sup_cond_wait_ms(&v->cond, &v->mutex, left);
    pthread_mutex_unlock(&v->mutex);
    v->asks_ms = sup_mono_ms();
    v->asks = cost_of(type);
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
        if (rc == SUP_OK) {
            take_turn(v, msg->type);
            take_message(v, msg);
        }
    }
    wake_sender(v, true);
    sup_apply_wake(v->r->opts.apply);
    free(msg);
    sup_mesh_mem_free(mem);
    return NULL;
}

/* False when the session is over. Forgets the news: what comes from now on is news again. */
static bool goes_on(struct serving *v)
{
    bool over;

    pthread_mutex_lock(&v->mutex);
    v->news = false;
    over = v->over;
    pthread_mutex_unlock(&v->mutex);
    return !over;
}

/* At most so long; negative: until it says something. */
static void wait_for_peer(struct serving *v, int64_t ms)
{
    bool in_time = true;

    pthread_mutex_lock(&v->mutex);
    while (in_time && !v->over && !v->news)
        in_time = sup_cond_wait_ms(&v->cond, &v->mutex, ms);
    pthread_mutex_unlock(&v->mutex);
}

/* Was what could not be read trimmed since the core looked? */
static bool trimmed(struct serving *v, const struct sup_replica_orders *orders)
{
    struct sup_vv floor;

    sup_apply_floor(v->r->opts.apply, &floor);
    for (size_t i = 0; i < orders->n_ranges; i++) {
        if (orders->ranges[i].from <= sup_vv_get(&floor, orders->ranges[i].incarnation))
            return true;
    }
    return false;
}

static int send_log(struct serving *v, const struct sup_replica_orders *orders)
{
    struct sup_replica_event e = event_of(v, SUP_EV_FILLED);
    struct sup_replica_orders next;
    struct sup_log_batch batch;
    struct sup_mesh_msg msg = {.type = SUP_FRAME_MUTATIONS};
    struct sup_err err = {0};
    int rc = sup_log_reader_fill(v->log, v->r->opts.store, orders->ranges, orders->n_ranges,
                                 orders->max_bytes, &batch, &err);

    if (rc == SUP_ENOTFOUND && trimmed(v, orders))
        return SUP_OK;
    if (rc != SUP_OK) {
        sup_log_error("replicate", "the log cannot be read", SUP_S("error", err.msg));
        return rc;
    }
    e.ranges = batch.ranges;
    e.n = batch.n_ranges;
    e.cost = batch.bytes;
    e.generation = orders->generation;
    step(v, &e, &next);
    if (!next.transmit)
        return SUP_OK;
    msg.u.mutations = (struct sup_mutations){.m = batch.m, .n = batch.n};
    return sup_session_send(v->session, &msg, SEND_TIMEOUT_MS);
}

/* Repair and snapshots get what live mutations leave. starved: the peer takes no mutations, so none
 * are waited for. */
static int idle(struct serving *v, uint64_t version, bool starved)
{
    int64_t repair_ms = -1;
    int64_t wait_ms = -1;
    int rc = v->repair ? sup_repair_serve_step(v->repair, &repair_ms) : SUP_OK;

    if (rc == SUP_OK && v->snapshot)
        rc = sup_snapshot_serve_step(v->snapshot, &wait_ms);
    if (wait_ms < 0 || (repair_ms >= 0 && repair_ms < wait_ms))
        wait_ms = repair_ms;
    if (rc == SUP_OK && starved && wait_ms != 0)
        wait_for_peer(v, wait_ms);
    else if (rc == SUP_OK && wait_ms != 0)
        (void)sup_apply_wait(v->r->opts.apply, version, wait_ms < 0 ? SUP_HEARTBEAT_MS : wait_ms);
    return rc;
}

static void sender_loop(struct serving *v)
{
    struct sup_replica_event may_send = event_of(v, SUP_EV_MAY_SEND);
    struct sup_replica_orders orders;
    int rc = SUP_OK;

    while (rc == SUP_OK && goes_on(v)) {
        /* Asked before looking: a commit in between changes it and the wait ends at once. */
        uint64_t version = sup_apply_version(v->r->opts.apply);
        step(v, &may_send, &orders);
        if (orders.fill)
            rc = send_log(v, &orders);
        else
            rc = idle(v, version, orders.starved);
    }
    if (rc != SUP_OK && rc != SUP_ECLOSED)
        sup_session_close(v->session, SUP_REFUSED_OTHER, "cannot serve");
}

static int send_on(void *arg, const struct sup_mesh_msg *msg)
{
    const struct serving *v = arg;

    return sup_session_send(v->session, msg, SEND_TIMEOUT_MS);
}

static bool ready(void *arg)
{
    const struct serving *v = arg;

    return sup_replicator_gives(v->r);
}

/* Peers whose names are not configured were refused at HELLO. */
static size_t peer_index(const struct sup_replicator *r, const char *node)
{
    size_t i = 0;

    while (i < r->n_peers && strcmp(r->peers[i].config->name, node) != 0)
        i++;
    return i;
}

static void attach(struct serving *v, struct sup_peer *p)
{
    pthread_mutex_lock(&p->mutex);
    p->served = v->session;
    if (p->retired) /* since its HELLO */
        sup_session_close(v->session, SUP_REFUSED_NAME, "decommissioned");
    pthread_mutex_unlock(&p->mutex);
}

static void detach(struct serving *v, struct sup_peer *p)
{
    struct sup_session_stats *stats = malloc(sizeof(*stats));

    if (stats)
        sup_session_stats(v->session, stats);
    pthread_mutex_lock(&p->mutex);
    if (p->served == v->session) /* a newer one may have taken its place */
        p->served = NULL;
    p->bytes_in += stats ? stats->bytes_in : 0;
    p->bytes_out += stats ? stats->bytes_out : 0;
    pthread_mutex_unlock(&p->mutex);
    free(stats);
}

static int offers_init(struct serving *v)
{
    struct sup_replicator *r = v->r;
    struct sup_repair_env repair = {
        .apply = r->opts.apply, .store = r->opts.store, .send = send_on, .arg = v};
    struct sup_snapshot_env snapshot = {
        .apply = r->opts.apply, .store = r->opts.store, .ready = ready, .send = send_on, .arg = v};

    v->repair = sup_repair_serve_new(&repair, &r->repair_gate);
    v->snapshot = sup_snapshot_serve_new(&snapshot, &r->snapshot_gate);
    return v->repair && v->snapshot ? SUP_OK : SUP_ENOMEM;
}

static int serving_init(struct serving *v, struct sup_replicator *r, struct sup_session *s)
{
    struct sup_replica_event e;
    struct sup_replica_orders orders;

    *v = (struct serving){.r = r, .session = s};
    pthread_mutex_init(&v->mutex, NULL);
    sup_cond_init(&v->cond);
    v->peer = peer_index(r, sup_session_peer(s)->node);
    v->session_id = sup_replicator_session(r);
    v->log = sup_log_reader_new();
    if (!v->log)
        return SUP_ENOMEM;
    if (sup_apply_keeper(r->opts.apply) && offers_init(v) != SUP_OK)
        return SUP_ENOMEM;
    if (v->peer < r->n_peers)
        attach(v, &r->peers[v->peer]);
    e = event_of(v, SUP_EV_ACCEPTED);
    e.vv = &sup_session_peer(s)->vv;
    step(v, &e, &orders);
    if (v->peer < r->n_peers)
        sup_peer_nudge(&r->peers[v->peer]);
    return SUP_OK;
}

static void serving_fini(struct serving *v)
{
    struct sup_replica_event e = event_of(v, SUP_EV_ACCEPT_LOST);
    struct sup_replica_orders orders;

    if (v->peer < v->r->n_peers)
        detach(v, &v->r->peers[v->peer]);
    sup_replicator_step(v->r, &e, &orders);
    sup_log_reader_free(v->log);
    sup_repair_serve_free(v->repair);
    sup_snapshot_serve_free(v->snapshot);
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
        wake_sender(v, true); /* and the reader, if it waits */
        pthread_join(reader, NULL);
    } else {
        sup_log_error("replicate", "cannot serve a peer", SUP_S("error", sup_code_name(rc)));
    }
    if (v)
        serving_fini(v);
    free(v);
}
