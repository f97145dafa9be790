/* A store that was made without a mesh becomes one of a cluster. */
#include "service/rekey.h"

#include "codec/keys.h"
#include "property.h"
#include "service/apply_txn.h"
#include "service/sketch_keeper.h"
#include "store/memory.h"
#include "store/meta.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SYMBOLS 256

static struct sup_hash_key key_of(const char *cluster)
{
    struct sup_hash_key k;

    sup_hash_key_derive(cluster, (struct sup_slice){NULL, 0}, &k);
    return k;
}

static struct sup_store *store_of(const char *cluster)
{
    struct sup_store_identity id = {.node = "eu", .cluster = cluster};
    struct sup_store *s = NULL;

    assert_int_equal(sup_store_open_memory(&id, &s, NULL), SUP_OK);
    return s;
}

static struct sup_apply *apply_of(struct sup_store *s, const char *cluster)
{
    struct sup_apply_options o = {.store = s, .hash = key_of(cluster), .max_clock_drift_ms = 1000};
    struct sup_apply *a = NULL;
    struct sup_err err = {0};

    if (sup_apply_start(&o, &a, &err) != SUP_OK)
        fail_msg("%s", err.msg);
    return a;
}

static void apply_end(struct sup_apply *a)
{
    sup_apply_stop(a);
    sup_apply_free(a);
}

static int decide_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    const size_t *n = arg;
    int rc = SUP_OK;

    for (size_t i = 0; rc == SUP_OK && i < *n; i++) {
        char address[64];
        struct sup_applied out;
        int len = snprintf(address, sizeof(address), "u%zu@example.com", i);
        struct sup_proposal p = {
            .key = sup_slice_of(address, (size_t)len),
            .d = {.cls = SUP_CLASS_BOUNCE, .state = i % 5 ? SUP_SUPPRESSED : SUP_CLEARED}};
        rc = sup_apply_decide(a, t, &p, &out, err);
    }
    return rc;
}

static void fill(struct sup_store *s, const char *cluster, size_t n)
{
    struct sup_apply *a = apply_of(s, cluster);

    assert_int_equal(sup_apply_run(a, decide_run, &n, NULL), SUP_OK);
    apply_end(a);
}

/* Keys of all records are those of that cluster; returns how many there are. */
static size_t check_keys(struct sup_store *s, const char *cluster)
{
    struct sup_hash_key key = key_of(cluster);
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(s, NULL, SUP_CF_RECORDS, open, open);
    size_t n = 0;

    for (; sup_iter_valid(it); sup_iter_next(it), n++) {
        struct sup_slice address;
        struct sup_key k;
        uint64_t hash;
        assert_true(sup_key_record_parse(sup_iter_key(it), &hash, &address));
        sup_key_record(&k, &key, address);
        assert_true(sup_slice_eq(sup_key_slice(&k), sup_iter_key(it)));
    }
    sup_iter_free(it);
    return n;
}

static struct sup_sketch_sum root(struct sup_store *s, const char *cluster)
{
    struct sup_hash_key key = key_of(cluster);
    struct sup_sketch_keeper *k = NULL;
    struct sup_sketch_sum sum;

    assert_int_equal(sup_sketch_keeper_open(s, &key, SYMBOLS, &k, NULL), SUP_OK);
    sum = sup_sketch_keeper_root(k);
    sup_sketch_keeper_free(k);
    return sum;
}

static void rekey(struct sup_store *s, const char *cluster)
{
    struct sup_hash_key key = key_of(cluster);
    struct sup_err err = {0};

    if (sup_rekey(s, cluster, &key, &err) != SUP_OK)
        fail_msg("%s", err.msg);
}

