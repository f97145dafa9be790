#ifndef SUP_CORE_REPAIR_SET_H
#define SUP_CORE_REPAIR_SET_H

#include "core/sketch.h"

/* The set that one side of a repair reconciles: the whole one, as a copy of the node's sketch, or
 * some shards of it, scanned. Either way the same symbols at any time, whatever is written
 * meanwhile. Pure; no locks. */

/* Sets of shards are kept to so many items on either side. */
#define SUP_REPAIR_ITEMS_MAX (1U << 18)
/* Symbols of scanned shards: enough for the difference of two sets of twice as many items, which
 * grew since their sums were taken. */
#define SUP_REPAIR_SCANNED_SYMBOLS_MAX (1U << 20)

struct sup_repair_set {
    const struct sup_sketch_keys *keys;
    bool whole;
    struct sup_sketch sketch;     /* of the whole set */
    struct sup_riblt_item *items; /* of scanned shards */
    size_t n_items, cap;
    struct sup_strata strata;
    struct sup_riblt_source source;
    bool begun;
    struct sup_riblt_symbol *piece; /* the last piece made from source */
    size_t piece_cap;
};

void sup_repair_set_init(struct sup_repair_set *s, const struct sup_sketch_keys *keys);
void sup_repair_set_fini(struct sup_repair_set *s);

/* Takes the sketch over: its memory is the set's now. */
void sup_repair_set_whole(struct sup_repair_set *s, const struct sup_sketch *sketch);
/* Adds a scanned record. SUP_ELIMIT past four times SUP_REPAIR_ITEMS_MAX; SUP_ENOMEM. */
int sup_repair_set_add(struct sup_repair_set *s, const struct sup_riblt_item *item);

uint64_t sup_repair_set_count(const struct sup_repair_set *s);
size_t sup_repair_set_symbols_max(const struct sup_repair_set *s);
const struct sup_strata *sup_repair_set_strata(const struct sup_repair_set *s);
/* n symbols from first on, valid until the next call; pieces must follow each other. SUP_ENOMEM;
 * SUP_ELIMIT past the maximum; SUP_EBUG for another first. */
int sup_repair_set_symbols(struct sup_repair_set *s, size_t first, size_t n,
                           const struct sup_riblt_symbol **out);

#endif
