/* The shared configuration files: the SDKs' parser cases, botocore's files, a fuzzing corpus. */
#include "aws_fixture.h"

#include "aws/config.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *env_lookup(void *arg, const char *name)
{
    return json_string_value(json_object_get(arg, name));
}

static struct sup_aws_env env_of(json_t *vars)
{
    return (struct sup_aws_env){.getenv = env_lookup, .getenv_arg = vars};
}

/* What was parsed, in the form of the cases: {"profiles": {name: {key: value}}, "sso_sessions": …}
 */
static void collect(void *arg, enum sup_aws_section section, const char *name, const char *key,
                    const char *value)
{
    static const char *const groups[] = {"profiles", "sso_sessions", "services"};
    json_t *root = arg;
    json_t *group = json_object_get(root, groups[section]);
    if (group == NULL) {
        group = json_object();
        json_object_set_new(root, groups[section], group);
    }
    json_t *s = json_object_get(group, name);
    if (s == NULL) {
        s = json_object();
        json_object_set_new(group, name, s);
    }
    if (key != NULL)
        json_object_set_new(s, key, json_string(value));
}

static int parse_case(struct sup_aws_config *c, const json_t *input, struct sup_err *err)
{
    const char *config = json_string_value(json_object_get(input, "configFile"));
    const char *credentials = json_string_value(json_object_get(input, "credentialsFile"));
    int rc = SUP_OK;
    if (config != NULL)
        rc = sup_aws_config_parse(c, SUP_AWS_CONFIG_FILE, sup_slice_str(config), err);
    if (rc == SUP_OK && credentials != NULL)
        rc = sup_aws_config_parse(c, SUP_AWS_CREDENTIALS_FILE, sup_slice_str(credentials), err);
    return rc;
}

static bool same_group(const json_t *want, const json_t *got, const char *group)
{
    json_t *empty = json_object();
    json_t *w = json_object_get(want, group);
    json_t *g = json_object_get(got, group);
    bool same = json_equal(w != NULL ? w : empty, g != NULL ? g : empty);
    json_decref(empty);
    return same;
}

static void test_parser_cases(void **state)
{
    (void)state;
    const char *p = fixture_path("aws-config/profile-parser-tests.json");
    if (p == NULL)
        skip();
    json_t *d = fixture_json(p);
    assert_non_null(d);
    json_t *t;
    size_t i;
    json_array_foreach(json_object_get(d, "tests"), i, t)
    {
        const char *name = json_string_value(json_object_get(t, "name"));
        const json_t *output = json_object_get(t, "output");
        const char *error = json_string_value(json_object_get(output, "errorContaining"));
        struct sup_err err = {0};
        struct sup_aws_config *c = sup_aws_config_new();
        int rc = parse_case(c, json_object_get(t, "input"), &err);
        if (error != NULL) {
            if (rc != SUP_EINPUT || strstr(err.msg, error) == NULL)
                fail_msg("%s: %d '%s'", name, rc, err.msg);
        } else {
            json_t *got = json_object();
            const json_t *want = json_object_get(output, "config");
            if (rc != SUP_OK)
                fail_msg("%s: %s", name, err.msg);
            sup_aws_config_each(c, collect, got);
            if (!same_group(want, got, "profiles") || !same_group(want, got, "sso_sessions"))
                fail_msg("%s: got %s", name, json_dumps(got, JSON_SORT_KEYS));
            json_decref(got);
        }
        sup_aws_config_free(c);
    }
    printf("config: %zu parser cases ran\n", i);
    assert_true(i > 0);
    json_decref(d);
}

static void check_location(const struct sup_aws_env *env, enum sup_aws_file kind, const char *want)
{
    char *got = sup_aws_config_path(env, kind);
    assert_string_equal(got != NULL ? got : "", want);
    free(got);
}

