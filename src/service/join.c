#include "service/join.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/text.h"
#include "base/thread.h"
#include "service/apply_txn.h"
#include "store/meta.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Of a snapshot under way to this node: what its commits take a few hundred milliseconds for. */
#define WINDOW          (8U << 20)
#define STATE_MAX       (64U << 10)
#define SEND_TIMEOUT_MS 10000

struct sup_joiner {
    struct sup_apply *apply;
    struct sup_store *store;
    _Atomic int phase;

    pthread_mutex_t mutex; /* all below */
    pthread_cond_t cond;   /* in_flight became smaller */
    struct sup_join machine;
    struct sup_join_state durable; /* as stored */
    struct sup_join_state running; /* as it will be when all that came is durable */
    struct sup_join_stream stream;
    size_t donor; /* of the stream */
    struct sup_session *session;
    uint32_t streams; /* numbers given out */
    size_t in_flight; /* jobs */
    size_t bytes;     /* in them */
};

/* --- what is stored --- */

static int put_state(struct sup_txn *t, const struct sup_join_state *s, struct sup_err *err)
{
    struct sup_buf value;

    sup_buf_init(&value, STATE_MAX);
    sup_join_state_encode(s, &value);
    if (!value.failed)
        sup_txn_put(t, SUP_CF_META, SUP_SLICE_LIT(SUP_META_JOIN), sup_buf_slice(&value));
    int rc = value.failed;
    sup_buf_fini(&value);
    return rc == SUP_OK ? rc : sup_err_set(err, rc, "the state of joining is too large");
}

/* SUP_ENOTFOUND: there is none. */
static int get_state(struct sup_txn *t, struct sup_store *store, struct sup_join_state *out,
                     struct sup_err *err)
{
    struct sup_slice key = SUP_SLICE_LIT(SUP_META_JOIN);
    struct sup_buf value;

    sup_buf_init(&value, STATE_MAX);
    int rc = t ? sup_txn_get(t, SUP_CF_META, key, &value)
               : sup_store_get(store, NULL, SUP_CF_META, key, &value, err);
    if (rc == SUP_OK)
        rc = sup_join_state_decode(sup_buf_slice(&value), out, err);
    sup_buf_fini(&value);
    return rc;
}

struct write {
    struct sup_joiner *j;
    enum sup_join_phase phase;
};

/* Parts of a copy write what they reached themselves: what stands there may be newer than what the
 * caller knew, and is only ever moved on. */
static int write_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    const struct write *w = arg;
    struct sup_join_state *s = calloc(1, sizeof(*s));
    int rc = s ? get_state(t, NULL, s, err) : sup_err_set(err, SUP_ENOMEM, "out of memory");

    (void)a;
    if (rc == SUP_ENOTFOUND) {
        s->began_ms = sup_wall_ms();
        rc = SUP_OK;
    }
    if (rc == SUP_OK && w->phase == SUP_JOIN_READY) {
        sup_meta_put_u64(t, SUP_META_READY, 1);
        sup_txn_delete(t, SUP_CF_META, SUP_SLICE_LIT(SUP_META_JOIN));
    } else if (rc == SUP_OK && (w->phase != SUP_JOIN_ALONE || s->phase == SUP_JOIN_NEW)) {
        s->phase = w->phase;
        rc = put_state(t, s, err);
    }
    free(s);
    return rc;
}

static int write_phase(struct sup_joiner *j, enum sup_join_phase phase, struct sup_err *err)
{
    struct write w = {.j = j, .phase = phase};

    return sup_apply_run(j->apply, write_run, &w, err);
}

static bool has_records(struct sup_joiner *j)
{
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(j->store, NULL, SUP_CF_RECORDS, open, open);
    bool any = it && sup_iter_valid(it);

    if (it)
        sup_iter_free(it);
    return any;
}

