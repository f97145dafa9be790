/* Joining: the product's step and what it stores. What service/join.c does around them is here. */
#include "sim.h"

#include "codec/keys.h"

#include <stdlib.h>
#include <string.h>

struct sim_part {
    struct sup_joining_part part;
    struct sup_snapshot_chunk chunk; /* lives in mem */
    struct sup_mesh_mem *mem;
};

/* --- what others see of it --- */

static enum sup_join_phase phase_of(const struct sim_node *n)
{
    return n->joining ? n->joining->said : SUP_JOIN_READY;
}

enum sup_standing sim_join_standing(const struct sim_node *n)
{
    return n->joining ? sup_join_standing(phase_of(n)) : SUP_STANDING_UNSAID;
}

bool sim_join_pulls(const struct sim_node *n)
{
    return sup_join_pulls(phase_of(n));
}

bool sim_join_pulls_from(const struct sim_node *n, const struct sup_join_peer *view)
{
    return sup_join_pulls_from(phase_of(n), view->standing, view->has_data);
}

bool sim_join_answers(const struct sim_node *n)
{
    return sup_join_answers(phase_of(n));
}

/* --- the step --- */

static void submit_phase(struct sim *s, struct sim_node *n, enum sup_join_phase phase)
{
    struct sim_job *j = sim_job_new(s, n, JOB_PHASE);

    j->phase = phase;
    if (s->plant == PLANT_READY_UNSTORED && phase == SUP_JOIN_READY)
        n->joining->said = phase;
    sim_submit(s, j);
}

static void step(struct sim *s, struct sim_node *n, const struct sup_joining_event *e,
                 struct sup_joining_actions *out)
{
    enum sup_join_phase before = n->joining->machine.phase;

    sup_joining_step(n->joining, s->now, e, out);
    if (out->moved) {
        s->count.copied += out->phase == SUP_JOIN_LOG;
        s->count.alone += out->phase == SUP_JOIN_ALONE;
        sim_tracef(s, "%s joins: %s", n->name, sup_join_phase_name(out->phase));
        sim_check_joining(s, n, before);
    }
    if (out->store)
        submit_phase(s, n, out->phase);
    sim_check_answers(s, n);
}

static void credit(struct sim *s, struct sim_node *n, unsigned donor, uint32_t id, uint64_t amount)
{
    static struct sup_mesh_msg msg;
    struct sim_conn *c = &s->conns[n->id][donor];

    if (!c->dialed_up)
        return;
    memset(&msg.u.snapshot, 0, sizeof(msg.u.snapshot));
    msg.type = SUP_FRAME_SNAPSHOT_ACK;
    msg.u.snapshot.id = id;
    msg.u.snapshot.u.ack.credit = amount;
    sim_send_frame(s, sim_msg_new(MSG_SNAPSHOT, n->id, donor, true, c->dialed, NULL), &msg);
}

/* The planted bug: the donor's next record is taken to be here. */
static struct sup_slice skip_record(struct sim *s, struct sim_node *donor, struct sup_slice after)
{
    static struct sup_key k;
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it;

    if (s->plant != PLANT_RECORD_SKIPPED || after.n == 0 || !donor->store)
        return after;
    it = sup_iter_new(donor->store, NULL, SUP_CF_RECORDS, after, open);
    if (sup_iter_valid(it) && sup_slice_eq(sup_iter_key(it), after))
        sup_iter_next(it);
    if (sup_iter_valid(it)) {
        k.n = sup_iter_key(it).n;
        memcpy(k.b, sup_iter_key(it).p, k.n);
        after = sup_key_slice(&k);
    }
    sup_iter_free(it);
    return after;
}

static void ask(struct sim *s, struct sim_node *n, unsigned donor,
                const struct sup_joining_actions *a)
{
    static struct sup_mesh_msg msg;
    struct sim_conn *c = &s->conns[n->id][donor];

    s->count.asked++;
    s->count.resumed += a->after.n > 0;
    sim_tracef(s, "%s asks n%u for its set, %llu records are here", n->name, donor,
               (unsigned long long)n->joining->durable.records);
    memset(&msg.u.snapshot, 0, sizeof(msg.u.snapshot));
    msg.type = SUP_FRAME_SNAPSHOT_ASK;
    msg.u.snapshot.id = a->id;
    msg.u.snapshot.u.ask.after = skip_record(s, &s->nodes[donor], a->after);
    msg.u.snapshot.u.ask.credit = a->credit;
    sim_send_frame(s, sim_msg_new(MSG_SNAPSHOT, n->id, donor, true, c->dialed, NULL), &msg);
}

static void compare(struct sim *s, struct sim_node *n, unsigned peer)
{
    struct sup_joining_event e = {.type = SUP_JOINING_REPAIRED, .code = SUP_OK};
    struct sup_joining_actions out;

    sim_tracef(s, "%s compares itself with n%u", n->name, peer);
    if (s->plant != PLANT_READY_UNCOMPARED) {
        sim_repair_ask(s, n, peer, false);
        return;
    }
    e.peer = sim_peer_index(n, peer);
    step(s, n, &e, &out);
}

