/* A node joins by a snapshot, over TLS on loopback, while its donor is asked for addresses.
 *
 *   bench_join DIR CA CERT_A KEY_A CERT_B KEY_B [RECORDS]
 *
 * The certificates carry the names a and b. The joining node is a process of its own, at the lowest
 * priority, as it would be a machine of its own. Beside it: the donor's store read from end to end
 * and compressed in pieces of the same size, by one thread. One line of JSON. */
#include "base/log.h"
#include "pair.h"
#include "service/apply_txn.h"
#include "service/internal.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <zstd.h>

#define PIECE (128U << 10)

static int fill_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    uint64_t *next = arg;

    for (uint64_t i = 0; i < 2000; i++, (*next)++) {
        char address[64];
        struct sup_applied out;
        size_t n = (size_t)snprintf(address, sizeof(address), "user%llu@example.com",
                                    (unsigned long long)*next);
        struct sup_proposal p = {
            .key = sup_slice_of(address, n),
            .d = {.cls = SUP_CLASS_BOUNCE, .state = SUP_SUPPRESSED, .cause = SUP_CAUSE_OPERATOR}};
        int rc = sup_apply_decide(a, t, &p, &out, err);
        if (rc != SUP_OK)
            return rc;
    }
    return SUP_OK;
}

static double scan_per_s(struct sup_store *store)
{
    struct sup_slice open = {NULL, 0};
    ZSTD_CCtx *z = ZSTD_createCCtx();
    char *out = malloc(ZSTD_compressBound(2 * PIECE));
    struct sup_buf piece;
    size_t n = 0;
    int64_t begin = sup_mono_ns();
    struct sup_iter *it = sup_iter_scan(store, NULL, SUP_CF_RECORDS, open, open);

    sup_buf_init(&piece, 2 * PIECE);
    for (; sup_iter_valid(it); sup_iter_next(it), n++) {
        sup_buf_add_slice(&piece, sup_iter_key(it));
        sup_buf_add_slice(&piece, sup_iter_value(it));
        if (piece.n >= PIECE) {
            (void)ZSTD_compressCCtx(z, out, ZSTD_compressBound(2 * PIECE), piece.p, piece.n, 1);
            sup_buf_reset(&piece);
        }
    }
    sup_iter_free(it);
    sup_buf_fini(&piece);
    free(out);
    ZSTD_freeCCtx(z);
    return (double)n * 1e9 / (double)(sup_mono_ns() - begin);
}

/* The p99 of lookups, in µs, paced at some thousands a second: for so long, or while the child
 * lives. *ended: when it did, on the monotonic clock. */
static double lookups(struct sup_service *s, uint64_t records, int64_t ms, pid_t child)
{
    size_t cap = 1U << 20;
    int64_t *took = calloc(cap, sizeof(*took));
    int64_t end = sup_mono_ms() + ms;
    size_t n = 0;
    double p99;

    while (n < cap && (child > 0 ? waitpid(child, NULL, WNOHANG) == 0 : sup_mono_ms() < end)) {
        struct timespec pause = {.tv_nsec = 200000};
        struct sup_check check;
        char address[64];
        size_t len = (size_t)snprintf(address, sizeof(address), "user%llu@example.com",
                                      (unsigned long long)(n * 7919 % (2 * records)));
        int64_t begin = sup_mono_ns();
        (void)sup_service_check(s, address, len, &check, NULL);
        took[n++] = sup_mono_ns() - begin;
        (void)nanosleep(&pause, NULL);
    }
    qsort(took, n, sizeof(*took), bench_cmp_i64);
    p99 = n > 0 ? (double)took[n * 99 / 100] / 1e3 : 0;
    free(took);
    return p99;
}

/* The child: joins, says how long the copy took, ends. */
static int join_child(const struct sup_options *o, int out)
{
    struct sup_service *s = NULL;
    struct sup_err err = {0};
    struct sup_join_progress p = {.phase = SUP_JOIN_NEW};
    int64_t begin = 0;
    int64_t took;

    (void)setpriority(PRIO_PROCESS, 0, 19);
    bench_must(sup_service_start(o, &s, &err), &err, "start b");
    while (p.phase == SUP_JOIN_NEW || p.phase == SUP_JOIN_COPY) {
        usleep(1000);
        sup_replicator_join_progress(s->replicator, &p);
        if (begin == 0 && p.records > 0)
            begin = sup_mono_ns();
    }
    took = sup_mono_ns() - begin;
    if (write(out, &took, sizeof(took)) != (ssize_t)sizeof(took))
        _exit(1);
    _exit(0); /* its store is thrown away */
}

int main(int argc, char **argv)
{
    uint64_t records = argc > 7 ? strtoull(argv[7], NULL, 10) : 1000000;
    static struct bench_pair pair;
    struct sup_service *a = NULL;
    struct sup_err err = {0};
    int64_t took = 0;
    uint64_t next = 0;
    int fds[2];
    int go[2];

    if (argc < BENCH_PAIR_ARGC) {
        fprintf(stderr, "usage: bench_join " BENCH_PAIR_USAGE " [RECORDS]\n");
        return 2;
    }
    sup_log_configure(SUP_LOG_ERROR, SUP_LOG_TEXT, 2);
    bench_pair_init(&pair, argv);
    pair.options[0].mesh.join_wait_ms = pair.options[1].mesh.join_wait_ms = 1000;
    if (pipe(fds) != 0 || pipe(go) != 0)
        return 1;
    /* Before this process has threads. */
    pid_t child = fork();
    if (child == 0) {
        char c;
        if (read(go[0], &c, 1) != 1)
            _exit(1);
        return join_child(&pair.options[1], fds[1]);
    }
    bench_must(sup_service_start(&pair.options[0], &a, &err), &err, "start a");
    while (next < records)
        bench_must(sup_apply_run(a->apply, fill_run, &next, &err), &err, "fill");
    while (!sup_replicator_answers(a->replicator))
        usleep(10000);
    double scan = scan_per_s(a->store);
    double quiet = lookups(a, records, 3000, 0);
    if (write(go[1], "g", 1) != 1)
        return 1;
    double busy = lookups(a, records, 0, child);
    if (read(fds[0], &took, sizeof(took)) != (ssize_t)sizeof(took))
        return 1;
    printf("{\"bench\":\"join\",\"records\":%llu,\"records_per_s\":%.0f,"
           "\"scan_zstd_per_s\":%.0f,\"lookup_p99_us\":%.1f,\"lookup_p99_us_while_giving\":%.1f}\n",
           (unsigned long long)next, (double)next * 1e9 / (double)took, scan, quiet, busy);
    sup_service_stop(a);
    sup_service_free(a);
    return 0;
}
