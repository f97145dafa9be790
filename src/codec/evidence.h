#ifndef SUP_CODEC_EVIDENCE_H
#define SUP_CODEC_EVIDENCE_H

#include "base/buf.h"
#include "base/err.h"
#include "model/address.h"
#include "model/decision.h"

#include <stdint.h>

/* An adopted entry of the Region's list of which SES is to be asked who added it: evidence: time in
 * ms from which it may be asked ‖ address → this (proto/store.proto). Encoders and decoders as in
 * codec/value.h. */
struct sup_evidence_wanted {
    char spelling[SUP_ADDRESS_MAX + 1];
    enum sup_reason reason;
    int64_t last_update_ms; /* of the entry as it was adopted: another one is another entry */
    int64_t decided_ms;     /* time of the decision that it became */
    int64_t queued_ms;
    uint32_t attempts;
};
void sup_evidence_wanted_encode(const struct sup_evidence_wanted *e, struct sup_buf *out);
int sup_evidence_wanted_decode(struct sup_slice bytes, struct sup_evidence_wanted *out,
                               struct sup_err *err);

#endif
