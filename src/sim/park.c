#include "park.h"

#include "clock.h"
#include "queue.h"

#include <time.h>

/* Also the granularity of long-poll ends and of visibility timeouts seen by long polls. */
#define TICK_MS 5

static void resume(struct sim_park *p, struct sim_parking *w)
{
    if (w->prev)
        w->prev->next = w->next;
    else
        p->first = w->next;
    if (w->next)
        w->next->prev = w->prev;
    else
        p->last = w->prev;
    w->next = w->prev = NULL;
    w->parked = false;
    /* The handler may run from here on: w must not be touched again. */
    MHD_resume_connection(w->connection);
}

static void resume_due(struct sim_park *p, int64_t now)
{
    for (struct sim_parking *w = p->first, *next; w; w = next) {
        next = w->next;
        if (p->stopping || now >= w->deadline_ms || (w->queue && sim_queue_ready(w->queue, now)))
            resume(p, w);
    }
}

static void *run(void *arg)
{
    struct sim_park *p = arg;
    pthread_mutex_lock(&p->lock);
    while (!p->stopping) {
        if (!p->first) {
            pthread_cond_wait(&p->changed, &p->lock);
            continue;
        }
        resume_due(p, sim_mono_ms());
        pthread_mutex_unlock(&p->lock);
        nanosleep(&(struct timespec){.tv_nsec = TICK_MS * 1000000L}, NULL);
        pthread_mutex_lock(&p->lock);
    }
    resume_due(p, 0);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

int sim_park_start(struct sim_park *p)
{
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    int rc = pthread_create(&p->thread, NULL, run, p);
    p->running = rc == 0;
    return rc;
}

void sim_park_stop(struct sim_park *p)
{
    if (!p->running)
        return;
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    p->running = false;
}

bool sim_park_wait(struct sim_park *p, struct sim_parking *w)
{
    pthread_mutex_lock(&p->lock);
    bool ok = !p->stopping;
    if (ok) {
        MHD_suspend_connection(w->connection);
        w->parked = true;
        w->next = NULL;
        w->prev = p->last;
        if (p->last)
            p->last->next = w;
        else
            p->first = w;
        p->last = w;
        pthread_cond_signal(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
    return ok;
}

void sim_park_wake(struct sim_park *p, const struct sim_queue *queue, size_t n)
{
    pthread_mutex_lock(&p->lock);
    for (struct sim_parking *w = p->first, *next; w && n; w = next) {
        next = w->next;
        if (w->queue == queue) {
            resume(p, w);
            n--;
        }
    }
    pthread_mutex_unlock(&p->lock);
}
