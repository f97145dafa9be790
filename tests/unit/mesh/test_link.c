/* Links: order and integrity, back-pressure, posts that overtake, closing from another thread,
 * time-outs, URLs, certificate files. Each over TCP and TLS where that matters. */
#include "base/clock.h"
#include "base/thread.h"
#include "mesh_rig.h"

#include <arpa/inet.h>
#include <errno.h>
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

static void pair(bool tls, struct sup_link **dialed, struct sup_link **accepted)
{
    rig_links(tls ? tls_a : NULL, tls ? tls_b : NULL, "b", dialed, accepted);
}

static struct sup_buf frame_of(uint16_t type, size_t n, uint8_t fill)
{
    struct sup_buf body;
    struct sup_buf frame;

    sup_buf_init(&body, SUP_FRAME_BODY_MAX);
    sup_buf_init(&frame, SUP_FRAME_BODY_MAX + SUP_FRAME_HEADER);
    uint8_t *p = sup_buf_reserve(&body, n);
    assert_non_null(p);
    memset(p, fill, n);
    body.n = n;
    assert_int_equal(sup_frame_encode(type, 0, sup_buf_slice(&body), &frame), SUP_OK);
    sup_buf_fini(&body);
    return frame;
}

/* --- streams of frames --- */

#define STREAM_FRAMES 400

struct stream {
    struct sup_link *link;
    bool failed;
};

static size_t stream_size(int i)
{
    return i % 50 == 0 ? 300000 : (size_t)(i * 37 % 5000);
}

static void *stream_send(void *arg)
{
    struct stream *s = arg;

    for (int i = 0; i < STREAM_FRAMES && !s->failed; i++) {
        struct sup_buf f = frame_of((uint16_t)i, stream_size(i), (uint8_t)i);
        s->failed = sup_link_send(s->link, sup_buf_slice(&f), 20000) != SUP_OK;
        sup_buf_fini(&f);
    }
    return NULL;
}

static void stream_recv(struct sup_link *l)
{
    for (int i = 0; i < STREAM_FRAMES; i++) {
        struct sup_frame f;
        struct sup_err err = {0};
        int rc = sup_link_recv(l, 20000, &f, &err);
        if (rc != SUP_OK)
            print_error("frame %d: %s\n", i, err.msg);
        assert_int_equal(rc, SUP_OK);
        assert_int_equal(f.type, i);
        assert_int_equal(f.body.n, stream_size(i));
        for (size_t k = 0; k < f.body.n; k += 97)
            assert_int_equal(f.body.p[k], (uint8_t)i);
    }
}

/* name: in the peer's certificate; NULL without TLS. */
static void handshake_shows(struct sup_link *l, const char *name)
{
    struct sup_link_tls tls;

    assert_int_equal(sup_link_handshake(l, &tls), name != NULL);
    assert_string_equal(tls.name, name ? name : "");
    assert_string_equal(tls.why, "");
    assert_false(tls.refused_by_us || tls.refused_by_peer);
    if (name) {
        assert_true(sup_link_carries(l, name));
        assert_false(sup_link_carries(l, "c"));
        assert_false(sup_link_carries(l, ""));
    }
}

static void frames_arrive_whole_and_in_order(void **state)
{
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        struct sup_link *a;
        struct sup_link *b;
        pthread_t ta;
        pthread_t tb;
        pair(tls, &a, &b);
        struct stream sa = {a, false};
        struct stream sb = {b, false};
        assert_int_equal(sup_thread_start(&ta, "a", stream_send, &sa), SUP_OK);
        assert_int_equal(sup_thread_start(&tb, "b", stream_send, &sb), SUP_OK);
        /* b's frames wait in their queue and in the kernel while a's are read. */
        stream_recv(b);
        stream_recv(a);
        (void)pthread_join(ta, NULL);
        (void)pthread_join(tb, NULL);
        assert_false(sa.failed || sb.failed);
        assert_int_equal(sup_link_bytes_in(a), sup_link_bytes_out(b));
        assert_int_equal(sup_link_bytes_in(b), sup_link_bytes_out(a));
        assert_int_equal(sup_link_is_tls(a), tls);
        handshake_shows(a, tls ? "b" : NULL);
        handshake_shows(b, tls ? "a" : NULL);
        assert_non_null(strstr(sup_link_peer(b), "127.0.0.1:"));
        sup_link_free(a);
        sup_link_free(b);
    }
}

