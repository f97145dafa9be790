#ifndef SUP_SERVICE_JOIN_H
#define SUP_SERVICE_JOIN_H

#include "core/join.h"
#include "mesh/session.h"
#include "service/apply.h"

/* Joining, carried out: what core/join.h says. One for a node; the pull threads of its peers and
 * the ticker of the replicator call it. All that it has reached is stored in the batch that brought
 * it, so a join goes on after any end of the process.
 *
 * Any thread, unless it says otherwise. */

struct sup_joiner;

/* A store with data but no word on joining is one from before there was joining: ready. A fresh one
 * is marked as new. alone_ms: see core/join.h. */
int sup_joiner_open(struct sup_apply *apply, struct sup_store *store, int64_t alone_ms,
                    struct sup_joiner **out, struct sup_err *err);
void sup_joiner_free(struct sup_joiner *j); /* NULL is fine */

enum sup_join_phase sup_joiner_phase(const struct sup_joiner *j);

/* Whether a peer is one at all: not when it was decommissioned. */
void sup_joiner_member(struct sup_joiner *j, size_t peer, bool member);
/* n_peers: known ones. */
void sup_joiner_tick(struct sup_joiner *j, size_t n_peers);

/* --- by a peer's pull thread --- */

struct sup_joiner_peer {
    size_t index;
    const char *name;
    struct sup_session *session; /* the one that we dialled */
    struct sup_join_peer view;
};
/* How the peer is now. SUP_JOIN_ASK is carried out before the return; the others are the caller's.
 */
enum sup_join_order sup_joiner_see(struct sup_joiner *j, const struct sup_joiner_peer *p);
/* SNAPSHOT_CHUNK. Takes mem, in which it lives, over if *mem is NULL afterwards. Others than
 * SUP_OK: end the session, the peer broke the protocol (SUP_EINPUT) or there is no memory. */
int sup_joiner_chunk(struct sup_joiner *j, size_t peer, const struct sup_snapshot_msg *msg,
                     struct sup_mesh_mem **mem, struct sup_err *err);
/* A repair that SUP_JOIN_ADOPT or SUP_JOIN_COMPARE ordered, or any other with that peer, ended. */
void sup_joiner_repaired(struct sup_joiner *j, size_t peer, int code);
/* Its session ends: waits for what was handed to apply. Before the session is freed. */
void sup_joiner_lost(struct sup_joiner *j, size_t peer);

struct sup_join_progress {
    enum sup_join_phase phase;
    char donor[256]; /* "" while there is none */
    uint64_t records, set, bytes;
    int64_t began_ms; /* wall clock */
};
void sup_joiner_progress(struct sup_joiner *j, struct sup_join_progress *out);

#endif
