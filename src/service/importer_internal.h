#ifndef SUP_SERVICE_IMPORTER_INTERNAL_H
#define SUP_SERVICE_IMPORTER_INTERNAL_H

#include "base/thread.h"
#include "codec/import_state.h"
#include "core/outbox_plan.h"
#include "service/importer.h"

/* Shared by importer*.c only. */

struct sup_importer {
    struct sup_importer_options opts;
    struct sup_stop stop;
    pthread_t thread;
    bool started;

    /* importer's thread only */
    struct sup_import_state state;
    bool uncertain;       /* a job may have been created without our knowing */
    int64_t next_mono_ms; /* not before */
    bool failed;          /* the last call */
    int64_t poll_ms;

    pthread_mutex_t mutex;
    char last_error[200]; /* under mutex; "" = the last job went well */
};

/* What of the outbox is worth a job. */
struct sup_import_choice {
    uint64_t puts, deletes;
    uint64_t slashes; /* deletes that only a job can do */
};

/* --- importer_rows.c: rows between the outbox and the import family --- */

/* Cheap when the outbox is short. */
int sup_import_choose(struct sup_importer *im, struct sup_import_choice *out, struct sup_err *err);
/* Moves at most max rows; the ledger remembers them as being written. */
int sup_import_collect(struct sup_importer *im, bool slashes_only, uint64_t max, uint64_t *rows,
                       struct sup_err *err);
/* Appends the job's object. */
int sup_import_body(struct sup_importer *im, struct sup_buf *out, struct sup_err *err);

/* Addresses of rows that a job refused, sorted. */
struct sup_import_failed {
    char **spellings;
    size_t n, cap;
};
void sup_import_failed_fini(struct sup_import_failed *f);
int sup_import_failed_parse(struct sup_import_failed *f, struct sup_slice text,
                            struct sup_err *err);
/* Ends all rows: done, but for those in failed; with error (not "") none was done. */
int sup_import_finish(struct sup_importer *im, const struct sup_import_failed *failed,
                      const char *error, struct sup_err *err);

#endif
