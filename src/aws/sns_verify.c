#include "aws/sns_verify.h"

#include "aws/http.h"
#include "base/array.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CHAIN_MAX       8
#define SIGNATURE_BYTES 4096

struct sup_sns_cert {
    atomic_uint owners;
    X509 *leaf;
    STACK_OF(X509) * above; /* what came with it */
};

struct sup_sns_trust {
    X509_STORE *store;
};

/* --- reading --- */

static int add_above(struct sup_sns_cert *c, X509 *one)
{
    if (c->above == NULL)
        c->above = sk_X509_new_null();
    if (c->above != NULL && sk_X509_num(c->above) < CHAIN_MAX && sk_X509_push(c->above, one) > 0)
        return SUP_OK;
    X509_free(one);
    return SUP_ENOMEM;
}

static int read_pem(struct sup_sns_cert *c, BIO *bio)
{
    X509 *one;
    int rc = SUP_OK;

    c->leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    while (rc == SUP_OK && c->leaf != NULL &&
           (one = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
        rc = add_above(c, one);
    ERR_clear_error();
    return c->leaf != NULL ? rc : SUP_EINPUT;
}

static int read_der(struct sup_sns_cert *c, struct sup_slice der)
{
    const unsigned char *p = der.p;

    c->leaf = d2i_X509(NULL, &p, (long)der.n);
    ERR_clear_error();
    return c->leaf != NULL ? SUP_OK : SUP_EINPUT;
}

static int cert_read(struct sup_slice bytes, bool der, struct sup_sns_cert **out,
                     struct sup_err *err)
{
    struct sup_sns_cert *c = calloc(1, sizeof(*c));
    BIO *bio = bytes.n > 0 && bytes.n < (1 << 20) ? BIO_new_mem_buf(bytes.p, (int)bytes.n) : NULL;
    int rc = c == NULL ? SUP_ENOMEM : bio == NULL ? SUP_EINPUT : read_pem(c, bio);

    if (rc == SUP_EINPUT && der && bio != NULL)
        rc = read_der(c, bytes);
    BIO_free(bio);
    if (rc != SUP_OK) {
        sup_sns_cert_free(c);
        return sup_err_set(err, rc, rc == SUP_ENOMEM ? "out of memory" : "not a certificate");
    }
    atomic_init(&c->owners, 1);
    *out = c;
    return SUP_OK;
}

struct sup_sns_cert *sup_sns_cert_ref(struct sup_sns_cert *c)
{
    atomic_fetch_add(&c->owners, 1);
    return c;
}

int sup_sns_cert_read(struct sup_slice pem, struct sup_sns_cert **out, struct sup_err *err)
{
    return cert_read(pem, false, out, err);
}

int sup_sns_issuer_read(struct sup_slice bytes, struct sup_sns_cert **out, struct sup_err *err)
{
    return cert_read(bytes, true, out, err);
}

void sup_sns_cert_free(struct sup_sns_cert *c)
{
    /* 0 before it is complete. */
    if (c == NULL || (atomic_load(&c->owners) > 0 && atomic_fetch_sub(&c->owners, 1) > 1))
        return;
    X509_free(c->leaf);
    sk_X509_pop_free(c->above, X509_free);
    free(c);
}

/* --- what it says --- */

int sup_sns_cert_dates(const struct sup_sns_cert *c, int64_t at_ms, struct sup_err *err)
{
    time_t at = (time_t)(at_ms / 1000);

    if (X509_cmp_time(X509_get0_notBefore(c->leaf), &at) >= 0)
        return sup_err_set(err, SUP_EAUTH, "the signing certificate is not valid yet");
    if (X509_cmp_time(X509_get0_notAfter(c->leaf), &at) <= 0)
        return sup_err_set(err, SUP_EAUTH, "the signing certificate has expired");
    return SUP_OK;
}

static bool has_name(const struct sup_sns_cert *c, const char *prefix, const char *region,
                     const char *suffix)
{
    char want[3 * SUP_SNS_REGION_MAX];

    snprintf(want, sizeof(want), "%s%s%s", prefix, region, suffix);
    return X509_check_host(c->leaf, want, strlen(want), X509_CHECK_FLAG_NO_WILDCARDS, NULL) == 1;
}

int sup_sns_cert_names(const struct sup_sns_cert *c, const char *region, struct sup_err *err)
{
    static const char *const prefixes[] = {"sns-signing.", "sns-", "sns."};
    static const char *const suffixes[] = {".amazonaws.com",  ".amazonaws.com.cn",
                                           ".c2s.ic.gov",     ".sc2s.sgov.gov",
                                           ".csp.hci.ic.gov", ".cloud.adc-e.uk"};
    bool ok = has_name(c, "", "sns", ".amazonaws.com");

    for (size_t i = 0; i < SUP_COUNT(prefixes); i++)
        for (size_t k = 0; k < SUP_COUNT(suffixes); k++)
            ok = ok || has_name(c, prefixes[i], region, suffixes[k]);
    return ok ? SUP_OK
              : sup_err_set(err, SUP_EAUTH, "the signing certificate is not SNS's of %s", region);
}

/* --- chain --- */

int sup_sns_trust_new(struct sup_sns_trust **out, const char *ca_bundle, struct sup_err *err)
{
    struct sup_sns_trust *t = calloc(1, sizeof(*t));

    if (t == NULL || (t->store = X509_STORE_new()) == NULL) {
        sup_sns_trust_free(t);
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    }
    int ok = ca_bundle != NULL ? X509_STORE_load_file(t->store, ca_bundle)
                               : X509_STORE_set_default_paths(t->store);
    ERR_clear_error();
    if (ok != 1) {
        sup_sns_trust_free(t);
        return sup_err_set(err, SUP_EINPUT, "%s: is not a PEM file of certificates",
                           ca_bundle != NULL ? ca_bundle : "the system's authorities");
    }
    *out = t;
    return SUP_OK;
}

void sup_sns_trust_free(struct sup_sns_trust *t)
{
    if (t == NULL)
        return;
    X509_STORE_free(t->store);
    free(t);
}

/* A stack of borrowed certificates: what came with c, and issuers. */
static STACK_OF(X509) * untrusted(const struct sup_sns_cert *c, const struct sup_sns_cert *issuers)
{
    STACK_OF(X509) *all = sk_X509_new_null();

    for (int i = 0; all != NULL && i < sk_X509_num(c->above); i++)
        sk_X509_push(all, sk_X509_value(c->above, i));
    if (all != NULL && issuers != NULL) {
        sk_X509_push(all, issuers->leaf);
        for (int i = 0; i < sk_X509_num(issuers->above); i++)
            sk_X509_push(all, sk_X509_value(issuers->above, i));
    }
    return all;
}

static int chain_result(X509_STORE_CTX *ctx, struct sup_err *err)
{
    int why = X509_STORE_CTX_get_error(ctx);
    bool missing = why == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
                   why == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
                   why == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;

    return sup_err_set(err, missing ? SUP_ENOTFOUND : SUP_EAUTH, "the signing certificate: %s",
                       X509_verify_cert_error_string(why));
}

int sup_sns_cert_chain(const struct sup_sns_cert *c, struct sup_sns_trust *t,
                       const struct sup_sns_cert *issuers, int64_t at_ms, struct sup_err *err)
{
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    STACK_OF(X509) *more = untrusted(c, issuers);
    int rc = SUP_ENOMEM;

    if (ctx != NULL && more != NULL && X509_STORE_CTX_init(ctx, t->store, c->leaf, more) == 1) {
        X509_VERIFY_PARAM *p = X509_STORE_CTX_get0_param(ctx);
        X509_VERIFY_PARAM_set_time(p, (time_t)(at_ms / 1000));
        X509_VERIFY_PARAM_set_depth(p, CHAIN_MAX);
        rc = X509_verify_cert(ctx) == 1 ? SUP_OK : chain_result(ctx, err);
    } else {
        sup_err_set(err, rc, "out of memory");
    }
    sk_X509_free(more);
    X509_STORE_CTX_free(ctx);
    ERR_clear_error();
    return rc;
}

/* http://crt.NAME.amazontrust.com/NAME.cer or .crt */
static bool is_repository(const char *url)
{
    struct sup_url u;
    static const char tail[] = ".amazontrust.com";
    const size_t n = sizeof(tail) - 1;

    if (sup_url_parse(&u, url, NULL) != SUP_OK || u.scheme.n != 4 || u.host.n != u.authority.n)
        return false;
    return u.query.n == 0 && u.host.n > n + 4 &&
           strncasecmp((const char *)u.host.p, "crt.", 4) == 0 &&
           strncasecmp((const char *)u.host.p + u.host.n - n, tail, n) == 0;
}

int sup_sns_cert_issuer_url(const struct sup_sns_cert *c, char url[SUP_SNS_ISSUER_URL_MAX])
{
    AUTHORITY_INFO_ACCESS *list = X509_get_ext_d2i(c->leaf, NID_info_access, NULL, NULL);
    int rc = SUP_ENOTFOUND;

    for (int i = 0; rc != SUP_OK && i < sk_ACCESS_DESCRIPTION_num(list); i++) {
        const ACCESS_DESCRIPTION *d = sk_ACCESS_DESCRIPTION_value(list, i);
        if (OBJ_obj2nid(d->method) != NID_ad_ca_issuers || d->location->type != GEN_URI)
            continue;
        const ASN1_IA5STRING *s = d->location->d.uniformResourceIdentifier;
        int n = ASN1_STRING_length(s);
        if (n <= 0 || n >= SUP_SNS_ISSUER_URL_MAX)
            continue;
        memcpy(url, ASN1_STRING_get0_data(s), (size_t)n);
        url[n] = '\0';
        if (strlen(url) == (size_t)n && is_repository(url))
            rc = SUP_OK;
    }
    AUTHORITY_INFO_ACCESS_free(list);
    ERR_clear_error();
    return rc;
}

/* --- signature --- */

static int verify(EVP_PKEY *key, int version, struct sup_slice text, struct sup_slice signature)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const EVP_MD *md = version == 1 ? EVP_sha1() : EVP_sha256();
    int rc = SUP_ENOMEM;

    if (ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, md, NULL, key) == 1)
        rc = EVP_DigestVerify(ctx, signature.p, signature.n, text.p, text.n) == 1 ? SUP_OK
                                                                                  : SUP_EAUTH;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return rc;
}

int sup_sns_signature_check(const struct sup_sns_message *m, const struct sup_sns_cert *c,
                            struct sup_err *err)
{
    EVP_PKEY *key = X509_get0_pubkey(c->leaf);
    struct sup_buf text, signature;

    if (key == NULL || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA)
        return sup_err_set(err, SUP_EAUTH, "the signing certificate has no RSA key");
    sup_buf_init(&text, 2 * SUP_SNS_BODY_MAX);
    sup_buf_init(&signature, SIGNATURE_BYTES);
    sup_sns_string_to_sign(m, &text);
    int rc = sup_sns_signature(m, &signature, err);
    if (rc == SUP_OK && text.failed)
        rc = sup_err_set(err, text.failed, "too long");
    if (rc == SUP_OK) {
        rc = verify(key, m->version, sup_buf_slice(&text), sup_buf_slice(&signature));
        if (rc != SUP_OK)
            sup_err_set(err, rc, rc == SUP_EAUTH ? "the signature is not right" : "out of memory");
    }
    sup_buf_fini(&text);
    sup_buf_fini(&signature);
    return rc;
}
