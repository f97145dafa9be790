#ifndef SUP_AWS_SIGV4_CANONICAL_H
#define SUP_AWS_SIGV4_CANONICAL_H

#include "aws/sigv4.h"

/* The three parts of a canonical request that need sorting or rewriting. All append to out, whose
 * sticky failure the caller checks at the end; the sorting ones return SUP_OK or SUP_ENOMEM. */

void sup_canonical_path(struct sup_buf *out, const char *path, unsigned flags);
/* Every name and value is decoded and encoded again, which brings lower-case hex digits and bytes
 * that were sent raw into the one form that AWS computes; then sorted by encoded name, then value.
 */
int sup_canonical_query(struct sup_buf *out, const char *query);
/* Writes "name:value\n" lines to out and the ';' list to names. Values of one name are joined by
 * ',' in order of arrival; runs of white space become one space. */
int sup_canonical_headers(struct sup_buf *out, struct sup_buf *names,
                          const struct sup_header *headers, size_t n);

#endif
