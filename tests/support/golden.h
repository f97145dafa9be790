#ifndef GOLDEN_H
#define GOLDEN_H

#include "base/buf.h"

#include <stdint.h>

/* Bytes that are kept in tests/unit/codec/golden/NAME.hex: what was written or sent once must stay
 * readable, and is written the same way as long as its version is. */

/* Appends bytes to hex in lines of 32. */
void golden_add(struct sup_buf *hex, struct sup_slice bytes);
/* Appends the frame of a message's body, as it is sent uncompressed. */
void golden_add_frame(struct sup_buf *hex, uint16_t type, struct sup_slice body);
/* The file holds just that. With SUPSYNC_GOLDEN_WRITE set it is written instead: for what is new
 * only. */
void golden_check(const char *name, struct sup_buf *hex);
/* The bytes of a file; *n of them, at most max. */
void golden_load(const char *name, uint8_t *out, size_t *n, size_t max);

#endif
