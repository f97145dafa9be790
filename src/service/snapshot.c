#include "service/snapshot.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "codec/keys.h"
#include "codec/value.h"
#include "service/sketch_keeper.h"

#include <stdlib.h>
#include <string.h>

/* Small enough to be filled and sent in a millisecond or two, as live mutations go first. */
#define CHUNK_BYTES (128U << 10)
#define CHUNK_COUNT 2048
/* What one message may exceed CHUNK_BYTES by: a record. */
#define RECORD_MAX (SUP_N_CLASSES * (SUP_DECISION_MAX + 16U) + SUP_KEY_MAX)
#define HOLD_MS    600000
/* Without credit for so long, the peer is gone or stuck. */
#define IDLE_MS    30000
#define CREDIT_MAX (64U << 20)

/* What the reader of the session leaves for the sender. */
struct request {
    bool fresh; /* an ASK that was not looked at yet */
    bool over;  /* an ACK without credit */
    uint32_t id;
    uint8_t after[SUP_SNAPSHOT_KEY_MAX];
    size_t after_n;
    uint64_t credit; /* given since it was last looked at */
};

struct sup_snapshot_serve {
    struct sup_snapshot_env env;
    struct sup_snapshot_gate *gate;
    bool holds_gate;
    uint32_t id;
    bool streaming;
    bool first; /* chunk */
    bool quarantine_done;
    int64_t credit; /* below zero: the last chunk overdrew it */
    int64_t began_ms, touched_ms, not_before_ns;
    uint8_t after[SUP_SNAPSHOT_KEY_MAX];
    size_t after_n;
    uint64_t set;
    struct sup_vv vv;
    struct sup_snapshot *snap;
    struct sup_iter *it; /* over the quarantine, then over the records */
    struct sup_mem *mem;
    struct sup_buf bytes; /* what a chunk's slices point to; reserved, so that it does not move */
    struct sup_snapshot_record records[CHUNK_COUNT];
    struct sup_repair_entry quarantined[CHUNK_COUNT];
    struct sup_mesh_msg msg;

    pthread_mutex_t mutex;
    struct request request;
};

struct sup_snapshot_serve *sup_snapshot_serve_new(const struct sup_snapshot_env *env,
                                                  struct sup_snapshot_gate *gate)
{
    struct sup_snapshot_serve *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->env = *env;
    if (s->env.hold_ms == 0)
        s->env.hold_ms = HOLD_MS;
    if (s->env.chunk == 0 || s->env.chunk > CHUNK_COUNT)
        s->env.chunk = CHUNK_COUNT;
    if (!s->env.mono_ns)
        s->env.mono_ns = sup_mono_ns;
    s->gate = gate;
    pthread_mutex_init(&s->mutex, NULL);
    sup_buf_init(&s->bytes, CHUNK_BYTES + RECORD_MAX);
    s->mem = sup_mem_new();
    if (!s->mem) {
        sup_snapshot_serve_free(s);
        return NULL;
    }
    return s;
}

static int64_t mono_ms(const struct sup_snapshot_serve *s)
{
    return s->env.mono_ns() / 1000000;
}

static void release(struct sup_snapshot_serve *s)
{
    if (s->it)
        sup_iter_free(s->it);
    s->it = NULL;
    if (s->snap)
        sup_snapshot_free(s->env.store, s->snap);
    s->snap = NULL;
    if (s->holds_gate)
        atomic_fetch_sub(&s->gate->held, 1);
    s->holds_gate = false;
    s->streaming = false;
    sup_buf_fini(&s->bytes);
    sup_buf_init(&s->bytes, CHUNK_BYTES + RECORD_MAX);
}

