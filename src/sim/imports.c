#include "imports.h"

#include "auth.h"
#include "clock.h"
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct sim_import_worker {
    struct sim *sim;
    pthread_t thread;
    pthread_mutex_t lock;
    bool stopping;
};

void sim_imports_init(struct sim_imports *i)
{
    pthread_mutex_init(&i->lock, NULL);
}

void sim_imports_fini(struct sim_imports *i)
{
    for (struct sim_import_job *job = i->first, *next; job; job = next) {
        next = job->next;
        free(job->s3_url);
        free(job->host);
        free(job->failed_url);
        free(job->error);
        free(job);
    }
    pthread_mutex_destroy(&i->lock);
}

/* s3://BUCKET/KEY of a bucket in the Region of the job. false: error says why. */
static bool fetch(struct sim *s, const struct sim_region *g, const char *url, struct sim_object *o,
                  const char **error)
{
    char region[64];
    const char *key = strncmp(url, "s3://", 5) == 0 ? strchr(url + 5, '/') : NULL;
    *o = (struct sim_object){0};
    *error = "The S3 URL is not s3://bucket/object.";
    if (!key || !key[1])
        return false;
    char *bucket = sim_strndup(url + 5, (size_t)(key - url - 5));
    *error = NULL;
    if (!sim_s3_find_bucket(&s->s3, bucket, region))
        *error = "The specified bucket does not exist";
    else if (strcmp(region, g->name) != 0)
        *error = "The bucket is not in the Region of the job.";
    else if (sim_s3_get(&s->s3, bucket, key + 1, o) != SIM_S3_OK)
        *error = "The specified key does not exist.";
    free(bucket);
    return !*error;
}

static char *store_failed(struct sim *s, const struct sim_region *g,
                          const struct sim_import_job *job, struct sim_buf *rows)
{
    char bucket[128], key[128], path[300];
    snprintf(bucket, sizeof bucket, "ses-import-failures-%s", g->name);
    snprintf(key, sizeof key, "%s/failed-records.%s", job->id, job->json ? "json" : "csv");
    sim_s3_make_bucket(&s->s3, bucket, g->name);
    struct sim_object o = {
        .data = *rows, .content_type = sim_strdup("text/plain"), .modified_ms = sim_region_now(g)};
    *rows = (struct sim_buf){0};
    sim_s3_put(&s->s3, bucket, key, &o);
    sim_object_fini(&o);
    struct sim_buf url = {0};
    snprintf(path, sizeof path, "/%s/%s", bucket, key);
    sim_auth_presign(&url, job->host, g->name, path, sim_wall_ms(), 3600);
    return sim_buf_take(&url);
}

/* The job's fields that others read are written under the lock, from a copy worked on outside. */
static void work(struct sim *s, struct sim_region *g, struct sim_import_job *job)
{
    struct sim_import_job result = *job;
    struct sim_object o;
    struct sim_buf failed_rows = {0};
    const char *error;
    if (fetch(s, g, job->s3_url, &o, &error))
        sim_import_apply(g, &result, &o.data, &failed_rows);
    else
        result.error = sim_strdup(error);
    sim_object_fini(&o);
    if (result.failed)
        result.failed_url = store_failed(s, g, job, &failed_rows);
    sim_buf_fini(&failed_rows);
    pthread_mutex_lock(&g->imports.lock);
    job->processed = result.processed;
    job->failed = result.failed;
    job->failed_url = result.failed_url;
    job->error = result.error;
    job->status = result.error ? SIM_JOB_FAILED : SIM_JOB_COMPLETED;
    job->completed_ms = sim_region_now(g);
    pthread_mutex_unlock(&g->imports.lock);
}

static struct sim_import_job *next_due(struct sim_imports *i, int64_t now)
{
    pthread_mutex_lock(&i->lock);
    struct sim_import_job *job = i->first;
    while (job && job->status != SIM_JOB_CREATED)
        job = job->next;
    if (job && job->due_mono_ms <= now)
        job->status = SIM_JOB_PROCESSING;
    else
        job = NULL;
    pthread_mutex_unlock(&i->lock);
    return job;
}

static bool stopping(struct sim_import_worker *w)
{
    pthread_mutex_lock(&w->lock);
    bool stop = w->stopping;
    pthread_mutex_unlock(&w->lock);
    return stop;
}

static void *run(void *arg)
{
    struct sim_import_worker *w = arg;
    while (!stopping(w)) {
        for (size_t i = 0; i < w->sim->n_regions; i++) {
            struct sim_region *g = &w->sim->regions[i];
            struct sim_import_job *job = next_due(&g->imports, sim_mono_ms());
            if (job)
                work(w->sim, g, job);
        }
        nanosleep(&(struct timespec){.tv_nsec = 20 * 1000000L}, NULL);
    }
    return NULL;
}

struct sim_import_worker *sim_import_worker_start(struct sim *s)
{
    struct sim_import_worker *w = sim_alloc(sizeof *w);
    w->sim = s;
    pthread_mutex_init(&w->lock, NULL);
    if (pthread_create(&w->thread, NULL, run, w) != 0) {
        pthread_mutex_destroy(&w->lock);
        free(w);
        return NULL;
    }
    return w;
}

void sim_import_worker_stop(struct sim_import_worker *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_mutex_destroy(&w->lock);
    free(w);
}
