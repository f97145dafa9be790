#include "property.h"

#include "base/err.h"
#include "model/vv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* The model: seqs of a few incarnations, in no order of theirs. */
#define N_INC 12
static const uint64_t incs[N_INC] = {7,
                                     0,
                                     UINT64_MAX,
                                     1,
                                     UINT64_C(1) << 63,
                                     UINT64_MAX - 1,
                                     1000,
                                     999,
                                     1001,
                                     UINT64_C(0x0100000000000000),
                                     256,
                                     2};

struct model {
    uint64_t seq[N_INC];
};

static void assert_same(const struct sup_vv *v, const struct model *m)
{
    size_t n = 0;

    for (size_t i = 0; i < N_INC; i++) {
        assert_true(sup_vv_get(v, incs[i]) == m->seq[i]);
        n += m->seq[i] > 0;
    }
    assert_int_equal(v->n, n);
    for (size_t i = 0; i < v->n; i++) {
        assert_true(v->e[i].seq > 0);
        assert_true(i == 0 || v->e[i - 1].incarnation < v->e[i].incarnation);
    }
    assert_true(sup_vv_get(v, 123456789) == 0);
}

static void raise_both(struct sup_vv *v, struct model *m, struct sup_rng *r)
{
    size_t i = sup_rng_below(r, N_INC);
    uint64_t seq = property_chance(r, 50) ? sup_rng_below(r, 20) : property_edge_u64(r);

    assert_int_equal(sup_vv_raise(v, incs[i], seq), SUP_OK);
    if (seq > m->seq[i])
        m->seq[i] = seq;
}

static void random_vv(struct sup_vv *v, struct model *m, struct sup_rng *r)
{
    sup_vv_init(v);
    memset(m, 0, sizeof(*m));
    for (size_t k = sup_rng_below(r, 16); k > 0; k--)
        raise_both(v, m, r);
}

static void agrees_with_a_naive_model(void **state)
{
    struct sup_rng r = property_rng(__func__);

    (void)state;
    for (size_t c = property_cases(20000); c > 0; c--) {
        struct sup_vv a;
        struct sup_vv b;
        struct sup_vv x;
        struct model ma;
        struct model mb;
        struct model mx;
        bool covers = true;
        uint64_t missing = 0;

        random_vv(&a, &ma, &r);
        random_vv(&b, &mb, &r);
        assert_same(&a, &ma);

        for (size_t i = 0; i < N_INC; i++) {
            covers = covers && ma.seq[i] >= mb.seq[i];
            uint64_t more = mb.seq[i] > ma.seq[i] ? mb.seq[i] - ma.seq[i] : 0;
            missing = missing + more < missing ? UINT64_MAX : missing + more;
        }
        assert_int_equal(sup_vv_covers(&a, &b), covers);
        assert_true(sup_vv_missing(&a, &b) == missing);
        assert_true((missing == 0) == covers);

        x = a;
        for (size_t i = 0; i < N_INC; i++)
            mx.seq[i] = ma.seq[i] > mb.seq[i] ? ma.seq[i] : mb.seq[i];
        assert_int_equal(sup_vv_merge(&x, &b), SUP_OK);
        assert_same(&x, &mx);
        assert_true(sup_vv_covers(&x, &a) && sup_vv_covers(&x, &b));

        x = a;
        for (size_t i = 0; i < N_INC; i++)
            mx.seq[i] = ma.seq[i] < mb.seq[i] ? ma.seq[i] : mb.seq[i];
        sup_vv_min(&x, &b);
        assert_same(&x, &mx);
        assert_true(sup_vv_covers(&a, &x) && sup_vv_covers(&b, &x));
    }
}

static void zero_is_absent(void **state)
{
    struct sup_vv v;

    (void)state;
    sup_vv_init(&v);
    assert_int_equal(sup_vv_raise(&v, 5, 0), SUP_OK);
    assert_int_equal(v.n, 0);
    assert_int_equal(sup_vv_raise(&v, 5, 9), SUP_OK);
    assert_int_equal(sup_vv_raise(&v, 5, 0), SUP_OK);
    assert_int_equal(sup_vv_raise(&v, 5, 8), SUP_OK);
    assert_true(sup_vv_get(&v, 5) == 9);
}

/* A peer that names ever more incarnations gets an error, and the vector stays what it was. */
static void full(void **state)
{
    struct sup_rng r = property_rng(__func__);
    struct sup_vv v;
    struct sup_vv o;
    uint64_t inc = 0;

    (void)state;
    sup_vv_init(&v);
    while (v.n < SUP_VV_MAX)
        assert_int_equal(sup_vv_raise(&v, sup_rng_u64(&r) | 1, 1), SUP_OK);
    o = v;
    for (int i = 0; i < 1000; i++) {
        inc = sup_rng_u64(&r) & ~UINT64_C(1); /* never one of them */
        assert_int_equal(sup_vv_raise(&v, inc, 1), SUP_ELIMIT);
        assert_int_equal(sup_vv_raise(&v, inc, 0), SUP_OK);
    }
    assert_int_equal(v.n, o.n);
    assert_memory_equal(v.e, o.e, sizeof(v.e));
    for (size_t i = 0; i < v.n; i++)
        assert_int_equal(sup_vv_raise(&v, v.e[i].incarnation, 2), SUP_OK);
    assert_true(sup_vv_missing(&o, &v) == SUP_VV_MAX);

    sup_vv_init(&o);
    assert_int_equal(sup_vv_raise(&o, inc, 3), SUP_OK);
    assert_int_equal(sup_vv_merge(&v, &o), SUP_ELIMIT);
    assert_true(sup_vv_get(&v, inc) == 0);
    sup_vv_min(&v, &o); /* nothing in common */
    assert_int_equal(v.n, 0);
    assert_int_equal(sup_vv_merge(&v, &o), SUP_OK);
    assert_true(sup_vv_get(&v, inc) == 3);
}

static void missing_saturates(void **state)
{
    struct sup_vv v;
    struct sup_vv o;

    (void)state;
    sup_vv_init(&v);
    sup_vv_init(&o);
    assert_int_equal(sup_vv_raise(&o, 1, UINT64_MAX), SUP_OK);
    assert_true(sup_vv_missing(&v, &o) == UINT64_MAX);
    assert_int_equal(sup_vv_raise(&o, 2, UINT64_MAX), SUP_OK);
    assert_true(sup_vv_missing(&v, &o) == UINT64_MAX);
    assert_true(sup_vv_missing(&o, &v) == 0);
    assert_true(sup_vv_missing(&o, &o) == 0);
}

static void a_copy_is_equal_and_its_own(void **state)
{
    struct sup_rng r = property_rng(__func__);

    (void)state;
    for (size_t c = property_cases(2000); c > 0; c--) {
        static struct sup_vv from;
        static struct sup_vv to;
        struct model m;
        random_vv(&to, &m, &r);
        random_vv(&from, &m, &r);
        sup_vv_copy(&to, &from);
        assert_same(&to, &m);
        raise_both(&to, &m, &r);
        assert_same(&to, &m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_a_naive_model),
        cmocka_unit_test(zero_is_absent),
        cmocka_unit_test(full),
        cmocka_unit_test(missing_saturates),
        cmocka_unit_test(a_copy_is_equal_and_its_own),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
