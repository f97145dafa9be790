/* Apply on the store in memory, under a clock that the test sets. */
#include "base/clock.h"
#include "codec/keys.h"
#include "service/apply_txn.h"
#include "store/memory.h"
#include "store/meta.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define T0    1700000000000LL
#define DRIFT 60000

static _Atomic int64_t wall;

static int64_t test_wall(void)
{
    return atomic_load(&wall);
}

struct world {
    struct sup_store *store;
    struct sup_apply *apply;
    atomic_int outbox_changes;
};

static void outbox_changed(void *arg)
{
    struct world *w = arg;

    atomic_fetch_add(&w->outbox_changes, 1);
}

static void start(struct world *w)
{
    struct sup_apply_options o = {.store = w->store,
                                  .max_clock_drift_ms = DRIFT,
                                  .dedup_ttl_ms = 1000000,
                                  .wall_ms = test_wall,
                                  .outbox_changed = outbox_changed,
                                  .arg = w};
    struct sup_err err = {0};

    sup_hash_key_derive("test", (struct sup_slice){NULL, 0}, &o.hash);
    if (sup_apply_start(&o, &w->apply, &err) != SUP_OK)
        fail_msg("%s", err.msg);
}

static void stop(struct world *w)
{
    sup_apply_stop(w->apply);
    sup_apply_free(w->apply);
    w->apply = NULL;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct sup_store_identity id = {.node = "n1", .cluster = "test"};
    struct sup_err err = {0};

    atomic_store(&wall, T0);
    if (!w || sup_store_open_memory(&id, &w->store, &err) != SUP_OK)
        return -1;
    start(w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    stop(w);
    sup_store_close(w->store);
    free(w);
    return 0;
}

/* --- shorthand --- */

struct decide {
    struct sup_proposal p;
    struct sup_applied out;
};

static int decide_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct decide *d = arg;

    return sup_apply_decide(a, t, &d->p, &d->out, err);
}

static struct sup_applied propose(struct world *w, struct sup_proposal p)
{
    struct decide d = {.p = p};
    struct sup_err err = {0};

    if (sup_apply_run(w->apply, decide_run, &d, &err) != SUP_OK)
        fail_msg("%s", err.msg);
    return d.out;
}

static struct sup_slice str(const char *s)
{
    return sup_slice_str(s);
}

static struct sup_applied event(struct world *w, const char *key, enum sup_class cls, int64_t ms,
                                const char *dedup, const char *spelling)
{
    struct sup_decision d = {.cls = cls,
                             .state = SUP_SUPPRESSED,
                             .cause = SUP_CAUSE_EVENT,
                             .time = sup_hlc_from_ms(ms),
                             .origin = sup_apply_node_id(w->apply)};
    struct sup_applied out;
    struct sup_buf b;

    sup_buf_init(&b, SUP_DECISION_MAX);
    sup_decision_encode(&d, &b);
    struct sup_proposal p = {.key = str(key), .encoded = sup_buf_slice(&b), .dedup = str(dedup)};
    if (spelling)
        p.spellings[p.n_spellings++] = spelling;
    out = propose(w, p);
    sup_buf_fini(&b);
    return out;
}

static struct sup_applied rule(struct world *w, const char *key, enum sup_class cls,
                               enum sup_state state)
{
    return propose(
        w, (struct sup_proposal){.key = str(key),
                                 .d = {.cls = cls, .state = state, .cause = SUP_CAUSE_OPERATOR},
                                 .force_outbox = true});
}

static size_t count(struct world *w, enum sup_cf cf)
{
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(w->store, NULL, cf, open, open);
    size_t n = 0;

    for (; sup_iter_valid(it); sup_iter_next(it))
        n++;
    sup_iter_free(it);
    return n;
}

static void ses_entry(struct world *w, const char *key, struct sup_ses_entry *e)
{
    struct sup_buf b;

    sup_buf_init(&b, 1U << 16);
    assert_int_equal(sup_store_get(w->store, NULL, SUP_CF_SES, str(key), &b, NULL), SUP_OK);
    assert_int_equal(sup_ses_entry_decode(sup_buf_slice(&b), e, NULL), SUP_OK);
    sup_buf_fini(&b);
}

