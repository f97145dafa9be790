#ifndef SIM_REQUEST_H
#define SIM_REQUEST_H

#include "auth.h"
#include "buf.h"
#include "faults.h"
#include "ops.h"
#include "park.h"
#include "text.h"

#include <jansson.h>
#include <microhttpd.h>

struct sim;
struct sim_region;

enum sim_protocol {
    SIM_PROTO_REST_JSON, /* SES v2 */
    SIM_PROTO_JSON,      /* SQS, X-Amz-Target */
    SIM_PROTO_QUERY,     /* form in, XML out */
    SIM_PROTO_S3,
    SIM_PROTO_CONTROL,
};

#define SIM_REPLY_HEADERS 8
struct sim_reply {
    unsigned status;
    const char *content_type;
    struct sim_buf body;
    struct {
        const char *name;
        char *value;
    } headers[SIM_REPLY_HEADERS];
    unsigned n_headers;
    bool is_error;
};

/* HELD: the operation took effect, and its answer waits. */
enum sim_phase { SIM_PHASE_NEW, SIM_PHASE_DELAYED, SIM_PHASE_ADMITTED, SIM_PHASE_HELD };

/* One HTTP request; belongs to the MHD worker of its connection from first byte to last. */
struct sim_request {
    struct sim *sim;
    struct MHD_Connection *connection;
    char *method;
    char *raw_uri;  /* as on the wire: signatures are over that */
    char *raw_path; /* NUL-terminated part before '?' */
    const char *raw_query;
    struct sim_pairs query;
    struct sim_buf body;
    bool too_large;

    struct sim_auth auth;
    enum sim_protocol protocol;
    enum sim_service service;
    struct sim_region *region;
    enum sim_op op;
    json_t *input; /* object; NULL for S3 */
    char *target;  /* path parameter: address, job, configuration set, bucket */
    char *key;     /* S3 object */

    struct sim_reply reply;
    json_t *output; /* serialised by the protocol when the handler is done */

    enum sim_phase phase;
    struct sim_fault fault;
    struct sim_parking parking;
    bool abort_connection;
    bool answered;
};

struct sim_request *sim_request_new(struct sim *s, const char *uri);
void sim_request_free(struct sim_request *r);

/* NULL when absent. Borrowed from the connection. */
const char *sim_request_header(const struct sim_request *r, const char *name);
void sim_reply_header(struct sim_request *r, const char *name, const char *value);

/* The error as AWS would put it; the protocol gives it its shape. Returns SIM_DONE. */
enum sim_outcome sim_fail(struct sim_request *r, unsigned status, const char *code, const char *fmt,
                          ...) __attribute__((format(printf, 4, 5)));

/* Members of the input; a number may come as a JSON number or, from the query protocol, as text.
 * The string is borrowed; NULL when absent or of another type. */
const char *sim_input_str(const struct sim_request *r, const char *name);
/* false: not a number. Absent leaves *out alone and is true. */
bool sim_json_int(const json_t *object, const char *name, int64_t *out);

/* What the handler left in output becomes the body. */
void sim_reply_finish(struct sim_request *r);

#endif
