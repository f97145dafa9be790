#ifndef SUP_CODEC_SOFT_VALUE_H
#define SUP_CODEC_SOFT_VALUE_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Column family soft. Three kinds of keys, told apart by their first byte:
 *   'd' ‖ due time in ms ‖ id   a soft bounce that waits; the value is a struct sup_soft
 *   'i' ‖ id                    where that one is: the value is its due time
 *   'a' ‖ address               what soft bounces and deliveries of the address amount to
 * id: 16 bytes, the hash that tells repetitions of the event's recipient. */

#define SUP_SOFT_ID 16

struct sup_soft {
    struct sup_slice address; /* key */
    struct sup_slice recipient;
    struct sup_slice message_id;
    struct sup_slice feedback_id;
    struct sup_slice source;
    struct sup_slice subject;
    struct sup_slice configuration_set;
    struct sup_slice tenant;
    struct sup_slice sub_type; /* "Transient/MailboxFull" */
    struct sup_slice status;
    struct sup_slice diagnostic;
    struct sup_slice tags; /* as sup_soft_add_tag writes them */
    int64_t time_ms;
    uint64_t lease; /* of the worker that has it; 0 = none */
    uint32_t claims;
    uint32_t bounces; /* of the address since its last delivery, this one among them */
};

void sup_key_soft_due(struct sup_buf *out, int64_t due_ms, const uint8_t *id);
bool sup_key_soft_due_parse(struct sup_slice key, int64_t *due_ms, const uint8_t **id);
void sup_key_soft_id(struct sup_buf *out, const uint8_t *id);
void sup_key_soft_address(struct sup_buf *out, struct sup_slice address);

/* SES allows 50 tags with names and values of up to 256 characters; then its own. */
#define SUP_SOFT_TAGS_MAX  32768
#define SUP_SOFT_VALUE_MAX (128U << 10) /* bytes of an encoded value */

/* Appends a message tag to a list for struct sup_soft. One that would make the list longer than
 * SUP_SOFT_TAGS_MAX is left out, as a whole. */
void sup_soft_add_tag(struct sup_buf *list, struct sup_slice name, struct sup_slice value);
/* Takes the first one off. False at the end of the list. */
bool sup_soft_next_tag(struct sup_slice *list, struct sup_slice *name, struct sup_slice *value);

/* Format version 1: the version, then fields as number ‖ length ‖ bytes; unknown ones are skipped.
 * Slices of a decoded value point into it. SUP_OK, SUP_EVERSION, SUP_ECORRUPT. */
void sup_soft_encode(const struct sup_soft *s, struct sup_buf *out);
int sup_soft_decode(struct sup_slice value, struct sup_soft *out);

#endif
