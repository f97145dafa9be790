#include "mesh/session_impl.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "base/thread.h"

#include <stdlib.h>
#include <string.h>

#define BYE_FLUSH_MS 500

/* --- opening and closing --- */

static struct sup_session *session_new(void)
{
    struct sup_session *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->encoder = sup_frame_encoder_new();
    s->encode_mem = sup_mesh_mem_new();
    sup_buf_init(&s->body, SUP_FRAME_BODY_MAX);
    pthread_mutex_init(&s->encode_mutex, NULL);
    pthread_mutex_init(&s->state_mutex, NULL);
    return s;
}

static void session_delete(struct sup_session *s)
{
    sup_frame_encoder_free(s->encoder);
    sup_mesh_mem_free(s->encode_mem);
    sup_buf_fini(&s->body);
    pthread_mutex_destroy(&s->encode_mutex);
    pthread_mutex_destroy(&s->state_mutex);
    free(s);
}

int sup_session_open(struct sup_link *link, const struct sup_session_local *local,
                     const char *expected, struct sup_heart *heart, struct sup_session **out,
                     struct sup_err *err)
{
    struct sup_session *s = session_new();
    int rc = SUP_ENOMEM;

    if (!s)
        return sup_err_set(err, rc, "no memory for a session");
    if (!s->encoder || !s->encode_mem)
        (void)sup_err_set(err, rc, "no memory for a session");
    else
        rc = sup_hello_exchange(link, local, expected, &s->peer, err);
    if (rc != SUP_OK) {
        session_delete(s);
        return rc;
    }
    s->link = link;
    s->local = local;
    s->heart = heart;
    s->opened_ms = s->heard_ms = sup_mono_ms();
    s->next_beat_ms = s->opened_ms; /* at once, so that the first round trip is known soon */
    s->incarnation = s->peer.incarnation;
    s->epoch = s->peer.epoch;
    s->members = s->peer.members;
    s->vv = s->peer.vv;
    s->standing = s->peer.standing;
    sup_heart_add(heart, s);
    *out = s;
    return SUP_OK;
}

static int open_or_free(struct sup_link *link, const struct sup_session_local *local,
                        const char *expected, struct sup_heart *heart, struct sup_session **out,
                        struct sup_err *err)
{
    int rc = sup_session_open(link, local, expected, heart, out, err);

    if (rc != SUP_OK)
        sup_link_free(link);
    return rc;
}

int sup_session_open_dialed(struct sup_link *link, const struct sup_session_local *local,
                            const char *expected, struct sup_heart *heart, struct sup_session **out,
                            struct sup_err *err)
{
    return open_or_free(link, local, expected, heart, out, err);
}

int sup_session_open_accepted(struct sup_link *link, const struct sup_session_local *local,
                              struct sup_heart *heart, struct sup_session **out,
                              struct sup_err *err)
{
    return open_or_free(link, local, NULL, heart, out, err);
}

static void post_goodbye(struct sup_session *s, enum sup_frame_type type, unsigned code,
                         const char *reason)
{
    struct sup_mesh_msg *msg = calloc(1, sizeof(*msg));

    if (!msg)
        return;
    msg->type = type;
    msg->u.goodbye.code = code;
    sup_text_copy(msg->u.goodbye.reason, sizeof(msg->u.goodbye.reason), reason);
    (void)sup_session_post(s, msg);
    free(msg);
}

void sup_session_close(struct sup_session *s, unsigned code, const char *reason)
{
    post_goodbye(s, SUP_FRAME_BYE, code, reason);
    sup_link_drain(s->link, SUP_ECLOSED, reason);
}

void sup_session_free(struct sup_session *s)
{
    if (!s)
        return;
    sup_session_close(s, SUP_REFUSED_OTHER, "session ends");
    sup_heart_remove(s->heart, s);
    (void)sup_link_flush(s->link, BYE_FLUSH_MS);
    sup_link_free(s->link);
    session_delete(s);
}

/* --- sending --- */

int sup_session_post(struct sup_session *s, const struct sup_mesh_msg *msg)
{
    struct sup_buf frame;

    sup_buf_init(&frame, SUP_LINK_POST_MAX);
    int rc = sup_mesh_frame(msg, &frame, NULL);
    if (rc == SUP_OK)
        rc = sup_link_post(s->link, sup_buf_slice(&frame));
    sup_buf_fini(&frame);
    return rc;
}

static int encode(struct sup_session *s, const struct sup_mesh_msg *msg, struct sup_buf *frame)
{
    pthread_mutex_lock(&s->encode_mutex);
    sup_buf_reset(&s->body);
    int rc = sup_mesh_msg_encode(msg, s->encode_mem, &s->body, NULL);
    if (rc == SUP_OK)
        rc = sup_frame_encode_bulk(s->encoder, (uint16_t)msg->type, sup_frame_type_flags(msg->type),
                                   sup_buf_slice(&s->body), frame);
    pthread_mutex_unlock(&s->encode_mutex);
    return rc;
}

