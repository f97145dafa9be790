/* NNG's byte streams (1.5.2 in Debian 12) over TCP and TLS. With tls_engine.c, which stands below
 * them, the only file that knows NNG. Its sockets are not used: in that version a peer that dies
 * under load can stop every socket of the process.
 *
 * Rules that this version forces on us:
 * - A TLS stream that failed while no operation was posted forgets the error, and an operation
 *   posted on it, or on a closed one, may never end; but closing ends all that are posted. So the
 *   owner watches for silence and asks sup_stream_is_gone, and an operation that raced with a close
 *   closes once more. On a TCP stream that was closed an operation may never end either.
 * - NNG's timers follow the wall clock: none are used.
 * - An abort of a TLS operation may do nothing: giving up means closing.
 * - A dial may be called done while the connection is still being made: NNG adds the socket to
 * epoll before it calls connect(2), and the hang-up that epoll reports for such a socket can be
 * taken for the outcome. So the dial goes on until the socket has a peer.
 * - A TLS configuration without a server name checks the chain only. */

#include "base/clock.h"
#include "base/thread.h"
#include "mesh/handover.h"
#include "mesh/stream.h"

#include <arpa/inet.h>
#include <nng/nng.h>
#include <nng/supplemental/tls/tls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PEER_TEXT_MAX 64
/* While waiting for an operation to end after a close: how often the close is repeated. */
#define RECLOSE_MS 100
/* How long a dial that was called done too early may still take, and how often it is looked at:
 * NNG tells nothing more of it. A refusal then looks like a connection that is still being made,
 * so this is short. */
#define CONNECT_MS      1000
#define CONNECT_POLL_MS 5

int sup_stream_code(int status)
{
    switch (status) {
    case 0:
        return SUP_OK;
    case NNG_ECLOSED:
    case NNG_ECONNSHUT:
    case NNG_ECONNRESET:
    case NNG_ECONNABORTED:
    case NNG_ECANCELED:
        return SUP_ECLOSED;
    case NNG_ECRYPTO:
    case NNG_EPEERAUTH:
        return SUP_EAUTH;
    case NNG_EADDRINUSE:
        return SUP_EEXIST;
    case NNG_ETIMEDOUT:
        return SUP_ETIMEDOUT;
    case NNG_ENOMEM:
        return SUP_ENOMEM;
    case NNG_EINVAL:
    case NNG_ENOTSUP:
    case NNG_EPERM:
        return SUP_EINPUT;
    default:
        return SUP_EAGAIN;
    }
}

const char *sup_stream_text(int status)
{
    return status == NNG_ECRYPTO || status == NNG_EPEERAUTH
               ? "TLS: the peer's certificate or the handshake was not accepted"
               : nng_strerror(status);
}

/* All that happened before an operation was posted is seen by its completion, and all that a
 * completion did is seen after nng_aio_free. */
struct handover {
    atomic_uint posted;
    atomic_uint ended;
};

/* --- TLS --- */

static int tls_config(const struct sup_mesh_tls *tls, nng_tls_mode mode, const char *server_name,
                      nng_tls_config **out, struct sup_err *err)
{
    nng_tls_config *cfg;
    int rc = sup_tls_engine_install(err);

    if (rc != SUP_OK)
        return rc;
    sup_tls_engine_configure(tls);
    int rv = nng_tls_config_alloc(&cfg, mode);
    sup_tls_engine_configure(NULL);
    if (rv == 0 && mode == NNG_TLS_MODE_CLIENT) {
        rv = nng_tls_config_server_name(cfg, server_name);
        if (rv != 0)
            nng_tls_config_free(cfg);
    }
    if (rv != 0)
        return sup_err_set(err, sup_stream_code(rv), "TLS configuration: %s", nng_strerror(rv));
    *out = cfg;
    return SUP_OK;
}

/* --- an operation that a thread waits for: accept or dial --- */

