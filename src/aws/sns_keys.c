#include "aws/sns_keys.h"

#include "aws/sns_verify.h"
#include "base/array.h"
#include "base/clock.h"
#include "base/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES    32 /* SNS signs with one certificate a Region and renews it yearly */
#define URL_MAX    256
#define PEM_MAX    ((size_t)64 * 1024)
#define CONNECT_MS 3000
#define FETCH_MS   5000 /* two fetches must fit into the 15 s in which SNS wants its answer */
/* A sender can make us fetch by naming certificates that do not exist: a bucket of tokens bounds
 * it, and refusals are remembered. */
#define FETCHES    20
#define FETCHES_MS 60000
#define REFUSED_MS 60000

struct entry {
    char url[URL_MAX];         /* "" = free */
    struct sup_sns_cert *cert; /* NULL: refused until the time below */
    int64_t refused_until_ms;
    uint64_t used;
};

struct sup_sns_keys {
    struct sup_http_transport http;
    struct sup_sns_trust *trust;
    struct sup_sns_cert *issuers; /* configured */
    char test_signer[URL_MAX];
    struct sup_stop *stop;
    int64_t (*mono_ms)(void);
    pthread_mutex_t mutex; /* entries, tokens */
    struct entry entries[ENTRIES];
    uint64_t clock;
    double tokens;
    int64_t tokens_ms;
    pthread_mutex_t fetching; /* one fetch at a time: who waits finds the certificate there */
};

/* --- making one --- */

static int read_issuers(struct sup_sns_keys *k, const char *path, struct sup_err *err)
{
    struct sup_buf pem;
    sup_buf_init(&pem, PEM_MAX);
    FILE *f = fopen(path, "re");
    uint8_t *to = f != NULL ? sup_buf_reserve(&pem, PEM_MAX) : NULL;

    if (to != NULL)
        pem.n = fread(to, 1, PEM_MAX, f);
    if (f != NULL)
        fclose(f);
    int rc = sup_sns_cert_read(sup_buf_slice(&pem), &k->issuers, err);
    sup_buf_fini(&pem);
    return rc == SUP_OK ? rc : sup_err_prefix(err, rc, "%s", path);
}

static int take_signer(struct sup_sns_keys *k, const char *url, struct sup_err *err)
{
    struct sup_url u;

    if (sup_url_parse(&u, url, err) != SUP_OK)
        return SUP_EINPUT;
    if (!sup_url_is_loopback(&u) || u.path.n > 0 || u.query.n > 0 || strlen(url) >= URL_MAX)
        return sup_err_set(err, SUP_EINPUT, "%s: a test signer is http://127.0.0.1:PORT", url);
    snprintf(k->test_signer, sizeof(k->test_signer), "%s", url);
    return SUP_OK;
}

int sup_sns_keys_new(struct sup_sns_keys **out, const struct sup_sns_keys_options *opts,
                     struct sup_err *err)
{
    struct sup_sns_keys *k = calloc(1, sizeof(*k));

    if (k == NULL)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    k->http = opts->http;
    k->stop = opts->stop;
    k->mono_ms = opts->mono_ms != NULL ? opts->mono_ms : sup_mono_ms;
    k->tokens = FETCHES;
    k->tokens_ms = k->mono_ms();
    pthread_mutex_init(&k->mutex, NULL);
    pthread_mutex_init(&k->fetching, NULL);
    int rc = sup_sns_trust_new(&k->trust, opts->ca_bundle, err);
    if (rc == SUP_OK && opts->issuers != NULL && opts->issuers[0] != '\0')
        rc = read_issuers(k, opts->issuers, err);
    if (rc == SUP_OK && opts->test_signer != NULL && opts->test_signer[0] != '\0')
        rc = take_signer(k, opts->test_signer, err);
    if (rc != SUP_OK) {
        sup_sns_keys_free(k);
        return rc;
    }
    *out = k;
    return SUP_OK;
}

void sup_sns_keys_free(struct sup_sns_keys *k)
{
    if (k == NULL)
        return;
    for (size_t i = 0; i < ENTRIES; i++)
        sup_sns_cert_free(k->entries[i].cert);
    sup_sns_cert_free(k->issuers);
    sup_sns_trust_free(k->trust);
    pthread_mutex_destroy(&k->mutex);
    pthread_mutex_destroy(&k->fetching);
    free(k);
}

