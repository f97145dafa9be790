#include "auth.h"

#include "clock.h"
#include "request.h"
#include "sigv4.h"
#include "sim.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static void parse_scope(struct sim_auth *a, const char *credential, size_t n)
{
    /* KEY/DATE/REGION/SERVICE/aws4_request, from the right: a key may hold slashes. */
    char *text = sim_strndup(credential, n);
    char *parts[4] = {0};
    for (int i = 3; i >= 0; i--) {
        char *slash = strrchr(text, '/');
        if (!slash) {
            a->malformed = true;
            free(text);
            return;
        }
        parts[i] = slash + 1;
        *slash = 0;
    }
    a->malformed = strcmp(parts[3], "aws4_request") != 0 || !*text;
    a->access_key = sim_strdup(text);
    a->date = sim_strdup(parts[0]);
    a->region = sim_strdup(parts[1]);
    a->service = sim_strdup(parts[2]);
    free(text);
}

static char *field(const char *header, const char *name)
{
    const char *p = strstr(header, name);
    if (!p)
        return NULL;
    p += strlen(name);
    return sim_strndup(p, strcspn(p, ", \t"));
}

static char *copy_or_null(const char *s)
{
    return s ? sim_strdup(s) : NULL;
}

static void parse_presigned(struct sim_request *r, const char *credential)
{
    struct sim_auth *a = &r->auth;
    a->present = a->presigned = true;
    parse_scope(a, credential, strlen(credential));
    a->signed_headers = copy_or_null(sim_pairs_get(&r->query, "X-Amz-SignedHeaders"));
    a->signature = copy_or_null(sim_pairs_get(&r->query, "X-Amz-Signature"));
    a->time = copy_or_null(sim_pairs_get(&r->query, "X-Amz-Date"));
    a->token = copy_or_null(sim_pairs_get(&r->query, "X-Amz-Security-Token"));
    const char *expires = sim_pairs_get(&r->query, "X-Amz-Expires");
    if (!expires || !sim_parse_i64(expires, &a->expires_s) || a->expires_s < 0 ||
        a->expires_s > 604800)
        a->malformed = true;
}

void sim_auth_parse(struct sim_request *r)
{
    struct sim_auth *a = &r->auth;
    const char *header = sim_request_header(r, "authorization");
    const char *credential = sim_pairs_get(&r->query, "X-Amz-Credential");
    if (!header) {
        if (credential)
            parse_presigned(r, credential);
        return;
    }
    a->present = true;
    static const char algorithm[] = "AWS4-HMAC-SHA256 ";
    const char *scope = strstr(header, "Credential=");
    if (strncmp(header, algorithm, sizeof algorithm - 1) != 0 || !scope) {
        a->malformed = true;
        return;
    }
    scope += strlen("Credential=");
    parse_scope(a, scope, strcspn(scope, ", \t"));
    a->signed_headers = field(header, "SignedHeaders=");
    a->signature = field(header, "Signature=");
    a->time = copy_or_null(sim_request_header(r, "x-amz-date"));
    a->token = copy_or_null(sim_request_header(r, "x-amz-security-token"));
}

void sim_auth_fini(struct sim_auth *a)
{
    free(a->access_key);
    free(a->date);
    free(a->region);
    free(a->service);
    free(a->signed_headers);
    free(a->signature);
    free(a->time);
    free(a->token);
    *a = (struct sim_auth){0};
}

struct joined {
    const char *name;
    struct sim_buf value;
    bool found;
};

static enum MHD_Result join_values(void *arg, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    (void)kind;
    struct joined *j = arg;
    if (sim_ieq(name, j->name)) {
        if (j->found)
            sim_buf_char(&j->value, ',');
        sim_buf_str(&j->value, value ? value : "");
        j->found = true;
    }
    return MHD_YES;
}

/* The headers that were signed, as they arrived. false: one of them did not arrive. */
static bool add_signed_headers(struct sim_buf *out, struct sim_request *r)
{
    bool complete = true;
    for (const char *p = r->auth.signed_headers; *p;) {
        size_t n = strcspn(p, ";");
        char *name = sim_strndup(p, n);
        struct joined j = {.name = name};
        MHD_get_connection_values(r->connection, MHD_HEADER_KIND, join_values, &j);
        sim_sigv4_header(out, name, sim_buf_cstr(&j.value));
        complete = complete && j.found;
        sim_buf_fini(&j.value);
        free(name);
        p += n + (p[n] == ';');
    }
    return complete;
}

