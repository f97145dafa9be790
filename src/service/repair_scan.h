#ifndef SUP_SERVICE_REPAIR_SCAN_H
#define SUP_SERVICE_REPAIR_SCAN_H

#include "codec/value.h"
#include "core/repair_set.h"
#include "store/store.h"

/* Scans some shards of the records for a repair, a piece at a time, so that the thread that does it
 * can look after what is more urgent in between. One thread at a time. */

struct sup_repair_scan;

/* shards: a bit set. Sees the store as it is now. NULL when out of memory. */
struct sup_repair_scan *sup_repair_scan_new(struct sup_store *store,
                                            const struct sup_sketch_keys *keys,
                                            const uint8_t *shards);
void sup_repair_scan_free(struct sup_repair_scan *s); /* NULL is fine */
/* At most max records more. SUP_EAGAIN: there is more. SUP_OK: *out is the set, the caller's. */
int sup_repair_scan_step(struct sup_repair_scan *s, size_t max, struct sup_repair_set *out,
                         struct sup_err *err);

/* The records with this hash, mostly none or one, each handed to fn until it returns non-zero; that
 * is returned. What fn is given lives in m until the next record. */
int sup_repair_look_up(struct sup_store *store, uint64_t hash, struct sup_mem *m,
                       int (*fn)(void *arg, struct sup_slice address,
                                 const struct sup_registers *registers),
                       void *arg, struct sup_err *err);

#endif