static void *echo_frames(void *arg)
{
    struct sup_link *l = arg;
    struct sup_frame f;

    while (sup_link_recv(l, 5000, &f, NULL) == SUP_OK) {
        struct sup_buf back = frame_of(f.type, f.body.n, 0);
        (void)sup_link_send(l, sup_buf_slice(&back), 5000);
        sup_buf_fini(&back);
    }
    return NULL;
}

#define ECHOES 40

/* Without TCP_NODELAY the last segment of each frame waits for an acknowledgement that the receiver
 * delays by 40 ms. A busy machine is slow by itself, so the best of several counts. */
static void no_frame_waits_for_an_acknowledgement(void **state)
{
    (void)state;
    struct sup_link *a;
    struct sup_link *b;
    struct sup_frame f;
    pthread_t t;
    int64_t best = INT64_MAX;

    pair(true, &a, &b);
    struct sup_buf x = frame_of(6, 65000, 9);
    assert_int_equal(sup_thread_start(&t, "echo", echo_frames, b), SUP_OK);
    for (int round = 0; round < 5 && best >= (int64_t)ECHOES * 40; round++) {
        int64_t begin = sup_mono_ms();
        for (int i = 0; i < ECHOES; i++) {
            assert_int_equal(sup_link_send(a, sup_buf_slice(&x), 5000), SUP_OK);
            assert_int_equal(sup_link_recv(a, 5000, &f, NULL), SUP_OK);
        }
        int64_t took = sup_mono_ms() - begin;
        best = took < best ? took : best;
    }
    print_message("%d round trips of 65000 bytes: %lld ms\n", ECHOES, (long long)best);
    assert_true(best < (int64_t)ECHOES * 40);
    sup_link_close(b, SUP_ECLOSED, "done");
    (void)pthread_join(t, NULL);
    sup_buf_fini(&x);
    sup_link_free(a);
    sup_link_free(b);
}

/* --- back-pressure --- */

static void fill_up(struct sup_link *l, const struct sup_buf *f)
{
    int64_t deadline = sup_mono_ms() + 30000;
    int rc;

    while ((rc = sup_link_send(l, sup_buf_slice(f), 200)) == SUP_OK)
        assert_true(sup_mono_ms() < deadline);
    assert_int_equal(rc, SUP_ETIMEDOUT);
}

static void a_full_link_takes_posts_and_keeps_its_frames(void **state)
{
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        struct sup_link *a;
        struct sup_link *b;
        struct sup_frame f;
        pair(tls, &a, &b);
        struct sup_buf big = frame_of(6, 250000, 1);
        struct sup_buf small = frame_of(4, 100, 2);
        fill_up(a, &big);
        assert_int_equal(sup_link_flush(a, 50), SUP_ETIMEDOUT);
        assert_int_equal(sup_link_error(a, NULL), SUP_OK);
        assert_int_equal(sup_link_post(a, sup_buf_slice(&small)), SUP_OK);
        /* Posts are bounded too. */
        int posts = 1;
        int rc;
        while ((rc = sup_link_post(a, sup_buf_slice(&small))) == SUP_OK)
            posts++;
        assert_int_equal(rc, SUP_ELIMIT);
        assert_in_range(posts, 1000, 4000);
        /* They come before the bulk frames that waited when they were posted. */
        int bulk_behind = 0;
        int got = 0;
        while (got < posts || sup_link_recv(b, 300, &f, NULL) == SUP_OK) {
            if (got < posts)
                assert_int_equal(sup_link_recv(b, 20000, &f, NULL), SUP_OK);
            if (f.type == 4)
                got++;
            else if (got > 0)
                bulk_behind++;
        }
        assert_int_equal(got, posts);
        assert_in_range(bulk_behind, 3, 5); /* SUP_LINK_QUEUE_MAX of them */
        assert_int_equal(sup_link_flush(a, 20000), SUP_OK);
        sup_buf_fini(&big);
        sup_buf_fini(&small);
        sup_link_free(a);
        sup_link_free(b);
    }
}

/* --- time-outs and closing --- */

