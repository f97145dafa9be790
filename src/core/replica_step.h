#ifndef SUP_CORE_REPLICA_STEP_H
#define SUP_CORE_REPLICA_STEP_H

#include "model/decision.h"
#include "model/vv.h"

/* What goes into a replica's step and what comes out of it: see core/replica.h. */

#define SUP_REPLICA_RANGES_MAX 16

/* What is durable here at the moment of the step. */
struct sup_replica_self {
    uint64_t incarnation;
    struct sup_vv vv;
    struct sup_vv floor; /* up to where the log was trimmed */
    uint64_t log_bytes;  /* of the log behind it */
    bool certain;        /* nobody can have more of our incarnation than we do */
    bool holds;          /* joining (core/join.h): the rest is about to come otherwise */
};

enum sup_replica_event_type {
    SUP_EV_TICK,        /* about each second */
    SUP_EV_DIALED,      /* the dialled session stands; vv: of the peer's HELLO. Before dialling, all
                           that was submitted must have come back */
    SUP_EV_DIAL_LOST,   /* it ended, or a dial failed; lived_ms */
    SUP_EV_PEER_VV,     /* heartbeat on the dialled session; vv */
    SUP_EV_MUTATIONS,   /* on the dialled session; m, n, cost */
    SUP_EV_APPLIED,     /* the commit of an earlier SUBMIT is durable, or failed; cost, code, n =
                           how many were quarantined */
    SUP_EV_TRIMMED,     /* on the dialled session: its log begins behind vv */
    SUP_EV_REPAIRING,   /* a repair with the peer goes on: it sent some of it */
    SUP_EV_REPAIRED,    /* a repair with the peer ended; code */
    SUP_EV_ACCEPTED,    /* an accepted session stands, in place of any older one; vv */
    SUP_EV_ACCEPT_LOST, /* it ended */
    SUP_EV_PULL,        /* on the accepted session; vv, cost = credit */
    SUP_EV_ACK,         /* on the accepted session; vv, cost = credit */
    SUP_EV_MAY_SEND,    /* the accepted session has room */
    SUP_EV_FILLED       /* what a FILL found in the log; ranges, n, cost, generation */
};

struct sup_replica_range {
    uint64_t incarnation;
    uint64_t from;
    uint64_t to; /* inclusive */
};

struct sup_replica_event {
    enum sup_replica_event_type type;
    size_t peer;
    uint64_t session; /* the owner's number for it; events of another than the present are stale */
    const struct sup_vv *vv;
    uint64_t incarnation; /* DIALED, PEER_VV: the peer's present one; 0: not known */
    const struct sup_mutation *m;
    const struct sup_replica_range *ranges;
    size_t n;
    uint64_t cost; /* bytes that count against the credit */
    uint64_t generation;
    int64_t lived_ms;
    bool pull; /* of DIALED and PEER_VV: from this one, though self holds */
    int code;
};

enum sup_replica_action_type {
    SUP_ACT_PULL,         /* of DIALED or PEER_VV: send PULL with self's vv and amount as credit */
    SUP_ACT_ACK,          /* send ACK, likewise */
    SUP_ACT_SUBMIT,       /* hand the event's mutations to apply; then APPLIED */
    SUP_ACT_CLOSE_DIALED, /* text says why */
    SUP_ACT_CLOSE_ACCEPTED, /* likewise */
    SUP_ACT_DIAL,           /* in amount milliseconds */
    SUP_ACT_FILL,           /* read the ranges from the log, about amount bytes; then FILLED */
    SUP_ACT_TRANSMIT,       /* send what was filled */
    SUP_ACT_TRIMMED,        /* on the accepted session: tell the peer self's floor */
    SUP_ACT_REPAIR,         /* start a repair with the peer; then REPAIRED */
    SUP_ACT_SETTLE,         /* amount is the incarnation: nobody has more of it */
    SUP_ACT_REVOKE,         /* likewise: somebody has */
    SUP_ACT_TRIM,           /* trim the log up to ->trim */
    SUP_ACT_RETIRE,         /* forget the incarnations in ->retire, up to there */
    SUP_ACT_ALARM           /* text says what */
};

struct sup_replica_action {
    enum sup_replica_action_type type;
    size_t peer;
    uint64_t session;
    uint64_t amount;
    uint64_t generation;
    unsigned refusal; /* enum sup_refusal of codec/mesh_msg.h, for CLOSE */
    const char *text; /* literal */
};

struct sup_replica_actions {
    struct sup_replica_action *a; /* valid until the next step, as all below */
    size_t n;
    struct sup_replica_range ranges[SUP_REPLICA_RANGES_MAX]; /* of FILL */
    size_t n_ranges;
    struct sup_vv trim;   /* of TRIM */
    struct sup_vv retire; /* of RETIRE */
    bool starved;         /* MAY_SEND: nothing can be sent before the peer's next PULL or ACK */
};

#endif
