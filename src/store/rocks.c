#include "store/rocks.h"
#include "store/meta.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define OPEN_ROOM_BYTES (UINT64_C(16) << 20)

/* --- reading --- */

static struct sup_snapshot *rocks_snapshot(struct sup_store *s)
{
    struct rocks *r = rocks_of(s);
    struct rocks_snapshot *snap = calloc(1, sizeof(*snap));

    if (snap == NULL)
        return NULL;
    snap->base.store = s;
    snap->snapshot = rocksdb_create_snapshot(r->db);
    snap->read = rocksdb_readoptions_create();
    rocksdb_readoptions_set_snapshot(snap->read, snap->snapshot);
    return &snap->base;
}

static void rocks_snapshot_free(struct sup_store *s, struct sup_snapshot *base)
{
    struct rocks_snapshot *snap = (struct rocks_snapshot *)(void *)base;

    rocksdb_release_snapshot(rocks_of(s)->db, snap->snapshot);
    rocksdb_readoptions_destroy(snap->read);
    free(snap);
}

int rocks_get(struct sup_store *s, const struct sup_snapshot *snap, enum sup_cf cf,
              struct sup_slice key, struct sup_buf *out, struct sup_err *err)
{
    struct rocks *r = rocks_of(s);
    const rocksdb_readoptions_t *read = snap == NULL ? r->read : rocks_snapshot_of(snap)->read;
    char *text = NULL;
    rocksdb_pinnableslice_t *value =
        rocksdb_get_pinned_cf(r->db, read, r->cfs[cf], (const char *)key.p, key.n, &text);

    if (text != NULL)
        return rocks_error(text, err, "reading the store");
    if (value == NULL)
        return SUP_ENOTFOUND;
    size_t n = 0;
    const char *p = rocksdb_pinnableslice_value(value, &n);
    int code = sup_store_give(out, p, n, err);
    rocksdb_pinnableslice_destroy(value);
    return code;
}

static struct sup_iter *rocks_iter(struct sup_store *s, const struct sup_snapshot *snap,
                                   enum sup_cf cf, struct sup_slice lower, struct sup_slice upper)
{
    return rocks_iter_new(rocks_of(s), snap, NULL, cf, lower, upper, true);
}

static struct sup_iter *rocks_scan(struct sup_store *s, const struct sup_snapshot *snap,
                                   enum sup_cf cf, struct sup_slice lower, struct sup_slice upper)
{
    return rocks_iter_new(rocks_of(s), snap, NULL, cf, lower, upper, false);
}

static uint64_t rocks_estimate_keys(struct sup_store *s, enum sup_cf cf)
{
    struct rocks *r = rocks_of(s);
    uint64_t n = 0;

    if (rocksdb_property_int_cf(r->db, r->cfs[cf], "rocksdb.estimate-num-keys", &n) != 0)
        return 0;
    return n;
}

/* Bytes of the files in dir whose names end in suffix: their length, or what is allocated, which
 * counts too what RocksDB reserves ahead for the log in use. RocksDB keeps all its files in one
 * directory; they come and go while they are counted. */
static uint64_t dir_bytes(const char *dir, const char *suffix, bool allocated)
{
    DIR *d = opendir(dir);
    uint64_t sum = 0;
    struct stat st;

    if (d == NULL)
        return 0;
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        size_t n = strlen(e->d_name);
        if (n < strlen(suffix) || strcmp(e->d_name + n - strlen(suffix), suffix) != 0)
            continue;
        if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            sum += (uint64_t)(allocated ? st.st_blocks * 512 : st.st_size);
    }
    closedir(d);
    return sum;
}

static uint64_t rocks_disk_bytes(struct sup_store *s)
{
    return dir_bytes(rocks_of(s)->dir, "", true);
}

static void rocks_memory(struct sup_store *s, struct sup_store_memory *out)
{
    struct rocks *r = rocks_of(s);

    for (size_t i = 0; i < N_HANDLES; i++) {
        uint64_t n = 0;
        if (rocksdb_property_int_cf(r->db, r->cfs[i], "rocksdb.size-all-mem-tables", &n) == 0)
            out->memtables += n;
        n = 0;
        if (rocksdb_property_int_cf(r->db, r->cfs[i], "rocksdb.estimate-table-readers-mem", &n) ==
            0)
            out->readers += n;
    }
    out->cache = rocksdb_cache_get_usage(r->cache);
}

