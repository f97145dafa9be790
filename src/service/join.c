#include "service/join.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/text.h"
#include "base/thread.h"
#include "service/apply_members.h"
#include "service/join_store.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SEND_TIMEOUT_MS 10000

struct sup_joiner {
    struct sup_apply *apply;
    _Atomic int phase; /* core.said, for those who ask without the mutex */

    pthread_mutex_t mutex; /* all below */
    pthread_cond_t cond;   /* a part came back */
    struct sup_joining core;
    struct sup_session *session; /* the donor's */
};

/* --- what is stored --- */

struct write {
    enum sup_join_phase phase;
    const char *donor;
};

static int write_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    const struct write *w = arg;

    (void)a;
    return sup_join_store_phase(t, w->phase, w->donor, err);
}

/* --- the step --- */

static void say(const struct sup_join_state *s, enum sup_join_phase phase)
{
    switch (phase) {
    case SUP_JOIN_COPY:
        sup_log_info("join", "joins: copies the set of a peer", SUP_U("records_here", s->records));
        break;
    case SUP_JOIN_LOG:
        sup_log_info("join", "the copy is whole: pulls what came since", SUP_S("donor", s->donor),
                     SUP_U("records", s->records), SUP_U("bytes", s->bytes),
                     SUP_U("streams", s->streams));
        break;
    case SUP_JOIN_ALONE:
        sup_log_warn("join", "met no peer that knows anything, and not all of them: answers from "
                             "what is here until one comes");
        break;
    case SUP_JOIN_READY:
        sup_log_info("join", "ready", SUP_U("records_copied", s->records));
        break;
    default:
        break;
    }
}

/* With the mutex. */
static void step_locked(struct sup_joiner *j, const struct sup_joining_event *e,
                        struct sup_joining_actions *out)
{
    sup_joining_step(&j->core, sup_mono_ms(), e, out);
    if (out->moved)
        say(&j->core.durable, out->phase);
    j->phase = (int)j->core.said;
}

/* Waits for the commit. Not on the writer thread, and without the mutex. */
static void store(struct sup_joiner *j, const struct sup_joining_actions *a)
{
    char donor[sizeof(j->core.durable.donor)];
    struct write w = {.phase = a->phase, .donor = donor};
    struct sup_joining_event e = {.type = SUP_JOINING_STORED, .phase = a->phase};
    struct sup_joining_actions none;
    struct sup_err err = {0};

    if (!a->store)
        return;
    pthread_mutex_lock(&j->mutex);
    sup_text_copy(donor, sizeof(donor), j->core.durable.donor);
    pthread_mutex_unlock(&j->mutex);
    e.code = sup_apply_run(j->apply, write_run, &w, &err);
    if (e.code != SUP_OK)
        sup_log_error("join", "cannot store how far joining has come", SUP_S("error", err.msg));
    pthread_mutex_lock(&j->mutex);
    step_locked(j, &e, &none);
    pthread_mutex_unlock(&j->mutex);
}

static void step(struct sup_joiner *j, const struct sup_joining_event *e,
                 struct sup_joining_actions *out)
{
    pthread_mutex_lock(&j->mutex);
    step_locked(j, e, out);
    pthread_mutex_unlock(&j->mutex);
    store(j, out);
}

/* --- beginning and end --- */

static int begin(struct sup_joiner *j, struct sup_store *store, int64_t alone_ms,
                 struct sup_join_state *state, struct sup_err *err)
{
    struct sup_joining_options o = {.alone_ms = alone_ms, .stream = (uint32_t)sup_random_u64()};
    struct write w = {.donor = NULL};
    bool unsaid = false;
    int rc = sup_join_store_first(j->apply, store, state, &w.phase, &unsaid, err);

    if (rc == SUP_OK && unsaid) {
        state->began_ms = sup_wall_ms();
        rc = sup_apply_run(j->apply, write_run, &w, err);
    }
    sup_joining_init(&j->core, w.phase, state, &o, sup_mono_ms());
    j->phase = (int)w.phase;
    return rc;
}

int sup_joiner_open(struct sup_apply *apply, struct sup_store *store, int64_t alone_ms,
                    struct sup_joiner **out, struct sup_err *err)
{
    struct sup_joiner *j = calloc(1, sizeof(*j));
    struct sup_join_state *state = calloc(1, sizeof(*state));
    int rc = SUP_ENOMEM;

