/* Reading from S3 against a scripted server: pages, keys of all kinds, parts, redirects, lies. */
#include "http_peer.h"

#include "aws/s3_reader.h"
#include "aws/xml.h"
#include "base/array.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SCRIPT_MAX 24

struct step {
    int status;
    const char *headers;
    const char *body;
    enum peer_fault fault;
};

struct world {
    struct http_peer *peer;
    struct sup_aws_env env;
    struct sup_aws *aws;
    struct sup_s3_bucket bucket;
    const struct step *steps; /* the last one repeats */
    int n, at;
    bool ranges; /* answers from `object` instead */
    const char *object;
    int break_every; /* each nth reply breaks off */
    char target[SCRIPT_MAX][1024];
    char authorization[SCRIPT_MAX][512];
    char range[SCRIPT_MAX][64], match[SCRIPT_MAX][64];
    char content_range[SCRIPT_MAX][96];
    struct sup_err err;
};

static void serve_range(struct world *w, int i, struct peer_reply *reply)
{
    unsigned long long from = 0, to = 0;

    assert_int_equal(sscanf(w->range[i], "bytes=%llu-%llu", &from, &to), 2);
    assert_true(from <= to && to < strlen(w->object));
    snprintf(w->content_range[i], sizeof w->content_range[i],
             "content-range: bytes %llu-%llu/%zu\r\n", from, to, strlen(w->object));
    reply->status = 206;
    reply->headers = w->content_range[i];
    reply->body = strndup(w->object + from, (size_t)(to - from + 1));
    reply->body_n = (size_t)(to - from + 1);
    reply->fault = w->break_every > 0 && w->at % w->break_every == 0 ? PEER_TRUNCATE : PEER_OK;
}

static void handle(void *arg, const struct peer_request *req, struct peer_reply *reply)
{
    struct world *w = arg;
    int i = w->at < SCRIPT_MAX ? w->at : SCRIPT_MAX - 1;

    w->at++;
    snprintf(w->target[i], sizeof w->target[i], "%s %s", req->method, req->target);
    peer_header(req, "authorization", w->authorization[i], sizeof w->authorization[i]);
    peer_header(req, "range", w->range[i], sizeof w->range[i]);
    peer_header(req, "if-match", w->match[i], sizeof w->match[i]);
    if (w->ranges) {
        serve_range(w, i, reply);
        return;
    }
    const struct step *s = &w->steps[w->at <= w->n ? w->at - 1 : w->n - 1];
    reply->status = s->status;
    reply->headers = s->headers;
    reply->fault = s->fault;
    if (s->body != NULL)
        peer_body(reply, s->body);
}

static const char *env_lookup(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "AWS_ACCESS_KEY_ID") == 0       ? "AKIDEXAMPLE"
           : strcmp(name, "AWS_SECRET_ACCESS_KEY") == 0 ? "secret"
                                                        : NULL;
}

static void open_bucket(struct world *w, const char *endpoint, const char *name)
{
    const struct sup_aws_options o = {.region = "eu-west-1",
                                      .endpoint_url = endpoint,
                                      .max_attempts = 3,
                                      .timeout_ms = 5000,
                                      .env = &w->env};
    sup_s3_bucket_fini(&w->bucket);
    sup_aws_free(w->aws);
    if (sup_aws_new(&w->aws, &o, &w->err) != SUP_OK ||
        sup_s3_bucket_init(&w->bucket, w->aws, name, NULL, &w->err) != SUP_OK)
        fail_msg("%s", w->err.msg);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    w->peer = peer_start(handle, w);
    w->env = (struct sup_aws_env){.getenv = env_lookup};
    open_bucket(w, peer_url(w->peer), "my-bucket");
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    sup_s3_bucket_fini(&w->bucket);
    sup_aws_free(w->aws);
    peer_stop(w->peer);
    free(w);
    return 0;
}

static void script(struct world *w, const struct step *steps, int n)
{
    w->steps = steps;
    w->n = n;
    w->at = 0;
    w->err = (struct sup_err){0};
}

#define SCRIPT(w, ...)                                                                             \
    const struct step steps_[] = {__VA_ARGS__};                                                    \
    script(w, steps_, (int)SUP_COUNT(steps_))

/* --- lists --- */

struct found {
    struct sup_buf text; /* "key size etag time;" */
    size_t n, most;
};

