/* The reason why the mesh is built on byte streams: a peer that is killed under full load, both
 * ways and over TLS, is found again every time. The peer is this program again, started with
 * posix_spawn (NNG is not fork-safe). Environment: SUPSYNC_KILLS sets another number than 100. */
#include "base/clock.h"
#include "base/thread.h"
#include "mesh_rig.h"

#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define KILLS       100
#define RECOVERY_MS 15000 /* for a machine under sanitizers and load; the times are printed */

extern char **environ;

/* Sizes of the load, a row of engine measurements each: 128 B, 16 KiB, 256 KiB. */
static const struct {
    size_t n, size;
} loads[] = {{1, 100}, {4, 4096}, {64, 4096}};

/* --- both sides: send at full speed while receiving --- */

struct load {
    struct sup_session *session;
    size_t n, size;
    atomic_uint_fast64_t *sent;
};

static void *send_at_full_speed(void *arg)
{
    struct load *l = arg;
    uint64_t seq = 1;

    while (sup_session_send(l->session, rig_mutations(7, seq, l->n, l->size), -1) == SUP_OK) {
        seq += l->n;
        atomic_fetch_add(l->sent, 1);
    }
    return NULL;
}

struct side {
    atomic_uint_fast64_t sent;
    atomic_uint_fast64_t received; /* of this session */
    atomic_uint_fast64_t disorder;
    atomic_size_t n, size; /* of the mutations */
};

static void run_side(void *arg, struct sup_session *s)
{
    struct side *side = arg;
    struct load load = {s, atomic_load(&side->n), atomic_load(&side->size), &side->sent};
    struct sup_mesh_mem *mem = sup_mesh_mem_new();
    struct sup_mesh_msg *msg = malloc(sizeof(*msg));
    pthread_t sender;
    uint64_t expected = 1;

    atomic_store(&side->received, 0);
    atomic_store(&side->sent, 0);
    if (sup_thread_start(&sender, "load", send_at_full_speed, &load) != SUP_OK)
        abort();
    while (sup_session_recv(s, -1, mem, msg, NULL) == SUP_OK) {
        if (msg->u.mutations.m[0].seq != expected)
            atomic_fetch_add(&side->disorder, 1);
        expected = msg->u.mutations.m[0].seq + msg->u.mutations.n;
        atomic_fetch_add(&side->received, 1);
    }
    sup_session_close(s, SUP_REFUSED_OTHER, "receiver ended");
    (void)pthread_join(sender, NULL);
    sup_mesh_mem_free(mem);
    free(msg);
}

/* --- the peer: listens, until it is killed --- */

static int peer_main(const char *dir, int port, int load, int ready_fd)
{
    char ca[300];
    char cert[300];
    char key[300];
    struct rig_node node;
    struct side side = {.n = loads[load].n, .size = loads[load].size};
    struct sup_mesh_tls *tls;
    struct sup_heart *heart;
    struct sup_mesh_server *server;
    struct sup_err err = {0};

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)snprintf(ca, sizeof(ca), "%s/ca.pem", dir);
    (void)snprintf(cert, sizeof(cert), "%s/peer.pem", dir);
    (void)snprintf(key, sizeof(key), "%s/peer.key", dir);
    const struct sup_mesh_tls_files files = {.ca = ca, .cert = cert, .key = key, .crl = ""};
    rig_node(&node, "peer", "main");
    const char *url = rig_url(true, port);
    if (sup_mesh_tls_load(&files, &tls, &err) != SUP_OK ||
        sup_heart_start(&heart, &err) != SUP_OK) {
        (void)fprintf(stderr, "peer: %s\n", err.msg);
        return 1;
    }
    const struct sup_mesh_server_opts opts = {.url = url,
                                              .tls = tls,
                                              .local = &node.local,
                                              .heart = heart,
                                              .serve = run_side,
                                              .arg = &side};
    if (sup_mesh_server_start(&opts, &server, &err) != SUP_OK) {
        (void)fprintf(stderr, "peer: %s\n", err.msg);
        return 1;
    }
    int actual = sup_mesh_server_port(server);
    if (write(ready_fd, &actual, sizeof(actual)) != (ssize_t)sizeof(actual))
        return 1;
    for (;;)
        (void)pause();
}

