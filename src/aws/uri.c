/* Percent-encoding, URL splitting and HTTP dates: text rules without state. */
#include "aws/http.h"
#include "aws/sigv4.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static bool is_unreserved(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

void sup_uri_encode(struct sup_buf *out, struct sup_slice text, int keep_slash)
{
    static const char hex[] = "0123456789ABCDEF";

    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        if (is_unreserved(c) || (keep_slash && c == '/')) {
            sup_buf_add_byte(out, c);
        } else {
            uint8_t esc[3] = {'%', (uint8_t)hex[c >> 4], (uint8_t)hex[c & 15]};
            sup_buf_add(out, esc, sizeof esc);
        }
    }
}

static struct sup_slice cut(struct sup_slice *rest, size_t n)
{
    struct sup_slice head = sup_slice_of(rest->p, n);
    *rest = sup_slice_of(rest->p + n, rest->n - n);
    return head;
}

static size_t span_to(struct sup_slice s, const char *stops)
{
    size_t i = 0;
    while (i < s.n && strchr(stops, s.p[i]) == NULL)
        i++;
    return i;
}

static int split_authority(struct sup_url *u)
{
    struct sup_slice a = u->authority;

    if (a.n == 0 || memchr(a.p, '@', a.n) != NULL)
        return SUP_EINPUT;
    size_t host_n;
    size_t after;
    if (a.p[0] == '[') {
        const uint8_t *end = memchr(a.p, ']', a.n);
        if (end == NULL)
            return SUP_EINPUT;
        host_n = (size_t)(end - a.p) - 1;
        u->host = sup_slice_of(a.p + 1, host_n);
        after = host_n + 2;
    } else {
        host_n = span_to(a, ":");
        u->host = sup_slice_of(a.p, host_n);
        after = host_n;
    }
    if (host_n == 0 || host_n > 253)
        return SUP_EINPUT;
    if (after < a.n && (a.p[after] != ':' || a.n - after < 2 || a.n - after > 6))
        return SUP_EINPUT;
    for (size_t i = after + 1; i < a.n; i++)
        if (!isdigit(a.p[i]))
            return SUP_EINPUT;
    return SUP_OK;
}

int sup_url_parse(struct sup_url *u, const char *url, struct sup_err *err)
{
    struct sup_slice rest = sup_slice_str(url);
    *u = (struct sup_url){0};

    for (size_t i = 0; i < rest.n; i++)
        if (rest.p[i] <= ' ' || rest.p[i] == 0x7f || rest.p[i] == '#' || rest.p[i] == '\\')
            return sup_err_set(err, SUP_EINPUT, "URL holds a byte that is not allowed there");
    size_t scheme_n = 0;
    if (rest.n > 8 && strncasecmp(url, "https://", 8) == 0)
        scheme_n = 5;
    else if (rest.n > 7 && strncasecmp(url, "http://", 7) == 0)
        scheme_n = 4;
    else
        return sup_err_set(err, SUP_EINPUT, "URL is not http:// or https://");
    u->scheme = cut(&rest, scheme_n);
    cut(&rest, 3);
    u->authority = cut(&rest, span_to(rest, "/?"));
    if (split_authority(u) != SUP_OK)
        return sup_err_set(err, SUP_EINPUT, "URL has no proper host and port");
    u->path = cut(&rest, span_to(rest, "?"));
    if (rest.n > 0)
        u->query = sup_slice_of(rest.p + 1, rest.n - 1);
    return SUP_OK;
}

bool sup_url_is_loopback(const struct sup_url *u)
{
    static const char suffix[] = ".localhost";
    char host[254];
    struct in_addr v4;
    struct in6_addr v6;

    if (u->host.n == 0 || u->host.n >= sizeof host)
        return false;
    memcpy(host, u->host.p, u->host.n);
    host[u->host.n] = '\0';
    if (strcasecmp(host, "localhost") == 0)
        return true;
    if (u->host.n >= sizeof suffix &&
        strcasecmp(host + u->host.n - (sizeof suffix - 1), suffix) == 0)
        return true;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    if (inet_pton(AF_INET6, host, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6) != 0;
    return false;
}

/* strptime would follow the locale; HTTP dates are English wherever we run. */
static int month_of(const char *s)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int i = 0; i < 12; i++)
        if (strncmp(names + (ptrdiff_t)3 * i, s, 3) == 0)
            return i;
    return -1;
}

static int digits(const char *s, int n)
{
    int v = 0;
    for (int i = 0; i < n; i++) {
        if (!isdigit((unsigned char)s[i]))
            return -1;
        v = v * 10 + (s[i] - '0');
    }
    return v;
}

int sup_http_date_parse(const char *s, int64_t *wall_ms)
{
    if (s == NULL || strlen(s) != 29 || strcmp(s + 25, " GMT") != 0 || s[3] != ',' || s[4] != ' ' ||
        s[7] != ' ' || s[11] != ' ' || s[16] != ' ' || s[19] != ':' || s[22] != ':')
        return SUP_EINPUT;
    struct tm tm = {.tm_mday = digits(s + 5, 2),
                    .tm_mon = month_of(s + 8),
                    .tm_year = digits(s + 12, 4) - 1900,
                    .tm_hour = digits(s + 17, 2),
                    .tm_min = digits(s + 20, 2),
                    .tm_sec = digits(s + 23, 2)};
    if (tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_mon < 0 || tm.tm_year < 70 || tm.tm_hour < 0 ||
        tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60)
        return SUP_EINPUT;
    *wall_ms = (int64_t)timegm(&tm) * 1000;
    return SUP_OK;
}
