/* Values that a node keeps for itself: the ses, outbox and peers column families. */
#include "property.h"

#include "base/array.h"
#include "base/utf8.h"
#include "codec/audit.h"
#include "codec/pb_arena.h"
#include "codec/peer_state.h"
#include "codec/value.h"
#include "store.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void random_spelling(struct sup_rng *r, struct sup_ses_spelling *s)
{
    s->present = property_chance(r, 50);
    s->reason = (enum sup_reason)sup_rng_below(r, 3);
    s->last_update_ms = property_edge_i64(r);
    s->write_op = (enum sup_ses_op)sup_rng_below(r, 3);
    s->write_reason = (enum sup_reason)sup_rng_below(r, 3);
    s->write_begin_ms = property_edge_i64(r);
    s->write_end_ms = property_edge_i64(r);
    s->unverified = property_chance(r, 50);
    s->noted_ms = property_edge_i64(r);
}

static void assert_same_spelling(const struct sup_ses_spelling *a, const struct sup_ses_spelling *b)
{
    assert_string_equal(a->spelling, b->spelling);
    assert_int_equal(a->present, b->present);
    assert_int_equal(a->reason, b->reason);
    assert_int_equal(a->write_op, b->write_op);
    assert_int_equal(a->write_reason, b->write_reason);
    assert_int_equal(a->unverified, b->unverified);
    assert_true(a->last_update_ms == b->last_update_ms && a->noted_ms == b->noted_ms);
    assert_true(a->write_begin_ms == b->write_begin_ms && a->write_end_ms == b->write_end_ms);
}

static void random_entry(struct sup_rng *r, struct sup_ses_entry *e)
{
    size_t n = sup_rng_below(r, SUP_SPELLINGS_MAX + 1);

    sup_ses_entry_init(e);
    e->outbox_due_ms = property_edge_i64(r);
    for (size_t i = 0; i < n; i++) {
        char text[SUP_ADDRESS_MAX + 1];
        snprintf(text, sizeof(text), "%zu%s@x.com", i, property_chance(r, 50) ? "A" : "a");
        if (property_chance(r, 10)) {
            memset(text + strlen(text), 'l', sizeof(text) - 1 - strlen(text));
            text[sizeof(text) - 1] = '\0';
        }
        struct sup_ses_spelling *s = sup_ses_entry_spelling(e, text);
        assert_non_null(s);
        assert_false(s->present);
        random_spelling(r, s);
    }
}

static void ses_entries_round_trip(void **state)
{
    struct sup_rng r = property_rng(__func__);
    struct sup_ses_entry *in = calloc(1, sizeof(*in));
    struct sup_ses_entry *out = calloc(1, sizeof(*out));
    struct sup_buf b;

    (void)state;
    assert_true(in && out);
    sup_buf_init(&b, 1U << 16);
    for (size_t c = property_cases(5000); c > 0; c--) {
        random_entry(&r, in);
        memset(out, 0xa5, sizeof(*out)); /* what was there must not shine through */
        sup_buf_reset(&b);
        sup_ses_entry_encode(in, &b);
        assert_int_equal(b.failed, SUP_OK);
        assert_int_equal(sup_ses_entry_decode(sup_buf_slice(&b), out, NULL), SUP_OK);
        assert_true(out->outbox_due_ms == in->outbox_due_ms);
        assert_int_equal(out->n_spellings, in->n_spellings);
        for (size_t i = 0; i < in->n_spellings; i++)
            assert_same_spelling(&in->spellings[i], &out->spellings[i]);
    }
    sup_buf_fini(&b);
    free(in);
    free(out);
}

static void spellings_are_exact_and_bounded(void **state)
{
    struct sup_ses_entry *e = calloc(1, sizeof(*e));
    char text[SUP_ADDRESS_MAX + 2];

    (void)state;
    assert_non_null(e);
    sup_ses_entry_init(e);
    struct sup_ses_spelling *upper = sup_ses_entry_spelling(e, "Foo@x.com");
    struct sup_ses_spelling *lower = sup_ses_entry_spelling(e, "foo@x.com");
    assert_true(upper && lower && upper != lower);
    assert_ptr_equal(sup_ses_entry_spelling(e, "Foo@x.com"), upper);
    assert_int_equal(e->n_spellings, 2);
    memset(text, 'l', sizeof(text));
    text[SUP_ADDRESS_MAX + 1] = '\0';
    assert_null(sup_ses_entry_spelling(e, text));
    text[SUP_ADDRESS_MAX] = '\0';
    assert_non_null(sup_ses_entry_spelling(e, text));
    while (e->n_spellings < SUP_SPELLINGS_MAX) {
        snprintf(text, sizeof(text), "%zu@x.com", e->n_spellings);
        assert_non_null(sup_ses_entry_spelling(e, text));
    }
    assert_null(sup_ses_entry_spelling(e, "one-more@x.com"));
    assert_ptr_equal(sup_ses_entry_spelling(e, "foo@x.com"), lower);
    free(e);
}

