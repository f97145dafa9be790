#include "cli/gzip_file.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

struct sup_gzip_file {
    char *path, *beside;
    int fd; /* a second one of the same file: zlib closes its own */
    gzFile z;
};

static int fail(const struct sup_gzip_file *f, struct sup_err *err)
{
    return sup_err_set(err, SUP_EIO, "%s: cannot be written: %s", f->path, strerror(errno));
}

static int make_folders(char *path)
{
    for (char *p = strchr(path + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
        *p = '\0';
        int rc = mkdir(path, 0777);
        *p = '/';
        if (rc != 0 && errno != EEXIST)
            return -1;
    }
    return 0;
}

static void file_free(struct sup_gzip_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    free(f->path);
    free(f->beside);
    free(f);
}

int sup_gzip_file_open(struct sup_gzip_file **out, const char *path, bool gzip, struct sup_err *err)
{
    struct sup_gzip_file *f = calloc(1, sizeof(*f));
    struct sup_buf beside;

    if (f == NULL)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    sup_buf_init(&beside, PATH_MAX);
    sup_buf_addf(&beside, "%s.partial", path);
    f->fd = -1;
    f->path = strdup(path);
    f->beside = sup_buf_steal(&beside);
    if (f->path == NULL || f->beside == NULL) {
        file_free(f);
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    }
    int fd = -1;
    if (make_folders(f->path) == 0)
        fd = open(f->beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd >= 0)
        f->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    /* 'T': as it comes. The header's time is 0. */
    f->z = f->fd >= 0 ? gzdopen(fd, gzip ? "wb6" : "wbT") : NULL;
    if (f->z != NULL) {
        *out = f;
        return SUP_OK;
    }
    int rc = fail(f, err);
    if (fd >= 0)
        close(fd);
    file_free(f);
    return rc;
}

int sup_gzip_file_write(struct sup_gzip_file *f, const void *p, size_t n, struct sup_err *err)
{
    return n == 0 || gzfwrite(p, n, 1, f->z) == 1 ? SUP_OK : fail(f, err);
}

int sup_gzip_file_finish(struct sup_gzip_file *f, struct sup_err *err)
{
    int rc = SUP_OK;

    if (gzclose_w(f->z) != Z_OK || fsync(f->fd) != 0 || rename(f->beside, f->path) != 0) {
        rc = fail(f, err);
        unlink(f->beside);
    }
    file_free(f);
    return rc;
}

void sup_gzip_file_drop(struct sup_gzip_file *f)
{
    if (f == NULL)
        return;
    gzclose_w(f->z);
    unlink(f->beside);
    file_free(f);
}
