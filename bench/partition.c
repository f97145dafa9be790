/* What it takes to heal a partition in which both sides went on: two agents in one process, over
 * TLS and relays that can be cut.
 *
 *   bench_partition DIR CA CERT_A KEY_A CERT_B KEY_B [DECISIONS]
 *
 * DECISIONS (100000) new addresses are decided upon on each side. Bytes are all that goes through
 * the relays from the moment when they are whole again, both ways: TLS, acknowledgements and
 * heartbeats too. Lower bound: the addresses and encoded decisions themselves, once each. One line
 * of JSON. */
#include "base/log.h"
#include "base/random.h"
#include "base/thread.h"
#include "codec/value.h"
#include "pair.h"
#include "service/apply_txn.h"
#include "service/internal.h"
#include "service/sketch_keeper.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/socket.h>

#define BATCH 1000
#define PIPES 64

/* --- a relay: from a port of its own to a node's --- */

struct relay {
    int listener, port;
    _Atomic int target;
    atomic_bool cut;
    atomic_uint_fast64_t bytes;
    atomic_int_fast64_t first_ns; /* when bytes came through again */
    pthread_mutex_t mutex;
    int fds[2 * PIPES]; /* open connections, under mutex */
    size_t n;
};

struct pipe_end {
    struct relay *relay;
    int from, to;
};

static int port_of(int fd)
{
    struct sockaddr_in sa;
    socklen_t len = sizeof(sa);

    if (getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
        return 0;
    return ntohs(sa.sin_port);
}

static void *copy_main(void *arg)
{
    struct pipe_end *p = arg;
    char buffer[65536];
    ssize_t n;

    while ((n = recv(p->from, buffer, sizeof(buffer), 0)) > 0) {
        int_fast64_t none = 0;
        ssize_t at = 0;
        atomic_fetch_add(&p->relay->bytes, (uint64_t)n);
        (void)atomic_compare_exchange_strong(&p->relay->first_ns, &none, sup_mono_ns());
        while (at < n) {
            ssize_t sent = send(p->to, buffer + at, (size_t)(n - at), MSG_NOSIGNAL);
            if (sent <= 0)
                break;
            at += sent;
        }
        if (at < n)
            break;
    }
    /* The descriptors stay open, so that their numbers are not used for others. */
    (void)shutdown(p->from, SHUT_RDWR);
    (void)shutdown(p->to, SHUT_RDWR);
    free(p);
    return NULL;
}

static void copy(struct relay *r, int from, int to)
{
    struct pipe_end *p = malloc(sizeof(*p));
    pthread_t thread;

    if (!p)
        exit(EXIT_FAILURE);
    *p = (struct pipe_end){.relay = r, .from = from, .to = to};
    bench_must(sup_thread_start(&thread, "relay", copy_main, p), NULL, "thread");
    (void)pthread_detach(thread);
}

static void pass(struct relay *r, int accepted)
{
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atomic_load(&r->target)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool room;

    pthread_mutex_lock(&r->mutex);
    room = r->n + 2 <= 2 * PIPES && !atomic_load(&r->cut);
    if (room && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0) {
        r->fds[r->n++] = accepted;
        r->fds[r->n++] = fd;
        copy(r, accepted, fd);
        copy(r, fd, accepted);
    } else {
        (void)close(accepted);
        (void)close(fd);
    }
    pthread_mutex_unlock(&r->mutex);
}

static void *relay_main(void *arg)
{
    struct relay *r = arg;
    int fd;

    while ((fd = accept(r->listener, NULL, NULL)) >= 0)
        pass(r, fd);
    return NULL;
}

static void relay_start(struct relay *r)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    pthread_t thread;

    pthread_mutex_init(&r->mutex, NULL);
    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(r->listener, (struct sockaddr *)&sa, sizeof(sa)) != 0 || listen(r->listener, 16) != 0)
        exit(EXIT_FAILURE);
    r->port = port_of(r->listener);
    bench_must(sup_thread_start(&thread, "relay", relay_main, r), NULL, "thread");
    (void)pthread_detach(thread);
}

static void relay_cut(struct relay *r)
{
    atomic_store(&r->cut, true);
    pthread_mutex_lock(&r->mutex);
    for (size_t i = 0; i < r->n; i++)
        (void)shutdown(r->fds[i], SHUT_RDWR);
    pthread_mutex_unlock(&r->mutex);
}

static void relay_heal(struct relay *r)
{
    atomic_store(&r->bytes, 0);
    atomic_store(&r->first_ns, 0);
    atomic_store(&r->cut, false);
}

/* --- decisions --- */

struct writing {
    struct sup_rng rng;
    uint64_t n;
    uint64_t bytes; /* addresses and decisions */
};

/* Such as people have: twelve letters that nobody can guess, at one of a hundred domains. */
static size_t some_address(struct writing *w, char *out, size_t size)
{
    char local[13];
    int n;

    for (size_t i = 0; i + 1 < sizeof(local); i++)
        local[i] = (char)('a' + sup_rng_below(&w->rng, 26));
    local[12] = '\0';
    n = snprintf(out, size, "%s@domain%llu.example", local,
                 (unsigned long long)sup_rng_below(&w->rng, 100));
    return (size_t)n;
}

