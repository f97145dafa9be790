#include "property.h"

#include "base/array.h"
#include "base/utf8.h"
#include "codec/pb_arena.h"
#include "codec/value.h"
#include "store.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT_MAX 2000

/* ---- random values ---- */

/* Valid UTF-8 without NUL, of at most max bytes. */
static struct sup_slice random_text(struct sup_rng *r, char *out, size_t max)
{
    static const char *const chars[] = {"a",    " ",        "\"",           "\n",
                                        "\x7f", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x92\xa9"};
    size_t n = 0;
    size_t want = property_chance(r, 30) ? max : sup_rng_below(r, property_chance(r, 50) ? 8 : max);

    for (;;) {
        const char *c = chars[sup_rng_below(r, SUP_COUNT(chars))];
        if (n + strlen(c) > want)
            break;
        memcpy(out + n, c, strlen(c));
        n += strlen(c);
    }
    return sup_slice_of(out, n);
}

#define N_TEXTS 9

static void texts_of(struct sup_decision *d, struct sup_slice *out[N_TEXTS], size_t max[N_TEXTS])
{
    struct sup_evidence *e = &d->evidence;
    struct sup_slice *texts[N_TEXTS] = {&d->actor,       &d->note,       &e->region,
                                        &e->feedback_id, &e->message_id, &e->sub_type,
                                        &e->status,      &e->diagnostic, &e->spelling};

    for (size_t i = 0; i < N_TEXTS; i++) {
        out[i] = texts[i];
        max[i] = i == 0 ? SUP_ACTOR_MAX : i == 1 ? SUP_NOTE_MAX : SUP_EVIDENCE_MAX;
    }
}

struct texts {
    char b[N_TEXTS][TEXT_MAX];
};

static struct sup_decision random_decision(struct sup_rng *r, struct texts *t)
{
    struct sup_decision d = {
        .cls = (enum sup_class)(1 + sup_rng_below(r, SUP_N_CLASSES)),
        .state = property_chance(r, 50) ? SUP_SUPPRESSED : SUP_CLEARED,
        .cause = (enum sup_cause)sup_rng_below(r, SUP_CAUSE_LAST + 1),
        .time = property_edge_u64(r),
        .origin = property_edge_u64(r),
        .expires_ms = (int64_t)(property_edge_u64(r) >> 1),
    };
    struct sup_slice *texts[N_TEXTS];
    size_t max[N_TEXTS];

