/* Where the pure replica (core/replica.h) meets threads: steps are taken under one mutex; what an
 * action needs that cannot block is done here, the rest is handed to the caller. */
#include "base/clock.h"
#include "base/log.h"
#include "service/apply_members.h"
#include "service/apply_txn.h"
#include "service/log_trim.h"
#include "service/replicate_internal.h"

#include <stdlib.h>

#define TICK_MS 1000

static void post_ack(struct sup_replicator *r, const struct sup_replica_action *a)
{
    struct sup_peer *p = &r->peers[a->peer];
    struct sup_mesh_msg *ack = malloc(sizeof(*ack));

    if (!ack)
        return; /* the credit is missing then; the stall that follows ends the session */
    ack->type = SUP_FRAME_ACK;
    ack->u.pull.credit = a->amount;
    sup_vv_copy(&ack->u.pull.vv, &r->self.vv);
    pthread_mutex_lock(&p->mutex);
    if (p->session && p->session_id == a->session)
        (void)sup_session_post(p->session, ack);
    pthread_mutex_unlock(&p->mutex);
    free(ack);
}

static void close_dialed(struct sup_replicator *r, const struct sup_replica_action *a)
{
    struct sup_peer *p = &r->peers[a->peer];

    sup_log_warn("replicate", "ends the session with a peer", SUP_S("peer", p->config->name),
                 SUP_S("reason", a->text));
    pthread_mutex_lock(&p->mutex);
    if (p->session && p->session_id == a->session)
        sup_session_close(p->session, a->refusal, a->text);
    pthread_mutex_unlock(&p->mutex);
}

static void want_repair(struct sup_replicator *r, const struct sup_replica_action *a)
{
    struct sup_peer *p = &r->peers[a->peer];

    pthread_mutex_lock(&p->mutex);
    p->repair_wanted = p->session && p->session_id == a->session;
    pthread_mutex_unlock(&p->mutex);
}

static void carry_out(struct sup_replicator *r, const struct sup_replica_action *a,
                      struct sup_replica_orders *out)
{
    const char *peer = r->n_peers > 0 ? r->peers[a->peer].config->name : "";

    switch (a->type) {
    case SUP_ACT_PULL:
        out->pull = true;
        out->credit = a->amount;
        break;
    case SUP_ACT_ACK:
        post_ack(r, a);
        break;
    case SUP_ACT_SUBMIT:
        out->submit = true;
        break;
    case SUP_ACT_CLOSE_DIALED:
        close_dialed(r, a);
        break;
    case SUP_ACT_CLOSE_ACCEPTED:
        out->close = true;
        break;
    case SUP_ACT_DIAL:
        out->dial_ms = (int64_t)a->amount;
        break;
    case SUP_ACT_FILL:
        out->fill = true;
        out->max_bytes = a->amount;
        out->generation = a->generation;
        break;
    case SUP_ACT_TRANSMIT:
        out->transmit = true;
        break;
    case SUP_ACT_TRIMMED:
        out->trimmed = true;
        break;
    case SUP_ACT_REPAIR:
        want_repair(r, a);
        break;
    case SUP_ACT_SETTLE:
        sup_apply_settle(r->opts.apply, a->amount);
        break;
    case SUP_ACT_REVOKE:
        sup_apply_revoke(r->opts.apply, a->amount);
        break;
    case SUP_ACT_TRIM:
    case SUP_ACT_RETIRE:
        break; /* the ticker's: it copies the target */
    case SUP_ACT_ALARM:
        sup_log_warn("replicate", a->text, SUP_S("peer", peer));
        break;
    }
}

/* With the core's mutex. */
static struct sup_replica_actions *step(struct sup_replicator *r, const struct sup_replica_event *e,
                                        struct sup_replica_orders *out)
{
    struct sup_replica_actions *actions;