static int first_phase(struct sup_joiner *j, enum sup_join_phase *out, struct sup_err *err)
{
    struct sup_vv vv;
    uint64_t ready = 0;
    int rc = sup_meta_get_u64(j->store, NULL, SUP_META_READY, &ready, err);

    *out = SUP_JOIN_READY;
    if (rc != SUP_ENOTFOUND)
        return rc;
    rc = get_state(NULL, j->store, &j->durable, err);
    if (rc == SUP_OK)
        *out = j->durable.phase;
    if (rc != SUP_ENOTFOUND)
        return rc;
    sup_apply_vv(j->apply, &vv);
    if (vv.n == 0 && !has_records(j))
        *out = SUP_JOIN_NEW;
    rc = write_phase(j, *out, err);
    if (rc == SUP_OK && *out == SUP_JOIN_NEW)
        rc = get_state(NULL, j->store, &j->durable, err);
    return rc;
}

int sup_joiner_open(struct sup_apply *apply, struct sup_store *store, int64_t alone_ms,
                    struct sup_joiner **out, struct sup_err *err)
{
    struct sup_joiner *j = calloc(1, sizeof(*j));
    enum sup_join_phase phase = SUP_JOIN_READY;
    int rc;

    if (!j)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    j->apply = apply;
    j->store = store;
    j->donor = SIZE_MAX;
    j->streams = (uint32_t)sup_random_u64();
    pthread_mutex_init(&j->mutex, NULL);
    sup_cond_init(&j->cond);
    rc = first_phase(j, &phase, err);
    if (rc != SUP_OK) {
        sup_joiner_free(j);
        return rc;
    }
    sup_join_init(&j->machine, phase, alone_ms, sup_mono_ms());
    j->phase = (int)phase;
    *out = j;
    return SUP_OK;
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

/* --- moving on --- */

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

/* With the mutex. Copies of the phase for those who ask without it. */
static void moved(struct sup_joiner *j)
{
    if (j->phase == (int)j->machine.phase)
        return;
    say(&j->durable, j->machine.phase);
    /* A node answers as ready only when it is stored that it is: see store_phase. */
    if (j->machine.phase != SUP_JOIN_READY)
        j->phase = (int)j->machine.phase;
}

/* Without the mutex, after a move. */
static void store_phase(struct sup_joiner *j, enum sup_join_phase phase)
{
    struct sup_err err = {0};

    if (phase != SUP_JOIN_ALONE && phase != SUP_JOIN_READY && phase != SUP_JOIN_LOG)
        return;
    if (write_phase(j, phase, &err) != SUP_OK)
        sup_log_error("join", "cannot store how far joining has come", SUP_S("error", err.msg));
    else if (phase == SUP_JOIN_READY)
        j->phase = SUP_JOIN_READY;
}

void sup_joiner_member(struct sup_joiner *j, size_t peer, bool member)
{
    if (peer >= SUP_JOIN_PEERS_MAX)
        return;
    pthread_mutex_lock(&j->mutex);
    j->machine.peers[peer].member = member;
    pthread_mutex_unlock(&j->mutex);
}

void sup_joiner_tick(struct sup_joiner *j, size_t n_peers)
{
    enum sup_join_phase phase;
    bool changed;

    pthread_mutex_lock(&j->mutex);
    changed = sup_join_move(&j->machine, sup_mono_ms(), n_peers);
    phase = j->machine.phase;
    moved(j);
    pthread_mutex_unlock(&j->mutex);
    /* Ready but not stored: the disk was full, maybe. */
    if (changed || (phase == SUP_JOIN_READY && sup_joiner_phase(j) != SUP_JOIN_READY))
        store_phase(j, phase);
}

static int post(struct sup_session *s, enum sup_frame_type type, uint32_t id, uint64_t credit)
{
    struct sup_mesh_msg *msg = calloc(1, sizeof(*msg));
    int rc;

    if (!msg)
        return SUP_ENOMEM;
    msg->type = type;
    msg->u.snapshot.id = id;
    msg->u.snapshot.u.ack.credit = credit;
    rc = sup_session_post(s, msg);
    free(msg);
    return rc;
}

/* With the mutex: a stream begins where the copy ends. */
static void begin(struct sup_joiner *j, const struct sup_joiner_peer *p, struct sup_mesh_msg *ask)
{
    j->running = j->durable;
    j->running.phase = SUP_JOIN_COPY;
    sup_text_copy(j->running.donor, sizeof(j->running.donor), p->name);
    sup_text_copy(j->durable.donor, sizeof(j->durable.donor), p->name);
    sup_join_stream_begin(&j->stream, ++j->streams);
    j->donor = p->index;
    j->session = p->session;
    ask->type = SUP_FRAME_SNAPSHOT_ASK;
    ask->u.snapshot.id = j->stream.id;
    ask->u.snapshot.u.ask.after = sup_slice_of(j->running.after, j->running.after_n);
    ask->u.snapshot.u.ask.credit = WINDOW;
}

static int ask(struct sup_joiner *j, const struct sup_joiner_peer *p)
{
    struct sup_mesh_msg *msg = calloc(1, sizeof(*msg));
    int rc;

    if (!msg)
        return SUP_ENOMEM;
    pthread_mutex_lock(&j->mutex);
    begin(j, p, msg);
    sup_log_info("join", "asks a peer for its set", SUP_S("peer", p->name),
                 SUP_U("records_here", j->durable.records));
    pthread_mutex_unlock(&j->mutex);
    /* Only this thread, and none but the donor's, changes what the message points to. */
    rc = sup_session_send(p->session, msg, SEND_TIMEOUT_MS);
    free(msg);
    return rc;
}

enum sup_join_order sup_joiner_see(struct sup_joiner *j, const struct sup_joiner_peer *p)
{
    enum sup_join_order order = SUP_JOIN_WAIT;
    int64_t now = sup_mono_ms();
    enum sup_join_phase phase;
    uint32_t silent = 0;
    bool changed;

