/* Merging decisions: the part of apply that runs inside the writer's transaction. */
#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/utf8.h"
#include "codec/keys.h"
#include "service/apply_internal.h"
#include "service/sketch_keeper.h"

#include <string.h>

int sup_apply_record(struct sup_apply *a, struct sup_txn *t, struct sup_slice key,
                     struct sup_mem *m, struct sup_record *out, struct sup_err *err)
{
    struct sup_key k;
    struct sup_slice bytes;
    int rc;

    sup_key_record(&k, &a->opts.hash, key);
    rc = sup_txn_get(t, SUP_CF_RECORDS, sup_key_slice(&k), &a->value);
    if (rc != SUP_OK)
        return rc == SUP_ENOTFOUND
                   ? rc
                   : sup_err_set(err, rc, "cannot read a record: %s", sup_code_name(rc));
    bytes = sup_buf_slice(&a->value);
    return sup_record_decode(bytes, m, out, err);
}

static int put(struct sup_txn *t, enum sup_cf cf, const struct sup_key *k,
               const struct sup_buf *value, struct sup_err *err)
{
    if (value->failed)
        return sup_err_set(err, value->failed, "value for %s is too large", sup_cf_name(cf));
    sup_txn_put(t, cf, sup_key_slice(k), sup_buf_slice(value));
    return SUP_OK;
}

int sup_apply_put_record(struct sup_apply *a, struct sup_txn *t, struct sup_slice key,
                         struct sup_record *r, struct sup_err *err)
{
    struct sup_key k;

    if (r->first_seen_ms == 0)
        r->first_seen_ms = a->batch_ms;
    r->last_seen_ms = a->batch_ms;
    sup_key_record(&k, &a->opts.hash, key);
    sup_buf_reset(&a->scratch);
    sup_record_encode(r, &a->scratch);
    return put(t, SUP_CF_RECORDS, &k, &a->scratch, err);
}

void sup_apply_put_expiry(struct sup_txn *t, struct sup_slice key, const struct sup_register *reg)
{
    struct sup_key k;

    if (reg->state != SUP_SUPPRESSED || reg->expires_ms == 0)
        return;
    sup_key_timed(&k, reg->expires_ms, key);
    sup_txn_put(t, SUP_CF_EXPIRY, sup_key_slice(&k), (struct sup_slice){NULL, 0});
}

/* A concurrent decision that the merge order overrules is something a person may ask about. */
static void log_overwrite(struct sup_apply *a, struct sup_slice key, enum sup_class cls,
                          const struct sup_register *loser, const struct sup_register *winner)
{
    if (loser->origin == winner->origin || loser->state == winner->state)
        return;
    sup_metric_add(a->overwrites, 1);
    if (sup_log_enabled(SUP_LOG_DEBUG)) {
        char text[SUP_ADDRESS_MAX + 1];
        memcpy(text, key.p, key.n);
        text[key.n] = '\0';
        sup_log_debug("apply", "decision overruled", SUP_S("address", text),
                      SUP_S("class", sup_class_name(cls)), SUP_U("loser", loser->origin),
                      SUP_U("winner", winner->origin));
    }
}

/* What the commit will have changed in the sketch. */
int sup_apply_note_change(struct sup_apply *a, struct sup_slice key,
                          const struct sup_registers *before, const struct sup_registers *after,
                          struct sup_err *err)
{
    struct sup_sketch_change *c;
    const struct sup_sketch_keys *keys;

    if (!a->opts.keeper)
        return SUP_OK;
    if (sup_array_grow((void **)&a->changes, &a->changes_cap, a->n_changes + 1,
                       sizeof(*a->changes)) != SUP_OK)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    keys = sup_sketch_keeper_keys(a->opts.keeper);
    c = &a->changes[a->n_changes++];
    c->key = sup_hash64(&a->opts.hash, key);
    c->before = sup_sketch_digest(keys, key, before);
    c->after = sup_sketch_digest(keys, key, after);
    return SUP_OK;
}

