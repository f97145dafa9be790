#include "mesh/link.h"

#include <stdlib.h>
#include <string.h>

#define TLS_SCHEME "tls+tcp://"
#define TCP_SCHEME "tcp://"
#define HOST_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_"
#define IPV6_CHARS "0123456789abcdefABCDEF:."

static bool host_ok(const char *host, size_t n)
{
    if (n > 2 && host[0] == '[')
        return host[n - 1] == ']' && strspn(host + 1, IPV6_CHARS) == n - 2;
    return n > 0 && n <= 253 && strspn(host, HOST_CHARS) == n;
}

static bool port_ok(const char *s)
{
    size_t n = strspn(s, "0123456789");
    return n > 0 && n <= 5 && s[n] == '\0' && strtoul(s, NULL, 10) <= UINT16_MAX;
}

/* Nothing but scheme, host and port ever reaches NNG, whose 1.5.2 reads out of bounds on some
 * percent-encoded URLs (fixed in 1.6). */
int sup_mesh_url_check(const char *url, bool *tls, struct sup_err *err)
{
    const char *host;

    *tls = strncmp(url, TLS_SCHEME, strlen(TLS_SCHEME)) == 0;
    if (*tls)
        host = url + strlen(TLS_SCHEME);
    else if (strncmp(url, TCP_SCHEME, strlen(TCP_SCHEME)) == 0)
        host = url + strlen(TCP_SCHEME);
    else
        return sup_err_set(err, SUP_EINPUT, "%.200s: must begin with tls+tcp:// (or tcp://)", url);
    const char *colon = strrchr(host, ':');
    if (!colon || !port_ok(colon + 1))
        return sup_err_set(err, SUP_EINPUT, "%.200s: must end in a port, as in host:8471", url);
    if (!host_ok(host, (size_t)(colon - host)))
        return sup_err_set(err, SUP_EINPUT, "%.200s: not a host name or address", url);
    return SUP_OK;
}
