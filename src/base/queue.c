#include "base/queue.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/thread.h"

#include <stdlib.h>

struct sup_queue {
    pthread_mutex_t mutex;
    pthread_cond_t not_empty;
    pthread_cond_t not_full;
    size_t cap;
    size_t head; /* index of the oldest item */
    size_t n;
    bool closed;
    void *items[];
};

struct sup_queue *sup_queue_new(size_t capacity)
{
    if (capacity == 0)
        capacity = 1;
    if (capacity > (SIZE_MAX - sizeof(struct sup_queue)) / sizeof(void *))
        return NULL;
    struct sup_queue *q = malloc(sizeof(*q) + capacity * sizeof(void *));
    if (q == NULL)
        return NULL;
    pthread_mutex_init(&q->mutex, NULL);
    sup_cond_init(&q->not_empty);
    sup_cond_init(&q->not_full);
    q->cap = capacity;
    q->head = 0;
    q->n = 0;
    q->closed = false;
    return q;
}

void sup_queue_free(struct sup_queue *q)
{
    if (q == NULL)
        return;
    pthread_cond_destroy(&q->not_full);
    pthread_cond_destroy(&q->not_empty);
    pthread_mutex_destroy(&q->mutex);
    free(q);
}

void sup_queue_close(struct sup_queue *q)
{
    pthread_mutex_lock(&q->mutex);
    q->closed = true;
    pthread_cond_broadcast(&q->not_empty);
    pthread_cond_broadcast(&q->not_full);
    pthread_mutex_unlock(&q->mutex);
}

/* One wait within a deadline that was fixed when the call began, so that spurious and stolen
 * wake-ups cannot stretch it. Returns false when nothing is left of it. */
static bool wait_until(pthread_cond_t *cond, struct sup_queue *q, int64_t timeout_ms,
                       int64_t began_ms)
{
    if (timeout_ms < 0)
        return sup_cond_wait_ms(cond, &q->mutex, -1);
    int64_t left = timeout_ms - (sup_mono_ms() - began_ms);
    if (left <= 0)
        return false;
    (void)sup_cond_wait_ms(cond, &q->mutex, left);
    return true; /* the caller looks at the queue once more in either case */
}

int sup_queue_push(struct sup_queue *q, void *item, int64_t timeout_ms)
{
    int64_t began_ms = sup_mono_ms();
    int rc = SUP_OK;
    pthread_mutex_lock(&q->mutex);
    while (!q->closed && q->n == q->cap && rc == SUP_OK) {
        if (!wait_until(&q->not_full, q, timeout_ms, began_ms))
            rc = SUP_ETIMEDOUT;
    }
    if (q->closed)
        rc = SUP_ECLOSED;
    if (rc == SUP_OK) {
        size_t tail = q->head + q->n;
        q->items[tail < q->cap ? tail : tail - q->cap] = item;
        q->n++;
        pthread_cond_signal(&q->not_empty);
    }
    pthread_mutex_unlock(&q->mutex);
    return rc;
}

int sup_queue_pop(struct sup_queue *q, void **items, size_t max, size_t *n, int64_t timeout_ms)
{
    *n = 0;
    if (max == 0)
        return SUP_OK;
    int64_t began_ms = sup_mono_ms();
    pthread_mutex_lock(&q->mutex);
    while (!q->closed && q->n == 0) {
        if (!wait_until(&q->not_empty, q, timeout_ms, began_ms))
            break;
    }
    while (*n < max && q->n > 0) {
        items[(*n)++] = q->items[q->head];
        q->head = q->head + 1 < q->cap ? q->head + 1 : 0;
        q->n--;
    }
    if (*n == 1)
        pthread_cond_signal(&q->not_full);
    else if (*n > 1)
        pthread_cond_broadcast(&q->not_full);
    bool closed = q->closed;
    pthread_mutex_unlock(&q->mutex);
    if (*n > 0)
        return SUP_OK;
    return closed ? SUP_ECLOSED : SUP_ETIMEDOUT;
}

size_t sup_queue_len(struct sup_queue *q)
{
    pthread_mutex_lock(&q->mutex);
    size_t n = q->n;
    pthread_mutex_unlock(&q->mutex);
    return n;
}
