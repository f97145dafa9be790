#include "core/archive_reader.h"

#include "core/event_read.h"
#include "core/unpack.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RAW_BYTES ((size_t)64 * 1024)

_Static_assert(SUP_ARCHIVE_DOCUMENT_MAX < SUP_EVENT_BODY_MAX, "a separator must fit beside it");

struct sup_archive_reader {
    struct sup_archive *archive;
    sup_archive_read_fn *read;
    void *arg;
    bool is_open;
    bool eof; /* of what read gives */
    struct sup_unpack *unpack;
    struct sup_err trouble; /* behind bytes that were handed out before it is told */
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
    r->unpack = sup_unpack_new();
    if (r->archive != NULL && r->unpack != NULL)
        return r;
    sup_archive_reader_free(r);
    return NULL;
}

void sup_archive_reader_free(struct sup_archive_reader *r)
{
    if (r == NULL)
        return;
    sup_unpack_free(r->unpack);
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

/* Damage shows behind bytes that are good: these first, then it. */
static int unpack(struct sup_archive_reader *r, uint8_t *to, size_t room, size_t *n)
{
    struct sup_slice in = sup_slice_of(r->raw + r->raw_at, r->raw_n - r->raw_at);
    int rc = sup_unpack_run(r->unpack, &in, r->eof, to, room, n, &r->trouble);

    r->raw_at = r->raw_n - in.n;
    return *n > 0 ? SUP_OK : rc;
}

static int take(struct sup_archive_reader *r, uint8_t *to, size_t room, size_t *n,
                struct sup_err *err)
{
    int rc = SUP_OK;

    *n = 0;
    while (rc == SUP_OK && *n == 0 && r->trouble.code == SUP_OK) {
        if (r->raw_at == r->raw_n)
            rc = fill(r, 1, err);
        bool end = r->eof && r->raw_at == r->raw_n && !sup_unpack_is_within(r->unpack);
        if (rc != SUP_OK || end)
            return rc;
        rc = unpack(r, to, room, n);
    }
    return *n > 0 ? SUP_OK : sup_err_set(err, r->trouble.code, "%s", r->trouble.msg);
}

/* --- begin --- */

static int refuse_kind(const char *name, struct sup_err *err)
{
    return sup_err_set(err, SUP_EINPUT,
                       "is %s, which supsync cannot read: give JSON, plain, gzip or Zstandard",
                       name);
}

static int sniff(struct sup_archive_reader *r, enum sup_packing *packing, struct sup_err *err)
{
    const char *name;
    int rc = fill(r, SUP_ARCHIVE_SNIFF_BYTES, err);

    if (rc != SUP_OK)
        return rc;
    enum sup_archive_kind kind = sup_archive_sniff(sup_slice_of(r->raw, r->raw_n), &name);
    if (kind == SUP_ARCHIVE_OTHER)
        return refuse_kind(name, err);
    *packing = kind == SUP_ARCHIVE_GZIP   ? SUP_PACKING_GZIP
               : kind == SUP_ARCHIVE_ZSTD ? SUP_PACKING_ZSTD
                                          : SUP_PACKING_NONE;
    sup_unpack_begin(r->unpack, *packing);
    return SUP_OK;
}

/* Unpacks the beginning, so that Parquet within gzip is named for what it is. */
static int sniff_inside(struct sup_archive_reader *r, enum sup_packing packing, struct sup_err *err)
{
    static const char *const packings[] = {"", "gzip", "Zstandard"};
    char inside[64];
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
    if (rc == SUP_OK && kind != SUP_ARCHIVE_TEXT) {
        snprintf(inside, sizeof(inside), "%s within %s", name, packings[packing]);
        rc = refuse_kind(kind == SUP_ARCHIVE_OTHER ? name : inside, err);
    }
    sup_archive_fed(r->archive, got, false);
    return rc;
}

int sup_archive_reader_begin(struct sup_archive_reader *r, sup_archive_read_fn *read, void *arg,
                             struct sup_err *err)
{
    enum sup_packing packing = SUP_PACKING_NONE;

    sup_archive_reset(r->archive);
    r->read = read;
    r->arg = arg;
    r->eof = false;
    r->trouble = (struct sup_err){0};
    r->bytes = 0;
    r->raw_at = r->raw_n = 0;
    int rc = sniff(r, &packing, err);
    if (rc == SUP_OK && packing != SUP_PACKING_NONE)
        rc = sniff_inside(r, packing, err);
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
