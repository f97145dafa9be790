#include "s3.h"

#include "clock.h"
#include "region.h"
#include "sim.h"
#include "xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum sim_op object_op(const char *method)
{
    return strcmp(method, "PUT") == 0      ? SIM_OP_PutObject
           : strcmp(method, "GET") == 0    ? SIM_OP_GetObject
           : strcmp(method, "HEAD") == 0   ? SIM_OP_HeadObject
           : strcmp(method, "DELETE") == 0 ? SIM_OP_DeleteObject
                                           : SIM_OP_NONE;
}

static enum sim_op bucket_op(const struct sim_request *r)
{
    if (strcmp(r->method, "PUT") == 0)
        return SIM_OP_CreateBucket;
    if (strcmp(r->method, "HEAD") == 0)
        return SIM_OP_HeadBucket;
    if (strcmp(r->method, "GET") != 0)
        return SIM_OP_NONE;
    return sim_pairs_get(&r->query, "location") ? SIM_OP_GetBucketLocation : SIM_OP_ListObjectsV2;
}

bool sim_s3_parse(struct sim_request *r)
{
    r->protocol = SIM_PROTO_S3;
    const char *path = r->raw_path + strspn(r->raw_path, "/");
    size_t n = strcspn(path, "/");
    struct sim_buf bucket = {0}, key = {0};
    sim_uri_decode(&bucket, path, n, false);
    if (path[n])
        sim_uri_decode(&key, path + n + 1, strlen(path + n + 1), false);
    r->target = sim_buf_take(&bucket);
    r->key = sim_buf_take(&key);
    if (*r->key)
        r->op = object_op(r->method);
    else if (*r->target)
        r->op = bucket_op(r);
    else if (strcmp(r->method, "GET") == 0)
        r->op = SIM_OP_ListBuckets;
    if (!r->op)
        sim_fail(r, 501, "NotImplemented", "This is not simulated.");
    return r->op != SIM_OP_NONE;
}

bool sim_s3_unchunk(const struct sim_buf *in, struct sim_buf *out)
{
    const char *p = in->data, *end = in->data ? in->data + in->len : NULL;
    while (p < end) {
        char *stop = NULL;
        const char *line = memchr(p, '\n', (size_t)(end - p));
        unsigned long long n = strtoull(p, &stop, 16);
        if (!line || stop == p || n > SIM_BODY_MAX)
            return false;
        if (!n)
            return true; /* what follows are trailers */
        p = line + 1;
        if ((size_t)(end - p) < n + 2)
            return false;
        sim_buf_add(out, p, (size_t)n);
        p += n + 2;
    }
    return false;
}

static enum sim_outcome missing(struct sim_request *r, enum sim_s3_result result)
{
    if (result == SIM_S3_NO_BUCKET)
        return sim_fail(r, 404, "NoSuchBucket", "The specified bucket does not exist");
    return sim_fail(r, 404, "NoSuchKey", "The specified key does not exist.");
}

bool sim_s3_elsewhere(struct sim_request *r)
{
    char region[64];
    if (!r->region || !sim_s3_find_bucket(&r->sim->s3, r->target, region))
        return false;
    sim_reply_header(r, "x-amz-bucket-region", region);
    if (strcmp(region, r->region->name) == 0)
        return false;
    sim_fail(r, 301, "PermanentRedirect",
             "The bucket you are attempting to access must be addressed using the specified "
             "endpoint. Please send all future requests to this endpoint.");
    return true;
}

enum sim_outcome sim_s3_create_bucket(struct sim_request *r)
{
    const char *region = r->region ? r->region->name : "us-east-1";
    if (!sim_s3_make_bucket(&r->sim->s3, r->target, region))
        return sim_fail(r, 409, "BucketAlreadyOwnedByYou",
                        "Your previous request to create the named bucket succeeded and you "
                        "already own it.");
    return SIM_DONE;
}

enum sim_outcome sim_s3_head_bucket(struct sim_request *r)
{
    if (!sim_s3_find_bucket(&r->sim->s3, r->target, NULL))
        return missing(r, SIM_S3_NO_BUCKET);
    sim_s3_elsewhere(r);
    return SIM_DONE;
}

enum sim_outcome sim_s3_bucket_location(struct sim_request *r)
{
    char region[64];
    if (!sim_s3_find_bucket(&r->sim->s3, r->target, region))
        return missing(r, SIM_S3_NO_BUCKET);
    r->reply.content_type = "application/xml";
    sim_xml_element(&r->reply.body, "LocationConstraint",
                    strcmp(region, "us-east-1") == 0 ? "" : region);
    return SIM_DONE;
}

static void add_bucket(const char *name, void *v, void *arg)
{
    (void)v;
    sim_buf_str(arg, "<Bucket>");
    sim_xml_element(arg, "Name", name);
    sim_xml_element(arg, "CreationDate", "2025-01-01T00:00:00.000Z");
    sim_buf_str(arg, "</Bucket>");
}

enum sim_outcome sim_s3_list_buckets(struct sim_request *r)
{
    r->reply.content_type = "application/xml";
    sim_buf_str(&r->reply.body, "<ListAllMyBucketsResult><Buckets>");
    sim_s3_each_bucket(&r->sim->s3, add_bucket, &r->reply.body);
    sim_buf_str(&r->reply.body, "</Buckets></ListAllMyBucketsResult>");
    return SIM_DONE;
}

