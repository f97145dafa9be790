#include "service/replicate_log.h"

#include "codec/keys.h"
#include "codec/mesh_msg.h"
#include "codec/value.h"

#include <stdlib.h>

/* Mutations in one message. */
#define COUNT_MAX 4096

struct sup_log_reader {
    struct sup_mutation *m;
    struct sup_buf *values; /* what m points to, one a mutation */
    struct sup_mem *mem;
};

struct sup_log_reader *sup_log_reader_new(void)
{
    struct sup_log_reader *l = calloc(1, sizeof(*l));

    if (!l)
        return NULL;
    l->mem = sup_mem_new();
    l->m = calloc(COUNT_MAX, sizeof(*l->m));
    l->values = calloc(COUNT_MAX, sizeof(*l->values));
    if (!l->mem || !l->m || !l->values) {
        sup_log_reader_free(l);
        return NULL;
    }
    for (size_t i = 0; i < COUNT_MAX; i++)
        sup_buf_init(&l->values[i], SUP_DECISION_MAX + SUP_KEY_MAX + 64);
    return l;
}

void sup_log_reader_free(struct sup_log_reader *l)
{
    if (!l)
        return;
    for (size_t i = 0; l->values && i < COUNT_MAX; i++)
        sup_buf_fini(&l->values[i]);
    free(l->values);
    free(l->m);
    sup_mem_free(l->mem);
    free(l);
}

static int add(struct sup_log_reader *l, struct sup_log_batch *out, uint64_t incarnation,
               uint64_t seq, struct sup_slice value, struct sup_err *err)
{
    struct sup_buf *copy = &l->values[out->n];
    struct sup_log_entry e;
    int rc;

    sup_buf_reset(copy);
    sup_buf_add_slice(copy, value);
    if (copy->failed)
        return sup_err_set(err, copy->failed, "log entry is too large");
    rc = sup_log_entry_decode(sup_buf_slice(copy), l->mem, &e, err);
    if (rc != SUP_OK)
        return rc;
    l->m[out->n] = (struct sup_mutation){
        .incarnation = incarnation, .seq = seq, .key = e.key, .cls = e.cls, .encoded = e.encoded};
    out->bytes += sup_mesh_mutation_size(&l->m[out->n]);
    out->n++;
    return SUP_OK;
}

static bool full(const struct sup_log_batch *out, uint64_t max_bytes)
{
    return out->n == COUNT_MAX || out->bytes >= max_bytes;
}

static int read_range(struct sup_log_reader *l, struct sup_store *store,
                      const struct sup_replica_range *r, uint64_t max_bytes,
                      struct sup_log_batch *out, struct sup_err *err)
{
    struct sup_key lower;
    struct sup_key upper;
    struct sup_iter *it;
    uint64_t next = r->from;
    int rc = SUP_OK;

    sup_key_log(&lower, r->incarnation, r->from);
    sup_key_log(&upper, r->incarnation, r->to + 1);
    it = sup_iter_new(store, NULL, SUP_CF_LOG, sup_key_slice(&lower), sup_key_slice(&upper));
    if (!it)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    for (; rc == SUP_OK && sup_iter_valid(it) && !full(out, max_bytes); sup_iter_next(it)) {
        uint64_t incarnation = 0;
        uint64_t seq = 0;
        if (!sup_key_log_parse(sup_iter_key(it), &incarnation, &seq) || seq != next)
            break;
        rc = add(l, out, incarnation, seq, sup_iter_value(it), err);
        next++;
    }
    if (rc == SUP_OK)
        rc = sup_iter_status(it, err);
    sup_iter_free(it);
    if (rc == SUP_OK && next <= r->to && !full(out, max_bytes))
        rc = sup_err_set(err, SUP_ENOTFOUND, "the log lacks entry %llu of incarnation %llu",
                         (unsigned long long)next, (unsigned long long)r->incarnation);
    if (next > r->from)
        out->ranges[out->n_ranges++] = (struct sup_replica_range){
            .incarnation = r->incarnation, .from = r->from, .to = next - 1};
    return rc;
}

int sup_log_reader_fill(struct sup_log_reader *l, struct sup_store *store,
                        const struct sup_replica_range *ranges, size_t n, uint64_t max_bytes,
                        struct sup_log_batch *out, struct sup_err *err)
{
    int rc = SUP_OK;

    sup_mem_reset(l->mem);
    out->m = l->m;
    out->n = 0;
    out->bytes = 0;
    out->n_ranges = 0;
    for (size_t i = 0; i < n && rc == SUP_OK && !full(out, max_bytes); i++)
        rc = read_range(l, store, &ranges[i], max_bytes, out, err);
    return rc;
}
