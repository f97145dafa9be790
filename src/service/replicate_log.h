#ifndef SUP_SERVICE_REPLICATE_LOG_H
#define SUP_SERVICE_REPLICATE_LOG_H

#include "base/err.h"
#include "core/replica_step.h"
#include "store/store.h"

/* Reads mutations from the log: what a FILL of the replica asks for. One thread at a time. */

struct sup_log_reader;

struct sup_log_reader *sup_log_reader_new(void); /* NULL only when out of memory */
void sup_log_reader_free(struct sup_log_reader *l);

struct sup_log_batch {
    const struct sup_mutation *m; /* live in the reader until the next fill */
    size_t n;
    uint64_t bytes; /* that count against the credit */
    /* What of the ranges was read: ->to is lowered where the batch was full. */
    struct sup_replica_range ranges[SUP_REPLICA_RANGES_MAX];
    size_t n_ranges;
};

/* Reads the ranges in order until there are about max_bytes. SUP_ENOTFOUND: the log does not hold
 * what was asked for (it was trimmed in between, or it is damaged: the caller looks at the floor).
 * SUP_ECORRUPT, SUP_EIO, SUP_ENOMEM. */
int sup_log_reader_fill(struct sup_log_reader *l, struct sup_store *store,
                        const struct sup_replica_range *ranges, size_t n, uint64_t max_bytes,
                        struct sup_log_batch *out, struct sup_err *err);

#endif
