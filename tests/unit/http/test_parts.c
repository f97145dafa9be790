/* The server's parts on their own: JSON strings, percent decoding, tokens, sockets, deadlines. */
#include "base/array.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "http/auth.h"
#include "http/json_out.h"
#include "http/listen.h"
#include "http/watch.h"
#include "property.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/supsync-http-XXXXXX";
static char path[64];

static int setup(void **state)
{
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/file", dir);
    return property_setup(state);
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

/* jansson, which others wrote, reads back what was written; broken UTF-8 becomes U+FFFD. */
static void test_json_string(void **state)
{
    struct sup_rng r = property_rng("json string");
    (void)state;
    for (size_t i = 0; i < property_cases(20000); i++) {
        uint8_t bytes[64];
        struct sup_buf b;
        size_t n = sup_rng_below(&r, sizeof(bytes));
        property_bytes(&r, bytes, n);
        for (size_t k = 0; k < n && i % 2 == 0; k++)
            bytes[k] &= 0x7f;
        sup_buf_init(&b, 4096);
        sup_json_string(&b, (const char *)bytes, n);
        assert_true(sup_utf8_valid(b.p, b.n));
        json_t *v = json_loadb((char *)b.p, b.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_true(json_is_string(v));
        if (sup_utf8_valid(bytes, n)) {
            assert_int_equal(json_string_length(v), n);
            assert_memory_equal(json_string_value(v), bytes, n);
        } else {
            assert_non_null(memmem(json_string_value(v), json_string_length(v), "\xef\xbf\xbd", 3));
        }
        json_decref(v);
        sup_buf_fini(&b);
    }
}

static void test_percent(void **state)
{
    static const struct {
        const char *in, *out; /* NULL = refused */
    } cases[] = {{"", ""},         {"abc", "abc"},   {"%41%62", "Ab"}, {"a+b", "a+b"},
                 {"%2f%2F", "//"}, {"%25", "%"},     {"%c3%a9", "é"},  {"%", NULL},
                 {"%4", NULL},     {"a%4", NULL},    {"%4g", NULL},    {"%g4", NULL},
                 {"%00", NULL},    {"a%00b", NULL},  {"%%41", NULL},   {"%-1", NULL},
                 {"% 1", NULL},    {"%2541", "%41"}, {"%7F", "\x7f"}};
    (void)state;
    for (size_t i = 0; i < SUP_COUNT(cases); i++) {
        char s[32];
        size_t n = (size_t)snprintf(s, sizeof(s), "%s", cases[i].in);
        int rc = sup_percent_decode(s, &n);
        if (cases[i].out == NULL) {
            assert_int_equal(rc, SUP_EINPUT);
            continue;
        }
        assert_int_equal(rc, SUP_OK);
        assert_int_equal(n, strlen(cases[i].out));
        assert_memory_equal(s, cases[i].out, n);
    }
}

static void test_parse_target(void **state)
{
    struct sup_err err;
    struct sup_buf b;
    (void)state;
    struct sup_httpd_req *req = sup_httpd_req_new(NULL, false, "/a%2Fb?x=1&y=%20&z&&w=a=b");
    assert_int_equal(sup_httpd_req_parse(req, &err), SUP_OK);
    assert_string_equal(req->path, "/a%2Fb");
    assert_int_equal(req->n_params, 4);
    assert_string_equal(sup_httpd_req_param(req, "x")->value, "1");
    assert_string_equal(sup_httpd_req_param(req, "y")->value, " ");
    assert_string_equal(sup_httpd_req_param(req, "z")->value, "");
    assert_string_equal(sup_httpd_req_param(req, "w")->value, "a=b");
    assert_null(sup_httpd_req_param(req, "v"));
    sup_httpd_req_free(req);
    sup_buf_init(&b, 1000);
    sup_buf_add_str(&b, "/?");
    for (int i = 0; i < 17; i++)
        sup_buf_addf(&b, "p%d=1&", i);
    req = sup_httpd_req_new(NULL, false, sup_buf_str(&b));
    assert_int_equal(sup_httpd_req_parse(req, &err), SUP_EINPUT);
    sup_httpd_req_free(req);
    sup_buf_fini(&b);
}

static void write_file(const char *text, mode_t mode)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void test_tokens(void **state)
{
    struct sup_tokens *t = NULL;
    struct sup_err err;
    char name[64];
    (void)state;
    write_file("# comment\n\n  alice   0123456789abcdef \r\nfedcba9876543210 # nameless\n", 0640);
    assert_int_equal(sup_tokens_load(path, &t, &err), SUP_OK);
    assert_true(sup_tokens_needed(t));
    assert_true(sup_tokens_match(t, "0123456789abcdef", name, sizeof(name)));
    assert_string_equal(name, "alice");
    assert_true(sup_tokens_match(t, "fedcba9876543210", name, sizeof(name)));
    assert_string_equal(name, "token");
    static const char *const wrong[] = {"",      "0123456789abcde",  "0123456789abcdefg",
                                        "alice", "fedcba987654321X", "# comment"};
    for (size_t i = 0; i < SUP_COUNT(wrong); i++)
        assert_false(sup_tokens_match(t, wrong[i], name, sizeof(name)));
    sup_tokens_free(t);
    assert_int_equal(sup_tokens_load("", &t, &err), SUP_OK);
    assert_false(sup_tokens_needed(t));
    assert_false(sup_tokens_match(t, "", name, sizeof(name)));
    sup_tokens_free(t);
}

static void test_bad_tokens(void **state)
{
    static const struct {
        const char *text;
        mode_t mode;
        const char *error;
    } cases[] = {
        {"0123456789abcdef\n", 0644, "everybody may read"},
        {"# only\n", 0600, "holds no token"},
        {"short\n", 0600, ":1: not a token"},
        {"\nalice short\n", 0600, ":2: not a token"},
        {"alice 0123456789abcdef more\n", 0600, ":1: not a token"},
    };
    struct sup_tokens *t;
    struct sup_err err;
    (void)state;
    for (size_t i = 0; i < SUP_COUNT(cases); i++) {
        write_file(cases[i].text, cases[i].mode);
        assert_int_equal(sup_tokens_load(path, &t, &err), SUP_EINPUT);
        assert_null(t);
        assert_non_null(strstr(err.msg, cases[i].error));
        assert_null(strstr(err.msg, "0123456789abcdef"));
    }
    struct sup_buf b;
    sup_buf_init(&b, 4096);
    for (int i = 0; i < 2000; i++)
        sup_buf_add_byte(&b, 'x');
    write_file(sup_buf_str(&b), 0600);
    sup_buf_fini(&b);
    assert_int_equal(sup_tokens_load(path, &t, &err), SUP_EINPUT);
    assert_int_equal(sup_tokens_load("/nonexistent", &t, &err), SUP_EINPUT);
}

static void test_unix_socket(void **state)
{
    struct sup_unix_listener one, two;
    struct sup_err err;
    struct stat st;
    (void)state;
    unlink(path);
    assert_int_equal(sup_unix_listen(path, &one, &err), SUP_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    assert_int_equal(sup_unix_listen(path, &two, &err), SUP_EEXIST); /* live */
    /* A second name keeps the file's number from being given to the next one. */
    char other_name[80];
    snprintf(other_name, sizeof(other_name), "%s/other", dir);
    assert_int_equal(link(path, other_name), 0);
    close(one.fd);
    assert_int_equal(sup_unix_listen(path, &two, &err), SUP_OK); /* stale */
    sup_unix_remove(path, &one);                                 /* not ours any more: stays */
    assert_int_equal(stat(path, &st), 0);
    sup_unix_remove(path, &two);
    assert_int_not_equal(stat(path, &st), 0);
    close(two.fd);
    unlink(other_name);
    write_file("x", 0600);
    assert_int_equal(sup_unix_listen(path, &one, &err), SUP_EEXIST);
    assert_non_null(strstr(err.msg, "is not a socket"));
    assert_int_equal(sup_unix_listen("/nonexistent/a/b.sock", &one, &err), SUP_EIO);
    assert_int_equal(sup_unix_listen("", &one, &err), SUP_EINPUT);
}

static void test_tcp_socket(void **state)
{
    static const struct {
        const char *where;
        bool loopback;
    } good[] = {{"127.0.0.1:0", true}, {"localhost:0", true}, {"0.0.0.0:0", false}};
    static const char *const wrong[] = {
        "",       "127.0.0.1",       ":0",   "127.0.0.1:http", "example.com:0",
        "[::1:0", "127.0.0.1:99999", "[]:0", "127.0.0.1:-1",   "127.0.0.1:"};
    struct sup_err err;
    unsigned port = 0;
    bool loopback;
    int fd, again;
    (void)state;
    for (size_t i = 0; i < SUP_COUNT(good); i++) {
        assert_int_equal(sup_tcp_listen(good[i].where, &fd, &port, &loopback, &err), SUP_OK);
        assert_true(port != 0);
        assert_int_equal(loopback, good[i].loopback);
        if (i == 0) {
            char taken[40];
            snprintf(taken, sizeof(taken), "127.0.0.1:%u", port);
            assert_int_equal(sup_tcp_listen(taken, &again, &port, &loopback, &err), SUP_EEXIST);
        }
        close(fd);
    }
    for (size_t i = 0; i < SUP_COUNT(wrong); i++)
        assert_int_not_equal(sup_tcp_listen(wrong[i], &fd, &port, &loopback, &err), SUP_OK);
}

/* Only the connection whose deadline ran out is shut down. */
static void test_watch(void **state)
{
    int late[2], held[2], removed[2];
    (void)state;
    struct sup_watch *w = sup_watch_new();
    assert_non_null(w);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, late), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, held), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, removed), 0);
    struct sup_watched *b = sup_watch_add(w, held[0], 1);
    struct sup_watched *c = sup_watch_add(w, removed[0], 1);
    sup_watched_hold(b);
    sup_watched_remove(c);
    struct sup_watched *a = sup_watch_add(w, late[0], 60000);
    sup_watched_expect(a, 1);
    struct pollfd p[] = {{late[1], POLLIN, 0}, {held[1], POLLIN, 0}, {removed[1], POLLIN, 0}};
    assert_int_equal(poll(&p[0], 1, 30000), 1);
    assert_int_equal(poll(&p[1], 2, 0), 0);
    sup_watched_remove(a);
    sup_watch_free(w); /* with b still in it */
    for (int i = 0; i < 2; i++) {
        close(late[i]);
        close(held[i]);
        close(removed[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_string),  cmocka_unit_test(test_percent),
        cmocka_unit_test(test_parse_target), cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_bad_tokens),   cmocka_unit_test(test_unix_socket),
        cmocka_unit_test(test_tcp_socket),   cmocka_unit_test(test_watch),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
