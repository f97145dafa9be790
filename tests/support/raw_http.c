#include "raw_http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 30000

int raw_connect_unix(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_true(strlen(path) < sizeof(a.sun_path));
    memcpy(a.sun_path, path, strlen(path));
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

int raw_connect_tcp(unsigned port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

void raw_send(int fd, const void *p, size_t n)
{
    const char *at = p;
    while (n > 0) {
        ssize_t k = send(fd, at, n, MSG_NOSIGNAL);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return;
        at += k;
        n -= (size_t)k;
    }
}

void raw_send_str(int fd, const char *s)
{
    raw_send(fd, s, strlen(s));
}

/* More bytes into b. False at the end of the stream. */
static bool more(int fd, struct sup_buf *b)
{
    char chunk[16384];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_true(poll(&p, 1, PATIENCE_MS) > 0);
    ssize_t n = recv(fd, chunk, sizeof(chunk), 0);
    if (n <= 0)
        return false;
    sup_buf_add(b, chunk, (size_t)n);
    return true;
}

static void drop(struct sup_buf *b, size_t n)
{
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
    b->p[b->n] = '\0';
}

/* Moves n bytes from rest, reading as needed. */
static bool take(int fd, struct sup_buf *rest, size_t n, struct sup_buf *to)
{
    while (rest->n < n) {
        if (!more(fd, rest))
            return false;
    }
    sup_buf_add(to, rest->p, n);
    drop(rest, n);
    return true;
}

static bool take_until(int fd, struct sup_buf *rest, const char *mark, struct sup_buf *to)
{
    char *at = NULL;
    while (rest->n == 0 || (at = memmem(rest->p, rest->n, mark, strlen(mark))) == NULL) {
        if (!more(fd, rest))
            return false;
    }
    return take(fd, rest, (size_t)(at - (char *)rest->p) + strlen(mark), to);
}

static bool take_chunks(int fd, struct sup_buf *rest, struct sup_buf *to)
{
    for (;;) {
        struct sup_buf line;
        sup_buf_init(&line, 100);
        bool ok = take_until(fd, rest, "\r\n", &line);
        size_t n = ok ? strtoul((char *)line.p, NULL, 16) : 0;
        sup_buf_fini(&line);
        sup_buf_init(&line, 100);
        ok = ok && take(fd, rest, n, to) && take(fd, rest, 2, &line);
        sup_buf_fini(&line);
        if (!ok || n == 0)
            return ok;
    }
}

void raw_read(int fd, struct sup_buf *rest, struct raw_answer *out)
{
    memset(out, 0, sizeof(*out));
    sup_buf_init(&out->head, 64 * 1024);
    sup_buf_init(&out->body, 256 * 1024 * 1024);
    if (!take_until(fd, rest, "\r\n\r\n", &out->head)) {
        out->cut = rest->n > 0;
        return;
    }
    const char *head = sup_buf_str(&out->head);
    assert_int_equal(strncmp(head, "HTTP/1.", 7), 0);
    out->status = (int)strtol(head + 9, NULL, 10);
    const char *length = strcasestr(head, "\r\nContent-Length:");
    if (length != NULL) {
        out->cut = !take(fd, rest, strtoul(length + 17, NULL, 10), &out->body);
    } else if (strcasestr(head, "\r\nTransfer-Encoding: chunked") != NULL) {
        out->cut = !take_chunks(fd, rest, &out->body);
    } else {
        while (more(fd, rest))
            ;
        (void)take(fd, rest, rest->n, &out->body);
    }
}

void raw_answer_fini(struct raw_answer *a)
{
    sup_buf_fini(&a->head);
    sup_buf_fini(&a->body);
}
