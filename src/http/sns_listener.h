#ifndef SUP_HTTP_SNS_LISTENER_H
#define SUP_HTTP_SNS_LISTENER_H

#include "base/err.h"
#include "service/options.h"
#include "service/service.h"

/* The endpoint that SNS posts to, on an address of its own: nothing of the API is reachable there,
 * and what comes in is believed for its signature alone. POST / or /sns delivers; GET /healthz is
 * for load balancers. */
struct sup_sns_listener;

/* Binds sns_http.listen and starts answering, 503 until a service is attached. Errors: SUP_EINPUT
 * (address, TLS files), SUP_EEXIST (address in use), SUP_EIO, SUP_ENOMEM. options must outlive it.
 */
int sup_sns_listener_start(const struct sup_options *options, struct sup_sns_listener **out,
                           struct sup_err *err);
/* s must live until stop has returned. */
void sup_sns_listener_attach(struct sup_sns_listener *l, struct sup_service *s);
/* The port that was bound: options may say 0. */
unsigned sup_sns_listener_port(const struct sup_sns_listener *l);
/* Answers what is in hand and ends. Waits. NULL is fine. */
void sup_sns_listener_stop(struct sup_sns_listener *l);
void sup_sns_listener_free(struct sup_sns_listener *l); /* stopped before, or NULL */

#endif
