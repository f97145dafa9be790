/* When the log may be cut, and when an incarnation may be forgotten.
 *
 * Each time that a node cannot be sure of its incarnation it takes a new one, and without an end
 * for the old ones version vectors would grow for ever. One is forgotten when it is no member's
 * present one, nobody wants its log, and all members have it all or do not speak of it,
 * and all that for a while, so that nodes which look at different times come to it together.
 *
 * Nothing is lost by it. A node that comes back with an old copy of its store asks for what nobody
 * has in a log any more: its root differs, and it is repaired. If it comes back under that
 * incarnation, whoever remembers it says so, and the node takes a new one; if nobody does, its
 * numbers are new to all, and used again they hide nothing. If only some remember it, and were
 * away when it asked, what they take for known is repaired likewise. */
#include "core/replica_internal.h"

/* Up to where all members have acknowledged. An absent one holds everything back, until it is
 * decommissioned or the log is full. */
static uint64_t acknowledged(const struct sup_replica *r, uint64_t incarnation, uint64_t most)
{
    for (size_t i = 0; i < r->opts.n_peers; i++) {
        uint64_t has = sup_vv_get(&r->peers[i].has, incarnation);
        if (!r->peers[i].retired && has < most)
            most = has;
    }
    return most;
}

static bool has_peers(const struct sup_replica *r)
{
    for (size_t i = 0; i < r->opts.n_peers; i++) {
        if (!r->peers[i].retired)
            return true;
    }
    return false;
}

uint64_t sup_replica_older_half(uint64_t floor, uint64_t last)
{
    return floor + (last - floor + 1) / 2;
}

static bool is_full(const struct sup_replica *r, const struct sup_replica_self *s)
{
    return (r->opts.log_max > 0 && sup_vv_missing(&s->floor, &s->vv) > r->opts.log_max) ||
           (r->opts.log_max_bytes > 0 && s->log_bytes > r->opts.log_max_bytes);
}

static void mark_left_behind(struct sup_replica *r, const struct sup_vv *target)
{
    for (size_t i = 0; i < r->opts.n_peers; i++) {
        struct sup_replica_peer *p = &r->peers[i];
        if (p->retired || p->needs_repair || sup_vv_covers(&p->has, target))
            continue;
        p->needs_repair = true;
        sup_replica_act(r, i, SUP_ACT_ALARM)->text =
            "the log was trimmed past what the peer has: it needs a repair";
    }
}

/* Is there nothing left to do about it? The log may not be trimmed here because some have forgotten
 * the incarnation before this node knew that all had it: who is connected, and for so long does not
 * ask for it, does not want it. */
static bool settled_everywhere(const struct sup_replica *r, const struct sup_replica_self *s,
                               const struct sup_vv_entry *e)
{
    bool trimmed = sup_vv_get(&s->floor, e->incarnation) == e->seq;
    bool forgotten = false;

    if (e->incarnation == s->incarnation)
        return false;
    for (size_t i = 0; i < r->opts.n_peers; i++) {
        const struct sup_replica_peer *p = &r->peers[i];
        uint64_t has = sup_vv_get(&p->has, e->incarnation);
        if (p->retired)
            continue;
        if (p->incarnation == 0 || p->incarnation == e->incarnation || (has > 0 && has < e->seq))
            return false;
        if (!trimmed && has == 0 && !p->pull.up)
            return false;
        forgotten = forgotten || has == 0;
    }
    return trimmed || forgotten;
}

/* What peers have trimmed of it is not lacking here because it is forgotten. */
static void forget(struct sup_replica *r, const struct sup_vv_entry *e)
{
    (void)sup_vv_raise(&r->out.retire, e->incarnation, e->seq);
    for (size_t i = 0; i < r->opts.n_peers; i++)
        sup_vv_remove(&r->peers[i].pull.trimmed, e->incarnation);
}

static void retire(const struct sup_replica_ctx *c)
{
    struct sup_replica *r = c->r;
    const struct sup_vv *vv = &c->self->vv;
    struct sup_vv still;

    sup_vv_init(&still);
    sup_vv_init(&r->out.retire);
    for (size_t i = 0; i < vv->n; i++) {
        uint64_t incarnation = vv->e[i].incarnation;
        uint64_t since = sup_vv_get(&r->retiring, incarnation);
        if (!settled_everywhere(r, c->self, &vv->e[i]))
            continue;
        since = since > 0 ? since : (uint64_t)c->now + 1;
        if (c->now - (int64_t)(since - 1) < r->opts.retire_ms)
            (void)sup_vv_raise(&still, incarnation, since);
        else
            forget(r, &vv->e[i]);
    }
    /* One stays: a node without a version vector is taken to have nothing by those who join. It is
     * the same one everywhere. */
    if (r->out.retire.n == vv->n && vv->n > 0)
        r->out.retire.n--;
    sup_vv_copy(&r->retiring, &still);
    if (r->out.retire.n > 0)
        (void)sup_replica_act(r, 0, SUP_ACT_RETIRE);
}

void sup_replica_trim_tick(const struct sup_replica_ctx *c)
{
    struct sup_replica *r = c->r;
    const struct sup_replica_self *s = c->self;
    bool full;
    bool peers;
    bool gain = false;

    if (c->now < r->trim_at_ms)
        return;
    r->trim_at_ms = c->now + r->opts.trim_every_ms;
    full = is_full(r, s);
    peers = has_peers(r);
    if (peers)
        retire(c);
    sup_vv_init(&r->out.trim);
    for (size_t i = 0; i < s->vv.n; i++) {
        uint64_t incarnation = s->vv.e[i].incarnation;
        uint64_t last = s->vv.e[i].seq;
        uint64_t floor = sup_vv_get(&s->floor, incarnation);
        /* Without peers there is nobody to acknowledge, and the first one to come wants it all. */
        uint64_t upto = peers ? acknowledged(r, incarnation, last) : floor;
        /* Past the cap the older half goes: repair makes that safe. */
        if (full && upto < sup_replica_older_half(floor, last))
            upto = sup_replica_older_half(floor, last);
        if (upto > floor && sup_vv_raise(&r->out.trim, incarnation, upto) == SUP_OK)
            gain = true;
    }
    if (!gain)
        return;
    (void)sup_replica_act(r, 0, SUP_ACT_TRIM);
    if (full)
        mark_left_behind(r, &r->out.trim);
}