int sup_apply_merge(struct sup_apply *a, struct sup_txn *t, struct sup_slice key,
                    enum sup_class cls, const struct sup_register *reg,
                    const struct sup_proposal *p, struct sup_applied *out, struct sup_err *err)
{
    struct sup_record record;
    struct sup_register *current = &record.registers.r[cls - 1];
    struct sup_registers before;
    bool list_changes;
    int rc;

    memset(&record, 0, sizeof(record));
    sup_mem_reset(a->mem);
    rc = sup_apply_record(a, t, key, a->mem, &record, err);
    if (rc != SUP_OK && rc != SUP_ENOTFOUND)
        return rc;
    before = record.registers;
    out->before = sup_registers_effective(&record.registers, a->batch_ms, NULL);
    out->merge = sup_register_merge(current, reg);
    out->after = sup_registers_effective(&record.registers, a->batch_ms, NULL);
    rc = sup_apply_audit(a, t, key, cls, out->merge, &before.r[cls - 1], reg, err);
    if (rc != SUP_OK)
        return rc;
    if (out->merge == SUP_MERGE_REPLACED)
        log_overwrite(a, key, cls, &before.r[cls - 1], reg);
    if (out->merge == SUP_MERGE_INSERTED || out->merge == SUP_MERGE_REPLACED) {
        sup_apply_put_expiry(t, key, reg);
        rc = sup_apply_put_record(a, t, key, &record, err);
        if (rc == SUP_OK)
            rc = sup_apply_note_change(a, key, &before, &record.registers, err);
        if (rc != SUP_OK)
            return rc;
    }
    /* An event that comes late, for an address that was cleared meanwhile, still tells of a
     * spelling that SES put on its list by itself. */
    list_changes = out->before != out->after || (p && p->force_outbox) ||
                   (p && p->n_spellings > 0 && out->after == SUP_REASON_NONE);
    if (list_changes || (p && p->n_spellings > 0))
        return sup_apply_outbox(a, t, key, p, out->after == SUP_REASON_NONE, err);
    return SUP_OK;
}

/* Is the mark there? If not, sets it. Marks are kept past their time: store/gc removes them. */
static int dedup(struct sup_apply *a, struct sup_txn *t, struct sup_slice identity, bool *duplicate,
                 struct sup_err *err)
{
    struct sup_key k;
    uint8_t expiry[8];
    int rc;

    sup_key_dedup(&k, identity);
    rc = sup_txn_get(t, SUP_CF_DEDUP, sup_key_slice(&k), &a->value);
    *duplicate = rc == SUP_OK;
    if (rc != SUP_ENOTFOUND)
        return rc == SUP_OK ? rc : sup_err_set(err, rc, "cannot read a dedup mark");
    sup_put_be64(expiry, (uint64_t)(a->batch_ms + a->opts.dedup_ttl_ms));
    sup_txn_put(t, SUP_CF_DEDUP, sup_key_slice(&k), sup_slice_of(expiry, sizeof(expiry)));
    return SUP_OK;
}

/* The register as it is; its encoded bytes are in a->mem. */
static int current(struct sup_apply *a, struct sup_txn *t, struct sup_slice key, enum sup_class cls,
                   struct sup_register *out, struct sup_err *err)
{
    struct sup_record record;
    int rc;

    *out = (struct sup_register){.present = false};
    sup_mem_reset(a->mem);
    rc = sup_apply_record(a, t, key, a->mem, &record, err);
    if (rc == SUP_OK)
        *out = record.registers.r[cls - 1];
    return rc == SUP_ENOTFOUND ? SUP_OK : rc;
}

static struct sup_prior prior_of(const struct sup_register *r)
{
    return (struct sup_prior){
        .present = r->present, .state = r->state, .time = r->time, .origin = r->origin};
}

/* Is what stands there this very decision, made earlier of the same event? Then it also says what
 * its maker had seen, which comes last. */
static bool repeats(const struct sup_register *now, const struct sup_register *reg)
{
    return now->present && now->time == reg->time && now->state == reg->state &&
           now->origin == reg->origin && now->encoded.n > reg->encoded.n &&
           memcmp(now->encoded.p, reg->encoded.p, reg->encoded.n) == 0;
}

/* An event's decision was made before the register could be looked at: what stands there is added
 * to it. */
static int finish_event(struct sup_apply *a, const struct sup_register *now,
                        struct sup_register *reg, struct sup_err *err)
{
    struct sup_prior prior = prior_of(now);

