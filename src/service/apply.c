#include "service/apply_txn.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "base/random.h"
#include "codec/keys.h"
#include "service/apply_internal.h"
#include "service/seen.h"
#include "service/sketch_keeper.h"
#include "service/soft_known.h"
#include "store/batch.h"
#include "store/meta.h"

#include <stdlib.h>

/* Jobs that may wait for the writer, and that share a commit. */
#define QUEUE_MAX 4096
#define GROUP_MAX 1024

#define VALUE_MAX (1U << 20)

/* An assignment would copy the empty parts of the vectors. */
static void state_copy(struct sup_apply_state *to, const struct sup_apply_state *from)
{
    to->hlc = from->hlc;
    to->incarnation = from->incarnation;
    to->fresh = from->fresh;
    sup_vv_copy(&to->vv, &from->vv);
    sup_vv_copy(&to->floor, &from->floor);
    sup_vv_copy(&to->charges, &from->charges);
    to->log_bytes = from->log_bytes;
}

static int batch_begin(void *arg, struct sup_txn *t, struct sup_err *err)
{
    struct sup_apply *a = arg;

    (void)t;
    (void)err;
    a->batch_ms = a->opts.wall_ms();
    state_copy(&a->before_batch, &a->now);
    a->outbox_low = INT64_MAX;
    a->n_changes = 0;
    a->quarantined = 0;
    return SUP_OK;
}

static void put_changed(struct sup_txn *t, const struct sup_vv *now, const struct sup_vv *written,
                        void (*key)(struct sup_key *k, uint64_t incarnation))
{
    for (size_t i = 0; i < now->n; i++) {
        const struct sup_vv_entry *e = &now->e[i];
        struct sup_key k;
        uint8_t v[8];
        if (sup_vv_get(written, e->incarnation) == e->seq)
            continue;
        key(&k, e->incarnation);
        sup_put_be64(v, e->seq);
        sup_txn_put(t, SUP_CF_META, sup_key_slice(&k), sup_slice_of(v, sizeof(v)));
    }
}

/* The counters that the batch moved, in the batch itself. */
static int batch_end(void *arg, struct sup_txn *t, struct sup_err *err)
{
    struct sup_apply *a = arg;
    sup_hlc_time reserve = 0;

    (void)err;
    if (sup_hlc_needs_reserve(&a->now.hlc, a->batch_ms, &reserve)) {
        sup_meta_put_u64(t, SUP_META_HLC_RESERVED, reserve);
        sup_hlc_reserved(&a->now.hlc, reserve);
    }
    put_changed(t, &a->now.vv, &a->written, sup_key_meta_vv);
    put_changed(t, &a->now.floor, &a->written_floor, sup_key_meta_floor);
    put_changed(t, &a->now.charges, &a->written_charges, sup_key_meta_charge);
    if (a->now.log_bytes != a->written_log_bytes)
        sup_meta_put_u64(t, SUP_META_LOG_BYTES, a->now.log_bytes);
    return SUP_OK;
}

static void publish(struct sup_apply *a)
{
    sup_vv_copy(&a->written, &a->now.vv);
    sup_vv_copy(&a->written_floor, &a->now.floor);
    sup_vv_copy(&a->written_charges, &a->now.charges);
    a->written_log_bytes = a->now.log_bytes;
    pthread_mutex_lock(&a->mutex);
    sup_vv_copy(&a->published, &a->now.vv);
    sup_vv_copy(&a->published_floor, &a->now.floor);
    sup_vv_copy(&a->published_charges, &a->now.charges);
    a->published_fresh = a->now.fresh;
    a->published_incarnation = a->now.incarnation;
    a->published_log_bytes = a->now.log_bytes;
    a->published_time = a->now.hlc.last;
    a->version++;
    pthread_cond_broadcast(&a->cond);
    pthread_mutex_unlock(&a->mutex);
}

