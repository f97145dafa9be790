#include "sns_signer.h"

#include "text.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *cert = X509_new();
    if (!cert)
        return NULL;
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -86400);
    X509_gmtime_adj(X509_getm_notAfter(cert), 365L * 86400);
    X509_set_pubkey(cert, key);
    X509_NAME *name = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"sns.amazonaws.com",
                               -1, -1, 0);
    X509_set_issuer_name(cert, name);
    if (!X509_sign(cert, key, EVP_sha256())) {
        X509_free(cert);
        return NULL;
    }
    return cert;
}

static char *certificate_pem(X509 *cert)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL, *pem = NULL;
    if (bio && PEM_write_bio_X509(bio, cert)) {
        long n = BIO_get_mem_data(bio, &text);
        pem = sim_strndup(text, n > 0 ? (size_t)n : 0);
    }
    BIO_free(bio);
    return pem;
}

bool sim_sns_signer_init(struct sim_sns_signer *s, int version)
{
    s->version = version;
    s->key = EVP_RSA_gen(2048);
    X509 *cert = s->key ? make_certificate(s->key) : NULL;
    s->pem = cert ? certificate_pem(cert) : NULL;
    X509_free(cert);
    if (!s->pem)
        return false;
    char digest[33];
    sim_md5_hex(digest, s->pem, strlen(s->pem));
    snprintf(s->path, sizeof s->path, "/SimpleNotificationService-%s.pem", digest);
    return true;
}

void sim_sns_signer_fini(struct sim_sns_signer *s)
{
    EVP_PKEY_free(s->key);
    free(s->pem);
    *s = (struct sim_sns_signer){0};
}

static void add_line(struct sim_buf *b, const char *name, const char *value)
{
    sim_buf_printf(b, "%s\n", name);
    sim_buf_str(b, value);
    sim_buf_char(b, '\n');
}

void sim_sns_sign(const struct sim_sns_signer *s, const struct sim_notification *n,
                  struct sim_buf *signature)
{
    struct sim_buf text = {0};
    add_line(&text, "Message", n->message);
    add_line(&text, "MessageId", n->message_id);
    if (n->subject)
        add_line(&text, "Subject", n->subject);
    add_line(&text, "Timestamp", n->timestamp);
    add_line(&text, "TopicArn", n->topic_arn);
    add_line(&text, "Type", "Notification");
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char raw[512];
    size_t len = sizeof raw;
    if (s->version && ctx &&
        EVP_DigestSignInit(ctx, NULL, s->version == 2 ? EVP_sha256() : EVP_sha1(), NULL, s->key) ==
            1 &&
        EVP_DigestSign(ctx, raw, &len, (const unsigned char *)text.data, text.len) == 1)
        sim_base64(signature, raw, len);
    else
        sim_buf_str(signature, "EXAMPLE");
    EVP_MD_CTX_free(ctx);
    sim_buf_fini(&text);
}
