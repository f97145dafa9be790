#ifndef SUP_AWS_HTTP_H
#define SUP_AWS_HTTP_H

#include "aws/sigv4.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/thread.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One HTTP/1.1 exchange: no redirects, no retries, no cookies, TLS verified. */
struct sup_http_request {
    const char *method;
    const char *url; /* sent as it is: no path is squashed or re-encoded */
    const struct sup_header *headers;
    size_t n_headers;
    struct sup_slice body;
    int64_t connect_timeout_ms; /* 0: the pool's default */
    int64_t timeout_ms;         /* whole exchange; 0: the pool's default */
    size_t max_body;            /* 0: the pool's default. A larger reply fails with SUP_ELIMIT */
    bool decode;                /* ask for gzip and inflate the reply */
    bool no_repeat;             /* on a new connection: on an old one that turns out to be
                                 * closed libcurl would send the request again by itself */
    bool no_proxy;              /* metadata services are never asked through a proxy */
    struct sup_stop *stop;      /* may be NULL; setting it aborts with SUP_ECLOSED within 250 ms */
};

#define SUP_HTTP_HEADERS_MAX 16384

struct sup_http_response {
    int status;
    struct sup_buf body;
    struct sup_buf headers; /* "name\0value\0" pairs, names in lower case */
    bool sent; /* did any byte of the request leave? (tells a retry what it may repeat) */
};

void sup_http_response_init(struct sup_http_response *r);
void sup_http_response_reset(struct sup_http_response *r);
void sup_http_response_fini(struct sup_http_response *r);
/* The first header of that name (lower case), or NULL; lives as long as the response. */
const char *sup_http_response_header(const struct sup_http_response *r, const char *name);
/* For transports that are not libcurl: appends a header; anything past the maximum is dropped. */
void sup_http_response_add_header(struct sup_http_response *r, const char *name, size_t name_n,
                                  const char *value, size_t value_n);

/* How requests are sent. Tests replace it. send fills r (initialised by the caller) and returns
 * SUP_OK for any complete reply, whatever its status; SUP_ETIMEDOUT, SUP_EIO (connect, reset,
 * truncated), SUP_EAUTH (certificate refused), SUP_ELIMIT (body), SUP_ECLOSED (stop), SUP_EINPUT
 * (URL), SUP_ENOMEM. Thread-safe. */
struct sup_http_transport {
    int (*send)(void *arg, const struct sup_http_request *req, struct sup_http_response *r,
                struct sup_err *err);
    void *arg;
};

struct sup_http_options {
    const char *ca_bundle;   /* PEM file, NULL: the system's */
    const char *https_proxy; /* NULL: none; never taken from the environment by libcurl itself */
    const char *http_proxy;
    const char *no_proxy;       /* comma list, as NO_PROXY */
    int64_t connect_timeout_ms; /* 0: 5 s */
    int64_t timeout_ms;         /* 0: 30 s */
    size_t max_body;            /* 0: 16 MiB */
};

/* A pool of libcurl handles. A handle is used by one thread at a time and keeps its connections, so
 * that a caller that comes back finds a warm one. Thread-safe. */
struct sup_http;
int sup_http_new(struct sup_http **out, const struct sup_http_options *opt, struct sup_err *err);
/* No thread may be inside send. NULL is allowed. */
void sup_http_free(struct sup_http *h);
struct sup_http_transport sup_http_transport(struct sup_http *h);

/* Parts of a URL, borrowed from it. host is without the brackets of an IPv6 literal. */
struct sup_url {
    struct sup_slice scheme;
    struct sup_slice host;
    struct sup_slice authority; /* host[:port], as the Host header wants it */
    struct sup_slice path;      /* with its leading '/', or empty */
    struct sup_slice query;     /* without '?' */
};
/* SUP_OK or SUP_EINPUT: only http and https, no user information, no fragment, no control bytes. */
int sup_url_parse(struct sup_url *u, const char *url, struct sup_err *err);
/* Is the host loopback by its text: localhost, *.localhost, 127/8, ::1? No DNS is asked. */
bool sup_url_is_loopback(const struct sup_url *u);

/* "Tue, 15 Nov 1994 08:12:31 GMT" (RFC 9110, IMF-fixdate) to ms. SUP_OK or SUP_EINPUT. */
int sup_http_date_parse(const char *s, int64_t *wall_ms);

#endif
