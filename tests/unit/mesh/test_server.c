/* The listening side among strangers, and both sides' lives: many silent connections, garbage,
 * rapid connects, replacement, stopping in every state, no descriptor left. */
#include "base/clock.h"
#include "base/thread.h"
#include "mesh_rig.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct pki *pki;
static struct sup_mesh_tls *tls_a;
static struct sup_mesh_tls *tls_b;

struct host {
    struct rig_node a;
    struct rig_node b;
    struct sup_heart *heart;
    struct sup_mesh_server *server; /* b */
    struct sup_mesh_client *client; /* a; started by the test */
    atomic_int serving;
    atomic_int served;
    atomic_int running;
    struct sup_mesh_client_status status;
    int port;
};

static int group_setup(void **state)
{
    (void)state;
    pki = pki_new();
    pki_issue(pki, "ca", "a", "a", false);
    pki_issue(pki, "ca", "b", "b", false);
    tls_a = rig_tls(pki, "ca", "a");
    tls_b = rig_tls(pki, "ca", "b");
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    sup_mesh_tls_free(tls_a);
    sup_mesh_tls_free(tls_b);
    pki_free(pki);
    return 0;
}

static void receive_to_the_end(struct sup_session *s)
{
    struct sup_mesh_mem *mem = sup_mesh_mem_new();
    struct sup_mesh_msg *msg = malloc(sizeof(*msg));

    while (sup_session_recv(s, -1, mem, msg, NULL) == SUP_OK)
        ;
    sup_mesh_mem_free(mem);
    free(msg);
}

static void serve(void *arg, struct sup_session *s)
{
    struct host *h = arg;

    atomic_fetch_add(&h->serving, 1);
    atomic_fetch_add(&h->served, 1);
    receive_to_the_end(s);
    atomic_fetch_sub(&h->serving, 1);
}

static void run(void *arg, struct sup_session *s)
{
    struct host *h = arg;

    atomic_fetch_add(&h->running, 1);
    receive_to_the_end(s);
    atomic_fetch_sub(&h->running, 1);
}

static void start_server(struct host *h)
{
    struct sup_err err = {0};
    const struct sup_mesh_server_opts opts = {.url = rig_url(true, h->port),
                                              .tls = tls_b,
                                              .local = &h->b.local,
                                              .heart = h->heart,
                                              .serve = serve,
                                              .arg = h};
    if (sup_mesh_server_start(&opts, &h->server, &err) != SUP_OK)
        print_error("%s\n", err.msg);
    assert_non_null(h->server);
    h->port = sup_mesh_server_port(h->server);
}

static void stop_server(struct host *h)
{
    sup_mesh_server_stop(h->server);
    sup_mesh_server_free(h->server);
    h->server = NULL;
}

static void start_client(struct host *h, const struct sup_mesh_tls *tls)
{
    const struct sup_mesh_client_opts opts = {.url = rig_url(true, h->port),
                                              .peer = "b",
                                              .tls = tls,
                                              .local = &h->a.local,
                                              .heart = h->heart,
                                              .run = run,
                                              .arg = h};
    assert_int_equal(sup_mesh_client_start(&opts, &h->client, NULL), SUP_OK);
}

static void stop_client(struct host *h)
{
    if (!h->client)
        return;
    sup_mesh_client_stop(h->client);
    sup_mesh_client_free(h->client);
    h->client = NULL;
}

static int setup(void **state)
{
    struct host *h = calloc(1, sizeof(*h));

    rig_node(&h->a, "a", "b");
    rig_node(&h->b, "b", "a");
    assert_int_equal(sup_heart_start(&h->heart, NULL), SUP_OK);
    start_server(h);
    *state = h;
    return 0;
}

static int teardown(void **state)
{
    struct host *h = *state;

    stop_client(h);
    if (h->server)
        stop_server(h);
    sup_heart_free(h->heart);
    assert_int_equal(atomic_load(&h->serving), 0);
    assert_int_equal(atomic_load(&h->running), 0);
    free(h);
    return 0;
}

static bool connected(void *arg)
{
    struct host *h = arg;
    return atomic_load(&h->serving) == 1 && atomic_load(&h->running) == 1;
}

static bool alone(void *arg)
{
    struct host *h = arg;
    return atomic_load(&h->serving) == 0 && atomic_load(&h->running) == 0;
}

static int plug(int port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    return fd;
}

static int open_files(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    (void)closedir(d);
    return n;
}

struct files {
    int at_most;
};

static bool few_files(void *arg)
{
    return open_files() <= ((struct files *)arg)->at_most;
}

/* --- a link that comes and goes --- */

