#include "core/unpack.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

struct sup_unpack {
    enum sup_packing packing;
    bool within; /* a member or frame */
    z_stream z;
    ZSTD_DCtx *zstd; /* made when it is first needed */
};

struct sup_unpack *sup_unpack_new(void)
{
    struct sup_unpack *u = calloc(1, sizeof(*u));

    /* 16 + 15: gzip only, the largest window. */
    if (u == NULL || inflateInit2(&u->z, 16 + 15) == Z_OK)
        return u;
    free(u);
    return NULL;
}

void sup_unpack_free(struct sup_unpack *u)
{
    if (u == NULL)
        return;
    inflateEnd(&u->z);
    ZSTD_freeDCtx(u->zstd);
    free(u);
}

void sup_unpack_begin(struct sup_unpack *u, enum sup_packing packing)
{
    u->packing = packing;
    u->within = false;
    if (u->zstd != NULL)
        ZSTD_DCtx_reset(u->zstd, ZSTD_reset_session_only);
}

bool sup_unpack_is_within(const struct sup_unpack *u)
{
    return u->within;
}

static void advance(struct sup_slice *in, size_t n)
{
    *in = sup_slice_of(in->p + n, in->n - n);
}

static void run_none(struct sup_slice *in, uint8_t *to, size_t room, size_t *n)
{
    *n = in->n < room ? in->n : room;
    if (*n > 0)
        memcpy(to, in->p, *n);
    advance(in, *n);
}

/* Zeros behind the last member are padding. */
static bool begin_member(struct sup_unpack *u, struct sup_slice *in)
{
    while (in->n > 0 && in->p[0] == 0)
        advance(in, 1);
    if (in->n == 0)
        return false;
    inflateReset(&u->z);
    u->within = true;
    return true;
}

static int run_gzip(struct sup_unpack *u, struct sup_slice *in, uint8_t *to, size_t room, size_t *n,
                    struct sup_err *err)
{
    if (!u->within && !begin_member(u, in))
        return SUP_OK;
    u->z.next_in = (Bytef *)in->p;
    u->z.avail_in = (uInt)in->n;
    u->z.next_out = to;
    u->z.avail_out = (uInt)room;
    int rc = inflate(&u->z, Z_NO_FLUSH);
    advance(in, in->n - u->z.avail_in);
    *n = room - u->z.avail_out;
    if (rc == Z_STREAM_END)
        u->within = false;
    else if (rc == Z_MEM_ERROR)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    else if (rc != Z_OK && rc != Z_BUF_ERROR)
        return sup_err_set(err, SUP_ECORRUPT, "gzip data is damaged: %s",
                           u->z.msg != NULL ? u->z.msg : "unknown error");
    return SUP_OK;
}

static int make_zstd(struct sup_unpack *u, struct sup_err *err)
{
    if (u->zstd != NULL)
        return SUP_OK;
    u->zstd = ZSTD_createDCtx();
    if (u->zstd != NULL &&
        !ZSTD_isError(ZSTD_DCtx_setParameter(u->zstd, ZSTD_d_windowLogMax, SUP_UNPACK_WINDOW_LOG)))
        return SUP_OK;
    ZSTD_freeDCtx(u->zstd);
    u->zstd = NULL;
    return sup_err_set(err, SUP_ENOMEM, "out of memory");
}

static int explain_zstd(size_t rc, struct sup_err *err)
{
    switch (ZSTD_getErrorCode(rc)) {
    case ZSTD_error_memory_allocation:
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    case ZSTD_error_frameParameter_windowTooLarge:
        return sup_err_set(err, SUP_ECORRUPT,
                           "Zstandard data wants a window of more than %d MiB (--long or --ultra): "
                           "pack it anew",
                           1 << (SUP_UNPACK_WINDOW_LOG - 20));
    default:
        return sup_err_set(err, SUP_ECORRUPT, "Zstandard data is damaged: %s",
                           ZSTD_getErrorName(rc));
    }
}

static int run_zstd(struct sup_unpack *u, struct sup_slice *in, uint8_t *to, size_t room, size_t *n,
                    struct sup_err *err)
{
    ZSTD_inBuffer from = {.src = in->p, .size = in->n};
    ZSTD_outBuffer into = {.dst = to, .size = room};
    int rc = make_zstd(u, err);

    if (rc != SUP_OK || (!u->within && in->n == 0))
        return rc;
    size_t hint = ZSTD_decompressStream(u->zstd, &into, &from);
    advance(in, from.pos);
    *n = into.pos;
    if (ZSTD_isError(hint))
        return explain_zstd(hint, err);
    u->within = hint != 0;
    return SUP_OK;
}

int sup_unpack_run(struct sup_unpack *u, struct sup_slice *in, bool last, uint8_t *to, size_t room,
                   size_t *n, struct sup_err *err)
{
    bool zstd = u->packing == SUP_PACKING_ZSTD;

    *n = 0;
    if (u->packing == SUP_PACKING_NONE) {
        run_none(in, to, room, n);
        return SUP_OK;
    }
    int rc = zstd ? run_zstd(u, in, to, room, n, err) : run_gzip(u, in, to, room, n, err);
    if (rc == SUP_OK && *n == 0 && u->within && last && in->n == 0)
        return sup_err_set(err, SUP_ECORRUPT, "%s data is cut off", zstd ? "Zstandard" : "gzip");
    return rc;
}
