#include "aws/s3_bucket.h"

#include "aws/xml.h"
#include "base/array.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_MAX_N       8192
#define REDIRECTS_MAX    2
#define EXTRA_TIMEOUT_MS 60000 /* a part of some MiB over a slow line */

bool sup_s3_bucket_name_valid(const char *name)
{
    size_t n = strlen(name);

    if (n < 3 || n > 63 || !isalnum((unsigned char)name[0]) || !isalnum((unsigned char)name[n - 1]))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!islower((unsigned char)name[i]) && !isdigit((unsigned char)name[i]) &&
            name[i] != '-' && name[i] != '.')
            return false;
    return true;
}

/* The host of the bucket, after its Region. */
static int locate(struct sup_s3_bucket *b, struct sup_err *err)
{
    char *base = NULL;
    struct sup_buf url;
    int rc = sup_aws_client_endpoint(b->aws, SUP_AWS_S3, b->region, &base, err);

    if (rc != SUP_OK)
        return rc;
    sup_buf_init(&url, 2048);
    const char *host = strstr(base, "://");
    if (b->in_path || host == NULL)
        sup_buf_add_str(&url, base);
    else
        sup_buf_addf(&url, "%.*s://%s.%s", (int)(host - base), base, b->name, host + 3);
    free(base);
    free(b->url);
    b->url = sup_buf_steal(&url);
    return b->url != NULL ? SUP_OK : sup_err_set(err, SUP_ENOMEM, "out of memory");
}

int sup_s3_bucket_init(struct sup_s3_bucket *b, struct sup_aws *aws, const char *name,
                       const char *region, struct sup_err *err)
{
    memset(b, 0, sizeof(*b));
    b->aws = aws;
    if (!sup_s3_bucket_name_valid(name))
        return sup_err_set(err, SUP_EINPUT, "\"%.100s\" is not the name of an S3 bucket", name);
    if (region == NULL || region[0] == '\0')
        region = sup_aws_client_region(aws);
    if (!sup_aws_region_valid(region))
        return sup_err_set(err, SUP_EINPUT, "\"%.100s\" is not a Region", region);
    snprintf(b->region, sizeof(b->region), "%s", region);
    b->in_path = sup_aws_client_custom(aws, SUP_AWS_S3) || strchr(name, '.') != NULL ||
                 sup_aws_client_s3_in_path(aws);
    b->name = strdup(name);
    if (b->name == NULL)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    return locate(b, err);
}

void sup_s3_bucket_fini(struct sup_s3_bucket *b)
{
    free(b->name);
    free(b->url);
    b->name = b->url = NULL;
}

/* --- what S3 says --- */

/* The Region that a refusal names, if it is another one. */
static bool moved(struct sup_s3_bucket *b, const struct sup_http_response *r)
{
    const char *header = sup_http_response_header(r, "x-amz-bucket-region");
    struct sup_buf text;

    sup_buf_init(&text, 256);
    if (header != NULL)
        sup_buf_add_str(&text, header);
    else if (r->status == 301 || r->status == 307 || r->status == 400)
        sup_xml_text(sup_buf_slice(&r->body), "Region", &text);
    const char *region = sup_buf_str(&text);
    bool other = sup_aws_region_valid(region) && strcmp(region, b->region) != 0;
    if (other)
        snprintf(b->region, sizeof(b->region), "%s", region);
    sup_buf_fini(&text);
    return other;
}

static const char *hint(const struct sup_aws_error *e)
{
    static const struct {
        const char *code, *hint;
    } hints[] = {
        {"NoSuchBucket", "there is no such bucket"},
        {"InvalidObjectState", "the object is in an archive class (Glacier): restore it first"},
        {"PreconditionFailed", "it was replaced while it was read: run again"},
        {"PermanentRedirect", "the bucket is in another Region: name it"},
        {"TemporaryRedirect", "the bucket is on its way to another place: try again in an hour"},
        {"IllegalLocationConstraintException", "the bucket is in another Region: name it"},
    };

    if (strncmp(e->code, "KMS.", 4) == 0 || strstr(e->message, "kms:") != NULL)
        return "the object is encrypted with a KMS key: the credentials need kms:Decrypt on it";
    if (strcmp(e->code, "AccessDenied") == 0 || (e->http_status == 403 && e->code[0] == '\0'))
        return "the credentials need s3:ListBucket on the bucket and s3:GetObject on its objects";
    for (size_t i = 0; i < SUP_COUNT(hints); i++)
        if (strcmp(e->code, hints[i].code) == 0)
            return hints[i].hint;
    return NULL;
}

static int explain(const struct sup_s3_bucket *b, const struct sup_s3_call *c, int rc,
                   const struct sup_aws_error *e, struct sup_err *err)
{
    const char *why = hint(e);

    if (strcmp(e->code, "PreconditionFailed") == 0)
        rc = SUP_EAGAIN;
    else if (strncmp(e->code, "KMS.", 4) == 0)
        rc = SUP_EAUTH;
    else if (e->http_status >= 300 && e->http_status < 400)
        rc = SUP_EINPUT;
    if (why != NULL)
        sup_err_set(err, rc, "%s (HTTP %d %s: %s)", why, e->http_status, e->code, e->message);
    else if (err != NULL)
        err->code = rc;
    return sup_err_prefix(err, rc, "s3://%s/%.200s", b->name, c->key != NULL ? c->key : "");
}

int sup_s3_get(struct sup_s3_bucket *b, const struct sup_s3_call *call, struct sup_http_response *r,
               struct sup_err *err)
{
    struct sup_aws_error e = {0};
    struct sup_buf path;
    int rc = SUP_OK;

    sup_buf_init(&path, PATH_MAX_N);
    if (b->in_path)
        sup_buf_addf(&path, "/%s", b->name);
    if (!b->in_path || call->key != NULL)
        sup_buf_add_byte(&path, '/');
    if (call->key != NULL)
        sup_uri_encode(&path, sup_slice_str(call->key), 1);
    if (path.failed)
        rc = sup_err_set(err, path.failed, "S3: key too long");
    for (int i = 0; rc == SUP_OK; i++) {
        const struct sup_aws_call c = {.service = SUP_AWS_S3,
                                       .method = "GET",
                                       .url = b->url,
                                       .region = b->region,
                                       .path = sup_buf_str(&path),
                                       .query = call->query,
                                       .headers = call->headers,
                                       .n_headers = call->n_headers,
                                       .extra_timeout_ms = EXTRA_TIMEOUT_MS,
                                       .max_body = call->max_body,
                                       .stop = call->stop};
        rc = sup_aws_call(b->aws, &c, r, &e, err);
        if (rc == SUP_OK)
            break;
        if (e.http_status < 300 || i == REDIRECTS_MAX || !moved(b, r)) {
            rc = explain(b, call, rc, &e, err);
            break;
        }
        rc = locate(b, err);
    }
    sup_buf_fini(&path);
    return rc;
}