static int ses_code(const Supsync__Store__SesEntry *msg, struct sup_ses_entry *out)
{
    struct sup_buf b;

    sup_buf_init(&b, 1U << 20);
    sup_pb_pack(&msg->base, &b);
    assert_int_equal(b.failed, SUP_OK);
    int rc = sup_ses_entry_decode(sup_buf_slice(&b), out, NULL);
    sup_buf_fini(&b);
    return rc;
}

static void ses_entries_refused(void **state)
{
    enum { N = SUP_SPELLINGS_MAX + 1 };
    static char names[N][16];
    static char longer[SUP_ADDRESS_MAX + 2];
    Supsync__Store__SesEntry msg = SUPSYNC__STORE__SES_ENTRY__INIT;
    Supsync__Store__SesSpelling s[N];
    Supsync__Store__SesSpelling *p[N];
    struct sup_ses_entry *out = calloc(1, sizeof(*out));

    (void)state;
    assert_non_null(out);
    for (size_t i = 0; i < N; i++) {
        supsync__store__ses_spelling__init(&s[i]);
        snprintf(names[i], sizeof(names[i]), "%zu@x", i);
        s[i].spelling = names[i];
        p[i] = &s[i];
    }
    msg.spellings = p;
    assert_int_equal(ses_code(&msg, out), SUP_ECORRUPT); /* format 0 */
    msg.format = 2;
    assert_int_equal(ses_code(&msg, out), SUP_EVERSION);
    msg.format = 1;
    assert_int_equal(ses_code(&msg, out), SUP_OK);
    msg.n_spellings = N;
    assert_int_equal(ses_code(&msg, out), SUP_ECORRUPT);
    msg.n_spellings = 1;
    assert_int_equal(ses_code(&msg, out), SUP_OK);
    s[0].reason = 3;
    assert_int_equal(ses_code(&msg, out), SUP_ECORRUPT);
    s[0].reason = 0;
    s[0].write_op = 3;
    assert_int_equal(ses_code(&msg, out), SUP_ECORRUPT);
    s[0].write_op = 0;
    s[0].write_reason = UINT32_MAX;
    assert_int_equal(ses_code(&msg, out), SUP_ECORRUPT);
    s[0].write_reason = 0;
    s[0].spelling = (char *)protobuf_c_empty_string;
    assert_int_equal(ses_code(&msg, out), SUP_ECORRUPT);
    memset(longer, 'x', sizeof(longer) - 1);
    s[0].spelling = longer;
    assert_int_equal(ses_code(&msg, out), SUP_ECORRUPT);
    longer[SUP_ADDRESS_MAX] = '\0';
    assert_int_equal(ses_code(&msg, out), SUP_OK);
    assert_int_equal(sup_ses_entry_decode(sup_slice_of(NULL, 0), out, NULL), SUP_ECORRUPT);
    free(out);
}

