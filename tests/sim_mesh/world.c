/* Time, and the run. */
#include "sim.h"

#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 2026-01-01; any will do. */
#define WALL_BASE 1767225600000LL
/* With faults over, everything is the same everywhere within so long: redials take 10 s, a stall is
 * noticed in 30 s and repaired at the second one, and that may have to happen along a chain. */
#define QUIET_MS 600000
#define CHECK_MS 1000

const char *sim_plant_name(enum sim_plant p)
{
    static const char *const names[N_PLANTS] = {"none",
                                                "reused-incarnation",
                                                "trim-early",
                                                "merge-by-arrival",
                                                "early-ack",
                                                "dropped-quarantine",
                                                "early-adoption",
                                                "stale-sketch",
                                                "vector-first",
                                                "vector-of-last",
                                                "record-skipped",
                                                "copy-with-hole",
                                                "ready-uncompared",
                                                "ready-unstored"};
    return names[p];
}

bool sim_chance(struct sim *s, unsigned permille)
{
    return permille > 0 && !s->faults_over && sup_rng_below(&s->rng, 1000) < permille;
}

uint64_t sim_below(struct sim *s, uint64_t n)
{
    return sup_rng_below(&s->rng, n);
}

void sim_tracef(struct sim *s, const char *fmt, ...)
{
    va_list ap;

    if (!s->trace)
        return;
    printf("%8lld ", (long long)s->now);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

void sim_fail(struct sim *s, const char *fmt, ...)
{
    va_list ap;

    if (s->failed)
        return;
    s->failed = true;
    va_start(ap, fmt);
    vsnprintf(s->failure, sizeof(s->failure), fmt, ap);
    va_end(ap);
    sim_tracef(s, "FAILED: %s", s->failure);
}

/* --- the heap of events --- */

static bool sooner(const struct sim_event *a, const struct sim_event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void sim_push(struct sim *s, int64_t delay, struct sim_event e)
{
    size_t i = s->n_heap++;

    if (s->n_heap > s->heap_room) {
        s->heap_room = s->heap_room > 0 ? 2 * s->heap_room : 256;
        s->heap = realloc(s->heap, s->heap_room * sizeof(*s->heap));
        if (!s->heap)
            abort();
    }
    e.at = s->now + delay;
    e.order = s->order++;
    for (; i > 0 && sooner(&e, &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
        s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = e;
}

static struct sim_event pop(struct sim *s)
{
    struct sim_event top = s->heap[0];
    struct sim_event last = s->heap[--s->n_heap];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= s->n_heap)
            break;
        if (child + 1 < s->n_heap && sooner(&s->heap[child + 1], &s->heap[child]))
            child++;
        if (!sooner(&s->heap[child], &last))
            break;
        s->heap[i] = s->heap[child];
        i = child;
    }
    if (s->n_heap > 0)
        s->heap[i] = last;
    return top;
}

/* --- beginning and end --- */

static void make_nodes(struct sim *s)
{
    for (unsigned i = 0; i < s->shape.n_nodes; i++) {
        struct sim_node *n = &s->nodes[i];
        n->id = i;
        n->commit_ms = 10;
        n->added = n->founder = true;
        n->old = sim_chance(s, s->shape.old_permille);
        n->joined.from = SIM_NODES_MAX;
        memset(n->knows, true, s->shape.n_nodes);
        n->knows[i] = false;
        snprintf(n->name, sizeof(n->name), "n%u", i);
        n->saved = calloc(s->shape.n_nodes, sizeof(*n->saved));
        n->saved_incarnation = calloc(s->shape.n_nodes, sizeof(*n->saved_incarnation));
        if (!n->saved || !n->saved_incarnation)
            abort();
        for (unsigned k = 0; k < s->shape.n_nodes; k++)
            s->latency[i][k] = 1 + (unsigned)sim_below(s, SIM_LATENCY_MS);
    }
}

struct sim *sim_new(uint64_t seed, enum sim_plant plant, bool trace, const struct sim_shape *shape)
{
    struct sim *s = calloc(1, sizeof(*s));

    if (!s)
        abort();
    s->seed = seed;
    s->plant = plant;
    s->trace = trace;
    s->wall_base = WALL_BASE;
    sup_rng_seed(&s->rng, seed);
    sup_hash_key_derive("sim", (struct sup_slice){NULL, 0}, &s->hash);
    sup_sketch_keys_derive(&s->hash, &s->sketch_keys);
    if (shape)
        s->shape = *shape;
    else
        sim_shape_choose(s);
    s->nodes = calloc(s->shape.n_nodes, sizeof(*s->nodes));
    s->conns = calloc(s->shape.n_nodes, sizeof(*s->conns));
    s->decisions = calloc(SIM_DECISIONS_MAX, sizeof(*s->decisions));
    s->reader = sup_log_reader_new();
    s->mem = sup_mem_new();
    s->frame_mem = sup_mesh_mem_new();
    sup_buf_init(&s->buf, 1U << 20);
    if (!s->nodes || !s->conns || !s->decisions || !s->reader || !s->mem || !s->frame_mem ||
        sup_sketch_init(&s->scanned, &s->sketch_keys, SIM_SYMBOLS) != SUP_OK)
        abort();
    make_nodes(s);
    return s;
}

void sim_free(struct sim *s)
{
    for (size_t i = 0; i < s->n_heap; i++)
        sim_msg_free(s->heap[i].msg);
    for (unsigned i = 0; i < s->shape.n_nodes; i++) {
        struct sim_node *n = &s->nodes[i];
        sim_jobs_drop(n);
        sim_join_stop(n);
        for (unsigned k = 0; k < s->shape.n_nodes; k++)
            sim_give_end(&s->conns[k][i]);
        free(n->jobs);
        sup_apply_free(n->apply);
        sup_sketch_keeper_free(n->keeper);
        sup_replica_free(n->replica);
        sup_store_close(n->store);
        sup_store_close(n->backup);
        free(n->saved);
        free(n->saved_incarnation);
    }
    free(s->nodes);
    free(s->conns);
    free(s->heap);
    free(s->decisions);
    sup_log_reader_free(s->reader);
    sup_mem_free(s->mem);
    sup_mesh_mem_free(s->frame_mem);
    sup_sketch_fini(&s->scanned);
    sup_buf_fini(&s->buf);
    free(s);
}

/* --- the run --- */

static void handle(struct sim *s, struct sim_event *e)
{
    struct sim_node *n = &s->nodes[e->node];
    bool alive = n->running && n->life == e->life;

    sim_node_use(s, n);
    switch ((enum sim_event_type)e->type) {
    case EV_TICK:
        if (alive)
            sim_node_tick(s, n);
        break;
    case EV_COMMIT:
        if (alive)
            sim_commit(s, n);
        break;
    case EV_DIAL:
        if (alive && s->conns[e->node][e->peer].dialed == 0 && n->knows[e->peer])
            sim_dial(s, n, e->peer);
        break;
    case EV_DELIVER:
        sim_node_use(s, &s->nodes[e->msg->to]);
        sim_deliver(s, e->msg);
        sim_msg_free(e->msg);
        break;
    case EV_DECIDE:
        sim_decide(s);
        sim_push(s, 1 + (int64_t)sim_below(s, 2 * (uint64_t)s->shape.decide_ms),
                 (struct sim_event){.type = EV_DECIDE});
        break;
    case EV_FAULT:
        sim_fault(s);
        sim_push(s, 1 + (int64_t)sim_below(s, 2 * (uint64_t)s->shape.fault_ms),
                 (struct sim_event){.type = EV_FAULT});
        break;
    case EV_CRASH:
        if (alive)
            sim_crash_and_restart(s, n);
        break;
    case EV_START:
        if (!n->running && sim_is_member(n))
            sim_node_start(s, n);
        break;
    case EV_MEMBERS:
        sim_members_change(s);
        sim_push(s, 1 + (int64_t)sim_below(s, 2 * (uint64_t)s->shape.members_ms),
                 (struct sim_event){.type = EV_MEMBERS});
        break;
    case EV_CONFIG:
        sim_members_tell(s, n, e->peer);
        break;
    case EV_DRAIN:
        sim_members_drain(s, n);
        break;
    }
}

void sim_run_until(struct sim *s, int64_t until)
{
    while (s->n_heap > 0 && !s->failed && s->heap[0].at <= until) {
        struct sim_event e = pop(s);
        bool over =
            s->faults_over && (e.type == EV_DECIDE || e.type == EV_FAULT || e.type == EV_MEMBERS);
        s->now = e.at;
        s->count.events++;
        if (!over)
            handle(s, &e);
    }
    if (!s->failed)
        s->now = until;
}

/* Moves all wall clocks past whatever any decision says. */
static void outlast(struct sim *s)
{
    sup_hlc_time latest = 0;

    for (size_t i = 0; i < s->n_decisions; i++) {
        if (s->decisions[i].value.reg.time > latest)
            latest = s->decisions[i].value.reg.time;
    }
    if (sup_hlc_ms(latest) > s->wall_base + s->now)
        s->wall_base = sup_hlc_ms(latest) - s->now + 1;
}

/* Network, disks and clocks are well again. */
static void settle_down(struct sim *s)
{
    s->faults_over = true;
    memset(s->cut, 0, sizeof(s->cut));
    for (unsigned i = 0; i < s->shape.n_nodes; i++) {
        s->nodes[i].clock_offset_ms = 0;
        s->nodes[i].commit_ms = 10;
        s->nodes[i].fail_next_commit = false;
        for (unsigned k = 0; k < s->shape.n_nodes; k++) {
            if (s->latency[i][k] > SIM_LATENCY_MS)
                s->latency[i][k] = SIM_LATENCY_MS;
        }
        if (!s->nodes[i].running && sim_is_member(&s->nodes[i]))
            sim_node_start(s, &s->nodes[i]);
    }
    sim_members_tell_all(s);
    sim_tracef(s, "faults are over");
}

static void begin(struct sim *s)
{
    sim_members_begin(s);
    for (unsigned i = 0; i < s->shape.n_nodes; i++) {
        bool late = i > 1 && sim_chance(s, s->shape.quiet ? 0 : 150);
        int64_t at = late ? (int64_t)sim_below(s, 2 * (uint64_t)s->shape.run_ms) : 0;
        sim_push(s, at, (struct sim_event){.type = EV_START, .node = i});
    }
    sim_push(s, 1, (struct sim_event){.type = EV_DECIDE});
    if (!s->shape.quiet)
        sim_push(s, s->shape.fault_ms, (struct sim_event){.type = EV_FAULT});
}

bool sim_finish(struct sim *s)
{
    if (!s->failed)
        settle_down(s);
    for (int64_t limit = s->now + QUIET_MS; !s->failed && s->now < limit;) {
        outlast(s); /* a decision under way when the clocks were set right may be years ahead */
        sim_run_until(s, s->now + CHECK_MS);
        if (!s->failed && sim_converged(s))
            break;
    }
    if (!s->failed && !sim_converged(s)) {
        sim_trace_nodes(s);
        sim_fail(s, "not the same everywhere after %d s of quiet", QUIET_MS / 1000);
    }
    if (!s->failed)
        sim_check_end(s);
    return !s->failed;
}

bool sim_run(struct sim *s)
{
    begin(s);
    sim_run_until(s, s->shape.run_ms);
    return sim_finish(s);
}
