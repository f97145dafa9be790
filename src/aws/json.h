#ifndef SUP_AWS_JSON_H
#define SUP_AWS_JSON_H

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Strict readers for AWS replies: a member of the wrong type is an error, never a guess. All return
 * SUP_OK, SUP_ENOTFOUND (absent or null) or SUP_ECORRUPT; a missing member leaves out as it was. */

/* Parses body into *out, an object that the caller releases. SUP_ECORRUPT with position. */
int sup_json_object(struct sup_slice body, json_t **out, struct sup_err *err);
int sup_json_text(const json_t *o, const char *key, const char **out); /* no NUL inside */
int sup_json_bool(const json_t *o, const char *key, bool *out);
int sup_json_number(const json_t *o, const char *key, double *out);
/* A number of seconds with fraction, or ISO 8601 text, to ms. */
int sup_json_time(const json_t *o, const char *key, int64_t *out_ms);
/* SQS attributes: digits in a string. */
int sup_json_digits(const json_t *o, const char *key, int64_t *out);
/* An array; *out is NULL when absent. */
int sup_json_array(const json_t *o, const char *key, const json_t **out);
/* Dumps compactly into out and releases o. SUP_EINPUT when o is NULL (text that is not UTF-8). */
int sup_json_write(json_t *o, struct sup_buf *out, struct sup_err *err);

#endif
