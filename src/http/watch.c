#include "http/watch.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/thread.h"

#include <stdlib.h>
#include <sys/socket.h>

#define TICK_MS 500

struct sup_watched {
    struct sup_watch *watch;
    struct sup_watched *next, **link;
    int fd;
    int64_t deadline_ms; /* monotonic; 0 = none */
};

struct sup_watch {
    pthread_mutex_t mutex;
    struct sup_watched *all;
    struct sup_stop stop;
    pthread_t thread;
};

/* The descriptor is MHD's: it is shut down here, never closed, and under the mutex, which removal
 * takes before MHD closes it. */
static void shut_late(struct sup_watch *w)
{
    int64_t now = sup_mono_ms();
    pthread_mutex_lock(&w->mutex);
    for (struct sup_watched *c = w->all; c != NULL; c = c->next) {
        if (c->deadline_ms != 0 && now >= c->deadline_ms) {
            c->deadline_ms = 0;
            shutdown(c->fd, SHUT_RDWR);
        }
    }
    pthread_mutex_unlock(&w->mutex);
}

static void *run(void *arg)
{
    struct sup_watch *w = arg;
    while (!sup_stop_wait_ms(&w->stop, TICK_MS))
        shut_late(w);
    return NULL;
}

struct sup_watch *sup_watch_new(void)
{
    struct sup_watch *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return NULL;
    pthread_mutex_init(&w->mutex, NULL);
    sup_stop_init(&w->stop);
    if (sup_thread_start(&w->thread, "http-watch", run, w) == SUP_OK)
        return w;
    sup_stop_fini(&w->stop);
    pthread_mutex_destroy(&w->mutex);
    free(w);
    return NULL;
}

void sup_watch_free(struct sup_watch *w)
{
    if (w == NULL)
        return;
    sup_stop_set(&w->stop);
    pthread_join(w->thread, NULL);
    for (struct sup_watched *c = w->all; c != NULL;) {
        struct sup_watched *next = c->next;
        free(c);
        c = next;
    }
    sup_stop_fini(&w->stop);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}

struct sup_watched *sup_watch_add(struct sup_watch *w, int fd, int64_t ms)
{
    struct sup_watched *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->watch = w;
    c->fd = fd;
    c->deadline_ms = sup_mono_ms() + ms;
    pthread_mutex_lock(&w->mutex);
    c->next = w->all;
    c->link = &w->all;
    if (c->next != NULL)
        c->next->link = &c->next;
    w->all = c;
    pthread_mutex_unlock(&w->mutex);
    return c;
}

static void set_deadline(struct sup_watched *c, int64_t deadline_ms)
{
    if (c == NULL)
        return;
    pthread_mutex_lock(&c->watch->mutex);
    c->deadline_ms = deadline_ms;
    pthread_mutex_unlock(&c->watch->mutex);
}

void sup_watched_expect(struct sup_watched *c, int64_t ms)
{
    set_deadline(c, sup_mono_ms() + ms);
}

void sup_watched_hold(struct sup_watched *c)
{
    set_deadline(c, 0);
}

void sup_watched_remove(struct sup_watched *c)
{
    if (c == NULL)
        return;
    struct sup_watch *w = c->watch;
    pthread_mutex_lock(&w->mutex);
    *c->link = c->next;
    if (c->next != NULL)
        c->next->link = c->link;
    pthread_mutex_unlock(&w->mutex);
    free(c);
}
