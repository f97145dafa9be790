#include "service/repair_scan.h"

#include "codec/keys.h"
#include "codec/value.h"

#include <stdlib.h>
#include <string.h>

struct sup_repair_scan {
    struct sup_store *store;
    const struct sup_sketch_keys *keys;
    struct sup_snapshot *snap;
    struct sup_iter *it; /* over one run of shards */
    uint8_t shards[SUP_SKETCH_SHARDS / 8];
    unsigned next; /* shard */
    struct sup_mem *mem;
    struct sup_repair_set set;
};

struct sup_repair_scan *sup_repair_scan_new(struct sup_store *store,
                                            const struct sup_sketch_keys *keys,
                                            const uint8_t *shards)
{
    struct sup_repair_scan *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->store = store;
    s->keys = keys;
    memcpy(s->shards, shards, sizeof(s->shards));
    sup_repair_set_init(&s->set, keys);
    s->mem = sup_mem_new();
    s->snap = sup_store_snapshot(store);
    if (!s->mem || !s->snap) {
        sup_repair_scan_free(s);
        return NULL;
    }
    return s;
}

void sup_repair_scan_free(struct sup_repair_scan *s)
{
    if (!s)
        return;
    if (s->it)
        sup_iter_free(s->it);
    if (s->snap)
        sup_snapshot_free(s->store, s->snap);
    sup_mem_free(s->mem);
    sup_repair_set_fini(&s->set);
    free(s);
}

static bool wanted(const struct sup_repair_scan *s, unsigned shard)
{
    return s->shards[shard / 8] >> shard % 8 & 1;
}

/* Opens an iterator over the next run of wanted shards. SUP_OK with none: the end. */
static int next_run(struct sup_repair_scan *s, struct sup_err *err)
{
    uint8_t from;
    uint8_t to;

    while (s->next < SUP_SKETCH_SHARDS && !wanted(s, s->next))
        s->next++;
    if (s->next == SUP_SKETCH_SHARDS)
        return SUP_OK;
    from = (uint8_t)s->next;
    while (s->next < SUP_SKETCH_SHARDS && wanted(s, s->next))
        s->next++;
    to = (uint8_t)s->next;
    /* A record's key begins with its hash, and a shard is the hash's first byte. */
    s->it = sup_iter_new(s->store, s->snap, SUP_CF_RECORDS, sup_slice_of(&from, 1),
                         s->next == SUP_SKETCH_SHARDS ? (struct sup_slice){NULL, 0}
                                                      : sup_slice_of(&to, 1));
    return s->it ? SUP_OK : sup_err_set(err, SUP_ENOMEM, "out of memory");
}

static int take(struct sup_repair_scan *s, struct sup_err *err)
{
    struct sup_riblt_item item = {0};
    struct sup_record record;
    struct sup_slice address;
    int rc;

    if (!sup_key_record_parse(sup_iter_key(s->it), &item.key, &address))
        return sup_err_set(err, SUP_ECORRUPT, "damaged key of a record");
    sup_mem_reset(s->mem);
    rc = sup_record_decode(sup_iter_value(s->it), s->mem, &record, err);
    if (rc != SUP_OK)
        return rc;
    item.digest = sup_sketch_digest(s->keys, address, &record.registers);
    rc = item.digest != 0 ? sup_repair_set_add(&s->set, &item) : SUP_OK;
    return rc == SUP_OK ? rc : sup_err_set(err, rc, "too many records for one scan");
}

int sup_repair_scan_step(struct sup_repair_scan *s, size_t max, struct sup_repair_set *out,
                         struct sup_err *err)
{
    int rc = SUP_OK;

    for (size_t n = 0; rc == SUP_OK && n < max; n++) {
        if (!s->it) {
            rc = next_run(s, err);
            if (rc == SUP_OK && !s->it) {
                *out = s->set;
                sup_repair_set_init(&s->set, s->keys);
                return SUP_OK;
            }
        } else if (sup_iter_valid(s->it)) {
            rc = take(s, err);
            sup_iter_next(s->it);
        } else {
            rc = sup_iter_status(s->it, err);
            sup_iter_free(s->it);
            s->it = NULL;
        }
    }
    return rc == SUP_OK ? SUP_EAGAIN : rc;
}

int sup_repair_look_up(struct sup_store *store, uint64_t hash, struct sup_mem *m,
                       int (*fn)(void *arg, struct sup_slice address,
                                 const struct sup_registers *registers),
                       void *arg, struct sup_err *err)
{
    uint8_t lower[8];
    uint8_t upper[8];
    struct sup_iter *it;
    int rc = SUP_OK;

    sup_put_be64(lower, hash);
    sup_put_be64(upper, hash + 1);
    it = sup_iter_new(store, NULL, SUP_CF_RECORDS, sup_slice_of(lower, sizeof(lower)),
                      hash == UINT64_MAX ? (struct sup_slice){NULL, 0}
                                         : sup_slice_of(upper, sizeof(upper)));
    if (!it)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    for (; rc == SUP_OK && sup_iter_valid(it); sup_iter_next(it)) {
        struct sup_record record;
        struct sup_slice address;
        uint64_t found = 0;
        sup_mem_reset(m);
        if (!sup_key_record_parse(sup_iter_key(it), &found, &address))
            rc = sup_err_set(err, SUP_ECORRUPT, "damaged key of a record");
        else
            rc = sup_record_decode(sup_iter_value(it), m, &record, err);
        if (rc == SUP_OK)
            rc = fn(arg, address, &record.registers);
    }
    if (rc == SUP_OK)
        rc = sup_iter_status(it, err);
    sup_iter_free(it);
    return rc;
}