    texts_of(&d, texts, max);
    for (size_t i = 0; i < N_TEXTS; i++)
        *texts[i] = random_text(r, t->b[i], max[i]);
    return d;
}

static void assert_same_decision(struct sup_decision a, struct sup_decision b)
{
    struct sup_slice *ta[N_TEXTS];
    struct sup_slice *tb[N_TEXTS];
    size_t max[N_TEXTS];

    assert_int_equal(a.cls, b.cls);
    assert_int_equal(a.state, b.state);
    assert_int_equal(a.cause, b.cause);
    assert_true(a.time == b.time && a.origin == b.origin && a.expires_ms == b.expires_ms);
    texts_of(&a, ta, max);
    texts_of(&b, tb, max);
    for (size_t i = 0; i < N_TEXTS; i++)
        assert_true(sup_slice_eq(*ta[i], *tb[i]));
}

/* Whatever a decoder let through keeps to the limits. */
static void assert_sound_decision(struct sup_decision d)
{
    struct sup_slice *texts[N_TEXTS];
    size_t max[N_TEXTS];

    assert_in_range(d.cls, 1, SUP_N_CLASSES);
    assert_in_range(d.state, 0, SUP_SUPPRESSED);
    assert_in_range(d.cause, 0, SUP_CAUSE_LAST);
    assert_true(d.expires_ms >= 0);
    texts_of(&d, texts, max);
    for (size_t i = 0; i < N_TEXTS; i++) {
        assert_true(texts[i]->n <= max[i]);
        assert_true(sup_utf8_valid(texts[i]->p, texts[i]->n));
    }
}

/* ---- decisions ---- */

static void decisions_round_trip(void **state)
{
    struct sup_rng r = property_rng(__func__);
    struct texts *t = malloc(sizeof(*t));
    struct sup_mem *m = sup_mem_new();
    struct sup_buf b;
    struct sup_buf again;

    (void)state;
    assert_true(t && m);
    sup_buf_init(&b, SUP_DECISION_MAX);
    sup_buf_init(&again, SUP_DECISION_MAX);
    for (size_t c = property_cases(2000); c > 0; c--) {
        struct sup_decision d = random_decision(&r, t);
        struct sup_decision out;
        struct sup_register reg;
        enum sup_class cls;
        sup_buf_reset(&b);
        sup_mem_reset(m);
        sup_decision_encode(&d, &b);
        assert_int_equal(b.failed, SUP_OK);
        assert_int_equal(sup_decision_decode(sup_buf_slice(&b), m, &out, NULL), SUP_OK);
        assert_same_decision(d, out);
        assert_sound_decision(out);
        /* the encoding is canonical: it takes part in the merge order */
        sup_buf_reset(&again);
        sup_decision_encode(&out, &again);
        assert_true(sup_slice_eq(sup_buf_slice(&b), sup_buf_slice(&again)));

        assert_int_equal(sup_register_decode(sup_buf_slice(&b), &reg, &cls, NULL), SUP_OK);
        assert_int_equal(cls, d.cls);
        assert_true(reg.present && reg.state == d.state && reg.time == d.time &&
                    reg.origin == d.origin && reg.expires_ms == d.expires_ms);
        assert_ptr_equal(reg.encoded.p, b.p);
        assert_int_equal(reg.encoded.n, b.n);
    }
    sup_buf_fini(&b);
    sup_buf_fini(&again);
    sup_mem_free(m);
    sup_mem_free(NULL);
    free(t);
}

/* Any bytes of any length in a text: what is stored is valid UTF-8, at most the maximum, and a cut
 * comes at a character boundary and no earlier than it must. */
static void texts_are_cleaned_and_cut(void **state)
{
    struct sup_rng r = property_rng(__func__);
    struct sup_mem *m = sup_mem_new();
    char text[TEXT_MAX];
    struct sup_buf b;

    (void)state;
    assert_non_null(m);
    sup_buf_init(&b, SUP_DECISION_MAX);
    for (size_t c = property_cases(2000); c > 0; c--) {
        struct sup_decision d = {.cls = SUP_CLASS_MANUAL};
        struct sup_decision out;
        struct sup_slice *texts[N_TEXTS];
        size_t max[N_TEXTS];
        bool valid = property_chance(&r, 50);
        struct sup_slice s = random_text(&r, text, TEXT_MAX);
        if (!valid) {
            s.n = sup_rng_below(&r, TEXT_MAX);
            property_bytes(&r, text, s.n);
        }
        texts_of(&d, texts, max);
        for (size_t i = 0; i < N_TEXTS; i++)
            *texts[i] = s;
        sup_buf_reset(&b);
        sup_mem_reset(m);
        sup_decision_encode(&d, &b);
        assert_int_equal(b.failed, SUP_OK); /* the longest decision fits */
        assert_int_equal(sup_decision_decode(sup_buf_slice(&b), m, &out, NULL), SUP_OK);
        assert_sound_decision(out);
        texts_of(&out, texts, max);
        for (size_t i = 0; i < N_TEXTS; i++) {
            if (s.n > max[i])
                assert_in_range(texts[i]->n, max[i] - 3, max[i]);
            if (valid)
                assert_memory_equal(texts[i]->p, s.p, texts[i]->n);
            if (s.n <= max[i])
                assert_int_equal(texts[i]->n, s.n);
        }
    }
    sup_buf_fini(&b);
    sup_mem_free(m);
}

static void pack(const ProtobufCMessage *msg, struct sup_buf *b)
{
    sup_buf_reset(b);
    sup_pb_pack(msg, b);
    assert_int_equal(b->failed, SUP_OK);
}

static int decode_code(const Supsync__Store__Decision *msg, struct sup_buf *b, struct sup_mem *m,
                       struct sup_decision *out)
{
    struct sup_register reg;
    struct sup_err err = {0};

