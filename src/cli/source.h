#ifndef SUP_CLI_SOURCE_H
#define SUP_CLI_SOURCE_H

#include "base/err.h"
#include "core/archive_reader.h"

#include <stdbool.h>
#include <stdint.h>

/* Archives of events from files, standard input and elsewhere, as core/archive_reader.h reads them.
 * One thread. */
struct sup_source;

/* NULL when out of memory. Reusable. */
struct sup_source *sup_source_new(void);
void sup_source_free(struct sup_source *s); /* NULL is fine */

/* path "-" is standard input. Errors: SUP_EIO, SUP_ENOTFOUND; SUP_EINPUT when it holds something
 * that supsync cannot read: err says what it is. */
int sup_source_open(struct sup_source *s, const char *path, struct sup_err *err);
/* The same from whatever read gives: read and arg are used until the source is closed. */
int sup_source_open_with(struct sup_source *s, sup_archive_read_fn *read, void *arg,
                         struct sup_err *err);
void sup_source_close(struct sup_source *s);

/* As sup_archive_reader_next. */
int sup_source_next(struct sup_source *s, struct sup_slice *document, uint64_t *offset,
                    struct sup_err *err);

/* Bytes read from it so far: for progress. */
uint64_t sup_source_read(const struct sup_source *s);

#endif
