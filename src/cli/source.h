#ifndef SUP_CLI_SOURCE_H
#define SUP_CLI_SOURCE_H

#include "base/err.h"
#include "core/archive.h"

#include <stdbool.h>
#include <stdint.h>

/* Archives of events from files and standard input, plain or gzip, document by document, in memory
 * that does not grow with them. What an object is, is told by its first bytes: names lie, and
 * whoever fetched it may have inflated it already. One thread. */
struct sup_source;

/* NULL when out of memory. Reusable. */
struct sup_source *sup_source_new(void);
void sup_source_free(struct sup_source *s); /* NULL is fine */

/* path "-" is standard input. Errors: SUP_EIO, SUP_ENOTFOUND; SUP_EINPUT when it holds something
 * that supsync cannot read: err says what it is. */
int sup_source_open(struct sup_source *s, const char *path, struct sup_err *err);
void sup_source_close(struct sup_source *s);

/* As sup_archive_next, but feeds itself: never SUP_EAGAIN. *offset counts inflated bytes. SUP_EIO,
 * SUP_ECORRUPT (gzip is damaged or cut off): what came before it has been handed out; the source is
 * at its end then. */
int sup_source_next(struct sup_source *s, struct sup_slice *document, uint64_t *offset,
                    struct sup_err *err);

/* Bytes read from the file so far, and its size (0 when not known): for progress. */
uint64_t sup_source_read(const struct sup_source *s);
uint64_t sup_source_size(const struct sup_source *s);

#endif
