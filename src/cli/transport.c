#include "cli/transport.h"

#include "supsync/client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Fewer wake-ups of both sides than with 64 KiB, when a backfill hands over megabytes. */
#define UPLOAD_BYTES 262144L

struct sup_transport {
    CURL *curl;
    char *socket;
    long timeout_ms;
    char curl_error[CURL_ERROR_SIZE];
};

const char *sup_transport_socket(const char *path)
{
    if (path == NULL || *path == '\0')
        path = getenv("SUPSYNC_SOCKET");
    return path == NULL || *path == '\0' ? SUP_CLIENT_SOCKET : path;
}

static void init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct sup_transport *sup_transport_new(const char *path)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_curl);
    struct sup_transport *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return NULL;
    t->socket = strdup(sup_transport_socket(path));
    t->curl = curl_easy_init();
    t->timeout_ms = 5000;
    if (t->socket != NULL && t->curl != NULL)
        return t;
    sup_transport_free(t);
    return NULL;
}

void sup_transport_free(struct sup_transport *t)
{
    if (t == NULL)
        return;
    if (t->curl != NULL)
        curl_easy_cleanup(t->curl);
    free(t->socket);
    free(t);
}

void sup_transport_set_timeout(struct sup_transport *t, long timeout_ms)
{
    t->timeout_ms = timeout_ms;
}

struct sink {
    const struct sup_call *call;
    struct sup_buf *out;
    CURL *curl;
    bool ended; /* by the piece callback */
};

static size_t receive(char *p, size_t size, size_t n, void *arg)
{
    struct sink *s = arg;
    long status = 0;
    n *= size;
    if (s->call->piece != NULL &&
        curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK && status == 200) {
        s->ended = !s->call->piece(s->call->arg, p, n);
        return s->ended ? 0 : n;
    }
    sup_buf_add(s->out, p, n);
    return s->out->failed ? 0 : n;
}

static struct curl_slist *headers_of(const struct sup_call *call)
{
    char accept[80], type[80];
    struct curl_slist *list = NULL;
    if (call->accept != NULL) {
        snprintf(accept, sizeof(accept), "Accept: %s", call->accept);
        list = curl_slist_append(list, accept);
    }
    if (call->body != NULL) {
        snprintf(type, sizeof(type), "Content-Type: %s",
                 call->type != NULL ? call->type : "application/json");
        list = curl_slist_append(list, type);
        /* No round trip to ask whether the body is welcome. */
        list = curl_slist_append(list, "Expect:");
    }
    return list;
}

static void set_options(struct sup_transport *t, const struct sup_call *call, const char *url,
                        struct curl_slist *headers, struct sink *sink)
{
    CURL *c = t->curl;
    curl_easy_reset(c); /* keeps the connection */
    curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, t->socket);
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(c, CURLOPT_PROXY, "");
    curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->curl_error);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, sink);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, t->timeout_ms);
    if (call->piece == NULL) {
        curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, t->timeout_ms);
    } else {
        curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, 120L);
    }
    if (call->body != NULL) {
        curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BYTES);
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_n);
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, call->body);
    }
    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, call->method);
}

static int explain(struct sup_transport *t, CURLcode rc, const struct sink *s, struct sup_err *err)
{
    long os = 0;
    curl_easy_getinfo(t->curl, CURLINFO_OS_ERRNO, &os);
    if (s->out->failed)
        return sup_err_set(err, SUP_ELIMIT, "the agent's answer is too large");
    if (rc == CURLE_OPERATION_TIMEDOUT)
        return sup_err_set(err, SUP_ETIMEDOUT, "the agent at %s does not answer in time",
                           t->socket);
    if (rc == CURLE_COULDNT_CONNECT)
        return sup_err_set(err, SUP_EIO,
                           "no agent at %s: %s: start it, or name its socket with --socket or "
                           "SUPSYNC_SOCKET",
                           t->socket, os != 0 ? strerror((int)os) : "cannot connect");
    return sup_err_set(err, SUP_EIO, "the agent at %s cut its answer off: %s: see its log",
                       t->socket, t->curl_error[0] ? t->curl_error : curl_easy_strerror(rc));
}

int sup_transport_call(struct sup_transport *t, const struct sup_call *call, struct sup_buf *out,
                       long *status, struct sup_err *err)
{
    struct sup_buf url;
    struct sink sink = {.call = call, .out = out, .curl = t->curl};

    *status = 0;
    t->curl_error[0] = '\0';
    sup_buf_init(&url, 64 * 1024);
    sup_buf_addf(&url, "http://localhost%s", call->target);
    if (url.failed) {
        sup_buf_fini(&url);
        return sup_err_set(err, SUP_ELIMIT, "the request is too long");
    }
    struct curl_slist *headers = headers_of(call);
    set_options(t, call, sup_buf_str(&url), headers, &sink);
    CURLcode rc = curl_easy_perform(t->curl);
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, status);
    int code = rc == CURLE_OK || sink.ended ? SUP_OK : explain(t, rc, &sink, err);
    curl_slist_free_all(headers);
    sup_buf_fini(&url);
    return code;
}

void sup_percent_encode(struct sup_buf *out, const char *s)
{
    static const char keep[] = "-._~@+";
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     strchr(keep, c) != NULL;
        if (plain)
            sup_buf_add_byte(out, c);
        else
            sup_buf_addf(out, "%%%02X", c);
    }
}
