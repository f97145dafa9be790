/* A disk that fills up and is freed again: a small file system of its own, which needs root. */
#include "store/rocks.h"
#include "store/writer.h"
#include "store_test.h"

#include "property.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

/* Room for the log in use, which RocksDB reserves ahead (about 75 MiB), for what the test leaves
 * free and fills, and for the 64 MiB that must be free before RocksDB goes on. */
#define DISK_OPTIONS "size=400m"

struct disk {
    char mount[TEST_DIR_MAX];
    char dir[TEST_DIR_MAX + 16];
    char filler[TEST_DIR_MAX + 16];
};

static bool disk_make(struct disk *d)
{
    make_test_dir(d->mount);
    if (mount("tmpfs", d->mount, "tmpfs", 0, DISK_OPTIONS) != 0) {
        print_message("no file system of its own (%s): skipped, needs root\n", strerror(errno));
        remove_dir(d->mount);
        d->mount[0] = '\0';
        return false;
    }
    snprintf(d->dir, sizeof(d->dir), "%s/store", d->mount);
    snprintf(d->filler, sizeof(d->filler), "%s/filler", d->mount);
    return true;
}

static void disk_remove(struct disk *d)
{
    assert_int_equal(umount(d->mount), 0);
    remove_dir(d->mount);
    d->mount[0] = '\0';
}

static struct disk disk;

/* After a test that failed half-way the disk is still there, and in use. */
static int teardown(void **state)
{
    (void)state;
    if (disk.mount[0] != '\0' && umount2(disk.mount, MNT_DETACH) == 0)
        remove_dir(disk.mount);
    disk.mount[0] = '\0';
    return 0;
}

static void disk_fill(const struct disk *d, uint64_t leave)
{
    struct statvfs fs;

    assert_int_equal(statvfs(d->mount, &fs), 0);
    uint64_t left = (uint64_t)fs.f_bavail * fs.f_frsize;
    int fd = open(d->filler, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0 && left > leave);
    assert_int_equal(posix_fallocate(fd, 0, (off_t)(left - leave)), 0);
    close(fd);
}

/* One commit of about 100 KB in two families; incompressible, or the disk would never fill. */
static int write_block(struct sup_store *s, uint32_t n, struct sup_err *err)
{
    static uint8_t value[50000];
    uint8_t key[4];

    sup_random_bytes(value, sizeof(value));
    sup_put_be32(value, n);
    sup_put_be32(key, n);
    struct sup_txn *t = sup_txn_begin(s);
    sup_txn_put(t, SUP_CF_RECORDS, sup_slice_of(key, 4), sup_slice_of(value, sizeof(value)));
    sup_txn_put(t, SUP_CF_AUDIT, sup_slice_of(key, 4), sup_slice_of(value, sizeof(value)));
    return sup_txn_commit(t, true, err);
}

static void expect_blocks(struct sup_store *s, uint32_t n)
{
    struct sup_err err = {0};
    struct sup_buf value;
    uint8_t key[4];

    sup_buf_init(&value, 100000);
    for (uint32_t i = 0; i < n; i++) {
        sup_put_be32(key, i);
        for (int cf = 0; cf < 2; cf++) {
            int code = sup_store_get(s, NULL, cf == 0 ? SUP_CF_RECORDS : SUP_CF_AUDIT,
                                     sup_slice_of(key, 4), &value, &err);
            if (code != SUP_OK || sup_get_be32(value.p) != i)
                fail_msg("block %u of %u: %d %s", i, n, code, err.msg);
        }
    }
    sup_buf_fini(&value);
}

static uint32_t write_until_full(struct sup_store *s, struct sup_err *err)
{
    uint32_t n = 0;

    while (write_block(s, n, err) == SUP_OK)
        n++;
    return n;
}

