/* Frames: round trips in pieces of any size, golden bytes, and every way to be damaged. */
#include "base/random.h"
#include "codec/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <xxhash.h>
#include <zstd.h>

static int decode_all(struct sup_frame_decoder *d, struct sup_slice in, size_t piece,
                      struct sup_frame *out, struct sup_err *err)
{
    int rc = SUP_EAGAIN;

    while (in.n > 0 && rc == SUP_EAGAIN) {
        struct sup_slice part = sup_slice_of(in.p, in.n < piece ? in.n : piece);
        size_t before = part.n;
        rc = sup_frame_decode(d, &part, out, err);
        if (rc == SUP_EAGAIN)
            assert_int_equal(part.n, 0);
        in.p += before - part.n;
        in.n -= before - part.n;
    }
    return rc;
}

static void header(struct sup_buf *b, uint32_t length, uint16_t type, uint16_t flags,
                   struct sup_slice body)
{
    sup_buf_add_be32(b, length);
    sup_buf_add_be16(b, type);
    sup_buf_add_be16(b, flags);
    sup_buf_add_be64(b, XXH3_64bits_withSeed(body.p, body.n, ((uint64_t)type << 16) | flags));
    sup_buf_add_slice(b, body);
}

static void fill(struct sup_rng *rng, uint8_t *p, size_t n, bool compressible)
{
    for (size_t i = 0; i < n; i++)
        p[i] = compressible ? (uint8_t)("abcd"[sup_rng_below(rng, 4)]) : (uint8_t)sup_rng_u64(rng);
}

static void round_trips(void **state)
{
    (void)state;
    uint64_t seed = (uint64_t)time(NULL);
    struct sup_rng rng;
    struct sup_frame_encoder *enc = sup_frame_encoder_new();
    struct sup_frame_decoder *dec = sup_frame_decoder_new(SUP_FRAME_BODY_MAX);
    static uint8_t body[200000];

    sup_rng_seed(&rng, seed);
    for (int i = 0; i < 300; i++) {
        size_t n = sup_rng_below(&rng, i % 7 == 0 ? sizeof(body) : 3000);
        bool compressible = sup_rng_below(&rng, 2) == 0;
        bool bulk = sup_rng_below(&rng, 2) == 0;
        uint16_t type = (uint16_t)sup_rng_u64(&rng);
        uint16_t flags = sup_rng_below(&rng, 2) ? SUP_FRAME_SKIPPABLE : 0;
        struct sup_buf wire;
        struct sup_frame f;
        struct sup_err err = {0};

        fill(&rng, body, n, compressible);
        sup_buf_init(&wire, 1U << 20);
        int rc = bulk ? sup_frame_encode_bulk(enc, type, flags, sup_slice_of(body, n), &wire)
                      : sup_frame_encode(type, flags, sup_slice_of(body, n), &wire);
        assert_int_equal(rc, SUP_OK);
        rc = decode_all(dec, sup_buf_slice(&wire), 1 + sup_rng_below(&rng, 5000), &f, &err);
        if (rc != SUP_OK)
            print_message("seed %llu, case %d: %s\n", (unsigned long long)seed, i, err.msg);
        assert_int_equal(rc, SUP_OK);
        assert_int_equal(f.type, type);
        assert_int_equal(f.flags & SUP_FRAME_SKIPPABLE, flags);
        assert_int_equal(f.body.n, n);
        assert_int_equal(f.wire_size, wire.n);
        if (n > 0)
            assert_memory_equal(f.body.p, body, n);
        /* Compressed exactly when that pays. */
        bool packed = (f.flags & SUP_FRAME_ZSTD) != 0;
        if (bulk && compressible && n > 2 * SUP_FRAME_ZSTD_MIN)
            assert_true(packed);
        if (!bulk || n <= SUP_FRAME_ZSTD_MIN || !compressible)
            assert_false(packed);
        if (packed)
            assert_true(wire.n < n);
        sup_buf_fini(&wire);
    }
    sup_frame_encoder_free(enc);
    sup_frame_decoder_free(dec);
}

