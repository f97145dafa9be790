#include "aws/sigv4.h"

#include "aws/sigv4_canonical.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define SIGV4_TEXT_MAX    (1u << 20)
#define SIGV4_HEADERS_MAX 64
#define SIGV4_ALGORITHM   "AWS4-HMAC-SHA256"

static void to_hex(const uint8_t *p, size_t n, char *out)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = hex[p[i] >> 4];
        out[2 * i + 1] = hex[p[i] & 15];
    }
    out[2 * n] = '\0';
}

void sup_sha256_hex(struct sup_slice data, char out[65])
{
    uint8_t digest[EVP_MAX_MD_SIZE] = {0};
    unsigned n = 0;

    /* Can fail only for want of memory or with a broken library; a zero digest is then refused by
     * AWS. */
    (void)EVP_Digest(data.n > 0 ? data.p : (const uint8_t *)"", data.n, digest, &n, EVP_sha256(),
                     NULL);
    to_hex(digest, 32, out);
}

static int hmac(const uint8_t *key, size_t key_n, struct sup_slice data, uint8_t out[32])
{
    unsigned n = 32;
    const uint8_t *p = data.n > 0 ? data.p : (const uint8_t *)"";
    return HMAC(EVP_sha256(), key, (int)key_n, p, data.n, out, &n) != NULL ? SUP_OK : SUP_ENOMEM;
}

void sup_sigv4_init(struct sup_sigv4 *s)
{
    *s = (struct sup_sigv4){0};
    sup_buf_init(&s->canonical_request, SIGV4_TEXT_MAX);
    sup_buf_init(&s->string_to_sign, SIGV4_TEXT_MAX);
    sup_buf_init(&s->authorization, SIGV4_TEXT_MAX);
    sup_buf_init(&s->query, SIGV4_TEXT_MAX);
}

void sup_sigv4_fini(struct sup_sigv4 *s)
{
    sup_buf_fini(&s->canonical_request);
    sup_buf_fini(&s->string_to_sign);
    sup_buf_fini(&s->authorization);
    sup_buf_fini(&s->query);
}

static bool has_text(const char *s)
{
    return s != NULL && s[0] != '\0';
}

/* ---- signing key and signature (the last two tasks of the signing process) ---- */

/* kSigning = HMAC(HMAC(HMAC(HMAC("AWS4" + secret, date), region), service), "aws4_request") */
static int signing_key(const struct sup_sigv4_scope *scope, const char *date, uint8_t key[32])
{
    const struct sup_slice steps[] = {sup_slice_of(date, 8), sup_slice_str(scope->region),
                                      sup_slice_str(scope->service), SUP_SLICE_LIT("aws4_request")};
    struct sup_buf secret;
    sup_buf_init(&secret, 4096);
    sup_buf_add_str(&secret, "AWS4");
    sup_buf_add_str(&secret, scope->secret_access_key);

    int rc = secret.failed;
    for (size_t i = 0; rc == SUP_OK && i < sizeof steps / sizeof steps[0]; i++) {
        uint8_t next[32];
        rc = i == 0 ? hmac(secret.p, secret.n, steps[i], next) : hmac(key, 32, steps[i], next);
        memcpy(key, next, 32);
        OPENSSL_cleanse(next, sizeof next);
    }
    if (secret.p != NULL)
        OPENSSL_cleanse(secret.p, secret.n);
    sup_buf_fini(&secret);
    return rc;
}

static int finish(struct sup_sigv4 *s, const struct sup_sigv4_scope *scope)
{
    char hash[65];
    uint8_t key[32] = {0};
    uint8_t mac[32] = {0};

    sup_sha256_hex(sup_buf_slice(&s->canonical_request), hash);
    sup_buf_addf(&s->string_to_sign, SIGV4_ALGORITHM "\n%s\n%.8s/%s/%s/aws4_request\n%s", s->date,
                 s->date, scope->region, scope->service, hash);
    if (s->canonical_request.failed)
        return s->canonical_request.failed;
    if (s->string_to_sign.failed)
        return s->string_to_sign.failed;
    int rc = signing_key(scope, s->date, key);
    if (rc == SUP_OK)
        rc = hmac(key, sizeof key, sup_buf_slice(&s->string_to_sign), mac);
    to_hex(mac, sizeof mac, s->signature);
    OPENSSL_cleanse(key, sizeof key);
    return rc;
}

/* ---- headers to sign ---- */

