#include "mesh_client.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "base/thread.h"
#include "mesh/session_impl.h"

#include <stdio.h>
#include <stdlib.h>

/* A SYN that is not answered within this is sent again by the next dial. */
#define DIAL_TIMEOUT_MS 5000

/* Full jitter. A session shorter than STABLE counts as a failed attempt. */
#define REDIAL_BASE_MS   100
#define REDIAL_CAP_MS    10000
#define REDIAL_STABLE_MS 250

struct redial {
    struct sup_rng rng;
    unsigned attempt;
};

struct sup_mesh_client {
    struct sup_mesh_client_opts opts;
    struct sup_dialer *dialer;
    pthread_t thread;
    struct redial redial;
    pthread_mutex_t mutex; /* all that follows */
    pthread_cond_t cond;   /* closed, nudged */
    bool closed;
    bool nudged;
    struct sup_link *link;
    struct sup_session *session;
    struct sup_mesh_client_status status;
};

static void redial_init(struct redial *r, uint64_t seed)
{
    sup_rng_seed(&r->rng, seed);
    r->attempt = 0;
}

static int64_t redial_wait_ms(struct redial *r, int64_t lived_ms)
{
    if (lived_ms >= REDIAL_STABLE_MS)
        r->attempt = 0;
    int64_t wait = sup_backoff_ms(&r->rng, REDIAL_BASE_MS, REDIAL_CAP_MS, r->attempt);
    if (r->attempt < 16) /* the cap is reached long before */
        r->attempt++;
    return wait;
}

static void note_error(struct sup_mesh_client *c, int code, const char *reason)
{
    pthread_mutex_lock(&c->mutex);
    if (code != SUP_OK && *reason != '\0')
        (void)sup_text_copy(c->status.last_error, sizeof(c->status.last_error), reason);
    if (code == SUP_EAUTH || code == SUP_EVERSION || code == SUP_EINPUT)
        c->status.refusals++;
    pthread_mutex_unlock(&c->mutex);
}

/* Makes the link reachable for close. False when the client was closed in between. */
static bool show_link(struct sup_mesh_client *c, struct sup_link *link)
{
    pthread_mutex_lock(&c->mutex);
    bool go_on = !c->closed;
    if (go_on)
        c->link = link;
    pthread_mutex_unlock(&c->mutex);
    return go_on;
}

static void show_session(struct sup_mesh_client *c, struct sup_session *session)
{
    pthread_mutex_lock(&c->mutex);
    c->link = NULL;
    c->session = session;
    if (session) {
        c->status.connected = true;
        c->status.sessions++;
        if (c->closed)
            sup_session_close(session, SUP_REFUSED_STOPPING, "node is stopping");
    }
    pthread_mutex_unlock(&c->mutex);
}

/* With the mutex: the present session's figures into the status. */
static void take_stats(struct sup_mesh_client *c)
{
    if (!c->session)
        return;
    sup_session_stats(c->session, &c->status.session);
    int64_t ago = sup_mono_ms() - c->status.session.last_heard_mono_ms;
    c->status.last_heard_ms = sup_wall_ms() - ago;
}

/* Adds the ended session to the totals and hides it. */
static void hide_session(struct sup_mesh_client *c)
{
    pthread_mutex_lock(&c->mutex);
    take_stats(c);
    c->status.bytes_in += c->status.session.bytes_in;
    c->status.bytes_out += c->status.session.bytes_out;
    c->status.connected = false;
    c->session = NULL;
    pthread_mutex_unlock(&c->mutex);
}

/* Runs a session to its end; returns how long it lived. */
static int64_t run_session(struct sup_mesh_client *c, struct sup_session *s)
{
    int64_t begin = sup_mono_ms();
    struct sup_err err = {0};

    sup_log_info("mesh", "connected to peer", SUP_S("peer", c->opts.peer),
                 SUP_S("address", sup_session_address(s)));
    c->opts.run(c->opts.arg, s);
    int code = sup_link_error(s->link, &err);
    note_error(c, code == SUP_EAUTH ? code : SUP_ECLOSED, err.msg);
    hide_session(c);
    sup_log_info("mesh", "connection to peer ended", SUP_S("peer", c->opts.peer),
                 SUP_S("reason", err.msg));
    sup_session_free(s);
    return sup_mono_ms() - begin;
}