static void a_timeout_loses_nothing(void **state)
{
    (void)state;
    struct sup_link *a;
    struct sup_link *b;
    struct sup_frame f;
    struct sup_err err = {0};

    pair(true, &a, &b);
    for (int i = 0; i < 5; i++) {
        int64_t begin = sup_mono_ms();
        assert_int_equal(sup_link_recv(b, 60, &f, &err), SUP_ETIMEDOUT);
        assert_in_range(sup_mono_ms() - begin, 60, 2000);
        struct sup_buf x = frame_of((uint16_t)(100 + i), 10, 3);
        assert_int_equal(sup_link_send(a, sup_buf_slice(&x), 1000), SUP_OK);
        assert_int_equal(sup_link_recv(b, 5000, &f, &err), SUP_OK);
        assert_int_equal(f.type, 100 + i);
        sup_buf_fini(&x);
    }
    assert_int_equal(sup_link_recv(b, 0, &f, NULL), SUP_ETIMEDOUT);
    sup_link_free(a);
    sup_link_free(b);
}

static void *blocked_recv(void *arg)
{
    struct sup_frame f;
    return (void *)(intptr_t)sup_link_recv(arg, -1, &f, NULL);
}

static void *blocked_send(void *arg)
{
    struct sup_buf big = frame_of(6, 500000, 1);
    int rc;

    while ((rc = sup_link_send(arg, sup_buf_slice(&big), -1)) == SUP_OK)
        ;
    sup_buf_fini(&big);
    return (void *)(intptr_t)rc;
}

static bool stuck(void *arg)
{
    struct sup_link *l = arg;
    return sup_link_bytes_out(l) > 0 && sup_link_flush(l, 300) == SUP_ETIMEDOUT;
}

static void close_wakes_both_directions(void **state)
{
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        struct sup_link *a;
        struct sup_link *b;
        pthread_t recv_thread;
        pthread_t send_thread;
        void *rc[2];
        struct sup_frame f;
        struct sup_err err = {0};
        pair(tls, &a, &b);
        assert_int_equal(sup_thread_start(&recv_thread, "r", blocked_recv, a), SUP_OK);
        assert_int_equal(sup_thread_start(&send_thread, "s", blocked_send, a), SUP_OK);
        assert_int_equal(sup_link_recv(b, 5000, &f, NULL), SUP_OK); /* one, then no more */
        assert_true(rig_eventually(stuck, a, 20000));
        int64_t begin = sup_mono_ms();
        sup_link_close(a, SUP_ECLOSED, "enough");
        assert_in_range(sup_mono_ms() - begin, 0, 200);
        (void)pthread_join(recv_thread, &rc[0]);
        (void)pthread_join(send_thread, &rc[1]);
        assert_int_equal((intptr_t)rc[0], SUP_ECLOSED);
        assert_int_equal((intptr_t)rc[1], SUP_ECLOSED);
        assert_int_equal(sup_link_error(a, &err), SUP_ECLOSED);
        assert_string_equal(err.msg, "enough");
        sup_link_close(a, SUP_EIO, "again"); /* the first reason stays */
        assert_int_equal(sup_link_error(a, &err), SUP_ECLOSED);
        sup_link_free(a);
        sup_link_free(b);
    }
}

struct racer {
    struct sup_link *link;
    bool sends;
};

static void *race(void *arg)
{
    struct racer *r = arg;
    struct sup_buf f = frame_of(4, 50, 0);
    struct sup_frame in;

    if (r->sends) {
        while (sup_link_send(r->link, sup_buf_slice(&f), 1000) == SUP_OK)
            ;
    } else {
        while (sup_link_recv(r->link, 1000, &in, NULL) == SUP_OK)
            ;
    }
    sup_buf_fini(&f);
    return NULL;
}

