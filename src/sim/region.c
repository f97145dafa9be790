#include "region.h"

#include "clock.h"

#include <stdio.h>

void sim_region_init(struct sim_region *g, const char *name, double rps)
{
    snprintf(g->name, sizeof g->name, "%s", name);
    g->rps = rps;
    pthread_mutex_init(&g->rate_lock, NULL);
    sim_faults_init(&g->faults);
    sim_suppression_init(&g->list);
    sim_account_init(&g->account);
    sim_queues_init(&g->queues);
    sim_topics_init(&g->topics);
    sim_imports_init(&g->imports);
    sim_refusals_init(&g->refusals);
}

void sim_region_fini(struct sim_region *g)
{
    sim_imports_fini(&g->imports);
    sim_refusals_fini(&g->refusals);
    sim_topics_fini(&g->topics);
    sim_queues_fini(&g->queues);
    sim_account_fini(&g->account);
    sim_suppression_fini(&g->list);
    sim_faults_fini(&g->faults);
    pthread_mutex_destroy(&g->rate_lock);
}

int64_t sim_region_now(const struct sim_region *g)
{
    return sim_wall_ms() + (g ? atomic_load(&g->clock_offset_ms) : 0);
}

bool sim_region_admit(struct sim_region *g, enum sim_op op)
{
    int64_t now = sim_mono_ms();
    pthread_mutex_lock(&g->rate_lock);
    struct sim_rate *rate = &g->rates[op];
    double most = g->rps > 1 ? g->rps : 1;
    if (!rate->last_ms)
        rate->tokens = most;
    else
        rate->tokens += (double)(now - rate->last_ms) / 1000 * g->rps;
    if (rate->tokens > most)
        rate->tokens = most;
    rate->last_ms = now;
    bool ok = g->rps <= 0 || rate->tokens >= 1;
    if (ok)
        rate->tokens -= 1;
    pthread_mutex_unlock(&g->rate_lock);
    return ok;
}

void sim_region_set_rps(struct sim_region *g, double rps)
{
    pthread_mutex_lock(&g->rate_lock);
    g->rps = rps;
    for (int op = 0; op < SIM_OP_COUNT; op++)
        g->rates[op] = (struct sim_rate){0};
    pthread_mutex_unlock(&g->rate_lock);
}
