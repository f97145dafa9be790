#include "store/rocks.h"

#include <string.h>

/* RocksDB's C API gives an error as the text of its Status only: the code's name, ": ", the rest
 * (util/status.cc, Status::ToString). */
static const struct {
    const char *prefix;
    int code;
} prefixes[] = {
    {"NotFound: ", SUP_ENOTFOUND},
    {"Corruption: ", SUP_ECORRUPT},
    {"IO error: ", SUP_EIO},
    {"Operation aborted: Memory limit", SUP_ENOMEM},
    {"Operation timed out: ", SUP_ETIMEDOUT},
    {"Operation failed. Try again.", SUP_EAGAIN},
    {"Resource busy: ", SUP_EAGAIN},
    {"Shutdown in progress: ", SUP_ECLOSED},
};

int rocks_error_code(const char *text)
{
    /* The LOCK file is held by another process (first) or by this one (second). */
    if (strstr(text, "While lock file: ") != NULL ||
        strstr(text, "lock hold by current process") != NULL)
        return SUP_EEXIST;
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (strncmp(text, prefixes[i].prefix, strlen(prefixes[i].prefix)) == 0)
            return prefixes[i].code;
    return SUP_EIO;
}

bool rocks_error_is_no_space(const char *text)
{
    return strstr(text, "No space left on device") != NULL;
}

int rocks_error(char *text, struct sup_err *err, const char *what)
{
    if (text == NULL)
        return SUP_OK;
    int code = sup_err_set(err, rocks_error_code(text), "%s: %s", what, text);
    rocksdb_free(text);
    return code;
}
