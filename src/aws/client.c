#include "aws/client.h"

#include "aws/wire.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define BUCKET_TOKENS 500
#define ATTEMPTS_MAX  100
#define TIMEOUT_MS    30000
#define SKEW_APPLY_MS (4 * 60 * 1000) /* smaller differences are left alone: AWS allows 5 min */
#define URL_MAX_BYTES 65536

struct sup_aws {
    struct sup_aws_env env; /* a copy; http filled in when the caller gave none */
    struct sup_http *http;  /* NULL when the caller brought a transport */
    struct sup_aws_config *config;
    struct sup_aws_provider *provider;
    char *region;
    char *profile;
    char *endpoints[SUP_AWS_N_SERVICES];
    bool custom[SUP_AWS_N_SERVICES]; /* somebody configured that endpoint */
    bool insecure;
    struct sup_retry_policy policy;
    struct sup_retry_bucket bucket;
    atomic_llong skew_ms;
    int64_t connect_timeout_ms;
    int64_t timeout_ms;
    struct sup_stop *stop;
};

/* ---- making one ---- */

static int make_http(struct sup_aws *a, const struct sup_aws_options *opt, struct sup_err *err)
{
    if (a->env.http.send != NULL)
        return SUP_OK;
    struct sup_http_options h = {.ca_bundle = sup_aws_getenv(&a->env, "AWS_CA_BUNDLE"),
                                 .https_proxy = sup_aws_getenv(&a->env, "HTTPS_PROXY"),
                                 .no_proxy = sup_aws_getenv(&a->env, "NO_PROXY"),
                                 .connect_timeout_ms = opt->connect_timeout_ms,
                                 .timeout_ms = opt->timeout_ms};
    if (h.ca_bundle == NULL)
        h.ca_bundle = sup_aws_config_get(a->config, SUP_AWS_PROFILE, a->profile, "ca_bundle");
    if (h.https_proxy == NULL)
        h.https_proxy = sup_aws_getenv(&a->env, "https_proxy");
    if (h.no_proxy == NULL)
        h.no_proxy = sup_aws_getenv(&a->env, "no_proxy");
    int rc = sup_http_new(&a->http, &h, err);
    if (rc == SUP_OK)
        a->env.http = sup_http_transport(a->http);
    return rc;
}

static int make_endpoints(struct sup_aws *a, const struct sup_aws_options *opt, struct sup_err *err)
{
    static const enum sup_aws_service used[] = {SUP_AWS_SESV2, SUP_AWS_SQS, SUP_AWS_STS,
                                                SUP_AWS_S3};
    struct sup_aws_endpoint_query q = {.env = &a->env,
                                       .config = a->config,
                                       .profile = a->profile,
                                       .explicit_url = opt->endpoint_url,
                                       .insecure = opt->insecure};

    for (size_t i = 0; i < sizeof used / sizeof used[0]; i++) {
        a->custom[used[i]] = sup_aws_endpoint_is_custom(&q, used[i]);
        int rc = sup_aws_endpoint(&a->endpoints[used[i]], &q, used[i], a->region, err);
        if (rc != SUP_OK)
            return rc;
    }
    return SUP_OK;
}

static int make_policy(struct sup_aws *a, const struct sup_aws_options *opt, struct sup_err *err)
{
    const char *text = sup_aws_getenv(&a->env, "AWS_MAX_ATTEMPTS");
    const char *mode = sup_aws_getenv(&a->env, "AWS_RETRY_MODE");
    char *end = NULL;

    a->policy = sup_retry_policy_default(SUP_RETRY_2_0);
    if (text == NULL)
        text = sup_aws_config_get(a->config, SUP_AWS_PROFILE, a->profile, "max_attempts");
    if (mode == NULL)
        mode = sup_aws_config_get(a->config, SUP_AWS_PROFILE, a->profile, "retry_mode");
    /* The three modes of the SDKs are all served by the standard one; anything else is a mistake.
     */
    if (mode != NULL && strcmp(mode, "standard") != 0 && strcmp(mode, "adaptive") != 0 &&
        strcmp(mode, "legacy") != 0)
        return sup_err_set(err, SUP_EINPUT,
                           "retry mode '%s' is not one of standard, adaptive, legacy", mode);
    if (opt->max_attempts > 0) {
        a->policy.max_attempts = opt->max_attempts;
    } else if (text != NULL) {
        errno = 0;
        unsigned long v = strtoul(text, &end, 10);
        if (errno != 0 || *end != '\0' || text[0] == '-' || v < 1 || v > ATTEMPTS_MAX)
            return sup_err_set(err, SUP_EINPUT, "max attempts '%s' is not between 1 and %d", text,
                               ATTEMPTS_MAX);
        a->policy.max_attempts = (unsigned)v;
    }
    return SUP_OK;
}

