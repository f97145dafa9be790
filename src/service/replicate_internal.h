#ifndef SUP_SERVICE_REPLICATE_INTERNAL_H
#define SUP_SERVICE_REPLICATE_INTERNAL_H

#include "base/thread.h"
#include "mesh/server.h"
#include "service/replicate.h"
#include "service/replicate_repair.h"

/* Shared by replicate*.c only. */

/* Bytes of mutations under way to this node from one peer: more than a 200 ms path at 40 MB/s
 * holds. */
#define SUP_PULL_CREDIT (8U << 20)

struct sup_peer {
    struct sup_replicator *r;
    const struct sup_peer_options *config;
    struct sup_dialer *dialer;
    pthread_t thread;
    bool started;
    struct sup_redial redial;
    struct sup_peer_repair repair; /* the pull thread's */

    pthread_mutex_t mutex;       /* all below */
    pthread_cond_t cond;         /* in_flight became smaller */
    struct sup_session *session; /* NULL while not connected; only the pull thread frees it */
    size_t in_flight;            /* mutation jobs that have not come back */
    int failed;                  /* a job failed: its code */
    int64_t level_mono_ms;       /* when we last had all that it had; -1 = never */
    int64_t contact_wall_ms;     /* SUP_NO_TIME = never */
    bool confirmed;   /* has no more of our incarnation than we, in this process's life */
    struct sup_vv vv; /* what it is known to have */
    uint64_t node_id;
    uint64_t incarnation;
    double clock_offset_ms, rtt_ms;
    uint64_t bytes_in, bytes_out, sessions, refusals, quarantined;
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
};

/* replicate_pull.c */
int sup_peer_start(struct sup_peer *p, struct sup_err *err);
void sup_peer_stop(struct sup_peer *p);
/* Loads what is stored of the peer. */
int sup_peer_load(struct sup_peer *p, struct sup_err *err);

/* replicate_serve.c; runs on a thread of the mesh server. arg is the replicator. */
void sup_replicator_serve(void *arg, struct sup_session *s);

#endif
