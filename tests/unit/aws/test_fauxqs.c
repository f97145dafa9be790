/* Our SQS client against fauxqs, an SQS emulator written by others (npm). Skipped, with a message,
 * when node or its modules are not installed (npm ci in tests/node). */
#include "aws/sqs.h"
#include "base/clock.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

extern char **environ;

struct emulator {
    pid_t pid;
    int in; /* closing it ends the emulator */
    int port;
};

/* startFauxqs would listen on every interface. */
static const char script[] =
    "import { buildApp } from 'fauxqs';\n"
    "const app = buildApp({ logger: false, defaultRegion: 'eu-west-1' });\n"
    "const url = await app.listen({ port: 0, host: '127.0.0.1' });\n"
    "console.log('port ' + new URL(url).port);\n"
    "process.stdin.on('end', async () => { await app.close(); process.exit(0); });\n"
    "process.stdin.resume();\n";

/* One line within the deadline; false at the end of the stream. */
static bool read_line(int fd, char *out, size_t size, int64_t deadline)
{
    size_t n = 0;
    while (n + 1 < size && sup_mono_ms() < deadline) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 100) == 0)
            continue;
        if (read(fd, out + n, 1) != 1)
            break;
        if (out[n] == '\n') {
            out[n] = '\0';
            return true;
        }
        n++;
    }
    out[n] = '\0';
    return false;
}

