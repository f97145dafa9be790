#include "mesh/session_impl.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "mesh/refusal.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* How long a refused peer may take to hang up after our REFUSE. Closing earlier, with bytes of its
 * unread, would make TCP reset the connection and could destroy the REFUSE on its way. */
#define REFUSE_LINGER_MS 500

int sup_mesh_frame(const struct sup_mesh_msg *msg, struct sup_buf *frame, struct sup_err *err)
{
    struct sup_mesh_mem *mem = sup_mesh_mem_new();
    struct sup_buf body;

    if (!mem)
        return sup_err_set(err, SUP_ENOMEM, "no memory for a message");
    sup_buf_init(&body, SUP_FRAME_BODY_MAX);
    int rc = sup_mesh_msg_encode(msg, mem, &body, err);
    if (rc == SUP_OK)
        rc = sup_frame_encode((uint16_t)msg->type, sup_frame_type_flags(msg->type),
                              sup_buf_slice(&body), frame);
    if (rc == SUP_ENOMEM || rc == SUP_ELIMIT)
        (void)sup_err_set(err, rc, "%s does not fit a frame", sup_frame_type_name(msg->type));
    sup_buf_fini(&body);
    sup_mesh_mem_free(mem);
    return rc;
}

static int post(struct sup_link *link, const struct sup_mesh_msg *msg, struct sup_err *err)
{
    struct sup_buf frame;

    sup_buf_init(&frame, SUP_FRAME_HEADER + SUP_MESH_HELLO_MAX);
    int rc = sup_mesh_frame(msg, &frame, err);
    if (rc == SUP_OK) {
        rc = sup_link_post(link, sup_buf_slice(&frame));
        if (rc != SUP_OK && sup_link_error(link, err) == SUP_OK)
            (void)sup_err_set(err, rc, "cannot send %s", sup_frame_type_name(msg->type));
    }
    sup_buf_fini(&frame);
    return rc;
}

static int post_hello(struct sup_link *link, const struct sup_session_local *local,
                      struct sup_mesh_msg *msg, struct sup_err *err)
{
    struct sup_hello *h = &msg->u.hello;

    memset(msg, 0, sizeof(*msg));
    msg->type = SUP_FRAME_HELLO;
    h->min_version = SUP_MESH_VERSION_MIN;
    h->max_version = SUP_MESH_VERSION_MAX;
    h->features = local->features;
    /* A name that is too long is cut here and refused by the encoder only if empty; the
     * configuration bounds both. */
    sup_text_copy(h->cluster, sizeof(h->cluster), local->cluster);
    sup_text_copy(h->node, sizeof(h->node), local->node);
    h->node_id = local->node_id;
    h->drift_limit_ms = local->drift_limit_ms;
    h->key_check = local->key_check;
    h->wall_ms = sup_wall_ms();
    if (local->standing)
        h->standing = local->standing(local->arg);
    local->state(local->arg, &h->incarnation, &h->vv);
    if (local->membership)
        local->membership(local->arg, &h->epoch, &h->members);
    return post(link, msg, err);
}

static int refusal(enum sup_refusal why, enum sup_refusal *out)
{
    *out = why;
    return why == SUP_REFUSED_VERSION ? SUP_EVERSION
           : why == SUP_REFUSED_NAME || why == SUP_REFUSED_SELF || why == SUP_REFUSED_IDENTITY
               ? SUP_EAUTH
               : SUP_EINPUT;
}

static int check_name(const struct sup_hello *peer, const struct sup_session_local *local,
                      const char *expected, enum sup_refusal *out, struct sup_err *err)
{
    if (expected && strcmp(peer->node, expected) != 0)
        return sup_err_set(err, refusal(SUP_REFUSED_NAME, out),
                           "node %s answers where %s was dialled", peer->node, expected);
    if (!expected && !local->known(local->arg, peer->node))
        return sup_err_set(err, refusal(SUP_REFUSED_NAME, out),
                           "node %s is not among the configured peers of %s", peer->node,
                           local->node);
    return SUP_OK;
}

