#ifndef SIM_MESSAGE_HEAP_H
#define SIM_MESSAGE_HEAP_H

#include "queue.h"

/* The queue's hidden messages as a binary heap: the one that becomes visible first is hidden[0].
 * The queue's lock is held. */
void sim_heap_add(struct sim_queue *q, struct sim_message *m);
void sim_heap_remove(struct sim_queue *q, struct sim_message *m);

#endif
