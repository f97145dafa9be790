#ifndef SUP_SERVICE_APPLY_EXPLAIN_H
#define SUP_SERVICE_APPLY_EXPLAIN_H

#include "codec/evidence.h"
#include "service/apply_txn.h"

/* Entries that SES or a person added are adopted at once: a suppression never waits for evidence.
 * Who added an entry only GetSuppressedDestination tells: its Attributes (MessageId, FeedbackId)
 * are there if SES did, and absent if somebody's put did ("Manage tenant suppression lists", Amazon
 * SES Developer Guide). So the question is queued with the adoption, and an answer makes a second
 * decision, with a cause of its own. All on the writer thread. */

/* Decides d, which has a time of its own as an event has. *won: it is the register's now. */
int sup_apply_adopt(struct sup_apply *a, struct sup_txn *t, struct sup_slice key,
                    struct sup_decision *d, bool *won, struct sup_err *err);
enum sup_class sup_apply_reason_class(enum sup_reason reason);

/* Queues the question. */
int sup_apply_want_evidence(struct sup_apply *a, struct sup_txn *t, struct sup_slice key,
                            int64_t due_ms, const struct sup_evidence_wanted *e,
                            struct sup_err *err);
struct sup_explanation {
    const char *feedback_id; /* both "" if SES knows of none: somebody put it */
    const char *message_id;
};
/* Is the decision that the entry became still what its register holds? */
bool sup_evidence_is_wanted(const struct sup_registers *rs, const struct sup_evidence_wanted *e,
                            uint64_t node_id);
/* Ends the question: where the decision still stands, one with the evidence takes its place, the
 * least later that a time can be, so that it overrules nothing else. x NULL: there is no answer,
 * the adoption stays as it is. */
int sup_apply_explain(struct sup_apply *a, struct sup_txn *t, struct sup_slice key, int64_t due_ms,
                      const struct sup_evidence_wanted *e, const char *region,
                      const struct sup_explanation *x, struct sup_err *err);
/* It is asked again, after wait_ms. */
int sup_apply_postpone_evidence(struct sup_apply *a, struct sup_txn *t, struct sup_slice key,
                                int64_t due_ms, const struct sup_evidence_wanted *e,
                                int64_t wait_ms, struct sup_err *err);

#endif