    if (!now->present || reg->prior.present || sup_slice_eq(now->encoded, reg->encoded))
        return SUP_OK;
    sup_buf_reset(&a->encoded);
    sup_buf_add_slice(&a->encoded, repeats(now, reg) ? now->encoded : reg->encoded);
    if (!repeats(now, reg))
        sup_decision_add_prior(&prior, &a->encoded);
    if (a->encoded.failed)
        return sup_err_set(err, a->encoded.failed, "decision is too large");
    if (a->encoded.n > SUP_DECISION_MAX)
        return SUP_OK; /* it goes without */
    return sup_register_decode(sup_buf_slice(&a->encoded), reg, NULL, err);
}

/* Gives the decision in its register's form, and the register as it is; moves the clock. */
static int encode_own(struct sup_apply *a, struct sup_txn *t, const struct sup_proposal *p,
                      struct sup_register *now, struct sup_register *reg, enum sup_class *cls,
                      struct sup_err *err)
{
    struct sup_decision d = p->d;
    int rc;

    if (p->encoded.n > 0) {
        /* An event's own time moves the clock too, so that a ruling made in the same millisecond as
         * the event it overrules is later than it. Without a limit: it is no later than our own
         * wall clock was when the event was read, even if that was set back since. */
        rc = sup_register_decode(p->encoded, reg, cls, err);
        if (rc == SUP_OK)
            rc = current(a, t, p->key, *cls, now, err);
        if (rc == SUP_OK)
            (void)sup_hlc_merge(&a->now.hlc, reg->time, sup_hlc_ms(reg->time), 0);
        return rc == SUP_OK ? finish_event(a, now, reg, err) : rc;
    }
    rc = current(a, t, p->key, d.cls, now, err);
    if (rc != SUP_OK)
        return rc;
    d.time = sup_hlc_now(&a->now.hlc, a->batch_ms);
    d.origin = a->node_id;
    d.prior = prior_of(now);
    sup_buf_reset(&a->encoded);
    sup_decision_encode(&d, &a->encoded);
    if (a->encoded.failed)
        return sup_err_set(err, a->encoded.failed, "decision is too large");
    return sup_register_decode(sup_buf_slice(&a->encoded), reg, cls, err);
}

int sup_apply_decide(struct sup_apply *a, struct sup_txn *t, const struct sup_proposal *p,
                     struct sup_applied *out, struct sup_err *err)
{
    enum sup_class cls = SUP_CLASS_BOUNCE;
    struct sup_register reg = {0};
    struct sup_register now = {0};
    int rc;

    *out = (struct sup_applied){0};
    if (p->dedup.n > 0) {
        rc = dedup(a, t, p->dedup, &out->duplicate, err);
        if (rc != SUP_OK || out->duplicate)
            return rc;
    }
    rc = encode_own(a, t, p, &now, &reg, &cls, err);
    if (rc == SUP_OK && p->reversal) {
        out->skipped = !now.present || now.state != SUP_SUPPRESSED;
        if (out->skipped)
            return SUP_OK;
    }
    if (rc == SUP_OK)
        rc = sup_apply_merge(a, t, p->key, cls, &reg, p, out, err);
    if (rc == SUP_OK && (out->merge == SUP_MERGE_INSERTED || out->merge == SUP_MERGE_REPLACED))
        rc = sup_apply_log_own(a, t, p->key, cls, reg.encoded, err);
    return rc;
}

/* Does another decision of the same node and time wait there, that wins against this one? */
static int waits_larger(struct sup_apply *a, struct sup_txn *t, const struct sup_key *k,
                        const struct sup_register *reg, bool *yes, struct sup_err *err)
{
    struct sup_log_entry e;
    struct sup_register waiting;
    struct sup_mem *m;
    int64_t arrived = 0;
    int rc = sup_txn_get(t, SUP_CF_QUARANTINE, sup_key_slice(k), &a->scratch);

    *yes = false;
    if (rc == SUP_ENOTFOUND)
        return SUP_OK;
    if (rc != SUP_OK)
        return sup_err_set(err, rc, "cannot read the quarantine: %s", sup_code_name(rc));
    /* Not a->mem: the record that is being joined may be in it. */
    m = sup_mem_new();
    if (!m)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    rc = sup_quarantined_decode(sup_buf_slice(&a->scratch), m, &e, &arrived, err);
    if (rc == SUP_OK)
        rc = sup_log_entry_register(&e, &waiting, err);
    *yes = rc == SUP_OK && sup_decision_cmp(&waiting, reg) >= 0;
    sup_mem_free(m);
    return rc;
}

