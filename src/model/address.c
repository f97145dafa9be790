#include "model/address.h"

#include "base/array.h"
#include "base/utf8.h"

#include <idn2.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* RFC 5321 section 4.5.3.1.2. The local part is not held to its 64 octets: SES itself accepts and
 * lists longer ones (VERP), and a suppression that cannot be recorded protects nobody. */
#define DOMAIN_MAX 255

static bool is_space(unsigned char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* RFC 5322 atext, or any byte of a multi-byte UTF-8 character (RFC 6531 section 3.3). */
static bool is_atext(unsigned char c)
{
    if (c >= 0x80)
        return true;
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return true;
    switch (c) {
    case '!':
    case '#':
    case '$':
    case '%':
    case '&':
    case '\'':
    case '*':
    case '+':
    case '-':
    case '/':
    case '=':
    case '?':
    case '^':
    case '_':
    case '`':
    case '{':
    case '|':
    case '}':
    case '~':
        return true;
    default:
        return false;
    }
}

static int check_bytes(const char *s, size_t n, struct sup_err *err)
{
    const uint8_t *u = (const uint8_t *)s;

    for (size_t i = 0; i < n;) {
        uint32_t cp = u[i];
        size_t len = cp < 0x80 ? 1 : sup_utf8_decode(u + i, n - i, &cp);
        if (len == 0)
            return sup_err_set(err, SUP_EINPUT, "address is not valid UTF-8 at byte %zu", i);
        if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0))
            return sup_err_set(err, SUP_EINPUT, "address has a control character at byte %zu", i);
        i += len;
    }
    return SUP_OK;
}

/* White space, marks of direction and fillers that nobody sees, and noncharacters. RFC 6531 does
 * not exclude them, but no mailbox has them: they come from pasted text, and a suppression of such
 * an address would look right and protect nobody. The joiners U+200C and U+200D belong to words. */
static bool is_invisible(uint32_t cp)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0xa0, 0xa0},     {0xad, 0xad},     {0x1680, 0x1680}, {0x180e, 0x180e},
        {0x2000, 0x200b}, {0x200e, 0x200f}, {0x2028, 0x202f}, {0x205f, 0x206f},
        {0x3000, 0x3000}, {0xfdd0, 0xfdef}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb},
    };

    for (size_t i = 0; i < SUP_COUNT(ranges); i++) {
        if (cp >= ranges[i].first && cp <= ranges[i].last)
            return true;
    }
    return (cp & 0xfffe) == 0xfffe;
}

/* s is valid UTF-8. */
static int check_visible(const char *s, size_t n, struct sup_err *err)
{
    for (size_t i = 0; i < n;) {
        uint32_t cp = (uint8_t)s[i];
        size_t len = cp < 0x80 ? 1 : sup_utf8_decode((const uint8_t *)s + i, n - i, &cp);
        if (cp >= 0x80 && is_invisible(cp))
            return sup_err_set(err, SUP_EINPUT,
                               "address has the invisible character U+%04X at byte %zu",
                               (unsigned)cp, i);
        i += len > 0 ? len : 1;
    }
    return SUP_OK;
}

/* RFC 5321 section 4.1.2: Quoted-string, with quoted-pairs. */
static bool quoted_ok(const char *s, size_t n)
{
    if (n < 2 || s[n - 1] != '"')
        return false;
    for (size_t i = 1; i < n - 1; i++) {
        if (s[i] == '"')
            return false;
        if (s[i] == '\\' && ++i >= n - 1)
            return false;
    }
    return true;
}

/* Dots anywhere are let through: providers exist whose mailboxes break the dot-atom rule ("a..b@",
 * "a.@"), SES delivers to them and lists them. */
static int check_local(const char *s, size_t n, struct sup_err *err)
{
    if (n == 0)
        return sup_err_set(err, SUP_EINPUT, "address has nothing before the @");
    if (check_visible(s, n, err) != SUP_OK)
        return SUP_EINPUT;
    if (s[0] == '"') {
        if (!quoted_ok(s, n))
            return sup_err_set(err, SUP_EINPUT, "address has a broken quoted local part");
        return SUP_OK;
    }
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '@')
            return sup_err_set(err, SUP_EINPUT, "address has more than one @");
        if (s[i] != '.' && !is_atext((unsigned char)s[i]))
            return sup_err_set(err, SUP_EINPUT,
                               "address has the character '%c' in an unquoted local part", s[i]);
    }
    return SUP_OK;
}

