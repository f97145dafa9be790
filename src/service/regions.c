#include "service/regions.h"

#include "base/clock.h"
#include "base/text.h"
#include "service/internal.h"

#include <stdlib.h>
#include <string.h>

/* False: no memory. */
static bool summarize(struct sup_service *s, struct sup_summary *out)
{
    struct sup_status *st = calloc(1, sizeof(*st));

    memset(out, 0, sizeof(*out));
    if (!st)
        return false;
    sup_service_status(s, st);
    sup_text_copy(out->region, sizeof(out->region), st->region);
    sup_text_copy(out->mode, sizeof(out->mode), st->mode);
    out->healthy = st->healthy;
    out->converged = st->converged;
    out->pending = st->outbox.pending;
    out->failing = st->outbox.failing;
    while (out->n_problems < st->n_problems && out->n_problems < SUP_SUMMARY_PROBLEMS_MAX) {
        sup_text_copy(out->problems[out->n_problems], sizeof(out->problems[0]),
                      st->problems[out->n_problems]);
        out->n_problems++;
    }
    free(st);
    if (s->reconciler)
        out->has_report = sup_reconciler_last(s->reconciler, &out->report);
    return true;
}

bool sup_service_summary(void *arg, struct sup_summary *out)
{
    struct sup_service *s = arg;

    return atomic_load(&s->started) && summarize(s, out);
}

static void own_view(struct sup_service *s, struct sup_region_view *v)
{
    memset(v, 0, sizeof(*v));
    v->node = s->config->node;
    sup_text_copy(v->region, sizeof(v->region), s->config->region);
    v->known = v->connected = summarize(s, &v->summary);
    v->heard_ms = v->known ? sup_wall_ms() : SUP_NO_TIME;
    if (!v->known)
        sup_text_copy(v->error, sizeof(v->error), "out of memory");
}

static void peer_view(const struct sup_peer_summary *p, const char *region,
                      struct sup_region_view *v)
{
    memset(v, 0, sizeof(*v));
    v->node = p->name;
    v->known = p->connected && p->answered;
    v->connected = p->connected;
    v->heard_ms = p->heard_ms;
    v->summary = p->summary;
    sup_text_copy(v->region, sizeof(v->region),
                  p->summary.region[0] != '\0' ? p->summary.region : region);
    if (!p->connected)
        sup_text_copy(v->error, sizeof(v->error), p->error[0] ? p->error : "not connected");
    else if (!p->answered)
        sup_text_copy(
            v->error, sizeof(v->error),
            "connected, but it gave no answer: it is starting, busy, or of a version that "
            "cannot tell");
}

size_t sup_service_regions(struct sup_service *s, int64_t wait_ms, struct sup_region_view *out,
                           size_t max)
{
    struct sup_peer_summary *peers = NULL;
    size_t n = 0;

    if (max == 0)
        return 0;
    if (s->replicator && max > 1)
        peers = calloc(max - 1, sizeof(*peers));
    if (peers)
        n = sup_replicator_summaries(s->replicator, wait_ms, peers, max - 1);
    for (size_t i = 0; i < n; i++)
        peer_view(&peers[i], peers[i].region, &out[1 + i]);
    free(peers);
    /* Last, so that it is as fresh as theirs. */
    own_view(s, &out[0]);
    return 1 + n;
}
