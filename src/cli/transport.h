#ifndef SUP_CLI_TRANSPORT_H
#define SUP_CLI_TRANSPORT_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

/* HTTP over the agent's Unix socket, with one connection kept alive. Not thread-safe. */
struct sup_transport;

/* The socket to use: path, else the environment's SUPSYNC_SOCKET, else the default. */
const char *sup_transport_socket(const char *path);

/* NULL when out of memory. path is copied. */
struct sup_transport *sup_transport_new(const char *path);
void sup_transport_free(struct sup_transport *t);
void sup_transport_set_timeout(struct sup_transport *t, long timeout_ms);

struct sup_call {
    const char *method;
    const char *target; /* path and query, encoded */
    const char *accept; /* NULL = any */
    const char *body;   /* NULL = none */
    const char *type;   /* of the body; NULL = application/json */
    size_t body_n;
    /* Called with each piece of a 200 answer, instead of collecting it; returns false to end. */
    bool (*piece)(void *arg, const char *p, size_t n);
    void *arg;
};

/* Other answers than 200, and all when there is no piece callback, are collected in out. Returns
 * SUP_OK with the HTTP status whenever there was a complete answer; SUP_EIO: nobody there, or the
 * answer was cut off; SUP_ETIMEDOUT; SUP_ELIMIT: larger than out's maximum. A call with a piece
 * callback may take any time as long as something moves. */
int sup_transport_call(struct sup_transport *t, const struct sup_call *call, struct sup_buf *out,
                       long *status, struct sup_err *err);

/* Appends s percent-encoded, safe in a path segment and in a query value. */
void sup_percent_encode(struct sup_buf *out, const char *s);

#endif
