/* What the store holds: the bytes of one value of each kind, as programs of this format have
 * written them (golden/store-*.hex). They are written the same way for ever, read for ever, also
 * with fields that this program does not know, and what they hold is what was put in. */
#include "codec/audit.h"
#include "codec/event_entry.h"
#include "codec/evidence.h"
#include "codec/import_state.h"
#include "codec/join_state.h"
#include "codec/peer_state.h"
#include "codec/rate_counts.h"
#include "codec/report.h"
#include "codec/value.h"
#include "golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT(to, from) ((void)snprintf((to), sizeof(to), "%s", (from)))
#define WHEN           1795500000123

static struct sup_mem *mem;
static struct sup_err err;

enum how {
    PLAIN,
    GROWS,   /* counts by number: a later program writes more of them than an earlier one */
    CLOSED,  /* no protobuf: nothing can be added */
    VERBATIM /* what is not known stays */
};

/* A value of one kind: makes the one that is kept; reads one and writes it anew. */
struct kind {
    const char *name;
    void (*make)(struct sup_buf *out);
    int (*again)(struct sup_slice bytes, struct sup_buf *out);
    enum how how;
};

static void make_decision(struct sup_buf *out)
{
    struct sup_decision d = {
        .cls = SUP_CLASS_COMPLAINT,
        .state = SUP_SUPPRESSED,
        .cause = SUP_CAUSE_OPERATOR,
        .time = sup_hlc_from_ms(WHEN) + 5,
        .origin = 0x1122334455667788,
        .actor = SUP_SLICE_LIT("ann"),
        .note = SUP_SLICE_LIT("asked by telephone"),
        .expires_ms = WHEN + 86400000,
        .evidence = {.region = SUP_SLICE_LIT("eu-west-1"),
                     .feedback_id = SUP_SLICE_LIT("0100-feedback"),
                     .message_id = SUP_SLICE_LIT("0100-message"),
                     .sub_type = SUP_SLICE_LIT("abuse"),
                     .status = SUP_SLICE_LIT("5.1.1"),
                     .diagnostic = SUP_SLICE_LIT("550 no such user"),
                     .spelling = SUP_SLICE_LIT("Ann@Example.com")},
        .prior = {.present = true,
                  .state = SUP_SUPPRESSED,
                  .time = sup_hlc_from_ms(WHEN - 1000),
                  .origin = 7},
    };

    sup_decision_encode(&d, out);
}

static int again_decision(struct sup_slice bytes, struct sup_buf *out)
{
    struct sup_decision d;
    struct sup_register reg;
    enum sup_class cls = SUP_CLASS_BOUNCE;
    int rc = sup_decision_decode(bytes, mem, &d, &err);

    if (rc == SUP_OK)
        rc = sup_register_decode(bytes, &reg, &cls, &err);
    if (rc != SUP_OK)
        return rc;
    assert_int_equal(cls, SUP_CLASS_COMPLAINT);
    assert_true(reg.time == d.time && reg.origin == d.origin && reg.prior.time == d.prior.time);
    sup_buf_add_slice(out, reg.encoded);
    return SUP_OK;
}

static void make_record(struct sup_buf *out)
{
    struct sup_record r = {.first_seen_ms = WHEN, .last_seen_ms = WHEN + 1};
    struct sup_buf decision;

    sup_buf_init(&decision, SUP_DECISION_MAX);
    make_decision(&decision);
    assert_int_equal(sup_register_decode(sup_buf_slice(&decision),
                                         &r.registers.r[SUP_CLASS_COMPLAINT - 1], NULL, NULL),
                     SUP_OK);
    sup_record_encode(&r, out);
    sup_buf_fini(&decision);
}

static int again_record(struct sup_slice bytes, struct sup_buf *out)
{
    struct sup_record r;
    int rc = sup_record_decode(bytes, mem, &r, &err);

    if (rc == SUP_OK)
        sup_record_encode(&r, out);
    return rc;
}

