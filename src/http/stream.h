#ifndef SUP_HTTP_STREAM_H
#define SUP_HTTP_STREAM_H

#include "http/request.h"

/* An answer of any length in bounded memory: a producer thread writes, the connection reads, and
 * whichever is ahead waits. */

/* Starts produce(stream, arg) on a thread of its own and makes it req's answer (status and type are
 * the caller's). Called from a slow route, whose place among the long requests goes over to the
 * stream. done(arg) is called once, when nobody needs arg any more. On error produce does
 * not run, arg is still the caller's, and 503 has been answered. */
int sup_reply_stream_start(struct sup_httpd_req *req,
                           void (*produce)(struct sup_reply_stream *, void *arg),
                           void (*done)(void *arg), void *arg);

/* Waits for room. False when nobody reads any more: end. Producer's thread only. */
bool sup_reply_stream_write(struct sup_reply_stream *s, const void *p, size_t n);
/* The answer cannot be completed: the client will see it cut off, not ended. Producer's thread. */
void sup_reply_stream_fail(struct sup_reply_stream *s);

/* The response for MHD; takes over req's hold on the stream. NULL when out of memory. */
struct MHD_Response *sup_reply_stream_response(struct sup_httpd_req *req);
/* For a stream that never became a response. */
void sup_reply_stream_drop(struct sup_reply_stream *s);

#endif