static int rocks_checkpoint(struct sup_store *s, const char *dir, struct sup_err *err)
{
    if (access(dir, F_OK) == 0)
        return sup_err_set(err, SUP_EEXIST, "%s exists already", dir);
    int code = sup_store_health(s, err); /* a failed log must not be touched */
    if (code != SUP_OK)
        return code;

    char *text = NULL;
    rocksdb_checkpoint_t *c = rocksdb_checkpoint_object_create(rocks_of(s)->db, &text);
    if (text == NULL) {
        rocksdb_checkpoint_create(c, dir, 0, &text);
        rocksdb_checkpoint_object_destroy(c);
    }
    return rocks_error(text, err, "copying the store");
}

static int rocks_health(struct sup_store *s, struct sup_err *err)
{
    switch (atomic_load(&rocks_of(s)->state)) {
    case ROCKS_WELL:
        return SUP_OK;
    case ROCKS_FULL:
        return sup_err_set(err, SUP_EAGAIN,
                           "no space left for the store; it goes on by itself once %u MiB are free",
                           ROCKS_RESUME_MIB);
    default:
        return sup_err_set(err, SUP_EIO,
                           "the store failed while writing and is read-only until a restart");
    }
}

/* --- opening and closing --- */

static void rocks_free(struct rocks *r)
{
    rocks_options_fini(r);
    free(r->dir);
    free(r);
}

static void rocks_close(struct sup_store *s)
{
    struct rocks *r = rocks_of(s);
    char *text = NULL;

    /* Memtables need no flush, since the log has them. */
    if (r->unsynced)
        rocksdb_flush_wal(r->db, 1, &text);
    (void)rocks_error(text, NULL, "closing the store");
    rocksdb_cancel_all_background_work(r->db, 1);
    for (size_t i = 0; i < N_HANDLES; i++)
        rocksdb_column_family_handle_destroy(r->cfs[i]);
    rocksdb_close(r->db);
    rocks_free(r);
}

static const struct sup_store_ops rocks_ops = {
    .close = rocks_close,
    .snapshot = rocks_snapshot,
    .snapshot_free = rocks_snapshot_free,
    .get = rocks_get,
    .iter = rocks_iter,
    .scan = rocks_scan,
    .estimate_keys = rocks_estimate_keys,
    .disk_bytes = rocks_disk_bytes,
    .memory = rocks_memory,
    .checkpoint = rocks_checkpoint,
    .health = rocks_health,
    .begin = rocks_begin,
    .txn_get = rocks_txn_get,
    .txn_put = rocks_txn_put,
    .txn_delete = rocks_txn_delete,
    .txn_iter = rocks_txn_iter,
    .txn_mark = rocks_txn_mark,
    .txn_rollback = rocks_txn_rollback,
    .txn_commit = rocks_txn_commit,
    .txn_free = rocks_txn_free,
};

static const char *handle_name(size_t i)
{
    return i < SUP_N_CFS ? sup_cf_name((enum sup_cf)i) : "default";
}

/* Does dir hold a database? RocksDB's CURRENT names the manifest and is the last file made. */
static int database_exists(const char *dir, bool *exists, struct sup_err *err)
{
    struct sup_buf path;

    sup_buf_init(&path, 8192);
    sup_buf_addf(&path, "%s/CURRENT", dir);
    *exists = !path.failed && access(sup_buf_str(&path), F_OK) == 0;
    int failed = *exists ? 0 : errno;
    sup_buf_fini(&path);
    if (failed != 0 && failed != ENOENT)
        return sup_err_set(err, SUP_EIO, "%s: %s", dir, strerror(failed));
    return SUP_OK;
}

static int make_dir(const char *dir, struct sup_err *err)
{
    if (mkdir(dir, 0750) != 0 && errno != EEXIST)
        return sup_err_set(err, SUP_EIO, "cannot make %s: %s", dir, strerror(errno));
    return SUP_OK;
}

/* Opening writes: the log's contents go to a table file, and RocksDB writes a log of messages, on
 * which Debian's build, having its assertions on, aborts the process when two writes in a row fail.
 * So a full disk is noticed first. */
static int check_room(const char *dir, struct sup_err *err)
{
    struct statvfs fs;
    uint64_t need = dir_bytes(dir, ".log", false) + OPEN_ROOM_BYTES;

    if (statvfs(dir, &fs) != 0)
        return sup_err_set(err, SUP_EIO, "%s: %s", dir, strerror(errno));
    uint64_t have = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (have < need)
        return sup_err_set(err, SUP_EIO,
                           "%s: no space left: opening needs %" PRIu64 " KiB, %" PRIu64
                           " KiB are free",
                           dir, need >> 10, have >> 10);
    return SUP_OK;
}

