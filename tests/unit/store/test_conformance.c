/* The suite that every back end passes. */
#include "store/meta.h"
#include "store_test.h"

#include "base/thread.h"
#include "property.h"

struct fixture {
    struct sup_store *s;
    char dir[TEST_DIR_MAX]; /* "" for the store in memory */
};

static int setup_rocks(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    make_test_dir(f->dir);
    f->s = open_dir(f->dir);
    *state = f;
    return 0;
}

static int setup_memory(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->s = open_memory();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    sup_store_close(f->s);
    if (f->dir[0] != '\0')
        remove_dir(f->dir);
    free(f);
    return 0;
}

static struct sup_store *store_of(void **state)
{
    return ((struct fixture *)*state)->s;
}

static const struct sup_slice open_end = {0};

static void test_identity_written(void **state)
{
    struct sup_store *s = store_of(state);
    uint64_t v = 0;

    assert_int_not_equal(sup_store_node_id(s), 0);
    assert_int_equal(sup_meta_get_u64(s, NULL, SUP_META_NODE_ID, &v, NULL), SUP_OK);
    assert_true(v == sup_store_node_id(s));
    assert_int_equal(sup_meta_get_u64(s, NULL, SUP_META_SCHEMA, &v, NULL), SUP_OK);
    assert_int_equal(v, SUP_STORE_SCHEMA);
    assert_int_equal(sup_meta_get_u64(s, NULL, SUP_META_INCARNATION, &v, NULL), SUP_OK);
    assert_true(v != 0 && v != sup_store_node_id(s));
    assert_int_equal(sup_meta_get_u64(s, NULL, SUP_META_CREATED, &v, NULL), SUP_OK);
    assert_in_range(sup_wall_ms() - (int64_t)v, 0, 600000);
    expect_text(s, NULL, SUP_CF_META, SUP_META_NODE, "eu-west-1");
    expect_text(s, NULL, SUP_CF_META, SUP_META_CLUSTER, "prod");
}

static void test_meta_numbers(void **state)
{
    struct sup_store *s = store_of(state);
    struct sup_err err = {0};
    uint64_t v = 7;

    assert_int_equal(sup_meta_get_u64(s, NULL, SUP_META_SEQ, &v, &err), SUP_ENOTFOUND);
    assert_int_equal(v, 0);
    commit_text(s, SUP_CF_META, SUP_META_SEQ, "short", true);
    assert_int_equal(sup_meta_get_u64(s, NULL, SUP_META_SEQ, &v, &err), SUP_ECORRUPT);
    assert_non_null(strstr(err.msg, SUP_META_SEQ));

    struct sup_txn *t = sup_txn_begin(s);
    sup_meta_put_u64(t, SUP_META_SEQ, UINT64_MAX - 1);
    assert_int_equal(sup_meta_txn_get_u64(t, SUP_META_SEQ, &v, &err), SUP_OK);
    assert_true(v == UINT64_MAX - 1);
    assert_int_equal(sup_meta_txn_get_u64(t, SUP_META_READY, &v, &err), SUP_ENOTFOUND);
    assert_int_equal(sup_txn_commit(t, true, &err), SUP_OK);
    assert_int_equal(sup_meta_get_u64(s, NULL, SUP_META_SEQ, &v, &err), SUP_OK);
    assert_true(v == UINT64_MAX - 1);
}

static void test_put_get_delete(void **state)
{
    struct sup_store *s = store_of(state);
    struct sup_err err = {0};

    expect_text(s, NULL, SUP_CF_RECORDS, "a", NULL);
    commit_text(s, SUP_CF_RECORDS, "a", "1", true);
    expect_text(s, NULL, SUP_CF_RECORDS, "a", "1");
    expect_text(s, NULL, SUP_CF_LOG, "a", NULL); /* families are apart */
    commit_text(s, SUP_CF_RECORDS, "a", "2", false);
    expect_text(s, NULL, SUP_CF_RECORDS, "a", "2");
    commit_text(s, SUP_CF_RECORDS, "a", "", true); /* empty is not absent */
    expect_text(s, NULL, SUP_CF_RECORDS, "a", "");

    struct sup_txn *t = sup_txn_begin(s);
    sup_txn_delete(t, SUP_CF_RECORDS, SUP_SLICE_LIT("a"));
    sup_txn_delete(t, SUP_CF_RECORDS, SUP_SLICE_LIT("never was"));
    assert_int_equal(sup_txn_commit(t, true, &err), SUP_OK);
    expect_text(s, NULL, SUP_CF_RECORDS, "a", NULL);
}