static void outbox_entries(void **state)
{
    struct sup_rng r = property_rng(__func__);
    struct sup_buf b;

    (void)state;
    sup_buf_init(&b, 1U << 16);
    for (size_t c = property_cases(5000); c > 0; c--) {
        struct sup_outbox_entry in = {.attempts = (uint32_t)property_edge_u64(&r),
                                      .queued_ms = property_edge_i64(&r),
                                      .run = property_chance(&r, 50)};
        struct sup_outbox_entry out;
        bool text = property_chance(&r, 50);
        /* what snprintf leaves of a long message: it may end inside a character */
        if (text)
            snprintf(in.last_error, sizeof(in.last_error), "%*s\xe2\x82\xac",
                     (int)sup_rng_below(&r, 170), "x");
        else
            property_bytes(&r, in.last_error, sup_rng_below(&r, sizeof(in.last_error) + 1));
        sup_buf_reset(&b);
        sup_outbox_entry_encode(&in, &b);
        memset(&out, 0xa5, sizeof(out));
        assert_int_equal(sup_outbox_entry_decode(sup_buf_slice(&b), &out, NULL), SUP_OK);
        assert_true(out.attempts == in.attempts && out.queued_ms == in.queued_ms &&
                    out.run == in.run);
        size_t n = strnlen(out.last_error, sizeof(out.last_error));
        assert_true(n < sizeof(out.last_error) && sup_utf8_valid(out.last_error, n));
        if (text)
            assert_memory_equal(out.last_error, in.last_error, n > 3 ? n - 3 : 0);
        /* from then on it is stable */
        in = out;
        sup_buf_reset(&b);
        sup_outbox_entry_encode(&in, &b);
        assert_int_equal(sup_outbox_entry_decode(sup_buf_slice(&b), &out, NULL), SUP_OK);
        assert_string_equal(in.last_error, out.last_error);
    }
    sup_buf_fini(&b);
}

static void outbox_text_of_a_longer_program_is_cut(void **state)
{
    Supsync__Store__OutboxEntry msg = SUPSYNC__STORE__OUTBOX_ENTRY__INIT;
    struct sup_outbox_entry out;
    char text[400];
    struct sup_buf b;

    (void)state;
    for (size_t lead = 0; lead < 4; lead++) {
        memset(text, 'x', lead);
        for (size_t i = lead; i + 3 < sizeof(text); i += 3)
            memcpy(text + i, "\xe2\x82\xac", 4);
        msg.last_error = text;
        sup_buf_init(&b, 1000);
        sup_pb_pack(&msg.base, &b);
        assert_int_equal(sup_outbox_entry_decode(sup_buf_slice(&b), &out, NULL), SUP_OK);
        assert_in_range(strlen(out.last_error), sizeof(out.last_error) - 4,
                        sizeof(out.last_error) - 1);
        assert_true(sup_utf8_valid(out.last_error, strlen(out.last_error)));
        sup_buf_fini(&b);
    }
}

static void peer_states(void **state)
{
    struct sup_rng r = property_rng(__func__);
    struct sup_peer_state *in = calloc(1, sizeof(*in));
    struct sup_peer_state *out = calloc(1, sizeof(*out));
    struct sup_buf b;

    (void)state;
    assert_true(in && out);
    sup_buf_init(&b, 1U << 16);
    for (size_t c = property_cases(500); c > 0; c--) {
        size_t n = property_chance(&r, 20) ? SUP_VV_MAX : sup_rng_below(&r, 8);
        memset(in, 0, sizeof(*in));
        memset(out, 0xa5, sizeof(*out));
        memset(in->name, 'n', sup_rng_below(&r, sizeof(in->name)));
        in->node_id = property_edge_u64(&r);
        in->incarnation = property_edge_u64(&r);
        in->last_contact_ms = property_edge_i64(&r);
        while (in->acked.n < n)
            assert_int_equal(
                sup_vv_raise(&in->acked, sup_rng_u64(&r), 1 + (property_edge_u64(&r) >> 1)),
                SUP_OK);
        memset(in->url, 'u', sup_rng_below(&r, sizeof(in->url)));
        for (size_t i = sup_rng_below(&r, 2 * SUP_PEER_RULINGS_MAX); i > 0; i--)
            sup_peer_state_rule(in, (int64_t)i, i % 2 == 1, "an actor", i % 3 ? "a note" : "");
        sup_buf_reset(&b);
        sup_peer_state_encode(in, &b);
        assert_int_equal(sup_peer_state_decode(sup_buf_slice(&b), out, NULL), SUP_OK);
        assert_string_equal(in->name, out->name);
        assert_true(in->node_id == out->node_id && in->incarnation == out->incarnation);
        assert_true(in->last_contact_ms == out->last_contact_ms && in->acked.n == out->acked.n);
        assert_memory_equal(in->acked.e, out->acked.e, n * sizeof(in->acked.e[0]));
        assert_string_equal(in->url, out->url);
        assert_int_equal(in->n_rulings, out->n_rulings);
        for (size_t i = 0; i < in->n_rulings; i++) {
            assert_true(in->rulings[i].time_ms == out->rulings[i].time_ms);
            assert_true(in->rulings[i].decommission == out->rulings[i].decommission);
            assert_string_equal(in->rulings[i].actor, out->rulings[i].actor);
            assert_string_equal(in->rulings[i].note, out->rulings[i].note);
        }
        /* The last ruling, the first by number, decommissions; without one nobody did. */
        assert_true(sup_peer_state_decommissioned(out) == (in->n_rulings > 0));
    }
    sup_buf_fini(&b);
    free(in);
    free(out);
}

