#include "http_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 256
#define HEAD_MAX        65536

struct connection {
    struct http_peer *peer;
    pthread_t thread;
    int fd;
    int number;
};

struct http_peer {
    void (*handle)(void *arg, const struct peer_request *req, struct peer_reply *reply);
    void *arg;
    pthread_mutex_t mutex;
    int listen_fd;
    char url[64];
    pthread_t thread;
    atomic_bool stop;
    atomic_int n_requests;
    atomic_int n_connections;
    struct connection connections[CONNECTIONS_MAX];
};

static void die(const char *what)
{
    fprintf(stderr, "http_peer: %s: %s\n", what, strerror(errno));
    exit(99);
}

/* False when the peer stops or the time is over. */
static bool wait_readable(struct http_peer *p, int fd, int ms)
{
    for (int waited = 0; !atomic_load(&p->stop) && (ms < 0 || waited < ms); waited += 20) {
        struct pollfd f = {.fd = fd, .events = POLLIN};
        if (poll(&f, fd >= 0 ? 1 : 0, 20) > 0)
            return true;
    }
    return false;
}

static bool send_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        p += sent;
        n -= (size_t)sent;
    }
    return true;
}

char *peer_header(const struct peer_request *req, const char *name, char *out, size_t size)
{
    size_t n = strlen(name);
    out[0] = '\0';
    for (const char *line = req->headers; *line != '\0';) {
        size_t len = strcspn(line, "\r\n");
        if (len > n && line[n] == ':' && strncasecmp(line, name, n) == 0) {
            const char *v = line + n + 1;
            while (*v == ' ')
                v++;
            snprintf(out, size, "%.*s", (int)(line + len - v), v);
            return out;
        }
        line += len;
        line += strspn(line, "\r\n");
    }
    return out;
}

void peer_body(struct peer_reply *reply, const char *text)
{
    reply->body = strdup(text);
    reply->body_n = strlen(text);
}

/* Reads one request; buf is malloc'd, holding head and body. False at the end of the connection. */
static bool read_request(struct connection *c, char **buf, struct peer_request *req)
{
    size_t cap = HEAD_MAX, n = 0;
    char *b = malloc(cap + 1);
    char *head_end = NULL;
    while (b != NULL && head_end == NULL && n < HEAD_MAX) {
        if (!wait_readable(c->peer, c->fd, -1))
            break;
        ssize_t got = recv(c->fd, b + n, cap - n, 0);
        if (got <= 0)
            break;
        n += (size_t)got;
        b[n] = '\0';
        head_end = strstr(b, "\r\n\r\n");
    }
    *buf = b;
    if (head_end == NULL)
        return false;
    size_t head_n = (size_t)(head_end + 4 - b);
    head_end[2] = '\0';
    char *line_end = strstr(b, "\r\n");
    req->headers = line_end != NULL ? line_end + 2 : "";
    char value[32];
    size_t want = strtoul(peer_header(req, "content-length", value, sizeof value), NULL, 10);
    if (head_n + want > cap) {
        size_t headers_at = (size_t)(req->headers - b);
        b = realloc(b, head_n + want + 1);
        *buf = b;
        req->headers = b + headers_at;
        cap = head_n + want;
    }
    while (n < head_n + want) {
        if (!wait_readable(c->peer, c->fd, -1))
            return false;
        ssize_t got = recv(c->fd, b + n, cap - n, 0);
        if (got <= 0)
            return false;
        n += (size_t)got;
    }
    b[head_n + want] = '\0';
    req->body = b + head_n;
    req->body_n = want;
    char *space = strchr(b, ' ');
    if (space == NULL)
        return false;
    *space = '\0';
    req->method = b;
    req->target = space + 1;
    b[strlen(b) + 1 + strcspn(space + 1, " \r\n")] = '\0';
    return true;
}