static int make_region(struct sup_aws *a, const struct sup_aws_options *opt, struct sup_err *err)
{
    const char *profile = sup_aws_config_profile(&a->env, opt->profile);
    const char *region = opt->region;

    a->profile = strdup(profile);
    if (region == NULL || region[0] == '\0')
        region = sup_aws_region(&a->env, a->config, profile);
    if (region == NULL)
        return sup_err_set(err, SUP_EINPUT,
                           "no Region: set 'region' in the configuration, or AWS_REGION");
    a->region = strdup(region);
    if (a->profile == NULL || a->region == NULL)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    return SUP_OK;
}

static int make_provider(struct sup_aws *a, const struct sup_aws_options *opt, struct sup_err *err)
{
    struct sup_aws_provider_options po = {.env = &a->env,
                                          .config = a->config,
                                          .profile = opt->profile,
                                          .region = a->region,
                                          .endpoint_url = opt->endpoint_url,
                                          .insecure = opt->insecure,
                                          .stop = opt->stop};
    return sup_aws_provider_new(&a->provider, &po, err);
}

int sup_aws_new(struct sup_aws **out, const struct sup_aws_options *opt, struct sup_err *err)
{
    struct sup_aws *a = calloc(1, sizeof *a);

    *out = NULL;
    if (a == NULL)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    sup_retry_bucket_init(&a->bucket, BUCKET_TOKENS, BUCKET_TOKENS);
    if (opt->env != NULL)
        a->env = *opt->env;
    a->connect_timeout_ms = opt->connect_timeout_ms;
    a->timeout_ms = opt->timeout_ms > 0 ? opt->timeout_ms : TIMEOUT_MS;
    a->stop = opt->stop;
    a->insecure = opt->insecure;
    int rc = sup_aws_config_load(&a->config, &a->env, err);
    if (rc == SUP_OK)
        rc = make_region(a, opt, err);
    if (rc == SUP_OK)
        rc = make_policy(a, opt, err);
    if (rc == SUP_OK)
        rc = make_http(a, opt, err);
    if (rc == SUP_OK)
        rc = make_endpoints(a, opt, err);
    if (rc == SUP_OK)
        rc = make_provider(a, opt, err);
    if (rc != SUP_OK) {
        sup_aws_free(a);
        return rc;
    }
    *out = a;
    return SUP_OK;
}

void sup_aws_free(struct sup_aws *a)
{
    if (a == NULL)
        return;
    sup_aws_provider_free(a->provider);
    sup_http_free(a->http);
    sup_aws_config_free(a->config);
    sup_retry_bucket_fini(&a->bucket);
    for (size_t i = 0; i < SUP_AWS_N_SERVICES; i++)
        free(a->endpoints[i]);
    free(a->region);
    free(a->profile);
    free(a);
}

/* ---- asking it ---- */

const char *sup_aws_client_region(const struct sup_aws *a)
{
    return a->region;
}

bool sup_aws_client_custom(const struct sup_aws *a, enum sup_aws_service service)
{
    return a->custom[service];
}

int sup_aws_client_endpoint(const struct sup_aws *a, enum sup_aws_service service,
                            const char *region, char **out, struct sup_err *err)
{
    const struct sup_aws_endpoint_query q = {
        .env = &a->env, .config = a->config, .profile = a->profile, .insecure = a->insecure};

    *out = NULL;
    if (region != NULL && region[0] != '\0' && !a->custom[service])
        return sup_aws_endpoint(out, &q, service, region, err);
    *out = strdup(a->endpoints[service]);
    return *out != NULL ? SUP_OK : sup_err_set(err, SUP_ENOMEM, "out of memory");
}

bool sup_aws_client_s3_in_path(const struct sup_aws *a)
{
    char *style = NULL;
    bool path = sup_aws_config_get_sub(a->config, SUP_AWS_PROFILE, a->profile, "s3",
                                       "addressing_style", &style) == SUP_OK &&
                style != NULL && strcmp(style, "path") == 0;

    free(style);
    return path;
}

bool sup_aws_client_insecure(const struct sup_aws *a)
{
    return a->insecure;
}

