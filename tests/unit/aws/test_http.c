/* The libcurl transport against a server that misbehaves. */
#include "http_peer.h"

#include "aws/http.h"
#include "base/clock.h"
#include "base/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct peer_reply next; /* what get asks the peer to do */
    const char *body;
    char seen[4096]; /* "METHOD target\nheaders" of the last request */
    struct {         /* the same, for the peer's threads */
        struct peer_reply next;
        const char *body;
        char seen[4096];
    } live;
    struct http_peer *peer;
    struct sup_http *http;
    struct sup_http_response r;
};

static void handle(void *arg, const struct peer_request *req, struct peer_reply *reply)
{
    struct fixture *f = arg;
    snprintf(f->live.seen, sizeof f->live.seen, "%s %s\n%s\n%.*s", req->method, req->target,
             req->headers, (int)req->body_n, req->body);
    *reply = f->live.next;
    if (f->live.body != NULL)
        peer_body(reply, f->live.body);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->peer = peer_start(handle, f);
    assert_int_equal(sup_http_new(&f->http, NULL, NULL), SUP_OK);
    sup_http_response_init(&f->r);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    sup_http_response_fini(&f->r);
    sup_http_free(f->http);
    peer_stop(f->peer);
    free(f);
    return 0;
}

static int exchange(struct fixture *f, struct sup_http *h, const struct sup_http_request *req,
                    struct sup_err *err)
{
    struct sup_http_transport t = sup_http_transport(h);
    peer_lock(f->peer);
    f->live.next = f->next;
    f->live.body = f->body;
    peer_unlock(f->peer);
    int rc = t.send(t.arg, req, &f->r, err);
    peer_lock(f->peer);
    memcpy(f->seen, f->live.seen, sizeof f->seen);
    peer_unlock(f->peer);
    return rc;
}

static int get(struct fixture *f, const char *path, struct sup_http_request *req,
               struct sup_err *err)
{
    char url[512];
    snprintf(url, sizeof url, "%s%s", peer_url(f->peer), path);
    req->url = url;
    if (req->method == NULL)
        req->method = "GET";
    return exchange(f, f->http, req, err);
}

static void test_one_connection_serves_many_calls(void **state)
{
    struct fixture *f = *state;
    f->body = "hello";
    for (int i = 0; i < 200; i++) {
        struct sup_http_request req = {.method = i % 2 ? "GET" : "POST",
                                       .body = SUP_SLICE_LIT("x")};
        assert_int_equal(get(f, "/", &req, NULL), SUP_OK);
        assert_int_equal(f->r.status, 200);
        assert_string_equal(sup_buf_str(&f->r.body), "hello");
    }
    assert_int_equal(peer_connections(f->peer), 1);
    assert_int_equal(peer_requests(f->peer), 200);
}

static void test_the_path_goes_as_it_is(void **state)
{
    struct fixture *f = *state;
    struct sup_http_request req = {0};
    assert_int_equal(get(f, "/a/../b//c%2Fd/./%40?x=%2f&y=a+b", &req, NULL), SUP_OK);
    assert_memory_equal(f->seen, "GET /a/../b//c%2Fd/./%40?x=%2f&y=a+b\n", 37);
}

