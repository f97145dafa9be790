/* The cache of signing certificates, over a transport that is no network. */
#include "aws/sns_keys.h"
#include "base/clock.h"
#include "property.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ARN            "arn:aws:sns:eu-west-1:123456789012:t"
#define FILE_URL(name) "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-" name ".pem"

struct world {
    EVP_PKEY *key, *ca_key;
    char *pem, *ca_pem;
    size_t pem_n, ca_n;
    char ca_file[64];
    int status; /* of the next answers */
    int fail;   /* or this error */
    unsigned calls;
    char last_url[300];
    struct sup_sns_keys *keys;
};

static int64_t now_ms;

static int64_t fake_mono(void)
{
    return now_ms;
}

static int send_fake(void *arg, const struct sup_http_request *req, struct sup_http_response *r,
                     struct sup_err *err)
{
    struct world *w = arg;

    w->calls++;
    snprintf(w->last_url, sizeof(w->last_url), "%s", req->url);
    assert_string_equal(req->method, "GET");
    assert_true(req->timeout_ms > 0 && req->timeout_ms < 15000 && req->max_body > 0);
    if (w->fail != SUP_OK)
        return sup_err_set(err, w->fail, "no network");
    r->status = w->status;
    if (w->status == 200)
        sup_buf_add(&r->body, w->pem, w->pem_n);
    return SUP_OK;
}

static X509 *make(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *by, long days)
{
    X509 *x = X509_new();

    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), issuer == NULL ? 1 : 2);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), days * 86400);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(issuer != NULL ? issuer : x));
    if (issuer == NULL) {
        X509_EXTENSION *e =
            X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
        X509_add_ext(x, e, -1);
        X509_EXTENSION_free(e);
    }
    assert_true(X509_sign(x, by, EVP_sha256()) > 0);
    return x;
}

static char *to_pem(X509 *x, size_t *n)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *p, *out;

    PEM_write_bio_X509(bio, x);
    *n = (size_t)BIO_get_mem_data(bio, &p);
    out = malloc(*n);
    assert_non_null(out);
    memcpy(out, p, *n);
    BIO_free(bio);
    return out;
}

static void issue(struct world *w, const char *name, long days)
{
    X509 *ca = make("Test CA", w->ca_key, NULL, w->ca_key, 100);
    X509 *leaf = make(name, w->key, ca, w->ca_key, days);

    free(w->pem);
    free(w->ca_pem);
    w->pem = to_pem(leaf, &w->pem_n);
    w->ca_pem = to_pem(ca, &w->ca_n);
    X509_free(leaf);
    X509_free(ca);
}

static void open_keys(struct world *w, const char *ca_bundle, const char *signer)
{
    struct sup_sns_keys_options o = {.http = {send_fake, w},
                                     .ca_bundle = ca_bundle,
                                     .test_signer = signer,
                                     .mono_ms = fake_mono};

    sup_sns_keys_free(w->keys);
    w->keys = NULL;
    assert_int_equal(sup_sns_keys_new(&w->keys, &o, NULL), SUP_OK);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    w->key = EVP_RSA_gen(2048);
    w->ca_key = EVP_RSA_gen(2048);
    w->status = 200;
    issue(w, "sns.amazonaws.com", 10);
    snprintf(w->ca_file, sizeof(w->ca_file), "/tmp/supsync-sns-XXXXXX");
    int fd = mkstemp(w->ca_file);
    assert_true(fd >= 0 && write(fd, w->ca_pem, w->ca_n) == (ssize_t)w->ca_n);
    close(fd);
    now_ms = 1000000;
    open_keys(w, w->ca_file, NULL);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    sup_sns_keys_free(w->keys);
    unlink(w->ca_file);
    EVP_PKEY_free(w->key);
    EVP_PKEY_free(w->ca_key);
    free(w->pem);
    free(w->ca_pem);
    free(w);
    return 0;
}

