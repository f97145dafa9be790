#include "codec/pb_arena.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

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

    if (n > a->max || a->used > a->max - n) {
        a->failed = SUP_ELIMIT;
        return NULL;
    }
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
        if (!c) {
            a->failed = SUP_ENOMEM;
            return NULL;
        }
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
    a->failed = SUP_OK;
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
    a->failed = SUP_OK;
}

void *sup_pb_unpack(const ProtobufCMessageDescriptor *d, struct sup_pb_arena *a,
                    struct sup_slice bytes, const char *what, int *rc, struct sup_err *err)
{
    void *msg;

    a->failed = SUP_OK;
    msg = protobuf_c_message_unpack(d, &a->allocator, bytes.n, bytes.p);
    if (msg)
        *rc = SUP_OK;
    else if (a->failed == SUP_ENOMEM)
        *rc = sup_err_set(err, SUP_ENOMEM, "no memory for a %s", what);
    else if (a->failed)
        *rc = sup_err_set(err, a->failed, "%s of %zu bytes takes too much memory", what, bytes.n);
    else
        *rc = sup_err_set(err, SUP_ECORRUPT, "damaged %s", what);
    return msg;
}

char *sup_pb_text(struct sup_pb_arena *a, struct sup_slice s, size_t max)
{
    static char empty[] = "";
    char *p = s.n > 0 ? sup_pb_arena_alloc(a, (s.n < max ? s.n : max) + 1) : NULL;
    size_t n = 0;

    if (!p)
        return empty;
    for (size_t i = 0; i < s.n;) {
        size_t len = s.p[i] == '\0' ? 0 : sup_utf8_decode(s.p + i, s.n - i, NULL);
        size_t step = len > 0 ? len : 1;
        if (step > max - n)
            break;
        memcpy(p + n, len > 0 ? (const void *)(s.p + i) : "?", step);
        n += step;
        i += step;
    }
    p[n] = '\0';
    return p;
}

struct sup_slice sup_pb_cut(struct sup_slice s, size_t max)
{
    if (s.n <= max)
        return s;
    while (max > 0 && (s.p[max] & 0xc0) == 0x80)
        max--;
    return (struct sup_slice){s.p, max};
}

void sup_pb_pack(const ProtobufCMessage *msg, struct sup_buf *out)
{
    uint8_t *p = sup_buf_reserve(out, protobuf_c_message_get_packed_size(msg));

    if (p)
        out->n += protobuf_c_message_pack(msg, p);
}