static void several_frames_in_one_piece(void **state)
{
    (void)state;
    struct sup_frame_decoder *dec = sup_frame_decoder_new(SUP_FRAME_BODY_MAX);
    struct sup_buf wire;
    struct sup_frame f;

    sup_buf_init(&wire, 4096);
    for (uint8_t i = 0; i < 5; i++)
        assert_int_equal(sup_frame_encode(i, 0, sup_slice_of(&i, i % 2), &wire), SUP_OK);
    sup_buf_add(&wire, "\0\0", 2); /* and the beginning of a sixth */
    struct sup_slice in = sup_buf_slice(&wire);
    for (uint8_t i = 0; i < 5; i++) {
        assert_int_equal(sup_frame_decode(dec, &in, &f, NULL), SUP_OK);
        assert_int_equal(f.type, i);
        assert_int_equal(f.body.n, i % 2);
    }
    assert_int_equal(sup_frame_decode(dec, &in, &f, NULL), SUP_EAGAIN);
    assert_int_equal(in.n, 0);
    sup_buf_fini(&wire);
    sup_frame_decoder_free(dec);
}

/* The wrong one of two bytes anywhere is noticed, and the decoder stays refused. */
static void every_flipped_bit_is_noticed(void **state)
{
    (void)state;
    struct sup_buf wire;
    struct sup_frame f;

    sup_buf_init(&wire, 4096);
    assert_int_equal(sup_frame_encode(SUP_FRAME_PULL, 0, SUP_SLICE_LIT("some body"), &wire),
                     SUP_OK);
    for (size_t bit = 0; bit < wire.n * 8; bit++) {
        struct sup_frame_decoder *dec = sup_frame_decoder_new(64);
        wire.p[bit / 8] ^= (uint8_t)(1U << bit % 8);
        int rc = decode_all(dec, sup_buf_slice(&wire), SIZE_MAX, &f, NULL);
        /* A longer length waits for bytes that never come; all others are errors. */
        assert_int_not_equal(rc, SUP_OK);
        if (rc == SUP_EAGAIN) {
            assert_true(bit < 32);
        } else {
            struct sup_slice in = SUP_SLICE_LIT("x");
            assert_int_equal(sup_frame_decode(dec, &in, &f, NULL), rc);
        }
        wire.p[bit / 8] ^= (uint8_t)(1U << bit % 8);
        sup_frame_decoder_free(dec);
    }
    sup_buf_fini(&wire);
}

static void expect(struct sup_buf *wire, size_t max, int code, const char *text)
{
    struct sup_frame_decoder *dec = sup_frame_decoder_new(max);
    struct sup_frame f;
    struct sup_err err = {0};

    assert_int_equal(decode_all(dec, sup_buf_slice(wire), SIZE_MAX, &f, &err), code);
    if (!strstr(err.msg, text))
        print_message("\"%s\" does not say \"%s\"\n", err.msg, text);
    assert_non_null(strstr(err.msg, text));
    sup_frame_decoder_free(dec);
    sup_buf_reset(wire);
}

