#include "codec/keys.h"

#include <sodium.h>
#include <string.h>

/* All are as long, and '0' follows '/'. */
#define VV_PREFIX     "vv/"
#define FLOOR_PREFIX  "vf/"
#define CHARGE_PREFIX "vc/"
#define PREFIX_N      (sizeof(VV_PREFIX) - 1)

struct sup_slice sup_key_slice(const struct sup_key *k)
{
    return (struct sup_slice){k->b, k->n};
}

/* Addresses come from model/address.c, which holds them below SUP_ADDRESS_MAX, or from a decoder
 * that checked; a longer one is cut rather than written past the end. */
static void add_bytes(struct sup_key *k, const void *p, size_t n)
{
    if (n > sizeof(k->b) - k->n)
        n = sizeof(k->b) - k->n;
    if (n > 0)
        memcpy(k->b + k->n, p, n);
    k->n += n;
}

static void add_be64(struct sup_key *k, uint64_t v)
{
    uint8_t b[8];

    sup_put_be64(b, v);
    add_bytes(k, b, sizeof(b));
}

static void add_byte(struct sup_key *k, uint8_t v)
{
    add_bytes(k, &v, 1);
}

void sup_key_record(struct sup_key *k, const struct sup_hash_key *hash, struct sup_slice address)
{
    k->n = 0;
    add_be64(k, sup_hash64(hash, address));
    add_bytes(k, address.p, address.n);
}

bool sup_key_record_parse(struct sup_slice key, uint64_t *hash, struct sup_slice *address)
{
    struct sup_cur c = sup_cur_of(key);

    *hash = sup_cur_be64(&c);
    *address = (struct sup_slice){c.p, c.n};
    return !c.failed && c.n > 0;
}

void sup_key_log(struct sup_key *k, uint64_t incarnation, uint64_t seq)
{
    k->n = 0;
    add_be64(k, incarnation);
    add_be64(k, seq);
}

bool sup_key_log_parse(struct sup_slice key, uint64_t *incarnation, uint64_t *seq)
{
    struct sup_cur c = sup_cur_of(key);

    *incarnation = sup_cur_be64(&c);
    *seq = sup_cur_be64(&c);
    return !c.failed && c.n == 0;
}

void sup_key_quarantine(struct sup_key *k, sup_hlc_time time, uint8_t cls, uint64_t origin,
                        struct sup_slice address)
{
    k->n = 0;
    add_be64(k, time);
    add_byte(k, cls);
    add_be64(k, origin);
    add_bytes(k, address.p, address.n);
}

bool sup_key_quarantine_parse(struct sup_slice key, sup_hlc_time *time)
{
    struct sup_cur c = sup_cur_of(key);

    *time = sup_cur_be64(&c);
    return !c.failed;
}

void sup_key_audit(struct sup_key *k, struct sup_slice address, sup_hlc_time time, uint8_t cls,
                   uint64_t origin)
{
    sup_key_audit_first(k, address);
    add_be64(k, time);
    add_byte(k, cls);
    add_be64(k, origin);
}

void sup_key_audit_first(struct sup_key *k, struct sup_slice address)
{
    k->n = 0;
    add_bytes(k, address.p, address.n);
    add_byte(k, 0);
}

void sup_key_audit_end(struct sup_key *k, struct sup_slice address)
{
    k->n = 0;
    add_bytes(k, address.p, address.n);
    add_byte(k, 1);
}

bool sup_key_audit_parse(struct sup_slice key, struct sup_slice *address, sup_hlc_time *time)
{
    const uint8_t *nul = key.n > 0 ? memchr(key.p, 0, key.n) : NULL;
    struct sup_cur c;

    if (!nul || nul == key.p)
        return false;
    *address = (struct sup_slice){key.p, (size_t)(nul - key.p)};
    c = sup_cur_of((struct sup_slice){nul + 1, key.n - address->n - 1});
    *time = sup_cur_be64(&c);
    return !c.failed;
}

void sup_key_timed(struct sup_key *k, int64_t ms, struct sup_slice address)
{
    k->n = 0;
    add_be64(k, ms < 0 ? 0 : (uint64_t)ms);
    add_bytes(k, address.p, address.n);
}

bool sup_key_timed_parse(struct sup_slice key, int64_t *ms, struct sup_slice *address)
{
    struct sup_cur c = sup_cur_of(key);

    *ms = (int64_t)sup_cur_be64(&c);
    *address = (struct sup_slice){c.p, c.n};
    return !c.failed && c.n > 0 && *ms >= 0;
}

void sup_key_dedup(struct sup_key *k, struct sup_slice identity)
{
    k->n = 16;
    crypto_generichash(k->b, k->n, identity.p, identity.n, NULL, 0);
}

static void numbered(struct sup_key *k, const char *prefix, uint64_t incarnation)
{
    k->n = 0;
    add_bytes(k, prefix, PREFIX_N);
    add_be64(k, incarnation);
}

static void numbered_end(struct sup_key *k, const char *prefix)
{
    k->n = 0;
    add_bytes(k, prefix, PREFIX_N);
    k->b[PREFIX_N - 1]++;
}

static bool numbered_parse(struct sup_slice key, const char *prefix, uint64_t *incarnation)
{
    struct sup_cur c = sup_cur_of(key);
    struct sup_slice begin = sup_cur_take(&c, PREFIX_N);

    *incarnation = sup_cur_be64(&c);
    return !c.failed && c.n == 0 && memcmp(begin.p, prefix, PREFIX_N) == 0;
}

void sup_key_meta_vv(struct sup_key *k, uint64_t incarnation)
{
    numbered(k, VV_PREFIX, incarnation);
}

void sup_key_meta_vv_end(struct sup_key *k)
{
    numbered_end(k, VV_PREFIX);
}

bool sup_key_meta_vv_parse(struct sup_slice key, uint64_t *incarnation)
{
    return numbered_parse(key, VV_PREFIX, incarnation);
}

void sup_key_meta_floor(struct sup_key *k, uint64_t incarnation)
{
    numbered(k, FLOOR_PREFIX, incarnation);
}

void sup_key_meta_floor_end(struct sup_key *k)
{
    numbered_end(k, FLOOR_PREFIX);
}

bool sup_key_meta_floor_parse(struct sup_slice key, uint64_t *incarnation)
{
    return numbered_parse(key, FLOOR_PREFIX, incarnation);
}

void sup_key_meta_charge(struct sup_key *k, uint64_t incarnation)
{
    numbered(k, CHARGE_PREFIX, incarnation);
}

void sup_key_meta_charge_end(struct sup_key *k)
{
    numbered_end(k, CHARGE_PREFIX);
}

bool sup_key_meta_charge_parse(struct sup_slice key, uint64_t *incarnation)
{
    return numbered_parse(key, CHARGE_PREFIX, incarnation);
}