static enum sup_reason effective(struct world *w, const char *key)
{
    struct sup_mem *m = sup_mem_new();
    struct sup_hash_key hash = *sup_apply_hash(w->apply);
    enum sup_reason reason = SUP_REASON_NONE;
    struct sup_record r;
    struct sup_buf b;
    struct sup_key k;

    sup_buf_init(&b, 1U << 16);
    sup_key_record(&k, &hash, str(key));
    if (sup_store_get(w->store, NULL, SUP_CF_RECORDS, sup_key_slice(&k), &b, NULL) == SUP_OK) {
        assert_int_equal(sup_record_decode(sup_buf_slice(&b), m, &r, NULL), SUP_OK);
        reason = sup_registers_effective(&r.registers, test_wall(), NULL);
    }
    sup_buf_fini(&b);
    sup_mem_free(m);
    return reason;
}

static uint64_t own_seq(struct world *w)
{
    struct sup_vv vv;

    sup_apply_vv(w->apply, &vv);
    return sup_vv_get(&vv, sup_apply_incarnation(w->apply));
}

/* --- local decisions --- */

static void bounce_suppresses_logs_and_queues(void **state)
{
    struct world *w = *state;
    struct sup_applied a = event(w, "a@x.com", SUP_CLASS_BOUNCE, T0 - 5000, "f1", "A@x.com");
    struct sup_ses_entry e;

    assert_int_equal(a.merge, SUP_MERGE_INSERTED);
    assert_int_equal(a.before, SUP_REASON_NONE);
    assert_int_equal(a.after, SUP_REASON_BOUNCE);
    assert_int_equal(effective(w, "a@x.com"), SUP_REASON_BOUNCE);
    assert_int_equal(count(w, SUP_CF_LOG), 1);
    assert_int_equal(count(w, SUP_CF_AUDIT), 1);
    assert_int_equal(count(w, SUP_CF_OUTBOX), 1);
    assert_int_equal(own_seq(w), 1);
    ses_entry(w, "a@x.com", &e);
    assert_int_equal(e.n_spellings, 1);
    assert_string_equal(e.spellings[0].spelling, "A@x.com");
    assert_true(e.spellings[0].unverified);
    assert_int_equal(atomic_load(&w->outbox_changes), 1);
}

static void the_same_event_twice_is_one(void **state)
{
    struct world *w = *state;

    event(w, "a@x.com", SUP_CLASS_BOUNCE, T0, "f1", NULL);
    assert_true(event(w, "a@x.com", SUP_CLASS_BOUNCE, T0, "f1", NULL).duplicate);
    assert_int_equal(count(w, SUP_CF_LOG), 1);
    assert_int_equal(count(w, SUP_CF_AUDIT), 1);
    /* Even without the mark, the merge makes it one. */
    assert_int_equal(event(w, "a@x.com", SUP_CLASS_BOUNCE, T0, "", NULL).merge, SUP_MERGE_EQUAL);
    assert_int_equal(count(w, SUP_CF_LOG), 1);
}

static void late_bounce_does_not_undo_a_clear(void **state)
{
    struct world *w = *state;
    struct sup_ses_entry e;
    struct sup_applied a;

    rule(w, "a@x.com", SUP_CLASS_BOUNCE, SUP_CLEARED);
    atomic_fetch_add(&wall, 60000);
    a = event(w, "a@x.com", SUP_CLASS_BOUNCE, T0 - 1, "f1", "A@x.com");
    assert_int_equal(a.merge, SUP_MERGE_OLDER);
    assert_int_equal(effective(w, "a@x.com"), SUP_REASON_NONE);
    /* It still tells that SES listed that spelling: it must go. */
    ses_entry(w, "a@x.com", &e);
    assert_int_equal(e.n_spellings, 2);
    assert_true(e.spellings[0].unverified && e.spellings[1].unverified);
    assert_int_not_equal(e.outbox_due_ms, 0);
    /* It is in the trail, but no peer needs it. */
    assert_int_equal(count(w, SUP_CF_AUDIT), 2);
    assert_int_equal(count(w, SUP_CF_LOG), 1);
}

