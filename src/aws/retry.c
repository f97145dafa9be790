#include "aws/retry.h"

#include <stddef.h>
#include <string.h>

#define SKEW_MIN_MS          (4 * 60 * 1000) /* below this a bad signature is a bad signature */
#define RETRY_AFTER_EXTRA_MS 5000

/* The code lists of the SDKs' standard mode, plus what SQS adds (OverLimit is about messages in
 * flight, not about the rate, and is left out). */
static const char *const throttle_codes[] = {"Throttling",
                                             "ThrottlingException",
                                             "ThrottledException",
                                             "RequestThrottledException",
                                             "RequestThrottled",
                                             "TooManyRequestsException",
                                             "ProvisionedThroughputExceededException",
                                             "TransactionInProgressException",
                                             "RequestLimitExceeded",
                                             "BandwidthLimitExceeded",
                                             "LimitExceededException",
                                             "SlowDown",
                                             "EC2ThrottledException",
                                             "KmsThrottled"};
static const char *const transient_codes[] = {
    "RequestTimeout",  "RequestTimeoutException", "PriorRequestNotComplete", "InternalError",
    "InternalFailure", "ServiceUnavailable",      "IDPCommunicationError"};
static const char *const skew_definite[] = {"RequestTimeTooSkewed", "RequestExpired",
                                            "RequestInTheFuture"};
static const char *const skew_possible[] = {"InvalidSignatureException", "SignatureDoesNotMatch",
                                            "AuthFailure"};

#define IN(list, code) in_list((list), sizeof(list) / sizeof((list)[0]), (code))

static bool in_list(const char *const *list, size_t n, const char *code)
{
    for (size_t i = 0; code != NULL && i < n; i++)
        if (strcmp(list[i], code) == 0)
            return true;
    return false;
}

enum sup_retry_class sup_retry_classify(int http_status, const char *code)
{
    if (http_status == 429 || http_status == 509 || IN(throttle_codes, code))
        return SUP_RETRY_THROTTLE;
    if (http_status == 500 || http_status == 502 || http_status == 503 || http_status == 504 ||
        IN(transient_codes, code))
        return SUP_RETRY_TRANSIENT;
    return SUP_RETRY_NONE;
}

bool sup_retry_is_skew(const char *code, int64_t skew_ms)
{
    if (IN(skew_definite, code))
        return true;
    return IN(skew_possible, code) && (skew_ms > SKEW_MIN_MS || skew_ms < -SKEW_MIN_MS);
}

struct sup_retry_policy sup_retry_policy_default(enum sup_retry_rules rules)
{
    return (struct sup_retry_policy){.rules = rules, .max_attempts = 3, .max_backoff_ms = 20000};
}

/* ---- quota ---- */

void sup_retry_bucket_init(struct sup_retry_bucket *b, int capacity, int tokens)
{
    pthread_mutex_init(&b->mutex, NULL);
    b->capacity = capacity;
    b->tokens = tokens < capacity ? tokens : capacity;
}

void sup_retry_bucket_fini(struct sup_retry_bucket *b)
{
    pthread_mutex_destroy(&b->mutex);
}

int sup_retry_bucket_tokens(struct sup_retry_bucket *b)
{
    pthread_mutex_lock(&b->mutex);
    int n = b->tokens;
    pthread_mutex_unlock(&b->mutex);
    return n;
}

static bool bucket_take(struct sup_retry_bucket *b, int n)
{
    pthread_mutex_lock(&b->mutex);
    bool ok = b->tokens >= n;
    if (ok)
        b->tokens -= n;
    pthread_mutex_unlock(&b->mutex);
    return ok;
}

static void bucket_give(struct sup_retry_bucket *b, int n)
{
    pthread_mutex_lock(&b->mutex);
    b->tokens = b->tokens + n < b->capacity ? b->tokens + n : b->capacity;
    pthread_mutex_unlock(&b->mutex);
}

/* ---- one call ---- */

void sup_retry_begin(struct sup_retry *r, const struct sup_retry_policy *policy,
                     struct sup_retry_bucket *bucket, bool long_poll)
{
    *r = (struct sup_retry){.policy = policy, .bucket = bucket, .long_poll = long_poll};
}

static int cost_of(enum sup_retry_rules rules, enum sup_retry_class cls)
{
    if (rules == SUP_RETRY_2_1)
        return cls == SUP_RETRY_THROTTLE ? 5 : 14;
    return cls == SUP_RETRY_TIMEOUT ? 10 : 5;
}

/* unit * min(base * 2^(attempt - 1), cap); x-amz-retry-after can stretch it by 5 s and never
 * shorten. */
static int64_t delay_of(const struct sup_retry *r, enum sup_retry_class cls, int64_t retry_after_ms,
                        double unit)
{
    int64_t base = 1000;
    if (r->policy->rules == SUP_RETRY_2_1 && cls != SUP_RETRY_THROTTLE)
        base = 50;
    unsigned doublings = r->attempt > 0 ? r->attempt - 1 : 0;
    int64_t cap = r->policy->max_backoff_ms;
    int64_t ms = doublings < 20 && base << doublings < cap ? base << doublings : cap;

    ms = (int64_t)((double)ms * unit);
    if (retry_after_ms > ms + RETRY_AFTER_EXTRA_MS)
        retry_after_ms = ms + RETRY_AFTER_EXTRA_MS;
    return retry_after_ms > ms ? retry_after_ms : ms;
}

static struct sup_retry_step step(enum sup_retry_outcome outcome, int64_t delay_ms)
{
    return (struct sup_retry_step){.outcome = outcome, .delay_ms = delay_ms};
}

struct sup_retry_step sup_retry_next(struct sup_retry *r, bool success, enum sup_retry_class cls,
                                     int64_t retry_after_ms, double unit)
{
    r->attempt++;
    if (success) {
        /* A clean success earns one token; a retried one gives back what its last retry took. */
        bucket_give(r->bucket, r->held > 0 ? r->held : 1);
        r->held = 0;
        return step(SUP_RETRY_SUCCESS, 0);
    }
    if (cls == SUP_RETRY_NONE || (cls == SUP_RETRY_SKEW && r->skewed))
        return step(SUP_RETRY_FAIL, 0);
    if (r->attempt >= r->policy->max_attempts)
        return step(SUP_RETRY_MAX_ATTEMPTS, 0);
    int cost = cost_of(r->policy->rules, cls);
    if (!bucket_take(r->bucket, cost)) {
        bool wait = r->long_poll && r->policy->rules == SUP_RETRY_2_1;
        return step(SUP_RETRY_QUOTA_EXCEEDED, wait ? delay_of(r, cls, retry_after_ms, unit) : 0);
    }
    r->held = cost;
    if (cls == SUP_RETRY_SKEW) {
        r->skewed = true;
        return step(SUP_RETRY_AGAIN, 0);
    }
    return step(SUP_RETRY_AGAIN, delay_of(r, cls, retry_after_ms, unit));
}
