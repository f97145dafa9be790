/* The network: streams that keep their order and die when a part of them is lost, or, in lossy
 * runs, something worse than the product will ever meet. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

#define HELLO_MS   5000
#define SILENCE_MS 5000

struct sim_msg *sim_msg_new(enum sim_msg_type type, unsigned from, unsigned to, bool to_server,
                            uint64_t session, const struct sup_vv *vv)
{
    struct sim_msg *m = calloc(1, sizeof(*m));

    if (!m)
        abort();
    *m = (struct sim_msg){
        .type = type, .from = from, .to = to, .to_server = to_server, .session = session};
    if (vv && vv->n > 0) {
        m->vv = malloc(vv->n * sizeof(*m->vv));
        if (!m->vv)
            abort();
        memcpy(m->vv, vv->e, vv->n * sizeof(*m->vv));
        m->n_vv = vv->n;
    }
    return m;
}

void sim_msg_free(struct sim_msg *m)
{
    if (!m)
        return;
    free(m->vv);
    free(m->m);
    free(m->bytes);
    free(m);
}

void sim_msg_put(struct sim_msg *m, const struct sup_mutation *from, size_t n)
{
    size_t size = 1;
    uint8_t *p;

    for (size_t i = 0; i < n; i++)
        size += from[i].key.n + from[i].encoded.n;
    m->m = calloc(n > 0 ? n : 1, sizeof(*m->m));
    m->bytes = p = malloc(size);
    if (!m->m || !m->bytes)
        abort();
    m->n = n;
    for (size_t i = 0; i < n; i++) {
        m->m[i] = from[i];
        memcpy(p, from[i].key.p, from[i].key.n);
        m->m[i].key.p = p;
        p += from[i].key.n;
        memcpy(p, from[i].encoded.p, from[i].encoded.n);
        m->m[i].encoded.p = p;
        p += from[i].encoded.n;
    }
}

void sim_msg_put_bytes(struct sim_msg *m, struct sup_slice bytes)
{
    m->bytes = malloc(bytes.n > 0 ? bytes.n : 1);
    if (!m->bytes)
        abort();
    memcpy(m->bytes, bytes.p, bytes.n);
    m->n_bytes = bytes.n;
}

static struct sim_msg *copy(const struct sim_msg *m)
{
    struct sim_msg *c = sim_msg_new(m->type, m->from, m->to, m->to_server, m->session, NULL);

    c->cost = m->cost;
    c->root = m->root;
    c->incarnation = m->incarnation;
    c->standing = m->standing;
    c->snapshots = m->snapshots;
    c->adopt = m->adopt;
    if (m->n_vv > 0) {
        c->vv = malloc(m->n_vv * sizeof(*c->vv));
        if (!c->vv)
            abort();
        memcpy(c->vv, m->vv, m->n_vv * sizeof(*c->vv));
        c->n_vv = m->n_vv;
    }
    if (m->m)
        sim_msg_put(c, m->m, m->n);
    return c;
}

static struct sim_conn *conn_of(struct sim *s, const struct sim_msg *m)
{
    return m->to_server ? &s->conns[m->from][m->to] : &s->conns[m->to][m->from];
}

static void schedule(struct sim *s, struct sim_msg *m, int64_t delay)
{
    sim_push(s, delay, (struct sim_event){.type = EV_DELIVER, .msg = m});
}

void sim_send(struct sim *s, struct sim_msg *m)
{
    struct sim_conn *c = conn_of(s, m);
    unsigned latency = s->latency[m->from][m->to];
    int64_t delay = 1 + latency + (int64_t)sim_below(s, latency / 8 + 2);
    bool lost = s->cut[m->from][m->to] || sim_chance(s, s->shape.loss_permille);

    /* Chunks of a snapshot rely on the stream: nobody would see that one is missing. */
    if (s->shape.lossy && !s->faults_over && m->type != MSG_SNAPSHOT) {
        if (lost) {
            sim_msg_free(m);
            return;
        }
        delay += sim_chance(s, 100) ? (int64_t)sim_below(s, 2000) : 0;
        if (sim_chance(s, 30))
            schedule(s, copy(m), delay + (int64_t)sim_below(s, 500));
        schedule(s, m, delay);
        return;
    }
    if (lost)
        c->broken[m->to_server] = m->session;
    if (c->broken[m->to_server] == m->session) {
        sim_msg_free(m);
        return;
    }
    if (s->now + delay < c->last_at[m->to_server])
        delay = c->last_at[m->to_server] - s->now;
    c->last_at[m->to_server] = s->now + delay;
    schedule(s, m, delay);
}

/* --- sessions --- */

