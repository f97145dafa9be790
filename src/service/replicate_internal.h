#ifndef SUP_SERVICE_REPLICATE_INTERNAL_H
#define SUP_SERVICE_REPLICATE_INTERNAL_H

#include "service/join.h"
#include "service/replicate_peer.h"
#include "service/snapshot.h"

/* Shared by replicate*.c only. */

struct sup_kept;

struct sup_replicator {
    struct sup_replicator_options opts;
    struct sup_mesh_tls *tls;          /* NULL = mesh.insecure */
    atomic_int_fast64_t tls_warned_ms; /* monotonic; INT64_MIN = not yet */
    struct sup_heart *heart;
    struct sup_mesh_server *server;
    struct sup_repair_gate repair_gate;
    struct sup_snapshot_gate snapshot_gate;
    struct sup_joiner *joiner; /* NULL when no sketch is kept */
    struct sup_session_local local;
    struct sup_stop stop;
    struct sup_peer *peers; /* SUP_STATUS_PEERS_MAX of them, so that they never move */
    _Atomic size_t n_peers; /* grows */
    struct sup_kept *kept;  /* texts that outlive their use; members_mutex */
    atomic_uint_fast64_t epoch, members, log_max_bytes;
    atomic_int_fast64_t absence_alarm_ms;
    pthread_mutex_t members_mutex; /* who changes the set of peers; taken before all others */

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
    bool pull, submit, fill, transmit, close, starved, trimmed;
    int64_t dial_ms; /* negative: none */
    uint64_t credit; /* of pull */
    uint64_t max_bytes;
    uint64_t generation;
    struct sup_replica_range ranges[SUP_REPLICA_RANGES_MAX];
    size_t n_ranges;
};

/* replicate_members.c */
int sup_replicator_members_init(struct sup_replicator *r, struct sup_err *err);
void sup_replicator_members_fini(struct sup_replicator *r);
/* The peer of that name, retired or not, or NULL. Any thread. */
struct sup_peer *sup_replicator_find(struct sup_replicator *r, const char *name);

/* replicate_tls.c */
int sup_replicator_tls_init(struct sup_replicator *r, struct sup_err *err);
void sup_replicator_tls_status(struct sup_replicator *r, struct sup_status *out);
void sup_replicator_tls_measure(struct sup_replicator *r); /* the ticker's */

/* replicate_status.c */
void sup_replicator_measure(struct sup_replicator *r); /* sets the gauges; the ticker's */

/* replicate_core.c. Any thread, holding no peer's mutex. */
void sup_replicator_step(struct sup_replicator *r, const struct sup_replica_event *e,
                         struct sup_replica_orders *out);
uint64_t sup_replicator_session(struct sup_replicator *r); /* a new session's number */
int sup_replicator_core_start(struct sup_replicator *r, struct sup_err *err); /* and ticks */
void sup_replicator_core_stop(struct sup_replicator *r);
void sup_replicator_core_free(struct sup_replicator *r);

/* replicate_summary.c. The pull thread's; p->session is there. */
void sup_peer_ask_summary(struct sup_peer *p);
void sup_peer_take_summary(struct sup_peer *p, const struct sup_summary *s);
/* Answers an ask; any thread of the session. */
void sup_replicator_answer_summary(struct sup_replicator *r, struct sup_session *s, uint64_t id);

/* replicate_join.c. Of the pull thread while a session stands: looks at how the peer is, and does
 * what is to be done with it for joining. stats NULL: the session has just begun. */
void sup_peer_join(struct sup_peer *p, const struct sup_session_stats *stats);
void sup_replicator_join_tick(struct sup_replicator *r);
bool sup_replicator_pulls(struct sup_replicator *r); /* any thread, as all below */
bool sup_replicator_pulls_from(struct sup_replicator *r, enum sup_standing standing, bool has_data);
enum sup_standing sup_replicator_standing(void *replicator);
bool sup_replicator_gives(const struct sup_replicator *r); /* has a set to give to who joins */

/* replicate_serve.c; runs on a thread of the mesh server. arg is the replicator. */
void sup_replicator_serve(void *arg, struct sup_session *s);

#endif
