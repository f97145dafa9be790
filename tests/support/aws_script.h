#ifndef SUP_TESTS_AWS_SCRIPT_H
#define SUP_TESTS_AWS_SCRIPT_H

#include "http_peer.h"

#include "aws/client.h"

/* A client of the aws layer and a server that answers by a script. */

#define AWS_SCRIPT_MAX    16
#define AWS_SCRIPT_NOW_MS 1735787045000 /* 2025-01-02T03:04:05Z: the client's clock */

struct aws_step {
    int status;
    const char *headers;
    const char *body;
    enum peer_fault fault;
};

struct aws_script {
    struct http_peer *peer;
    struct sup_aws_env env;
    struct sup_aws *aws;
    struct aws_step steps[AWS_SCRIPT_MAX]; /* the last one repeats */
    int n, at;
    char target[AWS_SCRIPT_MAX][512]; /* "METHOD target" */
    char headers[AWS_SCRIPT_MAX][2048];
    char body[AWS_SCRIPT_MAX][2048];
    struct sup_aws_error e;
    struct sup_err err;
    char queue[128]; /* URL of a queue there */
};

/* cmocka's: *state is a struct aws_script. */
int aws_script_setup(void **state);
int aws_script_teardown(void **state);
/* Another client in place of the one that is there. */
void aws_script_open(struct aws_script *w, unsigned attempts, int64_t timeout_ms);
/* Credentials of the environment. */
const char *aws_script_env(void *arg, const char *name);

void aws_script_set(struct aws_script *w, const struct aws_step *steps, int n);
#define SCRIPT(w, ...)                                                                             \
    aws_script_set(                                                                                \
        (w), (const struct aws_step[]){__VA_ARGS__},                                               \
        (int)(sizeof((const struct aws_step[]){__VA_ARGS__}) / sizeof(struct aws_step)))
/* Requests since the script was set. */
int aws_script_calls(struct aws_script *w);

#endif
