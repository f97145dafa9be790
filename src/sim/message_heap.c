#include "message_heap.h"

#include "buf.h"

#include <stdlib.h>
#include <string.h>

static void place(struct sim_queue *q, size_t i, struct sim_message *m)
{
    q->hidden[i] = m;
    m->heap_at = i + 1;
}

static void up(struct sim_queue *q, size_t i)
{
    struct sim_message *m = q->hidden[i];
    for (; i; i = (i - 1) / 2) {
        struct sim_message *parent = q->hidden[(i - 1) / 2];
        if (parent->visible_at <= m->visible_at)
            break;
        place(q, i, parent);
    }
    place(q, i, m);
}

static void down(struct sim_queue *q, size_t i)
{
    struct sim_message *m = q->hidden[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= q->n_hidden)
            break;
        if (child + 1 < q->n_hidden &&
            q->hidden[child + 1]->visible_at < q->hidden[child]->visible_at)
            child++;
        if (q->hidden[child]->visible_at >= m->visible_at)
            break;
        place(q, i, q->hidden[child]);
        i = child;
    }
    place(q, i, m);
}

void sim_heap_add(struct sim_queue *q, struct sim_message *m)
{
    if (q->n_hidden == q->cap_hidden) {
        q->cap_hidden = q->cap_hidden ? q->cap_hidden * 2 : 64;
        struct sim_message **hidden = sim_alloc(q->cap_hidden * sizeof(*hidden));
        if (q->n_hidden)
            memcpy(hidden, q->hidden, q->n_hidden * sizeof(*hidden));
        free(q->hidden);
        q->hidden = hidden;
    }
    place(q, q->n_hidden++, m);
    up(q, q->n_hidden - 1);
}

void sim_heap_remove(struct sim_queue *q, struct sim_message *m)
{
    size_t i = m->heap_at - 1;
    struct sim_message *last = q->hidden[--q->n_hidden];
    m->heap_at = 0;
    if (last == m)
        return;
    place(q, i, last);
    up(q, i);
    down(q, last->heap_at - 1);
}
