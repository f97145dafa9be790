#ifndef SUP_SERVICE_SNAPSHOT_H
#define SUP_SERVICE_SNAPSHOT_H

#include "codec/mesh_msg.h"
#include "service/apply.h"

#include <stdatomic.h>

/* Gives a snapshot of the records to a peer that joins, on a session that was accepted: the owner
 * hands messages in and calls step between its other work, as with service/repair.h. */

struct sup_snapshot_serve;

/* Views of the store held at a time, for all peers: one gate for a process. A view keeps what was
 * overwritten since from being compacted away, so it is held for ten minutes at most. */
#define SUP_SNAPSHOTS_SERVED_MAX 2
struct sup_snapshot_gate {
    atomic_int held;
};

struct sup_snapshot_env {
    struct sup_apply *apply; /* with a keeper */
    struct sup_store *store;
    /* Has this node itself something to give? Any thread. */
    bool (*ready)(void *arg);
    /* Sends on the session, as sup_session_send without a time limit of its own. */
    int (*send)(void *arg, const struct sup_mesh_msg *msg);
    void *arg;
    int64_t hold_ms;          /* 0 = ten minutes */
    size_t chunk;             /* records in a message, at most; 0 = as many as may be */
    int64_t (*mono_ns)(void); /* NULL: the system's */
};

struct sup_snapshot_serve *sup_snapshot_serve_new(const struct sup_snapshot_env *env,
                                                  struct sup_snapshot_gate *gate);
void sup_snapshot_serve_free(struct sup_snapshot_serve *s); /* NULL is fine */
/* SNAPSHOT_ASK or SNAPSHOT_ACK; copied. From another thread than step's. SUP_OK; SUP_EINPUT: breaks
 * the protocol. */
int sup_snapshot_serve_message(struct sup_snapshot_serve *s, const struct sup_mesh_msg *msg);
/* Sends at most one message. *wait_ms: when to call again, if no message comes before; negative:
 * there is nothing to do until then. Gives back what the session's send returned, or another
 * failure: end the session. */
int sup_snapshot_serve_step(struct sup_snapshot_serve *s, int64_t *wait_ms);

#endif