/* Those that the signer sets itself. */
static bool is_own_header(const char *name)
{
    return strcasecmp(name, "x-amz-date") == 0 || strcasecmp(name, "x-amz-security-token") == 0 ||
           strcasecmp(name, "x-amz-content-sha256") == 0 || strcasecmp(name, "authorization") == 0;
}

struct header_set {
    struct sup_header items[SIGV4_HEADERS_MAX];
    size_t n;
};

static int collect_headers(struct header_set *set, const struct sup_sigv4_request *req,
                           struct sup_err *err)
{
    bool host = false;

    set->n = 0;
    for (size_t i = 0; i < req->n_headers; i++) {
        const struct sup_header *h = &req->headers[i];
        if (h->name == NULL || h->value == NULL || is_own_header(h->name))
            continue;
        /* Three places stay free for the signer's own. */
        if (set->n == SIGV4_HEADERS_MAX - 3)
            return sup_err_set(err, SUP_ELIMIT, "too many headers to sign");
        host = host || strcasecmp(h->name, "host") == 0;
        set->items[set->n++] = *h;
    }
    if (!host)
        return sup_err_set(err, SUP_EINPUT, "request to sign has no Host header");
    return SUP_OK;
}

static int write_canonical(struct sup_sigv4 *s, const struct sup_sigv4_scope *scope,
                           const struct sup_sigv4_request *req, const char *query,
                           const struct sup_header *headers, size_t n, struct sup_buf *names)
{
    struct sup_buf *out = &s->canonical_request;
    struct sup_buf lines;

    sup_buf_init(&lines, SIGV4_TEXT_MAX);
    sup_buf_addf(out, "%s\n", req->method);
    sup_canonical_path(out, req->path, scope->flags);
    sup_buf_add_byte(out, '\n');
    int rc = sup_canonical_query(out, query);
    sup_buf_add_byte(out, '\n');
    if (rc == SUP_OK)
        rc = sup_canonical_headers(&lines, names, headers, n);
    sup_buf_add_slice(out, sup_buf_slice(&lines));
    sup_buf_add_byte(out, '\n');
    sup_buf_add_slice(out, sup_buf_slice(names));
    sup_buf_addf(out, "\n%s", s->payload_hash);
    if (rc == SUP_OK)
        rc = lines.failed != SUP_OK ? lines.failed : names->failed;
    sup_buf_fini(&lines);
    return rc;
}

static int prepare(struct sup_sigv4 *s, const struct sup_sigv4_scope *scope,
                   const struct sup_sigv4_request *req, struct sup_err *err)
{
    if (!has_text(req->method) || !has_text(scope->access_key_id) ||
        !has_text(scope->secret_access_key) || !has_text(scope->region) ||
        !has_text(scope->service))
        return sup_err_set(err, SUP_EINPUT, "signing needs a method, keys, a Region and a service");

    time_t t = (time_t)(scope->wall_ms / 1000);
    struct tm tm;
    if (gmtime_r(&t, &tm) == NULL || tm.tm_year < 70 || tm.tm_year > 8099)
        return sup_err_set(err, SUP_EINPUT, "signing time out of range");
    strftime(s->date, sizeof s->date, "%Y%m%dT%H%M%SZ", &tm);

    sup_buf_reset(&s->canonical_request);
    sup_buf_reset(&s->string_to_sign);
    sup_buf_reset(&s->authorization);
    sup_buf_reset(&s->query);
    if (scope->flags & SUP_SIGV4_UNSIGNED_PAYLOAD)
        snprintf(s->payload_hash, sizeof s->payload_hash, "UNSIGNED-PAYLOAD");
    else
        sup_sha256_hex(req->body, s->payload_hash);
    return SUP_OK;
}

static int fail(int rc, struct sup_err *err)
{
    return rc == SUP_OK ? rc : sup_err_set(err, rc, "request too large to sign, or out of memory");
}