static void full_and_free_again(const struct disk *d, uint64_t leave)
{
    struct sup_err err = {0};
    struct sup_store *s = open_dir(d->dir);

    disk_fill(d, leave);
    uint32_t n = write_until_full(s, &err);
    assert_int_equal(err.code, SUP_EIO);
    assert_non_null(strstr(err.msg, "No space left"));
    assert_int_equal(sup_store_health(s, &err), SUP_EAGAIN);
    assert_non_null(strstr(err.msg, "64 MiB"));
    assert_int_equal(write_block(s, n, &err), SUP_EIO); /* and it stays so */
    expect_blocks(s, n);                                /* reads go on */
    char copy[TEST_DIR_MAX + 16];
    snprintf(copy, sizeof(copy), "%s/copy", d->mount);
    assert_int_equal(sup_store_checkpoint(s, copy, &err), SUP_EAGAIN);

    assert_int_equal(unlink(d->filler), 0);
    int64_t deadline = sup_mono_ms() + 60000;
    while (write_block(s, n, &err) != SUP_OK) {
        assert_true(sup_mono_ms() < deadline);
        usleep(50000); /* between two looks at the condition */
    }
    assert_int_equal(sup_store_health(s, &err), SUP_OK);
    for (uint32_t more = 0; more < 20; more++)
        assert_int_equal(write_block(s, ++n, &err), SUP_OK);
    expect_blocks(s, n + 1);
    sup_store_close(s);

    s = open_dir(d->dir);
    expect_blocks(s, n + 1);
    sup_store_close(s);
}

static void test_full_and_free_again(void **state)
{
    struct sup_rng rng = property_rng("disk");

    (void)state;
    for (int i = 0; i < 3; i++) { /* the write that fails is of the log, or of a table file */
        if (!disk_make(&disk))
            skip();
        uint64_t leave = (1 << 20) + sup_rng_below(&rng, 90 << 20);
        print_message("%llu bytes left\n", (unsigned long long)leave);
        full_and_free_again(&disk, leave);
        disk_remove(&disk);
    }
}

/* A store that is closed, or whose process ends, while the disk is full. */
static void test_close_and_open_while_full(void **state)
{
    struct sup_err err = {0};

    (void)state;
    if (!disk_make(&disk))
        skip();
    struct sup_store *s = open_dir(disk.dir);
    disk_fill(&disk, 3 << 20);
    commit_text(s, SUP_CF_LOG, "not synced", "1", false);
    uint32_t n = write_until_full(s, &err);
    sup_store_close(s);

    assert_int_equal(try_open(disk.dir, &test_identity, true, &s, &err), SUP_EIO);
    assert_non_null(strstr(err.msg, "no space left"));
    assert_int_equal(unlink(disk.filler), 0);
    s = open_dir(disk.dir);
    expect_blocks(s, n);
    assert_int_equal(write_block(s, n, &err), SUP_OK);
    sup_store_close(s);
    disk_remove(&disk);
}

struct block_job {
    struct sup_store *s;
    uint32_t n;
};

static int block_run(void *arg, struct sup_txn *t, struct sup_err *err)
{
    const struct block_job *j = arg;
    static uint8_t value[50000];
    uint8_t key[4];

    (void)err;
    sup_random_bytes(value, sizeof(value));
    sup_put_be32(value, j->n);
    sup_put_be32(key, j->n);
    sup_txn_put(t, SUP_CF_RECORDS, sup_slice_of(key, 4), sup_slice_of(value, sizeof(value)));
    sup_txn_put(t, SUP_CF_AUDIT, sup_slice_of(key, 4), sup_slice_of(value, sizeof(value)));
    return SUP_OK;
}

static void test_writer_tells_and_goes_on(void **state)
{
    struct sup_err err = {0};
    struct sup_writer *w = NULL;

    (void)state;
    if (!disk_make(&disk))
        skip();
    struct sup_store *s = open_dir(disk.dir);
    struct sup_writer_opts opts = {.store = s, .queue_max = 8, .group_max_jobs = 4};
    assert_int_equal(sup_writer_start(&opts, &w, &err), SUP_OK);
    disk_fill(&disk, 2 << 20);
    struct block_job j = {.s = s};
    while (sup_writer_run(w, block_run, &j, &err) == SUP_OK)
        j.n++;
    assert_int_equal(err.code, SUP_EIO);
    assert_int_equal(sup_writer_health(w, &err), SUP_EIO);
    assert_non_null(strstr(err.msg, "No space left"));

    assert_int_equal(unlink(disk.filler), 0);
    int64_t deadline = sup_mono_ms() + 60000;
    while (sup_writer_run(w, block_run, &j, &err) != SUP_OK) {
        assert_true(sup_mono_ms() < deadline);
        usleep(50000);
    }
    assert_int_equal(sup_writer_health(w, &err), SUP_OK);
    sup_writer_free(w);
    expect_blocks(s, j.n + 1);
    sup_store_close(s);
    disk_remove(&disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_full_and_free_again, teardown),
        cmocka_unit_test_teardown(test_close_and_open_while_full, teardown),
        cmocka_unit_test_teardown(test_writer_tells_and_goes_on, teardown),
    };

    return cmocka_run_group_tests(tests, property_setup, NULL);
}