static struct sup_log_entry entry(void)
{
    return (struct sup_log_entry){.key = SUP_SLICE_LIT("ann@example.com"),
                                  .cls = SUP_CLASS_COMPLAINT,
                                  .encoded = SUP_SLICE_LIT("decision")};
}

static void make_log_entry(struct sup_buf *out)
{
    struct sup_log_entry e = entry();

    sup_log_entry_encode(&e, out);
}

static int again_log_entry(struct sup_slice bytes, struct sup_buf *out)
{
    struct sup_log_entry e;
    int rc = sup_log_entry_decode(bytes, mem, &e, &err);

    if (rc == SUP_OK)
        sup_log_entry_encode(&e, out);
    return rc;
}

static void make_quarantined(struct sup_buf *out)
{
    struct sup_log_entry e = entry();

    sup_quarantined_encode(&e, WHEN, out);
}

static int again_quarantined(struct sup_slice bytes, struct sup_buf *out)
{
    struct sup_log_entry e;
    int64_t arrived = 0;
    int rc = sup_quarantined_decode(bytes, mem, &e, &arrived, &err);

    if (rc == SUP_OK)
        sup_quarantined_encode(&e, arrived, out);
    return rc;
}

/* Kinds whose encoder and decoder have the usual form. */
#define AGAIN(kind)                                                                                \
    static int again_##kind(struct sup_slice bytes, struct sup_buf *out)                           \
    {                                                                                              \
        static struct sup_##kind v;                                                                \
        int rc;                                                                                    \
                                                                                                   \
        memset(&v, 0, sizeof(v));                                                                  \
        rc = sup_##kind##_decode(bytes, &v, &err);                                                 \
        if (rc == SUP_OK)                                                                          \
            sup_##kind##_encode(&v, out);                                                          \
        return rc;                                                                                 \
    }

static void make_overruled(struct sup_buf *out)
{
    struct sup_overruled o = {.time = sup_hlc_from_ms(WHEN),
                              .origin = 9,
                              .state = SUP_SUPPRESSED,
                              .by = SUP_OVERRULED_BY_ORIGIN};

    sup_overruled_encode(&o, out);
}
AGAIN(overruled)

static void make_ses_entry(struct sup_buf *out)
{
    static struct sup_ses_entry e;
    struct sup_ses_spelling *s;

    sup_ses_entry_init(&e);
    e.outbox_due_ms = WHEN;
    e.absent_since_ms = WHEN + 1;
    s = sup_ses_entry_spelling(&e, "Ann@example.com");
    s->present = s->unverified = true;
    s->reason = SUP_REASON_COMPLAINT;
    s->last_update_ms = WHEN + 2;
    s->write_op = SUP_SES_PUT;
    s->write_reason = SUP_REASON_BOUNCE;
    s->write_begin_ms = WHEN + 3;
    s->write_end_ms = WHEN + 4;
    s->noted_ms = WHEN + 5;
    (void)sup_ses_entry_spelling(&e, "ann@example.com");
    sup_ses_entry_encode(&e, out);
}
AGAIN(ses_entry)

static void make_outbox_entry(struct sup_buf *out)
{
    struct sup_outbox_entry e = {.attempts = 3, .queued_ms = WHEN, .run = true};

    TEXT(e.last_error, "429 TooManyRequestsException");
    sup_outbox_entry_encode(&e, out);
}
AGAIN(outbox_entry)

static void make_peer_state(struct sup_buf *out)
{
    static struct sup_peer_state p;

    p.node_id = 0x1122334455667788;
    p.incarnation = 0x99aabbccddeeff00;
    p.last_contact_ms = WHEN;
    TEXT(p.name, "us-east-1");
    TEXT(p.url, "tls+tcp://10.1.0.5:8471");
    sup_vv_init(&p.acked);
    (void)sup_vv_raise(&p.acked, 0x0123456789abcdef, 300);
    (void)sup_vv_raise(&p.acked, 0x99aabbccddeeff00, 1);
    p.n_rulings = 0;
    sup_peer_state_rule(&p, WHEN, true, "ann", "the Region is closed");
    sup_peer_state_encode(&p, out);
}
AGAIN(peer_state)

