/* Jobs and commits: what the writer thread does in the product. */
#include "sim.h"

#include "base/err.h"
#include "codec/keys.h"

#include <stdlib.h>
#include <string.h>

#define RELEASE_MAX 4
#define TRIM_MAX    8

struct sim_job *sim_job_new(struct sim *s, struct sim_node *n, enum sim_job_kind kind)
{
    struct sim_job *j = calloc(1, sizeof(*j));

    if (!j)
        abort();
    j->sim = s;
    j->node = n;
    j->kind = kind;
    return j;
}

void sim_job_free(struct sim_job *j)
{
    sim_msg_free(j->msg);
    sim_part_free(j->part);
    free(j);
}

void sim_jobs_drop(struct sim_node *n)
{
    for (size_t i = 0; i < n->n_jobs; i++)
        sim_job_free(n->jobs[i]);
    n->n_jobs = 0;
}

void sim_submit(struct sim *s, struct sim_job *j)
{
    struct sim_node *n = j->node;

    if (n->n_jobs == n->room) {
        n->room = n->room > 0 ? 2 * n->room : 16;
        n->jobs = realloc(n->jobs, n->room * sizeof(*n->jobs));
        if (!n->jobs)
            abort();
    }
    n->jobs[n->n_jobs++] = j;
    if (n->commit_due)
        return;
    n->commit_due = true;
    sim_push(s, 1 + (int64_t)sim_below(s, (uint64_t)n->commit_ms),
             (struct sim_event){.type = EV_COMMIT, .node = n->id, .life = n->life});
}

/* --- what jobs do --- */

static unsigned key_index(const struct sim *s, struct sup_slice key)
{
    for (unsigned k = 0; k < s->shape.n_keys; k++) {
        if (sup_slice_eq(key, sup_slice_str(sim_key(k))))
            return k;
    }
    return 0;
}

void sim_touch(struct sim_job *j, struct sup_slice key)
{
    j->touched |= 1ULL << key_index(j->sim, key);
}

static int run_decide(struct sim_job *j, struct sup_txn *t, struct sup_err *err)
{
    struct sim *s = j->sim;
    struct sim_decision *d = &s->decisions[j->decision];
    struct sup_applied out;
    struct sup_record record;
    int rc = sup_apply_decide(j->node->apply, t, &j->proposal, &out, err);
    bool wins = out.merge == SUP_MERGE_INSERTED || out.merge == SUP_MERGE_REPLACED;

    j->won = rc == SUP_OK && wins;
    if (rc != SUP_OK || (!wins && j->proposal.encoded.n > 0))
        return rc;
    if (!wins) {
        sim_fail(s, "a ruling lost at its own node %s", j->node->name);
        return SUP_EBUG;
    }
    sup_mem_reset(s->mem);
    rc = sup_apply_record(j->node->apply, t, j->proposal.key, s->mem, &record, err);
    if (rc == SUP_OK)
        sim_value_set(&d->value, &record.registers.r[d->cls - 1]);
    d->made = true;
    return rc;
}

/* The register as it is, so that the planted bug can put it back. */
static int equal_time(struct sim_job *j, struct sup_txn *t, const struct sup_mutation *m, bool *yes,
                      struct sup_buf *before)
{
    struct sup_record record;
    struct sup_register incoming;
    struct sup_key k;
    int rc = sup_register_decode(m->encoded, &incoming, NULL, NULL);

    sup_mem_reset(j->sim->mem);
    memset(&record, 0, sizeof(record));
    *yes = rc == SUP_OK &&
           sup_apply_record(j->node->apply, t, m->key, j->sim->mem, &record, NULL) == SUP_OK &&
           record.registers.r[m->cls - 1].present &&
           record.registers.r[m->cls - 1].time == incoming.time;
    sup_key_record(&k, &j->sim->hash, m->key);
    return *yes ? sup_txn_get(t, SUP_CF_RECORDS, sup_key_slice(&k), before) : SUP_OK;
}

static void put_back(struct sim_job *j, struct sup_txn *t, const struct sup_mutation *m,
                     const struct sup_buf *before)
{
    struct sup_key k;

    sup_key_record(&k, &j->sim->hash, m->key);
    sup_txn_put(t, SUP_CF_RECORDS, sup_key_slice(&k), sup_buf_slice(before));
}

