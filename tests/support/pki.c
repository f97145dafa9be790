#include "pki.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY          86400L
#define FILES_MAX    64
#define PATH_MAX_    256
#define PATH_BUFFERS 8

struct pki {
    char dir[64];
    char files[FILES_MAX][64];
    int n_files;
    long serial;
};

static void need(bool ok, const char *what)
{
    if (ok)
        return;
    (void)fprintf(stderr, "pki: %s failed\n", what);
    abort();
}

const char *pki_dir(const struct pki *p)
{
    return p->dir;
}

const char *pki_path(const struct pki *p, const char *file)
{
    static char buffers[PATH_BUFFERS][PATH_MAX_];
    static int next;
    char *out = buffers[next++ % PATH_BUFFERS];

    (void)snprintf(out, PATH_MAX_, "%s/%s", p->dir, file);
    return out;
}

static FILE *create(struct pki *p, const char *name, const char *suffix)
{
    char *file = p->files[p->n_files];

    need(p->n_files < FILES_MAX, "room for files");
    (void)snprintf(file, sizeof(p->files[0]), "%s.%s", name, suffix);
    p->n_files++;
    FILE *f = fopen(pki_path(p, file), "w");
    need(f != NULL, "creating a file");
    return f;
}

static void write_cert(struct pki *p, const char *name, X509 *cert)
{
    FILE *f = create(p, name, "pem");
    need(PEM_write_X509(f, cert) == 1 && fclose(f) == 0, "writing a certificate");
}

static void write_key(struct pki *p, const char *name, EVP_PKEY *key)
{
    FILE *f = create(p, name, "key");
    (void)fchmod(fileno(f), 0600);
    need(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1 && fclose(f) == 0,
         "writing a key");
}

static X509 *read_cert(const struct pki *p, const char *name)
{
    char file[64];
    (void)snprintf(file, sizeof(file), "%s.pem", name);
    FILE *f = fopen(pki_path(p, file), "r");
    X509 *cert = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
    need(cert != NULL && fclose(f) == 0, "reading a certificate");
    return cert;
}

static EVP_PKEY *read_key(const struct pki *p, const char *name)
{
    char file[64];
    (void)snprintf(file, sizeof(file), "%s.key", name);
    FILE *f = fopen(pki_path(p, file), "r");
    EVP_PKEY *key = f ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;
    need(key != NULL && fclose(f) == 0, "reading a key");
    return key;
}

static void extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    need(e != NULL && X509_add_ext(cert, e, -1) == 1, "adding an extension");
    X509_EXTENSION_free(e);
}

static X509 *cert_new(struct pki *p, const char *cn, EVP_PKEY *key, int from_days, int until_days)
{
    X509 *cert = X509_new();
    X509_NAME *name = X509_NAME_new();

    need(cert && name, "a certificate");
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), ++p->serial);
    X509_gmtime_adj(X509_getm_notBefore(cert), from_days * DAY);
    X509_gmtime_adj(X509_getm_notAfter(cert), until_days * DAY);
    need(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1,
                                    0) == 1,
         "a name");
    X509_set_subject_name(cert, name);
    X509_NAME_free(name);
    X509_set_pubkey(cert, key);
    return cert;
}

void pki_authority(struct pki *p, const char *name)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = cert_new(p, name, key, -10, 60);

    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE");
    extension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign");
    need(X509_sign(cert, key, EVP_sha256()) > 0, "signing");
    write_cert(p, name, cert);
    write_key(p, name, key);
    X509_free(cert);
    EVP_PKEY_free(key);
}

void pki_issue(struct pki *p, const char *authority, const char *name, const char *dns,
               bool expired)
{
    pki_issue_dates(p, authority, name, dns, -10, expired ? -1 : 60);
}

void pki_issue_dates(struct pki *p, const char *authority, const char *name, const char *dns,
                     int from_days, int until_days)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    EVP_PKEY *ca_key = read_key(p, authority);
    X509 *ca = read_cert(p, authority);
    X509 *cert = cert_new(p, dns, key, from_days, until_days);
    char san[128];

    (void)snprintf(san, sizeof(san), "DNS:%s", dns);
    X509_set_issuer_name(cert, X509_get_subject_name(ca));
    extension(cert, ca, NID_subject_alt_name, san);
    need(X509_sign(cert, ca_key, EVP_sha256()) > 0, "signing");
    write_cert(p, name, cert);
    write_key(p, name, key);
    X509_free(cert);
    X509_free(ca);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(key);
}

void pki_revoke(struct pki *p, const char *authority, const char *name, const char *revoked)
{
    pki_revoke_until(p, authority, name, revoked, 1);
}

void pki_revoke_until(struct pki *p, const char *authority, const char *name, const char *revoked,
                      int until_days)
{
    EVP_PKEY *ca_key = read_key(p, authority);
    X509 *ca = read_cert(p, authority);
    X509 *victim = read_cert(p, revoked);
    X509_CRL *crl = X509_CRL_new();
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_TIME *now = X509_gmtime_adj(NULL, -10 * DAY);
    ASN1_TIME *next = X509_gmtime_adj(NULL, until_days * DAY);

    X509_CRL_set_version(crl, 1);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca));
    X509_CRL_set1_lastUpdate(crl, now);
    X509_CRL_set1_nextUpdate(crl, next);
    X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(victim));
    X509_REVOKED_set_revocationDate(entry, now);
    need(X509_CRL_add0_revoked(crl, entry) == 1, "revoking");
    X509_CRL_sort(crl);
    need(X509_CRL_sign(crl, ca_key, EVP_sha256()) > 0, "signing a revocation list");
    FILE *f = create(p, name, "crl");
    need(PEM_write_X509_CRL(f, crl) == 1 && fclose(f) == 0, "writing a revocation list");
    ASN1_TIME_free(now);
    ASN1_TIME_free(next);
    X509_CRL_free(crl);
    X509_free(victim);
    X509_free(ca);
    EVP_PKEY_free(ca_key);
}

struct pki *pki_new(void)
{
    struct pki *p = calloc(1, sizeof(*p));

    need(p != NULL, "memory");
    (void)snprintf(p->dir, sizeof(p->dir), "/tmp/supsync-pki-XXXXXX");
    need(mkdtemp(p->dir) != NULL, "a temporary directory");
    pki_authority(p, "ca");
    return p;
}

void pki_free(struct pki *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->n_files; i++)
        (void)unlink(pki_path(p, p->files[i]));
    (void)rmdir(p->dir);
    free(p);
}
