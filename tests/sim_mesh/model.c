/* What must hold: the model is the maximum of all acknowledged decisions. */
#include "sim.h"

#include "codec/keys.h"
#include "core/merge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const keys[SIM_KEYS_MAX] = {"ann@a.example", "bob@b.example", "cy@c.example",
                                               "dan@d.example", "eve@e.example", "fay@f.example",
                                               "gil@g.example", "hal@h.example"};

const char *sim_key(unsigned key)
{
    return keys[key];
}

void sim_value_set(struct sim_value *v, const struct sup_register *r)
{
    v->reg = *r;
    if (!r->present)
        return;
    if (r->encoded.n > sizeof(v->bytes))
        abort();
    memcpy(v->bytes, r->encoded.p, r->encoded.n);
    v->reg.encoded = (struct sup_slice){v->bytes, r->encoded.n};
}

static void value_copy(struct sim_value *to, const struct sim_value *from)
{
    struct sim_value v = *from;

    sim_value_set(to, &v.reg);
}

static void read_key(struct sim *s, struct sup_store *store, unsigned key, struct sim_value *out)
{
    struct sup_record record;
    struct sup_key k;

    memset(&record, 0, sizeof(record));
    sup_key_record(&k, &s->hash, sup_slice_str(keys[key]));
    sup_mem_reset(s->mem);
    if (sup_store_get(store, NULL, SUP_CF_RECORDS, sup_key_slice(&k), &s->buf, NULL) == SUP_OK &&
        sup_record_decode(sup_buf_slice(&s->buf), s->mem, &record, NULL) != SUP_OK)
        sim_fail(s, "a record cannot be read");
    for (unsigned i = 0; i < SUP_N_CLASSES; i++)
        sim_value_set(&out[i], &record.registers.r[i]);
}

void sim_table_read(struct sim *s, struct sup_store *store, struct sim_table *out)
{
    for (unsigned k = 0; k < s->shape.n_keys; k++)
        read_key(s, store, k, out->v[k]);
}

/* a >= b; absent is the least. */
static bool covers(const struct sup_register *a, const struct sup_register *b)
{
    return !b->present || (a->present && sup_decision_cmp(a, b) >= 0);
}

static void check_key(struct sim *s, struct sim_node *n, unsigned k)
{
    struct sim_value now[SUP_N_CLASSES];

    read_key(s, n->store, k, now);
    for (unsigned i = 0; i < SUP_N_CLASSES; i++) {
        if (!covers(&now[i].reg, &n->last.v[k][i].reg))
            sim_fail(s, "%s went back on %s", n->name, keys[k]);
        value_copy(&n->last.v[k][i], &now[i]);
    }
}

/* Registers only ever rise in the merge order. */
void sim_check_commit(struct sim *s, struct sim_node *n, uint64_t touched)
{
    for (unsigned k = 0; k < s->shape.n_keys; k++) {
        if (touched & 1ULL << k)
            check_key(s, n, k);
    }
}

void sim_decision_place(struct sim *s, size_t decision, uint64_t incarnation, uint64_t seq)
{
    for (size_t i = 0; i < s->n_decisions; i++) {
        struct sim_decision *d = &s->decisions[i];
        if (d->seq != seq || d->incarnation != incarnation || i == decision)
            continue;
        for (unsigned k = 0; k < s->shape.n_nodes; k++) {
            const struct sim_node *n = &s->nodes[k];
            if (k != s->decisions[decision].node && n->store &&
                sup_vv_get(&n->durable, incarnation) >= seq)
                sim_fail(s, "decision %zu has the number of decision %zu, which %s knows", decision,
                         i, n->name);
        }
        d->seq = 0;
    }
    s->decisions[decision].incarnation = incarnation;
    s->decisions[decision].seq = seq;
}

static void raise_by_quarantine(struct sim *s, struct sup_store *store, struct sim_table *t);