static void drop_quarantined(struct sup_txn *t, const struct sup_mutation *m)
{
    struct sup_register reg;
    struct sup_key k;

    if (sup_register_decode(m->encoded, &reg, NULL, NULL) != SUP_OK)
        return;
    sup_key_quarantine(&k, reg.time, (uint8_t)m->cls, reg.origin, m->key);
    sup_txn_delete(t, SUP_CF_QUARANTINE, sup_key_slice(&k));
}

static int take_one(struct sim_job *j, struct sup_txn *t, const struct sup_mutation *m,
                    struct sup_err *err)
{
    enum sup_remote outcome = SUP_REMOTE_DUPLICATE;
    bool keep = false;
    struct sup_buf before;
    int rc = SUP_OK;

    sup_buf_init(&before, 1U << 16);
    if (j->sim->plant == PLANT_MERGE_BY_ARRIVAL)
        rc = equal_time(j, t, m, &keep, &before);
    if (rc == SUP_OK && j->kind == JOB_MUTATIONS)
        rc = sup_apply_remote(j->node->apply, t, m, &outcome, err);
    else if (rc == SUP_OK)
        rc = sup_apply_repaired(j->node->apply, t, m->key, m->cls, m->encoded, &outcome, err);
    if (keep)
        put_back(j, t, m, &before);
    sup_buf_fini(&before);
    if (outcome == SUP_REMOTE_QUARANTINED) {
        j->count++;
        if (j->sim->plant == PLANT_DROPPED_QUARANTINE)
            drop_quarantined(t, m);
    }
    sim_touch(j, m->key);
    return rc;
}

static int run_mutations(struct sim_job *j, struct sup_txn *t, struct sup_err *err)
{
    int rc = SUP_OK;

    j->count = 0;
    for (size_t i = j->first; i < j->first + j->n && rc == SUP_OK; i++)
        rc = take_one(j, t, &j->msg->m[i], err);
    return rc;
}

static int run_adopt(struct sim_job *j, struct sup_txn *t, struct sup_err *err)
{
    struct sup_vv vv;

    sup_vv_init(&vv);
    if (j->sim->conns[j->node->id][j->peer].repair_failed && j->sim->plant != PLANT_EARLY_ADOPTION)
        return sup_err_set(err, SUP_EAGAIN, "a part of the repair is not here");
    if (!j->msg->adopt)
        return SUP_OK;
    for (size_t i = 0; i < j->msg->n_vv; i++)
        (void)sup_vv_raise(&vv, j->msg->vv[i].incarnation, j->msg->vv[i].seq);
    return sup_apply_adopt_vv(j->node->apply, t, &vv, err);
}

static int run_retire(struct sim_job *j, struct sup_txn *t, struct sup_err *err)
{
    struct sup_vv one;

    sup_vv_init(&one);
    (void)sup_vv_raise(&one, j->retire.incarnation, j->retire.seq);
    return sup_apply_retire(j->node->apply, t, &one, err);
}

/* What is forgotten is no claim any more. */
static void retired(struct sim_job *j)
{
    struct sup_vv vv;

    sup_apply_vv(j->node->apply, &vv);
    if (sup_vv_get(&vv, j->retire.incarnation) > 0)
        return;
    j->sim->count.retired++;
    sup_vv_remove(&j->node->claimed, j->retire.incarnation);
    sim_tracef(j->sim, "%s forgets an incarnation", j->node->name);
}

/* For the planted bug: digests as they were before the job. */
static void note_digests(struct sim_job *j, struct sup_txn *t)
{
    struct sim *s = j->sim;

    for (unsigned k = 0; k < s->shape.n_keys; k++) {
        struct sup_record record;
        sup_mem_reset(s->mem);
        j->digests[k] = 0;
        if (sup_apply_record(j->node->apply, t, sup_slice_str(sim_key(k)), s->mem, &record, NULL) ==
            SUP_OK)
            j->digests[k] =
                sup_sketch_digest(&s->sketch_keys, sup_slice_str(sim_key(k)), &record.registers);
    }
}

/* The planted bug: what overwrote a record is taken out of the sketch again. */
static void forget_overwrites(struct sim_job *j)
{
    struct sim *s = j->sim;
    struct sim_table now;

    sim_table_read(s, j->node->store, &now);
    for (unsigned k = 0; k < s->shape.n_keys; k++) {
        struct sup_slice address = sup_slice_str(sim_key(k));
        struct sup_registers r;
        for (unsigned c = 0; c < SUP_N_CLASSES; c++)
            r.r[c] = now.v[k][c].reg;
        struct sup_sketch_change back = {.key = sup_hash64(&s->hash, address),
                                         .before = sup_sketch_digest(&s->sketch_keys, address, &r),
                                         .after = j->digests[k]};
        if (j->digests[k] != 0)
            sup_sketch_keeper_changed(j->node->keeper, &back, 1);
    }
}

