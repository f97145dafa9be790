#include "codec/frame.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <zstd.h>

#define ZSTD_LEVEL 1

const char *sup_frame_type_name(unsigned type)
{
    static const char *const names[] = {
        [SUP_FRAME_HELLO] = "HELLO",
        [SUP_FRAME_REFUSE] = "REFUSE",
        [SUP_FRAME_BYE] = "BYE",
        [SUP_FRAME_HEARTBEAT] = "HEARTBEAT",
        [SUP_FRAME_PULL] = "PULL",
        [SUP_FRAME_MUTATIONS] = "MUTATIONS",
        [SUP_FRAME_ACK] = "ACK",
        [SUP_FRAME_SUMMARY_ASK] = "SUMMARY_ASK",
        [SUP_FRAME_SUMMARY] = "SUMMARY",
        [SUP_FRAME_TRIMMED] = "TRIMMED",
        [SUP_FRAME_REPAIR_ASK] = "REPAIR_ASK",
        [SUP_FRAME_REPAIR_SYMBOLS] = "REPAIR_SYMBOLS",
        [SUP_FRAME_REPAIR_SUMS] = "REPAIR_SUMS",
        [SUP_FRAME_REPAIR_FETCH] = "REPAIR_FETCH",
        [SUP_FRAME_REPAIR_RECORDS] = "REPAIR_RECORDS",
        [SUP_FRAME_SNAPSHOT_ASK] = "SNAPSHOT_ASK",
        [SUP_FRAME_SNAPSHOT_CHUNK] = "SNAPSHOT_CHUNK",
        [SUP_FRAME_SNAPSHOT_ACK] = "SNAPSHOT_ACK",
    };
    return type < sizeof(names) / sizeof(names[0]) && names[type] ? names[type] : "unknown";
}

uint16_t sup_frame_type_flags(unsigned type)
{
    bool later =
        type == SUP_FRAME_SUMMARY_ASK || type == SUP_FRAME_SUMMARY || type == SUP_FRAME_TRIMMED;

    return later ? SUP_FRAME_SKIPPABLE : 0;
}

/* type_and_flags: the four bytes of the header. The length needs no part in it: a wrong one leaves
 * another body to hash. */
static uint64_t checksum(const uint8_t type_and_flags[4], struct sup_slice body)
{
    XXH64_hash_t seed = sup_get_be32(type_and_flags);
    return XXH3_64bits_withSeed(body.p, body.n, seed);
}

static int put_frame(uint16_t type, uint16_t flags, struct sup_slice body, struct sup_buf *out)
{
    uint8_t h[SUP_FRAME_HEADER];

    sup_put_be32(h, (uint32_t)body.n);
    sup_put_be16(h + 4, type);
    sup_put_be16(h + 6, flags);
    sup_put_be64(h + 8, checksum(h + 4, body));
    sup_buf_add(out, h, sizeof(h));
    sup_buf_add_slice(out, body);
    return out->failed;
}

int sup_frame_encode(uint16_t type, uint16_t flags, struct sup_slice body, struct sup_buf *out)
{
    if (body.n > SUP_FRAME_BODY_MAX)
        return SUP_ELIMIT;
    return put_frame(type, flags, body, out);
}

/* --- bulk --- */

struct sup_frame_encoder {
    ZSTD_CCtx *zstd;
    struct sup_buf packed;
};

struct sup_frame_encoder *sup_frame_encoder_new(void)
{
    struct sup_frame_encoder *e = malloc(sizeof(*e));

    if (!e)
        return NULL;
    e->zstd = ZSTD_createCCtx();
    if (!e->zstd) {
        free(e);
        return NULL;
    }
    sup_buf_init(&e->packed, ZSTD_COMPRESSBOUND(SUP_FRAME_BODY_MAX));
    return e;
}

void sup_frame_encoder_free(struct sup_frame_encoder *e)
{
    if (!e)
        return;
    ZSTD_freeCCtx(e->zstd);
    sup_buf_fini(&e->packed);
    free(e);
}

