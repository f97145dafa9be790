/* Repair, when the product's roots or its replica say so. What stands in for the exchange itself:
 * all registers and the quarantine in one message. The product sends only what differs; what
 * replication relies on is the same: once all that the donor had is committed, its version vector
 * of that moment may be taken over. */
#include "sim.h"

#include "codec/keys.h"

#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX (SIM_KEYS_MAX * SUP_N_CLASSES + SIM_DECISIONS_MAX)
#define CHUNK      5

struct collection {
    struct sup_mutation m[ANSWER_MAX];
    size_t n;
};

static void add(struct collection *c, struct sup_slice key, enum sup_class cls,
                struct sup_slice encoded)
{
    if (c->n < ANSWER_MAX)
        c->m[c->n++] = (struct sup_mutation){.key = key, .cls = cls, .encoded = encoded};
}

static void collect_registers(struct collection *c, const struct sim_table *t, unsigned n_keys)
{
    for (unsigned k = 0; k < n_keys; k++) {
        for (unsigned i = 0; i < SUP_N_CLASSES; i++) {
            const struct sup_register *r = &t->v[k][i].reg;
            if (r->present)
                add(c, sup_slice_str(sim_key(k)), (enum sup_class)(i + 1), r->encoded);
        }
    }
}

static void collect_quarantine(struct collection *c, struct sim_node *n, struct sup_buf *bytes,
                               struct sup_mem *mem)
{
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(n->store, NULL, SUP_CF_QUARANTINE, open, open);
    size_t offset[SIM_DECISIONS_MAX][2];
    enum sup_class cls[SIM_DECISIONS_MAX];
    size_t count = 0;

    sup_buf_reset(bytes);
    for (; sup_iter_valid(it) && count < SIM_DECISIONS_MAX; sup_iter_next(it)) {
        struct sup_log_entry e;
        int64_t arrived = 0;
        sup_mem_reset(mem);
        if (sup_quarantined_decode(sup_iter_value(it), mem, &e, &arrived, NULL) != SUP_OK)
            continue;
        offset[count][0] = e.key.n;
        offset[count][1] = e.encoded.n;
        cls[count++] = e.cls;
        sup_buf_add_slice(bytes, e.key);
        sup_buf_add_slice(bytes, e.encoded);
    }
    if (sup_iter_valid(it))
        abort(); /* more than the harness has room for */
    sup_iter_free(it);
    for (size_t i = 0, at = 0; i < count; at += offset[i][0] + offset[i][1], i++)
        add(c, sup_slice_of(bytes->p + at, offset[i][0]), cls[i],
            sup_slice_of(bytes->p + at + offset[i][0], offset[i][1]));
}

void sim_repair_ask(struct sim *s, struct sim_node *n, unsigned peer, bool adopt)
{
    struct sim_conn *c = &s->conns[n->id][peer];
    struct sim_msg *m = sim_msg_new(MSG_REPAIR, n->id, peer, true, c->dialed, NULL);

    m->adopt = adopt;
    c->repairing = c->repairing || !adopt;
    s->count.repairs += adopt;
    s->count.root_repairs += !adopt;
    sim_send(s, m);
}

void sim_repair_root(struct sim *s, struct sim_node *n, const struct sim_msg *m,
                     const struct sup_vv *vv)
{
    struct sim_conn *c = &s->conns[n->id][m->from];
    struct sup_sketch_sum own = sup_sketch_keeper_root(n->keeper);
    struct sup_vv mine;
    bool due;

    if (!sim_join_pulls(n)) /* it gets what it lacks otherwise */
        return;
    sup_apply_vv(n->apply, &mine);
    due = sup_repair_when_due(&c->when, s->now, ++c->roots_heard, sup_sketch_sum_eq(&own, &m->root),
                              sup_vv_covers(&mine, vv) && sup_vv_covers(vv, &mine));
    if (!due || c->repairing || !c->dialed_up)
        return;
    sim_tracef(s, "%s asks n%u for a repair: their roots differ", n->name, m->from);
    sim_repair_ask(s, n, m->from, false);
}

struct sim_msg *sim_repair_answer(struct sim *s, struct sim_node *n, const struct sim_msg *request)
{
    static struct collection c;
    static struct sim_table table;
    struct sim_msg *m;
    struct sup_vv vv;

    c.n = 0;
    sup_apply_vv(n->apply, &vv);
    sim_claim(s, n, &vv);
    sim_table_read(s, n->store, &table);
    collect_registers(&c, &table, s->shape.n_keys);
    collect_quarantine(&c, n, &s->buf, s->mem);
    m = sim_msg_new(MSG_REPAIRED, n->id, request->from, false, request->session, &vv);
    m->adopt = request->adopt;
    sim_msg_put(m, c.m, c.n);
    return m;
}

static void adopt(struct sim *s, struct sim_node *n, struct sim_msg *m)
{
    struct sim_job *j = sim_job_new(s, n, JOB_ADOPT);

    j->peer = m->from;
    j->session = m->session;
    j->msg = m;
    sim_submit(s, j);
}

/* In several jobs, as the product does it in several transactions: a crash may come in between. */
void sim_repair_take(struct sim *s, struct sim_node *n, struct sim_msg *m)
{
    struct sup_vv vv;
    struct sim_msg *last;

    s->conns[n->id][m->from].repair_failed = false;
    sup_vv_init(&vv);
    for (size_t i = 0; i < m->n_vv; i++)
        (void)sup_vv_raise(&vv, m->vv[i].incarnation, m->vv[i].seq);
    last = sim_msg_new(MSG_REPAIRED, m->from, m->to, false, m->session, &vv);
    last->adopt = m->adopt;
    if (s->plant == PLANT_EARLY_ADOPTION) {
        adopt(s, n, last);
        sim_commit(s, n);
    }
    for (size_t i = 0; i < m->n; i += CHUNK) {
        struct sim_job *j = sim_job_new(s, n, JOB_RECORDS);
        j->peer = m->from;
        j->msg = sim_msg_new(MSG_REPAIRED, m->from, m->to, false, m->session, NULL);
        j->n = m->n - i < CHUNK ? m->n - i : CHUNK;
        sim_msg_put(j->msg, &m->m[i], j->n);
        sim_submit(s, j);
    }
    if (s->plant != PLANT_EARLY_ADOPTION)
        adopt(s, n, last);
    sim_msg_free(m);
    /* The moment that matters. Most repairs come when the faults are over. */
    if (!s->shape.quiet && (!s->faults_over || s->late_crashes++ < 2) && sim_below(s, 10) < 3)
        sim_push(s, (int64_t)sim_below(s, 30),
                 (struct sim_event){.type = EV_CRASH, .node = n->id, .life = n->life});
}
