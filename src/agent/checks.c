#include "agent/schema.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define HOST_MAX 255

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Does s have min to max characters, all alphanumeric or one of more? */
static bool only(const char *s, size_t min, size_t max, const char *more)
{
    size_t n = 0;
    for (; s[n] != '\0'; n++) {
        if (!is_alnum(s[n]) && strchr(more, s[n]) == NULL)
            return false;
    }
    return n >= min && n <= max;
}

bool sup_check_node(const char *s)
{
    return only(s, 1, 64, "._/-") && is_alnum(s[0]);
}

bool sup_check_word(const char *s)
{
    return only(s, 1, 64, "._-");
}

/* "us-gov-west-1": two or more groups of letters, then a number. */
bool sup_check_region(const char *s)
{
    const char *last = strrchr(s, '-');
    if (last == NULL || last[1] == '\0' || strspn(last + 1, "0123456789") != strlen(last + 1))
        return false;
    size_t groups = 1;
    for (const char *p = s; p < last; p++) {
        if (*p == '-') {
            groups++;
            if (p == s || p[-1] == '-')
                return false;
        } else if ((*p < 'a' || *p > 'z') && (groups == 1 || *p < '0' || *p > '9')) {
            return false;
        }
    }
    return groups >= 2 && strlen(s) <= 32 && s[0] != '-' && last[-1] != '-';
}

/* Splits "HOST:PORT" or "[V6]:PORT", of which the port may be missing (then *port is -1).
 * False when it is malformed. What follows the authority must have been cut off. */
static bool split_authority(const char *s, size_t n, char host[HOST_MAX + 1], long *port)
{
    const char *colon = memchr(s, ':', n);
    size_t host_len = colon != NULL ? (size_t)(colon - s) : n;
    if (n > 0 && s[0] == '[') {
        const char *end = memchr(s, ']', n);
        if (end == NULL)
            return false;
        host_len = (size_t)(end - s) + 1;
        colon = host_len < n ? s + host_len : NULL;
        if (colon != NULL && *colon != ':')
            return false;
    }
    if (host_len == 0 || host_len > HOST_MAX)
        return false;
    memcpy(host, s, host_len);
    host[host_len] = '\0';
    if (host[0] == '[') {
        struct in6_addr a;
        memmove(host, host + 1, host_len);
        host[host_len - 2] = '\0';
        if (inet_pton(AF_INET6, host, &a) != 1)
            return false;
    } else if (!only(host, 1, HOST_MAX, ".-_")) {
        return false;
    }
    *port = -1;
    if (colon == NULL)
        return true;
    size_t digits = n - (size_t)(colon - s) - 1;
    if (digits == 0 || digits > 5 || strspn(colon + 1, "0123456789") < digits)
        return false;
    *port = strtol(colon + 1, NULL, 10);
    return *port <= 65535;
}

/* The authority of "SCHEME://AUTHORITY[/PATH]"; user names and passwords have no place in it. */
static bool split_url(const char *url, const char *scheme, char host[HOST_MAX + 1], long *port,
                      const char **path)
{
    size_t n = strlen(scheme);
    if (strncmp(url, scheme, n) != 0)
        return false;
    url += n;
    n = strcspn(url, "/?#");
    *path = url + n;
    for (const char *p = url; *p != '\0'; p++) {
        if (*p <= ' ' || *p > '~')
            return false;
    }
    return split_authority(url, n, host, port);
}

static bool host_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (strcmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

bool sup_is_loopback(const char *host_port)
{
    char host[HOST_MAX + 1];
    long port;
    return split_authority(host_port, strlen(host_port), host, &port) && host_is_loopback(host);
}

/* To listen on: names other than localhost could resolve to anything. */
bool sup_check_host_port(const char *s)
{
    char host[HOST_MAX + 1];
    long port;
    struct in_addr v4;
    struct in6_addr v6;
    return split_authority(s, strlen(s), host, &port) && port >= 0 &&
           (host_is_loopback(host) || inet_pton(AF_INET, host, &v4) == 1 ||
            inet_pton(AF_INET6, host, &v6) == 1);
}

bool sup_check_aws_url(const char *s)
{
    char host[HOST_MAX + 1];
    long port;
    const char *path;
    if (split_url(s, "https://", host, &port, &path))
        return port != 0;
    return split_url(s, "http://", host, &port, &path) && port != 0 && host_is_loopback(host);
}

bool sup_check_loopback_url(const char *s)
{
    char host[HOST_MAX + 1];
    long port;
    const char *path;
    return split_url(s, "http://", host, &port, &path) && port > 0 && *path == '\0' &&
           host_is_loopback(host);
}

bool sup_is_plain_mesh_url(const char *url)
{
    return strncmp(url, "tcp://", 6) == 0;
}

bool sup_check_mesh_url(const char *s)
{
    char host[HOST_MAX + 1];
    long port;
    const char *path;
    const char *scheme = sup_is_plain_mesh_url(s) ? "tcp://" : "tls+tcp://";
    return split_url(s, scheme, host, &port, &path) && port > 0 && *path == '\0';
}

/* arn:PARTITION:sns:REGION:ACCOUNT:NAME */
bool sup_check_topic(const char *s)
{
    size_t colons = 0;
    const char *service = NULL;
    for (const char *p = s; *p != '\0'; p++) {
        if (*p == ':' && ++colons == 2)
            service = p + 1;
    }
    return colons == 5 && only(s, 20, 400, ":_-.") && strncmp(s, "arn:", 4) == 0 &&
           strncmp(service, "sns:", 4) == 0 && s[strlen(s) - 1] != ':';
}

/* Amazon S3 User Guide, "Bucket naming rules". */
bool sup_check_bucket(const char *s)
{
    size_t n = strlen(s);
    for (size_t i = 0; i < n; i++) {
        if (s[i] >= 'A' && s[i] <= 'Z')
            return false;
    }
    return only(s, 3, 63, ".-") && is_alnum(s[0]) && is_alnum(s[n - 1]);
}

bool sup_check_prefix(const char *s)
{
    return only(s, 0, 512, "!-_.*'()/") && s[0] != '/';
}

bool sup_check_key_prefix(const char *s)
{
    for (const char *p = s; *p != '\0'; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return false;
    }
    return strlen(s) <= 512 && s[0] != '/';
}

bool sup_check_region_or_none(const char *s)
{
    return *s == '\0' || sup_check_region(s);
}