/* Closing at any moment of any operation: each must end, or free would wait for ever. */
static void close_races_with_operations(void **state)
{
    (void)state;
    struct sup_rng rng;

    sup_rng_seed(&rng, 7);
    for (int i = 0; i < 300; i++) {
        struct sup_link *l[2];
        pthread_t t[4];
        pair(i % 3 == 0, &l[0], &l[1]);
        struct racer r[4] = {{l[0], true}, {l[0], false}, {l[1], true}, {l[1], false}};
        for (int k = 0; k < 4; k++)
            assert_int_equal(sup_thread_start(&t[k], "race", race, &r[k]), SUP_OK);
        (void)usleep((useconds_t)sup_rng_below(&rng, 3000));
        sup_link_close(l[i % 2], SUP_ECLOSED, "closed");
        sup_link_close(l[(i + 1) % 2], SUP_ECLOSED, "closed");
        for (int k = 0; k < 4; k++)
            (void)pthread_join(t[k], NULL);
        sup_link_free(l[0]);
        sup_link_free(l[1]);
    }
}

/* What was sent before an orderly end arrives, then the end. */
static void drain_delivers(void **state)
{
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        struct sup_link *a;
        struct sup_link *b;
        struct sup_frame f;
        struct sup_err err = {0};
        pair(tls, &a, &b);
        struct sup_buf x = frame_of(3, 10, 3);
        /* A first frame, so that the handshake is over: it takes both ends. */
        assert_int_equal(sup_link_post(a, sup_buf_slice(&x)), SUP_OK);
        assert_int_equal(sup_link_recv(b, 5000, &f, NULL), SUP_OK);
        assert_int_equal(sup_link_post(a, sup_buf_slice(&x)), SUP_OK);
        sup_link_drain(a, SUP_ECLOSED, "bye");
        assert_int_equal(sup_link_post(a, sup_buf_slice(&x)), SUP_ECLOSED);
        assert_int_equal(sup_link_send(a, sup_buf_slice(&x), 100), SUP_ECLOSED);
        assert_int_equal(sup_link_recv(a, 1000, &f, &err), SUP_ECLOSED);
        assert_string_equal(err.msg, "bye");
        assert_int_equal(sup_link_flush(a, 5000), SUP_OK);
        assert_int_equal(sup_link_recv(b, 5000, &f, NULL), SUP_OK);
        assert_int_equal(f.type, 3);
        sup_link_free(a);
        /* What the heart does for sessions. */
        int rc;
        do
            sup_link_check(b);
        while ((rc = sup_link_recv(b, 50, &f, &err)) == SUP_ETIMEDOUT);
        assert_int_equal(rc, SUP_ECLOSED);
        sup_buf_fini(&x);
        sup_link_free(b);
    }
}

static void silence_counts_only_while_listening(void **state)
{
    (void)state;
    struct sup_link *a;
    struct sup_link *b;
    struct sup_frame f;

    pair(false, &a, &b);
    assert_int_equal(sup_link_silent_ms(b), 0);
    (void)usleep(30000); /* the time is the point here: nobody listens during it */
    assert_int_equal(sup_link_silent_ms(b), 0);
    assert_int_equal(sup_link_recv(b, 80, &f, NULL), SUP_ETIMEDOUT);
    assert_in_range(sup_link_silent_ms(b), 80, 5000);
    struct sup_buf x = frame_of(4, 1, 0);
    assert_int_equal(sup_link_send(a, sup_buf_slice(&x), 100), SUP_OK);
    assert_int_equal(sup_link_recv(b, 5000, &f, NULL), SUP_OK);
    assert_int_equal(sup_link_silent_ms(b), 0);
    sup_link_check(b);
    assert_int_equal(sup_link_error(b, NULL), SUP_OK);
    sup_buf_fini(&x);
    sup_link_free(a);
    sup_link_free(b);
}

static void body_limit(void **state)
{
    (void)state;
    struct sup_link *a;
    struct sup_link *b;
    struct sup_frame f;
    struct sup_err err = {0};

    pair(true, &a, &b);
    sup_link_set_body_max(b, 100);
    struct sup_buf x = frame_of(1, 101, 0);
    assert_int_equal(sup_link_send(a, sup_buf_slice(&x), 100), SUP_OK);
    assert_int_equal(sup_link_recv(b, 5000, &f, &err), SUP_ELIMIT);
    assert_non_null(strstr(err.msg, "at most 100"));
    assert_int_equal(sup_link_error(b, NULL), SUP_ELIMIT);
    sup_buf_fini(&x);
    sup_link_free(a);
    sup_link_free(b);
}

/* --- endpoints --- */

static void *blocked_accept(void *arg)
{
    struct sup_link *l;
    return (void *)(intptr_t)sup_link_accept(arg, -1, &l, NULL);
}

