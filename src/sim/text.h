#ifndef SIM_TEXT_H
#define SIM_TEXT_H

#include "buf.h"

#include <stdbool.h>
#include <stdint.h>

/* Percent encoding as RFC 3986 section 2.3 has it: all but A-Z a-z 0-9 - . _ ~ is escaped. */
void sim_uri_encode(struct sim_buf *out, const char *s, size_t n, bool keep_slash);
/* plus_is_space for form bodies. Broken escapes are kept as they are. */
void sim_uri_decode(struct sim_buf *out, const char *s, size_t n, bool plus_is_space);

void sim_hex(char *out, const unsigned char *data, size_t n); /* out: 2n + 1 bytes */
void sim_base64(struct sim_buf *out, const void *data, size_t n);
/* Whitespace between is allowed; false on anything else that is not base64. */
bool sim_base64_decode(struct sim_buf *out, const char *s, size_t n);

void sim_sha256_hex(char out[65], const void *data, size_t n);
void sim_md5_hex(char out[33], const void *data, size_t n);
void sim_hmac_sha256(unsigned char out[32], const void *key, size_t key_len, const void *data,
                     size_t n);

/* ASCII only. */
void sim_lower(char *s);
bool sim_ieq(const char *a, const char *b);
bool sim_ihas_prefix(const char *s, const char *prefix);
bool sim_utf8_valid(const char *s, size_t n);

/* Decimal digits, nothing else but one leading '-'. */
bool sim_parse_i64(const char *s, int64_t *out);

/* Exactly so many (at most 16) hexadecimal digits; what follows is not looked at. */
bool sim_parse_hex(const char *s, unsigned digits, uint64_t *out);

/* Name/value pairs of a query string or a form body, decoded, in their order. */
struct sim_pair {
    char *name;
    char *value;
};
struct sim_pairs {
    struct sim_pair *items;
    size_t n;
};
#define SIM_PAIRS_MAX 2000 /* further ones are dropped */
void sim_pairs_parse(struct sim_pairs *p, const char *s, size_t n, bool plus_is_space);
const char *sim_pairs_get(const struct sim_pairs *p, const char *name); /* NULL: none */
void sim_pairs_fini(struct sim_pairs *p);

/* A JSON string with its quotes; s is UTF-8. */
void sim_json_string(struct sim_buf *out, const char *s, size_t n);

/* &, <, >, " escaped; control characters that XML 1.0 cannot carry become '?'. */
void sim_xml_escape(struct sim_buf *out, const char *s);

#endif
