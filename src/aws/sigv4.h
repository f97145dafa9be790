#ifndef SUP_AWS_SIGV4_H
#define SUP_AWS_SIGV4_H

#include "base/buf.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* AWS Signature Version 4 (AWS General Reference, "Signature Version 4 signing process").
 *
 * Pure: nothing here reads a clock, an environment or a file. All strings are borrowed for the
 * call. */

struct sup_header {
    const char *name;
    const char *value;
};

enum {
    SUP_SIGV4_NORMALIZE = 1,     /* remove ".", "..", "//" from the path: every service but S3 */
    SUP_SIGV4_DOUBLE_ENCODE = 2, /* encode the already encoded path again: every service but S3 */
    SUP_SIGV4_SIGN_BODY = 4,     /* send and sign x-amz-content-sha256: S3 */
    SUP_SIGV4_OMIT_TOKEN = 8,    /* the session token is added after signing and not signed */
    SUP_SIGV4_UNSIGNED_PAYLOAD = 16 /* hash is the word UNSIGNED-PAYLOAD (S3 presigned URLs) */
};
#define SUP_SIGV4_DEFAULT (SUP_SIGV4_NORMALIZE | SUP_SIGV4_DOUBLE_ENCODE)
#define SUP_SIGV4_S3      SUP_SIGV4_SIGN_BODY

struct sup_sigv4_scope {
    const char *access_key_id;
    const char *secret_access_key;
    const char *session_token; /* NULL or "" when there is none */
    const char *region;
    const char *service;
    int64_t wall_ms; /* signing time, already corrected for clock skew */
    unsigned flags;
    unsigned expires_s; /* presign only: X-Amz-Expires */
};

/* The request as it goes on the wire. headers must hold "host"; x-amz-date, x-amz-security-token
 * and x-amz-content-sha256 are added by the signer and replaced when given. Every header given is
 * signed. */
struct sup_sigv4_request {
    const char *method;
    const char *path;  /* percent-encoded once, begins with '/'; NULL or "" is "/" */
    const char *query; /* percent-encoded, without '?'; NULL when there is none */
    const struct sup_header *headers;
    size_t n_headers;
    struct sup_slice body;
};

struct sup_sigv4 {
    struct sup_buf canonical_request;
    struct sup_buf string_to_sign;
    struct sup_buf authorization; /* value of the Authorization header */
    struct sup_buf query;         /* presign: the whole signed query string */
    char signature[65];
    char payload_hash[65]; /* also the value of x-amz-content-sha256 */
    char date[17];         /* value of x-amz-date: 20150830T123600Z */
};

void sup_sigv4_init(struct sup_sigv4 *s);
void sup_sigv4_fini(struct sup_sigv4 *s);
/* Fills s (after init). SUP_OK, SUP_EINPUT (missing host, key, bad method), SUP_ELIMIT, SUP_ENOMEM.
 * Any thread; s belongs to the caller. */
int sup_sigv4_sign(struct sup_sigv4 *s, const struct sup_sigv4_scope *scope,
                   const struct sup_sigv4_request *req, struct sup_err *err);
/* The query-string form: fills s->query instead of s->authorization. Same errors. */
int sup_sigv4_presign(struct sup_sigv4 *s, const struct sup_sigv4_scope *scope,
                      const struct sup_sigv4_request *req, struct sup_err *err);

/* Appends text percent-encoded: everything but A-Z a-z 0-9 - _ . ~ (and '/' when keep_slash). */
void sup_uri_encode(struct sup_buf *out, struct sup_slice text, int keep_slash);
/* SHA-256 of data as 64 lower-case hex digits and a NUL. */
void sup_sha256_hex(struct sup_slice data, char out[65]);

#endif
