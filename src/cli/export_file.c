#include "cli/export_file.h"

#include "base/array.h"
#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define PACKED_BYTES ((size_t)128 * 1024)

struct sup_export_file {
    char *path, *beside;
    FILE *file;
    enum sup_export_packing packing;
    z_stream z; /* GZIP */
    bool has_z;
    ZSTD_CCtx *zstd; /* ZSTD */
    uint8_t packed[PACKED_BYTES];
};

static const struct {
    const char *name;
    const char *suffix;
} packings[] = {
    [SUP_EXPORT_PLAIN] = {"none", ""},
    [SUP_EXPORT_GZIP] = {"gzip", ".gz"},
    [SUP_EXPORT_ZSTD] = {"zstd", ".zst"},
};

bool sup_export_packing_parse(const char *s, enum sup_export_packing *out)
{
    for (size_t i = 0; i < SUP_COUNT(packings); i++) {
        if (strcmp(s, packings[i].name) != 0)
            continue;
        *out = (enum sup_export_packing)i;
        return true;
    }
    return false;
}

const char *sup_export_packing_suffix(enum sup_export_packing p)
{
    return packings[p].suffix;
}

static int fail(const struct sup_export_file *f, struct sup_err *err)
{
    return sup_err_set(err, SUP_EIO, "%s: cannot be written: %s", f->path, strerror(errno));
}

/* --- packing --- */

static bool put(struct sup_export_file *f, const void *p, size_t n)
{
    return n == 0 || fwrite(p, n, 1, f->file) == 1;
}

static bool put_gzip(struct sup_export_file *f, const void *p, size_t n, bool last)
{
    int rc;

    f->z.next_in = (Bytef *)p;
    f->z.avail_in = (uInt)n;
    do {
        f->z.next_out = f->packed;
        f->z.avail_out = PACKED_BYTES;
        rc = deflate(&f->z, last ? Z_FINISH : Z_NO_FLUSH);
        if (!put(f, f->packed, PACKED_BYTES - f->z.avail_out))
            return false;
    } while (last ? rc == Z_OK : f->z.avail_in > 0);
    return !last || rc == Z_STREAM_END;
}

static bool put_zstd(struct sup_export_file *f, const void *p, size_t n, bool last)
{
    ZSTD_inBuffer in = {.src = p, .size = n};
    size_t left;

    do {
        ZSTD_outBuffer out = {.dst = f->packed, .size = PACKED_BYTES};
        left = ZSTD_compressStream2(f->zstd, &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left)) {
            errno = ENOMEM;
            return false;
        }
        if (!put(f, f->packed, out.pos))
            return false;
    } while (last ? left > 0 : in.pos < in.size);
    return true;
}

static bool put_packed(struct sup_export_file *f, const void *p, size_t n, bool last)
{
    switch (f->packing) {
    case SUP_EXPORT_GZIP:
        return put_gzip(f, p, n, last);
    case SUP_EXPORT_ZSTD:
        return put_zstd(f, p, n, last);
    case SUP_EXPORT_PLAIN:
        break;
    }
    return put(f, p, n);
}

/* gzip's header says nothing of when. zstd adds a checksum, as its command does. */
static bool begin_packing(struct sup_export_file *f)
{
    if (f->packing == SUP_EXPORT_GZIP) {
        f->has_z = deflateInit2(&f->z, 6, Z_DEFLATED, 16 + 15, 8, Z_DEFAULT_STRATEGY) == Z_OK;
        return f->has_z;
    }
    if (f->packing != SUP_EXPORT_ZSTD)
        return true;
    f->zstd = ZSTD_createCCtx();
    return f->zstd != NULL &&
           !ZSTD_isError(ZSTD_CCtx_setParameter(f->zstd, ZSTD_c_compressionLevel, 6)) &&
           !ZSTD_isError(ZSTD_CCtx_setParameter(f->zstd, ZSTD_c_checksumFlag, 1));
}

/* --- the file --- */

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

static void file_free(struct sup_export_file *f)
{
    if (f->file != NULL)
        fclose(f->file);
    if (f->has_z)
        deflateEnd(&f->z);
    ZSTD_freeCCtx(f->zstd);
    free(f->path);
    free(f->beside);
    free(f);
}

static bool take_names(struct sup_export_file *f, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    struct sup_buf beside;

    sup_buf_init(&beside, PATH_MAX);
    sup_buf_addf(&beside, "%.*s.%s.partial", (int)(name - path), path, name);
    f->path = strdup(path);
    f->beside = sup_buf_steal(&beside);
    return f->path != NULL && f->beside != NULL;
}

int sup_export_file_open(struct sup_export_file **out, const char *path,
                         enum sup_export_packing packing, struct sup_err *err)
{
    struct sup_export_file *f = calloc(1, sizeof(*f));

    if (f == NULL)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    f->packing = packing;
    if (!take_names(f, path) || !begin_packing(f)) {
        file_free(f);
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    }
    if (make_folders(f->path) == 0)
        f->file = fopen(f->beside, "we");
    if (f->file != NULL) {
        *out = f;
        return SUP_OK;
    }
    int rc = fail(f, err);
    file_free(f);
    return rc;
}

int sup_export_file_write(struct sup_export_file *f, const void *p, size_t n, struct sup_err *err)
{
    return put_packed(f, p, n, false) ? SUP_OK : fail(f, err);
}

/* A name that is synced with its folder is there after a power cut. */
static bool sync_folder(const struct sup_export_file *f)
{
    char *slash = strrchr(f->beside, '/');
    char after = slash != NULL ? slash[1] : '\0';

    if (slash != NULL)
        slash[1] = '\0';
    int fd = open(slash != NULL ? f->beside : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (slash != NULL)
        slash[1] = after;
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

int sup_export_file_finish(struct sup_export_file *f, struct sup_err *err)
{
    int rc = SUP_OK;
    bool ok = put_packed(f, NULL, 0, true) && fflush(f->file) == 0 && fsync(fileno(f->file)) == 0;

    if (!ok || rename(f->beside, f->path) != 0) {
        rc = fail(f, err);
        unlink(f->beside);
    } else if (!sync_folder(f)) {
        rc = fail(f, err);
    }
    file_free(f);
    return rc;
}

void sup_export_file_drop(struct sup_export_file *f)
{
    if (f == NULL)
        return;
    unlink(f->beside);
    file_free(f);
}
