/* The store in memory: accidents on demand, and the tree under it. */
#include "store/memory.h"
#include "store/meta.h"
#include "store/tree.h"
#include "store_test.h"

#include "base/thread.h"
#include "property.h"

static void test_crash_drops_what_was_not_synced(void **state)
{
    struct sup_store *s = open_memory();

    (void)state;
    commit_text(s, SUP_CF_RECORDS, "a", "synced", true);
    commit_text(s, SUP_CF_RECORDS, "a", "not", false);
    commit_text(s, SUP_CF_LOG, "b", "not", false);
    struct sup_snapshot *snap = sup_store_snapshot(s);
    sup_store_memory_crash(s);
    expect_text(s, NULL, SUP_CF_RECORDS, "a", "synced");
    expect_text(s, NULL, SUP_CF_LOG, "b", NULL);
    expect_text(s, NULL, SUP_CF_META, SUP_META_NODE, "eu-west-1");
    expect_text(s, snap, SUP_CF_LOG, "b", "not");
    sup_snapshot_free(s, snap);

    commit_text(s, SUP_CF_LOG, "c", "before", false);
    commit_text(s, SUP_CF_LOG, "d", "synced", true); /* takes the one before along */
    sup_store_memory_crash(s);
    sup_store_memory_crash(s);
    expect_text(s, NULL, SUP_CF_LOG, "c", "before");
    sup_store_close(s);
}

static void test_clone_is_apart(void **state)
{
    struct sup_err err = {0};
    struct sup_store *s = open_memory();
    struct sup_store *c = NULL;

    (void)state;
    commit_text(s, SUP_CF_RECORDS, "a", "1", false);
    assert_int_equal(sup_store_memory_clone(s, &c, &err), SUP_OK);
    assert_true(sup_store_node_id(c) == sup_store_node_id(s));
    commit_text(s, SUP_CF_RECORDS, "a", "2", true);
    commit_text(c, SUP_CF_RECORDS, "b", "3", true);
    sup_store_memory_crash(c);
    expect_text(c, NULL, SUP_CF_RECORDS, "a", "1");
    expect_text(s, NULL, SUP_CF_RECORDS, "b", NULL);
    sup_store_close(s);
    expect_text(c, NULL, SUP_CF_RECORDS, "b", "3");
    sup_store_close(c);
}

static void test_commits_told_to_fail(void **state)
{
    struct sup_err err = {0};
    struct sup_store *s = open_memory();

    (void)state;
    sup_store_memory_fail_commits(s, SUP_EIO);
    struct sup_txn *t = sup_txn_begin(s);
    put_text(t, SUP_CF_RECORDS, "a", "1");
    assert_int_equal(sup_txn_commit(t, true, &err), SUP_EIO);
    assert_int_equal(sup_store_health(s, &err), SUP_EAGAIN);
    expect_text(s, NULL, SUP_CF_RECORDS, "a", NULL);
    t = sup_txn_begin(s);
    assert_int_equal(sup_txn_commit(t, true, &err), SUP_OK); /* nothing to write */
    sup_store_memory_fail_commits(s, SUP_OK);
    commit_text(s, SUP_CF_RECORDS, "a", "1", true);
    assert_int_equal(sup_store_health(s, &err), SUP_OK);
    assert_int_equal(sup_store_checkpoint(s, "/nowhere", &err), SUP_EINPUT);
    sup_store_close(s);
}

static void test_only_for_stores_in_memory(void **state)
{
    char dir[TEST_DIR_MAX];
    struct sup_err err = {0};
    struct sup_store *c = NULL;

    (void)state;
    make_test_dir(dir);
    struct sup_store *s = open_dir(dir);
    commit_text(s, SUP_CF_RECORDS, "a", "1", false);
    assert_int_equal(sup_store_memory_clone(s, &c, &err), SUP_EINPUT);
    sup_store_memory_crash(s);
    sup_store_memory_fail_commits(s, SUP_EIO);
    commit_text(s, SUP_CF_RECORDS, "b", "1", true);
    expect_text(s, NULL, SUP_CF_RECORDS, "a", "1");
    sup_store_close(s);
    remove_dir(dir);
}

/* --- the tree --- */

static struct sup_slice key_of(uint64_t i, uint8_t b[8])
{
    sup_put_be64(b, i);
    return sup_slice_of(b, 8);
}

/* Keys in order, the worst case of a tree that does not balance: it would take minutes, and the
 * recursion would be a million deep. */
