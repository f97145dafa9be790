/* The TLS engine of NNG's streams, in place of the one that comes with NNG 1.5.2, which also is
 * mbedTLS. Ours knows more: which certificate a peer showed, why a handshake failed, and it takes
 * the certificates that are in force when a connection begins, so that new files need no new
 * listener. Called by NNG under the lock of the connection; it must not block.
 *
 * No session is ever resumed (neither tickets nor a cache are set up): each connection's
 * certificates are checked. Renegotiation is off, as mbedTLS has it. */

#include "mesh/handover.h"
#include "mesh/tls_mbed.h"

#include <mbedtls/error.h>
#include <nng/nng.h>
#include <nng/supplemental/tls/engine.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALERT_NONE (-1)
/* What a refused peer may still send before it has read the alert; a flight of a handshake is less.
 */
#define LINGER_MAX 65536

struct nng_tls_engine_config {
    const struct sup_mesh_tls *tls;
    bool server;
    char *server_name;
    atomic_uint used; /* a handover: NNG counts who uses it */
};

struct nng_tls_engine_conn {
    mbedtls_ssl_context ssl;
    void *nng;
    struct sup_identity *identity;
    char *server_name;
    bool server;
    bool done; /* the handshake */
    size_t lingered;
    uint32_t flags;
    int error; /* mbedTLS's that ended the handshake; 0 = none */
    int alert; /* the peer's */
    char name[SUP_TLS_NAME_MAX + 1];
    atomic_uint used; /* a handover: one operation at a time, under the lock of the connection */
};

static _Thread_local const struct sup_mesh_tls *configuring;
static _Thread_local struct sup_tls_facts *asking;

void sup_tls_engine_configure(const struct sup_mesh_tls *tls)
{
    configuring = tls;
}

void sup_tls_engine_ask(struct sup_tls_facts *out)
{
    asking = out;
}

void sup_tls_engine_asked(void)
{
    asking = NULL;
}

/* --- configurations --- */

/* NNG makes one for each endpoint, too, which ours then replaces: nothing can begin with it. */
static int config_init(nng_tls_engine_config *c, nng_tls_mode mode)
{
    c->tls = configuring;
    c->server = mode == NNG_TLS_MODE_SERVER;
    c->server_name = NULL;
    sup_handover_mark(&c->used);
    return 0;
}

static void config_fini(nng_tls_engine_config *c)
{
    sup_handover_see(&c->used);
    free(c->server_name);
}

static int config_server(nng_tls_engine_config *c, const char *name)
{
    char *copy = strdup(name);

    if (!copy)
        return NNG_ENOMEM;
    free(c->server_name);
    c->server_name = copy;
    sup_handover_mark(&c->used);
    return 0;
}

static int config_auth(nng_tls_engine_config *c, nng_tls_auth_mode mode)
{
    (void)c;
    return mode == NNG_TLS_AUTH_MODE_REQUIRED ? 0 : NNG_ENOTSUP;
}

/* The identity brings all of these. */
static int config_ca_chain(nng_tls_engine_config *c, const char *ca, const char *crl)
{
    (void)c;
    (void)ca;
    (void)crl;
    return NNG_ENOTSUP;
}

static int config_own_cert(nng_tls_engine_config *c, const char *cert, const char *key,
                           const char *pass)
{
    (void)c;
    (void)cert;
    (void)key;
    (void)pass;
    return NNG_ENOTSUP;
}

static int config_version(nng_tls_engine_config *c, nng_tls_version min, nng_tls_version max)
{
    (void)c;
    return min <= NNG_TLS_1_2 && max >= NNG_TLS_1_2 ? 0 : NNG_ENOTSUP;
}

/* --- connections --- */

static int to_peer(void *nng, const unsigned char *p, size_t n)
{
    size_t moved = n;

    switch (nng_tls_engine_send(nng, p, &moved)) {
    case 0:
        return (int)moved;
    case NNG_EAGAIN:
        return MBEDTLS_ERR_SSL_WANT_WRITE;
    default:
        return MBEDTLS_ERR_SSL_CONN_EOF;
    }
}

static int from_peer(void *nng, unsigned char *p, size_t n)
{
    size_t moved = n;

    switch (nng_tls_engine_recv(nng, p, &moved)) {
    case 0:
        return (int)moved;
    case NNG_EAGAIN:
        return MBEDTLS_ERR_SSL_WANT_READ;
    default:
        return MBEDTLS_ERR_SSL_CONN_EOF;
    }
}

/* Called for each certificate of the chain, the peer's own last. A CRL past its next update still
 * revokes what it names, and for a while accepts the others: see mesh/expiry.h. */
static int on_certificate(void *arg, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    nng_tls_engine_conn *c = arg;

    if (*flags & MBEDTLS_X509_BADCRL_EXPIRED && !sup_identity_crl_is_stale(c->identity, crt))
        *flags &= ~(uint32_t)MBEDTLS_X509_BADCRL_EXPIRED;
    c->flags |= *flags;
    if (depth == 0)
        sup_cert_name(crt, c->name);
    return 0;
}

