/* SNS messages: what is signed, by whom, and where certificates may come from. */
#include "aws/sns_message.h"
#include "aws/sns_verify.h"
#include "aws_fixture.h"
#include "base/array.h"
#include "base/clock.h"
#include "pki.h"
#include "property.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct sup_sns_cert *read_cert(const char *path)
{
    size_t n = 0;
    char *pem = fixture_read(path, &n);
    struct sup_sns_cert *c = NULL;

    if (pem != NULL)
        assert_int_equal(sup_sns_cert_read(sup_slice_of(pem, n), &c, NULL), SUP_OK);
    free(pem);
    return c;
}

/* --- the third-party messages --- */

/* The file's message; where it is an event of Lambda's, the body of its first record. */
static char *message_of(const char *path, size_t *n)
{
    json_t *o = fixture_json(path);
    const json_t *record = json_array_get(json_object_get(o, "Records"), 0);
    const char *body = json_string_value(json_object_get(record, "body"));
    char *text = body != NULL ? strdup(body) : fixture_read(path, n);

    if (body != NULL)
        *n = strlen(text);
    json_decref(o);
    return text;
}

static void check_message(const char *file, struct sup_slice body, const char *cert_path,
                          const char *version, const char *type, const char *expect)
{
    struct sup_sns_message m;
    struct sup_err err = {0};

    if (sup_sns_message_read(&m, body, &err) != SUP_OK)
        fail_msg("%s: %s", file, err.msg);
    assert_int_equal(m.version, version[0] - '0');
    assert_string_equal(m.type_text, type);
    if (strcmp(expect, "UNKNOWN") != 0) {
        struct sup_sns_cert *c = read_cert(cert_path);
        assert_non_null(c);
        int rc = sup_sns_signature_check(&m, c, &err);
        if (strcmp(expect, "valid") == 0 && rc != SUP_OK)
            fail_msg("%s: %s", file, err.msg);
        if (strcmp(expect, "INVALID") == 0 && rc != SUP_EAUTH && rc != SUP_EINPUT)
            fail_msg("%s: taken as valid", file);
        sup_sns_cert_free(c);
    }
    char region[SUP_SNS_REGION_MAX];
    assert_int_equal(sup_sns_topic_region(m.topic_arn, region, &err), SUP_OK);
    if (sup_sns_cert_url_check(m.cert_url, region, &err) != SUP_OK)
        fail_msg("%s: %s: %s", file, m.cert_url, err.msg);
    if (m.type == SUP_SNS_SUBSCRIBE &&
        sup_sns_subscribe_url_check(m.subscribe_url, m.topic_arn, &err) != SUP_OK)
        fail_msg("%s: %s: %s", file, m.subscribe_url, err.msg);
    sup_sns_message_fini(&m);
}

static void test_fixtures(void **state)
{
    const char *list = fixture_path("sns-signed/EXPECTED.tsv");
    size_t n = 0, cases = 0;
    char *table = list != NULL ? fixture_read(list, &n) : NULL;
    char *save = NULL;

    (void)state;
    if (table == NULL) {
        print_message("no fixtures\n");
        skip();
    }
    strtok_r(table, "\n", &save); /* the head */
    for (char *line; (line = strtok_r(NULL, "\n", &save)) != NULL; cases++) {
        char *f[5], *fields = NULL;
        char path[512], cert[512];
        for (size_t i = 0; i < 5; i++)
            assert_non_null(f[i] = strtok_r(i == 0 ? line : NULL, "\t", &fields));
        snprintf(path, sizeof(path), "%s", fixture_path("sns-signed/%s", f[0]));
        snprintf(cert, sizeof(cert), "%s", fixture_path("sns-signed/%s", f[1]));
        char *body = message_of(path, &n);
        assert_non_null(body);
        check_message(f[0], sup_slice_of(body, n), cert, f[2], f[3], f[4]);
        free(body);
    }
    print_message("%zu signed messages\n", cases);
    assert_true(cases >= 10);
    free(table);
}

