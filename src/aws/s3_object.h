#ifndef SUP_AWS_S3_OBJECT_H
#define SUP_AWS_S3_OBJECT_H

#include "aws/client.h"

/* Single objects of Amazon S3, addressed by path (https://HOST/BUCKET/KEY), which every bucket name
 * and every S3-like endpoint can do. aerr may be NULL; errors as in client.h. */

/* Writes the object, replacing one of that key. At most 5 GiB by S3's rule; here what fits in
 * memory. */
int sup_s3_put(struct sup_aws *a, const char *bucket, const char *key, struct sup_slice body,
               struct sup_stop *stop, struct sup_aws_error *aerr, struct sup_err *err);
/* SUP_OK also when there was none: S3 does not tell. */
int sup_s3_delete(struct sup_aws *a, const char *bucket, const char *key, struct sup_stop *stop,
                  struct sup_aws_error *aerr, struct sup_err *err);
/* Reads what a presigned URL points to into out (initialised by the caller). */
int sup_s3_get_presigned(struct sup_aws *a, const char *url, struct sup_buf *out,
                         struct sup_stop *stop, struct sup_aws_error *aerr, struct sup_err *err);

#endif
