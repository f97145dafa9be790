#include "base/metrics.h"

#include "base/array.h"
#include "base/err.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define METRICS_MAX 4096
#define BUCKETS     1024

/* All metrics of one name: Prometheus wants them in one group, under one HELP and one TYPE. */
struct family {
    char *name;
    char *help;
    enum sup_metric_type type;
    struct sup_metric *first;
    struct sup_metric **last; /* where the next one is linked in */
    struct family *next;
};

struct sup_metric {
    _Atomic int64_t value;
    char *labels; /* "" for none */
    const struct family *family;
    struct sup_metric *next_in_family;
    struct sup_metric *next_in_bucket;
};

/* Everything below is guarded by mutex, except the values, which are atomic. Nothing is ever freed:
 * a metric's pointer is good until the process ends. */
static struct {
    pthread_mutex_t mutex;
    struct family *families;
    struct family **last_family;
    struct sup_metric *buckets[BUCKETS];
    size_t n;
    int64_t refused;
} registry = {.mutex = PTHREAD_MUTEX_INITIALIZER, .last_family = &registry.families};

/* Where updates go that have no metric of their own. It is not shown: a sum of unlike things says
 * nothing. What is shown is the number of refusals. */
static struct sup_metric overflow;

/* FNV-1a. */
static size_t bucket_of(const char *name, const char *labels)
{
    uint64_t h = 0xcbf29ce484222325;
    for (const char *p = name; *p != '\0'; p++)
        h = (h ^ (uint8_t)*p) * 0x100000001b3;
    h *= 0x100000001b3; /* the NUL between the two */
    for (const char *p = labels; *p != '\0'; p++)
        h = (h ^ (uint8_t)*p) * 0x100000001b3;
    return (size_t)(h % BUCKETS);
}

static struct sup_metric *find(size_t bucket, const char *name, const char *labels)
{
    struct sup_metric *m = registry.buckets[bucket];
    while (m != NULL && (strcmp(m->family->name, name) != 0 || strcmp(m->labels, labels) != 0))
        m = m->next_in_bucket;
    return m;
}

static struct family *family_get(const char *name, enum sup_metric_type type, const char *help)
{
    for (struct family *f = registry.families; f != NULL; f = f->next) {
        if (strcmp(f->name, name) == 0)
            return f;
    }
    struct family *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return NULL;
    f->name = strdup(name);
    f->help = strdup(help == NULL ? "" : help);
    if (f->name == NULL || f->help == NULL) {
        free(f->name);
        free(f->help);
        free(f);
        return NULL;
    }
    f->type = type;
    f->last = &f->first;
    *registry.last_family = f;
    registry.last_family = &f->next;
    return f;
}

static struct sup_metric *add(size_t bucket, const char *name, const char *labels,
                              enum sup_metric_type type, const char *help)
{
    if (registry.n == METRICS_MAX)
        return NULL;
    struct sup_metric *m = calloc(1, sizeof(*m));
    char *own_labels = strdup(labels);
    struct family *f = family_get(name, type, help);
    if (m == NULL || own_labels == NULL || f == NULL) {
        free(m);
        free(own_labels);
        return NULL; /* a family without metrics stays, and is not shown */
    }
    m->labels = own_labels;
    m->family = f;
    *f->last = m;
    f->last = &m->next_in_family;
    m->next_in_bucket = registry.buckets[bucket];
    registry.buckets[bucket] = m;
    registry.n++;
    return m;
}

struct sup_metric *sup_metric(const char *name, const char *labels, enum sup_metric_type type,
                              const char *help)
{
    if (labels == NULL)
        labels = "";
    size_t bucket = bucket_of(name, labels);
    pthread_mutex_lock(&registry.mutex);
    struct sup_metric *m = find(bucket, name, labels);
    if (m == NULL)
        m = add(bucket, name, labels, type, help);
    if (m == NULL) {
        registry.refused++;
        m = &overflow;
    }
    pthread_mutex_unlock(&registry.mutex);
    return m;
}

void sup_metric_add(struct sup_metric *m, int64_t n)
{
    atomic_fetch_add_explicit(&m->value, n, memory_order_relaxed);
}

void sup_metric_set(struct sup_metric *m, int64_t v)
{
    atomic_store_explicit(&m->value, v, memory_order_relaxed);
}

int64_t sup_metric_get(const struct sup_metric *m)
{
    return atomic_load_explicit(&m->value, memory_order_relaxed);
}

/* The text format's escapes: backslash and line feed in HELP, the double quote too in labels. */
static void add_escaped(struct sup_buf *out, const char *s, bool quotes)
{
    for (; *s != '\0'; s++) {
        if (*s == '\n')
            sup_buf_add_str(out, "\\n");
        else if (*s == '\\' || (quotes && *s == '"'))
            sup_buf_addf(out, "\\%c", *s);
        else
            sup_buf_add_byte(out, (uint8_t)*s);
    }
}

void sup_metric_label(struct sup_buf *out, const char *key, const char *value)
{
    sup_buf_add_str(out, key);
    sup_buf_add_str(out, "=\"");
    add_escaped(out, value == NULL ? "" : value, true);
    sup_buf_add_str(out, "\"");
}

static void write_head(struct sup_buf *out, const char *name, const char *help,
                       enum sup_metric_type type)
{
    sup_buf_addf(out, "# HELP %s ", name);
    add_escaped(out, help, false);
    sup_buf_addf(out, "\n# TYPE %s %s\n", name, type == SUP_COUNTER ? "counter" : "gauge");
}

static void write_family(struct sup_buf *out, const struct family *f)
{
    if (f->first == NULL)
        return;
    write_head(out, f->name, f->help, f->type);
    for (const struct sup_metric *m = f->first; m != NULL; m = m->next_in_family) {
        sup_buf_add_str(out, f->name);
        if (m->labels[0] != '\0')
            sup_buf_addf(out, "{%s}", m->labels);
        sup_buf_addf(out, " %" PRId64 "\n", sup_metric_get(m));
    }
}

void sup_metrics_write(struct sup_buf *out)
{
    pthread_mutex_lock(&registry.mutex);
    for (const struct family *f = registry.families; f != NULL; f = f->next)
        write_family(out, f);
    write_head(out, "supsync_metrics_refused_total",
               "Requests for a metric that found no room in the registry", SUP_COUNTER);
    sup_buf_addf(out, "supsync_metrics_refused_total %" PRId64 "\n", registry.refused);
    pthread_mutex_unlock(&registry.mutex);
}