static void clear_in_the_millisecond_of_the_bounce_wins(void **state)
{
    struct world *w = *state;

    event(w, "a@x.com", SUP_CLASS_BOUNCE, T0, "f1", NULL);
    assert_int_equal(rule(w, "a@x.com", SUP_CLASS_BOUNCE, SUP_CLEARED).merge, SUP_MERGE_REPLACED);
    assert_int_equal(effective(w, "a@x.com"), SUP_REASON_NONE);
}

static void newer_bounce_after_a_clear_suppresses_again(void **state)
{
    struct world *w = *state;

    rule(w, "a@x.com", SUP_CLASS_BOUNCE, SUP_CLEARED);
    atomic_fetch_add(&wall, 60000);
    event(w, "a@x.com", SUP_CLASS_BOUNCE, T0 + 30000, "f1", NULL);
    assert_int_equal(effective(w, "a@x.com"), SUP_REASON_BOUNCE);
}

static void reversal_needs_something_to_undo(void **state)
{
    struct world *w = *state;
    struct sup_proposal p = {.key = str("a@x.com"),
                             .d = {.cls = SUP_CLASS_COMPLAINT, .state = SUP_CLEARED},
                             .reversal = true};

    assert_true(propose(w, p).skipped);
    assert_int_equal(count(w, SUP_CF_RECORDS), 0);
    event(w, "a@x.com", SUP_CLASS_COMPLAINT, T0, "f1", NULL);
    assert_false(propose(w, p).skipped);
    assert_int_equal(effective(w, "a@x.com"), SUP_REASON_NONE);
}

static void complaint_changes_the_reason(void **state)
{
    struct world *w = *state;
    struct sup_applied a;

    event(w, "a@x.com", SUP_CLASS_BOUNCE, T0 - 2, "f1", NULL);
    a = event(w, "a@x.com", SUP_CLASS_COMPLAINT, T0 - 1, "f2", NULL);
    assert_int_equal(a.before, SUP_REASON_BOUNCE);
    assert_int_equal(a.after, SUP_REASON_COMPLAINT);
    /* One address waits once. */
    assert_int_equal(count(w, SUP_CF_OUTBOX), 1);
}

static int expire_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    return sup_apply_expire(a, t, 10, arg, err);
}

static void empty_outbox(struct world *w)
{
    /* As the SES worker would leave it. */
    struct sup_txn *t = sup_txn_begin(w->store);
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(w->store, NULL, SUP_CF_OUTBOX, open, open);

    for (; sup_iter_valid(it); sup_iter_next(it))
        sup_txn_delete(t, SUP_CF_OUTBOX, sup_iter_key(it));
    sup_iter_free(it);
    it = sup_iter_new(w->store, NULL, SUP_CF_SES, open, open);
    for (; sup_iter_valid(it); sup_iter_next(it))
        sup_txn_delete(t, SUP_CF_SES, sup_iter_key(it));
    sup_iter_free(it);
    assert_int_equal(sup_txn_commit(t, true, NULL), SUP_OK);
}

static void expired_suppression_reaches_the_list(void **state)
{
    struct world *w = *state;
    struct sup_proposal p = {
        .key = str("a@x.com"),
        .d = {.cls = SUP_CLASS_MANUAL, .state = SUP_SUPPRESSED, .expires_ms = T0 + 1000}};
    size_t n = 0;

    propose(w, p);
    empty_outbox(w);
    assert_int_equal(effective(w, "a@x.com"), SUP_REASON_BOUNCE);
    assert_int_equal(sup_apply_run(w->apply, expire_run, &n, NULL), SUP_OK);
    assert_int_equal(n, 0);
    atomic_store(&wall, T0 + 1000);
    assert_int_equal(effective(w, "a@x.com"), SUP_REASON_NONE);
    assert_int_equal(sup_apply_run(w->apply, expire_run, &n, NULL), SUP_OK);
    assert_int_equal(n, 1);
    assert_int_equal(count(w, SUP_CF_OUTBOX), 1);
    assert_int_equal(count(w, SUP_CF_EXPIRY), 0);
}

