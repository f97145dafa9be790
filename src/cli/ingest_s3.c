/* Objects of Amazon S3 as sources of a backfill. */
#include "aws/s3_reader.h"
#include "cli/ingest.h"

#include <stdlib.h>
#include <string.h>

#define SCHEME "s3://"
/* Where S3 tells in which Region a bucket is, when nobody said. */
#define ANY_REGION "us-east-1"

struct walking {
    struct sup_ingesting *g;
    struct sup_s3_bucket bucket;
    bool count_only;
};

bool sup_ingest_is_s3(const char *url)
{
    return strncmp(url, SCHEME, strlen(SCHEME)) == 0;
}

/* --- one object --- */

static int open_object(void *arg, struct sup_source *s, struct sup_err *err)
{
    struct sup_s3_reader *r = arg;

    return sup_source_open_with(s, sup_s3_reader_read, r, err);
}

static void ingest_one(struct walking *w, const struct sup_s3_object *o)
{
    struct sup_s3_reader reader;
    struct sup_buf name;

    sup_buf_init(&name, 8192);
    sup_buf_addf(&name, SCHEME "%s/%s", w->bucket.name, o->key);
    const struct sup_journal_object j = {.name = sup_buf_str(&name),
                                         .size = o->size,
                                         .changed_ms = o->modified_ms,
                                         .version = o->etag};
    sup_s3_reader_init(&reader, &w->bucket, o, NULL);
    sup_ingest_object(w->g, &j, true, open_object, &reader);
    sup_s3_reader_fini(&reader);
    sup_buf_fini(&name);
}

static bool each(void *arg, const struct sup_s3_object *o)
{
    struct walking *w = arg;
    size_t n = strlen(o->key);

    /* What consoles make to show a folder. */
    if (o->size == 0 && o->key[n - 1] == '/')
        return true;
    if (!w->count_only)
        ingest_one(w, o);
    else if (o->size > 0)
        sup_tally_expect(w->g->tally, o->size);
    return !w->g->no_agent;
}

/* --- the bucket --- */

static int connect_s3(struct sup_aws **aws, const char *region, struct sup_err *err)
{
    struct sup_aws_options options = {.region = region};
    int rc = sup_aws_new(aws, &options, err);

    if (rc != SUP_EINPUT || region != NULL)
        return rc;
    options.region = ANY_REGION;
    return sup_aws_new(aws, &options, err);
}

static int walk(struct walking *w, const char *bucket, const char *prefix, const char *region,
                struct sup_err *err)
{
    const struct sup_s3_listing listing = {.prefix = prefix};
    struct sup_aws *aws = NULL;
    int rc = connect_s3(&aws, region, err);

    if (rc == SUP_OK)
        rc = sup_s3_bucket_init(&w->bucket, aws, bucket, region, err);
    if (rc == SUP_OK)
        rc = sup_s3_list(&w->bucket, &listing, each, w, err);
    sup_s3_bucket_fini(&w->bucket);
    sup_aws_free(aws);
    return rc;
}

void sup_ingest_s3(struct sup_ingesting *g, const char *url, const char *region, bool count_only)
{
    struct walking w = {.g = g, .count_only = count_only};
    struct sup_err err = {0};

    /* Counting lists everything once more: only for somebody who looks at the bar. */
    if (count_only && !sup_tally_is_shown(g->tally))
        return;
    const char *bucket = url + strlen(SCHEME);
    const char *slash = strchr(bucket, '/');
    char *name = strndup(bucket, slash != NULL ? (size_t)(slash - bucket) : strlen(bucket));
    int rc = name == NULL ? sup_err_set(&err, SUP_ENOMEM, "out of memory")
                          : walk(&w, name, slash != NULL ? slash + 1 : "", region, &err);
    free(name);
    if (rc == SUP_OK || count_only)
        return;
    g->lost = true;
    sup_cli_error(0, "ingest: %s: %s", url, err.msg);
}
