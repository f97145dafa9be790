/* Fills the store of a node that does not run, faster than any agent would be told:
 *
 *   supsync-fill-store DATA_DIR NODE CLUSTER RECORDS [FIRST]
 *
 * Decisions as an operator's, every tenth cleared, every seventh with a complaint too, logged as
 * this node's own. Addresses are fillN@example.com, N from FIRST (0). */
#include "base/log.h"
#include "service/apply_txn.h"
#include "service/sketch_keeper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 2000

struct fill {
    uint64_t next, end;
};

static int decide(struct sup_apply *a, struct sup_txn *t, uint64_t i, enum sup_class cls,
                  enum sup_state state, struct sup_err *err)
{
    char address[64];
    struct sup_applied out;
    int n = snprintf(address, sizeof(address), "fill%llu@example.com", (unsigned long long)i);
    struct sup_proposal p = {.key = sup_slice_of(address, (size_t)n),
                             .d = {.cls = cls,
                                   .state = state,
                                   .cause = SUP_CAUSE_OPERATOR,
                                   .actor = sup_slice_str("fill_store"),
                                   .note = sup_slice_str("made for a test of joining")}};

    return sup_apply_decide(a, t, &p, &out, err);
}

static int fill_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct fill *f = arg;
    int rc = SUP_OK;

    for (size_t i = 0; rc == SUP_OK && i < BATCH && f->next < f->end; i++, f->next++) {
        enum sup_state state = f->next % 10 == 9 ? SUP_CLEARED : SUP_SUPPRESSED;
        rc = decide(a, t, f->next, SUP_CLASS_BOUNCE, state, err);
        if (rc == SUP_OK && f->next % 7 == 6)
            rc = decide(a, t, f->next, SUP_CLASS_COMPLAINT, SUP_SUPPRESSED, err);
    }
    return rc;
}

static int fill(struct sup_store *store, const char *cluster, struct fill *f, struct sup_err *err)
{
    struct sup_apply_options opts = {
        .store = store, .max_clock_drift_ms = 60000, .dedup_ttl_ms = 1000000};
    struct sup_apply *apply = NULL;
    int rc;

    sup_hash_key_derive(cluster, (struct sup_slice){NULL, 0}, &opts.hash);
    rc = sup_apply_start(&opts, &apply, err);
    if (rc != SUP_OK)
        return rc;
    sup_apply_settle(apply, sup_apply_incarnation(apply));
    while (rc == SUP_OK && f->next < f->end)
        rc = sup_apply_run(apply, fill_run, f, err);
    sup_apply_stop(apply);
    sup_apply_free(apply);
    return rc;
}

int main(int argc, char **argv)
{
    struct sup_store_opts opts = {.create = true};
    struct sup_store *store = NULL;
    struct sup_err err = {0};
    struct fill f = {0};
    int rc;

    if (argc < 5) {
        fprintf(stderr, "usage: supsync-fill-store DATA_DIR NODE CLUSTER RECORDS [FIRST]\n");
        return 2;
    }
    sup_log_configure(SUP_LOG_ERROR, SUP_LOG_TEXT, 2);
    opts.dir = argv[1];
    opts.identity = (struct sup_store_identity){.node = argv[2], .cluster = argv[3]};
    f.next = argc > 5 ? strtoull(argv[5], NULL, 10) : 0;
    f.end = f.next + strtoull(argv[4], NULL, 10);
    rc = sup_store_open(&opts, &store, &err);
    if (rc == SUP_OK)
        rc = fill(store, argv[3], &f, &err);
    sup_store_close(store);
    if (rc != SUP_OK)
        fprintf(stderr, "%s\n", err.msg);
    return rc == SUP_OK ? 0 : 1;
}
