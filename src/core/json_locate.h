#ifndef SUP_CORE_JSON_LOCATE_H
#define SUP_CORE_JSON_LOCATE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where text stops being what core/json.h accepts, and why: simdjson says no without saying where.
 * Slow and only for wording an error. *at is the byte's offset (text.n: it ended too early).
 * Returns a static text, or NULL if nothing is wrong. */
const char *sup_json_locate(struct sup_slice text, size_t *at);

/* Cuts one JSON document off the front of *rest, which moves behind it: up to the bracket that
 * closes the first one, strings minded; nothing else is validated. Where there is no bracket to
 * begin with, up to the next line; where brackets never close, up to the next line that begins with
 * '{', so that one damaged document does not take the others with it. False when only white space
 * is left. */
bool sup_json_split(struct sup_slice *rest, struct sup_slice *document);

#ifdef __cplusplus
}
#endif

#endif