/* One attempt; returns how long the session lived, 0 if there was none. */
static int64_t attempt(struct sup_mesh_client *c)
{
    struct sup_link *link;
    struct sup_session *session;
    struct sup_err err = {0};
    int rc = sup_link_dial(c->dialer, DIAL_TIMEOUT_MS, &link, &err);

    if (rc != SUP_OK) {
        note_error(c, rc == SUP_EINPUT ? SUP_EAGAIN : rc, err.msg);
        return 0;
    }
    rc = SUP_ECLOSED;
    if (show_link(c, link))
        rc = sup_session_open(link, c->opts.local, c->opts.peer, c->opts.heart, &session, &err);
    if (rc == SUP_OK) {
        show_session(c, session);
        return run_session(c, session);
    }
    show_session(c, NULL);
    sup_link_free(link);
    note_error(c, rc, err.msg);
    SUP_LOG_(rc == SUP_EAUTH ? SUP_LOG_WARN : SUP_LOG_INFO, "mesh", "no session with peer",
             SUP_S("peer", c->opts.peer), SUP_S("reason", err.msg));
    return 0;
}

/* True when it is time to dial, false when the client was closed. */
static bool wait_to_dial(struct sup_mesh_client *c, int64_t wait_ms)
{
    int64_t deadline = sup_mono_ms() + wait_ms;
    int64_t left = 0;

    pthread_mutex_lock(&c->mutex);
    for (;;) {
        if (c->nudged) {
            c->nudged = false;
            redial_init(&c->redial, sup_rng_u64(&c->redial.rng));
            int64_t sooner = sup_mono_ms() + redial_wait_ms(&c->redial, 0);
            deadline = sooner < deadline ? sooner : deadline;
        }
        left = deadline - sup_mono_ms();
        if (c->closed || left <= 0)
            break;
        (void)sup_cond_wait_ms(&c->cond, &c->mutex, left);
    }
    bool go_on = !c->closed;
    pthread_mutex_unlock(&c->mutex);
    return go_on;
}

static void *client_run(void *arg)
{
    struct sup_mesh_client *c = arg;
    int64_t wait = 0;

    while (wait_to_dial(c, wait))
        wait = redial_wait_ms(&c->redial, attempt(c));
    return NULL;
}

int sup_mesh_client_start(const struct sup_mesh_client_opts *opts, struct sup_mesh_client **out,
                          struct sup_err *err)
{
    struct sup_mesh_client *c = calloc(1, sizeof(*c));
    const char *server_name = opts->server_name ? opts->server_name : opts->peer;

    if (!c)
        return sup_err_set(err, SUP_ENOMEM, "no memory for a mesh client");
    c->opts = *opts;
    c->status.last_heard_ms = -1;
    c->status.session.rtt_ms = -1;
    pthread_mutex_init(&c->mutex, NULL);
    sup_cond_init(&c->cond);
    redial_init(&c->redial, sup_random_u64());
    int rc = sup_dialer_new(opts->url, opts->tls, server_name, &c->dialer, err);
    if (rc == SUP_OK) {
        rc = sup_thread_start(&c->thread, "mesh-client", client_run, c);
        if (rc != SUP_OK)
            (void)sup_err_set(err, rc, "cannot start a mesh thread");
    }
    if (rc != SUP_OK) {
        sup_mesh_client_free(c);
        return rc;
    }
    *out = c;
    return SUP_OK;
}

void sup_mesh_client_status(struct sup_mesh_client *c, struct sup_mesh_client_status *out)
{
    pthread_mutex_lock(&c->mutex);
    take_stats(c);
    *out = c->status;
    if (c->session) { /* the totals hold only ended ones */
        out->bytes_in += out->session.bytes_in;
        out->bytes_out += out->session.bytes_out;
    }
    pthread_mutex_unlock(&c->mutex);
}

void sup_mesh_client_nudge(struct sup_mesh_client *c)
{
    pthread_mutex_lock(&c->mutex);
    /* Kept while there is a session: the peer may be a new process, and the session's end near. */
    c->nudged = true;
    pthread_cond_broadcast(&c->cond);
    pthread_mutex_unlock(&c->mutex);
}

void sup_mesh_client_close(struct sup_mesh_client *c)
{
    sup_dialer_close(c->dialer);
    pthread_mutex_lock(&c->mutex);
    c->closed = true;
    pthread_cond_broadcast(&c->cond);
    if (c->session)
        sup_session_close(c->session, SUP_REFUSED_STOPPING, "node is stopping");
    else if (c->link)
        sup_link_close(c->link, SUP_ECLOSED, "node is stopping");
    pthread_mutex_unlock(&c->mutex);
}

void sup_mesh_client_stop(struct sup_mesh_client *c)
{
    sup_mesh_client_close(c);
    (void)pthread_join(c->thread, NULL);
}

void sup_mesh_client_free(struct sup_mesh_client *c)
{
    if (!c)
        return;
    sup_dialer_free(c->dialer);
    pthread_cond_destroy(&c->cond);
    pthread_mutex_destroy(&c->mutex);
    free(c);
}
