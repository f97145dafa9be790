#include "service/seen.h"

#include "base/array.h"
#include "codec/seen.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 16
/* A minute that came in very many small writes is put together when it is read again. */
#define CHUNKS_MANY  32
#define CHUNK_SMALL  256
#define CHUNK_HASHES 65536
/* More than the minutes that are counted, so that two of them have one place only if a clock
 * jumped. */
#define PLACES 16384

struct minute {
    uint32_t minute;
    bool used;       /* since the hand went by */
    uint64_t *slots; /* open addressing; 0 = free */
    size_t n_slots;  /* a power of two */
    size_t n;        /* taken */
    uint64_t *fresh; /* not written yet */
    size_t n_fresh, cap_fresh;
    uint64_t next_chunk;
};

struct sup_seen {
    struct minute *places[PLACES];
    size_t hand;           /* of the clock by which sets leave the memory */
    struct minute **dirty; /* those with something fresh */
    size_t n_dirty, cap_dirty;
    struct sup_buf value;
    _Atomic uint64_t bytes;
};

struct sup_seen *sup_seen_new(void)
{
    struct sup_seen *s = calloc(1, sizeof(*s));

    if (s)
        sup_buf_init(&s->value, CHUNK_HASHES * 8);
    return s;
}

static void minute_free(struct sup_seen *s, struct minute *m)
{
    atomic_fetch_sub(&s->bytes, sizeof(*m) + m->n_slots * sizeof(*m->slots));
    free(m->slots);
    free(m->fresh);
    free(m);
}

void sup_seen_forget(struct sup_seen *s)
{
    for (size_t i = 0; i < PLACES; i++) {
        if (s->places[i])
            minute_free(s, s->places[i]);
        s->places[i] = NULL;
    }
    s->n_dirty = 0;
}

void sup_seen_free(struct sup_seen *s)
{
    if (!s)
        return;
    sup_seen_forget(s);
    free(s->dirty);
    sup_buf_fini(&s->value);
    free(s);
}

uint64_t sup_seen_bytes(const struct sup_seen *s)
{
    return atomic_load(&s->bytes);
}

/* --- one set --- */

static bool set_add(struct minute *m, uint64_t hash)
{
    size_t at = (size_t)hash;

    for (; m->slots[at & (m->n_slots - 1)] != 0; at++)
        if (m->slots[at & (m->n_slots - 1)] == hash)
            return false;
    m->slots[at & (m->n_slots - 1)] = hash;
    m->n++;
    return true;
}

static bool set_has(const struct minute *m, uint64_t hash)
{
    for (size_t at = (size_t)hash; m->slots[at & (m->n_slots - 1)] != 0; at++)
        if (m->slots[at & (m->n_slots - 1)] == hash)
            return true;
    return false;
}

/* Room for one more, at most three quarters full. */
static int set_room(struct sup_seen *s, struct minute *m)
{
    struct minute bigger = *m;

    if (4 * (m->n + 1) <= 3 * m->n_slots)
        return SUP_OK;
    bigger.n_slots = m->n_slots > 0 ? 2 * m->n_slots : SLOTS_MIN;
    bigger.slots = calloc(bigger.n_slots, sizeof(*bigger.slots));
    bigger.n = 0;
    if (!bigger.slots)
        return SUP_ENOMEM;
    for (size_t i = 0; i < m->n_slots; i++)
        if (m->slots[i] != 0)
            (void)set_add(&bigger, m->slots[i]);
    free(m->slots);
    atomic_fetch_add(&s->bytes, (bigger.n_slots - m->n_slots) * sizeof(*m->slots));
    *m = bigger;
    return SUP_OK;
}

/* --- reading and writing --- */

static int put_chunk(struct sup_seen *s, struct minute *m, struct sup_txn *t, struct sup_err *err)
{
    uint8_t key[SUP_SEEN_KEY_BYTES];

    if (s->value.failed)
        return sup_err_set(err, s->value.failed, "out of memory");
    if (s->value.n > 0) {
        sup_key_seen(key, m->minute, m->next_chunk++);
        sup_txn_put(t, SUP_CF_SEEN, sup_slice_of(key, sizeof(key)), sup_buf_slice(&s->value));
    }
    sup_buf_reset(&s->value);
    return SUP_OK;
}

static int put_hashes(struct sup_seen *s, struct minute *m, const uint64_t *hashes, size_t n,
                      struct sup_txn *t, struct sup_err *err)
{
    int rc = SUP_OK;

    sup_buf_reset(&s->value);
    for (size_t i = 0; i < n && rc == SUP_OK; i++) {
        if (hashes[i] == 0)
            continue;
        sup_buf_add_be64(&s->value, hashes[i]);
        if (s->value.n == (size_t)CHUNK_HASHES * 8)
            rc = put_chunk(s, m, t, err);
    }
    return rc == SUP_OK ? put_chunk(s, m, t, err) : rc;
}

/* Chunks are numbered without gaps. */
static int rewrite(struct sup_seen *s, struct minute *m, uint64_t first, struct sup_txn *t,
                   struct sup_err *err)
{
    uint8_t key[SUP_SEEN_KEY_BYTES];

    for (uint64_t chunk = first; chunk < m->next_chunk; chunk++) {
        sup_key_seen(key, m->minute, chunk);
        sup_txn_delete(t, SUP_CF_SEEN, sup_slice_of(key, sizeof(key)));
    }
    return put_hashes(s, m, m->slots, m->n_slots, t, err);
}