/* --- mutations of peers --- */

struct remote {
    struct sup_mutation m;
    enum sup_remote out;
    int rc;
    struct sup_buf encoded;
};

static int remote_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct remote *r = arg;

    return sup_apply_remote(a, t, &r->m, &r->out, err);
}

static struct remote remote(struct world *w, uint64_t seq, const char *key, enum sup_state state,
                            int64_t ms)
{
    struct sup_decision d = {.cls = SUP_CLASS_BOUNCE,
                             .state = state,
                             .cause = SUP_CAUSE_EVENT,
                             .time = sup_hlc_from_ms(ms),
                             .origin = 77};
    struct remote r = {.m = {.incarnation = 99, .seq = seq, .key = str(key), .cls = d.cls}};

    sup_buf_init(&r.encoded, SUP_DECISION_MAX);
    sup_decision_encode(&d, &r.encoded);
    r.m.encoded = sup_buf_slice(&r.encoded);
    r.rc = sup_apply_run(w->apply, remote_run, &r, NULL);
    sup_buf_fini(&r.encoded);
    return r;
}

static uint64_t remote_seq(struct world *w)
{
    struct sup_vv vv;

    sup_apply_vv(w->apply, &vv);
    return sup_vv_get(&vv, 99);
}

static void peers_mutations_come_in_sequence(void **state)
{
    struct world *w = *state;

    assert_int_equal(remote(w, 1, "a@x.com", SUP_SUPPRESSED, T0).out, SUP_REMOTE_APPLIED);
    assert_int_equal(remote(w, 1, "a@x.com", SUP_SUPPRESSED, T0).out, SUP_REMOTE_DUPLICATE);
    assert_int_equal(remote(w, 3, "b@x.com", SUP_SUPPRESSED, T0).rc, SUP_EINPUT);
    assert_int_equal(remote_seq(w), 1);
    assert_int_equal(effective(w, "b@x.com"), SUP_REASON_NONE);
    assert_int_equal(remote(w, 2, "b@x.com", SUP_SUPPRESSED, T0).out, SUP_REMOTE_APPLIED);
    assert_int_equal(remote_seq(w), 2);
    assert_int_equal(effective(w, "a@x.com"), SUP_REASON_BOUNCE);
    /* All origins' mutations are kept for other peers. */
    assert_int_equal(count(w, SUP_CF_LOG), 2);
    /* What a peer decided is not this node's to number. */
    assert_int_equal(own_seq(w), 0);
}

static void a_losing_mutation_is_logged_all_the_same(void **state)
{
    struct world *w = *state;

    rule(w, "a@x.com", SUP_CLASS_BOUNCE, SUP_CLEARED);
    assert_int_equal(remote(w, 1, "a@x.com", SUP_SUPPRESSED, T0 - 9).out, SUP_REMOTE_APPLIED);
    assert_int_equal(effective(w, "a@x.com"), SUP_REASON_NONE);
    assert_int_equal(remote_seq(w), 1);
    assert_int_equal(count(w, SUP_CF_LOG), 2);
}

static void malformed_mutations_are_refused(void **state)
{
    static const char *const keys[] = {"", "no-at", "A@x.com", "a\nb@x.com", "a\xff@x.com"};
    struct world *w = *state;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        assert_int_equal(remote(w, 1, keys[i], SUP_SUPPRESSED, T0).rc, SUP_EINPUT);
    assert_int_equal(remote_seq(w), 0);
    assert_int_equal(count(w, SUP_CF_LOG), 0);
}

static int release_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    return sup_apply_release(a, t, 10, arg, err);
}

