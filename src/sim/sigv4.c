#include "sigv4.h"

#include "text.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* RFC 3986 section 5.2.4 and removal of empty segments, in place. */
static void normalise(char *path)
{
    size_t out = 0;
    const char *p = path;
    size_t n = strlen(path);
    bool trailing = n && (path[n - 1] == '/' || (n > 1 && strcmp(path + n - 2, "/.") == 0) ||
                          (n > 2 && strcmp(path + n - 3, "/..") == 0));
    while (*p) {
        p += strspn(p, "/");
        size_t len = strcspn(p, "/");
        if (len == 2 && p[0] == '.' && p[1] == '.') {
            while (out && path[--out] != '/')
                continue;
        } else if (len && !(len == 1 && p[0] == '.')) {
            path[out++] = '/';
            memmove(path + out, p, len);
            out += len;
        }
        p += len;
    }
    if (!out || trailing)
        path[out++] = '/';
    path[out] = 0;
}

void sim_sigv4_path(struct sim_buf *out, const char *raw_path, bool s3)
{
    if (s3) {
        struct sim_buf plain = {0};
        sim_uri_decode(&plain, raw_path, strlen(raw_path), false);
        sim_uri_encode(out, sim_buf_cstr(&plain), plain.len, true);
        sim_buf_fini(&plain);
        return;
    }
    /* One more byte: an empty path becomes "/". */
    size_t n = strlen(raw_path);
    char *path = sim_alloc(n + 2);
    memcpy(path, raw_path, n);
    normalise(path);
    sim_uri_encode(out, path, strlen(path), true);
    free(path);
}

struct encoded {
    char *name;
    char *value;
};

static int by_name_then_value(const void *a, const void *b)
{
    const struct encoded *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : strcmp(x->value, y->value);
}

static char *encode_again(const char *text)
{
    struct sim_buf b = {0};
    sim_uri_encode(&b, text, strlen(text), false);
    return sim_buf_take(&b);
}

void sim_sigv4_query(struct sim_buf *out, const char *raw_query, const char *skip)
{
    struct sim_pairs pairs = {0};
    sim_pairs_parse(&pairs, raw_query, strlen(raw_query), false);
    struct encoded *items = sim_alloc(pairs.n * sizeof *items);
    size_t n = 0;
    for (size_t i = 0; i < pairs.n; i++) {
        if (skip && strcmp(pairs.items[i].name, skip) == 0)
            continue;
        items[n].name = encode_again(pairs.items[i].name);
        items[n++].value = encode_again(pairs.items[i].value);
    }
    qsort(items, n, sizeof *items, by_name_then_value);
    for (size_t i = 0; i < n; i++) {
        if (i)
            sim_buf_char(out, '&');
        sim_buf_str(out, items[i].name);
        sim_buf_char(out, '=');
        sim_buf_str(out, items[i].value);
        free(items[i].name);
        free(items[i].value);
    }
    free(items);
    sim_pairs_fini(&pairs);
}

void sim_sigv4_header(struct sim_buf *out, const char *lower_name, const char *value)
{
    sim_buf_str(out, lower_name);
    sim_buf_char(out, ':');
    value += strspn(value, " \t");
    size_t n = strlen(value);
    while (n && (value[n - 1] == ' ' || value[n - 1] == '\t'))
        n--;
    for (size_t i = 0; i < n; i++) {
        /* Runs of spaces count as one. */
        if (value[i] != ' ' || value[i - 1] != ' ')
            sim_buf_char(out, value[i]);
    }
    sim_buf_char(out, '\n');
}

static void chain(unsigned char key[32], const char *text)
{
    unsigned char next[32];
    sim_hmac_sha256(next, key, 32, text, strlen(text));
    memcpy(key, next, 32);
}

void sim_sigv4_sign(char signature[65], const char *secret, const char *date, const char *region,
                    const char *service, const char *time, const struct sim_buf *canonical)
{
    struct sim_buf start = {0}, text = {0};
    sim_buf_printf(&start, "AWS4%s", secret);
    unsigned char key[32];
    sim_hmac_sha256(key, start.data, start.len, date, strlen(date));
    chain(key, region);
    chain(key, service);
    chain(key, "aws4_request");

    char hash[65];
    sim_sha256_hex(hash, canonical->data, canonical->len);
    sim_buf_printf(&text, "AWS4-HMAC-SHA256\n%s\n%s/%s/%s/aws4_request\n%s", time, date, region,
                   service, hash);
    unsigned char mac[32];
    sim_hmac_sha256(mac, key, sizeof key, text.data, text.len);
    sim_hex(signature, mac, sizeof mac);
    OPENSSL_cleanse(start.data, start.len);
    sim_buf_fini(&start);
    sim_buf_fini(&text);
}
