#include "core/json.h"

#include "aws_fixture.h"
#include "base/array.h"
#include "core/base64.h"
#include "core/json_locate.h"
#include "core/json_split.h"
#include "json_reference.h"
#include "property.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- a document as canonical text, through any reader --- */

static int write_value(void *ctx, struct sup_slice key, struct sup_json_value *v)
{
    struct sup_buf *out = ctx;
    int rc = SUP_OK;

    sup_buf_addf(out, "%zu:", key.n);
    sup_buf_add_slice(out, key);
    switch (v->type) {
    case SUP_JSON_NULL:
        sup_buf_add_str(out, "null");
        break;
    case SUP_JSON_BOOL:
        sup_buf_add_str(out, sup_json_bool(v) ? "true" : "false");
        break;
    case SUP_JSON_NUMBER:
        sup_buf_addf(out, "%a", sup_json_number(v));
        break;
    case SUP_JSON_STRING: {
        struct sup_slice s = sup_json_string(v);
        sup_buf_addf(out, "s%zu:", s.n);
        sup_buf_add_slice(out, s);
        break;
    }
    case SUP_JSON_ARRAY:
    case SUP_JSON_OBJECT:
        sup_buf_add_byte(out, v->type == SUP_JSON_ARRAY ? '[' : '{');
        rc = sup_json_each(v, (struct sup_json_sink){.take = write_value, .ctx = out});
        sup_buf_add_byte(out, v->type == SUP_JSON_ARRAY ? ']' : '}');
        break;
    }
    sup_buf_add_byte(out, ',');
    return rc;
}

struct readers {
    struct sup_json_parser *fast;
    struct sup_json_parser *plain;
    struct sup_buf a, b;
};

static void readers_init(struct readers *r)
{
    r->fast = sup_json_simdjson.new_parser(1 << 20);
    r->plain = json_reference.new_parser(1 << 20);
    assert_non_null(r->fast);
    sup_buf_init(&r->a, 16 << 20);
    sup_buf_init(&r->b, 16 << 20);
}

static void readers_fini(struct readers *r)
{
    sup_json_simdjson.free_parser(r->fast);
    json_reference.free_parser(r->plain);
    sup_buf_fini(&r->a);
    sup_buf_fini(&r->b);
}

/* Both readers and the locator must agree on text; returns whether it is accepted. */
static bool agree(struct readers *r, struct sup_slice text)
{
    struct sup_err err = {0};
    size_t at = 0;

    sup_buf_reset(&r->a);
    sup_buf_reset(&r->b);
    int fast = sup_json_walk(&sup_json_simdjson, r->fast, text,
                             (struct sup_json_sink){write_value, &r->a}, &err);
    int plain = sup_json_walk(&json_reference, r->plain, text,
                              (struct sup_json_sink){write_value, &r->b}, NULL);
    const char *what = sup_json_locate(text, &at);
    bool same = (fast == SUP_OK) == (plain == SUP_OK) && (fast == SUP_OK) == (what == NULL) &&
                sup_slice_eq(sup_buf_slice(&r->a), sup_buf_slice(&r->b)) && at <= text.n;
    if (!same) {
        print_message("fast %d (%s), plain %d, locator %s at %zu, document:\n", fast, err.msg,
                      plain, what != NULL ? what : "ok", at);
        print_message("%.*s\n", (int)text.n, (const char *)text.p);
        print_message("fast:  %s\nplain: %s\n", sup_buf_str(&r->a), sup_buf_str(&r->b));
        fail();
    }
    return fast == SUP_OK;
}

static bool agree_str(struct readers *r, const char *text)
{
    return agree(r, sup_slice_str(text));
}

/* --- tables --- */

