#include "service/replicate.h"

#include "base/clock.h"
#include "base/text.h"
#include "service/replicate_internal.h"
#include "service/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Clock offset to a peer that is worth a warning. */
#define OFFSET_WARN_MS 500.0
#define SETTLE_WAIT_MS 1500
#define SETTLE_LOOK_MS 10

static void local_state(void *arg, uint64_t *incarnation, struct sup_vv *vv)
{
    struct sup_replicator *r = arg;

    *incarnation = sup_apply_incarnation(r->opts.apply);
    sup_apply_vv(r->opts.apply, vv);
}

static bool local_root(void *arg, uint8_t root[SUP_REPAIR_ROOT_SIZE])
{
    const struct sup_replicator *r = arg;

    return sup_peer_repair_root(r->opts.apply, root);
}

static bool local_known(void *arg, const char *node)
{
    const struct sup_replicator *r = arg;

    for (size_t i = 0; i < r->opts.config->mesh.n_peers; i++) {
        if (strcmp(r->opts.config->mesh.peers[i].name, node) == 0)
            return true;
    }
    return false;
}

static int peers_init(struct sup_replicator *r, struct sup_err *err)
{
    const struct sup_options *c = r->opts.config;

    r->peers = calloc(c->mesh.n_peers > 0 ? c->mesh.n_peers : 1, sizeof(*r->peers));
    if (!r->peers)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    for (size_t i = 0; i < c->mesh.n_peers; i++) {
        struct sup_peer *p = &r->peers[i];
        int rc;
        p->r = r;
        p->config = &c->mesh.peers[i];
        p->index = i;
        p->level_mono_ms = -1;
        p->contact_wall_ms = SUP_NO_TIME;
        p->rtt_ms = -1;
        p->summary_wall_ms = SUP_NO_TIME;
        pthread_mutex_init(&p->mutex, NULL);
        sup_cond_init(&p->cond);
        r->n_peers++;
        rc = sup_peer_load(p, err);
        if (rc != SUP_OK)
            return rc;
    }
    return SUP_OK;
}

static int tls_init(struct sup_replicator *r, struct sup_err *err)
{
    const struct sup_options *c = r->opts.config;
    struct sup_mesh_tls_files files = {
        .ca = c->mesh.tls_ca, .cert = c->mesh.tls_cert, .key = c->mesh.tls_key, .crl = ""};

    if (c->mesh.tls_ca[0] == '\0')
        return SUP_OK; /* the configuration allowed it: mesh.insecure */
    return sup_mesh_tls_load(&files, &r->tls, err);
}

static int endpoints_start(struct sup_replicator *r, struct sup_err *err)
{
    const struct sup_options *c = r->opts.config;
    struct sup_mesh_server_opts server = {
        .url = c->mesh.listen,
        .tls = r->tls,
        .local = &r->local,
        .heart = NULL,
        .serve = sup_replicator_serve,
        .arg = r,
    };
    int rc = sup_heart_start(&r->heart, err);

    server.heart = r->heart;
    if (rc == SUP_OK)
        rc = sup_replicator_core_start(r, err);
    if (rc == SUP_OK && c->mesh.listen[0] != '\0')
        rc = sup_mesh_server_start(&server, &r->server, err);
    for (size_t i = 0; rc == SUP_OK && i < r->n_peers; i++)
        rc = sup_peer_start(&r->peers[i], err);
    return rc;
}

/* After a restart, gives the peers a moment to say whether our incarnation may be continued: else
 * the first events would take a new one each time, and every version vector would grow by it. */
static void await_peers(struct sup_replicator *r)
{
    int64_t deadline = sup_mono_ms() + SETTLE_WAIT_MS;
    struct sup_vv vv;

    sup_apply_vv(r->opts.apply, &vv);
    if (sup_vv_get(&vv, sup_apply_incarnation(r->opts.apply)) == 0)
        return; /* never written under */
    while (!sup_apply_settled(r->opts.apply) && sup_mono_ms() < deadline)
        sup_stop_wait_ms(&r->stop, SETTLE_LOOK_MS);
}

int sup_replicator_start(const struct sup_replicator_options *opts, struct sup_replicator **out,
                         struct sup_err *err)
{
    const struct sup_options *c = opts->config;
    struct sup_replicator *r = calloc(1, sizeof(*r));
    int rc;

    if (!r)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    r->opts = *opts;
    sup_stop_init(&r->stop);
    pthread_mutex_init(&r->core_mutex, NULL);
    r->local = (struct sup_session_local){
        .cluster = c->mesh.cluster,
        .node = c->node,
        .node_id = sup_apply_node_id(opts->apply),
        .key_check = sup_apply_hash(opts->apply)->check,
        .drift_limit_ms = (uint64_t)c->mesh.max_clock_drift_ms,
        .features = sup_apply_keeper(opts->apply) ? SUP_FEATURE_REPAIR : 0,
        .state = local_state,
        .root = local_root,
        .known = local_known,
        .arg = r,
    };
    rc = peers_init(r, err);
    if (rc == SUP_OK)
        rc = tls_init(r, err);
    if (rc == SUP_OK)
        rc = endpoints_start(r, err);
    if (rc != SUP_OK) {
        sup_replicator_stop(r);
        sup_replicator_free(r);
        return rc;
    }
    await_peers(r);
    *out = r;
    return SUP_OK;
}

