#ifndef SUP_SERVICE_REPLICATE_H
#define SUP_SERVICE_REPLICATE_H

#include "codec/mesh_summary.h"
#include "service/apply.h"
#include "service/join.h"
#include "service/options.h"
#include "service/service.h"

/* Replication: pull only. For each configured peer one thread dials, asks for what it lacks by
 * version vector and feeds it to apply; it acknowledges when the commit is durable. The listening
 * side serves the same to others from the log. Nobody can push into a node. */

struct sup_replicator;

struct sup_replicator_options {
    const struct sup_options *config;
    struct sup_apply *apply;
    struct sup_store *store;
    /* How this node's Region is, for peers that ask. False: it cannot tell yet. Any thread. NULL is
     * fine. */
    bool (*summary)(void *arg, struct sup_summary *out);
    void *arg;
};

/* Loads the TLS files, listens, starts to dial; after a restart waits, at most 1.5 s, until the
 * peers settled the incarnation (service/apply.h). SUP_EINPUT, SUP_EIO for files; SUP_EEXIST for
 * the address. */
int sup_replicator_start(const struct sup_replicator_options *opts, struct sup_replicator **out,
                         struct sup_err *err);
void sup_replicator_stop(struct sup_replicator *r); /* says BYE, waits */
void sup_replicator_free(struct sup_replicator *r);

/* Fills out->peers and adds problems. *level: every peer is reachable and has what we have, and we
 * what it has. Any thread. */
void sup_replicator_status(struct sup_replicator *r, struct sup_status *out, bool *level);

/* A member other than this node, for those who ask about Regions. */
struct sup_member_view {
    const char *name; /* lives as long as the replicator, as region does */
    const char *region;
    double age_s; /* since this node last knew all that the peer knew; negative: never did */
};
/* Fills in at most max of them; returns how many. Any thread. */
size_t sup_replicator_members(struct sup_replicator *r, struct sup_member_view *out, size_t max);

/* How many decisions repairs from peers brought since the start, those under way left out. Any
 * thread. */
uint64_t sup_replicator_repaired(struct sup_replicator *r);

/* As sup_service_reload, sup_service_reload_tls and sup_service_decommission (service/members.h).
 */
struct sup_member_ruling;
int sup_replicator_reload(struct sup_replicator *r, const struct sup_options *fresh,
                          struct sup_err *err);
int sup_replicator_reload_tls(struct sup_replicator *r, const struct sup_options *fresh,
                              struct sup_err *err);
int sup_replicator_rule(struct sup_replicator *r, const struct sup_member_ruling *m,
                        struct sup_err *err);
/* May this node say that an address is not suppressed? Not while it joins. Any thread, as below. */
bool sup_replicator_answers(struct sup_replicator *r);
void sup_replicator_join_progress(struct sup_replicator *r, struct sup_join_progress *out);

/* What a peer says of its Region. */
struct sup_peer_summary {
    const char *name;   /* lives as long as the replicator, as region does */
    const char *region; /* as its name says */
    bool connected;
    bool answered;    /* this time */
    int64_t heard_ms; /* when summary came, now or earlier; SUP_NO_TIME = never */
    struct sup_summary summary;
    char error[128]; /* why it is not connected; may be empty */
};
/* Asks all peers that are connected and waits for their answers, at most wait_ms. out: as many as
 * there are peers, at most max, in their order. Returns how many. Any thread. */
size_t sup_replicator_summaries(struct sup_replicator *r, int64_t wait_ms,
                                struct sup_peer_summary *out, size_t max);

/* The name of a node that this one ever met, or NULL. Lives as long as the replicator. */
const char *sup_replicator_node_name(struct sup_replicator *r, uint64_t node_id);

#endif