/* Each stands as the only element of an array. */
static const char *const good[] = {
    "",
    "1",
    "-1",
    "0",
    "-0",
    "0.5",
    "1e5",
    "1E+5",
    "1e-5",
    "1e-400",
    "1.5e308",
    "18446744073709551615",
    "-9223372036854775808",
    "0e99999999999",
    "true",
    "false",
    "null",
    "\"\"",
    "\"a\"",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\u0000\"",
    "\"\\u00e9\"",
    "\"\\uFFFF\"",
    "\"\\ud83d\\ude00\"",
    "\"\\uDBFF\\uDFFF\"",
    "\"\x7f\"",
    "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
    "{}",
    "[]",
    "{\"a\":1}",
    "{\"a\":1,\"a\":2}",
    "{\"\":{\"\":[]}}",
    " 1 , 2 ",
    "\t\r\n1",
    "[1,[2,[3,{\"a\":[4]}]]]",
    "\"]\"",
    "\"}{,:\"",
};

static const char *const wrong[] = {
    ",",
    "1,",
    ",1",
    "1 2",
    "01",
    "1.",
    ".5",
    "+1",
    "1e",
    "1e+",
    "-",
    "--1",
    "0x10",
    "NaN",
    "Infinity",
    "-Infinity",
    "tru",
    "truex",
    "nul",
    "nullx",
    "True",
    "'a'",
    "a",
    "1a",
    "1f",
    "18446744073709551616",
    "-9223372036854775809",
    "123456789012345678901234567890",
    "1e400",
    "-1e400",
    "1.0e18446744073709551616",
    "\"",
    "\"\\\"",
    "\"\\",
    "\"\\q\"",
    "\"\\u\"",
    "\"\\u12\"",
    "\"\\u00zz\"",
    "\"\\ud800\"",
    "\"\\udc00\"",
    "\"\\udc00\\ud800\"",
    "\"\\ud800x\"",
    "\"\\ud800\\u0041\"",
    "\"\\ud800\\n\"",
    "\"\t\"",
    "\"\n\"",
    "\"\x01\"",
    "\"\xff\"",
    "\"\xc3\"",
    "\"\xc0\x80\"",
    "\"\xed\xa0\x80\"",
    "\"\xf4\x90\x80\x80\"",
    "\"\xe2\x82\"",
    "\xc3\xa9",
    "{",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{\"a\" 1}",
    "{a:1}",
    "{1:1}",
    "{\"a\":1 \"b\":2}",
    "{,}",
    "{\"a\":1]",
    "[1}",
    "[1",
    "]",
    "}",
    "1\f",
    "1\v",
    "/**/",
    "//\n",
    "\357\273\2771", /* a byte order mark */
    "1:2",
    ":",
};

static void test_accepts_what_rfc_8259_does(void **state)
{
    struct readers r;
    char text[512];

    (void)state;
    readers_init(&r);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        snprintf(text, sizeof(text), "[%s]", good[i]);
        if (!agree_str(&r, text))
            fail_msg("refused: %s", text);
    }
    readers_fini(&r);
}

static void test_refuses_the_rest(void **state)
{
    struct readers r;
    char text[512];

    (void)state;
    readers_init(&r);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(text, sizeof(text), "[%s]", wrong[i]);
        if (agree_str(&r, text))
            fail_msg("accepted: %s", text);
        snprintf(text, sizeof(text), "{\"a\":1,\"b\":[0,%s]}", wrong[i]);
        if (agree_str(&r, text))
            fail_msg("accepted: %s", text);
    }
    readers_fini(&r);
}

static void test_document_is_one_object_or_array(void **state)
{
    static const char *const whole[] = {"",      " ",   "1",    "\"a\"", "null",
                                        "[] []", "[]x", "{}{}", "[],",   "\xef\xbb\xbf[]",
                                        "]",     "x[]", "[]\f"};
    struct readers r;

    (void)state;
    readers_init(&r);
    for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
        if (agree_str(&r, whole[i]))
            fail_msg("accepted: %s", whole[i]);
    assert_true(agree_str(&r, " \n[] \t\r\n"));
    /* A NUL is no white space, at the end least of all. */
    assert_false(agree(&r, sup_slice_of("[]\0", 3)));
    assert_false(agree(&r, sup_slice_of("[1\0]", 4)));
    assert_false(agree(&r, sup_slice_of("[\"a\0b\"]", 7)));
    readers_fini(&r);
}