static void limits(void **state)
{
    (void)state;
    struct sup_buf wire;

    sup_buf_init(&wire, 8U << 20);
    header(&wire, SUP_FRAME_BODY_MAX + 1, 6, 0, SUP_SLICE_LIT(""));
    expect(&wire, SUP_FRAME_BODY_MAX, SUP_ELIMIT, "at most 4194304");
    header(&wire, UINT32_MAX, 6, 0, SUP_SLICE_LIT(""));
    expect(&wire, SIZE_MAX, SUP_ELIMIT, "at most 4194304");
    header(&wire, 65, 1, 0, SUP_SLICE_LIT(""));
    expect(&wire, 64, SUP_ELIMIT, "at most 64");
    /* A browser: "GET " read as a length. */
    sup_buf_add_str(&wire, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(&wire, SUP_FRAME_BODY_MAX, SUP_ELIMIT, "frame of 1195725856 bytes");
    header(&wire, 1, 6, 0x0004, SUP_SLICE_LIT("x"));
    expect(&wire, 64, SUP_EVERSION, "unknown flags 0x0004");

    static uint8_t big[SUP_FRAME_BODY_MAX + 1];
    assert_int_equal(sup_frame_encode(6, 0, sup_slice_of(big, sizeof(big)), &wire), SUP_ELIMIT);
    assert_int_equal(sup_frame_encode(6, 0, sup_slice_of(big, sizeof(big) - 1), &wire), SUP_OK);
    sup_buf_fini(&wire);
}

/* Flags of the upper half may be ignored: a later version can use them freely. */
static void upper_flags_pass(void **state)
{
    (void)state;
    struct sup_frame_decoder *dec = sup_frame_decoder_new(64);
    struct sup_buf wire;
    struct sup_frame f;

    sup_buf_init(&wire, 100);
    header(&wire, 1, 6, 0x8100, SUP_SLICE_LIT("x"));
    assert_int_equal(decode_all(dec, sup_buf_slice(&wire), 3, &f, NULL), SUP_OK);
    assert_int_equal(f.flags, 0x8100);
    sup_buf_fini(&wire);
    sup_frame_decoder_free(dec);
}

static void bad_compression(void **state)
{
    (void)state;
    struct sup_buf wire;
    uint8_t packed[8192];
    static uint8_t zeros[SUP_FRAME_BODY_MAX + 1];

    sup_buf_init(&wire, 1U << 20);
    header(&wire, 4, 6, SUP_FRAME_ZSTD, SUP_SLICE_LIT("nope"));
    expect(&wire, SUP_FRAME_BODY_MAX, SUP_ECORRUPT, "without a content size");
    header(&wire, 0, 6, SUP_FRAME_ZSTD, SUP_SLICE_LIT(""));
    expect(&wire, SUP_FRAME_BODY_MAX, SUP_ECORRUPT, "without a content size");

    /* A bomb: four megabytes and one of zeros in some hundred bytes. */
    size_t n = ZSTD_compress(packed, sizeof(packed), zeros, sizeof(zeros), 1);
    assert_false(ZSTD_isError(n));
    header(&wire, (uint32_t)n, 6, SUP_FRAME_ZSTD, sup_slice_of(packed, n));
    expect(&wire, SUP_FRAME_BODY_MAX, SUP_ELIMIT, "4194305 bytes after decompression");
    /* A HELLO may not unfold past its own limit either. */
    n = ZSTD_compress(packed, sizeof(packed), zeros, 100000, 1);
    header(&wire, (uint32_t)n, 1, SUP_FRAME_ZSTD, sup_slice_of(packed, n));
    expect(&wire, 65536, SUP_ELIMIT, "100000 bytes after decompression");
    /* Two frames in a row: the second would pass the stated size. */
    size_t m = ZSTD_compress(packed + n, sizeof(packed) - n, zeros, 1000, 1);
    header(&wire, (uint32_t)(n + m), 6, SUP_FRAME_ZSTD, sup_slice_of(packed, n + m));
    expect(&wire, SUP_FRAME_BODY_MAX, SUP_ECORRUPT, "damaged compressed frame");
    /* Cut short. */
    header(&wire, (uint32_t)(n - 1), 6, SUP_FRAME_ZSTD, sup_slice_of(packed, n - 1));
    expect(&wire, SUP_FRAME_BODY_MAX, SUP_ECORRUPT, "damaged compressed frame");
    sup_buf_fini(&wire);
}

static void limit_applies_from_the_next_header(void **state)
{
    (void)state;
    struct sup_frame_decoder *dec = sup_frame_decoder_new(4);
    struct sup_buf wire;
    struct sup_frame f;

    sup_buf_init(&wire, 256);
    assert_int_equal(sup_frame_encode(1, 0, SUP_SLICE_LIT("1234"), &wire), SUP_OK);
    assert_int_equal(sup_frame_encode(2, 0, SUP_SLICE_LIT("12345"), &wire), SUP_OK);
    struct sup_slice in = sup_buf_slice(&wire);
    assert_int_equal(sup_frame_decode(dec, &in, &f, NULL), SUP_OK);
    sup_frame_decoder_set_max(dec, 5);
    assert_int_equal(sup_frame_decode(dec, &in, &f, NULL), SUP_OK);
    assert_memory_equal(f.body.p, "12345", 5);
    sup_buf_fini(&wire);
    sup_frame_decoder_free(dec);
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(sup_frame_type_name(SUP_FRAME_HELLO), "HELLO");
    assert_string_equal(sup_frame_type_name(SUP_FRAME_ACK), "ACK");
    assert_string_equal(sup_frame_type_name(0), "unknown");
    assert_string_equal(sup_frame_type_name(65535), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),
        cmocka_unit_test(several_frames_in_one_piece),
        cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(limits),
        cmocka_unit_test(upper_flags_pass),
        cmocka_unit_test(bad_compression),
        cmocka_unit_test(limit_applies_from_the_next_header),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