static void make_join_state(struct sup_buf *out)
{
    static struct sup_join_state s;

    s.phase = SUP_JOIN_COPY;
    s.after_n = 23;
    memcpy(s.after,
           "\x01\x23\x45\x67\x89\xab\xcd\xef"
           "ann@example.com",
           s.after_n);
    s.has_vv = true;
    sup_vv_init(&s.vv);
    (void)sup_vv_raise(&s.vv, 0x0123456789abcdef, 300);
    s.records = 280;
    s.set = 1000000;
    s.bytes = 123456;
    s.streams = 2;
    TEXT(s.donor, "us-east-1");
    s.began_ms = WHEN;
    sup_join_state_encode(&s, out);
}
AGAIN(join_state)

static void make_scan_entry(struct sup_buf *out)
{
    struct sup_scan_entry e = {.reason = SUP_REASON_BOUNCE, .last_update_ms = WHEN, .scan = 77};

    sup_scan_entry_encode(&e, out);
}
AGAIN(scan_entry)

static void make_scan_state(struct sup_buf *out)
{
    static struct sup_scan_state s = {
        .scan = 77, .started_ms = WHEN, .entries = 1000, .pages = 1, .token = "next"};

    sup_scan_state_encode(&s, out);
}
AGAIN(scan_state)

static void make_difference(struct sup_buf *out)
{
    struct sup_difference d = {.kind = SUP_DIFF_EXTRA,
                               .action = SUP_DO_REPORT,
                               .result = SUP_DIFF_PENDING,
                               .reason = SUP_REASON_COMPLAINT,
                               .time_ms = WHEN};

    TEXT(d.address, "ann@example.com");
    TEXT(d.spelling, "Ann@example.com");
    TEXT(d.error, "429 TooManyRequestsException");
    sup_difference_encode(&d, out);
}
AGAIN(difference)

static void make_report(struct sup_buf *out)
{
    static struct sup_report r = {.started_ms = WHEN, .finished_ms = WHEN + 1, .converged = true};

    TEXT(r.id, "20261124T104137.172Z-25c37f08");
    TEXT(r.region, "eu-west-1");
    TEXT(r.mode, "enforce");
    TEXT(r.fuse, "closed");
    r.counts[SUP_COUNT_SCANNED] = 1000;
    r.counts[SUP_COUNT_MATCHED] = 998;
    r.calls[0] = 2;
    sup_report_encode(&r, out);
}
AGAIN(report)

static void make_import_state(struct sup_buf *out)
{
    struct sup_import_state s = {
        .stage = SUP_IMPORT_RUNNING, .remove = true, .begin_ms = WHEN, .rows = 500, .run = true};

    TEXT(s.object_key, "supsync/eu-west-1/put-1.json");
    TEXT(s.job_id, "job-1");
    sup_import_state_encode(&s, out);
}
AGAIN(import_state)

static void make_import_row(struct sup_buf *out)
{
    struct sup_import_row r = {.reason = SUP_REASON_COMPLAINT};

    TEXT(r.spelling, "Ann@example.com");
    sup_import_row_encode(&r, out);
}
AGAIN(import_row)

static void make_fuse(struct sup_buf *out)
{
    struct sup_fuse f = {
        .state = SUP_FUSE_TRIPPED, .removals = 1001, .listed = 9000, .since_ms = WHEN};

    TEXT(f.run, "20261124T104137.172Z-25c37f08");
    TEXT(f.actor, "ann");
    sup_fuse_encode(&f, out);
}
AGAIN(fuse)

