#ifndef SIM_ACCOUNT_H
#define SIM_ACCOUNT_H

#include "strmap.h"
#include "suppression.h"

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Account settings of one Region, its configuration sets and its tenants. Any thread. */

enum sim_scope { SIM_SCOPE_UNSET, SIM_SCOPE_ACCOUNT, SIM_SCOPE_TENANT };

/* What the account, a tenant or a configuration set says of suppression. */
struct sim_level {
    bool has_reasons; /* with none of them set: nothing is suppressed */
    unsigned reasons; /* bits of enum sim_reason */
    enum sim_scope scope;
};

struct sim_config_set {
    uint64_t seq; /* first, as in sim_tenant: lists are in this order */
    bool has_options;
    struct sim_level level;
    json_t *validation; /* ValidationOptions as given, or NULL */
};

#define SIM_TENANT_NAME_MAX 64
struct sim_tenant {
    uint64_t seq;
    char name[SIM_TENANT_NAME_MAX + 1];
    int64_t created_ms;
    struct sim_level level;
    json_t *tags; /* as given, or NULL */
    struct sim_suppression list;
    struct sim_tenant *next_gone;
};

struct sim_account {
    pthread_mutex_t lock;
    unsigned reasons;   /* suppressed reasons, bits of enum sim_reason */
    json_t *validation; /* ValidationAttributes as given, or NULL */
    bool production;
    bool sending;
    char enforcement[16];
    uint64_t next_seq;
    struct sim_strmap sets;    /* struct sim_config_set, malloc'd */
    struct sim_strmap tenants; /* struct sim_tenant, malloc'd */
    struct sim_tenant *gone;   /* deleted ones: a request may still look at their lists */
};

void sim_account_init(struct sim_account *a);
void sim_account_fini(struct sim_account *a);
void sim_config_set_free(void *set);

bool sim_account_production(struct sim_account *a);

/* By what a mail is judged. */
struct sim_rules {
    unsigned reasons;             /* that count */
    struct sim_suppression *list; /* to look at, and to add to; NULL: none */
    bool tenants_own;             /* it is the tenant's */
};
enum sim_found { SIM_FOUND, SIM_NO_SET, SIM_NO_TENANT };
/* Of a mail with that configuration set and tenant, each of which may be NULL. own: the account's
 * list. */
enum sim_found sim_account_rules(struct sim_account *a, const char *set, const char *tenant,
                                 struct sim_suppression *own, struct sim_rules *out);
/* The tenant's list, which stays there even if the tenant goes; NULL: no such tenant. */
struct sim_suppression *sim_account_tenant_list(struct sim_account *a, const char *tenant);

/* {"ProductionAccessEnabled","SendingEnabled","EnforcementStatus"}, each optional. */
bool sim_account_control(struct sim_account *a, const json_t *wanted);

/* Visits, in the order they were made, those of m (sets or tenants) whose number is from or more,
 * at most max. Under the lock. Returns the number to go on from, 0 at the end. */
uint64_t sim_account_page(const struct sim_strmap *m, uint64_t from, size_t max,
                          void (*visit)(const char *name, void *value, void *arg), void *arg);

#endif