static void marks_of_overruled_decisions(void **state)
{
    struct sup_rng r = property_rng(__func__);
    struct sup_buf b;

    (void)state;
    sup_buf_init(&b, 4096);
    for (size_t c = property_cases(500); c > 0; c--) {
        struct sup_overruled in = {
            .time = property_edge_u64(&r),
            .origin = property_edge_u64(&r),
            .state = property_chance(&r, 50) ? SUP_SUPPRESSED : SUP_CLEARED,
            .by = (enum sup_overruled_by)(1 + sup_rng_below(&r, SUP_OVERRULED_BY_BYTES))};
        struct sup_overruled out;
        sup_buf_reset(&b);
        sup_overruled_encode(&in, &b);
        assert_int_equal(sup_overruled_decode(sup_buf_slice(&b), &out, NULL), SUP_OK);
        assert_true(in.time == out.time && in.origin == out.origin && in.state == out.state);
        assert_int_equal(in.by, out.by);
        assert_true(sup_overruled_by_name(out.by)[0] != '\0');
    }
    sup_buf_reset(&b);
    sup_buf_add(&b, "\x08\xff", 2);
    {
        struct sup_overruled out;
        assert_int_equal(sup_overruled_decode(sup_buf_slice(&b), &out, NULL), SUP_ECORRUPT);
    }
    assert_string_equal(sup_overruled_by_name((enum sup_overruled_by)99), "");
    sup_buf_fini(&b);
}

/* What a decision had seen is the same whether it was encoded with it or added later. */
static void priors_of_decisions(void **state)
{
    struct sup_rng r = property_rng(__func__);
    struct sup_buf with;
    struct sup_buf later;

    (void)state;
    sup_buf_init(&with, SUP_DECISION_MAX);
    sup_buf_init(&later, SUP_DECISION_MAX);
    for (size_t c = property_cases(500); c > 0; c--) {
        struct sup_decision d = {.cls = SUP_CLASS_MANUAL, .time = 5, .origin = 7};
        struct sup_register reg;
        sup_buf_reset(&with);
        sup_buf_reset(&later);
        sup_decision_encode(&d, &later);
        assert_int_equal(sup_register_decode(sup_buf_slice(&later), &reg, NULL, NULL), SUP_OK);
        assert_false(reg.prior.present);
        d.prior =
            (struct sup_prior){.present = true,
                               .state = property_chance(&r, 50) ? SUP_SUPPRESSED : SUP_CLEARED,
                               .time = property_edge_u64(&r),
                               .origin = property_edge_u64(&r) | 1};
        sup_decision_add_prior(&d.prior, &later);
        sup_decision_encode(&d, &with);
        assert_true(sup_slice_eq(sup_buf_slice(&with), sup_buf_slice(&later)));
        assert_int_equal(sup_register_decode(sup_buf_slice(&with), &reg, NULL, NULL), SUP_OK);
        assert_true(reg.prior.present && reg.prior.time == d.prior.time &&
                    reg.prior.origin == d.prior.origin && reg.prior.state == d.prior.state);
    }
    sup_buf_fini(&with);
    sup_buf_fini(&later);
}

