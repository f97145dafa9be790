#include "mesh/server.h"

#include "base/log.h"
#include "base/thread.h"
#include "mesh/refusal.h"
#include "mesh/session_impl.h"

#include <stdlib.h>
#include <string.h>

#define GREETING_MAX 64
#define BACKLOG      256 /* connections in all, with those that are being closed */
/* How long the accept thread waits before it looks for ended connections, and after an error. */
#define ACCEPT_MS 1000
#define PAUSE_MS  100

/* GREETING: link is set. SERVING: session is set. OVER: the thread can be joined. */
enum conn_state { CONN_GREETING, CONN_SERVING, CONN_OVER };

struct conn {
    struct conn *next;
    struct sup_mesh_server *server;
    pthread_t thread;
    enum conn_state state;
    struct sup_link *link;
    struct sup_session *session;
    bool evicted;
};

struct sup_mesh_server {
    struct sup_mesh_server_opts opts;
    struct sup_listener *listener;
    pthread_t accept_thread;
    struct sup_stop stop;
    pthread_mutex_t mutex; /* conns (newest first), all that they point to, closed */
    struct conn *conns;
    bool closed;
};

/* --- one connection --- */

static void set_over(struct conn *c)
{
    pthread_mutex_lock(&c->server->mutex);
    struct sup_link *link = c->link;
    struct sup_session *session = c->session;
    c->link = NULL;
    c->session = NULL;
    pthread_mutex_unlock(&c->server->mutex);
    /* Nobody else can reach them any more. */
    sup_session_free(session);
    sup_link_free(link);
    pthread_mutex_lock(&c->server->mutex);
    c->state = CONN_OVER;
    pthread_mutex_unlock(&c->server->mutex);
}

/* A peer that dials anew has given its old connection up, whatever that looks like from here. */
static void replace_older(struct conn *c)
{
    const char *node = sup_session_peer(c->session)->node;

    for (struct conn *o = c->server->conns; o; o = o->next) {
        if (o == c || o->state != CONN_SERVING || !o->session)
            continue;
        if (strcmp(sup_session_peer(o->session)->node, node) == 0)
            sup_session_close(o->session, SUP_REFUSED_OTHER, "replaced by a newer connection");
    }
}

static void set_serving(struct conn *c, struct sup_session *session)
{
    pthread_mutex_lock(&c->server->mutex);
    c->link = NULL; /* the session's */
    c->session = session;
    c->state = CONN_SERVING;
    replace_older(c);
    if (c->server->closed)
        sup_session_close(session, SUP_REFUSED_STOPPING, "node is stopping");
    pthread_mutex_unlock(&c->server->mutex);
}

static void *conn_run(void *arg)
{
    struct conn *c = arg;
    struct sup_mesh_server *s = c->server;
    struct sup_session *session;
    struct sup_err err = {0};
    uint64_t dropped = 0;

    /* link stays set until the thread itself takes it away, so reading it needs no lock. */
    if (sup_session_open(c->link, s->opts.local, NULL, s->opts.heart, &session, &err) == SUP_OK) {
        set_serving(c, session);
        sup_log_info("mesh", "peer connected", SUP_S("peer", sup_session_peer(session)->node),
                     SUP_S("address", sup_session_address(session)));
        s->opts.serve(s->opts.arg, session);
        sup_log_info("mesh", "peer disconnected", SUP_S("peer", sup_session_peer(session)->node),
                     SUP_S("address", sup_session_address(session)));
    } else if (sup_stranger_may_log(&dropped)) {
        sup_log_info("mesh", "connection without a session", SUP_S("reason", err.msg),
                     SUP_U("lines_dropped", dropped));
    }
    set_over(c);
    return NULL;
}

/* --- accepting --- */

/* With the mutex: takes the ended connections off the list. */
static struct conn *take_over(struct sup_mesh_server *s)
{
    struct conn *over = NULL;

    for (struct conn **p = &s->conns; *p;) {
        struct conn *c = *p;
        if (c->state != CONN_OVER) {
            p = &c->next;
            continue;
        }
        *p = c->next;
        c->next = over;
        over = c;
    }
    return over;
}

static void reap(struct sup_mesh_server *s)
{
    pthread_mutex_lock(&s->mutex);
    struct conn *over = take_over(s);
    pthread_mutex_unlock(&s->mutex);
    while (over) {
        struct conn *next = over->next;
        (void)pthread_join(over->thread, NULL);
        free(over);
        over = next;
    }
}

/* With the mutex. Too many strangers: the one that has been silent longest goes, so holding
 * connections open keeps nobody out. False: no room even so. */
