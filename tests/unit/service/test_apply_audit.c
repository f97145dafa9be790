/* The audit trail marks exactly the decisions that were overruled unseen. The model keeps track of
 * who had seen what, as sets; the product has only what each decision says of the one before it. */
#include "codec/audit.h"
#include "property.h"
#include "service/apply_txn.h"
#include "store/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define T0        1700000000000LL
#define NODES     4
#define DECISIONS 24 /* a run; their sets are bits */
#define KEY       "ann@a.example"

static int64_t wall;

static int64_t test_wall(void)
{
    return wall;
}

struct made {
    unsigned node;
    struct sup_register reg; /* encoded in bytes */
    uint8_t bytes[512];
    uint64_t past; /* the decisions that its node had seen, and what these had */
    bool logged;   /* it won at its own node */
    uint64_t incarnation, seq;
};

struct node {
    struct sup_store *store;
    struct sup_apply *apply;
    uint64_t past;       /* decisions that it has seen, and their pasts */
    size_t taken[NODES]; /* how many of each node's logged ones arrived */
};

struct mesh {
    struct node n[NODES];
    struct made d[DECISIONS];
    size_t n_made;
    struct sup_register lost[4 * DECISIONS]; /* where they were made */
    size_t n_lost;
    struct sup_rng rng;
};

/* --- one job at a time --- */

struct job {
    struct sup_apply_job job;
    struct sup_proposal *p;
    const struct sup_mutation *m;
    const struct sup_slice *copied; /* of a record */
    struct sup_applied applied;
    struct made *made;
    int code;
};

static int run(struct sup_apply_job *job, struct sup_txn *t, struct sup_err *err)
{
    struct job *j = (struct job *)job;
    struct sup_mem *mem;
    struct sup_record record;
    enum sup_remote outcome;
    int rc;

    if (j->copied)
        return sup_apply_joined(job->apply, t, sup_slice_str(KEY), j->copied, 1, &outcome, err);
    if (j->m)
        return sup_apply_remote(job->apply, t, j->m, &outcome, err);
    rc = sup_apply_decide(job->apply, t, j->p, &j->applied, err);
    mem = sup_mem_new();
    if (rc == SUP_OK)
        rc = sup_apply_record(job->apply, t, j->p->key, mem, &record, err);
    if (rc == SUP_OK &&
        (j->applied.merge == SUP_MERGE_INSERTED || j->applied.merge == SUP_MERGE_REPLACED)) {
        const struct sup_register *r = &record.registers.r[SUP_CLASS_MANUAL - 1];
        assert_true(r->encoded.n <= sizeof(j->made->bytes));
        memcpy(j->made->bytes, r->encoded.p, r->encoded.n);
        j->made->reg = *r;
        j->made->reg.encoded = (struct sup_slice){j->made->bytes, r->encoded.n};
    }
    sup_mem_free(mem);
    return rc;
}

static void done(struct sup_apply_job *job, int code, const struct sup_err *err)
{
    (void)err;
    ((struct job *)job)->code = code;
}

static void carry_out(struct node *n, struct job *j)
{
    struct sup_apply_job *one = &j->job;

    j->job.run = run;
    j->job.done = done;
    j->code = -1;
    (void)sup_apply_batch(n->apply, &one, 1);
    assert_int_equal(j->code, SUP_OK);
}

/* --- the mesh --- */

static void mesh_new(struct mesh *m, uint64_t seed)
{
    memset(m, 0, sizeof(*m));
    sup_rng_seed(&m->rng, seed);
    wall = T0;
    for (unsigned i = 0; i < NODES; i++) {
        struct sup_store_identity id = {.node = "n", .cluster = "test"};
        struct sup_apply_options o = {.max_clock_drift_ms = 60000,
                                      .dedup_ttl_ms = 1000000,
                                      .wall_ms = test_wall,
                                      .threadless = true};
        assert_int_equal(sup_store_open_memory(&id, &m->n[i].store, NULL), SUP_OK);
        o.store = m->n[i].store;
        sup_hash_key_derive("test", (struct sup_slice){NULL, 0}, &o.hash);
        assert_int_equal(sup_apply_start(&o, &m->n[i].apply, NULL), SUP_OK);
        sup_apply_settle(m->n[i].apply, sup_apply_incarnation(m->n[i].apply));
    }
}

static void mesh_free(struct mesh *m)
{
    for (unsigned i = 0; i < NODES; i++) {
        sup_apply_free(m->n[i].apply);
        sup_store_close(m->n[i].store);
    }
}

