#include "mesh/link.h"

#include "base/clock.h"
#include "base/text.h"
#include "base/thread.h"
#include "mesh/stream.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Four TLS records. */
#define RECV_BYTES 65536
/* Certificates that a peer may show; mbedTLS takes no more than a record's 16 KiB. */
#define CHAIN_MAX 32768

struct out_frame {
    struct out_frame *next;
    size_t n;
    uint8_t bytes[];
};

struct out_queue {
    struct out_frame *head;
    struct out_frame **tail;
    size_t bytes;
};

/* UP: all works. DRAINING: calls fail, posted frames still leave. DOWN: the stream is closed. */
enum link_state { LINK_UP, LINK_DRAINING, LINK_DOWN };

struct sup_link {
    struct sup_stream *stream;
    pthread_mutex_t mutex; /* guards what follows, up to the next comment */
    pthread_cond_t cond;   /* any change of it */
    enum link_state state;
    struct sup_err why; /* set when state leaves UP */
    struct out_queue urgent;
    struct out_queue bulk;
    struct out_frame *current; /* partly sent */
    size_t current_sent;
    bool sending;   /* a send is posted on the stream */
    bool receiving; /* a receive is posted on the stream, into in */
    size_t in_n;    /* received bytes that nobody took yet */
    int64_t heard_ms;
    int64_t posted_ms;

    /* The receiving thread's; in is the stream's while receiving is set. */
    struct sup_frame_decoder *decoder;
    struct sup_slice left; /* of in: taken, not decoded */
    struct sup_buf chain;  /* the peer's certificates; not changed once a session stands */
    uint8_t in[RECV_BYTES];

    atomic_uint_fast64_t bytes_in;
    atomic_uint_fast64_t bytes_out;
};

/* --- going down --- */

/* A link that is down never says SUP_ETIMEDOUT: to callers that means "up, but nothing came". */
static void set_why(struct sup_link *l, int code, const char *reason)
{
    (void)sup_err_set(&l->why, code == SUP_ETIMEDOUT ? SUP_ECLOSED : code, "%s", reason);
}

/* With the mutex. True when the caller is to close the stream after unlocking. */
static bool set_down(struct sup_link *l, int code, const char *reason)
{
    if (l->state == LINK_UP)
        set_why(l, code, reason);
    bool close = l->state != LINK_DOWN;
    l->state = LINK_DOWN;
    pthread_cond_broadcast(&l->cond);
    return close;
}

/* status 0 stands for an operation that moved no bytes, which no stream that lives does.
 * What NNG says when the peer hangs up tells little; before the first byte, with TLS, it mostly
 * means this. */
static bool set_failed(struct sup_link *l, int status)
{
    int code = status == 0 ? SUP_ECLOSED : sup_stream_code(status);
    const char *text = sup_stream_text(status);

    /* On a stream that was up, NNG says "refused" for some hang-ups. */
    if (code == SUP_EAGAIN)
        code = SUP_ECLOSED;
    if (code == SUP_ECLOSED && sup_stream_is_tls(l->stream) && atomic_load(&l->bytes_in) == 0)
        text = "closed by the peer during the TLS handshake or before its HELLO "
               "(did it refuse our certificate?)";
    else if (code == SUP_ECLOSED)
        text = "connection closed by the peer";
    return set_down(l, code, text);
}

void sup_link_close(struct sup_link *l, int code, const char *reason)
{
    pthread_mutex_lock(&l->mutex);
    bool close = set_down(l, code, reason);
    pthread_mutex_unlock(&l->mutex);
    if (close)
        sup_stream_close(l->stream);
}

/* --- queues --- */

static void queue_init(struct out_queue *q)
{
    *q = (struct out_queue){.tail = &q->head};
}

static void queue_push(struct out_queue *q, struct out_frame *f)
{
    *q->tail = f;
    q->tail = &f->next;
    q->bytes += f->n;
}

static struct out_frame *queue_pop(struct out_queue *q)
{
    struct out_frame *f = q->head;

    if (!f)
        return NULL;
    q->head = f->next;
    if (!q->head)
        q->tail = &q->head;
    q->bytes -= f->n;
    return f;
}

static void queue_clear(struct out_queue *q)
{
    struct out_frame *f;

    while ((f = queue_pop(q)) != NULL)
        free(f);
}

/* --- sending --- */

