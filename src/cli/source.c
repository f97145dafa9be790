#include "cli/source.h"

#include "core/event_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define RAW_BYTES ((size_t)64 * 1024)
#define DOCUMENT_MAX                                                                               \
    ((size_t)SUP_EVENT_BODY_MAX - 1) /* with a separator, the agent's largest body */

struct sup_source {
    struct sup_archive *archive;
    int fd;
    bool is_open;
    bool gzip;
    bool inflating; /* within a member */
    bool eof;       /* of the file */
    bool ended;     /* the archive has been told */
    z_stream z;
    uint64_t read;
    uint64_t size;
    size_t raw_at, raw_n;
    uint8_t raw[RAW_BYTES];
};

struct sup_source *sup_source_new(void)
{
    struct sup_source *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    s->fd = -1;
    s->archive = sup_archive_new(DOCUMENT_MAX);
    /* 16 + 15: gzip only, the largest window. */
    if (s->archive != NULL && inflateInit2(&s->z, 16 + 15) == Z_OK)
        return s;
    sup_archive_free(s->archive);
    free(s);
    return NULL;
}

void sup_source_free(struct sup_source *s)
{
    if (s == NULL)
        return;
    sup_source_close(s);
    inflateEnd(&s->z);
    sup_archive_free(s->archive);
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
    return s->read;
}

uint64_t sup_source_size(const struct sup_source *s)
{
    return s->size;
}

/* --- bytes --- */