static void test_binary_keys_and_values(void **state)
{
    struct sup_store *s = store_of(state);
    struct sup_err err = {0};
    static const uint8_t key[] = {0, 255, 0, 1};
    static const uint8_t value[] = {0, 0, 7};
    struct sup_buf got;

    struct sup_txn *t = sup_txn_begin(s);
    sup_txn_put(t, SUP_CF_SES, sup_slice_of(key, 4), sup_slice_of(value, 3));
    sup_txn_put(t, SUP_CF_SES, sup_slice_of(key, 3), sup_slice_of(value, 2));
    assert_int_equal(sup_txn_commit(t, true, &err), SUP_OK);
    sup_buf_init(&got, 64);
    assert_int_equal(sup_store_get(s, NULL, SUP_CF_SES, sup_slice_of(key, 4), &got, &err), SUP_OK);
    assert_int_equal(got.n, 3);
    assert_memory_equal(got.p, value, 3);
    assert_int_equal(sup_store_get(s, NULL, SUP_CF_SES, sup_slice_of(key, 3), &got, &err), SUP_OK);
    assert_int_equal(got.n, 2);
    assert_int_equal(sup_store_get(s, NULL, SUP_CF_SES, sup_slice_of(key, 2), &got, &err),
                     SUP_ENOTFOUND);
    assert_int_equal(got.n, 0);
    sup_buf_fini(&got);
}

static void test_value_past_the_buffers_maximum(void **state)
{
    struct sup_store *s = store_of(state);
    struct sup_err err = {0};
    struct sup_buf got;

    commit_text(s, SUP_CF_RECORDS, "k", "0123456789", true);
    sup_buf_init(&got, 9);
    assert_int_equal(sup_store_get(s, NULL, SUP_CF_RECORDS, SUP_SLICE_LIT("k"), &got, &err),
                     SUP_ELIMIT);
    struct sup_txn *t = sup_txn_begin(s);
    put_text(t, SUP_CF_RECORDS, "l", "1");
    assert_int_equal(sup_txn_get(t, SUP_CF_RECORDS, SUP_SLICE_LIT("k"), &got), SUP_ELIMIT);
    assert_int_equal(sup_txn_commit(t, true, &err), SUP_ELIMIT);
    sup_buf_fini(&got);
    expect_text(s, NULL, SUP_CF_RECORDS, "l", NULL);
}

static void put_letters(struct sup_store *s, enum sup_cf cf, const char *letters)
{
    struct sup_err err = {0};
    struct sup_txn *t = sup_txn_begin(s);

    for (; *letters != '\0'; letters++)
        sup_txn_put(t, cf, sup_slice_of(letters, 1), sup_slice_of(letters, 1));
    assert_int_equal(sup_txn_commit(t, true, &err), SUP_OK);
}

static void test_iterator_bounds(void **state)
{
    struct sup_store *s = store_of(state);

    expect_iter(sup_iter_new(s, NULL, SUP_CF_LOG, open_end, open_end), "");
    put_letters(s, SUP_CF_LOG, "dbca");
    expect_iter(sup_iter_new(s, NULL, SUP_CF_LOG, open_end, open_end), "a=a b=b c=c d=d");
    expect_iter(sup_iter_new(s, NULL, SUP_CF_LOG, SUP_SLICE_LIT("b"), SUP_SLICE_LIT("d")),
                "b=b c=c");
    expect_iter(sup_iter_new(s, NULL, SUP_CF_LOG, SUP_SLICE_LIT("aa"), open_end), "b=b c=c d=d");
    expect_iter(sup_iter_new(s, NULL, SUP_CF_LOG, open_end, SUP_SLICE_LIT("b\0")), "a=a b=b");
    expect_iter(sup_iter_new(s, NULL, SUP_CF_LOG, SUP_SLICE_LIT("c"), SUP_SLICE_LIT("c")), "");
    expect_iter(sup_iter_new(s, NULL, SUP_CF_LOG, SUP_SLICE_LIT("d"), SUP_SLICE_LIT("b")), "");
    expect_iter(sup_iter_new(s, NULL, SUP_CF_LOG, SUP_SLICE_LIT("e"), open_end), "");
}

