#ifndef SUP_SERVICE_APPLY_TXN_H
#define SUP_SERVICE_APPLY_TXN_H

#include "service/apply.h"

/* What a job may do inside its run: all of it on the writer thread, in the batch's transaction. */

/* Wall time, read once a batch. */
int64_t sup_apply_now_ms(const struct sup_apply *a);

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

enum sup_remote { SUP_REMOTE_APPLIED, SUP_REMOTE_DUPLICATE, SUP_REMOTE_QUARANTINED };

/* A peer's mutation. Must continue its incarnation's sequence: SUP_EINPUT at a gap or when
 * malformed. */
int sup_apply_remote(struct sup_apply *a, struct sup_txn *t, const struct sup_mutation *m,
                     enum sup_remote *out, struct sup_err *err);

/* Quarantined mutations whose time has come, at most max of them. */
int sup_apply_release(struct sup_apply *a, struct sup_txn *t, size_t max, size_t *released,
                      struct sup_err *err);

/* Suppressions that ended by themselves: gives the Region's list its outbox entry. At most max. */
int sup_apply_expire(struct sup_apply *a, struct sup_txn *t, size_t max, size_t *expired,
                     struct sup_err *err);

/* A new incarnation, under which the sequence starts again at 1: for a store that was rolled back,
 * when a peer has more of our incarnation than we do. What this node logged behind agreed_seq (the
 * last number that a peer is known to have had from us) may differ from what the peers hold under
 * those numbers: it is logged anew under the new incarnation, and the old numbers are pulled from
 * the peers. Nothing happens (SUP_OK) if the incarnation is not old any more. */
int sup_apply_renew_incarnation(struct sup_apply *a, struct sup_txn *t, uint64_t old,
                                uint64_t agreed_seq, struct sup_err *err);

/* The record of an address in the transaction's view; SUP_ENOTFOUND. Slices live in m. */
int sup_apply_record(struct sup_apply *a, struct sup_txn *t, struct sup_slice key,
                     struct sup_mem *m, struct sup_record *out, struct sup_err *err);

/* Marks that this batch changed the outbox, so that the worker is woken. */
void sup_apply_touch_outbox(struct sup_apply *a);

#endif
