#include "aws/env.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

const char *sup_aws_getenv(const struct sup_aws_env *env, const char *name)
{
    const char *v = NULL;

    if (env != NULL && env->getenv != NULL)
        v = env->getenv(env->getenv_arg, name);
    else
        v = getenv(name);
    return v != NULL && v[0] != '\0' ? v : NULL;
}

int64_t sup_aws_wall_ms(const struct sup_aws_env *env)
{
    return env != NULL && env->wall_ms != NULL ? env->wall_ms(env->wall_arg) : sup_wall_ms();
}

int sup_aws_parse_bool(const char *text)
{
    if (text == NULL)
        return -1;
    if (strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0 || strcasecmp(text, "yes") == 0)
        return 1;
    if (strcasecmp(text, "false") == 0 || strcmp(text, "0") == 0 || strcasecmp(text, "no") == 0)
        return 0;
    return -1;
}

static int resolve(const struct sup_aws_env *env, const char *path, struct sup_buf *out)
{
    if (env != NULL && env->fs_root != NULL)
        sup_buf_add_str(out, env->fs_root);
    if (path[0] == '~' && path[1] == '/') {
        const char *home = sup_aws_getenv(env, "HOME");
        if (home == NULL)
            return SUP_ENOTFOUND;
        sup_buf_add_str(out, home);
        path++;
    }
    sup_buf_add_str(out, path);
    return out->failed;
}

static int read_stream(FILE *f, struct sup_buf *out)
{
    for (;;) {
        char chunk[4096];
        size_t n = fread(chunk, 1, sizeof chunk, f);
        sup_buf_add(out, chunk, n);
        if (out->failed != SUP_OK)
            return out->failed;
        if (n < sizeof chunk)
            return ferror(f) ? SUP_EIO : SUP_OK;
    }
}

int sup_aws_read_file(const struct sup_aws_env *env, const char *path, size_t max,
                      struct sup_buf *out, struct sup_err *err)
{
    struct sup_buf name;

    sup_buf_init(out, max);
    sup_buf_init(&name, 8192);
    int rc = resolve(env, path, &name);
    if (rc != SUP_OK) {
        sup_buf_fini(&name);
        return sup_err_set(err, rc, "%s: file name cannot be resolved", path);
    }
    FILE *f = fopen(sup_buf_str(&name), "rbe");
    int saved = errno;
    sup_buf_fini(&name);
    if (f == NULL) {
        bool missing = saved == ENOENT || saved == ENOTDIR;
        return sup_err_set(err, missing ? SUP_ENOTFOUND : SUP_EIO, "%s: %s", path, strerror(saved));
    }
    struct stat st;
    if (fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode))
        rc = SUP_EIO;
    else
        rc = read_stream(f, out);
    fclose(f);
    return rc == SUP_OK ? rc : sup_err_set(err, rc, "%s: cannot be read, or is too large", path);
}