/* Events of one second are decisions of one time: of those of a node only the largest counts. */
int sup_apply_quarantine(struct sup_apply *a, struct sup_txn *t, const struct sup_log_entry *e,
                         const struct sup_register *reg, struct sup_err *err)
{
    struct sup_key k;
    bool larger;
    int rc;

    sup_key_quarantine(&k, reg->time, (uint8_t)e->cls, reg->origin, e->key);
    rc = waits_larger(a, t, &k, reg, &larger, err);
    if (rc != SUP_OK || larger)
        return rc;
    a->quarantined++;
    sup_buf_reset(&a->scratch);
    sup_quarantined_encode(e, a->batch_ms, &a->scratch);
    return put(t, SUP_CF_QUARANTINE, &k, &a->scratch, err);
}

/* Only what the store and the SES calls rely on. Nothing finer: were the rules of addresses to
 * differ between two versions, one refused mutation would stop all that come behind it. */
static bool key_form(struct sup_slice key)
{
    if (key.n == 0 || key.n > SUP_ADDRESS_MAX || !memchr(key.p, '@', key.n) ||
        !sup_utf8_valid(key.p, key.n))
        return false;
    for (size_t i = 0; i < key.n; i++) {
        if (key.p[i] < ' ' || key.p[i] == 0x7f || (key.p[i] >= 'A' && key.p[i] <= 'Z'))
            return false;
    }
    return true;
}

int sup_apply_check(const struct sup_log_entry *e, struct sup_register *reg, struct sup_err *err)
{
    int rc = sup_log_entry_register(e, reg, err);

    if (rc != SUP_OK)
        return rc;
    if (!key_form(e->key))
        return sup_err_set(err, SUP_EINPUT, "mutation's address is not in key form");
    return SUP_OK;
}

static int take_in(struct sup_apply *a, struct sup_txn *t, const struct sup_log_entry *e,
                   const struct sup_register *reg, enum sup_remote *out, struct sup_err *err)
{
    struct sup_applied applied = {0};

    if (!sup_hlc_merge(&a->now.hlc, reg->time, a->batch_ms, a->opts.max_clock_drift_ms)) {
        *out = SUP_REMOTE_QUARANTINED;
        return sup_apply_quarantine(a, t, e, reg, err);
    }
    *out = SUP_REMOTE_APPLIED;
    return sup_apply_merge(a, t, e->key, e->cls, reg, NULL, &applied, err);
}

/* Merged without a place in the log: the version vector has no room for its incarnation, or it
 * claims to be one of this node's own decisions, which it cannot be. */
static int take_in_uncounted(struct sup_apply *a, struct sup_txn *t, const struct sup_log_entry *e,
                             const struct sup_register *reg, enum sup_remote *out,
                             struct sup_err *err)
{
    int rc = take_in(a, t, e, reg, out, err);

    sup_metric_add(a->uncounted, 1);
    if (*out == SUP_REMOTE_APPLIED)
        *out = SUP_REMOTE_UNCOUNTED;
    return rc;
}

int sup_apply_remote(struct sup_apply *a, struct sup_txn *t, const struct sup_mutation *m,
                     enum sup_remote *out, struct sup_err *err)
{
    struct sup_log_entry e = {.key = m->key, .cls = m->cls, .encoded = m->encoded};
    uint64_t have = sup_vv_get(&a->now.vv, m->incarnation);
    struct sup_register reg;
    bool own = m->incarnation == a->now.incarnation && sup_apply_is_certain(a);
    int rc;