static void test_file_locations(void **state)
{
    (void)state;
    const char *p = fixture_path("aws-config/file-location-tests.json");
    if (p == NULL)
        skip();
    json_t *d = fixture_json(p);
    json_t *t;
    size_t i;
    int ran = 0, skipped = 0;
    json_array_foreach(json_object_get(d, "tests"), i, t)
    {
        if (strcmp(json_string_value(json_object_get(t, "platform")), "linux") != 0) {
            skipped++;
            continue;
        }
        struct sup_aws_env env = env_of(json_object_get(t, "environment"));
        const char *profile = json_string_value(json_object_get(t, "profile"));
        if (profile != NULL)
            assert_string_equal(sup_aws_config_profile(&env, NULL), profile);
        check_location(&env, SUP_AWS_CONFIG_FILE,
                       json_string_value(json_object_get(t, "configLocation")));
        check_location(&env, SUP_AWS_CREDENTIALS_FILE,
                       json_string_value(json_object_get(t, "credentialsLocation")));
        ran++;
    }
    json_decref(d);
    printf("config: %d file location cases ran, %d not in scope (Windows)\n", ran, skipped);
    assert_true(ran > 0);
}

static struct sup_aws_config *parse_text(const char *text)
{
    struct sup_aws_config *c = sup_aws_config_new();
    struct sup_err err;
    if (sup_aws_config_parse(c, SUP_AWS_CONFIG_FILE, sup_slice_str(text), &err) != SUP_OK)
        fail_msg("%s", err.msg);
    return c;
}

static void test_nested_and_services(void **state)
{
    (void)state;
    struct sup_aws_config *c = parse_text("\xef\xbb\xbf[default]\n"
                                          "services = local\n"
                                          "s3 =\n"
                                          "  addressing_style = path\n"
                                          "  Other=x = y\n"
                                          "region = eu-west-1 # here\n"
                                          "[profile \"quoted\"]\nregion = x\n"
                                          "[services local]\n"
                                          "sqs =\n"
                                          "    endpoint_url = http://localhost:1\n"
                                          "sesv2 = \n"
                                          "    endpoint_url = http://localhost:2\n"
                                          "    endpoint_url = http://localhost:3\n"
                                          "    empty =\n");
    char *v = NULL;
    assert_string_equal(sup_aws_config_get(c, SUP_AWS_PROFILE, "default", "region"), "eu-west-1");
    assert_string_equal(sup_aws_config_get(c, SUP_AWS_PROFILE, "quoted", "region"), "x");
    assert_int_equal(
        sup_aws_config_get_sub(c, SUP_AWS_SERVICES, "local", "sesv2", "endpoint_url", &v), SUP_OK);
    assert_string_equal(v, "http://localhost:3");
    free(v);
    assert_int_equal(sup_aws_config_get_sub(c, SUP_AWS_PROFILE, "default", "s3", "other", &v),
                     SUP_OK);
    assert_string_equal(v, "x = y");
    free(v);
    assert_int_equal(sup_aws_config_get_sub(c, SUP_AWS_SERVICES, "local", "sesv2", "empty", &v),
                     SUP_ENOTFOUND);
    assert_int_equal(sup_aws_config_get_sub(c, SUP_AWS_SERVICES, "none", "sesv2", "x", &v),
                     SUP_ENOTFOUND);
    assert_null(sup_aws_config_get(c, SUP_AWS_PROFILE, "nobody", "region"));
    assert_null(sup_aws_config_get(NULL, SUP_AWS_PROFILE, "default", "region"));
    assert_true(sup_aws_config_has(c, SUP_AWS_SERVICES, "local"));
    assert_false(sup_aws_config_has(c, SUP_AWS_SSO_SESSION, "local"));
    sup_aws_config_free(c);
}

static void test_nul_bytes_are_refused(void **state)
{
    (void)state;
    struct sup_aws_config *c = sup_aws_config_new();
    assert_int_equal(
        sup_aws_config_parse(c, SUP_AWS_CONFIG_FILE, SUP_SLICE_LIT("[default]\na = b\0c\n"), NULL),
        SUP_EINPUT);
    sup_aws_config_free(c);
}

