#include "aws/ses_import.h"

#include "aws/json.h"
#include "aws/ses_call.h"
#include "aws/sigv4.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOBS      "/v2/email/import-jobs"
#define PAGES_MAX 20
#define COUNT_MAX 1e15

static bool bad(int rc)
{
    return rc != SUP_OK && rc != SUP_ENOTFOUND;
}

void sup_ses_import_line(struct sup_buf *out, const char *address, enum sup_reason reason)
{
    json_t *o = reason == SUP_REASON_NONE ? json_pack("{s:s}", "emailAddress", address)
                                          : json_pack("{s:s, s:s}", "emailAddress", address,
                                                      "reason", sup_reason_name(reason));
    char *s = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;

    if (s != NULL) {
        sup_buf_add_str(out, s);
        sup_buf_add_byte(out, '\n');
    } else {
        out->failed = SUP_ENOMEM;
    }
    free(s);
    json_decref(o);
}

char *sup_ses_import_line_address(const char *line, size_t n)
{
    json_t *o = json_loadb(line, n, 0, NULL);
    const char *s = json_string_value(json_object_get(o, "emailAddress"));
    char *copy = s != NULL ? strdup(s) : NULL;

    json_decref(o);
    return copy;
}

void sup_ses_job_fini(struct sup_ses_job *j)
{
    free(j->failed_url);
    j->failed_url = NULL;
}

int sup_ses_create_import(struct sup_aws *a, const char *s3_url, bool remove, char id[128],
                          struct sup_stop *stop, struct sup_aws_error *aerr, struct sup_err *err)
{
    struct sup_aws_error own;
    struct sup_buf body;
    const char *text = NULL;
    json_t *reply = NULL;
    int rc;

    aerr = aerr != NULL ? aerr : &own;
    memset(aerr, 0, sizeof *aerr);
    sup_buf_init(&body, 8192);
    rc = sup_json_write(json_pack("{s:{s:{s:s}}, s:{s:s, s:s}}", "ImportDestination",
                                  "SuppressionListDestination", "SuppressionListImportAction",
                                  remove ? "DELETE" : "PUT", "ImportDataSource", "S3Url", s3_url,
                                  "DataFormat", "JSON"),
                        &body, err);
    struct sup_ses_call c = {.name = "CreateImportJob",
                             .method = "POST",
                             .path = JOBS,
                             .body = sup_buf_slice(&body),
                             .no_repeat = true,
                             .stop = stop};
    if (rc == SUP_OK)
        rc = sup_ses_call(a, &c, &reply, aerr, err);
    if (rc != SUP_OK && strcmp(aerr->code, "LimitExceededException") == 0)
        rc = SUP_EAGAIN;
    if (rc == SUP_OK &&
        (sup_json_text(reply, "JobId", &text) != SUP_OK || strlen(text) > 127 || text[0] == '\0'))
        rc = sup_err_set(err, SUP_ECORRUPT, "SES CreateImportJob: odd reply");
    if (rc == SUP_OK)
        snprintf(id, 128, "%s", text);
    json_decref(reply);
    sup_buf_fini(&body);
    return rc;
}

static int count(const json_t *o, const char *key, uint64_t *out)
{
    double v = 0;
    int rc = sup_json_number(o, key, &v);

    if (rc == SUP_OK && !(v >= 0 && v <= COUNT_MAX))
        return SUP_ECORRUPT;
    *out = (uint64_t)v;
    return rc;
}

static int parse_job(const json_t *o, struct sup_ses_job *out)
{
    const json_t *source = json_object_get(o, "ImportDataSource");
    const json_t *failure = json_object_get(o, "FailureInfo");
    const char *status = NULL, *url = "", *error = "", *failed_url = NULL;

    if (sup_json_text(o, "JobStatus", &status) != SUP_OK ||
        bad(sup_json_text(source, "S3Url", &url)) ||
        bad(count(o, "ProcessedRecordsCount", &out->processed)) ||
        bad(count(o, "FailedRecordsCount", &out->failed)))
        return SUP_ECORRUPT;
    if (json_is_object(failure) && (bad(sup_json_text(failure, "ErrorMessage", &error)) ||
                                    bad(sup_json_text(failure, "FailedRecordsS3Url", &failed_url))))
        return SUP_ECORRUPT;
    out->state = strcmp(status, "COMPLETED") == 0 ? SUP_SES_JOB_COMPLETED
                 : strcmp(status, "FAILED") == 0 || strcmp(status, "CANCELLED") == 0
                     ? SUP_SES_JOB_FAILED
                     : SUP_SES_JOB_UNFINISHED;
    snprintf(out->s3_url, sizeof out->s3_url, "%s", url);
    snprintf(out->error, sizeof out->error, "%.159s", error);
    if (failed_url != NULL && failed_url[0] != '\0') {
        out->failed_url = strdup(failed_url);
        if (out->failed_url == NULL)
            return SUP_ENOMEM;
    }
    return SUP_OK;
}

