/* The HTTP server over real sockets, against a fake service: routes, malformed requests, limits,
 * streams, slow and vanishing clients. */
#include "base/array.h"
#include "base/clock.h"
#include "fake_service.h"
#include "http/server.h"
#include "property.h"
#include "raw_http.h"

#include <jansson.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/supsync-http-XXXXXX";
static char socket_path[64];
static struct sup_options options = {.admin = {.socket = socket_path,
                                               .listen = "127.0.0.1:0",
                                               .tls_cert = "",
                                               .tls_key = "",
                                               .tokens_file = ""}};
static struct sup_httpd *server;
static struct sup_service *service;
static struct fake_service *fake;

static int start(void **state)
{
    struct sup_err err;
    (void)state;
    service = fake_service_new(&fake);
    if (sup_httpd_start(&options, &server, &err) != SUP_OK) {
        print_error("%s\n", err.msg);
        return -1;
    }
    sup_httpd_attach(server, service);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    if (server != NULL) {
        sup_httpd_stop(server);
        sup_httpd_free(server);
        server = NULL;
    }
    fake_service_free(service);
    return access(socket_path, F_OK) == 0 ? -1 : 0; /* the file is gone with the server */
}

static int setup(void **state)
{
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(socket_path, sizeof(socket_path), "%s/admin.sock", dir);
    return property_setup(state);
}

static int teardown(void **state)
{
    (void)state;
    return rmdir(dir);
}

/* Between two looks at a condition with a deadline. */
static void poll_briefly(void)
{
    poll(NULL, 0, 2);
}

static void exchange(const void *request, size_t n, struct raw_answer *a)
{
    struct sup_buf rest;
    int fd = raw_connect_unix(socket_path);
    sup_buf_init(&rest, 64 * 1024 * 1024);
    raw_send(fd, request, n);
    raw_read(fd, &rest, a);
    sup_buf_fini(&rest);
    close(fd);
}