static void lower(_Atomic int64_t *to, int64_t value)
{
    int64_t now = atomic_load(to);

    while (value < now && !atomic_compare_exchange_weak(to, &now, value))
        ;
}

static void batch_committed(void *arg, int code)
{
    struct sup_apply *a = arg;

    if (code != SUP_OK) {
        state_copy(&a->now, &a->before_batch);
        sup_seen_forget(a->seen);
        return;
    }
    /* Before the version vector says that it is all there. */
    if (a->n_changes > 0)
        sup_sketch_keeper_changed(a->opts.keeper, a->changes, a->n_changes);
    publish(a);
    if (a->outbox_low == INT64_MAX)
        return;
    lower(&a->outbox_since, a->outbox_low);
    if (a->opts.outbox_changed)
        a->opts.outbox_changed(a->opts.arg);
}

struct counters {
    void (*first)(struct sup_key *k, uint64_t incarnation);
    void (*end)(struct sup_key *k);
    bool (*parse)(struct sup_slice key, uint64_t *incarnation);
};

static int load_vv(struct sup_apply *a, const struct counters *c, struct sup_vv *out,
                   struct sup_err *err)
{
    struct sup_key lower;
    struct sup_key upper;
    struct sup_iter *it;
    int rc = SUP_OK;

    c->first(&lower, 0);
    c->end(&upper);
    it = sup_iter_new(a->opts.store, NULL, SUP_CF_META, sup_key_slice(&lower),
                      sup_key_slice(&upper));
    if (!it)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    for (; rc == SUP_OK && sup_iter_valid(it); sup_iter_next(it)) {
        uint64_t incarnation = 0;
        struct sup_slice v = sup_iter_value(it);
        if (!c->parse(sup_iter_key(it), &incarnation) || v.n != 8)
            rc = sup_err_set(err, SUP_ECORRUPT, "damaged version vector in the store");
        else if (sup_vv_raise(out, incarnation, sup_get_be64(v.p)) != SUP_OK)
            rc = sup_err_set(err, SUP_ELIMIT, "more than %d incarnations in the store", SUP_VV_MAX);
    }
    if (rc == SUP_OK)
        rc = sup_iter_status(it, err);
    sup_iter_free(it);
    return rc;
}

static int load_vvs(struct sup_apply *a, struct sup_err *err)
{
    static const struct counters vv = {sup_key_meta_vv, sup_key_meta_vv_end, sup_key_meta_vv_parse};
    static const struct counters floor = {sup_key_meta_floor, sup_key_meta_floor_end,
                                          sup_key_meta_floor_parse};
    static const struct counters charges = {sup_key_meta_charge, sup_key_meta_charge_end,
                                            sup_key_meta_charge_parse};
    int rc = load_vv(a, &vv, &a->now.vv, err);

    if (rc == SUP_OK)
        rc = load_vv(a, &floor, &a->now.floor, err);
    return rc == SUP_OK ? load_vv(a, &charges, &a->now.charges, err) : rc;
}

/* A store of before this was counted is counted once. */
static int load_log_bytes(struct sup_apply *a, struct sup_err *err)
{
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it;
    int rc = sup_meta_get_u64(a->opts.store, NULL, SUP_META_LOG_BYTES, &a->now.log_bytes, err);

    if (rc != SUP_ENOTFOUND)
        return rc;
    it = sup_iter_new(a->opts.store, NULL, SUP_CF_LOG, open, open);
    if (!it)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    for (a->now.log_bytes = 0; sup_iter_valid(it); sup_iter_next(it))
        a->now.log_bytes += sup_iter_key(it).n + sup_iter_value(it).n;
    rc = sup_iter_status(it, err);
    sup_iter_free(it);
    return rc;
}

static int write_hash_check(void *arg, struct sup_txn *t, struct sup_err *err)
{
    const struct sup_apply *a = arg;

    (void)err;
    sup_meta_put_u64(t, SUP_META_HASH_KEY, a->opts.hash.check);
    return SUP_OK;
}

