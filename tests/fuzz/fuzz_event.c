/* SES events in any envelope: both readers tell the same, whatever was read can be classified, and
 * no verdict breaks its promises. */
#include "fuzz.h"

#include "core/classify.h"
#include "core/event_read.h"
#include "event_text.h"
#include "json_reference.h"

#include <string.h>

static void check_verdict(const struct sup_event *e, const struct sup_verdicts *vs,
                          const struct sup_event_verdict *v, const struct sup_classify_context *ctx)
{
    bool decides = v->kind == SUP_VERDICT_SUPPRESS || v->kind == SUP_VERDICT_CLEAR;
    struct sup_decision d;
    struct sup_buf key;

    FUZZ_CHECK(v->time_ms <= ctx->now_ms);
    FUZZ_CHECK(v->rule != NULL &&
               (v->kind == SUP_VERDICT_BAD_ADDRESS) == (v->address.key_len == 0));
    FUZZ_CHECK(!decides || (v->n_spellings > 0 && !sup_address_is_simulator(&v->address)));
    FUZZ_CHECK(!decides || (e->n_destination > 0 && v->cause != SUP_CAUSE_UNKNOWN));
    sup_verdict_decision(v, vs, e, ctx, &d);
    FUZZ_CHECK(d.evidence.diagnostic.n <= SUP_EVIDENCE_MAX);
    sup_buf_init(&key, 3 << 20);
    sup_classify_dedup_key(e, sup_slice_of(v->address.key, v->address.key_len), &key);
    FUZZ_CHECK(key.n > 0 && key.failed == SUP_OK);
    sup_buf_fini(&key);
}

static void classify_all(struct sup_event_reader *r, struct sup_slice body, bool generous)
{
    const struct sup_classify_policy policy = {.suppress_ambiguous_complaints = generous,
                                               .global_list_ttl_ms = 1000};
    const struct sup_classify_context ctx = {
        .now_ms = INT64_C(1700000000000), .sent_ms = SUP_NO_TIME, .policy = &policy};
    struct sup_verdicts vs = {0};
    struct sup_event e;
    int rc;

    sup_event_reader_begin_stream(r, body);
    while ((rc = sup_event_reader_next(r, &e, NULL)) != SUP_ENOTFOUND) {
        if (rc != SUP_OK)
            continue;
        FUZZ_CHECK(sup_classify(&e, &ctx, &vs) == SUP_OK);
        for (size_t i = 0; i < vs.n; i++)
            check_verdict(&e, &vs, &vs.v[i], &ctx);
    }
    sup_verdicts_fini(&vs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sup_event_reader *fast, *plain;
    struct sup_slice body = sup_slice_of(data, size);
    struct sup_buf a, b;

    if (fast == NULL) {
        fast = sup_event_reader_new();
        plain = sup_event_reader_new_with(&json_reference);
        FUZZ_CHECK(fast != NULL && plain != NULL);
    }
    sup_buf_init(&a, 64 << 20);
    sup_buf_init(&b, 64 << 20);
    for (int stream = 0; stream < 2; stream++) {
        event_text_of(fast, body, stream != 0, &a);
        event_text_of(plain, body, stream != 0, &b);
        FUZZ_CHECK(sup_slice_eq(sup_buf_slice(&a), sup_buf_slice(&b)));
    }
    sup_buf_fini(&a);
    sup_buf_fini(&b);
    classify_all(fast, body, size % 2 == 0);
    return 0;
}