static void test_fixture_urls(void **state)
{
    const char *path = fixture_path("sns-signed/signing-cert-urls.json");
    json_t *list = path != NULL ? fixture_json(path) : NULL, *one;
    size_t i;

    (void)state;
    if (list == NULL) {
        print_message("no fixtures\n");
        skip();
    }
    json_array_foreach(list, i, one)
    {
        const char *url = json_string_value(json_object_get(one, "url"));
        const char *expect = json_string_value(json_object_get(one, "expect"));
        int rc = sup_sns_cert_url_check(url, NULL, NULL);
        /* What a pattern of others would take may be refused here: the name of the file, too. */
        if (strcmp(expect, "accept") == 0 && rc != SUP_OK)
            fail_msg("%s is refused", url);
        if (strcmp(expect, "reject") == 0 && rc == SUP_OK)
            fail_msg("%s is taken", url);
    }
    print_message("%zu certificate URLs\n", i);
    json_decref(list);
}

static struct sup_sns_cert *self_signed(const char *name, EVP_PKEY *key)
{
    X509 *x = X509_new();
    BIO *bio = BIO_new(BIO_s_mem());
    struct sup_sns_cert *c = NULL;
    char *pem;

    X509_set_version(x, 2);
    X509_gmtime_adj(X509_getm_notBefore(x), -10);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_sign(x, key, EVP_sha256());
    PEM_write_bio_X509(bio, x);
    long n = BIO_get_mem_data(bio, &pem);
    assert_int_equal(sup_sns_cert_read(sup_slice_of(pem, (size_t)n), &c, NULL), SUP_OK);
    BIO_free(bio);
    X509_free(x);
    return c;
}

static void test_fixture_names(void **state)
{
    const char *path = fixture_path("sns-signed/signing-cert-common-names.csv");
    size_t n = 0, cases = 0;
    char *table = path != NULL ? fixture_read(path, &n) : NULL, *save = NULL;

    (void)state;
    if (table == NULL) {
        print_message("no fixtures\n");
        skip();
    }
    EVP_PKEY *key = EVP_RSA_gen(2048);
    strtok_r(table, "\r\n", &save);
    for (char *line; (line = strtok_r(NULL, "\r\n", &save)) != NULL; cases++) {
        char *comma = strchr(line, ',');
        assert_non_null(comma);
        *comma = '\0';
        struct sup_sns_cert *c = self_signed(comma + 1, key);
        if (sup_sns_cert_names(c, line, NULL) != SUP_OK)
            fail_msg("%s of %s is refused", comma + 1, line);
        if (strcmp(comma + 1, "sns.amazonaws.com") != 0)
            assert_int_equal(sup_sns_cert_names(c, "eu-west-1", NULL), SUP_EAUTH);
        sup_sns_cert_free(c);
    }
    print_message("%zu names of signing certificates\n", cases);
    EVP_PKEY_free(key);
    free(table);
    path = fixture_path("sns-signed/certs/java-v2-valid-cert-wrong-cn.pem");
    struct sup_sns_cert *wrong = read_cert(path);
    if (wrong != NULL)
        assert_int_equal(sup_sns_cert_names(wrong, "us-west-2", NULL), SUP_EAUTH);
    sup_sns_cert_free(wrong);
}

/* --- URLs --- */

static void test_cert_urls(void **state)
{
    static const struct {
        const char *url;
        bool ok;
    } cases[] = {
        {"https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0aF9.pem", true},
        {"https://SNS.eu-west-1.AmazonAWS.com/SimpleNotificationService-0af9.pem", true},
        {"http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0af9.pem", false},
        {"https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0af9.pem", false},
        {"https://sns.eu-west-1.amazonaws.com.cn/SimpleNotificationService-0af9.pem", true},
        {"https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-0.pem", false},
        {"https://sns.eu-west-1.amazonaws.com@evil.example/SimpleNotificationService-0.pem", false},
        {"https://evil.example/sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem", false},
        {"https://sns.eu-west-1.amazonaws.com:8443/SimpleNotificationService-0af9.pem", false},
        {"https://sns.eu-west-1.s3.amazonaws.com/SimpleNotificationService-0af9.pem", false},
        {"https://bucket.s3.amazonaws.com/SimpleNotificationService-0af9.pem", false},
        {"https://s3.amazonaws.com/sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem",
         false},
        {"https://sns.eu-west-1xamazonaws.com/SimpleNotificationService-0af9.pem", false},
        {"https://sns.amazonaws.com/SimpleNotificationService-0af9.pem", false},
        {"https://sns..amazonaws.com/SimpleNotificationService-0af9.pem", false},
        {"https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0af9.pem?x=1", false},
        {"https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0af9.pem?", false},
        {"https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0af9.pem#a", false},
        {"https://sns.eu-west-1.amazonaws.com/x/SimpleNotificationService-0af9.pem", false},
        {"https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-../x.pem", false},
        {"https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-.pem", false},
        {"https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0af9", false},
        {"https://sns.eu-west-1.amazonaws.com/?Action=Publish&x=.pem", false},
        {"https:sns.eu-west-1.amazonaws.com/SimpleNotificationService-0af9.pem", false},
        {"file:///SimpleNotificationService-0af9.pem", false},
        {"https://sns.eu-west-1.amazonaws.com\\@evil/SimpleNotificationService-0.pem", false},
        {"", false},
    };

    (void)state;
    for (size_t i = 0; i < SUP_COUNT(cases); i++)
        if ((sup_sns_cert_url_check(cases[i].url, "eu-west-1", NULL) == SUP_OK) != cases[i].ok)
            fail_msg("%s", cases[i].url);
}