static bool lists_header(const char *signed_headers, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = signed_headers; *p;) {
        size_t len = strcspn(p, ";");
        if (len == n && strncmp(p, name, n) == 0)
            return true;
        p += len + (p[len] == ';');
    }
    return false;
}

/* Text for the last line of the canonical request; false: the body is not the one announced. */
static bool payload_hash(const struct sim_request *r, char out[65])
{
    static const char unsigned_payload[] = "UNSIGNED-PAYLOAD";
    const char *said = sim_request_header(r, "x-amz-content-sha256");
    char real[65];
    sim_sha256_hex(real, r->body.data, r->body.len);
    if (r->auth.presigned)
        said = unsigned_payload;
    if (r->service != SIM_S3 || !said) {
        memcpy(out, real, sizeof real);
        return true;
    }
    bool open = strcmp(said, unsigned_payload) == 0 || strncmp(said, "STREAMING-", 10) == 0;
    if (strlen(said) > 64 || (!open && strcmp(said, real) != 0))
        return false;
    memcpy(out, said, strlen(said) + 1);
    return true;
}

static bool canonical_request(struct sim_buf *out, struct sim_request *r, const char *hash)
{
    const struct sim_auth *a = &r->auth;
    sim_buf_printf(out, "%s\n", r->method);
    sim_sigv4_path(out, r->raw_path, r->service == SIM_S3);
    sim_buf_char(out, '\n');
    sim_sigv4_query(out, r->raw_query, a->presigned ? "X-Amz-Signature" : NULL);
    sim_buf_char(out, '\n');
    bool complete = add_signed_headers(out, r);
    sim_buf_printf(out, "\n%s\n%s", a->signed_headers, hash);
    return complete;
}

/* The codes differ by service: SES v2 answers as the JSON services of its framework do. */
static const char *signature_code(const struct sim_request *r)
{
    return r->service == SIM_SES ? "InvalidSignatureException" : "SignatureDoesNotMatch";
}

static bool check_key(struct sim_request *r, struct sim_credential *c)
{
    static const char invalid[] = "The security token included in the request is invalid.";
    static const char expired[] = "The security token included in the request is expired";
    bool s3 = r->service == SIM_S3, ses = r->service == SIM_SES;
    const char *token = r->auth.token ? r->auth.token : "";
    if (!sim_creds_find(&r->sim->creds, r->auth.access_key, c) || strcmp(token, c->token) != 0) {
        sim_fail(r, 403,
                 s3    ? "InvalidAccessKeyId"
                 : ses ? "UnrecognizedClientException"
                       : "InvalidClientTokenId",
                 invalid);
        return false;
    }
    int64_t now = sim_region_now(r->region);
    if (c->expiry_ms && now > c->expiry_ms) {
        sim_fail(r, 403, ses ? "ExpiredTokenException" : "ExpiredToken", expired);
        return false;
    }
    return true;
}

#define SKEW_MS ((int64_t)5 * 60 * 1000)

static bool check_time(struct sim_request *r)
{
    const struct sim_auth *a = &r->auth;
    int64_t time = 0, now = sim_region_now(r->region);
    if (!a->time || !sim_time_parse_basic(a->time, &time) || strncmp(a->time, a->date, 8) != 0) {
        sim_fail(r, 403, signature_code(r),
                 "Date in Credential scope does not match YYYYMMDD from "
                 "ISO-8601 version of date from HTTP");
        return false;
    }
    bool s3 = r->service == SIM_S3;
    int64_t valid_ms = a->presigned ? a->expires_s * 1000 : s3 ? 3 * SKEW_MS : SKEW_MS;
    bool early = time > now + SKEW_MS * (s3 ? 3 : 1);
    if (time + valid_ms >= now && !early)
        return true;
    if (s3) {
        sim_fail(
            r, 403, a->presigned ? "AccessDenied" : "RequestTimeTooSkewed",
            a->presigned
                ? "Request has expired"
                : "The difference between the request time and the current time is too large.");
        return false;
    }
    char server[SIM_TIME_LEN], limit[SIM_TIME_LEN];
    sim_time_basic(server, now);
    sim_time_basic(limit, early ? now + SKEW_MS : now - SKEW_MS);
    sim_fail(r, 403, signature_code(r),
             early ? "Signature not yet current: %s is still later than %s (%s + 5 min.)"
                   : "Signature expired: %s is now earlier than %s (%s - 5 min.)",
             a->time, limit, server);
    return false;
}