static int load(struct sup_apply *a, bool *hash_unknown, struct sup_err *err)
{
    uint64_t reserved = 0;
    uint64_t check = 0;
    int rc;

    rc = sup_meta_get_u64(a->opts.store, NULL, SUP_META_INCARNATION, &a->now.incarnation, err);
    if (rc != SUP_OK)
        return rc;
    rc = sup_meta_get_u64(a->opts.store, NULL, SUP_META_HLC_RESERVED, &reserved, err);
    if (rc != SUP_OK && rc != SUP_ENOTFOUND)
        return rc;
    sup_hlc_init(&a->now.hlc, reserved);
    rc = sup_meta_get_u64(a->opts.store, NULL, SUP_META_HASH_KEY, &check, err);
    if (rc != SUP_OK && rc != SUP_ENOTFOUND)
        return rc;
    *hash_unknown = rc == SUP_ENOTFOUND;
    if (!*hash_unknown && check != a->opts.hash.check)
        return sup_err_set(err, SUP_EINPUT,
                           "the store's addresses are hashed with another secret: mesh.cluster or "
                           "mesh.secret_file is not what it was when the store was made");
    rc = load_vvs(a, err);
    if (rc == SUP_OK)
        rc = load_log_bytes(a, err);
    publish(a);
    a->version = 1;
    return rc;
}

static void count_from_now(struct sup_apply *a)
{
    a->overwrites = sup_metric("supsync_merge_overwrites_total", NULL, SUP_COUNTER,
                               "Decisions of one node that another node's decision overruled");
    a->concurrent = sup_metric("supsync_concurrent_overwrites_total", NULL, SUP_COUNTER,
                               "Decisions overruled by one whose maker had not seen them");
    a->uncounted = sup_metric("supsync_mesh_uncounted_total", NULL, SUP_COUNTER,
                              "Decisions of incarnations that are beyond a peer's share");
}

static void apply_init(struct sup_apply *a, const struct sup_apply_options *opts)
{
    a->opts = *opts;
    if (!a->opts.wall_ms)
        a->opts.wall_ms = sup_wall_ms;
    if (!a->opts.mono_ms)
        a->opts.mono_ms = sup_mono_ms;
    if (!a->opts.random_id)
        a->opts.random_id = sup_random_id;
    a->batch = (struct sup_writer_opts){.store = opts->store,
                                        .queue_max = QUEUE_MAX,
                                        .group_max_jobs = GROUP_MAX,
                                        .begin = batch_begin,
                                        .end = batch_end,
                                        .committed = batch_committed,
                                        .arg = a};
    a->node_id = sup_store_node_id(opts->store);
    a->mem = sup_mem_new();
    a->seen = sup_seen_new();
    a->soft_known = sup_soft_known_new();
    a->outbox_low = INT64_MAX;
    a->outbox_since = INT64_MAX;
    a->doubted_ms = a->complained_ms = INT64_MIN;
    sup_buf_init(&a->value, VALUE_MAX);
    sup_buf_init(&a->scratch, VALUE_MAX);
    sup_buf_init(&a->encoded, VALUE_MAX);
    pthread_mutex_init(&a->mutex, NULL);
    sup_cond_init(&a->cond);
    count_from_now(a);
}

static int note_hash(struct sup_apply *a, struct sup_err *err)
{
    struct sup_txn *t;

    if (!a->opts.threadless)
        return sup_writer_run(a->writer, write_hash_check, a, err);
    t = sup_txn_begin(a->opts.store);
    if (!t)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    (void)write_hash_check(a, t, err);
    return sup_txn_commit(t, true, err);
}

int sup_apply_start(const struct sup_apply_options *opts, struct sup_apply **out,
                    struct sup_err *err)
{
    struct sup_apply *a = calloc(1, sizeof(*a));
    bool hash_unknown = false;
    int rc;

