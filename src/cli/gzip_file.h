#ifndef SUP_CLI_GZIP_FILE_H
#define SUP_CLI_GZIP_FILE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* A file that is there as a whole or not at all: written beside its name, synced and renamed. What
 * is written twice is the same, byte for byte. One thread. */
struct sup_gzip_file;

/* Makes the folders that path needs. gzip: else as it comes. SUP_EIO, SUP_ENOMEM. */
int sup_gzip_file_open(struct sup_gzip_file **out, const char *path, bool gzip,
                       struct sup_err *err);
int sup_gzip_file_write(struct sup_gzip_file *f, const void *p, size_t n, struct sup_err *err);
/* Puts it in place and frees f, in every case. */
int sup_gzip_file_finish(struct sup_gzip_file *f, struct sup_err *err);
void sup_gzip_file_drop(struct sup_gzip_file *f); /* leaves nothing; NULL is fine */

#endif
