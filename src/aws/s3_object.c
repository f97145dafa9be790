#include "aws/s3_object.h"

#include "aws/sigv4.h"

#include <string.h>

#define PATH_MAX_N 8192

static int call(struct sup_aws *a, struct sup_aws_call *c, const char *bucket, const char *key,
                struct sup_aws_error *aerr, struct sup_err *err)
{
    struct sup_http_response r;
    struct sup_buf path;
    int rc;

    sup_buf_init(&path, PATH_MAX_N);
    sup_buf_add_byte(&path, '/');
    sup_uri_encode(&path, sup_slice_str(bucket), 0);
    sup_buf_add_byte(&path, '/');
    sup_uri_encode(&path, sup_slice_str(key), 1);
    c->service = SUP_AWS_S3;
    c->path = sup_buf_str(&path);
    sup_http_response_init(&r);
    rc = path.failed ? sup_err_set(err, path.failed, "S3: key too long")
                     : sup_aws_call(a, c, &r, aerr, err);
    if (rc != SUP_OK)
        sup_err_prefix(err, rc, "S3 %s s3://%s/%s", c->method, bucket, key);
    sup_http_response_fini(&r);
    sup_buf_fini(&path);
    return rc;
}

int sup_s3_put(struct sup_aws *a, const char *bucket, const char *key, struct sup_slice body,
               struct sup_stop *stop, struct sup_aws_error *aerr, struct sup_err *err)
{
    static const struct sup_header type = {"content-type", "application/octet-stream"};
    struct sup_aws_call c = {
        .method = "PUT", .body = body, .headers = &type, .n_headers = 1, .stop = stop};

    return call(a, &c, bucket, key, aerr, err);
}

int sup_s3_delete(struct sup_aws *a, const char *bucket, const char *key, struct sup_stop *stop,
                  struct sup_aws_error *aerr, struct sup_err *err)
{
    struct sup_aws_call c = {.method = "DELETE", .stop = stop};

    return call(a, &c, bucket, key, aerr, err);
}

/* scheme://host | path | query, cut in place. False: not such a URL. */
static bool cut_url(char *url, size_t n, struct sup_buf *origin, const char **path,
                    const char **query)
{
    char *host = strstr(url, "://");
    char *at = host ? strchr(host + 3, '/') : NULL;
    char *mark;

    if (!at || n == 0)
        return false;
    sup_buf_add(origin, url, (size_t)(at - url));
    mark = strchr(at, '?');
    if (mark)
        *mark++ = '\0';
    *path = at;
    *query = mark;
    return !origin->failed;
}

int sup_s3_get_presigned(struct sup_aws *a, const char *url, struct sup_buf *out,
                         struct sup_stop *stop, struct sup_aws_error *aerr, struct sup_err *err)
{
    struct sup_aws_call c = {.service = SUP_AWS_S3,
                             .method = "GET",
                             .unsigned_call = true,
                             .max_body = out->max,
                             .stop = stop};
    struct sup_http_response r;
    struct sup_buf text;
    struct sup_buf origin;
    int rc;

    sup_buf_init(&text, 2UL * PATH_MAX_N);
    sup_buf_init(&origin, 1024);
    sup_http_response_init(&r);
    if (aerr != NULL)
        memset(aerr, 0, sizeof *aerr);
    sup_buf_add_str(&text, url);
    if (text.failed || !cut_url((char *)text.p, text.n, &origin, &c.path, &c.query)) {
        rc = sup_err_set(err, SUP_EINPUT, "S3: odd presigned URL");
    } else {
        c.url = sup_buf_str(&origin);
        rc = sup_aws_call(a, &c, &r, aerr, err);
    }
    if (rc == SUP_OK)
        sup_buf_add_slice(out, sup_buf_slice(&r.body));
    if (rc == SUP_OK && out->failed)
        rc = sup_err_set(err, out->failed, "S3: object too large");
    sup_http_response_fini(&r);
    sup_buf_fini(&origin);
    sup_buf_fini(&text);
    return rc;
}
