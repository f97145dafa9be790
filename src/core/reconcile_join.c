#include "core/reconcile_join.h"

/* The smallest key, and who has it. False when all streams are at their end. */
static bool front(const struct sup_stream *streams, struct sup_slice *key, bool *at)
{
    struct sup_slice keys[SUP_N_STREAMS];
    bool any = false;

    for (size_t i = 0; i < SUP_N_STREAMS; i++) {
        at[i] = streams[i].key(streams[i].arg, &keys[i]);
        if (at[i] && (!any || sup_slice_cmp(keys[i], *key) < 0))
            *key = keys[i];
        any = any || at[i];
    }
    for (size_t i = 0; i < SUP_N_STREAMS; i++)
        at[i] = at[i] && sup_slice_eq(keys[i], *key);
    return any;
}

int sup_reconcile_join(const struct sup_stream streams[SUP_N_STREAMS],
                       int (*visit)(void *arg, struct sup_slice key, const bool at[SUP_N_STREAMS],
                                    struct sup_err *err),
                       void *arg, struct sup_err *err)
{
    bool at[SUP_N_STREAMS];
    struct sup_slice key = {NULL, 0};
    int rc = SUP_OK;

    while (rc == SUP_OK && front(streams, &key, at)) {
        rc = visit(arg, key, at, err);
        for (size_t i = 0; rc == SUP_OK && i < SUP_N_STREAMS; i++) {
            if (at[i])
                rc = streams[i].next(streams[i].arg, err);
        }
    }
    return rc;
}
