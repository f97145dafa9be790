/* What only the store on disk can show: reopening, refusals, damage, copies. */
#include "store/meta.h"
#include "store/rocks.h"
#include "store_test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int setup(void **state)
{
    char *dir = malloc(TEST_DIR_MAX);

    make_test_dir(dir);
    *state = dir;
    return 0;
}

static int teardown(void **state)
{
    remove_dir(*state);
    free(*state);
    return 0;
}

static void expect_refusal(const char *dir, const struct sup_store_identity *identity, bool create,
                           int code, const char *text, const char *more)
{
    struct sup_err err = {0};
    struct sup_store *s = (struct sup_store *)1;

    assert_int_equal(try_open(dir, identity, create, &s, &err), code);
    assert_null(s);
    assert_int_equal(err.code, code);
    if (strstr(err.msg, text) == NULL || strstr(err.msg, more) == NULL)
        fail_msg("\"%s\" does not say \"%s\" and \"%s\"", err.msg, text, more);
}

static void test_reopen_keeps_everything(void **state)
{
    uint64_t incarnation = 0;
    uint64_t again = 0;

    struct sup_store *s = open_dir(*state);
    uint64_t id = sup_store_node_id(s);
    assert_int_equal(sup_meta_get_u64(s, NULL, SUP_META_INCARNATION, &incarnation, NULL), SUP_OK);
    for (int cf = SUP_CF_RECORDS; cf < SUP_N_CFS; cf++)
        commit_text(s, (enum sup_cf)cf, "key", sup_cf_name((enum sup_cf)cf), cf % 2 == 0);
    sup_store_close(s);

    s = open_dir(*state);
    assert_true(sup_store_node_id(s) == id);
    assert_int_equal(sup_meta_get_u64(s, NULL, SUP_META_INCARNATION, &again, NULL), SUP_OK);
    assert_true(incarnation == again);
    for (int cf = SUP_CF_RECORDS; cf < SUP_N_CFS; cf++)
        expect_text(s, NULL, (enum sup_cf)cf, "key", sup_cf_name((enum sup_cf)cf));
    sup_store_close(s);
    sup_store_close(NULL);
}

static void test_create_only_when_told(void **state)
{
    char path[TEST_DIR_MAX + 16];

    expect_refusal(*state, &test_identity, false, SUP_ENOTFOUND, "no store", *state);
    snprintf(path, sizeof(path), "%s/new", (char *)*state);
    expect_refusal(path, &test_identity, false, SUP_ENOTFOUND, "no store", path);
    assert_int_not_equal(access(path, F_OK), 0);
    sup_store_close(open_dir(path)); /* the directory is made */
    snprintf(path, sizeof(path), "%s/no/parent", (char *)*state);
    expect_refusal(path, &test_identity, true, SUP_EIO, "cannot make", path);
    snprintf(path, sizeof(path), "%s/file", (char *)*state);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    expect_refusal(path, &test_identity, true, SUP_EIO, path, "");
}

static void test_other_owner_is_refused(void **state)
{
    const struct sup_store_identity node = {"us-east-1", "prod"};
    const struct sup_store_identity cluster = {"eu-west-1", "test"};
    const struct sup_store_identity alone = {"eu-west-1", ""};

    sup_store_close(open_dir(*state));
    expect_refusal(*state, &node, true, SUP_EINPUT, "\"eu-west-1\"", "\"us-east-1\"");
    expect_refusal(*state, &cluster, true, SUP_EINPUT, "\"prod\"", "\"test\"");
    expect_refusal(*state, &alone, true, SUP_EINPUT, "\"prod\"", "the mesh section is missing");
    sup_store_close(open_dir(*state));
}

/* Which cluster it is of from then on is for the owner to write. */
static void test_made_for_no_cluster(void **state)
{
    static const char *const clusters[] = {"", "prod", "test", ""};
    struct sup_store *s;

    for (size_t i = 0; i < sizeof(clusters) / sizeof(clusters[0]); i++) {
        struct sup_store_identity identity = {"eu-west-1", clusters[i]};
        assert_int_equal(try_open(*state, &identity, true, &s, NULL), SUP_OK);
        commit_text(s, SUP_CF_RECORDS, "a", "1", true);
        sup_store_close(s);
    }
}

