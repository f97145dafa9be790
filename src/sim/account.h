#ifndef SIM_ACCOUNT_H
#define SIM_ACCOUNT_H

#include "strmap.h"

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* Account settings of one Region, and its configuration sets. Any thread. */
struct sim_account {
    pthread_mutex_t lock;
    unsigned reasons; /* suppressed reasons, bits of enum sim_reason */
    bool production;
    bool sending;
    char enforcement[16];
    struct sim_strmap sets; /* struct sim_config_set, malloc'd */
};

struct sim_config_set {
    bool overrides;   /* false: the account's reasons count */
    unsigned reasons; /* with overrides; 0: nothing is suppressed */
};

void sim_account_init(struct sim_account *a);
void sim_account_fini(struct sim_account *a);

bool sim_account_production(struct sim_account *a);
/* Reasons that count for a send: the set's when it overrides, else the account's. set may be NULL.
 * false: no such set. */
bool sim_account_reasons(struct sim_account *a, const char *set, unsigned *reasons);
/* {"ProductionAccessEnabled","SendingEnabled","EnforcementStatus"}, each optional. */
bool sim_account_control(struct sim_account *a, const json_t *wanted);

#endif
