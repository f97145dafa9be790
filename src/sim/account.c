#include "account.h"

#include "buf.h"
#include "suppression.h"

#include <stdio.h>
#include <stdlib.h>

void sim_account_init(struct sim_account *a)
{
    pthread_mutex_init(&a->lock, NULL);
    a->reasons = SIM_BOUNCE | SIM_COMPLAINT;
    a->production = a->sending = true;
    snprintf(a->enforcement, sizeof a->enforcement, "HEALTHY");
}

void sim_account_fini(struct sim_account *a)
{
    sim_strmap_fini(&a->sets, free);
    pthread_mutex_destroy(&a->lock);
}

bool sim_account_production(struct sim_account *a)
{
    pthread_mutex_lock(&a->lock);
    bool production = a->production;
    pthread_mutex_unlock(&a->lock);
    return production;
}

bool sim_account_reasons(struct sim_account *a, const char *set, unsigned *reasons)
{
    pthread_mutex_lock(&a->lock);
    const struct sim_config_set *found = set ? sim_strmap_get(&a->sets, set) : NULL;
    *reasons = found && found->overrides ? found->reasons : a->reasons;
    pthread_mutex_unlock(&a->lock);
    return !set || found;
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
