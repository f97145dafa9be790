#ifndef SUP_AWS_ENV_H
#define SUP_AWS_ENV_H

#include "aws/http.h"

#include <stdint.h>

/* The world that configuration and credentials come from. Everything in it can be replaced, which
 * is how the SDKs' own cases are replayed. Must outlive whoever was given it. */
struct sup_aws_env {
    const char *(*getenv)(void *arg, const char *name); /* NULL: the process environment */
    void *getenv_arg;
    const char *fs_root;           /* put before every file name; NULL: none */
    int64_t (*wall_ms)(void *arg); /* NULL: sup_wall_ms */
    void *wall_arg;
    struct sup_http_transport http;
};

/* Never "": an empty variable counts as unset, as in the SDKs. */
const char *sup_aws_getenv(const struct sup_aws_env *env, const char *name);
int64_t sup_aws_wall_ms(const struct sup_aws_env *env);
/* true, 1, yes (any case) → 1; false, 0, no → 0; unset → -1; anything else → -1. */
int sup_aws_parse_bool(const char *text);
/* Reads a whole file (below fs_root; a leading "~/" is HOME) of at most max bytes into out (made
 * here). SUP_OK, SUP_ENOTFOUND, SUP_ELIMIT, SUP_EIO, SUP_ENOMEM. */
int sup_aws_read_file(const struct sup_aws_env *env, const char *path, size_t max,
                      struct sup_buf *out, struct sup_err *err);

#endif
