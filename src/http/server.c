#include "http/server.h"

#include "base/clock.h"
#include "base/log.h"
#include "http/server_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JOBS_MAX         8
#define CONNECTIONS_MAX  1024
#define PER_ADDRESS_MAX  256
#define CONNECTION_BYTES (32 * 1024) /* request line and headers must fit */
/* On the Unix socket, where backfills come in: half of it is what one read takes. Memory that no
 * request needed is never touched. */
#define LOCAL_BYTES (256 * 1024)
#define FINISH_MS   3000 /* for running requests, at stop */
#define PEM_MAX     (1024 * 1024)

bool sup_httpd_is_stopping(struct sup_httpd *h)
{
    return atomic_load(&h->stopping);
}

bool sup_httpd_job_begin(struct sup_httpd *h)
{
    pthread_mutex_lock(&h->mutex);
    bool ok = h->jobs < JOBS_MAX && !sup_httpd_is_stopping(h);
    h->jobs += ok ? 1 : 0;
    pthread_mutex_unlock(&h->mutex);
    return ok;
}

void sup_httpd_job_end(struct sup_httpd *h)
{
    pthread_mutex_lock(&h->mutex);
    h->jobs--;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->mutex);
}

/* --- TLS files --- */

static int read_pem(const char *path, struct sup_buf *out, struct sup_err *err)
{
    char chunk[4096];
    size_t n;
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return sup_err_set(err, SUP_EINPUT, "%s: %s", path, strerror(errno));
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        sup_buf_add(out, chunk, n);
    explicit_bzero(chunk, sizeof(chunk));
    bool bad = ferror(f) != 0 || out->failed || out->n == 0;
    fclose(f);
    return bad ? sup_err_set(err, SUP_EINPUT, "%s: is not a PEM file that can be read", path)
               : SUP_OK;
}

static int read_tls(struct sup_httpd *h, struct sup_err *err)
{
    if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
        return sup_err_set(err, SUP_EINPUT,
                           "admin.tls: this libmicrohttpd was built without TLS: listen on "
                           "127.0.0.1 and put a TLS proxy before it");
    int rc = read_pem(h->options->admin.tls_cert, &h->tls_cert, err);
    return rc == SUP_OK ? read_pem(h->options->admin.tls_key, &h->tls_key, err) : rc;
}

/* --- MHD --- */

__attribute__((format(printf, 2, 0))) static void log_mhd(void *cls, const char *fmt, va_list ap)
{
    char text[256];
    (void)cls;
    vsnprintf(text, sizeof(text), fmt, ap);
    text[strcspn(text, "\n")] = '\0';
    sup_log_debug("http", text);
}

/* MHD's own decoding is lenient and cuts at an encoded NUL; request.c decodes the target itself. */
static size_t keep_escapes(void *cls, struct MHD_Connection *c, char *s)
{
    (void)cls;
    (void)c;
    return strlen(s);
}

static unsigned pool_size(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 2 ? 2 : n > 8 ? 8 : (unsigned)n;
}

/* Takes over fd, also on error. */
static int open_side(struct sup_httpd *h, struct sup_httpd_side *side, int fd, bool tcp, bool tls,
                     struct sup_err *err)
{
    side->server = h;
    side->tcp = tcp;
    struct MHD_OptionItem tls_options[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)sup_buf_str(&h->tls_cert)},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)sup_buf_str(&h->tls_key)},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem no_options[] = {{MHD_OPTION_END, 0, NULL}};
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
                     (tls ? MHD_USE_TLS : 0);
    side->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, sup_httpd_on_request, side, MHD_OPTION_EXTERNAL_LOGGER, log_mhd, NULL,
        MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd, MHD_OPTION_THREAD_POOL_SIZE, pool_size(),
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        tcp ? (unsigned)PER_ADDRESS_MAX : 0U, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)SUP_HTTPD_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)(tcp ? CONNECTION_BYTES : LOCAL_BYTES), MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_URI_LOG_CALLBACK, sup_httpd_on_target, side, MHD_OPTION_UNESCAPE_CALLBACK,
        keep_escapes, NULL, MHD_OPTION_NOTIFY_COMPLETED, sup_httpd_on_completed, side,
        MHD_OPTION_NOTIFY_CONNECTION, sup_httpd_on_connection, side, MHD_OPTION_ARRAY,
        tls ? tls_options : no_options, MHD_OPTION_END);
    if (side->daemon != NULL)
        return SUP_OK;
    close(fd);
    return sup_err_set(err, SUP_EIO, "the HTTP server does not start%s",
                       tls ? ": do admin.tls.cert and admin.tls.key belong together?" : "");
}

