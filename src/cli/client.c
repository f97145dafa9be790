/* The client library of the check API. It is built on its own as libsupsync-client, too. */
#include "supsync/client.h"

#include "cli/client_internal.h"
#include "cli/transport.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A batch is bounded by its body as well: the agent reads 1 MiB, and a control character takes six
 * bytes in JSON. */
#define CHUNK       1000
#define CHUNK_BYTES (150 * 1024)
#define ADDRESS_MAX 4096 /* longer ones are refused here; addresses have at most 320 bytes */

#define ANSWER_MAX (16 * 1024 * 1024)

struct sup_client {
    pthread_mutex_t mutex;
    struct sup_transport *transport;
};

struct sup_client *sup_client_open(const char *socket_path)
{
    struct sup_client *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->transport = sup_transport_new(socket_path);
    if (c->transport == NULL) {
        free(c);
        return NULL;
    }
    pthread_mutex_init(&c->mutex, NULL);
    return c;
}

void sup_client_close(struct sup_client *c)
{
    if (c == NULL)
        return;
    sup_transport_free(c->transport);
    pthread_mutex_destroy(&c->mutex);
    free(c);
}

void sup_client_set_timeout(struct sup_client *c, long timeout_ms)
{
    pthread_mutex_lock(&c->mutex);
    sup_transport_set_timeout(c->transport, timeout_ms);
    pthread_mutex_unlock(&c->mutex);
}

typedef void each_fn(void *arg, size_t i, const json_t *answer, const char *why);

static char *batch_body(const char *const *addresses, size_t n)
{
    json_t *list = json_array();
    bool ok = true;
    for (size_t i = 0; i < n; i++)
        ok = json_array_append_new(list, json_string(addresses[i])) == 0 && ok;
    json_t *body = json_pack("{s:o}", "addresses", list);
    char *text = ok && body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    return text;
}

/* What an answer without results says about itself. */
static int refused(const json_t *answer, long status, struct sup_err *err)
{
    const char *detail = json_string_value(json_object_get(answer, "detail"));
    int code = status == 503 ? SUP_EAGAIN : SUP_EINPUT;
    return sup_err_set(err, code, "the agent answered %ld: %.200s", status,
                       detail != NULL ? detail : "no reason given");
}

/* The results of one batch: an array of as many objects as were asked for, or an error. */
static int call_batch(struct sup_client *c, const char *const *addresses, size_t n, json_t **out,
                      struct sup_err *err)
{
    struct sup_buf answer;
    long status = 0;
    char *body = batch_body(addresses, n);
    if (body == NULL)
        return sup_err_set(err, SUP_EINPUT, "not UTF-8");
    struct sup_call call = {
        .method = "POST", .target = "/v1/check", .body = body, .body_n = strlen(body)};
    sup_buf_init(&answer, ANSWER_MAX);
    pthread_mutex_lock(&c->mutex);
    int rc = sup_transport_call(c->transport, &call, &answer, &status, err);
    pthread_mutex_unlock(&c->mutex);
    free(body);
    if (rc == SUP_OK) {
        json_t *v = json_loadb(sup_buf_str(&answer), answer.n, 0, NULL);
        json_t *results = json_object_get(v, "results");
        if (json_array_size(results) == n)
            *out = json_incref(results);
        else
            rc = refused(v, status, err);
        json_decref(v);
    }
    sup_buf_fini(&answer);
    return rc;
}

/* NULL when it can be sent. */
static const char *unsendable(const char *s)
{
    if (strnlen(s, ADDRESS_MAX + 1) > ADDRESS_MAX)
        return "not an address: too long";
    json_t *v = json_string(s);
    bool ok = v != NULL;
    json_decref(v);
    return ok ? NULL : "not an address: not UTF-8";
}

static size_t chunk_len(const char *const *addresses, size_t n)
{
    size_t bytes = 0, i = 0;
    for (; i < n && i < CHUNK; i++) {
        bytes += strnlen(addresses[i], ADDRESS_MAX);
        if (bytes > CHUNK_BYTES && i > 0)
            break;
    }
    return i;
}

/* At most CHUNK addresses. Those that cannot be put into JSON are answered here, so that one of
 * them does not spoil the others. */
