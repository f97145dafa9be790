#ifndef SUP_CORE_JOINING_H
#define SUP_CORE_JOINING_H

#include "core/join.h"

/* Joining as one pure step: an event and the time come in, actions come out. It holds the machine
 * of core/join.h and what is known of the copy: what of it is durable, what is under way, from
 * whom. No I/O, no threads, no clock: whoever owns it (service/join.c, or the simulation of whole
 * clusters in virtual time) carries the actions out. */

/* Bytes of a snapshot under way to this node: what its commits take a few hundred milliseconds for.
 */
#define SUP_JOINING_WINDOW (8U << 20)

/* A chunk on its way into the store. It is written only where the copy ends as it did when the
 * chunk came: behind one whose commit failed it would leave a hole. */
struct sup_joining_part {
    uint32_t stream;
    size_t donor;
    uint64_t credit; /* to be given back when it is durable */
    size_t size;
    uint8_t before[SUP_SNAPSHOT_KEY_MAX]; /* where the copy must end … */
    size_t before_n;
    uint64_t before_bytes; /* … and how much of it must be here: of a chunk without records the
                              key does not tell */
    struct sup_join_state state; /* what holds, and is stored, with it */
};

struct sup_joining {
    struct sup_join machine;
    enum sup_join_phase said; /* the phase for everybody else: ready only when that is stored */
    bool storing;             /* a STORE has not come back */
    struct sup_join_state durable; /* as stored */
    struct sup_join_state running; /* as it will be when all that came is durable */
    struct sup_join_stream stream;
    size_t donor; /* of the stream; SIZE_MAX: nothing more is taken of it */
    uint64_t window;
    size_t in_flight; /* parts that have not come back */
    size_t bytes;     /* in them */
};

struct sup_joining_options {
    int64_t alone_ms;
    uint32_t stream; /* the streams' numbers begin behind it: any that was not used lately */
    uint64_t window; /* 0 = SUP_JOINING_WINDOW */
};

/* phase: the stored one. durable: of a join under way, NULL when there is none. */
void sup_joining_init(struct sup_joining *j, enum sup_join_phase phase,
                      const struct sup_join_state *durable, const struct sup_joining_options *o,
                      int64_t now_ms);

enum sup_joining_event_type {
    SUP_JOINING_TICK,     /* n: known peers */
    SUP_JOINING_MEMBER,   /* n: whether the peer is a member */
    SUP_JOINING_SEEN,     /* the session that we dialled stands; view, name */
    SUP_JOINING_LOST,     /* it ended */
    SUP_JOINING_CHUNK,    /* came on it; msg; part is filled in */
    SUP_JOINING_APPLIED,  /* the commit of a SUBMIT is durable, or failed; part, code */
    SUP_JOINING_REPAIRED, /* a repair with the peer ended; code */
    SUP_JOINING_STORED    /* phase is stored, or could not be; code */
};

struct sup_joining_event {
    enum sup_joining_event_type type;
    size_t peer;
    size_t n;
    const struct sup_join_peer *view;
    const char *name;
    const struct sup_snapshot_msg *msg;
    const struct sup_hash_key *hash; /* of CHUNK */
    struct sup_joining_part *part;
    enum sup_join_phase phase;
    int code;
    struct sup_err *err; /* of CHUNK; may be NULL */
};

/* All of one step; messages go to the peer on the session that we dialled. */
struct sup_joining_actions {
    bool ask;     /* SNAPSHOT_ASK to the event's peer: id, after, credit */
    bool ack;     /* SNAPSHOT_ACK to the part's donor, whose stream it still is: id, credit */
    bool cancel;  /* likewise, without credit: to the event's peer */
    bool adopt;   /* repair from the event's peer and take its vector over; REPAIRED */
    bool compare; /* repair from it; REPAIRED */
    bool submit;  /* the part to apply, with its chunk; APPLIED */
    bool store;   /* phase; STORED. Not of APPLIED and STORED themselves */
    bool moved;   /* the machine's phase is another one */
    int code;     /* of CHUNK: the peer broke the protocol */
    enum sup_join_phase phase;
    uint32_t id;
    struct sup_slice after; /* in j; until the next CHUNK or ask */
    uint64_t credit;
    enum sup_snapshot_state refused; /* of CHUNK: why the peer gives none */
};

/* One thread at a time. What the event points to is looked at during the call only. */
void sup_joining_step(struct sup_joining *j, int64_t now_ms, const struct sup_joining_event *e,
                      struct sup_joining_actions *out);

#endif
