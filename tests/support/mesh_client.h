#ifndef SUP_TEST_MESH_CLIENT_H
#define SUP_TEST_MESH_CLIENT_H

#include "mesh/session.h"

/* A dialling side for tests of the mesh alone (the product's is the replicator): one thread a peer
 * that dials, says HELLO, hands the session over and dials again when it ended, with full jitter
 * between 100 ms and 10 s. */

struct sup_mesh_client;

struct sup_mesh_client_opts {
    const char *url;
    const char *peer;               /* node name; the HELLO must say it */
    const char *server_name;        /* the certificate must hold it; NULL = peer */
    const struct sup_mesh_tls *tls; /* NULL only for tcp:// */
    const struct sup_session_local *local;
    struct sup_heart *heart;
    /* Runs the session on the client's thread until it is over; the client frees it afterwards. */
    void (*run)(void *arg, struct sup_session *s);
    void *arg;
};

/* Starts dialling. Everything in opts must outlive the client. Fails only on a wrong URL or for
 * lack of memory: a peer that is away is not an error. */
int sup_mesh_client_start(const struct sup_mesh_client_opts *opts, struct sup_mesh_client **out,
                          struct sup_err *err);

struct sup_mesh_client_status {
    bool connected;
    uint64_t sessions;                /* opened since the start */
    uint64_t refusals;                /* HELLOs that ended in a refusal, by either side */
    char last_error[160];             /* why the last attempt or session ended; "" = none yet */
    int64_t last_heard_ms;            /* wall time; negative = never */
    uint64_t bytes_in, bytes_out;     /* of all sessions */
    struct sup_session_stats session; /* of the present or last one */
};
void sup_mesh_client_status(struct sup_mesh_client *c, struct sup_mesh_client_status *out);

/* Begin again with short waits. For when the peer was heard of otherwise: it dialled us, so it is
 * back. Any thread; does not block. */
void sup_mesh_client_nudge(struct sup_mesh_client *c);

void sup_mesh_client_close(struct sup_mesh_client *c); /* does not block */
void sup_mesh_client_stop(struct sup_mesh_client *c);  /* closes and waits until run has returned */
void sup_mesh_client_free(struct sup_mesh_client *c);  /* stopped; NULL is fine */

#endif
