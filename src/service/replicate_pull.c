/* The pulling side of replication: one thread a peer. */
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "service/apply_members.h"
#include "service/apply_txn.h"
#include "service/quarantine.h"
#include "service/replicate_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIAL_TIMEOUT_MS   10000
#define RECV_TIMEOUT_MS   250
#define REPAIR_TIMEOUT_MS 10 /* while a repair waits for commits */
/* What we know of a peer is kept for restarts; losing a little of it costs nothing but time. */
#define SAVE_EVERY_MS 5000

struct pull_job {
    struct sup_apply_job job;
    struct sup_peer *peer;
    struct sup_mesh_mem *mem;
    struct sup_mutations mutations;
    uint64_t session;
    size_t quarantined;
};

/* --- one message of mutations --- */

static int pull_run(struct sup_apply_job *job, struct sup_txn *t, struct sup_err *err)
{
    struct pull_job *j = (struct pull_job *)job;

    j->quarantined = 0;
    sup_apply_from(j->peer->r->opts.apply, j->peer->member);
    for (size_t i = 0; i < j->mutations.n; i++) {
        enum sup_remote outcome;
        int rc = sup_apply_remote(j->peer->r->opts.apply, t, &j->mutations.m[i], &outcome, err);
        if (rc != SUP_OK)
            return rc;
        if (outcome == SUP_REMOTE_QUARANTINED && j->quarantined++ == 0 &&
            sup_quarantine_is_full(j->peer->r->opts.apply))
            return sup_quarantine_refuse(err);
    }
    return SUP_OK;
}

/* On the writer thread: the commit is durable, or it failed. */
static void pull_done(struct sup_apply_job *job, int code, const struct sup_err *err)
{
    struct pull_job *j = (struct pull_job *)job;
    struct sup_peer *p = j->peer;
    struct sup_replica_event e = {.type = SUP_EV_APPLIED,
                                  .peer = p->index,
                                  .session = j->session,
                                  .cost = j->mutations.cost,
                                  .n = code == SUP_OK ? j->quarantined : 0,
                                  .code = code};
    struct sup_replica_orders orders;

    if (code != SUP_OK) {
        pthread_mutex_lock(&p->mutex);
        sup_text_copy(p->last_error, sizeof(p->last_error), err ? err->msg : sup_code_name(code));
        pthread_mutex_unlock(&p->mutex);
    }
    sup_replicator_step(p->r, &e, &orders);
    pthread_mutex_lock(&p->mutex);
    p->quarantined += e.n;
    p->in_flight--;
    pthread_cond_broadcast(&p->cond);
    pthread_mutex_unlock(&p->mutex);
    sup_mesh_mem_free(j->mem);
    free(j);
}

/* Takes mem over. */
static int submit(struct sup_peer *p, struct sup_mesh_mem *mem,
                  const struct sup_mutations *mutations)
{
    struct pull_job *j = calloc(1, sizeof(*j));
    int rc;

    if (!j) {
        sup_mesh_mem_free(mem);
        return SUP_ENOMEM;
    }
    j->job.run = pull_run;
    j->job.done = pull_done;
    j->peer = p;
    j->session = p->session_id;
    j->mem = mem;
    j->mutations = *mutations;
    pthread_mutex_lock(&p->mutex);
    p->in_flight++;
    pthread_mutex_unlock(&p->mutex);
    rc = sup_apply_submit(p->r->opts.apply, &j->job, -1);
    if (rc != SUP_OK)
        pull_done(&j->job, rc, NULL);
    return SUP_OK;
}

/* Takes *mem over when the core wants the mutations; when not, it has closed the session. */
static int take_mutations(struct sup_peer *p, struct sup_mesh_mem **mem,
                          const struct sup_mutations *mutations)
{
    struct sup_replica_event e = {.type = SUP_EV_MUTATIONS,
                                  .peer = p->index,
                                  .session = p->session_id,
                                  .m = mutations->m,
                                  .n = mutations->n,
                                  .cost = mutations->cost};
    struct sup_replica_orders orders;
    int rc;

    sup_replicator_step(p->r, &e, &orders);
    if (!orders.submit)
        return SUP_OK;
    rc = submit(p, *mem, mutations);
    *mem = NULL;
    return rc;
}

/* --- a session --- */