static void take_encoding(struct sim_request *r, struct sim_object *o, bool *chunked)
{
    const char *encoding = sim_request_header(r, "content-encoding");
    *chunked = encoding && strncmp(encoding, "aws-chunked", 11) == 0;
    if (*chunked) {
        encoding += 11;
        encoding += strspn(encoding, ", ");
    }
    if (encoding && *encoding)
        o->content_encoding = sim_strdup(encoding);
}

enum sim_outcome sim_s3_put_object(struct sim_request *r)
{
    struct sim_object o = {.modified_ms = sim_region_now(r->region)};
    const char *type = sim_request_header(r, "content-type");
    o.content_type = sim_strdup(type ? type : "binary/octet-stream");
    bool chunked, ok = true;
    take_encoding(r, &o, &chunked);
    if (chunked)
        ok = sim_s3_unchunk(&r->body, &o.data);
    else
        sim_buf_add(&o.data, r->body.data, r->body.len);
    if (!ok) {
        sim_object_fini(&o);
        return sim_fail(r, 400, "IncompleteBody", "The chunked body is broken.");
    }
    char md5[33];
    struct sim_buf etag = {0};
    sim_md5_hex(md5, o.data.data, o.data.len);
    sim_buf_printf(&etag, "\"%s\"", md5);
    enum sim_s3_result result = sim_s3_put(&r->sim->s3, r->target, r->key, &o);
    sim_object_fini(&o);
    if (result == SIM_S3_OK)
        sim_reply_header(r, "ETag", sim_buf_cstr(&etag));
    sim_buf_fini(&etag);
    return result == SIM_S3_OK ? SIM_DONE : missing(r, result);
}

/* RFC 9110 section 14.1.2, one range of bytes. False: no such range, and *from = *n = 0. A header
 * that is not understood is as if it were not there. */
static bool take_range(const struct sim_request *r, size_t size, size_t *from, size_t *n,
                       bool *part)
{
    const char *text = sim_request_header(r, "range");
    unsigned long long first = 0, last = 0;
    char tail = 0;
    *from = 0;
    *n = size;
    *part = false;
    if (!text)
        return true;
    if (sscanf(text, "bytes=-%llu%c", &last, &tail) == 1) {
        first = last < size ? size - last : 0;
        last = size - (size > 0);
    } else if (sscanf(text, "bytes=%llu-%llu%c", &first, &last, &tail) == 2) {
        if (last < first)
            return true;
    } else if (sscanf(text, "bytes=%llu-%c", &first, &tail) == 1) {
        last = size - (size > 0);
    } else {
        return true;
    }
    *n = 0;
    if (first >= size)
        return false;
    *part = true;
    *from = (size_t)first;
    *n = (size_t)(last < size ? last : size - 1) - *from + 1;
    return true;
}

static enum sim_outcome send_object(struct sim_request *r, const struct sim_object *o)
{
    const char *match = sim_request_header(r, "if-match");
    size_t from, n;
    bool part;
    if (match && strcmp(match, "*") != 0 && strcmp(match, o->etag) != 0)
        return sim_fail(r, 412, "PreconditionFailed",
                        "At least one of the pre-conditions you specified did not hold");
    if (!take_range(r, o->data.len, &from, &n, &part))
        return sim_fail(r, 416, "InvalidRange", "The requested range is not satisfiable");
    char when[SIM_TIME_LEN];
    sim_time_http(when, o->modified_ms);
    sim_reply_header(r, "ETag", o->etag);
    sim_reply_header(r, "Last-Modified", when);
    sim_reply_header(r, "Accept-Ranges", "bytes");
    sim_reply_header(r, "Content-Type", o->content_type);
    if (o->content_encoding)
        sim_reply_header(r, "Content-Encoding", o->content_encoding);
    if (part) {
        struct sim_buf range = {0};
        sim_buf_printf(&range, "bytes %zu-%zu/%zu", from, from + n - 1, o->data.len);
        sim_reply_header(r, "Content-Range", sim_buf_cstr(&range));
        sim_buf_fini(&range);
        r->reply.status = 206;
    }
    if (n)
        sim_buf_add(&r->reply.body, o->data.data + from, n);
    return SIM_DONE;
}

enum sim_outcome sim_s3_get_object(struct sim_request *r)
{
    struct sim_object o;
    if (sim_s3_elsewhere(r))
        return SIM_DONE;
    enum sim_s3_result result = sim_s3_get(&r->sim->s3, r->target, r->key, &o);
    if (result != SIM_S3_OK)
        return missing(r, result);
    enum sim_outcome outcome = send_object(r, &o);
    sim_object_fini(&o);
    return outcome;
}

enum sim_outcome sim_s3_head_object(struct sim_request *r)
{
    return sim_s3_get_object(r);
}

enum sim_outcome sim_s3_delete_object(struct sim_request *r)
{
    enum sim_s3_result result = sim_s3_delete(&r->sim->s3, r->target, r->key);
    if (result != SIM_S3_OK)
        return missing(r, result);
    r->reply.status = 204;
    return SIM_DONE;
}