    if (sup_joiner_phase(j) == SUP_JOIN_READY)
        return SUP_JOIN_WAIT;
    pthread_mutex_lock(&j->mutex);
    sup_join_see(&j->machine, now, p->index, &p->view);
    if (sup_join_silent(&j->machine, now, p->index) && j->in_flight == 0) {
        silent = j->stream.id;
        j->donor = SIZE_MAX;
        sup_join_failed(&j->machine, now, p->index, SUP_JOIN_SILENT_MS);
    }
    changed = sup_join_move(&j->machine, now, j->machine.n);
    phase = j->machine.phase;
    moved(j);
    /* Only when all of the last stream came back it is known where the next one begins. */
    if (j->in_flight == 0)
        order = sup_join_next(&j->machine, now, p->index);
    pthread_mutex_unlock(&j->mutex);
    if (changed)
        store_phase(j, phase);
    if (silent != 0)
        (void)post(p->session, SUP_FRAME_SNAPSHOT_ACK, silent, 0);
    if (order == SUP_JOIN_ASK)
        (void)ask(j, p); /* a failure ends the session, and that the order */
    return order;
}

/* --- chunks --- */

struct join_job {
    struct sup_apply_job job;
    struct sup_joiner *j;
    struct sup_mesh_mem *mem;
    struct sup_snapshot_chunk chunk;
    uint32_t stream;
    size_t donor;
    uint8_t before[SUP_SNAPSHOT_KEY_MAX]; /* where the copy must end for the chunk to fit */
    size_t before_n;
    struct sup_join_state state; /* afterwards */
};

/* A chunk whose predecessor was not committed would leave a hole. */
static int check_fit(const struct join_job *k, struct sup_txn *t, struct sup_err *err)
{
    struct sup_join_state *s = calloc(1, sizeof(*s));
    int rc = s ? get_state(t, NULL, s, err) : sup_err_set(err, SUP_ENOMEM, "out of memory");

    if (rc == SUP_OK &&
        !sup_slice_eq(sup_slice_of(s->after, s->after_n), sup_slice_of(k->before, k->before_n)))
        rc = sup_err_set(err, SUP_EAGAIN, "what came before it was not applied");
    free(s);
    return rc;
}

static int job_run(struct sup_apply_job *job, struct sup_txn *t, struct sup_err *err)
{
    struct join_job *k = (struct join_job *)job;
    struct sup_apply *a = job->apply;
    int rc = check_fit(k, t, err);

    for (size_t i = 0; rc == SUP_OK && i < k->chunk.n_quarantined; i++) {
        const struct sup_repair_entry *e = &k->chunk.quarantined[i];
        enum sup_class cls = SUP_CLASS_BOUNCE;
        enum sup_remote outcome;
        struct sup_register reg;
        rc = sup_register_decode(e->encoded, &reg, &cls, err);
        if (rc == SUP_OK)
            rc = sup_apply_repaired(a, t, e->key, cls, e->encoded, &outcome, err);
    }
    for (size_t i = 0; rc == SUP_OK && i < k->chunk.n; i++) {
        const struct sup_snapshot_record *r = &k->chunk.records[i];
        rc = sup_apply_joined(a, t, r->key, r->decisions, r->n, err);
    }
    if (rc == SUP_OK && k->chunk.last)
        rc = sup_apply_adopt_vv(a, t, &k->state.vv, err);
    return rc == SUP_OK ? put_state(t, &k->state, err) : rc;
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

/* With the mutex. */
static void applied(struct sup_joiner *j, const struct join_job *k, int64_t now)
{
    count_metrics(k);
    j->durable = k->state;
    sup_join_heard(&j->machine, now);
    if (k->state.phase == SUP_JOIN_LOG) {
        sup_join_copied(&j->machine, now);
        moved(j);
        j->donor = SIZE_MAX;
    } else if (j->donor == k->donor && j->stream.id == k->stream) {
        (void)post(j->session, SUP_FRAME_SNAPSHOT_ACK, k->stream, sup_snapshot_credit(&k->chunk));
    }
}

/* With the mutex: nothing more is taken of this stream. */
static void give_up(struct sup_joiner *j, size_t peer, int64_t wait_ms)
{
    if (j->donor == peer)
        j->donor = SIZE_MAX;
    sup_join_failed(&j->machine, sup_mono_ms(), peer, wait_ms);
}

/* On the writer thread. After the unlock the session may be gone. */
static void job_done(struct sup_apply_job *job, int code, const struct sup_err *err)
{
    struct join_job *k = (struct join_job *)job;
    struct sup_joiner *j = k->j;

    if (code != SUP_OK && code != SUP_EAGAIN)
        sup_log_error("join", "a part of a snapshot could not be applied",
                      SUP_S("error", err ? err->msg : sup_code_name(code)));
    pthread_mutex_lock(&j->mutex);
    if (code == SUP_OK)
        applied(j, k, sup_mono_ms());
    else
        give_up(j, k->donor, code == SUP_EINPUT ? SUP_JOIN_BROKEN_MS : SUP_JOIN_BUSY_MS);
    j->in_flight--;
    j->bytes -= k->chunk.size;
    pthread_cond_broadcast(&j->cond);
    pthread_mutex_unlock(&j->mutex);
    sup_mesh_mem_free(k->mem);
    free(k);
}

static int refused(struct sup_joiner *j, size_t peer, enum sup_snapshot_state why)
{
    sup_log_info("join", "a peer gives no snapshot now",
                 SUP_S("why", why == SUP_SNAPSHOT_BUSY        ? "busy"
                              : why == SUP_SNAPSHOT_NOT_READY ? "not ready"
                                                              : "held for long enough"));
    give_up(j, peer, why == SUP_SNAPSHOT_EXPIRED ? 0 : SUP_JOIN_BUSY_MS);
    return SUP_OK;
}

/* With the mutex: checks the chunk and moves on what it stands for. */
static int take_in(struct sup_joiner *j, struct join_job *k, struct sup_err *err)
{
    int rc;

    k->stream = j->stream.id;
    k->donor = j->donor;
    k->before_n = j->running.after_n;
    memcpy(k->before, j->running.after, sizeof(k->before));
    if (j->bytes + k->chunk.size > WINDOW + SUP_FRAME_BODY_MAX)
        return sup_err_set(err, SUP_EINPUT, "more of a snapshot than credit");
    rc = sup_join_stream_chunk(&j->stream, &k->chunk, sup_apply_hash(j->apply), &j->running, err);
    if (rc != SUP_OK)
        return rc;
    k->state = j->running;
    j->in_flight++;
    j->bytes += k->chunk.size;
    sup_join_heard(&j->machine, sup_mono_ms());
    return SUP_OK;
}

int sup_joiner_chunk(struct sup_joiner *j, size_t peer, const struct sup_snapshot_msg *msg,
                     struct sup_mesh_mem **mem, struct sup_err *err)
{
    struct join_job *k = calloc(1, sizeof(*k));
    bool stale;
    int rc = SUP_OK;

    if (!k)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    *k = (struct join_job){.job = {.run = job_run, .done = job_done}, .j = j};
    k->chunk = msg->u.chunk;
    pthread_mutex_lock(&j->mutex);
    stale = peer != j->donor || msg->id != j->stream.id;
    if (!stale && k->chunk.state != SUP_SNAPSHOT_GOES_ON) {
        rc = refused(j, peer, k->chunk.state);
        stale = true;
    } else if (!stale) {
        rc = take_in(j, k, err);
        if (rc != SUP_OK)
            give_up(j, peer, SUP_JOIN_BROKEN_MS);
    }
    pthread_mutex_unlock(&j->mutex);
    if (stale || rc != SUP_OK) {
        free(k);
        return rc;
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
    int64_t now = sup_mono_ms();
    enum sup_join_phase phase;

    if (sup_joiner_phase(j) == SUP_JOIN_READY)
        return;
    pthread_mutex_lock(&j->mutex);
    phase = j->machine.phase;
    if (j->machine.busy && j->machine.with == peer && phase == SUP_JOIN_COPY &&
        !j->machine.peers[peer].snapshots) {
        if (code == SUP_OK)
            sup_join_copied(&j->machine, now);
        else
            sup_join_failed(&j->machine, now, peer, SUP_JOIN_BUSY_MS);
    }
    sup_join_compared(&j->machine, now, peer, code);
    moved(j);
    phase = j->machine.phase;
    pthread_mutex_unlock(&j->mutex);
    store_phase(j, phase);
}

void sup_joiner_lost(struct sup_joiner *j, size_t peer)
{
    struct sup_join_peer gone = {.member = true};

    pthread_mutex_lock(&j->mutex);
    while (j->donor == peer && j->in_flight > 0)
        sup_cond_wait_ms(&j->cond, &j->mutex, -1);
    if (j->donor == peer) {
        j->donor = SIZE_MAX;
        j->session = NULL;
    }
    gone.member = j->machine.peers[peer < SUP_JOIN_PEERS_MAX ? peer : 0].member;
    sup_join_see(&j->machine, sup_mono_ms(), peer, &gone);
    pthread_mutex_unlock(&j->mutex);
}

void sup_joiner_progress(struct sup_joiner *j, struct sup_join_progress *out)
{
    pthread_mutex_lock(&j->mutex);
    *out = (struct sup_join_progress){.phase = sup_joiner_phase(j),
                                      .records = j->durable.records,
                                      .set = j->durable.set,
                                      .bytes = j->durable.bytes,
                                      .began_ms = j->durable.began_ms};
    sup_text_copy(out->donor, sizeof(out->donor), j->durable.donor);
    pthread_mutex_unlock(&j->mutex);
}