static bool idle(const struct sup_link *l)
{
    return !l->sending && !l->current && !l->urgent.head && !l->bulk.head;
}

/* With the mutex, which is released while the stream is called. Posts the next piece if nothing is
 * posted. */
static void pump(struct sup_link *l)
{
    if (l->sending || l->state == LINK_DOWN)
        return;
    if (!l->current) {
        l->current = queue_pop(&l->urgent);
        if (!l->current)
            l->current = queue_pop(&l->bulk);
        l->current_sent = 0;
        pthread_cond_broadcast(&l->cond); /* there is room, or all is sent */
    }
    if (!l->current)
        return;
    l->sending = true;
    const uint8_t *p = l->current->bytes + l->current_sent;
    size_t n = l->current->n - l->current_sent;
    pthread_mutex_unlock(&l->mutex);
    sup_stream_send(l->stream, p, n);
    pthread_mutex_lock(&l->mutex);
}

static void on_sent(void *arg, int status, size_t n)
{
    struct sup_link *l = arg;
    bool close = false;

    pthread_mutex_lock(&l->mutex);
    l->sending = false;
    if (status != 0 || n == 0) {
        close = set_failed(l, status);
    } else {
        l->current_sent += n;
        atomic_fetch_add(&l->bytes_out, n);
        if (l->current_sent >= l->current->n) {
            free(l->current);
            l->current = NULL;
        }
        pump(l);
    }
    pthread_cond_broadcast(&l->cond);
    pthread_mutex_unlock(&l->mutex);
    if (close)
        sup_stream_close(l->stream);
}

static struct out_frame *out_frame_new(struct sup_slice bytes)
{
    struct out_frame *f = malloc(sizeof(*f) + bytes.n);

    if (!f)
        return NULL;
    f->next = NULL;
    f->n = bytes.n;
    if (bytes.n > 0)
        memcpy(f->bytes, bytes.p, bytes.n);
    return f;
}

/* A frame larger than the queue goes in when the queue is empty. */
static bool bulk_has_room(const struct sup_link *l, size_t n)
{
    return !l->bulk.head || l->bulk.bytes + n <= SUP_LINK_QUEUE_MAX;
}

/* Ends of waits: SUP_OK when cond(l, n) holds, else why not. With the mutex. */
static int wait_until(struct sup_link *l, bool (*cond)(const struct sup_link *, size_t), size_t n,
                      bool draining_is_fine, int64_t timeout_ms)
{
    int64_t deadline = timeout_ms < 0 ? INT64_MAX : sup_mono_ms() + timeout_ms;

    for (;;) {
        if (l->state == LINK_DOWN || (l->state == LINK_DRAINING && !draining_is_fine))
            return l->why.code;
        if (cond(l, n))
            return SUP_OK;
        int64_t left = deadline - sup_mono_ms();
        if (left <= 0)
            return SUP_ETIMEDOUT;
        (void)sup_cond_wait_ms(&l->cond, &l->mutex, timeout_ms < 0 ? -1 : left);
    }
}

int sup_link_send(struct sup_link *l, struct sup_slice frame, int64_t timeout_ms)
{
    struct out_frame *f = out_frame_new(frame);

    if (!f)
        return SUP_ENOMEM;
    pthread_mutex_lock(&l->mutex);
    int rc = wait_until(l, bulk_has_room, f->n, false, timeout_ms);
    if (rc == SUP_OK) {
        queue_push(&l->bulk, f);
        f = NULL;
        pump(l);
    }
    pthread_mutex_unlock(&l->mutex);
    free(f);
    return rc;
}

int sup_link_post(struct sup_link *l, struct sup_slice frame)
{
    struct out_frame *f = out_frame_new(frame);
    int rc = SUP_OK;

    if (!f)
        return SUP_ENOMEM;
    pthread_mutex_lock(&l->mutex);
    if (l->state != LINK_UP)
        rc = l->why.code;
    else if (l->urgent.bytes + f->n > SUP_LINK_POST_MAX)
        rc = SUP_ELIMIT;
    if (rc == SUP_OK) {
        queue_push(&l->urgent, f);
        f = NULL;
        pump(l);
    }
    pthread_mutex_unlock(&l->mutex);
    free(f);
    return rc;
}

static bool all_sent(const struct sup_link *l, size_t n)
{
    (void)n;
    return idle(l);
}

