/* A node: the product's apply and replica on a store in memory, and what the service layer does
 * around them. */
#include "sim.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sim *clock_sim;
static const struct sim_node *clock_node;

static int64_t wall(void)
{
    return clock_sim->wall_base + clock_sim->now + (clock_node ? clock_node->clock_offset_ms : 0);
}

static int64_t mono(void)
{
    return clock_sim->now;
}

static uint64_t random_id(void)
{
    return sup_rng_u64(&clock_sim->rng) | 1;
}

void sim_node_use(struct sim *s, struct sim_node *n)
{
    clock_sim = s;
    clock_node = n;
}

size_t sim_peer_index(const struct sim_node *n, unsigned other)
{
    for (size_t i = 0; i < n->n_peers; i++) {
        if (n->peers[i] == other)
            return i;
    }
    return SIZE_MAX;
}

unsigned sim_peer_node(const struct sim_node *n, size_t index)
{
    return index < n->n_peers ? n->peers[index] : n->id;
}

uint64_t sim_member(const struct sim *s, const struct sim_node *n, unsigned other)
{
    return sup_apply_member(n->apply, s->nodes[other].name);
}

/* --- claims --- */

/* Whatever a node tells of its vector must be there after a crash. */
void sim_claim(struct sim *s, struct sim_node *n, const struct sup_vv *vv)
{
    if (sup_vv_merge(&n->claimed, vv) != SUP_OK)
        sim_fail(s, "%s knows too many incarnations", n->name);
}

/* --- actions --- */

static void send_log(struct sim *s, struct sim_node *n, const struct sup_replica_action *a,
                     const struct sup_replica_range *ranges, size_t n_ranges)
{
    unsigned peer = sim_peer_node(n, a->peer);
    struct sup_log_batch batch;
    struct sup_err err = {0};
    int rc = sup_log_reader_fill(s->reader, n->store, ranges, n_ranges, a->amount, &batch, &err);

    /* Nothing runs between the step and the reading, so what the step asks for is there. */
    if (rc != SUP_OK) {
        sim_fail(s, "%s cannot read its log: %s", n->name, err.msg);
        return;
    }
    struct sup_replica_event e = {.type = SUP_EV_FILLED,
                                  .peer = a->peer,
                                  .session = a->session,
                                  .ranges = batch.ranges,
                                  .n = batch.n_ranges,
                                  .cost = batch.bytes,
                                  .generation = a->generation};
    struct sim_msg *m = sim_msg_new(MSG_MUTATIONS, n->id, peer, false, a->session, NULL);
    sim_msg_put(m, batch.m, batch.n);
    m->cost = batch.bytes;
    sim_step(s, n, &e, m);
}

/* What one mutation of the simulation comes to, at most. */
#define MUTATION_MAX 256

/* A server never has more under way than it was granted, and one message. */
static void check_credit(struct sim *s, struct sim_node *n, size_t peer)
{
    struct sup_replica_peer_view view;

    if (s->shape.credit == 0 || s->shape.lossy) /* a doubled ACK grants twice */
        return;
    sup_replica_peer(n->replica, peer, &view);
    if (view.unacknowledged > s->shape.credit + s->shape.message + MUTATION_MAX)
        sim_fail(s, "%s was sent more than it granted", n->name);
}

static void submit_mutations(struct sim *s, struct sim_node *n, const struct sup_replica_action *a,
                             struct sim_msg *m)
{
    struct sim_job *j = sim_job_new(s, n, JOB_MUTATIONS);

    j->peer = sim_peer_node(n, a->peer);
    j->session = a->session;
    j->msg = m;
    check_credit(s, n, a->peer);
    if (s->plant == PLANT_EARLY_ACK) {
        struct sup_replica_event e = {
            .type = SUP_EV_APPLIED, .peer = a->peer, .session = a->session, .cost = m->cost};
        for (size_t i = 0; i < m->n; i++)
            (void)sup_vv_raise(&n->claimed, m->m[i].incarnation, m->m[i].seq);
        sim_step(s, n, &e, NULL);
    }
    sim_submit(s, j);
}

