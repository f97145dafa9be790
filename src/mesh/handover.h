#ifndef SUP_MESH_HANDOVER_H
#define SUP_MESH_HANDOVER_H

#include <stdatomic.h>

/* What NNG promises of the order of its callbacks: it keeps that with locks and counters of its
 * own, into which ThreadSanitizer cannot see. Marked at the end of what comes first and seen at the
 * beginning of what comes after, it is visible. */

static inline void sup_handover_mark(atomic_uint *a)
{
    (void)atomic_fetch_add(a, 1);
}

static inline void sup_handover_see(atomic_uint *a)
{
    (void)atomic_load(a);
}

#endif
