#include "base/clock.h"
#include "base/random.h"
#include "mesh/expiry.h"
#include "mesh/tls_mbed.h"

#include <mbedtls/error.h>
#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/x509.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct sup_identity {
    atomic_uint holders;
    mbedtls_x509_crt ca;
    mbedtls_x509_crt cert;
    mbedtls_x509_crl crl;
    int64_t crl_grace_ms;
    mbedtls_pk_context key;
    mbedtls_ssl_config server;
    mbedtls_ssl_config client;
};

static int random_bytes(void *arg, unsigned char *out, size_t n)
{
    (void)arg;
    sup_random_bytes(out, n);
    return 0;
}

static int refuse(struct sup_err *err, const char *what, int rv)
{
    char text[128];

    mbedtls_strerror(rv, text, sizeof(text));
    return sup_err_set(err, SUP_EINPUT, "%s: %s", what, text);
}

/* --- certificates --- */

static void printable(char *text)
{
    for (char *p = text; *p; p++) {
        if (*p < ' ' || *p > '~')
            *p = '?';
    }
}

static void take_name(char out[SUP_TLS_NAME_MAX + 1], const mbedtls_x509_buf *b)
{
    (void)snprintf(out, SUP_TLS_NAME_MAX + 1, "%.*s",
                   b->len < SUP_TLS_NAME_MAX ? (int)b->len : SUP_TLS_NAME_MAX, (const char *)b->p);
    printable(out);
}

void sup_cert_name(const mbedtls_x509_crt *crt, char out[SUP_TLS_NAME_MAX + 1])
{
    const mbedtls_x509_sequence *san = &crt->subject_alt_names;

    out[0] = '\0';
    for (; san && san->buf.p; san = san->next) {
        mbedtls_x509_subject_alternative_name name;
        if (mbedtls_x509_parse_subject_alt_name(&san->buf, &name) == 0 &&
            name.type == MBEDTLS_X509_SAN_DNS_NAME) {
            take_name(out, &name.san.unstructured_name);
            return;
        }
    }
    for (const mbedtls_x509_name *n = &crt->subject; n; n = n->next) {
        if (n->oid.p && MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &n->oid) == 0)
            take_name(out, &n->val);
    }
}

/* mbedTLS compares names while it verifies (DNS names, else the common name; RFC 6125). Against no
 * authority it does little else, and of what it finds only this is looked at. */
bool sup_cert_carries(mbedtls_x509_crt *crt, const char *name)
{
    mbedtls_x509_crt none;
    uint32_t flags = 0;

    mbedtls_x509_crt_init(&none);
    int rv = mbedtls_x509_crt_verify(crt, &none, NULL, name, &flags, NULL, NULL);
    mbedtls_x509_crt_free(&none);
    return (rv == 0 || rv == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED) &&
           (flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) == 0;
}

const char *sup_cert_fault(uint32_t flags)
{
    static const struct {
        uint32_t flag;
        const char *text;
    } faults[] = {
        {MBEDTLS_X509_BADCERT_MISSING, "missing"},
        {MBEDTLS_X509_BADCERT_REVOKED, "revoked"},
        {MBEDTLS_X509_BADCERT_NOT_TRUSTED, "not signed by a trusted authority"},
        {MBEDTLS_X509_BADCERT_EXPIRED, "expired"},
        {MBEDTLS_X509_BADCERT_FUTURE, "not yet valid"},
        {MBEDTLS_X509_BADCERT_CN_MISMATCH, "of another name"},
        {MBEDTLS_X509_BADCRL_NOT_TRUSTED, "not checkable: the CRL is not its authority's"},
        {MBEDTLS_X509_BADCRL_FUTURE, "not checkable: the CRL is not yet valid"},
        {MBEDTLS_X509_BADCRL_EXPIRED, "not checkable: the CRL is out of date"},
        {MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE |
             MBEDTLS_X509_BADCERT_NS_CERT_TYPE,
         "not meant for this use (key usage)"},
        {MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK | MBEDTLS_X509_BADCERT_BAD_KEY,
         "of a weak kind (hash, algorithm or key size)"},
    };

    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        if (flags & faults[i].flag)
            return faults[i].text;
    }
    return "not acceptable";
}

static int64_t wall_ms(const mbedtls_x509_time *t)
{
    struct tm tm = {.tm_year = t->year - 1900,
                    .tm_mon = t->mon - 1,
                    .tm_mday = t->day,
                    .tm_hour = t->hour,
                    .tm_min = t->min,
                    .tm_sec = t->sec};
    return (int64_t)timegm(&tm) * 1000;
}

/* --- chains of peers --- */