static void send_vv(struct sim *s, struct sim_node *n, const struct sup_replica_action *a,
                    enum sim_msg_type type)
{
    struct sup_vv vv;
    struct sim_msg *m;

    sup_apply_vv(n->apply, &vv);
    if (s->plant == PLANT_EARLY_ACK)
        (void)sup_vv_merge(&vv, &n->claimed);
    sim_claim(s, n, &vv);
    m = sim_msg_new(type, n->id, sim_peer_node(n, a->peer), true, a->session, &vv);
    m->cost = a->amount;
    sim_send(s, m);
}

static void send_floor(struct sim *s, struct sim_node *n, const struct sup_replica_action *a)
{
    struct sup_vv floor;

    sup_apply_floor(n->apply, &floor);
    sim_send(s,
             sim_msg_new(MSG_TRIMMED, n->id, sim_peer_node(n, a->peer), false, a->session, &floor));
}

/* again: it was trimmed as far before. */
static void trim(struct sim *s, struct sim_node *n, const struct sup_vv *upto, bool again)
{
    struct sup_vv all;

    if (s->plant == PLANT_TRIM_EARLY) {
        sup_apply_vv(n->apply, &all);
        upto = &all;
    }
    for (size_t i = 0; i < upto->n; i++) {
        struct sim_job *j = sim_job_new(s, n, JOB_TRIM);
        j->trim =
            (struct sup_apply_trim){.incarnation = upto->e[i].incarnation, .upto = upto->e[i].seq};
        for (unsigned k = 0; k < s->shape.n_nodes && !again; k++)
            j->knew |= n->knows[k] ? 1U << k : 0;
        sim_submit(s, j);
    }
}

/* First what a crash may have left of their logs. */
static void retire(struct sim *s, struct sim_node *n, const struct sup_vv *incarnations)
{
    trim(s, n, incarnations, true);
    for (size_t i = 0; i < incarnations->n; i++) {
        struct sim_job *j = sim_job_new(s, n, JOB_RETIRE);
        j->retire = incarnations->e[i];
        sim_submit(s, j);
    }
}

static void close_session(struct sim *s, struct sim_node *n, const struct sup_replica_action *a)
{
    unsigned peer = sim_peer_node(n, a->peer);
    bool dialed = a->type == SUP_ACT_CLOSE_DIALED;

    sim_send(s, sim_msg_new(MSG_CLOSE, n->id, peer, dialed, a->session, NULL));
    if (dialed && s->conns[n->id][peer].dialed == a->session)
        sim_dialed_lost(s, n, peer);
    else if (!dialed && s->conns[peer][n->id].accepted == a->session)
        sim_accepted_lost(s, n, peer);
}

static const char *const action_names[] = {
    "pull",    "ack",    "submit", "close dialled", "close accepted", "dial",   "fill", "transmit",
    "trimmed", "repair", "settle", "revoke",        "trim",           "retire", "alarm"};

static void act(struct sim *s, struct sim_node *n, const struct sup_replica_action *a,
                struct sup_replica_actions *all, struct sim_msg **msg)
{
    unsigned peer = sim_peer_node(n, a->peer);

