/* What follows from a verdict. */
#include "core/classify.h"

#include "base/array.h"
#include "base/text_cut.h"

int64_t sup_classify_time(const struct sup_event *event, const struct sup_classify_context *ctx)
{
    const int64_t times[] = {event->event_ms, event->envelope_ms, ctx->sent_ms};
    int64_t t = ctx->now_ms;

    for (size_t i = 0; i < SUP_COUNT(times); i++)
        if (times[i] != SUP_NO_TIME && times[i] < t)
            t = times[i];
    return t;
}

void sup_verdict_decision(const struct sup_event_verdict *v, const struct sup_verdicts *vs,
                          const struct sup_event *event, const struct sup_classify_context *ctx,
                          struct sup_decision *out)
{
    *out = (struct sup_decision){
        .cls = v->cls,
        .state = v->kind == SUP_VERDICT_CLEAR ? SUP_CLEARED : SUP_SUPPRESSED,
        .cause = v->cause,
        .time = sup_hlc_from_ms(v->time_ms),
        .expires_ms = v->expires_ms,
        .evidence = {.region = ctx->region,
                     .feedback_id = sup_text_cut(event->feedback_id, SUP_EVIDENCE_MAX),
                     .message_id = sup_text_cut(event->message_id, SUP_EVIDENCE_MAX),
                     .sub_type = sup_slice_str(vs->sub_type),
                     .status = sup_text_cut(v->status, SUP_EVIDENCE_MAX),
                     .diagnostic = sup_text_cut(v->diagnostic, SUP_EVIDENCE_MAX),
                     .spelling = sup_text_cut(v->recipient, SUP_EVIDENCE_MAX)},
    };
}

void sup_classify_dedup_key(const struct sup_event *event, struct sup_slice recipient,
                            struct sup_buf *out)
{
    bool feedback = event->feedback_id.n > 0;

    sup_buf_add_byte(out, feedback ? 'f' : 'm');
    sup_buf_add_str(out,
                    sup_event_type_name(event->type)); /* stored: names last, numbers may not */
    sup_buf_add_byte(out, 0);
    if (!feedback)
        sup_buf_add_be64(out, (uint64_t)event->event_ms);
    struct sup_slice id = feedback ? event->feedback_id : event->message_id;
    sup_buf_add_be32(out, (uint32_t)id.n);
    sup_buf_add_slice(out, id);
    sup_buf_add_slice(out, recipient);
}
