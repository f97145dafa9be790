#include "service/replicate.h"

#include "base/clock.h"
#include "base/text.h"
#include "service/replicate_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    struct sup_replicator *r = arg;

    /* While it copies, what it holds adds up to nothing that anybody could compare. */
    return sup_replicator_pulls(r) && sup_peer_repair_root(r->opts.apply, root);
}

static bool local_known(void *arg, const char *node)
{
    const struct sup_peer *p = sup_replicator_find(arg, node);

    return p && !p->retired;
}

static void local_membership(void *arg, uint64_t *epoch, uint64_t *members)
{
    struct sup_replicator *r = arg;

    *epoch = atomic_load(&r->epoch);
    *members = atomic_load(&r->members);
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
    size_t n = 0;

    for (size_t i = 0; i < r->n_peers; i++)
        n += !r->peers[i].retired;
    /* With nobody to ask, nobody can have more of it. */
    if (n == 0)
        sup_apply_settle(r->opts.apply, sup_apply_incarnation(r->opts.apply));
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
        .features = sup_apply_keeper(opts->apply) ? SUP_FEATURE_REPAIR | SUP_FEATURE_SNAPSHOT : 0,
        .state = local_state,
        .root = local_root,
        .membership = local_membership,
        .standing = sup_replicator_standing,
        .known = local_known,
        .arg = r,
    };
    rc = sup_replicator_members_init(r, err);
    if (rc == SUP_OK)
        rc = sup_replicator_tls_init(r, err);
    if (rc == SUP_OK && sup_apply_keeper(opts->apply))
        rc = sup_joiner_open(opts->apply, opts->store, c->mesh.join_wait_ms, &r->joiner, err);
    if (rc == SUP_OK)
        sup_replicator_join_tick(r);
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
    sup_replicator_members_fini(r);
    sup_replicator_core_free(r);
    sup_joiner_free(r->joiner);
    sup_mesh_tls_free(r->tls);
    sup_stop_fini(&r->stop);
    free(r);
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
