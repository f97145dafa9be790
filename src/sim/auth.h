#ifndef SIM_AUTH_H
#define SIM_AUTH_H

#include "buf.h"

#include <stdbool.h>
#include <stdint.h>

struct sim_request;

/* What the Authorization header, or the X-Amz-* parameters of a presigned URL, say. */
struct sim_auth {
    bool present;
    bool presigned;
    bool malformed;
    char *access_key;
    char *date; /* of the credential scope, YYYYMMDD */
    char *region;
    char *service;
    char *signed_headers;
    char *signature;
    char *time; /* X-Amz-Date */
    char *token;
    int64_t expires_s; /* presigned */
};

/* Fills r->auth. */
void sim_auth_parse(struct sim_request *r);
void sim_auth_fini(struct sim_auth *a);
/* true: the request may pass. false: r holds the error that AWS would give. */
bool sim_auth_verify(struct sim_request *r);

/* A presigned GET of http://HOST/BUCKET/KEY as S3 makes them, with the default credentials. */
void sim_auth_presign(struct sim_buf *url, const char *host, const char *region, const char *path,
                      int64_t now_ms, int64_t expires_s);

#endif
