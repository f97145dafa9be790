#include "service/housekeeper.h"
#include "service/apply_txn.h"
#include "service/log_trim.h"
#include "service/memory_use.h"
#include "service/sketch_keeper.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "codec/keys.h"

#include <stdlib.h>
#include <string.h>

#define LOOK_EVERY_MS  1000
#define DEDUP_EVERY_MS (10 * 60 * 1000)
#define AUDIT_EVERY_MS (24LL * 60 * 60 * 1000)
/* Changes a transaction: large enough to be cheap, small enough not to hold up the writer. */
#define BATCH 256

struct sup_housekeeper {
    struct sup_apply *apply;
    struct sup_store *store;
    struct sup_stop stop;
    pthread_t thread;
    bool started;
    struct sup_memory_use memory;
    uint64_t log_max_bytes;
    /* dedup sweep */
    struct sup_buf at;   /* where the sweep goes on */
    struct sup_buf dead; /* 16-byte marks to delete */
    int64_t next_sweep_ms;
    int64_t next_audit_ms;
};

/* Is there anything at the front of cf that is due? Keys begin with a time. */
static bool front_due(struct sup_housekeeper *h, enum sup_cf cf, uint64_t due)
{
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(h->store, NULL, cf, open, open);
    bool yes = false;

    if (it && sup_iter_valid(it)) {
        struct sup_slice key = sup_iter_key(it);
        yes = key.n >= 8 && sup_get_be64(key.p) <= due;
    }
    sup_iter_free(it);
    return yes;
}

static int release_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    return sup_apply_release(a, t, BATCH, arg, err);
}

static int expire_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    return sup_apply_expire(a, t, BATCH, arg, err);
}

static void run_batches(struct sup_housekeeper *h, const char *what,
                        int (*fn)(struct sup_apply *, struct sup_txn *, void *, struct sup_err *))
{
    size_t n = BATCH;

    while (n == BATCH && !sup_stop_is_set(&h->stop)) {
        struct sup_err err = {0};
        int rc = sup_apply_run(h->apply, fn, &n, &err);
        if (rc != SUP_OK) {
            sup_log_error("housekeeper", "cannot go on", SUP_S("with", what),
                          SUP_S("error", err.msg));
            return;
        }
        if (n > 0)
            sup_log_info("housekeeper", what, SUP_U("count", n));
    }
}

static int sweep_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    const struct sup_buf *dead = arg;

    (void)a;
    (void)err;
    for (size_t i = 0; i + 16 <= dead->n; i += 16)
        sup_txn_delete(t, SUP_CF_DEDUP, sup_slice_of(dead->p + i, 16));
    return SUP_OK;
}

/* One stretch of the dedup marks; true when the end was reached. */
static bool sweep_some(struct sup_housekeeper *h)
{
    struct sup_iter *it = sup_iter_new(h->store, NULL, SUP_CF_DEDUP, sup_buf_slice(&h->at),
                                       (struct sup_slice){NULL, 0});
    int64_t now = sup_wall_ms();
    size_t looked = 0;
    bool end;

    sup_buf_reset(&h->dead);
    for (; it && sup_iter_valid(it) && looked < 16 * BATCH; sup_iter_next(it), looked++) {
        struct sup_slice v = sup_iter_value(it);
        struct sup_slice k = sup_iter_key(it);
        if (v.n == 8 && k.n == 16 && (int64_t)sup_get_be64(v.p) < now)
            sup_buf_add_slice(&h->dead, k);
    }
    end = !it || !sup_iter_valid(it);
    sup_buf_reset(&h->at);
    if (!end)
        sup_buf_add_slice(&h->at, sup_iter_key(it));
    sup_iter_free(it);
    if (h->dead.n > 0)
        (void)sup_apply_run(h->apply, sweep_run, &h->dead, NULL);
    return end;
}

/* What repair goes by is made of sums; one that was wrong would stay so. */
static void audit(struct sup_housekeeper *h)
{
    struct sup_sketch_keeper *k = sup_apply_keeper(h->apply);
    struct sup_err err = {0};
    bool sound = false;

    h->next_audit_ms = sup_mono_ms() + AUDIT_EVERY_MS;
    if (!k)
        return;
    if (sup_sketch_keeper_audit(k, h->apply, h->store, &sound, &err) != SUP_OK)
        sup_log_warn("housekeeper", "the sketch of the records could not be audited",
                     SUP_S("error", err.msg));
    else
        sup_log_info("housekeeper", "sketch of the records audited",
                     SUP_S("result", sound ? "sound" : "corrected"));
}

static void *housekeeper_main(void *arg)
{
    struct sup_housekeeper *h = arg;

    sup_memory_use_look(&h->memory, h->store);
    while (!sup_stop_wait_ms(&h->stop, LOOK_EVERY_MS)) {
        int64_t now = sup_wall_ms();
        sup_memory_use_look(&h->memory, h->store);
        if (front_due(h, SUP_CF_QUARANTINE, sup_hlc_from_ms(now)))
            run_batches(h, "mutations leave quarantine", release_run);
        if (front_due(h, SUP_CF_EXPIRY, now < 0 ? 0 : (uint64_t)now))
            run_batches(h, "suppressions expire", expire_run);
        if (h->log_max_bytes > 0)
            sup_log_trim_alone(h->apply, h->log_max_bytes, &h->stop);
        if (sup_mono_ms() >= h->next_audit_ms)
            audit(h);
        if (sup_mono_ms() < h->next_sweep_ms)
            continue;
        while (!sweep_some(h) && !sup_stop_is_set(&h->stop))
            ;
        h->next_sweep_ms = sup_mono_ms() + DEDUP_EVERY_MS;
    }
    return NULL;
}

int sup_housekeeper_start(struct sup_apply *apply, struct sup_store *store, uint64_t log_max_bytes,
                          struct sup_housekeeper **out, struct sup_err *err)
{
    struct sup_housekeeper *h = calloc(1, sizeof(*h));

    if (!h)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    h->apply = apply;
    h->store = store;
    h->log_max_bytes = log_max_bytes;
    h->next_audit_ms = sup_mono_ms() + AUDIT_EVERY_MS; /* it was made by a scan just now */
    sup_stop_init(&h->stop);
    sup_buf_init(&h->at, 64);
    sup_buf_init(&h->dead, 16UL * 16 * BATCH);
    if (sup_thread_start(&h->thread, "housekeeper", housekeeper_main, h) != SUP_OK) {
        sup_housekeeper_free(h);
        return sup_err_set(err, SUP_EAGAIN, "cannot start a thread");
    }
    h->started = true;
    *out = h;
    return SUP_OK;
}

void sup_housekeeper_stop(struct sup_housekeeper *h)
{
    if (!h || !h->started)
        return;
    sup_stop_set(&h->stop);
    pthread_join(h->thread, NULL);
    h->started = false;
}

void sup_housekeeper_free(struct sup_housekeeper *h)
{
    if (!h)
        return;
    sup_buf_fini(&h->at);
    sup_buf_fini(&h->dead);
    sup_stop_fini(&h->stop);
    free(h);
}