int sup_hello_check(const struct sup_hello *peer, const struct sup_session_local *local,
                    const char *expected, enum sup_refusal *out, struct sup_err *err)
{
    if (strcmp(peer->cluster, local->cluster) != 0)
        return sup_err_set(err, refusal(SUP_REFUSED_CLUSTER, out), "cluster is %s, not %s",
                           peer->cluster, local->cluster);
    if (peer->min_version > SUP_MESH_VERSION_MAX || peer->max_version < SUP_MESH_VERSION_MIN)
        return sup_err_set(err, refusal(SUP_REFUSED_VERSION, out),
                           "protocol versions %" PRIu32 " to %" PRIu32 ", here %d to %d",
                           peer->min_version, peer->max_version, SUP_MESH_VERSION_MIN,
                           SUP_MESH_VERSION_MAX);
    if (peer->node_id == local->node_id)
        return sup_err_set(err, refusal(SUP_REFUSED_SELF, out),
                           "node %s has the id of this node: it was dialled by its own "
                           "address, or runs on a copy of its data directory",
                           peer->node);
    if (peer->key_check != local->key_check)
        return sup_err_set(err, refusal(SUP_REFUSED_KEY, out), "the address hash key differs");
    if (peer->drift_limit_ms != local->drift_limit_ms)
        return sup_err_set(err, refusal(SUP_REFUSED_DRIFT, out),
                           "max_clock_drift is %" PRIu64 " ms, here %" PRIu64 " ms",
                           peer->drift_limit_ms, local->drift_limit_ms);
    return check_name(peer, local, expected, out, err);
}

/* What a peer gives as its reason is any number. */
#define REASONS (SUP_REFUSED_IDENTITY + 1)
static atomic_uint_fast64_t refusals[2][REASONS];

void sup_hello_count_refusal(unsigned why, bool by_us)
{
    struct sup_buf labels;

    atomic_fetch_add(&refusals[by_us][why < REASONS ? why : SUP_REFUSED_OTHER], 1);
    sup_buf_init(&labels, 128);
    sup_metric_label(&labels, "reason", sup_refusal_name(why));
    sup_metric_add(
        by_us ? sup_metric("supsync_mesh_refusals_total", sup_buf_str(&labels), SUP_COUNTER,
                           "Peers refused at HELLO or for a broken frame, by reason")
              : sup_metric("supsync_mesh_refused_total", sup_buf_str(&labels), SUP_COUNTER,
                           "Times that a peer refused this node, by the reason that it gave"),
        1);
    sup_buf_fini(&labels);
}

uint64_t sup_session_refusals(unsigned reason, bool by_us)
{
    return reason < REASONS ? atomic_load(&refusals[by_us][reason]) : 0;
}

/* One HELLO under way. */
struct greeting {
    struct sup_link *link;
    const struct sup_session_local *local;
    const char *expected;    /* NULL on the listening side */
    struct sup_link_tls tls; /* once something came, or the link went down */
    bool verified;
};

/* Whom a line of the log is about, as far as it is known: the node that was dialled, or the name in
 * the certificate that a stranger showed. */
static void log_refusal(const struct greeting *g, unsigned why, bool by_us, const char *reason)
{
    uint64_t dropped = 0;

    sup_hello_count_refusal(why, by_us);
    if (!g->expected && !sup_stranger_may_log(&dropped))
        return;
    sup_log_warn("mesh", by_us ? "peer refused" : "refused by peer",
                 SUP_S("peer", g->expected ? g->expected : g->tls.name),
                 SUP_S("address", sup_link_peer(g->link)), SUP_S("why", sup_refusal_name(why)),
                 SUP_S("reason", reason), SUP_U("lines_dropped", dropped));
}

/* Tells the peer, logs, and waits a little for it to have read that. */
static void refuse(struct greeting *g, enum sup_refusal why, const char *reason)
{
    struct sup_mesh_msg *msg = calloc(1, sizeof(*msg));
    int64_t deadline = sup_mono_ms() + REFUSE_LINGER_MS;
    struct sup_frame frame;
    int64_t left;

    log_refusal(g, why, true, reason);
    if (!msg)
        return;
    msg->type = SUP_FRAME_REFUSE;
    msg->u.goodbye.code = why;
    sup_text_copy(msg->u.goodbye.reason, sizeof(msg->u.goodbye.reason), reason);
    if (post(g->link, msg, NULL) == SUP_OK)
        (void)sup_link_flush(g->link, REFUSE_LINGER_MS);
    while ((left = deadline - sup_mono_ms()) > 0 &&
           sup_link_recv(g->link, left, &frame, NULL) == SUP_OK)
        ;
    free(msg);
}

/* The first frame of the peer: its HELLO, or its REFUSE. */
static int recv_hello(struct greeting *g, int64_t deadline, struct sup_mesh_mem *mem,
                      struct sup_mesh_msg *msg, struct sup_err *err)
{
    struct sup_frame frame;
    int64_t left = deadline - sup_mono_ms();
    int rc = sup_link_recv(g->link, left > 0 ? left : 0, &frame, err);