static int parse_chain(struct sup_slice der, mbedtls_x509_crt *out)
{
    const uint8_t *p = der.p;
    size_t left = der.n;

    mbedtls_x509_crt_init(out);
    while (left > 0) {
        mbedtls_x509_crt *last = out;
        /* Takes the first certificate of what follows. */
        if (mbedtls_x509_crt_parse_der(out, p, left) != 0)
            return SUP_ECORRUPT;
        while (last->next)
            last = last->next;
        p += last->raw.len;
        left -= last->raw.len;
    }
    return out->raw.p ? SUP_OK : SUP_ECORRUPT;
}

bool sup_chain_carries(struct sup_slice chain, const char *name)
{
    mbedtls_x509_crt crt;
    bool carries = parse_chain(chain, &crt) == SUP_OK && sup_cert_carries(&crt, name);

    mbedtls_x509_crt_free(&crt);
    return carries;
}

int sup_chain_check(struct sup_slice chain, const struct sup_identity *id, struct sup_err *err)
{
    struct sup_identity *lists = (struct sup_identity *)(uintptr_t)id; /* mbedTLS does not write */
    mbedtls_x509_crt crt;
    uint32_t flags = 0;
    int rc = parse_chain(chain, &crt);

    if (rc == SUP_OK)
        (void)mbedtls_x509_crt_verify(&crt, &lists->ca, &lists->crl, NULL, &flags, NULL, NULL);
    mbedtls_x509_crt_free(&crt);
    flags &= MBEDTLS_X509_BADCERT_REVOKED | MBEDTLS_X509_BADCERT_NOT_TRUSTED;
    if (rc != SUP_OK)
        return sup_err_set(err, SUP_EAUTH, "certificate cannot be read");
    return flags == 0 ? SUP_OK
                      : sup_err_set(err, SUP_EAUTH, "certificate is %s", sup_cert_fault(flags));
}

/* --- identities --- */

/* mbedTLS 2.28 keeps multiples of a curve's generator in the key at its first use, without a lock
 * (ecp.c: grp->T), and keys are used by several threads here. So the first use is now. Signature
 * (1, 1) is wrong for every key, but takes each step of a verification. */
static void use_once(mbedtls_pk_context *key)
{
    static const unsigned char one_one[] = {0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01};
    unsigned char hash[32];

    memset(hash, 0xAA, sizeof(hash));
    if (mbedtls_pk_can_do(key, MBEDTLS_PK_ECDSA))
        (void)mbedtls_pk_verify(key, MBEDTLS_MD_SHA256, hash, sizeof(hash), one_one,
                                sizeof(one_one));
}

static int parse_text(int (*parse)(void *, const unsigned char *, size_t), void *into,
                      const char *pem, const char *what, struct sup_err *err)
{
    /* With its NUL: that is how mbedTLS tells PEM from DER. Positive: so many were not readable. */
    int rv = parse(into, (const unsigned char *)pem, strlen(pem) + 1);

    if (rv > 0)
        return sup_err_set(err, SUP_EINPUT, "%s: %d certificates in it cannot be read", what, rv);
    return rv == 0 ? SUP_OK : refuse(err, what, rv);
}

static int parse_crt(void *into, const unsigned char *p, size_t n)
{
    return mbedtls_x509_crt_parse(into, p, n);
}

static int parse_crl(void *into, const unsigned char *p, size_t n)
{
    return mbedtls_x509_crl_parse(into, p, n);
}

static int parse_key(void *into, const unsigned char *p, size_t n)
{
    return mbedtls_pk_parse_key(into, p, n, NULL, 0);
}

static int parse_all(struct sup_identity *id, const struct sup_identity_pem *pem,
                     struct sup_err *err)
{
    int rc = parse_text(parse_crt, &id->ca, pem->ca, "ca", err);

    if (rc == SUP_OK && pem->crl)
        rc = parse_text(parse_crl, &id->crl, pem->crl, "crl", err);
    if (rc == SUP_OK)
        rc = parse_text(parse_crt, &id->cert, pem->cert, "certificate", err);
    if (rc == SUP_OK)
        rc = parse_text(parse_key, &id->key, pem->key, "key", err);
    return rc;
}

static int check_all(struct sup_identity *id, const char *node, struct sup_err *err)
{
    char name[SUP_TLS_NAME_MAX + 1];

    if (mbedtls_pk_check_pair(&id->cert.pk, &id->key) != 0)
        return sup_err_set(err, SUP_EINPUT, "certificate or key: they do not belong together");
    if (!node || sup_cert_carries(&id->cert, node))
        return SUP_OK;
    sup_cert_name(&id->cert, name);
    return sup_err_set(err, SUP_EINPUT,
                       "certificate: it is issued to %s, not to this node: peers want the name %s "
                       "in it",
                       name, node);
}

static int configure(struct sup_identity *id, mbedtls_ssl_config *c, int endpoint,
                     struct sup_err *err)
{
    int rv = mbedtls_ssl_config_defaults(c, endpoint, MBEDTLS_SSL_TRANSPORT_STREAM,
                                         MBEDTLS_SSL_PRESET_DEFAULT);

