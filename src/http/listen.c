#include "http/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 256

static int fill(const char *path, struct sockaddr_un *a, struct sup_err *err)
{
    size_t n = strlen(path);
    memset(a, 0, sizeof(*a));
    a->sun_family = AF_UNIX;
    if (n == 0 || n >= sizeof(a->sun_path))
        return sup_err_set(err, SUP_EINPUT, "%s: a socket path has 1 to %zu bytes", path,
                           sizeof(a->sun_path) - 1);
    memcpy(a->sun_path, path, n + 1);
    return SUP_OK;
}

/* Does anybody accept there? A full backlog answers EAGAIN, which is a live server too. */
static bool is_live(const struct sockaddr_un *a)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return true;
    int rc = connect(fd, (const struct sockaddr *)a, sizeof(*a));
    bool dead = rc != 0 && (errno == ECONNREFUSED || errno == ENOENT);
    close(fd);
    return !dead;
}

static int clear_stale(const char *path, const struct sockaddr_un *a, struct sup_err *err)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? SUP_OK
                               : sup_err_set(err, SUP_EIO, "%s: %s", path, strerror(errno));
    if (!S_ISSOCK(st.st_mode))
        return sup_err_set(err, SUP_EEXIST, "%s: is not a socket: remove it or choose another path",
                           path);
    if (is_live(a))
        return sup_err_set(err, SUP_EEXIST,
                           "%s: a running agent answers there: stop it or choose another path",
                           path);
    if (unlink(path) != 0 && errno != ENOENT)
        return sup_err_set(err, SUP_EIO, "%s: %s", path, strerror(errno));
    return SUP_OK;
}

static int make_directory(const char *path, struct sup_err *err)
{
    char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path)
        return SUP_OK;
    snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
    if (mkdir(dir, 0750) != 0 && errno != EEXIST)
        return sup_err_set(err, SUP_EIO, "%s: cannot be made: %s", dir, strerror(errno));
    return SUP_OK;
}

int sup_unix_listen(const char *path, struct sup_unix_listener *out, struct sup_err *err)
{
    struct sockaddr_un a;
    struct stat st;
    out->fd = -1;
    int rc = fill(path, &a, err);
    if (rc == SUP_OK)
        rc = make_directory(path, err);
    if (rc == SUP_OK)
        rc = clear_stale(path, &a, err);
    if (rc != SUP_OK)
        return rc;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return sup_err_set(err, SUP_EIO, "socket: %s", strerror(errno));
    /* By umask, so that there is no moment in which the file is open to all. */
    mode_t before = umask(0117);
    rc = bind(fd, (struct sockaddr *)&a, sizeof(a));
    int bind_errno = errno;
    umask(before);
    if (rc != 0 || listen(fd, BACKLOG) != 0 || stat(path, &st) != 0) {
        rc = sup_err_set(err, SUP_EIO, "%s: %s", path, strerror(rc != 0 ? bind_errno : errno));
        close(fd);
        return rc;
    }
    *out = (struct sup_unix_listener){.fd = fd, .dev = st.st_dev, .ino = st.st_ino};
    return SUP_OK;
}

/* Does another process accept at path? SO_PEERCRED tells who listens (unix(7)). */
static bool is_others(const char *path)
{
    struct sockaddr_un a;
    struct ucred peer;
    socklen_t n = sizeof(peer);
    if (fill(path, &a, NULL) != SUP_OK)
        return true;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool others = fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
                  getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 && peer.pid != getpid();
    if (fd >= 0)
        close(fd);
    return others;
}

void sup_unix_remove(const char *path, const struct sup_unix_listener *l)
{
    struct stat st;
    /* The number alone would not do: file systems give the number of a removed file to the next. */
    if (lstat(path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino && !is_others(path))
        unlink(path);
}

/* Splits "HOST:PORT" or "[V6]:PORT". The port is checked here, for glibc takes 99999 and wraps it.
 */
static bool split(const char *where, char *host, size_t cap, const char **port)
{
    const char *colon = strrchr(where, ':');
    bool bracket = where[0] == '[';
    if (colon == NULL || (bracket && colon[-1] != ']'))
        return false;
    const char *start = where + (bracket ? 1 : 0);
    size_t n = (size_t)(colon - start) - (bracket ? 1 : 0);
    size_t digits = strlen(colon + 1);
    if (colon <= start || n == 0 || n >= cap || digits == 0 || digits > 5 ||
        strspn(colon + 1, "0123456789") != digits || strtol(colon + 1, NULL, 10) > 65535)
        return false;
    memcpy(host, start, n);
    host[n] = '\0';
    *port = colon + 1;
    return true;
}

static int resolve(const char *where, struct addrinfo **out, struct sup_err *err)
{
    char host[256];
    const char *port;
    if (!split(where, host, sizeof(host), &port))
        return sup_err_set(err, SUP_EINPUT, "%s: use ADDRESS:PORT", where);
    bool by_name = strcmp(host, "localhost") == 0;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV | AI_NUMERICHOST};
    int rc = getaddrinfo(by_name ? "127.0.0.1" : host, port, &hints, out);
    if (rc != 0)
        return sup_err_set(err, SUP_EINPUT, "%s: %s: use ADDRESS:PORT with a numeric address",
                           where, gai_strerror(rc));
    return SUP_OK;
}

static bool is_loopback(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr) >> 24 == 127;
    return a->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr);
}

static unsigned bound_port(int fd)
{
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof(a);
    if (getsockname(fd, (struct sockaddr *)&a, &n) != 0)
        return 0;
    return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                         : ((struct sockaddr_in *)&a)->sin_port);
}

int sup_tcp_listen(const char *where, int *fd, unsigned *port, bool *loopback, struct sup_err *err)
{
    struct addrinfo *ai;
    const int one = 1;
    int rc = resolve(where, &ai, err);
    if (rc != SUP_OK)
        return rc;
    *loopback = is_loopback(ai->ai_addr);
    *fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0 || setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
        bind(*fd, ai->ai_addr, ai->ai_addrlen) != 0 || listen(*fd, BACKLOG) != 0) {
        rc = sup_err_set(err, errno == EADDRINUSE ? SUP_EEXIST : SUP_EIO, "%s: %s", where,
                         strerror(errno));
        if (*fd >= 0)
            close(*fd);
        *fd = -1;
    } else {
        *port = bound_port(*fd);
    }
    freeaddrinfo(ai);
    return rc;
}
