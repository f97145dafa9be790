#ifndef SUP_SERVICE_RECONCILE_H
#define SUP_SERVICE_RECONCILE_H

#include "aws/client.h"
#include "codec/report.h"
#include "service/apply.h"
#include "service/options.h"
#include "service/service.h"
#include "service/ses_calls.h"

/* The reconciler: at start, every scan_interval, after a repair and on demand it reads the whole
 * list of the Region, compares it with what is decided and with what was last known of the list
 * (core/reconcile_plan.h), adopts what SES or people did there, puts what is to be written into the
 * outbox, and leaves a report. One run at a time, on a thread of its own. */

struct sup_reconciler;

struct sup_reconciler_options {
    const struct sup_options *config;
    struct sup_aws *aws;
    struct sup_ses_calls *calls;
    struct sup_apply *apply;
    struct sup_store *store;
    /* Whether the peers' decisions are here, as far as they can be reached: before that the list
     * would be taken for news. NULL: yes. */
    bool (*level)(void *arg);
    /* Whether the node joins: no run begins before it has what the peers have. NULL: no. */
    bool (*joining)(void *arg);
    /* How many decisions repairs of the mesh brought so far: a run follows each repair that brought
     * some, since what they name was not watched while it was missing. NULL: none ever. */
    uint64_t (*repaired)(void *arg);
    /* Asks for an audit of coverage, which with write may complete the account's attributes; the
     * number is for get. NULL: there is none. */
    uint64_t (*ask_coverage)(void *arg, bool write);
    /* What it, or (0) the newest one, found; waits at most ms. Leaves *out alone if nothing is
     * known. */
    void (*get_coverage)(void *arg, uint64_t ticket, int64_t ms, struct sup_coverage_brief *out);
    void *arg;
};

int sup_reconciler_start(const struct sup_reconciler_options *opts, struct sup_reconciler **out,
                         struct sup_err *err);
void sup_reconciler_close(struct sup_reconciler *rc); /* does not block; NULL is fine */
/* Ends a run within a second; the scan goes on after the next start. Waits. */
void sup_reconciler_stop(struct sup_reconciler *rc);
void sup_reconciler_free(struct sup_reconciler *rc);
/* Fills out->last_scan_ms, adds problems; false: differences remain that nobody works on. */
bool sup_reconciler_status(struct sup_reconciler *rc, struct sup_status *out);

/* The last finished run that was no dry run; false: none yet. */
bool sup_reconciler_last(struct sup_reconciler *rc, struct sup_report *out);

/* --- for HTTP; any thread --- */

/* Runs (after the run under way, if any) and waits for the end; id is the report's. SUP_ECLOSED:
 * the agent stops. */
int sup_service_reconcile(struct sup_service *s, bool dry_run, char id[SUP_REPORT_ID_MAX + 1],
                          struct sup_err *err);
/* Applies the plan of a dry run, and nothing else: every address that the plan names must still
 * need just the same, else nothing is written and the report's error says what moved. The report of
 * the dry run must be here still. SUP_EINPUT: observing, or no such plan; SUP_ECLOSED. */
int sup_service_reconcile_plan(struct sup_service *s, const char *plan,
                               char id[SUP_REPORT_ID_MAX + 1], struct sup_err *err);
/* This node's name. Any thread. */
const char *sup_service_node(struct sup_service *s);
/* The plan of that dry run, as each gets it in order. SUP_EINPUT: no finished dry run, or one with
 * more differences than are stored; SUP_ENOTFOUND. */
int sup_service_plan(struct sup_service *s, const char *id, struct sup_report *out,
                     bool (*each)(void *arg, const struct sup_difference *d), void *arg,
                     struct sup_err *err);
/* The report with that id; "" or "last" = the newest finished one. each (may be NULL) gets its
 * differences, sorted by address, until it returns false. SUP_ENOTFOUND. */
int sup_service_report(struct sup_service *s, const char *id, struct sup_report *out,
                       bool (*each)(void *arg, const struct sup_difference *d), void *arg,
                       struct sup_err *err);
/* Newest first, until each returns false. */
int sup_service_reports(struct sup_service *s, bool (*each)(void *arg, const struct sup_report *r),
                        void *arg, struct sup_err *err);
void sup_service_fuse(struct sup_service *s, struct sup_fuse *out);
/* Decides about a tripped fuse, and starts a run. SUP_ENOTFOUND: it is not tripped. */
int sup_service_fuse_decide(struct sup_service *s, bool confirm, const char *actor,
                            struct sup_err *err);

#endif
