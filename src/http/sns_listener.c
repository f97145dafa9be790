#include "http/sns_listener.h"

#include "base/log.h"
#include "base/thread.h"
#include "http/listen.h"
#include "http/watch.h"
#include "service/sns_source.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A delivery may wait for a certificate or a commit, so each connection has a thread; SNS and load
 * balancers keep few. */
#define CONNECTIONS_MAX  128
#define CONNECTION_BYTES (32 * 1024)
#define IDLE_S           60
#define REQUEST_MS       15000 /* SNS gives up after that, too */
#define BODY_MAX         ((size_t)256 * 1024)
#define PEM_MAX          ((size_t)1024 * 1024)

struct sup_sns_listener {
    const struct sup_options *options;
    _Atomic(struct sup_service *) service;
    struct MHD_Daemon *daemon;
    struct sup_watch *watch;
    unsigned port;
    struct sup_buf cert, key;
};

/* One request. */
struct delivery {
    struct sup_buf body;
    size_t discarded;
    bool refused; /* answered before its body came */
};

/* --- answering --- */

static enum MHD_Result reply(struct MHD_Connection *c, unsigned status, const char *text)
{
    char line[300];
    int n = snprintf(line, sizeof(line), "%s\n", text);
    struct MHD_Response *r =
        MHD_create_response_from_buffer((size_t)n, line, MHD_RESPMEM_MUST_COPY);

    if (r == NULL)
        return MHD_NO;
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; charset=utf-8");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "POST");
    if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
        MHD_add_response_header(r, MHD_HTTP_HEADER_RETRY_AFTER, "20");
    enum MHD_Result rc = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return rc;
}

static struct sup_watched *watched(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

static const char *header(struct MHD_Connection *c, const char *name)
{
    return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

static enum MHD_Result deliver(struct sup_sns_listener *l, struct MHD_Connection *c,
                               struct delivery *d)
{
    struct sup_service *s = atomic_load(&l->service);
    const char *raw = header(c, "x-amz-sns-rawdelivery");
    struct sup_sns_delivery in = {.body = sup_buf_slice(&d->body),
                                  .raw = raw != NULL && strcasecmp(raw, "false") != 0,
                                  .topic_header = header(c, "x-amz-sns-topic-arn")};
    struct sup_sns_answer out;

    sup_watched_hold(watched(c));
    if (d->body.failed)
        return reply(c, MHD_HTTP_CONTENT_TOO_LARGE, "longer than SNS sends: 262144 bytes");
    if (s == NULL)
        return reply(c, MHD_HTTP_SERVICE_UNAVAILABLE, "the agent is starting or stopping");
    sup_service_take_sns(s, &in, &out);
    return reply(c, out.status, out.text);
}

/* What can be said before the body comes; 0 = nothing. */
static unsigned check(struct MHD_Connection *c, const char *url, const char *method,
                      const char **text)
{
    bool get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    const char *length = header(c, MHD_HTTP_HEADER_CONTENT_LENGTH);

    if (get && strcmp(url, "/healthz") == 0) {
        *text = "alive";
        return MHD_HTTP_OK;
    }
    if (strcmp(url, "/") != 0 && strcmp(url, "/sns") != 0) {
        *text = "no such path: SNS posts to / or /sns";
        return MHD_HTTP_NOT_FOUND;
    }
    if (strcmp(method, "POST") != 0) {
        *text = "only SNS posts here";
        return MHD_HTTP_METHOD_NOT_ALLOWED;
    }
    if (length != NULL && strtoull(length, NULL, 10) > BODY_MAX) {
        *text = "longer than SNS sends: 262144 bytes";
        return MHD_HTTP_CONTENT_TOO_LARGE;
    }
    return 0;
}

static enum MHD_Result begin(struct MHD_Connection *c, const char *url, const char *method,
                             void **con_cls)
{
    const char *text = "";
    struct delivery *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return MHD_NO;
    sup_buf_init(&d->body, BODY_MAX);
    *con_cls = d;
    unsigned status = check(c, url, method, &text);
    if (status == 0)
        return MHD_YES;
    d->refused = true;
    return reply(c, status, text);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *n, void **con_cls)
{
    struct delivery *d = *con_cls;

    (void)version;
    if (d == NULL)
        return begin(c, url, method, con_cls);
    if (*n == 0)
        return d->refused ? MHD_YES : deliver(cls, c, d);
    sup_buf_add(&d->body, upload, *n);
    if (d->body.failed)
        d->discarded += *n;
    *n = 0;
    return d->discarded > 4 * BODY_MAX ? MHD_NO : MHD_YES;
}

static void on_completed(void *cls, struct MHD_Connection *c, void **con_cls,
                         enum MHD_RequestTerminationCode how)
{
    struct delivery *d = *con_cls;

    (void)cls;
    (void)how;
    if (d == NULL)
        return;
    sup_buf_fini(&d->body);
    free(d);
    *con_cls = NULL;
    sup_watched_expect(watched(c), IDLE_S * 1000);
}

static void on_connection(void *cls, struct MHD_Connection *c, void **socket_context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct sup_sns_listener *l = cls;

    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
        *socket_context = sup_watch_add(l->watch, info->connect_fd, REQUEST_MS);
    } else {
        sup_watched_remove(*socket_context);
        *socket_context = NULL;
    }
}

/* --- starting --- */

static int read_pem(const char *path, struct sup_buf *out, struct sup_err *err)
{
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return sup_err_set(err, SUP_EINPUT, "%s: %s", path, strerror(errno));
    char chunk[4096];
    size_t n;
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        sup_buf_add(out, chunk, n);
    explicit_bzero(chunk, sizeof(chunk));
    bool bad = ferror(f) != 0 || out->failed || out->n == 0;
    fclose(f);
    return bad ? sup_err_set(err, SUP_EINPUT, "%s: is not a PEM file that can be read", path)
               : SUP_OK;
}

/* Takes over fd, also on error. */
static int start_daemon(struct sup_sns_listener *l, int fd, bool tls, struct sup_err *err)
{
    struct MHD_OptionItem tls_options[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)sup_buf_str(&l->cert)},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)sup_buf_str(&l->key)},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem no_options[] = {{MHD_OPTION_END, 0, NULL}};
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
                     MHD_USE_POLL | (tls ? MHD_USE_TLS : 0);

    l->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, l, MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_COMPLETED, on_completed, l,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, l, MHD_OPTION_ARRAY,
        tls ? tls_options : no_options, MHD_OPTION_END);
    if (l->daemon != NULL)
        return SUP_OK;
    close(fd);
    return sup_err_set(err, SUP_EIO, "sns_http: the server does not start%s",
                       tls ? ": do sns_http.tls.cert and sns_http.tls.key belong together?" : "");
}

