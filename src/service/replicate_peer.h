#ifndef SUP_SERVICE_REPLICATE_PEER_H
#define SUP_SERVICE_REPLICATE_PEER_H

#include "base/thread.h"
#include "codec/peer_state.h"
#include "core/replica.h"
#include "mesh/server.h"
#include "service/replicate.h"
#include "service/replicate_repair.h"

#include <stdatomic.h>

/* One peer of this node. Shared by replicate*.c only. */

/* A peer's configuration beside ours. */
enum sup_membership {
    SUP_MEMBERS_UNKNOWN, /* it does not say */
    SUP_MEMBERS_SAME,
    SUP_MEMBERS_NEWER,    /* it has a higher epoch: ours is to be updated */
    SUP_MEMBERS_OLDER,    /* its is */
    SUP_MEMBERS_DIFFERENT /* the same epoch, other members */
};

struct sup_peer_metrics;
struct sup_peer {
    struct sup_replicator *r;
    struct sup_peer_options own;           /* texts live as long as the replicator */
    const struct sup_peer_options *config; /* own; its url changes under mutex */
    char region[64];
    struct sup_dialer *dialer;
    pthread_t thread;
    bool started;
    size_t index;                  /* among the peers; for ever */
    uint64_t member;               /* its number in apply */
    atomic_bool retired;           /* decommissioned: neither dialled nor accepted */
    struct sup_peer_repair repair; /* the pull thread's */

    pthread_mutex_t mutex;          /* all below */
    pthread_cond_t cond;            /* in_flight became smaller; nudged; stop */
    struct sup_dialer *next_dialer; /* for another address: the pull thread takes it */
    struct sup_session *session;    /* NULL while not connected; only the pull thread frees it */
    struct sup_session *served;     /* the one that it dialled; only its serving thread frees it */
    uint64_t session_id;            /* the core's number for it */
    bool nudged;                    /* it dialled us: it is back */
    bool repair_wanted;             /* the core asked for a repair */
    size_t in_flight;               /* mutation jobs that have not come back */
    int64_t level_mono_ms;          /* when we last had all that it had; -1 = never */
    int64_t contact_wall_ms;        /* SUP_NO_TIME = never */
    struct sup_vv vv;               /* what it is known to have */
    uint64_t node_id;
    uint64_t incarnation;
    double clock_offset_ms, rtt_ms;
    uint64_t bytes_in, bytes_out; /* of sessions that ended */
    uint64_t sessions, refusals, quarantined;
    bool configured;         /* stands in the configuration */
    int64_t absent_mono_ms;  /* since when it is not connected */
    int64_t behind_mono_ms;  /* it has not acknowledged all of ours since; -1 = it has */
    uint64_t epoch, members; /* of its configuration, as it last said */
    enum sup_membership membership;
    struct sup_peer_repair_count repairs;
    struct sup_peer_ruling rulings[SUP_PEER_RULINGS_MAX];
    size_t n_rulings;
    struct sup_peer_metrics *metrics; /* the ticker's */
    struct sup_summary summary;       /* the last answer; its id that of the ask */
    int64_t summary_wall_ms;          /* when it came; SUP_NO_TIME = never */
    char last_error[128];
};

/* replicate_pull.c */
int sup_peer_start(struct sup_peer *p, struct sup_err *err);
void sup_peer_stop(struct sup_peer *p);
/* Dials now, if it waits to. Any thread. */
void sup_peer_nudge(struct sup_peer *p);
/* Loads what is stored of the peer. */
int sup_peer_load(struct sup_peer *p, struct sup_err *err);
/* Stores what is known of the peer, rulings too: durable when it returns SUP_OK. */
int sup_peer_save(struct sup_peer *p, struct sup_err *err);
/* Is the pull thread to end? */
bool sup_peer_leaves(struct sup_peer *p);

/* replicate_members.c */
/* How its configuration compares with ours; logs when that changes. With the peer's mutex. */
void sup_peer_compare_membership(struct sup_peer *p, uint64_t epoch, uint64_t members);

#endif
