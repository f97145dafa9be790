#include "aws/xml.h"

#include <stdint.h>
#include <string.h>

static size_t find_byte(struct sup_slice s, size_t from, uint8_t c)
{
    const uint8_t *p = from < s.n ? memchr(s.p + from, c, s.n - from) : NULL;
    return p != NULL ? (size_t)(p - s.p) : s.n;
}

/* Is the tag that begins at s[at] == '<' an opening tag of that local name? */
static bool is_open_tag(struct sup_slice s, size_t at, size_t end, const char *name)
{
    size_t n = strlen(name);
    size_t i = at + 1;
    size_t stop = i;

    while (stop < end && strchr(" \t\r\n/", s.p[stop]) == NULL)
        stop++;
    for (size_t k = i; k < stop; k++)
        if (s.p[k] == ':')
            i = k + 1;
    return stop - i == n && memcmp(s.p + i, name, n) == 0;
}

static void add_code_point(struct sup_buf *out, uint32_t c)
{
    if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        c = 0xfffd;
    if (c < 0x80) {
        sup_buf_add_byte(out, (uint8_t)c);
    } else if (c < 0x800) {
        sup_buf_add_byte(out, (uint8_t)(0xc0 | c >> 6));
        sup_buf_add_byte(out, (uint8_t)(0x80 | (c & 63)));
    } else {
        if (c < 0x10000) {
            sup_buf_add_byte(out, (uint8_t)(0xe0 | c >> 12));
        } else {
            sup_buf_add_byte(out, (uint8_t)(0xf0 | c >> 18));
            sup_buf_add_byte(out, (uint8_t)(0x80 | (c >> 12 & 63)));
        }
        sup_buf_add_byte(out, (uint8_t)(0x80 | (c >> 6 & 63)));
        sup_buf_add_byte(out, (uint8_t)(0x80 | (c & 63)));
    }
}

static bool add_numeric(struct sup_buf *out, struct sup_slice e)
{
    bool hex = e.n > 1 && e.p[1] == 'x';
    uint32_t v = 0;

    for (size_t i = hex ? 2 : 1; i < e.n; i++) {
        uint8_t c = e.p[i];
        uint32_t digit = 0;
        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if (hex && (c | 32) >= 'a' && (c | 32) <= 'f')
            digit = (uint32_t)(c | 32) - 'a' + 10;
        else
            return false;
        v = v > 0x10ffff ? v : v * (hex ? 16 : 10) + digit;
    }
    add_code_point(out, v);
    return true;
}

static bool add_entity(struct sup_buf *out, struct sup_slice e)
{
    static const struct {
        const char *name;
        char c;
    } names[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};

    if (e.n > 1 && e.p[0] == '#')
        return add_numeric(out, e);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (sup_slice_eq(e, sup_slice_str(names[i].name))) {
            sup_buf_add_byte(out, (uint8_t)names[i].c);
            return true;
        }
    return false;
}

static void add_text(struct sup_buf *out, struct sup_slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        size_t semi = s.p[i] == '&' ? find_byte(s, i, ';') : s.n;
        if (semi < s.n && semi - i <= 10 &&
            add_entity(out, sup_slice_of(s.p + i + 1, semi - i - 1)))
            i = semi;
        else
            sup_buf_add_byte(out, s.p[i]);
    }
}

bool sup_xml_text(struct sup_slice xml, const char *name, struct sup_buf *out)
{
    sup_buf_reset(out);
    for (size_t at = find_byte(xml, 0, '<'); at < xml.n; at = find_byte(xml, at + 1, '<')) {
        size_t end = find_byte(xml, at, '>');
        if (end == xml.n)
            return false;
        if (!is_open_tag(xml, at, end, name))
            continue;
        if (xml.p[end - 1] == '/')
            return true;
        size_t close = find_byte(xml, end, '<');
        if (close == xml.n)
            return false; /* cut off in the middle of the value */
        add_text(out, sup_slice_of(xml.p + end + 1, close - end - 1));
        return out->failed == SUP_OK;
    }
    return false;
}

/* Where "</name>" or "</prefix:name>" begins; xml.n when nowhere. *after is behind it. */
static size_t find_close(struct sup_slice xml, size_t from, const char *name, size_t *after)
{
    for (size_t at = find_byte(xml, from, '<'); at < xml.n; at = find_byte(xml, at + 1, '<')) {
        size_t end = find_byte(xml, at, '>');
        if (end == xml.n)
            break;
        if (at + 1 < end && xml.p[at + 1] == '/' && is_open_tag(xml, at + 1, end, name)) {
            *after = end + 1;
            return at;
        }
    }
    return xml.n;
}

bool sup_xml_next(struct sup_slice *rest, const char *name, struct sup_slice *inner)
{
    struct sup_slice xml = *rest;
    size_t after = 0;

    for (size_t at = find_byte(xml, 0, '<'); at < xml.n; at = find_byte(xml, at + 1, '<')) {
        size_t end = find_byte(xml, at, '>');
        if (end == xml.n || !is_open_tag(xml, at, end, name))
            continue;
        bool empty = xml.p[end - 1] == '/';
        size_t close = empty ? end + 1 : find_close(xml, end, name, &after);
        if (close == xml.n && !empty)
            return false;
        after = empty ? end + 1 : after;
        *inner = sup_slice_of(xml.p + end + 1, close - (end + 1));
        *rest = sup_slice_of(xml.p + after, xml.n - after);
        return true;
    }
    return false;
}
