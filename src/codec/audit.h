#ifndef SUP_CODEC_AUDIT_H
#define SUP_CODEC_AUDIT_H

#include "base/err.h"
#include "codec/keys.h"
#include "model/decision.h"

/* The audit trail's keys, beside those of codec/keys.h, and its marks.
 *
 * sup_key_audit has no room for two decisions of one register that share time and origin (events of
 * one millisecond; what a node with a restored store decides again). The largest of them stands
 * there. The others stand right behind, each beside it under a key of its own. */

/* The key of a decision that is not the largest of those which share base. encoded: without what
 * its maker had seen (model/decision.h), so that the same decision has the same key. */
void sup_key_audit_beside(struct sup_key *k, struct sup_slice base, struct sup_slice encoded);

/* A mark says: this decision was overruled by one that was made without having seen it, and had not
 * seen that one itself. It stands right behind its decision. */

/* Stored: never renumber. By what of the merge order the other one won. */
enum sup_overruled_by {
    SUP_OVERRULED_BY_TIME = 1,
    SUP_OVERRULED_BY_STATE = 2, /* the same time: suppressed over cleared */
    SUP_OVERRULED_BY_ORIGIN = 3,
    SUP_OVERRULED_BY_BYTES = 4
};
const char *sup_overruled_by_name(enum sup_overruled_by by); /* "time" …, never NULL */

struct sup_overruled {
    sup_hlc_time time; /* of the decision that won, which has an entry of its own */
    uint64_t origin;
    enum sup_state state;
    enum sup_overruled_by by;
};

/* The mark's key, from that of its decision, and whether a key is one. */
void sup_key_audit_mark(struct sup_key *k, struct sup_slice decision_key);
bool sup_key_audit_is_mark(struct sup_slice key);

void sup_overruled_encode(const struct sup_overruled *o, struct sup_buf *out);
int sup_overruled_decode(struct sup_slice bytes, struct sup_overruled *out, struct sup_err *err);

#endif
