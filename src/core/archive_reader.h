#ifndef SUP_CORE_ARCHIVE_READER_H
#define SUP_CORE_ARCHIVE_READER_H

#include "base/err.h"
#include "core/archive.h"

#include <stdint.h>

/* Archives of events, plain, gzip or Zstandard, document by document, from whatever hands out
 * bytes: in memory that does not grow with them. What an object is, is told by its first bytes:
 * names lie, and whoever fetched it may have unpacked it already. No I/O of its own. One thread. */
struct sup_archive_reader;

/* Longer documents are skipped with SUP_ELIMIT. */
#define SUP_ARCHIVE_DOCUMENT_MAX (((size_t)1 << 20) - 1) /* with a separator: the largest body */

/* Fills to with at least one byte and sets *n; *n = 0 is the end. Its errors pass through. */
typedef int sup_archive_read_fn(void *arg, uint8_t *to, size_t room, size_t *n,
                                struct sup_err *err);

/* NULL when out of memory. Reusable. */
struct sup_archive_reader *sup_archive_reader_new(void);
void sup_archive_reader_free(struct sup_archive_reader *r); /* NULL is fine */

/* Begins an archive and looks at its first bytes. SUP_EINPUT when it holds something that supsync
 * cannot read: err says what it is. Else the errors of read, SUP_ECORRUPT, SUP_ENOMEM. */
int sup_archive_reader_begin(struct sup_archive_reader *r, sup_archive_read_fn *read, void *arg,
                             struct sup_err *err);

/* As sup_archive_next, but feeds itself: never SUP_EAGAIN of its own. *offset counts unpacked
 * bytes. The errors of read, and those of core/unpack.h (damaged, cut off): what came before has
 * been handed out; the reader is at its end then. */
int sup_archive_reader_next(struct sup_archive_reader *r, struct sup_slice *document,
                            uint64_t *offset, struct sup_err *err);

/* Bytes read so far, as they are stored. */
uint64_t sup_archive_reader_bytes(const struct sup_archive_reader *r);

#endif
