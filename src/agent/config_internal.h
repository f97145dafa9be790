#ifndef SUP_AGENT_CONFIG_INTERNAL_H
#define SUP_AGENT_CONFIG_INTERNAL_H

#include "agent/config.h"
#include "agent/schema.h"

#include <yaml.h>

/* Shared by the files that read the configuration; nobody else includes this. */

struct sup_config_text {
    void **blocks; /* strings and arrays, each from malloc */
    size_t n, cap;
};

#define SUP_CONFIG_LIST_MAX 64 /* elements of a list */

/* One reading of one file. */
struct sup_reading {
    const char *path;
    struct sup_config *out;
    struct sup_err *err;
    yaml_document_t doc;
    size_t *lines; /* by index in sup_schema: where the key stands; 0 = not given */
    size_t peer_lines[SUP_CONFIG_LIST_MAX];
    bool mesh; /* a section "mesh" stands in the file */
};

/* Zeroed memory that the configuration owns; NULL when out of memory. */
void *sup_config_alloc(struct sup_config *c, size_t n);

/* A mapping whose keys are prefix + KEY ("" = the top, "ses.", "sqs[]."), into base: the
 * configuration, or a list element. */
int sup_config_read_map(struct sup_reading *r, yaml_node_t *node, const char *prefix, void *base);

/* One value, from its text, to its place: base is the configuration, or a list's element. */
int sup_config_set(struct sup_reading *r, const struct sup_key *key, void *base, const char *text,
                   size_t line);

/* Sets what was not given under prefix ("" = the top, "sqs[]." = in an element of sqs) to its
 * default; refuses what must be given. given tells by index in sup_schema. */
int sup_config_fill_defaults(struct sup_reading *r, const char *prefix, void *base, size_t line);

/* Rules that tie keys together. */
int sup_config_check_whole(struct sup_reading *r);

/* Appends the value of a scalar key as YAML. */
void sup_config_print_value(const struct sup_key *key, const void *base, struct sup_buf *out);

/* "FILE:LINE: KEY: text"; returns SUP_EINPUT. */
int sup_config_refuse(struct sup_reading *r, size_t line, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
