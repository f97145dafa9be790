#ifndef RAW_HTTP_H
#define RAW_HTTP_H

#include "base/buf.h"

#include <stdbool.h>

/* HTTP by hand over a socket: what a client may send that no library would. All reads have a
 * deadline, after which the test fails. */

struct raw_answer {
    int status; /* 0 = the connection ended without one */
    bool cut;   /* it ended in the middle */
    struct sup_buf head, body;
};

int raw_connect_unix(const char *path);
int raw_connect_tcp(unsigned port);
/* Sends all; a peer that closes in between is no failure. */
void raw_send(int fd, const void *p, size_t n);
void raw_send_str(int fd, const char *s);
/* Reads one answer (Content-Length, chunked, or until the end). Bytes behind it stay in *rest,
 * which is to be initialised and carried from call to call. */
void raw_read(int fd, struct sup_buf *rest, struct raw_answer *out);
void raw_answer_fini(struct raw_answer *a);
#endif