static void note_error(struct sup_peer *p, int code, const char *text)
{
    pthread_mutex_lock(&p->mutex);
    if (strcmp(p->last_error, text) != 0)
        sup_log_warn("replicate", "peer is not reachable", SUP_S("peer", p->config->name),
                     SUP_S("url", p->config->url), SUP_S("error", text));
    sup_text_copy(p->last_error, sizeof(p->last_error), text);
    if (code == SUP_EAUTH || code == SUP_EINPUT || code == SUP_EVERSION)
        p->refusals++;
    pthread_mutex_unlock(&p->mutex);
}

/* Which incarnation is its own it says itself; and of what it has, only what can be taken from it
 * is lacking here. */
static void admit(struct sup_peer *p, uint64_t incarnation, struct sup_vv *vv)
{
    struct sup_apply *apply = p->r->opts.apply;

    sup_apply_heard(apply, p->member, incarnation, sup_vv_get(vv, incarnation));
    sup_apply_admissible(apply, p->member, vv);
}

/* Takes in what the heartbeats say. */
static void refresh(struct sup_peer *p, struct sup_session_stats *stats)
{
    struct sup_vv mine;

    sup_session_stats(p->session, stats);
    admit(p, stats->incarnation, &stats->vv);
    sup_apply_vv(p->r->opts.apply, &mine);
    pthread_mutex_lock(&p->mutex);
    p->vv = stats->vv;
    p->incarnation = stats->incarnation;
    p->rtt_ms = stats->rtt_ms;
    p->clock_offset_ms = stats->clock_offset_ms;
    sup_peer_compare_membership(p, stats->epoch, stats->members);
    p->contact_wall_ms = sup_wall_ms() - (sup_mono_ms() - stats->last_heard_mono_ms);
    if (sup_vv_covers(&mine, &stats->vv))
        p->level_mono_ms = stats->last_heard_mono_ms;
    pthread_mutex_unlock(&p->mutex);
}

static int save_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct sup_peer *p = arg;
    struct sup_peer_state *s = calloc(1, sizeof(*s));
    struct sup_buf value;

    (void)a;
    if (!s)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    pthread_mutex_lock(&p->mutex);
    sup_text_copy(s->name, sizeof(s->name), p->config->name);
    s->node_id = p->node_id;
    s->incarnation = p->incarnation;
    s->last_contact_ms = p->contact_wall_ms;
    s->acked = p->vv;
    sup_text_copy(s->url, sizeof(s->url), p->config->url);
    memcpy(s->rulings, p->rulings, sizeof(s->rulings));
    s->n_rulings = p->n_rulings;
    pthread_mutex_unlock(&p->mutex);
    sup_buf_init(&value, 64U << 10);
    sup_peer_state_encode(s, &value);
    if (!value.failed)
        sup_txn_put(t, SUP_CF_PEERS, sup_slice_str(p->config->name), sup_buf_slice(&value));
    sup_buf_fini(&value);
    free(s);
    return SUP_OK;
}

int sup_peer_load(struct sup_peer *p, struct sup_err *err)
{
    struct sup_peer_state *s = calloc(1, sizeof(*s));
    struct sup_buf value;
    int rc;

    if (!s)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    sup_buf_init(&value, 64U << 10);
    rc = sup_store_get(p->r->opts.store, NULL, SUP_CF_PEERS, sup_slice_str(p->config->name), &value,
                       err);
    if (rc == SUP_OK)
        rc = sup_peer_state_decode(sup_buf_slice(&value), s, err);
    if (rc == SUP_OK) {
        p->node_id = s->node_id;
        p->incarnation = s->incarnation;
        p->contact_wall_ms = s->last_contact_ms;
        p->vv = s->acked;
        memcpy(p->rulings, s->rulings, sizeof(p->rulings));
        p->n_rulings = s->n_rulings;
    }
    sup_buf_fini(&value);
    free(s);
    return rc == SUP_ENOTFOUND ? SUP_OK : rc;
}

int sup_peer_save(struct sup_peer *p, struct sup_err *err)
{
    return sup_apply_run(p->r->opts.apply, save_run, p, err);
}

bool sup_peer_leaves(struct sup_peer *p)
{
    return p->retired || sup_stop_is_set(&p->r->stop);
}

/* Tells the core of something on the present session. */
static void tell(struct sup_peer *p, struct sup_replica_event e, struct sup_replica_orders *orders)
{
    e.peer = p->index;
    e.session = p->session_id;
    sup_replicator_step(p->r, &e, orders);
}

