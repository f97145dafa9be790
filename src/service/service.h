#ifndef SUP_SERVICE_SERVICE_H
#define SUP_SERVICE_SERVICE_H

#include "base/err.h"
#include "codec/coverage.h"
#include "codec/report_calls.h"
#include "model/address.h"
#include "model/decision.h"
#include "model/event.h"
#include "service/options.h"

/* The agent's work, joined: apply, ingest, replicator, SES worker, expiry. What stands here is all
 * that HTTP and the agent's main need.
 *
 * Threads: every call may come from any thread unless it says otherwise. Texts in results belong to
 * the result and live until its _fini. */

struct sup_service;

/* Opens the store and starts all threads. Errors are those of sup_store_open and of the TLS files,
 * with texts that say how to mend it. options must outlive the service. */
int sup_service_start(const struct sup_options *options, struct sup_service **out,
                      struct sup_err *err);
/* Ends what callers wait for in sup_service_reconcile, so that they do not hold up a stop. Does not
 * block. */
void sup_service_close(struct sup_service *s);
/* Drains: stops taking in, commits and acknowledges what is in hand, closes links, flushes the
 * store. Waits. */
void sup_service_stop(struct sup_service *s);
void sup_service_free(struct sup_service *s);

/* SUP_OK, or SUP_EIO when the store has failed for good: nothing more can be decided until the
 * process is started again, which repairs what can be repaired. Reads go on meanwhile. */
int sup_service_fatal(struct sup_service *s, struct sup_err *err);

/* --- questions --- */

enum sup_answer { SUP_ALLOW, SUP_BLOCK, SUP_UNKNOWN };
const char *sup_answer_name(enum sup_answer a); /* "allow" "block" "unknown" */

#define SUP_CHECK_REGIONS_MAX 64

struct sup_check {
    enum sup_answer verdict;
    enum sup_reason reason; /* NONE unless blocked */
    enum sup_class cls;     /* register that decides; 0 when nothing is known */
    enum sup_cause cause;
    int64_t since_ms; /* time of that decision; SUP_NO_TIME when nothing is known */
    const char *why;  /* for unknown: what is wrong; static text */
    struct {
        const char *region; /* lives as long as the service */
        double age_s;       /* of this node's knowledge of it; negative: never heard */
    } regions[SUP_CHECK_REGIONS_MAX];
    size_t n_regions;
};

/* Never SUP_ALLOW when the store could not be read. A malformed address is SUP_EINPUT. Other errors
 * come with verdict unknown. No call ever reaches SES. Does not allocate on the common path (miss).
 */
int sup_service_check(struct sup_service *s, const char *address, size_t n, struct sup_check *out,
                      struct sup_err *err);

/* One decision, decoded, for showing. */
struct sup_shown_decision {
    enum sup_class cls;
    enum sup_state state;
    enum sup_cause cause;
    sup_hlc_time time;
    uint64_t origin;
    const char *origin_name; /* node name when known, else 16 hex digits */
    const char *actor;
    const char *note;
    int64_t expires_ms;
    const char *region;
    const char *feedback_id;
    const char *message_id;
    const char *sub_type;
    const char *status;
    const char *diagnostic;
    const char *spelling;
    /* By which decision it was overruled although neither node had seen the other's; time 0: not
     * so. Of the history only. */
    sup_hlc_time overruled_time;
    const char *overruled_origin; /* node name when known, else 16 hex digits; "" */
    const char *overruled_by;     /* "time" "state" "origin" "bytes"; "" */
};

/* What a Region's SES list holds as far as this node knows (its own Region only). */
struct sup_shown_ses {
    const char *region;
    const char *spelling;
    bool present;
    enum sup_reason reason;
    int64_t last_update_ms; /* SUP_NO_TIME when unknown */
    int64_t last_write_ms;  /* our last put or delete; SUP_NO_TIME when none */
    bool pending;           /* a put or delete waits in the outbox */
    unsigned attempts;
    const char *last_error;
};

struct sup_shown {
    struct sup_address address;
    enum sup_answer verdict;
    enum sup_reason reason;
    int64_t first_seen_ms;
    int64_t last_seen_ms;
    struct sup_shown_decision *registers; /* the current ones */
    size_t n_registers;
    struct sup_shown_decision *history; /* every decision ever taken, oldest first */
    size_t n_history;
    struct sup_shown_ses *ses;
    size_t n_ses;
    void *mem; /* owns all of the above */
};

/* SUP_ENOTFOUND when nothing is known of the address. */
int sup_service_show(struct sup_service *s, const char *address, size_t n, struct sup_shown *out,
                     struct sup_err *err);
void sup_shown_fini(struct sup_shown *shown);

/* The set, one row an address; registers joined as sup_registers_effective says. */
struct sup_list_filter {
    const char *domain;     /* "" = any; case-blind, exact */
    enum sup_reason reason; /* NONE = any */
    int state;              /* SUP_SUPPRESSED, SUP_CLEARED, or -1 = any */
    int64_t since_ms;       /* decision time >= ; SUP_NO_TIME = open */
    int64_t until_ms;       /* decision time <  ; SUP_NO_TIME = open */
    const char *region;     /* Region of the evidence; "" = any */
    const char *after;      /* cursor: rows with a larger address only; "" = from the start */
    uint64_t limit;         /* rows at the most; 0 = no limit */
};

struct sup_row {
    const char *address;
    enum sup_state state;
    enum sup_reason
        reason; /* BOUNCE or COMPLAINT; for cleared rows what the register's class gives */
    struct sup_shown_decision decision;
};

/* Calls row for each match, sorted by address (memory is bounded: see list.c); row returns false to
 * end early. *more (may be NULL): rows remain behind the limit. */
