#ifndef SUP_AWS_S3_BUCKET_H
#define SUP_AWS_S3_BUCKET_H

#include "aws/client.h"

/* One S3 bucket to read from, wherever it is: S3's own hosts are asked by the bucket's host name
 * (https://BUCKET.s3.REGION.amazonaws.com; names with dots, which no certificate fits, in the
 * path), a configured endpoint by path. When S3 says that the bucket is in another Region, that
 * Region is asked from then on (Amazon S3 API reference, "Error responses": PermanentRedirect,
 * AuthorizationHeaderMalformed; header x-amz-bucket-region). Belongs to one thread. */
struct sup_s3_bucket {
    struct sup_aws *aws; /* borrowed */
    char *name;
    char *url; /* scheme and host that the paths are behind */
    char region[64];
    bool in_path;
};

/* region: NULL for the client's. No call is made. SUP_EINPUT (not a bucket's name, not a Region),
 * SUP_ENOMEM. */
int sup_s3_bucket_init(struct sup_s3_bucket *b, struct sup_aws *aws, const char *name,
                       const char *region, struct sup_err *err);
void sup_s3_bucket_fini(struct sup_s3_bucket *b); /* after init, failed or not */

/* Amazon S3 User Guide, "General purpose bucket naming rules". */
bool sup_s3_bucket_name_valid(const char *name);

struct sup_s3_call {
    const char *key;   /* NULL: the bucket itself */
    const char *query; /* encoded; NULL: none */
    const struct sup_header *headers;
    size_t n_headers;
    size_t max_body; /* 0: 16 MiB */
    struct sup_stop *stop;
};
/* GETs, with the client's retries. r is initialised by the caller. Codes as in client.h, with two
 * differences: an object that was replaced meanwhile is SUP_EAGAIN, a redirect that cannot be
 * followed SUP_EINPUT. err says what to mend. */
int sup_s3_get(struct sup_s3_bucket *b, const struct sup_s3_call *call, struct sup_http_response *r,
               struct sup_err *err);

#endif
