/* Archives come in pieces of any size; what comes out must not depend on the sizes. */
#include "base/array.h"
#include "base/err.h"
#include "core/archive.h"
#include "core/json_split.h"
#include "property.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DOCUMENT_MAX 2000

/* What came out of an archive, as one text: "offset:document;" or "offset:too long;". */
static void run(struct sup_archive *a, struct sup_slice text, size_t piece, struct sup_rng *rng,
                struct sup_buf *out)
{
    struct sup_slice doc;
    uint64_t offset;
    size_t at = 0, n;
    int rc;

    sup_archive_reset(a);
    sup_buf_reset(out);
    while ((rc = sup_archive_next(a, &doc, &offset)) != SUP_ENOTFOUND) {
        if (rc == SUP_OK) {
            assert_true(doc.n <= DOCUMENT_MAX && doc.n > 0);
            sup_buf_addf(out, "%llu:%.*s;", (unsigned long long)offset, (int)doc.n,
                         (const char *)doc.p);
        } else if (rc == SUP_ELIMIT) {
            sup_buf_addf(out, "%llu:too long;", (unsigned long long)offset);
        } else {
            assert_int_equal(rc, SUP_EAGAIN);
            uint8_t *p = sup_archive_room(a, &n);
            assert_non_null(p);
            assert_true(n > 0);
            n = n < piece ? n : piece;
            n = rng != NULL ? sup_rng_below(rng, n + 1) : n;
            n = n < text.n - at ? n : text.n - at;
            if (n > 0)
                memcpy(p, text.p + at, n);
            at += n;
            sup_archive_fed(a, n, at == text.n);
        }
    }
    assert_int_equal(at, text.n);
}

static void check(const char *text, const char *want)
{
    struct sup_archive *a = sup_archive_new(DOCUMENT_MAX);
    struct sup_buf out;

    sup_buf_init(&out, 1 << 20);
    assert_non_null(a);
    for (size_t piece = 1; piece < 80; piece += piece < 8 ? 1 : 13) {
        run(a, sup_slice_str(text), piece, NULL, &out);
        assert_string_equal(sup_buf_str(&out), want);
    }
    sup_buf_fini(&out);
    sup_archive_free(a);
}

static void test_documents(void **state)
{
    (void)state;
    check("", "");
    check("\n \r\n\t", "");
    check("{}", "0:{};");
    check("{}{}", "0:{};2:{};");
    check("{}\n{}\n", "0:{};3:{};");
    check("{}\n\n[1]\n\n", "0:{};4:[1];");
    check("{\n  \"a\": \"}{\\\"\"\n}\n{\"b\":1}", "0:{\n  \"a\": \"}{\\\"\"\n};18:{\"b\":1};");
    check("\xef\xbb\xbf{}", "3:{};");
    check("\xef\xbb", "0:\xef\xbb;");
}

static void test_damage(void **state)
{
    (void)state;
    /* What is no document is handed out by the line, for the reader to refuse. */
    check("junk\n{}", "0:junk\n;5:{};");
    check("{\"a\":\n{\"b\":1}\n", "0:{\"a\":\n;6:{\"b\":1};");
    check("{\"cut off", "0:{\"cut off;");
}

static void test_too_long(void **state)
{
    char text[3 * DOCUMENT_MAX + 100], want[200];
    const size_t long_n = DOCUMENT_MAX + 50;

    (void)state;
    /* A document that is too long, on one line. */
    snprintf(text, sizeof(text), "{}\n{\"a\":\"%0*d\"}\n{\"b\":2}\n", (int)long_n, 7);
    snprintf(want, sizeof(want), "0:{};3:too long;%zu:{\"b\":2};", 3 + 8 + long_n + 1);
    check(text, want);
    /* One that never ends, and nothing to go on with. */
    snprintf(text, sizeof(text), "{\"a\":\"%0*d", (int)long_n, 7);
    check(text, "0:too long;");
    /* Braces on the long line are not taken for documents, those on the next line are. */
    snprintf(text, sizeof(text), "{\"a\":\"%0*d {\"c\":1}\n[\n{\"b\":2}", (int)long_n, 7);
    snprintf(want, sizeof(want), "0:too long;%zu:{\"b\":2};", 6 + long_n + 9 + 2);
    check(text, want);
    /* The same, longer than any window. */
    size_t huge = DOCUMENT_MAX + 600 * 1024;
    char *big = malloc(huge + 100);
    assert_non_null(big);
    memset(big, '[', huge);
    memcpy(big + huge, "\n{}", 4);
    snprintf(want, sizeof(want), "0:too long;%zu:{};", huge + 1);
    struct sup_archive *a = sup_archive_new(DOCUMENT_MAX);
    struct sup_buf out;
    sup_buf_init(&out, 1 << 20);
    run(a, sup_slice_str(big), 65536, NULL, &out);
    assert_string_equal(sup_buf_str(&out), want);
    sup_buf_fini(&out);
    sup_archive_free(a);
    free(big);
}

