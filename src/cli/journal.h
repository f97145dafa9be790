#ifndef SUP_CLI_JOURNAL_H
#define SUP_CLI_JOURNAL_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* How far each object of a backfill got, in a file of JSON lines that only grows: a run that was
 * ended goes on where the agent last acknowledged something. One thread. */
struct sup_journal;

/* Reads path if it is there and opens it for appending. path NULL: remembers nothing. A last line
 * that was cut off is ignored. SUP_EIO, SUP_EINPUT (another kind of file), SUP_ENOMEM. */
int sup_journal_open(struct sup_journal **out, const char *path, struct sup_err *err);
void sup_journal_close(struct sup_journal *j); /* NULL is fine */

/* An object as it was last seen; one that changed begins anew. */
struct sup_journal_object {
    const char *name;
    uint64_t size;
    int64_t changed_ms;
    const char *version; /* what S3 calls ETag; "" for files */
};
/* Everything before *offset (inflated) is acknowledged; *done: all of it. */
void sup_journal_look_up(const struct sup_journal *j, const struct sup_journal_object *o,
                         uint64_t *offset, bool *done);
/* SUP_OK or SUP_EIO. */
int sup_journal_note(struct sup_journal *j, const struct sup_journal_object *o, uint64_t offset,
                     bool done, struct sup_err *err);

#endif
