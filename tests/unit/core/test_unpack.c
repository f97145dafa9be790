/* gzip and Zstandard unpacked piece by piece: members and frames in a row, cut off, damaged, and
 * with windows that want too much memory. */
#include "base/array.h"
#include "core/unpack.h"
#include "property.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

static void pack_gzip(struct sup_slice s, struct sup_buf *out)
{
    z_stream z = {0};
    uint8_t *to = sup_buf_reserve(out, s.n + 1000);

    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 16 + 15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)s.p;
    z.avail_in = (uInt)s.n;
    z.next_out = to;
    z.avail_out = (uInt)s.n + 1000;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->n += s.n + 1000 - z.avail_out;
    deflateEnd(&z);
}

/* As a writer that streams: with a window, and without the size up front. */
static void pack_zstd(struct sup_slice s, int window_log, struct sup_buf *out)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();
    ZSTD_inBuffer in = {s.p, s.n, 0};
    ZSTD_outBuffer to = {sup_buf_reserve(out, s.n + 1000), s.n + 1000, 0};

    assert_non_null(c);
    ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, window_log);
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
    assert_false(ZSTD_isError(ZSTD_compressStream2(c, &to, &in, ZSTD_e_continue)));
    assert_int_equal(ZSTD_compressStream2(c, &to, &in, ZSTD_e_end), 0);
    out->n += to.pos;
    ZSTD_freeCCtx(c);
}

/* Everything, in pieces of at most in_max and out_max bytes. */
static int unpack(struct sup_unpack *u, enum sup_packing packing, struct sup_slice s, size_t in_max,
                  size_t out_max, struct sup_buf *out, struct sup_err *err)
{
    size_t at = 0, idle = 0, n;
    int rc = SUP_OK;

    sup_buf_reset(out);
    sup_unpack_begin(u, packing);
    while (rc == SUP_OK && idle < 3) {
        size_t have = s.n - at < in_max ? s.n - at : in_max;
        struct sup_slice in = sup_slice_of(s.p + at, have);
        bool last = at + have == s.n;
        uint8_t *to = sup_buf_reserve(out, out_max);
        rc = sup_unpack_run(u, &in, last, to, out_max, &n, err);
        assert_true(in.n <= have && n <= out_max);
        out->n += n;
        at += have - in.n;
        idle = n == 0 && have == in.n ? idle + 1 : 0;
    }
    if (rc == SUP_OK) {
        assert_int_equal(at, s.n);
        assert_false(sup_unpack_is_within(u));
    }
    return rc;
}

static void some_json(struct sup_rng *rng, struct sup_buf *out)
{
    sup_buf_reset(out);
    for (size_t i = sup_rng_below(rng, 200); i > 0; i--)
        sup_buf_addf(out, "{\"n\":%u}\n", (unsigned)sup_rng_below(rng, 1000));
}

static void test_members_and_frames_in_a_row(void **state)
{
    struct sup_rng rng = property_rng("unpack");
    struct sup_unpack *u = sup_unpack_new();
    struct sup_buf part, whole, packed, out;
    struct sup_err err = {0};

    (void)state;
    sup_buf_init(&part, 1 << 20);
    sup_buf_init(&whole, 1 << 20);
    sup_buf_init(&packed, 1 << 20);
    sup_buf_init(&out, 1 << 20);
    for (size_t i = 0; i < property_cases(300); i++) {
        enum sup_packing packing = (enum sup_packing)sup_rng_below(&rng, 3);
        sup_buf_reset(&whole);
        sup_buf_reset(&packed);
        for (size_t k = 1 + sup_rng_below(&rng, 4); k > 0; k--) {
            some_json(&rng, &part);
            sup_buf_add_slice(&whole, sup_buf_slice(&part));
            if (packing == SUP_PACKING_GZIP)
                pack_gzip(sup_buf_slice(&part), &packed);
            else if (packing == SUP_PACKING_ZSTD)
                pack_zstd(sup_buf_slice(&part), 10 + (int)sup_rng_below(&rng, 13), &packed);
            else
                sup_buf_add_slice(&packed, sup_buf_slice(&part));
            if (packing == SUP_PACKING_ZSTD && property_chance(&rng, 30))
                sup_buf_add(&packed, "\x51\x2a\x4d\x18\x03\0\0\0abc", 11); /* skipped */
        }
        if (packing == SUP_PACKING_GZIP && property_chance(&rng, 30))
            sup_buf_add(&packed, "\0\0\0", 3); /* padding */
        assert_int_equal(unpack(u, packing, sup_buf_slice(&packed), 1 + sup_rng_below(&rng, 300),
                                1 + sup_rng_below(&rng, 300), &out, &err),
                         SUP_OK);
        assert_true(sup_slice_eq(sup_buf_slice(&out), sup_buf_slice(&whole)));
    }
    sup_buf_fini(&part);
    sup_buf_fini(&whole);
    sup_buf_fini(&packed);
    sup_buf_fini(&out);
    sup_unpack_free(u);
}

