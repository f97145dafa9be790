#include "service/soft.h"

#include "base/array.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/thread.h"
#include "codec/keys.h"
#include "codec/value.h"
#include "service/apply_txn.h"
#include "service/internal.h"
#include "service/soft_job.h"

#include <stdlib.h>
#include <string.h>

#define TRIM_BATCH 500
#define KEY_BYTES  (9 + SUP_SOFT_ID)

static struct sup_slice due_from(uint8_t *key, int64_t ms)
{
    key[0] = 'd';
    sup_put_be64(key + 1, ms < 0 ? 0 : (uint64_t)ms);
    return sup_slice_of(key, 9);
}

/* --- listing --- */

static int list_rows(struct sup_iter *it, const uint8_t *skip,
                     bool (*row)(void *arg, const struct sup_soft_row *row), void *arg,
                     struct sup_err *err)
{
    for (; sup_iter_valid(it); sup_iter_next(it)) {
        struct sup_soft_row r;
        if (!sup_key_soft_due_parse(sup_iter_key(it), &r.due_ms, &r.id) ||
            sup_soft_decode(sup_iter_value(it), &r.s) != SUP_OK)
            return sup_err_set(err, SUP_ECORRUPT, "a soft bounce cannot be read");
        if (skip && memcmp(r.id, skip, SUP_SOFT_ID) == 0)
            continue;
        skip = NULL;
        if (!row(arg, &r))
            break;
    }
    return sup_iter_status(it, err);
}

int sup_soft_list(struct sup_store *store, bool due_only, int64_t after_ms, const uint8_t *after_id,
                  bool (*row)(void *arg, const struct sup_soft_row *row), void *arg,
                  struct sup_err *err)
{
    uint8_t lower[KEY_BYTES], upper[9] = {'e'};
    struct sup_slice from = due_from(lower, after_id ? after_ms : 0);
    struct sup_slice to = due_only ? due_from(upper, sup_wall_ms() + 1) : sup_slice_of(upper, 1);

    if (after_id) {
        memcpy(lower + 9, after_id, SUP_SOFT_ID);
        from.n = KEY_BYTES;
    }
    struct sup_snapshot *snap = sup_store_snapshot(store);
    struct sup_iter *it = sup_iter_new(store, snap, SUP_CF_SOFT, from, to);
    int rc =
        it ? list_rows(it, after_id, row, arg, err) : sup_err_set(err, SUP_ENOMEM, "out of memory");
    sup_iter_free(it);
    sup_snapshot_free(store, snap);
    return rc;
}

int sup_service_soft_list(struct sup_service *s, bool due_only, int64_t after_ms,
                          const uint8_t *after_id,
                          bool (*row)(void *arg, const struct sup_soft_row *row), void *arg,
                          struct sup_err *err)
{
    return sup_soft_list(s->store, due_only, after_ms, after_id, row, arg, err);
}

/* --- claiming --- */

struct claimed {
    uint8_t id[SUP_SOFT_ID];
    size_t value_at, value_n;
};

struct claiming {
    size_t want;
    int64_t lease_ms;
    int64_t until_ms;
    struct sup_buf old; /* keys of KEY_BYTES */
    struct sup_buf values;
    struct claimed *rows;
    size_t n;
    struct sup_mem *mem;
};

static bool is_suppressed(struct claiming *c, struct sup_apply *a, struct sup_txn *t,
                          struct sup_slice address)
{
    struct sup_record record;
    enum sup_class which;

    sup_mem_reset(c->mem);
    return sup_apply_record(a, t, address, c->mem, &record, NULL) == SUP_OK &&
           sup_registers_effective(&record.registers, sup_apply_now_ms(a), &which) !=
               SUP_REASON_NONE;
}

