#include "mesh_proxy.h"

#include "base/thread.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define WIRES_MAX 256 /* connections in a test */

struct wire {
    struct mesh_proxy *p;
    int dialed, listening; /* towards the ends */
    pthread_t thread[2];
};

struct mesh_proxy {
    struct mesh_proxy_edit edit;
    struct sockaddr_in target;
    char url[64];
    int fd;
    pthread_t thread;
    atomic_bool stop;
    struct wire wires[WIRES_MAX];
    size_t n;
};

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                .sin_port = htons((uint16_t)port)};
}

static bool write_all(int fd, const uint8_t *p, size_t n)
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

/* --- frames --- */

struct pump {
    struct wire *w;
    bool listening; /* from that end */
    struct sup_frame_decoder *decoder;
    struct sup_mesh_mem *in, *out;
    struct sup_mesh_msg msg;
    struct sup_buf body, frames;
};

static void pass(struct pump *u, const struct sup_frame *f)
{
    const struct mesh_proxy_edit *e = &u->w->p->edit;
    struct sup_slice body = f->body;

    if (sup_mesh_msg_decode(f->type, f->body, u->in, &u->msg, NULL) == SUP_OK) {
        e->message(e->arg, u->listening, &u->msg);
        sup_buf_reset(&u->body);
        if (sup_mesh_msg_encode(&u->msg, u->out, &u->body, NULL) == SUP_OK)
            body = sup_buf_slice(&u->body);
    }
    (void)sup_frame_encode(f->type, f->flags & SUP_FRAME_SKIPPABLE, body, &u->frames);
    if (f->type == SUP_FRAME_HELLO && e->behind_hello)
        e->behind_hello(e->arg, u->listening, &u->frames);
}

static bool pump_some(struct pump *u)
{
    static _Thread_local uint8_t bytes[65536];
    int from = u->listening ? u->w->listening : u->w->dialed;
    int to = u->listening ? u->w->dialed : u->w->listening;
    ssize_t n = recv(from, bytes, sizeof(bytes), 0);
    struct sup_slice in = {bytes, n > 0 ? (size_t)n : 0};
    struct sup_frame f;

    sup_buf_reset(&u->frames);
    while (n > 0 && sup_frame_decode(u->decoder, &in, &f, NULL) == SUP_OK)
        pass(u, &f);
    return n > 0 && write_all(to, u->frames.p, u->frames.n);
}

static void pump(struct wire *w, bool listening)
{
    struct pump *u = calloc(1, sizeof(*u));

    if (!u)
        abort();
    u->w = w;
    u->listening = listening;
    u->decoder = sup_frame_decoder_new(SUP_FRAME_BODY_MAX);
    u->in = sup_mesh_mem_new();
    u->out = sup_mesh_mem_new();
    sup_buf_init(&u->body, SUP_FRAME_BODY_MAX);
    sup_buf_init(&u->frames, 64U << 20);
    if (!u->decoder || !u->in || !u->out)
        abort();
    while (pump_some(u))
        ;
    (void)shutdown(w->dialed, SHUT_RDWR);
    (void)shutdown(w->listening, SHUT_RDWR);
    sup_frame_decoder_free(u->decoder);
    sup_mesh_mem_free(u->in);
    sup_mesh_mem_free(u->out);
    sup_buf_fini(&u->body);
    sup_buf_fini(&u->frames);
    free(u);
}

static void *pump_dialed(void *arg)
{
    pump(arg, false);
    return NULL;
}

static void *pump_listening(void *arg)
{
    pump(arg, true);
    return NULL;
}

/* --- connections --- */

static void connect_through(struct mesh_proxy *p, int dialed)
{
    struct wire *w = &p->wires[p->n];
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&p->target, sizeof(p->target)) != 0) {
        (void)close(dialed);
        (void)close(fd);
        return;
    }
    *w = (struct wire){.p = p, .dialed = dialed, .listening = fd};
    if (sup_thread_start(&w->thread[0], "proxy", pump_dialed, w) != SUP_OK ||
        sup_thread_start(&w->thread[1], "proxy", pump_listening, w) != SUP_OK)
        abort();
    p->n++;
}

static void *accept_main(void *arg)
{
    struct mesh_proxy *p = arg;

    while (!p->stop && p->n < WIRES_MAX) {
        int fd = accept(p->fd, NULL, NULL);
        if (fd >= 0 && !p->stop)
            connect_through(p, fd);
        else if (fd >= 0)
            (void)close(fd);
        else
            break;
    }
    return NULL;
}

struct mesh_proxy *mesh_proxy_start(const char *target, const struct mesh_proxy_edit *edit)
{
    struct mesh_proxy *p = calloc(1, sizeof(*p));
    struct sockaddr_in sa = loopback(0);
    socklen_t len = sizeof(sa);

    assert_non_null(p);
    p->edit = *edit;
    assert_non_null(strrchr(target, ':'));
    p->target = loopback((int)strtol(strrchr(target, ':') + 1, NULL, 10));
    p->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(p->fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(p->fd, 16), 0);
    assert_int_equal(getsockname(p->fd, (struct sockaddr *)&sa, &len), 0);
    (void)snprintf(p->url, sizeof(p->url), "tcp://127.0.0.1:%d", ntohs(sa.sin_port));
    assert_int_equal(sup_thread_start(&p->thread, "proxy", accept_main, p), SUP_OK);
    return p;
}

const char *mesh_proxy_url(const struct mesh_proxy *p)
{
    return p->url;
}

void mesh_proxy_stop(struct mesh_proxy *p)
{
    p->stop = true;
    (void)shutdown(p->fd, SHUT_RDWR); /* ends accept */
    (void)pthread_join(p->thread, NULL);
    (void)close(p->fd);
    for (size_t i = 0; i < p->n; i++) {
        struct wire *w = &p->wires[i];
        (void)shutdown(w->dialed, SHUT_RDWR);
        (void)shutdown(w->listening, SHUT_RDWR);
        (void)pthread_join(w->thread[0], NULL);
        (void)pthread_join(w->thread[1], NULL);
        (void)close(w->dialed);
        (void)close(w->listening);
    }
    free(p);
}
