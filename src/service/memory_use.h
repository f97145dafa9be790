#ifndef SUP_SERVICE_MEMORY_USE_H
#define SUP_SERVICE_MEMORY_USE_H

#include "store/store.h"

/* What the process takes of memory, and which part of that is the store's, as metrics: what is left
 * should not grow. One thread. */
void sup_memory_use_measure(struct sup_store *store);

#endif