    if (!a)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    apply_init(a, opts);
    rc = a->mem && a->seen && a->soft_known ? load(a, &hash_unknown, err)
                                            : sup_err_set(err, SUP_ENOMEM, "out of memory");
    if (rc == SUP_OK && !opts->threadless)
        rc = sup_writer_start(&a->batch, &a->writer, err);
    if (rc == SUP_OK && hash_unknown)
        rc = note_hash(a, err);
    if (rc != SUP_OK) {
        sup_apply_stop(a);
        sup_apply_free(a);
        return rc;
    }
    *out = a;
    return SUP_OK;
}

void sup_apply_stop(struct sup_apply *a)
{
    if (a && a->writer)
        sup_writer_stop(a->writer);
}

void sup_apply_free(struct sup_apply *a)
{
    if (!a)
        return;
    if (a->writer)
        sup_writer_free(a->writer);
    sup_mem_free(a->mem);
    sup_seen_free(a->seen);
    sup_soft_known_free(a->soft_known);
    free(a->changes);
    sup_buf_fini(&a->value);
    sup_buf_fini(&a->scratch);
    sup_buf_fini(&a->encoded);
    pthread_cond_destroy(&a->cond);
    pthread_mutex_destroy(&a->mutex);
    free(a);
}

static void before_job(struct sup_apply *a)
{
    state_copy(&a->before_job, &a->now);
    a->changes_before_job = a->n_changes;
    a->source = (struct sup_apply_member){.id = 0};
}

static void take_back_job(struct sup_apply *a)
{
    state_copy(&a->now, &a->before_job);
    a->n_changes = a->changes_before_job;
    sup_seen_forget(a->seen);
}

static int job_run(struct sup_job *job, struct sup_txn *t, struct sup_err *err)
{
    struct sup_apply_job *j = (struct sup_apply_job *)job;
    struct sup_apply *a = j->apply;
    int rc;

    before_job(a);
    rc = j->run(j, t, err);
    if (rc == SUP_OK)
        rc = sup_txn_status(t, err);
    if (rc != SUP_OK)
        take_back_job(a);
    return rc;
}

static void job_done(struct sup_job *job, int code, const struct sup_err *err)
{
    struct sup_apply_job *j = (struct sup_apply_job *)job;

    j->done(j, code, err);
}

int sup_apply_submit(struct sup_apply *a, struct sup_apply_job *j, int64_t timeout_ms)
{
    j->job = (struct sup_job){.run = job_run, .done = job_done};
    j->apply = a;
    return sup_writer_submit(a->writer, &j->job, timeout_ms);
}

int sup_apply_batch(struct sup_apply *a, struct sup_apply_job *const *jobs, size_t n)
{
    struct sup_batch_slot *slots = calloc(n > 0 ? n : 1, sizeof(*slots));
    struct sup_err err = {0};
    int64_t commit_us = 0;
    int rc;

    if (!slots)
        return SUP_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        jobs[i]->job = (struct sup_job){.run = job_run, .done = job_done};
        jobs[i]->apply = a;
        slots[i].job = &jobs[i]->job;
    }
    rc = sup_batch_run(&a->batch, slots, n, &commit_us, &err);
    sup_batch_finish(&a->batch, slots, n, rc, &err);
    free(slots);
    return rc;
}

struct call {
    struct sup_apply *apply;
    int (*fn)(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err);
    void *arg;
};

static int call_run(void *arg, struct sup_txn *t, struct sup_err *err)
{
    struct call *c = arg;
    struct sup_apply *a = c->apply;
    int rc;

    before_job(a);
    rc = c->fn(a, t, c->arg, err);
    if (rc == SUP_OK)
        rc = sup_txn_status(t, err);
    if (rc != SUP_OK)
        take_back_job(a);
    return rc;
}