    if (j && state) {
        j->apply = apply;
        pthread_mutex_init(&j->mutex, NULL);
        sup_cond_init(&j->cond);
        rc = begin(j, store, alone_ms, state, err);
        if (rc != SUP_OK)
            sup_joiner_free(j);
    } else {
        free(j);
        rc = sup_err_set(err, SUP_ENOMEM, "out of memory");
    }
    free(state);
    *out = rc == SUP_OK ? j : NULL;
    return rc;
}

void sup_joiner_free(struct sup_joiner *j)
{
    if (!j)
        return;
    pthread_cond_destroy(&j->cond);
    pthread_mutex_destroy(&j->mutex);
    free(j);
}

enum sup_join_phase sup_joiner_phase(const struct sup_joiner *j)
{
    return (enum sup_join_phase)j->phase;
}

void sup_joiner_member(struct sup_joiner *j, size_t peer, bool member)
{
    struct sup_joining_event e = {.type = SUP_JOINING_MEMBER, .peer = peer, .n = member};
    struct sup_joining_actions out;

    step(j, &e, &out);
}

void sup_joiner_tick(struct sup_joiner *j, size_t n_peers)
{
    struct sup_joining_event e = {.type = SUP_JOINING_TICK, .n = n_peers};
    struct sup_joining_actions out;

    step(j, &e, &out);
}

/* --- peers --- */

/* Gives credit back; none: no more is wanted. */
static void post_ack(struct sup_session *s, uint32_t id, uint64_t credit)
{
    struct sup_mesh_msg *msg = calloc(1, sizeof(*msg));

    if (!msg)
        return; /* the donor falls silent, and is asked again */
    msg->type = SUP_FRAME_SNAPSHOT_ACK;
    msg->u.snapshot.id = id;
    msg->u.snapshot.u.ack.credit = credit;
    (void)sup_session_post(s, msg);
    free(msg);
}

/* A failure ends the session, and that the order. */
static void ask(const struct sup_joiner_peer *p, const struct sup_joining_actions *a)
{
    struct sup_mesh_msg *msg = calloc(1, sizeof(*msg));

    if (!msg)
        return;
    msg->type = SUP_FRAME_SNAPSHOT_ASK;
    msg->u.snapshot.id = a->id;
    /* Only this thread, the donor's, changes what it points to. */
    msg->u.snapshot.u.ask = (struct sup_snapshot_ask){.after = a->after, .credit = a->credit};
    (void)sup_session_send(p->session, msg, SEND_TIMEOUT_MS);
    free(msg);
}

enum sup_join_order sup_joiner_see(struct sup_joiner *j, const struct sup_joiner_peer *p)
{
    struct sup_joining_event e = {
        .type = SUP_JOINING_SEEN, .peer = p->index, .view = &p->view, .name = p->name};
    struct sup_joining_actions a;

    if (sup_joiner_phase(j) == SUP_JOIN_READY)
        return SUP_JOIN_WAIT;
    pthread_mutex_lock(&j->mutex);
    step_locked(j, &e, &a);
    if (a.ask) {
        j->session = p->session;
        sup_log_info("join", "asks a peer for its set", SUP_S("peer", p->name),
                     SUP_U("records_here", j->core.durable.records));
    }
    pthread_mutex_unlock(&j->mutex);
    store(j, &a);
    if (a.cancel)
        post_ack(p->session, a.id, 0);
    if (a.ask)
        ask(p, &a);
    return a.ask       ? SUP_JOIN_ASK
           : a.adopt   ? SUP_JOIN_ADOPT
           : a.compare ? SUP_JOIN_COMPARE
                       : SUP_JOIN_WAIT;
}

/* --- chunks --- */

struct join_job {
    struct sup_apply_job job;
    struct sup_joiner *j;
    struct sup_mesh_mem *mem;
    struct sup_snapshot_chunk chunk;
    struct sup_joining_part part;
};

static int job_run(struct sup_apply_job *job, struct sup_txn *t, struct sup_err *err)
{
    struct join_job *k = (struct join_job *)job;

    sup_apply_from(job->apply, sup_apply_member(job->apply, k->part.state.donor));
    return sup_join_store_part(job->apply, t, &k->part, &k->chunk, err);
}

