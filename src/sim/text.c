#include "text.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool unreserved(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void sim_uri_encode(struct sim_buf *out, const char *s, size_t n, bool keep_slash)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (unreserved(c) || (keep_slash && c == '/')) {
            sim_buf_char(out, (char)c);
        } else {
            const char escaped[3] = {'%', digits[c >> 4], digits[c & 15]};
            sim_buf_add(out, escaped, 3);
        }
    }
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

void sim_uri_decode(struct sim_buf *out, const char *s, size_t n, bool plus_is_space)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '%' && i + 2 < n && nibble(s[i + 1]) >= 0 && nibble(s[i + 2]) >= 0) {
            sim_buf_char(out, (char)(nibble(s[i + 1]) * 16 + nibble(s[i + 2])));
            i += 2;
        } else {
            sim_buf_char(out, s[i] == '+' && plus_is_space ? ' ' : s[i]);
        }
    }
}

void sim_hex(char *out, const unsigned char *data, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[data[i] >> 4];
        out[2 * i + 1] = digits[data[i] & 15];
    }
    out[2 * n] = 0;
}

void sim_base64(struct sim_buf *out, const void *data, size_t n)
{
    unsigned char *text = sim_alloc((n + 2) / 3 * 4 + 1);
    int len = EVP_EncodeBlock(text, data, (int)n);
    sim_buf_add(out, text, len > 0 ? (size_t)len : 0);
    free(text);
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool sim_base64_decode(struct sim_buf *out, const char *s, size_t n)
{
    uint32_t bits = 0;
    unsigned have = 0;
    bool padded = false;
    for (size_t i = 0; i < n; i++) {
        if (strchr(" \t\r\n", s[i]) && s[i])
            continue;
        if (s[i] == '=') {
            padded = true;
            continue;
        }
        int v = base64_value(s[i]);
        if (v < 0 || padded)
            return false;
        bits = (bits << 6 | (uint32_t)v) & 0xffffff;
        have += 6;
        if (have >= 8) {
            have -= 8;
            sim_buf_char(out, (char)(bits >> have & 0xff));
        }
    }
    return true;
}

void sim_sha256_hex(char out[65], const void *data, size_t n)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256(data ? data : "", n, digest);
    sim_hex(out, digest, sizeof digest);
}

void sim_md5_hex(char out[33], const void *data, size_t n)
{
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    unsigned len = 0;
    EVP_Digest(data ? data : "", n, digest, &len, EVP_md5(), NULL);
    sim_hex(out, digest, 16);
}

void sim_hmac_sha256(unsigned char out[32], const void *key, size_t key_len, const void *data,
                     size_t n)
{
    unsigned len = 32;
    HMAC(EVP_sha256(), key, (int)key_len, data, n, out, &len);
}

void sim_lower(char *s)
{
    for (; *s; s++) {
        if (*s >= 'A' && *s <= 'Z')
            *s = (char)(*s + 32);
    }
}

bool sim_ieq(const char *a, const char *b)
{
    return strcasecmp(a, b) == 0;
}

bool sim_ihas_prefix(const char *s, const char *prefix)
{
    return strncasecmp(s, prefix, strlen(prefix)) == 0;
}

/* Length of the sequence that starts at s, 0 when it is none (RFC 3629 table 3-7 by ranges). */
static size_t utf8_sequence(const unsigned char *s, size_t n)
{
    size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (!len || len > n || s[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool outside = (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf4 && s[1] > 0x8f);
    return overlong || outside ? 0 : len;
}

bool sim_utf8_valid(const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t len = utf8_sequence((const unsigned char *)s + i, n - i);
        if (!len)
            return false;
        i += len;
    }
    return true;
}

bool sim_parse_i64(const char *s, int64_t *out)
{
    const char *digits = s[0] == '-' ? s + 1 : s;
    if (!*digits || strspn(digits, "0123456789") != strlen(digits))
        return false;
    errno = 0;
    long long v = strtoll(s, NULL, 10);
    if (errno)
        return false;
    *out = v;
    return true;
}

bool sim_parse_hex(const char *s, unsigned digits, uint64_t *out)
{
    *out = 0;
    for (unsigned i = 0; i < digits; i++) {
        int v = nibble(s[i]);
        if (v < 0)
            return false;
        *out = *out << 4 | (uint64_t)v;
    }
    return true;
}

void sim_pairs_parse(struct sim_pairs *p, const char *s, size_t n, bool plus_is_space)
{
    const char *end = s + n;
    while (s < end && p->n < SIM_PAIRS_MAX) {
        const char *amp = memchr(s, '&', (size_t)(end - s));
        const char *stop = amp ? amp : end;
        const char *eq = memchr(s, '=', (size_t)(stop - s));
        if (stop > s) {
            struct sim_buf name = {0}, value = {0};
            sim_uri_decode(&name, s, (size_t)((eq ? eq : stop) - s), plus_is_space);
            if (eq)
                sim_uri_decode(&value, eq + 1, (size_t)(stop - eq - 1), plus_is_space);
            if (p->n % 16 == 0) {
                struct sim_pair *items = sim_alloc((p->n + 16) * sizeof *items);
                if (p->n)
                    memcpy(items, p->items, p->n * sizeof *items);
                free(p->items);
                p->items = items;
            }
            p->items[p->n++] = (struct sim_pair){sim_buf_take(&name), sim_buf_take(&value)};
        }
        s = stop + 1;
    }
}

const char *sim_pairs_get(const struct sim_pairs *p, const char *name)
{
    for (size_t i = 0; i < p->n; i++) {
        if (strcmp(p->items[i].name, name) == 0)
            return p->items[i].value;
    }
    return NULL;
}

void sim_pairs_fini(struct sim_pairs *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free(p->items[i].name);
        free(p->items[i].value);
    }
    free(p->items);
    *p = (struct sim_pairs){0};
}

void sim_json_string(struct sim_buf *out, const char *s, size_t n)
{
    char block[1024];
    size_t used = 0;
    block[used++] = '"';
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (used > sizeof block - 8) {
            sim_buf_add(out, block, used);
            used = 0;
        }
        if (c < 32) {
            used += (size_t)snprintf(block + used, 7, "\\u%04x", c);
            continue;
        }
        if (c == '"' || c == '\\')
            block[used++] = '\\';
        block[used++] = (char)c;
    }
    block[used++] = '"';
    sim_buf_add(out, block, used);
}

void sim_xml_escape(struct sim_buf *out, const char *s)
{
    for (; *s; s++) {
        switch (*s) {
        case '&':
            sim_buf_str(out, "&amp;");
            break;
        case '<':
            sim_buf_str(out, "&lt;");
            break;
        case '>':
            sim_buf_str(out, "&gt;");
            break;
        case '"':
            sim_buf_str(out, "&quot;");
            break;
        case '\r':
            sim_buf_str(out, "&#xD;");
            break;
        default:
            sim_buf_char(out, (unsigned char)*s < 32 && *s != '\n' && *s != '\t' ? '?' : *s);
        }
    }
}
