#ifndef SUP_MESH_SERVER_H
#define SUP_MESH_SERVER_H

#include "mesh/session.h"

/* The listening side: accepts, lets each peer say HELLO on a thread of its own, hands sessions
 * over. */

struct sup_mesh_server;

struct sup_mesh_server_opts {
    const char *url;
    const struct sup_mesh_tls *tls; /* NULL only for tcp:// */
    const struct sup_session_local *local;
    struct sup_heart *heart;
    /* Runs the session on its own thread until it is over; the server frees it afterwards. At most
     * one session a peer is kept: an older one from the same node is closed when a new one comes.
     */
    void (*serve)(void *arg, struct sup_session *s);
    void *arg;
    unsigned greeting_max; /* connections that have not said HELLO; the oldest is closed for a new
                              one. 0 = 64 */
};

/* Listens. Everything in opts must outlive the server. */
int sup_mesh_server_start(const struct sup_mesh_server_opts *opts, struct sup_mesh_server **out,
                          struct sup_err *err);
int sup_mesh_server_port(const struct sup_mesh_server *s);
/* Does not block: stops accepting and closes every session and connection. */
void sup_mesh_server_close(struct sup_mesh_server *s);
/* Closes and waits until every serve has returned. */
void sup_mesh_server_stop(struct sup_mesh_server *s);
void sup_mesh_server_free(struct sup_mesh_server *s); /* stopped; NULL is fine */

#endif
