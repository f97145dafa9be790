/* The default credential chain, replayed from the SDKs' recorded cases, and the provider's
 * refreshing. */
#include "aws_fixture.h"

#include "aws/credentials.h"
#include "aws/credentials_source.h"
#include "base/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <cmocka.h>

#define THEN_MS 1000000000000 /* 2001: before every recorded expiry */

static int64_t then(void *arg)
{
    return arg != NULL ? *(int64_t *)arg : THEN_MS;
}

static const char *env_lookup(void *arg, const char *name)
{
    return json_string_value(json_object_get(arg, name));
}

/* ---- replaying http-traffic.json ---- */

struct replay {
    json_t *events;
    size_t at;
    char problem[512];
    bool check_body;
};

static json_t *next_action(struct replay *r, const char *name)
{
    for (; r->at < json_array_size(r->events); r->at++) {
        json_t *a = json_object_get(json_array_get(r->events, r->at), "action");
        json_t *found = json_object_get(a, name);
        if (found != NULL) {
            r->at++;
            return found;
        }
    }
    return NULL;
}

/* Data of one direction that comes before the next other thing. */
static const char *next_data(struct replay *r, const char *direction)
{
    json_t *a = json_object_get(json_array_get(r->events, r->at), "action");
    json_t *d = json_object_get(a, "Data");
    if (d == NULL || strcmp(json_string_value(json_object_get(d, "direction")), direction) != 0)
        return NULL;
    r->at++;
    return json_string_value(json_object_get(json_object_get(d, "data"), "Utf8"));
}

static bool same_uri(const char *want, const char *got)
{
    size_t n = strlen(want);
    return strncmp(want, got, n) == 0 && (got[n] == '\0' || strcmp(got + n, "/") == 0);
}

/* Recorded requests carry other agents' signatures, names and session names; these must not differ.
 */
static bool must_match(const char *name)
{
    return strcasecmp(name, "accept") == 0 || strcasecmp(name, "host") == 0 ||
           strcasecmp(name, "content-type") == 0 ||
           strcasecmp(name, "x-amz-sso_bearer_token") == 0 ||
           strncasecmp(name, "x-aws-ec2-metadata-token", 24) == 0;
}

static const char *header_of(const struct sup_http_request *req, const char *name)
{
    for (size_t i = 0; i < req->n_headers; i++)
        if (strcasecmp(req->headers[i].name, name) == 0)
            return req->headers[i].value;
    return NULL;
}

static void check_request(struct replay *r, const json_t *want, const struct sup_http_request *req)
{
    const char *uri = json_string_value(json_object_get(want, "uri"));
    const char *method = json_string_value(json_object_get(want, "method"));
    const char *name;
    json_t *values;
    if (!same_uri(uri, req->url) || strcmp(method, req->method) != 0)
        snprintf(r->problem, sizeof r->problem, "want %s %s, got %s %s", method, uri, req->method,
                 req->url);
    json_object_foreach(json_object_get(want, "headers"), name, values)
    {
        const char *value = json_string_value(json_array_get(values, 0));
        const char *got = header_of(req, name);
        /* libcurl makes Host itself for unsigned requests. */
        if (must_match(name) && !(got == NULL && strcasecmp(name, "host") == 0) &&
            (got == NULL || strcmp(got, value) != 0))
            snprintf(r->problem, sizeof r->problem, "header %s: want %s, got %s", name, value,
                     got != NULL ? got : "(none)");
    }
}

static int replay_send(void *arg, const struct sup_http_request *req,
                       struct sup_http_response *resp, struct sup_err *err)
{
    struct replay *r = arg;
    sup_http_response_reset(resp);
    json_t *want = json_object_get(next_action(r, "Request"), "request");
    if (want == NULL) {
        snprintf(r->problem, sizeof r->problem, "unexpected %s %s", req->method, req->url);
        return sup_err_set(err, SUP_EIO, "nothing more recorded");
    }
    check_request(r, want, req);
    const char *sent = next_data(r, "Request");
    /* "Action=…" up to the first parameter whose value is the sender's own. */
    if (sent != NULL && r->check_body &&
        (req->body.n < 20 || strncmp(sent, (const char *)req->body.p, 18) != 0))
        snprintf(r->problem, sizeof r->problem, "body %.*s", (int)req->body.n, req->body.p);
    json_t *reply = json_object_get(next_action(r, "Response"), "response");
    json_t *ok = json_object_get(reply, "Ok");
    if (ok == NULL)
        return sup_err_set(err, SUP_EIO, "recorded connection error");
    resp->status = (int)json_integer_value(json_object_get(ok, "status"));
    for (const char *d = next_data(r, "Response"); d != NULL; d = next_data(r, "Response"))
        sup_buf_add_str(&resp->body, d);
    return SUP_OK;
}