/* Copies what is due: nothing may be written while an iterator is open. */
static int collect(struct claiming *c, struct sup_txn *t, struct sup_err *err)
{
    uint8_t lower[9], upper[9];
    struct sup_slice from = due_from(lower, 0), to = due_from(upper, sup_wall_ms() + 1);
    struct sup_iter *it = sup_txn_iter(t, SUP_CF_SOFT, from, to);

    if (!it)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    c->n = 0;
    sup_buf_reset(&c->old);
    sup_buf_reset(&c->values);
    for (; sup_iter_valid(it) && c->n < c->want; sup_iter_next(it)) {
        struct sup_slice key = sup_iter_key(it), value = sup_iter_value(it);
        if (key.n != KEY_BYTES)
            continue;
        struct claimed *r = &c->rows[c->n++];
        memcpy(r->id, key.p + 9, SUP_SOFT_ID);
        r->value_at = c->values.n;
        r->value_n = value.n;
        sup_buf_add_slice(&c->old, key);
        sup_buf_add_slice(&c->values, value);
    }
    int rc = sup_iter_status(it, err);
    sup_iter_free(it);
    return rc == SUP_OK && c->values.failed ? sup_err_set(err, c->values.failed, "claim fewer")
                                            : rc;
}

static void move(struct sup_txn *t, struct sup_slice old, const uint8_t *id, int64_t due_ms,
                 const struct sup_buf *value)
{
    uint8_t when[8];
    struct sup_buf key;

    sup_buf_init(&key, 64);
    sup_txn_delete(t, SUP_CF_SOFT, old);
    sup_key_soft_due(&key, due_ms, id);
    sup_txn_put(t, SUP_CF_SOFT, sup_buf_slice(&key), sup_buf_slice(value));
    sup_buf_reset(&key);
    sup_key_soft_id(&key, id);
    sup_put_be64(when, (uint64_t)due_ms);
    sup_txn_put(t, SUP_CF_SOFT, sup_buf_slice(&key), sup_slice_of(when, sizeof(when)));
    sup_buf_fini(&key);
}

static void drop(struct sup_txn *t, struct sup_slice old)
{
    uint8_t key[1 + SUP_SOFT_ID] = {'i'};

    memcpy(key + 1, old.p + 9, SUP_SOFT_ID);
    sup_txn_delete(t, SUP_CF_SOFT, old);
    sup_txn_delete(t, SUP_CF_SOFT, sup_slice_of(key, sizeof(key)));
}

/* The claimed values are written anew behind the old ones. */
static int claim_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct claiming *c = arg;
    int rc = collect(c, t, err);
    size_t kept = 0;
    struct sup_buf value;

    if (rc != SUP_OK)
        return rc;
    c->until_ms = sup_apply_now_ms(a) + c->lease_ms;
    sup_buf_init(&value, SUP_SOFT_VALUE_MAX);
    for (size_t i = 0; i < c->n; i++) {
        struct claimed *r = &c->rows[i];
        struct sup_slice old = sup_slice_of(c->old.p + i * KEY_BYTES, KEY_BYTES);
        struct sup_soft s;
        if (sup_soft_decode(sup_slice_of(c->values.p + r->value_at, r->value_n), &s) != SUP_OK ||
            is_suppressed(c, a, t, s.address)) {
            drop(t, old);
            continue;
        }
        s.lease = sup_random_id();
        s.claims++;
        sup_buf_reset(&value);
        sup_soft_encode(&s, &value);
        move(t, old, r->id, c->until_ms, &value);
        struct claimed moved = *r;
        moved.value_at = c->values.n;
        moved.value_n = value.n;
        sup_buf_add_slice(&c->values, sup_buf_slice(&value));
        c->rows[kept++] = moved;
    }
    c->n = kept;
    sup_buf_fini(&value);
    return c->values.failed ? sup_err_set(err, c->values.failed, "claim fewer") : SUP_OK;
}

int sup_soft_claim(struct sup_apply *apply, size_t n, int64_t lease_ms,
                   bool (*row)(void *arg, const struct sup_soft_row *row), void *arg,
                   struct sup_err *err)
{
    struct claiming c = {.want = n, .lease_ms = lease_ms};
    int rc = SUP_ENOMEM;