static int conn_setup(nng_tls_engine_conn *c, const nng_tls_engine_config *cfg)
{
    c->server = cfg->server;
    c->alert = ALERT_NONE;
    if (!cfg->tls || (!cfg->server && !cfg->server_name))
        return NNG_EINVAL; /* the chain alone says only that our authority signed something */
    c->server_name = cfg->server_name ? strdup(cfg->server_name) : NULL;
    if (cfg->server_name && !c->server_name)
        return NNG_ENOMEM;
    c->identity = sup_mesh_tls_identity(cfg->tls);
    mbedtls_ssl_init(&c->ssl);
    int rv = mbedtls_ssl_setup(&c->ssl, sup_identity_config(c->identity, cfg->server));
    if (rv == 0 && c->server_name)
        rv = mbedtls_ssl_set_hostname(&c->ssl, c->server_name);
    if (rv != 0) {
        mbedtls_ssl_free(&c->ssl);
        sup_identity_release(c->identity);
        free(c->server_name);
        return NNG_ENOMEM;
    }
    return 0;
}

static int conn_init(nng_tls_engine_conn *c, void *nng, nng_tls_engine_config *cfg)
{
    sup_handover_see(&cfg->used);
    int rv = conn_setup(c, cfg);
    sup_handover_mark(&cfg->used);
    if (rv != 0)
        return rv;
    c->nng = nng;
    mbedtls_ssl_set_bio(&c->ssl, nng, to_peer, from_peer, NULL);
    mbedtls_ssl_set_verify(&c->ssl, on_certificate, c);
    sup_handover_mark(&c->used);
    return 0;
}

static void conn_fini(nng_tls_engine_conn *c)
{
    sup_handover_see(&c->used);
    mbedtls_ssl_free(&c->ssl);
    sup_identity_release(c->identity);
    free(c->server_name);
}

static void conn_close(nng_tls_engine_conn *c)
{
    sup_handover_see(&c->used);
    (void)mbedtls_ssl_close_notify(&c->ssl);
    sup_handover_mark(&c->used);
}

/* What NNG hands to the operations that wait. */
static int failure(int rv)
{
    switch (rv) {
    case MBEDTLS_ERR_SSL_WANT_READ:
    case MBEDTLS_ERR_SSL_WANT_WRITE:
        return NNG_EAGAIN;
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
    case MBEDTLS_ERR_SSL_CONN_EOF:
        return NNG_ECONNSHUT;
    case MBEDTLS_ERR_SSL_ALLOC_FAILED:
        return NNG_ENOMEM;
    default:
        return NNG_ECRYPTO;
    }
}

/* We refused, and an alert says why. NNG closes as soon as it hears of that; with bytes of the peer
 * unread, TCP would reset the connection and could destroy the alert on its way. So the peer is
 * waited for until it hangs up; one that does not meets the deadline for its HELLO. */
static int linger(nng_tls_engine_conn *c)
{
    while (c->lingered < LINGER_MAX) {
        uint8_t unread[512];
        size_t n = sizeof(unread);
        int rv = nng_tls_engine_recv(c->nng, unread, &n);
        if (rv == NNG_EAGAIN)
            return rv;
        if (rv != 0)
            break;
        c->lingered += n;
    }
    return failure(c->error);
}

static bool refused_by_us(const nng_tls_engine_conn *c)
{
    return c->error == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED ||
           c->error == MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE;
}

