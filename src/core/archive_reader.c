#include "core/archive_reader.h"

#include "core/event_read.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define RAW_BYTES ((size_t)64 * 1024)

_Static_assert(SUP_ARCHIVE_DOCUMENT_MAX < SUP_EVENT_BODY_MAX, "a separator must fit beside it");

struct sup_archive_reader {
    struct sup_archive *archive;
    sup_archive_read_fn *read;
    void *arg;
    bool is_open;
    bool gzip;
    bool inflating; /* within a member */
    bool eof;       /* of what read gives */
    z_stream z;
    uint64_t bytes;
    size_t raw_at, raw_n;
    uint8_t raw[RAW_BYTES];
};

struct sup_archive_reader *sup_archive_reader_new(void)
{
    struct sup_archive_reader *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return NULL;
    r->archive = sup_archive_new(SUP_ARCHIVE_DOCUMENT_MAX);
    /* 16 + 15: gzip only, the largest window. */
    if (r->archive != NULL && inflateInit2(&r->z, 16 + 15) == Z_OK)
        return r;
    sup_archive_free(r->archive);
    free(r);
    return NULL;
}

void sup_archive_reader_free(struct sup_archive_reader *r)
{
    if (r == NULL)
        return;
    inflateEnd(&r->z);
    sup_archive_free(r->archive);
    free(r);
}

uint64_t sup_archive_reader_bytes(const struct sup_archive_reader *r)
{
    return r->bytes;
}

/* --- bytes --- */

/* Fills raw up to at least want bytes, or to the end. */
static int fill(struct sup_archive_reader *r, size_t want, struct sup_err *err)
{
    if (r->raw_at > 0) {
        memmove(r->raw, r->raw + r->raw_at, r->raw_n - r->raw_at);
        r->raw_n -= r->raw_at;
        r->raw_at = 0;
    }
    while (r->raw_n < want && !r->eof) {
        size_t n = 0;
        int rc = r->read(r->arg, r->raw + r->raw_n, RAW_BYTES - r->raw_n, &n, err);
        if (rc != SUP_OK)
            return rc;
        r->eof = n == 0;
        r->raw_n += n;
        r->bytes += n;
    }
    return SUP_OK;
}

static int take_plain(struct sup_archive_reader *r, uint8_t *to, size_t room, size_t *n)
{
    size_t have = r->raw_n - r->raw_at;

    *n = have < room ? have : room;
    if (*n > 0)
        memcpy(to, r->raw + r->raw_at, *n);
    r->raw_at += *n;
    return SUP_OK;
}

/* A member may be followed by another (RFC 1952 section 2.2): that is how parts of one object are
 * put together. Zeros behind the last one are padding. */
static bool begin_member(struct sup_archive_reader *r)
{
    while (r->raw_at < r->raw_n && r->raw[r->raw_at] == 0)
        r->raw_at++;
    if (r->raw_at == r->raw_n)
        return false;
    inflateReset(&r->z);
    r->inflating = true;
    return true;
}

static int take_gzip(struct sup_archive_reader *r, uint8_t *to, size_t room, size_t *n,
                     struct sup_err *err)
{
    *n = 0;
    if (!r->inflating && !begin_member(r))
        return SUP_OK;
    r->z.next_in = r->raw + r->raw_at;
    r->z.avail_in = (uInt)(r->raw_n - r->raw_at);
    r->z.next_out = to;
    r->z.avail_out = (uInt)room;
    int rc = inflate(&r->z, Z_NO_FLUSH);
    r->raw_at = r->raw_n - r->z.avail_in;
    *n = room - r->z.avail_out;
    if (rc == Z_STREAM_END)
        r->inflating = false;
    else if (rc == Z_MEM_ERROR)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    else if (rc != Z_OK && rc != Z_BUF_ERROR)
        return sup_err_set(err, SUP_ECORRUPT, "gzip data is damaged: %s",
                           r->z.msg != NULL ? r->z.msg : "unknown error");
    if (*n == 0 && r->inflating && r->eof && r->raw_at == r->raw_n)
        return sup_err_set(err, SUP_ECORRUPT, "gzip data is cut off");
    return SUP_OK;
}