static void ask(const char *method, const char *target, const char *headers, const char *body,
                struct raw_answer *a)
{
    struct sup_buf b;
    sup_buf_init(&b, 8 * 1024 * 1024);
    sup_buf_addf(&b, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s", method, target, headers);
    if (body != NULL)
        sup_buf_addf(&b, "Content-Length: %zu\r\n", strlen(body));
    sup_buf_add_str(&b, "\r\n");
    if (body != NULL)
        sup_buf_add_str(&b, body);
    assert_false(b.failed);
    exchange(b.p, b.n, a);
    sup_buf_fini(&b);
}

#define JSON "Content-Type: application/json\r\n"

static const struct {
    const char *method, *target, *headers, *body;
    int status;
    const char *holds;
} cases[] = {
    {"GET", "/healthz", "", NULL, 200, "{\"status\":\"alive\"}"},
    {"GET", "/readyz", "", NULL, 200, "{\"ready\":true,\"reasons\":[]}"},
    {"GET", "/metrics", "", NULL, 200, "# TYPE supsync_http_answers_total counter"},
    {"GET", "/v1/status", "", NULL, 200, "\"node\":\"eu-west-1/b\""},
    {"GET", "/v1/status", "", NULL, 200, "\"unacked_mutations\":7"},
    {"GET", "/v1/status", "", NULL, 200, "\"members\":\"older\""},
    {"GET", "/v1/status", "", NULL, 200, "{\"reason\":\"name\",\"by_us\":3,\"by_peers\":0}"},
    {"GET", "/v1/status", "", NULL, 200, "\"decommissioned\":[{\"name\":\"gone-1\""},
    {"POST", "/v1/decommission", JSON, "{\"node\":\"ap-south-1\",\"note\":\"n\"}", 200,
     "\"member\":false"},
    {"POST", "/v1/decommission", JSON, "{\"node\":\"ap-south-1\",\"undo\":true}", 200,
     "\"member\":true"},
    {"POST", "/v1/decommission", JSON, "{\"node\":\"nobody\"}", 404, "never a peer"},
    {"POST", "/v1/decommission", JSON, "{\"note\":\"n\"}", 400, "\\\"node\\\" is missing"},
    {"POST", "/v1/decommission", JSON, "{\"node\":\"x\",\"force\":1}", 400,
     "\\\"force\\\" is not true or false"},
    {"GET", "/v1/decommission", "", NULL, 405, "does not know that method"},
    {"GET", "/v1/status?x=1", "", NULL, 400, "unknown query parameter: this route takes none"},
    {"GET", "/v1/status", "", NULL, 200, "\"coverage\":{\"state\":\"none\",\"checked\":null"},
    {"GET", "/v1/coverage", "", NULL, 200, "\"state\":\"gaps\""},
    {"GET", "/v1/coverage", "", NULL, 200, "\"gaps\":[\"a gap\"],\"unknown\":[],\"notes\":[]"},
    {"GET", "/v1/coverage", "", NULL, 200, "\"suppressed_reasons\":[\"BOUNCE\"]}"},
    {"GET", "/v1/coverage", "", NULL, 200, "\"tenants\":null"},
    {"GET", "/v1/coverage", "", NULL, 200,
     "{\"name\":\"odd\",\"overrides\":true,\"own_reasons\":null,\"suppressed_reasons\":null,"
     "\"scope\":\"TENANT\",\"covered\":false}"},
    {"GET", "/v1/coverage", "", NULL, 200,
     "{\"name\":\"unread\",\"overrides\":null,\"own_reasons\":null,\"suppressed_reasons\":null,"
     "\"scope\":null,\"covered\":null}"},
    {"GET", "/v1/coverage", "", NULL, 200,
     "\"changes\":[{\"time\":\"1970-01-01T00:00:00.007Z\",\"before\":[\"COMPLAINT\"],"
     "\"after\":[\"BOUNCE\",\"COMPLAINT\"],\"text\":\"why\"}]"},
    {"GET", "/v1/coverage?cached=true", "", NULL, 503, "the fake has none"},
    {"GET", "/v1/coverage?all", "", NULL, 400, "unknown query parameter"},
    {"GET", "/v1/regions", "", NULL, 200, "\"unknown\":1,"},
    {"GET", "/v1/regions?all", "", NULL, 400, "unknown query parameter"},
    {"GET", "/", "", NULL, 404, "no such route"},
    {"GET", "/v1", "", NULL, 404, "no such route"},
    {"GET", "/v1/addresses/", "", NULL, 404, "no such route"},
    {"GET", "/v1/nothing", "", NULL, 404, "no such route"},
    {"GET", "/v1/plans/known", "", NULL, 200,
     "{\"supsync_plan\":1,\"id\":\"known\",\"node\":\"fake\",\"region\":\"eu-west-1\","},
    {"GET", "/v1/plans/known", "", NULL, 200, "\"address\":\"\\\"c d\\\"@example.com\""},
    {"GET", "/v1/plans/known", "", NULL, 200, "}\n{\"checksum\":\""},
    {"GET", "/v1/plans/other", "", NULL, 404, "no report other"},
    {"GET", "/v1/plans/known?x=1", "", NULL, 400, "unknown query parameter"},
    {"POST", "/v1/reconcile", JSON, "{\"plan\":\"known\"}", 400, "two strings"},
    {"POST", "/v1/reconcile", JSON, "{\"plan\":1,\"checksum\":\"0\"}", 400, "two strings"},
    {"POST", "/v1/reconcile", JSON, "{\"plan\":\"known\",\"checksum\":\"0\",\"dry_run\":false}",
     400, "alone"},
    {"POST", "/v1/reconcile", JSON, "{\"plan\":\"known\",\"checksum\":\"0000000000000000\"}", 400,
     "not the plan known of this agent"},
    {"POST", "/v1/reconcile", JSON, "{\"plan\":\"other\",\"checksum\":\"0\"}", 404,
     "no report other"},
    {"GET", "/%2e%2e/etc/passwd", "", NULL, 404, "no such route"},
    {"POST", "/healthz", "", "", 405, "does not know that method"},
    {"PATCH", "/v1/check", "", NULL, 405, "does not know that method"},
    {"DELETE", "/v1/check", "", NULL, 405, "does not know that method"},
    {"BREW", "/v1/status", "", NULL, 405, "does not know that method"},
    {"GET", "/v1/check", "", NULL, 400, "give ?address="},
    {"GET", "/v1/check?adress=a@b.example", "", NULL, 400, "use one of address"},
    {"GET", "/v1/check?address=a@b.example&address=c@d.example", "", NULL, 400, "given twice"},
    {"GET", "/v1/check?address=", "", NULL, 400, "application/problem+json"},
    {"GET", "/v1/check?address=a@b.example", "", NULL, 200,
     "{\"address\":\"a@b.example\",\"verdict\":\"allow\",\"reason\":null,\"cause\":null,\"since\":"
     "null,\"regions\":[{\"region\":\"eu-west-1\",\"age_seconds\":0.000},{\"region\":\"us-east-1\","
     "\"age_seconds\":null}]}"},
    {"GET", "/v1/check?address=block%40b.example", "", NULL, 200,
     "\"verdict\":\"block\",\"reason\":\"BOUNCE\",\"cause\":\"event\",\"since\":\"2025-11-24T16:00:"
     "00.123Z\""},
    {"GET", "/v1/check?address=complaint%2Bx@b.example", "", NULL, 200, "\"COMPLAINT\""},
    {"GET", "/v1/check?address=block+tag@b.example", "", NULL, 200, "block+tag@b.example"},
    {"GET", "/v1/check?address=unknown@b.example", "", NULL, 503,
     "\"verdict\":\"unknown\",\"reason\":null,\"cause\":null,\"since\":null"},
    {"GET", "/v1/check?address=unknown@b.example", "", NULL, 503, "\"why\":\"joining\""},
    {"GET", "/v1/check?address=io@b.example", "", NULL, 503,
     "\"why\":\"the store cannot be read\""},
    {"GET", "/v1/check?address=no-address", "", NULL, 400, "\"code\":\"bad-input\""},
    {"GET", "/v1/check?address=a%40b.example%00", "", NULL, 400, "bad percent encoding"},
    {"GET", "/v1/check?address=%zz", "", NULL, 400, "bad percent encoding"},
    {"GET", "/v1/check?address=a%4", "", NULL, 400, "bad percent encoding"},
    {"GET", "/v1/check?=a", "", NULL, 400, "has no name"},
    {"GET", "/v1/check?address=%ff%fe@b.example", "", NULL, 400, "\"code\":\"bad-input\""},
    {"GET", "/v1/check?&&address=k%C3%A4the@b.example&", "", NULL, 200, "k\xc3\xa4the@b.example"},
    {"HEAD", "/v1/status", "Connection: close\r\n", NULL, 200, "application/json"},
    {"POST", "/v1/check", JSON, "{\"addresses\":[]}", 200, "{\"results\":[]}"},
    {"POST", "/v1/check", JSON, "{\"addresses\":[\"block@x.example\",\"no\",\"a@x.example\"]}", 200,
     "\"verdict\":\"block\""},
    {"POST", "/v1/check", JSON, "{\"addresses\":[\"a@x.example\",\"io@x.example\"]}", 503,
     "\"verdict\":\"allow\""},
    {"POST", "/v1/check", JSON, "{\"addresses\":[\"no\"]}", 200, "\"verdict\":\"unknown\""},
    {"POST", "/v1/check?x=1", JSON, "{\"addresses\":[]}", 400, "takes none"},
    {"POST", "/v1/check", "", "{\"addresses\":[]}", 415, "Content-Type: application/json"},
    {"POST", "/v1/check", "Content-Type: text/plain\r\n", "{\"addresses\":[]}", 415, "JSON"},
    {"POST", "/v1/check", "Content-Type: application/jsonp\r\n", "{}", 415, "JSON"},
    {"POST", "/v1/check", "Content-Type: application/json; charset=utf-8\r\n", "{\"addresses\":[]}",
     200, "results"},
    {"POST", "/v1/check", JSON, "", 400, "not a JSON object"},
    {"POST", "/v1/check", JSON, "[]", 400, "not a JSON object"},
    {"POST", "/v1/check", JSON, "{", 400, "not a JSON object"},
    {"POST", "/v1/check", JSON, "{}", 400, "is not a list of strings"},
    {"POST", "/v1/check", JSON, "{\"addresses\":[1]}", 400, "is not a list of strings"},
    {"POST", "/v1/check", JSON, "{\"addresses\":\"a@b.example\"}", 400, "not a list of strings"},
    {"POST", "/v1/check", JSON, "{\"addresses\":[],\"addresses\":[]}", 400, "not a JSON object"},
    {"POST", "/v1/check", JSON, "{\"addresses\":[],\"x\":1}", 400, "use one of addresses"},
    {"POST", "/v1/check", JSON, "{\"addresses\":[\"\xff\xfe\"]}", 400, "not a JSON object"},
    {"POST", "/v1/check", JSON, "{\"addresses\":[\"\\u0000\"]}", 400, "not a JSON object"},
    {"POST", "/v1/check", JSON, "{\"addresses\":[\"\\ud800\"]}", 400, "not a JSON object"},
    {"GET", "/v1/addresses/none@x.example", "", NULL, 404, "nothing is known of none@x.example"},
    {"GET", "/v1/addresses/io@x.example", "", NULL, 503, "the store cannot be read"},
    {"GET", "/v1/addresses/nonsense", "", NULL, 400, "\"code\":\"bad-input\""},
    {"GET", "/v1/addresses/a%00@x.example", "", NULL, 400, "bad percent encoding in the path"},
    {"GET", "/v1/addresses/block%2Fa@x.example", "", NULL, 200, "block/a@x.example"},
    {"GET", "/v1/addresses/block@x.example", "", NULL, 200, "caf\xef\xbf\xbd (Latin-1)"},
    {"GET", "/v1/addresses/block@x.example?x=1", "", NULL, 400, "takes none"},
    {"PUT", "/v1/addresses/a@x.example", JSON, "{\"reason\":\"bounce\"}", 400, "note"},
    {"PUT", "/v1/addresses/a@x.example", JSON, "{\"reason\":\"bounce\",\"note\":1}", 400,
     "is not a string"},
    {"PUT", "/v1/addresses/a@x.example", JSON, "{\"note\":\"n\"}", 400, "use bounce, complaint"},
    {"PUT", "/v1/addresses/a@x.example", JSON, "{\"note\":\"n\",\"reason\":\"x\"}", 400,
     "use bounce"},
    {"PUT", "/v1/addresses/a@x.example", JSON,
     "{\"note\":\"n\",\"reason\":\"manual\",\"expires\":\"soon\"}", 400, "not a duration"},
    {"PUT", "/v1/addresses/a@x.example", JSON,
     "{\"note\":\"n\",\"reason\":\"manual\",\"expires\":\"0s\"}", 400, "not a duration"},
    {"PUT", "/v1/addresses/a@x.example", "", "{\"note\":\"n\",\"reason\":\"manual\"}", 415, "JSON"},
    {"PUT", "/v1/addresses/io@x.example", JSON, "{\"note\":\"n\",\"reason\":\"manual\"}", 503,
     "the disk is full"},
    {"PUT", "/v1/addresses/nonsense", JSON, "{\"note\":\"n\",\"reason\":\"manual\"}", 400,
     "bad-input"},
    {"DELETE", "/v1/addresses/complaint@x.example", JSON, "{\"note\":\"n\"}", 409, "complained"},
    {"DELETE", "/v1/addresses/complaint@x.example", JSON, "{\"note\":\"n\",\"force\":true}", 200,
     "{\"address\":\"complaint@x.example\",\"result\":\"cleared\"}"},
    {"DELETE", "/v1/addresses/a@x.example", JSON, "{\"note\":\"n\",\"force\":\"yes\"}", 400,
     "force"},
    {"DELETE", "/v1/addresses/none@x.example", JSON, "{\"note\":\"n\"}", 404, "nothing is known"},
    {"DELETE", "/v1/addresses/a@x.example", "", NULL, 415, "JSON"},
    {"GET", "/v1/addresses?state=odd", "", NULL, 400, "use suppressed or cleared"},
    {"GET", "/v1/addresses?reason=manual", "", NULL, 400, "use bounce or complaint"},
    {"GET", "/v1/addresses?since=soon", "", NULL, 400, "RFC 3339"},
    {"GET", "/v1/addresses?limit=0", "", NULL, 400, "a number from 1"},
    {"GET", "/v1/addresses?limit=-1", "", NULL, 400, "a number from 1"},
    {"GET", "/v1/addresses?limit=9999999999999999999", "", NULL, 400, "a number from 1"},
    {"GET", "/v1/addresses?domian=x", "", NULL, 400, "use one of domain, reason"},
    {"GET", "/v1/addresses", "", NULL, 200, "{\"addresses\":[],\"next\":null}"},
};

static bool holds(struct raw_answer *a, const char *text)
{
    return strstr(sup_buf_str(&a->head), text) != NULL ||
           strstr(sup_buf_str(&a->body), text) != NULL;
}

/* Every error is an RFC 9457 problem whose status agrees. */
static void check_problem(struct raw_answer *a)
{
    json_t *v = json_loadb((char *)a->body.p, a->body.n, 0, NULL);
    assert_non_null(v);
    assert_true(holds(a, "Content-Type: application/problem+json"));
    assert_int_equal(json_integer_value(json_object_get(v, "status")), a->status);
    assert_true(json_is_string(json_object_get(v, "title")));
    assert_true(json_is_string(json_object_get(v, "detail")));
    assert_string_equal(json_string_value(json_object_get(v, "type")), "about:blank");
    json_decref(v);
}

static void test_routes(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUP_COUNT(cases); i++) {
        struct raw_answer a;
        ask(cases[i].method, cases[i].target, cases[i].headers, cases[i].body, &a);
        if (a.status != cases[i].status || !holds(&a, cases[i].holds))
            fail_msg("%s %s %s: wanted %d with %s, got %d:\n%s%s", cases[i].method, cases[i].target,
                     cases[i].body ? cases[i].body : "", cases[i].status, cases[i].holds, a.status,
                     sup_buf_str(&a.head), sup_buf_str(&a.body));
        bool verdict = strstr(sup_buf_str(&a.body), "\"verdict\":") != NULL;
        if (a.status >= 400 && !verdict)
            check_problem(&a);
        raw_answer_fini(&a);
    }
    print_message("%zu requests\n", SUP_COUNT(cases));
}

