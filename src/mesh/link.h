#ifndef SUP_MESH_LINK_H
#define SUP_MESH_LINK_H

#include "base/buf.h"
#include "base/err.h"
#include "codec/frame.h"
#include "mesh/identity.h"

#include <stdbool.h>
#include <stdint.h>

/* A link: a stream of frames to one peer over TLS, for threads that may block. Timeouts are
 * milliseconds on the monotonic clock (NNG 1.5.2's own follow the wall clock); negative: for ever.
 *
 * NNG is not fork-safe: no function of this file may be called before a fork whose child calls one.
 */

/* "tls+tcp://host:port" or "tcp://host:port". SUP_EINPUT with the reason. */
int sup_mesh_url_check(const char *url, bool *tls, struct sup_err *err);

/* --- listening --- */
struct sup_listener;
/* tls may be NULL only for tcp:// URLs, which the caller must have been told to accept. Clients
 * must show a certificate of our CA. SUP_EEXIST: the address is in use. */
int sup_listener_open(const char *url, const struct sup_mesh_tls *tls, struct sup_listener **out,
                      struct sup_err *err);
int sup_listener_port(const struct sup_listener *l); /* the actual one, for port 0 */
void sup_listener_close(struct sup_listener *l);     /* any thread; wakes accept */
void sup_listener_free(struct sup_listener *l);      /* no thread may be in accept; NULL is fine */

/* --- links --- */
struct sup_link;
/* SUP_ETIMEDOUT: nobody came. SUP_ECLOSED: the listener was closed. SUP_EAGAIN: passing trouble
 * (descriptors, memory), wait a little. The link's TLS handshake is still to come: nothing is known
 * of the peer until the first frame arrived. One thread at a time. */
int sup_link_accept(struct sup_listener *l, int64_t timeout_ms, struct sup_link **out,
                    struct sup_err *err);

/* A dialler can be closed from another thread, which ends a dial under way. */
struct sup_dialer;
/* The peer must show a certificate of our CA for server_name (never empty with TLS). Nothing is
 * dialled yet. url, server_name are copied; tls must outlive the dialler. */
int sup_dialer_new(const char *url, const struct sup_mesh_tls *tls, const char *server_name,
                   struct sup_dialer **out, struct sup_err *err);
/* Connects once; one thread at a time, any number of times. SUP_ETIMEDOUT, SUP_EAGAIN (refused,
 * unreachable, name not found), SUP_ECLOSED (dialler closed). A wrong certificate shows at the
 * first send or receive as SUP_EAUTH. */
int sup_link_dial(struct sup_dialer *d, int64_t timeout_ms, struct sup_link **out,
                  struct sup_err *err);
void sup_dialer_close(struct sup_dialer *d);
void sup_dialer_free(struct sup_dialer *d); /* closed, no thread in dial; NULL is fine */

/* Sending: any number of threads. frame is one encoded frame (codec/frame.h); it is copied.
 * send waits for room behind the frames that still wait (SUP_LINK_QUEUE_MAX bytes). SUP_ETIMEDOUT:
 * no room in time, nothing was taken. SUP_ECLOSED and others: the link is down, see
 * sup_link_error. SUP_OK means queued, not delivered: only the peer's ACK says more.
 * post never blocks and overtakes queued bulk frames (never a frame half sent); for small control
 * frames. SUP_ELIMIT: too many wait already. */
#define SUP_LINK_QUEUE_MAX (1U << 20)
#define SUP_LINK_POST_MAX  (256U << 10)
int sup_link_send(struct sup_link *l, struct sup_slice frame, int64_t timeout_ms);
int sup_link_post(struct sup_link *l, struct sup_slice frame);
/* Waits until all queued frames are handed to the operating system. */
int sup_link_flush(struct sup_link *l, int64_t timeout_ms);
/* The polite close: all calls end at once as after sup_link_close, queued bulk frames are dropped,
 * but what was posted still leaves (sup_link_flush waits for it). Any thread; does not block. */
void sup_link_drain(struct sup_link *l, int code, const char *reason);

/* Receiving: one thread at a time. *out is valid until the next call. SUP_ETIMEDOUT leaves the link
 * as it was. A malformed frame closes the link. */
int sup_link_recv(struct sup_link *l, int64_t timeout_ms, struct sup_frame *out,
                  struct sup_err *err);
void sup_link_set_body_max(struct sup_link *l, size_t max); /* receiving thread */

/* How long the peer has been silent: milliseconds without a byte while we were ready to take one.
 * 0 while received bytes wait for us: a slow reader must not take its peer for dead. Any thread. */
int64_t sup_link_silent_ms(struct sup_link *l);
/* Closes the link if it has been silent for SUP_LINK_GRACE_MS and its connection is gone: the
 * stream below can miss that. To be called now and then; any thread; does not block. */
#define SUP_LINK_GRACE_MS 100
void sup_link_check(struct sup_link *l);
/* Why the link went down: its code and text in err; SUP_OK while it is up. Any thread. */
int sup_link_error(struct sup_link *l, struct sup_err *err);
bool sup_link_is_tls(const struct sup_link *l);

/* What the TLS handshake came to, for the receiving thread: call it when the first frame is there
 * or the link went down before. True when the peer's certificate was verified. */
struct sup_link_tls {
    bool refused_by_us;              /* the peer's certificate, or that it showed none */
    bool refused_by_peer;            /* ours */
    char why[192];                   /* why the handshake failed, if it did; "" = not known */
    char name[SUP_TLS_NAME_MAX + 1]; /* to whom the peer's certificate is issued; "" = none seen */
};
bool sup_link_handshake(struct sup_link *l, struct sup_link_tls *out);
/* Does the certificate that was verified carry this name? After sup_link_handshake. */
bool sup_link_carries(const struct sup_link *l, const char *name);
/* Is it still good by what tls has in force now? SUP_EAUTH: revoked, or its authority is not
 * trusted any more. After sup_link_handshake, then any thread. */
int sup_link_recheck(const struct sup_link *l, const struct sup_mesh_tls *tls, struct sup_err *err);
const char *sup_link_peer(const struct sup_link *l); /* "10.1.0.5:43122" */
uint64_t sup_link_bytes_in(const struct sup_link *l);
uint64_t sup_link_bytes_out(const struct sup_link *l);

/* Any thread; does not block; wakes blocked calls. code and reason say why if nothing did before.
 */
void sup_link_close(struct sup_link *l, int code, const char *reason);
/* Closes and waits; no other thread may be in a call. NULL is fine. */
void sup_link_free(struct sup_link *l);

#endif
