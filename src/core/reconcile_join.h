#ifndef SUP_CORE_RECONCILE_JOIN_H
#define SUP_CORE_RECONCILE_JOIN_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

/* A merge-join of the three sorted streams of a reconciliation. Memory does not depend on how long
 * they are. Pure but for what the streams do. */

enum sup_reconcile_stream { SUP_STREAM_DESIRED, SUP_STREAM_KNOWN, SUP_STREAM_LISTED };
#define SUP_N_STREAMS 3

struct sup_stream {
    /* The address key at which the stream stands, valid until next; false at its end. */
    bool (*key)(void *arg, struct sup_slice *key);
    /* Moves to the next larger key. SUP_OK also at the end. */
    int (*next)(void *arg, struct sup_err *err);
    void *arg;
};

/* Calls visit once for each key that any stream has, in order; at[i] tells which streams stand at
 * it, so that visit can read their values. A visit that does not return SUP_OK ends the join. */
int sup_reconcile_join(const struct sup_stream streams[SUP_N_STREAMS],
                       int (*visit)(void *arg, struct sup_slice key, const bool at[SUP_N_STREAMS],
                                    struct sup_err *err),
                       void *arg, struct sup_err *err);

#endif