/* --- events --- */

void sim_join_member(struct sim *s, struct sim_node *n, unsigned peer, bool member)
{
    struct sup_joining_event e = {
        .type = SUP_JOINING_MEMBER, .peer = sim_peer_index(n, peer), .n = member};
    struct sup_joining_actions out;

    if (n->joining)
        step(s, n, &e, &out);
}

void sim_join_tick(struct sim *s, struct sim_node *n)
{
    struct sup_joining_event e = {.type = SUP_JOINING_TICK, .n = n->n_peers};
    struct sup_joining_actions out;

    if (n->joining && n->joining->said != SUP_JOIN_READY)
        step(s, n, &e, &out);
}

void sim_join_heard(struct sim *s, struct sim_node *n, unsigned peer, const struct sup_vv *vv)
{
    struct sim_conn *c = &s->conns[n->id][peer];
    struct sup_joining_event e = {.type = SUP_JOINING_SEEN,
                                  .peer = sim_peer_index(n, peer),
                                  .view = &c->view,
                                  .name = s->nodes[peer].name};
    struct sup_joining_actions out;
    struct sup_vv mine;

    sup_apply_vv(n->apply, &mine);
    c->view.member = n->knows[peer];
    c->view.connected = true;
    c->view.repairs = true;
    c->view.has_data = vv->n > 0;
    c->view.covered = sup_vv_covers(&mine, vv);
    if (!n->joining || n->joining->said == SUP_JOIN_READY)
        return;
    step(s, n, &e, &out);
    if (out.cancel)
        credit(s, n, peer, out.id, 0);
    if (out.ask)
        ask(s, n, peer, &out);
    if (out.adopt)
        sim_repair_ask(s, n, peer, true);
    if (out.compare)
        compare(s, n, peer);
}

void sim_join_lost(struct sim *s, struct sim_node *n, unsigned peer)
{
    struct sup_joining_event e = {.type = SUP_JOINING_LOST, .peer = sim_peer_index(n, peer)};
    struct sup_joining_actions out;

    s->conns[n->id][peer].view.connected = false;
    if (n->joining)
        step(s, n, &e, &out);
}

void sim_join_repaired(struct sim *s, struct sim_node *n, const struct sim_msg *m, int code)
{
    struct sup_joining_event e = {
        .type = SUP_JOINING_REPAIRED, .peer = sim_peer_index(n, m->from), .code = code};
    struct sup_joining_actions out;

    if (!n->joining || n->joining->said == SUP_JOIN_READY)
        return;
    if (code == SUP_OK && n->joining->machine.phase == SUP_JOIN_CHECK && m->from != n->joined.from)
        n->joined.compared = true;
    if (code == SUP_OK && n->joining->machine.phase == SUP_JOIN_COPY && m->adopt)
        n->joined.from = m->from;
    step(s, n, &e, &out);
}

/* --- chunks --- */

void sim_part_free(struct sim_part *p)
{
    if (p)
        sup_mesh_mem_free(p->mem);
    free(p);
}

/* The moments that matter: parts are under way, or just arrived. */
static void trouble(struct sim *s, struct sim_node *n, unsigned donor)
{
    unsigned permille = s->shape.wipes ? 100 : 50;
    struct sim_node *who = sim_below(s, 3) == 0 ? &s->nodes[donor] : n;
    uint64_t x = sim_below(s, 1000);

    if (x >= 2 * permille || s->shape.quiet || (s->faults_over && s->late_crashes >= 2))
        return;
    s->late_crashes += s->faults_over;
    if (x < permille)
        sim_push(s, (int64_t)sim_below(s, 40),
                 (struct sim_event){.type = EV_CRASH, .node = who->id, .life = who->life});
    else
        n->fail_next_commit = true;
}

/* The planted bugs that change what a chunk stands for. */
static void bend(struct sim *s, struct sim_node *n, struct sim_part *p)
{
    if (s->plant != PLANT_VECTOR_OF_LAST || p->chunk.vv.n == 0)
        return;
    sup_vv_copy(&n->joining->running.vv, &p->chunk.vv);
    sup_vv_copy(&p->part.state.vv, &p->chunk.vv);
}

static void take_part(struct sim *s, struct sim_node *n, unsigned donor, struct sim_part *p)
{
    struct sim_job *j = sim_job_new(s, n, JOB_PART);

    sim_tracef(s, "%s takes %zu records of n%u%s", n->name, p->chunk.n, donor,
               p->chunk.last ? ", the last" : "");
    j->peer = donor;
    j->part = p;
    bend(s, n, p);
    sim_submit(s, j);
    trouble(s, n, donor);
}