static bool check_scope(struct sim_request *r)
{
    static const char *const names[] = {[SIM_SES] = "ses",
                                        [SIM_SQS] = "sqs",
                                        [SIM_SNS] = "sns",
                                        [SIM_STS] = "sts",
                                        [SIM_S3] = "s3"};
    const struct sim_auth *a = &r->auth;
    if (a->malformed || !a->signature || !a->signed_headers) {
        sim_fail(r, 403, "IncompleteSignature",
                 "Authorization header requires Credential, SignedHeaders and Signature.");
        return false;
    }
    if (strcmp(a->service, names[r->service]) != 0) {
        sim_fail(r, 403, signature_code(r), "Credential should be scoped to correct service: '%s'.",
                 names[r->service]);
        return false;
    }
    const char *needs = !lists_header(a->signed_headers, "host")         ? "host"
                        : a->presigned                                   ? NULL
                        : !lists_header(a->signed_headers, "x-amz-date") ? "x-amz-date"
                        : r->auth.token && !lists_header(a->signed_headers, "x-amz-security-token")
                            ? "x-amz-security-token"
                            : NULL;
    if (needs)
        sim_fail(r, 403, signature_code(r), "'%s' must be a 'SignedHeader' in the Authorization.",
                 needs);
    return !needs;
}

bool sim_auth_verify(struct sim_request *r)
{
    struct sim_auth *a = &r->auth;
    struct sim_credential credential;
    char hash[65];
    if (!check_scope(r) || !check_key(r, &credential) || !check_time(r))
        return false;
    if (!payload_hash(r, hash)) {
        sim_fail(r, 400, "XAmzContentSHA256Mismatch",
                 "The provided 'x-amz-content-sha256' header does not match what was computed.");
        return false;
    }
    struct sim_buf canonical = {0};
    bool complete = canonical_request(&canonical, r, hash);
    char expected[65];
    sim_sigv4_sign(expected, credential.secret, a->date, a->region, a->service, a->time,
                   &canonical);
    sim_buf_fini(&canonical);
    bool same =
        complete && strlen(a->signature) == 64 && CRYPTO_memcmp(a->signature, expected, 64) == 0;
    OPENSSL_cleanse(expected, sizeof expected);
    if (!same)
        sim_fail(r, 403, signature_code(r),
                 "The request signature we calculated does not match the signature you provided. "
                 "Check your AWS Secret Access Key and signing method. Consult the service "
                 "documentation for details.");
    return same;
}

void sim_auth_presign(struct sim_buf *url, const char *host, const char *region, const char *path,
                      int64_t now_ms, int64_t expires_s)
{
    char time[SIM_TIME_LEN], date[9] = {0}, signature[65];
    sim_time_basic(time, now_ms);
    memcpy(date, time, 8);
    struct sim_buf query = {0}, canonical = {0}, wire_path = {0};
    sim_uri_encode(&wire_path, path, strlen(path), true);
    sim_buf_printf(&query,
                   "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=%s%%2F%s%%2F%s%%2Fs3%%2F"
                   "aws4_request&X-Amz-Date=%s&X-Amz-Expires=%lld&X-Amz-SignedHeaders=host",
                   SIM_DEFAULT_KEY, date, region, time, (long long)expires_s);
    sim_buf_printf(&canonical, "GET\n%s\n%s\nhost:%s\n\nhost\nUNSIGNED-PAYLOAD",
                   sim_buf_cstr(&wire_path), sim_buf_cstr(&query), host);
    sim_sigv4_sign(signature, SIM_DEFAULT_SECRET, date, region, "s3", time, &canonical);
    sim_buf_printf(url, "http://%s%s?%s&X-Amz-Signature=%s", host, sim_buf_cstr(&wire_path),
                   sim_buf_cstr(&query), signature);
    sim_buf_fini(&query);
    sim_buf_fini(&canonical);
    sim_buf_fini(&wire_path);
}