static void the_future_waits_in_quarantine(void **state)
{
    struct world *w = *state;
    int64_t future = T0 + 10 * DRIFT;
    size_t n = 0;

    assert_int_equal(remote(w, 1, "a@x.com", SUP_SUPPRESSED, future).out, SUP_REMOTE_QUARANTINED);
    assert_int_equal(effective(w, "a@x.com"), SUP_REASON_NONE);
    assert_int_equal(remote_seq(w), 1);
    assert_int_equal(count(w, SUP_CF_QUARANTINE), 1);
    assert_int_equal(sup_apply_run(w->apply, release_run, &n, NULL), SUP_OK);
    assert_int_equal(n, 0);
    /* It did not move the clock: a ruling now is older than it. */
    rule(w, "b@x.com", SUP_CLASS_BOUNCE, SUP_CLEARED);
    atomic_store(&wall, future - DRIFT);
    assert_int_equal(sup_apply_run(w->apply, release_run, &n, NULL), SUP_OK);
    assert_int_equal(n, 1);
    assert_int_equal(count(w, SUP_CF_QUARANTINE), 0);
    assert_int_equal(effective(w, "a@x.com"), SUP_REASON_BOUNCE);
}

/* Events of one second: both are the same node's, and of the same time. Only one can wait. */
static void of_one_time_the_largest_waits(void **state)
{
    struct world *w = *state;
    int64_t future = T0 + 10 * DRIFT;
    size_t n = 0;

    for (uint64_t seq = 1; seq <= 4; seq++) {
        enum sup_state what = seq == 2 ? SUP_SUPPRESSED : SUP_CLEARED;
        assert_int_equal(remote(w, seq, "a@x.com", what, future).out, SUP_REMOTE_QUARANTINED);
    }
    assert_int_equal(count(w, SUP_CF_QUARANTINE), 1);
    atomic_store(&wall, future);
    assert_int_equal(sup_apply_run(w->apply, release_run, &n, NULL), SUP_OK);
    /* As if they had come in time, in whatever order. */
    assert_int_equal(effective(w, "a@x.com"), SUP_REASON_BOUNCE);
}

/* --- durability of the counters --- */

static void counters_survive_a_crash(void **state)
{
    struct world *w = *state;
    uint64_t reserved = 0;

    event(w, "a@x.com", SUP_CLASS_BOUNCE, T0, "f1", NULL);
    remote(w, 1, "b@x.com", SUP_SUPPRESSED, T0);
    stop(w);
    sup_store_memory_crash(w->store);
    assert_int_equal(sup_meta_get_u64(w->store, NULL, SUP_META_HLC_RESERVED, &reserved, NULL),
                     SUP_OK);
    assert_true(reserved > sup_hlc_from_ms(T0));
    atomic_store(&wall, T0 - 86400000); /* and the clock is set back by a day */
    start(w);
    assert_int_equal(own_seq(w), 1);
    assert_int_equal(remote_seq(w), 1);
    sup_apply_settle(w->apply, sup_apply_incarnation(w->apply));
    /* A ruling is still newer than all before the crash. */
    assert_int_equal(rule(w, "a@x.com", SUP_CLASS_BOUNCE, SUP_CLEARED).merge, SUP_MERGE_REPLACED);
    assert_int_equal(own_seq(w), 2);
}

static void a_failed_commit_moves_nothing(void **state)
{
    struct world *w = *state;
    struct decide d = {
        .p = {.key = str("a@x.com"), .d = {.cls = SUP_CLASS_BOUNCE, .state = SUP_SUPPRESSED}}};

    sup_store_memory_fail_commits(w->store, SUP_EIO);
    assert_int_equal(sup_apply_run(w->apply, decide_run, &d, NULL), SUP_EIO);
    assert_int_equal(own_seq(w), 0);
    sup_store_memory_fail_commits(w->store, SUP_OK);
    assert_int_equal(sup_apply_run(w->apply, decide_run, &d, NULL), SUP_OK);
    assert_int_equal(own_seq(w), 1);
    assert_int_equal(count(w, SUP_CF_LOG), 1);
}

/* --- incarnations --- */

