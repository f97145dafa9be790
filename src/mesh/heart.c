#include "mesh/session_impl.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Silence is looked for this often, so it is found at the latest this much after the limit. */
#define TICK_MS 250

/* One thread for all sessions: nothing that it does waits for a peer. */
struct sup_heart {
    pthread_t thread;
    struct sup_stop stop;
    pthread_mutex_t mutex; /* the list; held through a tick, so remove waits for it */
    struct sup_session *sessions;
    const struct sup_mesh_tls *tls; /* that of the last recheck; NULL before */
    struct sup_mesh_msg msg;        /* the thread's */
};

static void check_silence(struct sup_session *s)
{
    int64_t silent = sup_link_silent_ms(s->link);

    sup_link_check(s->link);
    if (silent < SUP_SILENCE_MS)
        return;
    sup_log_warn("mesh", "peer is silent: connection closed", SUP_S("peer", s->peer.node),
                 SUP_S("address", sup_link_peer(s->link)), SUP_I("silent_ms", silent));
    sup_link_close(s->link, SUP_ECLOSED, "peer silent for 5 s");
}

static void tick(struct sup_heart *h)
{
    pthread_mutex_lock(&h->mutex);
    int64_t now = sup_mono_ms();
    for (struct sup_session *s = h->sessions; s; s = s->next) {
        if (sup_link_error(s->link, NULL) != SUP_OK)
            continue;
        check_silence(s);
        if (now < s->next_beat_ms)
            continue;
        s->next_beat_ms = now + SUP_HEARTBEAT_MS;
        h->msg.type = SUP_FRAME_HEARTBEAT;
        sup_session_heartbeat(s, &h->msg.u.heartbeat);
        /* With SUP_ELIMIT others wait already: the peer hears from us when it reads again. */
        (void)sup_session_post(s, &h->msg);
    }
    pthread_mutex_unlock(&h->mutex);
}

static void *run(void *arg)
{
    struct sup_heart *h = arg;

    while (!sup_stop_wait_ms(&h->stop, TICK_MS))
        tick(h);
    return NULL;
}

int sup_heart_start(struct sup_heart **out, struct sup_err *err)
{
    struct sup_heart *h = calloc(1, sizeof(*h));

    if (!h)
        return sup_err_set(err, SUP_ENOMEM, "no memory for the heartbeat thread");
    sup_stop_init(&h->stop);
    pthread_mutex_init(&h->mutex, NULL);
    int rc = sup_thread_start(&h->thread, "mesh-heart", run, h);
    if (rc != SUP_OK) {
        pthread_mutex_destroy(&h->mutex);
        sup_stop_fini(&h->stop);
        free(h);
        return sup_err_set(err, rc, "cannot start the heartbeat thread");
    }
    *out = h;
    return SUP_OK;
}

void sup_heart_free(struct sup_heart *h)
{
    if (!h)
        return;
    sup_stop_set(&h->stop);
    (void)pthread_join(h->thread, NULL);
    pthread_mutex_destroy(&h->mutex);
    sup_stop_fini(&h->stop);
    free(h);
}

/* With the mutex. */
static bool recheck(struct sup_heart *h, struct sup_session *s)
{
    struct sup_err err = {0};
    char reason[SUP_MESH_REASON_MAX + 1];

    if (sup_link_recheck(s->link, h->tls, &err) == SUP_OK)
        return false;
    (void)snprintf(reason, sizeof(reason), "the peer's %.200s now", err.msg);
    sup_hello_count_refusal(SUP_REFUSED_IDENTITY, true);
    sup_log_warn("mesh", "session ended", SUP_S("peer", s->peer.node),
                 SUP_S("address", sup_link_peer(s->link)),
                 SUP_S("why", sup_refusal_name(SUP_REFUSED_IDENTITY)), SUP_S("reason", reason));
    sup_session_close(s, SUP_REFUSED_IDENTITY, reason);
    return true;
}

size_t sup_heart_recheck(struct sup_heart *h, const struct sup_mesh_tls *tls)
{
    size_t ended = 0;

    pthread_mutex_lock(&h->mutex);
    h->tls = tls;
    for (struct sup_session *s = h->sessions; s; s = s->next) {
        if (sup_link_error(s->link, NULL) == SUP_OK)
            ended += recheck(h, s);
    }
    pthread_mutex_unlock(&h->mutex);
    return ended;
}

void sup_heart_add(struct sup_heart *h, struct sup_session *s)
{
    pthread_mutex_lock(&h->mutex);
    s->next = h->sessions;
    h->sessions = s;
    /* Its handshake may have begun before the last reload. */
    if (h->tls)
        (void)recheck(h, s);
    pthread_mutex_unlock(&h->mutex);
}

void sup_heart_remove(struct sup_heart *h, struct sup_session *s)
{
    pthread_mutex_lock(&h->mutex);
    for (struct sup_session **p = &h->sessions; *p; p = &(*p)->next) {
        if (*p == s) {
            *p = s->next;
            break;
        }
    }
    pthread_mutex_unlock(&h->mutex);
}
