#ifndef SUP_MESH_TLS_H
#define SUP_MESH_TLS_H

#include "base/buf.h"
#include "mesh/link.h"

#include <stdbool.h>
#include <stdint.h>

/* Identities and certificates. tls.c reads files, tls_identity.c and tls_engine.c know mbedTLS
 * (2.28 in Debian 12); the engine is what NNG's streams run their TLS through. */

/* --- tls_identity.c: one reading of the files, parsed; shared by its connections, never changed */
struct sup_identity;

/* PEM texts, NUL-terminated. crl may be NULL. */
struct sup_identity_pem {
    char *ca;
    char *cert;
    char *key;
    char *crl;
    int64_t crl_grace_ms; /* as in sup_mesh_tls_files */
};
/* Texts are not kept. node: a name that the certificate must carry; NULL = any. SUP_EINPUT names
 * the culprit: "ca", "crl", "certificate", "key". */
int sup_identity_new(const struct sup_identity_pem *pem, const char *node,
                     struct sup_identity **out, struct sup_err *err);
struct sup_identity *sup_identity_hold(struct sup_identity *id);
void sup_identity_release(struct sup_identity *id); /* NULL is fine */
void sup_identity_dates(const struct sup_identity *id, struct sup_mesh_tls_dates *out);

/* A certificate chain in DER, as a peer showed it, the peer's own first. */
bool sup_chain_carries(struct sup_slice chain, const char *name);
/* Is it still one that id accepts? SUP_EAUTH when it is revoked or its authority is not trusted any
 * more; its dates are the handshake's business. */
int sup_chain_check(struct sup_slice chain, const struct sup_identity *id, struct sup_err *err);

/* --- tls.c --- */

/* The present identity, held for the caller. Any thread. */
struct sup_identity *sup_mesh_tls_identity(const struct sup_mesh_tls *tls);

/* --- tls_engine.c --- */

/* What one handshake has shown. Zeroed, with chain initialized, before it is filled in. */
struct sup_tls_facts {
    bool verified;        /* the handshake is over and the peer's certificate accepted */
    bool refused_by_us;   /* for its certificate, or for none */
    bool refused_by_peer; /* for ours */
    char why[192];        /* why the handshake failed; "" = it did not, as far as known */
    char name[SUP_TLS_NAME_MAX + 1]; /* to whom the peer's certificate is issued; "" = none seen */
    struct sup_buf chain;            /* once verified */
};

/* NNG configurations that are made on this thread from here to the next call are for tls; their
 * streams take its present identity when they begin. */
void sup_tls_engine_configure(const struct sup_mesh_tls *tls);
/* Makes NNG use the engine. Once a process; any thread. */
int sup_tls_engine_install(struct sup_err *err);
/* NNG asks an engine only whether a connection is verified. What is asked on this thread between
 * these two calls fills in out as well. */
void sup_tls_engine_ask(struct sup_tls_facts *out);
void sup_tls_engine_asked(void);

#endif
