/* The pulling half of a replica. */
#include "codec/mesh_msg.h"
#include "core/replica_internal.h"

/* Redialling: full jitter, 100 ms … 10 s. A session shorter than STABLE_MS counts as a failed
 * attempt, or a peer that accepts and closes would be dialled without pause. */
#define REDIAL_BASE_MS   100
#define REDIAL_CAP_MS    10000
#define STABLE_MS        250
#define ATTEMPTS_COUNTED 16 /* the cap is reached long before */

/* Before a repair that failed, or that the peer was too busy for, is tried again. */
#define REFUSED_MS 2000
/* A repair has so long before one with another peer may begin beside it. */
#define ALONE_MS 60000

static void close_dialed(struct sup_replica *r, size_t peer, unsigned refusal, const char *text)
{
    struct sup_replica_action *a = sup_replica_act(r, peer, SUP_ACT_CLOSE_DIALED);

    a->session = r->peers[peer].pull.session;
    a->refusal = refusal;
    a->text = text;
    r->peers[peer].pull.up = false;
}

/* Chooses what to watch next: something that the peer has and we lack. */
static void watch(struct sup_replica_peer *p, const struct sup_replica_self *self, int64_t now)
{
    struct sup_replica_pull *u = &p->pull;

    u->watched = 0;
    u->watched_ms = now;
    for (size_t i = 0; i < p->has.n; i++) {
        uint64_t mine = sup_vv_get(&self->vv, p->has.e[i].incarnation);
        if (p->has.e[i].seq > mine) {
            u->watched = p->has.e[i].incarnation;
            u->watched_seq = mine;
            return;
        }
    }
}

static void pull(const struct sup_replica_ctx *c)
{
    struct sup_replica_action *a = sup_replica_act(c->r, c->e->peer, SUP_ACT_PULL);

    a->session = c->peer->pull.session;
    a->amount = c->r->opts.credit;
}

static void dialed(const struct sup_replica_ctx *c)
{
    struct sup_replica_pull *u = &c->peer->pull;

    u->up = true;
    u->session = c->e->session;
    u->unacknowledged = 0;
    u->jobs = 0;
    u->repairing = false;
    sup_vv_init(&u->trimmed);
    u->next_repair_ms = c->now;
    sup_vv_copy(&u->expect, &c->self->vv);
    u->crowded = false;
    sup_replica_hear(c, &c->peer->has, c->e->vv);
    watch(c->peer, c->self, c->now);
    u->held = c->self->holds && !c->e->pull;
    if (!u->held)
        pull(c);
}

/* Does it continue its incarnation, or repeat what came before? */
static bool continues(struct sup_replica_pull *u, const struct sup_mutation *m)
{
    uint64_t have = sup_vv_get(&u->expect, m->incarnation);

    if (m->seq == 0 || (m->seq - 1 > have && !(have == 0 && u->crowded)))
        return false;
    /* More incarnations than a version vector holds: apply counts none of these. */
    if (sup_vv_raise(&u->expect, m->incarnation, m->seq) != SUP_OK)
        u->crowded = true;
    return true;
}

/* The copy is whole: what comes behind it is in the log. Or it is known by now that this peer has
 * no more to copy than we do. */
static void let_go(const struct sup_replica_ctx *c)
{
    struct sup_replica_pull *u = &c->peer->pull;

    if (!u->held || (c->self->holds && !c->e->pull))
        return;
    u->held = false;
    sup_vv_copy(&u->expect, &c->self->vv);
    watch(c->peer, c->self, c->now);
    pull(c);
}

static void dial_lost(const struct sup_replica_ctx *c)
{
    struct sup_replica_pull *u = &c->peer->pull;

    u->up = false;
    if (c->e->lived_ms >= STABLE_MS)
        u->attempt = 0;
    sup_replica_act(c->r, c->e->peer, SUP_ACT_DIAL)->amount =
        (uint64_t)sup_backoff_ms(&c->r->rng, REDIAL_BASE_MS, REDIAL_CAP_MS, u->attempt);
    if (u->attempt < ATTEMPTS_COUNTED)
        u->attempt++;
}

/* --- what was trimmed --- */

/* Does the other's log reach back to what we lack of it? */
static bool may_serve(const struct sup_replica_peer *other, const struct sup_vv *trimmed,
                      const struct sup_vv *mine)
{
    if (!other->pull.up || other->pull.held)
        return false;
    for (size_t i = 0; i < trimmed->n; i++) {
        uint64_t have = sup_vv_get(mine, trimmed->e[i].incarnation);
        if (trimmed->e[i].seq <= have)
            continue;
        if (sup_vv_get(&other->has, trimmed->e[i].incarnation) < trimmed->e[i].seq ||
            sup_vv_get(&other->pull.trimmed, trimmed->e[i].incarnation) > have)
            return false;
    }
    return true;
}