static void send_hello(struct sim *s, struct sim_node *n, struct sim_msg *m)
{
    m->incarnation = sup_apply_incarnation(n->apply);
    m->standing = sim_join_standing(n);
    m->snapshots = n->joining;
    sim_send(s, m);
}

void sim_dial(struct sim *s, struct sim_node *n, unsigned peer)
{
    struct sim_conn *c = &s->conns[n->id][peer];
    struct sup_vv vv;

    if (n->n_jobs > 0) { /* first all that came so far is committed */
        sim_push(s, 10,
                 (struct sim_event){.type = EV_DIAL, .node = n->id, .peer = peer, .life = n->life});
        return;
    }
    c->dialed = ++s->sessions;
    c->dialed_up = false;
    c->dialed_at = s->now;
    c->dialed_heard = s->now;
    sup_apply_vv(n->apply, &vv);
    sim_claim(s, n, &vv);
    send_hello(s, n, sim_msg_new(MSG_HELLO, n->id, peer, true, c->dialed, &vv));
}

void sim_dialed_lost(struct sim *s, struct sim_node *n, unsigned peer)
{
    struct sim_conn *c = &s->conns[n->id][peer];
    struct sup_replica_event e = {.type = SUP_EV_DIAL_LOST,
                                  .peer = sim_peer_index(n, peer),
                                  .session = c->dialed,
                                  .lived_ms = c->dialed_up ? s->now - c->dialed_at : 0};

    sim_tracef(s, "%s lost its session %llu with n%u", n->name, (unsigned long long)c->dialed,
               peer);
    c->dialed = 0;
    c->dialed_up = false;
    sim_join_lost(s, n, peer);
    sim_step(s, n, &e, NULL);
}

void sim_accepted_lost(struct sim *s, struct sim_node *n, unsigned peer)
{
    struct sim_conn *c = &s->conns[peer][n->id];
    struct sup_replica_event e = {
        .type = SUP_EV_ACCEPT_LOST, .peer = sim_peer_index(n, peer), .session = c->accepted};

    c->accepted = 0;
    sim_give_end(c);
    sim_step(s, n, &e, NULL);
}

static void heartbeats(struct sim *s, struct sim_node *n, unsigned peer)
{
    struct sim_conn *out = &s->conns[n->id][peer];
    struct sim_conn *in = &s->conns[peer][n->id];
    struct sup_vv vv;

    sup_apply_vv(n->apply, &vv);
    sim_claim(s, n, &vv);
    if (out->dialed_up)
        sim_send(s, sim_msg_new(MSG_HEARTBEAT, n->id, peer, true, out->dialed, NULL));
    if (in->accepted) {
        struct sim_msg *m = sim_msg_new(MSG_HEARTBEAT, n->id, peer, false, in->accepted, &vv);
        m->root = sup_sketch_keeper_root(n->keeper);
        m->incarnation = sup_apply_incarnation(n->apply);
        m->standing = sim_join_standing(n);
        sim_send(s, m);
        sim_give_tick(s, in);
    }
}

void sim_conn_tick(struct sim *s, struct sim_node *n)
{
    for (unsigned p = 0; p < s->shape.n_nodes && !s->failed; p++) {
        struct sim_conn *out = &s->conns[n->id][p];
        struct sim_conn *in = &s->conns[p][n->id];
        if (p == n->id)
            continue;
        heartbeats(s, n, p);
        if (out->dialed && s->now - out->dialed_heard > (out->dialed_up ? SILENCE_MS : HELLO_MS))
            sim_dialed_lost(s, n, p);
        if (in->accepted && s->now - in->accepted_heard > SILENCE_MS)
            sim_accepted_lost(s, n, p);
    }
}

/* --- arrival --- */

/* Which incarnation is its own the server says itself; and of what it has, only what can be taken
 * from it is lacking here. */
static void admit(struct sim *s, struct sim_node *n, const struct sim_msg *m, struct sup_vv *vv)
{
    uint64_t member = sim_member(s, n, m->from);

    if (m->type != MSG_TRIMMED) {
        conn_of(s, m)->incarnation = m->incarnation;
        sup_apply_heard(n->apply, member, m->incarnation, sup_vv_get(vv, m->incarnation));
    }
    sup_apply_admissible(n->apply, member, vv);
}