static void an_unsettled_incarnation_is_not_continued(void **state)
{
    struct world *w = *state;
    uint64_t first;
    uint64_t second;

    event(w, "a@x.com", SUP_CLASS_BOUNCE, T0, "f1", NULL);
    first = sup_apply_incarnation(w->apply);
    event(w, "b@x.com", SUP_CLASS_BOUNCE, T0, "f2", NULL);
    assert_true(sup_apply_incarnation(w->apply) == first);
    assert_int_equal(own_seq(w), 2);
    stop(w);
    start(w);
    assert_true(sup_apply_incarnation(w->apply) == first);
    event(w, "c@x.com", SUP_CLASS_BOUNCE, T0, "f3", NULL);
    second = sup_apply_incarnation(w->apply);
    assert_true(second != first);
    assert_int_equal(own_seq(w), 1);
    /* Made durable together with its first number. */
    stop(w);
    sup_store_memory_crash(w->store);
    start(w);
    assert_true(sup_apply_incarnation(w->apply) == second);
    sup_apply_settle(w->apply, first); /* a late word about another one */
    event(w, "d@x.com", SUP_CLASS_BOUNCE, T0, "f4", NULL);
    assert_true(sup_apply_incarnation(w->apply) != second);
    assert_int_equal(count(w, SUP_CF_LOG), 4);
}

static void a_revoked_incarnation_ends(void **state)
{
    struct world *w = *state;
    uint64_t first;

    event(w, "a@x.com", SUP_CLASS_BOUNCE, T0, "f1", NULL);
    first = sup_apply_incarnation(w->apply);
    sup_apply_settle(w->apply, first);
    sup_apply_revoke(w->apply, first);
    event(w, "b@x.com", SUP_CLASS_BOUNCE, T0, "f2", NULL);
    assert_true(sup_apply_incarnation(w->apply) != first);
    assert_int_equal(own_seq(w), 1);
}

static void a_failed_commit_takes_the_new_incarnation_back(void **state)
{
    struct world *w = *state;
    uint64_t first = sup_apply_incarnation(w->apply);
    struct decide d = {
        .p = {.key = str("a@x.com"), .d = {.cls = SUP_CLASS_BOUNCE, .state = SUP_SUPPRESSED}}};

    sup_store_memory_fail_commits(w->store, SUP_EIO);
    assert_int_equal(sup_apply_run(w->apply, decide_run, &d, NULL), SUP_EIO);
    sup_store_memory_fail_commits(w->store, SUP_OK);
    assert_true(sup_apply_incarnation(w->apply) == first);
    assert_int_equal(sup_apply_run(w->apply, decide_run, &d, NULL), SUP_OK);
    assert_true(sup_apply_incarnation(w->apply) != first);
}

/* --- trimming and repair --- */

struct trimming {
    struct sup_apply_trim trim;
    size_t max;
};

static int trim_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct trimming *r = arg;

    return sup_apply_trim(a, t, &r->trim, r->max, err);
}

static void trimming_deletes_up_to_the_floor(void **state)
{
    struct world *w = *state;
    struct trimming r = {.trim = {.incarnation = 99, .upto = 4}, .max = 3};
    struct sup_vv floor;

    for (uint64_t seq = 1; seq <= 5; seq++)
        remote(w, seq, "a@x.com", SUP_SUPPRESSED, T0 + (int64_t)seq);
    rule(w, "b@x.com", SUP_CLASS_MANUAL, SUP_SUPPRESSED);
    assert_int_equal(sup_apply_run(w->apply, trim_run, &r, NULL), SUP_OK);
    assert_true(r.trim.more);
    assert_int_equal(count(w, SUP_CF_LOG), 3);
    assert_int_equal(sup_apply_run(w->apply, trim_run, &r, NULL), SUP_OK);
    assert_false(r.trim.more);
    assert_int_equal(count(w, SUP_CF_LOG), 2);
    r.trim = (struct sup_apply_trim){.incarnation = 99, .upto = 1000};
    assert_int_equal(sup_apply_run(w->apply, trim_run, &r, NULL), SUP_OK);
    assert_int_equal(count(w, SUP_CF_LOG), 1);
    stop(w);
    sup_store_memory_crash(w->store);
    start(w);
    sup_apply_floor(w->apply, &floor);
    assert_int_equal(floor.n, 1);
    assert_int_equal(sup_vv_get(&floor, 99), 5);
    assert_int_equal(remote(w, 6, "c@x.com", SUP_SUPPRESSED, T0).out, SUP_REMOTE_APPLIED);
}