    g->verified = sup_link_handshake(g->link, &g->tls);
    if (rc == SUP_ETIMEDOUT)
        return sup_err_set(err, rc, "no HELLO within %d ms", SUP_HELLO_TIMEOUT_MS);
    if (rc != SUP_OK)
        return rc;
    if (frame.type != SUP_FRAME_HELLO && frame.type != SUP_FRAME_REFUSE)
        return sup_err_set(err, SUP_ECORRUPT, "first frame is %s (type %u), not HELLO",
                           sup_frame_type_name(frame.type), frame.type);
    rc = sup_mesh_msg_decode(frame.type, frame.body, mem, msg, err);
    if (rc != SUP_OK || frame.type == SUP_FRAME_HELLO)
        return rc;
    log_refusal(g, msg->u.goodbye.code, false, msg->u.goodbye.reason);
    return sup_err_set(err, SUP_EAUTH, "refused by peer: %s", msg->u.goodbye.reason);
}

/* The link went down before the first frame: a handshake that failed says why, and the end that
 * refused told the other by a TLS alert. Returns rc, or SUP_EAUTH when it was for a certificate. */
static int explain(struct greeting *g, int rc, struct sup_err *err)
{
    if (g->tls.why[0] == '\0')
        return rc;
    if (g->tls.refused_by_us || g->tls.refused_by_peer) {
        log_refusal(g, SUP_REFUSED_IDENTITY, g->tls.refused_by_us, g->tls.why);
        rc = SUP_EAUTH;
    }
    return sup_err_set(err, rc, "%s", g->tls.why);
}

/* Before anything that the peer says is believed: it is who its certificate says it is. The
 * dialling side's TLS has checked the name that was dialled; a listening side's cannot know one. */
static int check_certificate(const struct greeting *g, const struct sup_hello *peer,
                             struct sup_err *err)
{
    if (!sup_link_is_tls(g->link))
        return SUP_OK; /* the configuration allowed it: mesh.insecure */
    if (!g->verified)
        return sup_err_set(err, SUP_EAUTH, "certificate not verified");
    if (!sup_link_carries(g->link, peer->node))
        return sup_err_set(err, SUP_EAUTH, "node %s shows a certificate issued to %s", peer->node,
                           g->tls.name);
    return SUP_OK;
}

static int exchange(struct greeting *g, struct sup_mesh_mem *mem, struct sup_mesh_msg *msg,
                    struct sup_err *err)
{
    int64_t deadline = sup_mono_ms() + SUP_HELLO_TIMEOUT_MS;
    enum sup_refusal why = SUP_REFUSED_IDENTITY;
    int rc = g->expected ? post_hello(g->link, g->local, msg, err) : SUP_OK;

    if (rc == SUP_OK)
        rc = recv_hello(g, deadline, mem, msg, err);
    else
        (void)sup_link_handshake(g->link, &g->tls);
    if (rc == SUP_EAUTH || rc == SUP_ECLOSED || rc == SUP_ETIMEDOUT || rc == SUP_EAGAIN)
        return explain(g, rc, err); /* nobody there to refuse, or it refused us */
    if (rc != SUP_OK) {
        refuse(g, SUP_REFUSED_PROTOCOL, err->msg);
        return rc;
    }
    rc = check_certificate(g, &msg->u.hello, err);
    if (rc == SUP_OK)
        rc = sup_hello_check(&msg->u.hello, g->local, g->expected, &why, err);
    if (rc != SUP_OK)
        refuse(g, why, err->msg);
    return rc;
}

int sup_hello_exchange(struct sup_link *link, const struct sup_session_local *local,
                       const char *expected, struct sup_hello *peer, struct sup_err *err)
{
    struct greeting g = {.link = link, .local = local, .expected = expected};
    struct sup_mesh_mem *mem = sup_mesh_mem_new();
    struct sup_mesh_msg *msg = malloc(sizeof(*msg));
    struct sup_err own = {0};
    int rc = SUP_ENOMEM;

    if (!mem || !msg) {
        (void)sup_err_set(&own, rc, "no memory for HELLO");
        goto out;
    }
    sup_link_set_body_max(link, SUP_MESH_HELLO_MAX);
    rc = exchange(&g, mem, msg, &own);
    if (rc == SUP_OK) {
        *peer = msg->u.hello;
        if (!expected)
            rc = post_hello(link, local, msg, &own);
        sup_link_set_body_max(link, SUP_FRAME_BODY_MAX);
    }
out:
    if (rc != SUP_OK)
        (void)sup_err_set(err, rc, "%s: %s", sup_link_peer(link), own.msg);
    free(msg);
    sup_mesh_mem_free(mem);
    return rc;
}