/* An operator's decision, or an event with a time of its own, now and then the same one again. */
static void decide(struct mesh *m, unsigned at)
{
    struct node *n = &m->n[at];
    struct made *d = &m->d[m->n_made];
    struct sup_proposal p = {.key = sup_slice_str(KEY)};
    struct sup_decision what = {.cls = SUP_CLASS_MANUAL, .cause = SUP_CAUSE_OPERATOR};
    struct job j = {.p = &p, .made = d};
    struct sup_buf encoded;

    what.state = sup_rng_below(&m->rng, 2) ? SUP_SUPPRESSED : SUP_CLEARED;
    p.d = what;
    sup_buf_init(&encoded, SUP_DECISION_MAX);
    if (sup_rng_below(&m->rng, 3) == 0) {
        what.time = sup_hlc_from_ms(wall - (int64_t)sup_rng_below(&m->rng, 6));
        what.origin = sup_apply_node_id(n->apply);
        sup_decision_encode(&what, &encoded);
        p.encoded = sup_buf_slice(&encoded);
    }
    carry_out(n, &j);
    if (p.encoded.n > 0 && sup_rng_below(&m->rng, 4) == 0) {
        /* Nothing comes of an event that is read twice. */
        struct job again = {.p = &p, .made = d};
        struct made first = *d;
        carry_out(n, &again);
        assert_true(again.applied.merge == SUP_MERGE_EQUAL || j.applied.merge == SUP_MERGE_OLDER ||
                    j.applied.merge == SUP_MERGE_EQUAL);
        *d = first;
        if (d->reg.present)
            d->reg.encoded.p = d->bytes;
    }
    sup_buf_fini(&encoded);
    if (j.applied.merge != SUP_MERGE_INSERTED && j.applied.merge != SUP_MERGE_REPLACED) {
        memset(d, 0, sizeof(*d)); /* it lost where it was made, and nobody will hear of it */
        if (m->n_lost < 4 * DECISIONS)
            m->lost[m->n_lost++] = (struct sup_register){
                .time = what.time, .state = what.state, .origin = what.origin};
        return;
    }
    d->node = at;
    d->past = n->past;
    d->logged = true;
    d->incarnation = sup_apply_incarnation(n->apply);
    {
        struct sup_vv vv;
        sup_apply_vv(n->apply, &vv);
        d->seq = sup_vv_get(&vv, d->incarnation);
    }
    n->past |= 1ULL << m->n_made;
    m->n_made++;
}

/* The next decision of `from` that `at` lacks. */
static bool deliver(struct mesh *m, unsigned at, unsigned from)
{
    struct node *n = &m->n[at];
    size_t seen = 0;

    for (size_t i = 0; at != from && i < m->n_made; i++) {
        const struct made *d = &m->d[i];
        struct sup_mutation mutation;
        struct job j = {.m = &mutation};
        if (d->node != from || seen++ < n->taken[from])
            continue;
        mutation = (struct sup_mutation){.incarnation = d->incarnation,
                                         .seq = d->seq,
                                         .key = sup_slice_str(KEY),
                                         .cls = SUP_CLASS_MANUAL,
                                         .encoded = d->reg.encoded};
        carry_out(n, &j);
        n->taken[from]++;
        n->past |= d->past | 1ULL << i;
        return true;
    }
    return false;
}

/* The smallest that overruled d unseen, or NULL. */
static const struct made *overruler(const struct mesh *m, size_t d)
{
    const struct made *best = NULL;

    for (size_t i = 0; i < m->n_made; i++) {
        bool concurrent = !(m->d[i].past & 1ULL << d) && !(m->d[d].past & 1ULL << i);
        if (i != d && concurrent && sup_decision_cmp(&m->d[i].reg, &m->d[d].reg) > 0 &&
            (!best || sup_decision_cmp(&m->d[i].reg, &best->reg) < 0))
            best = &m->d[i];
    }
    return best;
}

