#ifndef SUP_CODEC_EVENT_ENTRY_H
#define SUP_CODEC_EVENT_ENTRY_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Column family events: time in ms ‖ 16-byte hash of the document → what came in and what followed
 * from it. The same document again is the same entry. */

#define SUP_EVENT_ENTRY_ID      16
#define SUP_EVENT_ENTRY_RAW_MAX (1024 * 1024)

struct sup_event_entry {
    struct sup_slice type;       /* "Bounce" … */
    struct sup_slice message_id; /* of the mail */
    struct sup_slice addresses;  /* keys or destinations, a line each */
    struct sup_slice verdicts; /* "suppress bounce-permanent-general a@example.com", a line each */
    struct sup_slice raw;      /* the document */
};

void sup_key_event(struct sup_buf *out, int64_t time_ms, struct sup_slice raw);
bool sup_key_event_parse(struct sup_slice key, int64_t *time_ms);

/* What compresses documents: to make zstd's tables anew for each would cost more than all the rest.
 * Some 50 KiB, up to 600 KiB once a document was large. One thread at a time. */
struct sup_event_packer;
struct sup_event_packer *sup_event_packer_new(void); /* NULL when out of memory */
void sup_event_packer_free(struct sup_event_packer *p);

/* Appends format version 1: the version, then fields as number ‖ length ‖ bytes, the raw document
 * compressed (zstd). SUP_OK, SUP_ELIMIT (raw too long), SUP_ENOMEM. */
int sup_event_entry_encode(struct sup_event_packer *p, const struct sup_event_entry *e,
                           struct sup_buf *out);
/* All but raw point into value; raw into scratch (cleared first), and is left out without one.
 * SUP_OK, SUP_EVERSION, SUP_ECORRUPT, SUP_ENOMEM. */
int sup_event_entry_decode(struct sup_slice value, struct sup_buf *scratch,
                           struct sup_event_entry *out);

#endif
