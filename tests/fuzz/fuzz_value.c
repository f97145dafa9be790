/* Any bytes to every decoder of stored and replicated values: what is accepted keeps to the limits,
 * and encoding it again gives something that decodes to the same. */
#include "fuzz.h"

#include "base/utf8.h"
#include "codec/coverage.h"
#include "codec/peer_state.h"
#include "codec/value.h"

#include <string.h>

static void check_text(struct sup_slice s, size_t max)
{
    FUZZ_CHECK(s.n <= max && sup_utf8_valid(s.p, s.n));
}

static void check_decision(struct sup_slice in, struct sup_mem *m)
{
    struct sup_decision d;
    struct sup_decision again;
    struct sup_register r;
    enum sup_class cls = SUP_CLASS_BOUNCE;
    struct sup_buf b;
    int rc = sup_decision_decode(in, m, &d, NULL);

    FUZZ_CHECK(sup_register_decode(in, &r, &cls, NULL) == rc);
    if (rc != SUP_OK)
        return;
    FUZZ_CHECK(d.cls >= 1 && d.cls <= SUP_N_CLASSES && d.cls == cls);
    FUZZ_CHECK(d.state <= SUP_SUPPRESSED && d.state == r.state);
    FUZZ_CHECK(d.cause <= SUP_CAUSE_LAST && d.expires_ms >= 0 && d.expires_ms == r.expires_ms);
    FUZZ_CHECK(d.time == r.time && d.origin == r.origin && r.present);
    check_text(d.actor, SUP_ACTOR_MAX);
    check_text(d.note, SUP_NOTE_MAX);
    check_text(d.evidence.diagnostic, SUP_EVIDENCE_MAX);
    check_text(d.evidence.spelling, SUP_EVIDENCE_MAX);
    sup_buf_init(&b, SUP_DECISION_MAX);
    sup_decision_encode(&d, &b);
    FUZZ_CHECK(b.failed == SUP_OK);
    FUZZ_CHECK(sup_decision_decode(sup_buf_slice(&b), m, &again, NULL) == SUP_OK);
    FUZZ_CHECK(again.cls == d.cls && again.state == d.state && again.time == d.time);
    FUZZ_CHECK(sup_slice_eq(again.note, d.note) && sup_slice_eq(again.actor, d.actor));
    FUZZ_CHECK(sup_slice_eq(again.evidence.diagnostic, d.evidence.diagnostic));
    sup_buf_fini(&b);
}

static void check_record(struct sup_slice in, struct sup_mem *m)
{
    struct sup_record rec;
    struct sup_record again;
    struct sup_buf b;

    if (sup_record_decode(in, m, &rec, NULL) != SUP_OK)
        return;
    sup_buf_init(&b, 1U << 20);
    sup_record_encode(&rec, &b);
    FUZZ_CHECK(b.failed == SUP_OK);
    FUZZ_CHECK(sup_record_decode(sup_buf_slice(&b), m, &again, NULL) == SUP_OK);
    for (size_t i = 0; i < SUP_N_CLASSES; i++) {
        FUZZ_CHECK(rec.registers.r[i].present == again.registers.r[i].present);
        FUZZ_CHECK(sup_slice_eq(rec.registers.r[i].encoded, again.registers.r[i].encoded));
    }
    sup_buf_fini(&b);
}

static void check_entry(struct sup_slice in, struct sup_mem *m)
{
    struct sup_log_entry e;
    struct sup_register r;
    enum sup_class cls = SUP_CLASS_BOUNCE;
    int64_t ms;

    if (sup_log_entry_decode(in, m, &e, NULL) == SUP_OK) {
        FUZZ_CHECK(e.cls >= 1 && e.cls <= SUP_N_CLASSES);
        FUZZ_CHECK(e.key.n > 0 && e.key.n <= SUP_ADDRESS_MAX && !memchr(e.key.p, 0, e.key.n));
        if (sup_log_entry_register(&e, &r, NULL) == SUP_OK)
            FUZZ_CHECK(sup_register_decode(e.encoded, &r, &cls, NULL) == SUP_OK && cls == e.cls);
    }
    if (sup_quarantined_decode(in, m, &e, &ms, NULL) == SUP_OK)
        FUZZ_CHECK(e.cls >= 1 && e.cls <= SUP_N_CLASSES && e.encoded.n <= SUP_DECISION_MAX);
}