static void test_iterator_seek(void **state)
{
    struct sup_store *s = store_of(state);
    char upper[] = "d";

    put_letters(s, SUP_CF_LOG, "abcde");
    struct sup_iter *it =
        sup_iter_new(s, NULL, SUP_CF_LOG, SUP_SLICE_LIT("b"), sup_slice_str(upper));
    upper[0] = 'a'; /* bounds are copied */
    sup_iter_seek(it, SUP_SLICE_LIT("c"));
    assert_true(sup_slice_eq(sup_iter_key(it), SUP_SLICE_LIT("c")));
    sup_iter_seek(it, SUP_SLICE_LIT("a")); /* not before the lower bound */
    assert_true(sup_slice_eq(sup_iter_key(it), SUP_SLICE_LIT("b")));
    sup_iter_seek(it, SUP_SLICE_LIT("bb"));
    assert_true(sup_slice_eq(sup_iter_key(it), SUP_SLICE_LIT("c")));
    sup_iter_seek(it, SUP_SLICE_LIT("d"));
    assert_false(sup_iter_valid(it));
    sup_iter_next(it); /* harmless past the end */
    assert_false(sup_iter_valid(it));
    sup_iter_seek(it, SUP_SLICE_LIT("")); /* and back again */
    assert_true(sup_slice_eq(sup_iter_key(it), SUP_SLICE_LIT("b")));
    sup_iter_free(it);
    sup_iter_free(NULL);
}

static void test_iterator_does_not_see_later_writes(void **state)
{
    struct sup_store *s = store_of(state);

    put_letters(s, SUP_CF_LOG, "ac");
    struct sup_iter *it = sup_iter_new(s, NULL, SUP_CF_LOG, open_end, open_end);
    put_letters(s, SUP_CF_LOG, "bd");
    expect_iter(it, "a=a c=c");
}

static void test_snapshot_isolation(void **state)
{
    struct sup_store *s = store_of(state);
    struct sup_err err = {0};

    commit_text(s, SUP_CF_RECORDS, "a", "old", true);
    commit_text(s, SUP_CF_RECORDS, "b", "old", true);
    struct sup_snapshot *snap = sup_store_snapshot(s);
    struct sup_txn *t = sup_txn_begin(s);
    put_text(t, SUP_CF_RECORDS, "a", "new");
    sup_txn_delete(t, SUP_CF_RECORDS, SUP_SLICE_LIT("b"));
    put_text(t, SUP_CF_RECORDS, "c", "new");
    put_text(t, SUP_CF_LOG, "l", "new");
    assert_int_equal(sup_txn_commit(t, true, &err), SUP_OK);

    expect_text(s, snap, SUP_CF_RECORDS, "a", "old");
    expect_text(s, snap, SUP_CF_RECORDS, "b", "old");
    expect_text(s, snap, SUP_CF_RECORDS, "c", NULL);
    expect_text(s, snap, SUP_CF_LOG, "l", NULL);
    expect_iter(sup_iter_new(s, snap, SUP_CF_RECORDS, open_end, open_end), "a=old b=old");
    expect_iter(sup_iter_new(s, NULL, SUP_CF_RECORDS, open_end, open_end), "a=new c=new");
    sup_snapshot_free(s, snap);
    sup_snapshot_free(s, NULL);
    expect_text(s, NULL, SUP_CF_RECORDS, "b", NULL);
}

