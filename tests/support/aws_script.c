#include "aws_script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void handle(void *arg, const struct peer_request *req, struct peer_reply *reply)
{
    struct aws_script *w = arg;
    int i = w->at < AWS_SCRIPT_MAX ? w->at : AWS_SCRIPT_MAX - 1;
    const struct aws_step *s = &w->steps[w->at < w->n ? w->at : w->n - 1];
    w->at++;
    snprintf(w->target[i], sizeof w->target[i], "%s %s", req->method, req->target);
    snprintf(w->headers[i], sizeof w->headers[i], "%s", req->headers);
    snprintf(w->body[i], sizeof w->body[i], "%s", req->body);
    reply->status = s->status;
    reply->headers = s->headers;
    reply->fault = s->fault;
    if (s->body != NULL)
        peer_body(reply, s->body);
}

const char *aws_script_env(void *arg, const char *name)
{
    (void)arg;
    if (strcmp(name, "AWS_ACCESS_KEY_ID") == 0)
        return "AKIDEXAMPLE";
    if (strcmp(name, "AWS_SECRET_ACCESS_KEY") == 0)
        return "secret";
    if (strcmp(name, "AWS_SESSION_TOKEN") == 0)
        return "token";
    return NULL;
}

static int64_t fixed_now(void *arg)
{
    (void)arg;
    return AWS_SCRIPT_NOW_MS;
}

void aws_script_open(struct aws_script *w, unsigned attempts, int64_t timeout_ms)
{
    struct sup_aws_options o = {.region = "eu-west-1",
                                .endpoint_url = peer_url(w->peer),
                                .max_attempts = attempts,
                                .timeout_ms = timeout_ms,
                                .env = &w->env};
    sup_aws_free(w->aws);
    if (sup_aws_new(&w->aws, &o, &w->err) != SUP_OK)
        fail_msg("%s", w->err.msg);
}

int aws_script_setup(void **state)
{
    struct aws_script *w = calloc(1, sizeof *w);
    w->peer = peer_start(handle, w);
    w->env = (struct sup_aws_env){.getenv = aws_script_env, .wall_ms = fixed_now};
    snprintf(w->queue, sizeof w->queue, "%s/000000000000/q", peer_url(w->peer));
    aws_script_open(w, 3, 5000);
    *state = w;
    return 0;
}

int aws_script_teardown(void **state)
{
    struct aws_script *w = *state;
    sup_aws_free(w->aws);
    peer_stop(w->peer);
    free(w);
    return 0;
}

void aws_script_set(struct aws_script *w, const struct aws_step *steps, int n)
{
    peer_lock(w->peer);
    memcpy(w->steps, steps, (size_t)n * sizeof *steps);
    w->n = n;
    w->at = 0;
    peer_unlock(w->peer);
}

int aws_script_calls(struct aws_script *w)
{
    peer_lock(w->peer);
    int n = w->at;
    peer_unlock(w->peer);
    return n;
}