static void take_hello(struct sim *s, struct sim_node *n, struct sim_msg *m, struct sup_vv *vv)
{
    struct sim_conn *c = conn_of(s, m);
    struct sup_replica_event e = {
        .peer = sim_peer_index(n, m->from), .session = m->session, .incarnation = m->incarnation};
    struct sup_vv own;

    e.vv = vv;
    if (m->to_server) {
        if (m->session <= c->accepted)
            return; /* late */
        if (!n->knows[m->from]) {
            sim_tracef(s, "%s refuses n%u, which is none of its peers", n->name, m->from);
            sim_send(s, sim_msg_new(MSG_CLOSE, n->id, m->from, false, m->session, NULL));
            return;
        }
        sim_give_end(c); /* of an older session */
        c->accepted = m->session;
        c->accepted_heard = s->now;
        sim_tracef(s, "%s accepts session %llu of n%u", n->name, (unsigned long long)m->session,
                   m->from);
        e.type = SUP_EV_ACCEPTED;
        sim_step(s, n, &e, NULL);
        sup_apply_vv(n->apply, &own);
        sim_claim(s, n, &own);
        send_hello(s, n, sim_msg_new(MSG_HELLO, n->id, m->from, false, m->session, &own));
    } else if (c->dialed == m->session && !c->dialed_up) {
        c->dialed_up = true;
        c->repairing = false;
        sup_repair_when_begin(&c->when, s->now, m->from < n->id);
        c->view.standing = m->standing;
        c->view.snapshots = m->snapshots;
        admit(s, n, m, vv);
        /* Before the replica decides whether to pull: a copy may be better. */
        sim_join_heard(s, n, m->from, vv);
        e.type = SUP_EV_DIALED;
        e.pull = sim_join_pulls_from(n, &c->view);
        sim_step(s, n, &e, NULL);
    }
}

static void take_by_server(struct sim *s, struct sim_node *n, struct sim_msg *m, struct sup_vv *vv)
{
    struct sup_replica_event e = {
        .peer = sim_peer_index(n, m->from), .session = m->session, .cost = m->cost};

    e.vv = vv;
    switch (m->type) {
    case MSG_PULL:
    case MSG_ACK:
        e.type = m->type == MSG_PULL ? SUP_EV_PULL : SUP_EV_ACK;
        sim_step(s, n, &e, NULL);
        sim_serve(s, n);
        break;
    case MSG_CLOSE:
        sim_accepted_lost(s, n, m->from);
        break;
    case MSG_REPAIR:
        sim_send(s, sim_repair_answer(s, n, m));
        break;
    case MSG_SNAPSHOT:
        sim_give(s, n, m);
        break;
    default:
        break;
    }
}

static void take_by_dialer(struct sim *s, struct sim_node *n, struct sim_msg *m, struct sup_vv *vv)
{
    struct sup_replica_event e = {.peer = sim_peer_index(n, m->from),
                                  .session = m->session,
                                  .m = m->m,
                                  .n = m->n,
                                  .cost = m->cost,
                                  .incarnation = m->incarnation};

    e.vv = vv;
    switch (m->type) {
    case MSG_HEARTBEAT:
        conn_of(s, m)->view.standing = m->standing;
        admit(s, n, m, vv);
        sim_join_heard(s, n, m->from, vv);
        e.type = SUP_EV_PEER_VV;
        e.pull = sim_join_pulls_from(n, &conn_of(s, m)->view);
        sim_step(s, n, &e, NULL);
        sim_repair_root(s, n, m, vv);
        break;
    case MSG_MUTATIONS:
        e.type = SUP_EV_MUTATIONS;
        sim_step(s, n, &e, copy(m));
        break;
    case MSG_TRIMMED:
        admit(s, n, m, vv);
        e.type = SUP_EV_TRIMMED;
        sim_step(s, n, &e, NULL);
        break;
    case MSG_REPAIRED:
        e.type = SUP_EV_REPAIRING;
        sim_step(s, n, &e, NULL);
        sim_repair_take(s, n, copy(m));
        break;
    case MSG_SNAPSHOT:
        sim_join_chunk(s, n, m);
        break;
    case MSG_CLOSE:
        sim_dialed_lost(s, n, m->from);
        break;
    default:
        break;
    }
}

void sim_deliver(struct sim *s, struct sim_msg *m)
{
    struct sim_node *n = &s->nodes[m->to];
    struct sim_conn *c = conn_of(s, m);
    struct sup_vv vv;

    if (!n->running)
        return;
    sup_vv_init(&vv);
    for (size_t i = 0; i < m->n_vv; i++)
        (void)sup_vv_raise(&vv, m->vv[i].incarnation, m->vv[i].seq);
    if (m->type == MSG_HELLO) {
        take_hello(s, n, m, &vv);
    } else if (m->to_server && c->accepted == m->session) {
        c->accepted_heard = s->now;
        take_by_server(s, n, m, &vv);
    } else if (!m->to_server && c->dialed == m->session && c->dialed_up) {
        c->dialed_heard = s->now;
        take_by_dialer(s, n, m, &vv);
    } else if (!m->to_server && c->dialed == m->session && m->type == MSG_CLOSE) {
        sim_dialed_lost(s, n, m->from); /* refused */
    }
}
