#ifndef SUP_SERVICE_MEMORY_USE_H
#define SUP_SERVICE_MEMORY_USE_H

#include "store/store.h"

/* What the process takes of memory, as metrics: which part of it is the store's, which the heap
 * uses, and what is left, which should not grow. And sees to that: what a burst took, a backlog of
 * a hundred thousand decisions after a partition, say, is freed by us, but malloc keeps it, spread
 * over the arenas of the threads that had to do with it. Past a limit it is given back to the
 * system. */

struct sup_memory_use {
    int64_t look_at_ms, trim_at_ms; /* monotonic */
};

/* About each second. One thread. */
void sup_memory_use_look(struct sup_memory_use *m, struct sup_store *store);

/* Before any thread is started: how many arenas malloc makes does not depend on the number of cores
 * then, and neither does what they keep. */
void sup_memory_use_limit(void);

#endif