/* Returns whether the connection goes on. */
static bool answer(struct connection *c, const struct peer_reply *r)
{
    char head[8192];
    int status = r->status != 0 ? r->status : 200;
    if (r->delay_ms > 0)
        wait_readable(c->peer, -1, r->delay_ms);
    if (r->fault == PEER_HANG)
        wait_readable(c->peer, -1, -1);
    if (r->fault == PEER_RESET || r->fault == PEER_HANG) {
        struct linger l = {.l_onoff = 1, .l_linger = 0};
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
        return false;
    }
    if (r->fault == PEER_GARBAGE) {
        send_all(c->fd, "\x16\x03\x01 what?\r\n\r\n", 14);
        return false;
    }
    int n = snprintf(head, sizeof head, "HTTP/1.1 %d X\r\n%scontent-length: %zu\r\n\r\n", status,
                     r->headers != NULL ? r->headers : "", r->body_n);
    if (!send_all(c->fd, head, (size_t)n))
        return false;
    size_t body_n = r->fault == PEER_TRUNCATE ? r->body_n / 2 : r->body_n;
    return send_all(c->fd, r->body, body_n) && r->fault == PEER_OK;
}

static void *serve(void *arg)
{
    struct connection *c = arg;
    bool more = true;
    while (more) {
        char *buf = NULL;
        struct peer_request req = {.connection = c->number};
        struct peer_reply reply = {0};
        more = read_request(c, &buf, &req);
        if (more) {
            req.number = atomic_fetch_add(&c->peer->n_requests, 1) + 1;
            peer_lock(c->peer);
            c->peer->handle(c->peer->arg, &req, &reply);
            peer_unlock(c->peer);
            more = answer(c, &reply);
        }
        free(reply.body);
        free(buf);
    }
    close(c->fd);
    return NULL;
}

static void *accept_loop(void *arg)
{
    struct http_peer *p = arg;
    while (wait_readable(p, p->listen_fd, -1)) {
        int fd = accept(p->listen_fd, NULL, NULL);
        int i = atomic_load(&p->n_connections);
        if (fd < 0 || i == CONNECTIONS_MAX)
            continue;
        /* Head and body are two writes; without this the second waits for a delayed ACK. */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        struct connection *c = &p->connections[i];
        *c = (struct connection){.peer = p, .fd = fd, .number = i + 1};
        if (pthread_create(&c->thread, NULL, serve, c) != 0)
            die("thread");
        atomic_fetch_add(&p->n_connections, 1);
    }
    return NULL;
}

struct http_peer *peer_start(void (*handle)(void *arg, const struct peer_request *req,
                                            struct peer_reply *reply),
                             void *arg)
{
    struct http_peer *p = calloc(1, sizeof *p);
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t n = sizeof a;
    if (p == NULL)
        die("memory");
    p->handle = handle;
    p->arg = arg;
    pthread_mutex_init(&p->mutex, NULL);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    p->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->listen_fd < 0 || bind(p->listen_fd, (struct sockaddr *)&a, sizeof a) != 0 ||
        listen(p->listen_fd, 64) != 0 || getsockname(p->listen_fd, (struct sockaddr *)&a, &n) != 0)
        die("listen");
    snprintf(p->url, sizeof p->url, "http://127.0.0.1:%d", ntohs(a.sin_port));
    if (pthread_create(&p->thread, NULL, accept_loop, p) != 0)
        die("thread");
    return p;
}

void peer_stop(struct http_peer *p)
{
    atomic_store(&p->stop, true);
    pthread_join(p->thread, NULL);
    for (int i = 0; i < atomic_load(&p->n_connections); i++)
        pthread_join(p->connections[i].thread, NULL);
    close(p->listen_fd);
    pthread_mutex_destroy(&p->mutex);
    free(p);
}

void peer_lock(struct http_peer *p)
{
    pthread_mutex_lock(&p->mutex);
}

void peer_unlock(struct http_peer *p)
{
    pthread_mutex_unlock(&p->mutex);
}

const char *peer_url(const struct http_peer *p)
{
    return p->url;
}

int peer_connections(struct http_peer *p)
{
    return atomic_load(&p->n_connections);
}

int peer_requests(struct http_peer *p)
{
    return atomic_load(&p->n_requests);
}
