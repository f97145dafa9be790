#include "codec/seen.h"

#include <xxhash.h>

void sup_key_seen(uint8_t key[SUP_SEEN_KEY_BYTES], uint32_t minute, uint64_t chunk)
{
    sup_put_be32(key, minute);
    sup_put_be64(key + 4, chunk);
}

bool sup_key_seen_parse(struct sup_slice key, uint32_t *minute, uint64_t *chunk)
{
    if (key.n != SUP_SEEN_KEY_BYTES)
        return false;
    *minute = sup_get_be32(key.p);
    *chunk = sup_get_be64(key.p + 4);
    return true;
}

uint64_t sup_seen_hash(struct sup_slice identity)
{
    return XXH3_64bits(identity.p, identity.n);
}