/* Where a decision stands in the trail. */
static bool find_entry(const struct node *n, const char *key, enum sup_class cls,
                       const struct sup_register *r, struct sup_key *k)
{
    struct sup_buf value;
    struct sup_key base;
    int rc;

    sup_buf_init(&value, 4096);
    sup_key_audit(&base, sup_slice_str(key), r->time, (uint8_t)cls, r->origin);
    *k = base;
    rc = sup_store_get(n->store, NULL, SUP_CF_AUDIT, sup_key_slice(k), &value, NULL);
    assert_int_equal(rc, SUP_OK); /* the place itself is never empty */
    if (!sup_slice_eq(sup_buf_slice(&value), r->encoded)) {
        struct sup_buf prior;
        struct sup_slice decided = r->encoded;
        sup_buf_init(&prior, 256);
        if (r->prior.present)
            sup_decision_add_prior(&r->prior, &prior);
        decided.n -= prior.n;
        sup_buf_fini(&prior);
        sup_key_audit_beside(k, sup_key_slice(&base), decided);
        rc = sup_store_get(n->store, NULL, SUP_CF_AUDIT, sup_key_slice(k), &value, NULL);
        if (rc == SUP_OK)
            assert_true(sup_slice_eq(sup_buf_slice(&value), r->encoded));
    }
    sup_buf_fini(&value);
    return rc == SUP_OK;
}

static void check(struct mesh *m, unsigned at, size_t d, uint64_t seed)
{
    const struct made *expected = overruler(m, d);
    const struct sup_register *r = &m->d[d].reg;
    struct sup_overruled o = {0};
    struct sup_buf value;
    struct sup_key k;
    struct sup_key mark;
    int rc;

    sup_buf_init(&value, 4096);
    if (!find_entry(&m->n[at], KEY, SUP_CLASS_MANUAL, r, &k))
        fail_msg("seed %llu: n%u has no entry of decision %zu", (unsigned long long)seed, at, d);
    sup_key_audit_mark(&mark, sup_key_slice(&k));
    assert_true(sup_key_audit_is_mark(sup_key_slice(&mark)));
    assert_false(sup_key_audit_is_mark(sup_key_slice(&k)));
    rc = sup_store_get(m->n[at].store, NULL, SUP_CF_AUDIT, sup_key_slice(&mark), &value, NULL);
    if (rc == SUP_OK)
        assert_int_equal(sup_overruled_decode(sup_buf_slice(&value), &o, NULL), SUP_OK);
    if ((rc == SUP_OK) != (expected != NULL))
        fail_msg("seed %llu: n%u %s decision %zu", (unsigned long long)seed, at,
                 expected ? "does not mark" : "marks", d);
    if (expected && (o.time != expected->reg.time || o.origin != expected->reg.origin))
        fail_msg("seed %llu: n%u names another winner of decision %zu", (unsigned long long)seed,
                 at, d);
    if (expected)
        assert_int_equal(o.by, o.time != r->time                   ? SUP_OVERRULED_BY_TIME
                               : expected->reg.state != r->state   ? SUP_OVERRULED_BY_STATE
                               : expected->reg.origin != r->origin ? SUP_OVERRULED_BY_ORIGIN
                                                                   : SUP_OVERRULED_BY_BYTES);
    sup_buf_fini(&value);
}

/* Two decisions of one node that share time and state: which of them a later one had seen, that one
 * does not tell. */
static bool is_ambiguous(const struct mesh *m, size_t d)
{
    for (size_t i = 0; i < m->n_made; i++) {
        if (i != d && m->d[i].reg.time == m->d[d].reg.time &&
            m->d[i].reg.state == m->d[d].reg.state && m->d[i].reg.origin == m->d[d].reg.origin)
            return true;
    }
    for (size_t i = 0; i < m->n_lost; i++) {
        if (m->lost[i].time == m->d[d].reg.time && m->lost[i].state == m->d[d].reg.state &&
            m->lost[i].origin == m->d[d].reg.origin)
            return true;
    }
    return m->n_lost == 4 * DECISIONS;
}

/* What the reconciler relies on: the largest of an address's entries is what its record holds. */
static void largest_is_the_register(const struct node *n, uint64_t seed)
{
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(n->store, NULL, SUP_CF_AUDIT, open, open);
    struct sup_registers all = {0};
    struct sup_mem *mem = sup_mem_new();
    struct sup_record record;
    struct sup_buf value;
    struct sup_key k;

    for (; sup_iter_valid(it); sup_iter_next(it)) {
        enum sup_class cls;
        struct sup_register r;
        if (sup_key_audit_is_mark(sup_iter_key(it)))
            continue;
        assert_int_equal(sup_register_decode(sup_iter_value(it), &r, &cls, NULL), SUP_OK);
        r.encoded = (struct sup_slice){NULL, 0};
        (void)sup_register_merge(&all.r[cls - 1], &r);
    }
    sup_iter_free(it);
    sup_buf_init(&value, 1U << 20);
    sup_key_record(&k, sup_apply_hash(n->apply), sup_slice_str(KEY));
    assert_int_equal(sup_store_get(n->store, NULL, SUP_CF_RECORDS, sup_key_slice(&k), &value, NULL),
                     SUP_OK);
    assert_int_equal(sup_record_decode(sup_buf_slice(&value), mem, &record, NULL), SUP_OK);
    for (size_t c = 0; c < SUP_N_CLASSES; c++) {
        const struct sup_register *have = &record.registers.r[c];
        if (have->present != all.r[c].present || have->time != all.r[c].time ||
            have->state != all.r[c].state || have->origin != all.r[c].origin ||
            have->expires_ms != all.r[c].expires_ms)
            fail_msg("seed %llu: the trail's largest decision is not the record's",
                     (unsigned long long)seed);
    }
    sup_buf_fini(&value);
    sup_mem_free(mem);
}