int sup_service_list(struct sup_service *s, const struct sup_list_filter *filter,
                     bool (*row)(void *arg, const struct sup_row *row), void *arg, bool *more,
                     struct sup_err *err);

/* --- decisions --- */

struct sup_ruling {
    const char *address;
    size_t address_len;
    enum sup_class cls; /* suppress: which register */
    const char *actor;  /* "" = "unknown" */
    const char *note;
    int64_t expires_in_ms; /* suppress: 0 = never */
    bool force;            /* clear: complaints too */
};

/* Both return after the decision is durable. suppress: SUP_OK also when it was suppressed already
 * (a newer decision is recorded). SUP_EINPUT: bad address, empty or too long note. */
int sup_service_suppress(struct sup_service *s, const struct sup_ruling *r, struct sup_err *err);
/* Clears the bounce and manual registers, and with force the complaint register, whether they hold
 * a decision yet or not: what is older than this ruling and still on its way cannot suppress again.
 * A suppressed complaint without force: SUP_EAUTH, nothing changes. */
int sup_service_clear(struct sup_service *s, const struct sup_ruling *r, struct sup_err *err);

/* --- status --- */

#define SUP_STATUS_PEERS_MAX    64
#define SUP_STATUS_PROBLEMS_MAX 32

struct sup_peer_status {
    const char *name;
    const char *url;
    bool connected;
    uint64_t lag_mutations; /* what it is known to have and we lack */
    /* Since we last knew that we were level with it; 0 when level. What it says comes each second:
     * when nothing has come for two, nobody knows that we are. */
    double lag_seconds;
    uint64_t unacked_mutations; /* what we have and it has not said to have */
    double unacked_seconds;     /* for how long so */
    int64_t last_contact_ms;    /* wall time; SUP_NO_TIME = never */
    double clock_offset_ms;
    double rtt_ms;
    uint64_t bytes_in, bytes_out, reconnects, refusals;
    uint64_t repairs, repair_decisions, repair_bytes; /* from it */
    int64_t last_repair_ms;                           /* SUP_NO_TIME = none since the start */
    uint64_t quarantined, gaps, stalls;
    uint64_t node_id, incarnation;
    uint64_t epoch;         /* of its configuration */
    const char *membership; /* "same" "newer" "older" "different" "unknown": beside ours; static */
    bool configured;        /* false: only remembered, until it is decommissioned */
    bool needs_repair;      /* our log was trimmed past what it has */
    char last_error[128];
};

#define SUP_STATUS_REFUSALS_MAX 16
struct sup_refusal_status {
    const char *reason; /* static */
    uint64_t by_us, by_peers;
};

#define SUP_STATUS_LEFT_MAX 16
struct sup_left_status { /* a node that was decommissioned */
    const char *name;
    int64_t time_ms;
    char actor[64];
    char note[128];
};

struct sup_join_status {
    const char *phase; /* "new" "copy" "log" "check" "alone" "ready"; static */
    char donor[256];   /* "" = none yet */
    uint64_t records;  /* copied so far */
    uint64_t set;      /* in the donor's set; 0 = not known yet */
    uint64_t bytes;    /* of the copy, uncompressed */
    int64_t began_ms;  /* SUP_NO_TIME when it is over */
};

struct sup_status {
    const char *node;
    const char *region;
    const char *mode;
    uint64_t node_id;
    uint64_t incarnation;
    bool healthy;
    bool ready;
    /* yes: every configured peer reachable and level both ways, outbox empty, in mode enforce */
    bool converged;
    char problems[SUP_STATUS_PROBLEMS_MAX][160];
    size_t n_problems;
    struct sup_peer_status peers[SUP_STATUS_PEERS_MAX];
    size_t n_peers;
    struct sup_refusal_status refusals[SUP_STATUS_REFUSALS_MAX]; /* of the mesh; not those of 0 */
    size_t n_refusals;
    struct sup_left_status left[SUP_STATUS_LEFT_MAX];
    size_t n_left;
    uint64_t epoch;         /* of our configuration */
    uint64_t log_bytes;     /* kept for peers */
    uint64_t log_max_bytes; /* 0 without a mesh */
    int64_t clock_ahead_ms; /* of the logical clock before the wall clock; 0 when not */
    struct {
        uint64_t pending, due, failing;
        double allowed_rps;
        uint64_t puts, deletes, throttles, errors;
        char last_error[160];
        uint64_t evidence; /* adopted entries of which SES is still to be asked who added them */
    } outbox;
    struct {
        uint64_t per_day; /* ses.max_calls_per_day; 0 = no limit */
        uint64_t used;    /* of the day's (UTC) */
        uint64_t made[SUP_N_CALLS];
    } calls; /* of SES, since the start */
    struct {
        uint64_t received, deleted, events, duplicates, unparsable, in_hand;
        uint64_t suppressed, cleared, echoes, ignored;
        int64_t last_receive_ms;
        char last_error[160];
    } queue;
    struct {
        enum sup_coverage_state state;
        int64_t checked_ms; /* meaningless in state none */
        uint64_t gaps, unknown;
        char error[160]; /* of the last audit; "" = it went well */
    } coverage;
    struct sup_join_status join; /* checks are "unknown" until it is "alone" or "ready" */
    uint64_t records;            /* estimate */
    uint64_t quarantined;
    uint64_t disk_bytes;
    int64_t started_ms;
    int64_t last_scan_ms; /* end of the last reconciliation; SUP_NO_TIME = none yet */
};

/* Fills *out (large: not on small stacks). Never fails. */
void sup_service_status(struct sup_service *s, struct sup_status *out);

#endif
