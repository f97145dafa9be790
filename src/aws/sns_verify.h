#ifndef SUP_AWS_SNS_VERIFY_H
#define SUP_AWS_SNS_VERIFY_H

#include "aws/sns_message.h"
#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Checks of a signing certificate and of signatures made with it, over OpenSSL. Nothing is fetched
 * here, and the time is the caller's. A certificate may be used by several threads at once. */

struct sup_sns_cert;

/* Reads PEM: the signing certificate first, then perhaps those above it. SUP_EINPUT, SUP_ENOMEM. */
int sup_sns_cert_read(struct sup_slice pem, struct sup_sns_cert **out, struct sup_err *err);
/* Another owner; each calls free. Returns c. Any thread. */
struct sup_sns_cert *sup_sns_cert_ref(struct sup_sns_cert *c);
void sup_sns_cert_free(struct sup_sns_cert *c); /* NULL is fine */

/* Is it in date at that time? SUP_EAUTH. */
int sup_sns_cert_dates(const struct sup_sns_cert *c, int64_t at_ms, struct sup_err *err);
/* Does it name SNS of this Region? AWS uses sns.amazonaws.com in the older Regions, and
 * sns-signing.REGION.amazonaws.com, sns-REGION.amazonaws.com(.cn) in others. SUP_EAUTH. */
int sup_sns_cert_names(const struct sup_sns_cert *c, const char *region, struct sup_err *err);

/* Whom to trust: the system's authorities, or those of a bundle. */
struct sup_sns_trust;
/* ca_bundle: a PEM file; NULL: the system's. SUP_EINPUT, SUP_ENOMEM. */
int sup_sns_trust_new(struct sup_sns_trust **out, const char *ca_bundle, struct sup_err *err);
void sup_sns_trust_free(struct sup_sns_trust *t);
/* Does a chain lead from c to an authority, at that time? issuers: further certificates, as SNS
 * sends none with its own (may be NULL). SUP_EAUTH. SUP_ENOTFOUND: the certificate above it is
 * missing; sup_sns_cert_issuer_url says where it can be had. */
int sup_sns_cert_chain(const struct sup_sns_cert *c, struct sup_sns_trust *t,
                       const struct sup_sns_cert *issuers, int64_t at_ms, struct sup_err *err);
/* Where the certificate above c is published (authority information access, RFC 5280 section
 * 4.2.2.1), if that is Amazon's own repository of authorities; http, since what comes from there is
 * verified by the chain. SUP_ENOTFOUND. */
#define SUP_SNS_ISSUER_URL_MAX 256
int sup_sns_cert_issuer_url(const struct sup_sns_cert *c, char url[SUP_SNS_ISSUER_URL_MAX]);
/* Reads one certificate in DER or PEM. */
int sup_sns_issuer_read(struct sup_slice bytes, struct sup_sns_cert **out, struct sup_err *err);

/* Was m signed with c's key? RSA, PKCS #1 v1.5; SHA-1 for version 1, SHA-256 for 2. SUP_EAUTH when
 * not; SUP_EINPUT when the signature is no base64; SUP_ENOMEM. */
int sup_sns_signature_check(const struct sup_sns_message *m, const struct sup_sns_cert *c,
                            struct sup_err *err);

#endif