static int take(struct sup_archive_reader *r, uint8_t *to, size_t room, size_t *n,
                struct sup_err *err)
{
    int rc = SUP_OK;

    *n = 0;
    while (rc == SUP_OK && *n == 0) {
        if (r->raw_at == r->raw_n)
            rc = fill(r, 1, err);
        if (rc != SUP_OK || (r->eof && r->raw_at == r->raw_n && !(r->gzip && r->inflating)))
            break;
        rc = r->gzip ? take_gzip(r, to, room, n, err) : take_plain(r, to, room, n);
    }
    return rc;
}

/* --- begin --- */

static int refuse_kind(const char *name, struct sup_err *err)
{
    return sup_err_set(err, SUP_EINPUT,
                       "is %s, which supsync cannot read: give JSON or gzip of JSON", name);
}

static int sniff(struct sup_archive_reader *r, struct sup_err *err)
{
    const char *name;
    int rc = fill(r, SUP_ARCHIVE_SNIFF_BYTES, err);

    if (rc != SUP_OK)
        return rc;
    enum sup_archive_kind kind = sup_archive_sniff(sup_slice_of(r->raw, r->raw_n), &name);
    if (kind == SUP_ARCHIVE_OTHER)
        return refuse_kind(name, err);
    r->gzip = kind == SUP_ARCHIVE_GZIP;
    return SUP_OK;
}

/* Inflates the beginning, so that Parquet within gzip is named for what it is. */
static int sniff_inside(struct sup_archive_reader *r, struct sup_err *err)
{
    size_t room, n = 0, got = 0;
    const char *name;
    uint8_t *to = sup_archive_room(r->archive, &room);
    int rc = to != NULL ? SUP_OK : sup_err_set(err, SUP_ENOMEM, "out of memory");

    while (rc == SUP_OK && got < SUP_ARCHIVE_SNIFF_BYTES) {
        rc = take(r, to + got, room - got, &n, err);
        if (n == 0)
            break;
        got += n;
    }
    enum sup_archive_kind kind = sup_archive_sniff(sup_slice_of(to, got), &name);
    if (rc == SUP_OK && kind != SUP_ARCHIVE_TEXT)
        rc = refuse_kind(kind == SUP_ARCHIVE_GZIP ? "gzip within gzip" : name, err);
    sup_archive_fed(r->archive, got, false);
    return rc;
}

int sup_archive_reader_begin(struct sup_archive_reader *r, sup_archive_read_fn *read, void *arg,
                             struct sup_err *err)
{
    sup_archive_reset(r->archive);
    r->read = read;
    r->arg = arg;
    r->gzip = r->inflating = r->eof = false;
    r->bytes = 0;
    r->raw_at = r->raw_n = 0;
    int rc = sniff(r, err);
    if (rc == SUP_OK && r->gzip)
        rc = sniff_inside(r, err);
    r->is_open = rc == SUP_OK;
    return rc;
}

/* --- documents --- */

static int feed(struct sup_archive_reader *r, struct sup_err *err)
{
    size_t room, n = 0;
    uint8_t *to = sup_archive_room(r->archive, &room);

    if (to == NULL)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    int rc = take(r, to, room, &n, err);
    sup_archive_fed(r->archive, n, rc != SUP_OK || n == 0);
    return rc;
}

int sup_archive_reader_next(struct sup_archive_reader *r, struct sup_slice *document,
                            uint64_t *offset, struct sup_err *err)
{
    int rc;

    if (!r->is_open)
        return SUP_ENOTFOUND;
    while ((rc = sup_archive_next(r->archive, document, offset)) == SUP_EAGAIN) {
        rc = feed(r, err);
        if (rc != SUP_OK) {
            r->is_open = false;
            return rc;
        }
    }
    if (rc == SUP_ELIMIT)
        sup_err_set(err, rc, "what begins here does not end within %zu bytes",
                    SUP_ARCHIVE_DOCUMENT_MAX);
    if (rc == SUP_ENOMEM)
        sup_err_set(err, rc, "out of memory");
    return rc;
}
