#ifndef SUP_SERVICE_APPLY_TXN_H
#define SUP_SERVICE_APPLY_TXN_H

#include "core/reconcile_plan.h"
#include "service/apply.h"

/* What a job may do inside its run: all of it on the writer thread, in the batch's transaction. */

/* Wall time, read once a batch. */
int64_t sup_apply_now_ms(const struct sup_apply *a);

size_t sup_apply_quarantined(const struct sup_apply *a); /* decisions, by the batch so far */

#define SUP_PROPOSAL_SPELLINGS_MAX 4

/* What a caller would like to decide. */
struct sup_proposal {
    struct sup_slice key; /* address key */
    /* Either made beforehand, with the event's own time and this node as origin … */
    struct sup_slice encoded;
    /* … or, when encoded is empty, from d with the clock's time; origin and time are filled in. */
    struct sup_decision d;
    bool reversal;          /* only undoes: without a suppressed register nothing happens */
    struct sup_slice dedup; /* identity of the event's recipient; empty = none */
    /* Spellings under which the Region's list may hold the address because of this event. */
    const char *spellings[SUP_PROPOSAL_SPELLINGS_MAX];
    size_t n_spellings;
    bool force_outbox; /* look at the list even if nothing changed */
};

struct sup_applied {
    bool duplicate; /* the dedup mark was there: nothing else happened */
    bool skipped;   /* a reversal with nothing to undo */
    enum sup_merge merge;
    enum sup_reason before, after; /* effective reason of the address */
};

/* Decides locally. A decision that wins is logged under this node's incarnation. */
int sup_apply_decide(struct sup_apply *a, struct sup_txn *t, const struct sup_proposal *p,
                     struct sup_applied *out, struct sup_err *err);

/* Whose word the rest of the job carries: its number by sup_apply_member. A job that does not say
 * carries nobody's in particular. */
void sup_apply_from(struct sup_apply *a, uint64_t member);

enum sup_remote {
    SUP_REMOTE_APPLIED,
    SUP_REMOTE_DUPLICATE,
    SUP_REMOTE_QUARANTINED,
    SUP_REMOTE_UNCOUNTED /* merged, but its position is not kept: core/admission.h */
};

/* A peer's mutation. Must continue its incarnation's sequence, if that has an entry in the version
 * vector: SUP_EINPUT at a gap or when malformed. What the incarnation's own node sends is merged
 * even if the number was there already: a third one may have used it first, and falsely. */
int sup_apply_remote(struct sup_apply *a, struct sup_txn *t, const struct sup_mutation *m,
                     enum sup_remote *out, struct sup_err *err);

/* Quarantined mutations whose time has come, at most max of them. */
int sup_apply_release(struct sup_apply *a, struct sup_txn *t, size_t max, size_t *released,
                      struct sup_err *err);

/* Suppressions that ended by themselves: gives the Region's list its outbox entry. At most max. */
int sup_apply_expire(struct sup_apply *a, struct sup_txn *t, size_t max, size_t *expired,
                     struct sup_err *err);

/* A decision that came outside of a log (repair, snapshot): merged, or quarantined when from the
 * future, but not logged: what carries it to others is the same repair. SUP_EINPUT: malformed. */
int sup_apply_repaired(struct sup_apply *a, struct sup_txn *t, struct sup_slice key,
                       enum sup_class cls, struct sup_slice encoded, enum sup_remote *out,
                       struct sup_err *err);

/* A whole record of a snapshot: its registers merged at once. Nothing is put into the outbox: a
 * node that joins does not know yet what its Region's list holds, and the scan that follows finds
 * what is missing there. *out: whether any of it was quarantined. SUP_EINPUT: malformed. */
int sup_apply_joined(struct sup_apply *a, struct sup_txn *t, struct sup_slice key,
                     const struct sup_slice *decisions, size_t n, enum sup_remote *out,
                     struct sup_err *err);

/* Everything up to vv was taken in by a repair (the donor's records AND what it had in quarantine,
 * as of the moment when its version vector was vv): raises the version vector and, where that left
 * the log behind, the floor. What the source's share has no room for is left out. */
int sup_apply_adopt_vv(struct sup_apply *a, struct sup_txn *t, const struct sup_vv *vv,
                       struct sup_err *err);

struct sup_apply_trim {
    uint64_t incarnation;
    uint64_t upto; /* the last entry to go */
    uint64_t from; /* where deleting goes on; 0 at first, moved by each call */
    bool more;     /* there is more to delete than max: call again */
};
/* Raises the incarnation's floor to upto and deletes at most max log entries below it. */
int sup_apply_trim(struct sup_apply *a, struct sup_txn *t, struct sup_apply_trim *trim, size_t max,
                   struct sup_err *err);

/* Forgets incarnations: those of which no more is here than these say, and whose log is trimmed up
 * to there. For a while they are not taken from other nodes' vectors, which may not have come to
 * it yet. */
int sup_apply_retire(struct sup_apply *a, struct sup_txn *t, const struct sup_vv *incarnations,
                     struct sup_err *err);

/* The record of an address in the transaction's view; SUP_ENOTFOUND. Slices live in m. */
int sup_apply_record(struct sup_apply *a, struct sup_txn *t, struct sup_slice key,
                     struct sup_mem *m, struct sup_record *out, struct sup_err *err);

/* Changes nothing; what was found becomes what is known; and the plan is carried out. */
enum sup_reconcile_mode { SUP_RECONCILE_LOOK, SUP_RECONCILE_NOTE, SUP_RECONCILE_ACT };
/* What a list scan found of one address; its registers and known are ignored, for the plan (*done)
 * is made anew from what the transaction sees. Carried out, adoptions become decisions, and if the
 * list is to be written the address goes into the outbox. */
int sup_apply_reconcile(struct sup_apply *a, struct sup_txn *t,
                        const struct sup_reconcile_address *address,
                        const struct sup_reconcile_rules *rules, const char *region,
                        enum sup_reconcile_mode mode, struct sup_reconcile_plan *done,
                        struct sup_err *err);

/* Marks that this batch put an entry into the outbox, so that the worker is woken. */
void sup_apply_touch_outbox(struct sup_apply *a, int64_t due_ms);

#endif
