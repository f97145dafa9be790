#ifndef SUP_AWS_S3_LIST_H
#define SUP_AWS_S3_LIST_H

#include "aws/s3_bucket.h"

/* The objects of a bucket: ListObjectsV2, page by page, in the order of their keys' bytes. */
struct sup_s3_object {
    const char *key;
    const char *etag; /* with its quotes, as If-Match wants it */
    uint64_t size;
    int64_t modified_ms;
};

struct sup_s3_listing {
    const char *prefix; /* NULL or "": all */
    const char
        *start_after; /* NULL or "": from the first key; else only keys that sort behind it */
    unsigned page;    /* keys a page; 0: 1000, the most that S3 gives */
    struct sup_stop *stop;
};

/* Calls each for every object until it returns false; what it gets lives until it returns. Memory:
 * a page. Codes of sup_s3_get; SUP_ECORRUPT: a page that cannot be understood, or pages that go in
 * circles. */
int sup_s3_list(struct sup_s3_bucket *b, const struct sup_s3_listing *l,
                bool (*each)(void *arg, const struct sup_s3_object *o), void *arg,
                struct sup_err *err);

#endif