    *out = SUP_REMOTE_DUPLICATE;
    if (m->seq <= have && (own || m->incarnation != a->source.incarnation))
        return SUP_OK;
    rc = sup_apply_check(&e, &reg, err);
    if (rc != SUP_OK)
        return rc;
    if (m->seq <= have)
        return take_in(a, t, &e, &reg, out, err);
    if (own || !sup_apply_admit(a, m->incarnation))
        return take_in_uncounted(a, t, &e, &reg, out, err);
    if (m->seq != have + 1)
        return sup_err_set(err, SUP_EINPUT, "gap in a peer's log: have %llu, got %llu",
                           (unsigned long long)have, (unsigned long long)m->seq);
    /* Logged whether it wins or not: other peers may take it from here, and the sequence has no
     * gaps. */
    rc = sup_apply_log(a, t, m->incarnation, m->seq, &e, err);
    return rc == SUP_OK ? take_in(a, t, &e, &reg, out, err) : rc;
}

int sup_apply_repaired(struct sup_apply *a, struct sup_txn *t, struct sup_slice key,
                       enum sup_class cls, struct sup_slice encoded, enum sup_remote *out,
                       struct sup_err *err)
{
    struct sup_log_entry e = {.key = key, .cls = cls, .encoded = encoded};
    struct sup_register reg;
    int rc = sup_apply_check(&e, &reg, err);

    *out = SUP_REMOTE_DUPLICATE;
    return rc == SUP_OK ? take_in(a, t, &e, &reg, out, err) : rc;
}

/* Copies what stands at the iterator: the transaction is written to only after it is freed. */
static int first_quarantined(struct sup_apply *a, struct sup_txn *t, struct sup_key *k, bool *due,
                             struct sup_buf *value, struct sup_err *err)
{
    struct sup_iter *it = sup_txn_iter(t, SUP_CF_QUARANTINE, (struct sup_slice){NULL, 0},
                                       (struct sup_slice){NULL, 0});
    sup_hlc_time time = 0;
    int rc;

    *due = false;
    if (!it)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    rc = sup_iter_status(it, err);
    if (rc == SUP_OK && sup_iter_valid(it)) {
        struct sup_slice key = sup_iter_key(it);
        if (!sup_key_quarantine_parse(key, &time) || key.n > sizeof(k->b)) {
            rc = sup_err_set(err, SUP_ECORRUPT, "damaged key in quarantine");
        } else if (sup_hlc_ms(time) - a->batch_ms <= a->opts.max_clock_drift_ms) {
            *due = true;
            memcpy(k->b, key.p, key.n);
            k->n = key.n;
            sup_buf_reset(value);
            sup_buf_add_slice(value, sup_iter_value(it));
        }
    }
    sup_iter_free(it);
    return rc;
}

static int release_one(struct sup_apply *a, struct sup_txn *t, const struct sup_key *k,
                       struct sup_slice value, struct sup_mem *m, struct sup_err *err)
{
    struct sup_applied applied = {0};
    struct sup_log_entry e;
    struct sup_register reg;
    int64_t arrived = 0;
    int rc = sup_quarantined_decode(value, m, &e, &arrived, err);

    if (rc == SUP_OK)
        rc = sup_log_entry_register(&e, &reg, err);
    if (rc != SUP_OK)
        return rc;
    (void)sup_hlc_merge(&a->now.hlc, reg.time, a->batch_ms, a->opts.max_clock_drift_ms);
    sup_txn_delete(t, SUP_CF_QUARANTINE, sup_key_slice(k));
    return sup_apply_merge(a, t, e.key, e.cls, &reg, NULL, &applied, err);
}

int sup_apply_release(struct sup_apply *a, struct sup_txn *t, size_t max, size_t *released,
                      struct sup_err *err)
{
    struct sup_mem *m = sup_mem_new();
    struct sup_buf value;
    struct sup_key k;
    bool due = true;
    int rc = m ? SUP_OK : sup_err_set(err, SUP_ENOMEM, "out of memory");

    sup_buf_init(&value, SUP_DECISION_MAX + SUP_KEY_MAX + 64);
    for (*released = 0; rc == SUP_OK && *released < max;) {
        sup_mem_reset(m);
        rc = first_quarantined(a, t, &k, &due, &value, err);
        if (rc != SUP_OK || !due)
            break;
        rc = release_one(a, t, &k, sup_buf_slice(&value), m, err);
        if (rc == SUP_OK)
            (*released)++;
    }
    sup_buf_fini(&value);
    sup_mem_free(m);
    return rc;
}