static void test_transaction_reads_its_writes(void **state)
{
    struct sup_store *s = store_of(state);
    struct sup_err err = {0};

    put_letters(s, SUP_CF_RECORDS, "aceg");
    struct sup_txn *t = sup_txn_begin(s);
    expect_txn_text(t, SUP_CF_RECORDS, "a", "a");
    put_text(t, SUP_CF_RECORDS, "a", "A");
    put_text(t, SUP_CF_RECORDS, "b", "B");
    sup_txn_delete(t, SUP_CF_RECORDS, SUP_SLICE_LIT("c"));
    put_text(t, SUP_CF_RECORDS, "d", "D");
    sup_txn_delete(t, SUP_CF_RECORDS, SUP_SLICE_LIT("d"));
    put_text(t, SUP_CF_RECORDS, "z", "Z");
    put_text(t, SUP_CF_LOG, "l", "L");
    expect_txn_text(t, SUP_CF_RECORDS, "a", "A");
    expect_txn_text(t, SUP_CF_RECORDS, "b", "B");
    expect_txn_text(t, SUP_CF_RECORDS, "c", NULL);
    expect_txn_text(t, SUP_CF_RECORDS, "d", NULL);
    expect_txn_text(t, SUP_CF_RECORDS, "e", "e");
    expect_txn_text(t, SUP_CF_LOG, "a", NULL);
    expect_iter(sup_txn_iter(t, SUP_CF_RECORDS, open_end, open_end), "a=A b=B e=e g=g z=Z");
    expect_iter(sup_txn_iter(t, SUP_CF_RECORDS, SUP_SLICE_LIT("b"), SUP_SLICE_LIT("z")),
                "b=B e=e g=g");
    expect_iter(sup_txn_iter(t, SUP_CF_RECORDS, SUP_SLICE_LIT("h"), SUP_SLICE_LIT("i")), "");
    expect_text(s, NULL, SUP_CF_RECORDS, "a", "a"); /* nobody else sees it */
    assert_int_equal(sup_txn_commit(t, true, &err), SUP_OK);
    expect_iter(sup_iter_new(s, NULL, SUP_CF_RECORDS, open_end, open_end), "a=A b=B e=e g=g z=Z");
}

static void test_abort_leaves_nothing(void **state)
{
    struct sup_store *s = store_of(state);

    struct sup_txn *t = sup_txn_begin(s);
    put_text(t, SUP_CF_RECORDS, "a", "1");
    sup_txn_abort(t);
    sup_txn_abort(NULL);
    expect_text(s, NULL, SUP_CF_RECORDS, "a", NULL);
}

static void test_rollback_to_mark(void **state)
{
    struct sup_store *s = store_of(state);
    struct sup_err err = {0};

    commit_text(s, SUP_CF_RECORDS, "base", "0", true);
    struct sup_txn *t = sup_txn_begin(s);
    put_text(t, SUP_CF_RECORDS, "a", "1");
    put_text(t, SUP_CF_RECORDS, "b", "1");
    sup_txn_mark(t);
    put_text(t, SUP_CF_RECORDS, "a", "2");
    sup_txn_delete(t, SUP_CF_RECORDS, SUP_SLICE_LIT("b"));
    sup_txn_delete(t, SUP_CF_RECORDS, SUP_SLICE_LIT("base"));
    put_text(t, SUP_CF_LOG, "c", "2");
    sup_txn_rollback_to_mark(t);
    expect_txn_text(t, SUP_CF_RECORDS, "a", "1");
    expect_txn_text(t, SUP_CF_RECORDS, "b", "1");
    expect_txn_text(t, SUP_CF_RECORDS, "base", "0");
    expect_txn_text(t, SUP_CF_LOG, "c", NULL);

    put_text(t, SUP_CF_RECORDS, "a", "3"); /* the mark is still there */
    sup_txn_rollback_to_mark(t);
    sup_txn_rollback_to_mark(t);
    expect_txn_text(t, SUP_CF_RECORDS, "a", "1");

    put_text(t, SUP_CF_RECORDS, "d", "4");
    sup_txn_mark(t); /* replaces the first */
    put_text(t, SUP_CF_RECORDS, "d", "5");
    sup_txn_rollback_to_mark(t);
    expect_txn_text(t, SUP_CF_RECORDS, "d", "4");
    expect_iter(sup_txn_iter(t, SUP_CF_RECORDS, open_end, open_end), "a=1 b=1 base=0 d=4");
    assert_int_equal(sup_txn_commit(t, true, &err), SUP_OK);
    expect_iter(sup_iter_new(s, NULL, SUP_CF_RECORDS, open_end, open_end), "a=1 b=1 base=0 d=4");
}