    if (n > SUP_SOFT_CLAIM_MAX)
        return sup_err_set(err, SUP_EINPUT, "claim at most %d", SUP_SOFT_CLAIM_MAX);
    c.rows = calloc(n > 0 ? n : 1, sizeof(*c.rows));
    c.mem = sup_mem_new();
    sup_buf_init(&c.old, SUP_SOFT_CLAIM_MAX * KEY_BYTES);
    sup_buf_init(&c.values, 64U << 20);
    if (c.rows && c.mem)
        rc = sup_apply_run(apply, claim_run, &c, err);
    else
        sup_err_set(err, rc, "out of memory");
    for (size_t i = 0; i < c.n && rc == SUP_OK; i++) {
        struct sup_soft_row r = {.id = c.rows[i].id, .due_ms = c.until_ms};
        if (sup_soft_decode(sup_slice_of(c.values.p + c.rows[i].value_at, c.rows[i].value_n),
                            &r.s) == SUP_OK &&
            !row(arg, &r))
            break;
    }
    free(c.rows);
    sup_mem_free(c.mem);
    sup_buf_fini(&c.old);
    sup_buf_fini(&c.values);
    return rc;
}

int sup_service_soft_claim(struct sup_service *s, size_t n, int64_t lease_ms,
                           bool (*row)(void *arg, const struct sup_soft_row *row), void *arg,
                           struct sup_err *err)
{
    return sup_soft_claim(s->apply, n, lease_ms, row, arg, err);
}

/* --- acknowledging --- */

struct acking {
    const uint8_t *id;
    uint64_t lease;
};

static int ack_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    const struct acking *k = arg;
    uint8_t key[KEY_BYTES] = {'i'};
    struct sup_buf value;
    struct sup_soft s;

    (void)a;
    sup_buf_init(&value, 1U << 20);
    memcpy(key + 1, k->id, SUP_SOFT_ID);
    int rc = sup_txn_get(t, SUP_CF_SOFT, sup_slice_of(key, 1 + SUP_SOFT_ID), &value);
    if (rc == SUP_OK && value.n == 8) {
        key[0] = 'd';
        memcpy(key + 1, value.p, 8);
        memcpy(key + 9, k->id, SUP_SOFT_ID);
        rc = sup_txn_get(t, SUP_CF_SOFT, sup_slice_of(key, sizeof(key)), &value);
    }
    if (rc == SUP_OK)
        rc = sup_soft_decode(sup_buf_slice(&value), &s);
    if (rc != SUP_OK)
        rc = sup_err_set(err, rc, "no such soft bounce waits (any more)");
    else if (s.lease != k->lease)
        rc = sup_err_set(err, SUP_EEXIST, "claimed by somebody else, or your lease ended");
    else
        drop(t, sup_slice_of(key, sizeof(key)));
    sup_buf_fini(&value);
    return rc;
}

int sup_service_soft_ack(struct sup_service *s, const uint8_t *id, uint64_t lease,
                         struct sup_err *err)
{
    struct acking k = {.id = id, .lease = lease};

    return sup_apply_run(s->apply, ack_run, &k, err);
}

/* --- forgetting --- */

struct trimming {
    const struct sup_buf *keys;
};

static int trim_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    const struct trimming *tr = arg;

    (void)a;
    (void)err;
    for (size_t i = 0; i + KEY_BYTES <= tr->keys->n; i += KEY_BYTES)
        drop(t, sup_slice_of(tr->keys->p + i, KEY_BYTES));
    return SUP_OK;
}

struct old_rows {
    struct sup_buf keys;
    int64_t before_ms;
};

static bool note_old(void *arg, const struct sup_soft_row *r)
{
    struct old_rows *o = arg;

    if (r->s.time_ms >= o->before_ms)
        return true;
    sup_key_soft_due(&o->keys, r->due_ms, r->id);
    return o->keys.n < TRIM_BATCH * KEY_BYTES;
}