static const char *nest(struct sup_buf *out, int depth, const char *open, const char *inside,
                        const char *close)
{
    sup_buf_reset(out);
    for (int i = 0; i < depth; i++)
        sup_buf_add_str(out, open);
    sup_buf_add_str(out, inside);
    for (int i = 0; i < depth; i++)
        sup_buf_add_str(out, close);
    return sup_buf_str(out);
}

static void test_depth(void **state)
{
    static const struct {
        const char *open, *inside, *close;
    } kinds[] = {{"[", "1", "]"},         {"[", "[]", "]"},
                 {"[", "{}", "]"},        {"{\"a\":", "1", "}"},
                 {"{\"a\":", "[ ]", "}"}, {"[[1],", "\"x\"", ",{\"b\":{}}]"}};
    struct readers r;
    struct sup_buf buf;
    const char *text;
    struct sup_err err;

    (void)state;
    readers_init(&r);
    sup_buf_init(&buf, 4096);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        /* The last kind holds one level more beside its middle. */
        int most = SUP_JSON_DEPTH_MAX - (i == 5);
        text = nest(&buf, most, kinds[i].open, kinds[i].inside, kinds[i].close);
        if (!agree_str(&r, text))
            fail_msg("refused: %s", text);
        text = nest(&buf, most + 1, kinds[i].open, kinds[i].inside, kinds[i].close);
        if (agree_str(&r, text))
            fail_msg("accepted: %s", text);
        sup_buf_reset(&r.a);
        int rc = sup_json_walk(&sup_json_simdjson, r.fast, sup_slice_str(text),
                               (struct sup_json_sink){write_value, &r.a}, &err);
        assert_int_equal(rc, SUP_ELIMIT);
        assert_int_equal(err.code, SUP_ELIMIT);
        assert_non_null(strstr(err.msg, "nested too deep"));
    }
    sup_buf_fini(&buf);
    readers_fini(&r);
}

static void test_length(void **state)
{
    struct sup_json_parser *p = sup_json_simdjson.new_parser(10);
    struct sup_buf out;
    struct sup_json_sink sink = {write_value, &out};

    (void)state;
    sup_buf_init(&out, 100);
    assert_int_equal(
        sup_json_walk(&sup_json_simdjson, p, sup_slice_str("[\"123456\"]"), sink, NULL), SUP_OK);
    assert_int_equal(
        sup_json_walk(&sup_json_simdjson, p, sup_slice_str("[\"1234567\"]"), sink, NULL),
        SUP_ELIMIT);
    sup_buf_fini(&out);
    sup_json_simdjson.free_parser(p);
    sup_json_simdjson.free_parser(NULL);
}

static int stop_at_second(void *ctx, struct sup_slice key, struct sup_json_value *v)
{
    int *n = ctx;

    (void)key;
    if (v->type == SUP_JSON_ARRAY)
        return sup_json_each(v, (struct sup_json_sink){stop_at_second, ctx});
    return ++*n == 2 ? SUP_EEXIST : SUP_OK;
}

static void test_sink_ends_the_walk(void **state)
{
    struct sup_json_parser *p = sup_json_simdjson.new_parser(100);
    int n = 0;

    (void)state;
    assert_int_equal(sup_json_walk(&sup_json_simdjson, p, sup_slice_str("[1,2,3]"),
                                   (struct sup_json_sink){stop_at_second, &n}, NULL),
                     SUP_EEXIST);
    assert_int_equal(n, 2);
    sup_json_simdjson.free_parser(p);
}