static bool make_room(struct sup_mesh_server *s)
{
    unsigned greeting = 0;
    unsigned all = 0;
    struct conn *oldest = NULL;

    for (struct conn *c = s->conns; c; c = c->next) {
        all++;
        if (c->state != CONN_GREETING || c->evicted)
            continue;
        greeting++;
        oldest = c;
    }
    if (oldest && greeting >= s->opts.greeting_max) {
        oldest->evicted = true;
        sup_link_close(oldest->link, SUP_ECLOSED, "too many connections that said no HELLO");
    }
    return all < BACKLOG;
}

/* Takes the link over. */
static void welcome(struct sup_mesh_server *s, struct sup_link *link)
{
    struct conn *c = calloc(1, sizeof(*c));
    uint64_t dropped = 0;
    bool started = false;

    pthread_mutex_lock(&s->mutex);
    if (c && !s->closed && make_room(s)) {
        *c = (struct conn){.server = s, .link = link, .state = CONN_GREETING, .next = s->conns};
        /* Its first step that another could see takes the mutex. */
        started = sup_thread_start(&c->thread, "mesh-conn", conn_run, c) == SUP_OK;
        if (started)
            s->conns = c;
    }
    pthread_mutex_unlock(&s->mutex);
    if (started)
        return;
    if (sup_stranger_may_log(&dropped))
        sup_log_warn("mesh", "connection turned away: too many",
                     SUP_S("address", sup_link_peer(link)), SUP_U("lines_dropped", dropped));
    free(c);
    sup_link_free(link);
}

static void *accept_run(void *arg)
{
    struct sup_mesh_server *s = arg;

    while (!sup_stop_is_set(&s->stop)) {
        struct sup_link *link;
        struct sup_err err = {0};
        int rc = sup_link_accept(s->listener, ACCEPT_MS, &link, &err);
        reap(s);
        if (rc == SUP_OK) {
            welcome(s, link);
        } else if (rc != SUP_ETIMEDOUT && !sup_stop_is_set(&s->stop)) {
            sup_log_warn("mesh", "accepting failed", SUP_S("reason", err.msg));
            (void)sup_stop_wait_ms(&s->stop, PAUSE_MS);
        }
    }
    return NULL;
}

/* --- life --- */

int sup_mesh_server_start(const struct sup_mesh_server_opts *opts, struct sup_mesh_server **out,
                          struct sup_err *err)
{
    struct sup_mesh_server *s = calloc(1, sizeof(*s));

    if (!s)
        return sup_err_set(err, SUP_ENOMEM, "no memory for the mesh server");
    s->opts = *opts;
    if (s->opts.greeting_max == 0)
        s->opts.greeting_max = GREETING_MAX;
    sup_stop_init(&s->stop);
    pthread_mutex_init(&s->mutex, NULL);
    int rc = sup_listener_open(opts->url, opts->tls, &s->listener, err);
    if (rc == SUP_OK) {
        rc = sup_thread_start(&s->accept_thread, "mesh-accept", accept_run, s);
        if (rc != SUP_OK)
            (void)sup_err_set(err, rc, "cannot start the accept thread");
    }
    if (rc != SUP_OK) {
        sup_mesh_server_free(s);
        return rc;
    }
    *out = s;
    return SUP_OK;
}

int sup_mesh_server_port(const struct sup_mesh_server *s)
{
    return sup_listener_port(s->listener);
}

void sup_mesh_server_close(struct sup_mesh_server *s)
{
    sup_stop_set(&s->stop);
    sup_listener_close(s->listener);
    pthread_mutex_lock(&s->mutex);
    s->closed = true;
    for (struct conn *c = s->conns; c; c = c->next) {
        if (c->session)
            sup_session_close(c->session, SUP_REFUSED_STOPPING, "node is stopping");
        else if (c->link)
            sup_link_close(c->link, SUP_ECLOSED, "node is stopping");
    }
    pthread_mutex_unlock(&s->mutex);
}

void sup_mesh_server_stop(struct sup_mesh_server *s)
{
    sup_mesh_server_close(s);
    (void)pthread_join(s->accept_thread, NULL);
    pthread_mutex_lock(&s->mutex);
    struct conn *all = s->conns;
    s->conns = NULL;
    pthread_mutex_unlock(&s->mutex);
    while (all) {
        struct conn *next = all->next;
        (void)pthread_join(all->thread, NULL);
        free(all);
        all = next;
    }
}

void sup_mesh_server_free(struct sup_mesh_server *s)
{
    if (!s)
        return;
    sup_listener_free(s->listener);
    pthread_mutex_destroy(&s->mutex);
    sup_stop_fini(&s->stop);
    free(s);
}
