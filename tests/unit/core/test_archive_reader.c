/* Archives from whatever hands out bytes, in pieces of any size, whole, cut off and in trouble. */
#include "base/array.h"
#include "core/archive_reader.h"
#include "property.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct bytes {
    const uint8_t *p;
    size_t n, at;
    size_t piece;    /* at the most */
    size_t fails_at; /* SUP_EIO from here on; SIZE_MAX: never */
};

static int hand_out(void *arg, uint8_t *to, size_t room, size_t *n, struct sup_err *err)
{
    struct bytes *b = arg;

    if (b->at >= b->fails_at)
        return sup_err_set(err, SUP_EIO, "the line is dead");
    *n = b->n - b->at;
    *n = *n < room ? *n : room;
    *n = *n < b->piece ? *n : b->piece;
    if (*n > 0)
        memcpy(to, b->p + b->at, *n);
    b->at += *n;
    return SUP_OK;
}

/* "offset:document;" of all; returns how it ended. */
static int read_all(struct sup_archive_reader *r, struct bytes *b, struct sup_buf *out,
                    struct sup_err *err)
{
    struct sup_slice document;
    uint64_t offset;
    int rc = sup_archive_reader_begin(r, hand_out, b, err);

    sup_buf_reset(out);
    while (rc == SUP_OK) {
        rc = sup_archive_reader_next(r, &document, &offset, err);
        if (rc == SUP_OK)
            sup_buf_addf(out, "%llu:%.*s;", (unsigned long long)offset, (int)document.n,
                         (const char *)document.p);
    }
    return rc;
}

/* The beginning of a gzip of {"a":1}, made with gzip -n: its check sum is missing. */
static const uint8_t members[] = {
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03,
    0xab, 0x56, 0x4a, 0x54, 0xb2, 0x32, 0xac, 0x05, 0x00,
};

static const char two[] = "{\"a\":1}\n\n {\"b\":\"}\"} ";

static void test_pieces_do_not_matter(void **state)
{
    struct sup_archive_reader *r = sup_archive_reader_new();
    struct sup_buf out;
    struct sup_err err = {0};

    (void)state;
    assert_non_null(r);
    sup_buf_init(&out, 4096);
    for (size_t piece = 1; piece < sizeof(two) + 1; piece++) {
        struct bytes b = {(const uint8_t *)two, strlen(two), 0, piece, SIZE_MAX};
        assert_int_equal(read_all(r, &b, &out, &err), SUP_ENOTFOUND);
        assert_string_equal(sup_buf_str(&out), "0:{\"a\":1};10:{\"b\":\"}\"};");
        assert_int_equal(sup_archive_reader_bytes(r), strlen(two));
    }
    /* Nothing at all is an archive of nothing. */
    struct bytes none = {NULL, 0, 0, 1, SIZE_MAX};
    assert_int_equal(read_all(r, &none, &out, &err), SUP_ENOTFOUND);
    assert_int_equal(out.n, 0);
    sup_buf_fini(&out);
    sup_archive_reader_free(r);
}

static void test_trouble_is_passed_on(void **state)
{
    struct sup_archive_reader *r = sup_archive_reader_new();
    struct sup_buf out;

    (void)state;
    sup_buf_init(&out, 4096);
    for (size_t at = 0; at < strlen(two); at++) {
        struct bytes b = {(const uint8_t *)two, strlen(two), 0, 1, at};
        struct sup_err err = {0};
        assert_int_equal(read_all(r, &b, &out, &err), SUP_EIO);
        assert_string_equal(err.msg, "the line is dead");
        /* It stays at its end, and is good for another. */
        struct sup_slice document;
        uint64_t offset;
        assert_int_equal(sup_archive_reader_next(r, &document, &offset, &err), SUP_ENOTFOUND);
    }
    struct bytes b = {(const uint8_t *)two, strlen(two), 0, 100, SIZE_MAX};
    struct sup_err err = {0};
    assert_int_equal(read_all(r, &b, &out, &err), SUP_ENOTFOUND);
    assert_string_equal(sup_buf_str(&out), "0:{\"a\":1};10:{\"b\":\"}\"};");
    sup_buf_fini(&out);
    sup_archive_reader_free(r);
}

static void test_cut_off_gzip(void **state)
{
    struct sup_archive_reader *r = sup_archive_reader_new();
    struct sup_buf out;

    (void)state;
    sup_buf_init(&out, 4096);
    for (size_t n = 2; n < sizeof(members); n++) {
        struct bytes b = {members, n, 0, 3, SIZE_MAX};
        struct sup_err err = {0};
        assert_int_equal(read_all(r, &b, &out, &err), SUP_ECORRUPT);
    }
    sup_buf_fini(&out);
    sup_archive_reader_free(r);
}

/* gzip of documents that ends in damage: a bad check sum, or a code that is none, in the same piece
 * as the documents. They come out all the same. */