void sim_check_vv(struct sim *s, struct sim_node *n)
{
    static struct sim_table held;
    bool read = false;
    struct sup_vv vv;

    sup_apply_vv(n->apply, &vv);
    for (size_t i = 0; i < s->n_decisions; i++) {
        const struct sim_decision *d = &s->decisions[i];
        if (d->seq == 0 || sup_vv_get(&vv, d->incarnation) < d->seq ||
            covers(&n->last.v[d->key][d->cls - 1].reg, &d->value.reg))
            continue;
        if (!read) {
            sim_table_read(s, n->store, &held);
            raise_by_quarantine(s, n->store, &held);
            read = true;
        }
        if (!covers(&held.v[d->key][d->cls - 1].reg, &d->value.reg))
            sim_fail(s, "%s's vector covers decision %zu of n%u, which it does not have", n->name,
                     i, d->node);
    }
}

void sim_check_sketch(struct sim *s, struct sim_node *n)
{
    struct sup_sketch kept;
    struct sup_riblt_symbol *symbols = s->scanned.symbols;

    memset(symbols, 0, SIM_SYMBOLS * sizeof(*symbols));
    s->scanned =
        (struct sup_sketch){.keys = s->sketch_keys, .symbols = symbols, .n_symbols = SIM_SYMBOLS};
    if (sup_sketch_scan(n->store, NULL, &s->scanned, NULL) != SUP_OK ||
        sup_sketch_keeper_copy(n->keeper, &kept) != SUP_OK)
        abort();
    if (!sup_sketch_eq(&kept, &s->scanned))
        sim_fail(s, "%s's sketch is not that of its records", n->name);
    sup_sketch_fini(&kept);
}

void sim_check_restart(struct sim *s, struct sim_node *n)
{
    struct sup_vv vv;

    sim_check_commit(s, n, UINT64_MAX);
    sup_apply_vv(n->apply, &vv);
    if (!sup_vv_covers(&vv, &n->claimed))
        sim_fail(s, "%s lost what it had said was durable", n->name);
    sim_check_vv(s, n);
}

/* --- decisions --- */

/* An event of the past: its own time, often the very same as that of another node's. */
static void make_event(struct sim *s, struct sim_node *n, struct sim_decision *d,
                       struct sup_decision *what)
{
    int64_t wall = s->wall_base + s->now + n->clock_offset_ms;
    struct sup_register reg;
    struct sup_buf b;

    sup_buf_init(&b, sizeof(d->value.bytes));
    what->time = sup_hlc_from_ms((wall / 1000 - (int64_t)sim_below(s, 4)) * 1000);
    what->origin = sup_apply_node_id(n->apply);
    sup_decision_encode(what, &b);
    if (sup_register_decode(sup_buf_slice(&b), &reg, NULL, NULL) != SUP_OK)
        abort();
    sim_value_set(&d->value, &reg);
    d->made = true;
    sup_buf_fini(&b);
}

void sim_decide_this(struct sim *s, struct sim_node *n, unsigned key, enum sup_class cls,
                     enum sup_state state, bool event)
{
    struct sup_decision what = {.cls = cls, .state = state, .cause = SUP_CAUSE_OPERATOR};
    struct sim_decision *d;
    struct sim_job *j;

    if (!n->running || s->n_decisions == SIM_DECISIONS_MAX)
        return;
    d = &s->decisions[s->n_decisions++];
    *d = (struct sim_decision){.node = n->id, .key = key, .cls = cls};
    j = sim_job_new(s, n, JOB_DECIDE);
    j->decision = s->n_decisions - 1;
    j->proposal = (struct sup_proposal){.key = sup_slice_str(keys[key]), .d = what};
    if (event) {
        make_event(s, n, d, &what);
        j->proposal.encoded = d->value.reg.encoded;
    }
    sim_submit(s, j);
}

