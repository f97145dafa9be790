#include "core/replica_internal.h"

#include <stdlib.h>
#include <string.h>

#define TRIM_EVERY_MS 60000

/* A tick may say two things of each peer and a few of the node. */
static size_t room_for(size_t n_peers)
{
    return 2 * n_peers + 4;
}

int sup_replica_new(const struct sup_replica_options *opts, struct sup_replica **out,
                    struct sup_err *err)
{
    struct sup_replica *r = calloc(1, sizeof(*r));

    if (!r)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    r->opts = *opts;
    if (r->opts.trim_every_ms == 0)
        r->opts.trim_every_ms = TRIM_EVERY_MS;
    if (r->opts.retire_ms == 0)
        r->opts.retire_ms = SUP_REPLICA_RETIRE_MS;
    if (r->opts.credit == 0)
        r->opts.credit = SUP_REPLICA_CREDIT;
    if (r->opts.message == 0)
        r->opts.message = SUP_REPLICA_MESSAGE_BYTES;
    sup_rng_seed(&r->rng, opts->seed);
    r->room = room_for(opts->n_peers);
    r->peers = calloc(opts->n_peers > 0 ? opts->n_peers : 1, sizeof(*r->peers));
    r->out.a = calloc(r->room, sizeof(*r->out.a));
    if (!r->peers || !r->out.a) {
        sup_replica_free(r);
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    }
    *out = r;
    return SUP_OK;
}

void sup_replica_free(struct sup_replica *r)
{
    if (!r)
        return;
    free(r->out.a);
    free(r->peers);
    free(r);
}

void sup_replica_load(struct sup_replica *r, size_t peer, const struct sup_vv *has)
{
    sup_vv_copy(&r->peers[peer].has, has);
}

void sup_replica_load_incarnation(struct sup_replica *r, size_t peer, uint64_t incarnation)
{
    r->peers[peer].incarnation = incarnation;
}

int sup_replica_add(struct sup_replica *r, struct sup_err *err)
{
    size_t n = r->opts.n_peers + 1;
    struct sup_replica_peer *peers = realloc(r->peers, n * sizeof(*peers));
    struct sup_replica_action *a;

    if (!peers)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    r->peers = peers;
    memset(&peers[n - 1], 0, sizeof(*peers));
    a = realloc(r->out.a, room_for(n) * sizeof(*a));
    if (!a)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    r->out.a = a;
    r->room = room_for(n);
    r->opts.n_peers = n;
    r->settled = 0;
    return SUP_OK;
}

void sup_replica_retire(struct sup_replica *r, size_t peer, bool retired)
{
    struct sup_replica_peer *p = &r->peers[peer];
    uint64_t incarnation = p->incarnation;
    struct sup_vv has;

    if (p->retired == retired)
        return;
    sup_vv_copy(&has, &p->has);
    memset(p, 0, sizeof(*p));
    sup_vv_copy(&p->has, &has);
    p->incarnation = incarnation;
    p->retired = retired;
    if (!retired)
        r->settled = 0;
    r->members_changed = true;
}

void sup_replica_set_log_max_bytes(struct sup_replica *r, uint64_t bytes)
{
    r->opts.log_max_bytes = bytes;
}

static size_t active_peers(const struct sup_replica *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->opts.n_peers; i++)
        n += !r->peers[i].retired;
    return n;
}

struct sup_replica_action *sup_replica_act(struct sup_replica *r, size_t peer,
                                           enum sup_replica_action_type type)
{
    /* Full only by a mistake in the reckoning above: the last one is overwritten then. */
    struct sup_replica_action *a = &r->out.a[r->out.n < r->room ? r->out.n++ : r->room - 1];

    *a = (struct sup_replica_action){.type = type, .peer = peer, .text = ""};
    return a;
}

/* Decides about an incarnation that this process found in its store (service/apply.h says why).
 *
 * Two words of each peer are needed. What it says on the session that we dialled, for there its
 * name was verified: it has no more of ours, durably, than we do. And its PULL to this process:
 * before it dialled, everything that it had received was committed. Without that, something that
 * our former life sent could still wait there for its commit, and take the number that we are about
 * to use. */
void sup_replica_try_settle(const struct sup_replica_ctx *c)
{
    struct sup_replica *r = c->r;
    uint64_t own = c->self->incarnation;

    for (size_t i = 0; i < r->opts.n_peers; i++) {
        const struct sup_replica_peer *p = &r->peers[i];
        if (!p->retired && (!p->confirmed || !p->pulled_confirmed))
            return;
    }
    if (r->settled == own || r->revoked == own)
        return;
    r->settled = own;
    sup_replica_act(r, c->e->peer, SUP_ACT_SETTLE)->amount = own;
}

