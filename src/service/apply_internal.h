#ifndef SUP_SERVICE_APPLY_INTERNAL_H
#define SUP_SERVICE_APPLY_INTERNAL_H

#include "base/thread.h"
#include "core/sketch.h"
#include "model/hlc.h"
#include "service/apply_members.h"
#include "service/apply_txn.h"

/* Shared by apply*.c only. */

/* What a batch changes in memory beside the store; taken back with the batch. */
struct sup_apply_state {
    struct sup_hlc hlc;
    uint64_t incarnation;
    bool fresh;          /* the incarnation was made in this process's life */
    struct sup_vv vv;    /* own incarnation included: its entry is the last sequence number used */
    struct sup_vv floor; /* up to where the log was trimmed */
    struct sup_vv charges; /* by incarnation: core/admission.h */
    uint64_t log_bytes;
};

struct sup_apply {
    struct sup_apply_options opts;
    struct sup_writer *writer;
    struct sup_writer_opts batch; /* what a batch does, with or without the thread */
    uint64_t node_id;
    _Atomic uint64_t settled; /* incarnations, 0 = none: see apply.h */
    _Atomic uint64_t revoked;

    /* writer thread only */
    struct sup_apply_state now;
    struct sup_apply_state before_batch;
    struct sup_apply_state before_job;
    struct sup_vv written; /* what the store's version vector entries say */
    struct sup_vv written_floor;
    struct sup_vv written_charges;
    uint64_t written_log_bytes;
    struct sup_apply_member source; /* of the job; id 0: nobody's in particular */
    int64_t doubted_ms; /* monotonic: when a certain incarnation was given up; INT64_MIN = never */
    int64_t complained_ms;
    int64_t batch_ms;
    size_t quarantined; /* by the batch */
    bool reconciling;   /* what goes into the outbox comes of a reconciliation */
    int64_t outbox_low; /* earliest due time this batch put into the outbox; INT64_MAX: none */
    _Atomic int64_t outbox_since;      /* the same of batches since somebody asked */
    struct sup_sketch_change *changes; /* of records, for the sketch, when the commit succeeded */
    size_t n_changes, changes_cap;
    size_t changes_before_job;
    struct sup_seen *seen;
    struct sup_soft_known *soft_known;
    struct sup_mem *mem;
    struct sup_buf value;   /* last value read */
    struct sup_buf scratch; /* value being made */
    struct sup_buf encoded; /* decision being made */
    struct sup_metric *overwrites, *concurrent, *uncounted;

    /* published; under mutex */
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct sup_vv published;
    struct sup_vv published_floor;
    struct sup_vv published_charges;
    bool published_fresh;
    struct sup_apply_member members[SUP_APPLY_MEMBERS_MAX];
    size_t n_members;
    struct sup_vv forgotten; /* incarnations, with the monotonic time when they were */
    size_t n_peers;          /* who share the room of version vectors; 0: no shares */
    uint64_t published_incarnation;
    uint64_t published_log_bytes;
    sup_hlc_time published_time;
    uint64_t version;
};

/* Merges one encoded decision into its register, with all that hangs on it. reg is the decoded form
 * of encoded. p (may be NULL) brings spellings and force_outbox. */
int sup_apply_merge(struct sup_apply *a, struct sup_txn *t, struct sup_slice key,
                    enum sup_class cls, const struct sup_register *reg,
                    const struct sup_proposal *p, struct sup_applied *out, struct sup_err *err);

/* Puts a decision that arrived into the audit trail, marks what it overruled unseen, or by what it
 * was (apply_audit.c). before: the register until then. */
int sup_apply_audit(struct sup_apply *a, struct sup_txn *t, struct sup_slice key,
                    enum sup_class cls, enum sup_merge merge, const struct sup_register *before,
                    const struct sup_register *arrival, struct sup_err *err);
/* Parts of the merge, for apply_join.c. */
void sup_apply_put_expiry(struct sup_txn *t, struct sup_slice key, const struct sup_register *reg);
int sup_apply_put_record(struct sup_apply *a, struct sup_txn *t, struct sup_slice key,
                         struct sup_record *r, struct sup_err *err);
int sup_apply_note_change(struct sup_apply *a, struct sup_slice key,
                          const struct sup_registers *before, const struct sup_registers *after,
                          struct sup_err *err);

/* A peer's decision in its register's form; SUP_EINPUT when malformed. */
int sup_apply_check(const struct sup_log_entry *e, struct sup_register *reg, struct sup_err *err);
int sup_apply_quarantine(struct sup_apply *a, struct sup_txn *t, const struct sup_log_entry *e,
                         const struct sup_register *reg, struct sup_err *err);

/* Puts an entry into the log. */
int sup_apply_log(struct sup_apply *a, struct sup_txn *t, uint64_t incarnation, uint64_t seq,
                  const struct sup_log_entry *e, struct sup_err *err);
/* Logs a decision under this node's incarnation, a new one if need be, and moves its sequence on.
 */
int sup_apply_log_own(struct sup_apply *a, struct sup_txn *t, struct sup_slice key,
                      enum sup_class cls, struct sup_slice encoded, struct sup_err *err);

/* Puts the address into the outbox unless it waits there. */
int sup_apply_outbox(struct sup_apply *a, struct sup_txn *t, struct sup_slice key,
                     const struct sup_proposal *p, bool cleared, struct sup_err *err);

#endif