static int adopt_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    return sup_apply_adopt_vv(a, t, arg, err);
}

static void a_repair_raises_the_vector_and_the_floor(void **state)
{
    struct world *w = *state;
    struct sup_vv vv;
    struct sup_vv floor;

    remote(w, 1, "a@x.com", SUP_SUPPRESSED, T0);
    sup_vv_init(&vv);
    assert_int_equal(sup_vv_raise(&vv, 99, 7), SUP_OK);
    assert_int_equal(sup_apply_run(w->apply, adopt_run, &vv, NULL), SUP_OK);
    assert_int_equal(remote_seq(w), 7);
    sup_apply_floor(w->apply, &floor);
    assert_int_equal(sup_vv_get(&floor, 99), 7);
    assert_int_equal(remote(w, 7, "b@x.com", SUP_SUPPRESSED, T0).out, SUP_REMOTE_DUPLICATE);
    assert_int_equal(remote(w, 8, "b@x.com", SUP_SUPPRESSED, T0).out, SUP_REMOTE_APPLIED);
}

static void a_repair_that_knows_more_of_ours_ends_the_incarnation(void **state)
{
    struct world *w = *state;
    struct sup_vv vv;
    uint64_t first;

    event(w, "a@x.com", SUP_CLASS_BOUNCE, T0, "f1", NULL);
    first = sup_apply_incarnation(w->apply);
    stop(w); /* and an old copy of the store is put in its place */
    start(w);
    sup_vv_init(&vv);
    assert_int_equal(sup_vv_raise(&vv, first, 9), SUP_OK);
    assert_int_equal(sup_apply_run(w->apply, adopt_run, &vv, NULL), SUP_OK);
    event(w, "b@x.com", SUP_CLASS_BOUNCE, T0, "f2", NULL);
    assert_true(sup_apply_incarnation(w->apply) != first);
    assert_int_equal(own_seq(w), 1);
}

static void another_secret_is_refused(void **state)
{
    struct world *w = *state;
    struct sup_apply_options o = {.store = w->store, .wall_ms = test_wall};
    struct sup_apply *second = NULL;
    struct sup_err err = {0};

    stop(w);
    sup_hash_key_derive("another", (struct sup_slice){NULL, 0}, &o.hash);
    assert_int_equal(sup_apply_start(&o, &second, &err), SUP_EINPUT);
    assert_non_null(strstr(err.msg, "secret"));
    start(w);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(bounce_suppresses_logs_and_queues),
        T(the_same_event_twice_is_one),
        T(late_bounce_does_not_undo_a_clear),
        T(clear_in_the_millisecond_of_the_bounce_wins),
        T(newer_bounce_after_a_clear_suppresses_again),
        T(reversal_needs_something_to_undo),
        T(complaint_changes_the_reason),
        T(expired_suppression_reaches_the_list),
        T(peers_mutations_come_in_sequence),
        T(a_losing_mutation_is_logged_all_the_same),
        T(malformed_mutations_are_refused),
        T(the_future_waits_in_quarantine),
        T(of_one_time_the_largest_waits),
        T(counters_survive_a_crash),
        T(a_failed_commit_moves_nothing),
        T(an_unsettled_incarnation_is_not_continued),
        T(a_revoked_incarnation_ends),
        T(a_failed_commit_takes_the_new_incarnation_back),
        T(trimming_deletes_up_to_the_floor),
        T(a_repair_raises_the_vector_and_the_floor),
        T(a_repair_that_knows_more_of_ours_ends_the_incarnation),
        T(another_secret_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
