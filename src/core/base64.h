#ifndef SUP_CORE_BASE64_H
#define SUP_CORE_BASE64_H

#include "base/buf.h"

/* Appends the bytes that text (RFC 4648 section 4, padded, no white space) stands for. SUP_OK,
 * SUP_EINPUT, or out->failed. On an error out may hold a part. */
int sup_base64_decode(struct sup_slice text, struct sup_buf *out);

#endif