static void test_rollback_without_a_mark(void **state)
{
    struct sup_store *s = store_of(state);
    struct sup_err err = {0};

    struct sup_txn *t = sup_txn_begin(s);
    put_text(t, SUP_CF_RECORDS, "a", "1");
    sup_txn_rollback_to_mark(t);
    expect_txn_text(t, SUP_CF_RECORDS, "a", NULL);
    put_text(t, SUP_CF_RECORDS, "b", "1");
    assert_int_equal(sup_txn_commit(t, true, &err), SUP_OK);
    expect_iter(sup_iter_new(s, NULL, SUP_CF_RECORDS, open_end, open_end), "b=1");
}

/* A read into a buffer too small is an error that any back end can have. */
static void make_it_fail(struct sup_txn *t)
{
    struct sup_buf tiny;

    sup_buf_init(&tiny, 1);
    assert_int_equal(sup_txn_get(t, SUP_CF_META, sup_slice_str(SUP_META_NODE), &tiny), SUP_ELIMIT);
    sup_buf_fini(&tiny);
}

static void test_first_error_sticks(void **state)
{
    struct sup_store *s = store_of(state);
    struct sup_err err = {0};
    struct sup_buf b;

    put_letters(s, SUP_CF_RECORDS, "a");
    struct sup_txn *t = sup_txn_begin(s);
    assert_int_equal(sup_txn_status(t, &err), SUP_OK);
    make_it_fail(t);
    assert_int_equal(sup_txn_status(t, &err), SUP_ELIMIT);
    put_text(t, SUP_CF_RECORDS, "b", "1");
    sup_txn_delete(t, SUP_CF_RECORDS, SUP_SLICE_LIT("a"));
    sup_buf_init(&b, 64);
    assert_int_equal(sup_txn_get(t, SUP_CF_RECORDS, SUP_SLICE_LIT("a"), &b), SUP_ELIMIT);
    sup_buf_fini(&b);
    struct sup_iter *it = sup_txn_iter(t, SUP_CF_RECORDS, open_end, open_end);
    assert_false(sup_iter_valid(it));
    assert_int_equal(sup_iter_status(it, &err), SUP_ELIMIT);
    sup_iter_free(it);
    err.code = SUP_OK;
    assert_int_equal(sup_txn_commit(t, true, &err), SUP_ELIMIT);
    assert_int_equal(err.code, SUP_ELIMIT);
    assert_true(err.msg[0] != '\0');
    expect_iter(sup_iter_new(s, NULL, SUP_CF_RECORDS, open_end, open_end), "a=a");
}

static void test_rollback_clears_only_later_errors(void **state)
{
    struct sup_store *s = store_of(state);
    struct sup_err err = {0};

    struct sup_txn *t = sup_txn_begin(s);
    put_text(t, SUP_CF_RECORDS, "a", "1");
    sup_txn_mark(t);
    put_text(t, SUP_CF_RECORDS, "b", "1");
    make_it_fail(t);
    sup_txn_rollback_to_mark(t);
    assert_int_equal(sup_txn_status(t, &err), SUP_OK);
    put_text(t, SUP_CF_RECORDS, "c", "1");
    assert_int_equal(sup_txn_commit(t, true, &err), SUP_OK);
    expect_iter(sup_iter_new(s, NULL, SUP_CF_RECORDS, open_end, open_end), "a=1 c=1");

    t = sup_txn_begin(s);
    make_it_fail(t);
    sup_txn_mark(t);
    sup_txn_rollback_to_mark(t);
    assert_int_equal(sup_txn_commit(t, true, &err), SUP_ELIMIT);
}

