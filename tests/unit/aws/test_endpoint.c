/* Endpoints: built in, configured, refused. */
#include "aws/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* "NAME=value" pairs, NULL-terminated. */
static const char *env_lookup(void *arg, const char *name)
{
    size_t n = strlen(name);
    for (const char *const *e = arg; *e != NULL; e++)
        if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
            return *e + n + 1;
    return NULL;
}

struct setup {
    const char *const *env;
    const char *config;
    const char *profile;
    const char *explicit_url;
    bool insecure;
};

static int endpoint(char **out, const struct setup *s, enum sup_aws_service service,
                    const char *region, struct sup_err *err)
{
    static const char *const none[] = {NULL};
    struct sup_aws_env env = {.getenv = env_lookup,
                              .getenv_arg = (void *)(s->env != NULL ? s->env : none)};
    struct sup_aws_config *c = sup_aws_config_new();
    if (s->config != NULL)
        assert_int_equal(
            sup_aws_config_parse(c, SUP_AWS_CONFIG_FILE, sup_slice_str(s->config), NULL), SUP_OK);
    struct sup_aws_endpoint_query q = {.env = &env,
                                       .config = c,
                                       .profile = s->profile,
                                       .explicit_url = s->explicit_url,
                                       .insecure = s->insecure};
    int rc = sup_aws_endpoint(out, &q, service, region, err);
    sup_aws_config_free(c);
    return rc;
}

static void expect(const struct setup *s, enum sup_aws_service service, const char *region,
                   const char *want)
{
    char *got = NULL;
    struct sup_err err;
    if (endpoint(&got, s, service, region, &err) != SUP_OK)
        fail_msg("%s: %s", want, err.msg);
    assert_string_equal(got, want);
    free(got);
}

static void refuse(const struct setup *s, enum sup_aws_service service, const char *region)
{
    char *got = NULL;
    struct sup_err err;
    assert_int_equal(endpoint(&got, s, service, region, &err), SUP_EINPUT);
    assert_null(got);
}

static void test_built_in(void **state)
{
    (void)state;
    struct setup s = {0};
    expect(&s, SUP_AWS_SESV2, "eu-west-1", "https://email.eu-west-1.amazonaws.com");
    expect(&s, SUP_AWS_SQS, "us-east-1", "https://sqs.us-east-1.amazonaws.com");
    expect(&s, SUP_AWS_STS, "cn-north-1", "https://sts.cn-north-1.amazonaws.com.cn");
    expect(&s, SUP_AWS_S3, "us-gov-west-1", "https://s3.us-gov-west-1.amazonaws.com");
    expect(&s, SUP_AWS_SQS, "us-iso-east-1", "https://sqs.us-iso-east-1.c2s.ic.gov");
    expect(&s, SUP_AWS_SQS, "us-isob-east-1", "https://sqs.us-isob-east-1.sc2s.sgov.gov");
    expect(&s, SUP_AWS_SQS, "eusc-de-east-1", "https://sqs.eusc-de-east-1.amazonaws.eu");
    assert_string_equal(sup_aws_signing_name(SUP_AWS_SESV2), "ses");
}

static void test_fips_and_dual_stack(void **state)
{
    (void)state;
    const char *const fips[] = {"AWS_USE_FIPS_ENDPOINT=TRUE", NULL};
    const char *const dual[] = {"AWS_USE_DUALSTACK_ENDPOINT=true", NULL};
    const char *const both[] = {"AWS_USE_FIPS_ENDPOINT=true", "AWS_USE_DUALSTACK_ENDPOINT=true",
                                NULL};
    const char *const off[] = {"AWS_USE_FIPS_ENDPOINT=false", NULL};
    struct setup s = {.env = fips};
    expect(&s, SUP_AWS_SESV2, "us-east-1", "https://email-fips.us-east-1.amazonaws.com");
    s.env = dual;
    expect(&s, SUP_AWS_SESV2, "us-east-1", "https://email.us-east-1.api.aws");
    expect(&s, SUP_AWS_SQS, "cn-north-1", "https://sqs.cn-north-1.api.amazonwebservices.com.cn");
    expect(&s, SUP_AWS_S3, "us-east-1", "https://s3.dualstack.us-east-1.amazonaws.com");
    s.env = both;
    expect(&s, SUP_AWS_SSO, "us-east-2", "https://portal.sso-fips.us-east-2.api.aws");
    expect(&s, SUP_AWS_S3, "us-east-1", "https://s3-fips.dualstack.us-east-1.amazonaws.com");
    s = (struct setup){.config = "[default]\nuse_fips_endpoint = true\n"};
    expect(&s, SUP_AWS_STS, "us-east-1", "https://sts-fips.us-east-1.amazonaws.com");
    s.env = off; /* the environment goes before the file */
    expect(&s, SUP_AWS_STS, "us-east-1", "https://sts.us-east-1.amazonaws.com");
}

