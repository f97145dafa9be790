#ifndef SUP_SERVICE_RECONCILE_INTERNAL_H
#define SUP_SERVICE_RECONCILE_INTERNAL_H

#include "base/random.h"
#include "base/thread.h"
#include "codec/report.h"
#include "core/rate.h"
#include "core/reconcile_plan.h"
#include "service/reconcile.h"

/* Shared by reconcile*.c only. */

/* Differences kept with a report; counts go on. */
#define SUP_DIFFERENCES_MAX 1000000

enum { RUN_APPLY, RUN_DRY, RUN_PLAN, N_RUN_KINDS };

struct sup_reconciler {
    struct sup_reconciler_options opts;
    struct sup_stop stop;
    pthread_t thread;
    bool started;

    /* reconciler's thread only */
    struct sup_rate rate; /* of ListSuppressedDestinations */
    struct sup_rng rng;
    uint64_t repaired; /* by the mesh, when a run was last due for that */
    uint64_t scan;     /* the last one, whose entries of the scan family count */
    bool resume;       /* the first run may go on with a scan that a stop or a crash cut off */

    pthread_mutex_t mutex; /* all below */
    pthread_cond_t cond;
    uint64_t wanted[N_RUN_KINDS];
    uint64_t done[N_RUN_KINDS];
    char last_id[N_RUN_KINDS][SUP_REPORT_ID_MAX + 1];
    int64_t due_mono_ms;
    bool running;
    char plan[SUP_REPORT_ID_MAX + 1]; /* what a RUN_PLAN applies */
    bool plan_manages;                /* it also completes the account's attributes */
    struct sup_report last;           /* the last finished one that was no dry run; id "" = none */
    struct sup_fuse fuse;
};

/* One address of the list, for an apply job. */
struct sup_scan_item {
    struct sup_scan_item *next;
    char key[SUP_ADDRESS_MAX + 1];
    uint64_t expected; /* of a saved plan; 0: the plan does not name the address */
    size_t n_listed;
    struct sup_listed listed[SUP_SPELLINGS_MAX];
    char texts[]; /* of the spellings */
};

/* What a visit of the walk sees; slices and pointers are good during the visit only. */
struct sup_walk_address {
    struct sup_reconcile_address a;
    enum sup_diff_cause unmanaged; /* 0: an address that supsync keeps */
};

/* --- reconcile.c --- */

/* Runs with the plan of that dry run and waits, as sup_service_reconcile. */
int sup_reconciler_apply_plan(struct sup_reconciler *rc, const struct sup_report *plan,
                              char id[SUP_REPORT_ID_MAX + 1], struct sup_err *err);

/* --- reconcile_scan.c --- */

/* Reads the Region's list into the scan family. *begin_ms: when the scan began. r->calls gets the
 * pages that were read before the agent's last start. SUP_ECLOSED: stopped; it can be resumed.
 * SUP_ELIMIT: the day's calls are used up. */
int sup_reconcile_scan(struct sup_reconciler *rc, struct sup_report *r, int64_t *begin_ms,
                       struct sup_err *err);
/* What kind of thing the key of a scan entry stands for; 0 = an address that supsync keeps. */
enum sup_diff_cause sup_scan_key_unmanaged(struct sup_slice key);

/* --- reconcile_walk.c --- */

/* The merge-join over one snapshot. The registers' encoded bytes are left out. */
int sup_reconcile_walk(struct sup_reconciler *rc,
                       int (*visit)(void *arg, const struct sup_walk_address *w,
                                    struct sup_err *err),
                       void *arg, struct sup_err *err);

/* --- reconcile_run.c --- */

/* Scans, plans and, unless dry, applies; r->plan, if any, and nothing else. r is filled; the
 * differences are stored as it goes. */
int sup_reconcile_run(struct sup_reconciler *rc, bool dry, struct sup_report *r,
                      struct sup_err *err);

/* --- reconcile_settle.c --- */

/* Waits until what the run put into the outbox is done, or is stuck, and updates the differences'
 * results and the counts in r. */
int sup_reconcile_settle(struct sup_reconciler *rc, struct sup_report *r, struct sup_err *err);

/* Questions about adopted entries that were put at or after since_ms and have no answer yet; it
 * does not count beyond max. */
uint64_t sup_evidence_waiting(struct sup_reconciler *rc, int64_t since_ms, uint64_t max);

/* --- reconcile_store.c --- */

int sup_report_save(struct sup_reconciler *rc, const struct sup_report *r, struct sup_err *err);
int sup_fuse_save(struct sup_reconciler *rc, const struct sup_fuse *f, struct sup_err *err);
/* Both keep quiet about what is not there. */
void sup_report_load_last(struct sup_reconciler *rc);
void sup_fuse_load(struct sup_reconciler *rc);
/* Removes reports but the newest ones (what a crash left half-written counts as one), and of older
 * ones all but a sample of their differences as long as all together are too many. */
int sup_report_prune(struct sup_reconciler *rc, struct sup_err *err);

#endif