static size_t one_run(uint64_t seed)
{
    struct mesh *m = calloc(1, sizeof(*m));
    bool ambiguous = false;
    size_t marked = 0;

    assert_non_null(m);
    mesh_new(m, seed);
    while (m->n_made < DECISIONS - 1) {
        wall += (int64_t)sup_rng_below(&m->rng, 3);
        if (sup_rng_below(&m->rng, 3) == 0)
            decide(m, (unsigned)sup_rng_below(&m->rng, NODES));
        else
            (void)deliver(m, (unsigned)sup_rng_below(&m->rng, NODES),
                          (unsigned)sup_rng_below(&m->rng, NODES));
    }
    for (unsigned at = 0; at < NODES; at++) {
        for (unsigned left = NODES, from = at; left > 0; from = (from + 1) % NODES)
            left = deliver(m, at, from) ? NODES : left - 1;
    }
    for (unsigned at = 0; at < NODES; at++)
        largest_is_the_register(&m->n[at], seed);
    for (size_t d = 0; d < m->n_made; d++)
        ambiguous = ambiguous || is_ambiguous(m, d);
    for (size_t d = 0; d < m->n_made; d++) {
        for (unsigned at = 0; at < NODES; at++) {
            struct sup_key k;
            if (!is_ambiguous(m, d) &&
                !find_entry(&m->n[at], KEY, SUP_CLASS_MANUAL, &m->d[d].reg, &k))
                fail_msg("seed %llu: n%u has no entry of decision %zu", (unsigned long long)seed,
                         at, d);
        }
    }
    for (size_t d = 0; !ambiguous && d < m->n_made; d++) {
        marked += overruler(m, d) != NULL;
        for (unsigned at = 0; at < NODES; at++)
            check(m, at, d, seed);
    }
    mesh_free(m);
    free(m);
    return marked;
}

static void marks_exactly_what_was_overruled_unseen(void **state)
{
    struct sup_rng rng = property_rng("marks_exactly_what_was_overruled_unseen");
    size_t runs = property_cases(200);
    size_t marked = 0;

    (void)state;
    for (size_t i = 0; i < runs; i++)
        marked += one_run(sup_rng_u64(&rng));
    print_message("%zu decisions were overruled unseen\n", marked);
    assert_true(marked > 100);
}

/* The example of the issue: two nodes decide about one address, apart. */
static void both_sides_are_told(void **state)
{
    struct mesh *m = calloc(1, sizeof(*m));
    struct sup_proposal p = {.key = sup_slice_str(KEY),
                             .d = {.cls = SUP_CLASS_MANUAL, .state = SUP_SUPPRESSED}};
    struct job first = {.p = &p, .made = &m->d[0]};
    struct job second = {.p = &p, .made = &m->d[1]};

    (void)state;
    assert_non_null(m);
    mesh_new(m, 1);
    carry_out(&m->n[0], &first);
    wall += 5;
    p.d.state = SUP_CLEARED;
    carry_out(&m->n[1], &second);
    for (unsigned i = 0; i < 2; i++) {
        struct sup_vv vv;
        m->d[i].node = i;
        m->d[i].incarnation = sup_apply_incarnation(m->n[i].apply);
        sup_apply_vv(m->n[i].apply, &vv);
        m->d[i].seq = sup_vv_get(&vv, m->d[i].incarnation);
    }
    m->n_made = 2;
    assert_true(deliver(m, 0, 1)); /* the winner comes to where the loser is */
    assert_true(deliver(m, 1, 0)); /* and the loser to where the winner is */
    assert_ptr_equal(overruler(m, 0), &m->d[1]);
    for (unsigned at = 0; at < 2; at++) {
        check(m, at, 0, 1);
        check(m, at, 1, 1);
    }
    /* Who has seen both overrules knowingly. */
    wall += 5;
    {
        struct job third = {.p = &p, .made = &m->d[2]};
        carry_out(&m->n[0], &third);
        assert_true(m->d[2].reg.prior.present);
        assert_int_equal(m->d[2].reg.prior.time, m->d[1].reg.time);
        assert_int_equal(m->d[2].reg.prior.origin, m->d[1].reg.origin);
    }
    check(m, 0, 1, 1);
    mesh_free(m);
    free(m);
}

