#ifndef SUP_SERVICE_ARCHIVE_OPTIONS_H
#define SUP_SERVICE_ARCHIVE_OPTIONS_H

#include <stdint.h>

/* An archive in S3 that is watched. */
struct sup_archive_options {
    const char *bucket;
    const char *prefix;
    const char *folders; /* core/archive_folder.h */
    const char *region;  /* "" = the node's, or where S3 says */
    int64_t interval_ms;
    int64_t late_ms;  /* how much later than its folder's time an object may come */
    int64_t since_ms; /* how far back the first look goes */
};

#endif
