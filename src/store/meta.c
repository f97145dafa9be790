#include "store/meta.h"

static int number(int code, const char *key, struct sup_buf *value, uint64_t *v,
                  struct sup_err *err)
{
    *v = 0;
    if (code == SUP_ENOTFOUND)
        return sup_err_set(err, code, "no %s in the store", key);
    if (code == SUP_OK && value->n != 8)
        return sup_err_set(err, SUP_ECORRUPT, "%s in the store is %zu bytes long, not 8", key,
                           value->n);
    if (code == SUP_OK)
        *v = sup_get_be64(value->p);
    return code;
}

int sup_meta_get_u64(struct sup_store *s, const struct sup_snapshot *snap, const char *key,
                     uint64_t *v, struct sup_err *err)
{
    struct sup_buf value;

    sup_buf_init(&value, 64);
    int code = sup_store_get(s, snap, SUP_CF_META, sup_slice_str(key), &value, err);
    code = number(code, key, &value, v, err);
    sup_buf_fini(&value);
    return code;
}

int sup_meta_txn_get_u64(struct sup_txn *t, const char *key, uint64_t *v, struct sup_err *err)
{
    struct sup_buf value;

    sup_buf_init(&value, 64);
    int code = sup_txn_get(t, SUP_CF_META, sup_slice_str(key), &value);
    if (code != SUP_OK)
        (void)sup_txn_status(t, err);
    code = number(code, key, &value, v, err);
    sup_buf_fini(&value);
    return code;
}

void sup_meta_put_u64(struct sup_txn *t, const char *key, uint64_t v)
{
    uint8_t b[8];

    sup_put_be64(b, v);
    sup_txn_put(t, SUP_CF_META, sup_slice_str(key), sup_slice_of(b, sizeof(b)));
}