/* ---- one recorded case ---- */

static json_t *case_json(const char *dir, const char *file)
{
    char path[2048];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    json_t *j = fixture_json(path);
    if (j == NULL)
        fail_msg("%s cannot be read", path);
    return j;
}

static void same_text(const char *dir, const char *what, const json_t *want, const char *got)
{
    const char *w = json_string_value(want);
    if (strcmp(w != NULL ? w : "", got != NULL ? got : "") != 0)
        fail_msg("%s: %s: want %s, got %s", dir, what, w != NULL ? w : "(none)",
                 got != NULL ? got : "(none)");
}

static void check_result(const char *dir, const json_t *result, int rc,
                         const struct sup_aws_credentials *c, const struct sup_err *err)
{
    const json_t *ok = json_object_get(result, "Ok");
    const char *error = json_string_value(json_object_get(result, "ErrorContains"));
    if (ok == NULL) {
        assert_non_null(error);
        if (rc == SUP_OK || strstr(err->msg, error) == NULL)
            fail_msg("%s: want error '%s', got %d '%s'", dir, error, rc, err->msg);
        return;
    }
    if (rc != SUP_OK)
        fail_msg("%s: %s", dir, err->msg);
    same_text(dir, "key", json_object_get(ok, "access_key_id"), c->access_key_id);
    same_text(dir, "secret", json_object_get(ok, "secret_access_key"), c->secret_access_key);
    same_text(dir, "token", json_object_get(ok, "session_token"), c->session_token);
    same_text(dir, "account", json_object_get(ok, "account_id"), c->account_id);
    assert_int_equal(c->expires_ms / 1000, json_integer_value(json_object_get(ok, "expiry")));
}

static void run_case(const char *dir, bool profile_only)
{
    char root[2048];
    snprintf(root, sizeof root, "%s/fs", dir);
    json_t *vars = case_json(dir, "env.json");
    json_t *test = case_json(dir, "test-case.json");
    json_t *traffic = case_json(dir, "http-traffic.json");
    struct replay replay = {.events = json_object_get(traffic, "events"), .check_body = true};
    struct sup_aws_env env = {.getenv = env_lookup,
                              .getenv_arg = vars,
                              .fs_root = root,
                              .wall_ms = then,
                              .http = {replay_send, &replay}};
    struct sup_aws_config *config = NULL;
    struct sup_aws_credentials c = {0};
    struct sup_aws_provider *p = NULL;
    struct sup_err err = {0};
    if (sup_aws_config_load(&config, &env, &err) != SUP_OK)
        fail_msg("%s: %s", dir, err.msg);
    struct sup_aws_provider_options o = {.env = &env,
                                         .config = config,
                                         .profile_only = profile_only,
                                         /* the cases name plain http:// hosts */
                                         .insecure = true,
                                         .region = sup_aws_region(&env, config, "default")};
    assert_int_equal(sup_aws_provider_new(&p, &o, &err), SUP_OK);
    int rc = sup_aws_provider_get(p, &c, &err);
    if (replay.problem[0] != '\0')
        fail_msg("%s: %s", dir, replay.problem);
    check_result(dir, json_object_get(test, "result"), rc, &c, &err);
    if (next_action(&replay, "Request") != NULL)
        fail_msg("%s: not everything recorded was asked for", dir);
    sup_aws_credentials_fini(&c);
    sup_aws_provider_free(p);
    sup_aws_config_free(config);
    json_decref(vars);
    json_decref(test);
    json_decref(traffic);
}

static int run_cases(const char *name, bool profile_only)
{
    const char *path = fixture_path("aws-config/%s", name);
    char root[1024];
    int ran = 0;
    if (path == NULL)
        return -1;
    snprintf(root, sizeof root, "%s", path);
    char **names = fixture_list(root);
    for (; names[ran] != NULL; ran++) {
        char dir[1536];
        snprintf(dir, sizeof dir, "%s/%s", root, names[ran]);
        run_case(dir, profile_only);
    }
    fixture_list_free(names);
    printf("credentials: %d of %d cases of %s ran, none out of scope\n", ran, ran, name);
    return ran;
}

static void test_default_chain(void **state)
{
    (void)state;
    int ran = run_cases("default-chain", false);
    if (ran < 0)
        skip();
    assert_true(ran > 0);
}