int sup_session_send(struct sup_session *s, const struct sup_mesh_msg *msg, int64_t timeout_ms)
{
    struct sup_buf frame;

    sup_buf_init(&frame, SUP_FRAME_HEADER + SUP_FRAME_BODY_MAX);
    int rc = encode(s, msg, &frame);
    if (rc == SUP_OK)
        rc = sup_link_send(s->link, sup_buf_slice(&frame), timeout_ms);
    sup_buf_fini(&frame);
    return rc;
}

/* --- heartbeats --- */

void sup_session_heartbeat(struct sup_session *s, struct sup_heartbeat *out)
{
    int64_t now_ns = sup_mono_ns();

    memset(out, 0, sizeof(*out));
    if (s->local->root)
        out->has_root = s->local->root(s->local->arg, out->root);
    if (s->local->standing)
        out->standing = s->local->standing(s->local->arg);
    s->local->state(s->local->arg, &out->incarnation, &out->vv);
    if (s->local->membership)
        s->local->membership(s->local->arg, &out->epoch, &out->members);
    out->wall_ms = sup_wall_ms();
    out->mono_ns = (uint64_t)now_ns;
    pthread_mutex_lock(&s->state_mutex);
    if (s->peer_mono_at_ns > 0) {
        out->echo_mono_ns = s->peer_mono_ns;
        out->echo_held_us = (uint64_t)(now_ns - s->peer_mono_at_ns) / 1000;
    }
    pthread_mutex_unlock(&s->state_mutex);
}

/* Round trip = since we sent what is echoed, without the time that the peer held it. The peer's
 * wall clock was read half a round trip ago. A peer's numbers can be anything: what makes no sense
 * is left out. */
static bool measure(const struct sup_heartbeat *h, int64_t now_ns, int64_t now_wall_ms,
                    struct rtt_sample *out)
{
    double since_ms = (double)(now_ns - (int64_t)h->echo_mono_ns) / 1e6;
    double rtt = since_ms - (double)h->echo_held_us / 1e3;

    if (h->echo_mono_ns == 0 || h->echo_mono_ns > (uint64_t)now_ns || rtt < 0 || rtt > 60e3)
        return false;
    out->rtt_ms = rtt;
    out->offset_ms = (double)h->wall_ms + rtt / 2 - (double)now_wall_ms;
    return true;
}

static void take_heartbeat(struct sup_session *s, const struct sup_heartbeat *h)
{
    int64_t now_ns = sup_mono_ns();
    int64_t wall_ms = sup_wall_ms();
    struct rtt_sample sample;

    pthread_mutex_lock(&s->state_mutex);
    s->peer_mono_ns = h->mono_ns;
    s->peer_mono_at_ns = now_ns;
    s->incarnation = h->incarnation;
    s->epoch = h->epoch;
    s->members = h->members;
    s->vv = h->vv;
    memcpy(s->root, h->root, sizeof(s->root));
    s->has_root = h->has_root;
    s->standing = h->standing;
    if (h->has_root)
        s->roots_heard++;
    if (measure(h, now_ns, wall_ms, &sample))
        s->samples[s->n_samples++ % RTT_SAMPLES] = sample;
    pthread_mutex_unlock(&s->state_mutex);
}

/* --- receiving --- */

static void heard(struct sup_session *s)
{
    pthread_mutex_lock(&s->state_mutex);
    s->heard_ms = sup_mono_ms();
    pthread_mutex_unlock(&s->state_mutex);
}

/* The peer broke the protocol: tell it, log it, end. Returns code. */
static int broken(struct sup_session *s, int code, const char *reason)
{
    post_goodbye(s, SUP_FRAME_REFUSE, SUP_REFUSED_PROTOCOL, reason);
    sup_hello_count_refusal(SUP_REFUSED_PROTOCOL, true);
    sup_link_drain(s->link, code, reason);
    sup_log_warn("mesh", "peer broke the protocol", SUP_S("peer", s->peer.node),
                 SUP_S("address", sup_link_peer(s->link)), SUP_S("reason", reason));
    return code;
}

static int take_goodbye(struct sup_session *s, const struct sup_mesh_msg *msg, struct sup_err *err)
{
    const struct sup_goodbye *g = &msg->u.goodbye;
    bool bye = msg->type == SUP_FRAME_BYE;
    int code = bye ? SUP_ECLOSED : SUP_EAUTH;

    if (!bye)
        sup_hello_count_refusal(g->code, false);
    (void)sup_err_set(err, code, "%s by peer: %s", bye ? "ended" : "refused", g->reason);
    if (!bye)
        sup_log_warn("mesh", "refused by peer", SUP_S("peer", s->peer.node),
                     SUP_S("why", sup_refusal_name(g->code)), SUP_S("reason", g->reason));
    sup_link_close(s->link, code, err->msg);
    return code;
}

/* SUP_OK: msg is the owner's. SUP_EAGAIN: done with it, next frame. Others: the end. */
static int dispatch(struct sup_session *s, const struct sup_frame *frame, struct sup_mesh_mem *mem,
                    struct sup_mesh_msg *msg, struct sup_err *err)
{
    int rc = sup_mesh_msg_decode(frame->type, frame->body, mem, msg, err);

