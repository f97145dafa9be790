#include "service/apply_txn.h"

#include "base/clock.h"
#include "codec/keys.h"
#include "service/apply_internal.h"
#include "store/meta.h"

#include <stdlib.h>

/* Jobs that may wait for the writer, and that share a commit. */
#define QUEUE_MAX 4096
#define GROUP_MAX 1024

#define VALUE_MAX (1U << 20)

static int batch_begin(void *arg, struct sup_txn *t, struct sup_err *err)
{
    struct sup_apply *a = arg;

    (void)t;
    (void)err;
    a->batch_ms = a->opts.wall_ms();
    a->before_batch = a->now;
    a->outbox_touched = false;
    return SUP_OK;
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
    for (size_t i = 0; i < a->now.vv.n; i++) {
        const struct sup_vv_entry *e = &a->now.vv.e[i];
        struct sup_key k;
        uint8_t v[8];
        if (sup_vv_get(&a->written, e->incarnation) == e->seq)
            continue;
        sup_key_meta_vv(&k, e->incarnation);
        sup_put_be64(v, e->seq);
        sup_txn_put(t, SUP_CF_META, sup_key_slice(&k), sup_slice_of(v, sizeof(v)));
    }
    return SUP_OK;
}

static void batch_committed(void *arg, int code)
{
    struct sup_apply *a = arg;

    if (code != SUP_OK) {
        a->now = a->before_batch;
        return;
    }
    a->written = a->now.vv;
    pthread_mutex_lock(&a->mutex);
    a->published = a->now.vv;
    a->published_incarnation = a->now.incarnation;
    a->version++;
    pthread_cond_broadcast(&a->cond);
    pthread_mutex_unlock(&a->mutex);
    if (a->outbox_touched && a->opts.outbox_changed)
        a->opts.outbox_changed(a->opts.arg);
}

static int load_vv(struct sup_apply *a, struct sup_err *err)
{
    struct sup_key lower;
    struct sup_key upper;
    struct sup_iter *it;
    int rc = SUP_OK;

    sup_key_meta_vv(&lower, 0);
    sup_key_meta_vv_end(&upper);
    it = sup_iter_new(a->opts.store, NULL, SUP_CF_META, sup_key_slice(&lower),
                      sup_key_slice(&upper));
    if (!it)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    for (; rc == SUP_OK && sup_iter_valid(it); sup_iter_next(it)) {
        uint64_t incarnation = 0;
        struct sup_slice v = sup_iter_value(it);
        if (!sup_key_meta_vv_parse(sup_iter_key(it), &incarnation) || v.n != 8)
            rc = sup_err_set(err, SUP_ECORRUPT, "damaged version vector in the store");
        else if (sup_vv_raise(&a->now.vv, incarnation, sup_get_be64(v.p)) != SUP_OK)
            rc = sup_err_set(err, SUP_ELIMIT, "more than %d incarnations in the store", SUP_VV_MAX);
    }
    if (rc == SUP_OK)
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
    rc = load_vv(a, err);
    a->written = a->now.vv;
    a->published = a->now.vv;
    a->published_incarnation = a->now.incarnation;
    return rc;
}

int sup_apply_start(const struct sup_apply_options *opts, struct sup_apply **out,
                    struct sup_err *err)
{
    struct sup_apply *a = calloc(1, sizeof(*a));
    bool hash_unknown = false;
    int rc;

    if (!a)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    a->opts = *opts;
    if (!a->opts.wall_ms)
        a->opts.wall_ms = sup_wall_ms;
    a->node_id = sup_store_node_id(opts->store);
    a->version = 1;
    a->mem = sup_mem_new();
    sup_buf_init(&a->value, VALUE_MAX);
    sup_buf_init(&a->scratch, VALUE_MAX);
    sup_buf_init(&a->encoded, VALUE_MAX);
    pthread_mutex_init(&a->mutex, NULL);
    sup_cond_init(&a->cond);
    rc = a->mem ? load(a, &hash_unknown, err) : sup_err_set(err, SUP_ENOMEM, "out of memory");
    if (rc == SUP_OK) {
        struct sup_writer_opts w = {.store = opts->store,
                                    .queue_max = QUEUE_MAX,
                                    .group_max_jobs = GROUP_MAX,
                                    .begin = batch_begin,
                                    .end = batch_end,
                                    .committed = batch_committed,
                                    .arg = a};
        rc = sup_writer_start(&w, &a->writer, err);
    }
    if (rc == SUP_OK && hash_unknown)
        rc = sup_writer_run(a->writer, write_hash_check, a, err);
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
    sup_buf_fini(&a->value);
    sup_buf_fini(&a->scratch);
    sup_buf_fini(&a->encoded);
    pthread_cond_destroy(&a->cond);
    pthread_mutex_destroy(&a->mutex);
    free(a);
}

static int job_run(struct sup_job *job, struct sup_txn *t, struct sup_err *err)
{
    struct sup_apply_job *j = (struct sup_apply_job *)job;
    struct sup_apply *a = j->apply;
    int rc;

    a->before_job = a->now;
    rc = j->run(j, t, err);
    if (rc != SUP_OK)
        a->now = a->before_job;
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

    a->before_job = a->now;
    rc = c->fn(a, t, c->arg, err);
    if (rc != SUP_OK)
        a->now = a->before_job;
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

const struct sup_hash_key *sup_apply_hash(const struct sup_apply *a)
{
    return &a->opts.hash;
}

uint64_t sup_apply_node_id(const struct sup_apply *a)
{
    return a->node_id;
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
    *out = a->published;
    pthread_mutex_unlock(&a->mutex);
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

int64_t sup_apply_now_ms(const struct sup_apply *a)
{
    return a->batch_ms;
}

void sup_apply_touch_outbox(struct sup_apply *a)
{
    a->outbox_touched = true;
}
