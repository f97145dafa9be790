#include "codec/report.h"

#include "base/array.h"
#include "base/text.h"
#include "codec/coverage_pb.h"
#include "codec/pb_arena.h"
#include "store.pb-c.h"

#include <string.h>

#define REPORT_FORMAT 1
#define MEM_MAX       (1U << 20)

static const char *name_of(const char *const *names, size_t n, unsigned i)
{
    return i < n && names[i] ? names[i] : "unknown";
}

const char *sup_diff_kind_name(enum sup_diff_kind k)
{
    static const char *const names[] = {
        [SUP_DIFF_MISSING] = "missing", [SUP_DIFF_REMOVED] = "removed",
        [SUP_DIFF_EXTRA] = "extra",     [SUP_DIFF_REASON] = "reason",
        [SUP_DIFF_TWIN] = "twin",       [SUP_DIFF_UNMANAGED] = "unmanaged"};
    return name_of(names, SUP_COUNT(names), (unsigned)k);
}

const char *sup_diff_cause_name(enum sup_diff_cause c)
{
    static const char *const names[] = {[SUP_WHY_NEVER_LISTED] = "never-listed",
                                        [SUP_WHY_GONE_ONCE] = "gone-once",
                                        [SUP_WHY_GONE] = "gone",
                                        [SUP_WHY_ADDED] = "added",
                                        [SUP_WHY_CLEARED] = "cleared",
                                        [SUP_WHY_OWN_WRITE] = "own-write",
                                        [SUP_WHY_COMPLAINT_OUTRANKS] = "complaint-outranks",
                                        [SUP_WHY_COMPLAINT_FOUND] = "complaint-found",
                                        [SUP_WHY_SPELLINGS] = "spellings",
                                        [SUP_WHY_NOT_AN_ADDRESS] = "not-an-address",
                                        [SUP_WHY_SIMULATOR] = "simulator",
                                        [SUP_WHY_UNKNOWN_REASON] = "unknown-reason"};
    return name_of(names, SUP_COUNT(names), (unsigned)c);
}

const char *sup_diff_action_name(enum sup_diff_action a)
{
    static const char *const names[] = {[SUP_DO_NOTHING] = "none",
                                        [SUP_DO_PUT] = "put",
                                        [SUP_DO_DELETE] = "delete",
                                        [SUP_DO_ADOPT_ADD] = "adopt-add",
                                        [SUP_DO_ADOPT_REMOVAL] = "adopt-removal",
                                        [SUP_DO_WAIT] = "wait",
                                        [SUP_DO_REPORT] = "report"};
    return name_of(names, SUP_COUNT(names), (unsigned)a);
}

const char *sup_diff_result_name(enum sup_diff_result r)
{
    static const char *const names[] = {
        [SUP_DIFF_NONE] = "none",     [SUP_DIFF_PLANNED] = "planned",
        [SUP_DIFF_DONE] = "done",     [SUP_DIFF_PENDING] = "pending",
        [SUP_DIFF_FAILED] = "failed", [SUP_DIFF_WITHHELD] = "withheld"};
    return name_of(names, SUP_COUNT(names), (unsigned)r);
}

const char *sup_diff_source_name(enum sup_diff_source s)
{
    static const char *const names[] = {[SUP_SOURCE_UNKNOWN] = "",
                                        [SUP_SOURCE_FEEDBACK] = "feedback",
                                        [SUP_SOURCE_MANUAL] = "manual"};
    return name_of(names, SUP_COUNT(names), (unsigned)s);
}

const char *sup_report_count_name(enum sup_report_count c)
{
    static const char *const names[] = {[SUP_COUNT_SCANNED] = "scanned",
                                        [SUP_COUNT_SUPPRESSED] = "suppressed",
                                        [SUP_COUNT_MATCHED] = "matched",
                                        [SUP_COUNT_MISSING] = "missing",
                                        [SUP_COUNT_REMOVED] = "removed",
                                        [SUP_COUNT_EXTRA] = "extra",
                                        [SUP_COUNT_REASON] = "reason_differs",
                                        [SUP_COUNT_TWINS] = "twins",
                                        [SUP_COUNT_UNMANAGED] = "unmanaged",
                                        [SUP_COUNT_PUTS] = "puts",
                                        [SUP_COUNT_DELETES] = "deletes",
                                        [SUP_COUNT_ADOPTED] = "adopted",
                                        [SUP_COUNT_ADOPTED_REMOVALS] = "adopted_removals",
                                        [SUP_COUNT_RESTORED] = "restored",
                                        [SUP_COUNT_WAITING] = "waiting",
                                        [SUP_COUNT_WITHHELD] = "withheld",
                                        [SUP_COUNT_REPORTED] = "reported",
                                        [SUP_COUNT_PENDING] = "pending",
                                        [SUP_COUNT_FAILED] = "failed"};
    return name_of(names, SUP_COUNT(names), (unsigned)c);
}