/* --- where it is wrong --- */

static void test_error_says_where(void **state)
{
    static const struct {
        const char *text;
        size_t at;
        const char *what;
    } cases[] = {
        {"{\"a\":1,}", 7, "expected a key"},
        {"{\"a\" 1}", 5, "expected ':'"},
        {"[1 2]", 3, "expected ',' or ']'"},
        {"{\"a\":1]", 6, "expected ',' or '}'"},
        {"[\"a\xff\"]", 3, "invalid UTF-8"},
        {"[\"a\x01\"]", 3, "control character in a string"},
        {"[\"\\q\"]", 3, "unknown escape"},
        {"[\"\\udc00\"]", 8, "unpaired surrogate"},
        {"[1e999]", 1, "number out of range"},
        {"[01]", 2, "expected ',' or ']'"},
        {"[nul]", 4, "unknown word"},
        {"[1", 2, "document ends too early"},
        {"", 0, "document ends too early"},
        {"[] x", 3, "something behind the end of the document"},
        {"hello", 0, "not a JSON object or array"},
    };
    struct sup_json_parser *p = sup_json_simdjson.new_parser(100);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sup_buf out;
        struct sup_err err;
        char want[128];
        sup_buf_init(&out, 100);
        int rc = sup_json_walk(&sup_json_simdjson, p, sup_slice_str(cases[i].text),
                               (struct sup_json_sink){write_value, &out}, &err);
        assert_int_equal(rc, SUP_EINPUT);
        snprintf(want, sizeof(want), "malformed JSON: %s at byte %zu", cases[i].what, cases[i].at);
        assert_string_equal(err.msg, want);
        sup_buf_fini(&out);
    }
    sup_json_simdjson.free_parser(p);
}

/* --- jansson, a reader that others wrote --- */

/* Where jansson differs by design: no integer past int64, NUL refused in keys, other depth. */
static bool jansson_comparable(struct sup_slice text)
{
    return memmem(text.p, text.n, "\\u0000", 6) == NULL;
}

static bool jansson_accepts(struct sup_slice text)
{
    json_error_t e;
    json_t *j = json_loadb((const char *)text.p, text.n, JSON_ALLOW_NUL, &e);
    bool ok = j != NULL || json_error_code(&e) == json_error_numeric_overflow;

    json_decref(j);
    return ok;
}

static size_t mutate(struct sup_rng *rng, uint8_t *p, size_t n, size_t cap)
{
    static const char *const snippets[] = {"{",     "}",    "[",      "]",        ",",    ":",
                                           "\"",    "\\",   "\\u",    "\\ud800",  "null", "1",
                                           "1e999", "\xff", "\xc3",   "\"a\":{}", "true", "-",
                                           " ",     "\n",   "\\\\\"", "0.",       "{}"};
    for (uint64_t k = 1 + sup_rng_below(rng, 3); k > 0 && n > 0; k--) {
        size_t at = sup_rng_below(rng, n);
        size_t cut = sup_rng_below(rng, 4);
        const char *s = snippets[sup_rng_below(rng, sizeof(snippets) / sizeof(snippets[0]))];
        size_t len = property_chance(rng, 30) ? 0 : strlen(s);
        if (at + cut > n)
            cut = n - at;
        if (n - cut + len > cap)
            continue;
        memmove(p + at + len, p + at + cut, n - at - cut);
        memcpy(p + at, s, len);
        n = n - cut + len;
    }
    return n;
}

