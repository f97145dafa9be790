#include "aws_fixture.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *fixture_path(const char *fmt, ...)
{
    static char path[2048];
    const char *root = getenv("SUPSYNC_FIXTURES");
    va_list ap;

    if (root == NULL || access(root, R_OK) != 0) {
        printf("fixtures: SUPSYNC_FIXTURES names no directory; cases skipped\n");
        return NULL;
    }
    int n = snprintf(path, sizeof path, "%s/", root);
    va_start(ap, fmt);
    vsnprintf(path + n, sizeof path - (size_t)n, fmt, ap);
    va_end(ap);
    return path;
}

bool fixture_exists(const char *path)
{
    return access(path, R_OK) == 0;
}

char *fixture_read(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    struct sup_buf b;

    if (f == NULL)
        return NULL;
    sup_buf_init(&b, 64u << 20);
    for (;;) {
        char chunk[8192];
        size_t got = fread(chunk, 1, sizeof chunk, f);
        if (got == 0)
            break;
        sup_buf_add(&b, chunk, got);
    }
    fclose(f);
    if (n != NULL)
        *n = b.n;
    if (b.n == 0) {
        sup_buf_fini(&b);
        return calloc(1, 1);
    }
    return sup_buf_steal(&b);
}

static int visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

char **fixture_list(const char *path)
{
    struct dirent **entries = NULL;
    int n = scandir(path, &entries, visible, alphasort);

    if (n < 0)
        n = 0;
    char **names = calloc((size_t)n + 1, sizeof *names);
    for (int i = 0; i < n; i++) {
        if (names != NULL)
            names[i] = strdup(entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return names;
}

void fixture_list_free(char **names)
{
    for (size_t i = 0; names != NULL && names[i] != NULL; i++)
        free(names[i]);
    free(names);
}

json_t *fixture_json(const char *path)
{
    json_error_t e;
    return json_load_file(path, 0, &e);
}
