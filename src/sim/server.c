#include "server.h"

#include "clock.h"
#include "dispatch.h"
#include "region.h"
#include "sim.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Called with the request line as it came: libmicrohttpd decodes the path it passes on, and
 * signatures are over the encoded one. What it returns comes back as the request's state. */
static void *on_uri(void *arg, const char *uri, struct MHD_Connection *connection)
{
    (void)connection;
    return sim_request_new(arg, uri);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    (void)arg, (void)connection, (void)code;
    sim_request_free(*state);
    *state = NULL;
}

struct half {
    char *data;
    size_t n;
};

static ssize_t read_half(void *arg, uint64_t position, char *out, size_t most)
{
    const struct half *h = arg;
    if (position >= h->n)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t n = h->n - (size_t)position < most ? h->n - (size_t)position : most;
    memcpy(out, h->data + position, n);
    return (ssize_t)n;
}

static void free_half(void *arg)
{
    struct half *h = arg;
    free(h->data);
    free(h);
}

static struct MHD_Response *make_response(struct sim_request *r)
{
    size_t n = r->reply.body.len;
    char *body = sim_buf_take(&r->reply.body);
    if (!r->fault.truncate)
        return MHD_create_response_from_buffer(n, body, MHD_RESPMEM_MUST_FREE);
    struct half *h = sim_alloc(sizeof *h);
    *h = (struct half){body, n / 2};
    struct MHD_Response *response =
        MHD_create_response_from_callback(n ? n : 1, 4096, read_half, h, free_half);
    if (!response)
        free_half(h);
    return response;
}

static enum MHD_Result reply(struct sim_request *r)
{
    struct MHD_Response *response = make_response(r);
    if (!response)
        return MHD_NO;
    char text[SIM_UUID_LEN];
    sim_time_http(text, sim_region_now(r->region));
    MHD_add_response_header(response, "Date", text);
    sim_uuid(text);
    MHD_add_response_header(
        response, r->protocol == SIM_PROTO_S3 ? "x-amz-request-id" : "x-amzn-RequestId", text);
    if (r->reply.content_type)
        MHD_add_response_header(response, "Content-Type", r->reply.content_type);
    for (unsigned i = 0; i < r->reply.n_headers; i++)
        MHD_add_response_header(response, r->reply.headers[i].name, r->reply.headers[i].value);
    enum MHD_Result result = MHD_queue_response(r->connection, r->reply.status, response);
    MHD_destroy_response(response);
    return result;
}

/* Unread data or a zero linger makes the kernel send RST instead of FIN. */
static enum MHD_Result reset(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const struct linger none = {.l_onoff = 1};
    if (info)
        setsockopt(info->connect_fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    return MHD_NO;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *n, void **state)
{
    (void)arg, (void)url, (void)version;
    struct sim_request *r = *state;
    if (!r->method) {
        r->method = sim_strdup(method);
        r->connection = connection;
        return MHD_YES;
    }
    /* Once the daemon is being stopped responses are not taken, and the handler is called again. */
    if (r->answered)
        return MHD_NO;
    if (*n) {
        r->too_large = r->too_large || *n > SIM_BODY_MAX - r->body.len;
        if (!r->too_large)
            sim_buf_add(&r->body, data, *n);
        *n = 0;
        return MHD_YES;
    }
    if (r->too_large) {
        r->protocol = SIM_PROTO_CONTROL;
        sim_fail(r, 413, "RequestEntityTooLarge", "The body is too large.");
    } else if (sim_dispatch(r) == SIM_PARKED) {
        return MHD_YES;
    }
    r->answered = true;
    return r->abort_connection ? reset(connection) : reply(r);
}

/* Paths are decoded where they are used; libmicrohttpd must leave them alone. */
static size_t keep_escapes(void *arg, struct MHD_Connection *connection, char *s)
{
    (void)arg, (void)connection;
    return strlen(s);
}

static bool listen_address(const struct sim_options *o, struct sockaddr_in *address)
{
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(o->port)};
    if (inet_pton(AF_INET, o->address, &address->sin_addr) == 1)
        return true;
    fprintf(stderr, "supsync-sim: --listen: %s is not an IPv4 address\n", o->address);
    return false;
}

static int open_socket(const struct sim_options *o)
{
    struct sockaddr_in address;
    if (!listen_address(o, &address))
        return -1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, 1024) != 0) {
        fprintf(stderr, "supsync-sim: %s:%u: %s\n", o->address, o->port, strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

static void note_host(struct sim *s, int fd)
{
    struct sockaddr_in address = {0};
    socklen_t n = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &n);
    char text[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
    snprintf(s->host, sizeof s->host, "%s:%u", text, ntohs(address.sin_port));
}

struct MHD_Daemon *sim_server_start(struct sim *s)
{
    int fd = open_socket(&s->options);
    if (fd < 0)
        return NULL;
    note_host(s, fd);
    struct MHD_Daemon *d = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_SUPPRESS_DATE_NO_CLOCK,
        0, NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE,
        s->options.threads, MHD_OPTION_URI_LOG_CALLBACK, on_uri, s, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, NULL, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)128 * 1024, MHD_OPTION_CONNECTION_LIMIT, 4096u,
        MHD_OPTION_CONNECTION_TIMEOUT, 300u, MHD_OPTION_END);
    if (!d) {
        fputs("supsync-sim: the HTTP server did not start\n", stderr);
        close(fd);
    }
    return d;
}

void sim_server_stop(struct MHD_Daemon *d)
{
    MHD_stop_daemon(d);
}
