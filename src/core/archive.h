#ifndef SUP_CORE_ARCHIVE_H
#define SUP_CORE_ARCHIVE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An archive of events, such as Firehose leaves in S3, read piece by piece: JSON documents in a row
 * with any or no white space between them. Memory is bounded by the longest document that is
 * allowed, whatever the archive's size. Pure; one thread at a time. */

/* What an object is by its first bytes. */
enum sup_archive_kind {
    SUP_ARCHIVE_TEXT, /* JSON documents, or nothing at all */
    SUP_ARCHIVE_GZIP,
    SUP_ARCHIVE_ZSTD,
    SUP_ARCHIVE_OTHER /* something that supsync cannot read */
};

#define SUP_ARCHIVE_SNIFF_BYTES 16

/* first: the first bytes of the object, at least SUP_ARCHIVE_SNIFF_BYTES unless it is shorter.
 * *name (static) says what it is, in words for a person: "Parquet", "gzip", "JSON" … */
enum sup_archive_kind sup_archive_sniff(struct sup_slice first, const char **name);

struct sup_archive;

/* document_max: longer documents are skipped with SUP_ELIMIT. NULL when out of memory. */
struct sup_archive *sup_archive_new(size_t document_max);
void sup_archive_free(struct sup_archive *a); /* NULL is fine */
/* Begins another archive; keeps the memory. */
void sup_archive_reset(struct sup_archive *a);

/* Where the next piece goes; at least 64 KiB of room unless documents wait to be taken. */
uint8_t *sup_archive_room(struct sup_archive *a, size_t *n);
/* n bytes were put there; last: the archive ends with them (n may be 0). */
void sup_archive_fed(struct sup_archive *a, size_t n, bool last);

/* The next document; it lives until the next call on a. *offset is where it begins in the archive.
 *   SUP_OK
 *   SUP_EAGAIN     feed more
 *   SUP_ENOTFOUND  the end
 *   SUP_ELIMIT     at *offset something longer than document_max was skipped, up to where another
 *                  one may begin (core/json_split.h) */
int sup_archive_next(struct sup_archive *a, struct sup_slice *document, uint64_t *offset);

#endif