    *out = (struct sup_replica_orders){.dial_ms = -1};
    r->self.incarnation = sup_apply_incarnation(r->opts.apply);
    sup_apply_vv(r->opts.apply, &r->self.vv);
    sup_apply_floor(r->opts.apply, &r->self.floor);
    r->self.certain = sup_apply_certain(r->opts.apply);
    r->self.log_bytes = sup_apply_log_bytes(r->opts.apply);
    r->self.holds = !sup_replicator_pulls(r);
    actions = sup_replica_step(r->core, sup_mono_ms(), &r->self, e);
    for (size_t i = 0; i < actions->n; i++)
        carry_out(r, &actions->a[i], out);
    out->starved = actions->starved;
    out->n_ranges = actions->n_ranges;
    for (size_t i = 0; i < actions->n_ranges; i++)
        out->ranges[i] = actions->ranges[i];
    return actions;
}

void sup_replicator_step(struct sup_replicator *r, const struct sup_replica_event *e,
                         struct sup_replica_orders *out)
{
    pthread_mutex_lock(&r->core_mutex);
    (void)step(r, e, out);
    pthread_mutex_unlock(&r->core_mutex);
}

uint64_t sup_replicator_session(struct sup_replicator *r)
{
    uint64_t id;

    pthread_mutex_lock(&r->core_mutex);
    id = ++r->sessions;
    pthread_mutex_unlock(&r->core_mutex);
    return id;
}

/* --- ticks and trimming --- */

static int retire_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    return sup_apply_retire(a, t, arg, err);
}

static void retire(struct sup_replicator *r, struct sup_vv *incarnations)
{
    struct sup_err err = {0};

    if (incarnations->n == 0)
        return;
    /* Their logs are trimmed, but a crash may have left some of them behind. */
    sup_log_trim(r->opts.apply, incarnations, &r->stop);
    if (sup_apply_run(r->opts.apply, retire_run, incarnations, &err) != SUP_OK)
        sup_log_warn("replicate", "cannot forget old incarnations", SUP_S("error", err.msg));
}

struct targets {
    struct sup_vv trim, retire;
};

static void tick(struct sup_replicator *r, struct targets *out)
{
    static const struct sup_replica_event tick = {.type = SUP_EV_TICK};
    struct sup_replica_orders orders;
    struct sup_replica_actions *actions;

    sup_vv_init(&out->trim);
    sup_vv_init(&out->retire);
    pthread_mutex_lock(&r->core_mutex);
    actions = step(r, &tick, &orders);
    for (size_t i = 0; i < actions->n; i++) {
        if (actions->a[i].type == SUP_ACT_TRIM)
            sup_vv_copy(&out->trim, &actions->trim);
        else if (actions->a[i].type == SUP_ACT_RETIRE)
            sup_vv_copy(&out->retire, &actions->retire);
    }
    pthread_mutex_unlock(&r->core_mutex);
}

static void *ticker_main(void *arg)
{
    struct sup_replicator *r = arg;
    struct targets *t = calloc(1, sizeof(*t));

    while (t && !sup_stop_wait_ms(&r->stop, TICK_MS)) {
        tick(r, t);
        sup_log_trim(r->opts.apply, &t->trim, &r->stop);
        retire(r, &t->retire);
        sup_replicator_measure(r);
        sup_replicator_join_tick(r);
    }
    free(t);
    return NULL;
}

int sup_replicator_core_start(struct sup_replicator *r, struct sup_err *err)
{
    struct sup_replica_options opts = {.n_peers = r->n_peers,
                                       .seed = sup_random_u64(),
                                       .log_max_bytes = r->opts.config->mesh.log_max_bytes};
    int rc = sup_replica_new(&opts, &r->core, err);

    if (rc != SUP_OK)
        return rc;
    for (size_t i = 0; i < r->n_peers; i++) {
        sup_replica_load(r->core, i, &r->peers[i].vv);
        sup_replica_load_incarnation(r->core, i, r->peers[i].incarnation);
        sup_replica_retire(r->core, i, r->peers[i].retired);
    }
    if (sup_thread_start(&r->ticker, "mesh-tick", ticker_main, r) != SUP_OK)
        return sup_err_set(err, SUP_EAGAIN, "cannot start a thread");
    r->ticking = true;
    return SUP_OK;
}

void sup_replicator_core_stop(struct sup_replicator *r)
{
    if (r->ticking)
        pthread_join(r->ticker, NULL);
    r->ticking = false;
}

void sup_replicator_core_free(struct sup_replicator *r)
{
    sup_replica_free(r->core);
    pthread_mutex_destroy(&r->core_mutex);
}
