#ifndef SIM_CREDS_H
#define SIM_CREDS_H

#include "strmap.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Key pairs that signatures are checked against: two that are always there, one from the command
 * line, and those STS gave out. Any thread. */
struct sim_creds {
    pthread_mutex_t lock;
    struct sim_strmap by_key;
};

#define SIM_DEFAULT_KEY    "AKIDEXAMPLE"
#define SIM_DEFAULT_SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

struct sim_credential {
    char access_key[32];
    char secret[64];
    char token[96];    /* empty: long-term */
    int64_t expiry_ms; /* wall clock; 0: never */
    char arn[256];
};

void sim_creds_init(struct sim_creds *c);
void sim_creds_fini(struct sim_creds *c);
/* Too long texts are cut off. */
void sim_creds_add(struct sim_creds *c, const char *access_key, const char *secret);
/* A fresh temporary pair. */
void sim_creds_issue(struct sim_creds *c, const char *arn, int64_t expiry_ms,
                     struct sim_credential *out);
bool sim_creds_find(struct sim_creds *c, const char *access_key, struct sim_credential *out);

#endif