static void test_profile_provider(void **state)
{
    (void)state;
    int ran = run_cases("profile-provider", true);
    if (ran < 0)
        skip();
    assert_true(ran > 0);
}

/* ---- EC2 endpoint cases ---- */

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_imds_endpoints(void **state)
{
    (void)state;
    const char *path = fixture_path("aws-config/imds-endpoint-tests.json");
    if (path == NULL)
        skip();
    json_t *d = fixture_json(path);
    assert_non_null(d);
    char dir[] = "/tmp/supsync-imds-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char root[64];
    snprintf(root, sizeof root, "%s/", dir);
    json_t *t;
    size_t i;
    int ran = 0;
    json_array_foreach(json_object_get(d, "tests"), i, t)
    {
        const char *docs = json_string_value(json_object_get(t, "docs"));
        /* An override in code has the highest rank; here that is the same as the variable. */
        json_t *vars = json_deep_copy(json_object_get(t, "env"));
        const json_t *override = json_object_get(t, "endpoint_override");
        const json_t *mode = json_object_get(t, "mode_override");
        if (override != NULL)
            json_object_set_new(vars, "AWS_EC2_METADATA_SERVICE_ENDPOINT",
                                json_copy((json_t *) override));
        if (mode != NULL)
            json_object_set_new(vars, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
                                json_copy((json_t *)mode));
        const char *name;
        json_t *text;
        json_object_foreach(json_object_get(t, "fs"), name, text)
            write_file(dir, name, json_string_value(text));
        struct sup_aws_env env = {.getenv = env_lookup, .getenv_arg = vars, .fs_root = root};
        struct sup_aws_config *config = NULL;
        struct sup_err err = {0};
        char *url = NULL;
        assert_int_equal(sup_aws_config_load(&config, &env, &err), SUP_OK);
        struct sup_aws_provider_options o = {.env = &env, .config = config};
        int rc = sup_cred_imds_endpoint(&o, &url, &err);
        const char *ok = json_string_value(json_object_get(json_object_get(t, "result"), "Ok"));
        const char *bad = json_string_value(json_object_get(json_object_get(t, "result"), "Err"));
        char got[256];
        snprintf(got, sizeof got, "%s/latest/api/token", url != NULL ? url : "");
        if (ok != NULL && (rc != SUP_OK || strcmp(ok, got) != 0))
            fail_msg("%s: want %s, got %s %s", docs, ok, got, err.msg);
        if (bad != NULL && (rc == SUP_OK || strstr(err.msg, bad) == NULL))
            fail_msg("%s: want error %s, got %s", docs, bad, err.msg);
        free(url);
        sup_aws_config_free(config);
        json_decref(vars);
        ran++;
    }
    char file[128];
    snprintf(file, sizeof file, "%s/config", dir);
    unlink(file);
    rmdir(dir);
    json_decref(d);
    printf("credentials: %d EC2 endpoint cases ran\n", ran);
    assert_true(ran > 0);
}

/* ---- a scripted metadata service ---- */

struct service {
    pthread_mutex_t mutex;
    int64_t now_ms;
    int64_t life_ms; /* of the keys handed out */
    int rc;          /* transport result */
    int status;
    const char *body; /* NULL: keys */
    atomic_int calls;
    bool slow;
    atomic_bool go;
    char url[256];
    char authorization[128];
};

static int64_t service_now(void *arg)
{
    struct service *s = arg;
    pthread_mutex_lock(&s->mutex);
    int64_t now = s->now_ms;
    pthread_mutex_unlock(&s->mutex);
    return now;
}

static int service_send(void *arg, const struct sup_http_request *req, struct sup_http_response *r,
                        struct sup_err *err)
{
    struct service *s = arg;
    char expires[SUP_TIME_STR_MAX];
    int n = atomic_fetch_add(&s->calls, 1) + 1;
    sup_http_response_reset(r);
    snprintf(s->url, sizeof s->url, "%s", req->url);
    const char *auth = header_of(req, "authorization");
    snprintf(s->authorization, sizeof s->authorization, "%s", auth != NULL ? auth : "");
    for (int64_t until = sup_mono_ms() + 5000; s->slow && !atomic_load(&s->go);)
        if (sup_mono_ms() > until)
            return sup_err_set(err, SUP_ETIMEDOUT, "test never let go");
    if (s->rc != SUP_OK)
        return sup_err_set(err, s->rc, "scripted");
    r->status = s->status != 0 ? s->status : 200;
    if (s->body != NULL)
        sup_buf_add_str(&r->body, s->body);
    else
        sup_buf_addf(&r->body,
                     "{\"AccessKeyId\":\"K%d\",\"SecretAccessKey\":\"s\",\"Token\":\"t\","
                     "\"Expiration\":\"%s\"}",
                     n, sup_time_format(service_now(s) + s->life_ms, expires));
    return SUP_OK;
}