static void test_subscribe_urls(void **state)
{
    static const char arn[] = "arn:aws:sns:eu-west-1:123456789012:ses";
    static const struct {
        const char *url;
        bool ok;
    } cases[] = {
        {"https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn="
         "arn:aws:sns:eu-west-1:123456789012:ses&Token=abc",
         true},
        {"https://sns.eu-west-1.amazonaws.com/?Token=abc&TopicArn=arn%3Aaws%3asns%3Aeu-west-1%3A"
         "123456789012%3Ases&Action=ConfirmSubscription",
         true},
        {"https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe&TopicArn="
         "arn:aws:sns:eu-west-1:123456789012:ses",
         false},
        {"https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn="
         "arn:aws:sns:eu-west-1:123456789012:other&Token=abc",
         false},
        {"https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn="
         "arn:aws:sns:eu-west-1:123456789012:ses&TopicArn=arn:aws:sns:eu-west-1:1:x&Token=abc",
         false},
        {"https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn="
         "arn:aws:sns:eu-west-1:123456789012:ses&Token=abc",
         false},
        {"http://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn="
         "arn:aws:sns:eu-west-1:123456789012:ses&Token=abc",
         false},
        {"https://169.254.169.254/?Action=ConfirmSubscription&TopicArn="
         "arn:aws:sns:eu-west-1:123456789012:ses&Token=abc",
         false},
        {"https://sns.eu-west-1.amazonaws.com/", false},
        {"https://sns.eu-west-1.amazonaws.com/?Action", false},
    };

    (void)state;
    for (size_t i = 0; i < SUP_COUNT(cases); i++)
        if ((sup_sns_subscribe_url_check(cases[i].url, arn, NULL) == SUP_OK) != cases[i].ok)
            fail_msg("%s", cases[i].url);
}

static void test_regions(void **state)
{
    char region[SUP_SNS_REGION_MAX];

    (void)state;
    assert_int_equal(sup_sns_topic_region("arn:aws-cn:sns:cn-north-1:1:t", region, NULL), SUP_OK);
    assert_string_equal(region, "cn-north-1");
    assert_int_equal(sup_sns_topic_region("arn:aws:sqs:eu-west-1:1:t", region, NULL), SUP_EINPUT);
    assert_int_equal(sup_sns_topic_region("arn:aws:sns::1:t", region, NULL), SUP_EINPUT);
    assert_int_equal(sup_sns_topic_region("arn:aws:sns:a.b.c:1:t", region, NULL), SUP_EINPUT);
    assert_int_equal(sup_sns_topic_region("eu-west-1", region, NULL), SUP_EINPUT);
    assert_int_equal(sup_sns_topic_region("", region, NULL), SUP_EINPUT);
}

/* --- reading --- */

#define REST                                                                                       \
    "\"MessageId\":\"i\",\"TopicArn\":\"arn:aws:sns:eu-west-1:1:t\",\"Timestamp\":"                \
    "\"2026-01-01T00:00:00.000Z\",\"SigningCertURL\":\"u\",\"Signature\":\"AAAA\""

