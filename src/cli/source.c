#include "cli/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct sup_source {
    struct sup_archive_reader *reader;
    int fd;
    bool is_open;
};

struct sup_source *sup_source_new(void)
{
    struct sup_source *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    s->fd = -1;
    s->reader = sup_archive_reader_new();
    if (s->reader != NULL)
        return s;
    free(s);
    return NULL;
}

void sup_source_free(struct sup_source *s)
{
    if (s == NULL)
        return;
    sup_source_close(s);
    sup_archive_reader_free(s->reader);
    free(s);
}

void sup_source_close(struct sup_source *s)
{
    if (s->fd > STDIN_FILENO)
        close(s->fd);
    s->fd = -1;
    s->is_open = false;
}

uint64_t sup_source_read(const struct sup_source *s)
{
    return sup_archive_reader_bytes(s->reader);
}

static int read_file(void *arg, uint8_t *to, size_t room, size_t *n, struct sup_err *err)
{
    const struct sup_source *s = arg;
    ssize_t got;

    do {
        got = read(s->fd, to, room);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return sup_err_set(err, errno == EISDIR ? SUP_EINPUT : SUP_EIO, "cannot be read: %s",
                           strerror(errno));
    *n = (size_t)got;
    return SUP_OK;
}

static int open_file(struct sup_source *s, const char *path, struct sup_err *err)
{
    s->fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (s->fd < 0)
        return sup_err_set(err, errno == ENOENT ? SUP_ENOTFOUND : SUP_EIO, "cannot be opened: %s",
                           strerror(errno));
    return SUP_OK;
}

int sup_source_open(struct sup_source *s, const char *path, struct sup_err *err)
{
    sup_source_close(s);
    int rc = open_file(s, path, err);
    if (rc == SUP_OK)
        rc = sup_archive_reader_begin(s->reader, read_file, s, err);
    s->is_open = rc == SUP_OK;
    if (rc != SUP_OK)
        sup_source_close(s);
    return rc;
}

int sup_source_open_with(struct sup_source *s, sup_archive_read_fn *read, void *arg,
                         struct sup_err *err)
{
    sup_source_close(s);
    int rc = sup_archive_reader_begin(s->reader, read, arg, err);
    s->is_open = rc == SUP_OK;
    return rc;
}

int sup_source_next(struct sup_source *s, struct sup_slice *document, uint64_t *offset,
                    struct sup_err *err)
{
    return s->is_open ? sup_archive_reader_next(s->reader, document, offset, err) : SUP_ENOTFOUND;
}
