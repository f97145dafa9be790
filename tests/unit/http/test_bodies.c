/* Bodies larger than usual, for the route that takes them: their maximum, and how many at once. */
#include "base/array.h"
#include "base/clock.h"
#include "fake_service.h"
#include "http/server.h"
#include "raw_http.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/supsync-bodies-XXXXXX";
static char socket_path[64];
static struct sup_options options = {
    .admin = {.socket = socket_path, .listen = "", .tokens_file = ""}};
static struct sup_httpd *server;
static struct sup_service *service;

static int setup(void **state)
{
    struct fake_service *fake;
    struct sup_err err;
    (void)state;
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(socket_path, sizeof(socket_path), "%s/admin.sock", dir);
    service = fake_service_new(&fake);
    if (sup_httpd_start(&options, &server, &err) != SUP_OK)
        return -1;
    sup_httpd_attach(server, service);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sup_httpd_stop(server);
    sup_httpd_free(server);
    fake_service_free(service);
    return rmdir(dir);
}

static void exchange(const struct sup_buf *request, struct raw_answer *a)
{
    struct sup_buf rest;
    int fd = raw_connect_unix(socket_path);
    sup_buf_init(&rest, 1024 * 1024);
    raw_send(fd, request->p, request->n);
    raw_read(fd, &rest, a);
    sup_buf_fini(&rest);
    close(fd);
}

/* Posts a body of n bytes to the route of archived events. */
static void post_events(size_t n, struct raw_answer *a)
{
    struct sup_buf b;
    sup_buf_init(&b, 8 * 1024 * 1024);
    sup_buf_addf(&b, "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", n);
    for (size_t i = 0; i < n; i++)
        sup_buf_add_byte(&b, ' ');
    exchange(&b, a);
    sup_buf_fini(&b);
}

/* Until one of n bytes is answered with the status and a text. */
static void expect_events(size_t n, int status, const char *text)
{
    int64_t deadline = sup_mono_ms() + 30000;
    for (bool there = false; !there; poll(NULL, 0, 2)) {
        struct raw_answer a;
        post_events(n, &a);
        there = a.status == status && strstr(sup_buf_str(&a.body), text) != NULL;
        if (!there && sup_mono_ms() > deadline)
            fail_msg("%zu bytes: %d %s", n, a.status, sup_buf_str(&a.body));
        raw_answer_fini(&a);
    }
}

static void test_large_bodies(void **state)
{
    static const char taken[] = "the fake takes no events";
    struct raw_answer a;
    struct sup_buf b;
    int fds[8];
    (void)state;
    expect_events(4 * 1024 * 1024, 503, taken);
    expect_events(4 * 1024 * 1024 + 1, 413, "at most 4194304 bytes");

    /* A chunked one is held to the usual maximum: nobody knows how long it will be. */
    sup_buf_init(&b, 8 * 1024 * 1024);
    sup_buf_add_str(&b, "POST /v1/events HTTP/1.1\r\nHost: x\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n100001\r\n");
    for (size_t i = 0; i < 0x100001; i++)
        sup_buf_add_byte(&b, ' ');
    sup_buf_add_str(&b, "\r\n0\r\n\r\n");
    exchange(&b, &a);
    assert_int_equal(a.status, 413);
    raw_answer_fini(&a);
    sup_buf_fini(&b);

    /* So many at once and no more; usual ones go on. */
    for (size_t i = 0; i < SUP_COUNT(fds); i++) {
        fds[i] = raw_connect_unix(socket_path);
        raw_send_str(fds[i], "POST /v1/events HTTP/1.1\r\nHost: x\r\n"
                             "Content-Length: 1048577\r\n\r\n");
    }
    expect_events(1024 * 1024 + 1, 503, "too many large bodies");
    expect_events(1024 * 1024, 503, taken);
    for (size_t i = 0; i < SUP_COUNT(fds); i++)
        close(fds[i]);
    expect_events(1024 * 1024 + 1, 503, taken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_large_bodies)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
