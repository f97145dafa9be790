#include "queue.h"

#include "buf.h"
#include "clock.h"
#include "message_heap.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* SQS refuses to have more messages of a standard queue in flight. */
#define IN_FLIGHT_MAX 120000

static void key_of(uint64_t number, char key[20])
{
    snprintf(key, 20, "%" PRIx64, number);
}

static void message_free(void *p)
{
    struct sim_message *m = p;
    json_decref(m->attributes);
    free(m->body);
    free(m);
}

static void show(struct sim_queue *q, struct sim_message *m)
{
    m->next = NULL;
    m->prev = q->last;
    if (q->last)
        q->last->next = m;
    else
        q->first = m;
    q->last = m;
    atomic_fetch_add(&q->n_visible, 1);
}

static void unlink_visible(struct sim_queue *q, struct sim_message *m)
{
    if (m->prev)
        m->prev->next = m->next;
    else
        q->first = m->next;
    if (m->next)
        m->next->prev = m->prev;
    else
        q->last = m->prev;
    m->next = m->prev = NULL;
    atomic_fetch_sub(&q->n_visible, 1);
}

static void note_next(struct sim_queue *q)
{
    atomic_store(&q->next_visible_at, q->n_hidden ? q->hidden[0]->visible_at : INT64_MAX);
}

static void hide(struct sim_queue *q, struct sim_message *m, int64_t visible_at)
{
    m->visible_at = visible_at;
    sim_heap_add(q, m);
    note_next(q);
}

static void show_due(struct sim_queue *q, int64_t mono_now)
{
    while (q->n_hidden && q->hidden[0]->visible_at <= mono_now) {
        struct sim_message *m = q->hidden[0];
        sim_heap_remove(q, m);
        if (m->receives)
            q->expired++;
        show(q, m);
    }
    note_next(q);
}

static void take_out(struct sim_queue *q, struct sim_message *m)
{
    if (m->heap_at) {
        sim_heap_remove(q, m);
        note_next(q);
    } else {
        unlink_visible(q, m);
    }
    char key[20];
    key_of(m->number, key);
    sim_strmap_remove(&q->by_number, key);
}

static void put_in(struct sim_queue *q, struct sim_message *m)
{
    m->number = q->next_number++;
    char key[20];
    key_of(m->number, key);
    sim_strmap_set(&q->by_number, key, m);
}

void sim_queue_send(struct sim_queue *q, const char *body, size_t n, json_t *attributes,
                    int64_t delay_ms, int64_t now_ms, char *id, char *md5)
{
    struct sim_message *m = sim_alloc(sizeof *m);
    sim_uuid(m->id);
    m->body = sim_strndup(body, n);
    m->len = n;
    sim_md5_hex(m->md5, body, n);
    m->attributes = json_incref(attributes);
    m->sent_ms = now_ms;
    memcpy(id, m->id, sizeof m->id);
    memcpy(md5, m->md5, sizeof m->md5);
    pthread_mutex_lock(&q->lock);
    put_in(q, m);
    if (delay_ms < 0)
        delay_ms = q->delay_ms;
    if (delay_ms > 0)
        hide(q, m, sim_mono_ms() + delay_ms);
    else
        show(q, m);
    q->sent++;
    pthread_mutex_unlock(&q->lock);
}

static void take(struct sim_queue *q, struct sim_receive *r, struct sim_message *m, int64_t mono)
{
    unlink_visible(q, m);
    if (q->dead_letter && m->receives >= q->max_receives) {
        char key[20];
        key_of(m->number, key);
        sim_strmap_remove(&q->by_number, key);
        m->next = r->dead;
        r->dead = m;
        q->dead_lettered++;
        return;
    }
    if (!m->receives++)
        m->first_received_ms = r->now_ms;
    m->handle = sim_random() | 1;
    hide(q, m, mono + (r->visibility_ms < 0 ? q->visibility_ms : r->visibility_ms));
    char plain[SIM_HANDLE_LEN];
    snprintf(plain, sizeof plain, "%016" PRIx64 "%016" PRIx64, m->number, m->handle);
    struct sim_buf handle = {0};
    sim_buf_str(&handle, "AQEB");
    sim_base64(&handle, plain, strlen(plain));
    r->visit(m, sim_buf_cstr(&handle), r->arg);
    sim_buf_fini(&handle);
    r->max--;
    q->received++;
}