static void test_too_large_a_transaction(void **state)
{
    struct sup_store *s = store_of(state);
    struct sup_err err = {0};
    size_t n = 64u << 20;
    uint8_t *big = calloc(1, n);

    assert_non_null(big);
    struct sup_txn *t = sup_txn_begin(s);
    put_text(t, SUP_CF_RECORDS, "a", "1");
    sup_txn_mark(t);
    for (int i = 0; i < 4; i++)
        sup_txn_put(t, SUP_CF_AUDIT, SUP_SLICE_LIT("big"), sup_slice_of(big, n));
    assert_int_equal(sup_txn_status(t, &err), SUP_ELIMIT);
    sup_txn_rollback_to_mark(t); /* gives the room back too */
    assert_int_equal(sup_txn_status(t, &err), SUP_OK);
    sup_txn_put(t, SUP_CF_AUDIT, sup_slice_of(big, 9), sup_slice_of(big, SIZE_MAX - 2));
    assert_int_equal(sup_txn_status(t, &err), SUP_ELIMIT);
    sup_txn_rollback_to_mark(t);
    assert_int_equal(sup_txn_commit(t, true, &err), SUP_OK);
    free(big);
    expect_text(s, NULL, SUP_CF_RECORDS, "a", "1");
}

static void test_second_transaction_is_refused(void **state)
{
    struct sup_store *s = store_of(state);
    struct sup_err err = {0};

    struct sup_txn *t = sup_txn_begin(s);
    put_text(t, SUP_CF_RECORDS, "a", "1");
    struct sup_txn *second = sup_txn_begin(s);
    put_text(second, SUP_CF_RECORDS, "b", "1");
    sup_txn_rollback_to_mark(second); /* not cleared by this */
    assert_int_equal(sup_txn_commit(second, true, &err), SUP_EBUG);
    struct sup_txn *third = sup_txn_begin(s); /* the end of the second did not let a third in */
    assert_int_equal(sup_txn_commit(third, true, &err), SUP_EBUG);
    assert_int_equal(sup_txn_commit(t, true, &err), SUP_OK);
    commit_text(s, SUP_CF_RECORDS, "c", "1", true);
    expect_iter(sup_iter_new(s, NULL, SUP_CF_RECORDS, open_end, open_end), "a=1 c=1");
}

static void test_counts(void **state)
{
    struct sup_store *s = store_of(state);
    struct sup_store_memory before;
    struct sup_store_memory after;

    assert_int_equal(sup_store_estimate_keys(s, SUP_CF_RECORDS), 0);
    sup_store_memory(s, &before);
    put_letters(s, SUP_CF_RECORDS, "abcdefgh");
    sup_store_memory(s, &after);
    assert_true(after.memtables > before.memtables);
    assert_int_equal(sup_store_estimate_keys(s, SUP_CF_RECORDS), 8);
    assert_true(sup_store_disk_bytes(s) > 8);
    assert_int_equal(sup_store_health(s, NULL), SUP_OK);
    assert_string_equal(sup_cf_name(SUP_CF_EXPIRY), "expiry");
    assert_string_equal(sup_cf_name((enum sup_cf)99), "unknown");
}

/* --- readers beside the writer: every commit moves a and b together --- */

struct readers {
    struct sup_store *s;
    atomic_bool stop;
    atomic_int torn;
    atomic_int reads;
};

static void read_pair(struct readers *r, const struct sup_snapshot *snap)
{
    struct sup_buf a, b;

    sup_buf_init(&a, 64);
    sup_buf_init(&b, 64);
    int ca = sup_store_get(r->s, snap, SUP_CF_RECORDS, SUP_SLICE_LIT("a"), &a, NULL);
    int cb = sup_store_get(r->s, snap, SUP_CF_LOG, SUP_SLICE_LIT("b"), &b, NULL);
    if (ca != cb || strcmp(sup_buf_str(&a), sup_buf_str(&b)) != 0)
        atomic_fetch_add(&r->torn, 1);
    sup_buf_fini(&a);
    sup_buf_fini(&b);
}

static void *reader_main(void *arg)
{
    struct readers *r = arg;

    while (!atomic_load(&r->stop)) {
        struct sup_snapshot *snap = sup_store_snapshot(r->s);
        read_pair(r, snap);
        struct sup_iter *it = sup_iter_new(r->s, snap, SUP_CF_AUDIT, open_end, open_end);
        int n = 0;
        for (; sup_iter_valid(it); sup_iter_next(it))
            n++;
        if (n % 2 != 0 || sup_iter_status(it, NULL) != SUP_OK)
            atomic_fetch_add(&r->torn, 1);
        sup_iter_free(it);
        sup_snapshot_free(r->s, snap);
        atomic_fetch_add(&r->reads, 1);
    }
    return NULL;
}