static void peer_states_refused(void **state)
{
    Supsync__Store__PeerState msg = SUPSYNC__STORE__PEER_STATE__INIT;
    struct sup_peer_state *out = calloc(1, sizeof(*out));
    uint64_t numbers[SUP_VV_MAX + 1];
    char name[257];
    struct sup_buf b;

    (void)state;
    assert_non_null(out);
    for (size_t i = 0; i < SUP_COUNT(numbers); i++)
        numbers[i] = i + 1;
    msg.acked_incarnation = numbers;
    msg.acked_seq = numbers;
    static const struct {
        size_t n_inc, n_seq, name_n;
        int want;
    } cases[] = {
        {0, 0, 0, SUP_OK},
        {SUP_VV_MAX, SUP_VV_MAX, 255, SUP_OK},
        {SUP_VV_MAX + 1, SUP_VV_MAX + 1, 0, SUP_ECORRUPT},
        {2, 3, 0, SUP_ECORRUPT},
        {1, 0, 0, SUP_ECORRUPT},
        {0, 0, 256, SUP_ECORRUPT},
    };
    for (size_t i = 0; i < SUP_COUNT(cases); i++) {
        memset(name, 'n', sizeof(name));
        name[cases[i].name_n] = '\0';
        msg.name = name;
        msg.n_acked_incarnation = cases[i].n_inc;
        msg.n_acked_seq = cases[i].n_seq;
        sup_buf_init(&b, 1U << 16);
        sup_pb_pack(&msg.base, &b);
        assert_int_equal(sup_peer_state_decode(sup_buf_slice(&b), out, NULL), cases[i].want);
        sup_buf_fini(&b);
    }
    /* a packed field that says it holds a gigabyte */
    assert_int_equal(sup_peer_state_decode(SUP_SLICE_LIT("\x2a\xff\xff\xff\xff\x03"), out, NULL),
                     SUP_ECORRUPT);
    free(out);
}

static void decode_all(struct sup_slice s, struct sup_ses_entry *e, struct sup_peer_state *p)
{
    struct sup_outbox_entry o;

    if (sup_ses_entry_decode(s, e, NULL) == SUP_OK) {
        assert_true(e->n_spellings <= SUP_SPELLINGS_MAX);
        for (size_t i = 0; i < e->n_spellings; i++) {
            assert_in_range(strnlen(e->spellings[i].spelling, SUP_ADDRESS_MAX + 1), 1,
                            SUP_ADDRESS_MAX);
            assert_in_range(e->spellings[i].reason, 0, SUP_REASON_COMPLAINT);
            assert_in_range(e->spellings[i].write_reason, 0, SUP_REASON_COMPLAINT);
            assert_in_range(e->spellings[i].write_op, 0, SUP_SES_DELETE);
        }
    }
    if (sup_outbox_entry_decode(s, &o, NULL) == SUP_OK)
        assert_true(strnlen(o.last_error, sizeof(o.last_error)) < sizeof(o.last_error));
    if (sup_peer_state_decode(s, p, NULL) == SUP_OK) {
        assert_true(p->acked.n <= SUP_VV_MAX && strnlen(p->name, 256) < 256);
        for (size_t i = 1; i < p->acked.n; i++)
            assert_true(p->acked.e[i - 1].incarnation < p->acked.e[i].incarnation);
    }
}

static void damaged_values_stay_in_range(void **state)
{
    struct sup_rng r = property_rng(__func__);
    struct sup_ses_entry *e = calloc(1, sizeof(*e));
    struct sup_peer_state *p = calloc(1, sizeof(*p));
    struct sup_buf b;

    (void)state;
    assert_true(e && p);
    sup_buf_init(&b, 1U << 16);
    for (size_t c = property_cases(10000); c > 0; c--) {
        sup_buf_reset(&b);
        if (property_chance(&r, 50)) {
            random_entry(&r, e);
            sup_ses_entry_encode(e, &b);
        } else {
            memset(p, 0, sizeof(*p));
            memcpy(p->name, "peer", 5);
            for (size_t k = sup_rng_below(&r, 5); k > 0; k--)
                assert_int_equal(sup_vv_raise(&p->acked, property_edge_u64(&r), 9), SUP_OK);
            sup_peer_state_encode(p, &b);
        }
        size_t n = property_chance(&r, 20) ? sup_rng_below(&r, b.n + 1) : b.n;
        uint8_t *exact = malloc(n > 0 ? n : 1);
        assert_non_null(exact);
        memcpy(exact, b.p, n);
        if (property_chance(&r, 10))
            property_bytes(&r, exact, n);
        property_mutate(&r, exact, n);
        decode_all(sup_slice_of(exact, n), e, p);
        free(exact);
    }
    sup_buf_fini(&b);
    free(e);
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ses_entries_round_trip),
        cmocka_unit_test(spellings_are_exact_and_bounded),
        cmocka_unit_test(ses_entries_refused),
        cmocka_unit_test(outbox_entries),
        cmocka_unit_test(outbox_text_of_a_longer_program_is_cut),
        cmocka_unit_test(peer_states),
        cmocka_unit_test(marks_of_overruled_decisions),
        cmocka_unit_test(priors_of_decisions),
        cmocka_unit_test(peer_states_refused),
        cmocka_unit_test(damaged_values_stay_in_range),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