struct op {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    nng_aio *aio;
    bool pending; /* posted, not ended */
    bool done;    /* ended, result not taken */
    bool closed;
    struct handover handover;
};

static void op_ended(void *arg)
{
    struct op *o = arg;

    sup_handover_see(&o->handover.posted);
    pthread_mutex_lock(&o->mutex);
    o->pending = false;
    o->done = true;
    pthread_cond_broadcast(&o->cond);
    pthread_mutex_unlock(&o->mutex);
    sup_handover_mark(&o->handover.ended);
}

static int op_init(struct op *o)
{
    memset(o, 0, sizeof(*o));
    pthread_mutex_init(&o->mutex, NULL);
    sup_cond_init(&o->cond);
    if (nng_aio_alloc(&o->aio, op_ended, o) != 0) {
        pthread_cond_destroy(&o->cond);
        pthread_mutex_destroy(&o->mutex);
        return SUP_ENOMEM;
    }
    nng_aio_set_timeout(o->aio, NNG_DURATION_INFINITE);
    return SUP_OK;
}

static void op_fini(struct op *o)
{
    nng_aio_free(o->aio);
    sup_handover_see(&o->handover.ended);
    pthread_cond_destroy(&o->cond);
    pthread_mutex_destroy(&o->mutex);
}

static void op_close(struct op *o)
{
    pthread_mutex_lock(&o->mutex);
    o->closed = true;
    pthread_cond_broadcast(&o->cond);
    pthread_mutex_unlock(&o->mutex);
}

static bool op_is_closed(struct op *o)
{
    pthread_mutex_lock(&o->mutex);
    bool closed = o->closed;
    pthread_mutex_unlock(&o->mutex);
    return closed;
}

/* Waits for the end, a close or the time. Returns SUP_OK when done. */
static int op_wait(struct op *o, int64_t timeout_ms)
{
    int64_t deadline = timeout_ms < 0 ? INT64_MAX : sup_mono_ms() + timeout_ms;
    int64_t left = 0;

    pthread_mutex_lock(&o->mutex);
    while (!o->done && !o->closed && (left = deadline - sup_mono_ms()) > 0)
        (void)sup_cond_wait_ms(&o->cond, &o->mutex, timeout_ms < 0 ? -1 : left);
    int rc = o->closed ? SUP_ECLOSED : o->done ? SUP_OK : SUP_ETIMEDOUT;
    pthread_mutex_unlock(&o->mutex);
    return rc;
}

/* Waits for the end of what was closed; true if it came within RECLOSE_MS. */
static bool op_settled(struct op *o)
{
    int64_t deadline = sup_mono_ms() + RECLOSE_MS;
    int64_t left = 0;

    pthread_mutex_lock(&o->mutex);
    while (o->pending && (left = deadline - sup_mono_ms()) > 0)
        (void)sup_cond_wait_ms(&o->cond, &o->mutex, left);
    bool settled = !o->pending;
    pthread_mutex_unlock(&o->mutex);
    return settled;
}

/* Marks the operation as posted if none is; true when the caller is to post it. */
static bool op_begin(struct op *o)
{
    pthread_mutex_lock(&o->mutex);
    bool begin = !o->pending && !o->done && !o->closed;
    if (begin)
        o->pending = true;
    pthread_mutex_unlock(&o->mutex);
    sup_handover_mark(&o->handover.posted);
    return begin;
}

/* Takes the result: 0 and the stream, or NNG's error. */
static int op_take(struct op *o, nng_stream **out)
{
    int rv = nng_aio_result(o->aio);

    *out = rv == 0 ? nng_aio_get_output(o->aio, 0) : NULL;
    pthread_mutex_lock(&o->mutex);
    o->done = false;
    pthread_mutex_unlock(&o->mutex);
    return rv;
}

/* A result that nobody wants. */
static void op_discard(struct op *o)
{
    nng_stream *s;

    if (o->done && op_take(o, &s) == 0)
        nng_stream_free(s);
}

