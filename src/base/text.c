#include "base/text.h"

#include <stdlib.h>
#include <string.h>

size_t sup_text_copy(char *out, size_t cap, const char *s)
{
    size_t n = strnlen(s, cap);

    if (n == cap) {
        n = cap - 1;
        /* Step back over the continuation bytes of a character that was cut through. */
        while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
            n--;
    }
    memcpy(out, s, n);
    out[n] = '\0';
    return n;
}

char *sup_text_dup(const char *s, size_t n)
{
    char *copy = malloc(n + 1);

    if (!copy)
        return NULL;
    if (n > 0)
        memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}