    if (a->type != SUP_ACT_FILL)
        sim_tracef(s, "%s → %s n%u %s", n->name, action_names[a->type], peer, a->text);
    switch (a->type) {
    case SUP_ACT_PULL:
        send_vv(s, n, a, MSG_PULL);
        break;
    case SUP_ACT_ACK:
        send_vv(s, n, a, MSG_ACK);
        break;
    case SUP_ACT_SUBMIT:
        submit_mutations(s, n, a, *msg);
        *msg = NULL;
        break;
    case SUP_ACT_CLOSE_DIALED:
    case SUP_ACT_CLOSE_ACCEPTED:
        close_session(s, n, a);
        break;
    case SUP_ACT_DIAL:
        sim_push(s, (int64_t)a->amount,
                 (struct sim_event){.type = EV_DIAL, .node = n->id, .peer = peer, .life = n->life});
        break;
    case SUP_ACT_FILL:
        send_log(s, n, a, all->ranges, all->n_ranges);
        break;
    case SUP_ACT_TRANSMIT:
        sim_send(s, *msg);
        *msg = NULL;
        break;
    case SUP_ACT_TRIMMED:
        send_floor(s, n, a);
        break;
    case SUP_ACT_REPAIR:
        sim_repair_ask(s, n, peer, true);
        break;
    case SUP_ACT_SETTLE:
        sup_apply_settle(n->apply, a->amount);
        break;
    case SUP_ACT_REVOKE:
        if (s->plant != PLANT_REUSED_INCARNATION)
            sup_apply_revoke(n->apply, a->amount);
        break;
    case SUP_ACT_TRIM:
        trim(s, n, &all->trim, false);
        break;
    case SUP_ACT_RETIRE:
        retire(s, n, &all->retire);
        break;
    case SUP_ACT_ALARM:
        break;
    }
}

void sim_step(struct sim *s, struct sim_node *n, const struct sup_replica_event *e,
              struct sim_msg *msg)
{
    static struct sup_replica_self self;
    struct sup_replica_actions *out;
    struct sup_replica_action list[2 * SIM_NODES_MAX + 4];
    size_t count;

    self.holds = !sim_join_pulls(n);
    self.incarnation = sup_apply_incarnation(n->apply);
    self.certain = sup_apply_certain(n->apply);
    sup_apply_vv(n->apply, &self.vv);
    sup_apply_floor(n->apply, &self.floor);
    if (s->plant == PLANT_EARLY_ACK)
        (void)sup_vv_merge(&self.vv, &n->claimed);
    out = sup_replica_step(n->replica, s->now, &self, e);
    /* Carrying one out may step again, which reuses the list. */
    count = out->n;
    memcpy(list, out->a, count * sizeof(*list));
    for (size_t i = 0; i < count && !s->failed; i++)
        act(s, n, &list[i], out, &msg);
    sim_msg_free(msg);
}

void sim_serve(struct sim *s, struct sim_node *n)
{
    for (size_t p = 0; p < n->n_peers && !s->failed; p++) {
        uint64_t session = s->conns[sim_peer_node(n, p)][n->id].accepted;
        struct sup_replica_event e = {.type = SUP_EV_MAY_SEND, .peer = p, .session = session};
        uint64_t before;
        if (session == 0)
            continue;
        do {
            before = s->order;
            sim_step(s, n, &e, NULL);
        } while (s->order != before && !s->failed); /* something was sent */
    }
}

/* --- life --- */

static void load_peer(struct sim_node *n, size_t index)
{
    unsigned peer = sim_peer_node(n, index);

    sup_replica_load(n->replica, index, &n->saved[peer]);
    sup_replica_load_incarnation(n->replica, index, n->saved_incarnation[peer]);
}

static void open_apply(struct sim *s, struct sim_node *n)
{
    struct sup_apply_options o = {.store = n->store,
                                  .hash = s->hash,
                                  .max_clock_drift_ms = SIM_DRIFT_MS,
                                  .dedup_ttl_ms = 86400000,
                                  .wall_ms = wall,
                                  .mono_ms = mono,
                                  .random_id = random_id,
                                  .threadless = true};
    struct sup_replica_options r = {.n_peers = n->n_peers,
                                    .seed = sup_rng_u64(&s->rng),
                                    .trim_every_ms = s->shape.trim_ms,
                                    .retire_ms = s->shape.retire_ms,
                                    .credit = s->shape.credit,
                                    .message = s->shape.message,
                                    .log_max = s->shape.log_max};
    struct sup_err err = {0};

    if (sup_sketch_keeper_open(n->store, &s->hash, SIM_SYMBOLS, &n->keeper, &err) != SUP_OK) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    o.keeper = n->keeper;
    if (sup_apply_start(&o, &n->apply, &err) != SUP_OK ||
        sup_replica_new(&r, &n->replica, &err) != SUP_OK) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    sup_apply_share_among(n->apply, n->n_peers);
    for (size_t p = 0; p < r.n_peers; p++)
        load_peer(n, p);
    if (s->plant == PLANT_REUSED_INCARNATION)
        sup_apply_settle(n->apply, sup_apply_incarnation(n->apply));
}

