/* When the log may be cut. */
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
    sup_vv_init(&r->out.trim);
    for (size_t i = 0; i < s->vv.n; i++) {
        uint64_t incarnation = s->vv.e[i].incarnation;
        uint64_t last = s->vv.e[i].seq;
        uint64_t floor = sup_vv_get(&s->floor, incarnation);
        /* Without peers there is nobody to acknowledge, and the first one to come wants it all. */
        uint64_t upto = peers ? acknowledged(r, incarnation, last) : floor;
        /* Past the cap the older half goes: repair makes that safe. */
        if (full && upto < floor + (last - floor + 1) / 2)
            upto = floor + (last - floor + 1) / 2;
        if (upto > floor && sup_vv_raise(&r->out.trim, incarnation, upto) == SUP_OK)
            gain = true;
    }
    if (!gain)
        return;
    (void)sup_replica_act(r, 0, SUP_ACT_TRIM);
    if (full)
        mark_left_behind(r, &r->out.trim);
}
