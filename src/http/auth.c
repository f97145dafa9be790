#include "http/auth.h"

#include "base/array.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TOKEN_MIN  16
#define TOKEN_MAX  512
#define TOKENS_MAX 1000

struct token {
    char name[64];
    char secret[TOKEN_MAX + 1];
};

struct sup_tokens {
    struct token *items;
    size_t n, cap;
};

/* "SECRET" or "NAME SECRET". Returns false when it is neither; empty lines set *skip. */
static bool parse_line(char *line, struct token *out, bool *skip)
{
    static const char blank[] = " \t\r\n";
    line += strspn(line, blank);
    line[strcspn(line, "#")] = '\0';
    size_t first = strcspn(line, blank);
    char *second = line + first + strspn(line + first, blank);
    size_t second_len = strcspn(second, blank);
    *skip = first == 0;
    if (*skip)
        return true;
    if (second[second_len + strspn(second + second_len, blank)] != '\0')
        return false;
    const char *name = second_len > 0 ? line : "token";
    size_t name_len = second_len > 0 ? first : strlen(name);
    const char *secret = second_len > 0 ? second : line;
    size_t secret_len = second_len > 0 ? second_len : first;
    if (name_len >= sizeof(out->name) || secret_len < TOKEN_MIN || secret_len > TOKEN_MAX)
        return false;
    memset(out, 0, sizeof(*out));
    memcpy(out->name, name, name_len);
    memcpy(out->secret, secret, secret_len);
    return true;
}

static int read_lines(FILE *f, const char *path, struct sup_tokens *t, struct sup_err *err)
{
    char line[TOKEN_MAX + 128];
    for (unsigned n = 1; fgets(line, sizeof(line), f) != NULL; n++) {
        bool skip;
        if (t->n == TOKENS_MAX)
            return sup_err_set(err, SUP_EINPUT, "%s: more than %d tokens", path, TOKENS_MAX);
        if (sup_array_grow((void **)&t->items, &t->cap, t->n + 1, sizeof(*t->items)) != SUP_OK)
            return sup_err_set(err, SUP_ENOMEM, "out of memory");
        bool ok = strchr(line, '\n') != NULL || feof(f);
        if (!ok || !parse_line(line, &t->items[t->n], &skip))
            return sup_err_set(err, SUP_EINPUT,
                               "%s:%u: not a token: use TOKEN or NAME TOKEN, the token with %d to "
                               "%d characters",
                               path, n, TOKEN_MIN, TOKEN_MAX);
        t->n += skip ? 0 : 1;
    }
    explicit_bzero(line, sizeof(line));
    if (ferror(f))
        return sup_err_set(err, SUP_EIO, "%s: %s", path, strerror(errno));
    if (t->n == 0)
        return sup_err_set(err, SUP_EINPUT, "%s: holds no token: add one a line", path);
    return SUP_OK;
}

int sup_tokens_load(const char *path, struct sup_tokens **out, struct sup_err *err)
{
    struct stat st;
    struct sup_tokens *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    *out = t;
    if (*path == '\0')
        return SUP_OK;
    FILE *f = fopen(path, "re");
    int rc;
    if (f == NULL)
        rc = sup_err_set(err, SUP_EINPUT, "%s: %s", path, strerror(errno));
    else if (fstat(fileno(f), &st) != 0 || (st.st_mode & 07) != 0)
        rc = sup_err_set(err, SUP_EINPUT, "%s: everybody may read the tokens: chmod 0640 it", path);
    else
        rc = read_lines(f, path, t, err);
    if (f != NULL)
        fclose(f);
    if (rc != SUP_OK) {
        sup_tokens_free(t);
        *out = NULL;
    }
    return rc;
}

void sup_tokens_free(struct sup_tokens *t)
{
    if (t == NULL)
        return;
    if (t->items != NULL)
        explicit_bzero(t->items, t->cap * sizeof(*t->items));
    free(t->items);
    free(t);
}

bool sup_tokens_needed(const struct sup_tokens *t)
{
    return t->n > 0;
}

/* Compares all of both, zero-padded to the maximum: no early end tells how much was right. */
static bool same(const char *a, const char *b)
{
    volatile unsigned char diff = 0;
    for (size_t i = 0; i <= TOKEN_MAX; i++)
        diff = (unsigned char)(diff | (a[i] ^ b[i]));
    return diff == 0;
}

bool sup_tokens_match(const struct sup_tokens *t, const char *token, char *name, size_t cap)
{
    char padded[TOKEN_MAX + 1] = "";
    size_t n = strlen(token);
    bool found = false;
    if (n < TOKEN_MIN || n > TOKEN_MAX)
        return false;
    memcpy(padded, token, n);
    for (size_t i = 0; i < t->n; i++) {
        if (!same(padded, t->items[i].secret))
            continue;
        found = true;
        snprintf(name, cap, "%s", t->items[i].name);
    }
    explicit_bzero(padded, sizeof(padded));
    return found;
}

/* Is the Host header this machine's loopback by a name or number that DNS has no say in? */
static bool host_is_local(const char *host)
{
    char name[64];
    struct in_addr v4;
    size_t n = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    if (n >= sizeof(name))
        return false;
    memcpy(name, host, n);
    name[n] = '\0';
    if (host[n] != '\0' &&
        (host[n] != ':' || strspn(host + n + 1, "0123456789") != strlen(host + n + 1)))
        return false;
    return strcasecmp(name, "localhost") == 0 || strcmp(name, "[::1]") == 0 ||
           (inet_pton(AF_INET, name, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127);
}

/* Loopback TCP has no lock of its own, and a browser on this machine will carry any web page's
 * requests to it. So: the page's own name must not resolve to us (Host; DNS rebinding), and a page
 * of another origin is refused (Origin). */
static bool check_browser(struct sup_httpd_req *req)
{
    const char *host =
        MHD_lookup_connection_value(req->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    const char *origin =
        MHD_lookup_connection_value(req->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ORIGIN);
    if (host == NULL || !host_is_local(host)) {
        sup_httpd_problem(req, MHD_HTTP_FORBIDDEN, SUP_EAUTH,
                          "the Host header does not name this machine: use 127.0.0.1, or configure "
                          "admin.tokens_file");
        return false;
    }
    if (origin == NULL)
        return true;
    const char *authority = strstr(origin, "://");
    if (authority != NULL && strcasecmp(authority + 3, host) == 0)
        return true;
    sup_httpd_problem(req, MHD_HTTP_FORBIDDEN, SUP_EAUTH,
                      "requests made by web pages of another origin are refused");
    return false;
}

bool sup_auth_check(struct sup_httpd_req *req, const struct sup_tokens *tokens)
{
    static const char scheme[] = "Bearer ";
    if (!req->tcp)
        return true;
    if (!sup_tokens_needed(tokens))
        return check_browser(req);
    const char *value = MHD_lookup_connection_value(req->connection, MHD_HEADER_KIND,
                                                    MHD_HTTP_HEADER_AUTHORIZATION);
    if (value != NULL && strncasecmp(value, scheme, sizeof(scheme) - 1) == 0) {
        value += sizeof(scheme) - 1;
        value += strspn(value, " ");
        if (sup_tokens_match(tokens, value, req->token_name, sizeof(req->token_name))) {
            req->token = req->token_name;
            return true;
        }
    }
    sup_httpd_problem(req, MHD_HTTP_UNAUTHORIZED, SUP_EAUTH,
                      "send Authorization: Bearer TOKEN with a token of admin.tokens_file");
    return false;
}
