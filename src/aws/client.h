#ifndef SUP_AWS_CLIENT_H
#define SUP_AWS_CLIENT_H

#include "aws/credentials.h"
#include "aws/endpoint.h"
#include "aws/http.h"
#include "aws/retry.h"
#include "base/err.h"
#include "base/thread.h"

#include <stdbool.h>
#include <stdint.h>

/* One client a process and Region, shared by all threads. It owns the HTTP pool, the credentials
 * provider, the retry quota and the clock skew. */
struct sup_aws;

struct sup_aws_options {
    const char *region;         /* NULL: AWS_REGION, AWS_DEFAULT_REGION, the profile's */
    const char *endpoint_url;   /* aws.endpoint_url: every service; NULL: as the environment says */
    const char *profile;        /* NULL: AWS_PROFILE or default */
    bool insecure;              /* accept http:// endpoints beyond loopback */
    unsigned max_attempts;      /* 0: AWS_MAX_ATTEMPTS, the profile's max_attempts, 3 */
    int64_t connect_timeout_ms; /* 0: 5 s */
    int64_t timeout_ms;         /* 0: 30 s, an attempt; a long poll adds its wait */
    struct sup_stop *stop;      /* borrowed; aborts calls and back-off sleeps with SUP_ECLOSED */
    const struct sup_aws_env *env; /* NULL: process environment, libcurl. Borrowed */
};

/* Strings in opt are copied. SUP_OK; SUP_EINPUT (no Region, bad endpoint); SUP_ENOMEM. */
int sup_aws_new(struct sup_aws **out, const struct sup_aws_options *opt, struct sup_err *err);
/* No call may be running. NULL is allowed. */
void sup_aws_free(struct sup_aws *a);
const char *sup_aws_client_region(const struct sup_aws *a);
/* Does the service's endpoint come from configuration or environment? */
bool sup_aws_client_custom(const struct sup_aws *a, enum sup_aws_service service);
/* The service's endpoint in a Region ("" or NULL: the client's): a configured one is the same for
 * all. Malloc'd. Errors: those of sup_aws_endpoint. */
int sup_aws_client_endpoint(const struct sup_aws *a, enum sup_aws_service service,
                            const char *region, char **out, struct sup_err *err);
/* Does the profile ask for S3 buckets in the path (s3 = addressing_style = path)? */
bool sup_aws_client_s3_in_path(const struct sup_aws *a);
bool sup_aws_client_insecure(const struct sup_aws *a);
/* The account that the credentials belong to, when their source told; malloc'd or NULL. */
char *sup_aws_account_id(struct sup_aws *a);
/* Server minus own wall clock as last corrected, ms. For signing and for reports, never for LWW. */
int64_t sup_aws_clock_skew_ms(struct sup_aws *a);

/* What went wrong, next to the sup_err of the call. */
struct sup_aws_error {
    int http_status;   /* 0: no reply */
    char code[96];     /* "TooManyRequestsException", without namespace; "" when not known */
    char message[256]; /* AWS's text */
    char request_id[64];
    bool throttled; /* any attempt of this call was throttled, even when the call worked */
    bool retryable; /* repeating later may help */
    unsigned attempts;
};

/* How codes come out: throttles and 5xx SUP_EAGAIN, deadlines SUP_ETIMEDOUT, connection trouble
 * SUP_EIO, credentials and permissions SUP_EAUTH, 404 and …NotFound/NonExistent… SUP_ENOTFOUND,
 * other 4xx SUP_EINPUT, a reply that cannot be understood SUP_ECORRUPT, too large SUP_ELIMIT, stop
 * SUP_ECLOSED. */
struct sup_aws_call {
    enum sup_aws_service service;
    const char *method;
    const char
        *url; /* NULL: the service's endpoint. Used by SQS, whose queue URL may name a host */
    const char *region;               /* to sign for; NULL: the client's */
    const char *path;                 /* encoded, begins with '/' */
    const char *query;                /* encoded, NULL: none */
    const struct sup_header *headers; /* beside host, x-amz-* and Authorization */
    size_t n_headers;
    struct sup_slice body;
    int64_t extra_timeout_ms; /* long poll wait */
    size_t max_body;          /* 0: 16 MiB */
    bool unsigned_call;       /* STS AssumeRoleWithWebIdentity */
    bool long_poll;
    bool no_throttle_retry; /* a throttle is answered at once: the caller's own rate control reacts
                             */
    bool no_repeat;        /* doing it twice would matter: no retry when the outcome is not known */
    struct sup_stop *stop; /* NULL: the client's */
};

/* Builds, signs, sends, parses the error, retries. r: initialised by the caller; holds the last
 * reply. aerr may be NULL. Any thread. */
int sup_aws_call(struct sup_aws *a, const struct sup_aws_call *call, struct sup_http_response *r,
                 struct sup_aws_error *aerr, struct sup_err *err);

/* Fills code and message from a reply (JSON protocols, REST JSON, query XML); pure. */
void sup_aws_error_parse(struct sup_aws_error *e, const struct sup_http_response *r);
/* The sup_code for a parsed error; pure. */
int sup_aws_error_code(const struct sup_aws_error *e);

#endif
