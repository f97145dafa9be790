#include "service/soft_known.h"

#include "codec/hash.h"

#include <stdlib.h>

#define BITS  ((uint32_t)SUP_SOFT_KNOWN_BYTES * 8)
#define PROBE 2

struct sup_soft_known {
    bool loaded;
    uint8_t bits[SUP_SOFT_KNOWN_BYTES];
};

struct sup_soft_known *sup_soft_known_new(void)
{
    return calloc(1, sizeof(struct sup_soft_known));
}

void sup_soft_known_free(struct sup_soft_known *k)
{
    free(k);
}

struct probes {
    uint32_t bit[PROBE];
};

/* Unkeyed: addresses that collide cost a lookup. */
static struct probes probes_of(struct sup_slice address)
{
    uint64_t h = sup_checksum64(0, address);

    return (struct probes){{(uint32_t)h % BITS, (uint32_t)(h >> 32) % BITS}};
}

void sup_soft_known_add(struct sup_soft_known *k, struct sup_slice address)
{
    struct probes p = probes_of(address);

    for (size_t i = 0; i < PROBE; i++)
        k->bits[p.bit[i] / 8] |= (uint8_t)(1U << p.bit[i] % 8);
}

static bool may_have(const struct sup_soft_known *k, struct sup_slice address)
{
    struct probes p = probes_of(address);

    for (size_t i = 0; i < PROBE; i++)
        if ((k->bits[p.bit[i] / 8] & 1U << p.bit[i] % 8) == 0)
            return false;
    return true;
}

/* The key of a state is "a" and the address: codec/soft_value.h. What an open transaction wrote was
 * added by who wrote it. */
static int load(struct sup_soft_known *k, struct sup_store *s, struct sup_err *err)
{
    struct sup_iter *it =
        sup_iter_scan(s, NULL, SUP_CF_SOFT, SUP_SLICE_LIT("a"), SUP_SLICE_LIT("b"));

    if (!it)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    for (; sup_iter_valid(it); sup_iter_next(it)) {
        struct sup_slice key = sup_iter_key(it);
        sup_soft_known_add(k, sup_slice_of(key.p + 1, key.n - 1));
    }
    int rc = sup_iter_status(it, err);
    sup_iter_free(it);
    k->loaded = rc == SUP_OK;
    return rc;
}

int sup_soft_known_ask(struct sup_soft_known *k, struct sup_store *s, struct sup_slice address,
                       bool *maybe, struct sup_err *err)
{
    int rc = k->loaded ? SUP_OK : load(k, s, err);

    *maybe = rc != SUP_OK || may_have(k, address);
    return rc;
}
