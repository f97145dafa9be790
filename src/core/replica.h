#ifndef SUP_CORE_REPLICA_H
#define SUP_CORE_REPLICA_H

#include "base/err.h"
#include "core/replica_step.h"

/* Replication as one pure step: an event, what is durable here and the time come in, actions come
 * out. No I/O, no threads, no clock: whoever owns a replica (service/replicate.c, or the simulation
 * of whole clusters in virtual time) carries the actions out.
 *
 * Each pair of nodes has two sessions, one dialled by each. On the session that it dialled a node
 * pulls: it asks for all beyond its version vector, hands what comes to apply and acknowledges what
 * became durable. On the session that it accepted it serves from its log. */

/* Bytes of mutations under way to this node from one peer: more than a 200 ms path at 40 MB/s. */
#define SUP_REPLICA_CREDIT (8U << 20)
/* A message is sent when it holds so much: large enough for TLS records and zstd, small enough not
 * to delay the first mutation of a burst. */
#define SUP_REPLICA_MESSAGE_BYTES (128U << 10)
/* A peer that says that it has what we lack, and for so long sends nothing of it, is stuck. */
#define SUP_REPLICA_STALL_MS 30000
/* The same, while nothing at all of an incarnation has come: its log may begin behind what we need.
 */
#define SUP_REPLICA_REACH_MS 8000
/* What a peer's log does not reach back to, another one's may: that one gets so long. */
#define SUP_REPLICA_OTHER_MS 5000
/* Before a peer that still says so after a repair is repaired from again. */
#define SUP_REPLICA_AGAIN_MS 10000
/* What other nodes decided is passed on when it is so old, and at most twice that, and the peer
 * still lacks it: as a rule it has it from its origin by then, and a mesh in which everybody passes
 * everything on at once would carry each mutation as often as there are pairs. */
#define SUP_REPLICA_RELAY_MS 2000

/* An incarnation that is nobody's any more is forgotten when all have had it for so long: core/
 * replica_trim.c. */
#define SUP_REPLICA_RETIRE_MS 600000

struct sup_replica;

struct sup_replica_options {
    size_t n_peers;
    uint64_t seed;          /* of the redial jitter */
    int64_t trim_every_ms;  /* 0 = 60 s */
    int64_t retire_ms;      /* 0 = SUP_REPLICA_RETIRE_MS */
    uint64_t credit;        /* bytes granted to each server; 0 = SUP_REPLICA_CREDIT */
    uint64_t message;       /* bytes in a message, about; 0 = SUP_REPLICA_MESSAGE_BYTES */
    uint64_t log_max;       /* mutations kept for absent peers; 0 = any number */
    uint64_t log_max_bytes; /* likewise, of sup_replica_self.log_bytes */
};

int sup_replica_new(const struct sup_replica_options *opts, struct sup_replica **out,
                    struct sup_err *err);
void sup_replica_free(struct sup_replica *r);

/* Of an incarnation's log behind floor, the last entry of the older half. */
uint64_t sup_replica_older_half(uint64_t floor, uint64_t last);

/* What a peer was known to have when this process started. */
void sup_replica_load(struct sup_replica *r, size_t peer, const struct sup_vv *has);
/* Likewise, its present incarnation. As long as it is not known of one (0), none retires. */
void sup_replica_load_incarnation(struct sup_replica *r, size_t peer, uint64_t incarnation);

/* --- members --- A peer keeps its index for the life of the replica. None of these while the
 * actions of a step are in use. */

/* One more peer, with the next index. It may have more of our incarnation than we do, so whoever
 * settled that must ask anew: the owner takes the settling back (service/apply.h). SUP_ENOMEM. */
int sup_replica_add(struct sup_replica *r, struct sup_err *err);
/* A retired peer is nobody: it holds back no trimming and no settling, its events do nothing. One
 * that comes back is as one that was added. */
void sup_replica_retire(struct sup_replica *r, size_t peer, bool retired);
void sup_replica_set_log_max_bytes(struct sup_replica *r, uint64_t bytes);

/* One thread at a time. self and what the event points to are looked at during the call only. The
 * result belongs to r. */
struct sup_replica_actions *sup_replica_step(struct sup_replica *r, int64_t now_ms,
                                             const struct sup_replica_self *self,
                                             const struct sup_replica_event *e);

struct sup_replica_peer_view {
    const struct sup_vv *has; /* what the peer last said that it has */
    uint64_t unacknowledged;  /* bytes received on the dialled session and not yet durable */
    uint64_t quarantined, stalls, gaps;
    bool needs_repair; /* the log does not reach back to what the peer has */
    bool confirmed;    /* had no more of our incarnation than we did */
    bool retired;
};
void sup_replica_peer(const struct sup_replica *r, size_t peer, struct sup_replica_peer_view *out);

#endif
