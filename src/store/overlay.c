#include "store/overlay.h"

#include "base/array.h"
#include "base/random.h"
#include "codec/hash.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 256

/* A key, and its newest version. Numbers of both are one more than the index: 0 is none. */
struct key {
    uint64_t hash;
    size_t at, n; /* in bytes */
    uint32_t newest;
    uint32_t cf;
};

struct version {
    size_t at, n;    /* in bytes */
    uint32_t before; /* the version that it covers */
    uint32_t key;
    bool deleted;
};

/* Keys of a family in order; those from `covered` on are not among them yet. */
struct order {
    uint32_t *keys;
    size_t n, cap;
    size_t covered;
};

struct mark {
    size_t keys, versions, bytes;
};

struct sup_overlay {
    uint64_t seed; /* keys hold addresses that anybody may choose */
    struct sup_buf bytes;
    struct key *keys;
    size_t n_keys, cap_keys;
    struct version *versions;
    size_t n_versions, cap_versions;
    uint32_t *slots; /* open addressing, linear; at most half full */
    size_t n_slots;  /* a power of two */
    struct order orders[SUP_N_CFS];
    struct mark mark;
};

struct sup_overlay *sup_overlay_new(void)
{
    struct sup_overlay *o = calloc(1, sizeof(*o));

    if (o == NULL)
        return NULL;
    o->seed = sup_random_u64();
    sup_buf_init(&o->bytes, SUP_TXN_MAX_BYTES);
    o->n_slots = SLOTS_MIN;
    o->slots = calloc(o->n_slots, sizeof(*o->slots));
    if (o->slots != NULL)
        return o;
    free(o);
    return NULL;
}

void sup_overlay_free(struct sup_overlay *o)
{
    if (o == NULL)
        return;
    for (size_t i = 0; i < SUP_N_CFS; i++)
        free(o->orders[i].keys);
    sup_buf_fini(&o->bytes);
    free(o->keys);
    free(o->versions);
    free(o->slots);
    free(o);
}

static struct sup_slice key_of(const struct sup_overlay *o, uint32_t number)
{
    const struct key *k = &o->keys[number - 1];

    return sup_slice_of(o->bytes.p + k->at, k->n);
}

/* --- the table --- */

static uint64_t hash_of(const struct sup_overlay *o, enum sup_cf cf, struct sup_slice key)
{
    return sup_checksum64(o->seed + cf, key);
}

/* The slot of the key, or the free one where it would go. */
static size_t find(const struct sup_overlay *o, uint64_t hash, enum sup_cf cf, struct sup_slice key)
{
    size_t mask = o->n_slots - 1;
    size_t at = (size_t)hash & mask;

    for (; o->slots[at] != 0; at = (at + 1) & mask) {
        const struct key *k = &o->keys[o->slots[at] - 1];
        if (k->hash == hash && k->cf == (uint32_t)cf && sup_slice_eq(key_of(o, o->slots[at]), key))
            break;
    }
    return at;
}

/* The slot that holds the number, or the free one where it would go. */
static size_t slot_of(const struct sup_overlay *o, uint32_t number)
{
    size_t mask = o->n_slots - 1;
    size_t at = (size_t)o->keys[number - 1].hash & mask;

    while (o->slots[at] != 0 && o->slots[at] != number)
        at = (at + 1) & mask;
    return at;
}

static int make_room(struct sup_overlay *o)
{
    void *keys = o->keys, *versions = o->versions;

    if (sup_array_grow(&keys, &o->cap_keys, o->n_keys + 1, sizeof(*o->keys)) != SUP_OK)
        return SUP_ENOMEM;
    o->keys = keys;
    if (sup_array_grow(&versions, &o->cap_versions, o->n_versions + 1, sizeof(*o->versions)) !=
        SUP_OK)
        return SUP_ENOMEM;
    o->versions = versions;
    if (o->n_versions >= UINT32_MAX - 1)
        return SUP_ELIMIT;
    if (2 * (o->n_keys + 1) <= o->n_slots)
        return SUP_OK;
    uint32_t *slots = calloc(2 * o->n_slots, sizeof(*slots));
    if (slots == NULL)
        return SUP_ENOMEM;
    free(o->slots);
    o->slots = slots;
    o->n_slots *= 2;
    for (uint32_t i = 1; i <= o->n_keys; i++)
        o->slots[slot_of(o, i)] = i;
    return SUP_OK;
}

/* --- writing --- */

static int write_version(struct sup_overlay *o, enum sup_cf cf, struct sup_slice key,
                         struct sup_slice value, bool deleted)
{
    int rc = make_room(o);

    if (rc != SUP_OK)
        return rc;
    if (sup_buf_reserve(&o->bytes, key.n + value.n) == NULL) {
        rc = o->bytes.failed;
        o->bytes.failed = SUP_OK;
        return rc;
    }
    uint64_t hash = hash_of(o, cf, key);
    size_t slot = find(o, hash, cf, key);
    if (o->slots[slot] == 0) {
        o->keys[o->n_keys++] =
            (struct key){.hash = hash, .at = o->bytes.n, .n = key.n, .cf = (uint32_t)cf};
        sup_buf_add_slice(&o->bytes, key);
        o->slots[slot] = (uint32_t)o->n_keys;
    }
    uint32_t number = o->slots[slot];
    o->versions[o->n_versions++] = (struct version){.at = o->bytes.n,
                                                    .n = value.n,
                                                    .before = o->keys[number - 1].newest,
                                                    .key = number,
                                                    .deleted = deleted};
    o->keys[number - 1].newest = (uint32_t)o->n_versions;
    sup_buf_add_slice(&o->bytes, value);
    return SUP_OK;
}

