#ifndef SUP_CODEC_REPORT_H
#define SUP_CODEC_REPORT_H

#include "codec/coverage.h"
#include "codec/difference.h"
#include "codec/report_calls.h"

#include <stdbool.h>

/* What a reconciliation found and did, and the small states that belong to it (proto/store.proto).
 * Encoders and decoders as in codec/value.h. Numbers are stored: never renumber. */

enum sup_report_count {
    SUP_COUNT_SCANNED,
    SUP_COUNT_SUPPRESSED, /* addresses that should be listed */
    SUP_COUNT_MATCHED,
    SUP_COUNT_MISSING,
    SUP_COUNT_REMOVED,
    SUP_COUNT_EXTRA,
    SUP_COUNT_REASON,
    SUP_COUNT_TWINS,
    SUP_COUNT_UNMANAGED,
    SUP_COUNT_PUTS,
    SUP_COUNT_DELETES,
    SUP_COUNT_ADOPTED,
    SUP_COUNT_ADOPTED_REMOVALS,
    SUP_COUNT_RESTORED,
    SUP_COUNT_WAITING,
    SUP_COUNT_WITHHELD,
    SUP_COUNT_REPORTED,
    SUP_COUNT_PENDING,
    SUP_COUNT_FAILED,
    SUP_N_COUNTS
};
const char *sup_report_count_name(enum sup_report_count c);

#define SUP_REPORT_ID_MAX 47

struct sup_report {
    char id[SUP_REPORT_ID_MAX + 1]; /* sorts by time */
    char region[64];
    char mode[16];                    /* enforce, observe, dry-run */
    char fuse[16];                    /* state after the run */
    char plan[SUP_REPORT_ID_MAX + 1]; /* the dry run whose plan this one applied; "" = none */
    char error[256];
    int64_t started_ms;
    int64_t finished_ms; /* 0 = under way, or cut off */
    int64_t next_run_ms;
    bool converged;
    uint64_t counts[SUP_N_COUNTS];
    uint64_t calls[SUP_N_CALLS]; /* made for the run, up to the report */
    uint64_t calls_per_day;      /* the agent's budget; 0 = no limit */
    bool budget_used_up;         /* for what is not urgent: it waits for the next day */
    uint64_t estimated_calls;
    uint64_t estimated_jobs; /* import jobs among them */
    uint64_t estimated_ms;
    uint64_t n_found;                   /* differences in all */
    uint64_t n_differences;             /* those of them that are stored, the first */
    struct sup_coverage_brief coverage; /* the newest when the run ended */
};
void sup_report_encode(const struct sup_report *r, struct sup_buf *out);
int sup_report_decode(struct sup_slice bytes, struct sup_report *out, struct sup_err *err);

/* reports: id, or id ‖ NUL ‖ index for its differences. */
struct sup_report_key {
    uint8_t b[SUP_REPORT_ID_MAX + 16];
    size_t n;
};
void sup_report_key(struct sup_report_key *k, const char *id);
void sup_report_key_difference(struct sup_report_key *k, const char *id, uint32_t index);
void sup_report_key_end(struct sup_report_key *k, const char *id); /* upper bound, exclusive */

/* scan: address key ‖ NUL ‖ spelling → this. */
struct sup_scan_entry {
    enum sup_reason reason;
    int64_t last_update_ms;
    uint64_t scan; /* which scan read it last */
};
void sup_scan_entry_encode(const struct sup_scan_entry *e, struct sup_buf *out);
int sup_scan_entry_decode(struct sup_slice bytes, struct sup_scan_entry *out, struct sup_err *err);

/* --- small states in meta --- */

#define SUP_META_SCAN "scan" /* struct sup_scan_state */
#define SUP_META_FUSE "fuse" /* struct sup_fuse */

#define SUP_SCAN_TOKEN_MAX 8191
struct sup_scan_state {
    uint64_t scan; /* random; what carries another is left over from an earlier scan */
    int64_t started_ms;
    uint64_t entries;
    uint64_t pages;
    char token[SUP_SCAN_TOKEN_MAX + 1]; /* of the next page */
};
void sup_scan_state_encode(const struct sup_scan_state *s, struct sup_buf *out);
int sup_scan_state_decode(struct sup_slice bytes, struct sup_scan_state *out, struct sup_err *err);

enum sup_fuse_state { SUP_FUSE_CLOSED, SUP_FUSE_TRIPPED, SUP_FUSE_CONFIRMED, SUP_FUSE_DECLINED };
const char *sup_fuse_state_name(enum sup_fuse_state s);
struct sup_fuse {
    enum sup_fuse_state state;
    uint64_t removals; /* that the scan would have carried out */
    uint64_t listed;   /* of so many entries known to be listed */
    int64_t since_ms;
    char run[SUP_REPORT_ID_MAX + 1];
    char actor[SUP_ACTOR_MAX + 1]; /* who confirmed or declined */
};
void sup_fuse_encode(const struct sup_fuse *f, struct sup_buf *out);
int sup_fuse_decode(struct sup_slice bytes, struct sup_fuse *out, struct sup_err *err);

#endif