/* Keys of address states that looked dead: 2-byte length, key. */
struct dead {
    struct sup_buf keys;
    int64_t before_ms;
};

/* One may have come to life since. */
static int trim_states_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    const struct dead *d = arg;
    struct sup_cur c = sup_cur_of(sup_buf_slice(&d->keys));
    struct sup_buf value;
    int rc = SUP_OK;

    (void)a;
    sup_buf_init(&value, 65536);
    while (c.n > 0 && (rc == SUP_OK || rc == SUP_ENOTFOUND)) {
        struct sup_slice key = sup_cur_take(&c, sup_cur_be16(&c));
        rc = sup_txn_get(t, SUP_CF_SOFT, key, &value);
        if (rc == SUP_OK && sup_soft_state_newest(sup_buf_slice(&value)) < d->before_ms)
            sup_txn_delete(t, SUP_CF_SOFT, key);
    }
    sup_buf_fini(&value);
    return rc == SUP_OK || rc == SUP_ENOTFOUND ? SUP_OK
                                               : sup_err_set(err, rc, "cannot read a soft bounce");
}

/* Collects dead states from *from on, which is moved. False: the end was reached. */
static bool dead_states(struct sup_store *store, int64_t before_ms, struct sup_buf *from,
                        struct sup_buf *keys)
{
    struct sup_iter *it = sup_iter_new(store, NULL, SUP_CF_SOFT, sup_buf_slice(from),
                                       sup_slice_of((const uint8_t *)"b", 1));
    bool more = false;

    sup_buf_reset(keys);
    for (size_t looked = 0; it && sup_iter_valid(it); sup_iter_next(it), looked++) {
        struct sup_slice key = sup_iter_key(it);
        more = looked == 16 * TRIM_BATCH || keys->n > TRIM_BATCH * 64;
        if (more) {
            sup_buf_reset(from);
            sup_buf_add_slice(from, key);
            break;
        }
        if (sup_soft_state_newest(sup_iter_value(it)) >= before_ms)
            continue;
        sup_buf_add_be16(keys, (uint16_t)key.n);
        sup_buf_add_slice(keys, key);
    }
    sup_iter_free(it);
    return more;
}

static void trim_states(struct sup_store *store, struct sup_apply *apply, int64_t before_ms,
                        struct sup_stop *stop)
{
    struct dead d = {.before_ms = before_ms};
    struct sup_buf from;
    bool more = true;

    sup_buf_init(&from, SUP_KEY_MAX);
    sup_buf_init(&d.keys, 1U << 20);
    sup_buf_add_byte(&from, 'a');
    while (more && !sup_stop_is_set(stop)) {
        more = dead_states(store, before_ms, &from, &d.keys);
        if (d.keys.n > 0 && sup_apply_run(apply, trim_states_run, &d, NULL) != SUP_OK)
            break;
    }
    sup_buf_fini(&from);
    sup_buf_fini(&d.keys);
}

void sup_soft_trim(struct sup_store *store, struct sup_apply *apply, int64_t retention_ms,
                   int64_t memory_ms, struct sup_stop *stop)
{
    struct old_rows o = {.before_ms = sup_wall_ms() - retention_ms};
    struct trimming tr = {.keys = &o.keys};

    sup_buf_init(&o.keys, (TRIM_BATCH + 1) * KEY_BYTES);
    do {
        sup_buf_reset(&o.keys);
        if (sup_soft_list(store, false, 0, NULL, note_old, &o, NULL) != SUP_OK)
            break;
    } while (o.keys.n > 0 && sup_apply_run(apply, trim_run, &tr, NULL) == SUP_OK &&
             !sup_stop_is_set(stop));
    sup_buf_fini(&o.keys);
    trim_states(store, apply, sup_wall_ms() - (memory_ms > retention_ms ? memory_ms : retention_ms),
                stop);
}
