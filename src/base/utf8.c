#include "base/utf8.h"

size_t sup_utf8_decode(const uint8_t *p, size_t n, uint32_t *cp)
{
    /* By length: the least character that needs it, which is what rules out overlong forms. */
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

    if (n == 0)
        return 0;
    size_t len = 1;
    uint32_t c = p[0];
    if (c >= 0x80) {
        len = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
        if (c < 0xc2 || c > 0xf4 || n < len)
            return 0;
        c &= 0x7fu >> len;
        for (size_t i = 1; i < len; i++) {
            if ((p[i] & 0xc0) != 0x80)
                return 0;
            c = c << 6 | (p[i] & 0x3fu);
        }
    }
    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    if (cp != NULL)
        *cp = c;
    return len;
}

int sup_utf8_valid(const void *p, size_t n)
{
    const uint8_t *at = p;
    while (n > 0) {
        size_t len = sup_utf8_decode(at, n, NULL);
        if (len == 0)
            return 0;
        at += len;
        n -= len;
    }
    return 1;
}