/* True when e->packed holds the compressed body and is the smaller one. */
static bool pack(struct sup_frame_encoder *e, struct sup_slice body)
{
    size_t room = ZSTD_compressBound(body.n);

    if (body.n <= SUP_FRAME_ZSTD_MIN)
        return false;
    sup_buf_reset(&e->packed);
    uint8_t *p = sup_buf_reserve(&e->packed, room);
    if (!p)
        return false; /* no memory: it travels as it is */
    size_t n = ZSTD_compressCCtx(e->zstd, p, room, body.p, body.n, ZSTD_LEVEL);
    if (ZSTD_isError(n) || n >= body.n)
        return false;
    e->packed.n = n;
    return true;
}

int sup_frame_encode_bulk(struct sup_frame_encoder *e, uint16_t type, uint16_t flags,
                          struct sup_slice body, struct sup_buf *out)
{
    if (body.n > SUP_FRAME_BODY_MAX)
        return SUP_ELIMIT;
    if (pack(e, body))
        return put_frame(type, flags | SUP_FRAME_ZSTD, sup_buf_slice(&e->packed), out);
    return put_frame(type, flags, body, out);
}

/* --- decoding --- */

/* What the buffers may keep from one frame to the next; a rare large one is given back. */
#define KEEP_BYTES (512U << 10)

struct sup_frame_decoder {
    uint8_t header[SUP_FRAME_HEADER];
    size_t header_n;
    size_t body_n; /* from the header, checked */
    size_t body_max;
    struct sup_buf body;
    struct sup_buf raw; /* decompressed */
    ZSTD_DCtx *zstd;    /* made at the first compressed frame */
    struct sup_err error;
};

struct sup_frame_decoder *sup_frame_decoder_new(size_t body_max)
{
    struct sup_frame_decoder *d = calloc(1, sizeof(*d));

    if (!d)
        return NULL;
    sup_buf_init(&d->body, SUP_FRAME_BODY_MAX);
    sup_buf_init(&d->raw, SUP_FRAME_BODY_MAX);
    sup_frame_decoder_set_max(d, body_max);
    return d;
}

void sup_frame_decoder_free(struct sup_frame_decoder *d)
{
    if (!d)
        return;
    sup_buf_fini(&d->body);
    sup_buf_fini(&d->raw);
    ZSTD_freeDCtx(d->zstd);
    free(d);
}

void sup_frame_decoder_set_max(struct sup_frame_decoder *d, size_t body_max)
{
    d->body_max = body_max < SUP_FRAME_BODY_MAX ? body_max : SUP_FRAME_BODY_MAX;
}

static void take(struct sup_slice *in, size_t n)
{
    if (n > 0) { /* an empty slice may have no pointer */
        in->p += n;
        in->n -= n;
    }
}

static uint16_t header_type(const struct sup_frame_decoder *d)
{
    return sup_get_be16(d->header + 4);
}

static uint16_t header_flags(const struct sup_frame_decoder *d)
{
    return sup_get_be16(d->header + 6);
}

/* Checks a header before a byte of its body is kept. */
static int check_header(struct sup_frame_decoder *d)
{
    uint32_t n = sup_get_be32(d->header);
    unsigned known = SUP_FRAME_SKIPPABLE | SUP_FRAME_ZSTD;
    unsigned unknown = header_flags(d) & SUP_FRAME_MUST_KNOW & ~known;

    if (n > d->body_max)
        return sup_err_set(&d->error, SUP_ELIMIT,
                           "frame of %u bytes, type %u: at most %zu are accepted here", n,
                           header_type(d), d->body_max);
    if (unknown)
        return sup_err_set(&d->error, SUP_EVERSION, "frame with unknown flags 0x%04x, type %u",
                           unknown, header_type(d));
    d->body_n = n;
    return SUP_OK;
}