static int spawn_node(struct emulator *e, int *out)
{
    char node[] = "node", type[] = "--input-type=module", eval[] = "-e";
    char *text = strdup(script);
    char *argv[] = {node, type, eval, text, NULL};
    char dir[1024];
    int to[2], from[2];
    const char *source = getenv("SUPSYNC_SOURCE");
    posix_spawn_file_actions_t a;
    snprintf(dir, sizeof dir, "%s/tests/node", source != NULL ? source : ".");
    assert_int_equal(pipe(to), 0);
    assert_int_equal(pipe(from), 0);
    posix_spawn_file_actions_init(&a);
    posix_spawn_file_actions_addchdir_np(&a, dir);
    posix_spawn_file_actions_adddup2(&a, to[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&a, from[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&a, to[1]);
    posix_spawn_file_actions_addclose(&a, from[0]);
    int rc = posix_spawnp(&e->pid, "node", &a, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&a);
    close(to[0]);
    close(from[1]);
    free(text);
    e->in = to[1];
    *out = from[0];
    return rc;
}

static bool emulator_start(struct emulator *e)
{
    char path[1024], line[256] = "";
    int out = -1;
    const char *source = getenv("SUPSYNC_SOURCE");
    snprintf(path, sizeof path, "%s/tests/node/node_modules/fauxqs/dist/app.js",
             source != NULL ? source : ".");
    if (access(path, R_OK) != 0) {
        printf("fauxqs: %s is not there (npm ci in tests/node); skipped\n", path);
        return false;
    }
    if (spawn_node(e, &out) != 0) {
        printf("fauxqs: node cannot be started; skipped\n");
        return false;
    }
    bool more = true;
    int64_t deadline = sup_mono_ms() + 60000;
    while (more && e->port == 0) {
        more = read_line(out, line, sizeof line, deadline);
        if (strncmp(line, "port ", 5) == 0)
            e->port = (int)strtol(line + 5, NULL, 10);
    }
    close(out);
    if (e->port == 0)
        fail_msg("fauxqs did not start: %s", line);
    return true;
}

static void emulator_stop(struct emulator *e)
{
    close(e->in);
    kill(e->pid, SIGTERM);
    waitpid(e->pid, NULL, 0);
}

static const char *env_lookup(void *arg, const char *name)
{
    (void)arg;
    if (strcmp(name, "AWS_ACCESS_KEY_ID") == 0 || strcmp(name, "AWS_SECRET_ACCESS_KEY") == 0)
        return "test";
    return NULL;
}

static struct emulator emulator;
static struct sup_aws *aws;
static char *queue;

/* What the agent itself never calls. */
static int raw_call(const char *target, const char *body, struct sup_err *err)
{
    struct sup_header headers[] = {{"content-type", "application/x-amz-json-1.0"},
                                   {"x-amz-target", target}};
    struct sup_http_response r;
    struct sup_aws_call c = {.service = SUP_AWS_SQS,
                             .method = "POST",
                             .path = "/",
                             .headers = headers,
                             .n_headers = 2,
                             .body = sup_slice_str(body)};
    sup_http_response_init(&r);
    int rc = sup_aws_call(aws, &c, &r, NULL, err);
    sup_http_response_fini(&r);
    return rc;
}

static void send_message(const char *body_json)
{
    struct sup_err err = {0};
    char body[1024];
    snprintf(body, sizeof body, "{\"QueueUrl\":\"%s\",\"MessageBody\":%s}", queue, body_json);
    if (raw_call("AmazonSQS.SendMessage", body, &err) != SUP_OK)
        fail_msg("SendMessage: %s", err.msg);
}

static int setup(void **state)
{
    static struct sup_aws_env env = {.getenv = env_lookup};
    char url[64];
    struct sup_err err = {0};
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    if (!emulator_start(&emulator))
        return 0;
    snprintf(url, sizeof url, "http://127.0.0.1:%d", emulator.port);
    struct sup_aws_options o = {.region = "eu-west-1", .endpoint_url = url, .env = &env};
    if (sup_aws_new(&aws, &o, &err) != SUP_OK ||
        raw_call("AmazonSQS.CreateQueue", "{\"QueueName\":\"events\"}", &err) != SUP_OK ||
        sup_sqs_get_queue_url(aws, "events", &queue, NULL, &err) != SUP_OK) {
        printf("%s\n", err.msg);
        return -1;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(queue);
    sup_aws_free(aws);
    if (emulator.port != 0)
        emulator_stop(&emulator);
    return 0;
}

static void receive(struct sup_sqs_batch *b, unsigned wait_s, int visibility_s)
{
    struct sup_sqs_receive req = {.queue_url = queue,
                                  .max_messages = 10,
                                  .wait_s = wait_s,
                                  .visibility_timeout_s = visibility_s};
    struct sup_err err = {0};
    if (sup_sqs_receive(aws, &req, b, NULL, &err) != SUP_OK)
        fail_msg("ReceiveMessage: %s", err.msg);
}

static void delete_all(const struct sup_sqs_batch *b)
{
    struct sup_sqs_entry e[SUP_SQS_BATCH_MAX] = {0};
    struct sup_err err = {0};
    if (b->n == 0)
        return;
    for (size_t i = 0; i < b->n; i++)
        e[i].receipt_handle = b->messages[i].receipt_handle;
    if (sup_sqs_delete_batch(aws, queue, e, b->n, NULL, &err) != SUP_OK)
        fail_msg("DeleteMessageBatch: %s", err.msg);
    for (size_t i = 0; i < b->n; i++)
        assert_int_equal(e[i].result, SUP_OK);
}

static void test_send_receive_delete(void **state)
{
    struct sup_sqs_batch b;
    struct sup_sqs_attributes a;
    bool seen[25] = {false};
    int n = 0;
    (void)state;
    if (aws == NULL)
        skip();
    int64_t before = sup_wall_ms();
    for (int i = 0; i < 25; i++) {
        char body[64];
        snprintf(body, sizeof body, "\"%d: \\u00fc \\\" <&>\"", i);
        send_message(body);
    }
    int64_t deadline = sup_mono_ms() + 20000;
    while (n < 25 && sup_mono_ms() < deadline) {
        receive(&b, 1, 60);
        for (size_t i = 0; i < b.n; i++) {
            long k = strtol(b.messages[i].body, NULL, 10);
            assert_in_range(k, 0, 24);
            assert_false(seen[k]);
            seen[k] = true;
            n++;
            assert_non_null(strstr(b.messages[i].body, ": \xc3\xbc \" <&>"));
            assert_int_equal(b.messages[i].receive_count, 1);
            assert_true(llabs(b.messages[i].sent_ms - before) < 60000);
        }
        delete_all(&b);
        sup_sqs_batch_fini(&b);
    }
    assert_int_equal(n, 25);
    assert_int_equal(sup_sqs_get_attributes(aws, queue, &a, NULL, NULL), SUP_OK);
    assert_int_equal(a.visible, 0);
    assert_int_equal(a.in_flight, 0);
}

static void test_visibility(void **state)
{
    struct sup_sqs_batch b;
    struct sup_sqs_batch again;
    (void)state;
    if (aws == NULL)
        skip();
    send_message("\"once more\"");
    receive(&b, 2, 600);
    assert_int_equal(b.n, 1);
    receive(&again, 0, 600);
    assert_int_equal(again.n, 0); /* in flight */
    sup_sqs_batch_fini(&again);
    struct sup_sqs_entry e = {.receipt_handle = b.messages[0].receipt_handle};
    assert_int_equal(sup_sqs_change_visibility_batch(aws, queue, &e, 1, NULL, NULL), SUP_OK);
    assert_int_equal(e.result, SUP_OK);
    receive(&again, 5, 600);
    assert_int_equal(again.n, 1);
    assert_int_equal(again.messages[0].receive_count, 2);
    delete_all(&again);
    sup_sqs_batch_fini(&again);
    sup_sqs_batch_fini(&b);
}

static void test_long_poll_waits_and_wakes(void **state)
{
    struct sup_sqs_batch b;
    (void)state;
    if (aws == NULL)
        skip();
    int64_t t0 = sup_mono_ms();
    receive(&b, 2, -1);
    assert_int_equal(b.n, 0);
    assert_in_range(sup_mono_ms() - t0, 1500, 10000);
    sup_sqs_batch_fini(&b);
}

static void test_errors(void **state)
{
    struct sup_aws_error e;
    struct sup_err err;
    struct sup_sqs_batch b;
    char *url = NULL;
    char wrong[512];
    (void)state;
    if (aws == NULL)
        skip();
    assert_int_equal(sup_sqs_get_queue_url(aws, "nobody", &url, &e, &err), SUP_ENOTFOUND);
    snprintf(wrong, sizeof wrong, "%s-not", queue);
    struct sup_sqs_receive req = {
        .queue_url = wrong, .max_messages = 1, .visibility_timeout_s = -1};
    assert_int_equal(sup_sqs_receive(aws, &req, &b, &e, &err), SUP_ENOTFOUND);
    assert_int_equal(e.attempts, 1);
    struct sup_sqs_entry bad = {.receipt_handle = "not a handle"};
    assert_int_equal(sup_sqs_delete_batch(aws, queue, &bad, 1, &e, &err), SUP_OK);
    printf("fauxqs: a wrong receipt handle gives %d %s\n", bad.result, bad.code);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_send_receive_delete),
        cmocka_unit_test(test_visibility),
        cmocka_unit_test(test_long_poll_waits_and_wakes),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests_name("fauxqs", tests, setup, teardown);
}
