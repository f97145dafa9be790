#ifndef SUP_HTTP_JSON_OUT_H
#define SUP_HTTP_JSON_OUT_H

#include "base/buf.h"
#include "service/service.h"

#include <jansson.h>

/* The service's answers as JSON: the keys that users and scripts rely on stand here and nowhere
 * else. Times are RFC 3339 UTC with milliseconds, unknown ones null. Text that is not well-formed
 * UTF-8 (remote mail servers write anything) gets U+FFFD where it is broken. */

/* Appends {"address","verdict","reason","cause","since","regions",…}. Written by hand, for this is
 * the hot path. error (may be NULL) says why an address was refused. */
void sup_json_check(struct sup_buf *out, const char *address, size_t n, const struct sup_check *c,
                    const char *error);

/* Appends s as a JSON string with its quotes. */
void sup_json_string(struct sup_buf *out, const char *s, size_t n);

/* Each returns a new value, or NULL when out of memory. */
json_t *sup_json_shown(const struct sup_shown *shown);
json_t *sup_json_row(const struct sup_row *row);
json_t *sup_json_join(const struct sup_join_status *j); /* NULL phase: JSON's null */
json_t *sup_json_status(const struct sup_status *st);
json_t *sup_json_coverage_status(const struct sup_status *st);

#endif