static void client_and_server_find_each_other(void **state)
{
    struct host *h = *state;

    start_client(h, tls_a);
    assert_true(rig_eventually(connected, h, 10000));
    sup_mesh_client_status(h->client, &h->status);
    assert_true(h->status.connected);
    assert_int_equal(h->status.sessions, 1);
    assert_in_range(sup_wall_ms() - h->status.last_heard_ms, 0, 5000);
    /* The server goes and comes back: the client is there again within its first waits. */
    for (int i = 0; i < 5; i++) {
        stop_server(h);
        assert_true(rig_eventually(alone, h, 10000));
        start_server(h);
        assert_true(rig_eventually(connected, h, 10000));
    }
    sup_mesh_client_status(h->client, &h->status);
    assert_int_equal(h->status.sessions, 6);
    assert_int_equal(h->status.refusals, 0);
    assert_true(h->status.last_error[0] != '\0');
}

static bool refused_often(void *arg)
{
    struct host *h = arg;
    sup_mesh_client_status(h->client, &h->status);
    return h->status.refusals >= 2;
}

static void refusals_are_counted_and_told(void **state)
{
    struct host *h = *state;

    h->a.local.key_check = 1;
    start_client(h, tls_a);
    assert_true(rig_eventually(refused_often, h, 20000));
    assert_false(h->status.connected);
    assert_non_null(strstr(h->status.last_error, "hash key differs"));
    assert_int_equal(h->status.last_heard_ms, -1);
    assert_int_equal(atomic_load(&h->served), 0);
}

static bool served_twice(void *arg)
{
    struct host *h = arg;
    return atomic_load(&h->served) == 2 && atomic_load(&h->serving) == 1;
}

/* The same node on a second connection: the first is given up. */
static void a_newer_connection_replaces(void **state)
{
    struct host *h = *state;
    struct sup_dialer *d;
    struct sup_link *link;
    struct sup_session *s[2];
    struct sup_err err = {0};
    struct sup_mesh_mem *mem = sup_mesh_mem_new();
    struct sup_mesh_msg *msg = malloc(sizeof(*msg));

    assert_int_equal(sup_dialer_new(rig_url(true, h->port), tls_a, "b", &d, &err), SUP_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sup_link_dial(d, 5000, &link, &err), SUP_OK);
        assert_int_equal(sup_session_open_dialed(link, &h->a.local, "b", h->heart, &s[i], &err),
                         SUP_OK);
    }
    assert_true(rig_eventually(served_twice, h, 10000));
    assert_int_equal(sup_session_recv(s[0], 5000, mem, msg, &err), SUP_ECLOSED);
    assert_non_null(strstr(err.msg, "replaced by a newer connection"));
    assert_int_equal(sup_session_recv(s[1], 100, mem, msg, &err), SUP_ETIMEDOUT);
    sup_session_free(s[0]);
    sup_session_free(s[1]);
    sup_dialer_free(d);
    sup_mesh_mem_free(mem);
    free(msg);
}

/* --- strangers --- */

#define SILENT 150 /* over twice what may say nothing at a time */

static void silent_connections_keep_nobody_out(void **state)
{
    struct host *h = *state;
    int fds[SILENT];

    for (int i = 0; i < SILENT; i++)
        fds[i] = plug(h->port);
    int64_t begin = sup_mono_ms();
    start_client(h, tls_a);
    assert_true(rig_eventually(connected, h, 10000));
    print_message("connected past %d silent connections in %lld ms\n", SILENT,
                  (long long)(sup_mono_ms() - begin));
    assert_in_range(sup_mono_ms() - begin, 0, SUP_HELLO_TIMEOUT_MS - 1000);
    for (int i = 0; i < SILENT; i++)
        (void)close(fds[i]);
}

static void rapid_connects(void **state)
{
    struct host *h = *state;
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    start_client(h, tls_a);
    assert_true(rig_eventually(connected, h, 10000));
    struct files files = {open_files() + 2};
    for (int i = 0; i < 100; i++) {
        int fd = plug(h->port);
        if (i % 2) /* a reset instead of an end */
            (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        (void)close(fd);
    }
    assert_true(rig_eventually(few_files, &files, 15000));
    assert_true(connected(h));
    stop_client(h);
    start_client(h, tls_a);
    assert_true(rig_eventually(connected, h, 10000));
}

static void garbage(void **state)
{
    struct host *h = *state;
    static const char *const texts[] = {
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "\n",
        "{\"json\": true}"};
    struct files files = {open_files() + 2};
    struct sup_rng rng;

    sup_rng_seed(&rng, 1);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
            int fd = plug(h->port);
            (void)!write(fd, texts[i], strlen(texts[i]));
            (void)close(fd);
        }
        uint8_t noise[5000];
        int fd = plug(h->port);
        for (size_t i = 0; i < sizeof(noise); i++)
            noise[i] = (uint8_t)sup_rng_u64(&rng);
        (void)!write(fd, noise, sizeof(noise));
        (void)close(fd);
    }
    start_client(h, tls_a);
    assert_true(rig_eventually(connected, h, 10000));
    stop_client(h);
    assert_true(rig_eventually(few_files, &files, 15000));
}

