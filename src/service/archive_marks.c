#include "service/archive_marks.h"

#include <string.h>

/* Keys: 'm' ‖ bucket ‖ NUL ‖ object's key → its ETag; 't' ‖ bucket ‖ NUL ‖ prefix → time, 8 bytes.
 * Neither name holds a NUL. */
#define KEY_MAX_N    2048
#define ETAG_MAX_N   256
#define TRIM_AT_ONCE 1000

static void make_key(struct sup_buf *b, char kind, const char *bucket, const char *name)
{
    sup_buf_init(b, KEY_MAX_N);
    sup_buf_add_byte(b, (uint8_t)kind);
    sup_buf_add_str(b, bucket);
    sup_buf_add_byte(b, 0);
    sup_buf_add_str(b, name);
}

struct change {
    struct sup_slice key, value;
    struct sup_slice from, below; /* dropped; both empty: nothing */
    size_t dropped;
};

static int change_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct change *c = arg;
    struct sup_buf keys; /* length, bytes: an iterator must be gone before a write */
    struct sup_iter *it = NULL;

    (void)a;
    (void)err;
    sup_buf_init(&keys, (size_t)TRIM_AT_ONCE * (KEY_MAX_N + 4));
    c->dropped = 0;
    if (c->below.n > 0)
        it = sup_txn_iter(t, SUP_CF_ARCHIVES, c->from, c->below);
    for (; it && sup_iter_valid(it) && c->dropped < TRIM_AT_ONCE; sup_iter_next(it)) {
        sup_buf_add_be32(&keys, (uint32_t)sup_iter_key(it).n);
        sup_buf_add_slice(&keys, sup_iter_key(it));
        c->dropped++;
    }
    sup_iter_free(it);
    struct sup_cur cur = sup_cur_of(sup_buf_slice(&keys));
    while (cur.n > 0 && cur.failed == SUP_OK)
        sup_txn_delete(t, SUP_CF_ARCHIVES, sup_cur_take(&cur, sup_cur_be32(&cur)));
    sup_txn_put(t, SUP_CF_ARCHIVES, c->key, c->value);
    sup_buf_fini(&keys);
    return SUP_OK;
}

static int put(const struct sup_archive_marks *m, struct sup_buf *key, struct sup_slice value,
               struct sup_err *err)
{
    struct change c = {.key = sup_buf_slice(key), .value = value};

    if (key->failed != SUP_OK)
        return sup_err_set(err, key->failed, "the object's key is too long");
    return sup_apply_run(m->apply, change_run, &c, err);
}

int sup_archive_marks_begin(const struct sup_archive_marks *m, int64_t *ms, struct sup_err *err)
{
    struct sup_buf key, value;

    make_key(&key, 't', m->bucket, m->prefix);
    sup_buf_init(&value, 64);
    int rc = sup_store_get(m->store, NULL, SUP_CF_ARCHIVES, sup_buf_slice(&key), &value, err);
    struct sup_cur cur = sup_cur_of(sup_buf_slice(&value));
    if (rc == SUP_OK) {
        *ms = (int64_t)sup_cur_be64(&cur);
        if (cur.failed != SUP_OK || *ms < 0)
            rc = sup_err_set(err, SUP_ECORRUPT, "the place in the archive is damaged");
    }
    sup_buf_fini(&value);
    sup_buf_fini(&key);
    return rc;
}

int sup_archive_marks_advance(const struct sup_archive_marks *m, int64_t ms, const char *below,
                              struct sup_err *err)
{
    uint8_t value[8];
    struct sup_buf key, from, to;
    struct change c;
    int rc;

    sup_put_be64(value, (uint64_t)ms);
    make_key(&key, 't', m->bucket, m->prefix);
    make_key(&from, 'm', m->bucket, m->prefix);
    make_key(&to, 'm', m->bucket, below);
    c = (struct change){.key = sup_buf_slice(&key),
                        .value = sup_slice_of(value, sizeof(value)),
                        .from = sup_buf_slice(&from)};
    if (below[0] != '\0')
        c.below = sup_buf_slice(&to);
    do {
        rc = sup_apply_run(m->apply, change_run, &c, err);
    } while (rc == SUP_OK && c.dropped == TRIM_AT_ONCE);
    sup_buf_fini(&to);
    sup_buf_fini(&from);
    sup_buf_fini(&key);
    return rc;
}

bool sup_archive_marks_has(const struct sup_archive_marks *m, const char *name, const char *etag)
{
    struct sup_buf key, value;

    make_key(&key, 'm', m->bucket, name);
    sup_buf_init(&value, ETAG_MAX_N);
    bool has = sup_store_get(m->store, NULL, SUP_CF_ARCHIVES, sup_buf_slice(&key), &value, NULL) ==
                   SUP_OK &&
               sup_slice_eq(sup_buf_slice(&value), sup_slice_str(etag));
    sup_buf_fini(&value);
    sup_buf_fini(&key);
    return has;
}

int sup_archive_marks_add(const struct sup_archive_marks *m, const char *name, const char *etag,
                          struct sup_err *err)
{
    struct sup_buf key;

    make_key(&key, 'm', m->bucket, name);
    int rc = put(m, &key, sup_slice_str(etag), err);
    sup_buf_fini(&key);
    return rc;
}
