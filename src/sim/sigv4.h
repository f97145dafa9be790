#ifndef SIM_SIGV4_H
#define SIM_SIGV4_H

#include "buf.h"

#include <stdbool.h>
#include <stddef.h>

/* AWS Signature Version 4, the server's side, after "Create a signed AWS API request" of the IAM
 * User Guide and "Authenticating Requests" of the S3 API reference. */

/* Canonical URI from the path as on the wire: dot segments and doubled slashes removed and the
 * already encoded path encoded once more; for S3 neither of the two. */
void sim_sigv4_path(struct sim_buf *out, const char *raw_path, bool s3);

/* Names and values decoded and encoded again, sorted by name, then value. skip: a parameter left
 * out (X-Amz-Signature of presigned URLs), or NULL. */
void sim_sigv4_query(struct sim_buf *out, const char *raw_query, const char *skip);

/* One header line; values is the already joined text. */
void sim_sigv4_header(struct sim_buf *out, const char *lower_name, const char *value);

/* hex(HMAC(key(secret, date, region, service), string to sign)). */
void sim_sigv4_sign(char signature[65], const char *secret, const char *date, const char *region,
                    const char *service, const char *time, const struct sim_buf *canonical);

#endif
