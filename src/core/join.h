#ifndef SUP_CORE_JOIN_H
#define SUP_CORE_JOIN_H

#include "base/err.h"
#include "codec/hash.h"
#include "codec/join_state.h"

/* Joining: how a node that has nothing comes to have what the others have, and until when it does
 * not know whether an address is suppressed. Two pure machines; times are milliseconds on the
 * monotonic clock.
 *
 *   new ──► copy ──► log ──► check ──► ready
 *    │       └────► alone    as all peers are there, and nobody has the set any more
 *    └────► ready            as nobody has anything: the cluster is new
 *    └────► alone            as nobody was met who has anything; back to copy when somebody is
 *
 * A copy that is whole is good for answers when there is nobody to go on from, as any node's set is
 * that cannot reach the others. One that is not waits for a donor while a peer is absent that may
 * be one.
 *
 * The copy may come in parts, from several streams of several donors, each with the version vector
 * that its snapshot covers. What the whole covers is the entry-wise minimum of these: a mutation
 * below all of them is in the part in which its record lies. */

#define SUP_JOIN_PEERS_MAX 64

/* All peers that were met are new too, others were not met: give them a moment to start. */
#define SUP_JOIN_NEW_MS 5000
/* A second node to compare with is waited for, and compared with, for so long. */
#define SUP_JOIN_SECOND_MS 5000
#define SUP_JOIN_CHECK_MS  60000
/* A donor that sends nothing for so long is given up. */
#define SUP_JOIN_SILENT_MS 30000
/* Before a donor is asked again: that was busy; that was lost or silent; that broke the protocol.
 */
#define SUP_JOIN_BUSY_MS   1000
#define SUP_JOIN_LOST_MS   500
#define SUP_JOIN_BROKEN_MS 60000

struct sup_join_peer { /* what is known of a peer */
    bool member;       /* false: decommissioned, or no peer at all */
    bool connected;    /* on the session that we dialled */
    enum sup_standing standing;
    bool snapshots; /* can be asked for one */
    bool repairs;   /* can be compared with */
    bool has_data;
    bool covered; /* we have all that it said that it has */
};

enum sup_join_order {
    SUP_JOIN_WAIT,
    SUP_JOIN_ASK,    /* for a snapshot, from where the copy ends */
    SUP_JOIN_ADOPT,  /* repair, and take its version vector over: it cannot give snapshots */
    SUP_JOIN_COMPARE /* repair */
};

struct sup_join {
    enum sup_join_phase phase;
    struct sup_join_peer peers[SUP_JOIN_PEERS_MAX];
    int64_t not_before[SUP_JOIN_PEERS_MAX];
    bool met[SUP_JOIN_PEERS_MAX]; /* since the start */
    size_t n;
    size_t with;      /* the peer that an order was given for */
    size_t donor;     /* the last one */
    bool busy;        /* the order is being carried out */
    int64_t alone_ms; /* nobody was met who knows more: then the node answers from what it has */
    int64_t phase_ms;
    int64_t hope_ms;  /* when there was last somebody, or may have been, to get the rest from */
    int64_t heard_ms; /* of the donor */
};

void sup_join_init(struct sup_join *j, enum sup_join_phase phase, int64_t alone_ms, int64_t now_ms);
/* A peer's present state. Ends what was done with one that is not connected any more. */
void sup_join_see(struct sup_join *j, int64_t now_ms, size_t peer, const struct sup_join_peer *p);
/* Moves on. True: the phase changed. n: known peers. */
bool sup_join_move(struct sup_join *j, int64_t now_ms, size_t n);
/* What is to be done with this peer now; given once. */
enum sup_join_order sup_join_next(struct sup_join *j, int64_t now_ms, size_t peer);
/* Events of an order. */
void sup_join_heard(struct sup_join *j, int64_t now_ms); /* the donor goes on */
bool sup_join_silent(const struct sup_join *j, int64_t now_ms, size_t peer);
void sup_join_copied(struct sup_join *j, int64_t now_ms); /* the whole of it is durable */
/* ASK or ADOPT ended before; wait_ms: before that donor is asked again. */
void sup_join_failed(struct sup_join *j, int64_t now_ms, size_t peer, int64_t wait_ms);
/* COMPARE ended. */
void sup_join_compared(struct sup_join *j, int64_t now_ms, size_t peer, int code);

enum sup_standing sup_join_standing(enum sup_join_phase phase);
/* Does the node pull from the others' logs? Not while it is about to get all of it otherwise. */
bool sup_join_pulls(enum sup_join_phase phase);
/* From that one? One that knows as little has nothing but what it, or another such, decided just
 * now: that need not wait until it is clear who else is there. */
bool sup_join_pulls_from(enum sup_join_phase phase, enum sup_standing standing, bool has_data);
/* May it say that an address is not suppressed? */
bool sup_join_answers(enum sup_join_phase phase);

/* --- one stream of the copy --- */

struct sup_join_stream {
    uint32_t id;
    bool begun, records_begun;
    uint64_t set;
    uint64_t records, quarantined;
    struct sup_vv vv;
};

void sup_join_stream_begin(struct sup_join_stream *s, uint32_t id);
/* Checks a chunk and moves state to what holds when all of it is durable; last: to SUP_JOIN_LOG.
 * SUP_EINPUT: it breaks the protocol (order, sizes, no version vector); state may be half moved
 * then. Chunks of another stream, and with a state other than GOES_ON, are the caller's. */
int sup_join_stream_chunk(struct sup_join_stream *s, const struct sup_snapshot_chunk *c,
                          const struct sup_hash_key *hash, struct sup_join_state *state,
                          struct sup_err *err);

#endif