static int shake_hands(nng_tls_engine_conn *c)
{
    /* NNG tries again for each operation that waits; a handshake that failed must not go on. */
    int rv = c->error ? c->error : mbedtls_ssl_handshake(&c->ssl);

    if (rv == 0) {
        c->done = true;
        return 0;
    }
    if (c->error == 0 && failure(rv) != NNG_EAGAIN) {
        c->error = rv;
        if (rv == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
            c->alert = c->ssl.in_msg[1];
    }
    return refused_by_us(c) ? linger(c) : failure(rv);
}

static int conn_handshake(nng_tls_engine_conn *c)
{
    sup_handover_see(&c->used);
    int rv = shake_hands(c);
    sup_handover_mark(&c->used);
    return rv;
}

static int conn_recv(nng_tls_engine_conn *c, uint8_t *p, size_t *n)
{
    sup_handover_see(&c->used);
    int rv = mbedtls_ssl_read(&c->ssl, p, *n);
    sup_handover_mark(&c->used);
    if (rv < 0)
        return failure(rv);
    *n = (size_t)rv;
    return 0;
}

static int conn_send(nng_tls_engine_conn *c, const uint8_t *p, size_t *n)
{
    sup_handover_see(&c->used);
    int rv = mbedtls_ssl_write(&c->ssl, p, *n);
    sup_handover_mark(&c->used);
    if (rv < 0)
        return failure(rv);
    *n = (size_t)rv;
    return 0;
}

/* --- answers --- */

/* The alerts with which a peer refuses a certificate (RFC 5246, section 7.2.2). */
static const char *alert_text(int alert)
{
    switch (alert) {
    case MBEDTLS_SSL_ALERT_MSG_NO_CERT:
        return "missing";
    case MBEDTLS_SSL_ALERT_MSG_BAD_CERT:
        return "of another name than it expects, or broken (bad_certificate)";
    case MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT:
        return "not meant for this use (unsupported_certificate)";
    case MBEDTLS_SSL_ALERT_MSG_CERT_REVOKED:
        return "revoked (certificate_revoked)";
    case MBEDTLS_SSL_ALERT_MSG_CERT_EXPIRED:
        return "expired (certificate_expired)";
    case MBEDTLS_SSL_ALERT_MSG_CERT_UNKNOWN:
        return "not yet valid, or else not acceptable (certificate_unknown)";
    case MBEDTLS_SSL_ALERT_MSG_UNKNOWN_CA:
        return "not signed by an authority that it trusts (unknown_ca)";
    case MBEDTLS_SSL_ALERT_MSG_ACCESS_DENIED:
        return "not allowed (access_denied)";
    default:
        return NULL;
    }
}

/* MISSING is what mbedTLS sets for no certificate at all; there its callback is not called. */
static void say_refused(const nng_tls_engine_conn *c, struct sup_tls_facts *out)
{
    uint32_t flags = c->flags ? c->flags : MBEDTLS_X509_BADCERT_MISSING;

    out->refused_by_us = true;
    if (flags & MBEDTLS_X509_BADCERT_MISSING)
        (void)snprintf(out->why, sizeof(out->why), "the peer showed no certificate");
    else if (flags == MBEDTLS_X509_BADCERT_CN_MISMATCH && c->server_name)
        (void)snprintf(out->why, sizeof(out->why),
                       "the peer's certificate is issued to %s, not to %s", c->name,
                       c->server_name);
    else
        (void)snprintf(out->why, sizeof(out->why), "the peer's certificate, issued to %s, is %s",
                       c->name, sup_cert_fault(flags));
}

static void say_failed(const nng_tls_engine_conn *c, struct sup_tls_facts *out)
{
    const char *alert = alert_text(c->alert);
    char text[96];

    if (refused_by_us(c)) {
        say_refused(c, out);
    } else if (alert) {
        out->refused_by_peer = true;
        (void)snprintf(out->why, sizeof(out->why), "the peer says that our certificate is %s",
                       alert);
    } else if (c->error != MBEDTLS_ERR_SSL_CONN_EOF) {
        mbedtls_strerror(c->error, text, sizeof(text));
        (void)snprintf(out->why, sizeof(out->why), "TLS handshake failed: %s", text);
    }
}

static void say(const nng_tls_engine_conn *c, bool verified, struct sup_tls_facts *out)
{
    out->verified = verified;
    (void)snprintf(out->name, sizeof(out->name), "%s", c->name);
    if (c->error != 0)
        say_failed(c, out);
    const mbedtls_x509_crt *crt = verified ? mbedtls_ssl_get_peer_cert(&c->ssl) : NULL;
    for (; crt; crt = crt->next)
        sup_buf_add(&out->chain, crt->raw.p, crt->raw.len);
}

static bool conn_verified(nng_tls_engine_conn *c)
{
    sup_handover_see(&c->used);
    bool verified = c->done && mbedtls_ssl_get_verify_result(&c->ssl) == 0;
    if (asking)
        say(c, verified, asking);
    sup_handover_mark(&c->used);
    return verified;
}

/* --- registration --- */

static nng_tls_engine_config_ops config_ops = {
    .size = sizeof(nng_tls_engine_config),
    .init = config_init,
    .fini = config_fini,
    .server = config_server,
    .auth = config_auth,
    .ca_chain = config_ca_chain,
    .own_cert = config_own_cert,
    .version = config_version,
};

static nng_tls_engine_conn_ops conn_ops = {
    .size = sizeof(nng_tls_engine_conn),
    .init = conn_init,
    .fini = conn_fini,
    .close = conn_close,
    .handshake = conn_handshake,
    .recv = conn_recv,
    .send = conn_send,
    .verified = conn_verified,
};

static const nng_tls_engine engine = {
    .version = NNG_TLS_ENGINE_VERSION,
    .config_ops = &config_ops,
    .conn_ops = &conn_ops,
    .name = "supsync",
    .description = "mbedTLS, with the peer's certificate",
    .fips_mode = false,
};

static pthread_once_t installed_once = PTHREAD_ONCE_INIT;
static int installed_rv;

static void install(void)
{
    nng_aio *aio;

    /* NNG sets up its own engine when it is first used; ours must come behind that. */
    installed_rv = nng_aio_alloc(&aio, NULL, NULL);
    if (installed_rv != 0)
        return;
    nng_aio_free(aio);
    installed_rv = nng_tls_engine_register(&engine);
    if (installed_rv == 0 && strcmp(nng_tls_engine_name(), engine.name) != 0)
        installed_rv = NNG_ENOTSUP;
}

int sup_tls_engine_install(struct sup_err *err)
{
    (void)pthread_once(&installed_once, install);
    return installed_rv == 0
               ? SUP_OK
               : sup_err_set(err, SUP_EINPUT, "TLS engine: %s", nng_strerror(installed_rv));
}