static void make_evidence_wanted(struct sup_buf *out)
{
    struct sup_evidence_wanted e = {.reason = SUP_REASON_BOUNCE,
                                    .last_update_ms = WHEN,
                                    .decided_ms = WHEN + 1,
                                    .queued_ms = WHEN + 2,
                                    .attempts = 1};

    TEXT(e.spelling, "Ann@example.com");
    sup_evidence_wanted_encode(&e, out);
}
AGAIN(evidence_wanted)

static void make_coverage_history(struct sup_buf *out)
{
    static struct sup_coverage_history h;

    h.last.state = (enum sup_coverage_state)1;
    h.last.checked_ms = WHEN;
    h.last.reasons = 2;
    h.last.sending_enabled = true;
    h.last.n_sets = 3;
    TEXT(h.last.enforcement_status, "HEALTHY");
    h.n_changes = 1;
    h.changes[0] = (struct sup_coverage_change){.time_ms = WHEN, .before = 2, .after = 6};
    TEXT(h.changes[0].text, "COMPLAINT was switched on");
    sup_coverage_history_encode(&h, out);
}
AGAIN(coverage_history)

static void make_rate_counts(struct sup_buf *out)
{
    struct sup_rate_counts c = {{0}};

    c.n[SUP_RATE_SENDS] = 300;
    c.n[SUP_RATE_COMPLAINTS] = 1;
    sup_rate_counts_encode(&c, out);
}

static int again_rate_counts(struct sup_slice bytes, struct sup_buf *out)
{
    struct sup_rate_counts c;
    int rc = sup_rate_counts_decode(bytes, &c);

    if (rc == SUP_OK)
        sup_rate_counts_encode(&c, out);
    return rc;
}