static bool another_may_serve(const struct sup_replica_ctx *c, size_t peer)
{
    const struct sup_replica *r = c->r;

    for (size_t i = 0; i < r->opts.n_peers; i++) {
        if (i != peer && may_serve(&r->peers[i], &r->peers[peer].pull.trimmed, &c->self->vv))
            return true;
    }
    return false;
}

/* One at a time: what the first repair brings the second need not. But nobody is waited for
 * without end. */
static bool any_repairs(const struct sup_replica *r, int64_t now)
{
    for (size_t i = 0; i < r->opts.n_peers; i++) {
        const struct sup_replica_pull *u = &r->peers[i].pull;
        if (u->up && u->repairing && now - u->repair_ms < ALONE_MS)
            return true;
    }
    return false;
}

static void repair(struct sup_replica *r, size_t peer, int64_t now)
{
    r->peers[peer].pull.repairing = true;
    r->peers[peer].pull.repair_ms = r->peers[peer].pull.watched_ms = now;
    sup_replica_act(r, peer, SUP_ACT_REPAIR)->session = r->peers[peer].pull.session;
}

/* A peer's log begins behind what we need: true when a repair with it was begun for that. */
static bool look_at_trimmed(const struct sup_replica_ctx *c, size_t peer)
{
    struct sup_replica_pull *u = &c->r->peers[peer].pull;

    if (!u->up || u->held || c->self->holds || u->repairing ||
        sup_vv_covers(&c->self->vv, &u->trimmed))
        return false;
    if (any_repairs(c->r, c->now)) {
        u->watched_ms = c->now; /* this one need not send anything meanwhile */
        return false;
    }
    if (c->now < u->next_repair_ms ||
        (c->now - u->trimmed_ms < SUP_REPLICA_OTHER_MS && another_may_serve(c, peer)))
        return false;
    repair(c->r, peer, c->now);
    return true;
}

static void trimmed(const struct sup_replica_ctx *c)
{
    struct sup_replica_pull *u = &c->peer->pull;

    if (sup_vv_covers(&c->self->vv, &u->trimmed))
        u->trimmed_ms = c->now;
    sup_vv_copy(&u->trimmed, c->e->vv);
    (void)look_at_trimmed(c, c->e->peer);
}

/* --- mutations --- */

/* Every mutation continues its incarnation, or repeats what came before. */
static bool in_sequence(struct sup_replica_peer *p, const struct sup_mutation *m, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!continues(&p->pull, &m[i]))
            return false;
        /* It is in the peer's own log. */
        (void)sup_vv_raise(&p->has, m[i].incarnation, m[i].seq);
    }
    return true;
}

static void mutations(const struct sup_replica_ctx *c)
{
    struct sup_replica_pull *u = &c->peer->pull;
    struct sup_replica_action *a;

    /* What other sessions brought meanwhile is no gap. */
    u->crowded = u->crowded || sup_vv_merge(&u->expect, &c->self->vv) != SUP_OK;
    if (u->crowded)
        sup_replica_raise_known(c, &u->expect, &c->self->vv);
    if (!in_sequence(c->peer, c->e->m, c->e->n)) {
        c->peer->gaps++;
        close_dialed(c->r, c->e->peer, SUP_REFUSED_PROTOCOL, "gap in the mutations");
        return;
    }
    sup_replica_serve_known(c, &c->peer->has);
    u->unacknowledged += c->e->cost;
    /* One message may overdraw the credit. */
    if (u->unacknowledged > c->r->opts.credit + SUP_FRAME_BODY_MAX) {
        close_dialed(c->r, c->e->peer, SUP_REFUSED_PROTOCOL, "more mutations than credit");
        return;
    }
    u->jobs++;
    a = sup_replica_act(c->r, c->e->peer, SUP_ACT_SUBMIT);
    a->session = u->session;
    a->amount = c->e->cost;
}