int sup_apply_run(struct sup_apply *a,
                  int (*fn)(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err),
                  void *arg, struct sup_err *err)
{
    struct call c = {.apply = a, .fn = fn, .arg = arg};

    return sup_writer_run(a->writer, call_run, &c, err);
}

struct sup_writer *sup_apply_writer(struct sup_apply *a)
{
    return a->writer;
}

struct sup_store *sup_apply_store(const struct sup_apply *a)
{
    return a->opts.store;
}

const struct sup_hash_key *sup_apply_hash(const struct sup_apply *a)
{
    return &a->opts.hash;
}

uint64_t sup_apply_node_id(const struct sup_apply *a)
{
    return a->node_id;
}

struct sup_sketch_keeper *sup_apply_keeper(const struct sup_apply *a)
{
    return a->opts.keeper;
}

struct sup_seen *sup_apply_seen(const struct sup_apply *a)
{
    return a->seen;
}

struct sup_soft_known *sup_apply_soft_known(const struct sup_apply *a)
{
    return a->soft_known;
}

uint64_t sup_apply_incarnation(struct sup_apply *a)
{
    uint64_t incarnation;

    pthread_mutex_lock(&a->mutex);
    incarnation = a->published_incarnation;
    pthread_mutex_unlock(&a->mutex);
    return incarnation;
}

void sup_apply_vv(struct sup_apply *a, struct sup_vv *out)
{
    pthread_mutex_lock(&a->mutex);
    sup_vv_copy(out, &a->published);
    pthread_mutex_unlock(&a->mutex);
}

void sup_apply_floor(struct sup_apply *a, struct sup_vv *out)
{
    pthread_mutex_lock(&a->mutex);
    sup_vv_copy(out, &a->published_floor);
    pthread_mutex_unlock(&a->mutex);
}

uint64_t sup_apply_log_bytes(struct sup_apply *a)
{
    uint64_t bytes;

    pthread_mutex_lock(&a->mutex);
    bytes = a->published_log_bytes;
    pthread_mutex_unlock(&a->mutex);
    return bytes;
}

int64_t sup_apply_clock_ahead_ms(struct sup_apply *a)
{
    sup_hlc_time time;

    pthread_mutex_lock(&a->mutex);
    time = a->published_time;
    pthread_mutex_unlock(&a->mutex);
    return sup_hlc_ms(time) - a->opts.wall_ms();
}

uint64_t sup_apply_wait(struct sup_apply *a, uint64_t seen, int64_t timeout_ms)
{
    int64_t deadline = sup_mono_ms() + timeout_ms;
    uint64_t version;

    pthread_mutex_lock(&a->mutex);
    while (a->version == seen) {
        int64_t left = deadline - sup_mono_ms();
        if (left <= 0 || !sup_cond_wait_ms(&a->cond, &a->mutex, left))
            break;
    }
    version = a->version;
    pthread_mutex_unlock(&a->mutex);
    return version;
}

uint64_t sup_apply_version(struct sup_apply *a)
{
    uint64_t version;

    pthread_mutex_lock(&a->mutex);
    version = a->version;
    pthread_mutex_unlock(&a->mutex);
    return version;
}

void sup_apply_wake(struct sup_apply *a)
{
    pthread_mutex_lock(&a->mutex);
    a->version++;
    pthread_cond_broadcast(&a->cond);
    pthread_mutex_unlock(&a->mutex);
}

size_t sup_apply_quarantined(const struct sup_apply *a)
{
    return a->quarantined;
}

int64_t sup_apply_now_ms(const struct sup_apply *a)
{
    return a->batch_ms;
}

void sup_apply_touch_outbox(struct sup_apply *a, int64_t due_ms)
{
    if (due_ms < a->outbox_low)
        a->outbox_low = due_ms;
}

int64_t sup_apply_outbox_low(struct sup_apply *a)
{
    return atomic_exchange(&a->outbox_since, INT64_MAX);
}