static bool is_known(const char *name)
{
    for (size_t i = 0; i < N_HANDLES; i++)
        if (strcmp(name, handle_name(i)) == 0)
            return true;
    return false;
}

/* The schema of a store that this program cannot open whole; 0 if it cannot be told. */
static uint64_t foreign_schema(const struct rocks *r)
{
    const char *names[2] = {"default", sup_cf_name(SUP_CF_META)};
    const rocksdb_options_t *options[2] = {r->options[SUP_N_CFS], r->options[SUP_CF_META]};
    rocksdb_column_family_handle_t *handles[2] = {NULL, NULL};
    char *text = NULL;
    uint64_t schema = 0;
    rocksdb_t *db = rocksdb_open_for_read_only_column_families(r->options[SUP_N_CFS], r->dir, 2,
                                                               names, options, handles, 0, &text);

    if (text != NULL) {
        (void)rocks_error(text, NULL, "");
        return 0;
    }
    size_t n = 0;
    char *value = rocksdb_get_cf(db, r->read, handles[1], SUP_META_SCHEMA, strlen(SUP_META_SCHEMA),
                                 &n, &text);
    if (value != NULL && n == 8)
        schema = sup_get_be64((const uint8_t *)value);
    (void)rocks_error(text, NULL, "");
    rocksdb_free(value);
    rocksdb_column_family_handle_destroy(handles[0]);
    rocksdb_column_family_handle_destroy(handles[1]);
    rocksdb_close(db);
    return schema;
}

/* A column family that we do not know was made by a newer program. Opening the others without it
 * is not possible, and would be wrong. */
static int refuse_unknown_families(const struct rocks *r, struct sup_err *err)
{
    char *text = NULL;
    size_t n = 0;
    char **names = rocksdb_list_column_families(r->options[SUP_N_CFS], r->dir, &n, &text);
    int code = rocks_error(text, err, r->dir);

    for (size_t i = 0; i < n && code == SUP_OK; i++)
        if (!is_known(names[i]))
            code = sup_err_set(err, SUP_EVERSION,
                               "%s has schema %" PRIu64 " of a newer supsync (column family "
                               "\"%.64s\"); this one knows up to %d",
                               r->dir, foreign_schema(r), names[i], SUP_STORE_SCHEMA);
    rocksdb_list_column_families_destroy(names, n); /* an empty list is memory, too */
    return code;
}

static int open_database(struct rocks *r, struct sup_err *err)
{
    const char *names[N_HANDLES];
    char *text = NULL;

    for (size_t i = 0; i < N_HANDLES; i++)
        names[i] = handle_name(i);
    r->db =
        rocksdb_open_column_families(r->options[SUP_N_CFS], r->dir, N_HANDLES, names,
                                     (const rocksdb_options_t *const *)r->options, r->cfs, &text);
    if (text != NULL && rocks_error_code(text) == SUP_EEXIST) {
        rocksdb_free(text);
        return sup_err_set(err, SUP_EEXIST, "%s is in use by another process", r->dir);
    }
    return rocks_error(text, err, r->dir);
}

static int check_dir(struct rocks *r, bool create, struct sup_err *err)
{
    bool exists = false;
    int code = database_exists(r->dir, &exists, err);

    if (code != SUP_OK)
        return code;
    if (exists)
        return refuse_unknown_families(r, err);
    if (!create)
        return sup_err_set(err, SUP_ENOTFOUND, "no store in %s", r->dir);
    return make_dir(r->dir, err);
}

int sup_store_open(const struct sup_store_opts *opts, struct sup_store **out, struct sup_err *err)
{
    struct rocks *r = calloc(1, sizeof(*r));

    *out = NULL;
    if (r == NULL)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    r->base.ops = &rocks_ops;
    rocks_options_init(r, opts->cache_bytes);
    r->dir = strdup(opts->dir);
    int code = r->dir != NULL ? check_dir(r, opts->create, err)
                              : sup_err_set(err, SUP_ENOMEM, "out of memory");
    if (code == SUP_OK)
        code = check_room(r->dir, err);
    if (code == SUP_OK)
        code = open_database(r, err);
    if (code != SUP_OK) {
        rocks_free(r);
        return code;
    }
    code = sup_store_identify(&r->base, &opts->identity, opts->create, err);
    if (code != SUP_OK) {
        code = sup_err_prefix(err, code, "%s", r->dir);
        rocks_close(&r->base);
        return code;
    }
    *out = &r->base;
    return SUP_OK;
}
