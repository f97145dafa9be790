#include "clock.h"
#include "imports.h"
#include "region.h"
#include "ses.h"
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNFINISHED_MAX 10

static const char *const status_names[] = {"CREATED", "PROCESSING", "COMPLETED", "FAILED"};

static json_t *destination_of(const struct sim_import_job *job)
{
    return json_pack("{s:{s:s}}", "SuppressionListDestination", "SuppressionListImportAction",
                     job->remove ? "DELETE" : "PUT");
}

/* Under the lock. */
static json_t *summary_of(const struct sim_import_job *job)
{
    return json_pack("{s:s,s:o,s:s,s:f,s:I,s:I}", "JobId", job->id, "ImportDestination",
                     destination_of(job), "JobStatus", status_names[job->status],
                     "CreatedTimestamp", (double)job->created_ms / 1000, "ProcessedRecordsCount",
                     (json_int_t)job->processed, "FailedRecordsCount", (json_int_t)job->failed);
}

static json_t *whole(const struct sim_import_job *job)
{
    json_t *out = summary_of(job);
    json_object_set_new(
        out, "ImportDataSource",
        json_pack("{s:s,s:s}", "S3Url", job->s3_url, "DataFormat", job->json ? "JSON" : "CSV"));
    if (job->completed_ms)
        json_object_set_new(out, "CompletedTimestamp", json_real((double)job->completed_ms / 1000));
    if (job->failed_url || job->error)
        json_object_set_new(out, "FailureInfo",
                            json_pack("{s:s*,s:s*}", "FailedRecordsS3Url", job->failed_url,
                                      "ErrorMessage", job->error));
    return out;
}

static bool read_job(struct sim_request *r, struct sim_import_job *job)
{
    const json_t *source = json_object_get(r->input, "ImportDataSource");
    const json_t *list = json_object_get(json_object_get(r->input, "ImportDestination"),
                                         "SuppressionListDestination");
    const char *url = json_string_value(json_object_get(source, "S3Url"));
    const char *format = json_string_value(json_object_get(source, "DataFormat"));
    const char *action = json_string_value(json_object_get(list, "SuppressionListImportAction"));
    if (!url || strncmp(url, "s3://", 5) != 0)
        sim_ses_bad(r, "ImportDataSource.S3Url is not an s3:// URL.");
    else if (!format || (strcmp(format, "CSV") != 0 && strcmp(format, "JSON") != 0))
        sim_ses_bad(r, "ImportDataSource.DataFormat is CSV or JSON.");
    else if (!action || (strcmp(action, "PUT") != 0 && strcmp(action, "DELETE") != 0))
        sim_ses_bad(r, "SuppressionListImportAction is PUT or DELETE.");
    else if (!sim_account_production(&r->region->account))
        sim_ses_bad(r, "This operation is not available while your account is in the sandbox.");
    if (r->reply.is_error || !url || !format || !action)
        return false;
    job->s3_url = sim_strdup(url);
    job->json = strcmp(format, "JSON") == 0;
    job->remove = strcmp(action, "DELETE") == 0;
    return true;
}

static bool add_job(struct sim_imports *i, struct sim_import_job *job)
{
    size_t unfinished = 0;
    pthread_mutex_lock(&i->lock);
    for (const struct sim_import_job *other = i->first; other; other = other->next)
        unfinished += other->status < SIM_JOB_COMPLETED;
    bool ok = unfinished < UNFINISHED_MAX;
    if (ok && i->last)
        i->last->next = job;
    else if (ok)
        i->first = job;
    if (ok) {
        i->last = job;
        i->n++;
    }
    pthread_mutex_unlock(&i->lock);
    return ok;
}

enum sim_outcome sim_ses_create_import(struct sim_request *r)
{
    struct sim_import_job *job = sim_alloc(sizeof *job);
    if (!read_job(r, job)) {
        free(job);
        return SIM_DONE;
    }
    const char *host = sim_request_header(r, "host");
    char id[40];
    sim_uuid(id);
    memcpy(job->id, id, sizeof job->id);
    job->host = sim_strdup(host ? host : r->sim->host);
    job->created_ms = sim_region_now(r->region);
    job->due_mono_ms = sim_mono_ms() + r->sim->options.import_delay_ms;
    if (!add_job(&r->region->imports, job)) {
        free(job->s3_url);
        free(job->host);
        free(job);
        return sim_fail(r, 400, "LimitExceededException", "Too many import jobs are running.");
    }
    r->output = json_pack("{s:s}", "JobId", id);
    return SIM_DONE;
}

enum sim_outcome sim_ses_get_import(struct sim_request *r)
{
    struct sim_imports *i = &r->region->imports;
    pthread_mutex_lock(&i->lock);
    const struct sim_import_job *job = i->first;
    while (job && strcmp(job->id, r->target) != 0)
        job = job->next;
    r->output = job ? whole(job) : NULL;
    pthread_mutex_unlock(&i->lock);
    if (!r->output)
        return sim_fail(r, 404, "NotFoundException", "Job %s does not exist.", r->target);
    return SIM_DONE;
}

enum sim_outcome sim_ses_list_imports(struct sim_request *r)
{
    struct sim_imports *i = &r->region->imports;
    json_t *list = json_array();
    pthread_mutex_lock(&i->lock);
    for (const struct sim_import_job *job = i->first; job; job = job->next)
        json_array_append_new(list, summary_of(job));
    pthread_mutex_unlock(&i->lock);
    r->output = json_pack("{s:o}", "ImportJobs", list);
    return SIM_DONE;
}
