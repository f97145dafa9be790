#include "core/archive_folder.h"

#include <string.h>
#include <time.h>

#define PATTERN_MAX 200

bool sup_archive_folder_valid(const char *pattern)
{
    static const char order[] = "YmdH";
    size_t n = 0;

    if (strlen(pattern) > PATTERN_MAX)
        return false;
    for (const char *p = pattern; *p != '\0'; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return false;
        if (*p != '%')
            continue;
        p++;
        if (n == 4 || *p != order[n])
            return false;
        n++;
    }
    return n >= 3;
}

void sup_archive_folder(const char *pattern, int64_t wall_ms, struct sup_buf *out)
{
    time_t t = (time_t)((wall_ms < 0 ? 0 : wall_ms) / 1000);
    struct tm tm;

    gmtime_r(&t, &tm);
    for (const char *p = pattern; *p != '\0'; p++) {
        if (*p != '%') {
            sup_buf_add_byte(out, (uint8_t)*p);
            continue;
        }
        p++;
        if (*p == 'Y')
            sup_buf_addf(out, "%04d", tm.tm_year + 1900);
        else
            sup_buf_addf(out, "%02d",
                         *p == 'm'   ? tm.tm_mon + 1
                         : *p == 'd' ? tm.tm_mday
                                     : tm.tm_hour);
    }
}