static void test_reading(void **state)
{
    static const struct {
        const char *body;
        int rc;
    } cases[] = {
        {"{\"Type\":\"Notification\",\"Message\":\"m\",\"SignatureVersion\":\"1\"," REST "}",
         SUP_OK},
        {"{\"Type\":\"Notification\",\"Message\":\"m\",\"SignatureVersion\":\"3\"," REST "}",
         SUP_EINPUT},
        {"{\"Type\":\"Notification\",\"Message\":\"m\",\"SignatureVersion\":1," REST "}",
         SUP_EINPUT},
        {"{\"Type\":\"Notification\",\"Message\":\"m\"," REST "}", SUP_EINPUT},
        {"{\"Type\":\"Notification\",\"SignatureVersion\":\"1\"," REST "}", SUP_EINPUT},
        {"{\"Type\":\"Notification\",\"Message\":{},\"SignatureVersion\":\"1\"," REST "}",
         SUP_EINPUT},
        /* Said twice: one might be verified and the other read. */
        {"{\"Type\":\"Notification\",\"Message\":\"m\",\"Message\":\"n\",\"SignatureVersion\":"
         "\"1\"," REST "}",
         SUP_EINPUT},
        {"{\"Type\":\"Other\",\"Message\":\"m\",\"SignatureVersion\":\"1\"," REST "}", SUP_EINPUT},
        {"{\"Type\":\"SubscriptionConfirmation\",\"Message\":\"m\",\"SignatureVersion\":\"1\"," REST
         "}",
         SUP_EINPUT},
        {"[]", SUP_EINPUT},
        {"", SUP_EINPUT},
        {"{\"eventType\":\"Bounce\"}", SUP_EINPUT},
    };

    (void)state;
    for (size_t i = 0; i < SUP_COUNT(cases); i++) {
        struct sup_sns_message m;
        struct sup_err err = {0};
        int rc = sup_sns_message_read(&m, sup_slice_str(cases[i].body), &err);
        if (rc != cases[i].rc)
            fail_msg("case %zu: %s", i, err.msg);
        if (rc == SUP_OK)
            sup_sns_message_fini(&m);
    }
}

/* --- with keys of our own --- */

static void sign(EVP_PKEY *key, int version, struct sup_slice text, char *base64)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char raw[512];
    size_t n = sizeof(raw);

    assert_int_equal(
        EVP_DigestSignInit(ctx, NULL, version == 1 ? EVP_sha1() : EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_DigestSign(ctx, raw, &n, text.p, text.n), 1);
    EVP_EncodeBlock((unsigned char *)base64, raw, (int)n);
    EVP_MD_CTX_free(ctx);
}

/* Changing any member that is signed, or the signature, or the version, breaks it. */
static void test_any_change_is_seen(void **state)
{
    struct sup_rng rng = property_rng("sns change");
    EVP_PKEY *key = EVP_RSA_gen(2048);
    struct sup_sns_cert *c = self_signed("sns.amazonaws.com", key);

    (void)state;
    for (size_t i = 0; i < property_cases(300); i++) {
        char texts[7][40], signature[1024];
        struct sup_sns_message m = {.type = (enum sup_sns_type)sup_rng_below(&rng, 3),
                                    .version = 1 + (int)sup_rng_below(&rng, 2)};
        const char **members[7] = {
            &m.message,      &m.message_id, &m.timestamp,
            &m.topic_arn,    &m.type_text,  m.type == SUP_SNS_NOTIFICATION ? &m.subject : &m.token,
            &m.subscribe_url};
        size_t signed_n = m.type == SUP_SNS_NOTIFICATION ? 6 : 7;
        for (size_t k = 0; k < 7; k++) {
            snprintf(texts[k], sizeof(texts[k]), "%zu-%llx", k,
                     (unsigned long long)sup_rng_u64(&rng));
            *members[k] = texts[k];
        }
        struct sup_buf text;
        sup_buf_init(&text, 4096);
        sup_sns_string_to_sign(&m, &text);
        sign(key, m.version, sup_buf_slice(&text), signature);
        sup_buf_fini(&text);
        m.signature = signature;
        assert_int_equal(sup_sns_signature_check(&m, c, NULL), SUP_OK);
        char *hit = texts[sup_rng_below(&rng, signed_n)];
        char before = hit[2];
        hit[2] = 'x';
        assert_int_equal(sup_sns_signature_check(&m, c, NULL), SUP_EAUTH);
        hit[2] = before;
        m.version = 3 - m.version;
        assert_int_equal(sup_sns_signature_check(&m, c, NULL), SUP_EAUTH);
        m.version = 3 - m.version;
        signature[0] = '!';
        assert_int_equal(sup_sns_signature_check(&m, c, NULL), SUP_EINPUT);
        m.signature = "AAAA";
        assert_int_equal(sup_sns_signature_check(&m, c, NULL), SUP_EAUTH);
    }
    EVP_PKEY_free(key);
    sup_sns_cert_free(c);
}

