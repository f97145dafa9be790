/* The client library against a server with a fake service: verdicts, failures, restarts, threads.
 */
#include "supsync/client.h"

#include "base/array.h"
#include "fake_service.h"
#include "http/listen.h"
#include "http/server.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/supsync-client-XXXXXX";
static char socket_path[64];
static struct sup_options options = {
    .admin = {
        .socket = socket_path, .listen = "", .tls_cert = "", .tls_key = "", .tokens_file = ""}};
static struct sup_httpd *server;
static struct sup_service *service;

static void start_server(void)
{
    struct sup_err err;
    assert_int_equal(sup_httpd_start(&options, &server, &err), SUP_OK);
    sup_httpd_attach(server, service);
}

static void stop_server(void)
{
    sup_httpd_stop(server);
    sup_httpd_free(server);
}

static int setup(void **state)
{
    struct fake_service *fake;
    (void)state;
    service = fake_service_new(&fake);
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(socket_path, sizeof(socket_path), "%s/admin.sock", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_service_free(service);
    return rmdir(dir);
}

static void test_one(void **state)
{
    static const struct {
        const char *address;
        enum sup_verdict verdict;
        const char *reason, *why;
        int rc;
    } cases[] = {
        {"a@x.example", SUP_VERDICT_ALLOW, "", "", 0},
        {"block@x.example", SUP_VERDICT_BLOCK, "BOUNCE", "", 0},
        {"complaint+%2F&=#@x.example", SUP_VERDICT_BLOCK, "COMPLAINT", "", 0},
        {"block k\xc3\xa4the", SUP_VERDICT_UNKNOWN, "", "answered 400", 0},
        {"", SUP_VERDICT_UNKNOWN, "", "answered 400", 0},
        {"unknown@x.example", SUP_VERDICT_UNKNOWN, "", "joining", 0},
        {"io@x.example", SUP_VERDICT_UNKNOWN, "", "the store cannot be read", 0},
        {"\xff\xfe@x.example", SUP_VERDICT_UNKNOWN, "", "answered 400", 0},
    };
    (void)state;
    start_server();
    struct sup_client *c = sup_client_open(socket_path);
    for (size_t i = 0; i < SUP_COUNT(cases); i++) {
        struct sup_client_answer a;
        assert_int_equal(sup_client_check(c, cases[i].address, &a), cases[i].rc);
        if (a.verdict != cases[i].verdict || strcmp(a.reason, cases[i].reason) != 0 ||
            strstr(a.why, cases[i].why) == NULL)
            fail_msg("%s: %d %s %s", cases[i].address, (int)a.verdict, a.reason, a.why);
    }
    struct sup_client_answer a;
    assert_int_equal(sup_client_check(c, "block@x.example", &a), 0);
    assert_string_equal(a.since, "2025-11-24T16:00:00.123Z");
    assert_string_equal(a.cause, "event");
    sup_client_close(c);
    stop_server();
}

static void test_many(void **state)
{
    enum { N = 2503 };
    static char names[N][40];
    static const char *list[N];
    static struct sup_client_answer answers[N];
    (void)state;
    start_server();
    struct sup_client *c = sup_client_open(socket_path);
    for (size_t i = 0; i < N; i++) {
        snprintf(names[i], sizeof(names[i]), "%s%zu@x.example", i % 7 ? "a" : "block", i);
        list[i] = names[i];
    }
    list[1] = "no address";
    list[2] = "\xff@x.example";
    assert_int_equal(sup_client_check_many(c, list, N, answers), 0);
    for (size_t i = 0; i < N; i++) {
        enum sup_verdict want = i == 1 || i == 2 ? SUP_VERDICT_UNKNOWN
                                : i % 7          ? SUP_VERDICT_ALLOW
                                                 : SUP_VERDICT_BLOCK;
        assert_int_equal(answers[i].verdict, want);
    }
    assert_int_equal(sup_client_check_many(c, list, 0, answers), 0);
    sup_client_close(c);
    stop_server();
}

/* No agent, then one, then another in its place: the handle goes on. */
static void test_restart(void **state)
{
    const char *list[] = {"a@x.example", "block@x.example"};
    struct sup_client_answer a[2];
    (void)state;
    struct sup_client *c = sup_client_open(socket_path);
    assert_int_equal(sup_client_check(c, list[0], a), -1);
    assert_int_equal(a[0].verdict, SUP_VERDICT_UNKNOWN);
    assert_non_null(strstr(a[0].why, "no agent at"));
    assert_int_equal(sup_client_check_many(c, list, 2, a), -1);
    assert_int_equal(a[1].verdict, SUP_VERDICT_UNKNOWN);
    for (int i = 0; i < 3; i++) {
        start_server();
        assert_int_equal(sup_client_check_many(c, list, 2, a), 0);
        assert_int_equal(a[0].verdict, SUP_VERDICT_ALLOW);
        assert_int_equal(a[1].verdict, SUP_VERDICT_BLOCK);
        stop_server();
        assert_int_equal(sup_client_check(c, list[0], a), -1);
        assert_int_equal(a[0].verdict, SUP_VERDICT_UNKNOWN);
    }
    sup_client_close(c);
    sup_client_close(NULL);
}

static void *hammer(void *arg)
{
    struct sup_client *c = arg;
    for (int i = 0; i < 300; i++) {
        struct sup_client_answer a;
        const char *address = i % 2 ? "block@x.example" : "a@x.example";
        if (sup_client_check(c, address, &a) != 0 ||
            a.verdict != (i % 2 ? SUP_VERDICT_BLOCK : SUP_VERDICT_ALLOW))
            return arg;
    }
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t t[4];
    (void)state;
    start_server();
    struct sup_client *c = sup_client_open(socket_path);
    for (size_t i = 0; i < SUP_COUNT(t); i++)
        assert_int_equal(pthread_create(&t[i], NULL, hammer, c), 0);
    for (size_t i = 0; i < SUP_COUNT(t); i++) {
        void *failed;
        pthread_join(t[i], &failed);
        assert_null(failed);
    }
    sup_client_close(c);
    stop_server();
}

/* One that accepts and never answers. */
static void test_timeout(void **state)
{
    struct sup_client_answer a;
    struct sup_unix_listener silent;
    struct sup_err err;
    (void)state;
    assert_int_equal(sup_unix_listen(socket_path, &silent, &err), SUP_OK);
    struct sup_client *c = sup_client_open(socket_path);
    sup_client_set_timeout(c, 50);
    assert_int_equal(sup_client_check(c, "a@x.example", &a), -1);
    assert_int_equal(a.verdict, SUP_VERDICT_UNKNOWN);
    assert_non_null(strstr(a.why, "in time"));
    sup_client_close(c);
    sup_unix_remove(socket_path, &silent);
    close(silent.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one),     cmocka_unit_test(test_many),
        cmocka_unit_test(test_restart), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_timeout),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
