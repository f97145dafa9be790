#ifndef SUP_TEST_REPLICA_NODE_H
#define SUP_TEST_REPLICA_NODE_H

#include "service/apply.h"
#include "service/replicate.h"
#include "service/sketch_keeper.h"
#include "store/store.h"

#include <stdbool.h>

/* Whole nodes in one process, of a store in memory up to the replicator, over plain TCP. Failures
 * fail the test. */

#define REPLICA_NODE_PEERS    2
#define REPLICA_NODE_DRIFT_MS 60000

struct replica_node {
    const char *name;
    struct sup_hash_key hash;
    struct sup_store *store;
    struct sup_sketch_keeper *keeper;
    struct sup_apply *apply;
    char url[64];
    struct sup_peer_options peers[REPLICA_NODE_PEERS];
    struct sup_options options; /* what a test sets before it replicates stays */
    struct sup_replicator *replicator;
};

/* Everything but the replicator. The keeper keeps so many symbols. name is borrowed. */
void replica_node_open(struct replica_node *n, const char *name, size_t symbols);
void replica_node_close(struct replica_node *n);

/* Chooses the port on which it will listen. */
void replica_node_address(struct replica_node *n);
/* Starts the replicator; the peers have their addresses. */
void replica_node_replicate(struct replica_node *n, const struct replica_node *const *peers,
                            size_t n_peers);
/* Both of it, for two nodes. */
void replica_node_connect(struct replica_node *a, struct replica_node *b);

bool replica_node_equal_roots(const struct replica_node *a, const struct replica_node *b);

#endif