static void test_methods_and_headers(void **state)
{
    struct fixture *f = *state;
    struct sup_header h[] = {{"x-one", "1"}, {"x-empty", ""}, {"host", "example.com"}};
    struct sup_http_request req = {.method = "PUT", .headers = h, .n_headers = 3};
    f->next.headers = "X-AmZn-RequestId: abc \r\nDate: Tue, 15 Nov 1994 08:12:31 GMT\r\n";
    assert_int_equal(get(f, "/t", &req, NULL), SUP_OK);
    assert_non_null(strstr(f->seen, "PUT /t\n"));
    assert_non_null(strstr(f->seen, "x-one: 1\r\n"));
    assert_non_null(strstr(f->seen, "x-empty:\r\n"));
    assert_non_null(strcasestr(f->seen, "host: example.com\r\n"));
    assert_non_null(strcasestr(f->seen, "content-length: 0"));
    assert_null(strcasestr(f->seen, "content-type"));
    assert_null(strcasestr(f->seen, "expect"));
    assert_string_equal(sup_http_response_header(&f->r, "x-amzn-requestid"), "abc");
    int64_t ms = 0;
    assert_int_equal(sup_http_date_parse(sup_http_response_header(&f->r, "date"), &ms), SUP_OK);
    assert_int_equal(ms, 784887151000);
    assert_null(sup_http_response_header(&f->r, "x-none"));
    req.method = "DELETE";
    assert_int_equal(get(f, "/t", &req, NULL), SUP_OK);
    assert_non_null(strstr(f->seen, "DELETE /t\n"));
    h[0].value = "a\r\nevil: 1";
    assert_int_equal(get(f, "/t", &req, NULL), SUP_EINPUT);
}

static void test_redirects_are_not_followed(void **state)
{
    struct fixture *f = *state;
    struct sup_http_request req = {0};
    f->next = (struct peer_reply){.status = 302, .headers = "Location: /elsewhere\r\n"};
    assert_int_equal(get(f, "/", &req, NULL), SUP_OK);
    assert_int_equal(f->r.status, 302);
    assert_int_equal(peer_requests(f->peer), 1);
}

static void test_broken_replies(void **state)
{
    struct fixture *f = *state;
    struct sup_err err;
    static const enum peer_fault faults[] = {PEER_RESET, PEER_TRUNCATE, PEER_GARBAGE};
    f->body = "0123456789";
    for (size_t i = 0; i < 3; i++) {
        struct sup_http_request req = {.timeout_ms = 5000};
        f->next.fault = faults[i];
        assert_int_equal(get(f, "/", &req, &err), SUP_EIO);
        assert_true(f->r.sent);
    }
    f->next.fault = PEER_CLOSE; /* a connection that is gone at the next call is no error */
    for (int i = 0; i < 3; i++) {
        struct sup_http_request req = {.timeout_ms = 5000};
        assert_int_equal(get(f, "/", &req, &err), SUP_OK);
        assert_string_equal(sup_buf_str(&f->r.body), "0123456789");
    }
}

static void test_a_body_past_the_maximum(void **state)
{
    struct fixture *f = *state;
    struct sup_http_request req = {.max_body = 9};
    f->body = "0123456789";
    assert_int_equal(get(f, "/", &req, NULL), SUP_ELIMIT);
    req.max_body = 10;
    assert_int_equal(get(f, "/", &req, NULL), SUP_OK);
    assert_int_equal(f->r.body.n, 10);
}

static void test_deadline(void **state)
{
    struct fixture *f = *state;
    struct sup_http_request req = {.timeout_ms = 300};
    f->next.fault = PEER_HANG;
    int64_t t0 = sup_mono_ms();
    assert_int_equal(get(f, "/", &req, NULL), SUP_ETIMEDOUT);
    int64_t took = sup_mono_ms() - t0;
    assert_in_range(took, 250, 2000);
}

static void *stop_later(void *arg)
{
    struct fixture *f = ((void **)arg)[0];
    struct sup_stop *stop = ((void **)arg)[1];
    while (peer_requests(f->peer) == 0)
        sched_yield();
    sup_stop_set(stop);
    return NULL;
}

static void test_a_stop_ends_a_long_poll(void **state)
{
    struct fixture *f = *state;
    struct sup_stop stop;
    pthread_t t;
    sup_stop_init(&stop);
    void *args[2] = {f, &stop};
    struct sup_http_request req = {.timeout_ms = 25000, .stop = &stop};
    f->next.fault = PEER_HANG;
    assert_int_equal(pthread_create(&t, NULL, stop_later, args), 0);
    int64_t t0 = sup_mono_ms();
    assert_int_equal(get(f, "/", &req, NULL), SUP_ECLOSED);
    assert_true(sup_mono_ms() - t0 < 1000);
    pthread_join(t, NULL);
    /* And one that is set before stops at once. */
    assert_int_equal(get(f, "/", &req, NULL), SUP_ECLOSED);
    assert_int_equal(peer_requests(f->peer), 1);
    sup_stop_fini(&stop);
}

