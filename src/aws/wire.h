#ifndef SUP_AWS_WIRE_H
#define SUP_AWS_WIRE_H

#include "aws/credentials.h"
#include "aws/http.h"

/* One request, signed or not, sent once. Used by the client and, below it, by STS. */
struct sup_aws_wire {
    struct sup_http_transport http;
    const char *method;
    const char *url; /* whole, encoded */
    const struct sup_header *headers;
    size_t n_headers;
    struct sup_slice body;
    const struct sup_aws_credentials *credentials; /* NULL: unsigned */
    const char *region;
    const char *service; /* signing name */
    unsigned sigv4_flags;
    int64_t wall_ms; /* signing time */
    int64_t connect_timeout_ms;
    int64_t timeout_ms;
    size_t max_body;
    bool no_repeat;
    struct sup_stop *stop;
};

/* Errors of the transport, and SUP_EINPUT or SUP_ELIMIT from signing. */
int sup_aws_wire_send(const struct sup_aws_wire *w, struct sup_http_response *r,
                      struct sup_err *err);

#endif