static bool collect(void *arg, const struct sup_s3_object *o)
{
    struct found *f = arg;

    sup_buf_addf(&f->text, "%s %llu %s %lld;", o->key, (unsigned long long)o->size, o->etag,
                 (long long)o->modified_ms);
    return ++f->n != f->most;
}

static int list(struct world *w, const struct sup_s3_listing *l, size_t most, struct found *f)
{
    sup_buf_init(&f->text, 1 << 20);
    f->n = 0;
    f->most = most;
    return sup_s3_list(&w->bucket, l, collect, f, &w->err);
}

#define OBJECT(key, size)                                                                          \
    "<Contents><Key>" key "</Key><LastModified>1970-01-01T00:00:01.000Z</LastModified>"            \
    "<ETag>&quot;e&quot;</ETag><Size>" size "</Size><Owner><ID>x</ID></Owner></Contents>"
#define PAGE(rest)                                                                                 \
    "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"  \
    "<Name>my-bucket</Name><Prefix/><EncodingType>url</EncodingType>" rest "</ListBucketResult>"

static void test_pages(void **state)
{
    struct world *w = *state;
    const struct sup_s3_listing l = {.prefix = "a b/+", .start_after = "a b/+0", .page = 2};
    struct found f;
    SCRIPT(w,
           {.body = PAGE("<IsTruncated>true</IsTruncated><NextContinuationToken>t/1+=="
                         "</NextContinuationToken>" OBJECT("a+b%2F%2B%C3%A9%25", "1")
                             OBJECT("k%3C%26%0A", "18446744073709551615"))},
           {.body = PAGE("<IsTruncated>false</IsTruncated>" OBJECT("last", "0"))});

    if (list(w, &l, 0, &f) != SUP_OK)
        fail_msg("%s", w->err.msg);
    assert_string_equal(sup_buf_str(&f.text), "a b/+\xc3\xa9% 1 \"e\" 1000;"
                                              "k<&\n 18446744073709551615 \"e\" 1000;"
                                              "last 0 \"e\" 1000;");
    assert_string_equal(w->target[0],
                        "GET /my-bucket?list-type=2&encoding-type=url&max-keys=2&prefix=a%20b%2F%2B"
                        "&start-after=a%20b%2F%2B0");
    assert_string_equal(w->target[1],
                        "GET /my-bucket?list-type=2&encoding-type=url&max-keys=2&prefix=a%20b%2F%2B"
                        "&continuation-token=t%2F1%2B%3D%3D");
    sup_buf_fini(&f.text);
    script(w, steps_, 2);
    assert_int_equal(list(w, &l, 1, &f), SUP_OK); /* enough is enough */
    assert_int_equal(w->at, 1);
    assert_int_equal(f.n, 1);
    sup_buf_fini(&f.text);
}

static void test_damaged_pages(void **state)
{
    static const char *const bodies[] = {
        "",
        "<html>",
        PAGE(""),
        PAGE("<IsTruncated>true</IsTruncated>"),
        PAGE("<IsTruncated>false</IsTruncated>" OBJECT("%zz", "1")),
        PAGE("<IsTruncated>false</IsTruncated>" OBJECT("a%00b", "1")),
        PAGE("<IsTruncated>false</IsTruncated>" OBJECT("", "1")),
        PAGE("<IsTruncated>false</IsTruncated>" OBJECT("a", "-1")),
        PAGE("<IsTruncated>false</IsTruncated>" OBJECT("a", "1x")),
        PAGE("<IsTruncated>true</IsTruncated><NextContinuationToken>same</NextContinuationToken>"),
    };
    struct world *w = *state;
    struct found f;

    for (size_t i = 0; i < SUP_COUNT(bodies); i++) {
        SCRIPT(w, {.body = bodies[i]});
        int rc = list(w, &(struct sup_s3_listing){0}, 0, &f);
        if (rc != SUP_ECORRUPT)
            fail_msg("case %zu: %d %s", i, rc, w->err.msg);
        sup_buf_fini(&f.text);
    }
}