static int run(struct sup_apply_job *job, struct sup_txn *t, struct sup_err *err)
{
    struct sim_job *j = (struct sim_job *)job;

    if (j->sim->plant == PLANT_STALE_SKETCH)
        note_digests(j, t);
    if (j->kind == JOB_MUTATIONS || j->kind == JOB_RECORDS || j->kind == JOB_ADOPT ||
        j->kind == JOB_PART)
        sup_apply_from(j->node->apply, sim_member(j->sim, j->node, j->peer));
    switch (j->kind) {
    case JOB_DECIDE:
        sim_touch(j, j->proposal.key);
        return run_decide(j, t, err);
    case JOB_MUTATIONS:
    case JOB_RECORDS:
        if (j->kind == JOB_MUTATIONS)
            j->n = j->msg->n;
        return run_mutations(j, t, err);
    case JOB_ADOPT:
        return run_adopt(j, t, err);
    case JOB_RELEASE:
        j->touched = (1ULL << SIM_KEYS_MAX) - 1;
        return sup_apply_release(j->node->apply, t, RELEASE_MAX, &j->count, err);
    case JOB_TRIM:
        return sup_apply_trim(j->node->apply, t, &j->trim, TRIM_MAX, err);
    case JOB_RETIRE:
        return run_retire(j, t, err);
    case JOB_PART:
        return sim_join_part_run(j, t, err);
    case JOB_PHASE:
        return sim_join_phase_run(j, t, err);
    }
    return SUP_EBUG;
}

/* --- what follows --- */

/* Times that a node's clock issued rise within an incarnation. */
static void check_clock(struct sim_job *j, const struct sim_decision *d)
{
    struct sim_node *n = j->node;
    uint64_t incarnation = sup_apply_incarnation(n->apply);

    if (j->proposal.encoded.n > 0)
        return;
    if (incarnation == n->issued_incarnation && d->value.reg.time <= n->issued)
        sim_fail(j->sim, "%s issued a time twice", n->name);
    n->issued_incarnation = incarnation;
    n->issued = d->value.reg.time;
}

/* Nothing leaves the log that some peer never had, unless the log is over its cap. (Who had it once
 * may have lost it with its disk since; a repair brings it back.) */
static void check_trim(struct sim_job *j)
{
    struct sim *s = j->sim;

    for (unsigned i = 0; i < s->shape.n_nodes && s->shape.log_max == 0; i++) {
        if (!(j->knew & 1U << i))
            continue;
        if (sup_vv_get(&s->nodes[i].ever, j->trim.incarnation) < j->trim.upto)
            sim_fail(s, "%s trims what n%u never had", j->node->name, i);
    }
}

static void decided(struct sim_job *j, int code)
{
    struct sim_decision *d = &j->sim->decisions[j->decision];

    if (code != SUP_OK)
        return;
    d->acked = true;
    j->sim->count.acked++;
    check_clock(j, d);
    sim_tracef(j->sim, "%s decided: %s %s %s at %llu", j->node->name, sim_key(d->key),
               sup_class_name(d->cls),
               d->value.reg.state == SUP_SUPPRESSED ? "suppressed" : "cleared",
               (unsigned long long)d->value.reg.time);
}

static void told(struct sim_job *j, enum sup_replica_event_type type, int code)
{
    struct sup_replica_event e = {.type = type,
                                  .peer = sim_peer_index(j->node, j->peer),
                                  .session = j->session,
                                  .cost = j->msg->cost,
                                  .n = j->count,
                                  .code = code};

    sim_step(j->sim, j->node, &e, NULL);
}

static void repaired(struct sim_job *j, int code)
{
    struct sim_conn *c = &j->sim->conns[j->node->id][j->peer];

    if (j->msg->adopt)
        told(j, SUP_EV_REPAIRED, code);
    sim_join_repaired(j->sim, j->node, j->msg, code);
    if (c->dialed != j->session)
        return;
    c->repairing = c->repairing && j->msg->adopt;
    sup_repair_when_done(&c->when, j->sim->now, SUP_REPAIR_NEWS, &j->sim->rng);
}

