#include "service/repair.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "core/repair_want.h"
#include "service/repair_scan.h"
#include "service/sketch_keeper.h"

#include <stdlib.h>
#include <string.h>

#define SCAN_STEP     8192
#define MESSAGE_BYTES (128U << 10)
#define MESSAGE_COUNT 2048
/* Two FETCHes on their way and an ASK is what a puller sends without an answer. */
#define INBOX_MAX 4
/* What a round holds in memory is given up when its puller is silent for so long. */
#define IDLE_MS 30000
/* A view of the store keeps what is overwritten meanwhile on the disk: after so long the puller has
 * to begin anew. */
#define VIEW_MS 600000
/* Repair's share of a link, so that it does not fill the queue before live mutations. */
#define BYTES_PER_MS (32U << 10)

struct inbox_entry {
    enum sup_frame_type type;
    struct sup_repair_msg msg; /* slices point into bytes */
    struct sup_buf bytes;
};

struct sup_repair_serve {
    struct sup_repair_env env;
    struct sup_repair_gate *gate;
    struct sup_repair_server *machine;
    bool holds_gate;
    struct sup_repair_scan *scan;
    int64_t touched_ms;
    int64_t not_before_ms;
    struct sup_vv vv;          /* before the set of the first round was taken */
    struct sup_snapshot *snap; /* as of then, for the quarantine */
    int64_t view_ms;           /* since when */
    struct sup_mem *mem;
    struct sup_buf out; /* symbols, or the bytes that entries point to */
    struct sup_mesh_msg msg;
    /* the FETCH that is being answered */
    bool fetching;
    struct inbox_entry current;
    struct sup_cur wants;
    size_t wants_left;
    struct sup_iter *quarantine;
    struct {
        size_t key, key_n, encoded, encoded_n; /* in out, which moves while it grows */
    } spans[MESSAGE_COUNT];
    struct sup_repair_entry entries[MESSAGE_COUNT];
    size_t n;

    pthread_mutex_t mutex;
    struct inbox_entry *inbox[INBOX_MAX];
    size_t n_inbox;
};

struct sup_repair_serve *sup_repair_serve_new(const struct sup_repair_env *env,
                                              struct sup_repair_gate *gate)
{
    struct sup_repair_serve *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->env = *env;
    s->gate = gate;
    pthread_mutex_init(&s->mutex, NULL);
    sup_buf_init(&s->out, SUP_FRAME_BODY_MAX / 2);
    s->mem = sup_mem_new();
    s->machine = sup_repair_server_new(sup_sketch_keeper_keys(sup_apply_keeper(env->apply)));
    if (!s->mem || !s->machine) {
        sup_repair_serve_free(s);
        return NULL;
    }
    return s;
}

/* Gives up what the round holds, but for the view of the quarantine. */
static void release_set(struct sup_repair_serve *s)
{
    sup_repair_server_end(s->machine);
    sup_repair_scan_free(s->scan);
    s->scan = NULL;
    if (s->holds_gate)
        atomic_fetch_sub(&s->gate->held, 1);
    s->holds_gate = false;
}

static void release_view(struct sup_repair_serve *s)
{
    if (s->quarantine)
        sup_iter_free(s->quarantine);
    s->quarantine = NULL;
    if (s->snap)
        sup_snapshot_free(s->env.store, s->snap);
    s->snap = NULL;
}

