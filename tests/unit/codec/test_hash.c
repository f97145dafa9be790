#include "base/array.h"
#include "codec/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Nodes of different versions must agree on these, and stores keep them: never change them. The
 * first rows of the reference implementation's SipHash-2-4 vectors: key 00 01 … 0f, input 00 01 …;
 * sup_hash64 reads the eight bytes as big endian. */
static void siphash_vectors(void **state)
{
    static const uint8_t want[][8] = {
        {0x31, 0x0e, 0x0e, 0xdd, 0x47, 0xdb, 0x6f, 0x72},
        {0xfd, 0x67, 0xdc, 0x93, 0xc5, 0x39, 0xf8, 0x74},
        {0x5a, 0x4f, 0xa9, 0xd9, 0x09, 0x80, 0x6c, 0x0d},
        {0x2d, 0x7e, 0xfb, 0xd7, 0x96, 0x66, 0x67, 0x85},
    };
    struct sup_hash_key key = {.check = 0};
    uint8_t in[8];

    (void)state;
    for (uint8_t i = 0; i < sizeof(key.k); i++)
        key.k[i] = i;
    for (uint8_t i = 0; i < sizeof(in); i++)
        in[i] = i;
    for (size_t n = 0; n < SUP_COUNT(want); n++)
        assert_true(sup_hash64(&key, sup_slice_of(in, n)) == sup_get_be64(want[n]));
    assert_true(sup_hash64(&key, sup_slice_of(NULL, 0)) == sup_get_be64(want[0]));
}

static void key_depends_on_cluster_and_secret(void **state)
{
    /* the length of the name is hashed too: "ab" with "c" is not "a" with "bc" */
    static const struct {
        const char *cluster, *secret;
    } inputs[] = {{"", ""},    {"ab", "c"}, {"a", "bc"},        {"abc", ""},
                  {"", "abc"}, {"Ab", "c"}, {"prod", "hunter"}, {"prod", "hunter2"}};
    struct sup_hash_key keys[SUP_COUNT(inputs)];
    struct sup_hash_key again;

    (void)state;
    for (size_t i = 0; i < SUP_COUNT(inputs); i++) {
        sup_hash_key_derive(inputs[i].cluster, sup_slice_str(inputs[i].secret), &keys[i]);
        sup_hash_key_derive(inputs[i].cluster, sup_slice_str(inputs[i].secret), &again);
        assert_memory_equal(keys[i].k, again.k, sizeof(again.k));
        assert_true(keys[i].check == again.check);
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(keys[i].k, keys[j].k, sizeof(keys[i].k));
            assert_true(keys[i].check != keys[j].check);
        }
    }
    sup_hash_key_derive("", sup_slice_of(NULL, 0), &again);
    assert_memory_equal(again.k, keys[0].k, sizeof(again.k));
}

/* BLAKE2b-192 of "supsync address hash v1\0", the big-endian length and "prod", and "secret", as
 * Python's hashlib computes it. */
static void derivation_is_pinned(void **state)
{
    static const uint8_t want[24] = {0x61, 0x39, 0xf7, 0x5c, 0x7e, 0xff, 0x55, 0x38,
                                     0x9b, 0x03, 0xf7, 0xcb, 0x26, 0x0c, 0x3a, 0xb3,
                                     0x3b, 0xfe, 0xe3, 0x11, 0x94, 0x87, 0xda, 0x8d};
    struct sup_hash_key key;

    (void)state;
    sup_hash_key_derive("prod", SUP_SLICE_LIT("secret"), &key);
    assert_memory_equal(key.k, want, 16);
    assert_true(key.check == sup_get_be64(want + 16));
}

static int cmp_u64(const void *a, const void *b)
{
    uint64_t x;
    uint64_t y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return (x > y) - (x < y);
}

static void spreads_similar_addresses(void **state)
{
    enum { N = 20000 };
    struct sup_hash_key key;
    uint64_t *hashes = calloc(N, sizeof(*hashes));
    int buckets[16] = {0};

    (void)state;
    assert_non_null(hashes);
    sup_hash_key_derive("prod", SUP_SLICE_LIT("secret"), &key);
    for (uint32_t i = 0; i < N; i++) {
        uint8_t address[] = "user....@example.com";
        sup_put_be32(address + 4, i);
        hashes[i] = sup_hash64(&key, sup_slice_of(address, sizeof(address) - 1));
        buckets[hashes[i] >> 60]++;
    }
    for (int b = 0; b < 16; b++)
        assert_in_range(buckets[b], N / 16 - 250, N / 16 + 250); /* 7 standard deviations */
    qsort(hashes, N, sizeof(*hashes), cmp_u64);
    for (int i = 1; i < N; i++)
        assert_true(hashes[i] != hashes[i - 1]);
    free(hashes);
}

/* The value of the empty input is XXH3's own test vector; pieces in order, each counts. */
static void checksums_chain(void **state)
{
    uint64_t ab = sup_checksum64(sup_checksum64(0, SUP_SLICE_LIT("a")), SUP_SLICE_LIT("b"));

    (void)state;
    assert_true(sup_checksum64(0, sup_slice_of(NULL, 0)) == 0x2d06800538d394c2);
    assert_true(ab == sup_checksum64(sup_checksum64(0, SUP_SLICE_LIT("a")), SUP_SLICE_LIT("b")));
    assert_true(ab != sup_checksum64(sup_checksum64(0, SUP_SLICE_LIT("b")), SUP_SLICE_LIT("a")));
    assert_true(ab != sup_checksum64(0, SUP_SLICE_LIT("ab")));
    assert_true(ab != sup_checksum64(0, SUP_SLICE_LIT("b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(siphash_vectors),      cmocka_unit_test(key_depends_on_cluster_and_secret),
        cmocka_unit_test(derivation_is_pinned), cmocka_unit_test(spreads_similar_addresses),
        cmocka_unit_test(checksums_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