int64_t sup_aws_clock_skew_ms(struct sup_aws *a)
{
    return atomic_load(&a->skew_ms);
}

char *sup_aws_account_id(struct sup_aws *a)
{
    struct sup_aws_credentials c;
    char *id = NULL;

    if (sup_aws_provider_get(a->provider, &c, NULL) == SUP_OK) {
        id = c.account_id;
        c.account_id = NULL;
    }
    sup_aws_credentials_fini(&c);
    return id;
}

/* ---- one call ---- */

struct attempt {
    struct sup_aws *a;
    const struct sup_aws_call *call;
    const char *url;
    struct sup_stop *stop;
    struct sup_aws_error error;
    struct sup_retry retry;
    bool renewed; /* fresh credentials were fetched once for this call */
    bool throttled;
};

static int make_url(const struct sup_aws *a, const struct sup_aws_call *c, struct sup_buf *url,
                    struct sup_err *err)
{
    const char *base = c->url != NULL ? c->url : a->endpoints[c->service];

    if (c->url != NULL) {
        int rc = sup_aws_url_allowed(c->url, a->insecure, err);
        if (rc != SUP_OK)
            return rc;
    }
    sup_buf_add_str(url, base);
    sup_buf_add_str(url, c->path);
    if (c->query != NULL && c->query[0] != '\0')
        sup_buf_addf(url, "?%s", c->query);
    return url->failed == SUP_OK ? SUP_OK : sup_err_set(err, url->failed, "URL too long");
}

static int send_once(struct attempt *t, struct sup_http_response *r, struct sup_err *err)
{
    struct sup_aws *a = t->a;
    const struct sup_aws_call *c = t->call;
    struct sup_aws_credentials keys = {0};
    int rc = c->unsigned_call ? SUP_OK : sup_aws_provider_get(a->provider, &keys, err);

    if (rc != SUP_OK)
        return rc;
    struct sup_aws_wire w = {.http = a->env.http,
                             .method = c->method,
                             .url = t->url,
                             .headers = c->headers,
                             .n_headers = c->n_headers,
                             .body = c->body,
                             .credentials = c->unsigned_call ? NULL : &keys,
                             .region = c->region != NULL ? c->region : a->region,
                             .service = sup_aws_signing_name(c->service),
                             .sigv4_flags =
                                 c->service == SUP_AWS_S3 ? SUP_SIGV4_S3 : SUP_SIGV4_DEFAULT,
                             .wall_ms = sup_aws_wall_ms(&a->env) + atomic_load(&a->skew_ms),
                             .connect_timeout_ms = a->connect_timeout_ms,
                             .timeout_ms = a->timeout_ms + c->extra_timeout_ms,
                             .max_body = c->max_body,
                             .no_repeat = c->no_repeat,
                             .stop = t->stop};
    rc = sup_aws_wire_send(&w, r, err);
    sup_aws_credentials_fini(&keys);
    return rc;
}

/* Takes AWS's Date as the truth when the signature failed for the clock's sake. For signing only.
 */
static bool correct_skew(struct attempt *t, const struct sup_http_response *r)
{
    struct sup_aws *a = t->a;
    int64_t server_ms = 0;

    if (sup_http_date_parse(sup_http_response_header(r, "date"), &server_ms) != SUP_OK)
        return false;
    int64_t skew = server_ms - sup_aws_wall_ms(&a->env);
    int64_t off = skew - atomic_load(&a->skew_ms);
    if (!sup_retry_is_skew(t->error.code, off))
        return false;
    atomic_store(&a->skew_ms, skew > SKEW_APPLY_MS || skew < -SKEW_APPLY_MS ? skew : 0);
    sup_log_warn("aws", "this machine's clock differs from AWS's; requests are signed with AWS's",
                 SUP_I("skew_ms", skew));
    return true;
}

static bool is_expired_token(const char *code)
{
    return strcmp(code, "ExpiredToken") == 0 || strcmp(code, "ExpiredTokenException") == 0 ||
           strcmp(code, "ExpiredTokenIdentity") == 0;
}

