/* A request's way: target, route, token, body, answer. All on one of MHD's threads, but for routes
 * that are marked slow. */
#include "base/log.h"
#include "base/metrics.h"
#include "http/routes.h"
#include "http/server_internal.h"
#include "http/stream.h"

#include <stdlib.h>
#include <string.h>

static struct sup_watched *watched(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

void sup_httpd_on_connection(void *cls, struct MHD_Connection *c, void **socket_context,
                             enum MHD_ConnectionNotificationCode what)
{
    struct sup_httpd_side *side = cls;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
        *socket_context =
            sup_watch_add(side->server->watch, info->connect_fd, SUP_HTTPD_REQUEST_MS);
    } else {
        sup_watched_remove(*socket_context);
        *socket_context = NULL;
    }
}

/* MHD hands the target over as it was sent, before its own lenient decoding. */
void *sup_httpd_on_target(void *cls, const char *target, struct MHD_Connection *c)
{
    struct sup_httpd_side *side = cls;
    struct sup_httpd_req *req = sup_httpd_req_new(side->server, side->tcp, target);
    if (req != NULL) {
        req->connection = c;
        atomic_fetch_add(&side->server->inside, 1);
    }
    return req;
}

void sup_httpd_on_completed(void *cls, struct MHD_Connection *c, void **con_cls,
                            enum MHD_RequestTerminationCode how)
{
    struct sup_httpd_side *side = cls;
    struct sup_httpd_req *req = *con_cls;
    (void)how;
    if (req == NULL)
        return;
    if (req->stream != NULL)
        sup_reply_stream_drop(req->stream);
    if (req->large)
        atomic_fetch_sub(&side->server->large, 1);
    sup_httpd_req_free(req);
    *con_cls = NULL;
    atomic_fetch_sub(&side->server->inside, 1);
    sup_watched_expect(watched(c), SUP_HTTPD_IDLE_S * 1000);
}

