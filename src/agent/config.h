#ifndef SUP_AGENT_CONFIG_H
#define SUP_AGENT_CONFIG_H

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "service/options.h"

/* The configuration file, validated, with defaults filled in. */
struct sup_config {
    struct sup_options options;
    enum sup_log_level log_level;
    enum sup_log_format log_format;
    struct sup_config_text *texts; /* owns every string and array above */
};

/* Reads and checks the YAML file at path. Relative file names in it are taken from the directory
 * of the configuration file. On error (SUP_EINPUT; SUP_EIO when the file cannot be read) *out is
 * empty and err says file, line, key and what is allowed, as in
 *   /etc/supsync.yaml:12: ses.mode: "foo" is not allowed: use enforce or observe
 * Any thread. */
int sup_config_load(const char *path, struct sup_config *out, struct sup_err *err);
void sup_config_fini(struct sup_config *c);

/* Appends the effective configuration as YAML, which sup_config_load reads back to the same
 * values. There is nothing to hide in it: secrets are given as file names, and URLs with a user or
 * a password are refused. */
void sup_config_print(const struct sup_config *c, struct sup_buf *out);

/* Appends the keys whose values differ between a and b and that a reload cannot change, comma
 * separated; nothing when there are none. */
void sup_config_restart_keys(const struct sup_config *a, const struct sup_config *b,
                             struct sup_buf *out);

#endif
