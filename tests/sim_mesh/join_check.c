/* What must hold of who joins, found out by other means than the product's. */
#include "sim.h"

#define NONE SIM_NODES_MAX

static bool has_set(const struct sup_join_peer *v)
{
    return v->connected && v->has_data &&
           (v->standing == SUP_STANDING_READY || v->standing == SUP_STANDING_UNSAID);
}

/* Of those whom the node knows and talks to: how many there are, and one that has a set. */
struct company {
    unsigned members, connected, with_set, second;
};

static struct company look_around(const struct sim *s, const struct sim_node *n)
{
    struct company c = {.with_set = NONE, .second = NONE};

    for (unsigned p = 0; p < s->shape.n_nodes; p++) {
        const struct sup_join_peer *v = &s->conns[n->id][p].view;
        if (!n->knows[p])
            continue;
        c.members++;
        c.connected += v->connected;
        if (has_set(v) && c.with_set == NONE)
            c.with_set = p;
        if (v->connected && p != n->joined.from &&
            (v->standing == SUP_STANDING_READY || v->standing == SUP_STANDING_UNSAID))
            c.second = p;
    }
    return c;
}

/* From having nothing to giving answers: only where nobody has anything, or is met. */
static void check_unjoined(struct sim *s, struct sim_node *n, enum sup_join_phase now)
{
    struct company c = look_around(s, n);
    int64_t since = s->now - n->joined.phase_ms;
    int64_t least = s->shape.alone_ms < SUP_JOIN_NEW_MS ? s->shape.alone_ms : SUP_JOIN_NEW_MS;

    if (c.with_set != NONE)
        sim_fail(s, "%s answers, and does not have the set of n%u that it talks to", n->name,
                 c.with_set);
    if (now == SUP_JOIN_READY && c.connected < c.members)
        sim_fail(s, "%s is ready without a set, and has not met all peers", n->name);
    if (now == SUP_JOIN_ALONE && since < least)
        sim_fail(s, "%s waited for %lld ms only", n->name, (long long)since);
}

static void check_joined(struct sim *s, struct sim_node *n)
{
    struct company c = look_around(s, n);
    int64_t since = s->now - n->joined.phase_ms;

    if (n->joined.compared || c.members < 2 || since >= SUP_JOIN_CHECK_MS ||
        (c.second == NONE && since >= SUP_JOIN_SECOND_MS))
        return;
    sim_fail(s, "%s is ready and was not compared with a second peer (n%u)", n->name, c.second);
}

/* With a part of a copy: only where nobody is left who may have the rest. */
static void check_stranded(struct sim *s, struct sim_node *n)
{
    struct company c = look_around(s, n);

    if (c.with_set != NONE || c.connected < c.members ||
        s->now - n->joined.phase_ms < s->shape.alone_ms)
        sim_fail(s, "%s answers and has a part of a copy only", n->name);
}

void sim_check_joining(struct sim *s, struct sim_node *n, enum sup_join_phase before)
{
    enum sup_join_phase now = n->joining->machine.phase;
    bool answers = now == SUP_JOIN_ALONE || now == SUP_JOIN_READY;

    if (answers && (before == SUP_JOIN_NEW || before == SUP_JOIN_ALONE))
        check_unjoined(s, n, now);
    else if (answers && (before == SUP_JOIN_CHECK || before == SUP_JOIN_LOG))
        check_joined(s, n);
    else if (answers)
        check_stranded(s, n);
    n->joined.may_answer = answers;
    n->joined.compared = n->joined.compared && now != SUP_JOIN_COPY && now != SUP_JOIN_LOG;
    n->joined.phase_ms = s->now;
}

void sim_check_answers(struct sim *s, struct sim_node *n)
{
    if (sim_join_answers(n) && !n->joined.may_answer)
        sim_fail(s, "%s answers and is not ready", n->name);
    if (n->joining->said == SUP_JOIN_READY)
        n->joined.ready = true;
}

void sim_check_join_start(struct sim *s, struct sim_node *n)
{
    enum sup_join_phase phase = n->joining->machine.phase;

    if (n->joined.ready && phase != SUP_JOIN_READY)
        sim_fail(s, "%s said that it was ready, and is not any more", n->name);
    n->joined.may_answer = phase == SUP_JOIN_READY || phase == SUP_JOIN_ALONE;
    n->joined.compared = false;
    n->joined.phase_ms = s->now;
}

void sim_check_join_lost_disk(struct sim_node *n)
{
    n->joined = (struct sim_joined){.from = NONE};
}