static void test_xml_elements(void **state)
{
    struct sup_slice rest = SUP_SLICE_LIT("<a><n:b x=\"1\">1</n:b><bb>2</bb><b/><b>3</b><b>4</a>");
    struct sup_slice in;

    (void)state;
    assert_true(sup_xml_next(&rest, "b", &in) && sup_slice_eq(in, SUP_SLICE_LIT("1")));
    assert_true(sup_xml_next(&rest, "b", &in) && in.n == 0);
    assert_true(sup_xml_next(&rest, "b", &in) && sup_slice_eq(in, SUP_SLICE_LIT("3")));
    assert_false(sup_xml_next(&rest, "b", &in)); /* it does not end */
    /* Cut off anywhere, it reads nothing that is not there. */
    const char *whole = PAGE("<IsTruncated>false</IsTruncated>" OBJECT("last", "0"));
    for (size_t n = 0; n <= strlen(whole); n++) {
        char *copy = malloc(n + 1);
        memcpy(copy, whole, n);
        rest = sup_slice_of(copy, n);
        while (sup_xml_next(&rest, "Contents", &in))
            assert_true(in.p >= (uint8_t *)copy && in.p + in.n <= (uint8_t *)copy + n);
        free(copy);
    }
}

/* --- where the bucket is --- */

static void test_another_region(void **state)
{
    struct world *w = *state;
    struct found f;
    SCRIPT(w,
           {.status = 301,
            .headers = "x-amz-bucket-region: us-east-1\r\n",
            .body = "<Error><Code>PermanentRedirect</Code></Error>"},
           {.status = 400,
            .body = "<Error><Code>AuthorizationHeaderMalformed</Code><Region>sa-east-1</Region>"
                    "</Error>"},
           {.body = PAGE("<IsTruncated>false</IsTruncated>" OBJECT("a", "1"))});

    if (list(w, &(struct sup_s3_listing){0}, 0, &f) != SUP_OK)
        fail_msg("%s", w->err.msg);
    assert_int_equal(f.n, 1);
    assert_non_null(strstr(w->authorization[0], "/eu-west-1/s3/"));
    assert_non_null(strstr(w->authorization[1], "/us-east-1/s3/"));
    assert_non_null(strstr(w->authorization[2], "/sa-east-1/s3/"));
    assert_string_equal(w->bucket.region, "sa-east-1");
    sup_buf_fini(&f.text);
}

static void test_redirect_that_leads_nowhere(void **state)
{
    static const char *const headers[] = {"location: https://evil.example/\r\n",
                                          "x-amz-bucket-region: eu-west-1\r\n",
                                          "x-amz-bucket-region: evil.example/\r\n"};
    struct world *w = *state;
    struct found f;

    for (size_t i = 0; i < SUP_COUNT(headers); i++) {
        SCRIPT(w, {.status = 301,
                   .headers = headers[i],
                   .body = "<Error><Code>PermanentRedirect</Code></Error>"});
        assert_int_equal(list(w, &(struct sup_s3_listing){0}, 0, &f), SUP_EINPUT);
        assert_non_null(strstr(w->err.msg, "another Region"));
        assert_int_equal(w->at, 1);
        sup_buf_fini(&f.text);
    }
}

static void test_hosts(void **state)
{
    struct world *w = *state;

    open_bucket(w, NULL, "my-bucket");
    assert_string_equal(w->bucket.url, "https://my-bucket.s3.eu-west-1.amazonaws.com");
    open_bucket(w, NULL, "my.bucket");
    assert_string_equal(w->bucket.url, "https://s3.eu-west-1.amazonaws.com");
    assert_true(w->bucket.in_path);
    static const char *const bad[] = {"", "ab", "-ab", "A-b", "a/b", "a_b", "a b", "abc-"};
    for (size_t i = 0; i < SUP_COUNT(bad); i++)
        assert_false(sup_s3_bucket_name_valid(bad[i]));
    assert_true(sup_s3_bucket_name_valid("0a.b-c1"));
}

/* --- objects --- */

static int read_all(struct world *w, uint64_t size, size_t part, struct sup_buf *out)
{
    const struct sup_s3_object o = {.key = "d/k +&\xc3\xa9", .etag = "\"e\"", .size = size};
    struct sup_s3_reader r;
    uint8_t piece[7];
    size_t n = 1;
    int rc = SUP_OK;

    sup_s3_reader_init(&r, &w->bucket, &o, NULL);
    r.part_size = part;
    sup_buf_init(out, 1 << 20);
    while (rc == SUP_OK && n > 0) {
        rc = sup_s3_reader_read(&r, piece, sizeof piece, &n, &w->err);
        if (rc == SUP_OK)
            sup_buf_add(out, piece, n);
    }
    sup_s3_reader_fini(&r);
    return rc;
}