/* --- streams --- */

struct sup_stream {
    nng_stream *nng;
    nng_aio *send;
    nng_aio *recv;
    struct sup_stream_events events;
    struct handover handover;
    atomic_bool closed;
    bool tls;
    char peer[PEER_TEXT_MAX];
};

static void peer_text(nng_stream *nng, char out[PEER_TEXT_MAX])
{
    nng_sockaddr sa;
    char host[INET6_ADDRSTRLEN] = "?";

    (void)snprintf(out, PEER_TEXT_MAX, "unknown");
    if (nng_stream_get_addr(nng, NNG_OPT_REMADDR, &sa) != 0)
        return;
    if (sa.s_family == NNG_AF_INET) {
        (void)inet_ntop(AF_INET, &sa.s_in.sa_addr, host, sizeof(host));
        (void)snprintf(out, PEER_TEXT_MAX, "%s:%u", host, ntohs(sa.s_in.sa_port));
    } else if (sa.s_family == NNG_AF_INET6) {
        (void)inet_ntop(AF_INET6, sa.s_in6.sa_addr, host, sizeof(host));
        (void)snprintf(out, PEER_TEXT_MAX, "[%s]:%u", host, ntohs(sa.s_in6.sa_port));
    }
}

/* Takes nng over; frees it on failure. */
static int stream_new(nng_stream *nng, bool tls, struct sup_stream **out, struct sup_err *err)
{
    struct sup_stream *s = calloc(1, sizeof(*s));

    if (!s) {
        nng_stream_free(nng);
        return sup_err_set(err, SUP_ENOMEM, "no memory for a stream");
    }
    s->nng = nng;
    s->tls = tls;
    atomic_init(&s->closed, false);
    peer_text(nng, s->peer);
    *out = s;
    return SUP_OK;
}

static void sent(void *arg)
{
    struct sup_stream *s = arg;

    sup_handover_see(&s->handover.posted);
    s->events.sent(s->events.arg, nng_aio_result(s->send), nng_aio_count(s->send));
    sup_handover_mark(&s->handover.ended);
}

static void received(void *arg)
{
    struct sup_stream *s = arg;

    sup_handover_see(&s->handover.posted);
    s->events.received(s->events.arg, nng_aio_result(s->recv), nng_aio_count(s->recv));
    sup_handover_mark(&s->handover.ended);
}

int sup_stream_start(struct sup_stream *s, const struct sup_stream_events *events)
{
    s->events = *events;
    if (nng_aio_alloc(&s->send, sent, s) != 0 || nng_aio_alloc(&s->recv, received, s) != 0)
        return SUP_ENOMEM;
    nng_aio_set_timeout(s->send, NNG_DURATION_INFINITE);
    nng_aio_set_timeout(s->recv, NNG_DURATION_INFINITE);
    return SUP_OK;
}

/* Either this sees the flag, and ends the operation it posted; or the flag was set after the
 * operation was posted, and so is the close that follows it. A TLS stream ends its operations at
 * every close; a TCP stream at the first one only, but there an abort works. */
static void end_if_closed(struct sup_stream *s, nng_aio *aio)
{
    if (!atomic_load(&s->closed))
        return;
    nng_stream_close(s->nng);
    nng_aio_abort(aio, NNG_ECLOSED);
}

void sup_stream_send(struct sup_stream *s, const void *p, size_t n)
{
    /* NNG does not write to what it sends. A TLS stream moves one iov a call. */
    nng_iov iov = {.iov_buf = (void *)(uintptr_t)p, .iov_len = n};

    (void)nng_aio_set_iov(s->send, 1, &iov);
    sup_handover_mark(&s->handover.posted);
    nng_stream_send(s->nng, s->send);
    end_if_closed(s, s->send);
}