void sup_snapshot_serve_free(struct sup_snapshot_serve *s)
{
    if (!s)
        return;
    release(s);
    sup_mem_free(s->mem);
    sup_buf_fini(&s->bytes);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

/* --- requests --- */

static int take_ask(struct request *r, const struct sup_snapshot_msg *m)
{
    /* In the form that a record's key has; what it says is nobody's harm. */
    if (m->u.ask.after.n > sizeof(r->after))
        return SUP_EINPUT;
    *r = (struct request){.fresh = true, .id = m->id, .after_n = m->u.ask.after.n};
    if (r->after_n > 0)
        memcpy(r->after, m->u.ask.after.p, r->after_n);
    r->credit = m->u.ask.credit < CREDIT_MAX ? m->u.ask.credit : CREDIT_MAX;
    return SUP_OK;
}

static void take_ack(struct request *r, const struct sup_snapshot_msg *m)
{
    uint64_t credit = m->u.ack.credit;

    if (m->id != r->id)
        return; /* of a stream that another one took the place of */
    r->over = r->over || credit == 0;
    r->credit = credit < CREDIT_MAX - r->credit ? r->credit + credit : CREDIT_MAX;
}

int sup_snapshot_serve_message(struct sup_snapshot_serve *s, const struct sup_mesh_msg *msg)
{
    int rc = SUP_OK;

    pthread_mutex_lock(&s->mutex);
    if (msg->type == SUP_FRAME_SNAPSHOT_ASK)
        rc = take_ask(&s->request, &msg->u.snapshot);
    else if (msg->type == SUP_FRAME_SNAPSHOT_ACK)
        take_ack(&s->request, &msg->u.snapshot);
    else
        rc = SUP_EINPUT;
    pthread_mutex_unlock(&s->mutex);
    return rc;
}

/* Copies the request and marks it as seen. */
static void look(struct sup_snapshot_serve *s, struct request *out)
{
    pthread_mutex_lock(&s->mutex);
    *out = s->request;
    s->request.fresh = false;
    s->request.over = false;
    s->request.credit = 0;
    pthread_mutex_unlock(&s->mutex);
}

/* --- sending --- */

static struct sup_snapshot_chunk *message(struct sup_snapshot_serve *s)
{
    struct sup_snapshot_chunk *c = &s->msg.u.snapshot.u.chunk;

    s->msg.type = SUP_FRAME_SNAPSHOT_CHUNK;
    s->msg.u.snapshot.id = s->id;
    c->state = SUP_SNAPSHOT_GOES_ON;
    c->set = 0;
    sup_vv_init(&c->vv);
    c->quarantined = s->quarantined;
    c->records = s->records;
    c->n = c->n_quarantined = 0;
    c->last = false;
    c->size = 0;
    return c;
}

static int refuse(struct sup_snapshot_serve *s, enum sup_snapshot_state why)
{
    release(s);
    message(s)->state = why;
    return s->env.send(s->env.arg, &s->msg);
}

static struct sup_slice keep(struct sup_snapshot_serve *s, struct sup_slice v)
{
    size_t at = s->bytes.n;

    sup_buf_add_slice(&s->bytes, v);
    return s->bytes.failed ? (struct sup_slice){NULL, 0} : sup_slice_of(s->bytes.p + at, v.n);
}

static bool full(const struct sup_snapshot_serve *s, size_t n)
{
    return n >= s->env.chunk || s->bytes.n >= CHUNK_BYTES;
}

static int fill_quarantine(struct sup_snapshot_serve *s, struct sup_snapshot_chunk *c,
                           struct sup_err *err)
{
    int rc = SUP_OK;

    for (; rc == SUP_OK && sup_iter_valid(s->it) && !full(s, c->n_quarantined);
         sup_iter_next(s->it)) {
        struct sup_log_entry e;
        int64_t arrived = 0;
        sup_mem_reset(s->mem);
        rc = sup_quarantined_decode(sup_iter_value(s->it), s->mem, &e, &arrived, err);
        if (rc == SUP_OK)
            s->quarantined[c->n_quarantined++] =
                (struct sup_repair_entry){.key = keep(s, e.key), .encoded = keep(s, e.encoded)};
    }
    return rc == SUP_OK ? sup_iter_status(s->it, err) : rc;
}

static int add_record(struct sup_snapshot_serve *s, struct sup_snapshot_record *out,
                      struct sup_err *err)
{
    struct sup_record record;
    struct sup_slice address;
    uint64_t hash = 0;
    int rc;

    if (!sup_key_record_parse(sup_iter_key(s->it), &hash, &address))
        return sup_err_set(err, SUP_ECORRUPT, "damaged key of a record");
    sup_mem_reset(s->mem);
    rc = sup_record_decode(sup_iter_value(s->it), s->mem, &record, err);
    if (rc != SUP_OK)
        return rc;
    out->n = 0;
    for (size_t i = 0; i < SUP_N_CLASSES; i++) {
        if (record.registers.r[i].present)
            out->decisions[out->n++] = keep(s, record.registers.r[i].encoded);
    }
    out->key = keep(s, address);
    return SUP_OK;
}

static int fill_records(struct sup_snapshot_serve *s, struct sup_snapshot_chunk *c,
                        struct sup_err *err)
{
    int rc = SUP_OK;

    for (; rc == SUP_OK && sup_iter_valid(s->it) && !full(s, c->n); sup_iter_next(s->it)) {
        rc = add_record(s, &s->records[c->n], err);
        c->n += rc == SUP_OK && s->records[c->n].n > 0;
    }
    c->last = rc == SUP_OK && !sup_iter_valid(s->it);
    return rc == SUP_OK ? sup_iter_status(s->it, err) : rc;
}

static int open_records(struct sup_snapshot_serve *s, struct sup_slice after)
{
    struct sup_slice open = {NULL, 0};

    if (s->it)
        sup_iter_free(s->it);
    s->it = sup_iter_scan(s->env.store, s->snap, SUP_CF_RECORDS, after, open);
    if (s->it && sup_iter_valid(s->it) && sup_slice_eq(sup_iter_key(s->it), after))
        sup_iter_next(s->it);
    return s->it ? SUP_OK : SUP_ENOMEM;
}

/* First the version vector, then the view: it holds all that the vector covers, but for what waits
 * in its quarantine. */
static int begin(struct sup_snapshot_serve *s, const struct request *r)
{
    struct sup_slice open = {NULL, 0};

    release(s);
    s->id = r->id;
    if (!s->env.ready(s->env.arg))
        return refuse(s, SUP_SNAPSHOT_NOT_READY);
    if (atomic_fetch_add(&s->gate->held, 1) >= SUP_SNAPSHOTS_SERVED_MAX) {
        atomic_fetch_sub(&s->gate->held, 1);
        return refuse(s, SUP_SNAPSHOT_BUSY);
    }
    s->holds_gate = true;
    s->after_n = r->after_n;
    memcpy(s->after, r->after, sizeof(s->after));
    s->credit = 0;
    s->first = true;
    s->quarantine_done = false;
    s->began_ms = s->touched_ms = mono_ms(s);
    sup_apply_vv(s->env.apply, &s->vv);
    s->set = sup_sketch_keeper_root(sup_apply_keeper(s->env.apply)).count;
    s->snap = sup_store_snapshot(s->env.store);
    if (s->snap)
        s->it = sup_iter_scan(s->env.store, s->snap, SUP_CF_QUARANTINE, open, open);
    if (!s->it || !sup_buf_reserve(&s->bytes, CHUNK_BYTES + RECORD_MAX)) {
        release(s);
        return SUP_ENOMEM;
    }
    s->streaming = true;
    return SUP_OK;
}

static int fill(struct sup_snapshot_serve *s, struct sup_snapshot_chunk *c, struct sup_err *err)
{
    int rc = SUP_OK;

    sup_buf_reset(&s->bytes);
    if (!s->quarantine_done)
        rc = fill_quarantine(s, c, err);
    if (rc == SUP_OK && !s->quarantine_done && !sup_iter_valid(s->it)) {
        s->quarantine_done = true;
        rc = open_records(s, sup_slice_of(s->after, s->after_n));
    }
    if (rc == SUP_OK && s->quarantine_done && c->n_quarantined == 0)
        rc = fill_records(s, c, err);
    if (rc == SUP_OK && s->bytes.failed)
        rc = sup_err_set(err, s->bytes.failed, "a record is too large to be sent");
    return rc;
}

/* Works half of the time at most: live mutations come first, and so do those who ask this node
 * whether they may mail. */
static int send_chunk(struct sup_snapshot_serve *s)
{
    struct sup_snapshot_chunk *c = message(s);
    struct sup_err err = {0};
    int64_t begin_ns = s->env.mono_ns();
    int64_t end_ns;
    int rc = fill(s, c, &err);

    if (rc != SUP_OK) {
        sup_log_error("snapshot", "the records cannot be read", SUP_S("error", err.msg));
        return rc;
    }
    if (s->first) {
        c->set = s->set;
        sup_vv_copy(&c->vv, &s->vv);
    }
    s->first = false;
    s->credit -= (int64_t)sup_snapshot_credit(c);
    rc = s->env.send(s->env.arg, &s->msg);
    s->touched_ms = mono_ms(s);
    end_ns = s->env.mono_ns();
    s->not_before_ns = end_ns + (end_ns - begin_ns);
    if (c->last)
        release(s);
    return rc;
}

/* What the peer asked for meanwhile. True: it was answered. */
static bool take_request(struct sup_snapshot_serve *s, int *rc)
{
    struct request r;

    look(s, &r);
    if (r.fresh)
        *rc = begin(s, &r);
    if (!s->streaming)
        return r.fresh;
    if (r.over)
        release(s);
    s->credit += (int64_t)r.credit;
    return *rc != SUP_OK;
}

int sup_snapshot_serve_step(struct sup_snapshot_serve *s, int64_t *wait_ms)
{
    int64_t now = mono_ms(s);
    int64_t early_ns = s->not_before_ns - s->env.mono_ns();
    int rc = SUP_OK;

    *wait_ms = 0;
    if (take_request(s, &rc))
        return rc;
    *wait_ms = -1;
    if (!s->streaming)
        return SUP_OK;
    if (now - s->began_ms >= s->env.hold_ms)
        return refuse(s, SUP_SNAPSHOT_EXPIRED);
    if (s->credit <= 0) {
        if (now - s->touched_ms >= IDLE_MS)
            release(s);
        return SUP_OK;
    }
    *wait_ms = early_ns > 0 ? early_ns / 1000000 + 1 : 0;
    return early_ns > 0 ? SUP_OK : send_chunk(s);
}