void sim_join_chunk(struct sim *s, struct sim_node *n, const struct sim_msg *m)
{
    static struct sup_mesh_msg msg;
    struct sup_err err = {0};
    struct sup_joining_event e = {.type = SUP_JOINING_CHUNK,
                                  .peer = sim_peer_index(n, m->from),
                                  .msg = &msg.u.snapshot,
                                  .hash = &s->hash,
                                  .err = &err};
    struct sup_joining_actions out;
    struct sim_part *p;

    if (!n->joining)
        return;
    p = calloc(1, sizeof(*p));
    if (!p || !(p->mem = sup_mesh_mem_new()))
        abort();
    sim_read_frame(s, m, p->mem, &msg);
    p->chunk = msg.u.snapshot.u.chunk;
    e.part = &p->part;
    step(s, n, &e, &out);
    if (out.code != SUP_OK) /* no donor here means harm */
        sim_fail(s, "%s refuses a chunk of n%u: %s", n->name, m->from, err.msg);
    if (out.refused != SUP_SNAPSHOT_GOES_ON)
        sim_tracef(s, "n%u gives %s no snapshot now (%d)", m->from, n->name, (int)out.refused);
    if (out.submit)
        take_part(s, n, m->from, p);
    else
        sim_part_free(p);
}

int sim_join_part_run(struct sim_job *j, struct sup_txn *t, struct sup_err *err)
{
    struct sim_part *p = j->part;
    const struct sup_join_state *durable = &j->node->joining->durable;
    int rc;

    if (j->sim->plant == PLANT_COPY_WITH_HOLE) {
        p->part.before_bytes = durable->bytes;
        p->part.before_n = durable->after_n;
        memcpy(p->part.before, durable->after, sizeof(p->part.before));
    }
    for (size_t i = 0; i < p->chunk.n; i++)
        sim_touch(j, p->chunk.records[i].key);
    for (size_t i = 0; i < p->chunk.n_quarantined; i++)
        sim_touch(j, p->chunk.quarantined[i].key);
    rc = sup_join_store_part(j->node->apply, t, &p->part, &p->chunk, err);
    if (rc == SUP_OK && j->sim->plant == PLANT_VECTOR_FIRST)
        rc = sup_apply_adopt_vv(j->node->apply, t, &p->chunk.vv, err);
    return rc;
}

void sim_join_noted(struct sim_job *j)
{
    if (j->part->chunk.last)
        j->node->joined.from = j->peer;
}

void sim_join_part_done(struct sim *s, struct sim_job *j, int code)
{
    struct sim_node *n = j->node;
    struct sup_joining_event e = {
        .type = SUP_JOINING_APPLIED, .part = &j->part->part, .code = code};
    struct sup_joining_actions out;

    if (code == SUP_EINPUT)
        sim_fail(s, "%s cannot apply a chunk of n%u", n->name, j->peer);
    step(s, n, &e, &out);
    if (out.ack || out.cancel)
        credit(s, n, j->peer, out.id, out.ack ? out.credit : 0);
}

/* --- the phase --- */

int sim_join_phase_run(struct sim_job *j, struct sup_txn *t, struct sup_err *err)
{
    return sup_join_store_phase(t, j->phase, j->node->joining->durable.donor, err);
}

void sim_join_phase_done(struct sim *s, struct sim_job *j, int code)
{
    struct sup_joining_event e = {.type = SUP_JOINING_STORED, .phase = j->phase, .code = code};
    struct sup_joining_actions out;

    s->count.ready += code == SUP_OK && j->phase == SUP_JOIN_READY;
    step(s, j->node, &e, &out);
}

/* --- life --- */

static void write_phase(struct sim_node *n, enum sup_join_phase phase)
{
    struct sup_txn *t = sup_txn_begin(n->store);

    if (!t || sup_join_store_phase(t, phase, NULL, NULL) != SUP_OK ||
        sup_txn_commit(t, true, NULL) != SUP_OK)
        abort();
}

void sim_join_start(struct sim *s, struct sim_node *n)
{
    static struct sup_join_state state;
    struct sup_joining_options o = {.alone_ms = s->shape.alone_ms,
                                    .window = s->shape.window,
                                    .stream = (uint32_t)sup_rng_u64(&s->rng)};
    enum sup_join_phase phase = SUP_JOIN_NEW;
    bool unsaid = false;

    if (n->old)
        return;
    if (n->life == 1 && n->founder && s->shape.born_ready)
        write_phase(n, SUP_JOIN_READY);
    if (sup_join_store_first(n->apply, n->store, &state, &phase, &unsaid, NULL) != SUP_OK)
        abort();
    if (unsaid)
        write_phase(n, phase);
    n->joining = calloc(1, sizeof(*n->joining));
    if (!n->joining)
        abort();
    sup_joining_init(n->joining, phase, &state, &o, s->now);
    sim_check_join_start(s, n);
    for (size_t p = 0; p < n->n_peers; p++)
        sim_join_member(s, n, n->peers[p], true);
    if (phase != SUP_JOIN_READY)
        sim_tracef(s, "%s is not ready: %s", n->name, sup_join_phase_name(phase));
}

void sim_join_stop(struct sim_node *n)
{
    free(n->joining);
    n->joining = NULL;
}
