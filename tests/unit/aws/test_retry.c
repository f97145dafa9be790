/* The standard retry mode against the cases that the AWS SDKs share. */
#include "aws_fixture.h"

#include "aws/retry.h"
#include "base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STEPS_MAX   16
#define THREADS_MAX 4

struct expectation {
    int status;
    char code[64];
    int64_t retry_after_ms;
    char outcome[32];
    int quota;       /* -1: not said */
    double delay_ms; /* -1: not said */
};

struct script {
    struct sup_retry_policy policy;
    int tokens;
    bool long_poll;
    struct expectation steps[THREADS_MAX][STEPS_MAX];
    size_t n[THREADS_MAX];
    size_t threads;
    int final_quota; /* -1: not said */
};

/* ---- the small part of YAML that the cases use: "key: value" lines, dashes for lists ---- */

static void set_key(struct script *s, struct expectation *e, const char *key, const char *value)
{
    if (strcmp(key, "max_attempts") == 0)
        s->policy.max_attempts = (unsigned)strtol(value, NULL, 10);
    else if (strcmp(key, "initial_retry_tokens") == 0)
        s->tokens = (int)strtol(value, NULL, 10);
    else if (strcmp(key, "long_polling") == 0)
        s->long_poll = strcmp(value, "true") == 0;
    else if (strcmp(key, "max_backoff_time") == 0)
        s->policy.max_backoff_ms = strtol(value, NULL, 10) * 1000;
    else if (strcmp(key, "expected_final_quota") == 0)
        s->final_quota = (int)strtol(value, NULL, 10);
    else if (e == NULL)
        return;
    else if (strcmp(key, "status_code") == 0)
        e->status = (int)strtol(value, NULL, 10);
    else if (strcmp(key, "error_code") == 0)
        snprintf(e->code, sizeof e->code, "%s", value);
    else if (strcmp(key, "x-amz-retry-after") == 0)
        e->retry_after_ms = strtol(value[0] == '"' ? value + 1 : value, NULL, 10);
    else if (strcmp(key, "outcome") == 0)
        snprintf(e->outcome, sizeof e->outcome, "%s", value);
    else if (strcmp(key, "retry_quota") == 0)
        e->quota = (int)strtol(value, NULL, 10);
    else if (strcmp(key, "delay") == 0)
        e->delay_ms = strtod(value, NULL) * 1000;
}

static void parse_script(struct script *s, char *text, enum sup_retry_rules rules)
{
    struct expectation *e = NULL;
    char *save = NULL;
    *s = (struct script){
        .policy = sup_retry_policy_default(rules), .tokens = 500, .final_quota = -1};
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        int dashes = 0;
        while (*line == ' ' || *line == '-')
            dashes += *line++ == '-';
        char *colon = strchr(line, ':');
        if (*line == '#' || colon == NULL)
            continue;
        *colon = '\0';
        char *value = colon + 1 + strspn(colon + 1, " ");
        if (strcmp(line, "response") == 0) {
            if (dashes == 2 || s->threads == 0)
                s->threads++;
            size_t t = s->threads - 1;
            assert_true(t < THREADS_MAX && s->n[t] < STEPS_MAX);
            e = &s->steps[t][s->n[t]++];
            *e = (struct expectation){.retry_after_ms = -1, .quota = -1, .delay_ms = -1};
        }
        set_key(s, e, line, value);
    }
}

/* ---- running ---- */

static const char *outcome_name(enum sup_retry_outcome o)
{
    static const char *const names[] = {"success", "retry_request", "fail_request",
                                        "max_attempts_exceeded", "retry_quota_exceeded"};
    return names[o];
}

static bool step_matches(struct sup_retry *r, struct sup_retry_bucket *b,
                         const struct expectation *e)
{
    bool success = e->status < 300;
    struct sup_retry_step step =
        sup_retry_next(r, success, sup_retry_classify(e->status, e->code), e->retry_after_ms, 1.0);
    if (strcmp(outcome_name(step.outcome), e->outcome) != 0)
        return false;
    if (e->quota >= 0 && sup_retry_bucket_tokens(b) != e->quota)
        return false;
    if (e->delay_ms < 0)
        return step.delay_ms == 0 || step.outcome == SUP_RETRY_AGAIN;
    return fabs(e->delay_ms - (double)step.delay_ms) < 1;
}