static void test_parts(void **state)
{
    struct world *w = *state;
    struct sup_buf out;

    w->ranges = true;
    w->object = "0123456789abcdefghijklmnopqrstuvwxyz";
    for (w->break_every = 0; w->break_every < 5; w->break_every += 2) {
        for (size_t part = 4; part < 40; part += 7) {
            w->at = 0;
            if (read_all(w, 36, part, &out) != SUP_OK)
                fail_msg("%s", w->err.msg);
            assert_string_equal(sup_buf_str(&out), w->object);
            assert_string_equal(w->target[0], "GET /my-bucket/d/k%20%2B%26%C3%A9");
            assert_string_equal(w->match[0], "\"e\"");
            sup_buf_fini(&out);
        }
    }
    w->at = 0;
    assert_int_equal(read_all(w, 0, 4, &out), SUP_OK); /* nothing is asked for */
    assert_int_equal(w->at, 0);
    sup_buf_fini(&out);
}

static void test_lies(void **state)
{
    static const struct step cases[] = {
        {.status = 206, .headers = "content-range: bytes 1-4/8\r\n", .body = "0123"},
        {.status = 206, .headers = "content-range: bytes 0-3/9\r\n", .body = "0123"},
        {.status = 206, .headers = "content-range: bytes 0-3/8\r\n", .body = "012"},
        {.status = 206, .body = "0123"},
        {.status = 200, .body = "0123"},
    };
    struct world *w = *state;
    struct sup_buf out;

    for (size_t i = 0; i < SUP_COUNT(cases); i++) {
        script(w, &cases[i], 1);
        assert_int_equal(read_all(w, 8, 4, &out), SUP_EIO);
        assert_int_equal(out.n, 0);
        sup_buf_fini(&out);
    }
    /* A server without ranges is fine when one part is all. */
    SCRIPT(w, {.body = "01234567"});
    assert_int_equal(read_all(w, 8, 100, &out), SUP_OK);
    assert_string_equal(sup_buf_str(&out), "01234567");
    sup_buf_fini(&out);
}

static void test_refusals(void **state)
{
    static const struct {
        struct step step;
        int code;
        const char *text;
    } cases[] = {
        {{.status = 403,
          .body = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message>"
                  "</Error>"},
         SUP_EAUTH,
         "s3:GetObject"},
        {{.status = 403,
          .body = "<Error><Code>AccessDenied</Code><Message>User: x is not authorized to perform: "
                  "kms:Decrypt on this resource</Message></Error>"},
         SUP_EAUTH,
         "need kms:Decrypt"},
        {{.status = 400, .body = "<Error><Code>KMS.DisabledException</Code></Error>"},
         SUP_EAUTH,
         "KMS key"},
        {{.status = 403, .body = "<Error><Code>InvalidObjectState</Code></Error>"},
         SUP_EAUTH,
         "restore it first"},
        {{.status = 412, .body = "<Error><Code>PreconditionFailed</Code></Error>"},
         SUP_EAGAIN,
         "replaced while it was read"},
        {{.status = 404, .body = "<Error><Code>NoSuchBucket</Code></Error>"},
         SUP_ENOTFOUND,
         "no such bucket"},
        {{.status = 404, .body = "<Error><Code>NoSuchKey</Code></Error>"}, SUP_ENOTFOUND, "404"},
        {{.status = 416, .body = "<Error><Code>InvalidRange</Code></Error>"}, SUP_EAUTH, "416"},
        {{.status = 503, .body = "<Error><Code>SlowDown</Code></Error>"}, SUP_EAGAIN, "SlowDown"},
    };
    struct world *w = *state;
    struct sup_buf out;

    for (size_t i = 0; i < SUP_COUNT(cases); i++) {
        script(w, &cases[i].step, 1);
        int rc = read_all(w, 8, 4, &out);
        if (rc != cases[i].code || w->err.code != rc || strstr(w->err.msg, cases[i].text) == NULL ||
            strncmp(w->err.msg, "s3://my-bucket/d/k", 18) != 0)
            fail_msg("case %zu: %d %d %s", i, rc, w->err.code, w->err.msg);
        sup_buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_pages, setup, teardown),
        cmocka_unit_test(test_xml_elements),
        cmocka_unit_test_setup_teardown(test_another_region, setup, teardown),
        cmocka_unit_test_setup_teardown(test_redirect_that_leads_nowhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hosts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
