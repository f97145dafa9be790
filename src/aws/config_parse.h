#ifndef SUP_AWS_CONFIG_PARSE_H
#define SUP_AWS_CONFIG_PARSE_H

#include "aws/config.h"

#include <stdbool.h>
#include <stddef.h>

/* The tables behind struct sup_aws_config, shared by the parser and the lookups. */

struct sup_config_prop {
    char *key; /* lower case */
    enum sup_aws_file file;
    char *value; /* a continued value holds '\n'; one with nested properties begins with it */
};

struct sup_config_section {
    enum sup_aws_section kind;
    char *name;
    bool prefixed; /* [profile default] was seen: [default] of the same file does not count */
    struct sup_config_prop *props;
    size_t n, cap;
};

struct sup_aws_config {
    struct sup_config_section *sections;
    size_t n, cap;
};

/* Finds, or makes; NULL when out of memory. */
struct sup_config_section *sup_config_section_get(struct sup_aws_config *c,
                                                  enum sup_aws_section kind, const char *name,
                                                  size_t name_n);
void sup_config_section_clear(struct sup_config_section *s);
/* Sets or replaces; key is lowered. SUP_OK or SUP_ENOMEM. */
int sup_config_section_set(struct sup_config_section *s, enum sup_aws_file file, const char *key,
                           size_t key_n, const char *value, size_t value_n);
/* Adds "\n" + text to the value of key. */
int sup_config_section_append(struct sup_config_section *s, const char *key, struct sup_slice text);

#endif