/* The cases with threads do not say who is first: some order must give what they expect. */
static bool some_order(const struct script *s, const size_t *at, const struct sup_retry *r,
                       int tokens)
{
    bool left = false;
    for (size_t t = 0; t < s->threads; t++) {
        if (at[t] == s->n[t])
            continue;
        left = true;
        struct sup_retry_bucket b;
        struct sup_retry next[THREADS_MAX];
        size_t pos[THREADS_MAX];
        memcpy(next, r, sizeof next);
        memcpy(pos, at, sizeof pos);
        sup_retry_bucket_init(&b, 500, tokens);
        next[t].bucket = &b;
        bool ok = step_matches(&next[t], &b, &s->steps[t][pos[t]++]);
        int now = sup_retry_bucket_tokens(&b);
        sup_retry_bucket_fini(&b);
        if (ok && some_order(s, pos, next, now))
            return true;
    }
    return !left && (s->final_quota < 0 || s->final_quota == tokens);
}

static int run_directory(const char *name, enum sup_retry_rules rules)
{
    const char *p = fixture_path("retry/%s", name);
    int ran = 0;
    if (p == NULL)
        return -1;
    char dir[1024];
    snprintf(dir, sizeof dir, "%s", p);
    char **names = fixture_list(dir);
    for (size_t i = 0; names[i] != NULL; i++) {
        char path[1536];
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        char *text = fixture_read(path, NULL);
        assert_non_null(text);
        struct script s;
        parse_script(&s, text, rules);
        assert_true(s.threads > 0);
        size_t at[THREADS_MAX] = {0};
        struct sup_retry r[THREADS_MAX];
        for (size_t t = 0; t < THREADS_MAX; t++)
            sup_retry_begin(&r[t], &s.policy, NULL, s.long_poll);
        if (!some_order(&s, at, r, s.tokens))
            fail_msg("%s", path);
        free(text);
        ran++;
    }
    fixture_list_free(names);
    printf("retry: %d cases of %s ran\n", ran, name);
    return ran;
}

static void test_standard_2_0(void **state)
{
    (void)state;
    int ran = run_directory("standard-2.0", SUP_RETRY_2_0);
    if (ran < 0)
        skip();
    assert_true(ran > 0);
}

static void test_standard_2_1(void **state)
{
    (void)state;
    int ran = run_directory("standard-2.1", SUP_RETRY_2_1);
    if (ran < 0)
        skip();
    assert_true(ran > 0);
}

/* botocore's older policy file: whatever it calls retryable for every service is retryable here. */
static void test_legacy_policies(void **state)
{
    (void)state;
    const char *p = fixture_path("retry/botocore-_retry.json");
    if (p == NULL || !fixture_exists(p))
        skip();
    json_t *d = fixture_json(p);
    assert_non_null(d);
    json_t *all =
        json_object_get(json_object_get(json_object_get(d, "retry"), "__default__"), "policies");
    const char *name;
    json_t *unused;
    int ran = 0;
    json_object_foreach(all, name, unused)
    {
        json_t *def = json_object_get(json_object_get(d, "definitions"), name);
        json_t *r = json_object_get(json_object_get(def, "applies_when"), "response");
        if (r == NULL)
            continue;
        int status = (int)json_integer_value(json_object_get(r, "http_status_code"));
        const char *code = json_string_value(json_object_get(r, "service_error_code"));
        if (sup_retry_classify(status, code) == SUP_RETRY_NONE)
            fail_msg("%s: %d %s", name, status, code);
        ran++;
    }
    json_decref(d);
    printf("retry: %d legacy policies checked\n", ran);
    assert_true(ran > 0);
}