static int take_chunk(struct sup_seen *s, struct minute *m, struct sup_slice value)
{
    int rc = value.n % 8 == 0 ? SUP_OK : SUP_ECORRUPT;

    for (size_t i = 0; i + 8 <= value.n && rc == SUP_OK; i += 8) {
        rc = set_room(s, m);
        if (rc == SUP_OK)
            (void)set_add(m, sup_get_be64(value.p + i));
    }
    return rc;
}

static int load(struct sup_seen *s, struct minute *m, struct sup_txn *t, struct sup_err *err)
{
    uint8_t lower[SUP_SEEN_KEY_BYTES], upper[SUP_SEEN_KEY_BYTES];
    uint64_t chunk = 0, first = 0;
    uint32_t minute;
    size_t chunks = 0;
    int rc = SUP_OK;

    sup_key_seen(lower, m->minute, 0);
    sup_key_seen(upper, m->minute, UINT64_MAX);
    struct sup_iter *it = sup_txn_iter(t, SUP_CF_SEEN, sup_slice_of(lower, sizeof(lower)),
                                       sup_slice_of(upper, sizeof(upper)));
    if (!it)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    for (; rc == SUP_OK && sup_iter_valid(it); sup_iter_next(it), chunks++) {
        rc = sup_key_seen_parse(sup_iter_key(it), &minute, &chunk) ? SUP_OK : SUP_ECORRUPT;
        first = chunks == 0 ? chunk : first;
        m->next_chunk = chunk + 1;
        if (rc == SUP_OK)
            rc = take_chunk(s, m, sup_iter_value(it));
    }
    if (rc == SUP_OK)
        rc = sup_iter_status(it, err);
    else
        sup_err_set(err, rc, "the marks of counted sends cannot be read");
    sup_iter_free(it);
    if (rc == SUP_OK && chunks > CHUNKS_MANY && m->n < chunks * CHUNK_SMALL)
        rc = rewrite(s, m, first, t, err);
    return rc;
}

/* --- which sets are in memory --- */

static void drop(struct sup_seen *s, size_t place)
{
    minute_free(s, s->places[place]);
    s->places[place] = NULL;
}

/* Second chance: a set leaves when the hand comes by and it was not used since the last time. What
 * was marked and not written stays. */
static void make_room(struct sup_seen *s)
{
    for (size_t i = 0; i < 2 * PLACES && sup_seen_bytes(s) > SUP_SEEN_BYTES_MAX; i++) {
        s->hand = (s->hand + 1) % PLACES;
        struct minute *m = s->places[s->hand];
        if (!m || m->n_fresh > 0)
            continue;
        if (!m->used)
            drop(s, s->hand);
        else
            m->used = false;
    }
}

static int find(struct sup_seen *s, struct sup_txn *t, uint32_t minute, struct minute **out,
                struct sup_err *err)
{
    size_t place = minute % PLACES;
    struct minute *m = s->places[place];

    *out = m;
    if (m && m->minute == minute)
        return SUP_OK;
    if (m && m->n_fresh > 0)
        return SUP_ELIMIT;
    if (m)
        drop(s, place);
    make_room(s);
    m = calloc(1, sizeof(*m));
    if (!m)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    atomic_fetch_add(&s->bytes, sizeof(*m));
    m->minute = minute;
    int rc = set_room(s, m);
    if (rc == SUP_OK)
        rc = load(s, m, t, err);
    if (rc != SUP_OK) {
        minute_free(s, m);
        return rc;
    }
    *out = s->places[place] = m;
    return SUP_OK;
}

static int add_fresh(struct sup_seen *s, struct minute *m, uint64_t hash)
{
    void *list = m->fresh, *dirty = s->dirty;
    int rc = sup_array_grow(&list, &m->cap_fresh, m->n_fresh + 1, sizeof(*m->fresh));

    m->fresh = list;
    if (rc == SUP_OK)
        rc = sup_array_grow(&dirty, &s->cap_dirty, s->n_dirty + 1, sizeof(*s->dirty));
    s->dirty = dirty;
    if (rc == SUP_OK)
        rc = set_room(s, m);
    if (rc != SUP_OK)
        return rc;
    if (m->n_fresh == 0)
        s->dirty[s->n_dirty++] = m;
    (void)set_add(m, hash);
    m->fresh[m->n_fresh++] = hash;
    return SUP_OK;
}

int sup_seen_mark(struct sup_seen *s, struct sup_txn *t, uint32_t minute, uint64_t hash,
                  bool *fresh, struct sup_err *err)
{
    struct minute *m;
    int rc = find(s, t, minute, &m, err);

    if (rc != SUP_OK)
        return rc;
    hash = hash == 0 ? 1 : hash;
    m->used = true;
    *fresh = !set_has(m, hash);
    if (!*fresh)
        return SUP_OK;
    if (m->n >= SUP_SEEN_MINUTE_MAX)
        return SUP_ELIMIT;
    rc = add_fresh(s, m, hash);
    return rc == SUP_OK ? rc : sup_err_set(err, rc, "out of memory");
}

int sup_seen_write(struct sup_seen *s, struct sup_txn *t, struct sup_err *err)
{
    int rc = SUP_OK;

    for (size_t i = 0; i < s->n_dirty && rc == SUP_OK; i++) {
        struct minute *m = s->dirty[i];
        rc = put_hashes(s, m, m->fresh, m->n_fresh, t, err);
        free(m->fresh); /* most minutes are over soon */
        m->fresh = NULL;
        m->n_fresh = m->cap_fresh = 0;
    }
    s->n_dirty = 0;
    return rc;
}
