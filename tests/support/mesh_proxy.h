#ifndef MESH_PROXY_H
#define MESH_PROXY_H

#include "codec/mesh_msg.h"

/* Stands between a node that dials and one that listens, over plain TCP, and changes what one of
 * them says: so that a node of this program is to the other one of another version. Failures fail
 * the test. */

struct mesh_proxy;

/* A frame whose message this program knows; listening: it comes from the listening end. On the
 * proxy's threads. */
struct mesh_proxy_edit {
    void (*message)(void *arg, bool listening, struct sup_mesh_msg *msg);
    /* Appended behind each HELLO's frame of that end; may be NULL. */
    void (*behind_hello)(void *arg, bool listening, struct sup_buf *frames);
    void *arg;
};

/* Listens on a port of its own; target: "tcp://127.0.0.1:PORT", dialled for each connection. */
struct mesh_proxy *mesh_proxy_start(const char *target, const struct mesh_proxy_edit *edit);
const char *mesh_proxy_url(const struct mesh_proxy *p);
void mesh_proxy_stop(struct mesh_proxy *p); /* ends all connections, waits, frees */

#endif