static void test_nobody_there(void **state)
{
    struct fixture *f = *state;
    struct sup_http_request req = {.method = "GET", .url = "http://127.0.0.1:1/"};
    assert_int_equal(exchange(f, f->http, &req, NULL), SUP_EIO);
    assert_false(f->r.sent);
    static const char *const bad[] = {
        "ftp://h/", "http://",      "http://u@h/", "http://h:x/",      "h",
        "",         "http://h/a b", "http://h/#f", "http://h:123456/", "http://[::1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        req.url = bad[i];
        assert_int_equal(exchange(f, f->http, &req, NULL), SUP_EINPUT);
    }
}

/* A proxy that would answer is not asked for loopback hosts. */
static void test_no_proxy_for_loopback(void **state)
{
    struct fixture *f = *state;
    struct sup_http *h = NULL;
    struct sup_http_options opt = {.http_proxy = "http://127.0.0.1:1",
                                   .https_proxy = "http://127.0.0.1:1"};
    char url[128];
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    snprintf(url, sizeof url, "%s/", peer_url(f->peer));
    struct sup_http_request req = {.method = "GET", .url = url};
    assert_int_equal(sup_http_new(&h, &opt, NULL), SUP_OK);
    assert_int_equal(exchange(f, h, &req, NULL), SUP_OK);
    req.url = "http://proxied.invalid/";
    assert_int_equal(exchange(f, h, &req, NULL), SUP_EIO);
    sup_http_free(h);
    unsetenv("http_proxy");
}

static void test_a_proxy_is_used_when_set(void **state)
{
    struct fixture *f = *state;
    struct sup_http *h = NULL;
    struct sup_http_options opt = {.http_proxy = peer_url(f->peer), .no_proxy = "0.0.0.0"};
    f->body = "by proxy";
    assert_int_equal(sup_http_new(&h, &opt, NULL), SUP_OK);
    struct sup_http_request req = {.method = "GET", .url = "http://proxied.invalid/x"};
    assert_int_equal(exchange(f, h, &req, NULL), SUP_OK);
    assert_non_null(strstr(f->seen, "GET http://proxied.invalid/x\n"));
    req.url = "http://0.0.0.0:1/x"; /* not loopback by its text, and nobody listens */
    req.timeout_ms = 3000;
    assert_int_not_equal(exchange(f, h, &req, NULL), SUP_OK);
    req.url = "http://[::]:1/x"; /* not in the list: only the request keeps the proxy out */
    req.no_proxy = true;
    assert_int_not_equal(exchange(f, h, &req, NULL), SUP_OK);
    assert_int_equal(peer_requests(f->peer), 1);
    sup_http_free(h);
}

#define THREADS 8
#define CALLS   50

static void *many_calls(void *arg)
{
    struct fixture *f = arg;
    struct sup_http_transport t = sup_http_transport(f->http);
    struct sup_http_response r;
    char url[128];
    long bad = 0;
    snprintf(url, sizeof url, "%s/", peer_url(f->peer));
    sup_http_response_init(&r);
    for (int i = 0; i < CALLS; i++) {
        struct sup_http_request req = {.method = "GET", .url = url};
        bad += t.send(t.arg, &req, &r, NULL) != SUP_OK || r.body.n != 2;
    }
    sup_http_response_fini(&r);
    return (void *)bad;
}

static void plain(void *arg, const struct peer_request *req, struct peer_reply *reply)
{
    (void)arg;
    (void)req;
    peer_body(reply, "ok");
}

