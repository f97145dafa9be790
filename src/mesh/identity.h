#ifndef SUP_MESH_IDENTITY_H
#define SUP_MESH_IDENTITY_H

#include "base/err.h"

#include <stdint.h>

/* What this node shows to peers, and by what it judges theirs: the mesh's certificates. */

/* Of a name in a certificate, as far as it is shown. */
#define SUP_TLS_NAME_MAX 128

struct sup_mesh_tls;
struct sup_mesh_tls_files {
    const char *ca;
    const char *cert; /* own certificate, and intermediates behind it */
    const char *key;
    const char *crl;      /* NULL or "" = none */
    int64_t crl_grace_ms; /* how long past its next update it still accepts: mesh/expiry.h */
    const char *node;     /* name that the certificate must carry; NULL = not checked */
};
/* Reads and checks the files; the error says which one and why (SUP_EINPUT; SUP_EIO when it cannot
 * be read). The contents are kept: replacing the files changes nothing until the next load. */
int sup_mesh_tls_load(const struct sup_mesh_tls_files *files, struct sup_mesh_tls **out,
                      struct sup_err *err);
/* Reads anew. Connections that begin from now on, of listeners and diallers that stand too, go by
 * what was read; those that stand keep what they began with (see sup_heart_recheck). On failure all
 * stays as it was. Any thread. */
int sup_mesh_tls_reload(struct sup_mesh_tls *tls, const struct sup_mesh_tls_files *files,
                        struct sup_err *err);
/* Of that which ends first, when it ends and since when it is valid: wall time; crl 0 = none, or it
 * names no end. Any thread. */
struct sup_mesh_tls_dates {
    int64_t cert_from_ms, cert_until_ms;
    int64_t ca_from_ms, ca_until_ms;
    int64_t crl_until_ms;
    int64_t crl_grace_ms;
};
void sup_mesh_tls_dates(const struct sup_mesh_tls *tls, struct sup_mesh_tls_dates *out);
/* After the endpoints that use it; NULL is fine. */
void sup_mesh_tls_free(struct sup_mesh_tls *tls);

#endif
