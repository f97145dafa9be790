/* Point checks over the agent's Unix socket, on kept-alive connections.
 *
 *   bench_socket_check SOCKET [CONNECTIONS [SECONDS]]
 *
 * A bare loop of write and read, so that the client costs as little as can be. One line of JSON. */
#include "common.h"

#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

struct client {
    const char *path;
    double seconds;
    uint64_t answers;
    pthread_t thread;
};

static int connect_to(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    return fd;
}

/* Reads one response; its body is known by Content-Length. */
static void read_answer(int fd)
{
    char buf[4096];
    size_t n = 0;

    for (;;) {
        ssize_t got = read(fd, buf + n, sizeof(buf) - 1 - n);
        if (got <= 0) {
            fprintf(stderr, "connection lost\n");
            exit(EXIT_FAILURE);
        }
        n += (size_t)got;
        buf[n] = '\0';
        char *end = strstr(buf, "\r\n\r\n");
        char *length = strcasestr(buf, "content-length:");
        if (end && length && n >= (size_t)(end + 4 - buf) + strtoul(length + 15, NULL, 10)) {
            if (strncmp(buf, "HTTP/1.1 200", 12) != 0) {
                fprintf(stderr, "%s\n", buf);
                exit(EXIT_FAILURE);
            }
            return;
        }
    }
}

static void *client_main(void *arg)
{
    struct client *c = arg;
    int64_t end = sup_mono_ns() + (int64_t)(c->seconds * 1e9);
    int fd = connect_to(c->path);

    while (sup_mono_ns() < end) {
        char request[256];
        int n =
            snprintf(request, sizeof(request),
                     "GET /v1/check?address=user%llu%%40example.com HTTP/1.1\r\nHost: a\r\n\r\n",
                     (unsigned long long)c->answers);
        if (write(fd, request, (size_t)n) != n) {
            perror("write");
            exit(EXIT_FAILURE);
        }
        read_answer(fd);
        c->answers++;
    }
    close(fd);
    return NULL;
}

int main(int argc, char **argv)
{
    struct client clients[64] = {0};
    size_t n = argc > 2 ? strtoul(argv[2], NULL, 10) : 8;
    double seconds = argc > 3 ? strtod(argv[3], NULL) : 3;
    uint64_t total = 0;

    if (argc < 2 || n < 1 || n > 64) {
        fprintf(stderr, "usage: bench_socket_check SOCKET [CONNECTIONS [SECONDS]]\n");
        return 2;
    }
    for (size_t i = 0; i < n; i++) {
        clients[i] = (struct client){.path = argv[1], .seconds = seconds};
        pthread_create(&clients[i].thread, NULL, client_main, &clients[i]);
    }
    for (size_t i = 0; i < n; i++) {
        pthread_join(clients[i].thread, NULL);
        total += clients[i].answers;
    }
    printf("{\"bench\":\"socket\",\"connections\":%zu,\"checks_per_s\":%.0f}\n", n,
           (double)total / seconds);
    return 0;
}