static void listeners(void **state)
{
    (void)state;
    struct sup_listener *l;
    struct sup_listener *second;
    struct sup_link *link;
    struct sup_err err = {0};
    pthread_t t;
    void *rc;

    assert_int_equal(sup_listener_open("tls+tcp://127.0.0.1:0", NULL, &l, &err), SUP_EINPUT);
    assert_non_null(strstr(err.msg, "needs certificates"));
    assert_int_equal(sup_listener_open("tls+tcp://127.0.0.1:0", tls_b, &l, &err), SUP_OK);
    assert_in_range(sup_listener_port(l), 1, 65535);
    assert_int_equal(sup_listener_open(rig_url(true, sup_listener_port(l)), tls_b, &second, &err),
                     SUP_EEXIST);
    assert_int_equal(sup_link_accept(l, 50, &link, &err), SUP_ETIMEDOUT);
    assert_int_equal(sup_thread_start(&t, "accept", blocked_accept, l), SUP_OK);
    (void)usleep(20000);
    sup_listener_close(l);
    (void)pthread_join(t, &rc);
    assert_int_equal((intptr_t)rc, SUP_ECLOSED);
    sup_listener_free(l);
}

static void *blocked_dial(void *arg)
{
    struct sup_link *l;
    return (void *)(intptr_t)sup_link_dial(arg, -1, &l, NULL);
}

static void dialling_nobody(void **state)
{
    (void)state;
    struct sup_dialer *d;
    struct sup_listener *l;
    struct sup_link *link;
    struct sup_err err = {0};
    char url[64];

    assert_int_equal(sup_listener_open("tcp://127.0.0.1:0", NULL, &l, &err), SUP_OK);
    (void)snprintf(url, sizeof(url), "%s", rig_url(false, sup_listener_port(l)));
    sup_listener_free(l);
    assert_int_equal(sup_dialer_new(url, NULL, "", &d, &err), SUP_OK);
    for (int i = 0; i < 3; i++) { /* a dialler can be used again */
        assert_int_equal(sup_link_dial(d, 5000, &link, &err), SUP_EAGAIN);
        assert_non_null(strstr(err.msg, url));
    }
    assert_int_equal(sup_listener_open(url, NULL, &l, &err), SUP_OK);
    assert_int_equal(sup_link_dial(d, 5000, &link, &err), SUP_OK);
    sup_link_free(link);
    sup_listener_free(l);
    sup_dialer_close(d);
    assert_int_equal(sup_link_dial(d, 5000, &link, &err), SUP_ECLOSED);
    sup_dialer_free(d);
    assert_int_equal(sup_dialer_new("tls+tcp://127.0.0.1:1", tls_a, "", &d, &err), SUP_EINPUT);
    assert_non_null(strstr(err.msg, "server name"));
}

/* A listener whose backlog is full answers no SYN: a dial hangs until it is given up. */
#define HOLE_FDS 16

static int black_hole(int fds[HOLE_FDS])
{
    struct sockaddr_in sa = {.sin_family = AF_INET};
    socklen_t len = sizeof(sa);

    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fds[0], (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(fds[0], 0), 0);
    assert_int_equal(getsockname(fds[0], (struct sockaddr *)&sa, &len), 0);
    for (int i = 1; i < HOLE_FDS; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(connect(fds[i], (struct sockaddr *)&sa, sizeof(sa)) == 0 ||
                    errno == EINPROGRESS);
    }
    return ntohs(sa.sin_port);
}

static void dialling_a_black_hole(void **state)
{
    (void)state;
    struct sup_dialer *d;
    struct sup_link *link;
    struct sup_err err = {0};
    int fds[HOLE_FDS];
    pthread_t t;
    void *rc;

    assert_int_equal(sup_dialer_new(rig_url(false, black_hole(fds)), NULL, "", &d, &err), SUP_OK);
    int64_t begin = sup_mono_ms();
    assert_int_equal(sup_link_dial(d, 200, &link, &err), SUP_ETIMEDOUT);
    assert_in_range(sup_mono_ms() - begin, 200, 3000);
    assert_int_equal(sup_thread_start(&t, "dial", blocked_dial, d), SUP_OK);
    (void)usleep(20000);
    sup_dialer_close(d);
    (void)pthread_join(t, &rc);
    assert_int_equal((intptr_t)rc, SUP_ECLOSED);
    sup_dialer_free(d);
    for (int i = 0; i < HOLE_FDS; i++)
        (void)close(fds[i]);
}