const char *sup_report_call_name(enum sup_report_call c)
{
    static const char *const names[] = {[SUP_CALL_LIST] = "list",
                                        [SUP_CALL_GET] = "get",
                                        [SUP_CALL_PUT] = "put",
                                        [SUP_CALL_DELETE] = "delete",
                                        [SUP_CALL_IMPORT] = "import",
                                        [SUP_CALL_THROTTLED] = "throttled",
                                        [SUP_CALL_IMPORT_GET] = "import_status",
                                        [SUP_CALL_IMPORT_LIST] = "import_list",
                                        [SUP_CALL_S3_PUT] = "s3_put",
                                        [SUP_CALL_S3_GET] = "s3_get",
                                        [SUP_CALL_S3_DELETE] = "s3_delete",
                                        [SUP_CALL_ACCOUNT] = "account",
                                        [SUP_CALL_SETTINGS] = "settings",
                                        [SUP_CALL_RETRIED] = "retried"};
    return name_of(names, SUP_COUNT(names), (unsigned)c);
}

const char *sup_fuse_state_name(enum sup_fuse_state s)
{
    static const char *const names[] = {[SUP_FUSE_CLOSED] = "closed",
                                        [SUP_FUSE_TRIPPED] = "tripped",
                                        [SUP_FUSE_CONFIRMED] = "confirmed",
                                        [SUP_FUSE_DECLINED] = "declined"};
    return name_of(names, SUP_COUNT(names), (unsigned)s);
}

/* What is not UTF-8, such as a message of a server cut somewhere, is replaced. */
static char *text(struct sup_pb_arena *a, const char *s, size_t cap)
{
    return sup_pb_text(a, sup_slice_of(s, strnlen(s, cap)), cap - 1);
}

void sup_difference_encode(const struct sup_difference *d, struct sup_buf *out)
{
    Supsync__Store__ReportDifference msg = SUPSYNC__STORE__REPORT_DIFFERENCE__INIT;
    struct sup_pb_arena a;

    sup_pb_arena_init(&a, MEM_MAX);
    msg.address = text(&a, d->address, sizeof(d->address));
    msg.spelling = text(&a, d->spelling, sizeof(d->spelling));
    msg.kind = (uint32_t)d->kind;
    msg.cause = (uint32_t)d->cause;
    msg.action = (uint32_t)d->action;
    msg.result = (uint32_t)d->result;
    msg.reason = (uint32_t)d->reason;
    msg.time_ms = d->time_ms;
    msg.source = (uint32_t)d->source;
    msg.error = text(&a, d->error, sizeof(d->error));
    sup_pb_pack(&msg.base, out);
    sup_pb_arena_reset(&a);
}

int sup_difference_decode(struct sup_slice bytes, struct sup_difference *out, struct sup_err *err)
{
    const Supsync__Store__ReportDifference *msg;
    struct sup_pb_arena a;
    int rc = SUP_OK;

    memset(out, 0, sizeof(*out));
    sup_pb_arena_init(&a, MEM_MAX);
    msg = sup_pb_unpack(&supsync__store__report_difference__descriptor, &a, bytes, "difference",
                        &rc, err);
    if (rc == SUP_OK) {
        sup_text_copy(out->address, sizeof(out->address), msg->address);
        sup_text_copy(out->spelling, sizeof(out->spelling), msg->spelling);
        sup_text_copy(out->error, sizeof(out->error), msg->error);
        out->kind = (enum sup_diff_kind)msg->kind;
        out->cause = (enum sup_diff_cause)msg->cause;
        out->action = (enum sup_diff_action)msg->action;
        out->result = (enum sup_diff_result)msg->result;
        out->reason =
            msg->reason <= SUP_REASON_COMPLAINT ? (enum sup_reason)msg->reason : SUP_REASON_NONE;
        out->time_ms = msg->time_ms;
        out->source = msg->source <= SUP_SOURCE_MANUAL ? (enum sup_diff_source)msg->source
                                                       : SUP_SOURCE_UNKNOWN;
    }
    sup_pb_arena_reset(&a);
    return rc;
}