void sim_decide(struct sim *s)
{
    unsigned first = (unsigned)sim_below(s, s->shape.n_nodes);
    unsigned n = sim_chance(s, 100) ? s->shape.n_nodes : 1; /* all at once, of one address */
    unsigned key = (unsigned)sim_below(s, s->shape.n_keys);
    enum sup_class cls = (enum sup_class)(1 + sim_below(s, SUP_N_CLASSES));

    for (unsigned i = 0; i < n; i++) {
        struct sim_node *at = &s->nodes[(first + i) % s->shape.n_nodes];
        enum sup_state state = sim_chance(s, 500) ? SUP_SUPPRESSED : SUP_CLEARED;
        sim_node_use(s, at);
        if (!at->leaving)
            sim_decide_this(s, at, key, cls, state, sim_chance(s, 400));
    }
}

/* --- losses that are by design --- */

static void raise(struct sim_value *to, const struct sup_register *r)
{
    if (!covers(&to->reg, r))
        sim_value_set(to, r);
}

static void raise_by_quarantine(struct sim *s, struct sup_store *store, struct sim_table *t)
{
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(store, NULL, SUP_CF_QUARANTINE, open, open);

    for (; sup_iter_valid(it); sup_iter_next(it)) {
        struct sup_log_entry e;
        struct sup_register reg;
        int64_t arrived = 0;
        sup_mem_reset(s->mem);
        if (sup_quarantined_decode(sup_iter_value(it), s->mem, &e, &arrived, NULL) != SUP_OK ||
            sup_log_entry_register(&e, &reg, NULL) != SUP_OK)
            continue;
        for (unsigned k = 0; k < s->shape.n_keys; k++) {
            if (sup_slice_eq(e.key, sup_slice_str(keys[k])))
                raise(&t->v[k][e.cls - 1], &reg);
        }
    }
    sup_iter_free(it);
}

static void raise_by_store(struct sim *s, struct sup_store *store, struct sim_table *t)
{
    static struct sim_table own;

    sim_table_read(s, store, &own);
    for (unsigned k = 0; k < s->shape.n_keys; k++) {
        for (unsigned i = 0; i < SUP_N_CLASSES; i++)
            raise(&t->v[k][i], &own.v[k][i].reg);
    }
    raise_by_quarantine(s, store, t);
}

static void raise_by_others(struct sim *s, const struct sim_node *than, struct sim_table *held)
{
    memset(held, 0, sizeof(*held));
    for (unsigned i = 0; i < s->shape.n_nodes; i++) {
        if (&s->nodes[i] != than && s->nodes[i].store)
            raise_by_store(s, s->nodes[i].store, held);
    }
}

bool sim_has_only_copies(struct sim *s, struct sim_node *n)
{
    static struct sim_table held;

    raise_by_others(s, n, &held);
    for (size_t i = 0; i < s->n_decisions; i++) {
        const struct sim_decision *d = &s->decisions[i];
        if (d->acked && !d->excused && !covers(&held.v[d->key][d->cls - 1].reg, &d->value.reg))
            return true;
    }
    return false;
}

void sim_excuse(struct sim *s, struct sim_node *lost, struct sup_store *restored)
{
    static struct sim_table held;

    raise_by_others(s, lost, &held);
    if (restored)
        raise_by_store(s, restored, &held);
    for (size_t i = 0; i < s->n_decisions; i++) {
        struct sim_decision *d = &s->decisions[i];
        if (!d->acked || d->excused || covers(&held.v[d->key][d->cls - 1].reg, &d->value.reg))
            continue;
        d->excused = true;
        s->count.excused++;
    }
}

/* --- the end --- */

static bool quarantine_empty(struct sim_node *n)
{
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(n->store, NULL, SUP_CF_QUARANTINE, open, open);
    bool empty = !sup_iter_valid(it);

    sup_iter_free(it);
    return empty;
}