static int open_tcp(struct sup_httpd *h, struct sup_err *err)
{
    const struct sup_options *o = h->options;
    bool tls = o->admin.tls_cert[0] != '\0';
    bool loopback;
    int fd;
    int rc = tls ? read_tls(h, err) : SUP_OK;
    if (rc == SUP_OK)
        rc = sup_tcp_listen(o->admin.listen, &fd, &h->port, &loopback, err);
    if (rc != SUP_OK)
        return rc;
    if (!loopback && (!tls || !sup_tokens_needed(h->tokens))) {
        close(fd);
        return sup_err_set(err, SUP_EINPUT,
                           "admin.listen: %s can be reached from other machines: give admin.tls "
                           "and admin.tokens_file",
                           o->admin.listen);
    }
    return open_side(h, &h->tcp, fd, true, tls, err);
}

static int open_local(struct sup_httpd *h, struct sup_err *err)
{
    int rc = sup_unix_listen(h->options->admin.socket, &h->listener, err);
    return rc == SUP_OK ? open_side(h, &h->local, h->listener.fd, false, false, err) : rc;
}

static struct sup_httpd *http_new(const struct sup_options *options)
{
    struct sup_httpd *h = calloc(1, sizeof(*h));
    if (h == NULL)
        return NULL;
    h->options = options;
    h->listener.fd = -1;
    pthread_mutex_init(&h->mutex, NULL);
    pthread_rwlock_init(&h->tokens_lock, NULL);
    sup_cond_init(&h->changed);
    sup_buf_init(&h->tls_cert, PEM_MAX);
    sup_buf_init(&h->tls_key, PEM_MAX);
    h->watch = sup_watch_new();
    return h;
}

int sup_httpd_start(const struct sup_options *options, struct sup_httpd **out, struct sup_err *err)
{
    struct sup_httpd *h = http_new(options);
    if (h == NULL || h->watch == NULL) {
        sup_httpd_free(h);
        return sup_err_set(err, SUP_ENOMEM, "no memory or thread for the HTTP server");
    }
    int rc = sup_tokens_load(options->admin.tokens_file, &h->tokens, err);
    if (rc == SUP_OK)
        rc = open_local(h, err);
    if (rc == SUP_OK && options->admin.listen[0] != '\0')
        rc = open_tcp(h, err);
    if (rc != SUP_OK) {
        sup_httpd_stop(h);
        sup_httpd_free(h);
        return rc;
    }
    *out = h;
    return SUP_OK;
}

void sup_httpd_attach(struct sup_httpd *h, struct sup_service *s)
{
    atomic_store(&h->service, s);
}

int sup_httpd_reload(struct sup_httpd *h, struct sup_err *err)
{
    struct sup_tokens *fresh;
    int rc = sup_tokens_load(h->options->admin.tokens_file, &fresh, err);
    if (rc != SUP_OK)
        return rc;
    pthread_rwlock_wrlock(&h->tokens_lock);
    struct sup_tokens *old = h->tokens;
    h->tokens = fresh;
    pthread_rwlock_unlock(&h->tokens_lock);
    sup_tokens_free(old);
    return SUP_OK;
}

unsigned sup_httpd_port(const struct sup_httpd *h)
{
    return h->port;
}

/* Jobs end by themselves once stopping is set, as their writes fail; a scan on its way to the next
 * row is waited for, since it uses the service. */
static void finish_jobs(struct sup_httpd *h)
{
    pthread_mutex_lock(&h->mutex);
    while (h->jobs > 0)
        sup_cond_wait_ms(&h->changed, &h->mutex, -1);
    pthread_mutex_unlock(&h->mutex);
}

static void finish_requests(struct sup_httpd *h)
{
    int64_t deadline = sup_mono_ms() + FINISH_MS;
    pthread_mutex_lock(&h->mutex);
    while (atomic_load(&h->inside) > 0 && sup_mono_ms() < deadline)
        sup_cond_wait_ms(&h->changed, &h->mutex, 10);
    pthread_mutex_unlock(&h->mutex);
}

void sup_httpd_stop(struct sup_httpd *h)
{
    atomic_store(&h->stopping, true);
    if (h->listener.fd >= 0)
        sup_unix_remove(h->options->admin.socket, &h->listener);
    finish_jobs(h);
    finish_requests(h);
    if (h->tcp.daemon != NULL)
        MHD_stop_daemon(h->tcp.daemon);
    if (h->local.daemon != NULL)
        MHD_stop_daemon(h->local.daemon);
    h->tcp.daemon = h->local.daemon = NULL;
    h->listener.fd = -1;
    atomic_store(&h->service, NULL);
}

void sup_httpd_free(struct sup_httpd *h)
{
    if (h == NULL)
        return;
    sup_watch_free(h->watch);
    sup_tokens_free(h->tokens);
    if (h->tls_key.p != NULL)
        explicit_bzero(h->tls_key.p, h->tls_key.cap);
    sup_buf_fini(&h->tls_key);
    sup_buf_fini(&h->tls_cert);
    pthread_cond_destroy(&h->changed);
    pthread_rwlock_destroy(&h->tokens_lock);
    pthread_mutex_destroy(&h->mutex);
    free(h);
}