struct world {
    struct service service;
    json_t *vars;
    struct sup_aws_env env;
    struct sup_aws_config *config;
    struct sup_aws_provider *provider;
};

static void world_open(struct world *w, const char *uri)
{
    struct sup_err err;
    *w = (struct world){0};
    pthread_mutex_init(&w->service.mutex, NULL);
    w->service.now_ms = THEN_MS;
    w->service.life_ms = 3600000;
    w->vars = json_pack("{s:s}",
                        uri[0] == '/' ? "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
                                      : "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                        uri);
    json_object_set_new(w->vars, "AWS_EC2_METADATA_DISABLED", json_string("true"));
    w->env = (struct sup_aws_env){.getenv = env_lookup,
                                  .getenv_arg = w->vars,
                                  .wall_ms = service_now,
                                  .wall_arg = &w->service,
                                  .http = {service_send, &w->service}};
    assert_int_equal(sup_aws_config_load(&w->config, &w->env, &err), SUP_OK);
    struct sup_aws_provider_options o = {
        .env = &w->env, .config = w->config, .region = "eu-west-1"};
    assert_int_equal(sup_aws_provider_new(&w->provider, &o, &err), SUP_OK);
}

static void world_close(struct world *w)
{
    sup_aws_provider_free(w->provider);
    sup_aws_config_free(w->config);
    json_decref(w->vars);
    pthread_mutex_destroy(&w->service.mutex);
}

static void advance(struct world *w, int64_t ms)
{
    pthread_mutex_lock(&w->service.mutex);
    w->service.now_ms += ms;
    pthread_mutex_unlock(&w->service.mutex);
}

static void expect_key(struct world *w, const char *want)
{
    struct sup_aws_credentials c;
    struct sup_err err = {0};
    if (sup_aws_provider_get(w->provider, &c, &err) != SUP_OK)
        fail_msg("want %s, got %s", want, err.msg);
    assert_string_equal(c.access_key_id, want);
    sup_aws_credentials_fini(&c);
}

static void test_refresh_ahead_of_expiry(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, "/x");
    expect_key(&w, "K1");
    advance(&w, 44 * 60000); /* 16 minutes left */
    expect_key(&w, "K1");
    advance(&w, 2 * 60000); /* 14 left: refreshed ahead */
    expect_key(&w, "K2");
    assert_int_equal(atomic_load(&w.service.calls), 2);
    sup_aws_provider_invalidate(w.provider);
    expect_key(&w, "K3");
    world_close(&w);
}

static void test_valid_keys_survive_a_failed_refresh(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, "/x");
    expect_key(&w, "K1");
    w.service.rc = SUP_EIO;
    advance(&w, 55 * 60000); /* 5 left: mandatory, and the service is away */
    expect_key(&w, "K1");
    expect_key(&w, "K1"); /* without asking again at once */
    assert_int_equal(atomic_load(&w.service.calls), 2);
    world_close(&w);
}

static void test_static_stability(void **state)
{
    (void)state;
    struct world w;
    struct sup_aws_credentials c;
    struct sup_err err;
    world_open(&w, "/x");
    expect_key(&w, "K1");
    w.service.status = 500;
    w.service.body = "oops";
    advance(&w, 61 * 60000); /* expired, but the service is only in trouble */
    expect_key(&w, "K1");
    world_close(&w);
    /* A refusal is not trouble. */
    world_open(&w, "/x");
    expect_key(&w, "K1");
    w.service.status = 403;
    advance(&w, 61 * 60000);
    assert_int_equal(sup_aws_provider_get(w.provider, &c, &err), SUP_EAUTH);
    assert_non_null(strstr(err.msg, "HTTP 403"));
    world_close(&w);
}

static void *get_key(void *arg)
{
    struct world *w = arg;
    struct sup_aws_credentials c;
    char *key = NULL;
    if (sup_aws_provider_get(w->provider, &c, NULL) == SUP_OK)
        key = strdup(c.access_key_id);
    sup_aws_credentials_fini(&c);
    return key;
}