static void add_headers(struct sup_httpd_req *req, struct MHD_Response *r)
{
    char seconds[12];
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, req->type);
    MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (req->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, sup_buf_str(&req->allow));
    if (req->status == MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(r, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"supsync\"");
    if (req->retry_after_s > 0) {
        snprintf(seconds, sizeof(seconds), "%u", req->retry_after_s);
        MHD_add_response_header(r, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
    }
}

static void count_answer(unsigned status)
{
    static struct sup_metric *_Atomic counters[6];
    static const char *const labels[6] = {"class=\"0\"",   "class=\"1xx\"", "class=\"2xx\"",
                                          "class=\"3xx\"", "class=\"4xx\"", "class=\"5xx\""};
    unsigned i = status / 100 < 6 ? status / 100 : 0;
    struct sup_metric *m = atomic_load_explicit(&counters[i], memory_order_acquire);
    if (m == NULL) {
        m = sup_metric("supsync_http_answers_total", labels[i], SUP_COUNTER,
                       "HTTP answers given, by class of status");
        atomic_store_explicit(&counters[i], m, memory_order_release);
    }
    sup_metric_add(m, 1);
}

static enum MHD_Result reply(struct sup_httpd_req *req)
{
    struct MHD_Response *r;
    if (req->out.failed) {
        sup_buf_reset(&req->out);
        sup_httpd_problem(req, MHD_HTTP_INTERNAL_SERVER_ERROR, SUP_ELIMIT,
                          "the answer is larger than %d MiB: ask for less",
                          SUP_HTTPD_REPLY_MAX / (1024 * 1024));
    }
    if (req->stream != NULL) {
        r = sup_reply_stream_response(req);
    } else {
        size_t n = req->out.n;
        char *body = n > 0 ? sup_buf_steal(&req->out) : NULL;
        r = MHD_create_response_from_buffer(n, body,
                                            n > 0 ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
        if (r == NULL)
            free(body);
    }
    if (r == NULL)
        return MHD_NO;
    add_headers(req, r);
    count_answer(req->status);
    enum MHD_Result rc = MHD_queue_response(req->connection, req->status, r);
    MHD_destroy_response(r);
    return rc;
}

/* --- slow routes --- */

static void *run_slow(void *arg)
{
    struct sup_httpd_req *req = arg;
    struct sup_httpd *server = req->server;
    struct MHD_Connection *c = req->connection;
    req->route->run(req);
    bool streams = req->stream != NULL; /* whose thread has the job now */
    /* After this the request belongs to MHD's thread again. */
    MHD_resume_connection(c);
    if (!streams)
        sup_httpd_job_end(server);
    return NULL;
}

static enum MHD_Result start_slow(struct sup_httpd_req *req)
{
    pthread_t t;
    if (!sup_httpd_job_begin(req->server)) {
        sup_httpd_problem(req, MHD_HTTP_SERVICE_UNAVAILABLE, SUP_EAGAIN,
                          "too many long requests are being answered: try again");
        req->retry_after_s = 1;
        return reply(req);
    }
    req->state = SUP_REQ_RUNNING;
    MHD_suspend_connection(req->connection);
    if (sup_thread_start(&t, "http-slow", run_slow, req) == SUP_OK) {
        pthread_detach(t);
        return MHD_YES;
    }
    sup_httpd_problem(req, MHD_HTTP_SERVICE_UNAVAILABLE, SUP_EAGAIN,
                      "no thread to be had: try again");
    MHD_resume_connection(req->connection);
    sup_httpd_job_end(req->server);
    return MHD_YES;
}

/* --- the way --- */

/* Announced by Content-Length; 0 when nothing is. */
static unsigned long long announced(struct MHD_Connection *c)
{
    const char *s = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return s != NULL ? strtoull(s, NULL, 10) : 0;
}

static void too_long(struct sup_httpd_req *req)
{
    bool large = req->route->large;
    sup_httpd_problem(req, MHD_HTTP_CONTENT_TOO_LARGE, SUP_ELIMIT, "a body has at most %d bytes%s",
                      large ? SUP_HTTPD_LARGE_MAX : SUP_HTTPD_BODY_MAX,
                      large ? ", and a chunked one fewer: send Content-Length" : "");
}

/* Makes room for a large body, if the route takes them and few others are on their way. */
static bool accept_large(struct sup_httpd_req *req, unsigned long long n)
{
    struct sup_httpd *h = req->server;
    if (!req->route->large || n > SUP_HTTPD_LARGE_MAX) {
        too_long(req);
        return false;
    }
    req->large = true;
    if (atomic_fetch_add(&h->large, 1) >= SUP_HTTPD_LARGE) {
        sup_httpd_problem(req, MHD_HTTP_SERVICE_UNAVAILABLE, SUP_EAGAIN,
                          "too many large bodies at once: try again");
        req->retry_after_s = 1;
        return false;
    }
    sup_buf_init(&req->body, SUP_HTTPD_LARGE_MAX);
    return true;
}

static bool accept_body(struct sup_httpd_req *req)
{
    unsigned long long n = announced(req->connection);
    if (n > SUP_HTTPD_BODY_MAX && !accept_large(req, n))
        return false;
    (void)sup_buf_reserve(&req->body, (size_t)n); /* instead of growing piece by piece */
    return true;
}

/* Everything that can be refused before the body is read. */
static bool accept_request(struct sup_httpd_req *req, const char *method)
{
    struct sup_err err = {0};
    struct sup_httpd *h = req->server;
    if (sup_httpd_req_parse(req, &err) != SUP_OK) {
        sup_httpd_fail(req, &err);
        return false;
    }
    req->route = sup_route_find(req, method);
    if (req->route == NULL)
        return false;
    if (!req->route->open) {
        pthread_rwlock_rdlock(&h->tokens_lock);
        bool ok = sup_auth_check(req, h->tokens);
        pthread_rwlock_unlock(&h->tokens_lock);
        if (!ok)
            return false;
    }
    return accept_body(req);
}

static enum MHD_Result take_body(struct sup_httpd_req *req, const char *upload, size_t *n)
{
    sup_buf_add(&req->body, upload, *n);
    /* MHD lets an answer wait only for the end of the body, so a chunked one that goes on and on is
     * read a while longer, then cut off. */
    if (req->body.failed)
        req->discarded += *n;
    *n = 0;
    return req->discarded > 4 * SUP_HTTPD_BODY_MAX ? MHD_NO : MHD_YES;
}

static enum MHD_Result run_route(struct sup_httpd_req *req)
{
    sup_watched_hold(watched(req->connection));
    req->service = atomic_load(&req->server->service);
    if (sup_httpd_is_stopping(req->server))
        req->service = NULL;
    if (req->body.failed) {
        too_long(req);
    } else if (req->service == NULL && !req->route->early) {
        sup_httpd_problem(req, MHD_HTTP_SERVICE_UNAVAILABLE, SUP_EAGAIN,
                          "the agent is starting or stopping: try again");
        req->retry_after_s = 1;
    } else if (req->route->slow) {
        return start_slow(req);
    } else {
        req->route->run(req);
    }
    return reply(req);
}

enum MHD_Result sup_httpd_on_request(void *cls, struct MHD_Connection *c, const char *url,
                                     const char *method, const char *version, const char *upload,
                                     size_t *upload_n, void **con_cls)
{
    struct sup_httpd_req *req = *con_cls;
    (void)cls;
    (void)c;
    (void)url;
    (void)version;
    if (req == NULL)
        return MHD_NO; /* there was no memory for it */
    switch (req->state) {
    case SUP_REQ_ARRIVED:
        req->state = SUP_REQ_READING;
        return accept_request(req, method) ? MHD_YES : reply(req);
    case SUP_REQ_READING:
        if (*upload_n > 0)
            return take_body(req, upload, upload_n);
        return run_route(req);
    default:
        return reply(req); /* resumed: the slow route is through */
    }
}