static int check_chunk(struct sup_client *c, const char *const *addresses, size_t base, size_t n,
                       each_fn *each, void *arg, struct sup_err *err)
{
    const char *good[CHUNK];
    size_t n_good = 0;
    json_t *results = NULL;
    for (size_t i = 0; i < n; i++) {
        if (unsendable(addresses[i]) == NULL)
            good[n_good++] = addresses[i];
    }
    int rc = n_good > 0 ? call_batch(c, good, n_good, &results, err) : SUP_OK;
    for (size_t i = 0, k = 0; i < n; i++) {
        if (k < n_good && good[k] == addresses[i]) {
            each(arg, base + i, results != NULL ? json_array_get(results, k) : NULL,
                 rc != SUP_OK && err != NULL ? err->msg : "the agent did not answer");
            k++;
        } else {
            each(arg, base + i, NULL, unsendable(addresses[i]));
        }
    }
    json_decref(results);
    return rc;
}

int sup_client_check_raw(struct sup_client *c, const char *const *addresses, size_t n,
                         each_fn *each, void *arg, struct sup_err *err)
{
    int first = SUP_OK;
    struct sup_err own = {0};
    size_t k;
    for (size_t at = 0; at < n; at += k) {
        k = chunk_len(addresses + at, n - at);
        int rc = check_chunk(c, addresses + at, at, k, each, arg, &own);
        if (rc == SUP_OK || first != SUP_OK)
            continue;
        first = sup_err_set(err, rc, "%s", own.msg);
    }
    return first;
}

static void copy_text(char *out, size_t cap, const json_t *v)
{
    const char *s = json_string_value(v);
    snprintf(out, cap, "%s", s != NULL ? s : "");
}

static void fill(void *arg, size_t i, const json_t *answer, const char *why)
{
    struct sup_client_answer *out = (struct sup_client_answer *)arg + i;
    const char *verdict = json_string_value(json_object_get(answer, "verdict"));
    memset(out, 0, sizeof(*out));
    out->verdict = SUP_VERDICT_UNKNOWN;
    if (verdict == NULL) {
        snprintf(out->why, sizeof(out->why), "%s", why);
        return;
    }
    if (strcmp(verdict, "allow") == 0)
        out->verdict = SUP_VERDICT_ALLOW;
    else if (strcmp(verdict, "block") == 0)
        out->verdict = SUP_VERDICT_BLOCK;
    copy_text(out->reason, sizeof(out->reason), json_object_get(answer, "reason"));
    copy_text(out->cause, sizeof(out->cause), json_object_get(answer, "cause"));
    copy_text(out->since, sizeof(out->since), json_object_get(answer, "since"));
    copy_text(out->why, sizeof(out->why), json_object_get(answer, "why"));
}

int sup_client_check_many(struct sup_client *c, const char *const *addresses, size_t n,
                          struct sup_client_answer *out)
{
    struct sup_err err;
    return sup_client_check_raw(c, addresses, n, fill, out, &err) == SUP_OK ? 0 : -1;
}

/* One address goes as a GET: half the work on both sides. */
static int call_one(struct sup_client *c, const char *address, json_t **out, struct sup_err *err)
{
    struct sup_buf target, answer;
    long status = 0;
    sup_buf_init(&target, 16 * 1024);
    sup_buf_init(&answer, ANSWER_MAX);
    sup_buf_add_str(&target, "/v1/check?address=");
    sup_percent_encode(&target, address);
    struct sup_call call = {.method = "GET", .target = sup_buf_str(&target)};
    int rc;
    if (target.failed) {
        rc = sup_err_set(err, SUP_EINPUT, "not an address: too long");
    } else {
        pthread_mutex_lock(&c->mutex);
        rc = sup_transport_call(c->transport, &call, &answer, &status, err);
        pthread_mutex_unlock(&c->mutex);
    }
    if (rc == SUP_OK) {
        *out = json_loadb(sup_buf_str(&answer), answer.n, 0, NULL);
        if (json_object_get(*out, "verdict") == NULL) {
            rc = refused(*out, status, err);
            json_decref(*out);
            *out = NULL;
        }
    }
    sup_buf_fini(&target);
    sup_buf_fini(&answer);
    return rc;
}

int sup_client_check(struct sup_client *c, const char *address, struct sup_client_answer *out)
{
    struct sup_err err = {0};
    json_t *answer = NULL;
    int rc = call_one(c, address, &answer, &err);
    fill(out, 0, answer, err.msg);
    json_decref(answer);
    /* A refused address is an answer. */
    return rc == SUP_OK || rc == SUP_EINPUT ? 0 : -1;
}