    if (rc == SUP_ENOTFOUND && frame->flags & SUP_FRAME_SKIPPABLE)
        return SUP_EAGAIN;
    if (rc == SUP_ENOTFOUND)
        rc = sup_err_set(err, SUP_EVERSION, "frame of unknown type %u", frame->type);
    if (rc != SUP_OK)
        return broken(s, rc, err->msg);
    heard(s);
    switch (msg->type) {
    case SUP_FRAME_HEARTBEAT:
        take_heartbeat(s, &msg->u.heartbeat);
        return SUP_EAGAIN;
    case SUP_FRAME_BYE:
    case SUP_FRAME_REFUSE:
        return take_goodbye(s, msg, err);
    case SUP_FRAME_HELLO:
        return broken(s, sup_err_set(err, SUP_ECORRUPT, "a second HELLO"), err->msg);
    case SUP_FRAME_PULL:
    case SUP_FRAME_MUTATIONS:
    case SUP_FRAME_ACK:
    case SUP_FRAME_SUMMARY_ASK:
    case SUP_FRAME_SUMMARY:
    case SUP_FRAME_TRIMMED:
    case SUP_FRAME_REPAIR_ASK:
    case SUP_FRAME_REPAIR_SYMBOLS:
    case SUP_FRAME_REPAIR_SUMS:
    case SUP_FRAME_REPAIR_FETCH:
    case SUP_FRAME_REPAIR_RECORDS:
    case SUP_FRAME_SNAPSHOT_ASK:
    case SUP_FRAME_SNAPSHOT_CHUNK:
    case SUP_FRAME_SNAPSHOT_ACK:
        return SUP_OK;
    }
    return sup_err_set(err, SUP_EBUG, "message type without a handler");
}

static int recv_loop(struct sup_session *s, int64_t timeout_ms, struct sup_mesh_mem *mem,
                     struct sup_mesh_msg *out, struct sup_err *err)
{
    int64_t deadline = timeout_ms < 0 ? INT64_MAX : sup_mono_ms() + timeout_ms;

    for (;;) {
        struct sup_frame frame;
        int64_t left = deadline - sup_mono_ms();
        bool up = sup_link_error(s->link, NULL) == SUP_OK;
        int rc = sup_link_recv(s->link, timeout_ms < 0 ? -1 : left > 0 ? left : 0, &frame, err);
        if (up && (rc == SUP_ECORRUPT || rc == SUP_ELIMIT || rc == SUP_EVERSION))
            sup_log_warn("mesh", "malformed frame: connection closed", SUP_S("peer", s->peer.node),
                         SUP_S("address", sup_link_peer(s->link)), SUP_S("reason", err->msg));
        if (rc == SUP_OK)
            rc = dispatch(s, &frame, mem, out, err);
        if (rc != SUP_EAGAIN)
            return rc;
        if (sup_link_error(s->link, err) != SUP_OK)
            return err->code;
    }
}

int sup_session_recv(struct sup_session *s, int64_t timeout_ms, struct sup_mesh_mem *mem,
                     struct sup_mesh_msg *out, struct sup_err *err)
{
    struct sup_err own = {0};
    int rc = recv_loop(s, timeout_ms, mem, out, &own);

    if (rc != SUP_OK)
        (void)sup_err_set(err, rc, "%s", own.msg);
    return rc;
}

/* --- knowing --- */

const struct sup_hello *sup_session_peer(const struct sup_session *s)
{
    return &s->peer;
}

const char *sup_session_address(const struct sup_session *s)
{
    return sup_link_peer(s->link);
}

void sup_session_stats(struct sup_session *s, struct sup_session_stats *out)
{
    out->bytes_in = sup_link_bytes_in(s->link);
    out->bytes_out = sup_link_bytes_out(s->link);
    out->rtt_ms = -1;
    out->clock_offset_ms = 0;
    pthread_mutex_lock(&s->state_mutex);
    /* The shortest round trip is the one with the least waiting in it (as NTP's clock filter). */
    unsigned n = s->n_samples < RTT_SAMPLES ? s->n_samples : RTT_SAMPLES;
    for (unsigned i = 0; i < n; i++) {
        if (i == 0 || s->samples[i].rtt_ms < out->rtt_ms) {
            out->rtt_ms = s->samples[i].rtt_ms;
            out->clock_offset_ms = s->samples[i].offset_ms;
        }
    }
    out->last_heard_mono_ms = s->heard_ms;
    out->opened_mono_ms = s->opened_ms;
    out->incarnation = s->incarnation;
    out->epoch = s->epoch;
    out->members = s->members;
    out->vv = s->vv;
    memcpy(out->root, s->root, sizeof(out->root));
    out->has_root = s->has_root;
    out->roots_heard = s->roots_heard;
    out->standing = s->standing;
    pthread_mutex_unlock(&s->state_mutex);
}