int sup_ses_get_import(struct sup_aws *a, const char *id, struct sup_ses_job *out,
                       struct sup_stop *stop, struct sup_aws_error *aerr, struct sup_err *err)
{
    struct sup_buf path;
    json_t *reply = NULL;
    int rc;

    memset(out, 0, sizeof *out);
    snprintf(out->id, sizeof out->id, "%.127s", id);
    sup_buf_init(&path, 4096);
    sup_buf_add_str(&path, JOBS "/");
    sup_uri_encode(&path, sup_slice_str(id), 0);
    struct sup_ses_call c = {
        .name = "GetImportJob", .method = "GET", .path = sup_buf_str(&path), .stop = stop};
    rc = sup_ses_call(a, &c, &reply, aerr, err);
    if (rc == SUP_OK && (rc = parse_job(reply, out)) != SUP_OK)
        sup_err_set(err, rc, "SES GetImportJob: odd reply");
    if (rc != SUP_OK)
        sup_ses_job_fini(out);
    json_decref(reply);
    sup_buf_fini(&path);
    return rc;
}

/* *go_on: there may be more to see. */
static int each_job(const json_t *reply, int64_t since_ms, bool (*each)(void *arg, const char *id),
                    void *arg, bool *go_on)
{
    const json_t *list = NULL;

    if (bad(sup_json_array(reply, "ImportJobs", &list)))
        return SUP_ECORRUPT;
    for (size_t i = 0; *go_on && i < json_array_size(list); i++) {
        const json_t *job = json_array_get(list, i);
        const char *id = NULL;
        int64_t created = since_ms;
        if (sup_json_text(job, "JobId", &id) != SUP_OK ||
            bad(sup_json_time(job, "CreatedTimestamp", &created)))
            return SUP_ECORRUPT;
        if (created >= since_ms)
            *go_on = each(arg, id);
    }
    return SUP_OK;
}

int sup_ses_list_imports(struct sup_aws *a, int64_t since_ms,
                         bool (*each)(void *arg, const char *id), void *arg, struct sup_stop *stop,
                         struct sup_aws_error *aerr, struct sup_err *err)
{
    struct sup_aws_error own;
    json_t *token = NULL;
    unsigned attempts = 0;
    bool go_on = true;
    int rc = SUP_OK;

    aerr = aerr != NULL ? aerr : &own;
    memset(aerr, 0, sizeof *aerr);
    for (int page = 0; rc == SUP_OK && go_on && page < PAGES_MAX; page++) {
        struct sup_buf body;
        json_t *reply = NULL;
        sup_buf_init(&body, 32768);
        rc = sup_json_write(json_pack("{s:s, s:O*}", "ImportDestinationType", "SUPPRESSION_LIST",
                                      "NextToken", token),
                            &body, err);
        struct sup_ses_call c = {.name = "ListImportJobs",
                                 .method = "POST",
                                 .path = JOBS "/list",
                                 .body = sup_buf_slice(&body),
                                 .stop = stop};
        if (rc == SUP_OK)
            rc = sup_ses_call(a, &c, &reply, aerr, err);
        attempts += aerr->attempts;
        if (rc == SUP_OK && (rc = each_job(reply, since_ms, each, arg, &go_on)) != SUP_OK)
            sup_err_set(err, rc, "SES ListImportJobs: odd reply");
        json_decref(token);
        token = json_incref(json_object_get(reply, "NextToken"));
        go_on = go_on && json_is_string(token);
        json_decref(reply);
        sup_buf_fini(&body);
    }
    aerr->attempts = attempts; /* of all pages */
    json_decref(token);
    return rc;
}