    pack(&msg->base, b);
    sup_mem_reset(m);
    int rc = sup_decision_decode(sup_buf_slice(b), m, out, &err);
    /* a decision that can be in force can be shown, and the other way round */
    assert_int_equal(sup_register_decode(sup_buf_slice(b), &reg, NULL, NULL), rc);
    assert_int_equal(err.code, rc);
    return rc;
}

/* What a newer or a hostile peer may send. */
static void decisions_out_of_range(void **state)
{
    struct sup_mem *m = sup_mem_new();
    static char longer[SUP_DECISION_MAX + 10];
    struct sup_decision out;
    struct sup_buf b;

    (void)state;
    assert_non_null(m);
    sup_buf_init(&b, 100000);
    Supsync__Store__Decision msg = SUPSYNC__STORE__DECISION__INIT;
    Supsync__Store__Evidence ev = SUPSYNC__STORE__EVIDENCE__INIT;
    assert_int_equal(decode_code(&msg, &b, m, &out), SUP_EVERSION); /* class 0: no bytes at all */
    assert_int_equal(b.n, 0);
    msg.class_ = SUP_N_CLASSES + 1;
    assert_int_equal(decode_code(&msg, &b, m, &out), SUP_EVERSION);
    msg.class_ = UINT32_MAX;
    assert_int_equal(decode_code(&msg, &b, m, &out), SUP_EVERSION);
    msg.class_ = SUP_CLASS_MANUAL;
    msg.state = 2;
    assert_int_equal(decode_code(&msg, &b, m, &out), SUP_EVERSION);
    msg.state = SUP_SUPPRESSED;
    msg.expires_ms = -1;
    assert_int_equal(decode_code(&msg, &b, m, &out), SUP_ECORRUPT);
    msg.expires_ms = 0;
    msg.cause = SUP_CAUSE_LAST + 1; /* a newer node's: the decision holds */
    assert_int_equal(decode_code(&msg, &b, m, &out), SUP_OK);
    assert_int_equal(out.cause, SUP_CAUSE_UNKNOWN);
    msg.cause = UINT32_MAX;
    assert_int_equal(decode_code(&msg, &b, m, &out), SUP_OK);
    assert_int_equal(out.cause, SUP_CAUSE_UNKNOWN);

    char bad[] = "caf\xe9";
    msg.note = bad;
    assert_int_equal(decode_code(&msg, &b, m, &out), SUP_ECORRUPT);
    msg.note = (char *)protobuf_c_empty_string;
    ev.diagnostic = bad;
    msg.evidence = &ev;
    assert_int_equal(decode_code(&msg, &b, m, &out), SUP_ECORRUPT);
    ev.diagnostic = (char *)protobuf_c_empty_string;

    memset(longer, 'x', sizeof(longer) - 1);
    longer[6000] = '\0';
    msg.actor = longer; /* over the actor's maximum: cut when read */
    assert_int_equal(decode_code(&msg, &b, m, &out), SUP_OK);
    assert_int_equal(out.actor.n, SUP_ACTOR_MAX);
    for (size_t lead = 0; lead < 3; lead++) { /* and at a character's boundary */
        memset(longer, 'x', lead);
        for (size_t i = lead; i + 3 <= 600; i += 3)
            memcpy(longer + i, "\xe2\x82\xac", 4);
        assert_int_equal(decode_code(&msg, &b, m, &out), SUP_OK);
        assert_sound_decision(out);
        assert_in_range(out.actor.n, SUP_ACTOR_MAX - 2, SUP_ACTOR_MAX);
    }
    memset(longer, 'x', sizeof(longer) - 1);
    assert_int_equal(decode_code(&msg, &b, m, &out), SUP_ELIMIT);
    msg.actor = (char *)protobuf_c_empty_string;

    /* an unknown field survives a hop: it stays in the bytes */
    pack(&msg.base, &b);
    sup_buf_add(&b, "\xa2\x06\x03new", 6); /* field 100 */
    struct sup_register reg;
    assert_int_equal(sup_register_decode(sup_buf_slice(&b), &reg, NULL, NULL), SUP_OK);
    assert_int_equal(reg.encoded.n, b.n);

    /* our own encoder never writes what decoders refuse */
    struct sup_decision d = {.cls = SUP_CLASS_MANUAL, .state = SUP_SUPPRESSED, .expires_ms = -5};
    sup_buf_reset(&b);
    sup_decision_encode(&d, &b);
    assert_int_equal(sup_register_decode(sup_buf_slice(&b), &reg, NULL, NULL), SUP_OK);
    assert_false(sup_register_suppresses(&reg, 1000));
    sup_buf_fini(&b);
    sup_mem_free(m);
}

/* ---- records, log entries, quarantined mutations ---- */

static void encode_register(struct sup_rng *r, struct texts *t, enum sup_class cls,
                            struct sup_buf *b, struct sup_register *out)
{
    struct sup_decision d = random_decision(r, t);