/* Fills raw up to at least want bytes, or to the end of the file. */
static int fill(struct sup_source *s, size_t want, struct sup_err *err)
{
    if (s->raw_at > 0) {
        memmove(s->raw, s->raw + s->raw_at, s->raw_n - s->raw_at);
        s->raw_n -= s->raw_at;
        s->raw_at = 0;
    }
    while (s->raw_n < want && !s->eof) {
        ssize_t n = read(s->fd, s->raw + s->raw_n, RAW_BYTES - s->raw_n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sup_err_set(err, errno == EISDIR ? SUP_EINPUT : SUP_EIO, "cannot be read: %s",
                               strerror(errno));
        s->eof = n == 0;
        s->raw_n += (size_t)n;
        s->read += (uint64_t)n;
    }
    return SUP_OK;
}

static int take_plain(struct sup_source *s, uint8_t *to, size_t room, size_t *n)
{
    size_t have = s->raw_n - s->raw_at;

    *n = have < room ? have : room;
    if (*n > 0)
        memcpy(to, s->raw + s->raw_at, *n);
    s->raw_at += *n;
    return SUP_OK;
}

/* A member may be followed by another (RFC 1952 section 2.2): that is how parts of one object are
 * put together. Zeros behind the last one are padding. */
static bool begin_member(struct sup_source *s)
{
    while (s->raw_at < s->raw_n && s->raw[s->raw_at] == 0)
        s->raw_at++;
    if (s->raw_at == s->raw_n)
        return false;
    inflateReset(&s->z);
    s->inflating = true;
    return true;
}

static int take_gzip(struct sup_source *s, uint8_t *to, size_t room, size_t *n, struct sup_err *err)
{
    *n = 0;
    if (!s->inflating && !begin_member(s))
        return SUP_OK;
    s->z.next_in = s->raw + s->raw_at;
    s->z.avail_in = (uInt)(s->raw_n - s->raw_at);
    s->z.next_out = to;
    s->z.avail_out = (uInt)room;
    int rc = inflate(&s->z, Z_NO_FLUSH);
    s->raw_at = s->raw_n - s->z.avail_in;
    *n = room - s->z.avail_out;
    if (rc == Z_STREAM_END)
        s->inflating = false;
    else if (rc == Z_MEM_ERROR)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    else if (rc != Z_OK && rc != Z_BUF_ERROR)
        return sup_err_set(err, SUP_ECORRUPT, "gzip data is damaged: %s",
                           s->z.msg != NULL ? s->z.msg : "unknown error");
    if (*n == 0 && s->inflating && s->eof && s->raw_at == s->raw_n)
        return sup_err_set(err, SUP_ECORRUPT, "gzip data is cut off");
    return SUP_OK;
}

static int take(struct sup_source *s, uint8_t *to, size_t room, size_t *n, struct sup_err *err)
{
    int rc = SUP_OK;

    *n = 0;
    while (rc == SUP_OK && *n == 0) {
        if (s->raw_at == s->raw_n)
            rc = fill(s, 1, err);
        if (rc != SUP_OK || (s->eof && s->raw_at == s->raw_n && !(s->gzip && s->inflating)))
            break;
        rc = s->gzip ? take_gzip(s, to, room, n, err) : take_plain(s, to, room, n);
    }
    return rc;
}

/* --- open --- */

static int refuse_kind(const char *name, struct sup_err *err)
{
    return sup_err_set(err, SUP_EINPUT,
                       "is %s, which supsync cannot read: give JSON or gzip of JSON", name);
}

static int sniff(struct sup_source *s, struct sup_err *err)
{
    const char *name;
    int rc = fill(s, SUP_ARCHIVE_SNIFF_BYTES, err);

    if (rc != SUP_OK)
        return rc;
    enum sup_archive_kind kind = sup_archive_sniff(sup_slice_of(s->raw, s->raw_n), &name);
    if (kind == SUP_ARCHIVE_OTHER)
        return refuse_kind(name, err);
    s->gzip = kind == SUP_ARCHIVE_GZIP;
    return SUP_OK;
}

/* Inflates the beginning, so that Parquet within gzip is named for what it is. */
static int sniff_inside(struct sup_source *s, struct sup_err *err)
{
    size_t room, n = 0, got = 0;
    const char *name;
    uint8_t *to = sup_archive_room(s->archive, &room);
    int rc = to != NULL ? SUP_OK : sup_err_set(err, SUP_ENOMEM, "out of memory");

    while (rc == SUP_OK && got < SUP_ARCHIVE_SNIFF_BYTES) {
        rc = take(s, to + got, room - got, &n, err);
        if (n == 0)
            break;
        got += n;
    }
    enum sup_archive_kind kind = sup_archive_sniff(sup_slice_of(to, got), &name);
    if (rc == SUP_OK && kind != SUP_ARCHIVE_TEXT)
        rc = refuse_kind(kind == SUP_ARCHIVE_GZIP ? "gzip within gzip" : name, err);
    sup_archive_fed(s->archive, got, false);
    return rc;
}

static int open_file(struct sup_source *s, const char *path, struct sup_err *err)
{
    struct stat st;

    s->fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (s->fd < 0)
        return sup_err_set(err, errno == ENOENT ? SUP_ENOTFOUND : SUP_EIO, "cannot be opened: %s",
                           strerror(errno));
    if (fstat(s->fd, &st) == 0 && S_ISREG(st.st_mode))
        s->size = (uint64_t)st.st_size;
    return SUP_OK;
}

int sup_source_open(struct sup_source *s, const char *path, struct sup_err *err)
{
    sup_source_close(s);
    sup_archive_reset(s->archive);
    s->gzip = s->inflating = s->eof = s->ended = false;
    s->read = s->size = 0;
    s->raw_at = s->raw_n = 0;
    int rc = open_file(s, path, err);
    if (rc == SUP_OK)
        rc = sniff(s, err);
    if (rc == SUP_OK && s->gzip)
        rc = sniff_inside(s, err);
    s->is_open = rc == SUP_OK;
    if (rc != SUP_OK)
        sup_source_close(s);
    return rc;
}

/* --- documents --- */

static int feed(struct sup_source *s, struct sup_err *err)
{
    size_t room, n = 0;
    uint8_t *to = sup_archive_room(s->archive, &room);

    if (to == NULL)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    int rc = take(s, to, room, &n, err);
    s->ended = rc != SUP_OK || n == 0;
    sup_archive_fed(s->archive, n, s->ended);
    return rc;
}

int sup_source_next(struct sup_source *s, struct sup_slice *document, uint64_t *offset,
                    struct sup_err *err)
{
    int rc;

    if (!s->is_open)
        return SUP_ENOTFOUND;
    while ((rc = sup_archive_next(s->archive, document, offset)) == SUP_EAGAIN) {
        rc = feed(s, err);
        if (rc != SUP_OK) {
            s->is_open = false;
            return rc;
        }
    }
    if (rc == SUP_ELIMIT)
        sup_err_set(err, rc, "what begins here does not end within %zu bytes", DOCUMENT_MAX);
    if (rc == SUP_ENOMEM)
        sup_err_set(err, rc, "out of memory");
    return rc;
}