static void test_allow_header(void **state)
{
    static const struct {
        const char *target, *allow;
    } expect[] = {{"/v1/check", "Allow: GET, HEAD, POST\r\n"},
                  {"/v1/addresses/a@x.example", "Allow: GET, HEAD, PUT, DELETE\r\n"},
                  {"/v1/addresses", "Allow: GET, HEAD\r\n"},
                  {"/metrics", "Allow: GET, HEAD\r\n"}};
    (void)state;
    for (size_t i = 0; i < SUP_COUNT(expect); i++) {
        struct raw_answer a;
        ask("OPTIONS", expect[i].target, "", NULL, &a);
        assert_int_equal(a.status, 405);
        assert_true(holds(&a, expect[i].allow));
        raw_answer_fini(&a);
    }
}

static void test_rulings(void **state)
{
    struct raw_answer a;
    (void)state;
    ask("PUT", "/v1/addresses/Some.One%2Btag@X.example", JSON,
        "{\"reason\":\"Complaint\",\"note\":\"wrote to "
        "us\",\"actor\":\"alice\",\"expires\":\"30d\"}",
        &a);
    assert_int_equal(a.status, 200);
    assert_true(holds(&a, "{\"address\":\"some.one+tag@x.example\",\"result\":\"suppressed\"}"));
    assert_string_equal(fake->address, "Some.One+tag@x.example");
    assert_string_equal(fake->actor, "alice");
    assert_string_equal(fake->note, "wrote to us");
    assert_int_equal(fake->cls, SUP_CLASS_COMPLAINT);
    assert_int_equal(fake->expires_in_ms, 30LL * 86400 * 1000);
    raw_answer_fini(&a);
    ask("DELETE", "/v1/addresses/a@x.example", JSON, "{\"note\":\"fine\",\"actor\":null}", &a);
    assert_int_equal(a.status, 200);
    assert_string_equal(fake->actor, "");
    assert_false(fake->force);
    assert_int_equal(fake->suppressed, 1);
    assert_int_equal(fake->cleared, 1);
    raw_answer_fini(&a);
}