static void test_mutations_three_readers(void **state)
{
    static const char seed[] =
        "{\"a\":[1,-2.5e3,true,false,null,\"x\\u00e9\\ud83d\\ude00\\n\"],\"b\":{\"c\":{},\"d\":[]},"
        "\"caf\xc3\xa9\":\"\\\"quoted\\\"\",\"n\":18446744073709551615,\"m\":0.1}";
    struct sup_rng rng = property_rng("json mutations");
    struct readers r;
    size_t cases = property_cases(20000), accepted = 0, jansson = 0;

    (void)state;
    readers_init(&r);
    for (size_t i = 0; i < cases; i++) {
        uint8_t text[512];
        memcpy(text, seed, sizeof(seed) - 1);
        struct sup_slice s = {text, mutate(&rng, text, sizeof(seed) - 1, sizeof(text))};
        bool ok = agree(&r, s);
        accepted += ok;
        if (!jansson_comparable(s))
            continue;
        jansson++;
        if (ok && !jansson_accepts(s))
            fail_msg("jansson refuses: %.*s", (int)s.n, (const char *)s.p);
    }
    print_message("%zu mutations, %zu of them valid, %zu shown to jansson\n", cases, accepted,
                  jansson);
    assert_true(accepted > cases / 100 && accepted < cases);
    readers_fini(&r);
}

/* --- splitting --- */

static void check_split(const char *text, const char *const *want)
{
    struct sup_slice rest = sup_slice_str(text), doc;
    size_t i = 0;

    while (sup_json_split(&rest, &doc)) {
        assert_non_null(want[i]);
        if (!sup_slice_eq(doc, sup_slice_str(want[i])))
            fail_msg("document %zu of %s is %.*s", i, text, (int)doc.n, (const char *)doc.p);
        i++;
    }
    assert_null(want[i]);
    assert_int_equal(rest.n, 0);
}

static void test_split(void **state)
{
    (void)state;
    check_split("", (const char *const[]){NULL});
    check_split(" \n\r\t", (const char *const[]){NULL});
    check_split("{}", (const char *const[]){"{}", NULL});
    check_split("{}{}[]", (const char *const[]){"{}", "{}", "[]", NULL});
    check_split("{\"a\":\"}\"}\n\n{\"b\":\"\\\"}\"}\n",
                (const char *const[]){"{\"a\":\"}\"}", "{\"b\":\"\\\"}\"}", NULL});
    check_split("{\n \"a\": [\n{}\n]\n}\n{}",
                (const char *const[]){"{\n \"a\": [\n{}\n]\n}", "{}", NULL});
    /* Damaged ones do not take the next with them. */
    check_split("junk\n{}", (const char *const[]){"junk\n", "{}", NULL});
    check_split("{\"a\":\n{\"b\":1}\n", (const char *const[]){"{\"a\":\n", "{\"b\":1}", NULL});
    check_split("{\"a\n{}", (const char *const[]){"{\"a\n", "{}", NULL});
    check_split("{\"a\\", (const char *const[]){"{\"a\\", NULL});
    check_split("}{}", (const char *const[]){"}{}", NULL});
}

/* One damaged document in a line of good ones costs none of them, whatever it lost. */
static void test_split_finds_the_next_one(void **state)
{
    static const char *const events[] = {
        "{\"eventType\":\"Send\",\"a\":[{\"b\":\"}\\\"\"}]}",
        "{\"notificationType\" : \"Bounce\"}",
        "{\n  \"Type\" : \"Notification\", \"Message\":\"{\\\"eventType\\\":1}\"}",
        "{\"version\":\"0\",\"detail\":{}}",
        "{\"Records\":[]}",
    };
    static const char *const broken[] = {
        "{\"eventType\":\"Bou",
        "{\"eventType\":\"Bounce\",\"mail\":{\"destination\":[\"a",
        "{\"eventType\":\"Bounce\",\"mail\":{",
        "{\"eventType\":Bounce\"}",
        "{\"a\" \"b\"}",
        "{",
        "[[",
        "not json ",
        "}]",
        "\"",
        "{\"a\":\"\\",
    };

    (void)state;
    for (size_t g = 0; g < SUP_COUNT(events); g++) {
        for (size_t b = 0; b < SUP_COUNT(broken); b++) {
            char text[1000];
            snprintf(text, sizeof(text), "%s%s%s%s", events[g], broken[b], events[g], events[g]);
            struct sup_slice rest = sup_slice_str(text), doc;
            size_t found = 0, others = 0;
            while (sup_json_split(&rest, &doc)) {
                bool is_good = sup_slice_eq(doc, sup_slice_str(events[g]));
                found += is_good;
                others += !is_good;
            }
            if (found != 3 || others != 1)
                fail_msg("%s: %zu found, %zu others", text, found, others);
        }
    }
    /* Valid documents are never cut short, whatever objects they hold. */
    check_split("{\"a\":{\"eventType\":1},\"b\" : [\"x\" , \"y\"]\n}{\"Type\":2}",
                (const char *const[]){"{\"a\":{\"eventType\":1},\"b\" : [\"x\" , \"y\"]\n}",
                                      "{\"Type\":2}", NULL});
    /* The end of a line within a string ends it all, as long as what follows begins with a brace.
     */
    check_split("{\"a\":\"b\n{\"c\":1}\n{\"d\":2}\n",
                (const char *const[]){"{\"a\":\"b\n", "{\"c\":1}", "{\"d\":2}", NULL});
}

