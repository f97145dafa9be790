#ifndef SUP_MESH_TLS_MBED_H
#define SUP_MESH_TLS_MBED_H

#include "mesh/tls.h"

#include <mbedtls/ssl.h>

/* Between tls_identity.c and tls_engine.c. */

const mbedtls_ssl_config *sup_identity_config(const struct sup_identity *id, bool server);
/* To whom a certificate is issued, for messages: its first DNS name, else its common name. What is
 * not printable becomes "?". */
void sup_cert_name(const mbedtls_x509_crt *crt, char out[SUP_TLS_NAME_MAX + 1]);
bool sup_cert_carries(mbedtls_x509_crt *crt, const char *name);
/* Is the revocation list that crt's authority gave out too old to accept anybody by? */
bool sup_identity_crl_is_stale(const struct sup_identity *id, const mbedtls_x509_crt *crt);
/* What the flags of a verification mean, the gravest. */
const char *sup_cert_fault(uint32_t flags);

#endif
