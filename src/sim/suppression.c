#include "suppression.h"

#include "buf.h"
#include "clock.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

const char *sim_reason_name(enum sim_reason r)
{
    return r == SIM_COMPLAINT ? "COMPLAINT" : "BOUNCE";
}

enum sim_reason sim_reason_parse(const char *s)
{
    if (s && strcmp(s, "BOUNCE") == 0)
        return SIM_BOUNCE;
    return s && strcmp(s, "COMPLAINT") == 0 ? SIM_COMPLAINT : 0;
}

bool sim_address_spelling(const char *address, char out[SIM_ADDRESS_MAX + 1])
{
    address += strspn(address, " \t\r\n\v\f");
    size_t n = strlen(address);
    while (n && strchr(" \t\r\n\v\f", address[n - 1]))
        n--;
    if (!n || n > SIM_ADDRESS_MAX)
        return false;
    memcpy(out, address, n);
    out[n] = 0;
    char *at = strrchr(out, '@');
    if (!at || at == out || !at[1] || strpbrk(at, " \t\r\n<>"))
        return false;
    for (const char *p = out; *p; p++) {
        if ((unsigned char)*p < 32 || *p == 127)
            return false;
    }
    sim_lower(at + 1);
    return true;
}

void sim_suppression_init(struct sim_suppression *s)
{
    pthread_mutex_init(&s->lock, NULL);
    s->next_seq = 1;
}

void sim_suppression_fini(struct sim_suppression *s)
{
    sim_strmap_fini(&s->by_address, NULL);
    sim_strmap_fini(&s->by_folded, NULL);
    for (size_t i = 0; i < s->n_slots; i++) {
        free(s->slots[i]->evidence);
        free(s->slots[i]);
    }
    free(s->slots);
    pthread_mutex_destroy(&s->lock);
}

static void fold(const char *address, char out[SIM_ADDRESS_MAX + 1])
{
    size_t n = strlen(address);
    memcpy(out, address, n + 1);
    sim_lower(out);
}

static struct sim_entry *add_entry(struct sim_suppression *s, const char *address)
{
    size_t len = strlen(address);
    struct sim_entry *e = sim_alloc(sizeof *e + len + 1);
    memcpy(e->address, address, len);
    e->seq = s->next_seq++;
    if (s->n_slots == s->cap_slots) {
        s->cap_slots = s->cap_slots ? s->cap_slots * 2 : 64;
        struct sim_entry **slots = sim_alloc(s->cap_slots * sizeof *slots);
        if (s->n_slots)
            memcpy(slots, s->slots, s->n_slots * sizeof *slots);
        free(s->slots);
        s->slots = slots;
    }
    s->slots[s->n_slots++] = e;
    sim_strmap_set(&s->by_address, address, e);
    char folded[SIM_ADDRESS_MAX + 1];
    fold(address, folded);
    e->next_alike = sim_strmap_set(&s->by_folded, folded, e);
    return e;
}

static void change(struct sim_suppression *s, struct sim_entry *e, const struct sim_version *v)
{
    s->n_present += (size_t)v->present - (size_t)e->now.present;
    e->before = e->now;
    e->now = *v;
    free(e->evidence);
    e->evidence = NULL;
    e->changed_mono_ms = sim_mono_ms();
}

void sim_suppression_put(struct sim_suppression *s, const char *address, enum sim_reason reason,
                         int64_t updated_ms, const struct sim_evidence *evidence)
{
    pthread_mutex_lock(&s->lock);
    struct sim_entry *e = sim_strmap_get(&s->by_address, address);
    if (!e)
        e = add_entry(s, address);
    change(s, e, &(struct sim_version){updated_ms, reason, true});
    if (evidence) {
        e->evidence = sim_alloc(sizeof *evidence);
        *e->evidence = *evidence;
    }
    pthread_mutex_unlock(&s->lock);
}

bool sim_suppression_get(struct sim_suppression *s, const char *address, struct sim_version *v,
                         struct sim_evidence *evidence)
{
    *evidence = (struct sim_evidence){0};
    pthread_mutex_lock(&s->lock);
    const struct sim_entry *e = sim_strmap_get(&s->by_address, address);
    bool found = e && e->now.present;
    if (found) {
        *v = e->now;
        if (e->evidence)
            *evidence = *e->evidence;
    }
    pthread_mutex_unlock(&s->lock);
    return found;
}

bool sim_suppression_delete(struct sim_suppression *s, const char *address)
{
    pthread_mutex_lock(&s->lock);
    struct sim_entry *e = sim_strmap_get(&s->by_address, address);
    bool found = e && e->now.present;
    if (found)
        change(s, e, &(struct sim_version){0});
    pthread_mutex_unlock(&s->lock);
    return found;
}

size_t sim_suppression_purge(struct sim_suppression *s)
{
    pthread_mutex_lock(&s->lock);
    size_t n = s->n_present;
    for (size_t i = 0; i < s->n_slots; i++) {
        if (s->slots[i]->now.present)
            change(s, s->slots[i], &(struct sim_version){0});
    }
    pthread_mutex_unlock(&s->lock);
    return n;
}

size_t sim_suppression_count(struct sim_suppression *s)
{
    pthread_mutex_lock(&s->lock);
    size_t n = s->n_present;
    pthread_mutex_unlock(&s->lock);
    return n;
}

unsigned sim_suppression_match(struct sim_suppression *s, const char *address)
{
    char folded[SIM_ADDRESS_MAX + 1];
    fold(address, folded);
    unsigned reasons = 0;
    pthread_mutex_lock(&s->lock);
    const struct sim_entry *e = sim_strmap_get(&s->by_folded, folded);
    for (; e; e = e->next_alike)
        reasons |= e->now.present ? (unsigned)e->now.reason : 0;
    pthread_mutex_unlock(&s->lock);
    return reasons;
}

static size_t first_slot(const struct sim_suppression *s, uint64_t seq)
{
    size_t low = 0, high = s->n_slots;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->slots[middle]->seq < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint64_t sim_suppression_list(struct sim_suppression *s, const struct sim_list_query *q,
                              void (*visit)(const struct sim_entry *e, const struct sim_version *v,
                                            void *arg),
                              void *arg)
{
    int64_t shown = sim_mono_ms() - q->lag_ms;
    uint64_t next = 0;
    size_t n = 0;
    pthread_mutex_lock(&s->lock);
    for (size_t i = first_slot(s, q->from_seq); i < s->n_slots; i++) {
        const struct sim_entry *e = s->slots[i];
        const struct sim_version *v =
            q->lag_ms > 0 && e->changed_mono_ms > shown ? &e->before : &e->now;
        if (!v->present || (q->reasons && !(q->reasons & v->reason)) ||
            v->updated_ms < q->start_ms || v->updated_ms > q->end_ms)
            continue;
        if (n++ == q->page_size) {
            next = e->seq;
            break;
        }
        visit(e, v, arg);
    }
    pthread_mutex_unlock(&s->lock);
    return next;
}
