#ifndef SUP_BASE_QUEUE_H
#define SUP_BASE_QUEUE_H

#include <stddef.h>
#include <stdint.h>

/* A bounded first-in first-out queue of pointers for any number of producers and consumers. */
struct sup_queue;

/* Returns NULL only when out of memory. */
struct sup_queue *sup_queue_new(size_t capacity);
/* The queue must be closed and no thread may be inside a call. Items still in it are not touched.
 */
void sup_queue_free(struct sup_queue *q);
/* No more pushes; pops drain what is left, then answer SUP_ECLOSED. Does not block. */
void sup_queue_close(struct sup_queue *q);
/* Waits for room at most timeout_ms (negative: for ever; 0: not at all). On success the item moves
 * in; on SUP_ETIMEDOUT and SUP_ECLOSED it stays the caller's. */
int sup_queue_push(struct sup_queue *q, void *item, int64_t timeout_ms);
/* Takes up to max items; waits at most timeout_ms for the first one. *n is how many. SUP_OK,
 * SUP_ETIMEDOUT or SUP_ECLOSED (closed and empty). */
int sup_queue_pop(struct sup_queue *q, void **items, size_t max, size_t *n, int64_t timeout_ms);
size_t sup_queue_len(struct sup_queue *q);

#endif