static void open_store(struct sim *s, struct sim_node *n)
{
    struct sup_store_identity id = {.node = n->name, .cluster = "sim"};
    uint64_t incarnation = sup_rng_u64(&s->rng) | 1;
    struct sup_err err = {0};

    if (s->plant == PLANT_REUSED_INCARNATION)
        incarnation = 1000 + n->id;
    if (sup_store_open_memory(&id, &n->store, &err) != SUP_OK ||
        sup_store_memory_set_ids(n->store, sup_rng_u64(&s->rng) | 1, incarnation, &err) != SUP_OK) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
}

static void read_config(struct sim *s, struct sim_node *n)
{
    n->n_peers = 0;
    for (unsigned i = 0; i < s->shape.n_nodes; i++) {
        if (n->knows[i])
            n->peers[n->n_peers++] = i;
    }
}

void sim_node_start(struct sim *s, struct sim_node *n)
{
    sim_node_use(s, n);
    if (!n->store)
        open_store(s, n);
    n->life++;
    n->running = true;
    n->commit_due = false;
    read_config(s, n);
    if (n->old && n->life > 1 && sim_chance(s, 300))
        n->old = false; /* the mesh is upgraded node by node */
    open_apply(s, n);
    sim_tracef(s, "%s starts", n->name);
    sim_join_start(s, n);
    sim_check_restart(s, n);
    for (size_t p = 0; p < n->n_peers; p++)
        sim_push(s, 1 + (int64_t)sim_below(s, 50),
                 (struct sim_event){
                     .type = EV_DIAL, .node = n->id, .peer = n->peers[p], .life = n->life});
    sim_push(s, 1 + (int64_t)sim_below(s, 1000),
             (struct sim_event){.type = EV_TICK, .node = n->id, .life = n->life});
}

void sim_node_add_peer(struct sim *s, struct sim_node *n, unsigned peer)
{
    if (sup_replica_add(n->replica, NULL) != SUP_OK)
        abort();
    n->peers[n->n_peers] = peer;
    load_peer(n, n->n_peers++);
    sup_apply_share_among(n->apply, n->n_peers);
    sim_join_member(s, n, peer, true);
    sup_apply_settle(n->apply, 0); /* there is somebody new to ask */
    sim_push(s, 1,
             (struct sim_event){.type = EV_DIAL, .node = n->id, .peer = peer, .life = n->life});
}

void sim_node_retire_peer(struct sim *s, struct sim_node *n, unsigned peer)
{
    size_t index = sim_peer_index(n, peer);

    if (index == SIZE_MAX)
        return;
    sim_join_member(s, n, peer, false);
    sim_join_lost(s, n, peer);
    sup_replica_retire(n->replica, index, true);
    s->conns[n->id][peer].dialed = 0;
    s->conns[n->id][peer].dialed_up = false;
    s->conns[peer][n->id].accepted = 0;
    sim_give_end(&s->conns[peer][n->id]);
}

/* The process ends and the machine with it: what was not synced is gone. A batch may just have
 * become durable without anybody having been told. */