enum sim_receive_result sim_queue_receive(struct sim_queue *q, struct sim_receive *r)
{
    int64_t mono = sim_mono_ms();
    unsigned wanted = r->max;
    r->dead = NULL;
    pthread_mutex_lock(&q->lock);
    show_due(q, mono);
    enum sim_receive_result result = SIM_RECEIVED;
    if (q->n_hidden >= IN_FLIGHT_MAX) {
        result = SIM_RECEIVE_OVER;
    } else {
        /* What becomes visible at once (a visibility of 0) is not taken twice. */
        size_t most = atomic_load(&q->n_visible);
        while (q->first && r->max && most--)
            take(q, r, q->first, mono);
        if (r->max == wanted && !r->dead)
            result = r->empty(r->arg) ? SIM_RECEIVE_WAITS : SIM_RECEIVE_EMPTY;
    }
    pthread_mutex_unlock(&q->lock);
    return result;
}

void sim_queue_bury(struct sim_queues *qs, struct sim_queue *from, struct sim_message *dead)
{
    if (!dead)
        return;
    pthread_mutex_lock(&from->lock);
    char *name = from->dead_letter ? sim_strdup(from->dead_letter) : NULL;
    pthread_mutex_unlock(&from->lock);
    struct sim_queue *to = name ? sim_queues_find(qs, name) : NULL;
    free(name);
    for (struct sim_message *next; dead; dead = next) {
        next = dead->next;
        if (!to) {
            message_free(dead);
            continue;
        }
        pthread_mutex_lock(&to->lock);
        dead->handle = 0;
        put_in(to, dead);
        show(to, dead);
        to->sent++;
        pthread_mutex_unlock(&to->lock);
    }
}

/* Under the lock. */
static enum sim_handle_result find_handle(struct sim_queue *q, const char *handle,
                                          struct sim_message **out)
{
    struct sim_buf plain = {0};
    uint64_t number = 0, random = 0;
    char key[20];
    *out = NULL;
    bool ok = strncmp(handle, "AQEB", 4) == 0 &&
              sim_base64_decode(&plain, handle + 4, strlen(handle + 4)) && plain.len == 32 &&
              sim_parse_hex(plain.data, 16, &number) && sim_parse_hex(plain.data + 16, 16, &random);
    sim_buf_fini(&plain);
    if (!ok)
        return SIM_HANDLE_INVALID;
    key_of(number, key);
    struct sim_message *m = sim_strmap_get(&q->by_number, key);
    if (!m || m->handle != random)
        return SIM_HANDLE_OLD;
    *out = m;
    return SIM_HANDLE_OK;
}

enum sim_handle_result sim_queue_delete(struct sim_queue *q, const char *handle)
{
    struct sim_message *m;
    pthread_mutex_lock(&q->lock);
    enum sim_handle_result result = find_handle(q, handle, &m);
    if (m) {
        take_out(q, m);
        q->deleted_messages++;
    }
    pthread_mutex_unlock(&q->lock);
    if (m)
        message_free(m);
    return result;
}

enum sim_handle_result sim_queue_change_visibility(struct sim_queue *q, const char *handle,
                                                   int64_t visibility_ms)
{
    struct sim_message *m;
    pthread_mutex_lock(&q->lock);
    show_due(q, sim_mono_ms());
    enum sim_handle_result result = find_handle(q, handle, &m);
    if (m && !m->heap_at) {
        result = SIM_HANDLE_OLD;
    } else if (m) {
        sim_heap_remove(q, m);
        if (visibility_ms > 0)
            hide(q, m, sim_mono_ms() + visibility_ms);
        else
            show(q, m);
        note_next(q);
    }
    pthread_mutex_unlock(&q->lock);
    return result;
}

void sim_queue_purge(struct sim_queue *q)
{
    pthread_mutex_lock(&q->lock);
    sim_strmap_fini(&q->by_number, message_free);
    q->first = q->last = NULL;
    q->n_hidden = 0;
    atomic_store(&q->n_visible, 0);
    note_next(q);
    pthread_mutex_unlock(&q->lock);
}

bool sim_queue_ready(struct sim_queue *q, int64_t mono_now)
{
    return atomic_load(&q->n_visible) || atomic_load(&q->next_visible_at) <= mono_now;
}

void sim_queue_set_dead_letter(struct sim_queue *q, const char *name, unsigned max_receives)
{
    pthread_mutex_lock(&q->lock);
    free(q->dead_letter);
    q->dead_letter = name ? sim_strdup(name) : NULL;
    q->max_receives = max_receives;
    pthread_mutex_unlock(&q->lock);
}

void sim_queue_counts(struct sim_queue *q, struct sim_queue_counts *c)
{
    pthread_mutex_lock(&q->lock);
    show_due(q, sim_mono_ms());
    *c = (struct sim_queue_counts){.visible = atomic_load(&q->n_visible),
                                   .sent = q->sent,
                                   .received = q->received,
                                   .deleted = q->deleted_messages,
                                   .dead_lettered = q->dead_lettered};
    for (size_t i = 0; i < q->n_hidden; i++) {
        if (q->hidden[i]->receives)
            c->in_flight++;
        else
            c->delayed++;
    }
    pthread_mutex_unlock(&q->lock);
}
