/* Joining, as the sessions with peers see it: service/join.h knows the rest. */
#include "service/replicate_internal.h"
#include "service/sketch_keeper.h"

#include <stdlib.h>

bool sup_replicator_pulls(struct sup_replicator *r)
{
    return !r->joiner || sup_join_pulls(sup_joiner_phase(r->joiner));
}

bool sup_replicator_pulls_from(struct sup_replicator *r, enum sup_standing standing, bool has_data)
{
    return !r->joiner || sup_join_pulls_from(sup_joiner_phase(r->joiner), standing, has_data);
}

enum sup_standing sup_replicator_standing(void *replicator)
{
    const struct sup_replicator *r = replicator;

    return r->joiner ? sup_join_standing(sup_joiner_phase(r->joiner)) : SUP_STANDING_UNSAID;
}

bool sup_replicator_gives(const struct sup_replicator *r)
{
    return r->joiner && sup_join_answers(sup_joiner_phase(r->joiner));
}

bool sup_replicator_answers(struct sup_replicator *r)
{
    return sup_replicator_gives(r) || !r->joiner;
}

void sup_replicator_join_progress(struct sup_replicator *r, struct sup_join_progress *out)
{
    if (r->joiner)
        sup_joiner_progress(r->joiner, out);
    else
        *out = (struct sup_join_progress){.phase = SUP_JOIN_READY};
}

void sup_replicator_join_tick(struct sup_replicator *r)
{
    size_t n = r->n_peers;

    if (!r->joiner || sup_joiner_phase(r->joiner) == SUP_JOIN_READY)
        return;
    for (size_t i = 0; i < n; i++)
        sup_joiner_member(r->joiner, i, !r->peers[i].retired);
    sup_joiner_tick(r->joiner, n);
}

static void look(struct sup_peer *p, const struct sup_session_stats *stats,
                 struct sup_joiner_peer *out)
{
    const struct sup_hello *hello = sup_session_peer(p->session);
    struct sup_vv mine;

    sup_apply_vv(p->r->opts.apply, &mine);
    *out = (struct sup_joiner_peer){
        .index = p->index,
        .name = p->config->name,
        .session = p->session,
        .view = {.member = !p->retired,
                 .connected = true,
                 .standing = stats->standing,
                 .snapshots = hello->features & SUP_FEATURE_SNAPSHOT,
                 .repairs = hello->features & SUP_FEATURE_REPAIR,
                 .has_data = stats->vv.n > 0,
                 .covered = sup_vv_covers(&mine, &stats->vv)},
    };
}

void sup_peer_join(struct sup_peer *p, const struct sup_session_stats *stats)
{
    struct sup_session_stats *own = NULL;
    struct sup_joiner_peer view;
    enum sup_join_order order;

    if (!p->r->joiner || sup_joiner_phase(p->r->joiner) == SUP_JOIN_READY)
        return;
    if (!stats) {
        own = malloc(sizeof(*own));
        if (!own)
            return;
        sup_session_stats(p->session, own);
    }
    look(p, stats ? stats : own, &view);
    free(own);
    order = sup_joiner_see(p->r->joiner, &view);
    if (order == SUP_JOIN_ADOPT)
        sup_peer_repair_adopt(&p->repair);
    else if (order == SUP_JOIN_COMPARE)
        sup_peer_repair_now(&p->repair);
}
