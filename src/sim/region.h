#ifndef SIM_REGION_H
#define SIM_REGION_H

#include "account.h"
#include "faults.h"
#include "imports.h"
#include "ops.h"
#include "queue.h"
#include "refusals.h"
#include "suppression.h"
#include "topics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

/* A token bucket: fills at the rate, holds one second's worth (at least one). */
struct sim_rate {
    double tokens;
    int64_t last_ms;
};

struct sim_region {
    char name[64];
    _Atomic int64_t clock_offset_ms;
    _Atomic uint64_t calls[SIM_OP_COUNT];
    _Atomic uint64_t throttled[SIM_OP_COUNT];
    _Atomic uint64_t failed[SIM_OP_COUNT]; /* other error replies */
    _Atomic uint64_t sends;                /* SendEmail requests accepted */
    _Atomic uint64_t delivered;            /* recipients */
    _Atomic uint64_t blocked;
    _Atomic uint64_t bounced;
    _Atomic uint64_t complained;
    _Atomic uint64_t token_epoch; /* moved on: every NextToken given out so far is refused */
    pthread_mutex_t rate_lock;
    double rps; /* under rate_lock; 0: no limit */
    struct sim_rate rates[SIM_OP_COUNT];
    struct sim_faults faults;
    struct sim_suppression list;
    struct sim_account account;
    struct sim_queues queues;
    struct sim_topics topics;
    struct sim_imports imports;
    struct sim_refusals refusals;
};

void sim_region_init(struct sim_region *g, const char *name, double rps);
void sim_region_fini(struct sim_region *g);
/* Wall clock of that Region; r may be NULL. */
int64_t sim_region_now(const struct sim_region *g);
/* false: the operation's rate is used up. */
bool sim_region_admit(struct sim_region *g, enum sim_op op);
void sim_region_set_rps(struct sim_region *g, double rps);

#endif