void sup_replica_hear(const struct sup_replica_ctx *c, struct sup_vv *to, const struct sup_vv *vv)
{
    uint64_t own = c->self->incarnation;

    sup_vv_copy(to, vv);
    if (c->self->certain && sup_vv_get(to, own) > sup_vv_get(&c->self->vv, own))
        sup_vv_remove(to, own);
}

void sup_replica_raise_known(const struct sup_replica_ctx *c, struct sup_vv *v,
                             const struct sup_vv *o)
{
    size_t kept = 0;

    if (sup_vv_merge(v, o) == SUP_OK)
        return;
    for (size_t i = 0; i < v->n; i++) {
        if (sup_vv_get(&c->self->vv, v->e[i].incarnation) > 0)
            v->e[kept++] = v->e[i];
    }
    v->n = kept;
    for (size_t i = 0; i < o->n; i++) {
        if (sup_vv_get(&c->self->vv, o->e[i].incarnation) > 0)
            (void)sup_vv_raise(v, o->e[i].incarnation, o->e[i].seq);
    }
}

static void judge_incarnation(const struct sup_replica_ctx *c, const struct sup_vv *theirs)
{
    struct sup_replica *r = c->r;
    uint64_t own = c->self->incarnation;

    if (sup_vv_get(theirs, own) <= sup_vv_get(&c->self->vv, own)) {
        c->peer->confirmed = true;
        sup_replica_try_settle(c);
        return;
    }
    if (r->revoked != own) {
        sup_replica_act(r, c->e->peer, SUP_ACT_REVOKE)->amount = own;
        sup_replica_act(r, c->e->peer, SUP_ACT_ALARM)->text =
            c->self->certain ? "a peer claims decisions of this node that it never made"
                             : "this store is an old copy: a peer remembers decisions that it lost";
    }
    r->revoked = own;
}

static void tick(const struct sup_replica_ctx *c)
{
    struct sup_replica *r = c->r;
    uint64_t own = c->self->incarnation;

    if (active_peers(r) == 0 && r->settled != own) {
        r->settled = own; /* with nobody to ask, nobody can have more of it */
        sup_replica_act(r, 0, SUP_ACT_SETTLE)->amount = own;
    } else if (r->members_changed)
        sup_replica_try_settle(c); /* whoever it waited for may be gone */
    r->members_changed = false;
    for (size_t i = 0; i < r->opts.n_peers; i++)
        sup_replica_pull_tick(c, i);
    sup_replica_serve_tick(c);
    sup_replica_trim_tick(c);
}

struct sup_replica_actions *sup_replica_step(struct sup_replica *r, int64_t now_ms,
                                             const struct sup_replica_self *self,
                                             const struct sup_replica_event *e)
{
    struct sup_replica_ctx c = {.r = r, .self = self, .e = e, .now = now_ms};

    r->out.n = 0;
    r->out.n_ranges = 0;
    r->out.starved = false;
    if (e->type == SUP_EV_TICK) {
        tick(&c);
        return &r->out;
    }
    if (e->peer >= r->opts.n_peers || r->peers[e->peer].retired)
        return &r->out;
    c.peer = &r->peers[e->peer];
    switch (e->type) {
    case SUP_EV_TICK:
        break;
    case SUP_EV_DIALED:
    case SUP_EV_PEER_VV:
        if (e->incarnation != 0)
            c.peer->incarnation = e->incarnation;
        judge_incarnation(&c, e->vv);
        sup_replica_pull_event(&c);
        break;
    case SUP_EV_DIAL_LOST:
    case SUP_EV_MUTATIONS:
    case SUP_EV_APPLIED:
    case SUP_EV_TRIMMED:
    case SUP_EV_REPAIRING:
    case SUP_EV_REPAIRED:
        sup_replica_pull_event(&c);
        break;
    case SUP_EV_ACCEPTED:
    case SUP_EV_ACCEPT_LOST:
    case SUP_EV_PULL:
    case SUP_EV_ACK:
    case SUP_EV_MAY_SEND:
    case SUP_EV_FILLED:
        sup_replica_serve_event(&c);
        break;
    }
    return &r->out;
}

void sup_replica_peer(const struct sup_replica *r, size_t peer, struct sup_replica_peer_view *out)
{
    const struct sup_replica_peer *p = &r->peers[peer];

    *out = (struct sup_replica_peer_view){
        .has = &p->has,
        .unacknowledged = p->pull.unacknowledged,
        .quarantined = p->quarantined,
        .stalls = p->stalls,
        .gaps = p->gaps,
        .needs_repair = p->needs_repair,
        .confirmed = p->confirmed && p->pulled_confirmed,
        .retired = p->retired,
    };
}
