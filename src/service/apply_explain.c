/* What is adopted from the Region's list, and who added it. */
#include "service/apply_explain.h"

#include "codec/keys.h"
#include "service/apply_internal.h"

int sup_apply_adopt(struct sup_apply *a, struct sup_txn *t, struct sup_slice key,
                    struct sup_decision *d, bool *won, struct sup_err *err)
{
    struct sup_proposal p = {.key = key};
    struct sup_applied applied = {0};
    struct sup_buf encoded;
    int rc;

    d->origin = a->node_id;
    d->actor = sup_slice_str("reconciler");
    sup_buf_init(&encoded, SUP_DECISION_MAX);
    sup_decision_encode(d, &encoded);
    p.encoded = sup_buf_slice(&encoded);
    rc = encoded.failed ? sup_err_set(err, encoded.failed, "decision is too large")
                        : sup_apply_decide(a, t, &p, &applied, err);
    sup_buf_fini(&encoded);
    *won = rc == SUP_OK &&
           (applied.merge == SUP_MERGE_INSERTED || applied.merge == SUP_MERGE_REPLACED);
    return rc;
}

enum sup_class sup_apply_reason_class(enum sup_reason reason)
{
    return reason == SUP_REASON_COMPLAINT ? SUP_CLASS_COMPLAINT : SUP_CLASS_BOUNCE;
}

int sup_apply_want_evidence(struct sup_apply *a, struct sup_txn *t, struct sup_slice key,
                            int64_t due_ms, const struct sup_evidence_wanted *e,
                            struct sup_err *err)
{
    struct sup_key k;

    sup_key_timed(&k, due_ms, key);
    sup_buf_reset(&a->scratch);
    sup_evidence_wanted_encode(e, &a->scratch);
    if (a->scratch.failed)
        return sup_err_set(err, a->scratch.failed, "evidence entry is too large");
    sup_txn_put(t, SUP_CF_EVIDENCE, sup_key_slice(&k), sup_buf_slice(&a->scratch));
    sup_apply_touch_outbox(a, due_ms); /* wakes the worker */
    return SUP_OK;
}

int sup_apply_postpone_evidence(struct sup_apply *a, struct sup_txn *t, struct sup_slice key,
                                int64_t due_ms, const struct sup_evidence_wanted *e,
                                int64_t wait_ms, struct sup_err *err)
{
    struct sup_evidence_wanted next = *e;
    struct sup_key k;

    sup_key_timed(&k, due_ms, key);
    sup_txn_delete(t, SUP_CF_EVIDENCE, sup_key_slice(&k));
    next.attempts++;
    return sup_apply_want_evidence(a, t, key, a->batch_ms + wait_ms, &next, err);
}

int sup_apply_explain(struct sup_apply *a, struct sup_txn *t, struct sup_slice key, int64_t due_ms,
                      const struct sup_evidence_wanted *e, const char *region,
                      const struct sup_explanation *x, struct sup_err *err)
{
    enum sup_class cls = sup_apply_reason_class(e->reason);
    bool feedback = x && (x->feedback_id[0] != '\0' || x->message_id[0] != '\0');
    struct sup_decision d = {
        .cls = cls,
        .state = SUP_SUPPRESSED,
        .cause = feedback ? SUP_CAUSE_ADOPTED_FEEDBACK : SUP_CAUSE_ADOPTED_MANUAL,
        .time = sup_hlc_from_ms(e->decided_ms) + 1,
        .note =
            sup_slice_str(feedback ? "found in the Region's SES list, which SES added it to"
                                   : "found in the Region's SES list, which somebody put it on"),
        .evidence = {.region = sup_slice_str(region),
                     .spelling = sup_slice_str(e->spelling),
                     .feedback_id = sup_slice_str(x ? x->feedback_id : ""),
                     .message_id = sup_slice_str(x ? x->message_id : "")},
    };
    struct sup_record record;
    struct sup_key k;
    bool won;
    int rc;

    sup_key_timed(&k, due_ms, key);
    sup_txn_delete(t, SUP_CF_EVIDENCE, sup_key_slice(&k));
    sup_mem_reset(a->mem);
    rc = sup_apply_record(a, t, key, a->mem, &record, err);
    if (rc != SUP_OK)
        return rc == SUP_ENOTFOUND ? SUP_OK : rc;
    if (!x || !sup_evidence_is_wanted(&record.registers, e, a->node_id))
        return SUP_OK;
    return sup_apply_adopt(a, t, key, &d, &won, err);
}

bool sup_evidence_is_wanted(const struct sup_registers *rs, const struct sup_evidence_wanted *e,
                            uint64_t node_id)
{
    const struct sup_register *r = &rs->r[sup_apply_reason_class(e->reason) - 1];

    return r->present && r->state == SUP_SUPPRESSED && r->origin == node_id &&
           r->time == sup_hlc_from_ms(e->decided_ms);
}
