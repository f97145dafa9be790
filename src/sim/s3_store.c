#include "s3_store.h"

#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bucket {
    char region[64];
    struct sim_strmap objects;
};

void sim_object_fini(struct sim_object *o)
{
    sim_buf_fini(&o->data);
    free(o->content_type);
    free(o->content_encoding);
    *o = (struct sim_object){0};
}

static void object_free(void *p)
{
    if (!p)
        return;
    sim_object_fini(p);
    free(p);
}

static void bucket_free(void *p)
{
    struct bucket *b = p;
    sim_strmap_fini(&b->objects, object_free);
    free(b);
}

void sim_s3_init(struct sim_s3 *s)
{
    pthread_mutex_init(&s->lock, NULL);
}

void sim_s3_fini(struct sim_s3 *s)
{
    sim_strmap_fini(&s->buckets, bucket_free);
    pthread_mutex_destroy(&s->lock);
}

bool sim_s3_make_bucket(struct sim_s3 *s, const char *name, const char *region)
{
    pthread_mutex_lock(&s->lock);
    bool fresh = !sim_strmap_get(&s->buckets, name);
    if (fresh) {
        struct bucket *b = sim_alloc(sizeof *b);
        snprintf(b->region, sizeof b->region, "%s", region);
        sim_strmap_set(&s->buckets, name, b);
    }
    pthread_mutex_unlock(&s->lock);
    return fresh;
}

bool sim_s3_find_bucket(struct sim_s3 *s, const char *name, char *region)
{
    pthread_mutex_lock(&s->lock);
    const struct bucket *b = sim_strmap_get(&s->buckets, name);
    if (b && region)
        memcpy(region, b->region, sizeof b->region);
    pthread_mutex_unlock(&s->lock);
    return b != NULL;
}

enum sim_s3_result sim_s3_put(struct sim_s3 *s, const char *bucket, const char *key,
                              struct sim_object *o)
{
    char md5[33];
    sim_md5_hex(md5, o->data.data, o->data.len);
    snprintf(o->etag, sizeof o->etag, "\"%s\"", md5);
    pthread_mutex_lock(&s->lock);
    struct bucket *b = sim_strmap_get(&s->buckets, bucket);
    void *old = NULL;
    if (b) {
        struct sim_object *stored = sim_alloc(sizeof *stored);
        *stored = *o;
        *o = (struct sim_object){0};
        old = sim_strmap_set(&b->objects, key, stored);
    }
    pthread_mutex_unlock(&s->lock);
    object_free(old);
    return b ? SIM_S3_OK : SIM_S3_NO_BUCKET;
}

enum sim_s3_result sim_s3_get(struct sim_s3 *s, const char *bucket, const char *key,
                              struct sim_object *o)
{
    *o = (struct sim_object){0};
    pthread_mutex_lock(&s->lock);
    const struct bucket *b = sim_strmap_get(&s->buckets, bucket);
    const struct sim_object *found = b ? sim_strmap_get(&b->objects, key) : NULL;
    if (found) {
        *o = *found;
        o->data = (struct sim_buf){0};
        sim_buf_add(&o->data, found->data.data, found->data.len);
        o->content_type = found->content_type ? sim_strdup(found->content_type) : NULL;
        o->content_encoding = found->content_encoding ? sim_strdup(found->content_encoding) : NULL;
    }
    pthread_mutex_unlock(&s->lock);
    return !b ? SIM_S3_NO_BUCKET : found ? SIM_S3_OK : SIM_S3_NO_KEY;
}

enum sim_s3_result sim_s3_delete(struct sim_s3 *s, const char *bucket, const char *key)
{
    pthread_mutex_lock(&s->lock);
    struct bucket *b = sim_strmap_get(&s->buckets, bucket);
    void *old = b ? sim_strmap_remove(&b->objects, key) : NULL;
    pthread_mutex_unlock(&s->lock);
    object_free(old);
    return b ? SIM_S3_OK : SIM_S3_NO_BUCKET;
}

struct item {
    const char *key;
    const struct sim_object *object;
};
struct items {
    struct item *list;
    size_t n;
};

static void collect(const char *key, void *v, void *arg)
{
    struct items *items = arg;
    items->list[items->n++] = (struct item){key, v};
}

static int by_key(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    return strcmp(x->key, y->key);
}

enum sim_s3_result
sim_s3_list(struct sim_s3 *s, const char *bucket,
            bool (*visit)(const char *key, const struct sim_object *o, void *arg), void *arg)
{
    pthread_mutex_lock(&s->lock);
    const struct bucket *b = sim_strmap_get(&s->buckets, bucket);
    if (b) {
        struct items items = {.list = sim_alloc(b->objects.n * sizeof *items.list)};
        sim_strmap_each(&b->objects, collect, &items);
        qsort(items.list, items.n, sizeof *items.list, by_key);
        for (size_t i = 0; i < items.n && visit(items.list[i].key, items.list[i].object, arg); i++)
            continue;
        free(items.list);
    }
    pthread_mutex_unlock(&s->lock);
    return b ? SIM_S3_OK : SIM_S3_NO_BUCKET;
}

void sim_s3_each_bucket(struct sim_s3 *s, void (*visit)(const char *name, void *v, void *arg),
                        void *arg)
{
    pthread_mutex_lock(&s->lock);
    sim_strmap_each(&s->buckets, visit, arg);
    pthread_mutex_unlock(&s->lock);
}
