#include "core/archive.h"

#include "base/array.h"
#include "base/err.h"
#include "core/json_split.h"

#include <stdlib.h>
#include <string.h>

#define PIECE_MIN ((size_t)64 * 1024)

/* --- what it is --- */

static const struct {
    const char *bytes;
    size_t n;
    const char *name;
} magics[] = {
    {"PAR1", 4, "Parquet"},
    {"ORC", 3, "ORC"},
    {"Obj\x01", 4, "Avro"},
    {"PK\x03\x04", 4, "ZIP"},
    {"PK\x05\x06", 4, "ZIP"},
    {"\xff\x06\x00\x00sNaPpY", 10, "Snappy"},
    {"BZh", 3, "bzip2"},
    {"\xfd"
     "7zXZ\x00",
     6, "xz"},
    {"\x04\x22\x4d\x18", 4, "LZ4"},
    {"\x1f\x9d", 2, "compress"},
    {"\xff\xfe", 2, "UTF-16 text"},
    {"\xfe\xff", 2, "UTF-16 text"},
    {"%PDF", 4, "PDF"},
    {"SQLite format 3", 15, "SQLite"},
};

/* JSON text holds no other control characters than these, RFC 8259 section 2. */
static bool is_text(uint8_t c)
{
    return c >= 0x20 || c == '\t' || c == '\n' || c == '\r';
}

/* A frame, or one to be skipped, such as parallel writers put in front. RFC 8878 section 3.1. */
static bool is_zstd(struct sup_slice first)
{
    static const uint8_t frame[] = {0x28, 0xb5, 0x2f, 0xfd}, skipped[] = {0x2a, 0x4d, 0x18};

    return first.n >= 4 && (memcmp(first.p, frame, 4) == 0 ||
                            ((first.p[0] & 0xf0) == 0x50 && memcmp(first.p + 1, skipped, 3) == 0));
}

enum sup_archive_kind sup_archive_sniff(struct sup_slice first, const char **name)
{
    if (first.n >= 2 && first.p[0] == 0x1f && first.p[1] == 0x8b) {
        *name = "gzip";
        return SUP_ARCHIVE_GZIP;
    }
    if (is_zstd(first)) {
        *name = "Zstandard";
        return SUP_ARCHIVE_ZSTD;
    }
    for (size_t i = 0; i < SUP_COUNT(magics); i++) {
        if (first.n >= magics[i].n && memcmp(first.p, magics[i].bytes, magics[i].n) == 0) {
            *name = magics[i].name;
            return SUP_ARCHIVE_OTHER;
        }
    }
    /* Hadoop's Snappy has no magic: it begins with a length, the first byte of which is 0. */
    for (size_t i = 0; i < first.n && i < SUP_ARCHIVE_SNIFF_BYTES; i++) {
        if (!is_text(first.p[i])) {
            *name = "binary data (Hadoop Snappy?)";
            return SUP_ARCHIVE_OTHER;
        }
    }
    *name = "JSON";
    return SUP_ARCHIVE_TEXT;
}

/* --- documents --- */

struct sup_archive {
    size_t document_max;
    struct sup_buf window; /* bytes from `base` of the archive on */
    size_t at;             /* of the window: taken up to here */
    uint64_t base;
    struct sup_json_cut cut;
    bool last;
    bool skipping; /* within something too long */
    bool begun;    /* past a byte order mark */
};

struct sup_archive *sup_archive_new(size_t document_max)
{
    struct sup_archive *a = calloc(1, sizeof(*a));

    if (a == NULL)
        return NULL;
    a->document_max = document_max;
    sup_buf_init(&a->window, document_max + 4 * PIECE_MIN);
    return a;
}

void sup_archive_free(struct sup_archive *a)
{
    if (a == NULL)
        return;
    sup_buf_fini(&a->window);
    free(a);
}

void sup_archive_reset(struct sup_archive *a)
{
    sup_buf_reset(&a->window);
    a->at = 0;
    a->base = 0;
    a->cut = (struct sup_json_cut){0};
    a->last = a->skipping = a->begun = false;
}

static void drop_taken(struct sup_archive *a)
{
    if (a->at == 0)
        return;
    memmove(a->window.p, a->window.p + a->at, a->window.n - a->at);
    a->window.n -= a->at;
    a->base += a->at;
    a->at = 0;
}

uint8_t *sup_archive_room(struct sup_archive *a, size_t *n)
{
    size_t want;

    drop_taken(a);
    want = a->window.max - a->window.n - 1;
    want = want < PIECE_MIN ? want : PIECE_MIN;
    uint8_t *p = want > 0 ? sup_buf_reserve(&a->window, want) : NULL;
    *n = p != NULL ? want : 0;
    return p;
}

void sup_archive_fed(struct sup_archive *a, size_t n, bool last)
{
    a->window.n += n;
    a->last |= last;
}

static bool has_mark(const struct sup_archive *a)
{
    return a->window.n >= 3 && memcmp(a->window.p, "\xef\xbb\xbf", 3) == 0;
}

/* Moves to where the next document may begin, behind the first byte. False when that is not in the
 * window: what need not be looked at again is dropped. */
static bool skip(struct sup_archive *a)
{
    struct sup_slice text = sup_slice_of(a->window.p + a->at, a->window.n - a->at);
    size_t at;

    a->skipping = !sup_json_next_start(text, 1, a->last, &at);
    if (!a->skipping)
        a->at += at;
    else
        a->at += a->last                ? text.n
                 : at > 0 && text.n > 0 ? at - 1
                                        : 0; /* a newline before it counts */
    return !a->skipping;
}

static int too_long(struct sup_archive *a, const uint8_t *start, uint64_t *offset)
{
    a->at = (size_t)(start - a->window.p);
    *offset = a->base + a->at;
    a->cut = (struct sup_json_cut){0};
    a->skipping = true;
    return SUP_ELIMIT;
}

static int cut(struct sup_archive *a, struct sup_slice *document, uint64_t *offset)
{
    struct sup_slice text = sup_slice_of(a->window.p + a->at, a->window.n - a->at);
    enum sup_json_cut_result r = sup_json_cut(&a->cut, text, a->last, document);

    if (r == SUP_JSON_CUT_END) {
        a->at = a->window.n;
        return a->last ? SUP_ENOTFOUND : SUP_EAGAIN;
    }
    if (r == SUP_JSON_CUT_MORE) {
        size_t have = (size_t)(text.p + text.n - document->p);
        if (have > a->document_max)
            return too_long(a, document->p, offset);
        a->at = (size_t)(document->p - a->window.p);
        return SUP_EAGAIN;
    }
    if (document->n > a->document_max)
        return too_long(a, document->p, offset);
    *offset = a->base + (size_t)(document->p - a->window.p);
    a->at = (size_t)(document->p - a->window.p) + document->n;
    return SUP_OK;
}

int sup_archive_next(struct sup_archive *a, struct sup_slice *document, uint64_t *offset)
{
    if (a->window.failed)
        return SUP_ENOMEM;
    if (!a->begun && (a->window.n >= 3 || a->last)) {
        a->at = has_mark(a) ? 3 : 0;
        a->begun = true;
    }
    if (!a->begun)
        return SUP_EAGAIN;
    if (a->at == a->window.n || (a->skipping && !skip(a)))
        return a->last ? SUP_ENOTFOUND : SUP_EAGAIN;
    return cut(a, document, offset);
}