static void check_state(struct sup_slice in)
{
    static struct sup_ses_entry e;
    static struct sup_peer_state p;
    struct sup_outbox_entry o;
    struct sup_buf b;

    sup_buf_init(&b, 1U << 20);
    if (sup_ses_entry_decode(in, &e, NULL) == SUP_OK) {
        size_t n = e.n_spellings;
        FUZZ_CHECK(n <= SUP_SPELLINGS_MAX);
        for (size_t i = 0; i < n; i++)
            FUZZ_CHECK(strnlen(e.spellings[i].spelling, SUP_ADDRESS_MAX + 1) <= SUP_ADDRESS_MAX);
        sup_ses_entry_encode(&e, &b);
        FUZZ_CHECK(b.failed == SUP_OK);
        FUZZ_CHECK(sup_ses_entry_decode(sup_buf_slice(&b), &e, NULL) == SUP_OK);
        FUZZ_CHECK(e.n_spellings == n);
    }
    if (sup_outbox_entry_decode(in, &o, NULL) == SUP_OK) {
        size_t n = strnlen(o.last_error, sizeof(o.last_error));
        FUZZ_CHECK(n < sizeof(o.last_error) && sup_utf8_valid(o.last_error, n));
    }
    if (sup_peer_state_decode(in, &p, NULL) == SUP_OK) {
        FUZZ_CHECK(p.acked.n <= SUP_VV_MAX);
        for (size_t i = 1; i < p.acked.n; i++)
            FUZZ_CHECK(p.acked.e[i - 1].incarnation < p.acked.e[i].incarnation);
    }
    sup_buf_fini(&b);
}

static void check_texts(const struct sup_coverage_texts *t)
{
    FUZZ_CHECK(t->n <= SUP_COVERAGE_KEPT_MAX && t->n <= t->total);
    for (uint32_t i = 0; i < t->n; i++) {
        size_t n = strnlen(t->text[i], sizeof(t->text[i]));
        FUZZ_CHECK(n < sizeof(t->text[i]) && sup_utf8_valid(t->text[i], n));
    }
}

static void check_coverage(struct sup_slice in)
{
    static struct sup_coverage_history h;
    static struct sup_coverage_history again;
    struct sup_buf b;

    if (sup_coverage_history_decode(in, &h, NULL) != SUP_OK)
        return;
    FUZZ_CHECK(h.n_changes <= SUP_COVERAGE_CHANGES_MAX);
    FUZZ_CHECK(h.last.state <= SUP_COVERAGE_UNKNOWN && h.last.managed <= SUP_MANAGED_FAILED);
    check_texts(&h.last.gaps);
    check_texts(&h.last.unknown);
    check_texts(&h.last.notes);
    sup_buf_init(&b, 1U << 20);
    sup_coverage_history_encode(&h, &b);
    FUZZ_CHECK(b.failed == SUP_OK);
    FUZZ_CHECK(sup_coverage_history_decode(sup_buf_slice(&b), &again, NULL) == SUP_OK);
    FUZZ_CHECK(again.n_changes == h.n_changes && again.last.state == h.last.state);
    sup_buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sup_mem *m;
    struct sup_slice in = sup_slice_of(data, size);

    if (!m)
        m = sup_mem_new();
    FUZZ_CHECK(m);
    sup_mem_reset(m);
    check_decision(in, m);
    check_record(in, m);
    check_entry(in, m);
    check_state(in);
    check_coverage(in);
    return 0;
}