/* --- cache --- */

/* SUP_OK with a certificate of the caller's; SUP_EAUTH: refused not long ago; SUP_ENOTFOUND. */
static int look_up(struct sup_sns_keys *k, const char *url, struct sup_sns_cert **out)
{
    int rc = SUP_ENOTFOUND;

    pthread_mutex_lock(&k->mutex);
    for (size_t i = 0; i < ENTRIES && rc == SUP_ENOTFOUND; i++) {
        struct entry *e = &k->entries[i];
        if (strcmp(e->url, url) != 0)
            continue;
        e->used = ++k->clock;
        if (e->cert != NULL) {
            *out = sup_sns_cert_ref(e->cert);
            rc = SUP_OK;
        } else if (k->mono_ms() < e->refused_until_ms) {
            rc = SUP_EAUTH;
        } else {
            e->url[0] = '\0';
        }
    }
    pthread_mutex_unlock(&k->mutex);
    return rc;
}

/* Refusals make room first, then whatever was used longest ago: names that do not exist must not
 * push out certificates in use. */
static bool goes_before(const struct entry *a, const struct entry *b)
{
    if ((a->url[0] == '\0') != (b->url[0] == '\0'))
        return a->url[0] == '\0';
    if ((a->cert == NULL) != (b->cert == NULL))
        return a->cert == NULL;
    return a->used < b->used;
}

/* cert NULL: a refusal. */
static void keep(struct sup_sns_keys *k, const char *url, struct sup_sns_cert *cert)
{
    pthread_mutex_lock(&k->mutex);
    struct entry *e = &k->entries[0];
    for (size_t i = 1; i < ENTRIES; i++)
        if (goes_before(&k->entries[i], e))
            e = &k->entries[i];
    sup_sns_cert_free(e->cert);
    snprintf(e->url, sizeof(e->url), "%s", url);
    e->cert = cert != NULL ? sup_sns_cert_ref(cert) : NULL;
    e->refused_until_ms = k->mono_ms() + REFUSED_MS;
    e->used = ++k->clock;
    pthread_mutex_unlock(&k->mutex);
}

static bool take_token(struct sup_sns_keys *k)
{
    pthread_mutex_lock(&k->mutex);
    int64_t now = k->mono_ms();
    k->tokens += (double)(now - k->tokens_ms) * FETCHES / FETCHES_MS;
    k->tokens = k->tokens < FETCHES ? k->tokens : FETCHES;
    k->tokens_ms = now;
    bool ok = k->tokens >= 1;
    k->tokens -= ok ? 1 : 0;
    pthread_mutex_unlock(&k->mutex);
    return ok;
}

/* --- fetching --- */

static int get(struct sup_sns_keys *k, const char *what, const char *url,
               struct sup_http_response *r, struct sup_err *err)
{
    const struct sup_http_request req = {.method = "GET",
                                         .url = url,
                                         .connect_timeout_ms = CONNECT_MS,
                                         .timeout_ms = FETCH_MS,
                                         .max_body = PEM_MAX,
                                         .stop = k->stop};

    if (!take_token(k))
        return sup_err_set(err, SUP_EAGAIN, "too many fetches within a minute");
    int rc = k->http.send(k->http.arg, &req, r, err);
    if (rc == SUP_ECLOSED || rc == SUP_ENOMEM)
        return rc;
    if (rc != SUP_OK) {
        sup_err_prefix(err, SUP_EAGAIN, "%s cannot be fetched", what);
        return SUP_EAGAIN;
    }
    if (r->status == 200)
        return SUP_OK;
    return sup_err_set(
        err, r->status >= 400 && r->status < 500 && r->status != 429 ? SUP_EAUTH : SUP_EAGAIN,
        "%s: HTTP status %d", what, r->status);
}

static bool is_test_signer(const struct sup_sns_keys *k, const char *url)
{
    size_t n = strlen(k->test_signer);

    return n > 0 && strncmp(url, k->test_signer, n) == 0 && url[n] == '/';
}

/* The chain, with the certificate between fetched if nobody sent it: SNS publishes its certificate
 * alone. */
static int check_chain(struct sup_sns_keys *k, const struct sup_sns_cert *c, int64_t now_ms,
                       struct sup_err *err)
{
    char url[SUP_SNS_ISSUER_URL_MAX];
    struct sup_sns_cert *issuer = NULL;
    struct sup_http_response r;
    int rc = sup_sns_cert_chain(c, k->trust, k->issuers, now_ms, err);