static void test_filter(void **state)
{
    struct raw_answer a;
    (void)state;
    fake->rows = 20;
    ask("GET",
        "/v1/addresses?domain=X.example&reason=bounce&state=cleared&since=2026-01-01T00:00:00Z&"
        "until=2026-02-01T00:00:00%2B00:00&region=eu-west-1&cursor=a0000004@x.example&limit=5",
        "", NULL, &a);
    assert_int_equal(a.status, 200);
    assert_string_equal(fake->domain, "X.example");
    assert_string_equal(fake->region, "eu-west-1");
    assert_string_equal(fake->after, "a0000004@x.example");
    assert_int_equal(fake->filter.reason, SUP_REASON_BOUNCE);
    assert_int_equal(fake->filter.state, SUP_CLEARED);
    assert_int_equal(fake->filter.since_ms, 1767225600000);
    assert_int_equal(fake->filter.until_ms, 1769904000000);
    assert_int_equal(fake->filter.limit, 5);
    assert_true(holds(&a, "\"next\":\"a0000009@x.example\""));
    json_t *v = json_loadb((char *)a.body.p, a.body.n, 0, NULL);
    assert_int_equal(json_array_size(json_object_get(v, "addresses")), 5);
    json_decref(v);
    raw_answer_fini(&a);
}