void sim_trace_nodes(struct sim *s)
{
    for (unsigned i = 0; i < s->shape.n_nodes && s->trace; i++) {
        struct sim_node *n = &s->nodes[i];
        struct sup_vv vv;
        if (!sim_is_member(n) || !n->running)
            continue;
        sup_apply_vv(n->apply, &vv);
        sim_tracef(s, "%s: %s%s%s, root %llx, has", n->name,
                   n->joining ? sup_join_phase_name(n->joining->said) : "old",
                   n->n_jobs > 0 ? ", jobs wait" : "", quarantine_empty(n) ? "" : ", quarantine",
                   (unsigned long long)sup_sketch_keeper_root(n->keeper).sum.digest);
        for (size_t k = 0; k < vv.n; k++)
            sim_tracef(s, "    %016llx %llu%s", (unsigned long long)vv.e[k].incarnation,
                       (unsigned long long)vv.e[k].seq,
                       vv.e[k].incarnation == sup_apply_incarnation(n->apply) ? " (its own)" : "");
    }
}

bool sim_converged(struct sim *s)
{
    const struct sim_node *first = &s->nodes[sim_first_member(s)];
    static struct sup_vv vv[2];
    struct sup_sketch_sum root[2];

    if (!first->running)
        return false;
    sup_apply_vv(first->apply, &vv[0]);
    root[0] = sup_sketch_keeper_root(first->keeper);
    for (unsigned i = 0; i < s->shape.n_nodes; i++) {
        struct sim_node *n = &s->nodes[i];
        if (!sim_is_member(n))
            continue;
        if (!n->running || n->leaving || n->n_jobs > 0 || !quarantine_empty(n) ||
            (n->joining && n->joining->said != SUP_JOIN_READY))
            return false;
        sup_apply_vv(n->apply, &vv[1]);
        root[1] = sup_sketch_keeper_root(n->keeper);
        if (!sup_vv_covers(&vv[0], &vv[1]) || !sup_vv_covers(&vv[1], &vv[0]) ||
            !sup_sketch_sum_eq(&root[0], &root[1]))
            return false;
    }
    return true;
}

static bool proposed(const struct sim *s, unsigned key, enum sup_class cls,
                     const struct sup_register *r)
{
    for (size_t i = 0; i < s->n_decisions; i++) {
        const struct sim_decision *d = &s->decisions[i];
        if (d->made && d->key == key && d->cls == cls && sup_decision_cmp(&d->value.reg, r) == 0)
            return true;
    }
    return false;
}

static void check_register(struct sim *s, unsigned k, enum sup_class cls,
                           const struct sup_register *r)
{
    for (size_t i = 0; i < s->n_decisions; i++) {
        const struct sim_decision *d = &s->decisions[i];
        if (d->acked && !d->excused && d->key == k && d->cls == cls && !covers(r, &d->value.reg))
            sim_fail(s, "decision %zu, acknowledged by n%u, is lost", i, d->node);
    }
    if (r->present && !proposed(s, k, cls, r))
        sim_fail(s, "%s holds what nobody decided", keys[k]);
}

void sim_check_end(struct sim *s)
{
    static struct sim_table first;
    static struct sim_table other;

    sim_table_read(s, s->nodes[sim_first_member(s)].store, &first);
    for (unsigned k = 0; k < s->shape.n_keys; k++) {
        for (unsigned c = 0; c < SUP_N_CLASSES; c++)
            check_register(s, k, (enum sup_class)(c + 1), &first.v[k][c].reg);
    }
    for (unsigned i = 0; i < s->shape.n_nodes; i++) {
        if (!sim_is_member(&s->nodes[i]))
            continue;
        sim_table_read(s, s->nodes[i].store, &other);
        for (unsigned k = 0; k < s->shape.n_keys; k++) {
            for (unsigned c = 0; c < SUP_N_CLASSES; c++) {
                const struct sup_register *a = &first.v[k][c].reg;
                const struct sup_register *b = &other.v[k][c].reg;
                if (a->present != b->present ||
                    (a->present && !sup_slice_eq(a->encoded, b->encoded)))
                    sim_fail(s, "n%u and n%u differ on %s %s", sim_first_member(s), i, keys[k],
                             sup_class_name((enum sup_class)(c + 1)));
            }
        }
    }
}
