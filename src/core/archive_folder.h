#ifndef SUP_CORE_ARCHIVE_FOLDER_H
#define SUP_CORE_ARCHIVE_FOLDER_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* The folders of time that Firehose sorts its objects into, UTC (Firehose developer guide, "Custom
 * prefixes for Amazon S3 objects"). A pattern is text with %Y, %m, %d and perhaps %H, each once and
 * in this order, so that the folders' names sort as their times do. Pure. */

bool sup_archive_folder_valid(const char *pattern);
/* Appends the folder of a time. pattern is valid. */
void sup_archive_folder(const char *pattern, int64_t wall_ms, struct sup_buf *out);

#endif