static int open_listener(struct sup_sns_listener *l, struct sup_err *err)
{
    const struct sup_options *o = l->options;
    bool tls = o->sns_http.tls_cert[0] != '\0';
    bool loopback;
    int fd = -1;
    int rc = SUP_OK;

    if (tls && MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
        return sup_err_set(err, SUP_EINPUT,
                           "sns_http.tls: this libmicrohttpd was built without TLS: put a TLS "
                           "proxy or load balancer before it");
    if (tls)
        rc = read_pem(o->sns_http.tls_cert, &l->cert, err);
    if (tls && rc == SUP_OK)
        rc = read_pem(o->sns_http.tls_key, &l->key, err);
    if (rc == SUP_OK)
        rc = sup_tcp_listen(o->sns_http.listen, &fd, &l->port, &loopback, err);
    return rc == SUP_OK ? start_daemon(l, fd, tls, err) : rc;
}

int sup_sns_listener_start(const struct sup_options *options, struct sup_sns_listener **out,
                           struct sup_err *err)
{
    struct sup_sns_listener *l = calloc(1, sizeof(*l));

    if (l == NULL)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    l->options = options;
    sup_buf_init(&l->cert, PEM_MAX);
    sup_buf_init(&l->key, PEM_MAX);
    l->watch = sup_watch_new();
    int rc = l->watch != NULL ? open_listener(l, err)
                              : sup_err_set(err, SUP_ENOMEM, "no thread for the SNS listener");
    if (rc != SUP_OK) {
        sup_sns_listener_free(l);
        return rc;
    }
    sup_log_info("sns", "listening", SUP_S("address", options->sns_http.listen),
                 SUP_U("port", l->port), SUP_U("topics", options->sns_http.n_topics));
    *out = l;
    return SUP_OK;
}

void sup_sns_listener_attach(struct sup_sns_listener *l, struct sup_service *s)
{
    atomic_store(&l->service, s);
}

unsigned sup_sns_listener_port(const struct sup_sns_listener *l)
{
    return l->port;
}

void sup_sns_listener_stop(struct sup_sns_listener *l)
{
    if (l == NULL)
        return;
    atomic_store(&l->service, NULL);
    if (l->daemon != NULL)
        MHD_stop_daemon(l->daemon); /* waits for the threads of its connections */
    l->daemon = NULL;
}

void sup_sns_listener_free(struct sup_sns_listener *l)
{
    if (l == NULL)
        return;
    sup_watch_free(l->watch);
    if (l->key.p != NULL)
        explicit_bzero(l->key.p, l->key.cap);
    sup_buf_fini(&l->key);
    sup_buf_fini(&l->cert);
    free(l);
}
