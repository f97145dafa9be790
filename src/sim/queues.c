#include "buf.h"
#include "queue.h"

#include <stdlib.h>
#include <string.h>

void sim_queues_init(struct sim_queues *qs)
{
    pthread_mutex_init(&qs->lock, NULL);
}

static void queue_free(struct sim_queue *q)
{
    sim_queue_purge(q);
    free(q->hidden);
    free(q->name);
    free(q->dead_letter);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

void sim_queues_fini(struct sim_queues *qs)
{
    sim_strmap_fini(&qs->by_name, NULL);
    for (size_t i = 0; i < qs->n_all; i++)
        queue_free(qs->all[i]);
    free(qs->all);
    pthread_mutex_destroy(&qs->lock);
}

struct sim_queue *sim_queues_find(struct sim_queues *qs, const char *name)
{
    pthread_mutex_lock(&qs->lock);
    struct sim_queue *q = sim_strmap_get(&qs->by_name, name);
    pthread_mutex_unlock(&qs->lock);
    return q;
}

static struct sim_queue *queue_new(const char *name, int64_t now_ms)
{
    struct sim_queue *q = sim_alloc(sizeof *q);
    pthread_mutex_init(&q->lock, NULL);
    q->name = sim_strdup(name);
    q->visibility_ms = 30000;
    q->retention_s = 4 * 86400;
    q->created_ms = now_ms;
    q->next_number = 1;
    atomic_store(&q->next_visible_at, INT64_MAX);
    return q;
}

struct sim_queue *sim_queues_create(struct sim_queues *qs, const char *name, int64_t now_ms)
{
    pthread_mutex_lock(&qs->lock);
    struct sim_queue *q = sim_strmap_get(&qs->by_name, name);
    if (!q) {
        q = queue_new(name, now_ms);
        sim_strmap_set(&qs->by_name, name, q);
        struct sim_queue **all = sim_alloc((qs->n_all + 1) * sizeof(*all));
        if (qs->n_all)
            memcpy(all, qs->all, qs->n_all * sizeof(*all));
        free(qs->all);
        qs->all = all;
        qs->all[qs->n_all++] = q;
    }
    pthread_mutex_unlock(&qs->lock);
    return q;
}

bool sim_queues_delete(struct sim_queues *qs, const char *name)
{
    pthread_mutex_lock(&qs->lock);
    struct sim_queue *q = sim_strmap_remove(&qs->by_name, name);
    if (q)
        q->deleted = true;
    pthread_mutex_unlock(&qs->lock);
    if (q)
        sim_queue_purge(q);
    return q != NULL;
}

void sim_queues_each(struct sim_queues *qs, void (*visit)(struct sim_queue *q, void *arg),
                     void *arg)
{
    pthread_mutex_lock(&qs->lock);
    for (size_t i = 0; i < qs->n_all; i++) {
        if (!qs->all[i]->deleted)
            visit(qs->all[i], arg);
    }
    pthread_mutex_unlock(&qs->lock);
}