static void urls(void **state)
{
    (void)state;
    static const char *const good[] = {"tcp://127.0.0.1:1", "tls+tcp://10.0.0.1:8471",
                                       "tls+tcp://[::1]:8471", "tcp://node-1.example.com:65535"};
    static const char *const bad[] = {"",
                                      "http://x:1",
                                      "tcp://",
                                      "tcp://x",
                                      "tcp://x:",
                                      "tcp://:1",
                                      "tcp://x:65536",
                                      "tcp://x:-1",
                                      "tcp://x:1/path",
                                      "tcp://a%zz:1",
                                      "tcp://a b:1",
                                      "tcp://[::1:1",
                                      "tls+tcp://user@host:1",
                                      "TCP://x:1"};
    bool tls;
    struct sup_err err = {0};

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(sup_mesh_url_check(good[i], &tls, &err), SUP_OK);
        assert_int_equal(tls, good[i][1] == 'l');
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(sup_mesh_url_check(bad[i], &tls, &err), SUP_EINPUT);
}

/* --- certificate files --- */

static void load(const char *ca, const char *cert, const char *key, int code, const char *text)
{
    const struct sup_mesh_tls_files files = {.ca = ca, .cert = cert, .key = key, .crl = ""};
    struct sup_mesh_tls *tls = NULL;
    struct sup_err err = {0};

    assert_int_equal(sup_mesh_tls_load(&files, &tls, &err), code);
    if (code == SUP_OK) {
        sup_mesh_tls_free(tls);
        return;
    }
    if (!strstr(err.msg, text))
        print_error("\"%s\" does not say \"%s\"\n", err.msg, text);
    assert_non_null(strstr(err.msg, text));
}

static const char *junk(const char *name, const char *text)
{
    const char *path = pki_path(pki, name);
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    return path;
}

static void certificate_files(void **state)
{
    (void)state;
    const char *ca = pki_path(pki, "ca.pem");
    const char *cert = pki_path(pki, "a.pem");
    const char *key = pki_path(pki, "a.key");

    load(ca, cert, key, SUP_OK, "");
    load("/nonexistent/ca.pem", cert, key, SUP_EIO, "/nonexistent/ca.pem: No such file");
    load(ca, "/nonexistent/x", key, SUP_EIO, "/nonexistent/x: No such file");
    load(ca, pki_dir(pki), key, SUP_EIO, "Is a directory");
    load(ca, key, key, SUP_EINPUT, "a.key: holds no PEM block \"CERTIFICATE-----\"");
    load(ca, cert, cert, SUP_EINPUT, "a.pem: holds no PEM block \"PRIVATE KEY-----\"");
    const char *bad = junk("junk", "-----BEGIN CERTIFICATE-----\nnot base64!\n"
                                   "-----END CERTIFICATE-----\n");
    load(bad, cert, key, SUP_EINPUT, "ca: ");
    load(ca, bad, key, SUP_EINPUT, "certificate: ");
    load(ca, cert, junk("junk", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"), SUP_EINPUT,
         "without a passphrase");
    load(junk("junk", ""), cert, key, SUP_EINPUT, "holds no PEM block");
    (void)unlink(pki_path(pki, "junk"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_arrive_whole_and_in_order),
        cmocka_unit_test(no_frame_waits_for_an_acknowledgement),
        cmocka_unit_test(a_full_link_takes_posts_and_keeps_its_frames),
        cmocka_unit_test(a_timeout_loses_nothing),
        cmocka_unit_test(close_wakes_both_directions),
        cmocka_unit_test(close_races_with_operations),
        cmocka_unit_test(drain_delivers),
        cmocka_unit_test(silence_counts_only_while_listening),
        cmocka_unit_test(body_limit),
        cmocka_unit_test(listeners),
        cmocka_unit_test(dialling_nobody),
        cmocka_unit_test(dialling_a_black_hole),
        cmocka_unit_test(urls),
        cmocka_unit_test(certificate_files),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