static void test_page_limits(void **state)
{
    static const struct {
        const char *target;
        size_t rows;
    } expect[] = {{"/v1/addresses", 1000}, {"/v1/addresses?limit=1000000", 10000}};
    (void)state;
    fake->rows = 10500;
    for (size_t i = 0; i < SUP_COUNT(expect); i++) {
        struct raw_answer a;
        ask("GET", expect[i].target, "", NULL, &a);
        json_t *v = json_loadb((char *)a.body.p, a.body.n, 0, NULL);
        assert_int_equal(json_array_size(json_object_get(v, "addresses")), expect[i].rows);
        json_decref(v);
        raw_answer_fini(&a);
    }
}

static void test_readiness(void **state)
{
    struct raw_answer a;
    (void)state;
    fake->ready = false;
    ask("GET", "/readyz", "", NULL, &a);
    assert_int_equal(a.status, 503);
    assert_true(holds(&a, "{\"ready\":false,\"reasons\":[\"the sky falls\"]}"));
    raw_answer_fini(&a);
}

static void test_without_service(void **state)
{
    static const struct {
        const char *target;
        int status;
        const char *holds;
    } expect[] = {
        {"/healthz", 200, "alive"},
        {"/metrics", 200, "# TYPE"},
        {"/readyz", 503, "starting or stopping"},
        {"/v1/check?address=a@x.example", 503, "\"verdict\":\"unknown\""},
        {"/v1/status", 503, "Retry-After: 1"},
        {"/v1/addresses", 503, "starting or stopping"},
        {"/v1/addresses/a@x.example", 503, "starting or stopping"},
    };
    (void)state;
    sup_httpd_attach(server, NULL);
    for (size_t i = 0; i < SUP_COUNT(expect); i++) {
        struct raw_answer a;
        ask("GET", expect[i].target, "", NULL, &a);
        assert_int_equal(a.status, expect[i].status);
        assert_true(holds(&a, expect[i].holds));
        raw_answer_fini(&a);
    }
}

/* --- what no library would send --- */

static void expect_alive(void)
{
    struct raw_answer a;
    ask("GET", "/healthz", "", NULL, &a);
    assert_int_equal(a.status, 200);
    raw_answer_fini(&a);
}

