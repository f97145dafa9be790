#include "codec/evidence.h"

#include "base/text.h"
#include "codec/pb_arena.h"
#include "store.pb-c.h"

#include <string.h>

#define MEM_MAX (1U << 16)

void sup_evidence_wanted_encode(const struct sup_evidence_wanted *e, struct sup_buf *out)
{
    Supsync__Store__EvidenceWanted msg = SUPSYNC__STORE__EVIDENCE_WANTED__INIT;
    struct sup_pb_arena a;

    sup_pb_arena_init(&a, MEM_MAX);
    msg.spelling = sup_pb_text(&a, sup_slice_of(e->spelling, strnlen(e->spelling, SUP_ADDRESS_MAX)),
                               SUP_ADDRESS_MAX);
    msg.reason = (uint32_t)e->reason;
    msg.last_update_ms = e->last_update_ms;
    msg.decided_ms = e->decided_ms;
    msg.queued_ms = e->queued_ms;
    msg.attempts = e->attempts;
    sup_pb_pack(&msg.base, out);
    sup_pb_arena_reset(&a);
}

int sup_evidence_wanted_decode(struct sup_slice bytes, struct sup_evidence_wanted *out,
                               struct sup_err *err)
{
    const Supsync__Store__EvidenceWanted *msg;
    struct sup_pb_arena a;
    int rc = SUP_OK;

    memset(out, 0, sizeof(*out));
    sup_pb_arena_init(&a, MEM_MAX);
    msg = sup_pb_unpack(&supsync__store__evidence_wanted__descriptor, &a, bytes, "evidence entry",
                        &rc, err);
    if (rc == SUP_OK && (msg->reason > SUP_REASON_COMPLAINT || msg->reason == SUP_REASON_NONE ||
                         msg->spelling[0] == '\0' || strlen(msg->spelling) > SUP_ADDRESS_MAX))
        rc = sup_err_set(err, SUP_ECORRUPT, "damaged evidence entry");
    if (rc == SUP_OK) {
        sup_text_copy(out->spelling, sizeof(out->spelling), msg->spelling);
        out->reason = (enum sup_reason)msg->reason;
        out->last_update_ms = msg->last_update_ms;
        out->decided_ms = msg->decided_ms;
        out->queued_ms = msg->queued_ms;
        out->attempts = msg->attempts;
    }
    sup_pb_arena_reset(&a);
    return rc;
}
