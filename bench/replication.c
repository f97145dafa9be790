/* Replication delay between two agents in one process, over TLS on loopback.
 *
 *   bench_replication DIR CA CERT_A KEY_A CERT_B KEY_B [SAMPLES]
 *
 * The certificates carry the names a and b. Delay: from the moment a ruling is durable in a (and
 * its caller answered) until a's version vector is covered by what is durable in b; one at a time.
 * Between two of them what none can do without: the sync of as many bytes to a file beside the
 * stores. Then the throughput of a burst. One line of JSON. */
#include "base/log.h"
#include "pair.h"
#include "service/apply_txn.h"
#include "service/internal.h"

#include <fcntl.h>

static void wait_level(struct sup_service *from, struct sup_service *to)
{
    struct sup_vv want;
    struct sup_vv have;
    uint64_t seen = 0;

    sup_apply_vv(from->apply, &want);
    for (;;) {
        seen = sup_apply_version(to->apply);
        sup_apply_vv(to->apply, &have);
        if (sup_vv_covers(&have, &want))
            return;
        (void)sup_apply_wait(to->apply, seen, 10000);
    }
}

static void rule(struct sup_service *s, uint64_t i)
{
    char address[64];
    struct sup_err err = {0};
    struct sup_ruling r = {
        .address = address, .cls = SUP_CLASS_MANUAL, .actor = "bench", .note = "bench"};

    r.address_len =
        (size_t)snprintf(address, sizeof(address), "user%llu@example.com", (unsigned long long)i);
    bench_must(sup_service_suppress(s, &r, &err), &err, "suppress");
}

/* Appends about what a decision takes in a write-ahead log, and syncs; nanoseconds. */
static int64_t wal_sync(int fd)
{
    static const char entry[512];
    int64_t begin = sup_mono_ns();

    if (write(fd, entry, sizeof(entry)) != (ssize_t)sizeof(entry) || fdatasync(fd) != 0)
        exit(EXIT_FAILURE);
    return sup_mono_ns() - begin;
}

static int wal_open(const char *dir)
{
    char path[600];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/wal", dir);
    fd = open(path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        exit(EXIT_FAILURE);
    return fd;
}

struct burst {
    struct sup_service *s;
    uint64_t n;
};

static int burst_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct burst *b = arg;

    for (uint64_t i = 0; i < 1000; i++) {
        char address[64];
        struct sup_applied out;
        size_t n = (size_t)snprintf(address, sizeof(address), "burst%llu@example.com",
                                    (unsigned long long)(b->n++));
        struct sup_proposal p = {.key = sup_slice_of(address, n),
                                 .d = {.cls = SUP_CLASS_MANUAL, .state = SUP_SUPPRESSED}};
        int rc = sup_apply_decide(a, t, &p, &out, err);
        if (rc != SUP_OK)
            return rc;
    }
    return SUP_OK;
}

int main(int argc, char **argv)
{
    size_t samples = argc > 7 ? strtoul(argv[7], NULL, 10) : 1000;
    static struct bench_pair pair;
    struct sup_service *a = NULL;
    struct sup_service *b = NULL;
    struct sup_err err = {0};
    int64_t *delays;
    int64_t *commits;
    int64_t *syncs;
    int wal;

    if (argc < BENCH_PAIR_ARGC) {
        fprintf(stderr, "usage: bench_replication " BENCH_PAIR_USAGE " [SAMPLES]\n");
        return 2;
    }
    sup_log_configure(SUP_LOG_ERROR, SUP_LOG_TEXT, 2);
    bench_pair_init(&pair, argv);
    bench_must(sup_service_start(&pair.options[0], &a, &err), &err, "start a");
    bench_must(sup_service_start(&pair.options[1], &b, &err), &err, "start b");
    delays = calloc(samples, sizeof(*delays));
    commits = calloc(samples, sizeof(*commits));
    syncs = calloc(samples, sizeof(*syncs));
    wal = wal_open(argv[1]);
    rule(a, 0);
    wait_level(a, b);
    for (size_t i = 0; i < samples; i++) {
        int64_t begin = sup_mono_ns();
        rule(a, i + 1);
        commits[i] = sup_mono_ns() - begin;
        begin = sup_mono_ns();
        wait_level(a, b);
        delays[i] = sup_mono_ns() - begin;
        syncs[i] = wal_sync(wal);
    }
    qsort(delays, samples, sizeof(*delays), bench_cmp_i64);
    qsort(commits, samples, sizeof(*commits), bench_cmp_i64);
    qsort(syncs, samples, sizeof(*syncs), bench_cmp_i64);

    struct burst burst = {.s = a};
    int64_t begin = sup_mono_ns();
    for (int i = 0; i < 100; i++)
        bench_must(sup_apply_run(a->apply, burst_run, &burst, &err), &err, "burst");
    wait_level(a, b);
    double burst_s = (double)(sup_mono_ns() - begin) / 1e9;
    printf("{\"bench\":\"replication\",\"samples\":%zu,\"delay_p50_us\":%.0f,\"delay_p99_us\":%.0f,"
           "\"wal_sync_p50_us\":%.0f,\"wal_sync_p99_us\":%.0f,"
           "\"local_commit_p50_us\":%.0f,\"local_commit_p99_us\":%.0f,\"burst_per_s\":%.0f}\n",
           samples, (double)delays[samples / 2] / 1e3, (double)delays[samples * 99 / 100] / 1e3,
           (double)syncs[samples / 2] / 1e3, (double)syncs[samples * 99 / 100] / 1e3,
           (double)commits[samples / 2] / 1e3, (double)commits[samples * 99 / 100] / 1e3,
           (double)burst.n / burst_s);
    sup_service_stop(a);
    sup_service_stop(b);
    sup_service_free(a);
    sup_service_free(b);
    free(delays);
    free(commits);
    free(syncs);
    (void)close(wal);
    return 0;
}