/* Any bytes, any pieces: the same documents at the same places as from the whole text. */
static void test_pieces_do_not_matter(void **state)
{
    struct sup_rng rng = property_rng("archive pieces");
    struct sup_archive *a = sup_archive_new(DOCUMENT_MAX);
    static const char *const starts[] = {"{\"eventType\":", "{\n \"Type\"", "{\"notificationType\"",
                                         "{\"version", "{   \"Records\""};
    struct sup_buf whole, pieces;
    uint8_t text[1500];

    (void)state;
    sup_buf_init(&whole, 1 << 20);
    sup_buf_init(&pieces, 1 << 20);
    for (size_t i = 0; i < property_cases(3000); i++) {
        size_t n = sup_rng_below(&rng, sizeof(text));
        for (size_t k = 0; k < n; k++)
            text[k] = (uint8_t) "{}{}[]\"\"\\ \n\na,:"[sup_rng_below(&rng, 15)];
        for (size_t k = 0; property_chance(&rng, 50) && k + 20 < n;
             k += 20 + sup_rng_below(&rng, 99))
            memcpy(text + k, starts[k % SUP_COUNT(starts)], strlen(starts[k % SUP_COUNT(starts)]));
        struct sup_slice rest = {text, n}, doc;
        sup_buf_reset(&whole);
        while (sup_json_split(&rest, &doc))
            sup_buf_addf(&whole, "%zu:%.*s;", (size_t)(doc.p - text), (int)doc.n,
                         (const char *)doc.p);
        run(a, sup_slice_of(text, n), 1 + sup_rng_below(&rng, 40), &rng, &pieces);
        assert_string_equal(sup_buf_str(&whole), sup_buf_str(&pieces));
    }
    sup_buf_fini(&whole);
    sup_buf_fini(&pieces);
    sup_archive_free(a);
}

static void test_sniff(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        enum sup_archive_kind kind;
        const char *name;
    } cases[] = {
        {"", 0, SUP_ARCHIVE_TEXT, "JSON"},
        {"{\"eventType\"", 12, SUP_ARCHIVE_TEXT, "JSON"},
        {"\xef\xbb\xbf{", 4, SUP_ARCHIVE_TEXT, "JSON"},
        {"\n\r\t ", 4, SUP_ARCHIVE_TEXT, "JSON"},
        {"\x1f\x8b\x08", 3, SUP_ARCHIVE_GZIP, "gzip"},
        {"PAR1\x15\x04", 6, SUP_ARCHIVE_OTHER, "Parquet"},
        {"PK\x03\x04", 4, SUP_ARCHIVE_OTHER, "ZIP"},
        {"\xff\x06\x00\x00sNaPpY", 10, SUP_ARCHIVE_OTHER, "Snappy"},
        {"\x00\x04\x00\x00{", 5, SUP_ARCHIVE_OTHER, "binary data (Hadoop Snappy?)"},
        {"\xff\xfe{\x00", 4, SUP_ARCHIVE_OTHER, "UTF-16 text"},
        {"Obj\x01", 4, SUP_ARCHIVE_OTHER, "Avro"},
        {"ORC", 3, SUP_ARCHIVE_OTHER, "ORC"},
        {"\x28\xb5\x2f\xfd", 4, SUP_ARCHIVE_ZSTD, "Zstandard"},
        {"\x5e\x2a\x4d\x18", 4, SUP_ARCHIVE_ZSTD, "Zstandard"},
    };

    (void)state;
    for (size_t i = 0; i < SUP_COUNT(cases); i++) {
        const char *name = NULL;
        assert_int_equal(sup_archive_sniff(sup_slice_of(cases[i].bytes, cases[i].n), &name),
                         cases[i].kind);
        assert_string_equal(name, cases[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documents), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_too_long),  cmocka_unit_test(test_pieces_do_not_matter),
        cmocka_unit_test(test_sniff),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
