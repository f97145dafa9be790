#ifndef SUP_SERVICE_REPLICATE_INTERNAL_H
#define SUP_SERVICE_REPLICATE_INTERNAL_H

#include "base/thread.h"
#include "core/replica.h"
#include "mesh/server.h"
#include "service/replicate.h"
#include "service/replicate_repair.h"

#include <stdatomic.h>

/* Shared by replicate*.c only. */

struct sup_peer {
    struct sup_replicator *r;
    const struct sup_peer_options *config;
    struct sup_dialer *dialer;
    pthread_t thread;
    bool started;
    size_t index;                  /* among the peers */
    struct sup_peer_repair repair; /* the pull thread's */

    pthread_mutex_t mutex;       /* all below */
    pthread_cond_t cond;         /* in_flight became smaller; nudged; stop */
    struct sup_session *session; /* NULL while not connected; only the pull thread frees it */
    uint64_t session_id;         /* the core's number for it */
    bool nudged;                 /* it dialled us: it is back */
    bool repair_wanted;          /* the core asked for a repair */
    size_t in_flight;            /* mutation jobs that have not come back */
    int64_t level_mono_ms;       /* when we last had all that it had; -1 = never */
    int64_t contact_wall_ms;     /* SUP_NO_TIME = never */
    struct sup_vv vv;            /* what it is known to have */
    uint64_t node_id;
    uint64_t incarnation;
    double clock_offset_ms, rtt_ms;
    uint64_t bytes_in, bytes_out, sessions, refusals, quarantined;
    struct sup_summary summary; /* the last answer; its id that of the ask */
    int64_t summary_wall_ms;    /* when it came; SUP_NO_TIME = never */
    char last_error[128];
};

struct sup_replicator {
    struct sup_replicator_options opts;
    struct sup_mesh_tls *tls;
    struct sup_heart *heart;
    struct sup_mesh_server *server;
    struct sup_repair_gate repair_gate;
    struct sup_session_local local;
    struct sup_stop stop;
    struct sup_peer *peers;
    size_t n_peers;

    pthread_t ticker;
    bool ticking;
    pthread_mutex_t core_mutex; /* all below; taken before a peer's mutex, never behind it */
    struct sup_replica *core;
    struct sup_replica_self self;
    uint64_t sessions;         /* numbers given out */
    atomic_uint_fast64_t asks; /* of summaries so far: their ids. Any thread */
};

/* What of a step's actions is the caller's: it is the one who can block, or who has what the event
 * brought. The rest was carried out. */
struct sup_replica_orders {
    bool pull, submit, fill, transmit, close, starved;
    int64_t dial_ms; /* negative: none */
    uint64_t credit; /* of pull */
    uint64_t max_bytes;
    uint64_t generation;
    struct sup_replica_range ranges[SUP_REPLICA_RANGES_MAX];
    size_t n_ranges;
};

/* replicate_core.c. Any thread, holding no peer's mutex. */
void sup_replicator_step(struct sup_replicator *r, const struct sup_replica_event *e,
                         struct sup_replica_orders *out);
uint64_t sup_replicator_session(struct sup_replicator *r); /* a new session's number */
int sup_replicator_core_start(struct sup_replicator *r, struct sup_err *err); /* and ticks */
void sup_replicator_core_stop(struct sup_replicator *r);
void sup_replicator_core_free(struct sup_replicator *r);

/* replicate_pull.c */
int sup_peer_start(struct sup_peer *p, struct sup_err *err);
void sup_peer_stop(struct sup_peer *p);
/* Dials now, if it waits to. Any thread. */
void sup_peer_nudge(struct sup_peer *p);
/* Loads what is stored of the peer. */
int sup_peer_load(struct sup_peer *p, struct sup_err *err);

/* replicate_summary.c. The pull thread's; p->session is there. */
void sup_peer_ask_summary(struct sup_peer *p);
void sup_peer_take_summary(struct sup_peer *p, const struct sup_summary *s);
/* Answers an ask; any thread of the session. */
void sup_replicator_answer_summary(struct sup_replicator *r, struct sup_session *s, uint64_t id);

/* replicate_serve.c; runs on a thread of the mesh server. arg is the replicator. */
void sup_replicator_serve(void *arg, struct sup_session *s);

#endif