int sup_link_flush(struct sup_link *l, int64_t timeout_ms)
{
    pthread_mutex_lock(&l->mutex);
    int rc = wait_until(l, all_sent, 0, true, timeout_ms);
    pthread_mutex_unlock(&l->mutex);
    return rc;
}

void sup_link_drain(struct sup_link *l, int code, const char *reason)
{
    pthread_mutex_lock(&l->mutex);
    if (l->state == LINK_UP) {
        set_why(l, code, reason);
        l->state = LINK_DRAINING;
        queue_clear(&l->bulk);
        pthread_cond_broadcast(&l->cond);
    }
    pthread_mutex_unlock(&l->mutex);
}

/* --- receiving --- */

static void on_received(void *arg, int status, size_t n)
{
    struct sup_link *l = arg;
    bool close = false;

    pthread_mutex_lock(&l->mutex);
    l->receiving = false;
    if (status != 0 || n == 0) {
        close = set_failed(l, status);
    } else {
        l->in_n = n;
        l->heard_ms = sup_mono_ms();
        atomic_fetch_add(&l->bytes_in, n);
    }
    pthread_cond_broadcast(&l->cond);
    pthread_mutex_unlock(&l->mutex);
    if (close)
        sup_stream_close(l->stream);
}

static bool has_bytes(const struct sup_link *l, size_t n)
{
    (void)n;
    return l->in_n > 0;
}

/* Bytes that came before the link went down still count: a REFUSE is followed by a close. */
static int wait_bytes(struct sup_link *l, int64_t timeout_ms)
{
    pthread_mutex_lock(&l->mutex);
    if (l->in_n == 0 && !l->receiving && l->state == LINK_UP) {
        l->receiving = true;
        l->posted_ms = sup_mono_ms();
        pthread_mutex_unlock(&l->mutex);
        sup_stream_recv(l->stream, l->in, sizeof(l->in));
        pthread_mutex_lock(&l->mutex);
    }
    int rc = has_bytes(l, 0) ? SUP_OK : wait_until(l, has_bytes, 0, false, timeout_ms);
    if (rc == SUP_OK || has_bytes(l, 0)) {
        l->left = sup_slice_of(l->in, l->in_n);
        l->in_n = 0;
        rc = SUP_OK;
    }
    pthread_mutex_unlock(&l->mutex);
    return rc;
}

int sup_link_recv(struct sup_link *l, int64_t timeout_ms, struct sup_frame *out,
                  struct sup_err *err)
{
    int64_t deadline = timeout_ms < 0 ? INT64_MAX : sup_mono_ms() + timeout_ms;
    int rc;

    while ((rc = sup_frame_decode(l->decoder, &l->left, out, err)) == SUP_EAGAIN) {
        int64_t left = deadline - sup_mono_ms();
        rc = wait_bytes(l, timeout_ms < 0 ? -1 : left > 0 ? left : 0);
        if (rc == SUP_ETIMEDOUT)
            return sup_err_set(err, rc, "nothing received in time");
        if (rc != SUP_OK)
            return sup_link_error(l, err);
    }
    if (rc != SUP_OK)
        sup_link_close(l, rc, err ? err->msg : "malformed frame");
    return rc;
}

void sup_link_set_body_max(struct sup_link *l, size_t max)
{
    sup_frame_decoder_set_max(l->decoder, max);
}

/* --- knowing --- */

int64_t sup_link_silent_ms(struct sup_link *l)
{
    int64_t ms = 0;

    pthread_mutex_lock(&l->mutex);
    if (l->receiving) {
        int64_t since = l->heard_ms > l->posted_ms ? l->heard_ms : l->posted_ms;
        ms = sup_mono_ms() - since;
    }
    pthread_mutex_unlock(&l->mutex);
    return ms;
}

void sup_link_check(struct sup_link *l)
{
    if (sup_link_silent_ms(l) >= SUP_LINK_GRACE_MS && sup_stream_is_gone(l->stream))
        sup_link_close(l, SUP_ECLOSED, "connection lost");
}

int sup_link_error(struct sup_link *l, struct sup_err *err)
{
    int rc = SUP_OK;

    pthread_mutex_lock(&l->mutex);
    if (l->state != LINK_UP)
        rc = sup_err_set(err, l->why.code, "%s", l->why.msg);
    pthread_mutex_unlock(&l->mutex);
    return rc;
}

