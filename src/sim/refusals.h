#ifndef SIM_REFUSALS_H
#define SIM_REFUSALS_H

#include "strmap.h"

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>

/* Spellings that SES refuses without telling why, as it does now and then: as rows of import jobs,
 * or in PutSuppressedDestination. Any thread. */
struct sim_refusals {
    pthread_mutex_t lock;
    struct sim_strmap rows;
    struct sim_strmap puts;
};

void sim_refusals_init(struct sim_refusals *f);
void sim_refusals_fini(struct sim_refusals *f);
/* {"rows":[SPELLING,…],"puts":[…]}, each optional, in place of what was there; false: not
 * understood. */
bool sim_refusals_set(struct sim_refusals *f, const json_t *wanted);
bool sim_refusals_row(struct sim_refusals *f, const char *spelling);
bool sim_refusals_put(struct sim_refusals *f, const char *spelling);

#endif
