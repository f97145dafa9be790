#ifndef SUP_TEST_MESH_RIG_H
#define SUP_TEST_MESH_RIG_H

#include "base/random.h"
#include "mesh/server.h"
#include "mesh_client.h"
#include "pki.h"

#include <stdatomic.h>
#include <stdbool.h>

/* Two ends of the mesh in one process. */

/* One node's view of itself; the defaults of rig_node accept each other. */
struct rig_node {
    struct sup_session_local local;
    char cluster[SUP_MESH_NAME_MAX + 1];
    char name[SUP_MESH_NAME_MAX + 1];
    char knows[SUP_MESH_NAME_MAX + 1]; /* the one peer that it accepts */
    uint64_t incarnation;
    atomic_uint_fast64_t seq; /* of its own incarnation, in its version vector */
};
void rig_node(struct rig_node *n, const char *name, const char *knows);

/* Loads NAME.pem and NAME.key with authority CA.pem from p; fails the test on error. */
struct sup_mesh_tls *rig_tls(const struct pki *p, const char *ca, const char *name);

/* A connected pair of links: b listened. tls NULL: plain TCP. */
void rig_links(const struct sup_mesh_tls *dialing, const struct sup_mesh_tls *listening,
               const char *server_name, struct sup_link **dialed, struct sup_link **accepted);
/* "tcp://127.0.0.1:PORT" or tls+tcp; static buffer a thread. */
const char *rig_url(bool tls, int port);

/* Waits until check(arg) holds; false when it did not within ms. */
bool rig_eventually(bool (*check)(void *arg), void *arg, int64_t ms);

/* A message of n mutations whose decisions have size bytes each, from incarnation, beginning with
 * seq. Memory is the rig's, one message a thread. */
const struct sup_mesh_msg *rig_mutations(uint64_t incarnation, uint64_t seq, size_t n, size_t size);

#endif