void sup_stream_recv(struct sup_stream *s, void *p, size_t n)
{
    nng_iov iov = {.iov_buf = p, .iov_len = n};

    (void)nng_aio_set_iov(s->recv, 1, &iov);
    sup_handover_mark(&s->handover.posted);
    nng_stream_recv(s->nng, s->recv);
    end_if_closed(s, s->recv);
}

void sup_stream_close(struct sup_stream *s)
{
    atomic_store(&s->closed, true);
    nng_stream_close(s->nng);
}

void sup_stream_free(struct sup_stream *s)
{
    sup_stream_close(s);
    /* The operations have ended; this waits until the completions have returned. */
    if (s->send)
        nng_aio_free(s->send);
    if (s->recv)
        nng_aio_free(s->recv);
    sup_handover_see(&s->handover.ended);
    nng_stream_free(s->nng);
    free(s);
}

bool sup_stream_is_gone(struct sup_stream *s)
{
    nng_sockaddr sa;

    /* getpeername(2) of a TCP socket that was reset, or closed by both ends, is ENOTCONN. */
    return nng_stream_get_addr(s->nng, NNG_OPT_REMADDR, &sa) != 0;
}

bool sup_stream_is_tls(const struct sup_stream *s)
{
    return s->tls;
}

void sup_stream_tls_facts(struct sup_stream *s, struct sup_tls_facts *out)
{
    bool verified = false;

    if (!s->tls)
        return;
    sup_tls_engine_ask(out);
    int rv = nng_stream_get_bool(s->nng, NNG_OPT_TLS_VERIFIED, &verified);
    sup_tls_engine_asked();
    out->verified = rv == 0 && verified && out->verified;
}

const char *sup_stream_peer(const struct sup_stream *s)
{
    return s->peer;
}

/* --- listening --- */

struct sup_listener {
    nng_stream_listener *nng;
    struct op accept;
    bool tls;
    int port;
};

static int listener_tls(struct sup_listener *l, const struct sup_mesh_tls *tls, struct sup_err *err)
{
    nng_tls_config *cfg;
    int rc = tls_config(tls, NNG_TLS_MODE_SERVER, NULL, &cfg, err);

    if (rc != SUP_OK)
        return rc;
    int rv = nng_stream_listener_set_ptr(l->nng, NNG_OPT_TLS_CONFIG, cfg);
    nng_tls_config_free(cfg); /* the listener holds it */
    return rv == 0 ? SUP_OK : sup_err_set(err, sup_stream_code(rv), "TLS: %s", nng_strerror(rv));
}

static int listener_listen(struct sup_listener *l, const char *url, const struct sup_mesh_tls *tls,
                           struct sup_err *err)
{
    int rc = l->tls ? listener_tls(l, tls, err) : SUP_OK;

    if (rc != SUP_OK)
        return rc;
    int rv = nng_stream_listener_set_bool(l->nng, NNG_OPT_TCP_NODELAY, true);
    if (rv == 0)
        rv = nng_stream_listener_listen(l->nng);
    if (rv == 0)
        rv = nng_stream_listener_get_int(l->nng, NNG_OPT_TCP_BOUND_PORT, &l->port);
    return rv == 0 ? SUP_OK
                   : sup_err_set(err, sup_stream_code(rv), "listening on %s: %s", url,
                                 nng_strerror(rv));
}

static int need_tls(const char *url, const struct sup_mesh_tls *tls, bool *is_tls,
                    struct sup_err *err)
{
    int rc = sup_mesh_url_check(url, is_tls, err);

    if (rc == SUP_OK && *is_tls && !tls)
        rc = sup_err_set(err, SUP_EINPUT, "%s: needs certificates (mesh.tls)", url);
    return rc;
}

int sup_listener_open(const char *url, const struct sup_mesh_tls *tls, struct sup_listener **out,
                      struct sup_err *err)
{
    struct sup_listener *l = calloc(1, sizeof(*l));