static void test_chain_and_dates(void **state)
{
    struct pki *p = pki_new();
    struct sup_sns_trust *ours, *others, *system;
    int64_t now = sup_wall_ms();

    (void)state;
    pki_authority(p, "other");
    pki_issue(p, "ca", "good", "sns.amazonaws.com", false);
    pki_issue(p, "ca", "old", "sns.amazonaws.com", true);
    struct sup_sns_cert *good = read_cert(pki_path(p, "good.pem"));
    struct sup_sns_cert *old = read_cert(pki_path(p, "old.pem"));
    assert_int_equal(sup_sns_trust_new(&ours, pki_path(p, "ca.pem"), NULL), SUP_OK);
    assert_int_equal(sup_sns_trust_new(&others, pki_path(p, "other.pem"), NULL), SUP_OK);
    assert_int_equal(sup_sns_trust_new(&system, NULL, NULL), SUP_OK);
    assert_int_equal(sup_sns_trust_new(&(struct sup_sns_trust *){NULL}, "/nonexistent", NULL),
                     SUP_EINPUT);
    assert_int_equal(sup_sns_cert_chain(good, ours, NULL, now, NULL), SUP_OK);
    assert_int_equal(sup_sns_cert_chain(good, others, NULL, now, NULL), SUP_ENOTFOUND);
    assert_int_equal(sup_sns_cert_chain(good, system, NULL, now, NULL), SUP_ENOTFOUND);
    assert_int_equal(sup_sns_cert_chain(old, ours, NULL, now, NULL), SUP_EAUTH);
    /* An authority that came with the certificate, but that nobody trusts. */
    struct sup_sns_cert *ca = read_cert(pki_path(p, "ca.pem"));
    assert_int_equal(sup_sns_cert_chain(good, others, ca, now, NULL), SUP_EAUTH);
    assert_int_equal(sup_sns_cert_dates(good, now, NULL), SUP_OK);
    assert_int_equal(sup_sns_cert_dates(old, now, NULL), SUP_EAUTH);
    assert_int_equal(sup_sns_cert_dates(good, now - (int64_t)400 * 365 * 86400000 / 10, NULL),
                     SUP_EAUTH);
    char url[SUP_SNS_ISSUER_URL_MAX];
    assert_int_equal(sup_sns_cert_issuer_url(good, url), SUP_ENOTFOUND);
    sup_sns_cert_free(good);
    sup_sns_cert_free(old);
    sup_sns_cert_free(ca);
    sup_sns_trust_free(ours);
    sup_sns_trust_free(others);
    sup_sns_trust_free(system);
    pki_free(p);
}

static void test_issuer_urls_of_fixtures(void **state)
{
    char url[SUP_SNS_ISSUER_URL_MAX];
    const char *path = fixture_path(
        "sns-signed/certs/SimpleNotificationService-7506a1e35b36ef5a444dd1a8e7cc3ed8.pem");
    struct sup_sns_cert *c = path != NULL ? read_cert(path) : NULL;
    struct sup_sns_trust *system;

    (void)state;
    if (c == NULL) {
        print_message("no fixtures\n");
        skip();
    }
    assert_int_equal(sup_sns_cert_issuer_url(c, url), SUP_OK);
    assert_string_equal(url, "http://crt.r2m01.amazontrust.com/r2m01.cer");
    /* Its authority is not in the bundle: 2026-01-01 is within its dates. */
    assert_int_equal(sup_sns_trust_new(&system, NULL, NULL), SUP_OK);
    assert_int_equal(sup_sns_cert_chain(c, system, NULL, 1767225600000, NULL), SUP_ENOTFOUND);
    sup_sns_trust_free(system);
    sup_sns_cert_free(c);
    /* An authority of another house is not asked. */
    path = fixture_path(
        "sns-signed/certs/SimpleNotificationService-bb750dd426d95ee9390147a5624348ee.pem");
    c = read_cert(path);
    assert_int_equal(sup_sns_cert_issuer_url(c, url), SUP_ENOTFOUND);
    sup_sns_cert_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixtures),        cmocka_unit_test(test_fixture_urls),
        cmocka_unit_test(test_fixture_names),   cmocka_unit_test(test_cert_urls),
        cmocka_unit_test(test_subscribe_urls),  cmocka_unit_test(test_regions),
        cmocka_unit_test(test_reading),         cmocka_unit_test(test_any_change_is_seen),
        cmocka_unit_test(test_chain_and_dates), cmocka_unit_test(test_issuer_urls_of_fixtures),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