/* Cut off anywhere: what was whole comes out, and then it is said; the next one is not spoilt. */
static void test_cut_off(void **state)
{
    static const enum sup_packing packings[] = {SUP_PACKING_GZIP, SUP_PACKING_ZSTD};
    static const char text[] = "{\"a\":1}\n{\"b\":2}\n";
    struct sup_unpack *u = sup_unpack_new();
    struct sup_buf packed, out;

    (void)state;
    sup_buf_init(&packed, 1 << 16);
    sup_buf_init(&out, 1 << 16);
    for (size_t k = 0; k < SUP_COUNT(packings); k++) {
        sup_buf_reset(&packed);
        if (packings[k] == SUP_PACKING_GZIP)
            pack_gzip(SUP_SLICE_LIT(text), &packed);
        else
            pack_zstd(SUP_SLICE_LIT(text), 17, &packed);
        for (size_t n = 1; n < packed.n; n++) {
            struct sup_err err = {0};
            assert_int_equal(unpack(u, packings[k], sup_slice_of(packed.p, n), 7, 5, &out, &err),
                             SUP_ECORRUPT);
            assert_non_null(strstr(err.msg, "is cut off"));
            assert_true(out.n <= sizeof(text) - 1 && memcmp(out.p, text, out.n) == 0);
        }
        assert_int_equal(unpack(u, packings[k], sup_buf_slice(&packed), 7, 5, &out, NULL), SUP_OK);
        assert_string_equal(sup_buf_str(&out), text);
    }
    sup_buf_fini(&packed);
    sup_buf_fini(&out);
    sup_unpack_free(u);
}

static void test_damaged(void **state)
{
    struct sup_rng rng = property_rng("unpack damaged");
    struct sup_unpack *u = sup_unpack_new();
    struct sup_buf part, packed, out;
    size_t told = 0;

    (void)state;
    sup_buf_init(&part, 1 << 16);
    sup_buf_init(&packed, 1 << 16);
    sup_buf_init(&out, 1 << 24);
    for (size_t i = 0; i < property_cases(2000); i++) {
        enum sup_packing packing = property_chance(&rng, 50) ? SUP_PACKING_GZIP : SUP_PACKING_ZSTD;
        struct sup_err err = {0};
        some_json(&rng, &part);
        sup_buf_reset(&packed);
        if (packing == SUP_PACKING_GZIP)
            pack_gzip(sup_buf_slice(&part), &packed);
        else
            pack_zstd(sup_buf_slice(&part), 17, &packed);
        property_mutate(&rng, packed.p, packed.n);
        int rc = unpack(u, packing, sup_buf_slice(&packed), 1 + sup_rng_below(&rng, 300), 256, &out,
                        &err);
        assert_true(rc == SUP_OK || rc == SUP_ECORRUPT);
        told += rc != SUP_OK;
        if (rc != SUP_OK)
            assert_true(strstr(err.msg, "damaged") || strstr(err.msg, "cut off") ||
                        strstr(err.msg, "window"));
    }
    assert_true(told > 0);
    sup_buf_fini(&part);
    sup_buf_fini(&packed);
    sup_buf_fini(&out);
    sup_unpack_free(u);
}

/* What wants more memory than one may promise is refused, and says what would help. */
static void test_large_window(void **state)
{
    struct sup_unpack *u = sup_unpack_new();
    struct sup_buf packed, out;
    struct sup_err err = {0};

    (void)state;
    sup_buf_init(&packed, 1 << 16);
    sup_buf_init(&out, 1 << 16);
    pack_zstd(SUP_SLICE_LIT("{}"), SUP_UNPACK_WINDOW_LOG, &packed);
    assert_int_equal(unpack(u, SUP_PACKING_ZSTD, sup_buf_slice(&packed), 100, 100, &out, &err),
                     SUP_OK);
    sup_buf_reset(&packed);
    pack_zstd(SUP_SLICE_LIT("{}"), SUP_UNPACK_WINDOW_LOG + 1, &packed);
    assert_int_equal(unpack(u, SUP_PACKING_ZSTD, sup_buf_slice(&packed), 100, 100, &out, &err),
                     SUP_ECORRUPT);
    assert_non_null(strstr(err.msg, "more than 8 MiB"));
    sup_buf_fini(&packed);
    sup_buf_fini(&out);
    sup_unpack_free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members_and_frames_in_a_row),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_large_window),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