static int write_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct writing *w = arg;
    struct sup_buf encoded;
    int rc = SUP_OK;

    sup_buf_init(&encoded, SUP_DECISION_MAX);
    for (uint64_t i = 0; rc == SUP_OK && i < BATCH; i++) {
        char address[64];
        struct sup_applied out;
        size_t n = some_address(w, address, sizeof(address));
        struct sup_proposal p = {.key = sup_slice_of(address, n),
                                 .d = {.cls = SUP_CLASS_BOUNCE,
                                       .state = SUP_SUPPRESSED,
                                       .cause = SUP_CAUSE_EVENT,
                                       .time = sup_hlc_from_ms(sup_apply_now_ms(a)),
                                       .origin = sup_apply_node_id(a)}};
        w->n++;
        sup_buf_reset(&encoded);
        sup_decision_encode(&p.d, &encoded);
        w->bytes += n + encoded.n;
        rc = sup_apply_decide(a, t, &p, &out, err);
    }
    sup_buf_fini(&encoded);
    return rc;
}

static void write_decisions(struct sup_service *s, struct writing *w, uint64_t n)
{
    struct sup_err err = {0};

    while (w->n < n)
        bench_must(sup_apply_run(s->apply, write_run, w, &err), &err, "decide");
}

static void wait_level(struct sup_service *const s[2])
{
    struct sup_vv vv[2];
    uint64_t seen = 0;

    for (;;) {
        seen = sup_apply_version(s[0]->apply);
        sup_apply_vv(s[0]->apply, &vv[0]);
        sup_apply_vv(s[1]->apply, &vv[1]);
        if (sup_vv_covers(&vv[0], &vv[1]) && sup_vv_covers(&vv[1], &vv[0]))
            return;
        (void)sup_apply_wait(s[0]->apply, seen, 5);
    }
}

/* --- two nodes --- */

struct bench {
    struct bench_pair pair;
    char through[2][64]; /* url of the relay before the node */
    struct relay relay[2];
    struct sup_service *s[2];
};

static void start_nodes(struct bench *b, char **argv)
{
    struct sup_err err = {0};

    bench_pair_init(&b->pair, argv);
    for (int i = 0; i < 2; i++) {
        relay_start(&b->relay[i]);
        atomic_store(&b->relay[i].target, b->pair.ports[i]);
        snprintf(b->through[i], sizeof(b->through[i]), "tls+tcp://127.0.0.1:%d", b->relay[i].port);
        b->pair.peer[1 - i].url = b->through[i];
    }
    for (int i = 0; i < 2; i++)
        bench_must(sup_service_start(&b->pair.options[i], &b->s[i], &err), &err, "start");
}

static void report(struct bench *b, const struct writing w[2], int64_t healed, double cpu)
{
    struct sup_sketch_sum root[2];
    uint64_t bytes = atomic_load(&b->relay[0].bytes) + atomic_load(&b->relay[1].bytes);
    uint64_t bound = w[0].bytes + w[1].bytes;
    int64_t level = sup_mono_ns();
    int64_t first[2] = {atomic_load(&b->relay[0].first_ns), atomic_load(&b->relay[1].first_ns)};
    int64_t connected =
        first[1] == 0 || (first[0] != 0 && first[0] < first[1]) ? first[0] : first[1];

    for (int i = 0; i < 2; i++)
        root[i] = sup_sketch_keeper_root(b->s[i]->keeper);
    if (!sup_sketch_sum_eq(&root[0], &root[1])) {
        fprintf(stderr, "the two nodes differ\n");
        exit(EXIT_FAILURE);
    }
    printf("{\"bench\":\"partition\",\"decisions_each\":%llu,\"redial_s\":%.2f,\"heal_s\":%.2f,"
           "\"heal_cpu_s\":%.2f,"
           "\"decisions_per_s\":%.0f,\"bytes\":%llu,\"lower_bound_bytes\":%llu,"
           "\"bytes_to_bound\":%.2f,\"bytes_per_decision\":%.1f}\n",
           (unsigned long long)w[0].n, (double)(connected - healed) / 1e9,
           (double)(level - connected) / 1e9, cpu,
           (double)(w[0].n + w[1].n) / ((double)(level - connected) / 1e9),
           (unsigned long long)bytes, (unsigned long long)bound, (double)bytes / (double)bound,
           (double)bytes / (double)(w[0].n + w[1].n));
}

int main(int argc, char **argv)
{
    static struct bench b;
    struct writing w[2] = {{.n = 0}, {.n = 0}};
    uint64_t n = argc > 7 ? strtoull(argv[7], NULL, 10) : 100000;
    int64_t healed;
    double cpu;

    if (argc < BENCH_PAIR_ARGC) {
        fprintf(stderr, "usage: bench_partition " BENCH_PAIR_USAGE " [DECISIONS]\n");
        return 2;
    }
    sup_log_configure(getenv("SUPSYNC_BENCH_LOG") ? SUP_LOG_DEBUG : SUP_LOG_ERROR, SUP_LOG_TEXT, 2);
    start_nodes(&b, argv);
    for (int i = 0; i < 2; i++) { /* they are connected, and settled */
        struct writing warm = {.n = 0};
        sup_rng_seed(&warm.rng, 10 + (uint64_t)i);
        sup_rng_seed(&w[i].rng, 20 + (uint64_t)i);
        write_decisions(b.s[i], &warm, 1);
    }
    wait_level(b.s);
    for (int i = 0; i < 2; i++)
        relay_cut(&b.relay[i]);
    for (int i = 0; i < 2; i++)
        write_decisions(b.s[i], &w[i], n);
    healed = sup_mono_ns();
    cpu = bench_cpu_s();
    for (int i = 0; i < 2; i++)
        relay_heal(&b.relay[i]);
    wait_level(b.s);
    report(&b, w, healed, bench_cpu_s() - cpu);
    for (int i = 0; i < 2; i++) {
        sup_service_stop(b.s[i]);
        sup_service_free(b.s[i]);
    }
    return 0;
}
