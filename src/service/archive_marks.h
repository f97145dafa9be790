#ifndef SUP_SERVICE_ARCHIVE_MARKS_H
#define SUP_SERVICE_ARCHIVE_MARKS_H

#include "service/apply.h"
#include "store/store.h"

/* How far a watched archive was read, in the store: a time before which all is done, and a mark for
 * each object behind it. One thread an archive. */
struct sup_archive_marks {
    struct sup_store *store; /* borrowed, like the rest */
    struct sup_apply *apply;
    const char *bucket;
    const char *prefix;
};

/* The time that was saved last; SUP_ENOTFOUND: none yet. Else errors of the store. */
int sup_archive_marks_begin(const struct sup_archive_marks *m, int64_t *ms, struct sup_err *err);
/* Saves the time, and drops the archive's marks below the key ("": none). Durable when it returns.
 */
int sup_archive_marks_advance(const struct sup_archive_marks *m, int64_t ms, const char *below,
                              struct sup_err *err);

/* Was this version of the object done? False also when the store cannot say: reading twice does no
 * harm. */
bool sup_archive_marks_has(const struct sup_archive_marks *m, const char *key, const char *etag);
/* Durable when it returns. */
int sup_archive_marks_add(const struct sup_archive_marks *m, const char *key, const char *etag,
                          struct sup_err *err);

#endif
