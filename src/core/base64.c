#include "core/base64.h"

#include "base/err.h"

static int digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int sup_base64_decode(struct sup_slice text, struct sup_buf *out)
{
    size_t n = text.n;

    if (n % 4 != 0)
        return SUP_EINPUT;
    for (size_t pad = 0; n > 0 && pad < 2 && text.p[n - 1] == '='; pad++)
        n--;
    uint32_t bits = 0;
    for (size_t i = 0; i < n; i++) {
        int d = digit(text.p[i]);
        if (d < 0)
            return SUP_EINPUT;
        bits = bits << 6 | (uint32_t)d;
        if (i % 4 == 0)
            continue;
        sup_buf_add_byte(out, (uint8_t)(bits >> (6 - 2 * (i % 4))));
    }
    /* The bits that the last digit has to spare must be zero. */
    if ((n % 4 == 2 && (bits & 0xf) != 0) || (n % 4 == 3 && (bits & 3) != 0))
        return SUP_EINPUT;
    return out->failed;
}