/* True: there is more to do at once. */
static bool repair(struct sup_peer *p, const struct sup_session_stats *stats)
{
    bool wanted;
    bool ended = false;
    bool more;
    int code = SUP_OK;
    struct sup_replica_orders orders;

    pthread_mutex_lock(&p->mutex);
    wanted = p->repair_wanted;
    p->repair_wanted = false;
    pthread_mutex_unlock(&p->mutex);
    if (wanted)
        sup_peer_repair_adopt(&p->repair);
    sup_peer_repair_hold(&p->repair, !sup_replicator_pulls(p->r));
    more = sup_peer_repair_step(&p->repair, stats, &ended, &code);
    if (ended)
        tell(p, (struct sup_replica_event){.type = SUP_EV_REPAIRED, .code = code}, &orders);
    if (ended && p->r->joiner)
        sup_joiner_repaired(p->r->joiner, p->index, code);
    return more;
}

static int send_pull(struct sup_peer *p, uint64_t credit)
{
    struct sup_mesh_msg *msg = malloc(sizeof(*msg));
    int rc;

    if (!msg)
        return SUP_ENOMEM;
    msg->type = SUP_FRAME_PULL;
    sup_apply_vv(p->r->opts.apply, &msg->u.pull.vv);
    msg->u.pull.credit = credit;
    rc = sup_session_send(p->session, msg, DIAL_TIMEOUT_MS);
    free(msg);
    return rc;
}

static int tell_vv(struct sup_peer *p, const struct sup_session_stats *stats)
{
    struct sup_replica_event e = {
        .type = SUP_EV_PEER_VV, .vv = &stats->vv, .incarnation = stats->incarnation};
    struct sup_replica_orders orders;

    e.pull = sup_replicator_pulls_from(p->r, stats->standing, stats->vv.n > 0);
    tell(p, e, &orders);
    return orders.pull ? send_pull(p, orders.credit) : SUP_OK;
}

static int take_repair(struct sup_peer *p, const struct sup_mesh_msg *msg,
                       struct sup_mesh_mem **mem, struct sup_err *err)
{
    struct sup_replica_orders orders;

    tell(p, (struct sup_replica_event){.type = SUP_EV_REPAIRING}, &orders);
    return sup_peer_repair_message(&p->repair, msg, mem, err);
}

static int take_trimmed(struct sup_peer *p, const struct sup_vv *floor)
{
    struct sup_replica_orders orders;
    struct sup_vv vv;

    sup_vv_copy(&vv, floor);
    sup_apply_admissible(p->r->opts.apply, p->member, &vv);
    tell(p, (struct sup_replica_event){.type = SUP_EV_TRIMMED, .vv = &vv}, &orders);
    return SUP_OK;
}

/* What came on the session; takes mem, in which it lives, over if *mem is NULL afterwards. */
static int take(struct sup_peer *p, const struct sup_mesh_msg *msg, struct sup_mesh_mem **mem,
                struct sup_err *err)
{
    int rc;

    if (msg->type == SUP_FRAME_MUTATIONS)
        return take_mutations(p, mem, &msg->u.mutations);
    if (sup_peer_repair_is(msg->type))
        return take_repair(p, msg, mem, err);
    if (msg->type == SUP_FRAME_TRIMMED)
        return take_trimmed(p, &msg->u.trimmed.floor);
    if (msg->type == SUP_FRAME_SUMMARY) {
        sup_peer_take_summary(p, &msg->u.summary);
        return SUP_OK;
    }
    if (msg->type == SUP_FRAME_SNAPSHOT_CHUNK && p->r->joiner) {
        rc = sup_joiner_chunk(p->r->joiner, p->index, &msg->u.snapshot, mem, err);
        if (rc != SUP_OK)
            sup_session_close(p->session, SUP_REFUSED_PROTOCOL, err->msg);
        return rc;
    }
    sup_session_close(p->session, SUP_REFUSED_PROTOCOL, "unexpected message");
    return sup_err_set(err, SUP_EINPUT, "unexpected message from a peer that is pulled from");
}

