/* The wall clock jumps by years, both ways, and no session notices: NNG 1.5.2's own timers follow
 * the wall clock, so none may be in use. clock_gettime(2) of this whole program, libnng included,
 * is the function below. */
#include "base/clock.h"
#include "base/thread.h"
#include "mesh_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static atomic_llong step_s;

int clock_gettime(clockid_t id, struct timespec *ts)
{
    long rc = syscall(SYS_clock_gettime, id, ts);
    if (rc == 0 && id == CLOCK_REALTIME)
        ts->tv_sec += (time_t)atomic_load(&step_s);
    return (int)rc;
}

#define HOUR 3600LL
#define YEAR (365 * 24 * HOUR)

struct world {
    struct rig_node a;
    struct rig_node b;
    struct sup_heart *heart;
    struct sup_mesh_server *server;
    struct sup_mesh_client *client;
    struct sup_mesh_client_status status;
    uint64_t sessions;
    atomic_uint_fast64_t got;
};

static void receive(void *arg, struct sup_session *s)
{
    struct world *w = arg;
    struct sup_mesh_mem *mem = sup_mesh_mem_new();
    struct sup_mesh_msg *msg = malloc(sizeof(*msg));

    while (sup_session_recv(s, -1, mem, msg, NULL) == SUP_OK)
        atomic_fetch_add(&w->got, 1);
    sup_mesh_mem_free(mem);
    free(msg);
}

/* Sends a mutation each 20 ms until told that it is over. */
static void dribble(void *arg, struct sup_session *s)
{
    struct world *w = arg;
    struct sup_mesh_mem *mem = sup_mesh_mem_new();
    struct sup_mesh_msg *msg = malloc(sizeof(*msg));
    uint64_t seq = 1;

    (void)w;
    while (sup_session_recv(s, 20, mem, msg, NULL) == SUP_ETIMEDOUT) {
        if (sup_session_send(s, rig_mutations(1, seq++, 1, 50), 1000) != SUP_OK)
            break;
    }
    sup_mesh_mem_free(mem);
    free(msg);
}

static bool in_touch(void *arg)
{
    struct world *w = arg;
    sup_mesh_client_status(w->client, &w->status);
    return w->status.sessions > w->sessions && atomic_load(&w->got) > 5;
}

/* Traffic goes on in the same session. */
static bool goes_on(void *arg)
{
    struct world *w = arg;
    sup_mesh_client_status(w->client, &w->status);
    return w->status.sessions == w->sessions && w->status.connected && atomic_load(&w->got) > 20;
}

static void steps_of_the_wall_clock(void **state)
{
    static const long long steps[] = {HOUR, -HOUR, 10 * YEAR, -10 * YEAR, 0};
    struct world *w = calloc(1, sizeof(*w));
    struct pki *pki = pki_new();
    char url[64];

    (void)state;
    pki_issue(pki, "ca", "a", "a", false);
    pki_issue(pki, "ca", "b", "b", false);
    struct sup_mesh_tls *tls_a = rig_tls(pki, "ca", "a");
    struct sup_mesh_tls *tls_b = rig_tls(pki, "ca", "b");
    rig_node(&w->a, "a", "b");
    rig_node(&w->b, "b", "a");
    assert_int_equal(sup_heart_start(&w->heart, NULL), SUP_OK);
    const struct sup_mesh_server_opts server = {.url = "tls+tcp://127.0.0.1:0",
                                                .tls = tls_b,
                                                .local = &w->b.local,
                                                .heart = w->heart,
                                                .serve = receive,
                                                .arg = w};
    assert_int_equal(sup_mesh_server_start(&server, &w->server, NULL), SUP_OK);
    (void)snprintf(url, sizeof(url), "%s", rig_url(true, sup_mesh_server_port(w->server)));
    const struct sup_mesh_client_opts client = {.url = url,
                                                .peer = "b",
                                                .tls = tls_a,
                                                .local = &w->a.local,
                                                .heart = w->heart,
                                                .run = dribble,
                                                .arg = w};
    assert_int_equal(sup_mesh_client_start(&client, &w->client, NULL), SUP_OK);
    assert_true(rig_eventually(in_touch, w, 10000));
    w->sessions = w->status.sessions;
    int64_t really = sup_wall_ms();
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        atomic_store(&step_s, steps[i]);
        atomic_store(&w->got, 0);
        assert_true(rig_eventually(goes_on, w, 10000));
    }
    atomic_store(&step_s, HOUR);
    assert_true(sup_wall_ms() > really + HOUR * 1000); /* the stepping itself works */
    /* A new session comes up under a stepped clock as well (within the certificates' days). */
    sup_mesh_client_stop(w->client);
    sup_mesh_client_free(w->client);
    atomic_store(&w->got, 0);
    w->sessions = 0;
    assert_int_equal(sup_mesh_client_start(&client, &w->client, NULL), SUP_OK);
    atomic_store(&step_s, -HOUR);
    assert_true(rig_eventually(in_touch, w, 10000));
    sup_mesh_client_stop(w->client);
    sup_mesh_client_free(w->client);
    sup_mesh_server_stop(w->server);
    sup_mesh_server_free(w->server);
    sup_heart_free(w->heart);
    sup_mesh_tls_free(tls_a);
    sup_mesh_tls_free(tls_b);
    pki_free(pki);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(steps_of_the_wall_clock)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
