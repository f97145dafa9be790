/* Who is in the mesh: nodes that join with an empty disk, nodes that leave for good, and
 * configurations that say so at different times on different nodes. */
#include "sim.h"

#define TELL_MS  5000
#define DRAIN_MS 1000

bool sim_is_member(const struct sim_node *n)
{
    return n->added && !n->gone;
}

unsigned sim_first_member(const struct sim *s)
{
    unsigned i = 0;

    while (i + 1 < s->shape.n_nodes && !sim_is_member(&s->nodes[i]))
        i++;
    return i;
}

void sim_members_begin(struct sim *s)
{
    unsigned first = s->shape.n_nodes - s->shape.n_later;

    for (unsigned i = first; i < s->shape.n_nodes; i++) {
        s->nodes[i].added = s->nodes[i].founder = false;
        for (unsigned k = 0; k < s->shape.n_nodes; k++)
            s->nodes[i].knows[k] = s->nodes[k].knows[i] = false;
    }
    if (s->shape.members_ms > 0)
        sim_push(s, 1 + (int64_t)sim_below(s, (uint64_t)s->shape.members_ms),
                 (struct sim_event){.type = EV_MEMBERS});
}

/* Each of the others gets its new configuration some time. */
static void announce(struct sim *s, unsigned who)
{
    for (unsigned i = 0; i < s->shape.n_nodes; i++) {
        if (i != who && s->nodes[i].added)
            sim_push(s, 1 + (int64_t)sim_below(s, TELL_MS),
                     (struct sim_event){.type = EV_CONFIG, .node = i, .peer = who});
    }
}

static void join(struct sim *s, unsigned who)
{
    struct sim_node *n = &s->nodes[who];

    s->count.added++;
    n->added = true;
    for (unsigned i = 0; i < s->shape.n_nodes; i++)
        n->knows[i] = i != who && sim_is_member(&s->nodes[i]);
    sim_tracef(s, "%s becomes a member", n->name);
    announce(s, who);
    sim_push(s, 1 + (int64_t)sim_below(s, TELL_MS),
             (struct sim_event){.type = EV_START, .node = who});
}

static void leave(struct sim *s, struct sim_node *n)
{
    s->count.left++;
    sim_tracef(s, "%s is gone for good", n->name);
    sim_node_use(s, n);
    sim_node_crash(s, n);
    if (!n->leaving)
        sim_excuse(s, n, NULL);
    n->leaving = false;
    n->gone = true;
    sup_store_close(n->store);
    n->store = NULL;
    announce(s, n->id);
}

void sim_members_change(struct sim *s)
{
    unsigned who = (unsigned)sim_below(s, s->shape.n_nodes);
    struct sim_node *n = &s->nodes[who];
    unsigned staying = 0;

    for (unsigned i = 0; i < s->shape.n_nodes; i++)
        staying += sim_is_member(&s->nodes[i]) && !s->nodes[i].leaving;
    if (!n->added) {
        join(s, who);
    } else if (!n->gone && !n->leaving && staying > 1) {
        if (sim_chance(s, 400)) { /* its machine burns down */
            leave(s, n);
            return;
        }
        n->leaving = true;
        sim_tracef(s, "%s is to leave", n->name);
        sim_push(s, DRAIN_MS, (struct sim_event){.type = EV_DRAIN, .node = who});
    }
}

/* It is decommissioned in order when the others have all of it. */
void sim_members_drain(struct sim *s, struct sim_node *n)
{
    bool drained = n->running && n->n_jobs == 0 && !sim_has_only_copies(s, n);

    if (drained)
        leave(s, n);
    else
        sim_push(s, DRAIN_MS, (struct sim_event){.type = EV_DRAIN, .node = n->id});
}

void sim_members_tell(struct sim *s, struct sim_node *n, unsigned peer)
{
    bool member = sim_is_member(&s->nodes[peer]);

    if (n->knows[peer] == member || !sim_is_member(n))
        return;
    n->knows[peer] = member;
    sim_tracef(s, "%s is told that n%u is %s", n->name, peer, member ? "a member" : "gone");
    if (!n->running)
        return;
    sim_node_use(s, n);
    if (sim_below(s, 4) == 0) { /* by a restart */
        sim_node_crash(s, n);
        sim_node_start(s, n);
    } else if (member) {
        sim_node_add_peer(s, n, peer);
    } else {
        sim_node_retire_peer(s, n, peer);
    }
}

void sim_members_tell_all(struct sim *s)
{
    for (unsigned i = 0; i < s->shape.n_nodes; i++) {
        for (unsigned k = 0; k < s->shape.n_nodes; k++) {
            if (k != i)
                sim_members_tell(s, &s->nodes[i], k);
        }
    }
}
