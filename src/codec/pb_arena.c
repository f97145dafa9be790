#include "codec/pb_arena.h"

#include <stdlib.h>

#define CHUNK_MIN 16384

struct sup_pb_chunk {
    struct sup_pb_chunk *next;
    size_t used;
    size_t cap;
    _Alignas(16) unsigned char bytes[];
};

void *sup_pb_arena_alloc(struct sup_pb_arena *a, size_t n)
{
    struct sup_pb_chunk *c = a->chunks;
    void *p;

    if (n > a->max || a->used > a->max - n)
        return NULL;
    n = (n + 15) & ~(size_t)15;
    a->used += n;
    if (!c && sizeof(a->inline_bytes) - a->inline_used >= n) {
        p = a->inline_bytes + a->inline_used;
        a->inline_used += n;
        return p;
    }
    if (!c || c->cap - c->used < n) {
        size_t cap = n > CHUNK_MIN ? n : CHUNK_MIN;
        c = malloc(sizeof(*c) + cap);
        if (!c)
            return NULL;
        *c = (struct sup_pb_chunk){.next = a->chunks, .cap = cap};
        a->chunks = c;
    }
    p = c->bytes + c->used;
    c->used += n;
    return p;
}

static void *pb_alloc(void *arg, size_t n)
{
    return sup_pb_arena_alloc(arg, n);
}

static void pb_free(void *arg, void *p)
{
    (void)arg;
    (void)p;
}

void sup_pb_arena_init(struct sup_pb_arena *a, size_t max)
{
    a->allocator = (ProtobufCAllocator){.alloc = pb_alloc, .free = pb_free, .allocator_data = a};
    a->used = 0;
    a->max = max;
    a->inline_used = 0;
    a->chunks = NULL;
}

void sup_pb_arena_reset(struct sup_pb_arena *a)
{
    while (a->chunks) {
        struct sup_pb_chunk *next = a->chunks->next;
        free(a->chunks);
        a->chunks = next;
    }
    a->used = 0;
    a->inline_used = 0;
}

void sup_pb_pack(const ProtobufCMessage *msg, struct sup_buf *out)
{
    uint8_t *p = sup_buf_reserve(out, protobuf_c_message_get_packed_size(msg));

    if (p)
        out->n += protobuf_c_message_pack(msg, p);
}
