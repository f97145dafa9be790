/* The receiving side: peeling. */
#include "core/riblt.h"

#include "base/array.h"

#include <stdlib.h>

#define CHECK_SHIFT 16

/* A known item and where it takes part next, beyond the symbols that came. */
struct ahead {
    struct sup_riblt_walk walk;
    size_t diff;
};

struct sup_riblt_decoder {
    struct sup_hash_key key;
    size_t max;
    int failed;
    struct sup_riblt_symbol *symbols; /* what is left of each */
    size_t n, cap;
    struct sup_riblt_diff *diffs;
    size_t n_diffs, diffs_cap;
    struct ahead *heap; /* by walk.index, one entry a diff */
    size_t n_heap, heap_cap;
    size_t *todo; /* symbols that one item seems to be left in */
    size_t n_todo, todo_cap;
};

struct sup_riblt_decoder *sup_riblt_decoder_new(const struct sup_hash_key *key, size_t max)
{
    struct sup_riblt_decoder *d = calloc(1, sizeof(*d));

    if (!d)
        return NULL;
    d->key = *key;
    d->max = max;
    return d;
}

void sup_riblt_decoder_free(struct sup_riblt_decoder *d)
{
    if (!d)
        return;
    free(d->symbols);
    free(d->diffs);
    free(d->heap);
    free(d->todo);
    free(d);
}

bool sup_riblt_decoder_done(const struct sup_riblt_decoder *d)
{
    /* Every item takes part in symbol 0. */
    const struct sup_riblt_symbol *s = d->symbols;

    return d->failed == SUP_OK && d->n > 0 && s->count == 0 && s->key == 0 && s->digest == 0 &&
           s->check == 0;
}

size_t sup_riblt_decoder_symbols(const struct sup_riblt_decoder *d)
{
    return d->n;
}

const struct sup_riblt_diff *sup_riblt_decoder_diff(const struct sup_riblt_decoder *d, size_t *n)
{
    *n = d->n_diffs;
    return d->diffs;
}

static void remove_item(struct sup_riblt_symbol *s, const struct sup_riblt_diff *diff,
                        uint64_t check)
{
    s->key ^= diff->item.key;
    s->digest ^= diff->item.digest;
    s->check ^= check;
    s->count = (int32_t)((uint32_t)s->count - (uint32_t)diff->side);
}

/* Is exactly one item left? Then *hash is its hash. */
static bool pure(const struct sup_riblt_decoder *d, const struct sup_riblt_symbol *s,
                 uint64_t *hash)
{
    struct sup_riblt_item item = {.key = s->key, .digest = s->digest};

    if (s->count != 1 && s->count != -1)
        return false;
    *hash = sup_riblt_hash(&d->key, &item);
    return *hash >> CHECK_SHIFT == s->check;
}

static int look_at(struct sup_riblt_decoder *d, size_t index)
{
    int32_t count = d->symbols[index].count;

    if (count != 1 && count != -1)
        return SUP_OK;
    if (sup_array_grow((void **)&d->todo, &d->todo_cap, d->n_todo + 1, sizeof(*d->todo)) != SUP_OK)
        return SUP_ENOMEM;
    d->todo[d->n_todo++] = index;
    return SUP_OK;
}

/* --- the heap --- */

static void sift_down(struct sup_riblt_decoder *d)
{
    struct ahead top = d->heap[0];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < d->n_heap && d->heap[child + 1].walk.index < d->heap[child].walk.index)
            child++;
        if (child >= d->n_heap || d->heap[child].walk.index >= top.walk.index)
            break;
        d->heap[i] = d->heap[child];
        i = child;
    }
    d->heap[i] = top;
}

static int heap_add(struct sup_riblt_decoder *d, const struct ahead *a)
{
    size_t i = d->n_heap;

    if (sup_array_grow((void **)&d->heap, &d->heap_cap, i + 1, sizeof(*d->heap)) != SUP_OK)
        return SUP_ENOMEM;
    d->n_heap++;
    for (; i > 0 && d->heap[(i - 1) / 2].walk.index > a->walk.index; i = (i - 1) / 2)
        d->heap[i] = d->heap[(i - 1) / 2];
    d->heap[i] = *a;
    return SUP_OK;
}

/* Takes out of a new symbol what is known already. */
static void apply_known(struct sup_riblt_decoder *d, size_t index)
{
    while (d->n_heap > 0 && d->heap[0].walk.index <= index) {
        const struct sup_riblt_diff *diff = &d->diffs[d->heap[0].diff];
        remove_item(&d->symbols[index], diff, sup_riblt_hash(&d->key, &diff->item) >> CHECK_SHIFT);
        sup_riblt_walk_next(&d->heap[0].walk);
        sift_down(d);
    }
}

/* --- peeling --- */

static int peel_one(struct sup_riblt_decoder *d, size_t index)
{
    const struct sup_riblt_symbol *s = &d->symbols[index];
    struct ahead ahead = {.diff = d->n_diffs};
    struct sup_riblt_diff diff;
    uint64_t hash = 0;
    int rc = SUP_OK;

    if (!pure(d, s, &hash))
        return SUP_OK;
    /* d items need more than d symbols on average and never fewer: only an endless loop, made on
     * purpose, gets here. */
    if (d->n_diffs >= d->n)
        return SUP_ECORRUPT;
    if (sup_array_grow((void **)&d->diffs, &d->diffs_cap, d->n_diffs + 1, sizeof(*d->diffs)) !=
        SUP_OK)
        return SUP_ENOMEM;
    diff.item = (struct sup_riblt_item){.key = s->key, .digest = s->digest};
    diff.side = s->count;
    d->diffs[d->n_diffs++] = diff;
    sup_riblt_walk_init(&ahead.walk, hash);
    for (; rc == SUP_OK && ahead.walk.index < d->n; sup_riblt_walk_next(&ahead.walk)) {
        remove_item(&d->symbols[ahead.walk.index], &diff, hash >> CHECK_SHIFT);
        rc = look_at(d, ahead.walk.index);
    }
    return rc == SUP_OK ? heap_add(d, &ahead) : rc;
}

int sup_riblt_decoder_add(struct sup_riblt_decoder *d, const struct sup_riblt_symbol *s)
{
    if (d->failed == SUP_OK && d->n >= d->max)
        d->failed = SUP_ELIMIT;
    if (d->failed == SUP_OK)
        d->failed = sup_array_grow((void **)&d->symbols, &d->cap, d->n + 1, sizeof(*d->symbols));
    if (d->failed != SUP_OK)
        return d->failed;
    d->symbols[d->n] = *s;
    apply_known(d, d->n);
    d->n++;
    d->failed = look_at(d, d->n - 1);
    while (d->failed == SUP_OK && d->n_todo > 0)
        d->failed = peel_one(d, d->todo[--d->n_todo]);
    return d->failed;
}