    if (!l)
        return sup_err_set(err, SUP_ENOMEM, "no memory for a listener");
    int rc = need_tls(url, tls, &l->tls, err);
    if (rc != SUP_OK)
        goto err_after_alloc;
    rc = op_init(&l->accept);
    if (rc != SUP_OK) {
        (void)sup_err_set(err, rc, "no memory for a listener");
        goto err_after_alloc;
    }
    int rv = nng_stream_listener_alloc(&l->nng, url);
    if (rv != 0) {
        rc = sup_err_set(err, sup_stream_code(rv), "%s: %s", url, nng_strerror(rv));
        goto err_after_op;
    }
    rc = listener_listen(l, url, tls, err);
    if (rc != SUP_OK)
        goto err_after_nng;
    *out = l;
    return SUP_OK;
err_after_nng:
    nng_stream_listener_free(l->nng);
err_after_op:
    op_fini(&l->accept);
err_after_alloc:
    free(l);
    return rc;
}

int sup_listener_port(const struct sup_listener *l)
{
    return l->port;
}

int sup_stream_accept(struct sup_listener *l, int64_t timeout_ms, struct sup_stream **out,
                      struct sup_err *err)
{
    nng_stream *nng;

    /* An accept that nobody came for stays posted until the next call. */
    if (op_begin(&l->accept)) {
        nng_stream_listener_accept(l->nng, l->accept.aio);
        if (op_is_closed(&l->accept))
            nng_stream_listener_close(l->nng);
    }
    int rc = op_wait(&l->accept, timeout_ms);
    if (rc != SUP_OK)
        return sup_err_set(err, rc,
                           rc == SUP_ECLOSED ? "listener closed" : "nobody connected in time");
    int rv = op_take(&l->accept, &nng);
    if (rv != 0)
        return sup_err_set(err, sup_stream_code(rv), "accepting: %s", nng_strerror(rv));
    return stream_new(nng, l->tls, out, err);
}

void sup_listener_close(struct sup_listener *l)
{
    op_close(&l->accept);
    nng_stream_listener_close(l->nng);
}

void sup_listener_free(struct sup_listener *l)
{
    if (!l)
        return;
    do {
        sup_listener_close(l);
    } while (!op_settled(&l->accept));
    op_discard(&l->accept);
    op_fini(&l->accept);
    nng_stream_listener_free(l->nng);
    free(l);
}

/* --- dialling --- */

struct sup_dialer {
    char *url;
    char *server_name;
    const struct sup_mesh_tls *tls; /* NULL for tcp:// */
    struct op dial;
};

int sup_dialer_new(const char *url, const struct sup_mesh_tls *tls, const char *server_name,
                   struct sup_dialer **out, struct sup_err *err)
{
    bool is_tls;
    int rc = need_tls(url, tls, &is_tls, err);

    if (rc != SUP_OK)
        return rc;
    if (is_tls && (!server_name || *server_name == '\0'))
        return sup_err_set(err, SUP_EINPUT, "%s: no server name to check", url);
    struct sup_dialer *d = calloc(1, sizeof(*d));
    if (!d || op_init(&d->dial) != SUP_OK) {
        free(d);
        return sup_err_set(err, SUP_ENOMEM, "no memory for a dialler");
    }
    d->url = strdup(url);
    d->server_name = strdup(server_name ? server_name : "");
    d->tls = is_tls ? tls : NULL;
    if (!d->url || !d->server_name) {
        sup_dialer_free(d);
        return sup_err_set(err, SUP_ENOMEM, "no memory for a dialler");
    }
    *out = d;
    return SUP_OK;
}

static int dialer_tls(struct sup_dialer *d, nng_stream_dialer *nng, struct sup_err *err)
{
    nng_tls_config *cfg;
    int rc = tls_config(d->tls, NNG_TLS_MODE_CLIENT, d->server_name, &cfg, err);

    if (rc != SUP_OK)
        return rc;
    int rv = nng_stream_dialer_set_ptr(nng, NNG_OPT_TLS_CONFIG, cfg);
    nng_tls_config_free(cfg); /* the dialer holds it */
    return rv == 0 ? SUP_OK : sup_err_set(err, sup_stream_code(rv), "TLS: %s", nng_strerror(rv));
}