static void test_split_ends_and_covers(void **state)
{
    struct sup_rng rng = property_rng("split");

    (void)state;
    for (size_t i = 0; i < property_cases(5000); i++) {
        uint8_t text[64];
        size_t n = sup_rng_below(&rng, sizeof(text));
        for (size_t k = 0; k < n; k++)
            text[k] = (uint8_t) "{}[]\"\\ \na"[sup_rng_below(&rng, 9)];
        struct sup_slice rest = {text, n}, doc;
        const uint8_t *at = text;
        while (sup_json_split(&rest, &doc)) {
            assert_true(doc.n > 0 && doc.p >= at && doc.p + doc.n == rest.p);
            at = rest.p;
        }
        assert_true(rest.p == text + n);
    }
}

/* --- base64 --- */

static void check_base64(const char *text, int rc, const char *want)
{
    struct sup_buf out;

    sup_buf_init(&out, 100);
    assert_int_equal(sup_base64_decode(sup_slice_str(text), &out), rc);
    if (rc == SUP_OK)
        assert_string_equal(sup_buf_str(&out), want);
    sup_buf_fini(&out);
}

static void test_base64(void **state)
{
    struct sup_buf out;

    (void)state;
    /* RFC 4648 section 10. */
    check_base64("", SUP_OK, "");
    check_base64("Zg==", SUP_OK, "f");
    check_base64("Zm8=", SUP_OK, "fo");
    check_base64("Zm9v", SUP_OK, "foo");
    check_base64("Zm9vYg==", SUP_OK, "foob");
    check_base64("Zm9vYmE=", SUP_OK, "fooba");
    check_base64("Zm9vYmFy", SUP_OK, "foobar");
    check_base64("+/A=", SUP_OK, "\xfb\xf0");
    static const char *const refused[] = {"Z",    "Zg",   "Zg=",     "Zg===", "====",
                                          "=g==", "Z===", "Zh==",    "Zm9=",  "Zm 8",
                                          "Zm8-", "Zm8_", "Zg==Zg=="};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        check_base64(refused[i], SUP_EINPUT, NULL);
    sup_buf_init(&out, 2);
    assert_int_equal(sup_base64_decode(sup_slice_str("Zm9v"), &out), SUP_ELIMIT);
    sup_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts_what_rfc_8259_does),
        cmocka_unit_test(test_refuses_the_rest),
        cmocka_unit_test(test_document_is_one_object_or_array),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_sink_ends_the_walk),
        cmocka_unit_test(test_error_says_where),
        cmocka_unit_test(test_mutations_three_readers),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_split_finds_the_next_one),
        cmocka_unit_test(test_split_ends_and_covers),
        cmocka_unit_test(test_base64),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
