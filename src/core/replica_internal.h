#ifndef SUP_CORE_REPLICA_INTERNAL_H
#define SUP_CORE_REPLICA_INTERNAL_H

#include "base/random.h"
#include "core/replica.h"

/* Shared by replica*.c only. */

/* The side that dialled and pulls. */
struct sup_replica_pull {
    bool up;
    uint64_t session;
    struct sup_vv expect;    /* the peer's next mutation of X is expect[X] + 1 */
    uint64_t unacknowledged; /* bytes received and not yet durable */
    size_t jobs;             /* SUBMITs of this session that have not come back */
    bool crowded;            /* expect had no room for all: what it does not hold is not checked */
    bool repairing;
    int64_t repair_ms; /* since when */
    bool held;         /* no PULL was sent yet: the node is joining */
    /* The oldest thing that the peer has and we lack: does it come? */
    uint64_t watched;
    uint64_t watched_seq;   /* what we had of it */
    int64_t watched_ms;     /* since when */
    struct sup_vv trimmed;  /* where the peer's log begins, if it said so */
    int64_t trimmed_ms;     /* since when we know that we lack some of that */
    int64_t next_repair_ms; /* not before, because of that */
    unsigned attempt;       /* failed dials in a row */
    uint64_t stalls;        /* in a row, over sessions; decides between redialling and repair */
};

/* The side that accepted and serves. */
struct sup_replica_serve {
    bool up;
    bool pulled;
    uint64_t session;
    struct sup_vv sent;  /* what the peer has or is on its way to it */
    uint64_t generation; /* of sent: a PULL replaces it */
    /* Below zero when the last message overdrew it: were that forgiven, a long backlog would let it
     * grow message by message. */
    int64_t credit;
    size_t next; /* where in the version vector the next message begins: each origin has its turn */
    bool behind; /* said once a session */
    bool told;   /* that the log does not reach back to its last PULL */
};

struct sup_replica_peer {
    struct sup_replica_pull pull;
    struct sup_replica_serve serve;
    struct sup_vv has;
    uint64_t incarnation; /* its present one, as it last said; 0: it never did */
    bool confirmed;       /* on the session we dialled: has no more of our incarnation than we do */
    bool pulled_confirmed; /* and so said its PULL, behind which nothing of us waits unread there */
    bool needs_repair;
    bool retired;
    uint64_t quarantined, stalls, gaps;
};

struct sup_replica {
    struct sup_replica_options opts;
    struct sup_rng rng;
    struct sup_replica_peer *peers;
    struct sup_vv relay[2]; /* our vector of RELAY_MS ago and more, and of less */
    int64_t relay_at_ms;
    int64_t trim_at_ms;
    struct sup_vv retiring; /* incarnations, with the time since when they could, plus one */
    uint64_t settled;       /* incarnations that were decided about */
    uint64_t revoked;
    bool members_changed; /* to be looked at by the next tick */
    struct sup_replica_actions out;
    size_t room; /* of out.a */
};

/* One step's context. */
struct sup_replica_ctx {
    struct sup_replica *r;
    struct sup_replica_peer *peer; /* the event's */
    const struct sup_replica_self *self;
    const struct sup_replica_event *e;
    int64_t now;
};

/* The action to fill in, for the given peer; room for it is certain. */
struct sup_replica_action *sup_replica_act(struct sup_replica *r, size_t peer,
                                           enum sup_replica_action_type type);

/* What a peer says that it has. Nothing of ours is believed that we never made: its word on that is
 * worth nothing then. */
void sup_replica_hear(const struct sup_replica_ctx *c, struct sup_vv *to, const struct sup_vv *vv);
/* Raises v by o; when v has no room, it keeps only what is known here, which has. */
void sup_replica_raise_known(const struct sup_replica_ctx *c, struct sup_vv *v,
                             const struct sup_vv *o);

/* Settles our incarnation once all peers agree. */
void sup_replica_try_settle(const struct sup_replica_ctx *c);

/* replica_pull.c */
void sup_replica_pull_event(const struct sup_replica_ctx *c);
void sup_replica_pull_tick(const struct sup_replica_ctx *c, size_t peer);
/* replica_serve.c */
/* The peer was heard to have it: on its way to us, or from its heartbeat. */
void sup_replica_serve_known(const struct sup_replica_ctx *c, const struct sup_vv *has);
void sup_replica_serve_tick(const struct sup_replica_ctx *c);
void sup_replica_serve_event(const struct sup_replica_ctx *c);
/* replica_trim.c */
void sup_replica_trim_tick(const struct sup_replica_ctx *c);

#endif
