#ifndef SUP_CODEC_SEEN_H
#define SUP_CODEC_SEEN_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* Column family seen: what was counted of the mails of one minute, as chunks of 8-byte hashes:
 * minute ‖ chunk → hashes, big endian, in no order. A mark a send of its own would cost more than
 * all the rest that a send takes. */

#define SUP_SEEN_KEY_BYTES 12

void sup_key_seen(uint8_t key[SUP_SEEN_KEY_BYTES], uint32_t minute, uint64_t chunk);
bool sup_key_seen_parse(struct sup_slice key, uint32_t *minute, uint64_t *chunk);

/* Of what identifies an event's recipient. Unkeyed: ids come from SES, and who makes two of his own
 * sends collide has one send less in an estimate. */
uint64_t sup_seen_hash(struct sup_slice identity);

#endif