static void applied(const struct sup_replica_ctx *c)
{
    struct sup_replica_pull *u = &c->peer->pull;
    struct sup_replica_action *a;

    c->peer->quarantined += c->e->n;
    if (c->e->n > 0)
        sup_replica_act(c->r, c->e->peer, SUP_ACT_ALARM)->text =
            "mutations from the future are quarantined";
    if (!u->up || u->session != c->e->session)
        return;
    u->jobs -= u->jobs > 0;
    u->unacknowledged -= c->e->cost < u->unacknowledged ? c->e->cost : u->unacknowledged;
    if (c->e->code != SUP_OK) {
        close_dialed(c->r, c->e->peer, SUP_REFUSED_OTHER, "mutations could not be applied");
        return;
    }
    a = sup_replica_act(c->r, c->e->peer, SUP_ACT_ACK);
    a->session = u->session;
    a->amount = c->e->cost;
}

static void repaired(const struct sup_replica_ctx *c)
{
    struct sup_replica_pull *u = &c->peer->pull;
    struct sup_replica_action *a;

    if (!u->up || u->session != c->e->session)
        return;
    u->repairing = false;
    u->watched_ms = c->now;
    u->next_repair_ms = c->now + (c->e->code == SUP_OK ? SUP_REPLICA_AGAIN_MS : REFUSED_MS);
    if (c->e->code != SUP_OK)
        return;
    /* The server's log reaches what we have now: it may go on from there. */
    a = sup_replica_act(c->r, c->e->peer, SUP_ACT_ACK);
    a->session = u->session;
}

static void lost(const struct sup_replica_ctx *c)
{
    if (c->e->session == c->peer->pull.session || !c->peer->pull.up)
        dial_lost(c);
}

void sup_replica_pull_event(const struct sup_replica_ctx *c)
{
    const struct sup_replica_pull *u = &c->peer->pull;
    bool present = u->up && u->session == c->e->session;

    switch ((int)c->e->type) {
    case SUP_EV_DIALED:
        dialed(c);
        break;
    case SUP_EV_DIAL_LOST:
        lost(c);
        break;
    case SUP_EV_PEER_VV:
        if (present) {
            sup_replica_hear(c, &c->peer->has, c->e->vv);
            sup_replica_serve_known(c, &c->peer->has);
            if (sup_vv_covers(c->e->vv, &c->self->floor))
                c->peer->needs_repair = false;
            let_go(c);
        }
        break;
    case SUP_EV_MUTATIONS:
        if (present)
            mutations(c);
        break;
    case SUP_EV_APPLIED:
        applied(c);
        break;
    case SUP_EV_TRIMMED:
        if (present)
            trimmed(c);
        break;
    case SUP_EV_REPAIRING:
        if (present)
            c->peer->pull.watched_ms = c->now;
        break;
    case SUP_EV_REPAIRED:
        repaired(c);
        break;
    default:
        break;
    }
}

/* A stalled session is dialled again first: a message may have been lost in a way that nobody
 * noticed. If it stalls again the peer's log does not reach back to us. Who has nothing at all of
 * an incarnation (a new node, a wiped one) need not find that out twice. */
static void stalled(struct sup_replica *r, size_t peer, int64_t now)
{
    struct sup_replica_peer *p = &r->peers[peer];

    p->stalls++;
    p->pull.stalls++;
    p->pull.watched_ms = now;
    if (p->pull.repairing || (p->pull.watched_seq != 0 && p->pull.stalls % 2 == 1)) {
        close_dialed(r, peer, SUP_REFUSED_OTHER, "stalled: sends nothing of what it has");
        return;
    }
    repair(r, peer, now);
}

void sup_replica_pull_tick(const struct sup_replica_ctx *c, size_t peer)
{
    struct sup_replica_peer *p = &c->r->peers[peer];
    struct sup_replica_pull *u = &p->pull;
    int64_t limit;
    bool moved;
    bool lacking;

    if (c->self->holds)
        watch(p, c->self, c->now);
    if (!u->up || u->held || c->self->holds || look_at_trimmed(c, peer))
        return;
    limit = u->watched_seq == 0 && !u->repairing ? SUP_REPLICA_REACH_MS : SUP_REPLICA_STALL_MS;
    moved = u->watched != 0 && sup_vv_get(&c->self->vv, u->watched) > u->watched_seq;
    /* Does the peer still say that it has it? */
    lacking = sup_vv_get(&p->has, u->watched) > sup_vv_get(&c->self->vv, u->watched);
    if (!lacking || moved)
        watch(p, c->self, c->now);
    if (moved || sup_vv_covers(&c->self->vv, &p->has))
        u->stalls = 0;
    if (u->watched != 0 && u->jobs == 0 && c->now - u->watched_ms >= limit)
        stalled(c->r, peer, c->now);
}