/* Parses text as both kinds; whatever it holds, lookups work afterwards. */
static void parse_anything(const char *text, size_t n)
{
    for (int kind = 0; kind < 2; kind++) {
        struct sup_aws_config *c = sup_aws_config_new();
        struct sup_err err = {0};
        char *copy = malloc(n + 1); /* exact size: reads past the end show */
        memcpy(copy, text, n);
        int rc = sup_aws_config_parse(c, (enum sup_aws_file)kind, sup_slice_of(copy, n), &err);
        assert_true(rc == SUP_OK || rc == SUP_EINPUT);
        assert_true(rc == SUP_OK || strncmp(err.msg, "line ", 5) == 0);
        json_t *got = json_object();
        sup_aws_config_each(c, collect, got);
        json_decref(got);
        free(copy);
        sup_aws_config_free(c);
    }
}

static int for_each_file(const char *dir_name, void (*fn)(const char *text, size_t n))
{
    const char *p = fixture_path("aws-config/%s", dir_name);
    if (p == NULL)
        return -1;
    char dir[1024];
    int ran = 0;
    snprintf(dir, sizeof dir, "%s", p);
    char **names = fixture_list(dir);
    for (; names[ran] != NULL; ran++) {
        char path[1536];
        size_t n = 0;
        snprintf(path, sizeof path, "%s/%s", dir, names[ran]);
        char *text = fixture_read(path, &n);
        assert_non_null(text);
        fn(text, n);
        free(text);
    }
    fixture_list_free(names);
    return ran;
}

static struct sup_rng rng;

static void mutate(const char *text, size_t n)
{
    parse_anything(text, n);
    for (int i = 0; i < 300; i++) {
        char b[4096];
        size_t len = n < sizeof b ? n : sizeof b;
        memcpy(b, text, len);
        for (int k = 0; k < 4 && len > 0; k++)
            b[sup_rng_below(&rng, len)] = "[]=#; \t\n\r\0a"[sup_rng_below(&rng, 11)];
        parse_anything(b, sup_rng_below(&rng, len + 1));
    }
}

static void test_corpus_and_mutations(void **state)
{
    (void)state;
    uint64_t seed = sup_random_u64();
    printf("seed %llu\n", (unsigned long long)seed);
    sup_rng_seed(&rng, seed);
    int a = for_each_file("aws-c-auth-corpus", mutate);
    int b = for_each_file("botocore-cfg", mutate);
    if (a < 0)
        skip();
    printf("config: %d corpus and %d botocore files ran, each with 300 mutations\n", a, b);
    assert_true(a > 0 && b > 0);
}

static void test_botocore_files(void **state)
{
    (void)state;
    const char *p = fixture_path("aws-config/botocore-cfg/aws_services_config");
    if (p == NULL)
        skip();
    char *text = fixture_read(p, NULL);
    struct sup_aws_config *c = parse_text(text);
    char *v = NULL;
    assert_string_equal(sup_aws_config_get(c, SUP_AWS_PROFILE, "default", "services"),
                        "my-services");
    assert_int_equal(
        sup_aws_config_get_sub(c, SUP_AWS_SERVICES, "my-services", "s3", "endpoint_url", &v),
        SUP_OK);
    assert_string_equal(v, "https://localhost:5678/");
    free(v);
    sup_aws_config_free(c);
    free(text);
    text = fixture_read(fixture_path("aws-config/botocore-cfg/aws_config"), NULL);
    c = parse_text(text);
    assert_string_equal(sup_aws_config_get(c, SUP_AWS_PROFILE, "personal", "aws_access_key_id"),
                        "fie");
    sup_aws_config_free(c);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parser_cases),         cmocka_unit_test(test_file_locations),
        cmocka_unit_test(test_nested_and_services),  cmocka_unit_test(test_nul_bytes_are_refused),
        cmocka_unit_test(test_corpus_and_mutations), cmocka_unit_test(test_botocore_files),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
