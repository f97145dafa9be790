#ifndef SUP_BASE_TEXT_H
#define SUP_BASE_TEXT_H

#include <stddef.h>

/* Copies s into out (cap bytes, cap > 0), NUL-terminated; what does not fit is cut, at a character
 * boundary if s is UTF-8. Returns the length of what was copied. */
size_t sup_text_copy(char *out, size_t cap, const char *s);

/* A NUL-terminated copy of n bytes, which need not be terminated; the caller frees. NULL only when
 * out of memory. */
char *sup_text_dup(const char *s, size_t n);

#endif