int sup_overlay_put(struct sup_overlay *o, enum sup_cf cf, struct sup_slice key,
                    struct sup_slice value)
{
    return write_version(o, cf, key, value, false);
}

int sup_overlay_delete(struct sup_overlay *o, enum sup_cf cf, struct sup_slice key)
{
    return write_version(o, cf, key, sup_slice_of(NULL, 0), true);
}

/* --- reading --- */

static void give(const struct sup_overlay *o, uint32_t number, struct sup_overlay_entry *out)
{
    const struct key *k = &o->keys[number - 1];
    const struct version *v = &o->versions[k->newest - 1];

    *out = (struct sup_overlay_entry){.key = key_of(o, number),
                                      .value = {o->bytes.p + v->at, v->n},
                                      .cf = (enum sup_cf)k->cf,
                                      .deleted = v->deleted};
}

enum sup_overlay_state sup_overlay_get(const struct sup_overlay *o, enum sup_cf cf,
                                       struct sup_slice key, struct sup_slice *value)
{
    struct sup_overlay_entry e;

    if (o->n_keys == 0)
        return SUP_OVERLAY_NONE;
    uint32_t number = o->slots[find(o, hash_of(o, cf, key), cf, key)];
    if (number == 0)
        return SUP_OVERLAY_NONE;
    give(o, number, &e);
    *value = e.value;
    return e.deleted ? SUP_OVERLAY_DELETED : SUP_OVERLAY_VALUE;
}

bool sup_overlay_nth(const struct sup_overlay *o, size_t i, struct sup_overlay_entry *out)
{
    if (i >= o->n_keys)
        return false;
    give(o, (uint32_t)i + 1, out);
    return true;
}

/* --- going back --- */

void sup_overlay_mark(struct sup_overlay *o)
{
    o->mark = (struct mark){.keys = o->n_keys, .versions = o->n_versions, .bytes = o->bytes.n};
}

static void forget_order(struct order *r, size_t n_keys)
{
    size_t kept = 0;

    for (size_t i = 0; i < r->n; i++)
        if (r->keys[i] <= n_keys)
            r->keys[kept++] = r->keys[i];
    r->n = kept;
    r->covered = r->covered < n_keys ? r->covered : n_keys;
}

/* Newest first: no key was put behind the last one into the table, so its slot can be freed without
 * cutting off another. */
void sup_overlay_rollback(struct sup_overlay *o)
{
    for (; o->n_versions > o->mark.versions; o->n_versions--) {
        const struct version *v = &o->versions[o->n_versions - 1];
        o->keys[v->key - 1].newest = v->before;
    }
    for (; o->n_keys > o->mark.keys; o->n_keys--)
        o->slots[slot_of(o, (uint32_t)o->n_keys)] = 0;
    for (size_t i = 0; i < SUP_N_CFS; i++)
        forget_order(&o->orders[i], o->n_keys);
    o->bytes.n = o->mark.bytes;
}

/* --- order --- */

static int compare(const void *a, const void *b, void *arg)
{
    const struct sup_overlay *o = arg;

    return sup_slice_cmp(key_of(o, *(const uint32_t *)a), key_of(o, *(const uint32_t *)b));
}

/* n more, in order among themselves, go where they belong. */
static void merge(struct sup_overlay *o, struct order *r, const uint32_t *fresh, size_t n)
{
    size_t old = r->n, to = r->n + n;

    r->n = to;
    while (n > 0) {
        bool take_old = old > 0 && compare(&r->keys[old - 1], &fresh[n - 1], o) > 0;
        r->keys[--to] = take_old ? r->keys[--old] : fresh[--n];
    }
}

int sup_overlay_sort(struct sup_overlay *o, enum sup_cf cf)
{
    struct order *r = &o->orders[cf];
    size_t n = 0;

    for (size_t i = r->covered; i < o->n_keys; i++)
        n += o->keys[i].cf == (uint32_t)cf;
    if (n == 0) {
        r->covered = o->n_keys;
        return SUP_OK;
    }
    void *keys = r->keys;
    uint32_t *fresh = malloc(n * sizeof(*fresh));
    if (fresh == NULL || sup_array_grow(&keys, &r->cap, r->n + n, sizeof(*r->keys)) != SUP_OK) {
        free(fresh);
        return SUP_ENOMEM;
    }
    r->keys = keys;
    n = 0;
    for (; r->covered < o->n_keys; r->covered++)
        if (o->keys[r->covered].cf == (uint32_t)cf)
            fresh[n++] = (uint32_t)r->covered + 1;
    qsort_r(fresh, n, sizeof(*fresh), compare, o);
    merge(o, r, fresh, n);
    free(fresh);
    return SUP_OK;
}

size_t sup_overlay_seek(const struct sup_overlay *o, enum sup_cf cf, struct sup_slice key)
{
    const struct order *r = &o->orders[cf];
    size_t low = 0, high = r->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sup_slice_cmp(key_of(o, r->keys[middle]), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool sup_overlay_at(const struct sup_overlay *o, enum sup_cf cf, size_t place,
                    struct sup_overlay_entry *out)
{
    const struct order *r = &o->orders[cf];

    if (place >= r->n)
        return false;
    give(o, r->keys[place], out);
    return true;
}