static int receive_loop(struct sup_peer *p, struct sup_err *err)
{
    struct sup_mesh_msg *msg = malloc(sizeof(*msg));
    struct sup_session_stats *stats = malloc(sizeof(*stats));
    struct sup_mesh_mem *mem = NULL;
    int64_t save_at = 0;
    int64_t tell_at = 0;
    bool repairing = false;
    int rc = msg && stats ? SUP_OK : sup_err_set(err, SUP_ENOMEM, "out of memory");

    while (rc == SUP_OK && !sup_peer_leaves(p)) {
        if (!mem)
            mem = sup_mesh_mem_new();
        if (!mem) {
            rc = sup_err_set(err, SUP_ENOMEM, "out of memory");
            break;
        }
        rc = sup_session_recv(p->session,
                              repairing        ? 0
                              : p->repair.pull ? REPAIR_TIMEOUT_MS
                                               : RECV_TIMEOUT_MS,
                              mem, msg, err);
        if (rc == SUP_OK)
            rc = take(p, msg, &mem, err);
        if (rc == SUP_ETIMEDOUT)
            rc = SUP_OK;
        refresh(p, stats);
        sup_peer_join(p, stats);
        repairing = rc == SUP_OK && repair(p, stats);
        if (sup_mono_ms() >= tell_at) {
            tell_at = sup_mono_ms() + RECV_TIMEOUT_MS;
            if (rc == SUP_OK)
                rc = tell_vv(p, stats);
        }
        if (sup_mono_ms() >= save_at) {
            save_at = sup_mono_ms() + SAVE_EVERY_MS;
            (void)sup_peer_save(p, NULL);
        }
    }
    sup_mesh_mem_free(mem);
    free(stats);
    free(msg);
    return rc;
}

static void detach(struct sup_peer *p)
{
    struct sup_session_stats *stats = malloc(sizeof(*stats));
    struct sup_session *s;

    pthread_mutex_lock(&p->mutex);
    while (p->in_flight > 0)
        sup_cond_wait_ms(&p->cond, &p->mutex, -1);
    s = p->session;
    if (stats) {
        sup_session_stats(s, stats);
        p->bytes_in += stats->bytes_in;
        p->bytes_out += stats->bytes_out;
    }
    free(stats);
    p->session = NULL;
    p->absent_mono_ms = sup_mono_ms();
    pthread_cond_broadcast(&p->cond); /* nobody need wait for its answers */
    pthread_mutex_unlock(&p->mutex);
    sup_session_close(s, SUP_REFUSED_STOPPING, "");
    sup_session_free(s);
}

static void attach(struct sup_peer *p, struct sup_session *s)
{
    const struct sup_hello *hello = sup_session_peer(s);
    uint64_t id = sup_replicator_session(p->r);

    pthread_mutex_lock(&p->mutex);
    p->session = s;
    p->session_id = id;
    p->repair_wanted = false;
    p->node_id = hello->node_id;
    p->sessions++;
    p->last_error[0] = '\0';
    pthread_mutex_unlock(&p->mutex);
    sup_log_info("replicate", "connected to peer", SUP_S("peer", p->config->name),
                 SUP_S("address", sup_session_address(s)));
}

/* Tells the core of the session; it wants the PULL sent. */
static int begin_pulling(struct sup_peer *p, const struct sup_hello *hello)
{
    struct sup_replica_event e = {
        .type = SUP_EV_DIALED, .peer = p->index, .session = p->session_id};
    struct sup_replica_orders orders;
    struct sup_vv vv;

    e.incarnation = hello->incarnation;
    sup_vv_copy(&vv, &hello->vv);
    admit(p, hello->incarnation, &vv);
    e.vv = &vv;
    /* Before the core decides whether to pull: this peer may have so much that a copy is better. */
    sup_peer_join(p, NULL);
    e.pull = sup_replicator_pulls_from(p->r, hello->standing, hello->vv.n > 0);
    sup_replicator_step(p->r, &e, &orders);
    sup_peer_ask_summary(p);
    return orders.pull ? send_pull(p, orders.credit) : SUP_OK;
}

static int nothing_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    (void)a;
    (void)t;
    (void)arg;
    (void)err;
    return SUP_OK;
}

/* For another address, when one was set. */
static void take_dialer(struct sup_peer *p)
{
    struct sup_dialer *old = NULL;

    pthread_mutex_lock(&p->mutex);
    if (p->next_dialer) {
        old = p->dialer;
        p->dialer = p->next_dialer;
        p->next_dialer = NULL;
    }
    pthread_mutex_unlock(&p->mutex);
    sup_dialer_free(old);
}