/* --- the side that lives on --- */

static pid_t start_peer(const char *dir, int *port, int load)
{
    char self[4096];
    char number[3][16];
    int fds[2];
    pid_t pid = -1;
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    assert_true(n > 0);
    self[n] = '\0';
    assert_int_equal(pipe(fds), 0);
    (void)snprintf(number[0], 16, "%d", *port);
    (void)snprintf(number[1], 16, "%d", load);
    (void)snprintf(number[2], 16, "%d", fds[1]);
    char *argv[] = {self, (char *)"peer", (char *)(uintptr_t)dir, number[0], number[1], number[2],
                    NULL};
    assert_int_equal(posix_spawn(&pid, self, NULL, NULL, argv, environ), 0);
    (void)close(fds[1]);
    assert_int_equal(read(fds[0], port, sizeof(*port)), sizeof(*port));
    (void)close(fds[0]);
    return pid;
}

static bool loaded(void *arg)
{
    struct side *side = arg;
    return atomic_load(&side->received) >= 50 && atomic_load(&side->sent) >= 50;
}

struct survivor {
    struct pki *pki;
    struct rig_node node;
    struct side side;
    struct sup_heart *heart;
    struct sup_mesh_tls *tls;
    struct sup_mesh_client *client;
    struct sup_mesh_client_status status;
    char url[64];
    int port;
    pid_t peer;
};

static int setup(void **state)
{
    struct survivor *s = calloc(1, sizeof(*s));

    s->side.n = loads[0].n;
    s->side.size = loads[0].size;
    s->pki = pki_new();
    pki_issue(s->pki, "ca", "main", "main", false);
    pki_issue(s->pki, "ca", "peer", "peer", false);
    s->peer = start_peer(pki_dir(s->pki), &s->port, 0);
    s->tls = rig_tls(s->pki, "ca", "main");
    rig_node(&s->node, "main", "peer");
    (void)snprintf(s->url, sizeof(s->url), "%s", rig_url(true, s->port));
    assert_int_equal(sup_heart_start(&s->heart, NULL), SUP_OK);
    const struct sup_mesh_client_opts opts = {.url = s->url,
                                              .peer = "peer",
                                              .tls = s->tls,
                                              .local = &s->node.local,
                                              .heart = s->heart,
                                              .run = run_side,
                                              .arg = &s->side};
    assert_int_equal(sup_mesh_client_start(&opts, &s->client, NULL), SUP_OK);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct survivor *s = *state;

    sup_mesh_client_stop(s->client);
    sup_mesh_client_free(s->client);
    sup_heart_free(s->heart);
    sup_mesh_tls_free(s->tls);
    (void)kill(s->peer, SIGKILL);
    (void)waitpid(s->peer, NULL, 0);
    pki_free(s->pki);
    free(s);
    return 0;
}

static uint64_t sessions(struct survivor *s)
{
    sup_mesh_client_status(s->client, &s->status);
    return s->status.sessions;
}

static bool gone(void *arg)
{
    struct survivor *s = arg;
    sup_mesh_client_status(s->client, &s->status);
    return !s->status.connected;
}

/* Times of one kind, in milliseconds. */
struct times {
    int64_t sum, worst;
    int n;
};

static void times_add(struct times *t, int64_t ms)
{
    t->sum += ms;
    t->n++;
    t->worst = ms > t->worst ? ms : t->worst;
}

static void times_print(const struct times *t, const char *what)
{
    print_message("  %s: %lld ms on average, %lld ms at worst\n", what,
                  (long long)(t->n > 0 ? t->sum / t->n : 0), (long long)t->worst);
}

/* Milliseconds until cond holds, or -1. */
static int64_t until(bool (*cond)(void *arg), void *arg)
{
    int64_t begin = sup_mono_ms();

    while (!cond(arg)) {
        if (sup_mono_ms() > begin + RECOVERY_MS)
            return -1;
        (void)usleep(1000);
    }
    return sup_mono_ms() - begin;
}

struct rebirth {
    struct survivor *s;
    uint64_t before; /* sessions */
};

static bool again(void *arg)
{
    const struct rebirth *r = arg;
    return sessions(r->s) > r->before;
}

