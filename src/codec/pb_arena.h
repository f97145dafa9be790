#ifndef SUP_CODEC_PB_ARENA_H
#define SUP_CODEC_PB_ARENA_H

#include "base/buf.h"
#include "base/err.h"

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

/* A bump arena with a cap, as protobuf-c's allocator: unpacking costs no malloc on the common path,
 * a hostile message cannot take more than the cap, and one call frees it all. For codec's own
 * files. */

struct sup_pb_chunk;

struct sup_pb_arena {
    ProtobufCAllocator allocator; /* pass &arena.allocator to …__unpack */
    size_t used;                  /* bytes handed out */
    size_t max;
    size_t inline_used;
    int failed; /* SUP_OK; SUP_ELIMIT or SUP_ENOMEM once an allocation was refused */
    struct sup_pb_chunk *chunks;
    _Alignas(16) unsigned char inline_bytes[1024];
};

void sup_pb_arena_init(struct sup_pb_arena *a, size_t max);
void *sup_pb_arena_alloc(struct sup_pb_arena *a, size_t n); /* 16-byte aligned; NULL past the cap */
void sup_pb_arena_reset(struct sup_pb_arena *a);            /* frees all; usable again */

/* Unpacks into a; returns d's own struct. NULL on failure, when *rc tells damaged bytes
 * (SUP_ECORRUPT) from a message that is sound but larger than the arena allows (SUP_ELIMIT) and
 * from a lack of memory (SUP_ENOMEM), which must not pass for damage. what names the message in the
 * error text. */
void *sup_pb_unpack(const ProtobufCMessageDescriptor *d, struct sup_pb_arena *a,
                    struct sup_slice bytes, const char *what, int *rc, struct sup_err *err);

/* A text field as protobuf wants it: NUL-terminated valid UTF-8, here of at most max bytes, cut at
 * a character boundary; NULs and invalid bytes become '?'. Lives in a; "" when there is no memory.
 */
char *sup_pb_text(struct sup_pb_arena *a, struct sup_slice s, size_t max);

/* The start of s that has at most max bytes and ends at a character boundary. */
struct sup_slice sup_pb_cut(struct sup_slice s, size_t max);

/* Appends the packed message; failure stays in out. */
void sup_pb_pack(const ProtobufCMessage *msg, struct sup_buf *out);

#endif
