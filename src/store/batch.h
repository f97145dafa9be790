#ifndef SUP_STORE_BATCH_H
#define SUP_STORE_BATCH_H

#include "store/writer.h"

/* One group of jobs in one transaction: what the writer thread does over and over, as a function of
 * its own, so that a simulation can do the same without the thread. */

struct sup_batch_slot {
    struct sup_job *job;
    struct sup_err err; /* of this job's run; code SUP_OK if it went well */
};

/* Runs the jobs and commits with sync. A failed job leaves nothing behind; the others stand. Takes
 * store, begin and end from opts. *commit_us: what the commit took. Returns the group's outcome,
 * not yet told to anybody. */
int sup_batch_run(const struct sup_writer_opts *opts, struct sup_batch_slot *slots, size_t n,
                  int64_t *commit_us, struct sup_err *err);

/* Tells: opts' committed first, then each job's done. */
void sup_batch_finish(const struct sup_writer_opts *opts, struct sup_batch_slot *slots, size_t n,
                      int code, const struct sup_err *err);

#endif
