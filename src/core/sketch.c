#include "core/sketch.h"

#include <stdlib.h>
#include <string.h>

void sup_sketch_sum_put(const struct sup_sketch_sum *s, uint8_t out[SUP_SKETCH_SUM_SIZE])
{
    sup_put_be64(out, s->count);
    sup_put_be64(out + 8, s->sum.key);
    sup_put_be64(out + 16, s->sum.digest);
}

struct sup_sketch_sum sup_sketch_sum_get(const uint8_t in[SUP_SKETCH_SUM_SIZE])
{
    return (struct sup_sketch_sum){
        .count = sup_get_be64(in),
        .sum = {.key = sup_get_be64(in + 8), .digest = sup_get_be64(in + 16)}};
}

bool sup_sketch_sum_eq(const struct sup_sketch_sum *a, const struct sup_sketch_sum *b)
{
    return a->count == b->count && a->sum.key == b->sum.key && a->sum.digest == b->sum.digest;
}

void sup_sketch_keys_derive(const struct sup_hash_key *address, struct sup_sketch_keys *out)
{
    out->address = *address;
    sup_hash_key_sub(address, "record digest", &out->digest);
    sup_hash_key_sub(address, "reconciliation item", &out->item);
}

uint64_t sup_sketch_digest(const struct sup_sketch_keys *keys, struct sup_slice address,
                           const struct sup_registers *registers)
{
    uint8_t parts[1 + SUP_N_CLASSES][8];
    size_t n = 1;
    uint64_t digest;

    /* A hash of hashes, so that nothing is copied. The class is in the register's bytes too, but
     * those are another program's; here it is the place. */
    for (uint8_t i = 0; i < SUP_N_CLASSES; i++) {
        const struct sup_register *r = &registers->r[i];
        if (!r->present)
            continue;
        sup_put_be64(parts[n++], sup_hash64(&keys->digest, r->encoded) + i);
    }
    if (n == 1)
        return 0;
    sup_put_be64(parts[0], sup_hash64(&keys->digest, address));
    digest = sup_hash64(&keys->digest, sup_slice_of(parts, n * sizeof(parts[0])));
    return digest != 0 ? digest : 1;
}

int sup_sketch_init(struct sup_sketch *s, const struct sup_sketch_keys *keys, size_t n_symbols)
{
    memset(s, 0, sizeof(*s));
    s->keys = *keys;
    s->symbols = calloc(n_symbols > 0 ? n_symbols : 1, sizeof(*s->symbols));
    if (!s->symbols)
        return SUP_ENOMEM;
    s->n_symbols = n_symbols;
    return SUP_OK;
}

void sup_sketch_fini(struct sup_sketch *s)
{
    free(s->symbols);
    s->symbols = NULL;
    s->n_symbols = 0;
}

int sup_sketch_copy(struct sup_sketch *out, const struct sup_sketch *s)
{
    struct sup_riblt_symbol *symbols =
        malloc((s->n_symbols > 0 ? s->n_symbols : 1) * sizeof(*symbols));

    *out = *s;
    out->symbols = symbols;
    if (!symbols) {
        out->n_symbols = 0;
        return SUP_ENOMEM;
    }
    memcpy(symbols, s->symbols, s->n_symbols * sizeof(*symbols));
    return SUP_OK;
}

static void sum_toggle(struct sup_sketch_sum *sum, const struct sup_riblt_item *item, int sign)
{
    sum->count += (uint64_t)(int64_t)sign;
    sum->sum.key ^= item->key;
    sum->sum.digest ^= item->digest;
}

static void toggle(struct sup_sketch *s, const struct sup_riblt_item *item, int sign)
{
    sum_toggle(&s->root, item, sign);
    sum_toggle(&s->shards[sup_sketch_shard(item->key)], item, sign);
    sup_strata_toggle(&s->strata, sup_riblt_hash(&s->keys.item, item));
    sup_riblt_toggle(s->symbols, s->n_symbols, &s->keys.item, item, sign);
}

void sup_sketch_update(struct sup_sketch *s, const struct sup_sketch_change *c)
{
    struct sup_riblt_item before = {.key = c->key, .digest = c->before};
    struct sup_riblt_item after = {.key = c->key, .digest = c->after};

    if (c->before == c->after)
        return;
    if (c->before != 0)
        toggle(s, &before, -1);
    if (c->after != 0)
        toggle(s, &after, 1);
}

bool sup_sketch_eq(const struct sup_sketch *a, const struct sup_sketch *b)
{
    for (unsigned i = 0; i < SUP_SKETCH_SHARDS; i++) {
        if (!sup_sketch_sum_eq(&a->shards[i], &b->shards[i]))
            return false;
    }
    return sup_sketch_sum_eq(&a->root, &b->root) && a->n_symbols == b->n_symbols &&
           memcmp(&a->strata, &b->strata, sizeof(a->strata)) == 0 &&
           memcmp(a->symbols, b->symbols, a->n_symbols * sizeof(*a->symbols)) == 0;
}

static void sum_correct(struct sup_sketch_sum *a, const struct sup_sketch_sum *from,
                        const struct sup_sketch_sum *to)
{
    a->count += to->count - from->count;
    a->sum.key ^= from->sum.key ^ to->sum.key;
    a->sum.digest ^= from->sum.digest ^ to->sum.digest;
}

void sup_sketch_correct(struct sup_sketch *a, const struct sup_sketch *from,
                        const struct sup_sketch *to)
{
    sum_correct(&a->root, &from->root, &to->root);
    for (unsigned i = 0; i < SUP_SKETCH_SHARDS; i++)
        sum_correct(&a->shards[i], &from->shards[i], &to->shards[i]);
    sup_strata_xor(&a->strata, &from->strata);
    sup_strata_xor(&a->strata, &to->strata);
    sup_riblt_subtract(a->symbols, from->symbols, a->n_symbols);
    sup_riblt_add(a->symbols, to->symbols, a->n_symbols);
}