static void test_a_million_keys_in_order(void **state)
{
    const uint64_t n = 1000000;
    struct sup_tree t = {0};
    struct sup_tree_entry e;
    uint8_t b[8];

    (void)state;
    int64_t begun = sup_mono_ms();
    for (uint64_t i = 0; i < n; i++)
        assert_int_equal(sup_tree_put(&t, key_of(i, b), sup_slice_of(b, 8)), SUP_OK);
    assert_int_equal(sup_tree_count(&t), n);
    assert_int_equal(sup_tree_bytes(&t), n * 16);
    struct sup_tree copy = sup_tree_copy(&t);
    for (uint64_t i = 0; i < n; i += 2)
        assert_int_equal(sup_tree_delete(&t, key_of(i, b)), SUP_OK);
    assert_int_equal(sup_tree_count(&t), n / 2);
    assert_int_equal(sup_tree_count(&copy), n);
    uint64_t seen = 0;
    bool more = sup_tree_seek(&copy, (struct sup_slice){0}, false, &e);
    for (; more; more = sup_tree_seek(&copy, e.key, true, &e))
        assert_true(sup_get_be64(e.key.p) == seen++);
    assert_true(seen == n);
    sup_tree_fini(&copy);
    sup_tree_fini(&t);
    print_message("a million keys in %lld ms\n", (long long)(sup_mono_ms() - begun));
}

/* Versions of a tree, changed at random, each beside its own plain array. */
#define VERSIONS 8
#define KEYS     64

struct version {
    struct sup_tree tree;
    int value[KEYS]; /* 0: not there */
};

static void check_version(const struct version *v)
{
    struct sup_tree_entry e;
    uint8_t b[8];
    int expected = 0;
    int seen = 0;

    for (uint64_t k = 0; k < KEYS; k++) {
        struct sup_slice got = {0};
        assert_int_equal(sup_tree_get(&v->tree, key_of(k, b), &got), v->value[k] != 0);
        if (v->value[k] != 0)
            assert_int_equal(sup_get_be32(got.p), v->value[k]);
        expected += v->value[k] != 0;
    }
    bool more = sup_tree_seek(&v->tree, (struct sup_slice){0}, false, &e);
    for (; more; more = sup_tree_seek(&v->tree, e.key, true, &e))
        seen++;
    assert_int_equal(seen, expected);
    assert_int_equal(sup_tree_count(&v->tree), expected);
    assert_int_equal(sup_tree_bytes(&v->tree), expected * 12);
}

static void change(struct version *v, struct sup_rng *r)
{
    uint64_t k = sup_rng_below(r, KEYS);
    uint8_t b[8];
    uint8_t value[4];

    if (sup_rng_below(r, 3) == 0) {
        v->value[k] = 0;
        assert_int_equal(sup_tree_delete(&v->tree, key_of(k, b)), SUP_OK);
        return;
    }
    v->value[k] = 1 + (int)sup_rng_below(r, 1000);
    sup_put_be32(value, (uint32_t)v->value[k]);
    assert_int_equal(sup_tree_put(&v->tree, key_of(k, b), sup_slice_of(value, 4)), SUP_OK);
}

static void test_versions_do_not_disturb_each_other(void **state)
{
    struct sup_rng r = property_rng("versions");
    struct version *v = calloc(VERSIONS, sizeof(*v));

    (void)state;
    for (size_t i = 0; i < property_cases(3000); i++) {
        size_t a = sup_rng_below(&r, VERSIONS);
        size_t b = sup_rng_below(&r, VERSIONS);
        if (sup_rng_below(&r, 5) == 0 && a != b) {
            sup_tree_fini(&v[a].tree);
            v[a] = v[b];
            v[a].tree = sup_tree_copy(&v[b].tree);
        }
        for (int n = 0; n < 4; n++)
            change(&v[b], &r);
        check_version(&v[a]);
        check_version(&v[b]);
    }
    for (size_t i = 0; i < VERSIONS; i++)
        sup_tree_fini(&v[i].tree);
    free(v);
}

/* Trees that share nodes, each changed by its own thread: nothing but the counts is shared. */
struct forest {
    struct version v;
    uint64_t seed;
};

static void *change_main(void *arg)
{
    struct forest *f = arg;
    struct sup_rng r;

    sup_rng_seed(&r, f->seed);
    for (int i = 0; i < 4000; i++)
        change(&f->v, &r);
    return NULL;
}

static void test_shared_nodes_in_many_threads(void **state)
{
    struct sup_rng r = property_rng("threads");
    struct version first = {0};
    struct forest f[4];
    pthread_t threads[4];

    (void)state;
    for (int i = 0; i < 200; i++)
        change(&first, &r);
    for (size_t i = 0; i < 4; i++) {
        f[i].v = first;
        f[i].v.tree = sup_tree_copy(&first.tree);
        f[i].seed = sup_rng_u64(&r);
        assert_int_equal(sup_thread_start(&threads[i], "tree", change_main, &f[i]), SUP_OK);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        check_version(&f[i].v);
        sup_tree_fini(&f[i].v.tree);
    }
    check_version(&first);
    sup_tree_fini(&first.tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crash_drops_what_was_not_synced),
        cmocka_unit_test(test_clone_is_apart),
        cmocka_unit_test(test_commits_told_to_fail),
        cmocka_unit_test(test_only_for_stores_in_memory),
        cmocka_unit_test(test_a_million_keys_in_order),
        cmocka_unit_test(test_versions_do_not_disturb_each_other),
        cmocka_unit_test(test_shared_nodes_in_many_threads),
    };

    return cmocka_run_group_tests(tests, property_setup, NULL);
}
