#ifndef SUP_STORE_TEST_H
#define SUP_STORE_TEST_H

/* What the store's tests share. Each test program is one file, so these are static. */

#include "base/buf.h"
#include "base/clock.h"
#include "base/random.h"
#include "store/store.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

/* librocksdb and the libraries under it are not instrumented: the atomics by which its threads hand
 * things over are not seen, so what those threads do among themselves cannot be judged. None of our
 * code in these tests uses those other libraries. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "called_from_lib:librocksdb.so\nrace:librocksdb.so\n"
           "called_from_lib:libzstd.so\nrace:libzstd.so\n"
           "called_from_lib:liblz4.so\nrace:liblz4.so\n"
           "race:libstdc++.so\n";
}

static const struct sup_store_identity test_identity = {"eu-west-1", "prod"};

#define TEST_DIR_MAX 128

/* A new empty directory; remove_dir takes it away. */
static inline void make_test_dir(char dir[TEST_DIR_MAX])
{
    const char *tmp = getenv("TMPDIR");

    snprintf(dir, TEST_DIR_MAX, "%.80s/supsync-store-XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir));
}

static inline void remove_dir(const char *dir)
{
    char command[TEST_DIR_MAX * 2];

    snprintf(command, sizeof(command), "rm -rf -- '%s'", dir);
    assert_int_equal(system(command), 0);
}

static inline int try_open(const char *dir, const struct sup_store_identity *identity, bool create,
                           struct sup_store **s, struct sup_err *err)
{
    struct sup_store_opts opts = {
        .dir = dir, .identity = *identity, .cache_bytes = 4 << 20, .create = create};

    return sup_store_open(&opts, s, err);
}

static inline struct sup_store *open_dir(const char *dir)
{
    struct sup_err err = {0};
    struct sup_store *s = NULL;

    if (try_open(dir, &test_identity, true, &s, &err) != SUP_OK)
        fail_msg("open %s: %s", dir, err.msg);
    return s;
}

static inline struct sup_store *open_memory(void)
{
    struct sup_err err = {0};
    struct sup_store *s = NULL;

    assert_int_equal(sup_store_open_memory(&test_identity, &s, &err), SUP_OK);
    return s;
}

static inline void put_text(struct sup_txn *t, enum sup_cf cf, const char *key, const char *value)
{
    sup_txn_put(t, cf, sup_slice_str(key), sup_slice_str(value));
}

static inline void commit_text(struct sup_store *s, enum sup_cf cf, const char *key,
                               const char *value, bool sync)
{
    struct sup_err err = {0};
    struct sup_txn *t = sup_txn_begin(s);

    put_text(t, cf, key, value);
    if (sup_txn_commit(t, sync, &err) != SUP_OK)
        fail_msg("commit: %s", err.msg);
}

/* value NULL: expects that the key is not there. */
static inline void expect_text(struct sup_store *s, const struct sup_snapshot *snap, enum sup_cf cf,
                               const char *key, const char *value)
{
    struct sup_err err = {0};
    struct sup_buf got;

    sup_buf_init(&got, 1 << 20);
    int code = sup_store_get(s, snap, cf, sup_slice_str(key), &got, &err);
    assert_int_equal(code, value != NULL ? SUP_OK : SUP_ENOTFOUND);
    if (value != NULL)
        assert_string_equal(sup_buf_str(&got), value);
    sup_buf_fini(&got);
}

static inline void expect_txn_text(struct sup_txn *t, enum sup_cf cf, const char *key,
                                   const char *value)
{
    struct sup_buf got;

    sup_buf_init(&got, 1 << 20);
    int code = sup_txn_get(t, cf, sup_slice_str(key), &got);
    assert_int_equal(code, value != NULL ? SUP_OK : SUP_ENOTFOUND);
    if (value != NULL)
        assert_string_equal(sup_buf_str(&got), value);
    sup_buf_fini(&got);
}

/* "k=v k=v …" of all that the iterator yields; frees it. */
static inline void expect_iter(struct sup_iter *it, const char *expected)
{
    struct sup_err err = {0};
    struct sup_buf got;

    assert_non_null(it);
    sup_buf_init(&got, 1 << 20);
    for (; sup_iter_valid(it); sup_iter_next(it)) {
        if (got.n > 0)
            sup_buf_add_byte(&got, ' ');
        sup_buf_add_slice(&got, sup_iter_key(it));
        sup_buf_add_byte(&got, '=');
        sup_buf_add_slice(&got, sup_iter_value(it));
    }
    assert_int_equal(sup_iter_status(it, &err), SUP_OK);
    sup_iter_free(it);
    assert_string_equal(sup_buf_str(&got), expected);
    sup_buf_fini(&got);
}

#endif
