/* What a seed chooses, and what goes wrong. */
#include "sim.h"

#define HOUR_MS 3600000LL
#define DAY_MS  (24 * HOUR_MS)

static unsigned choose_nodes(struct sim *s)
{
    uint64_t x = sim_below(s, 10000);

    if (x < 3500)
        return 2;
    if (x < 7500)
        return 3;
    if (x < 9300)
        return 4;
    if (x < 9900)
        return 5 + (unsigned)sim_below(s, 3);
    return x < 9995 ? 8 + (unsigned)sim_below(s, 4) : 12 + (unsigned)sim_below(s, 19);
}

void sim_shape_choose(struct sim *s)
{
    struct sim_shape *h = &s->shape;

    h->n_nodes = choose_nodes(s);
    h->n_keys = 1 + (unsigned)sim_below(s, sim_chance(s, 750) ? 4 : SIM_KEYS_MAX);
    h->quiet = sim_chance(s, 20);
    h->lossy = sim_chance(s, 200) && !h->quiet;
    h->loss_permille = h->quiet || sim_chance(s, 500) ? 0 : (unsigned)sim_below(s, 50);
    h->run_ms = 5000 + (int64_t)sim_below(s, 40000);
    if (sim_chance(s, 80)) /* long enough for stalls, which only repair ends */
        h->run_ms *= 6;
    h->decide_ms = h->run_ms / (int64_t)(5 + sim_below(s, 60));
    h->fault_ms = h->run_ms / (int64_t)(1 + sim_below(s, 20));
    h->trim_ms = 1000 + (int64_t)sim_below(s, 10000);
    if (sim_chance(s, 400)) {
        h->credit = 1 + sim_below(s, 2000);
        h->message = 1 + sim_below(s, 1000);
    }
    if (h->n_nodes > 2 && !h->quiet && sim_chance(s, 250)) {
        h->n_later = (unsigned)sim_below(s, h->n_nodes - 1);
        h->members_ms = h->run_ms / (int64_t)(1 + sim_below(s, 5));
    }
    h->wipes = !h->quiet && sim_chance(s, 100);
    if (h->wipes)
        h->n_keys = SIM_KEYS_MAX;
    h->born_ready = sim_chance(s, 500);
    h->old_permille = sim_chance(s, 150) ? 1 + (unsigned)sim_below(s, 1000) : 0;
    h->alone_ms = 1000 + (int64_t)sim_below(s, 30000);
    h->hold_ms = sim_chance(s, 100) ? 50 + (int64_t)sim_below(s, 500) : 0;
    h->window = sim_chance(s, 800) ? 1 + sim_below(s, 2000) : 0;
    h->chunk = sim_chance(s, 900) ? 1 + sim_below(s, 3) : 0;
    h->retire_ms = sim_chance(s, 300) ? 1000 + (int64_t)sim_below(s, 30000) : 0;
    h->log_max = sim_chance(s, 200) ? 1 + sim_below(s, 10) : 0;
}

static void restart_soon(struct sim *s, struct sim_node *n)
{
    int64_t wait =
        sim_chance(s, 800) ? 50 + (int64_t)sim_below(s, 3000) : (int64_t)sim_below(s, 20000);

    sim_push(s, wait, (struct sim_event){.type = EV_START, .node = n->id});
}

void sim_crash_and_restart(struct sim *s, struct sim_node *n)
{
    if (!n->running)
        return;
    sim_node_crash(s, n);
    restart_soon(s, n);
}

static void partition(struct sim *s)
{
    unsigned n = s->shape.n_nodes;
    unsigned a = (unsigned)sim_below(s, n);
    unsigned b = (unsigned)sim_below(s, n);
    bool one_way = sim_chance(s, 300);

    if (a == b || sim_chance(s, 200)) {
        bool on = sim_chance(s, 600);
        for (unsigned i = 0; i < n; i++) {
            s->cut[a][i] = on;
            s->cut[i][a] = on && !one_way;
        }
        sim_tracef(s, "n%u is %s%s", a, on ? "isolated" : "reachable", one_way ? " (one way)" : "");
        return;
    }
    s->cut[a][b] = !s->cut[a][b];
    if (!one_way)
        s->cut[b][a] = s->cut[a][b];
    sim_tracef(s, "link n%u to n%u is %s%s", a, b, s->cut[a][b] ? "cut" : "whole",
               one_way ? " (one way)" : "");
}

static void heal(struct sim *s)
{
    for (unsigned i = 0; i < s->shape.n_nodes; i++) {
        for (unsigned k = 0; k < s->shape.n_nodes; k++)
            s->cut[i][k] = false;
    }
    sim_tracef(s, "all links are whole");
}

/* A link that takes seconds, though not as long as silence does. */
static void slow_link(struct sim *s, struct sim_node *n)
{
    unsigned other = (unsigned)sim_below(s, s->shape.n_nodes);
    unsigned *there = &s->latency[n->id][other];

    *there = *there > SIM_LATENCY_MS ? SIM_LATENCY_MS : 500 + (unsigned)sim_below(s, 1500);
    sim_tracef(s, "from %s to n%u it takes %u ms", n->name, other, *there);
}

static void step_clock(struct sim *s, struct sim_node *n)
{
    static const int64_t steps[] = {SIM_DRIFT_MS / 2, 2 * SIM_DRIFT_MS, HOUR_MS,
                                    3 * DAY_MS,       3650 * DAY_MS,    0};
    int64_t step = steps[sim_below(s, sizeof(steps) / sizeof(steps[0]))];

    n->clock_offset_ms = sim_chance(s, 500) ? step : -step / 8;
    sim_tracef(s, "%s's clock is %lld ms off", n->name, (long long)n->clock_offset_ms);
}

static void disk_fault(struct sim *s, struct sim_node *n, uint64_t which)
{
    if (which == 0)
        sim_node_backup(s, n);
    if (which == 0 || !n->store)
        return;
    if (which == 1 && !n->backup)
        return;
    sim_node_crash(s, n);
    if (which == 1)
        sim_node_restore(s, n);
    else
        sim_node_wipe(s, n);
    restart_soon(s, n);
}

void sim_fault(struct sim *s)
{
    struct sim_node *n = &s->nodes[sim_below(s, s->shape.n_nodes)];
    uint64_t x = sim_below(s, 100);

    if (x < 12 && s->shape.wipes) {
        disk_fault(s, n, 2);
    } else if (x < 25) {
        sim_crash_and_restart(s, n);
    } else if (x < 50) {
        partition(s);
    } else if (x < 57) {
        heal(s);
    } else if (x < 60) {
        slow_link(s, n);
    } else if (x < 85) {
        disk_fault(s, n, x < 70 ? 0 : x < 79 ? 1 : 2);
    } else if (x < 92) {
        step_clock(s, n);
    } else if (x < 96) {
        n->fail_next_commit = true;
    } else {
        n->commit_ms = n->commit_ms == 10 ? 1 + (int64_t)sim_below(s, 3000) : 10;
    }
}
