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
struct sup_seen;
struct sup_soft_known;
struct sup_sketch_keeper;

struct sup_apply_options {
    struct sup_store *store; /* borrowed */
    struct sup_hash_key hash;
    int64_t max_clock_drift_ms;
    int64_t dedup_ttl_ms;
    int64_t (*wall_ms)(void);    /* NULL: the system's */
    int64_t (*mono_ms)(void);    /* likewise */
    uint64_t (*random_id)(void); /* NULL: the kernel's; never 0 */
    /* Moved on with each commit; borrowed, made of this store and hash; NULL: no sketch is kept. */
    struct sup_sketch_keeper *keeper;
    bool threadless; /* no writer thread: the caller runs sup_apply_batch */
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

struct sup_writer *sup_apply_writer(struct sup_apply *a);     /* NULL when threadless */
struct sup_store *sup_apply_store(const struct sup_apply *a); /* borrowed */
const struct sup_hash_key *sup_apply_hash(const struct sup_apply *a);
uint64_t sup_apply_node_id(const struct sup_apply *a);
struct sup_sketch_keeper *sup_apply_keeper(const struct sup_apply *a);  /* or NULL */
struct sup_seen *sup_apply_seen(const struct sup_apply *a);             /* for jobs */
struct sup_soft_known *sup_apply_soft_known(const struct sup_apply *a); /* for jobs */

/* --- published state: what is durable; any thread --- */
uint64_t sup_apply_incarnation(struct sup_apply *a);
void sup_apply_vv(struct sup_apply *a, struct sup_vv *out);
/* Up to where each incarnation's log was trimmed: entries behind it, up to the version vector, are
 * in the log without a gap. */
void sup_apply_floor(struct sup_apply *a, struct sup_vv *out);
/* Keys and values of the log, in bytes. */
uint64_t sup_apply_log_bytes(struct sup_apply *a);
/* How far this node's logical clock is ahead of its wall clock, in milliseconds; below 0: behind,
 * as it is when nothing was decided for a while. Restarts put it up to 2 s ahead. */
int64_t sup_apply_clock_ahead_ms(struct sup_apply *a);
/* Waits until the version vector differs from what `seen` stood for, at most timeout_ms; returns
 * the new value for `seen` (start with 0). */
uint64_t sup_apply_wait(struct sup_apply *a, uint64_t seen, int64_t timeout_ms);
/* The present value for `seen`. */
uint64_t sup_apply_version(struct sup_apply *a);
/* The earliest due time of outbox entries made since the last call; INT64_MAX: there are none. What
 * is due before it was looked at before. */
int64_t sup_apply_outbox_low(struct sup_apply *a);
/* Wakes every sup_apply_wait, for shutdown. */
void sup_apply_wake(struct sup_apply *a);

/* --- incarnation ---
 *
 * The store that a process opens may be an old copy: restored, or rolled back by the disk. Its
 * sequence numbers behind the copy were used already, and used again they would name two mutations,
 * each of which would hide the other from some node for ever. So an incarnation found in the store
 * is continued only when all peers have said that they have no more of it than we do; until then
 * the first decision of this node takes a new one (as Riak's vnodes take a new epoch). */

/* Nobody has more of this incarnation than this store. Any thread; nothing if it is not the present
 * one any more. 0 takes it back: there is somebody new to ask. */
void sup_apply_settle(struct sup_apply *a, uint64_t incarnation);
bool sup_apply_settled(struct sup_apply *a); /* is the present one? */
/* Somebody has more of it: it is never written to again. Any thread. */
void sup_apply_revoke(struct sup_apply *a, uint64_t incarnation);

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
/* What the writer thread does with a group of jobs, done by the caller; threadless only. Returns
 * the commit's outcome; each job's done ran. */
int sup_apply_batch(struct sup_apply *a, struct sup_apply_job *const *jobs, size_t n);
/* Runs fn as a job and waits until its commit is durable. Never from the writer thread. */
int sup_apply_run(struct sup_apply *a,
                  int (*fn)(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err),
                  void *arg, struct sup_err *err);

#endif