static void test_malformed(void **state)
{
#define RAW(s)                                                                                     \
    {                                                                                              \
        s, sizeof(s) - 1                                                                           \
    }
    static const struct {
        const char *p;
        size_t n;
    } raw[] = {
        RAW("\r\n\r\n\r\n\r\n"),
        RAW("nonsense\r\n\r\n"),
        RAW("GET\r\n\r\n"),
        RAW("GET /healthz\r\n\r\n"),
        RAW("GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n"),
        RAW("GET /v1/status HTTP/1.1\r\n\r\n"), /* no Host */
        RAW("GET healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
        RAW("GET http://x/healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
        RAW("GET * HTTP/1.1\r\nHost: x\r\n\r\n"),
        RAW("GET /v1/check?address=a\0b@x.example HTTP/1.1\r\nHost: x\r\n\r\n"),
        RAW("GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n"),
        RAW("GET / HTTP/1.1\r\nHo\0st: x\r\n\r\n"),
        RAW("GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n"),
        RAW("GET / HTTP/1.1\r\nHost x\r\n\r\n"),
        RAW("GET / HTTP/1.1\r\n: x\r\n\r\n"),
        RAW("POST /v1/check HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"),
        RAW("POST /v1/check HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n\r\n1"),
        RAW("POST /v1/check HTTP/1.1\r\nHost: x\r\nContent-Length: "
            "99999999999999999999999999\r\n\r\n"),
        RAW("POST /v1/check HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        RAW("POST /v1/check HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
            "chunked\r\n\r\nffffffffffffffffff\r\n"),
        RAW("POST /v1/check HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n"),
        RAW("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 TLS to a plain port\r\n\r\n"),
    };
#undef RAW
    (void)state;
    for (size_t i = 0; i < SUP_COUNT(raw); i++) {
        struct sup_buf rest;
        struct raw_answer a;
        int fd = raw_connect_unix(socket_path);
        sup_buf_init(&rest, 1024 * 1024);
        raw_send(fd, raw[i].p, raw[i].n);
        /* Some leave the server waiting for more: then there is no answer, which is fine. */
        struct pollfd answered = {.fd = fd, .events = POLLIN};
        if (poll(&answered, 1, 100) > 0) {
            raw_read(fd, &rest, &a);
            if (a.status >= 200 && a.status < 300)
                fail_msg("case %zu was answered with %d", i, a.status);
            raw_answer_fini(&a);
        }
        sup_buf_fini(&rest);
        close(fd);
        expect_alive();
    }
    print_message("%zu malformed requests\n", SUP_COUNT(raw));
}

/* A good request with random damage: some answer or none, and the server goes on. */
static void test_damaged(void **state)
{
    static const char good[] =
        "POST /v1/check HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        "Content-Length: 47\r\nConnection: close\r\n\r\n"
        "{\"addresses\":[\"a@x.example\",\"block@y.example\"]}\n"
        "GET /v1/check?address=b%40x.example HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct sup_rng r = property_rng("http damage");
    (void)state;
    for (size_t i = 0; i < property_cases(400); i++) {
        uint8_t bytes[sizeof(good)];
        int fd = raw_connect_unix(socket_path);
        memcpy(bytes, good, sizeof(good));
        property_mutate(&r, bytes, sizeof(good) - 1);
        raw_send(fd, bytes, sup_rng_below(&r, sizeof(good)));
        shutdown(fd, SHUT_WR);
        /* A request that was cut off has no answer: the server waits for more until its deadline.
         */
        struct pollfd answered = {.fd = fd, .events = POLLIN};
        (void)poll(&answered, 1, 20);
        close(fd);
        if (i % 50 == 0)
            expect_alive();
    }
    expect_alive();
}

static void test_huge_head(void **state)
{
    struct sup_buf b;
    struct raw_answer a;
    (void)state;
    sup_buf_init(&b, 8 * 1024 * 1024);
    sup_buf_add_str(&b, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Big: ");
    for (size_t i = 0; i < 1024 * 1024; i++)
        sup_buf_add_byte(&b, 'x');
    sup_buf_add_str(&b, "\r\n\r\n");
    exchange(b.p, b.n, &a);
    assert_true(a.status == 0 || a.status >= 400);
    raw_answer_fini(&a);
    sup_buf_reset(&b);
    sup_buf_add_str(&b, "GET /v1/check?address=");
    for (size_t i = 0; i < 1024 * 1024; i++)
        sup_buf_add_byte(&b, 'x');
    sup_buf_add_str(&b, " HTTP/1.1\r\nHost: x\r\n\r\n");
    exchange(b.p, b.n, &a);
    assert_true(a.status == 0 || a.status >= 400);
    raw_answer_fini(&a);
    /* An address of 10 kB is merely malformed. */
    sup_buf_reset(&b);
    sup_buf_add_str(&b, "GET /v1/check?address=");
    for (size_t i = 0; i < 10 * 1024; i++)
        sup_buf_add_byte(&b, 'x');
    sup_buf_add_str(&b, "@x.example HTTP/1.1\r\nHost: x\r\n\r\n");
    exchange(b.p, b.n, &a);
    assert_int_equal(a.status, 400);
    raw_answer_fini(&a);
    sup_buf_fini(&b);
    expect_alive();
}

static void test_body_limits(void **state)
{
    struct raw_answer a;
    struct sup_buf b;
    (void)state;
    static const char head[] =
        "POST /v1/check HTTP/1.1\r\nHost: x\r\n" JSON "Content-Length: 1048577\r\n\r\n";
    exchange(head, sizeof(head) - 1, &a); /* refused before the body is sent */
    assert_int_equal(a.status, 413);
    raw_answer_fini(&a);

    sup_buf_init(&b, 8 * 1024 * 1024);
    sup_buf_add_str(&b, "{\"addresses\":[\"a@x.example\"]");
    while (b.n < 1024 * 1024 - 1)
        sup_buf_add_byte(&b, ' ');
    sup_buf_add_byte(&b, '}');
    ask("POST", "/v1/check", JSON, sup_buf_str(&b), &a); /* exactly the maximum */
    assert_int_equal(a.status, 200);
    raw_answer_fini(&a);

    sup_buf_reset(&b);
    sup_buf_add_str(&b, "POST /v1/check HTTP/1.1\r\nHost: x\r\n" JSON
                        "Transfer-Encoding: chunked\r\n\r\n");
    for (size_t i = 0; i < 20; i++) {
        sup_buf_add_str(&b, "10000\r\n");
        for (size_t k = 0; k < 0x10000; k++)
            sup_buf_add_byte(&b, ' ');
        sup_buf_add_str(&b, "\r\n");
    }
    sup_buf_add_str(&b, "0\r\n\r\n");
    exchange(b.p, b.n, &a); /* no Content-Length warned of it */
    assert_int_equal(a.status, 413);
    raw_answer_fini(&a);
    sup_buf_fini(&b);

    /* One that never ends is cut off. */
    int fd = raw_connect_unix(socket_path);
    struct timeval limit = {.tv_sec = 30};
    char chunk[0x8000 + 8] = "8000\r\n";
    memset(chunk + 6, ' ', 0x8000);
    memcpy(chunk + 6 + 0x8000, "\r\n", 2);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    raw_send_str(fd, "POST /v1/check HTTP/1.1\r\nHost: x\r\n" JSON
                     "Transfer-Encoding: chunked\r\n\r\n");
    size_t sent = 0;
    while (sent < 64 * 1024 * 1024 && send(fd, chunk, sizeof(chunk), MSG_NOSIGNAL) > 0)
        sent += sizeof(chunk);
    assert_true(sent < 64 * 1024 * 1024);
    close(fd);
    expect_alive();
}

static void test_chunked_body(void **state)
{
    static const char request[] =
        "POST /v1/check HTTP/1.1\r\nHost: x\r\n" JSON "Transfer-Encoding: chunked\r\n\r\n"
        "5\r\n{\"add\r\n1\r\nr\r\na\r\nesses\":[\"b\r\n11\r\nlock@x.example\"]}\r\n0\r\n\r\n";
    struct raw_answer a;
    (void)state;
    exchange(request, sizeof(request) - 1, &a);
    assert_int_equal(a.status, 200);
    assert_true(holds(&a, "\"verdict\":\"block\""));
    raw_answer_fini(&a);
}

static void test_batch(void **state)
{
    (void)state;
    for (size_t n = 10000; n <= 10001; n++) {
        struct raw_answer a;
        struct sup_buf b;
        sup_buf_init(&b, 1024 * 1024);
        sup_buf_add_str(&b, "{\"addresses\":[");
        for (size_t i = 0; i < n; i++)
            sup_buf_addf(&b, "%s\"%s%zu@x.example\"", i > 0 ? "," : "", i % 3 ? "a" : "block", i);
        sup_buf_add_str(&b, "]}");
        ask("POST", "/v1/check", JSON, sup_buf_str(&b), &a);
        assert_int_equal(a.status, n == 10000 ? 200 : 413);
        json_t *v = json_loadb((char *)a.body.p, a.body.n, 0, NULL);
        const json_t *results = json_object_get(v, "results");
        assert_int_equal(json_array_size(results), n == 10000 ? n : 0);
        for (size_t i = 0; i < json_array_size(results); i++) {
            const json_t *each = json_array_get(results, i);
            assert_string_equal(json_string_value(json_object_get(each, "verdict")),
                                i % 3 ? "allow" : "block");
        }
        json_decref(v);
        raw_answer_fini(&a);
        sup_buf_fini(&b);
    }
}

static void test_pipeline(void **state)
{
    enum { N = 500 };
    struct sup_buf b, rest;
    (void)state;
    int fd = raw_connect_unix(socket_path);
    sup_buf_init(&b, 1024 * 1024);
    sup_buf_init(&rest, 1024 * 1024);
    for (size_t i = 0; i < N; i++)
        sup_buf_addf(&b, "GET /v1/check?address=%s%zu@x.example HTTP/1.1\r\nHost: x\r\n\r\n",
                     i % 2 ? "block" : "a", i);
    raw_send(fd, b.p, b.n);
    for (size_t i = 0; i < N; i++) {
        struct raw_answer a;
        char name[40];
        raw_read(fd, &rest, &a);
        snprintf(name, sizeof(name), "%s%zu@x.example\",\"verdict\":\"%s\"", i % 2 ? "block" : "a",
                 i, i % 2 ? "block" : "allow");
        assert_int_equal(a.status, 200);
        assert_true(holds(&a, name));
        raw_answer_fini(&a);
    }
    sup_buf_fini(&b);
    sup_buf_fini(&rest);
    close(fd);
}

/* Requests that come byte by byte, and clients that leave in the middle of one. */
static void test_slow_and_gone(void **state)
{
    static const char request[] = "POST /v1/check HTTP/1.1\r\nHost: x\r\n" JSON
                                  "Content-Length: 31\r\n\r\n{\"addresses\":[\"block@x.example\"]}";
    struct raw_answer a;
    struct sup_buf rest;
    (void)state;
    int fd = raw_connect_unix(socket_path);
    sup_buf_init(&rest, 65536);
    for (size_t i = 0; i + 1 < sizeof(request); i++)
        raw_send(fd, request + i, 1);
    raw_read(fd, &rest, &a);
    assert_true(a.status == 200 || a.status == 400);
    raw_answer_fini(&a);
    sup_buf_fini(&rest);
    close(fd);
    for (size_t n = 0; n < sizeof(request); n++) {
        fd = raw_connect_unix(socket_path);
        raw_send(fd, request, n);
        close(fd);
    }
    int idle[200];
    for (size_t i = 0; i < SUP_COUNT(idle); i++) {
        idle[i] = raw_connect_unix(socket_path);
        raw_send_str(idle[i], i % 2 ? "GET /v1/che" : "");
    }
    expect_alive();
    for (size_t i = 0; i < SUP_COUNT(idle); i++)
        close(idle[i]);
    expect_alive();
}

/* --- streams --- */

#define NDJSON "Accept: application/x-ndjson\r\n"

static void test_stream(void **state)
{
    struct raw_answer a;
    (void)state;
    fake->rows = 50000;
    ask("GET", "/v1/addresses?domain=x.example", NDJSON, NULL, &a);
    assert_int_equal(a.status, 200);
    assert_false(a.cut);
    assert_true(holds(&a, "Content-Type: application/x-ndjson"));
    size_t rows = 0;
    /* By length: ASan's strict_string_checks reads each string to its end. */
    const char *at = sup_buf_str(&a.body), *past = at + a.body.n;
    for (const char *end; (end = memchr(at, '\n', (size_t)(past - at))) != NULL; at = end + 1) {
        char name[40];
        int n = snprintf(name, sizeof(name), "{\"address\":\"a%07zu@x.example\"", rows++);
        assert_true(end - at > n);
        assert_memory_equal(at, name, (size_t)n);
    }
    assert_ptr_equal(at, past);
    assert_int_equal(rows, fake->rows);
    assert_string_equal(fake->domain, "x.example");
    raw_answer_fini(&a);
}

static void test_stream_that_fails(void **state)
{
    struct raw_answer a;
    (void)state;
    fake->rows = 5000;
    fake->fail_after = 2000;
    ask("GET", "/v1/addresses", NDJSON, NULL, &a);
    assert_true(a.cut); /* not to be taken for the whole */
    raw_answer_fini(&a);
    ask("GET", "/v1/addresses?limit=3000", "", NULL, &a);
    assert_int_equal(a.status, 503);
    assert_true(holds(&a, "the disk is gone"));
    raw_answer_fini(&a);
}

static void wait_until_idle(void)
{
    int64_t end = sup_mono_ms() + 30000;
    while (atomic_load(&fake->listing) > 0 && sup_mono_ms() < end)
        poll_briefly();
    assert_int_equal(atomic_load(&fake->listing), 0);
}

static int begin_stream(void)
{
    int fd = raw_connect_unix(socket_path);
    raw_send_str(fd, "GET /v1/addresses HTTP/1.1\r\nHost: x\r\n" NDJSON "\r\n");
    int64_t end = sup_mono_ms() + 30000;
    while (atomic_load(&fake->produced) == 0 && sup_mono_ms() < end)
        poll_briefly();
    return fd;
}

/* The reader stands still: the producer waits in bounded memory; when it leaves, the list ends. */
static void test_stream_reader_leaves(void **state)
{
    (void)state;
    fake->rows = 5000000;
    int fd = begin_stream();
    close(fd);
    wait_until_idle();
    assert_true(atomic_load(&fake->produced) < 100000);
    expect_alive();
}

static void test_stream_limit(void **state)
{
    int fds[8];
    struct raw_answer a;
    (void)state;
    fake->rows = 5000000;
    for (size_t i = 0; i < SUP_COUNT(fds); i++) {
        fds[i] = begin_stream();
        int64_t end = sup_mono_ms() + 30000;
        while (atomic_load(&fake->listing) != i + 1 && sup_mono_ms() < end)
            poll_briefly();
        assert_int_equal(atomic_load(&fake->listing), i + 1);
    }
    ask("GET", "/v1/addresses", NDJSON, NULL, &a);
    assert_int_equal(a.status, 503);
    assert_true(holds(&a, "Retry-After"));
    raw_answer_fini(&a);
    expect_alive();
    for (size_t i = 0; i < SUP_COUNT(fds); i++)
        close(fds[i]);
    wait_until_idle();
}

/* Stopping ends streams whose readers stand still. */
static void test_stop_in_stream(void **state)
{
    (void)state;
    fake->rows = 5000000;
    int fd = begin_stream();
    int64_t begin = sup_mono_ms();
    sup_httpd_stop(server);
    assert_true(sup_mono_ms() - begin < 20000);
    assert_int_equal(atomic_load(&fake->listing), 0);
    sup_httpd_free(server);
    server = NULL;
    close(fd);
}

static void test_two_servers(void **state)
{
    struct sup_httpd *second = NULL;
    struct sup_err err;
    (void)state;
    assert_int_equal(sup_httpd_start(&options, &second, &err), SUP_EEXIST);
    assert_non_null(strstr(err.msg, "a running agent answers there"));
    assert_null(second);
    expect_alive();
}

/* --- TCP --- */

static int ask_tcp(const char *headers)
{
    struct raw_answer a;
    struct sup_buf rest;
    char request[512];
    int fd = raw_connect_tcp(sup_httpd_port(server));
    sup_buf_init(&rest, 65536);
    snprintf(request, sizeof(request), "GET /v1/status HTTP/1.1\r\n%s\r\n", headers);
    raw_send_str(fd, request);
    raw_read(fd, &rest, &a);
    int status = a.status;
    raw_answer_fini(&a);
    sup_buf_fini(&rest);
    close(fd);
    return status;
}

static void test_tcp_browser(void **state)
{
    static const struct {
        const char *headers;
        int status;
    } expect[] = {
        {"Host: 127.0.0.1\r\n", 200},
        {"Host: 127.0.0.1:8470\r\n", 200},
        {"Host: LOCALHOST:1\r\n", 200},
        {"Host: [::1]:1\r\n", 200},
        {"Host: evil.example\r\n", 403},
        {"Host: localhost.evil.example\r\n", 403},
        {"Host: 127.0.0.1.nip.io\r\n", 403},
        {"Host: [::1].evil\r\n", 403},
        {"Host: 127.0.0.1:80@evil\r\n", 403},
        {"Host: localhost\r\nOrigin: http://localhost\r\n", 200},
        {"Host: localhost\r\nOrigin: http://localhost:2\r\n", 403},
        {"Host: localhost\r\nOrigin: null\r\n", 403},
        {"Host: localhost\r\nOrigin: https://evil.example\r\n", 403},
    };
    (void)state;
    for (size_t i = 0; i < SUP_COUNT(expect); i++) {
        int status = ask_tcp(expect[i].headers);
        if (status != expect[i].status)
            fail_msg("%s: %d", expect[i].headers, status);
    }
}

int main(void)
{
#define SERVER_TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        SERVER_TEST(test_routes),
        SERVER_TEST(test_allow_header),
        SERVER_TEST(test_rulings),
        SERVER_TEST(test_filter),
        SERVER_TEST(test_page_limits),
        SERVER_TEST(test_readiness),
        SERVER_TEST(test_without_service),
        SERVER_TEST(test_malformed),
        SERVER_TEST(test_damaged),
        SERVER_TEST(test_huge_head),
        SERVER_TEST(test_body_limits),
        SERVER_TEST(test_chunked_body),
        SERVER_TEST(test_batch),
        SERVER_TEST(test_pipeline),
        SERVER_TEST(test_slow_and_gone),
        SERVER_TEST(test_stream),
        SERVER_TEST(test_stream_that_fails),
        SERVER_TEST(test_stream_reader_leaves),
        SERVER_TEST(test_stream_limit),
        SERVER_TEST(test_stop_in_stream),
        SERVER_TEST(test_two_servers),
        SERVER_TEST(test_tcp_browser),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
