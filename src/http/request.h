#ifndef SUP_HTTP_REQUEST_H
#define SUP_HTTP_REQUEST_H

#include "base/buf.h"
#include "base/err.h"
#include "service/service.h"

#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>

#define SUP_HTTPD_BODY_MAX   (1024 * 1024)
#define SUP_HTTPD_LARGE_MAX  (4 * 1024 * 1024) /* where a route takes large bodies */
#define SUP_HTTPD_REPLY_MAX  (64 * 1024 * 1024)
#define SUP_HTTPD_PARAMS_MAX 16

struct sup_httpd;
struct sup_route;
struct sup_reply_stream;

struct sup_httpd_param {
    const char *name;
    const char *value;
    size_t value_len;
};

/* One request and what is to be answered. A route reads the upper part and fills the lower. */
struct sup_httpd_req {
    struct sup_httpd *server;
    struct sup_service *service; /* NULL until one is attached */
    struct MHD_Connection *connection;
    const struct sup_route *route;
    bool tcp;
    char *target;     /* as sent; decoded in place, so the slices below point into it */
    const char *path; /* still percent-encoded */
    const char *rest; /* what follows the route's prefix, decoded; "" without one */
    size_t rest_len;
    struct sup_httpd_param params[SUP_HTTPD_PARAMS_MAX];
    size_t n_params;
    struct sup_buf body;
    bool large;        /* larger than usual, and counted as such */
    size_t discarded;  /* bytes of body past the maximum */
    const char *token; /* name behind the bearer token; "" without one */
    char token_name[64];

    unsigned status;
    const char *type;       /* media type, static */
    struct sup_buf allow;   /* for 405 */
    unsigned retry_after_s; /* 0 = no such header */
    struct sup_buf out;
    struct sup_reply_stream *stream; /* instead of out */
    enum { SUP_REQ_ARRIVED, SUP_REQ_READING, SUP_REQ_RUNNING } state;
};

/* target is copied. NULL when out of memory. */
struct sup_httpd_req *sup_httpd_req_new(struct sup_httpd *server, bool tcp, const char *target);
void sup_httpd_req_free(struct sup_httpd_req *req);

/* Splits the target into path and decoded parameters. SUP_EINPUT: bad percent encoding, an encoded
 * NUL, a parameter without name, given twice, or too many of them. */
int sup_httpd_req_parse(struct sup_httpd_req *req, struct sup_err *err);

/* Decodes percent escapes in place and strictly: two hexadecimal digits, no NUL. "+" stays itself,
 * as RFC 3986 has it: it is common in addresses. Returns SUP_OK or SUP_EINPUT. */
int sup_percent_decode(char *s, size_t *n);

/* The parameter's value, or NULL. */
const struct sup_httpd_param *sup_httpd_req_param(const struct sup_httpd_req *req,
                                                  const char *name);
/* Refuses parameters that are not in known (ends with NULL): a misspelt filter must not list
 * everything. Answers 400 and returns false. */
bool sup_httpd_req_only(struct sup_httpd_req *req, const char *const *known);

/* The body as a JSON object with no other keys than known. NULL after having answered 400 or 415.
 * The caller releases it. */
json_t *sup_httpd_req_json(struct sup_httpd_req *req, const char *const *known);

/* --- answers --- */

/* An RFC 9457 problem. code is one of enum sup_code; its
 * word goes to programs. */
void sup_httpd_problem(struct sup_httpd_req *req, unsigned status, int code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The same from an error of the service. */
void sup_httpd_fail(struct sup_httpd_req *req, const struct sup_err *err);
/* Takes over value (NULL: out of memory). */
void sup_httpd_json(struct sup_httpd_req *req, unsigned status, json_t *value);

#endif
