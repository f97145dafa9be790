#ifndef SUP_BASE_BUF_H
#define SUP_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

/* A slice: bytes that somebody else owns. */
struct sup_slice {
    const uint8_t *p;
    size_t n;
};

#define SUP_SLICE_LIT(s) ((struct sup_slice){(const uint8_t *)(s), sizeof(s) - 1})

struct sup_slice sup_slice_of(const void *p, size_t n);
struct sup_slice sup_slice_str(const char *s); /* without the terminating NUL; NULL gives empty */
int sup_slice_eq(struct sup_slice a, struct sup_slice b);
/* memcmp order, shorter first when one is a prefix. Returns <0, 0, >0. */
int sup_slice_cmp(struct sup_slice a, struct sup_slice b);

/* A growing byte buffer with a maximum that it never passes. The first failure (maximum or memory)
 * sticks: later appends do nothing, and one check of ->failed at the end tells. The bytes are
 * always followed by a NUL that does not count, so a buffer of text can be used as a string.
 *
 * The buffer owns its memory. No locks: a buffer belongs to one thread at a time. What is added
 * must not lie in the buffer itself, and pointers into it are good until the next call that adds.
 */
struct sup_buf {
    uint8_t *p;
    size_t n;
    size_t cap;
    size_t max;
    int failed; /* SUP_OK, SUP_ELIMIT or SUP_ENOMEM */
};

void sup_buf_init(struct sup_buf *b, size_t max);
void sup_buf_fini(struct sup_buf *b);  /* frees; the buffer may be used again after init */
void sup_buf_reset(struct sup_buf *b); /* empties and clears ->failed; keeps the memory */
void sup_buf_add(struct sup_buf *b, const void *p, size_t n);
void sup_buf_add_slice(struct sup_buf *b, struct sup_slice s);
void sup_buf_add_str(struct sup_buf *b, const char *s);
void sup_buf_add_byte(struct sup_buf *b, uint8_t c);
void sup_buf_add_be16(struct sup_buf *b, uint16_t v);
void sup_buf_add_be32(struct sup_buf *b, uint32_t v);
void sup_buf_add_be64(struct sup_buf *b, uint64_t v);
void sup_buf_addf(struct sup_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Makes room for n more bytes and returns where they go (->n is not moved), or NULL on failure. */
uint8_t *sup_buf_reserve(struct sup_buf *b, size_t n);
struct sup_slice sup_buf_slice(const struct sup_buf *b);
const char *sup_buf_str(struct sup_buf *b); /* never NULL; "" when empty or failed */
/* Hands the memory over to the caller (free()), NUL-terminated; NULL if failed. Empties b. */
char *sup_buf_steal(struct sup_buf *b);

/* A reading cursor with a sticky error: past the end everything reads as 0 and ->failed is set
 * (SUP_EINPUT). It owns nothing; slices taken from it live as long as what it reads. */
struct sup_cur {
    const uint8_t *p;
    size_t n;
    int failed;
};

struct sup_cur sup_cur_of(struct sup_slice s);
uint8_t sup_cur_byte(struct sup_cur *c);
uint16_t sup_cur_be16(struct sup_cur *c);
uint32_t sup_cur_be32(struct sup_cur *c);
uint64_t sup_cur_be64(struct sup_cur *c);
struct sup_slice sup_cur_take(struct sup_cur *c, size_t n);

/* Big-endian numbers at p, which need not be aligned and has room for 2, 4 or 8 bytes. */
void sup_put_be16(uint8_t *p, uint16_t v);
void sup_put_be32(uint8_t *p, uint32_t v);
void sup_put_be64(uint8_t *p, uint64_t v);
uint16_t sup_get_be16(const uint8_t *p);
uint32_t sup_get_be32(const uint8_t *p);
uint64_t sup_get_be64(const uint8_t *p);

#endif