    if (rc != SUP_ENOTFOUND)
        return rc;
    if (sup_sns_cert_issuer_url(c, url) != SUP_OK)
        return SUP_EAUTH;
    sup_http_response_init(&r);
    rc = get(k, "the authority of the signing certificate", url, &r, err);
    if (rc == SUP_EAUTH)
        rc =
            SUP_EAGAIN; /* Amazon's repository is at odds with Amazon's certificate: not for ever */
    if (rc == SUP_OK)
        rc = sup_sns_issuer_read(sup_buf_slice(&r.body), &issuer, err);
    if (rc == SUP_OK)
        rc = sup_sns_cert_chain(c, k->trust, issuer, now_ms, err);
    sup_sns_cert_free(issuer);
    sup_http_response_fini(&r);
    return rc == SUP_ENOTFOUND || rc == SUP_EINPUT ? SUP_EAUTH : rc;
}

static int fetch(struct sup_sns_keys *k, const char *url, int64_t now_ms, struct sup_sns_cert **out,
                 struct sup_err *err)
{
    struct sup_http_response r;
    struct sup_sns_cert *c = NULL;

    sup_http_response_init(&r);
    int rc = get(k, "the signing certificate", url, &r, err);
    if (rc == SUP_OK && sup_sns_cert_read(sup_buf_slice(&r.body), &c, err) != SUP_OK)
        rc = SUP_EAUTH;
    if (rc == SUP_OK && !is_test_signer(k, url))
        rc = check_chain(k, c, now_ms, err);
    sup_http_response_fini(&r);
    if (rc == SUP_OK || rc == SUP_EAUTH)
        keep(k, url, rc == SUP_OK ? c : NULL);
    if (rc == SUP_OK)
        *out = c;
    else
        sup_sns_cert_free(c);
    return rc;
}

static int cert_of(struct sup_sns_keys *k, const char *url, int64_t now_ms,
                   struct sup_sns_cert **out, struct sup_err *err)
{
    int rc = look_up(k, url, out);

    if (rc == SUP_ENOTFOUND) {
        pthread_mutex_lock(&k->fetching);
        rc = look_up(k, url, out);
        if (rc == SUP_ENOTFOUND)
            rc = fetch(k, url, now_ms, out, err);
        else if (rc == SUP_EAUTH)
            sup_err_set(err, rc, "the signing certificate was refused");
        pthread_mutex_unlock(&k->fetching);
    } else if (rc == SUP_EAUTH) {
        sup_err_set(err, rc, "the signing certificate was refused a moment ago");
    }
    return rc;
}

/* --- questions --- */

int sup_sns_keys_verify(struct sup_sns_keys *k, const struct sup_sns_message *m, int64_t now_ms,
                        struct sup_err *err)
{
    char region[SUP_SNS_REGION_MAX];
    struct sup_sns_cert *c = NULL;
    int rc = sup_sns_topic_region(m->topic_arn, region, err);

    if (rc == SUP_OK && strlen(m->cert_url) >= URL_MAX)
        rc = sup_err_set(err, SUP_EINPUT, "SigningCertURL is too long");
    if (rc == SUP_OK && !is_test_signer(k, m->cert_url))
        rc = sup_sns_cert_url_check(m->cert_url, region, err);
    if (rc == SUP_OK)
        rc = cert_of(k, m->cert_url, now_ms, &c, err);
    if (rc == SUP_OK)
        rc = sup_sns_cert_dates(c, now_ms, err);
    if (rc == SUP_OK)
        rc = sup_sns_cert_names(c, region, err);
    if (rc == SUP_OK)
        rc = sup_sns_signature_check(m, c, err);
    sup_sns_cert_free(c);
    return rc;
}

int sup_sns_keys_confirm(struct sup_sns_keys *k, const struct sup_sns_message *m,
                         struct sup_err *err)
{
    struct sup_http_response r;
    int rc = SUP_OK;

    if (!is_test_signer(k, m->subscribe_url))
        rc = sup_sns_subscribe_url_check(m->subscribe_url, m->topic_arn, err);
    if (rc != SUP_OK)
        return rc;
    sup_http_response_init(&r);
    rc = get(k, "the confirmation", m->subscribe_url, &r, err);
    sup_http_response_fini(&r);
    return rc;
}
