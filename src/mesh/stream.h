#ifndef SUP_MESH_STREAM_H
#define SUP_MESH_STREAM_H

#include "base/err.h"
#include "mesh/tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What mesh needs of NNG, and all it knows of it. Implemented by nng_stream.c; its
 * TLS engine is ours (tls_engine.c). For link.c. */

struct sup_stream;

/* Completions run on NNG's threads and must not block. status is 0 or an NNG error. */
struct sup_stream_events {
    void (*sent)(void *arg, int status, size_t n);
    void (*received)(void *arg, int status, size_t n);
    void *arg;
};
int sup_stream_code(int status); /* as enum sup_code */
const char *sup_stream_text(int status);

int sup_stream_accept(struct sup_listener *l, int64_t timeout_ms, struct sup_stream **out,
                      struct sup_err *err);
int sup_stream_dial(struct sup_dialer *d, int64_t timeout_ms, struct sup_stream **out,
                    struct sup_err *err);
/* Before the first operation. */
int sup_stream_start(struct sup_stream *s, const struct sup_stream_events *events);
/* One send and one receive at a time; each ends in exactly one completion, also when the stream is
 * closed before, during or after the call. May move fewer bytes than asked for. The memory must
 * stay until then. */
void sup_stream_send(struct sup_stream *s, const void *p, size_t n);
void sup_stream_recv(struct sup_stream *s, void *p, size_t n);
void sup_stream_close(struct sup_stream *s); /* any thread, any number of times; does not block */
void sup_stream_free(struct sup_stream *s);  /* no operation under way; waits for completions */
/* Is the connection under the stream gone? Says so also when the stream forgot to tell its
 * operations. Any thread; does not block. */
bool sup_stream_is_gone(struct sup_stream *s);
bool sup_stream_is_tls(const struct sup_stream *s);
/* What the TLS handshake has shown so far. Any thread, but not in a completion. */
void sup_stream_tls_facts(struct sup_stream *s, struct sup_tls_facts *out);
const char *sup_stream_peer(const struct sup_stream *s);

#endif