/* RFC 5321 section 4.1.3. The content is taken as it is; nothing routes by it here. */
static int check_literal(const char *s, size_t n, struct sup_err *err)
{
    if (n < 3 || s[n - 1] != ']')
        return sup_err_set(err, SUP_EINPUT, "address has a broken domain literal");
    for (size_t i = 1; i < n - 1; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c <= ' ' || c >= 0x7f || c == '[' || c == ']' || c == '\\')
            return sup_err_set(err, SUP_EINPUT, "address has a broken domain literal");
    }
    return SUP_OK;
}

static int check_ascii_domain(const char *s, size_t n, struct sup_err *err)
{
    size_t label = 0;

    for (size_t i = 0; i <= n; i++) {
        if (i == n || s[i] == '.') {
            if (label == 0)
                return sup_err_set(err, SUP_EINPUT, "address has an empty label in its domain");
            if (label > 63)
                return sup_err_set(err, SUP_EINPUT, "address has a domain label over 63 bytes");
            if (s[i - 1] == '-' || s[i - label] == '-')
                return sup_err_set(err, SUP_EINPUT,
                                   "address has a domain label that begins or ends with '-'");
            label = 0;
            continue;
        }
        /* '_' stands in host names in the wild; it harms nothing. */
        if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9') || s[i] == '-' ||
              s[i] == '_'))
            return sup_err_set(err, SUP_EINPUT, "address has the character '%c' in its domain",
                               s[i]);
        label++;
    }
    return SUP_OK;
}

/* The A-label form of a domain that is not all ASCII, in place. UTS #46, non-transitional: as
 * browsers and mail clients map what people type. */
static int map_idn(char domain[SUP_ADDRESS_MAX + 1], size_t *n, struct sup_err *err)
{
    char *a = NULL;
    int rc = idn2_to_ascii_8z(domain, &a, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);

    if (rc != IDN2_OK)
        return sup_err_set(err, SUP_EINPUT, "address has a domain that IDNA refuses: %s",
                           idn2_strerror(rc));
    *n = strlen(a);
    rc = *n > SUP_ADDRESS_MAX ? SUP_EINPUT : SUP_OK;
    for (size_t i = 0; rc == SUP_OK && i <= *n; i++)
        domain[i] = ascii_lower(a[i]);
    idn2_free(a);
    if (rc != SUP_OK)
        sup_err_set(err, rc, "address has a domain over %d bytes", DOMAIN_MAX);
    return rc;
}

/* Writes the A-label, lower-case form of the domain; returns its length in *out_n. */
static int domain_to_ascii(const char *s, size_t n, char out[DOMAIN_MAX + 1], size_t *out_n,
                           struct sup_err *err)
{
    char domain[SUP_ADDRESS_MAX + 1];
    bool ascii = true;
    int rc = SUP_OK;

    for (size_t i = 0; i < n; i++) {
        domain[i] = ascii_lower(s[i]);
        ascii = ascii && (unsigned char)s[i] < 0x80;
    }
    domain[n] = '\0';
    /* What begins a literal is the sender's own '[': the mapping makes others, for one of U+FF3B,
     * and a name that it made must pass as a name. */
    if (s[0] == '[') {
        rc = check_literal(domain, n, err);
    } else {
        if (!ascii)
            rc = map_idn(domain, &n, err);
        /* One final dot names the root and is the same domain (RFC 1034 section 3.1). */
        if (rc == SUP_OK && n > 1 && domain[n - 1] == '.')
            n--;
        if (rc == SUP_OK)
            rc = check_ascii_domain(domain, n, err);
    }
    if (rc == SUP_OK && n > DOMAIN_MAX)
        rc = sup_err_set(err, SUP_EINPUT, "address has a domain over %d bytes", DOMAIN_MAX);
    if (rc != SUP_OK)
        return rc;
    memcpy(out, domain, n);
    out[n] = '\0';
    *out_n = n;
    return SUP_OK;
}

/* The '@' that ends the local part, honouring quotes; n if there is none. */
static size_t find_at(const char *s, size_t n)
{
    size_t i = 0;

    if (n > 0 && s[0] == '"') {
        for (i = 1; i < n && s[i] != '"'; i++) {
            if (s[i] == '\\')
                i++;
        }
        return i + 1 < n && s[i + 1] == '@' ? i + 1 : n;
    }
    while (i < n && s[i] != '@')
        i++;
    return i;
}

static void trim(const char **s, size_t *n)
{
    while (*n > 0 && is_space((unsigned char)**s)) {
        (*s)++;
        (*n)--;
    }
    while (*n > 0 && is_space((unsigned char)(*s)[*n - 1]))
        (*n)--;
}

