/* The serving half of a replica. */
#include "codec/mesh_msg.h"
#include "core/replica_internal.h"

static bool has_floor(const struct sup_vv *has, const struct sup_replica_self *self)
{
    return sup_vv_covers(has, &self->floor);
}

void sup_replica_serve_known(const struct sup_replica_ctx *c, const struct sup_vv *has)
{
    struct sup_replica_serve *v = &c->peer->serve;

    /* Were it not so any more (its store was rolled back, and this is late), the peer would see a
     * gap, or a stall, and begin a new session. */
    if (v->up && v->pulled)
        sup_replica_raise_known(c, &v->sent, has);
}

void sup_replica_serve_tick(const struct sup_replica_ctx *c)
{
    struct sup_replica *r = c->r;

    if (c->now < r->relay_at_ms)
        return;
    r->relay_at_ms = c->now + SUP_REPLICA_RELAY_MS;
    sup_vv_copy(&r->relay[0], &r->relay[1]);
    sup_vv_copy(&r->relay[1], &c->self->vv);
}

/* Up to where an incarnation may be sent now. One that was forgotten and came back may have had
 * more a moment ago than it has now. */
static uint64_t sendable(const struct sup_replica_ctx *c, const struct sup_vv_entry *mine)
{
    uint64_t relay = sup_vv_get(&c->r->relay[0], mine->incarnation);

    return mine->incarnation == c->self->incarnation || relay > mine->seq ? mine->seq : relay;
}

static void accepted(const struct sup_replica_ctx *c)
{
    struct sup_replica_serve *v = &c->peer->serve;

    v->up = true;
    v->pulled = false;
    v->behind = false;
    v->session = c->e->session;
    v->credit = 0;
    v->generation++;
    if (c->e->vv)
        sup_replica_hear(c, &c->peer->has, c->e->vv);
}

static uint64_t capped(const struct sup_replica_ctx *c, uint64_t most)
{
    return c->e->cost < most ? c->e->cost : most;
}

/* Once a PULL. */
static void tell_trimmed(const struct sup_replica_ctx *c)
{
    if (c->peer->serve.told)
        return;
    c->peer->serve.told = true;
    sup_replica_act(c->r, c->e->peer, SUP_ACT_TRIMMED)->session = c->peer->serve.session;
}

static void pull(const struct sup_replica_ctx *c)
{
    struct sup_replica_serve *v = &c->peer->serve;

    sup_replica_hear(c, &c->peer->has, c->e->vv);
    sup_vv_copy(&v->sent, &c->peer->has);
    v->credit = (int64_t)capped(c, c->r->opts.credit);
    v->generation++;
    v->pulled = true;
    v->behind = v->told = false;
    if (sup_vv_get(c->e->vv, c->self->incarnation) <=
        sup_vv_get(&c->self->vv, c->self->incarnation)) {
        c->peer->pulled_confirmed = true;
        sup_replica_try_settle(c);
    }
    c->peer->needs_repair = !has_floor(&c->peer->has, c->self);
    if (c->peer->needs_repair)
        tell_trimmed(c);
}

static void refuse(const struct sup_replica_ctx *c)
{
    struct sup_replica_action *a = sup_replica_act(c->r, c->e->peer, SUP_ACT_CLOSE_ACCEPTED);

    a->session = c->e->session;
    a->refusal = SUP_REFUSED_PROTOCOL;
    a->text = "unexpected message";
}

static void ack(const struct sup_replica_ctx *c)
{
    struct sup_replica_serve *v = &c->peer->serve;

    if (!v->pulled) {
        refuse(c);
        return;
    }
    sup_replica_hear(c, &c->peer->has, c->e->vv);
    /* It may have got the same from others meanwhile. */
    sup_replica_raise_known(c, &v->sent, &c->peer->has);
    v->credit += (int64_t)capped(c, (uint64_t)((int64_t)c->r->opts.credit - v->credit));
    c->peer->needs_repair = !has_floor(&c->peer->has, c->self);
}

/* Says once a session that the peer cannot be served from the log alone. */
static void behind(const struct sup_replica_ctx *c)
{
    c->peer->needs_repair = true;
    tell_trimmed(c);
    if (c->peer->serve.behind)
        return;
    c->peer->serve.behind = true;
    sup_replica_act(c->r, c->e->peer, SUP_ACT_ALARM)->text =
        "the peer lacks what was trimmed from the log: it needs a repair";
}

static void may_send(const struct sup_replica_ctx *c)
{
    struct sup_replica_serve *v = &c->peer->serve;
    struct sup_replica_actions *out = &c->r->out;
    const struct sup_vv *mine = &c->self->vv;
    size_t first = mine->n > 0 ? v->next % mine->n : 0;

    c->r->out.starved = !v->pulled || v->credit <= 0;
    if (c->r->out.starved)
        return;
    for (size_t k = 0; k < mine->n && out->n_ranges < SUP_REPLICA_RANGES_MAX; k++) {
        size_t i = (first + k) % mine->n;
        uint64_t incarnation = mine->e[i].incarnation;
        uint64_t last = sendable(c, &mine->e[i]);
        uint64_t sent = sup_vv_get(&v->sent, incarnation);
        if (sent >= last)
            continue;
        if (sent < sup_vv_get(&c->self->floor, incarnation)) {
            behind(c);
            continue;
        }
        out->ranges[out->n_ranges++] =
            (struct sup_replica_range){.incarnation = incarnation, .from = sent + 1, .to = last};
        v->next = i + 1;
    }
    if (out->n_ranges > 0) {
        struct sup_replica_action *a = sup_replica_act(c->r, c->e->peer, SUP_ACT_FILL);
        a->session = v->session;
        a->generation = v->generation;
        a->amount =
            (uint64_t)v->credit < c->r->opts.message ? (uint64_t)v->credit : c->r->opts.message;
    }
}

static void filled(const struct sup_replica_ctx *c)
{
    struct sup_replica_serve *v = &c->peer->serve;
    struct sup_vv upto;

    if (c->e->generation != v->generation) /* a PULL came in between: what was read is not due */
        return;
    v->credit -= (int64_t)c->e->cost;
    sup_vv_init(&upto);
    for (size_t i = 0; i < c->e->n; i++)
        (void)sup_vv_raise(&upto, c->e->ranges[i].incarnation, c->e->ranges[i].to);
    sup_replica_raise_known(c, &v->sent, &upto);
    sup_replica_act(c->r, c->e->peer, SUP_ACT_TRANSMIT)->session = v->session;
}

void sup_replica_serve_event(const struct sup_replica_ctx *c)
{
    struct sup_replica_serve *v = &c->peer->serve;

    if (c->e->type == SUP_EV_ACCEPTED) {
        accepted(c);
        return;
    }
    if (!v->up || v->session != c->e->session)
        return;
    switch ((int)c->e->type) {
    case SUP_EV_ACCEPT_LOST:
        v->up = false;
        break;
    case SUP_EV_PULL:
        pull(c);
        break;
    case SUP_EV_ACK:
        ack(c);
        break;
    case SUP_EV_MAY_SEND:
        may_send(c);
        break;
    case SUP_EV_FILLED:
        filled(c);
        break;
    default:
        break;
    }
}