static void wait_for_calls(struct world *w, int n)
{
    int64_t until = sup_mono_ms() + 5000;
    while (atomic_load(&w->service.calls) < n && sup_mono_ms() < until)
        sched_yield();
    assert_int_equal(atomic_load(&w->service.calls), n);
}

static void test_one_refresher_others_go_on(void **state)
{
    (void)state;
    struct world w;
    pthread_t t;
    void *key = NULL;
    world_open(&w, "/x");
    expect_key(&w, "K1");
    advance(&w, 47 * 60000); /* advisory */
    w.service.slow = true;
    assert_int_equal(pthread_create(&t, NULL, get_key, &w), 0);
    wait_for_calls(&w, 2);
    for (int i = 0; i < 5; i++)
        expect_key(&w, "K1"); /* does not wait for the refresher */
    atomic_store(&w.service.go, true);
    pthread_join(t, &key);
    assert_string_equal(key, "K2");
    free(key);
    expect_key(&w, "K2");
    world_close(&w);
}

static void test_many_threads_fetch_once(void **state)
{
    (void)state;
    struct world w;
    pthread_t t[8];
    world_open(&w, "/x");
    w.service.slow = true;
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&t[i], NULL, get_key, &w), 0);
    wait_for_calls(&w, 1);
    atomic_store(&w.service.go, true);
    for (int i = 0; i < 8; i++) {
        void *key = NULL;
        pthread_join(t[i], &key);
        assert_string_equal(key, "K1");
        free(key);
    }
    assert_int_equal(atomic_load(&w.service.calls), 1);
    world_close(&w);
}

static void test_container_hosts(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        bool allowed;
    } cases[] = {{"https://anything.example/c", true},
                 {"http://127.0.0.1:8080/c", true},
                 {"http://localhost/c", true},
                 {"http://[::1]/c", true},
                 {"http://169.254.170.2/c", true},
                 {"http://169.254.170.23/v1/credentials", true},
                 {"http://[fd00:ec2::23]/c", true},
                 {"http://169.254.170.24/c", false},
                 {"http://169.254.169.254/c", false},
                 {"http://example.com/c", false},
                 {"http://127.0.0.1.example.com/c", false},
                 {"ftp://localhost/c", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world w;
        struct sup_aws_credentials c;
        world_open(&w, cases[i].uri);
        int rc = sup_aws_provider_get(w.provider, &c, NULL);
        if ((rc == SUP_OK) != cases[i].allowed || (!cases[i].allowed && rc != SUP_EAUTH))
            fail_msg("%s: %d", cases[i].uri, rc);
        assert_int_equal(atomic_load(&w.service.calls), cases[i].allowed);
        sup_aws_credentials_fini(&c);
        world_close(&w);
    }
}

static void test_container_token_is_read_each_time(void **state)
{
    (void)state;
    struct world w;
    char dir[] = "/tmp/supsync-token-XXXXXX";
    char file[64];
    assert_non_null(mkdtemp(dir));
    snprintf(file, sizeof file, "%s/t", dir);
    world_open(&w, "http://169.254.170.23/v1/credentials");
    json_object_set_new(w.vars, "AWS_CONTAINER_AUTHORIZATION_TOKEN", json_string("other"));
    json_object_set_new(w.vars, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", json_string(file));
    write_file(dir, "t", "first\n");
    expect_key(&w, "K1");
    assert_string_equal(w.service.authorization, "first");
    write_file(dir, "t", "second");
    sup_aws_provider_invalidate(w.provider);
    expect_key(&w, "K2");
    assert_string_equal(w.service.authorization, "second");
    struct sup_aws_credentials c;
    write_file(dir, "t", "a\r\nevil: 1\n");
    sup_aws_provider_invalidate(w.provider);
    assert_int_equal(sup_aws_provider_get(w.provider, &c, NULL), SUP_EAUTH);
    unlink(file);
    rmdir(dir);
    world_close(&w);
}

static void test_odd_documents(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "[]",
        "{",
        "null",
        "{\"AccessKeyId\":1,\"SecretAccessKey\":\"s\",\"Token\":\"t\"}",
        "{\"AccessKeyId\":\"K\",\"SecretAccessKey\":\"s\"}",
        "{\"AccessKeyId\":\"K\\r\\nx: y\",\"SecretAccessKey\":\"s\",\"Token\":\"t\"}",
        "{\"AccessKeyId\":\"K\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":\"soon\"}",
        "{\"AccessKeyId\":\"K\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":true}",
        "{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"AccessKeyId\":\"K\"}"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct world w;
        struct sup_aws_credentials c;
        world_open(&w, "/x");
        w.service.body = bodies[i];
        int rc = sup_aws_provider_get(w.provider, &c, NULL);
        if (rc != SUP_ECORRUPT && rc != SUP_EAUTH)
            fail_msg("%s: %d", bodies[i], rc);
        world_close(&w);
    }
}