static void write_round(struct sup_store *s, int round)
{
    struct sup_err err = {0};
    char text[16];

    snprintf(text, sizeof(text), "%d", round);
    struct sup_txn *t = sup_txn_begin(s);
    put_text(t, SUP_CF_RECORDS, "a", text);
    put_text(t, SUP_CF_LOG, "b", text);
    snprintf(text, sizeof(text), "x%d", round % 50);
    put_text(t, SUP_CF_AUDIT, text, "1");
    text[0] = 'y';
    put_text(t, SUP_CF_AUDIT, text, "1");
    assert_int_equal(sup_txn_commit(t, false, &err), SUP_OK);
}

static void test_readers_beside_the_writer(void **state)
{
    struct readers r = {.s = store_of(state)};
    pthread_t threads[3];
    int round = 0;

    for (size_t i = 0; i < 3; i++)
        assert_int_equal(sup_thread_start(&threads[i], "reader", reader_main, &r), SUP_OK);
    while (round < 500 || atomic_load(&r.reads) < 100)
        write_round(r.s, round++);
    atomic_store(&r.stop, true);
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&r.torn), 0);
}

/* --- random operations against a model that cannot be wrong: an array --- */

#define MODEL_KEYS 40

struct model {
    int value[3][MODEL_KEYS]; /* -1: not there */
};

static const enum sup_cf model_cfs[3] = {SUP_CF_RECORDS, SUP_CF_LOG, SUP_CF_OUTBOX};

static void model_key(int k, char out[16])
{
    snprintf(out, 16, "%c%02d", 'a' + k % 3, k); /* not in the order of k */
}

/* What an iterator over [lo, hi) has to yield; hi < 0: open. */
static void check_range(struct sup_iter *it, const struct model *m, int cf, const char *lo,
                        const char *hi)
{
    struct sup_err err = {0};
    char key[16];
    char previous[16] = "";
    int seen = 0;
    int expected = 0;

    for (int k = 0; k < MODEL_KEYS; k++) {
        model_key(k, key);
        if (m->value[cf][k] >= 0 && strcmp(key, lo) >= 0 && (*hi == '\0' || strcmp(key, hi) < 0))
            expected++;
    }
    for (; sup_iter_valid(it); sup_iter_next(it), seen++) {
        struct sup_slice k = sup_iter_key(it);
        snprintf(key, sizeof(key), "%.*s", (int)k.n, (const char *)k.p);
        assert_true(strcmp(key, previous) > 0);
        memcpy(previous, key, sizeof(key));
        char value[16];
        struct sup_slice v = sup_iter_value(it);
        snprintf(value, sizeof(value), "%.*s", (int)v.n, (const char *)v.p);
        assert_int_equal(strtol(value, NULL, 10), m->value[cf][strtol(key + 1, NULL, 10)]);
        assert_true(strcmp(key, lo) >= 0 && (*hi == '\0' || strcmp(key, hi) < 0));
    }
    assert_int_equal(sup_iter_status(it, &err), SUP_OK);
    assert_int_equal(seen, expected);
    sup_iter_free(it);
}

struct world {
    struct sup_store *s;
    struct sup_rng rng;
    struct sup_txn *t; /* NULL: none open */
    struct model committed;
    struct model txn;
    struct model mark;
    struct sup_snapshot *snap;
    struct model snap_model;
};

static int below(struct world *w, int n)
{
    return (int)sup_rng_below(&w->rng, (uint64_t)n);
}

static void step_write(struct world *w)
{
    int cf = below(w, 3);
    int k = below(w, MODEL_KEYS);
    char key[16];
    char value[16];

    model_key(k, key);
    if (below(w, 3) == 0) {
        sup_txn_delete(w->t, model_cfs[cf], sup_slice_str(key));
        w->txn.value[cf][k] = -1;
        return;
    }
    w->txn.value[cf][k] = below(w, 1000);
    snprintf(value, sizeof(value), "%d", w->txn.value[cf][k]);
    put_text(w->t, model_cfs[cf], key, value);
}