void sup_report_encode(const struct sup_report *r, struct sup_buf *out)
{
    Supsync__Store__Report msg = SUPSYNC__STORE__REPORT__INIT;
    uint64_t counts[SUP_N_COUNTS];
    uint64_t calls[SUP_N_CALLS];
    struct sup_pb_arena a;

    sup_pb_arena_init(&a, MEM_MAX);
    memcpy(counts, r->counts, sizeof(counts));
    memcpy(calls, r->calls, sizeof(calls));
    msg.format = REPORT_FORMAT;
    msg.id = text(&a, r->id, sizeof(r->id));
    msg.region = text(&a, r->region, sizeof(r->region));
    msg.mode = text(&a, r->mode, sizeof(r->mode));
    msg.fuse = text(&a, r->fuse, sizeof(r->fuse));
    msg.error = text(&a, r->error, sizeof(r->error));
    msg.plan = text(&a, r->plan, sizeof(r->plan));
    msg.started_ms = r->started_ms;
    msg.finished_ms = r->finished_ms;
    msg.next_run_ms = r->next_run_ms;
    msg.converged = r->converged;
    msg.n_counts = SUP_N_COUNTS;
    msg.counts = counts;
    msg.n_api_calls = SUP_N_CALLS;
    msg.api_calls = calls;
    msg.estimated_calls = r->estimated_calls;
    msg.estimated_jobs = r->estimated_jobs;
    msg.estimated_ms = r->estimated_ms;
    msg.n_found = r->n_found;
    msg.n_differences = r->n_differences;
    msg.calls_per_day = r->calls_per_day;
    msg.budget_used_up = r->budget_used_up;
    msg.coverage = sup_coverage_to_pb(&r->coverage, &a);
    sup_pb_pack(&msg.base, out);
    sup_pb_arena_reset(&a);
}

static void copy_numbers(uint64_t *out, size_t n_out, const uint64_t *in, size_t n_in)
{
    for (size_t i = 0; i < n_out && i < n_in; i++)
        out[i] = in[i];
}

static int report_fill(const Supsync__Store__Report *msg, struct sup_pb_arena *a,
                       struct sup_report *out, struct sup_err *err)
{
    if (msg->format < 1)
        return sup_err_set(err, SUP_ECORRUPT, "damaged report (no format)");
    if (msg->format > REPORT_FORMAT)
        return sup_err_set(err, SUP_EVERSION, "report of format %u; this program knows up to %d",
                           msg->format, REPORT_FORMAT);
    sup_text_copy(out->id, sizeof(out->id), msg->id);
    sup_text_copy(out->region, sizeof(out->region), msg->region);
    sup_text_copy(out->mode, sizeof(out->mode), msg->mode);
    sup_text_copy(out->fuse, sizeof(out->fuse), msg->fuse);
    sup_text_copy(out->error, sizeof(out->error), msg->error);
    sup_text_copy(out->plan, sizeof(out->plan), msg->plan);
    out->started_ms = msg->started_ms;
    out->finished_ms = msg->finished_ms;
    out->next_run_ms = msg->next_run_ms;
    out->converged = msg->converged;
    copy_numbers(out->counts, SUP_N_COUNTS, msg->counts, msg->n_counts);
    copy_numbers(out->calls, SUP_N_CALLS, msg->api_calls, msg->n_api_calls);
    out->estimated_calls = msg->estimated_calls;
    out->estimated_jobs = msg->estimated_jobs;
    out->estimated_ms = msg->estimated_ms;
    out->n_found = msg->n_found;
    out->n_differences = msg->n_differences;
    out->calls_per_day = msg->calls_per_day;
    out->budget_used_up = msg->budget_used_up;
    sup_coverage_from_pb(msg->coverage, a, &out->coverage);
    return SUP_OK;
}

int sup_report_decode(struct sup_slice bytes, struct sup_report *out, struct sup_err *err)
{
    const Supsync__Store__Report *msg;
    struct sup_pb_arena a;
    int rc = SUP_OK;

    memset(out, 0, sizeof(*out));
    sup_pb_arena_init(&a, MEM_MAX);
    msg = sup_pb_unpack(&supsync__store__report__descriptor, &a, bytes, "report", &rc, err);
    if (rc == SUP_OK)
        rc = report_fill(msg, &a, out, err);
    sup_pb_arena_reset(&a);
    return rc;
}

void sup_report_key(struct sup_report_key *k, const char *id)
{
    k->n = strnlen(id, SUP_REPORT_ID_MAX);
    memcpy(k->b, id, k->n);
}

void sup_report_key_difference(struct sup_report_key *k, const char *id, uint32_t index)
{
    sup_report_key(k, id);
    k->b[k->n++] = 0;
    sup_put_be32(k->b + k->n, index);
    k->n += 4;
}