void sim_node_crash(struct sim *s, struct sim_node *n)
{
    if (!n->running)
        return;
    s->count.crashes++;
    sim_tracef(s, "%s crashes", n->name);
    if (n->n_jobs > 0 && sim_chance(s, 500)) {
        n->dying = true;
        sim_commit(s, n);
        n->dying = false;
    }
    sim_jobs_drop(n);
    sim_join_stop(n);
    for (unsigned p = 0; p < s->shape.n_nodes; p++)
        sim_give_end(&s->conns[p][n->id]);
    sup_apply_free(n->apply);
    sup_sketch_keeper_free(n->keeper);
    sup_replica_free(n->replica);
    n->apply = NULL;
    n->keeper = NULL;
    n->replica = NULL;
    n->running = false;
    sup_store_memory_crash(n->store);
    for (unsigned p = 0; p < s->shape.n_nodes; p++) {
        s->conns[n->id][p].dialed = 0;
        s->conns[n->id][p].dialed_up = false;
        s->conns[n->id][p].view.connected = false;
        s->conns[p][n->id].accepted = 0;
    }
}

/* What the checks remember of a disk that is no more. */
static void forget(struct sim *s, struct sim_node *n)
{
    memset(&n->last, 0, sizeof(n->last));
    sim_check_join_lost_disk(n);
    sup_vv_init(&n->durable);
    sup_vv_init(&n->claimed);
    n->issued = 0;
    for (unsigned p = 0; p < s->shape.n_nodes; p++)
        sup_vv_init(&n->saved[p]);
    memset(n->saved_incarnation, 0, s->shape.n_nodes * sizeof(*n->saved_incarnation));
}

void sim_node_wipe(struct sim *s, struct sim_node *n)
{
    s->count.wipes++;
    sim_tracef(s, "%s loses its disk", n->name);
    sim_excuse(s, n, NULL);
    sup_store_close(n->store);
    n->store = NULL;
    forget(s, n);
}

void sim_node_backup(struct sim *s, struct sim_node *n)
{
    if (!n->store)
        return;
    sim_tracef(s, "%s is copied", n->name);
    sup_store_close(n->backup);
    if (sup_store_memory_clone(n->store, &n->backup, NULL) != SUP_OK)
        abort();
    sup_vv_copy(&n->copied, &n->durable);
    n->copied_from = n->joined.from;
}

void sim_node_restore(struct sim *s, struct sim_node *n)
{
    if (!n->backup)
        return;
    s->count.restores++;
    sim_tracef(s, "%s is restored from the copy", n->name);
    sim_excuse(s, n, n->backup);
    sup_store_close(n->store);
    if (sup_store_memory_clone(n->backup, &n->store, NULL) != SUP_OK)
        abort();
    forget(s, n);
    sup_vv_copy(&n->durable, &n->copied);
    n->joined.from = n->copied_from;
}

static bool quarantine_holds(struct sim_node *n)
{
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(n->store, NULL, SUP_CF_QUARANTINE, open, open);
    bool yes = it && sup_iter_valid(it);

    sup_iter_free(it);
    return yes;
}

void sim_node_tick(struct sim *s, struct sim_node *n)
{
    struct sup_replica_event e = {.type = SUP_EV_TICK};

    sim_conn_tick(s, n);
    if (s->failed)
        return;
    sim_join_tick(s, n);
    sim_step(s, n, &e, NULL);
    sim_serve(s, n);
    if (quarantine_holds(n))
        sim_submit(s, sim_job_new(s, n, JOB_RELEASE));
    if (++n->ticks % 5 == 0) {
        for (size_t p = 0; p < n->n_peers; p++) {
            struct sup_replica_peer_view view;
            sup_replica_peer(n->replica, p, &view);
            sup_vv_copy(&n->saved[sim_peer_node(n, p)], view.has);
            n->saved_incarnation[sim_peer_node(n, p)] =
                s->conns[n->id][sim_peer_node(n, p)].incarnation;
        }
    }
    sim_push(s, 1000, (struct sim_event){.type = EV_TICK, .node = n->id, .life = n->life});
}
