#ifndef SUP_CLI_EXPORT_FILE_H
#define SUP_CLI_EXPORT_FILE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* A file that is there as a whole or not at all: written beside its name, with a dot before it that
 * hides it from Athena and from Hive's kin, synced and renamed. What is written twice is the same,
 * byte for byte. One thread. */
struct sup_export_file;

enum sup_export_packing { SUP_EXPORT_PLAIN, SUP_EXPORT_GZIP, SUP_EXPORT_ZSTD };

/* "none", "gzip" or "zstd". */
bool sup_export_packing_parse(const char *s, enum sup_export_packing *out);
/* What a file's name ends with, and how Athena tells: "", ".gz", ".zst". */
const char *sup_export_packing_suffix(enum sup_export_packing p);

/* Makes the folders that path needs. SUP_EIO, SUP_ENOMEM. */
int sup_export_file_open(struct sup_export_file **out, const char *path,
                         enum sup_export_packing packing, struct sup_err *err);
int sup_export_file_write(struct sup_export_file *f, const void *p, size_t n, struct sup_err *err);
/* Puts it in place and frees f, in every case. */
int sup_export_file_finish(struct sup_export_file *f, struct sup_err *err);
void sup_export_file_drop(struct sup_export_file *f); /* leaves nothing; NULL is fine */

#endif