void sup_report_key_end(struct sup_report_key *k, const char *id)
{
    sup_report_key(k, id);
    k->b[k->n++] = 1;
}

void sup_scan_entry_encode(const struct sup_scan_entry *e, struct sup_buf *out)
{
    Supsync__Store__ScanEntry msg = SUPSYNC__STORE__SCAN_ENTRY__INIT;

    msg.reason = (uint32_t)e->reason;
    msg.last_update_ms = e->last_update_ms;
    msg.scan = e->scan;
    sup_pb_pack(&msg.base, out);
}

int sup_scan_entry_decode(struct sup_slice bytes, struct sup_scan_entry *out, struct sup_err *err)
{
    const Supsync__Store__ScanEntry *msg;
    struct sup_pb_arena a;
    int rc = SUP_OK;

    *out = (struct sup_scan_entry){0};
    sup_pb_arena_init(&a, MEM_MAX);
    msg = sup_pb_unpack(&supsync__store__scan_entry__descriptor, &a, bytes, "scan entry", &rc, err);
    if (rc == SUP_OK && msg->reason > SUP_REASON_COMPLAINT)
        rc = sup_err_set(err, SUP_ECORRUPT, "damaged scan entry");
    if (rc == SUP_OK)
        *out = (struct sup_scan_entry){.reason = (enum sup_reason)msg->reason,
                                       .last_update_ms = msg->last_update_ms,
                                       .scan = msg->scan};
    sup_pb_arena_reset(&a);
    return rc;
}

void sup_scan_state_encode(const struct sup_scan_state *s, struct sup_buf *out)
{
    Supsync__Store__ScanState msg = SUPSYNC__STORE__SCAN_STATE__INIT;
    struct sup_pb_arena a;

    sup_pb_arena_init(&a, MEM_MAX);
    msg.started_ms = s->started_ms;
    msg.entries = s->entries;
    msg.pages = s->pages;
    msg.scan = s->scan;
    msg.next_token = text(&a, s->token, sizeof(s->token));
    sup_pb_pack(&msg.base, out);
    sup_pb_arena_reset(&a);
}

int sup_scan_state_decode(struct sup_slice bytes, struct sup_scan_state *out, struct sup_err *err)
{
    const Supsync__Store__ScanState *msg;
    struct sup_pb_arena a;
    int rc = SUP_OK;

    memset(out, 0, sizeof(*out));
    sup_pb_arena_init(&a, MEM_MAX);
    msg = sup_pb_unpack(&supsync__store__scan_state__descriptor, &a, bytes, "scan state", &rc, err);
    if (rc == SUP_OK) {
        out->scan = msg->scan;
        out->started_ms = msg->started_ms;
        out->entries = msg->entries;
        out->pages = msg->pages;
        sup_text_copy(out->token, sizeof(out->token), msg->next_token);
    }
    sup_pb_arena_reset(&a);
    return rc;
}

void sup_fuse_encode(const struct sup_fuse *f, struct sup_buf *out)
{
    Supsync__Store__Fuse msg = SUPSYNC__STORE__FUSE__INIT;
    struct sup_pb_arena a;

    sup_pb_arena_init(&a, MEM_MAX);
    msg.state = (uint32_t)f->state;
    msg.removals = f->removals;
    msg.listed = f->listed;
    msg.since_ms = f->since_ms;
    msg.run = text(&a, f->run, sizeof(f->run));
    msg.actor = text(&a, f->actor, sizeof(f->actor));
    sup_pb_pack(&msg.base, out);
    sup_pb_arena_reset(&a);
}

int sup_fuse_decode(struct sup_slice bytes, struct sup_fuse *out, struct sup_err *err)
{
    const Supsync__Store__Fuse *msg;
    struct sup_pb_arena a;
    int rc = SUP_OK;

    memset(out, 0, sizeof(*out));
    sup_pb_arena_init(&a, MEM_MAX);
    msg = sup_pb_unpack(&supsync__store__fuse__descriptor, &a, bytes, "fuse", &rc, err);
    if (rc == SUP_OK && msg->state > SUP_FUSE_DECLINED)
        rc = sup_err_set(err, SUP_EVERSION, "fuse in an unknown state");
    if (rc == SUP_OK) {
        out->state = (enum sup_fuse_state)msg->state;
        out->removals = msg->removals;
        out->listed = msg->listed;
        out->since_ms = msg->since_ms;
        sup_text_copy(out->run, sizeof(out->run), msg->run);
        sup_text_copy(out->actor, sizeof(out->actor), msg->actor);
    }
    sup_pb_arena_reset(&a);
    return rc;
}
