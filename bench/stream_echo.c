/* The limit that replication is held against: bytes over an NNG stream with TLS on loopback,
 * without frames, messages or a store.
 *
 *   bench_stream_echo CA CERT KEY NAME
 *
 * One certificate, whose name is NAME, serves both ends. For 128 B and 64 KiB: the time of a round
 * trip, one at a time, and the throughput one way. One line of JSON. */
#include "base/log.h"
#include "base/thread.h"
#include "common.h"
#include "mesh/stream.h"

#define SAMPLES 4000

/* One end: blocking transfers over the completions. */
struct end {
    struct sup_stream *stream;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct {
        bool done;
        int status;
        size_t n;
    } op[2]; /* sent, received */
};

static void ended(struct end *e, int which, int status, size_t n)
{
    pthread_mutex_lock(&e->mutex);
    e->op[which].done = true;
    e->op[which].status = status;
    e->op[which].n = n;
    pthread_cond_broadcast(&e->cond);
    pthread_mutex_unlock(&e->mutex);
}

static void sent(void *arg, int status, size_t n)
{
    ended(arg, 0, status, n);
}

static void received(void *arg, int status, size_t n)
{
    ended(arg, 1, status, n);
}

static void end_init(struct end *e, struct sup_stream *s)
{
    const struct sup_stream_events events = {.sent = sent, .received = received, .arg = e};

    memset(e, 0, sizeof(*e));
    e->stream = s;
    pthread_mutex_init(&e->mutex, NULL);
    sup_cond_init(&e->cond);
    bench_must(sup_stream_start(s, &events), NULL, "stream");
}

/* Bytes moved, or 0 when the stream ended. */
static size_t end_wait(struct end *e, int which)
{
    pthread_mutex_lock(&e->mutex);
    while (!e->op[which].done)
        (void)sup_cond_wait_ms(&e->cond, &e->mutex, -1);
    e->op[which].done = false;
    size_t n = e->op[which].status == 0 ? e->op[which].n : 0;
    pthread_mutex_unlock(&e->mutex);
    return n;
}

static bool end_send(struct end *e, const uint8_t *p, size_t n)
{
    while (n > 0) {
        sup_stream_send(e->stream, p, n);
        size_t moved = end_wait(e, 0);
        if (moved == 0)
            return false;
        p += moved;
        n -= moved;
    }
    return true;
}

static bool end_recv(struct end *e, uint8_t *p, size_t n)
{
    while (n > 0) {
        sup_stream_recv(e->stream, p, n);
        size_t moved = end_wait(e, 1);
        if (moved == 0)
            return false;
        p += moved;
        n -= moved;
    }
    return true;
}

struct echo {
    struct end *end;
    size_t size;
    uint64_t rounds; /* then it ends */
    bool answer;
};

static void *echo_run(void *arg)
{
    struct echo *x = arg;
    static uint8_t bytes[65536];

    for (uint64_t i = 0; i < x->rounds && end_recv(x->end, bytes, x->size); i++) {
        if (x->answer && !end_send(x->end, bytes, x->size))
            break;
    }
    return NULL;
}

static int64_t samples[SAMPLES];

static void round_trips(struct end *a, struct end *b, size_t size, double *p50_us, double *p99_us)
{
    static uint8_t bytes[65536];
    struct echo x = {b, size, SAMPLES, true};
    pthread_t t;

    bench_must(sup_thread_start(&t, "echo", echo_run, &x), NULL, "thread");
    for (int i = 0; i < SAMPLES; i++) {
        int64_t begin = sup_mono_ns();
        if (!end_send(a, bytes, size) || !end_recv(a, bytes, size))
            bench_must(SUP_EIO, NULL, "echo");
        samples[i] = sup_mono_ns() - begin;
    }
    (void)pthread_join(t, NULL);
    qsort(samples, SAMPLES, sizeof(samples[0]), bench_cmp_i64);
    *p50_us = (double)samples[SAMPLES / 2] / 1e3;
    *p99_us = (double)samples[SAMPLES * 99 / 100] / 1e3;
}

/* Messages a second, one way, from the first sent to the last received. */
static double throughput(struct end *a, struct end *b, size_t size, uint64_t messages)
{
    static uint8_t bytes[65536];
    struct echo x = {b, size, messages, false};
    pthread_t t;
    int64_t begin = sup_mono_ns();

    bench_must(sup_thread_start(&t, "echo", echo_run, &x), NULL, "thread");
    for (uint64_t i = 0; i < messages; i++) {
        if (!end_send(a, bytes, size))
            bench_must(SUP_EIO, NULL, "send");
    }
    (void)pthread_join(t, NULL);
    return (double)messages / ((double)(sup_mono_ns() - begin) / 1e9);
}

int main(int argc, char **argv)
{
    struct sup_mesh_tls *tls;
    struct sup_listener *l;
    struct sup_dialer *d;
    struct sup_stream *s[2];
    struct end a;
    struct end b;
    struct sup_err err = {0};
    char url[64];
    double small[3];
    double large[3];

    if (argc < 5) {
        fprintf(stderr, "usage: %s CA CERT KEY NAME\n", argv[0]);
        return EXIT_FAILURE;
    }
    const struct sup_mesh_tls_files files = {.ca = argv[1], .cert = argv[2], .key = argv[3]};
    bench_must(sup_mesh_tls_load(&files, &tls, &err), &err, "certificates");
    bench_must(sup_listener_open("tls+tcp://127.0.0.1:0", tls, &l, &err), &err, "listening");
    snprintf(url, sizeof(url), "tls+tcp://127.0.0.1:%d", sup_listener_port(l));
    bench_must(sup_dialer_new(url, tls, argv[4], &d, &err), &err, "dialler");
    bench_must(sup_stream_dial(d, 5000, &s[0], &err), &err, "dialling");
    bench_must(sup_stream_accept(l, 5000, &s[1], &err), &err, "accepting");
    end_init(&a, s[0]);
    end_init(&b, s[1]);
    round_trips(&a, &b, 128, &small[0], &small[1]); /* the first one is the handshake */
    small[2] = throughput(&a, &b, 128, 50000);
    round_trips(&a, &b, 65536, &large[0], &large[1]);
    large[2] = throughput(&a, &b, 65536, 4000);
    printf("{\"bench\":\"stream_echo\",\"rtt_128_p50_us\":%.1f,\"rtt_128_p99_us\":%.1f,"
           "\"send_128_per_s\":%.0f,\"rtt_64k_p50_us\":%.1f,\"rtt_64k_p99_us\":%.1f,"
           "\"send_64k_mb_per_s\":%.1f}\n",
           small[0], small[1], small[2], large[0], large[1], large[2] * 65536 / 1e6);
    sup_stream_free(s[0]);
    sup_stream_free(s[1]);
    sup_dialer_free(d);
    sup_listener_free(l);
    sup_mesh_tls_free(tls);
    return EXIT_SUCCESS;
}
