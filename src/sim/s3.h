#ifndef SIM_S3_H
#define SIM_S3_H

#include "request.h"

/* Finds operation, bucket (target) and key of a path-style S3 request. false: r holds the error. */
bool sim_s3_parse(struct sim_request *r);
/* Content-Encoding aws-chunked: the payload without its chunk framing. false: broken framing. */
bool sim_s3_unchunk(const struct sim_buf *in, struct sim_buf *out);

/* A bucket is answered for in its own Region only: elsewhere S3 says where that is. True: it has
 * been answered. A Region that is not simulated stands for the old global endpoint. */
bool sim_s3_elsewhere(struct sim_request *r);

#endif
