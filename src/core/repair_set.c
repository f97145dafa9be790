#include "core/repair_set.h"

#include "base/array.h"

#include <stdlib.h>
#include <string.h>

void sup_repair_set_init(struct sup_repair_set *s, const struct sup_sketch_keys *keys)
{
    memset(s, 0, sizeof(*s));
    s->keys = keys;
}

void sup_repair_set_fini(struct sup_repair_set *s)
{
    sup_sketch_fini(&s->sketch);
    if (s->begun)
        sup_riblt_source_fini(&s->source);
    free(s->items);
    free(s->piece);
    sup_repair_set_init(s, s->keys);
}

void sup_repair_set_whole(struct sup_repair_set *s, const struct sup_sketch *sketch)
{
    s->whole = true;
    s->sketch = *sketch;
}

int sup_repair_set_add(struct sup_repair_set *s, const struct sup_riblt_item *item)
{
    if (s->n_items >= 4UL * SUP_REPAIR_ITEMS_MAX)
        return SUP_ELIMIT;
    if (sup_array_grow((void **)&s->items, &s->cap, s->n_items + 1, sizeof(*s->items)) != SUP_OK)
        return SUP_ENOMEM;
    s->items[s->n_items++] = *item;
    sup_strata_toggle(&s->strata, sup_riblt_hash(&s->keys->item, item));
    return SUP_OK;
}

uint64_t sup_repair_set_count(const struct sup_repair_set *s)
{
    return s->whole ? s->sketch.root.count : s->n_items;
}

size_t sup_repair_set_symbols_max(const struct sup_repair_set *s)
{
    return s->whole ? s->sketch.n_symbols : SUP_REPAIR_SCANNED_SYMBOLS_MAX;
}

const struct sup_strata *sup_repair_set_strata(const struct sup_repair_set *s)
{
    return s->whole ? &s->sketch.strata : &s->strata;
}

static int make(struct sup_repair_set *s, size_t n)
{
    int rc = SUP_OK;

    if (!s->begun) {
        rc = sup_riblt_source_init(&s->source, &s->keys->item, s->items, s->n_items);
        s->begun = rc == SUP_OK;
    }
    if (rc == SUP_OK)
        rc = sup_array_grow((void **)&s->piece, &s->piece_cap, n, sizeof(*s->piece));
    if (rc == SUP_OK)
        sup_riblt_source_take(&s->source, s->piece, n);
    return rc;
}

int sup_repair_set_symbols(struct sup_repair_set *s, size_t first, size_t n,
                           const struct sup_riblt_symbol **out)
{
    int rc;

    if (first > sup_repair_set_symbols_max(s) || n > sup_repair_set_symbols_max(s) - first)
        return SUP_ELIMIT;
    if (s->whole) {
        *out = s->sketch.symbols + first;
        return SUP_OK;
    }
    if (first != (s->begun ? s->source.next : 0))
        return SUP_EBUG;
    rc = make(s, n);
    *out = s->piece;
    return rc;
}