/* Decisions in a node's trail, or marks. */
static size_t entries(const struct node *n, bool marks)
{
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(n->store, NULL, SUP_CF_AUDIT, open, open);
    size_t count = 0;

    for (; sup_iter_valid(it); sup_iter_next(it))
        count += sup_key_audit_is_mark(sup_iter_key(it)) == marks;
    sup_iter_free(it);
    return count;
}

/* An event of this very moment at the first node. */
static void event_at_once(struct mesh *m, enum sup_state state, struct made *made)
{
    struct sup_decision d = {.cls = SUP_CLASS_MANUAL,
                             .state = state,
                             .time = sup_hlc_from_ms(wall),
                             .origin = sup_apply_node_id(m->n[0].apply)};
    struct sup_proposal p = {.key = sup_slice_str(KEY)};
    struct job j = {.p = &p, .made = made};
    struct sup_buf encoded;

    sup_buf_init(&encoded, SUP_DECISION_MAX);
    sup_decision_encode(&d, &encoded);
    p.encoded = sup_buf_slice(&encoded);
    carry_out(&m->n[0], &j);
    sup_buf_fini(&encoded);
}

/* Two decisions of one node at one time have one place in the trail: the larger has it, whichever
 * came first, and the other stands beside it. */
static void of_two_in_one_place_the_larger_comes_first(void **state)
{
    static const enum sup_state orders[2][2] = {{SUP_SUPPRESSED, SUP_CLEARED},
                                                {SUP_CLEARED, SUP_SUPPRESSED}};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct mesh *m = calloc(1, sizeof(*m));
        assert_non_null(m);
        mesh_new(m, 1);
        for (size_t k = 0; k < 2; k++)
            event_at_once(m, orders[i][k], &m->d[k]);
        largest_is_the_register(&m->n[0], i);
        assert_int_equal(entries(&m->n[0], false), 2);
        /* Read again, they are what they were. */
        for (size_t k = 0; k < 2; k++)
            event_at_once(m, orders[i][k], &m->d[k]);
        assert_int_equal(entries(&m->n[0], false), 2);
        mesh_free(m);
        free(m);
    }
}

/* --- joining --- */

/* A node that was alone for a while has decided about an address; now it copies a set in which
 * another one did, without either having seen the other. */
static void a_copy_marks_what_it_overrules(void **state)
{
    (void)state;
    for (int later = 0; later < 2; later++) { /* whose decision is the later one */
        struct mesh *m = calloc(1, sizeof(*m));
        struct sup_proposal p = {.key = sup_slice_str(KEY),
                                 .d = {.cls = SUP_CLASS_MANUAL, .state = SUP_SUPPRESSED}};
        struct job first = {.p = &p, .made = &m->d[0]};
        struct job second = {.p = &p, .made = &m->d[1]};
        struct job copy = {.copied = &m->d[later].reg.encoded};
        struct sup_key k;
        assert_non_null(m);
        mesh_new(m, 1);
        carry_out(&m->n[later ? 0 : 1], &first);
        wall += 5;
        p.d.state = SUP_CLEARED;
        carry_out(&m->n[later ? 1 : 0], &second);
        /* n[0] copies what n[1] has. */
        carry_out(&m->n[0], &copy);
        assert_int_equal(entries(&m->n[0], false), 2);
        assert_int_equal(entries(&m->n[0], true), 1);
        assert_true(find_entry(&m->n[0], KEY, SUP_CLASS_MANUAL, &m->d[0].reg, &k));
        m->d[1].node = 1;
        m->n_made = 2;
        check(m, 0, 0, 1);
        check(m, 0, 1, 1);
        /* The same again, in another part or from another donor, changes nothing. */
        carry_out(&m->n[0], &copy);
        assert_int_equal(entries(&m->n[0], false), 2);
        assert_int_equal(entries(&m->n[0], true), 1);
        mesh_free(m);
        free(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_are_told),
        cmocka_unit_test(of_two_in_one_place_the_larger_comes_first),
        cmocka_unit_test(a_copy_marks_what_it_overrules),
        cmocka_unit_test(marks_exactly_what_was_overruled_unseen),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