static const struct kind kinds[] = {
    {"decision", make_decision, again_decision, VERBATIM},
    {"record", make_record, again_record, PLAIN},
    {"log-entry", make_log_entry, again_log_entry, PLAIN},
    {"quarantined", make_quarantined, again_quarantined, PLAIN},
    {"overruled", make_overruled, again_overruled, PLAIN},
    {"ses-entry", make_ses_entry, again_ses_entry, PLAIN},
    {"outbox-entry", make_outbox_entry, again_outbox_entry, PLAIN},
    {"peer-state", make_peer_state, again_peer_state, PLAIN},
    {"join-state", make_join_state, again_join_state, PLAIN},
    {"scan-entry", make_scan_entry, again_scan_entry, PLAIN},
    {"scan-state", make_scan_state, again_scan_state, PLAIN},
    {"difference", make_difference, again_difference, PLAIN},
    {"report", make_report, again_report, GROWS},
    {"import-state", make_import_state, again_import_state, PLAIN},
    {"import-row", make_import_row, again_import_row, PLAIN},
    {"fuse", make_fuse, again_fuse, PLAIN},
    {"evidence-wanted", make_evidence_wanted, again_evidence_wanted, PLAIN},
    {"coverage-history", make_coverage_history, again_coverage_history, PLAIN},
    {"rate-counts", make_rate_counts, again_rate_counts, CLOSED},
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void file_of(const struct kind *k, char *name, size_t n)
{
    (void)snprintf(name, n, "store-%s", k->name);
}

static void written_as_ever(void **state)
{
    char name[64];

    (void)state;
    for (size_t i = 0; i < N_KINDS; i++) {
        struct sup_buf value;
        struct sup_buf hex;
        if (kinds[i].how == GROWS && !getenv("SUPSYNC_GOLDEN_WRITE"))
            continue;
        sup_buf_init(&value, 65536);
        sup_buf_init(&hex, 65536);
        kinds[i].make(&value);
        assert_int_equal(value.failed, SUP_OK);
        golden_add(&hex, sup_buf_slice(&value));
        file_of(&kinds[i], name, sizeof(name));
        golden_check(name, &hex);
        sup_buf_fini(&value);
        sup_buf_fini(&hex);
    }
}

/* Of `bytes`, which may have fields of a later program behind its own. */
static void read_and_write(const struct kind *k, struct sup_slice bytes, struct sup_slice expected)
{
    struct sup_buf out;

    sup_mem_reset(mem);
    sup_buf_init(&out, 65536);
    if (k->again(bytes, &out) != SUP_OK)
        fail_msg("%s: %s", k->name, err.msg);
    assert_int_equal(out.failed, SUP_OK);
    if (k->how != GROWS && !sup_slice_eq(sup_buf_slice(&out), expected))
        fail_msg("%s: something of it was lost", k->name);
    sup_buf_fini(&out);
}

static void read_as_ever(void **state)
{
    static const char later[] = "\xfa\x7f\x05later\xf0\x7f\x96\x01"; /* fields 2047 and 2046 */
    static uint8_t bytes[65536];
    char name[64];

    (void)state;
    for (size_t i = 0; i < N_KINDS; i++) {
        const struct kind *k = &kinds[i];
        size_t n = 0;
        file_of(k, name, sizeof(name));
        golden_load(name, bytes, &n, sizeof(bytes) - sizeof(later));
        assert_true(n > 0);
        read_and_write(k, sup_slice_of(bytes, n), sup_slice_of(bytes, n));
        if (k->how == CLOSED)
            continue;
        memcpy(bytes + n, later, sizeof(later) - 1);
        read_and_write(k, sup_slice_of(bytes, n + sizeof(later) - 1),
                       sup_slice_of(bytes, k->how == VERBATIM ? n + sizeof(later) - 1 : n));
    }
}

/* An event's document is compressed: other versions of zstd write other bytes. It is only read. */
static void events_are_read_as_ever(void **state)
{
    static const struct sup_event_entry e = {.type = SUP_SLICE_LIT("Bounce"),
                                             .message_id = SUP_SLICE_LIT("0100-message"),
                                             .addresses = SUP_SLICE_LIT("a@example.com\n"),
                                             .verdicts = SUP_SLICE_LIT("suppress\n"),
                                             .raw = SUP_SLICE_LIT("{\"eventType\":\"Bounce\"}")};
    static uint8_t bytes[4096];
    struct sup_event_entry got;
    struct sup_buf scratch;
    struct sup_buf hex;
    size_t n = 0;

    (void)state;
    sup_buf_init(&scratch, SUP_EVENT_ENTRY_RAW_MAX + 65536);
    if (getenv("SUPSYNC_GOLDEN_WRITE")) {
        struct sup_event_packer *packer = sup_event_packer_new();
        sup_buf_init(&hex, 16384);
        assert_non_null(packer);
        assert_int_equal(sup_event_entry_encode(packer, &e, &scratch), SUP_OK);
        sup_event_packer_free(packer);
        golden_add(&hex, sup_buf_slice(&scratch));
        golden_check("store-event", &hex);
        sup_buf_fini(&hex);
    }
    golden_load("store-event", bytes, &n, sizeof(bytes));
    assert_int_equal(sup_event_entry_decode(sup_slice_of(bytes, n), &scratch, &got), SUP_OK);
    assert_true(sup_slice_eq(got.type, e.type) && sup_slice_eq(got.message_id, e.message_id));
    assert_true(sup_slice_eq(got.addresses, e.addresses) && sup_slice_eq(got.verdicts, e.verdicts));
    assert_true(sup_slice_eq(got.raw, e.raw));
    sup_buf_fini(&scratch);
}

static int make_mem(void **state)
{
    (void)state;
    mem = sup_mem_new();
    return mem ? 0 : -1;
}

static int free_mem(void **state)
{
    (void)state;
    sup_mem_free(mem);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_as_ever),
        cmocka_unit_test(read_as_ever),
        cmocka_unit_test(events_are_read_as_ever),
    };

    return cmocka_run_group_tests(tests, make_mem, free_mem);
}
