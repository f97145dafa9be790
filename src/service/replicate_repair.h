#ifndef SUP_SERVICE_REPLICATE_REPAIR_H
#define SUP_SERVICE_REPLICATE_REPAIR_H

#include "core/repair_when.h"
#include "mesh/session.h"
#include "service/repair.h"

#include <pthread.h>

/* Repair on the sessions of one peer: decides when, counts, logs. For replicate*.c. */

/* Repairs from a peer that ended, and what came by them. */
struct sup_peer_repair_count {
    uint64_t ended;
    uint64_t decisions; /* that were applied */
    uint64_t bytes;     /* of symbols, sums, keys and decisions */
    int64_t last_ms;    /* wall time; SUP_NO_TIME = none yet */
};

struct sup_peer_repair {
    const char *peer; /* its name */
    struct sup_apply *apply;
    struct sup_store *store;
    struct sup_session *session; /* the dialled one */
    struct sup_repair_pull *pull;
    struct sup_repair_when when;
    struct sup_rng rng;
    int64_t began_ms;
    bool adopt, now, holds;
    uint64_t bytes;                      /* since last counted */
    struct sup_peer_repair_count *total; /* counted under mutex; outlives the sessions */
    pthread_mutex_t *mutex;
};

/* The repair of a session that stands, on its thread. Does nothing where the peer, or this node,
 * keeps no sketch. */
void sup_peer_repair_begin(struct sup_peer_repair *r, const char *peer, struct sup_apply *apply,
                           struct sup_store *store, struct sup_session *session);
/* Where repairs are counted, under mutex. After begin. */
void sup_peer_repair_count_in(struct sup_peer_repair *r, struct sup_peer_repair_count *total,
                              pthread_mutex_t *mutex);
/* Before the session is freed. */
void sup_peer_repair_end(struct sup_peer_repair *r);
static inline bool sup_peer_repair_is(enum sup_frame_type type)
{
    return type >= SUP_FRAME_REPAIR_ASK && type <= SUP_FRAME_REPAIR_RECORDS;
}
/* As sup_repair_pull_message. A message that nobody waits for is dropped. */
int sup_peer_repair_message(struct sup_peer_repair *r, const struct sup_mesh_msg *msg,
                            struct sup_mesh_mem **mem, struct sup_err *err);
/* Repairs at once, and takes the peer's version vector over. */
void sup_peer_repair_adopt(struct sup_peer_repair *r);
/* Repairs at once. */
void sup_peer_repair_now(struct sup_peer_repair *r);
/* Whether no repair is to begin but by the two above: the node gets what it lacks otherwise. */
void sup_peer_repair_hold(struct sup_peer_repair *r, bool holds);
/* Starts a repair if one is due, and does some of it. True: call again without waiting. *ended (may
 * be NULL) is set when a repair ended in this call, with its code. */
bool sup_peer_repair_step(struct sup_peer_repair *r, const struct sup_session_stats *stats,
                          bool *ended, int *code);

/* Root of a heartbeat, for sup_session_local. */
bool sup_peer_repair_root(struct sup_apply *apply, uint8_t root[SUP_REPAIR_ROOT_SIZE]);

#endif
