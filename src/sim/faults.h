#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* What goes wrong with one request. */
struct sim_fault {
    bool active;
    unsigned status; /* with code: an error reply; 0: none */
    char *code;
    int64_t delay_ms;
    bool reset;        /* the connection ends with RST, no reply */
    bool truncate;     /* half of the body, then the connection ends */
    bool invalid_json; /* 200 with a body that is not JSON */
    char *body;        /* 200 with this body; NULL: none */
    bool after;        /* status, reset, delay: only after the operation took effect */
};
void sim_fault_fini(struct sim_fault *f);

struct sim_fault_rule {
    char *operation; /* or "*" */
    int64_t count;   /* requests still to be hit */
    struct sim_fault fault;
};
struct sim_faults {
    pthread_mutex_t lock;
    struct sim_fault_rule *rules;
    size_t n;
};

void sim_faults_init(struct sim_faults *f);
void sim_faults_fini(struct sim_faults *f);
/* Adds a list of rules, all or none; false with a message (static) when one is not understood. */
bool sim_faults_add(struct sim_faults *f, const json_t *rules, const char **why);
void sim_faults_clear(struct sim_faults *f);
json_t *sim_faults_list(struct sim_faults *f);
/* The first rule for the operation, used up by one; out->active tells whether there was one. */
void sim_faults_take(struct sim_faults *f, const char *operation, struct sim_fault *out);

#endif