void sup_replicator_stop(struct sup_replicator *r)
{
    if (!r)
        return;
    sup_stop_set(&r->stop);
    sup_apply_wake(r->opts.apply);
    for (size_t i = 0; i < r->n_peers; i++)
        sup_peer_stop(&r->peers[i]);
    if (r->server) {
        sup_mesh_server_close(r->server);
        sup_apply_wake(r->opts.apply);
        sup_mesh_server_stop(r->server);
    }
    sup_replicator_core_stop(r);
}

void sup_replicator_free(struct sup_replicator *r)
{
    if (!r)
        return;
    sup_mesh_server_free(r->server);
    if (r->heart)
        sup_heart_free(r->heart);
    for (size_t i = 0; i < r->n_peers; i++) {
        pthread_cond_destroy(&r->peers[i].cond);
        pthread_mutex_destroy(&r->peers[i].mutex);
    }
    free(r->peers);
    sup_replicator_core_free(r);
    sup_mesh_tls_free(r->tls);
    sup_stop_fini(&r->stop);
    free(r);
}

static double age_s(const struct sup_peer *p, int64_t now_mono_ms)
{
    return p->level_mono_ms < 0 ? -1.0 : (double)(now_mono_ms - p->level_mono_ms) / 1000.0;
}

double sup_replicator_age_s(struct sup_replicator *r, size_t i)
{
    double age;

    pthread_mutex_lock(&r->peers[i].mutex);
    age = age_s(&r->peers[i], sup_mono_ms());
    pthread_mutex_unlock(&r->peers[i].mutex);
    return age;
}

const char *sup_replicator_node_name(struct sup_replicator *r, uint64_t node_id)
{
    const char *name = NULL;

    if (node_id == r->local.node_id)
        return r->local.node;
    for (size_t i = 0; i < r->n_peers && !name; i++) {
        pthread_mutex_lock(&r->peers[i].mutex);
        if (r->peers[i].node_id == node_id)
            name = r->peers[i].config->name;
        pthread_mutex_unlock(&r->peers[i].mutex);
    }
    return name;
}

static void peer_status(struct sup_peer *p, const struct sup_vv *mine, int64_t now,
                        struct sup_status *out, bool *level)
{
    struct sup_peer_status *s = &out->peers[out->n_peers++];

    pthread_mutex_lock(&p->mutex);
    s->name = p->config->name;
    s->url = p->config->url;
    s->connected = p->session != NULL;
    s->lag_mutations = sup_vv_missing(mine, &p->vv);
    s->lag_seconds = s->lag_mutations > 0 || !s->connected ? age_s(p, now) : 0;
    s->last_contact_ms = p->contact_wall_ms;
    s->clock_offset_ms = p->clock_offset_ms;
    s->rtt_ms = p->rtt_ms;
    s->bytes_in = p->bytes_in;
    s->bytes_out = p->bytes_out;
    s->reconnects = p->sessions > 0 ? p->sessions - 1 : 0;
    s->refusals = p->refusals;
    sup_text_copy(s->last_error, sizeof(s->last_error), p->last_error);
    *level = *level && s->connected && s->lag_mutations == 0 && sup_vv_covers(&p->vv, mine);
    pthread_mutex_unlock(&p->mutex);
    if (!s->connected)
        sup_status_problem(out, "peer %s is not connected%s%s", s->name,
                           s->last_error[0] ? ": " : "", s->last_error);
    else if (s->clock_offset_ms > OFFSET_WARN_MS || s->clock_offset_ms < -OFFSET_WARN_MS)
        sup_status_problem(out, "clock of peer %s is %.0f ms off ours", s->name,
                           s->clock_offset_ms);
}

static bool needs_repair(struct sup_replicator *r, size_t peer)
{
    struct sup_replica_peer_view view;

    pthread_mutex_lock(&r->core_mutex);
    sup_replica_peer(r->core, peer, &view);
    pthread_mutex_unlock(&r->core_mutex);
    return view.needs_repair;
}

void sup_replicator_status(struct sup_replicator *r, struct sup_status *out, bool *level)
{
    int64_t now = sup_mono_ms();
    struct sup_vv mine;

    *level = true;
    sup_apply_vv(r->opts.apply, &mine);
    for (size_t i = 0; i < r->n_peers && out->n_peers < SUP_STATUS_PEERS_MAX; i++) {
        peer_status(&r->peers[i], &mine, now, out, level);
        if (needs_repair(r, i))
            sup_status_problem(out,
                               "peer %s lacks what was trimmed from our log: it needs a repair",
                               r->peers[i].config->name);
    }
}
