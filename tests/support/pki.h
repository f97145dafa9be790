#ifndef SUP_TEST_PKI_H
#define SUP_TEST_PKI_H

#include <stdbool.h>

/* Throw-away certificates in a directory of their own, made with OpenSSL. Failure aborts. */

struct pki;
struct pki *pki_new(void);    /* a directory and a first authority "ca" */
void pki_free(struct pki *p); /* removes it all */
const char *pki_dir(const struct pki *p);
/* An authority: writes NAME.pem. */
void pki_authority(struct pki *p, const char *name);

/* A certificate NAME.pem with NAME.key, signed by authority, whose only DNS name is dns; it expired
 * yesterday if so wanted. */
void pki_issue(struct pki *p, const char *authority, const char *name, const char *dns,
               bool expired);
/* As pki_issue, valid from and until so many days from now. */
void pki_issue_dates(struct pki *p, const char *authority, const char *name, const char *dns,
                     int from_days, int until_days);
/* A revocation list NAME.crl of authority that names the certificate revoked. */
void pki_revoke(struct pki *p, const char *authority, const char *name, const char *revoked);
/* The same, with the next update due so many days from now. */
void pki_revoke_until(struct pki *p, const char *authority, const char *name, const char *revoked,
                      int until_days);
/* DIR/file; one of eight static buffers. */
const char *pki_path(const struct pki *p, const char *file);

#endif