/* Returns how long the session lasted; 0 when there was none. */
static int64_t one_session(struct sup_peer *p)
{
    struct sup_link *link = NULL;
    struct sup_session *s = NULL;
    struct sup_err err = {0};
    int64_t begin;
    int rc;

    take_dialer(p);
    /* What came from anybody so far is committed before the peer hears what we have: it may be
     * asking whether its numbers were used (core/replica.c). The writer takes jobs in order. */
    (void)sup_apply_run(p->r->opts.apply, nothing_run, NULL, NULL);
    rc = sup_link_dial(p->dialer, DIAL_TIMEOUT_MS, &link, &err);

    if (rc == SUP_OK)
        rc = sup_session_open_dialed(link, &p->r->local, p->config->name, p->r->heart, &s, &err);
    if (rc != SUP_OK) {
        if (!sup_peer_leaves(p))
            note_error(p, rc, err.msg);
        return 0;
    }
    begin = sup_mono_ms();
    attach(p, s);
    sup_peer_repair_begin(&p->repair, p->config->name, p->r->opts.apply, p->r->opts.store, s);
    sup_peer_repair_count_in(&p->repair, &p->repairs, &p->mutex);
    rc = begin_pulling(p, sup_session_peer(s));
    if (rc == SUP_OK)
        rc = receive_loop(p, &err);
    sup_peer_repair_end(&p->repair);
    if (p->r->joiner)
        sup_joiner_lost(p->r->joiner, p->index);
    detach(p);
    if (!sup_peer_leaves(p)) {
        bool silent;
        pthread_mutex_lock(&p->mutex);
        silent = p->last_error[0] != '\0';
        pthread_mutex_unlock(&p->mutex);
        if (!silent)
            note_error(p, rc, err.msg[0] ? err.msg : "the link went down");
    }
    return sup_mono_ms() - begin + 1;
}

static void wait_to_dial(struct sup_peer *p, int64_t ms)
{
    int64_t deadline = sup_mono_ms() + ms;

    pthread_mutex_lock(&p->mutex);
    for (int64_t left = ms; left > 0 && !p->nudged && !sup_peer_leaves(p);
         left = deadline - sup_mono_ms())
        sup_cond_wait_ms(&p->cond, &p->mutex, left);
    p->nudged = false;
    pthread_mutex_unlock(&p->mutex);
}

void sup_peer_nudge(struct sup_peer *p)
{
    pthread_mutex_lock(&p->mutex);
    p->nudged = true;
    pthread_cond_broadcast(&p->cond);
    pthread_mutex_unlock(&p->mutex);
}

static void *pull_main(void *arg)
{
    struct sup_peer *p = arg;

    while (!sup_peer_leaves(p)) {
        struct sup_replica_event e = {
            .type = SUP_EV_DIAL_LOST, .peer = p->index, .lived_ms = one_session(p)};
        struct sup_replica_orders orders;
        e.session = p->session_id;
        sup_replicator_step(p->r, &e, &orders);
        wait_to_dial(p, orders.dial_ms);
    }
    return NULL;
}

int sup_peer_start(struct sup_peer *p, struct sup_err *err)
{
    int rc;

    /* One that is remembered from before addresses were stored is only waited for. */
    if (p->retired || p->config->url[0] == '\0')
        return SUP_OK;
    /* The identity of a peer is its node name: that is what its certificate must carry. */
    rc = sup_dialer_new(p->config->url, p->r->tls, p->config->name, &p->dialer, err);
    if (rc != SUP_OK)
        return rc;
    rc = sup_thread_start(&p->thread, "mesh-pull", pull_main, p);
    if (rc != SUP_OK)
        return sup_err_set(err, rc, "cannot start a thread");
    p->started = true;
    return SUP_OK;
}

void sup_peer_stop(struct sup_peer *p)
{
    if (p->started) {
        pthread_mutex_lock(&p->mutex);
        sup_dialer_close(p->dialer);
        sup_dialer_free(p->next_dialer); /* too late for it */
        p->next_dialer = NULL;
        pthread_cond_broadcast(&p->cond);
        if (p->session)
            sup_session_close(p->session, SUP_REFUSED_STOPPING, "shutting down");
        pthread_mutex_unlock(&p->mutex);
        pthread_join(p->thread, NULL);
        p->started = false;
    }
    sup_dialer_free(p->dialer);
    p->dialer = NULL;
}
