#ifndef SUP_SERVICE_APPLY_H
#define SUP_SERVICE_APPLY_H

#include "codec/hash.h"
#include "codec/value.h"
#include "core/merge.h"
#include "model/vv.h"
#include "store/writer.h"

/* Apply: the one place where a decision can change anything.
 *
 * Everything — events, operators, peers, findings in the SES list — becomes a job on the store's
 * writer thread. In one transaction it merges the register, logs the mutation, writes the audit
 * trail, the dedup mark, the expiry and, if what the Region's list should hold changed, the outbox
 * entry. Nobody is acknowledged before the transaction is durable. */

struct sup_apply;

struct sup_apply_options {
    struct sup_store *store; /* borrowed */
    struct sup_hash_key hash;
    int64_t max_clock_drift_ms;
    int64_t dedup_ttl_ms;
    int64_t (*wall_ms)(void); /* NULL: the system's */
    /* On the writer thread after a commit that touched the outbox; may be NULL. */
    void (*outbox_changed)(void *arg);
    void *arg;
};

/* Reads the counters from the store and starts the writer. SUP_EINPUT: the store's addresses are
 * hashed with another key. */
int sup_apply_start(const struct sup_apply_options *opts, struct sup_apply **out,
                    struct sup_err *err);
void sup_apply_stop(struct sup_apply *a); /* drains and waits */
void sup_apply_free(struct sup_apply *a);

struct sup_writer *sup_apply_writer(struct sup_apply *a);
const struct sup_hash_key *sup_apply_hash(const struct sup_apply *a);
uint64_t sup_apply_node_id(const struct sup_apply *a);

/* --- published state: what is durable; any thread --- */
uint64_t sup_apply_incarnation(struct sup_apply *a);
void sup_apply_vv(struct sup_apply *a, struct sup_vv *out);
/* Waits until the version vector differs from what `seen` stood for, at most timeout_ms; returns
 * the new value for `seen` (start with 0). */
uint64_t sup_apply_wait(struct sup_apply *a, uint64_t seen, int64_t timeout_ms);
/* The present value for `seen`. */
uint64_t sup_apply_version(struct sup_apply *a);
/* Wakes every sup_apply_wait, for shutdown. */
void sup_apply_wake(struct sup_apply *a);

/* --- jobs --- */

/* A store job that knows about apply: when run fails, the counters it moved are taken back together
 * with its writes. The caller owns the memory until done ran; threads and blocking as in
 * store/writer.h. */
struct sup_apply_job {
    struct sup_job job;
    struct sup_apply *apply;
    int (*run)(struct sup_apply_job *j, struct sup_txn *t, struct sup_err *err);
    void (*done)(struct sup_apply_job *j, int code, const struct sup_err *err);
};

/* As sup_writer_submit; run and done must be set. */
int sup_apply_submit(struct sup_apply *a, struct sup_apply_job *j, int64_t timeout_ms);
/* Runs fn as a job and waits until its commit is durable. Never from the writer thread. */
int sup_apply_run(struct sup_apply *a,
                  int (*fn)(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err),
                  void *arg, struct sup_err *err);

/* --- inside a job's run, on the writer thread --- */

/* Wall time, read once a batch. */
int64_t sup_apply_now_ms(const struct sup_apply *a);

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
    const char *spellings[2];
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
