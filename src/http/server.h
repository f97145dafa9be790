#ifndef SUP_HTTP_SERVER_H
#define SUP_HTTP_SERVER_H

#include "base/err.h"
#include "service/options.h"
#include "service/service.h"

/* The HTTP API on the Unix socket and, if configured, on TCP.
 *
 * It is started before the service, so that /healthz answers whatever the store or the peers do.
 * Until a service is attached every other route answers 503, and a check says "unknown". */
struct sup_http;

/* Binds and starts answering. Errors: SUP_EEXIST (a live agent holds the socket), SUP_EINPUT
 * (addresses, token file, TLS files), SUP_EIO. options must outlive the server. */
int sup_http_start(const struct sup_options *options, struct sup_http **out, struct sup_err *err);

/* From now on requests are answered from s, which must live until sup_http_stop has returned. */
void sup_http_attach(struct sup_http *h, struct sup_service *s);

/* Reads the token file again. On error the old tokens stay. Any thread. */
int sup_http_reload(struct sup_http *h, struct sup_err *err);

/* The TCP port that was bound (options may say 0), or 0 without TCP. */
unsigned sup_http_port(const struct sup_http *h);

/* Ends streams, lets running requests finish, removes the socket file. Waits. */
void sup_http_stop(struct sup_http *h);
void sup_http_free(struct sup_http *h); /* stopped before, or NULL */

#endif