static void test_open_twice_in_one_process(void **state)
{
    struct sup_store *s = open_dir(*state);

    expect_refusal(*state, &test_identity, true, SUP_EEXIST, "is in use by another process",
                   *state);
    commit_text(s, SUP_CF_RECORDS, "a", "1", true); /* the first is unharmed */
    sup_store_close(s);
}

static void test_open_in_two_processes(void **state)
{
    int up[2];
    int down[2];
    char c = 0;

    assert_int_equal(pipe(up), 0);
    assert_int_equal(pipe(down), 0);
    pid_t child = fork(); /* before this process has threads of RocksDB's in this test */
    assert_true(child >= 0);
    if (child == 0) {
        struct sup_store *s = NULL;
        close(down[1]);
        c = try_open(*state, &test_identity, true, &s, NULL) == SUP_OK ? 'y' : 'n';
        if (write(up[1], &c, 1) != 1 || read(down[0], &c, 1) < 0)
            _exit(2);
        _exit(0); /* without closing: the lock goes with the process */
    }
    assert_int_equal(read(up[0], &c, 1), 1);
    assert_int_equal(c, 'y');
    expect_refusal(*state, &test_identity, true, SUP_EEXIST, "is in use by another process",
                   *state);
    close(down[1]);
    close(down[0]);
    close(up[0]);
    close(up[1]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    sup_store_close(open_dir(*state));
}

static void test_newer_schema_is_refused(void **state)
{
    struct sup_err err = {0};
    struct sup_store *s = open_dir(*state);

    struct sup_txn *t = sup_txn_begin(s);
    sup_meta_put_u64(t, SUP_META_SCHEMA, 7);
    assert_int_equal(sup_txn_commit(t, true, &err), SUP_OK);
    sup_store_close(s);
    expect_refusal(*state, &test_identity, true, SUP_EVERSION, "schema 7", "up to 1");
}

static void set_schema(const char *dir, uint64_t schema)
{
    struct sup_err err = {0};
    struct sup_store *s = open_dir(dir);
    struct sup_txn *t = sup_txn_begin(s);

    sup_meta_put_u64(t, SUP_META_SCHEMA, schema);
    assert_int_equal(sup_txn_commit(t, true, &err), SUP_OK);
    sup_store_close(s);
}

/* Opens the database with RocksDB itself, adds or drops a column family. */
static void alter_families(const char *dir, const char *add, const char *drop)
{
    rocksdb_options_t *o = rocksdb_options_create();
    rocksdb_column_family_handle_t *handles[32];
    const rocksdb_options_t *options[32];
    char *text = NULL;
    size_t n = 0;

    char **names = rocksdb_list_column_families(o, dir, &n, &text);
    assert_null(text);
    assert_in_range(n, 1, 32);
    for (size_t i = 0; i < n; i++)
        options[i] = o;
    rocksdb_t *db = rocksdb_open_column_families(o, dir, (int)n, (const char *const *)names,
                                                 options, handles, &text);
    assert_null(text);
    if (add != NULL)
        rocksdb_column_family_handle_destroy(rocksdb_create_column_family(db, o, add, &text));
    for (size_t i = 0; i < n; i++) {
        if (drop != NULL && strcmp(names[i], drop) == 0)
            rocksdb_drop_column_family(db, handles[i], &text);
        rocksdb_column_family_handle_destroy(handles[i]);
    }
    assert_null(text);
    rocksdb_close(db);
    rocksdb_list_column_families_destroy(names, n);
    rocksdb_options_destroy(o);
}

static void test_unknown_family_is_refused(void **state)
{
    set_schema(*state, 9);
    alter_families(*state, "from-the-future", NULL);
    expect_refusal(*state, &test_identity, true, SUP_EVERSION, "schema 9", "up to 1");
    expect_refusal(*state, &test_identity, false, SUP_EVERSION, "from-the-future", "newer");
}

static void test_missing_family_is_made(void **state)
{
    struct sup_store *s = open_dir(*state);

    commit_text(s, SUP_CF_RECORDS, "a", "1", true);
    sup_store_close(s);
    alter_families(*state, NULL, sup_cf_name(SUP_CF_EXPIRY));
    s = open_dir(*state);
    expect_text(s, NULL, SUP_CF_RECORDS, "a", "1");
    commit_text(s, SUP_CF_EXPIRY, "b", "2", true);
    expect_text(s, NULL, SUP_CF_EXPIRY, "b", "2");
    sup_store_close(s);
}

/* RocksDB's files are there, our first transaction is not. */
static void test_making_cut_short(void **state)
{
    rocksdb_options_t *o = rocksdb_options_create();
    char *text = NULL;

    rocksdb_options_set_create_if_missing(o, 1);
    rocksdb_t *db = rocksdb_open(o, *state, &text);
    assert_null(text);
    rocksdb_close(db);
    rocksdb_options_destroy(o);
    expect_refusal(*state, &test_identity, false, SUP_ENOTFOUND, "cut short", *state);
    struct sup_store *s = open_dir(*state);
    assert_int_not_equal(sup_store_node_id(s), 0);
    sup_store_close(s);
}

static void delete_meta(const char *dir, const char *key)
{
    struct sup_err err = {0};
    struct sup_store *s = open_dir(dir);
    struct sup_txn *t = sup_txn_begin(s);

    put_text(t, SUP_CF_RECORDS, "a", "1");
    sup_txn_delete(t, SUP_CF_META, sup_slice_str(key));
    assert_int_equal(sup_txn_commit(t, true, &err), SUP_OK);
    sup_store_close(s);
}

static void test_identity_lost(void **state)
{
    delete_meta(*state, SUP_META_NODE_ID);
    expect_refusal(*state, &test_identity, true, SUP_ECORRUPT, "node id", *state);
}

static void test_schema_lost(void **state)
{
    delete_meta(*state, SUP_META_SCHEMA);
    expect_refusal(*state, &test_identity, true, SUP_ECORRUPT, "no schema", *state);
}

static void test_schema_zero(void **state)
{
    set_schema(*state, 0);
    expect_refusal(*state, &test_identity, true, SUP_ECORRUPT, "schema 0", *state);
}

static void overwrite(const char *dir, const char *pattern)
{
    char command[TEST_DIR_MAX * 2];

    snprintf(command, sizeof(command),
             "for f in '%s'/%s; do printf 'damaged damaged damaged' | "
             "dd of=\"$f\" conv=notrunc bs=1 seek=8 status=none; done",
             dir, pattern);
    assert_int_equal(system(command), 0);
}

static void test_damaged_manifest(void **state)
{
    sup_store_close(open_dir(*state));
    overwrite(*state, "MANIFEST-*");
    expect_refusal(*state, &test_identity, true, SUP_ECORRUPT, *state, "");
}

static void test_damaged_table_is_noticed(void **state)
{
    struct sup_err err = {0};
    struct sup_buf got;
    char path[TEST_DIR_MAX + 16];
    struct sup_store *s = open_dir(*state);

    for (int i = 0; i < 200; i++) {
        snprintf(path, sizeof(path), "key %04d", i);
        commit_text(s, SUP_CF_RECORDS, path, "some value that takes room", false);
    }
    sup_store_close(s);
    sup_store_close(open_dir(*state)); /* the log becomes a table file */
    overwrite(*state, "*.sst");

    sup_buf_init(&got, 1024);
    int code = try_open(*state, &test_identity, true, &s, &err);
    if (code == SUP_OK) { /* the block is read when it is needed */
        code = sup_store_get(s, NULL, SUP_CF_RECORDS, SUP_SLICE_LIT("key 0000"), &got, &err);
        struct sup_iter *it =
            sup_iter_new(s, NULL, SUP_CF_RECORDS, (struct sup_slice){0}, (struct sup_slice){0});
        assert_false(sup_iter_valid(it));
        assert_int_equal(sup_iter_status(it, &err), SUP_ECORRUPT);
        sup_iter_free(it);
        sup_store_close(s);
    }
    assert_int_equal(code, SUP_ECORRUPT);
    sup_buf_fini(&got);
}

/* A transaction whose reading ended in an error must not commit what it decided from it. */
static void test_failed_iteration_sticks(void **state)
{
    struct sup_err err = {0};
    struct sup_store *s = open_dir(*state);
    char key[16];

    for (int i = 0; i < 2000; i++) {
        snprintf(key, sizeof(key), "key %04d", i);
        commit_text(s, SUP_CF_OUTBOX, key, "some value that takes room", false);
    }
    sup_store_close(s);
    sup_store_close(open_dir(*state));
    overwrite(*state, "*.sst");
    if (try_open(*state, &test_identity, true, &s, &err) != SUP_OK) {
        assert_int_equal(err.code, SUP_ECORRUPT); /* meta's table was hit, too */
        return;
    }
    struct sup_txn *t = sup_txn_begin(s);
    sup_iter_free(sup_txn_iter(t, SUP_CF_OUTBOX, (struct sup_slice){0}, (struct sup_slice){0}));
    put_text(t, SUP_CF_RECORDS, "a", "1");
    assert_int_equal(sup_txn_commit(t, true, &err), SUP_ECORRUPT);
    sup_store_close(s);
}

static void test_checkpoint(void **state)
{
    struct sup_err err = {0};
    char copy[TEST_DIR_MAX + 16];
    char deep[TEST_DIR_MAX + 16];
    struct sup_store *s = open_dir(*state);

    commit_text(s, SUP_CF_RECORDS, "a", "1", true);
    snprintf(copy, sizeof(copy), "%s/copy", (char *)*state);
    snprintf(deep, sizeof(deep), "%s/no/parent", (char *)*state);
    assert_int_equal(sup_store_checkpoint(s, copy, &err), SUP_OK);
    assert_int_equal(sup_store_checkpoint(s, copy, &err), SUP_EEXIST);
    assert_int_equal(sup_store_checkpoint(s, deep, &err), SUP_EIO);
    commit_text(s, SUP_CF_RECORDS, "a", "2", true);
    uint64_t id = sup_store_node_id(s);

    struct sup_store *c = NULL;
    assert_int_equal(try_open(copy, &test_identity, false, &c, &err), SUP_OK);
    expect_text(c, NULL, SUP_CF_RECORDS, "a", "1");
    assert_true(sup_store_node_id(c) == id);
    sup_store_close(c);
    sup_store_close(s);
}

static void test_error_texts(void **state)
{
    (void)state;
    assert_int_equal(rocks_error_code("Corruption: block checksum mismatch"), SUP_ECORRUPT);
    assert_int_equal(rocks_error_code("NotFound: "), SUP_ENOTFOUND);
    assert_int_equal(rocks_error_code("IO error: No space left on device: x"), SUP_EIO);
    assert_int_equal(rocks_error_code("IO error: While lock file: d/LOCK: Resource temporarily "
                                      "unavailable"),
                     SUP_EEXIST);
    assert_int_equal(rocks_error_code("Resource busy: "), SUP_EAGAIN);
    assert_int_equal(rocks_error_code("Shutdown in progress: "), SUP_ECLOSED);
    assert_int_equal(rocks_error_code("something new"), SUP_EIO);
    assert_int_equal(rocks_error_code(""), SUP_EIO);
    assert_true(rocks_error_is_no_space("IO error: No space left on device: While appending"));
    assert_false(rocks_error_is_no_space("IO error: Input/output error"));
    assert_int_equal(rocks_error(NULL, NULL, "x"), SUP_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_open_in_two_processes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reopen_keeps_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(test_create_only_when_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_owner_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_made_for_no_cluster, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_twice_in_one_process, setup, teardown),
        cmocka_unit_test_setup_teardown(test_newer_schema_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_family_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_missing_family_is_made, setup, teardown),
        cmocka_unit_test_setup_teardown(test_making_cut_short, setup, teardown),
        cmocka_unit_test_setup_teardown(test_identity_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(test_schema_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(test_schema_zero, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_manifest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_table_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failed_iteration_sticks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_checkpoint, setup, teardown),
        cmocka_unit_test(test_error_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
