#ifndef SUP_AWS_RETRY_H
#define SUP_AWS_RETRY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* The standard retry mode of the AWS SDKs (AWS SDKs and Tools Reference Guide, "Retry behavior"),
 * as functions without I/O, clocks or sleeping: the caller sends, sleeps and draws the random
 * number. */

enum sup_retry_rules {
    SUP_RETRY_2_0, /* base 1 s, cost 5 (timeouts 10) */
    SUP_RETRY_2_1  /* base 50 ms (throttles 1 s), cost 14 (throttles 5), x-amz-retry-after */
};

enum sup_retry_class {
    SUP_RETRY_NONE,      /* success, or an error that repeating cannot mend */
    SUP_RETRY_TRANSIENT, /* 500, 502, 503, 504, connection trouble */
    SUP_RETRY_TIMEOUT,   /* transient too; costs more */
    SUP_RETRY_THROTTLE,
    SUP_RETRY_SKEW /* signing clock off: repeat once with the corrected clock */
};

/* Classes a reply. code may be NULL or "". Throttling is told by error code, as the SDKs do, and by
 * status 429, which SES v2 uses. */
enum sup_retry_class sup_retry_classify(int http_status, const char *code);
/* Skew codes: definite ones always, possible ones (a bad signature) only when the clocks of both
 * sides differ by more than 4 minutes. skew_ms is server minus own time. */
bool sup_retry_is_skew(const char *code, int64_t skew_ms);

struct sup_retry_policy {
    enum sup_retry_rules rules;
    unsigned max_attempts; /* the first try counts */
    int64_t max_backoff_ms;
};
struct sup_retry_policy sup_retry_policy_default(enum sup_retry_rules rules);

/* Retry quota shared by all calls of a client; thread-safe. */
struct sup_retry_bucket {
    pthread_mutex_t mutex;
    int capacity;
    int tokens;
};
void sup_retry_bucket_init(struct sup_retry_bucket *b, int capacity, int tokens);
void sup_retry_bucket_fini(struct sup_retry_bucket *b);
int sup_retry_bucket_tokens(struct sup_retry_bucket *b);

/* One call's state; not shared. */
struct sup_retry {
    const struct sup_retry_policy *policy;
    struct sup_retry_bucket *bucket;
    unsigned attempt; /* attempts made */
    int held;         /* tokens taken by the last retry; given back when it succeeds */
    bool long_poll;   /* SQS ReceiveMessage: waits even when it may not repeat (rules 2.1) */
    bool skewed;      /* the one repeat for clock skew was used */
};
void sup_retry_begin(struct sup_retry *r, const struct sup_retry_policy *policy,
                     struct sup_retry_bucket *bucket, bool long_poll);

enum sup_retry_outcome {
    SUP_RETRY_SUCCESS,
    SUP_RETRY_AGAIN,         /* sleep delay_ms, then repeat */
    SUP_RETRY_FAIL,          /* not an error to repeat */
    SUP_RETRY_MAX_ATTEMPTS,  /* attempts used up */
    SUP_RETRY_QUOTA_EXCEEDED /* no tokens left; delay_ms may still ask a long poller to wait */
};
struct sup_retry_step {
    enum sup_retry_outcome outcome;
    int64_t delay_ms;
};
/* After each attempt. success: the attempt worked. unit is uniform in [0,1) and scales the delay
 * (full jitter). retry_after_ms: x-amz-retry-after, or -1. */
struct sup_retry_step sup_retry_next(struct sup_retry *r, bool success, enum sup_retry_class cls,
                                     int64_t retry_after_ms, double unit);

#endif