bool sup_link_is_tls(const struct sup_link *l)
{
    return sup_stream_is_tls(l->stream);
}

bool sup_link_handshake(struct sup_link *l, struct sup_link_tls *out)
{
    struct sup_tls_facts facts = {0};

    memset(out, 0, sizeof(*out));
    sup_buf_init(&facts.chain, CHAIN_MAX);
    sup_stream_tls_facts(l->stream, &facts);
    out->refused_by_us = facts.refused_by_us;
    out->refused_by_peer = facts.refused_by_peer;
    (void)sup_text_copy(out->why, sizeof(out->why), facts.why);
    (void)sup_text_copy(out->name, sizeof(out->name), facts.name);
    bool verified = facts.verified && !facts.chain.failed && facts.chain.n > 0;
    if (verified) {
        sup_buf_fini(&l->chain);
        l->chain = facts.chain;
    } else {
        sup_buf_fini(&facts.chain);
    }
    return verified;
}

bool sup_link_carries(const struct sup_link *l, const char *name)
{
    return sup_chain_carries(sup_buf_slice(&l->chain), name);
}

int sup_link_recheck(const struct sup_link *l, const struct sup_mesh_tls *tls, struct sup_err *err)
{
    if (!sup_stream_is_tls(l->stream))
        return SUP_OK;
    struct sup_identity *id = sup_mesh_tls_identity(tls);
    int rc = sup_chain_check(sup_buf_slice(&l->chain), id, err);
    sup_identity_release(id);
    return rc;
}

const char *sup_link_peer(const struct sup_link *l)
{
    return sup_stream_peer(l->stream);
}

uint64_t sup_link_bytes_in(const struct sup_link *l)
{
    return atomic_load(&l->bytes_in);
}

uint64_t sup_link_bytes_out(const struct sup_link *l)
{
    return atomic_load(&l->bytes_out);
}

/* --- life --- */

/* Takes the stream over; frees it on failure. */
static int link_new(struct sup_stream *stream, struct sup_link **out, struct sup_err *err)
{
    struct sup_link *l = calloc(1, sizeof(*l));
    const struct sup_stream_events events = {.sent = on_sent, .received = on_received, .arg = l};

    if (l)
        l->decoder = sup_frame_decoder_new(SUP_FRAME_BODY_MAX);
    if (!l || !l->decoder || sup_stream_start(stream, &events) != SUP_OK) {
        if (l)
            sup_frame_decoder_free(l->decoder);
        free(l);
        sup_stream_free(stream);
        return sup_err_set(err, SUP_ENOMEM, "no memory for a link");
    }
    l->stream = stream;
    pthread_mutex_init(&l->mutex, NULL);
    sup_cond_init(&l->cond);
    queue_init(&l->urgent);
    queue_init(&l->bulk);
    sup_buf_init(&l->chain, CHAIN_MAX);
    l->heard_ms = sup_mono_ms();
    *out = l;
    return SUP_OK;
}

int sup_link_accept(struct sup_listener *l, int64_t timeout_ms, struct sup_link **out,
                    struct sup_err *err)
{
    struct sup_stream *stream;
    int rc = sup_stream_accept(l, timeout_ms, &stream, err);

    return rc == SUP_OK ? link_new(stream, out, err) : rc;
}

int sup_link_dial(struct sup_dialer *d, int64_t timeout_ms, struct sup_link **out,
                  struct sup_err *err)
{
    struct sup_stream *stream;
    int rc = sup_stream_dial(d, timeout_ms, &stream, err);

    return rc == SUP_OK ? link_new(stream, out, err) : rc;
}

void sup_link_free(struct sup_link *l)
{
    if (!l)
        return;
    sup_link_close(l, SUP_ECLOSED, "closed");
    pthread_mutex_lock(&l->mutex);
    while (l->sending || l->receiving)
        (void)sup_cond_wait_ms(&l->cond, &l->mutex, -1); /* stream.h: a closed stream ends both */
    pthread_mutex_unlock(&l->mutex);
    sup_stream_free(l->stream); /* behind it no completion is running */
    queue_clear(&l->urgent);
    queue_clear(&l->bulk);
    free(l->current);
    sup_buf_fini(&l->chain);
    sup_frame_decoder_free(l->decoder);
    pthread_cond_destroy(&l->cond);
    pthread_mutex_destroy(&l->mutex);
    free(l);
}
