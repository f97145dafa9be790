#ifndef SUP_BASE_THREAD_H
#define SUP_BASE_THREAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Starts a named thread (name cut at 15 bytes) with all signals blocked but those that a
 * fault raises: signals are the main thread's. The caller joins it. Returns SUP_OK or SUP_EAGAIN.
 */
int sup_thread_start(pthread_t *t, const char *name, void *(*fn)(void *), void *arg);

/* A condition variable on the monotonic clock. */
void sup_cond_init(pthread_cond_t *c);
/* Waits at most ms (negative: for ever). Returns false when the time ran out; true says no more
 * than that somebody woke it, or nobody did: look at the condition again. m is held by the caller.
 */
bool sup_cond_wait_ms(pthread_cond_t *c, pthread_mutex_t *m, int64_t ms);

/* A one-way switch that threads can wait on: "stop now". */
struct sup_stop {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    atomic_bool set;
};
void sup_stop_init(struct sup_stop *s);
void sup_stop_fini(struct sup_stop *s); /* no thread may be waiting */
void sup_stop_set(struct sup_stop *s);
bool sup_stop_is_set(struct sup_stop *s);
/* Sleeps ms (0 or less: not at all) or until set; returns true if set. */
bool sup_stop_wait_ms(struct sup_stop *s, int64_t ms);

#endif
