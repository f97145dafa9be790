#ifndef SUP_CODEC_PB_ARENA_H
#define SUP_CODEC_PB_ARENA_H

#include "base/buf.h"

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
    struct sup_pb_chunk *chunks;
    _Alignas(16) unsigned char inline_bytes[1024];
};

void sup_pb_arena_init(struct sup_pb_arena *a, size_t max);
void *sup_pb_arena_alloc(struct sup_pb_arena *a, size_t n); /* 16-byte aligned; NULL past the cap */
void sup_pb_arena_reset(struct sup_pb_arena *a);            /* frees all; usable again */

/* Appends the packed message; failure stays in out. */
void sup_pb_pack(const ProtobufCMessage *msg, struct sup_buf *out);

#endif