/* What it decided before is what it would have been in the cluster from the beginning. */
static void becomes_one_of_a_cluster(void **state)
{
    const size_t n = 20000; /* more than one transaction's */
    struct sup_store *s = store_of("");
    struct sup_vv before;
    struct sup_vv after;
    struct sup_apply *a;

    (void)state;
    fill(s, "", n);
    a = apply_of(s, "");
    sup_apply_vv(a, &before);
    apply_end(a);
    rekey(s, "prod");
    assert_int_equal(check_keys(s, "prod"), n);
    a = apply_of(s, "prod");
    sup_apply_vv(a, &after);
    assert_memory_equal(before.e, after.e, before.n * sizeof(before.e[0]));
    /* The audit of the sketch looks at every record. */
    apply_end(a);
    assert_int_equal(root(s, "prod").count, n);
    rekey(s, "prod"); /* nothing to do */
    sup_store_close(s);
}

/* As it is in the memory of a peer that got the same decisions in the cluster. */
static void the_same_decisions_give_the_same_root(void **state)
{
    struct sup_store *old = store_of("");
    struct sup_store *copy = NULL;
    struct sup_sketch_sum a;
    struct sup_sketch_sum b;

    (void)state;
    fill(old, "", 300);
    assert_int_equal(sup_store_memory_clone(old, &copy, NULL), SUP_OK);
    rekey(old, "prod");
    rekey(copy, "prod");
    a = root(old, "prod");
    b = root(copy, "prod");
    assert_true(sup_sketch_sum_eq(&a, &b));
    sup_store_close(old);
    sup_store_close(copy);
}

/* Ended anywhere, with any part of the records moved: it goes on, or back, or elsewhere. */
static void goes_on_from_anywhere(void **state)
{
    static const char *const targets[] = {"prod", "", "other"};
    struct sup_rng rng = property_rng("rekey");
    const size_t n = 500;

    (void)state;
    for (size_t round = 0; round < 30; round++) {
        struct sup_store *s = store_of("");
        struct sup_hash_key prod = key_of("prod");
        struct sup_slice open = {NULL, 0};
        struct sup_iter *it;
        struct sup_txn *t;
        fill(s, "", n);
        it = sup_iter_new(s, NULL, SUP_CF_RECORDS, open, open);
        t = sup_txn_begin(s);
        sup_meta_put_u64(t, SUP_META_REKEY, 1);
        for (; sup_iter_valid(it); sup_iter_next(it)) {
            struct sup_slice address;
            struct sup_key k;
            uint64_t hash;
            if (!property_chance(&rng, 50))
                continue;
            assert_true(sup_key_record_parse(sup_iter_key(it), &hash, &address));
            sup_key_record(&k, &prod, address);
            sup_txn_delete(t, SUP_CF_RECORDS, sup_iter_key(it));
            sup_txn_put(t, SUP_CF_RECORDS, sup_key_slice(&k), sup_iter_value(it));
        }
        sup_iter_free(it);
        assert_int_equal(sup_txn_commit(t, true, NULL), SUP_OK);
        rekey(s, targets[round % 3]);
        assert_int_equal(check_keys(s, targets[round % 3]), n);
        apply_end(apply_of(s, targets[round % 3])); /* it takes the key */
        sup_store_close(s);
    }
}

/* A fresh one has nothing to move, and one of a cluster keeps its key. */
static void nothing_to_do(void **state)
{
    struct sup_store *s = store_of("prod");
    struct sup_hash_key other = key_of("something else");
    struct sup_apply_options o = {.store = s, .hash = other, .max_clock_drift_ms = 1000};
    struct sup_apply *a = NULL;
    struct sup_err err = {0};

    (void)state;
    rekey(s, "prod");
    fill(s, "prod", 10);
    assert_int_equal(sup_rekey(s, "prod", &other, NULL), SUP_OK);
    assert_int_equal(check_keys(s, "prod"), 10);
    assert_int_equal(sup_apply_start(&o, &a, &err), SUP_EINPUT);
    assert_non_null(strstr(err.msg, "hashed with another secret"));
    sup_store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(becomes_one_of_a_cluster),
        cmocka_unit_test(the_same_decisions_give_the_same_root),
        cmocka_unit_test(goes_on_from_anywhere),
        cmocka_unit_test(nothing_to_do),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