    if (rv != 0)
        return refuse(err, "TLS", rv);
    mbedtls_ssl_conf_rng(c, random_bytes, NULL);
    mbedtls_ssl_conf_min_version(c, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    /* A server asks for no certificate unless told. */
    mbedtls_ssl_conf_authmode(c, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(c, &id->ca, id->crl.raw.p ? &id->crl : NULL);
    rv = mbedtls_ssl_conf_own_cert(c, &id->cert, &id->key);
    return rv == 0 ? SUP_OK : refuse(err, "certificate or key", rv);
}

int sup_identity_new(const struct sup_identity_pem *pem, const char *node,
                     struct sup_identity **out, struct sup_err *err)
{
    struct sup_identity *id = calloc(1, sizeof(*id));

    if (!id)
        return sup_err_set(err, SUP_ENOMEM, "no memory for certificates");
    atomic_init(&id->holders, 1);
    id->crl_grace_ms = pem->crl_grace_ms;
    mbedtls_x509_crt_init(&id->ca);
    mbedtls_x509_crt_init(&id->cert);
    mbedtls_x509_crl_init(&id->crl);
    mbedtls_pk_init(&id->key);
    mbedtls_ssl_config_init(&id->server);
    mbedtls_ssl_config_init(&id->client);
    int rc = parse_all(id, pem, err);
    if (rc == SUP_OK)
        rc = check_all(id, node, err);
    if (rc == SUP_OK)
        rc = configure(id, &id->server, MBEDTLS_SSL_IS_SERVER, err);
    if (rc == SUP_OK)
        rc = configure(id, &id->client, MBEDTLS_SSL_IS_CLIENT, err);
    if (rc != SUP_OK) {
        sup_identity_release(id);
        return rc;
    }
    use_once(&id->key);
    for (mbedtls_x509_crt *c = &id->ca; c; c = c->next)
        use_once(&c->pk);
    for (mbedtls_x509_crt *c = &id->cert; c; c = c->next)
        use_once(&c->pk);
    *out = id;
    return SUP_OK;
}

struct sup_identity *sup_identity_hold(struct sup_identity *id)
{
    atomic_fetch_add(&id->holders, 1);
    return id;
}

void sup_identity_release(struct sup_identity *id)
{
    if (!id || atomic_fetch_sub(&id->holders, 1) > 1)
        return;
    mbedtls_ssl_config_free(&id->client);
    mbedtls_ssl_config_free(&id->server);
    mbedtls_pk_free(&id->key); /* wipes it */
    mbedtls_x509_crl_free(&id->crl);
    mbedtls_x509_crt_free(&id->cert);
    mbedtls_x509_crt_free(&id->ca);
    free(id);
}

/* --- dates --- */

static bool same(const mbedtls_x509_buf *a, const mbedtls_x509_buf *b)
{
    return a->len == b->len && memcmp(a->p, b->p, a->len) == 0;
}

static int64_t next_update(const mbedtls_x509_crl *crl)
{
    return crl->next_update.year > 0 ? wall_ms(&crl->next_update) : 0;
}

/* When the next list of that issuer is due; 0 = there is none, or it does not say. Of several the
 * newest counts, for the others were replaced by it. */
static int64_t next_update_of(const struct sup_identity *id, const mbedtls_x509_buf *issuer)
{
    int64_t newest = 0;

    for (const mbedtls_x509_crl *c = &id->crl; c && c->raw.p; c = c->next) {
        if (same(&c->issuer_raw, issuer) && next_update(c) > newest)
            newest = next_update(c);
    }
    return newest;
}

bool sup_identity_crl_is_stale(const struct sup_identity *id, const mbedtls_x509_crt *crt)
{
    return sup_crl_state(sup_wall_ms(), next_update_of(id, &crt->issuer_raw), id->crl_grace_ms) ==
           SUP_CRL_STALE;
}

static void take_sooner(const mbedtls_x509_crt *c, int64_t *from, int64_t *until)
{
    for (; c; c = c->next) {
        int64_t end = wall_ms(&c->valid_to);
        if (*until != 0 && end >= *until)
            continue;
        *until = end;
        *from = wall_ms(&c->valid_from);
    }
}

void sup_identity_dates(const struct sup_identity *id, struct sup_mesh_tls_dates *out)
{
    *out = (struct sup_mesh_tls_dates){.crl_grace_ms = id->crl_grace_ms};
    take_sooner(&id->cert, &out->cert_from_ms, &out->cert_until_ms);
    take_sooner(&id->ca, &out->ca_from_ms, &out->ca_until_ms);
    for (const mbedtls_x509_crl *c = &id->crl; c && c->raw.p; c = c->next) {
        int64_t due = next_update_of(id, &c->issuer_raw);
        if (due != 0 && (out->crl_until_ms == 0 || due < out->crl_until_ms))
            out->crl_until_ms = due;
    }
}

const mbedtls_ssl_config *sup_identity_config(const struct sup_identity *id, bool server)
{
    return server ? &id->server : &id->client;
}