static void test_what_came_before_damage(void **state)
{
    static const uint8_t stored[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                     0x03, 0x00, 0x18, 0x00, 0xe7, 0xff, '{',  '"',  'a',
                                     '"',  ':',  '1',  '}',  '\n', '{',  '"',  'b',  '"',
                                     ':',  '2',  '}',  '\n', '{',  '"',  'c',  '"',  ':',
                                     '3',  '}',  '\n', 0x07, /* another block, of a kind that there
                                                                is not */
                                     0x00, 0x00};
    struct sup_archive_reader *r = sup_archive_reader_new();
    struct sup_buf out;

    (void)state;
    sup_buf_init(&out, 4096);
    for (size_t piece = 1; piece <= sizeof(stored); piece++) {
        struct bytes b = {stored, sizeof(stored), 0, piece, SIZE_MAX};
        struct sup_err err = {0};
        assert_int_equal(read_all(r, &b, &out, &err), SUP_ECORRUPT);
        assert_non_null(strstr(err.msg, "gzip data is damaged"));
        assert_string_equal(sup_buf_str(&out), "0:{\"a\":1};8:{\"b\":2};16:{\"c\":3};");
    }
    sup_buf_fini(&out);
    sup_archive_reader_free(r);
}

/* {"a":1} and {"b":2}, each a frame, made with zstd. */
static const uint8_t frames[] = {
    0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x07, 0x39, 0x00, 0x00, 0x7b, 0x22, 0x61, 0x22, 0x3a, 0x31, 0x7d,
    0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x07, 0x39, 0x00, 0x00, 0x7b, 0x22, 0x62, 0x22, 0x3a, 0x32, 0x7d,
};

static void test_zstd(void **state)
{
    struct sup_archive_reader *r = sup_archive_reader_new();
    struct sup_buf out;

    (void)state;
    sup_buf_init(&out, 4096);
    for (size_t n = 4; n <= sizeof(frames); n++) {
        struct bytes b = {frames, n, 0, 3, SIZE_MAX};
        struct sup_err err = {0};
        bool whole = n % 16 == 0;
        assert_int_equal(read_all(r, &b, &out, &err), whole ? SUP_ENOTFOUND : SUP_ECORRUPT);
        if (n == sizeof(frames))
            assert_string_equal(sup_buf_str(&out), "0:{\"a\":1};7:{\"b\":2};");
    }
    sup_buf_fini(&out);
    sup_archive_reader_free(r);
}

static void test_kinds_are_named(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *name;
    } kinds[] = {{"PAR1\x15\x04", 6, "Parquet"},
                 {"ORC\n", 4, "ORC"},
                 {"Obj\x01", 4, "Avro"},
                 {"BZh91AY", 7, "bzip2"},
                 {"PK\x03\x04", 4, "ZIP"}};
    struct sup_archive_reader *r = sup_archive_reader_new();
    struct sup_buf out;

    (void)state;
    sup_buf_init(&out, 4096);
    for (size_t i = 0; i < SUP_COUNT(kinds); i++) {
        struct bytes b = {(const uint8_t *)kinds[i].bytes, kinds[i].n, 0, 1, SIZE_MAX};
        struct sup_err err = {0};
        assert_int_equal(read_all(r, &b, &out, &err), SUP_EINPUT);
        assert_non_null(strstr(err.msg, kinds[i].name));
    }
    sup_buf_fini(&out);
    sup_archive_reader_free(r);
}

/* Whatever the bytes are: an end, and no more than they hold. */
static void test_rubbish(void **state)
{
    struct sup_rng rng = property_rng("rubbish");
    struct sup_archive_reader *r = sup_archive_reader_new();
    struct sup_buf out;
    uint8_t bytes[400];

    (void)state;
    sup_buf_init(&out, 1 << 20);
    for (size_t i = 0; i < property_cases(5000); i++) {
        size_t n = sup_rng_below(&rng, sizeof(bytes));
        struct bytes b = {bytes, n, 0, 1 + sup_rng_below(&rng, 100), SIZE_MAX};
        struct sup_err err = {0};
        property_bytes(&rng, bytes, n);
        if (property_chance(&rng, 50)) {
            memcpy(bytes, members, sizeof(members) < n ? sizeof(members) : n);
            property_mutate(&rng, bytes, n);
        }
        int rc = read_all(r, &b, &out, &err);
        assert_true(rc == SUP_ENOTFOUND || rc == SUP_EINPUT || rc == SUP_ECORRUPT);
    }
    sup_buf_fini(&out);
    sup_archive_reader_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_do_not_matter),
        cmocka_unit_test(test_trouble_is_passed_on),
        cmocka_unit_test(test_cut_off_gzip),
        cmocka_unit_test(test_what_came_before_damage),
        cmocka_unit_test(test_zstd),
        cmocka_unit_test(test_kinds_are_named),
        cmocka_unit_test(test_rubbish),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