static void count_metrics(const struct join_job *k)
{
    sup_metric_add(sup_metric("supsync_join_records_total", NULL, SUP_COUNTER,
                              "Records that came by a snapshot"),
                   (int64_t)k->chunk.n);
    sup_metric_add(sup_metric("supsync_join_bytes_total", NULL, SUP_COUNTER,
                              "Bytes of snapshots received, uncompressed"),
                   (int64_t)k->chunk.size);
}

/* On the writer thread. After the unlock the session may be gone. */
static void job_done(struct sup_apply_job *job, int code, const struct sup_err *err)
{
    struct join_job *k = (struct join_job *)job;
    struct sup_joiner *j = k->j;
    struct sup_joining_event e = {.type = SUP_JOINING_APPLIED, .part = &k->part, .code = code};
    struct sup_joining_actions a;

    if (code == SUP_OK)
        count_metrics(k);
    else if (code != SUP_EAGAIN)
        sup_log_error("join", "a part of a snapshot could not be applied",
                      SUP_S("error", err ? err->msg : sup_code_name(code)));
    pthread_mutex_lock(&j->mutex);
    step_locked(j, &e, &a);
    if (a.ack || a.cancel)
        post_ack(j->session, a.id, a.ack ? a.credit : 0);
    pthread_cond_broadcast(&j->cond);
    pthread_mutex_unlock(&j->mutex);
    sup_mesh_mem_free(k->mem);
    free(k);
}

static void say_refused(enum sup_snapshot_state why)
{
    if (why != SUP_SNAPSHOT_GOES_ON)
        sup_log_info("join", "a peer gives no snapshot now",
                     SUP_S("why", why == SUP_SNAPSHOT_BUSY        ? "busy"
                                  : why == SUP_SNAPSHOT_NOT_READY ? "not ready"
                                                                  : "held for long enough"));
}

int sup_joiner_chunk(struct sup_joiner *j, size_t peer, const struct sup_snapshot_msg *msg,
                     struct sup_mesh_mem **mem, struct sup_err *err)
{
    struct join_job *k = calloc(1, sizeof(*k));
    struct sup_joining_event e = {.type = SUP_JOINING_CHUNK, .peer = peer, .msg = msg, .err = err};
    struct sup_joining_actions a;
    int rc;

    if (!k)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    *k = (struct join_job){.job = {.run = job_run, .done = job_done}, .j = j};
    k->chunk = msg->u.chunk;
    e.part = &k->part;
    e.hash = sup_apply_hash(j->apply);
    step(j, &e, &a);
    say_refused(a.refused);
    if (!a.submit) {
        free(k);
        return a.code;
    }
    k->mem = *mem;
    *mem = NULL;
    rc = sup_apply_submit(j->apply, &k->job, -1);
    if (rc != SUP_OK)
        job_done(&k->job, rc, NULL);
    return SUP_OK;
}

void sup_joiner_repaired(struct sup_joiner *j, size_t peer, int code)
{
    struct sup_joining_event e = {.type = SUP_JOINING_REPAIRED, .peer = peer, .code = code};
    struct sup_joining_actions a;

    if (sup_joiner_phase(j) != SUP_JOIN_READY)
        step(j, &e, &a);
}

void sup_joiner_lost(struct sup_joiner *j, size_t peer)
{
    struct sup_joining_event e = {.type = SUP_JOINING_LOST, .peer = peer};
    struct sup_joining_actions a;

    pthread_mutex_lock(&j->mutex);
    while (j->core.donor == peer && j->core.in_flight > 0)
        sup_cond_wait_ms(&j->cond, &j->mutex, -1);
    if (j->core.donor == peer)
        j->session = NULL;
    step_locked(j, &e, &a);
    pthread_mutex_unlock(&j->mutex);
    store(j, &a);
}

void sup_joiner_progress(struct sup_joiner *j, struct sup_join_progress *out)
{
    const struct sup_join_state *s = &j->core.durable;

    pthread_mutex_lock(&j->mutex);
    *out = (struct sup_join_progress){.phase = sup_joiner_phase(j),
                                      .records = s->records,
                                      .set = s->set,
                                      .bytes = s->bytes,
                                      .began_ms = s->began_ms};
    sup_text_copy(out->donor, sizeof(out->donor), s->donor);
    pthread_mutex_unlock(&j->mutex);
}
