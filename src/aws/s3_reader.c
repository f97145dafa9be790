#include "aws/s3_reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ERROR_MAX ((size_t)64 << 10) /* a refusal, where a part was expected */

void sup_s3_reader_init(struct sup_s3_reader *r, struct sup_s3_bucket *bucket,
                        const struct sup_s3_object *o, struct sup_stop *stop)
{
    memset(r, 0, sizeof(*r));
    r->bucket = bucket;
    r->object = *o;
    r->stop = stop;
    r->part_size = SUP_S3_PART_SIZE;
    sup_http_response_init(&r->part);
}

void sup_s3_reader_fini(struct sup_s3_reader *r)
{
    sup_http_response_fini(&r->part);
}

/* Is it what was asked for? A server that knows no ranges gives all of it: fine if that is one
 * part. */
static bool is_part(const struct sup_s3_reader *r, uint64_t from, uint64_t n)
{
    const char *range = sup_http_response_header(&r->part, "content-range");
    uint64_t first = 0, last = 0, size = 0;

    if (r->part.body.n != n)
        return false;
    if (r->part.status != 206)
        return from == 0 && n == r->object.size;
    return range != NULL &&
           sscanf(range, "bytes %" SCNu64 "-%" SCNu64 "/%" SCNu64, &first, &last, &size) == 3 &&
           first == from && last - first + 1 == n && size == r->object.size;
}

static int fetch(struct sup_s3_reader *r, struct sup_err *err)
{
    uint64_t left = r->object.size - r->fetched;
    uint64_t n = left < r->part_size ? left : r->part_size;
    char range[64];
    struct sup_header headers[2] = {{"range", range}, {"if-match", r->object.etag}};
    const struct sup_s3_call call = {.key = r->object.key,
                                     .headers = headers,
                                     .n_headers = r->object.etag[0] != '\0' ? 2 : 1,
                                     .max_body = (size_t)n > ERROR_MAX ? (size_t)n : ERROR_MAX,
                                     .stop = r->stop};

    snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64, r->fetched, r->fetched + n - 1);
    r->part_at = 0;
    int rc = sup_s3_get(r->bucket, &call, &r->part, err);
    if (rc != SUP_OK) {
        sup_http_response_reset(&r->part);
        if (rc == SUP_EINPUT && err != NULL)
            err->code = SUP_EAUTH;
        /* SUP_EINPUT would say that the bytes are of no use, and there are none. */
        return rc == SUP_EINPUT ? SUP_EAUTH : rc;
    }
    if (!is_part(r, r->fetched, n)) {
        sup_http_response_reset(&r->part);
        return sup_err_set(err, SUP_EIO, "s3://%s/%.200s: not the part that was asked for (%s)",
                           r->bucket->name, r->object.key, range);
    }
    r->fetched += n;
    return SUP_OK;
}

int sup_s3_reader_read(void *arg, uint8_t *to, size_t room, size_t *n, struct sup_err *err)
{
    struct sup_s3_reader *r = arg;

    *n = 0;
    if (r->part_at == r->part.body.n) {
        if (r->fetched >= r->object.size)
            return SUP_OK;
        int rc = fetch(r, err);
        if (rc != SUP_OK)
            return rc;
    }
    *n = r->part.body.n - r->part_at;
    *n = *n < room ? *n : room;
    memcpy(to, r->part.body.p + r->part_at, *n);
    r->part_at += *n;
    return SUP_OK;
}
