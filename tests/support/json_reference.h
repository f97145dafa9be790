#ifndef JSON_REFERENCE_H
#define JSON_REFERENCE_H

#include "core/json.h"

/* A second JSON reader with the promises of core/json.h, written plainly, character by character
 * from RFC 8259's grammar, into a tree. Slow; it is what the fast one is held against. */
extern const struct sup_json_ops json_reference;

#endif
