#ifndef SUP_CORE_JSON_SPLIT_H
#define SUP_CORE_JSON_SPLIT_H

#include "base/buf.h"

#include <stdbool.h>

/* Cuts one JSON document off the front of *rest, which moves behind it: up to the bracket that
 * closes the first one, strings minded; nothing else is validated. Where there is no bracket to
 * begin with, up to the next line; where brackets never close, up to the next line that begins with
 * '{', so that one damaged document does not take the others with it. False when only white space
 * is left. */
bool sup_json_split(struct sup_slice *rest, struct sup_slice *document);

#endif
