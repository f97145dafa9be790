#ifndef SUP_BASE_LOG_H
#define SUP_BASE_LOG_H

#include <stdint.h>

/* Structured logging: an event is a component, a sentence and key/value fields. It is written as
 * one line, in one write(2), to the log's descriptor (standard error unless told). Thread-safe.
 *
 *   sup_log_info("mesh", "peer connected", SUP_S("peer", name), SUP_I("lag", lag));
 *
 * Values are escaped: control characters and quotes can never break a line or forge a field. */

enum sup_log_level { SUP_LOG_ERROR, SUP_LOG_WARN, SUP_LOG_INFO, SUP_LOG_DEBUG };
enum sup_log_format { SUP_LOG_TEXT, SUP_LOG_JSON };

enum sup_field_type { SUP_FIELD_STR, SUP_FIELD_INT, SUP_FIELD_UINT, SUP_FIELD_DOUBLE };

struct sup_field {
    const char *key;
    enum sup_field_type type;
    union {
        const char *s;
        int64_t i;
        uint64_t u;
        double d;
    } v;
};

#define SUP_S(k, x) ((struct sup_field){.key = (k), .type = SUP_FIELD_STR, .v.s = (x)})
#define SUP_I(k, x) ((struct sup_field){.key = (k), .type = SUP_FIELD_INT, .v.i = (int64_t)(x)})
#define SUP_U(k, x) ((struct sup_field){.key = (k), .type = SUP_FIELD_UINT, .v.u = (uint64_t)(x)})
#define SUP_D(k, x) ((struct sup_field){.key = (k), .type = SUP_FIELD_DOUBLE, .v.d = (x)})

/* Any thread, any time; lines in the making may still go the old way. fd stays the caller's. */
void sup_log_configure(enum sup_log_level level, enum sup_log_format format, int fd);
int sup_log_enabled(enum sup_log_level level);
/* Use the macros below. Texts are looked at during the call only and may be any bytes: what is not
 * UTF-8 is replaced, long values and lines are cut (and say so). A line that cannot be written is
 * counted (supsync_log_lines_lost_total) and dropped. errno is kept. */
void sup_log_write(enum sup_log_level level, const char *component, const char *text,
                   const struct sup_field *fields, int n_fields);

/* The leading dummy element lets a call have no fields at all. */
#define SUP_LOG_(level, component, text, ...)                                                      \
    do {                                                                                           \
        if (sup_log_enabled(level)) {                                                              \
            const struct sup_field fields_[] = {SUP_S("", ""), ##__VA_ARGS__};                     \
            sup_log_write(level, component, text, fields_ + 1,                                     \
                          (int)(sizeof(fields_) / sizeof(fields_[0])) - 1);                        \
        }                                                                                          \
    } while (0)

#define sup_log_error(component, text, ...) SUP_LOG_(SUP_LOG_ERROR, component, text, ##__VA_ARGS__)
#define sup_log_warn(component, text, ...)  SUP_LOG_(SUP_LOG_WARN, component, text, ##__VA_ARGS__)
#define sup_log_info(component, text, ...)  SUP_LOG_(SUP_LOG_INFO, component, text, ##__VA_ARGS__)
#define sup_log_debug(component, text, ...) SUP_LOG_(SUP_LOG_DEBUG, component, text, ##__VA_ARGS__)

#endif
