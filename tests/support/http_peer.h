#ifndef SUP_TESTS_HTTP_PEER_H
#define SUP_TESTS_HTTP_PEER_H

#include <stdbool.h>
#include <stddef.h>

/* A small HTTP/1.1 server on loopback that can misbehave. A thread a connection; the handler is
 * called with no lock held. */

struct peer_request {
    const char *method;
    const char *target;  /* path and query as they came */
    const char *headers; /* raw lines */
    const char *body;
    size_t body_n;
    int connection; /* counts from 1 */
    int number;     /* of the request, from 1 */
};

enum peer_fault {
    PEER_OK,
    PEER_RESET,    /* RST in place of a reply */
    PEER_TRUNCATE, /* half of the body, then the end */
    PEER_HANG,     /* no reply until the peer is stopped */
    PEER_GARBAGE,  /* bytes that are not HTTP */
    PEER_CLOSE     /* a reply, then the end without saying so before */
};

struct peer_reply {
    int status;          /* 0: 200 */
    const char *headers; /* "name: value\r\n" lines that outlive the reply; may be NULL */
    char *body;          /* malloc'd, freed by the peer; NULL: empty */
    size_t body_n;
    int delay_ms;
    enum peer_fault fault;
};

struct http_peer;
/* Fails the test when it cannot listen. */
struct http_peer *peer_start(void (*handle)(void *arg, const struct peer_request *req,
                                            struct peer_reply *reply),
                             void *arg);
void peer_stop(struct http_peer *p);
void peer_lock(struct http_peer *p);
void peer_unlock(struct http_peer *p);
const char *peer_url(const struct http_peer *p); /* http://127.0.0.1:PORT */
int peer_connections(struct http_peer *p);
int peer_requests(struct http_peer *p);
/* Value of a request header into out ("" when absent); name in any case. Returns out. */
char *peer_header(const struct peer_request *req, const char *name, char *out, size_t size);
/* Sets the body to a copy of text. */
void peer_body(struct peer_reply *reply, const char *text);

#endif