/* What kind of failure was it? rc is the transport's answer. */
static enum sup_retry_class classify(struct attempt *t, int rc, const struct sup_http_response *r)
{
    if (rc == SUP_ETIMEDOUT)
        return SUP_RETRY_TIMEOUT;
    if (rc == SUP_EIO)
        return SUP_RETRY_TRANSIENT;
    if (rc != SUP_OK)
        return SUP_RETRY_NONE;
    if (correct_skew(t, r))
        return SUP_RETRY_SKEW;
    if (is_expired_token(t->error.code) && !t->renewed) {
        t->renewed = true;
        sup_aws_provider_invalidate(t->a->provider);
        return SUP_RETRY_TRANSIENT;
    }
    enum sup_retry_class cls = sup_retry_classify(r->status, t->error.code);
    if (cls == SUP_RETRY_THROTTLE)
        t->throttled = true;
    return cls;
}

static int64_t retry_after_ms(const struct sup_http_response *r)
{
    const char *text = sup_http_response_header(r, "x-amz-retry-after");
    char *end = NULL;

    if (text == NULL)
        return -1;
    long long v = strtoll(text, &end, 10);
    return end != text && *end == '\0' && v >= 0 ? (int64_t)v : -1;
}

static double unit_random(void)
{
    return (double)(sup_random_u64() >> 11) * 0x1.0p-53;
}

static int pause_for(struct attempt *t, int64_t ms, struct sup_err *err)
{
    if (ms <= 0)
        return SUP_OK;
    if (t->stop != NULL) {
        if (sup_stop_wait_ms(t->stop, ms))
            return sup_err_set(err, SUP_ECLOSED, "stopped while waiting to repeat a request");
        return SUP_OK;
    }
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&ts, &ts) != 0 && errno == EINTR)
        continue;
    return SUP_OK;
}

static int finish(struct attempt *t, int rc, struct sup_err *err)
{
    struct sup_aws_error *e = &t->error;

    if (rc != SUP_OK || e->http_status == 0 || (e->http_status >= 200 && e->http_status < 300)) {
        e->retryable = rc != SUP_OK && sup_code_is_transient(rc);
        return rc;
    }
    rc = sup_aws_error_code(e);
    e->retryable = sup_code_is_transient(rc);
    return sup_err_set(err, rc, "%s %s: HTTP %d %s: %s", sup_aws_signing_name(t->call->service),
                       t->call->method, e->http_status, e->code, e->message);
}

/* One attempt and what follows from it. Returns true when the call is over, with *rc. */
static bool try_once(struct attempt *t, struct sup_http_response *r, int *rc, struct sup_err *err)
{
    sup_http_response_reset(r);
    memset(&t->error, 0, sizeof t->error);
    *rc = send_once(t, r, err);
    if (*rc == SUP_OK && (r->status < 200 || r->status >= 300))
        sup_aws_error_parse(&t->error, r);
    else if (*rc == SUP_OK)
        t->error.http_status = r->status;

    bool success = *rc == SUP_OK && r->status >= 200 && r->status < 300;
    enum sup_retry_class cls = success ? SUP_RETRY_NONE : classify(t, *rc, r);
    if (cls == SUP_RETRY_THROTTLE && t->call->no_throttle_retry)
        cls = SUP_RETRY_NONE;
    /* What came of it is not known: not ours to repeat. */
    if (cls != SUP_RETRY_NONE && t->call->no_repeat && (*rc != SUP_OK || r->status >= 500))
        cls = SUP_RETRY_NONE;
    struct sup_retry_step step =
        sup_retry_next(&t->retry, success, cls, retry_after_ms(r), unit_random());
    t->error.attempts = t->retry.attempt;
    t->error.throttled = t->throttled;
    *rc = finish(t, *rc, err);
    if (step.outcome != SUP_RETRY_AGAIN && step.delay_ms == 0)
        return true;
    int paused = pause_for(t, step.delay_ms, err);
    if (paused != SUP_OK)
        *rc = paused;
    return paused != SUP_OK || step.outcome != SUP_RETRY_AGAIN;
}

int sup_aws_call(struct sup_aws *a, const struct sup_aws_call *call, struct sup_http_response *r,
                 struct sup_aws_error *aerr, struct sup_err *err)
{
    struct attempt t = {.a = a, .call = call, .stop = call->stop != NULL ? call->stop : a->stop};
    struct sup_buf url;

    sup_buf_init(&url, URL_MAX_BYTES);
    int rc = make_url(a, call, &url, err);
    t.url = sup_buf_str(&url);
    sup_retry_begin(&t.retry, &a->policy, &a->bucket, call->long_poll);
    if (rc == SUP_OK)
        while (!try_once(&t, r, &rc, err))
            continue;
    if (aerr != NULL)
        *aerr = t.error;
    sup_buf_fini(&url);
    return rc;
}
