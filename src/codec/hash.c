#include "codec/hash.h"

#include <sodium.h>
#include <string.h>
#include <xxhash.h>

_Static_assert(sizeof(((struct sup_hash_key *)0)->k) == crypto_shorthash_KEYBYTES,
               "SipHash-2-4 takes 16 bytes of key");

void sup_hash_key_derive(const char *cluster, struct sup_slice secret, struct sup_hash_key *out)
{
    static const char context[] = "supsync address hash v1";
    crypto_generichash_state st;
    uint8_t digest[24];
    uint8_t len[8];

    crypto_generichash_init(&st, NULL, 0, sizeof(digest));
    crypto_generichash_update(&st, (const uint8_t *)context, sizeof(context));
    sup_put_be64(len, strlen(cluster));
    crypto_generichash_update(&st, len, sizeof(len));
    crypto_generichash_update(&st, (const uint8_t *)cluster, strlen(cluster));
    crypto_generichash_update(&st, secret.p, secret.n);
    crypto_generichash_final(&st, digest, sizeof(digest));
    memcpy(out->k, digest, sizeof(out->k));
    out->check = sup_get_be64(digest + sizeof(out->k));
}

void sup_hash_key_sub(const struct sup_hash_key *key, const char *purpose, struct sup_hash_key *out)
{
    uint8_t digest[24];

    crypto_generichash(digest, sizeof(digest), (const uint8_t *)purpose, strlen(purpose), key->k,
                       sizeof(key->k));
    memcpy(out->k, digest, sizeof(out->k));
    out->check = sup_get_be64(digest + sizeof(out->k));
}

uint64_t sup_hash64(const struct sup_hash_key *key, struct sup_slice bytes)
{
    uint8_t h[crypto_shorthash_BYTES];

    crypto_shorthash(h, bytes.p, bytes.n, key->k);
    return sup_get_be64(h);
}

uint64_t sup_checksum64(uint64_t before, struct sup_slice bytes)
{
    return XXH3_64bits_withSeed(bytes.p, bytes.n, before);
}