/* A signed notification; base64 must hold 512 bytes. */
static struct sup_sns_message message(struct world *w, const char *url, char *base64)
{
    struct sup_sns_message m = {.type = SUP_SNS_NOTIFICATION,
                                .type_text = "Notification",
                                .message = "text",
                                .message_id = "id",
                                .timestamp = "now",
                                .topic_arn = ARN,
                                .cert_url = url,
                                .version = 2,
                                .signature = base64};
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char raw[256];
    size_t n = sizeof(raw);
    struct sup_buf text;

    sup_buf_init(&text, 4096);
    sup_sns_string_to_sign(&m, &text);
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, w->key), 1);
    assert_int_equal(EVP_DigestSign(ctx, raw, &n, text.p, text.n), 1);
    EVP_EncodeBlock((unsigned char *)base64, raw, (int)n);
    EVP_MD_CTX_free(ctx);
    sup_buf_fini(&text);
    return m;
}

static int verify(struct world *w, const char *url, struct sup_err *err)
{
    char base64[512];
    struct sup_sns_message m = message(w, url, base64);

    return sup_sns_keys_verify(w->keys, &m, sup_wall_ms(), err);
}

static void test_fetched_once(void **state)
{
    struct world *w = *state;
    struct sup_err err = {0};

    for (int i = 0; i < 5; i++)
        if (verify(w, FILE_URL("a1"), &err) != SUP_OK)
            fail_msg("%s", err.msg);
    assert_int_equal(w->calls, 1);
    assert_string_equal(w->last_url, FILE_URL("a1"));
    assert_int_equal(verify(w, FILE_URL("b2"), NULL), SUP_OK);
    assert_int_equal(w->calls, 2);
}

static void test_nothing_is_fetched_from_elsewhere(void **state)
{
    struct world *w = *state;

    assert_int_equal(verify(w, "https://evil.example/SimpleNotificationService-a.pem", NULL),
                     SUP_EINPUT);
    assert_int_equal(verify(w, "http://127.0.0.1:9/SimpleNotificationService-a.pem", NULL),
                     SUP_EINPUT);
    assert_int_equal(
        verify(w, "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-a.pem", NULL),
        SUP_EINPUT);
    assert_int_equal(w->calls, 0);
}

static void test_trouble_is_not_remembered(void **state)
{
    struct world *w = *state;

    w->fail = SUP_EIO;
    assert_int_equal(verify(w, FILE_URL("a"), NULL), SUP_EAGAIN);
    w->fail = SUP_EAUTH; /* TLS: somebody between */
    assert_int_equal(verify(w, FILE_URL("a"), NULL), SUP_EAGAIN);
    w->fail = SUP_OK;
    w->status = 503;
    assert_int_equal(verify(w, FILE_URL("a"), NULL), SUP_EAGAIN);
    w->status = 302; /* no redirects */
    assert_int_equal(verify(w, FILE_URL("a"), NULL), SUP_EAGAIN);
    w->status = 200;
    assert_int_equal(verify(w, FILE_URL("a"), NULL), SUP_OK);
}

static void test_refusals_are_remembered_a_while(void **state)
{
    struct world *w = *state;

    w->status = 404;
    assert_int_equal(verify(w, FILE_URL("a"), NULL), SUP_EAUTH);
    w->status = 200;
    assert_int_equal(verify(w, FILE_URL("a"), NULL), SUP_EAUTH);
    assert_int_equal(w->calls, 1);
    now_ms += 61000;
    assert_int_equal(verify(w, FILE_URL("a"), NULL), SUP_OK);
}

static void test_fetches_are_bounded(void **state)
{
    struct world *w = *state;
    char url[200];

    w->status = 404;
    assert_int_equal(w->calls, 0);
    for (int i = 0; i < 100; i++) {
        snprintf(url, sizeof(url), FILE_URL("%d"), i);
        int rc = verify(w, url, NULL);
        assert_true(rc == SUP_EAUTH || rc == SUP_EAGAIN);
    }
    assert_int_equal(w->calls, 20);
    now_ms += 3000; /* a twentieth of a minute */
    assert_int_equal(verify(w, FILE_URL("x"), NULL), SUP_EAUTH);
    assert_int_equal(w->calls, 21);
}

