#include "strmap.h"

#include "buf.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a; nobody attacks a simulator's hash table. */
static uint64_t hash_of(const char *key)
{
    uint64_t h = 14695981039346656037u;
    for (; *key; key++)
        h = (h ^ (unsigned char)*key) * 1099511628211u;
    return h ^ (h >> 29);
}

static struct sim_strmap_node **slot_of(const struct sim_strmap *m, const char *key, uint64_t hash)
{
    struct sim_strmap_node **p = &m->buckets[hash & (m->n_buckets - 1)];
    while (*p && ((*p)->hash != hash || strcmp((*p)->key, key) != 0))
        p = &(*p)->next;
    return p;
}

static void grow(struct sim_strmap *m)
{
    size_t n = m->n_buckets ? m->n_buckets * 2 : 16;
    struct sim_strmap_node **buckets = sim_alloc(n * sizeof *buckets);
    for (size_t i = 0; i < m->n_buckets; i++) {
        for (struct sim_strmap_node *node = m->buckets[i], *next; node; node = next) {
            next = node->next;
            node->next = buckets[node->hash & (n - 1)];
            buckets[node->hash & (n - 1)] = node;
        }
    }
    free(m->buckets);
    m->buckets = buckets;
    m->n_buckets = n;
}

void *sim_strmap_get(const struct sim_strmap *m, const char *key)
{
    if (!m->n)
        return NULL;
    const struct sim_strmap_node *node = *slot_of(m, key, hash_of(key));
    return node ? node->value : NULL;
}

void *sim_strmap_set(struct sim_strmap *m, const char *key, void *value)
{
    if (m->n >= m->n_buckets)
        grow(m);
    uint64_t hash = hash_of(key);
    struct sim_strmap_node **p = slot_of(m, key, hash);
    if (*p) {
        void *old = (*p)->value;
        (*p)->value = value;
        return old;
    }
    size_t len = strlen(key);
    struct sim_strmap_node *node = sim_alloc(sizeof *node + len + 1);
    memcpy(node->key, key, len);
    node->hash = hash;
    node->value = value;
    *p = node;
    m->n++;
    return NULL;
}

void *sim_strmap_remove(struct sim_strmap *m, const char *key)
{
    if (!m->n)
        return NULL;
    struct sim_strmap_node **p = slot_of(m, key, hash_of(key));
    struct sim_strmap_node *node = *p;
    if (!node)
        return NULL;
    void *value = node->value;
    *p = node->next;
    free(node);
    m->n--;
    return value;
}

void sim_strmap_each(const struct sim_strmap *m, void (*visit)(const char *key, void *v, void *arg),
                     void *arg)
{
    for (size_t i = 0; i < m->n_buckets; i++) {
        for (const struct sim_strmap_node *node = m->buckets[i]; node; node = node->next)
            visit(node->key, node->value, arg);
    }
}

void sim_strmap_fini(struct sim_strmap *m, void (*drop)(void *value))
{
    for (size_t i = 0; i < m->n_buckets; i++) {
        for (struct sim_strmap_node *node = m->buckets[i], *next; node; node = next) {
            next = node->next;
            if (drop)
                drop(node->value);
            free(node);
        }
    }
    free(m->buckets);
    *m = (struct sim_strmap){0};
}
