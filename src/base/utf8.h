#ifndef SUP_BASE_UTF8_H
#define SUP_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Reads the character at the start of p[0..n). Returns its length in bytes and sets *cp, or 0 if n
 * is 0 or the bytes are not well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing
 * past U+10FFFF). cp may be NULL. */
size_t sup_utf8_decode(const uint8_t *p, size_t n, uint32_t *cp);

/* Is all of p[0..n) well-formed? A NUL byte is a character like others. */
int sup_utf8_valid(const void *p, size_t n);

#endif
