#ifndef SUP_BASE_TEXT_CUT_H
#define SUP_BASE_TEXT_CUT_H

#include "base/buf.h"

/* At most max bytes of UTF-8 text, not cutting a character in two. */
static inline struct sup_slice sup_text_cut(struct sup_slice s, size_t max)
{
    if (s.n > max) {
        s.n = max;
        while (s.n > 0 && (s.p[s.n] & 0xc0) == 0x80)
            s.n--;
    }
    return s;
}

#endif
