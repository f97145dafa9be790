#ifndef SUP_CORE_JSON_LOCATE_H
#define SUP_CORE_JSON_LOCATE_H

#include "base/buf.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where text stops being what core/json.h accepts, and why: simdjson says no without saying where.
 * Slow and only for wording an error. *at is the byte's offset (text.n: it ended too early).
 * Returns a static text, or NULL if nothing is wrong. */
const char *sup_json_locate(struct sup_slice text, size_t *at);

#ifdef __cplusplus
}
#endif

#endif