int sup_address_parse(const char *s, size_t n, struct sup_address *out, struct sup_err *err)
{
    char domain[DOMAIN_MAX + 1];
    size_t domain_n = 0;
    size_t at;
    int rc;

    trim(&s, &n);
    if (n == 0)
        return sup_err_set(err, SUP_EINPUT, "address is empty");
    if (n > SUP_ADDRESS_MAX)
        return sup_err_set(err, SUP_EINPUT, "address is longer than %d bytes", SUP_ADDRESS_MAX);
    rc = check_bytes(s, n, err);
    if (rc != SUP_OK)
        return rc;
    at = find_at(s, n);
    if (at >= n)
        return sup_err_set(err, SUP_EINPUT,
                           s[0] == '"' ? "address has a broken quoted local part"
                                       : "address has no @");
    rc = check_local(s, at, err);
    if (rc != SUP_OK)
        return rc;
    if (at + 1 == n)
        return sup_err_set(err, SUP_EINPUT, "address has nothing behind the @");
    if (memchr(s + at + 1, '@', n - at - 1))
        return sup_err_set(err, SUP_EINPUT, "address has more than one @");
    rc = domain_to_ascii(s + at + 1, n - at - 1, domain, &domain_n, err);
    if (rc != SUP_OK)
        return rc;
    if (at + 1 + domain_n > SUP_ADDRESS_MAX)
        return sup_err_set(err, SUP_EINPUT, "address is longer than %d bytes", SUP_ADDRESS_MAX);

    memcpy(out->spelling, s, at + 1);
    memcpy(out->spelling + at + 1, domain, domain_n + 1);
    out->spelling_len = at + 1 + domain_n;
    for (size_t i = 0; i <= out->spelling_len; i++)
        out->key[i] = ascii_lower(out->spelling[i]);
    out->key_len = out->spelling_len;
    out->domain_at = at + 1;
    return SUP_OK;
}

/* The index behind the quoted string that begins at i. A quote that nothing closes is a character
 * like others: people's display names have such. */
static size_t skip_quoted(const char *s, size_t n, size_t i)
{
    size_t end = i + 1;

    for (; end < n && s[end] != '"'; end++) {
        if (s[end] == '\\')
            end++;
    }
    return end < n ? end + 1 : i + 1;
}

/* The index behind the comment that begins at i; comments nest (RFC 5322 section 3.2.2). i itself
 * when nothing closes it: then it is no comment. */
static size_t skip_comment(const char *s, size_t n, size_t i)
{
    size_t depth = 0;

    for (size_t end = i; end < n; end++) {
        if (s[end] == '\\')
            end++;
        else if (s[end] == '(')
            depth++;
        else if (s[end] == ')' && --depth == 0)
            return end + 1;
    }
    return i;
}

/* Copies s, each comment outside quotes as the one space that it stands for ("a(x)b@" is not the
 * mailbox "ab@"), without white space beside an '@' (RFC 5322 section 4.4 lets it stand there). out
 * holds n bytes. */
static size_t strip_comments(const char *s, size_t n, char *out)
{
    size_t o = 0;

    for (size_t i = 0; i < n;) {
        size_t end = s[i] == '"' ? skip_quoted(s, n, i) : i + 1;
        size_t comment_end = s[i] == '(' ? skip_comment(s, n, i) : i;
        if (comment_end > i || is_space((unsigned char)s[i])) {
            if (o > 0 && out[o - 1] != '@')
                out[o++] = ' ';
            i = comment_end > i ? comment_end : end;
            continue;
        }
        if (s[i] == '@') {
            while (o > 0 && out[o - 1] == ' ')
                o--;
        }
        memcpy(out + o, s + i, end - i);
        o += end - i;
        i = end;
    }
    return o;
}

int sup_address_parse_mailbox(const char *s, size_t n, struct sup_address *out, struct sup_err *err)
{
    char text[4 * SUP_ADDRESS_MAX];
    size_t open = 0;
    size_t close;

    trim(&s, &n);
    if (sup_address_parse(s, n, out, NULL) == SUP_OK)
        return SUP_OK;
    if (n > sizeof(text))
        return sup_err_set(err, SUP_EINPUT, "address is longer than %zu bytes", sizeof(text));
    n = strip_comments(s, n, text);
    while (open < n && text[open] != '<')
        open = text[open] == '"' ? skip_quoted(text, n, open) : open + 1;
    if (open == n)
        return sup_address_parse(text, n, out, err);
    close = n;
    while (close > open + 1 && text[close - 1] != '>')
        close--;
    if (close == open + 1)
        return sup_err_set(err, SUP_EINPUT, "address has a '<' without a '>'");
    /* One of two addresses would be a guess. */
    if (memchr(text + close, '@', n - close))
        return sup_err_set(err, SUP_EINPUT, "address has more than one @");
    return sup_address_parse(text + open + 1, close - open - 2, out, err);
}

int sup_address_is_simulator(const struct sup_address *a)
{
    return strcmp(a->key + a->domain_at, "simulator.amazonses.com") == 0;
}
