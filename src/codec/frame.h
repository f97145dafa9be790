#ifndef SUP_CODEC_FRAME_H
#define SUP_CODEC_FRAME_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Frames: what travels on a link between two nodes (proto/README.md).
 *
 *   u32 length of the body │ u16 type │ u16 flags │ u64 checksum │ body
 *
 * big endian; the checksum is XXH3-64 of the body as it travels, seeded with type and flags.
 * Pure, no I/O; encoder and decoder are each used by one thread at a time. */

#define SUP_FRAME_HEADER   16
#define SUP_FRAME_BODY_MAX (4U << 20) /* as it travels and after decompression */

/* Flags 0 to 7 must be understood by the reader, 8 to 15 may be ignored. */
#define SUP_FRAME_SKIPPABLE 0x0001U /* a reader that does not know the type skips the frame */
#define SUP_FRAME_ZSTD      0x0002U /* the body is one zstd frame that states its content size */
#define SUP_FRAME_MUST_KNOW 0x00FFU

/* Types. 16 to 31 are those of repair, 32 to 47 for snapshots. */
enum sup_frame_type {
    SUP_FRAME_HELLO = 1,
    SUP_FRAME_REFUSE = 2,
    SUP_FRAME_BYE = 3,
    SUP_FRAME_HEARTBEAT = 4,
    SUP_FRAME_PULL = 5,
    SUP_FRAME_MUTATIONS = 6,
    SUP_FRAME_ACK = 7,
    SUP_FRAME_SUMMARY_ASK = 8,
    SUP_FRAME_SUMMARY = 9,
    SUP_FRAME_TRIMMED = 10,
    SUP_FRAME_REPAIR_ASK = 16,
    SUP_FRAME_REPAIR_SYMBOLS = 17,
    SUP_FRAME_REPAIR_SUMS = 18,
    SUP_FRAME_REPAIR_FETCH = 19,
    SUP_FRAME_REPAIR_RECORDS = 20,
    SUP_FRAME_SNAPSHOT_ASK = 32,
    SUP_FRAME_SNAPSHOT_CHUNK = 33,
    SUP_FRAME_SNAPSHOT_ACK = 34
};
const char *sup_frame_type_name(unsigned type); /* "HELLO" …, "unknown" */
/* The flags that frames of that type are sent with: SUP_FRAME_SKIPPABLE for those that version 1
 * got later, so that a reader from before them goes on. */
uint16_t sup_frame_type_flags(unsigned type);

struct sup_frame {
    uint16_t type;
    uint16_t flags;
    struct sup_slice body; /* decompressed; flags still say how it travelled */
    size_t wire_size;      /* header and body as they travelled */
};

/* Appends one frame. flags: SUP_FRAME_SKIPPABLE or 0. A body over the maximum is SUP_ELIMIT;
 * failure of out stays in out->failed and is returned too. */
int sup_frame_encode(uint16_t type, uint16_t flags, struct sup_slice body, struct sup_buf *out);

/* Bulk frames are compressed (zstd level 1) when the body is over SUP_FRAME_ZSTD_MIN bytes and
 * becomes smaller by it. The encoder keeps zstd's working memory between frames. */
#define SUP_FRAME_ZSTD_MIN 1024
struct sup_frame_encoder;
struct sup_frame_encoder *sup_frame_encoder_new(void); /* NULL only when out of memory */
void sup_frame_encoder_free(struct sup_frame_encoder *e);
int sup_frame_encode_bulk(struct sup_frame_encoder *e, uint16_t type, uint16_t flags,
                          struct sup_slice body, struct sup_buf *out);

/* Takes a stream of bytes in pieces of any size and gives frames. Memory grows with the bytes that
 * came, never with the length that a header claims. */
struct sup_frame_decoder;
struct sup_frame_decoder *sup_frame_decoder_new(size_t body_max); /* NULL when out of memory */
void sup_frame_decoder_free(struct sup_frame_decoder *d);
/* The largest body that is accepted from the next header on: small until the peer said HELLO. */
void sup_frame_decoder_set_max(struct sup_frame_decoder *d, size_t body_max);

/* Consumes from the front of *in. SUP_OK: *out is a frame, its body valid until the next call.
 * SUP_EAGAIN: *in is used up and the frame is not complete. SUP_ELIMIT (too long), SUP_EVERSION
 * (a flag that must be known) and SUP_ECORRUPT (checksum, compression), SUP_ENOMEM: the stream is
 * beyond help, and every later call says the same. */
int sup_frame_decode(struct sup_frame_decoder *d, struct sup_slice *in, struct sup_frame *out,
                     struct sup_err *err);

#endif
