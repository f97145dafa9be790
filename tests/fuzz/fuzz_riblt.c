/* Any bytes as coded symbols of a peer: the decoder ends, keeps to its bounds, and what it calls
 * decoded adds up to the symbols that came. */
#include "fuzz.h"

#include "core/riblt.h"

#include <string.h>

#define MAX 256

/* Input: two bytes, then symbols. A symbol's first byte may say that the checksum is made to fit,
 * as a fuzzer cannot find one; a peer, who has the key, can. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sup_riblt_symbol got[MAX];
    static struct sup_riblt_symbol sum[MAX];
    struct sup_hash_key key = {.k = {1, 2, 3}};
    struct sup_cur c = sup_cur_of(sup_slice_of(data, size));
    uint64_t n_set = sup_cur_be16(&c);
    struct sup_riblt_decoder *d = sup_riblt_decoder_new(&key, MAX);
    const struct sup_riblt_diff *diff;
    size_t n = 0;
    size_t n_diff = 0;
    int rc = SUP_OK;

    FUZZ_CHECK(d);
    while (rc == SUP_OK && c.n > 0 && !sup_riblt_decoder_done(d)) {
        struct sup_riblt_symbol s;
        uint8_t how = sup_cur_byte(&c);
        sup_riblt_unpack(&c, n, n_set, &s);
        if (c.failed)
            break;
        if (how & 1) {
            struct sup_riblt_item item = {s.key & 7, s.digest & 1};
            s.key = item.key;
            s.digest = item.digest;
            s.check = sup_riblt_hash(&key, &item) >> 16;
            s.count = how & 2 ? 1 : -1;
        }
        if (n < MAX)
            got[n] = s;
        rc = sup_riblt_decoder_add(d, &s);
        n += rc != SUP_ELIMIT;
    }
    FUZZ_CHECK(rc == SUP_OK || rc == SUP_ELIMIT || rc == SUP_ECORRUPT);
    FUZZ_CHECK(sup_riblt_decoder_symbols(d) <= MAX && n <= MAX);
    diff = sup_riblt_decoder_diff(d, &n_diff);
    FUZZ_CHECK(n_diff <= n);
    if (sup_riblt_decoder_done(d)) {
        memset(sum, 0, sizeof(sum));
        for (size_t i = 0; i < n_diff; i++)
            sup_riblt_toggle(sum, n, &key, &diff[i].item, diff[i].side);
        FUZZ_CHECK(memcmp(&sum[0], &got[0], sizeof(sum[0])) == 0);
    }
    sup_riblt_decoder_free(d);
    return 0;
}