int sup_sigv4_sign(struct sup_sigv4 *s, const struct sup_sigv4_scope *scope,
                   const struct sup_sigv4_request *req, struct sup_err *err)
{
    struct header_set set;
    struct sup_buf names;
    int rc = prepare(s, scope, req, err);

    if (rc != SUP_OK || (rc = collect_headers(&set, req, err)) != SUP_OK)
        return rc;
    set.items[set.n++] = (struct sup_header){"x-amz-date", s->date};
    if (has_text(scope->session_token) && !(scope->flags & SUP_SIGV4_OMIT_TOKEN))
        set.items[set.n++] = (struct sup_header){"x-amz-security-token", scope->session_token};
    if (scope->flags & SUP_SIGV4_SIGN_BODY)
        set.items[set.n++] = (struct sup_header){"x-amz-content-sha256", s->payload_hash};

    sup_buf_init(&names, SIGV4_TEXT_MAX);
    rc = write_canonical(s, scope, req, req->query, set.items, set.n, &names);
    if (rc == SUP_OK)
        rc = finish(s, scope);
    if (rc == SUP_OK) {
        sup_buf_addf(&s->authorization,
                     SIGV4_ALGORITHM
                     " Credential=%s/%.8s/%s/%s/aws4_request, SignedHeaders=%s, Signature=%s",
                     scope->access_key_id, s->date, scope->region, scope->service,
                     sup_buf_str(&names), s->signature);
        rc = s->authorization.failed;
    }
    sup_buf_fini(&names);
    return fail(rc, err);
}

/* ---- presigned URLs ---- */

static void add_param(struct sup_buf *q, const char *name, struct sup_slice value)
{
    if (q->n > 0)
        sup_buf_add_byte(q, '&');
    sup_buf_add_str(q, name);
    sup_buf_add_byte(q, '=');
    sup_uri_encode(q, value, 0);
}

/* SignedHeaders stands in the query that is signed, so its list is made first. */
static int presign_query(struct sup_sigv4 *s, const struct sup_sigv4_scope *scope,
                         const struct sup_sigv4_request *req, const struct header_set *set)
{
    struct sup_buf names;
    struct sup_buf lines;
    struct sup_buf credential;
    char expires[16];

    sup_buf_init(&names, SIGV4_TEXT_MAX);
    sup_buf_init(&lines, SIGV4_TEXT_MAX);
    sup_buf_init(&credential, SIGV4_TEXT_MAX);
    int rc = sup_canonical_headers(&lines, &names, set->items, set->n);
    sup_buf_addf(&credential, "%s/%.8s/%s/%s/aws4_request", scope->access_key_id, s->date,
                 scope->region, scope->service);
    snprintf(expires, sizeof expires, "%u", scope->expires_s);

    sup_buf_add_slice(&s->query, sup_slice_str(req->query));
    add_param(&s->query, "X-Amz-Algorithm", SUP_SLICE_LIT(SIGV4_ALGORITHM));
    add_param(&s->query, "X-Amz-Credential", sup_buf_slice(&credential));
    add_param(&s->query, "X-Amz-Date", sup_slice_str(s->date));
    add_param(&s->query, "X-Amz-SignedHeaders", sup_buf_slice(&names));
    add_param(&s->query, "X-Amz-Expires", sup_slice_str(expires));
    if (has_text(scope->session_token) && !(scope->flags & SUP_SIGV4_OMIT_TOKEN))
        add_param(&s->query, "X-Amz-Security-Token", sup_slice_str(scope->session_token));
    if (rc == SUP_OK)
        rc = names.failed != SUP_OK ? names.failed : credential.failed;
    sup_buf_fini(&names);
    sup_buf_fini(&lines);
    sup_buf_fini(&credential);
    return rc;
}

int sup_sigv4_presign(struct sup_sigv4 *s, const struct sup_sigv4_scope *scope,
                      const struct sup_sigv4_request *req, struct sup_err *err)
{
    struct header_set set;
    struct sup_buf names;
    int rc = prepare(s, scope, req, err);

    if (rc != SUP_OK || (rc = collect_headers(&set, req, err)) != SUP_OK)
        return rc;
    sup_buf_init(&names, SIGV4_TEXT_MAX);
    rc = presign_query(s, scope, req, &set);
    if (rc == SUP_OK)
        rc = write_canonical(s, scope, req, sup_buf_str(&s->query), set.items, set.n, &names);
    if (rc == SUP_OK)
        rc = finish(s, scope);
    if (rc == SUP_OK) {
        if (has_text(scope->session_token) && (scope->flags & SUP_SIGV4_OMIT_TOKEN))
            add_param(&s->query, "X-Amz-Security-Token", sup_slice_str(scope->session_token));
        add_param(&s->query, "X-Amz-Signature", sup_slice_str(s->signature));
        rc = s->query.failed;
    }
    sup_buf_fini(&names);
    return fail(rc, err);
}
