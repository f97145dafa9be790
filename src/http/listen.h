#ifndef SUP_HTTP_LISTEN_H
#define SUP_HTTP_LISTEN_H

#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

/* A listening Unix socket and the file that it stands behind. */
struct sup_unix_listener {
    int fd; /* -1 = none */
    dev_t dev;
    ino_t ino;
};

/* Listens at path with mode 0660, making its directory if only the last part is missing. A stale
 * socket file is replaced. SUP_EEXIST: a live process answers there, or the file is no socket. */
int sup_unix_listen(const char *path, struct sup_unix_listener *out, struct sup_err *err);
/* Removes the file if it is still ours. Does not close fd: the server that listens on it does. */
void sup_unix_remove(const char *path, const struct sup_unix_listener *l);

/* Listens at "ADDRESS:PORT", numeric or localhost; port 0 takes a free one. *fd is the caller's.
 * *loopback says whether only this machine can reach it. */
int sup_tcp_listen(const char *where, int *fd, unsigned *port, bool *loopback, struct sup_err *err);

#endif