static int fill_header(struct sup_frame_decoder *d, struct sup_slice *in)
{
    size_t n = SUP_FRAME_HEADER - d->header_n;

    if (n == 0)
        return SUP_OK;
    if (n > in->n)
        n = in->n;
    if (n > 0)
        memcpy(d->header + d->header_n, in->p, n);
    take(in, n);
    d->header_n += n;
    return d->header_n == SUP_FRAME_HEADER ? check_header(d) : SUP_EAGAIN;
}

static int fill_body(struct sup_frame_decoder *d, struct sup_slice *in)
{
    size_t n = d->body_n - d->body.n;

    if (n > in->n)
        n = in->n;
    sup_buf_add(&d->body, in->p, n);
    take(in, n);
    if (d->body.failed)
        return sup_err_set(&d->error, d->body.failed, "no memory for a frame");
    return d->body.n == d->body_n ? SUP_OK : SUP_EAGAIN;
}

/* The content size must be stated, within the maximum, and true. Decompression goes in one pass
 * into a buffer of that size, so zstd allocates no window. */
static int unpack(struct sup_frame_decoder *d, struct sup_slice *body)
{
    unsigned long long size = ZSTD_getFrameContentSize(body->p, body->n);

    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN)
        return sup_err_set(&d->error, SUP_ECORRUPT, "compressed frame without a content size");
    if (size > d->body_max)
        return sup_err_set(&d->error, SUP_ELIMIT, "frame of %llu bytes after decompression", size);
    if (!d->zstd)
        d->zstd = ZSTD_createDCtx();
    sup_buf_reset(&d->raw);
    uint8_t *p = sup_buf_reserve(&d->raw, (size_t)size);
    if (!d->zstd || !p)
        return sup_err_set(&d->error, SUP_ENOMEM, "no memory to decompress a frame");
    size_t n = ZSTD_decompressDCtx(d->zstd, p, (size_t)size, body->p, body->n);
    if (ZSTD_isError(n) || n != size)
        return sup_err_set(&d->error, SUP_ECORRUPT, "damaged compressed frame: %s",
                           ZSTD_isError(n) ? ZSTD_getErrorName(n) : "wrong content size");
    *body = sup_slice_of(p, n);
    return SUP_OK;
}

static int finish(struct sup_frame_decoder *d, struct sup_frame *out)
{
    struct sup_slice body = sup_buf_slice(&d->body);

    if (checksum(d->header + 4, body) != sup_get_be64(d->header + 8))
        return sup_err_set(&d->error, SUP_ECORRUPT, "frame with a wrong checksum, type %u",
                           header_type(d));
    *out = (struct sup_frame){.type = header_type(d),
                              .flags = header_flags(d),
                              .body = body,
                              .wire_size = SUP_FRAME_HEADER + body.n};
    d->header_n = 0;
    return out->flags & SUP_FRAME_ZSTD ? unpack(d, &out->body) : SUP_OK;
}

static void drop(struct sup_buf *b)
{
    if (b->cap > KEEP_BYTES) {
        size_t max = b->max;
        sup_buf_fini(b);
        sup_buf_init(b, max);
    }
    sup_buf_reset(b);
}

static int step(struct sup_frame_decoder *d, struct sup_slice *in, struct sup_frame *out)
{
    /* Between frames the buffers still hold what the last call gave out. */
    if (d->header_n == 0) {
        drop(&d->body);
        drop(&d->raw);
    }
    int rc = fill_header(d, in);
    if (rc == SUP_OK)
        rc = fill_body(d, in);
    return rc == SUP_OK ? finish(d, out) : rc;
}

int sup_frame_decode(struct sup_frame_decoder *d, struct sup_slice *in, struct sup_frame *out,
                     struct sup_err *err)
{
    int rc = d->error.code;

    if (rc == SUP_OK)
        rc = step(d, in, out);
    if (rc != SUP_OK && rc != SUP_EAGAIN)
        return sup_err_set(err, rc, "%s", d->error.msg);
    return rc;
}
