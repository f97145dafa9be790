#include "account.h"

#include "buf.h"

#include <stdio.h>
#include <stdlib.h>

void sim_account_init(struct sim_account *a)
{
    pthread_mutex_init(&a->lock, NULL);
    a->reasons = SIM_BOUNCE | SIM_COMPLAINT;
    a->production = a->sending = true;
    a->next_seq = 1;
    snprintf(a->enforcement, sizeof a->enforcement, "HEALTHY");
}

void sim_config_set_free(void *set)
{
    if (set)
        json_decref(((struct sim_config_set *)set)->validation);
    free(set);
}

static void free_tenant(void *tenant)
{
    struct sim_tenant *t = tenant;
    json_decref(t->tags);
    sim_suppression_fini(&t->list);
    free(t);
}

void sim_account_fini(struct sim_account *a)
{
    sim_strmap_fini(&a->sets, sim_config_set_free);
    sim_strmap_fini(&a->tenants, free_tenant);
    while (a->gone) {
        struct sim_tenant *next = a->gone->next_gone;
        free_tenant(a->gone);
        a->gone = next;
    }
    json_decref(a->validation);
    pthread_mutex_destroy(&a->lock);
}

bool sim_account_production(struct sim_account *a)
{
    pthread_mutex_lock(&a->lock);
    bool production = a->production;
    pthread_mutex_unlock(&a->lock);
    return production;
}

/* The configuration set's word goes before the tenant's, and that before the account's: for the
 * reasons as for the scope ("Using tenant-level suppression lists" of the SES developer guide, and
 * SuppressionOptions of the API reference). What a set's scope TENANT means to a mail without a
 * tenant is nowhere written; here no list is looked at then: who counts on one is found out. */
enum sim_found sim_account_rules(struct sim_account *a, const char *set, const char *tenant,
                                 struct sim_suppression *own, struct sim_rules *out)
{
    pthread_mutex_lock(&a->lock);
    const struct sim_config_set *s = set ? sim_strmap_get(&a->sets, set) : NULL;
    struct sim_tenant *t = tenant ? sim_strmap_get(&a->tenants, tenant) : NULL;
    enum sim_scope scope = SIM_SCOPE_ACCOUNT;

    *out = (struct sim_rules){.reasons = a->reasons};
    if (t && t->level.has_reasons)
        out->reasons = t->level.reasons;
    if (t && t->level.scope)
        scope = t->level.scope;
    if (s && s->level.has_reasons)
        out->reasons = s->level.reasons;
    if (s && s->level.scope)
        scope = s->level.scope;
    out->tenants_own = scope == SIM_SCOPE_TENANT;
    out->list = !out->tenants_own ? own : t ? &t->list : NULL;
    pthread_mutex_unlock(&a->lock);
    if (set && !s)
        return SIM_NO_SET;
    return tenant && !t ? SIM_NO_TENANT : SIM_FOUND;
}

struct sim_suppression *sim_account_tenant_list(struct sim_account *a, const char *tenant)
{
    pthread_mutex_lock(&a->lock);
    struct sim_tenant *t = sim_strmap_get(&a->tenants, tenant);
    pthread_mutex_unlock(&a->lock);
    return t ? &t->list : NULL;
}

bool sim_account_control(struct sim_account *a, const json_t *wanted)
{
    int production = -1, sending = -1;
    const char *enforcement = NULL;
    if (json_unpack((json_t *)wanted, "{s?b,s?b,s?s !}", "ProductionAccessEnabled", &production,
                    "SendingEnabled", &sending, "EnforcementStatus", &enforcement) != 0)
        return false;
    pthread_mutex_lock(&a->lock);
    if (production >= 0)
        a->production = production;
    if (sending >= 0)
        a->sending = sending;
    if (enforcement)
        snprintf(a->enforcement, sizeof a->enforcement, "%s", enforcement);
    pthread_mutex_unlock(&a->lock);
    return true;
}

struct named {
    const char *name;
    void *value; /* begins with its number */
};
struct gathered {
    struct named *items;
    size_t n;
};

static uint64_t number(const struct named *n)
{
    return *(const uint64_t *)n->value;
}

static void gather(const char *name, void *value, void *arg)
{
    struct gathered *g = arg;
    g->items[g->n++] = (struct named){name, value};
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = number(a), y = number(b);
    return x < y ? -1 : x > y;
}

uint64_t sim_account_page(const struct sim_strmap *m, uint64_t from, size_t max,
                          void (*visit)(const char *name, void *value, void *arg), void *arg)
{
    struct gathered g = {sim_alloc((m->n + 1) * sizeof(struct named)), 0};
    uint64_t next = 0;
    size_t visited = 0;
    sim_strmap_each(m, gather, &g);
    qsort(g.items, g.n, sizeof *g.items, by_number);
    for (size_t i = 0; i < g.n && !next; i++) {
        if (number(&g.items[i]) < from)
            continue;
        if (visited++ == max)
            next = number(&g.items[i]);
        else
            visit(g.items[i].name, g.items[i].value, arg);
    }
    free(g.items);
    return next;
}