static void done(struct sup_apply_job *job, int code, const struct sup_err *err)
{
    struct sim_job *j = (struct sim_job *)job;

    (void)err;
    j->code = code;
    if (code == SUP_OK && j->kind == JOB_PART)
        sim_join_noted(j);
    if (code == SUP_OK && j->kind == JOB_RETIRE)
        retired(j);
    if (j->node->dying)
        return;
    if (code == SUP_OK && j->touched)
        sim_check_commit(j->sim, j->node, j->touched);
    if (code == SUP_OK && j->touched && j->sim->plant == PLANT_STALE_SKETCH)
        forget_overwrites(j);
    if (code == SUP_OK && (j->kind == JOB_MUTATIONS || j->kind == JOB_RECORDS))
        j->sim->count.quarantined += j->count;
    if (j->sim->failed)
        return;
    if (j->kind == JOB_RECORDS && code != SUP_OK)
        j->sim->conns[j->node->id][j->peer].repair_failed = true;
    if (j->kind == JOB_DECIDE)
        decided(j, code);
    else if (j->kind == JOB_MUTATIONS && j->sim->plant != PLANT_EARLY_ACK)
        told(j, SUP_EV_APPLIED, code);
    else if (j->kind == JOB_ADOPT)
        repaired(j, code);
    else if (j->kind == JOB_PART)
        sim_join_part_done(j->sim, j, code);
    else if (j->kind == JOB_PHASE)
        sim_join_phase_done(j->sim, j, code);
    if (code == SUP_OK && j->kind == JOB_TRIM)
        check_trim(j);
    if (code == SUP_OK && j->kind == JOB_TRIM && j->trim.more) {
        struct sim_job *again = sim_job_new(j->sim, j->node, JOB_TRIM);
        again->trim = j->trim;
        again->knew = j->knew;
        sim_submit(j->sim, again);
    }
}

static void note_durable(struct sim_node *n)
{
    struct sup_vv vv;

    sup_apply_vv(n->apply, &vv);
    (void)sup_vv_merge(&n->ever, &vv);
    sup_vv_copy(&n->durable, &vv);
}

/* Decisions of one batch are logged one behind the other. */
static void note_places(struct sim_node *n, struct sim_job *const *batch, size_t count)
{
    uint64_t incarnation = sup_apply_incarnation(n->apply);
    struct sup_vv vv;
    uint64_t seq;

    sup_apply_vv(n->apply, &vv);
    seq = sup_vv_get(&vv, incarnation);
    for (size_t i = count; i-- > 0;) {
        struct sim_job *j = batch[i];
        if (j->kind != JOB_DECIDE || j->code != SUP_OK || !j->won)
            continue;
        sim_decision_place(j->sim, j->decision, incarnation, seq--);
    }
}

void sim_commit(struct sim *s, struct sim_node *n)
{
    struct sup_apply_job *list[64];
    struct sim_job *batch[64];
    size_t count = n->n_jobs < 64 ? n->n_jobs : 64;

    sim_node_use(s, n);
    if (count > 1 && sim_chance(s, 200)) /* the others came while this commit was under way */
        count = 1 + sim_below(s, count);
    n->commit_due = false;
    memcpy(batch, n->jobs, count * sizeof(*batch));
    memmove(n->jobs, n->jobs + count, (n->n_jobs - count) * sizeof(*n->jobs));
    n->n_jobs -= count;
    for (size_t i = 0; i < count; i++) {
        batch[i]->job.run = run;
        batch[i]->job.done = done;
        list[i] = &batch[i]->job;
    }
    s->count.commits++;
    if (n->fail_next_commit)
        sup_store_memory_fail_commits(n->store, SUP_EIO);
    (void)sup_apply_batch(n->apply, list, count);
    note_durable(n);
    note_places(n, batch, count);
    sim_check_sketch(s, n);
    if (!n->dying)
        sim_check_vv(s, n);
    sup_store_memory_fail_commits(n->store, SUP_OK);
    n->fail_next_commit = false;
    for (size_t i = 0; i < count; i++)
        sim_job_free(batch[i]);
    if (n->dying || s->failed)
        return;
    if (n->n_jobs > 0 && !n->commit_due) {
        n->commit_due = true;
        sim_push(s, 1, (struct sim_event){.type = EV_COMMIT, .node = n->id, .life = n->life});
    }
    sim_serve(s, n);
}