void sup_repair_serve_free(struct sup_repair_serve *s)
{
    if (!s)
        return;
    if (s->machine)
        release_set(s);
    release_view(s);
    sup_repair_server_free(s->machine);
    for (size_t i = 0; i < s->n_inbox; i++) {
        sup_buf_fini(&s->inbox[i]->bytes);
        free(s->inbox[i]);
    }
    sup_buf_fini(&s->current.bytes);
    sup_mem_free(s->mem);
    sup_buf_fini(&s->out);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

/* --- the inbox --- */

static struct sup_slice tail(const struct sup_buf *b, size_t from)
{
    return sup_slice_of(b->p + from, b->n - from);
}

static int copy_message(struct inbox_entry *e, const struct sup_mesh_msg *msg)
{
    const struct sup_repair_msg *m = &msg->u.repair;

    e->type = msg->type;
    e->msg.round = m->round;
    sup_buf_init(&e->bytes, SUP_REPAIR_WANTS_MAX * SUP_REPAIR_WANT_MAX);
    if (msg->type == SUP_FRAME_REPAIR_ASK) {
        e->msg.u.ask = m->u.ask;
        sup_buf_add_slice(&e->bytes, m->u.ask.shards);
        sup_buf_add_slice(&e->bytes, m->u.ask.strata);
        if (e->bytes.failed)
            return e->bytes.failed;
        e->msg.u.ask.shards = sup_slice_of(e->bytes.p, m->u.ask.shards.n);
        if (m->u.ask.strata.n > 0)
            e->msg.u.ask.strata = tail(&e->bytes, m->u.ask.shards.n);
    } else if (msg->type == SUP_FRAME_REPAIR_FETCH) {
        e->msg.u.fetch = m->u.fetch;
        sup_buf_add_slice(&e->bytes, m->u.fetch.wants);
        e->msg.u.fetch.wants = sup_buf_slice(&e->bytes);
    } else if (msg->type != SUP_FRAME_REPAIR_SUMS || m->u.sums.sums.n > 0) {
        return SUP_EINPUT;
    }
    return e->bytes.failed;
}

int sup_repair_serve_message(struct sup_repair_serve *s, const struct sup_mesh_msg *msg)
{
    struct inbox_entry *e = calloc(1, sizeof(*e));
    int rc = e ? copy_message(e, msg) : SUP_ENOMEM;

    if (rc == SUP_OK) {
        pthread_mutex_lock(&s->mutex);
        if (s->n_inbox == INBOX_MAX)
            rc = SUP_EINPUT;
        else
            s->inbox[s->n_inbox++] = e;
        pthread_mutex_unlock(&s->mutex);
    }
    if (rc != SUP_OK && e) {
        sup_buf_fini(&e->bytes);
        free(e);
    }
    return rc;
}

static struct inbox_entry *pop(struct sup_repair_serve *s)
{
    struct inbox_entry *e = NULL;

    pthread_mutex_lock(&s->mutex);
    if (s->n_inbox > 0) {
        e = s->inbox[0];
        s->n_inbox--;
        memmove(s->inbox, s->inbox + 1, s->n_inbox * sizeof(s->inbox[0]));
    }
    pthread_mutex_unlock(&s->mutex);
    return e;
}

/* --- sending --- */

static int send(struct sup_repair_serve *s, size_t bytes)
{
    int64_t now = sup_mono_ms();

    s->touched_ms = now;
    s->not_before_ms = now + (int64_t)(bytes / BYTES_PER_MS);
    return s->env.send(s->env.arg, &s->msg);
}

static void rest(struct sup_repair_serve *s, int64_t now, int64_t ms)
{
    if (s->not_before_ms < now + ms)
        s->not_before_ms = now + ms;
}

static int send_sums(struct sup_repair_serve *s)
{
    static const size_t size = SUP_SKETCH_SUM_SIZE;
    struct sup_sketch_sum sums[SUP_SKETCH_SHARDS];
    uint8_t packed[SUP_REPAIR_SUMS_SIZE];

    sup_sketch_keeper_sums(sup_apply_keeper(s->env.apply), sums);
    for (size_t i = 0; i < SUP_SKETCH_SHARDS; i++)
        sup_sketch_sum_put(&sums[i], packed + i * size);
    memset(&s->msg.u.repair, 0, sizeof(s->msg.u.repair));
    s->msg.type = SUP_FRAME_REPAIR_SUMS;
    s->msg.u.repair.u.sums.sums = sup_slice_of(packed, sizeof(packed));
    return send(s, sizeof(packed));
}

/* --- records --- */

static bool full(const struct sup_repair_serve *s)
{
    return s->n + SUP_N_CLASSES > MESSAGE_COUNT || s->out.n >= MESSAGE_BYTES;
}

static int add_entry(struct sup_repair_serve *s, struct sup_slice key, struct sup_slice encoded)
{
    s->spans[s->n].key = s->out.n;
    s->spans[s->n].key_n = key.n;
    sup_buf_add_slice(&s->out, key);
    s->spans[s->n].encoded = s->out.n;
    s->spans[s->n].encoded_n = encoded.n;
    sup_buf_add_slice(&s->out, encoded);
    s->n++;
    return s->out.failed;
}

struct answer {
    struct sup_repair_serve *s;
    const struct sup_repair_want *want;
};

static int add_news(void *arg, struct sup_slice address, const struct sup_registers *registers)
{
    struct answer *a = arg;
    int rc = SUP_OK;

    /* More records of one hash than a message holds do not exist, whatever the store says. */
    for (unsigned i = 0; rc == SUP_OK && i < SUP_N_CLASSES && a->s->n < MESSAGE_COUNT; i++) {
        if (sup_repair_want_news(a->want, (enum sup_class)(i + 1), &registers->r[i]))
            rc = add_entry(a->s, address, registers->r[i].encoded);
    }
    return rc;
}

static int fill_records(struct sup_repair_serve *s)
{
    int rc = SUP_OK;

    for (; rc == SUP_OK && s->wants_left > 0 && !full(s); s->wants_left--) {
        struct sup_repair_want want;
        struct answer a = {.s = s, .want = &want};
        sup_repair_want_unpack(&s->wants, &want);
        if (s->wants.failed)
            return SUP_EINPUT;
        rc = sup_repair_look_up(s->env.store, want.key, s->mem, add_news, &a, NULL);
    }
    return rc;
}

static int fill_quarantine(struct sup_repair_serve *s)
{
    struct sup_slice open = {NULL, 0};
    int rc = SUP_OK;

    if (!s->snap)
        return SUP_OK;
    if (!s->quarantine)
        s->quarantine = sup_iter_new(s->env.store, s->snap, SUP_CF_QUARANTINE, open, open);
    if (!s->quarantine)
        return SUP_ENOMEM;
    for (; rc == SUP_OK && sup_iter_valid(s->quarantine) && !full(s);
         sup_iter_next(s->quarantine)) {
        struct sup_log_entry e;
        int64_t arrived = 0;
        sup_mem_reset(s->mem);
        rc = sup_quarantined_decode(sup_iter_value(s->quarantine), s->mem, &e, &arrived, NULL);
        if (rc == SUP_OK)
            rc = add_entry(s, e.key, e.encoded);
    }
    return rc == SUP_OK ? sup_iter_status(s->quarantine, NULL) : rc;
}

/* A FETCH of nothing ends the repair. */
static bool ends(const struct sup_repair_serve *s)
{
    return s->current.msg.u.fetch.count == 0;
}

static bool answered(const struct sup_repair_serve *s)
{
    return ends(s) ? !s->quarantine || !sup_iter_valid(s->quarantine) : s->wants_left == 0;
}

static int send_records(struct sup_repair_serve *s)
{
    struct sup_repair_records *m = &s->msg.u.repair.u.records;
    int64_t begin = sup_mono_ms();
    int64_t took;
    int rc;

    s->n = 0;
    sup_buf_reset(&s->out);
    rc = ends(s) ? fill_quarantine(s) : fill_records(s);
    took = sup_mono_ms() - begin;
    if (rc != SUP_OK)
        return rc;
    for (size_t i = 0; i < s->n; i++)
        s->entries[i] = (struct sup_repair_entry){
            .key = sup_slice_of(s->out.p + s->spans[i].key, s->spans[i].key_n),
            .encoded = sup_slice_of(s->out.p + s->spans[i].encoded, s->spans[i].encoded_n)};
    s->msg.type = SUP_FRAME_REPAIR_RECORDS;
    s->msg.u.repair.round = s->current.msg.round;
    m->last = answered(s);
    m->entries = s->entries;
    m->n = s->n;
    sup_vv_init(&m->vv);
    if (m->last && ends(s) && s->snap)
        sup_vv_copy(&m->vv, &s->vv);
    if (m->last) {
        s->fetching = false;
        if (ends(s))
            release_view(s);
    }
    rc = send(s, s->out.n);
    /* As for rounds: half of the time at most. Who asks for what is not there gets small answers to
     * much work. */
    rest(s, sup_mono_ms(), took);
    return rc;
}

/* --- rounds --- */

static int take_fetch(struct sup_repair_serve *s, struct inbox_entry *e)
{
    sup_buf_fini(&s->current.bytes);
    s->current = *e; /* its bytes too */
    free(e);
    s->fetching = true;
    s->wants = sup_cur_of(sup_buf_slice(&s->current.bytes));
    s->wants_left = s->current.msg.u.fetch.count;
    release_set(s); /* decoded */
    return SUP_OK;
}

/* Takes e over. */
static int take_in(struct sup_repair_serve *s, struct inbox_entry *e)
{
    int rc;

    s->touched_ms = sup_mono_ms();
    if (s->snap && s->touched_ms - s->view_ms >= VIEW_MS)
        release_view(s);
    if (e->type == SUP_FRAME_REPAIR_FETCH)
        return take_fetch(s, e);
    if (e->type == SUP_FRAME_REPAIR_SUMS) {
        release_set(s);
        rc = send_sums(s);
    } else {
        rc = sup_repair_server_ask(s->machine, &e->msg);
    }
    sup_buf_fini(&e->bytes);
    free(e);
    return rc;
}

static bool pass_gate(struct sup_repair_serve *s)
{
    if (s->holds_gate)
        return true;
    if (atomic_fetch_add(&s->gate->held, 1) >= SUP_REPAIR_SERVED_MAX) {
        atomic_fetch_sub(&s->gate->held, 1);
        return false;
    }
    s->holds_gate = true;
    return true;
}

/* First the version vector, then the quarantine, then the set: the set holds all that the vector
 * covers, but for what waits in the quarantine. */
static int copy(struct sup_repair_serve *s)
{
    struct sup_sketch_keeper *k = sup_apply_keeper(s->env.apply);
    struct sup_repair_set set;
    struct sup_sketch sketch;
    int rc;

    release_view(s);
    sup_apply_vv(s->env.apply, &s->vv);
    s->snap = sup_store_snapshot(s->env.store);
    s->view_ms = sup_mono_ms();
    if (!s->snap)
        return SUP_ENOMEM;
    rc = sup_sketch_keeper_copy(k, &sketch);
    if (rc != SUP_OK)
        return rc;
    sup_repair_set_init(&set, sup_sketch_keeper_keys(k));
    sup_repair_set_whole(&set, &sketch);
    sup_repair_server_set(s->machine, &set);
    return SUP_OK;
}

static int scan(struct sup_repair_serve *s)
{
    struct sup_repair_set set;
    struct sup_err err = {0};
    int rc;

    if (!s->scan)
        s->scan = sup_repair_scan_new(s->env.store,
                                      sup_sketch_keeper_keys(sup_apply_keeper(s->env.apply)),
                                      sup_repair_server_shards(s->machine));
    if (!s->scan)
        return SUP_ENOMEM;
    rc = sup_repair_scan_step(s->scan, SCAN_STEP, &set, &err);
    if (rc == SUP_EAGAIN)
        return SUP_OK;
    sup_repair_scan_free(s->scan);
    s->scan = NULL;
    if (rc == SUP_OK)
        sup_repair_server_set(s->machine, &set);
    else
        sup_log_error("repair", "cannot scan the records", SUP_S("error", err.msg));
    return rc;
}

static int send_symbols(struct sup_repair_serve *s)
{
    int rc = sup_repair_server_message(s->machine, &s->out, &s->msg.type, &s->msg.u.repair);

    return rc == SUP_OK ? send(s, s->msg.u.repair.u.symbols.symbols.n) : rc;
}

/* Works at most half of the time, as live mutations come first and so do those who ask this node
 * whether they may mail. */
static int round_step(struct sup_repair_serve *s, enum sup_repair_action action)
{
    int64_t begin = sup_mono_ms();
    int64_t end;
    int rc = SUP_OK;

    if (action == SUP_REPAIR_SEND)
        rc = send_symbols(s);
    else if (!pass_gate(s))
        sup_repair_server_busy(s->machine);
    else
        rc = action == SUP_REPAIR_COPY ? copy(s) : scan(s);
    end = sup_mono_ms();
    rest(s, end, end - begin);
    return rc;
}

static void give_up_idle(struct sup_repair_serve *s, int64_t now)
{
    if ((s->holds_gate || s->snap) && now - s->touched_ms > IDLE_MS) {
        release_set(s);
        release_view(s);
    }
}

int sup_repair_serve_step(struct sup_repair_serve *s, int64_t *wait_ms)
{
    enum sup_repair_action action = sup_repair_server_next(s->machine);
    int64_t now = sup_mono_ms();
    struct inbox_entry *e;

    *wait_ms = 0;
    if (now < s->not_before_ms) {
        *wait_ms = s->not_before_ms - now;
        return SUP_OK;
    }
    if (action != SUP_REPAIR_WAIT)
        return round_step(s, action);
    if (s->fetching)
        return send_records(s);
    e = pop(s);
    if (e)
        return take_in(s, e);
    give_up_idle(s, now);
    *wait_ms = -1;
    return SUP_OK;
}