static void test_threads_share_the_pool(void **state)
{
    struct fixture *f = *state;
    struct http_peer *old = f->peer;
    pthread_t threads[THREADS];
    f->peer = peer_start(plain, NULL);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, many_calls, f), 0);
    for (int i = 0; i < THREADS; i++) {
        void *bad = NULL;
        pthread_join(threads[i], &bad);
        assert_null(bad);
    }
    assert_int_equal(peer_requests(f->peer), THREADS * CALLS);
    assert_true(peer_connections(f->peer) <= THREADS);
    peer_stop(f->peer);
    f->peer = old;
}

static void test_loopback_names(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        bool loopback;
    } cases[] = {{"http://localhost", true},     {"http://LocalHost:80/x", true},
                 {"http://a.localhost/", true},  {"http://127.0.0.1:9400/q", true},
                 {"http://127.255.3.4", true},   {"http://[::1]:80/", true},
                 {"http://128.0.0.1", false},    {"http://localhost.example.com", false},
                 {"http://notlocalhost", false}, {"http://127.0.0.1.example.com", false},
                 {"http://[::2]/", false},       {"http://169.254.169.254/", false},
                 {"http://0x7f.1/", false},      {"http://.localhost/", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sup_url u;
        assert_int_equal(sup_url_parse(&u, cases[i].url, NULL), SUP_OK);
        if (sup_url_is_loopback(&u) != cases[i].loopback)
            fail_msg("%s", cases[i].url);
    }
}

static void test_dates(void **state)
{
    (void)state;
    int64_t ms = 0;
    assert_int_equal(sup_http_date_parse("Thu, 01 Jan 1970 00:00:00 GMT", &ms), SUP_OK);
    assert_int_equal(ms, 0);
    static const char *const bad[] = {"",
                                      "Thu, 01 Jan 1970 00:00:00 UTC",
                                      "Thu, 01 Foo 1970 00:00:00 GMT",
                                      "Thu, 41 Jan 1970 00:00:00 GMT",
                                      "Thu, 01 Jan 1970 24:00:00 GMT",
                                      "Thursday, 01-Jan-70 00:00:00 GMT",
                                      "Thu, 01 Jan 19x0 00:00:00 GMT"};
    assert_int_equal(sup_http_date_parse(NULL, &ms), SUP_EINPUT);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(sup_http_date_parse(bad[i], &ms), SUP_EINPUT);
}

static void test_response_headers_have_a_maximum(void **state)
{
    (void)state;
    struct sup_http_response r;
    char big[20000];
    memset(big, 'x', sizeof big);
    sup_http_response_init(&r);
    sup_http_response_add_header(&r, "A", 1, "1", 1);
    sup_http_response_add_header(&r, "b", 1, big, sizeof big);
    sup_http_response_add_header(&r, "c", 1, "a\0b", 3);
    sup_http_response_add_header(&r, "d", 1, "4", 1);
    assert_string_equal(sup_http_response_header(&r, "a"), "1");
    assert_null(sup_http_response_header(&r, "b"));
    assert_null(sup_http_response_header(&r, "c"));
    assert_string_equal(sup_http_response_header(&r, "d"), "4");
    sup_http_response_fini(&r);
}

int main(void)
{
#define WITH_PEER(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_PEER(test_one_connection_serves_many_calls),
        WITH_PEER(test_the_path_goes_as_it_is),
        WITH_PEER(test_methods_and_headers),
        WITH_PEER(test_redirects_are_not_followed),
        WITH_PEER(test_broken_replies),
        WITH_PEER(test_a_body_past_the_maximum),
        WITH_PEER(test_deadline),
        WITH_PEER(test_a_stop_ends_a_long_poll),
        WITH_PEER(test_nobody_there),
        WITH_PEER(test_no_proxy_for_loopback),
        WITH_PEER(test_a_proxy_is_used_when_set),
        WITH_PEER(test_threads_share_the_pool),
        cmocka_unit_test(test_loopback_names),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_response_headers_have_a_maximum),
    };
    return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
