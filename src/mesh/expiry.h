#ifndef SUP_MESH_EXPIRY_H
#define SUP_MESH_EXPIRY_H

#include <stdint.h>

/* What follows from the dates of certificates and revocation lists. Pure; wall time in
 * milliseconds.
 */

/* How long before its end a certificate is worth an alarm: a fortnight, in which people can act, or
 * the last quarter of a shorter life. Issuers that renew by themselves do so when a third is left
 * (cert-manager's and step-ca's default) or earlier: in the last quarter that went wrong. */
int64_t sup_expiry_warn_ms(int64_t from_ms, int64_t until_ms);

/* A revocation list names the time by which the next one is there. Past it, it does not tell any
 * more that a certificate is not revoked (RFC 5280, 6.3.3: the status is undetermined, and what
 * follows is for the one who relies on it to say). nginx, stunnel and OpenVPN refuse everybody from
 * that second on. Here that would part all Regions at once for a file that nobody renewed, while
 * those who could be kept out by a newer one had to be members before: so there is a time of grace,
 * in which the node is unhealthy, and then everybody is refused. */
enum sup_crl_state {
    SUP_CRL_CURRENT,
    SUP_CRL_LATE, /* within the grace: it revokes what it names */
    SUP_CRL_STALE /* nobody is accepted by it */
};
/* next_update_ms 0: the list names none, and is never late. */
enum sup_crl_state sup_crl_state(int64_t now_ms, int64_t next_update_ms, int64_t grace_ms);

#endif
