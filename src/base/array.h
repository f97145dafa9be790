#ifndef SUP_BASE_ARRAY_H
#define SUP_BASE_ARRAY_H

#include <stddef.h>

#define SUP_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* *items is the caller's, from malloc or NULL with *cap 0, and stays so: free() it in the end.
 * Grows *items (elements of size bytes) so that at least need fit; amortised doubling. Returns
 * SUP_OK or SUP_ENOMEM, in which case nothing changed. */
int sup_array_grow(void **items, size_t *cap, size_t need, size_t size);

#endif
