/* What peers say of their Regions, for reports over all of them: asked for when somebody wants to
 * know, and once a session, so that of a peer that went away at least its last word is known. */
#include "base/clock.h"
#include "base/text.h"
#include "service/replicate_internal.h"

#include <stdlib.h>
#include <string.h>

/* --- answering --- */

void sup_replicator_answer_summary(struct sup_replicator *r, struct sup_session *s, uint64_t id)
{
    struct sup_mesh_msg *msg = calloc(1, sizeof(*msg));

    if (!msg)
        return;
    msg->type = SUP_FRAME_SUMMARY;
    /* Who asks waits for a while only: no answer is one, too. */
    if (r->opts.summary && r->opts.summary(r->opts.arg, &msg->u.summary)) {
        msg->u.summary.id = id;
        (void)sup_session_post(s, msg);
    }
    free(msg);
}

/* --- asking --- */

static int post_ask(struct sup_session *s, uint64_t id)
{
    struct sup_mesh_msg *msg = calloc(1, sizeof(*msg));
    int rc = SUP_ENOMEM;

    if (msg) {
        msg->type = SUP_FRAME_SUMMARY_ASK;
        msg->u.summary.id = id;
        rc = sup_session_post(s, msg);
    }
    free(msg);
    return rc;
}

void sup_peer_ask_summary(struct sup_peer *p)
{
    (void)post_ask(p->session, 0);
}

void sup_peer_take_summary(struct sup_peer *p, const struct sup_summary *s)
{
    pthread_mutex_lock(&p->mutex);
    /* Answers come in the order of the asks; one to no ask would hide them all. */
    if (s->id >= p->summary.id && s->id <= atomic_load(&p->r->asks)) {
        p->summary = *s;
        p->summary_wall_ms = sup_wall_ms();
    }
    pthread_cond_broadcast(&p->cond);
    pthread_mutex_unlock(&p->mutex);
}

/* The session is the pull thread's, which frees it only after having taken it out of *p. */
static void ask(struct sup_peer *p, uint64_t id)
{
    pthread_mutex_lock(&p->mutex);
    if (p->session)
        (void)post_ask(p->session, id);
    pthread_mutex_unlock(&p->mutex);
}

static void await(struct sup_peer *p, uint64_t id, int64_t deadline, struct sup_peer_summary *out)
{
    memset(out, 0, sizeof(*out));
    out->name = p->config->name;
    out->region = p->region;
    pthread_mutex_lock(&p->mutex);
    for (int64_t left = deadline - sup_mono_ms();
         p->session && p->summary.id < id && left > 0 && !sup_stop_is_set(&p->r->stop);
         left = deadline - sup_mono_ms())
        sup_cond_wait_ms(&p->cond, &p->mutex, left);
    out->connected = p->session != NULL;
    out->answered = p->summary.id >= id;
    out->heard_ms = p->summary_wall_ms;
    out->summary = p->summary;
    sup_text_copy(out->error, sizeof(out->error), p->last_error);
    pthread_mutex_unlock(&p->mutex);
}

size_t sup_replicator_summaries(struct sup_replicator *r, int64_t wait_ms,
                                struct sup_peer_summary *out, size_t max)
{
    int64_t deadline = sup_mono_ms() + wait_ms;
    size_t peers = r->n_peers;
    size_t n = 0;
    uint64_t id = atomic_fetch_add(&r->asks, 1) + 1;

    for (size_t i = 0; i < peers; i++)
        ask(&r->peers[i], id);
    for (size_t i = 0; i < peers && n < max; i++) {
        if (!r->peers[i].retired)
            await(&r->peers[i], id, deadline, &out[n++]);
    }
    return n;
}