/* The same over plain TCP, where the frames are met without TLS before them. */
static void garbage_as_frames(void **state)
{
    struct host *h = *state;
    struct host plain = {.heart = h->heart};
    struct sup_link *link;
    struct sup_dialer *d;
    struct sup_session *s;
    struct sup_err err = {0};

    rig_node(&plain.a, "a", "b");
    rig_node(&plain.b, "b", "a");
    const struct sup_mesh_server_opts opts = {.url = "tcp://127.0.0.1:0",
                                              .local = &plain.b.local,
                                              .heart = plain.heart,
                                              .serve = serve,
                                              .arg = &plain};
    assert_int_equal(sup_mesh_server_start(&opts, &plain.server, &err), SUP_OK);
    int port = sup_mesh_server_port(plain.server);
    static const uint8_t oversized[16] = {0x00, 0x40, 0x00, 0x01, 0, 1};
    static const uint8_t claims_much[16] = {0x00, 0x00, 0xff, 0xff, 0, 1};
    static const struct sup_slice pieces[] = {{(const uint8_t *)"GET / HTTP/1.1\r\n\r\n", 18},
                                              {oversized, 16},
                                              {claims_much, 16},
                                              {(const uint8_t *)"\0", 1}};
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        int fd = plug(port);
        (void)!write(fd, pieces[i].p, pieces[i].n);
        if (i < 2) { /* these are refused at once: the server hangs up */
            char c[512];
            while (read(fd, c, sizeof(c)) > 0)
                ;
        }
        (void)close(fd);
    }
    assert_int_equal(sup_dialer_new(rig_url(false, port), NULL, "", &d, &err), SUP_OK);
    assert_int_equal(sup_link_dial(d, 5000, &link, &err), SUP_OK);
    assert_int_equal(sup_session_open_dialed(link, &plain.a.local, "b", plain.heart, &s, &err),
                     SUP_OK);
    sup_session_free(s);
    sup_dialer_free(d);
    stop_server(&plain);
    assert_int_equal(atomic_load(&plain.served), 1);
}

/* --- stopping in every state --- */

static void stop_while_strangers_are_silent(void **state)
{
    struct host *h = *state;
    int fds[10];

    for (int i = 0; i < 10; i++)
        fds[i] = plug(h->port);
    start_client(h, tls_a);
    assert_true(rig_eventually(connected, h, 10000));
    int64_t begin = sup_mono_ms();
    stop_server(h);
    assert_in_range(sup_mono_ms() - begin, 0, 3000);
    for (int i = 0; i < 10; i++)
        (void)close(fds[i]);
}

static void stop_a_client_in_hello(void **state)
{
    struct host *h = *state;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in sa = {.sin_family = AF_INET};
    socklen_t len = sizeof(sa);

    /* A server that accepts and says nothing. */
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
    stop_server(h);
    h->port = ntohs(sa.sin_port);
    start_client(h, tls_a);
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    int64_t begin = sup_mono_ms();
    stop_client(h);
    assert_in_range(sup_mono_ms() - begin, 0, 2000);
    (void)close(fd);
    (void)close(listener);
}

static void stop_a_client_that_waits(void **state)
{
    struct host *h = *state;

    stop_server(h);
    start_client(h, tls_a);
    (void)usleep(300000); /* some failed dials; any moment is a good one to stop at */
    int64_t begin = sup_mono_ms();
    stop_client(h);
    assert_in_range(sup_mono_ms() - begin, 0, 2000);
}

static void ports_and_urls(void **state)
{
    struct host *h = *state;
    struct sup_mesh_server *second = NULL;
    struct sup_mesh_client *client = NULL;
    struct sup_err err = {0};
    struct sup_mesh_server_opts opts = {.url = rig_url(true, h->port),
                                        .tls = tls_b,
                                        .local = &h->b.local,
                                        .heart = h->heart,
                                        .serve = serve,
                                        .arg = h};
    assert_int_equal(sup_mesh_server_start(&opts, &second, &err), SUP_EEXIST);
    opts.url = "tls+tcp://nowhere";
    assert_int_equal(sup_mesh_server_start(&opts, &second, &err), SUP_EINPUT);
    const struct sup_mesh_client_opts bad = {.url = "tls+tcp://127.0.0.1:1",
                                             .peer = "b",
                                             .local = &h->a.local,
                                             .heart = h->heart,
                                             .run = run,
                                             .arg = h};
    assert_int_equal(sup_mesh_client_start(&bad, &client, &err), SUP_EINPUT);
    assert_non_null(strstr(err.msg, "needs certificates"));
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(client_and_server_find_each_other),
        TEST(refusals_are_counted_and_told),
        TEST(a_newer_connection_replaces),
        TEST(silent_connections_keep_nobody_out),
        TEST(rapid_connects),
        TEST(garbage),
        TEST(garbage_as_frames),
        TEST(stop_while_strangers_are_silent),
        TEST(stop_a_client_in_hello),
        TEST(stop_a_client_that_waits),
        TEST(ports_and_urls),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
