#ifndef SUP_HTTP_SERVER_H
#define SUP_HTTP_SERVER_H

#include "base/err.h"
#include "service/options.h"
#include "service/service.h"

/* The HTTP API on the Unix socket and, if configured, on TCP.
 *
 * It is started before the service, so that /healthz answers whatever the store or the peers do.
 * Until a service is attached every other route answers 503, and a check says "unknown". */
struct sup_httpd;

/* Binds and starts answering. Errors: SUP_EEXIST (a live agent holds the socket), SUP_EINPUT
 * (addresses, token file, TLS files), SUP_EIO. options must outlive the server. */
int sup_httpd_start(const struct sup_options *options, struct sup_httpd **out, struct sup_err *err);

/* From now on requests are answered from s, which must live until sup_httpd_stop has returned. */
void sup_httpd_attach(struct sup_httpd *h, struct sup_service *s);

/* Reads the token file again. On error the old tokens stay. Any thread. */
int sup_httpd_reload(struct sup_httpd *h, struct sup_err *err);

/* The TCP port that was bound (options may say 0), or 0 without TCP. */
unsigned sup_httpd_port(const struct sup_httpd *h);

/* Ends streams, lets running requests finish, removes the socket file. Waits. */
void sup_httpd_stop(struct sup_httpd *h);
void sup_httpd_free(struct sup_httpd *h); /* stopped before, or NULL */

#endif