    d.cls = cls;
    sup_buf_reset(b);
    sup_decision_encode(&d, b);
    assert_int_equal(sup_register_decode(sup_buf_slice(b), out, NULL, NULL), SUP_OK);
}

static void records_round_trip(void **state)
{
    struct sup_rng r = property_rng(__func__);
    struct texts *t = malloc(sizeof(*t));
    struct sup_mem *m = sup_mem_new();
    struct sup_buf parts[SUP_N_CLASSES];
    struct sup_buf b;

    (void)state;
    assert_true(t && m);
    sup_buf_init(&b, 1U << 20);
    for (size_t i = 0; i < SUP_N_CLASSES; i++)
        sup_buf_init(&parts[i], SUP_DECISION_MAX);
    for (size_t c = property_cases(3000); c > 0; c--) {
        struct sup_record in = {.first_seen_ms = property_edge_i64(&r),
                                .last_seen_ms = property_edge_i64(&r)};
        struct sup_record out;
        for (size_t i = 0; i < SUP_N_CLASSES; i++) {
            if (property_chance(&r, 50))
                encode_register(&r, t, (enum sup_class)(i + 1), &parts[i], &in.registers.r[i]);
        }
        sup_buf_reset(&b);
        sup_mem_reset(m);
        sup_record_encode(&in, &b);
        assert_int_equal(sup_record_decode(sup_buf_slice(&b), m, &out, NULL), SUP_OK);
        assert_true(out.first_seen_ms == in.first_seen_ms && out.last_seen_ms == in.last_seen_ms);
        for (size_t i = 0; i < SUP_N_CLASSES; i++) {
            const struct sup_register *x = &in.registers.r[i];
            const struct sup_register *y = &out.registers.r[i];
            assert_int_equal(x->present, y->present);
            assert_true(sup_slice_eq(x->encoded, y->encoded));
            assert_true(x->time == y->time && x->origin == y->origin && x->state == y->state &&
                        x->expires_ms == y->expires_ms);
        }
    }
    for (size_t i = 0; i < SUP_N_CLASSES; i++)
        sup_buf_fini(&parts[i]);
    sup_buf_fini(&b);
    sup_mem_free(m);
    free(t);
}

static void records_refused(void **state)
{
    struct sup_rng r = property_rng(__func__);
    struct texts *t = malloc(sizeof(*t));
    struct sup_mem *m = sup_mem_new();
    Supsync__Store__Record msg = SUPSYNC__STORE__RECORD__INIT;
    ProtobufCBinaryData decisions[SUP_N_CLASSES + 1];
    struct sup_register reg;
    struct sup_record out;
    struct sup_buf part;
    struct sup_buf b;

    (void)state;
    assert_true(t && m);
    sup_buf_init(&b, 1U << 24);
    sup_buf_init(&part, SUP_DECISION_MAX);
    encode_register(&r, t, SUP_CLASS_BOUNCE, &part, &reg);
    for (size_t i = 0; i < SUP_COUNT(decisions); i++)
        decisions[i] = (ProtobufCBinaryData){part.n, part.p};
    msg.decisions = decisions;
    msg.n_decisions = 1;
    pack(&msg.base, &b);
    assert_int_equal(sup_record_decode(sup_buf_slice(&b), m, &out, NULL), SUP_ECORRUPT);
    assert_int_equal(sup_record_decode(sup_slice_of(NULL, 0), m, &out, NULL), SUP_ECORRUPT);
    msg.format = 2;
    pack(&msg.base, &b);
    assert_int_equal(sup_record_decode(sup_buf_slice(&b), m, &out, NULL), SUP_EVERSION);
    msg.format = 1;
    pack(&msg.base, &b);
    assert_int_equal(sup_record_decode(sup_buf_slice(&b), m, &out, NULL), SUP_OK);
    msg.n_decisions = 2; /* two registers of one class */
    pack(&msg.base, &b);
    assert_int_equal(sup_record_decode(sup_buf_slice(&b), m, &out, NULL), SUP_ECORRUPT);
    msg.n_decisions = SUP_N_CLASSES + 1;
    pack(&msg.base, &b);
    assert_int_equal(sup_record_decode(sup_buf_slice(&b), m, &out, NULL), SUP_ECORRUPT);

    /* a million empty decisions: refused for its size, in bounded memory */
    sup_mem_reset(m);
    sup_buf_reset(&b);
    sup_buf_add(&b, "\x08\x01", 2);
    for (int i = 0; i < 1000000; i++)
        sup_buf_add(&b, "\x12\x00", 2);
    assert_int_equal(sup_record_decode(sup_buf_slice(&b), m, &out, NULL), SUP_ELIMIT);

    /* memory that was not reset: said to be that, not to be damage; and usable again after */
    sup_mem_reset(m);
    msg.n_decisions = 1;
    pack(&msg.base, &b);
    int rc = SUP_OK;
    for (int i = 0; i < 100000 && rc == SUP_OK; i++)
        rc = sup_record_decode(sup_buf_slice(&b), m, &out, NULL);
    assert_int_equal(rc, SUP_ELIMIT);
    sup_mem_reset(m);
    assert_int_equal(sup_record_decode(sup_buf_slice(&b), m, &out, NULL), SUP_OK);
    sup_buf_fini(&part);
    sup_buf_fini(&b);
    sup_mem_free(m);
    free(t);
}

static void log_entries(void **state)
{
    struct sup_rng r = property_rng(__func__);
    struct texts *t = malloc(sizeof(*t));
    struct sup_mem *m = sup_mem_new();
    struct sup_register reg;
    struct sup_buf part;
    struct sup_buf b;

    (void)state;
    assert_true(t && m);
    sup_buf_init(&b, 1U << 20);
    sup_buf_init(&part, SUP_DECISION_MAX);
    for (size_t c = property_cases(3000); c > 0; c--) {
        char key[SUP_ADDRESS_MAX + 8];
        struct sup_log_entry in = {.cls = (enum sup_class)(1 + sup_rng_below(&r, SUP_N_CLASSES))};
        struct sup_log_entry out;
        int64_t arrived = property_edge_i64(&r);
        int64_t got = 0;
        encode_register(&r, t, in.cls, &part, &reg);
        in.encoded = sup_buf_slice(&part);
        in.key = sup_slice_of(key, sup_rng_below(&r, sizeof(key)));
        memset(key, 'k', sizeof(key));
        bool nul = in.key.n > 0 && property_chance(&r, 10);
        if (nul)
            key[sup_rng_below(&r, in.key.n)] = '\0';
        int want = in.key.n == 0 || in.key.n > SUP_ADDRESS_MAX || nul ? SUP_ECORRUPT : SUP_OK;

        sup_mem_reset(m);
        sup_buf_reset(&b);
        sup_quarantined_encode(&in, arrived, &b);
        assert_int_equal(sup_quarantined_decode(sup_buf_slice(&b), m, &out, &got, NULL), want);
        if (want == SUP_OK) {
            assert_true(got == arrived && sup_slice_eq(in.key, out.key));
            assert_true(sup_slice_eq(in.encoded, out.encoded) && in.cls == out.cls);
        }
        sup_buf_reset(&b);
        sup_log_entry_encode(&in, &b);
        assert_int_equal(sup_log_entry_decode(sup_buf_slice(&b), m, &out, NULL), want);
        if (want != SUP_OK)
            continue;
        assert_true(sup_slice_eq(in.key, out.key) && sup_slice_eq(in.encoded, out.encoded));
        assert_int_equal(in.cls, out.cls);
        assert_int_equal(sup_log_entry_register(&out, &reg, NULL), SUP_OK);
        assert_true(sup_slice_eq(reg.encoded, in.encoded));
        /* never into the register of another class */
        struct sup_err err = {0};
        reg = (struct sup_register){.present = false};
        out.cls = (enum sup_class)(in.cls % SUP_N_CLASSES + 1);
        assert_int_equal(sup_log_entry_register(&out, &reg, &err), SUP_ECORRUPT);
        assert_non_null(strstr(err.msg, sup_class_name(in.cls)));
        assert_false(reg.present);
        out.encoded.n = 0;
        assert_int_not_equal(sup_log_entry_register(&out, &reg, NULL), SUP_OK);
    }
    sup_buf_fini(&part);
    sup_buf_fini(&b);
    sup_mem_free(m);
    free(t);
}

/* ---- hostile bytes ---- */

/* One input to every decoder of replicated values. */
static size_t decode_all(struct sup_slice s, struct sup_mem *m)
{
    size_t accepted = 0;
    struct sup_decision d;
    struct sup_register reg;
    struct sup_record rec;
    struct sup_log_entry e;
    enum sup_class cls;
    int64_t ms;

    sup_mem_reset(m);
    if (sup_decision_decode(s, m, &d, NULL) == SUP_OK) {
        assert_sound_decision(d);
        accepted++;
    }
    if (sup_register_decode(s, &reg, &cls, NULL) == SUP_OK) {
        assert_in_range(cls, 1, SUP_N_CLASSES);
        assert_in_range(reg.state, 0, SUP_SUPPRESSED);
        assert_true(reg.present && reg.expires_ms >= 0);
    }
    if (sup_record_decode(s, m, &rec, NULL) == SUP_OK) {
        for (size_t i = 0; i < SUP_N_CLASSES; i++) {
            if (rec.registers.r[i].present) {
                assert_int_equal(sup_register_decode(rec.registers.r[i].encoded, &reg, &cls, NULL),
                                 SUP_OK);
                assert_int_equal(cls, i + 1);
            }
        }
        accepted++;
    }
    if (sup_log_entry_decode(s, m, &e, NULL) == SUP_OK) {
        assert_in_range(e.cls, 1, SUP_N_CLASSES);
        assert_in_range(e.key.n, 1, SUP_ADDRESS_MAX);
        assert_null(memchr(e.key.p, 0, e.key.n));
        accepted++;
    }
    if (sup_quarantined_decode(s, m, &e, &ms, NULL) == SUP_OK)
        assert_in_range(e.cls, 1, SUP_N_CLASSES);
    return accepted;
}

static void mutated_values_stay_in_range(void **state)
{
    struct sup_rng r = property_rng(__func__);
    struct texts *t = malloc(sizeof(*t));
    struct sup_mem *m = sup_mem_new();
    struct sup_register reg;
    struct sup_buf part;
    struct sup_buf b;
    size_t accepted = 0;

    (void)state;
    assert_true(t && m);
    sup_buf_init(&part, SUP_DECISION_MAX);
    sup_buf_init(&b, 1U << 20);
    for (size_t c = property_cases(4000); c > 0; c--) {
        struct sup_record rec = {.first_seen_ms = 1};
        struct sup_log_entry e = {.key = SUP_SLICE_LIT("a@x.com"), .cls = SUP_CLASS_BOUNCE};
        encode_register(&r, t, SUP_CLASS_BOUNCE, &part, &reg);
        rec.registers.r[0] = reg;
        e.encoded = sup_buf_slice(&part);
        sup_buf_reset(&b);
        switch (sup_rng_below(&r, 4)) {
        case 0:
            sup_buf_add_slice(&b, e.encoded);
            break;
        case 1:
            sup_record_encode(&rec, &b);
            break;
        case 2:
            sup_log_entry_encode(&e, &b);
            break;
        default:
            sup_quarantined_encode(&e, 5, &b);
            break;
        }
        /* exact, for the address sanitizer; sometimes cut short */
        size_t n = property_chance(&r, 20) ? sup_rng_below(&r, b.n) : b.n;
        uint8_t *p = malloc(n > 0 ? n : 1);
        assert_non_null(p);
        memcpy(p, b.p, n);
        property_mutate(&r, p, n);
        accepted += decode_all(sup_slice_of(p, n), m);
        free(p);
    }
    assert_true(accepted > 100); /* not all damage is noticed: that is why ranges are checked */
    sup_buf_fini(&part);
    sup_buf_fini(&b);
    sup_mem_free(m);
    free(t);
}

static void random_bytes_are_survived(void **state)
{
    struct sup_rng r = property_rng(__func__);
    struct sup_mem *m = sup_mem_new();

    (void)state;
    assert_non_null(m);
    for (size_t c = property_cases(30000); c > 0; c--) {
        size_t n = sup_rng_below(&r, 64);
        uint8_t *p = malloc(n > 0 ? n : 1);
        assert_non_null(p);
        property_bytes(&r, p, n);
        for (size_t i = 0; i < n; i++) {
            if (property_chance(&r, 40))
                p[i] = (uint8_t)(sup_rng_below(&r, 12) << 3 | sup_rng_below(&r, 6)); /* tags */
        }
        (void)decode_all(sup_slice_of(p, n), m);
        free(p);
    }
    (void)decode_all(sup_slice_of(NULL, 0), m);
    sup_mem_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decisions_round_trip),
        cmocka_unit_test(texts_are_cleaned_and_cut),
        cmocka_unit_test(decisions_out_of_range),
        cmocka_unit_test(records_round_trip),
        cmocka_unit_test(records_refused),
        cmocka_unit_test(log_entries),
        cmocka_unit_test(mutated_values_stay_in_range),
        cmocka_unit_test(random_bytes_are_survived),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