static void test_configured(void **state)
{
    (void)state;
    static const char config[] = "[default]\n"
                                 "endpoint_url = https://profile.example\n"
                                 "services = s\n"
                                 "[profile plain]\n"
                                 "endpoint_url = https://plain.example/base/\n"
                                 "[services s]\n"
                                 "sesv2 =\n"
                                 "  endpoint_url = https://service.example\n";
    const char *const env[] = {"AWS_ENDPOINT_URL=https://env.example",
                               "AWS_ENDPOINT_URL_SQS=https://sqs.env.example/", NULL};
    const char *const ignore[] = {"AWS_ENDPOINT_URL=https://env.example",
                                  "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true", NULL};
    struct setup s = {.config = config};
    expect(&s, SUP_AWS_SESV2, "r", "https://service.example");
    expect(&s, SUP_AWS_SQS, "r", "https://profile.example");
    s.profile = "plain";
    expect(&s, SUP_AWS_SESV2, "r", "https://plain.example/base");
    s.profile = NULL;
    s.env = env;
    expect(&s, SUP_AWS_SESV2, "r", "https://env.example");
    expect(&s, SUP_AWS_SQS, "r", "https://sqs.env.example");
    s.explicit_url = "http://127.0.0.1:9400/";
    expect(&s, SUP_AWS_SQS, "r", "http://127.0.0.1:9400");
    s = (struct setup){.config = config, .env = ignore};
    expect(&s, SUP_AWS_SQS, "r", "https://sqs.r.amazonaws.com");
}

static void test_plain_http_only_for_loopback(void **state)
{
    (void)state;
    struct setup s = {.explicit_url = "http://sim.example:9400"};
    refuse(&s, SUP_AWS_SQS, "r");
    s.insecure = true;
    expect(&s, SUP_AWS_SQS, "r", "http://sim.example:9400");
    s = (struct setup){.explicit_url = "http://[::1]:9400"};
    expect(&s, SUP_AWS_SQS, "r", "http://[::1]:9400");
    s.explicit_url = "http://localhost.evil.example";
    refuse(&s, SUP_AWS_SQS, "r");
}

static void test_bad_urls_and_regions(void **state)
{
    (void)state;
    static const char *const urls[] = {"ftp://x",      "https://", "https://h?x=1", "https://u:p@h",
                                       "https://h/#f", "nonsense", "https://h\nx"};
    static const char *const regions[] = {"",          NULL,  "EU-WEST-1", "eu west", "a.b",
                                          "evil.com/", "-eu", "eu-",       "a@b"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct setup s = {.explicit_url = urls[i]};
        refuse(&s, SUP_AWS_SESV2, "eu-west-1");
    }
    for (size_t i = 0; i < sizeof regions / sizeof regions[0]; i++) {
        struct setup s = {0};
        refuse(&s, SUP_AWS_SESV2, regions[i]);
    }
}

static void test_region_order(void **state)
{
    (void)state;
    const char *both[] = {"AWS_REGION=a", "AWS_DEFAULT_REGION=b", NULL};
    const char *second[] = {"AWS_REGION=", "AWS_DEFAULT_REGION=b", NULL};
    const char *none[] = {NULL};
    struct sup_aws_env env = {.getenv = env_lookup, .getenv_arg = both};
    struct sup_aws_config *c = sup_aws_config_new();
    assert_int_equal(sup_aws_config_parse(c, SUP_AWS_CONFIG_FILE,
                                          SUP_SLICE_LIT("[default]\nregion = c\n"), NULL),
                     SUP_OK);
    assert_string_equal(sup_aws_region(&env, c, "default"), "a");
    env.getenv_arg = second;
    assert_string_equal(sup_aws_region(&env, c, "default"), "b");
    env.getenv_arg = none;
    assert_string_equal(sup_aws_region(&env, c, "default"), "c");
    assert_null(sup_aws_region(&env, c, "other"));
    sup_aws_config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_built_in),
        cmocka_unit_test(test_fips_and_dual_stack),
        cmocka_unit_test(test_configured),
        cmocka_unit_test(test_plain_http_only_for_loopback),
        cmocka_unit_test(test_bad_urls_and_regions),
        cmocka_unit_test(test_region_order),
    };
    return cmocka_run_group_tests_name("endpoint", tests, NULL, NULL);
}