/* ---- profiles ---- */

static int load_profile(const char *config_text, const char *profile, struct sup_aws_credentials *c,
                        struct sup_err *err)
{
    struct service s = {.mutex = PTHREAD_MUTEX_INITIALIZER, .now_ms = THEN_MS, .rc = SUP_EIO};
    json_t *vars = json_pack("{s:s}", "AWS_EC2_METADATA_DISABLED", "true");
    struct sup_aws_env env = {
        .getenv = env_lookup, .getenv_arg = vars, .wall_ms = then, .http = {service_send, &s}};
    struct sup_aws_config *config = sup_aws_config_new();
    assert_int_equal(
        sup_aws_config_parse(config, SUP_AWS_CONFIG_FILE, sup_slice_str(config_text), err), SUP_OK);
    struct sup_aws_provider_options o = {.env = &env, .config = config, .profile = profile};
    int rc = sup_cred_chain(&o, c, err);
    sup_aws_config_free(config);
    json_decref(vars);
    return rc;
}

static void test_profile_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *config, *error;
        int rc;
    } cases[] = {
        {"[profile a]\nrole_arn = r\nsource_profile = b\n[profile b]\nrole_arn = r\nsource_profile "
         "= a\n",
         "loop", SUP_EAUTH},
        {"[profile a]\nrole_arn = r\nsource_profile = none\n", "no profile none", SUP_EAUTH},
        {"[profile a]\nrole_arn = r\n", "no source_profile", SUP_EAUTH},
        {"[profile a]\nrole_arn = r\nsource_profile = a\n", "holds no credentials", SUP_EAUTH},
        {"[profile a]\nrole_arn = r\ncredential_source = Moon\n", "Moon", SUP_EAUTH},
        {"[profile a]\nrole_arn = r\ncredential_source = Environment\n", "not enabled", SUP_EAUTH},
        {"[profile a]\nrole_arn = r\nsource_profile = b\ncredential_source = Environment\n", "both",
         SUP_EAUTH},
        {"[profile a]\nrole_arn = r\nmfa_serial = m\nsource_profile = a\n", "MFA", SUP_EAUTH},
        {"[profile a]\naws_access_key_id = k\n", "half", SUP_EAUTH},
        {"[profile a]\ncredential_process = exit 3\n", "status 3", SUP_EAUTH},
        {"[profile a]\ncredential_process = echo '{}'\n", "version 1", SUP_EAUTH},
        {"[profile a]\ncredential_process = echo '{\"Version\":1}'\n", "lacks", SUP_ECORRUPT},
        {"[profile a]\ncredential_process = yes\n", "too much output", SUP_ELIMIT},
        {"[profile a]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n", "sso-session s",
         SUP_EAUTH},
        {"[profile a]\nregion = x\n", "not enabled", SUP_EAUTH},
        {"[profile b]\n", "no profile a", SUP_EAUTH},
        /* keys of its own are the base of its role: then STS is asked, which is away here */
        {"[profile a]\nrole_arn = r\nsource_profile = a\naws_access_key_id = k\n"
         "aws_secret_access_key = s\n",
         "STS", SUP_EIO},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sup_aws_credentials c;
        struct sup_err err = {0};
        int rc = load_profile(cases[i].config, "a", &c, &err);
        if (rc != cases[i].rc || strstr(err.msg, cases[i].error) == NULL)
            fail_msg("%s: got %d '%s'", cases[i].config, rc, err.msg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_chain),
        cmocka_unit_test(test_profile_provider),
        cmocka_unit_test(test_imds_endpoints),
        cmocka_unit_test(test_refresh_ahead_of_expiry),
        cmocka_unit_test(test_valid_keys_survive_a_failed_refresh),
        cmocka_unit_test(test_static_stability),
        cmocka_unit_test(test_one_refresher_others_go_on),
        cmocka_unit_test(test_many_threads_fetch_once),
        cmocka_unit_test(test_container_hosts),
        cmocka_unit_test(test_container_token_is_read_each_time),
        cmocka_unit_test(test_odd_documents),
        cmocka_unit_test(test_profile_mistakes),
    };
    return cmocka_run_group_tests_name("credentials", tests, NULL, NULL);
}