static void test_classes(void **state)
{
    (void)state;
    assert_int_equal(sup_retry_classify(400, "LimitExceededException"), SUP_RETRY_THROTTLE);
    assert_int_equal(sup_retry_classify(429, NULL), SUP_RETRY_THROTTLE);
    assert_int_equal(sup_retry_classify(503, "SlowDown"), SUP_RETRY_THROTTLE);
    assert_int_equal(sup_retry_classify(503, ""), SUP_RETRY_TRANSIENT);
    assert_int_equal(sup_retry_classify(501, ""), SUP_RETRY_NONE);
    assert_int_equal(sup_retry_classify(400, "RequestTimeout"), SUP_RETRY_TRANSIENT);
    assert_int_equal(sup_retry_classify(400, "BadRequestException"), SUP_RETRY_NONE);
    assert_int_equal(sup_retry_classify(404, "NotFoundException"), SUP_RETRY_NONE);
    assert_true(sup_retry_is_skew("RequestTimeTooSkewed", 0));
    assert_false(sup_retry_is_skew("SignatureDoesNotMatch", 1000));
    assert_true(sup_retry_is_skew("SignatureDoesNotMatch", -300000));
    assert_false(sup_retry_is_skew("AccessDenied", 3600000));
}

static void test_jitter_and_caps(void **state)
{
    (void)state;
    struct sup_rng rng;
    uint64_t seed = sup_random_u64();
    printf("seed %llu\n", (unsigned long long)seed);
    sup_rng_seed(&rng, seed);
    for (int i = 0; i < 2000; i++) {
        struct sup_retry_policy p = sup_retry_policy_default(i % 2 ? SUP_RETRY_2_0 : SUP_RETRY_2_1);
        struct sup_retry_bucket b;
        struct sup_retry r;
        p.max_attempts = 60;
        sup_retry_bucket_init(&b, 100000, 100000);
        sup_retry_begin(&r, &p, &b, false);
        for (int k = 0; k < 59; k++) {
            int64_t after = sup_rng_below(&rng, 4) == 0 ? (int64_t)sup_rng_below(&rng, 100000) : -1;
            struct sup_retry_step s =
                sup_retry_next(&r, false, SUP_RETRY_TRANSIENT, after, sup_rng_unit(&rng));
            assert_int_equal(s.outcome, SUP_RETRY_AGAIN);
            assert_true(s.delay_ms >= 0 && s.delay_ms <= 25000);
            if (after < 0)
                assert_true(s.delay_ms <= 20000);
        }
        sup_retry_bucket_fini(&b);
    }
}

static void test_timeouts_cost_double_and_success_earns(void **state)
{
    (void)state;
    struct sup_retry_policy p = sup_retry_policy_default(SUP_RETRY_2_0);
    struct sup_retry_bucket b;
    struct sup_retry r;
    sup_retry_bucket_init(&b, 500, 100);
    sup_retry_begin(&r, &p, &b, false);
    assert_int_equal(sup_retry_next(&r, false, SUP_RETRY_TIMEOUT, -1, 1).outcome, SUP_RETRY_AGAIN);
    assert_int_equal(sup_retry_bucket_tokens(&b), 90);
    assert_int_equal(sup_retry_next(&r, true, SUP_RETRY_NONE, -1, 1).outcome, SUP_RETRY_SUCCESS);
    assert_int_equal(sup_retry_bucket_tokens(&b), 100);
    sup_retry_begin(&r, &p, &b, false);
    sup_retry_next(&r, true, SUP_RETRY_NONE, -1, 1);
    assert_int_equal(sup_retry_bucket_tokens(&b), 101);
    sup_retry_bucket_fini(&b);
}

static void test_skew_is_repeated_once(void **state)
{
    (void)state;
    struct sup_retry_policy p = sup_retry_policy_default(SUP_RETRY_2_0);
    struct sup_retry_bucket b;
    struct sup_retry r;
    sup_retry_bucket_init(&b, 500, 500);
    sup_retry_begin(&r, &p, &b, false);
    struct sup_retry_step s = sup_retry_next(&r, false, SUP_RETRY_SKEW, -1, 1);
    assert_int_equal(s.outcome, SUP_RETRY_AGAIN);
    assert_int_equal(s.delay_ms, 0);
    assert_int_equal(sup_retry_next(&r, false, SUP_RETRY_SKEW, -1, 1).outcome, SUP_RETRY_FAIL);
    sup_retry_bucket_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_standard_2_0),
        cmocka_unit_test(test_standard_2_1),
        cmocka_unit_test(test_legacy_policies),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_jitter_and_caps),
        cmocka_unit_test(test_timeouts_cost_double_and_success_earns),
        cmocka_unit_test(test_skew_is_repeated_once),
    };
    return cmocka_run_group_tests_name("retry", tests, NULL, NULL);
}
