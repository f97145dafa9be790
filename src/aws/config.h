#ifndef SUP_AWS_CONFIG_H
#define SUP_AWS_CONFIG_H

#include "aws/env.h"
#include "base/buf.h"
#include "base/err.h"

/* The AWS shared configuration: ~/.aws/config and ~/.aws/credentials
 * (AWS SDKs and Tools Reference Guide, "Shared config and credentials files").
 * Built by one thread; read-only and shareable afterwards. */
struct sup_aws_config;

enum sup_aws_file { SUP_AWS_CONFIG_FILE, SUP_AWS_CREDENTIALS_FILE };
enum sup_aws_section { SUP_AWS_PROFILE, SUP_AWS_SSO_SESSION, SUP_AWS_SERVICES };

/* NULL when out of memory. */
struct sup_aws_config *sup_aws_config_new(void);
void sup_aws_config_free(struct sup_aws_config *c);
/* Adds one file's text; a later file wins key by key, and of two [default] spellings "profile
 * default" wins. SUP_OK or SUP_EINPUT with the line number (what was read before the bad line
 * stays). */
int sup_aws_config_parse(struct sup_aws_config *c, enum sup_aws_file kind, struct sup_slice text,
                         struct sup_err *err);
/* Reads both files of the environment: AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE, HOME. A file
 * that is not there is empty. */
int sup_aws_config_load(struct sup_aws_config **out, const struct sup_aws_env *env,
                        struct sup_err *err);
/* The file that load would read (malloc'd, caller frees; before fs_root), NULL when there is none.
 */
char *sup_aws_config_path(const struct sup_aws_env *env, enum sup_aws_file kind);

/* NULL when absent or empty. Keys are lower case. Strings live as long as c. */
const char *sup_aws_config_get(const struct sup_aws_config *c, enum sup_aws_section section,
                               const char *name, const char *key);
/* A nested property ("s3 =\n  addressing_style = path"): sub is the inner key. *out is malloc'd.
 * SUP_OK, SUP_ENOTFOUND, SUP_ENOMEM. */
int sup_aws_config_get_sub(const struct sup_aws_config *c, enum sup_aws_section section,
                           const char *name, const char *key, const char *sub, char **out);
bool sup_aws_config_has(const struct sup_aws_config *c, enum sup_aws_section section,
                        const char *name);
/* Did the property's value come from that file? */
bool sup_aws_config_is_from(const struct sup_aws_config *c, const char *profile, const char *key,
                            enum sup_aws_file file);
/* Calls fn for each section (key NULL), then for each of its properties; a nested value comes as
 * its text. */
void sup_aws_config_each(const struct sup_aws_config *c,
                         void (*fn)(void *arg, enum sup_aws_section section, const char *name,
                                    const char *key, const char *value),
                         void *arg);
/* The profile in use: explicit (may be NULL), AWS_PROFILE, "default". */
const char *sup_aws_config_profile(const struct sup_aws_env *env, const char *explicit_name);

#endif
