/* What done told is there after the process was killed, at any moment. */
#include "store/meta.h"
#include "store/writer.h"
#include "store_test.h"

#include "property.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#define ROUNDS   20
#define INFLIGHT 32

/* --- the child: writes counters through the writer and tells each one that is done --- */

struct counter_job {
    struct sup_job job; /* first */
    struct sup_writer *w;
    uint64_t *next; /* shared, on the writer thread after the start */
    uint64_t n;
    int fd;
};

static int counter_run(struct sup_job *job, struct sup_txn *t, struct sup_err *err)
{
    struct counter_job *j = (struct counter_job *)(void *)job;
    uint8_t key[8];
    uint8_t value[400] = {0};

    (void)err;
    j->n = ++*j->next;
    sup_put_be64(key, j->n);
    sup_put_be64(value, ~j->n);
    sup_txn_put(t, SUP_CF_LOG, sup_slice_of(key, 8), sup_slice_of(value, sizeof(value)));
    sup_txn_put(t, SUP_CF_RECORDS, sup_slice_of(key, 8), sup_slice_of(value, 8));
    sup_meta_put_u64(t, SUP_META_SEQ, j->n);
    return SUP_OK;
}

static void counter_done(struct sup_job *job, int code, const struct sup_err *err)
{
    struct counter_job *j = (struct counter_job *)(void *)job;

    (void)err;
    if (code != SUP_OK || write(j->fd, &j->n, sizeof(j->n)) != sizeof(j->n))
        _exit(3);
    if (sup_writer_submit(j->w, job, -1) != SUP_OK)
        _exit(4);
}

static void child_main(const char *dir, int fd)
{
    struct sup_store_opts opts = {
        .dir = dir, .identity = test_identity, .cache_bytes = 4 << 20, .create = true};
    struct sup_store *s = NULL;
    struct sup_writer *w = NULL;
    struct counter_job jobs[INFLIGHT];
    uint64_t next = 0;

    if (sup_store_open(&opts, &s, NULL) != SUP_OK)
        _exit(1);
    (void)sup_meta_get_u64(s, NULL, SUP_META_SEQ, &next, NULL);
    struct sup_writer_opts wopts = {.store = s, .queue_max = INFLIGHT, .group_max_jobs = 8};
    if (sup_writer_start(&wopts, &w, NULL) != SUP_OK)
        _exit(2);
    for (size_t i = 0; i < INFLIGHT; i++) {
        jobs[i] = (struct counter_job){
            .job = {.run = counter_run, .done = counter_done}, .w = w, .next = &next, .fd = fd};
        if (sup_writer_submit(w, &jobs[i].job, -1) != SUP_OK)
            _exit(4);
    }
    for (;;)
        pause();
}

/* A program of its own: a mere fork of a process in which RocksDB has run believes in background
 * threads that are not there. */
static void child_exec(const char *dir, int fd)
{
    char number[16];

    snprintf(number, sizeof(number), "%d", fd);
    execl("/proc/self/exe", "test_durability", "--child", dir, number, (char *)NULL);
    _exit(5);
}

/* --- the parent --- */

/* Reads acknowledgements until the pipe is empty and closed; from kill_at (monotonic ms, counted
 * from the first one) on the child is dead. Returns the highest. */
static uint64_t follow(int fd, pid_t child, int64_t kill_after_ms)
{
    uint64_t highest = 0;
    uint64_t n = 0;
    int64_t kill_at = INT64_MAX;
    bool killed = false;

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = killed || kill_at == INT64_MAX ? 30000 : kill_at - sup_mono_ms();
        int ready = poll(&p, 1, left > 0 ? (int)left : 0);
        if (!killed && sup_mono_ms() >= kill_at) {
            kill(child, SIGKILL);
            killed = true;
        }
        if (ready <= 0) {
            assert_true(ready == 0 || errno == EINTR);
            assert_true(kill_at != INT64_MAX); /* 30 s without a first acknowledgement */
            continue;
        }
        ssize_t got = read(fd, &n, sizeof(n));
        if (got == 0)
            return highest;
        assert_int_equal(got, sizeof(n));
        if (kill_at == INT64_MAX)
            kill_at = sup_mono_ms() + kill_after_ms;
        if (n > highest)
            highest = n;
    }
}

/* Everything up to seq is there, in all families or in none. */
static uint64_t check_store(const char *dir, uint64_t acknowledged)
{
    struct sup_store *s = open_dir(dir);
    struct sup_err err = {0};
    struct sup_buf value;
    uint64_t seq = 0;
    uint8_t key[8];

    assert_int_equal(sup_meta_get_u64(s, NULL, SUP_META_SEQ, &seq, &err), SUP_OK);
    assert_true(seq >= acknowledged);
    sup_buf_init(&value, 1024);
    struct sup_iter *it =
        sup_iter_new(s, NULL, SUP_CF_LOG, (struct sup_slice){0}, (struct sup_slice){0});
    uint64_t expected = 1;
    for (; sup_iter_valid(it); sup_iter_next(it), expected++) {
        assert_true(sup_get_be64(sup_iter_key(it).p) == expected);
        assert_true(sup_get_be64(sup_iter_value(it).p) == ~expected);
        sup_put_be64(key, expected);
        assert_int_equal(sup_store_get(s, NULL, SUP_CF_RECORDS, sup_slice_of(key, 8), &value, &err),
                         SUP_OK);
    }
    assert_int_equal(sup_iter_status(it, &err), SUP_OK);
    sup_iter_free(it);
    assert_true(expected == seq + 1);
    sup_buf_fini(&value);
    sup_store_close(s);
    return seq;
}

static void test_killed_at_random_moments(void **state)
{
    struct sup_rng rng = property_rng("kill");
    char dir[TEST_DIR_MAX];
    uint64_t seq = 0;

    (void)state;
    make_test_dir(dir);
    for (int round = 0; round < ROUNDS; round++) {
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(fds[0]);
            child_exec(dir, fds[1]);
        }
        close(fds[1]);
        uint64_t acknowledged = follow(fds[0], child, (int64_t)sup_rng_below(&rng, 120));
        close(fds[0]);
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_true(acknowledged > seq);
        seq = check_store(dir, acknowledged);
    }
    print_message("%d kills, %llu writes acknowledged, none lost\n", ROUNDS,
                  (unsigned long long)seq);
    remove_dir(dir);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--child") == 0)
        child_main(argv[2], (int)strtol(argv[3], NULL, 10));

    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_at_random_moments),
    };

    return cmocka_run_group_tests(tests, property_setup, NULL);
}
