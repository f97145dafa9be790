#ifndef SIM_BUF_H
#define SIM_BUF_H

#include <stdarg.h>
#include <stddef.h>

/* The simulator shares no code with the agent, so it has its own small buffer. Allocation failure
 * ends the program (sim_alloc): sizes that come from outside are checked against SIM_BODY_MAX or
 * SIM_BUF_MAX first. */
void *sim_alloc(size_t n); /* zeroed, never NULL */
char *sim_strdup(const char *s);
char *sim_strndup(const char *s, size_t n);

#define SIM_BODY_MAX ((size_t)64 << 20)
#define SIM_BUF_MAX  ((size_t)512 << 20)

/* Bytes with a NUL behind them; zeroed is empty; free with sim_buf_fini. What would grow past
 * SIM_BUF_MAX is cut off. */
struct sim_buf {
    char *data;
    size_t len;
    size_t cap;
};
void sim_buf_add(struct sim_buf *b, const void *data, size_t n);
void sim_buf_str(struct sim_buf *b, const char *s);
void sim_buf_char(struct sim_buf *b, char c);
void sim_buf_printf(struct sim_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sim_buf_fini(struct sim_buf *b);
/* Never NULL. */
const char *sim_buf_cstr(const struct sim_buf *b);
/* The bytes move to the caller (free()); the buffer is empty afterwards. Never NULL. */
char *sim_buf_take(struct sim_buf *b);

#endif