/* Dials and waits; whatever happens the operation is over afterwards. */
static int dial(struct sup_dialer *d, nng_stream_dialer *nng, int64_t timeout_ms,
                struct sup_err *err)
{
    if (!op_begin(&d->dial))
        return sup_err_set(err, SUP_ECLOSED, "dialler closed");
    nng_stream_dialer_dial(nng, d->dial.aio);
    int rc = op_wait(&d->dial, timeout_ms);
    if (rc == SUP_OK)
        return SUP_OK;
    do {
        nng_aio_abort(d->dial.aio, NNG_ECANCELED);
        nng_stream_dialer_close(nng);
    } while (!op_settled(&d->dial));
    op_discard(&d->dial);
    return sup_err_set(err, rc, rc == SUP_ECLOSED ? "dialler closed" : "%s: no answer in %lld ms",
                       d->url, (long long)timeout_ms);
}

/* NNG says that the stream is connected; waits until that is true (see the head of this file). */
static int await_connected(struct sup_dialer *d, struct sup_stream *s, int64_t timeout_ms,
                           struct sup_err *err)
{
    bool limited = timeout_ms < 0 || timeout_ms > CONNECT_MS;
    int64_t deadline = sup_mono_ms() + (limited ? CONNECT_MS : timeout_ms);
    int rc = SUP_OK;

    pthread_mutex_lock(&d->dial.mutex);
    while (rc == SUP_OK && sup_stream_is_gone(s)) {
        if (d->dial.closed)
            rc = sup_err_set(err, SUP_ECLOSED, "dialler closed");
        else if (sup_mono_ms() >= deadline)
            rc =
                sup_err_set(err, limited ? SUP_EAGAIN : SUP_ETIMEDOUT, "%s: no connection", d->url);
        else
            (void)sup_cond_wait_ms(&d->dial.cond, &d->dial.mutex, CONNECT_POLL_MS);
    }
    pthread_mutex_unlock(&d->dial.mutex);
    return rc;
}

int sup_stream_dial(struct sup_dialer *d, int64_t timeout_ms, struct sup_stream **out,
                    struct sup_err *err)
{
    nng_stream_dialer *nng; /* a new one each time: after an abort it is closed */
    nng_stream *stream;
    int rv = nng_stream_dialer_alloc(&nng, d->url);

    if (rv != 0)
        return sup_err_set(err, sup_stream_code(rv), "%s: %s", d->url, nng_strerror(rv));
    rv = nng_stream_dialer_set_bool(nng, NNG_OPT_TCP_NODELAY, true);
    int rc = rv == 0 ? SUP_OK
                     : sup_err_set(err, sup_stream_code(rv), "TCP_NODELAY: %s", nng_strerror(rv));
    if (rc == SUP_OK && d->tls)
        rc = dialer_tls(d, nng, err);
    if (rc == SUP_OK)
        rc = dial(d, nng, timeout_ms, err);
    if (rc == SUP_OK) {
        rv = op_take(&d->dial, &stream);
        rc = rv == 0 ? stream_new(stream, d->tls != NULL, out, err)
                     : sup_err_set(err, sup_stream_code(rv), "%s: %s", d->url, nng_strerror(rv));
    }
    nng_stream_dialer_free(nng);
    if (rc != SUP_OK)
        return rc;
    rc = await_connected(d, *out, timeout_ms, err);
    if (rc == SUP_OK)
        peer_text((*out)->nng, (*out)->peer);
    else
        sup_stream_free(*out);
    return rc;
}

void sup_dialer_close(struct sup_dialer *d)
{
    op_close(&d->dial);
}

void sup_dialer_free(struct sup_dialer *d)
{
    if (!d)
        return;
    op_fini(&d->dial);
    free(d->url);
    free(d->server_name);
    free(d);
}