/* Made-up names must not push out what is in use. */
static void test_cache_keeps_what_is_used(void **state)
{
    struct world *w = *state;
    char url[200];

    assert_int_equal(verify(w, FILE_URL("good"), NULL), SUP_OK);
    w->status = 404;
    for (int i = 0; i < 200; i++) {
        now_ms += 3001;
        snprintf(url, sizeof(url), FILE_URL("%d"), i);
        assert_int_equal(verify(w, url, NULL), SUP_EAUTH);
    }
    unsigned calls = w->calls;
    assert_int_equal(verify(w, FILE_URL("good"), NULL), SUP_OK);
    assert_int_equal(w->calls, calls);
}

static void test_certificates_that_will_not_do(void **state)
{
    struct world *w = *state;
    struct sup_err err = {0};

    issue(w, "mail.example.com", 10);
    assert_int_equal(verify(w, FILE_URL("a"), &err), SUP_EAUTH);
    assert_non_null(strstr(err.msg, "not SNS's"));
    issue(w, "sns.amazonaws.com", 10);
    w->pem_n = 10;
    assert_int_equal(verify(w, FILE_URL("b"), &err), SUP_EAUTH);
    issue(w, "sns.amazonaws.com", 10);
    open_keys(w, NULL, NULL); /* the system's authorities do not know ours */
    assert_int_equal(verify(w, FILE_URL("c"), &err), SUP_EAUTH);
    EVP_PKEY *other = EVP_RSA_gen(2048), *mine = w->key;
    open_keys(w, w->ca_file, NULL);
    w->key = other; /* signs with another key than the certificate's */
    assert_int_equal(verify(w, FILE_URL("d"), &err), SUP_EAUTH);
    assert_non_null(strstr(err.msg, "signature"));
    w->key = mine;
    EVP_PKEY_free(other);
}

static void test_test_signer(void **state)
{
    struct world *w = *state;
    struct sup_sns_keys_options o = {.http = {send_fake, w}, .test_signer = "http://10.0.0.1:9400"};
    struct sup_sns_keys *k = NULL;
    struct sup_err err = {0};

    assert_int_equal(sup_sns_keys_new(&k, &o, &err), SUP_EINPUT);
    o.test_signer = "http://127.0.0.1:9400/path";
    assert_int_equal(sup_sns_keys_new(&k, &o, &err), SUP_EINPUT);
    open_keys(w, NULL, "http://127.0.0.1:9400");
    assert_int_equal(verify(w, "http://127.0.0.1:9400/SimpleNotificationService-a.pem", &err),
                     SUP_OK);
    assert_int_equal(verify(w, "http://127.0.0.1:94001/SimpleNotificationService-a.pem", &err),
                     SUP_EINPUT);
    assert_int_equal(verify(w, FILE_URL("a"), &err), SUP_EAUTH); /* others need a chain still */
}

static void test_confirm(void **state)
{
    struct world *w = *state;
    struct sup_sns_message m = {
        .topic_arn = ARN,
        .subscribe_url =
            "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=" ARN
            "&Token=abc"};

    assert_int_equal(sup_sns_keys_confirm(w->keys, &m, NULL), SUP_OK);
    assert_string_equal(w->last_url, m.subscribe_url);
    w->status = 500;
    assert_int_equal(sup_sns_keys_confirm(w->keys, &m, NULL), SUP_EAGAIN);
    w->status = 403;
    assert_int_equal(sup_sns_keys_confirm(w->keys, &m, NULL), SUP_EAUTH);
    w->status = 301;
    assert_int_equal(sup_sns_keys_confirm(w->keys, &m, NULL), SUP_EAGAIN);
    unsigned calls = w->calls;
    m.subscribe_url = "http://169.254.169.254/latest/meta-data/?Action=ConfirmSubscription";
    assert_int_equal(sup_sns_keys_confirm(w->keys, &m, NULL), SUP_EINPUT);
    assert_int_equal(w->calls, calls);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_fetched_once),
        T(test_nothing_is_fetched_from_elsewhere),
        T(test_trouble_is_not_remembered),
        T(test_refusals_are_remembered_a_while),
        T(test_fetches_are_bounded),
        T(test_cache_keeps_what_is_used),
        T(test_certificates_that_will_not_do),
        T(test_test_signer),
        T(test_confirm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
