#include "core/riblt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_SHIFT 16
/* No sequence gets this far; doubles are exact integers up to the sum of both. */
#define INDEX_MAX (1ULL << 50)
#define JUMP_MAX  1e15

uint64_t sup_riblt_hash(const struct sup_hash_key *key, const struct sup_riblt_item *item)
{
    uint8_t b[16];

    sup_put_be64(b, item->key);
    sup_put_be64(b + 8, item->digest);
    return sup_hash64(key, sup_slice_of(b, sizeof(b)));
}

void sup_riblt_walk_init(struct sup_riblt_walk *w, uint64_t hash)
{
    w->index = 0;
    w->state = hash | 1; /* the generator below needs an odd state for its full period */
}

/* Section 4.2 of the paper: for r uniform in (0, 1], the next index after i is i + ceil((i + 3/2)
 * (1/sqrt(r) - 1)). The generator is a multiplicative congruential one, of which the high bits are
 * good: r is 52 of them. */
uint64_t sup_riblt_walk_next(struct sup_riblt_walk *w)
{
    double jump;
    uint64_t whole;

    if (w->index == UINT64_MAX)
        return w->index;
    w->state *= 0xda942042e4dd58b5;
    jump = ((double)w->index + 1.5) *
           (67108864.0 / sqrt((double)(int64_t)((w->state >> 12) + 1)) - 1.0);
    if (!(jump < JUMP_MAX) || w->index > INDEX_MAX) {
        w->index = UINT64_MAX;
        return w->index;
    }
    whole = (uint64_t)jump;
    whole += (double)whole < jump;     /* ceil, without the call */
    w->index += whole > 0 ? whole : 1; /* r so near to 1 that the jump came out as nothing */
    return w->index;
}

static void toggle(struct sup_riblt_symbol *s, const struct sup_riblt_item *item, uint64_t check,
                   int sign)
{
    s->key ^= item->key;
    s->digest ^= item->digest;
    s->check ^= check;
    /* Unsigned: a hostile count may be at the end of its range. */
    s->count = (int32_t)((uint32_t)s->count + (uint32_t)sign);
}

void sup_riblt_toggle(struct sup_riblt_symbol *symbols, size_t n, const struct sup_hash_key *key,
                      const struct sup_riblt_item *item, int sign)
{
    uint64_t hash = sup_riblt_hash(key, item);
    struct sup_riblt_walk w;

    sup_riblt_walk_init(&w, hash);
    for (; w.index < n; sup_riblt_walk_next(&w))
        toggle(&symbols[w.index], item, hash >> CHECK_SHIFT, sign);
}

static void combine(struct sup_riblt_symbol *a, const struct sup_riblt_symbol *b, uint32_t count)
{
    a->key ^= b->key;
    a->digest ^= b->digest;
    a->check ^= b->check;
    a->count = (int32_t)((uint32_t)a->count + count);
}

void sup_riblt_subtract(struct sup_riblt_symbol *a, const struct sup_riblt_symbol *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        combine(&a[i], &b[i], 0U - (uint32_t)b[i].count);
}

void sup_riblt_add(struct sup_riblt_symbol *a, const struct sup_riblt_symbol *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        combine(&a[i], &b[i], (uint32_t)b[i].count);
}

/* --- sources --- */

int sup_riblt_source_init(struct sup_riblt_source *s, const struct sup_hash_key *key,
                          const struct sup_riblt_item *items, size_t n_items)
{
    *s = (struct sup_riblt_source){.key = key, .items = items, .n_items = n_items};
    s->walks = calloc(n_items > 0 ? n_items : 1, sizeof(*s->walks));
    if (!s->walks)
        return SUP_ENOMEM;
    for (size_t i = 0; i < n_items; i++)
        sup_riblt_walk_init(&s->walks[i], sup_riblt_hash(key, &items[i]));
    return SUP_OK;
}

void sup_riblt_source_fini(struct sup_riblt_source *s)
{
    free(s->walks);
    s->walks = NULL;
}

void sup_riblt_source_take(struct sup_riblt_source *s, struct sup_riblt_symbol *out, size_t n)
{
    if (n == 0)
        return; /* and out may be NULL */
    memset(out, 0, n * sizeof(*out));
    for (size_t i = 0; i < s->n_items; i++) {
        struct sup_riblt_walk *w = &s->walks[i];
        uint64_t check;
        if (w->index >= s->next + n)
            continue;
        check = sup_riblt_hash(s->key, &s->items[i]) >> CHECK_SHIFT;
        for (; w->index < s->next + n; sup_riblt_walk_next(w))
            toggle(&out[w->index - s->next], &s->items[i], check, 1);
    }
    s->next += n;
}

/* --- wire --- */

/* Rounded down: any fixed value would do, as long as both sides use the same. */
static int64_t expected(uint64_t index, uint64_t n_set)
{
    return (int64_t)((n_set & INT32_MAX) * 2 / (index + 2));
}

static void put_varint(struct sup_buf *out, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        sup_buf_add_byte(out, (uint8_t)(v | 0x80));
    sup_buf_add_byte(out, (uint8_t)v);
}

static uint64_t get_varint(struct sup_cur *c)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 35; shift += 7) {
        uint8_t b = sup_cur_byte(c);
        v |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80)
            return v;
    }
    c->failed = SUP_EINPUT;
    return 0;
}

void sup_riblt_pack(const struct sup_riblt_symbol *symbols, size_t n, uint64_t first,
                    uint64_t n_set, struct sup_buf *out)
{
    for (size_t i = 0; i < n; i++) {
        int64_t off = symbols[i].count - expected(first + i, n_set);
        sup_buf_add_be64(out, symbols[i].key);
        sup_buf_add_be64(out, symbols[i].digest);
        sup_buf_add_be32(out, (uint32_t)(symbols[i].check >> 16));
        sup_buf_add_be16(out, (uint16_t)symbols[i].check);
        put_varint(out, ((uint64_t)off << 1) ^ (off < 0 ? UINT64_MAX : 0)); /* zigzag */
    }
}

void sup_riblt_unpack(struct sup_cur *c, uint64_t index, uint64_t n_set,
                      struct sup_riblt_symbol *out)
{
    uint64_t z;
    int64_t count;

    out->key = sup_cur_be64(c);
    out->digest = sup_cur_be64(c);
    out->check = (uint64_t)sup_cur_be32(c) << 16;
    out->check |= sup_cur_be16(c);
    z = get_varint(c);
    count = (int64_t)(z >> 1 ^ (0 - (z & 1))) + expected(index, n_set);
    if (count < INT32_MIN || count > INT32_MAX)
        c->failed = SUP_EINPUT;
    out->count = (int32_t)count;
}