static bool again_loaded(void *arg)
{
    const struct rebirth *r = arg;
    return again(arg) && loaded(&r->s->side);
}

struct kill_times {
    struct times detected, redialled, loaded;
};

/* Kills the peer and starts it anew; false when that is not found out, or it not found again. */
static bool kill_once(struct survivor *s, int load, struct kill_times *t)
{
    struct rebirth r = {.s = s, .before = sessions(s)};
    int64_t took[3];

    (void)kill(s->peer, SIGKILL);
    took[0] = until(gone, s);
    (void)waitpid(s->peer, NULL, 0);
    atomic_store(&s->side.n, loads[load].n); /* read by the next session */
    atomic_store(&s->side.size, loads[load].size);
    s->peer = start_peer(pki_dir(s->pki), &s->port, load);
    sup_mesh_client_nudge(s->client); /* as when the peer dials us */
    took[1] = until(again, &r);
    took[2] = until(again_loaded, &r);
    if (took[0] < 0 || took[1] < 0 || took[2] < 0)
        return false;
    times_add(&t->detected, took[0]);
    times_add(&t->redialled, took[1]);
    times_add(&t->loaded, took[1] + took[2]);
    return true;
}

/* How many kills the environment asks for. */
static int kills_wanted(void)
{
    const char *env = getenv("SUPSYNC_KILLS");

    return env ? (int)strtol(env, NULL, 10) : KILLS;
}

static void killed_under_load(void **state)
{
    struct survivor *s = *state;
    struct kill_times t = {0};
    int kills = kills_wanted();
    int recovered = 0;

    assert_true(rig_eventually(loaded, &s->side, RECOVERY_MS));
    for (int i = 0; i < kills; i++) {
        if (kill_once(s, (i + 1) % 3, &t))
            recovered++;
        else
            print_error("kill %d: not recovered: %s\n", i + 1, s->status.last_error);
    }
    print_message("%d kills under load, %d recovered\n", kills, recovered);
    times_print(&t.detected, "detected");
    times_print(&t.redialled, "redialled when it was back");
    times_print(&t.loaded, "back under load");
    assert_int_equal(recovered, kills);
    assert_int_equal(atomic_load(&s->side.disorder), 0);
    assert_in_range(t.detected.worst, 0, SUP_SILENCE_MS);
    assert_in_range(t.redialled.sum / t.redialled.n, 0, 1000);
}

/* Stops the peer, waits until that is noticed, lets it go on; milliseconds until noticed. */
static int64_t stop_peer(struct survivor *s)
{
    assert_true(rig_eventually(loaded, &s->side, RECOVERY_MS));
    struct rebirth r = {.s = s, .before = sessions(s)};
    int64_t begin = sup_mono_ms();
    assert_int_equal(kill(s->peer, SIGSTOP), 0);
    assert_true(rig_eventually(gone, s, 2 * RECOVERY_MS));
    int64_t took = sup_mono_ms() - begin;
    print_message("stopped peer noticed after %lld ms: %s\n", (long long)took,
                  s->status.last_error);
    assert_string_equal(s->status.last_error, "peer silent for 5 s");
    assert_true(took >= SUP_SILENCE_MS - 500);
    assert_int_equal(kill(s->peer, SIGCONT), 0);
    sup_mesh_client_nudge(s->client);
    assert_true(until(again_loaded, &r) >= 0);
    return took;
}

/* A peer that is stopped keeps its connections open: only its silence tells. A machine that is busy
 * with other things can be late by itself, so the best of three counts. */
static void stopped_under_load(void **state)
{
    struct survivor *s = *state;
    int64_t best = INT64_MAX;

    for (int i = 0; i < 3 && best > SUP_SILENCE_MS + 1000; i++) {
        int64_t took = stop_peer(s);
        best = took < best ? took : best;
    }
    assert_in_range(best, SUP_SILENCE_MS - 500, SUP_SILENCE_MS + 1000);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {TEST(killed_under_load), TEST(stopped_under_load)};

    if (argc == 6 && strcmp(argv[1], "peer") == 0)
        return peer_main(argv[2], (int)strtol(argv[3], NULL, 10), (int)strtol(argv[4], NULL, 10),
                         (int)strtol(argv[5], NULL, 10));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
