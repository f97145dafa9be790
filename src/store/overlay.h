#ifndef SUP_STORE_OVERLAY_H
#define SUP_STORE_OVERLAY_H

#include "store/store.h"

/* What a transaction has written so far: looked into before the store, laid over it when it is
 * iterated, and put into one batch at commit. A key written again is in the batch once, as it was
 * written last. Lookups are by hash: a transaction reads and writes many keys and iterates few
 * families, of which alone the order is kept. One thread. */

struct sup_overlay;

enum sup_overlay_state {
    SUP_OVERLAY_NONE, /* not written: ask the store */
    SUP_OVERLAY_VALUE,
    SUP_OVERLAY_DELETED
};

struct sup_overlay_entry {
    struct sup_slice key, value; /* value: empty when deleted; valid until the next write */
    enum sup_cf cf;
    bool deleted;
};

struct sup_overlay *sup_overlay_new(void); /* NULL when out of memory */
void sup_overlay_free(struct sup_overlay *o);

/* SUP_OK, or SUP_ENOMEM, SUP_ELIMIT with nothing changed. */
int sup_overlay_put(struct sup_overlay *o, enum sup_cf cf, struct sup_slice key,
                    struct sup_slice value);
int sup_overlay_delete(struct sup_overlay *o, enum sup_cf cf, struct sup_slice key);

/* *value is valid until the next write. */
enum sup_overlay_state sup_overlay_get(const struct sup_overlay *o, enum sup_cf cf,
                                       struct sup_slice key, struct sup_slice *value);

/* One mark; a rollback takes back what was written after it, or everything without one. */
void sup_overlay_mark(struct sup_overlay *o);
void sup_overlay_rollback(struct sup_overlay *o);

/* All keys written, each once, in the order in which they were first written: i from 0 until
 * false. */
bool sup_overlay_nth(const struct sup_overlay *o, size_t i, struct sup_overlay_entry *out);

/* Keys of one family in order, by their place in it. Puts them in order, if need be: SUP_ENOMEM.
 * Places hold until the next write. */
int sup_overlay_sort(struct sup_overlay *o, enum sup_cf cf);
/* The place of the first key that is not before key. */
size_t sup_overlay_seek(const struct sup_overlay *o, enum sup_cf cf, struct sup_slice key);
bool sup_overlay_at(const struct sup_overlay *o, enum sup_cf cf, size_t place,
                    struct sup_overlay_entry *out);

#endif
