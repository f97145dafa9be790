#include "base/thread.h"

#include "base/clock.h"
#include "base/err.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define NAME_MAX_ 16 /* the kernel's TASK_COMM_LEN, with the NUL */

struct start {
    void *(*fn)(void *);
    void *arg;
    char name[NAME_MAX_];
};

static void *run(void *arg)
{
    struct start s = *(struct start *)arg;
    free(arg);
    /* From within: the thread may be over before its creator could name it. */
    (void)pthread_setname_np(pthread_self(), s.name);
    return s.fn(s.arg);
}

/* All signals except those that a fault raises in the thread itself: with these blocked the kernel
 * kills the process without running a handler, and a sanitizer could not report. */
static void signals_to_block(sigset_t *set)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    sigfillset(set);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        sigdelset(set, faults[i]);
}

int sup_thread_start(pthread_t *t, const char *name, void *(*fn)(void *), void *arg)
{
    struct start *s = malloc(sizeof(*s));
    if (s == NULL)
        return SUP_EAGAIN;
    s->fn = fn;
    s->arg = arg;
    (void)snprintf(s->name, sizeof(s->name), "%s", name);

    /* Blocked before the thread exists, since it inherits the mask: no signal can slip in between.
     */
    sigset_t block;
    sigset_t before;
    signals_to_block(&block);
    pthread_sigmask(SIG_BLOCK, &block, &before);
    int rc = pthread_create(t, NULL, run, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        free(s);
        return SUP_EAGAIN;
    }
    return SUP_OK;
}

void sup_cond_init(pthread_cond_t *c)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(c, &attr);
    pthread_condattr_destroy(&attr);
}

bool sup_cond_wait_ms(pthread_cond_t *c, pthread_mutex_t *m, int64_t ms)
{
    if (ms < 0)
        return pthread_cond_wait(c, m) == 0;
    struct timespec deadline = sup_mono_deadline(ms);
    return pthread_cond_timedwait(c, m, &deadline) != ETIMEDOUT;
}

void sup_stop_init(struct sup_stop *s)
{
    pthread_mutex_init(&s->mutex, NULL);
    sup_cond_init(&s->cond);
    atomic_init(&s->set, false);
}

void sup_stop_fini(struct sup_stop *s)
{
    pthread_cond_destroy(&s->cond);
    pthread_mutex_destroy(&s->mutex);
}

void sup_stop_set(struct sup_stop *s)
{
    /* Under the mutex, or a waiter between its check and its wait would miss the wake-up. */
    pthread_mutex_lock(&s->mutex);
    atomic_store(&s->set, true);
    pthread_cond_broadcast(&s->cond);
    pthread_mutex_unlock(&s->mutex);
}

bool sup_stop_is_set(struct sup_stop *s)
{
    return atomic_load(&s->set);
}

bool sup_stop_wait_ms(struct sup_stop *s, int64_t ms)
{
    int64_t now = sup_mono_ms();
    int64_t deadline = ms <= 0 ? now : ms < INT64_MAX - now ? now + ms : INT64_MAX;
    pthread_mutex_lock(&s->mutex);
    while (!atomic_load(&s->set)) {
        int64_t left = deadline - sup_mono_ms();
        if (left <= 0)
            break;
        (void)sup_cond_wait_ms(&s->cond, &s->mutex, left);
    }
    bool set = atomic_load(&s->set);
    pthread_mutex_unlock(&s->mutex);
    return set;
}