static void step_read(struct world *w)
{
    int cf = below(w, 3);
    int k = below(w, MODEL_KEYS);
    const struct model *m = w->t != NULL ? &w->txn : &w->committed;
    char key[16];
    char value[16];

    model_key(k, key);
    snprintf(value, sizeof(value), "%d", m->value[cf][k]);
    const char *expected = m->value[cf][k] >= 0 ? value : NULL;
    if (w->t != NULL)
        expect_txn_text(w->t, model_cfs[cf], key, expected);
    else
        expect_text(w->s, NULL, model_cfs[cf], key, expected);
}

static void step_scan(struct world *w)
{
    int cf = below(w, 3);
    char lo[16];
    char hi[16];

    model_key(below(w, MODEL_KEYS), lo);
    model_key(below(w, MODEL_KEYS), hi);
    if (below(w, 4) == 0)
        lo[0] = '\0';
    if (below(w, 4) == 0)
        hi[0] = '\0';
    struct sup_slice l = sup_slice_str(lo);
    struct sup_slice h = sup_slice_str(hi);
    if (w->t != NULL)
        check_range(sup_txn_iter(w->t, model_cfs[cf], l, h), &w->txn, cf, lo, hi);
    check_range(sup_iter_new(w->s, NULL, model_cfs[cf], l, h), &w->committed, cf, lo, hi);
    if (w->snap != NULL)
        check_range(sup_iter_new(w->s, w->snap, model_cfs[cf], l, h), &w->snap_model, cf, lo, hi);
}

static void step_txn(struct world *w)
{
    struct sup_err err = {0};

    if (w->t == NULL) {
        w->t = sup_txn_begin(w->s);
        w->txn = w->mark = w->committed;
        return;
    }
    switch (below(w, 6)) {
    case 0:
        sup_txn_abort(w->t);
        w->t = NULL;
        break;
    case 1:
    case 2:
        assert_int_equal(sup_txn_commit(w->t, below(w, 10) == 0, &err), SUP_OK);
        w->t = NULL;
        w->committed = w->txn;
        break;
    case 3:
        sup_txn_rollback_to_mark(w->t);
        w->txn = w->mark;
        break;
    default:
        sup_txn_mark(w->t);
        w->mark = w->txn;
        break;
    }
}

static void step_snapshot(struct world *w)
{
    sup_snapshot_free(w->s, w->snap);
    w->snap = below(w, 3) == 0 ? NULL : sup_store_snapshot(w->s);
    w->snap_model = w->committed;
}

static void test_random_operations(void **state)
{
    struct world w = {.s = store_of(state), .rng = property_rng("random operations")};
    size_t steps = property_cases(20000);

    memset(&w.committed, 0xff, sizeof(w.committed));
    for (size_t i = 0; i < steps; i++) {
        int dice = below(&w, 100);
        if (dice < 55 && w.t != NULL)
            step_write(&w);
        else if (dice < 75)
            step_read(&w);
        else if (dice < 80)
            step_scan(&w);
        else if (dice < 97)
            step_txn(&w);
        else
            step_snapshot(&w);
    }
    sup_txn_abort(w.t);
    sup_snapshot_free(w.s, w.snap);
}

#define BOTH(name)                                                                                 \
    {"memory: " #name, test_##name, setup_memory, teardown, NULL},                                 \
    {                                                                                              \
        "rocksdb: " #name, test_##name, setup_rocks, teardown, NULL                                \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(identity_written),
        BOTH(meta_numbers),
        BOTH(put_get_delete),
        BOTH(binary_keys_and_values),
        BOTH(value_past_the_buffers_maximum),
        BOTH(iterator_bounds),
        BOTH(iterator_seek),
        BOTH(iterator_does_not_see_later_writes),
        BOTH(snapshot_isolation),
        BOTH(transaction_reads_its_writes),
        BOTH(abort_leaves_nothing),
        BOTH(rollback_to_mark),
        BOTH(rollback_without_a_mark),
        BOTH(first_error_sticks),
        BOTH(rollback_clears_only_later_errors),
        BOTH(too_large_a_transaction),
        BOTH(second_transaction_is_refused),
        BOTH(counts),
        BOTH(readers_beside_the_writer),
        BOTH(random_operations),
    };

    return cmocka_run_group_tests(tests, property_setup, NULL);
}
