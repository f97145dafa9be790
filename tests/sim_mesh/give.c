/* The donor of a snapshot: the product's, on virtual time. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

struct sim_giving {
    struct sim *sim;
    struct sim_node *node;
    unsigned to;
    uint64_t session;
    struct sup_snapshot_serve *serve;
};

static struct sim *clock_sim;

static int64_t mono_ns(void)
{
    return clock_sim->now * 1000000;
}

/* --- frames --- */

void sim_send_frame(struct sim *s, struct sim_msg *to, const struct sup_mesh_msg *msg)
{
    sup_buf_reset(&s->buf);
    if (sup_mesh_msg_encode(msg, s->frame_mem, &s->buf, NULL) != SUP_OK)
        abort();
    to->frame = (unsigned)msg->type;
    sim_msg_put_bytes(to, sup_buf_slice(&s->buf));
    sim_send(s, to);
}

void sim_read_frame(struct sim *s, const struct sim_msg *m, struct sup_mesh_mem *mem,
                    struct sup_mesh_msg *out)
{
    struct sup_err err = {0};

    if (sup_mesh_msg_decode(m->frame, sup_slice_of(m->bytes, m->n_bytes), mem, out, &err) != SUP_OK)
        sim_fail(s, "a frame of n%u cannot be read: %s", m->from, err.msg);
}

/* --- giving --- */

static bool ready(void *arg)
{
    const struct sim_giving *g = arg;

    return sim_join_answers(g->node);
}

static int send_on(void *arg, const struct sup_mesh_msg *msg)
{
    struct sim_giving *g = arg;
    const struct sup_snapshot_chunk *c = &msg->u.snapshot.u.chunk;

    /* At the beginning: what it gave a view of then, it had. */
    if (c->vv.n > 0 && !sim_join_answers(g->node))
        sim_fail(g->sim, "%s gives what it does not have", g->node->name);
    sim_claim(g->sim, g->node, &c->vv);
    sim_send_frame(g->sim, sim_msg_new(MSG_SNAPSHOT, g->node->id, g->to, false, g->session, NULL),
                   msg);
    return SUP_OK;
}

static struct sim_giving *begin(struct sim *s, struct sim_node *n, const struct sim_msg *m)
{
    struct sim_giving *g = calloc(1, sizeof(*g));
    struct sup_snapshot_env env = {.apply = n->apply,
                                   .store = n->store,
                                   .ready = ready,
                                   .send = send_on,
                                   .arg = g,
                                   .hold_ms = s->shape.hold_ms,
                                   .chunk = s->shape.chunk,
                                   .mono_ns = mono_ns};

    if (!g)
        abort();
    *g = (struct sim_giving){.sim = s, .node = n, .to = m->from, .session = m->session};
    g->serve = sup_snapshot_serve_new(&env, &n->gate);
    if (!g->serve)
        abort();
    return g;
}

/* All that there is credit for: in virtual time sending takes none. */
static void go_on(struct sim *s, struct sim_giving *g)
{
    int64_t wait_ms = 0;

    clock_sim = s;
    while (wait_ms == 0 && !s->failed) {
        if (sup_snapshot_serve_step(g->serve, &wait_ms) != SUP_OK)
            sim_fail(s, "%s cannot give its records", g->node->name);
    }
}

void sim_give(struct sim *s, struct sim_node *n, const struct sim_msg *m)
{
    struct sim_conn *c = &s->conns[m->from][n->id];
    static struct sup_mesh_msg msg;

    sim_read_frame(s, m, s->frame_mem, &msg);
    if (s->failed)
        return;
    clock_sim = s;
    if (!c->giving)
        c->giving = begin(s, n, m);
    if (sup_snapshot_serve_message(c->giving->serve, &msg) != SUP_OK)
        sim_fail(s, "%s does not take n%u's message", n->name, m->from);
    go_on(s, c->giving);
}

void sim_give_tick(struct sim *s, struct sim_conn *c)
{
    if (c->giving)
        go_on(s, c->giving);
}

void sim_give_end(struct sim_conn *c)
{
    if (!c->giving)
        return;
    sup_snapshot_serve_free(c->giving->serve);
    free(c->giving);
    c->giving = NULL;
}
