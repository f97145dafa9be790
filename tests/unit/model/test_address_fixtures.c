/* Addresses that other projects collected, with their verdicts.
 *
 * This is no validator and does not try to agree with one. What any real mail system delivers must
 * be accepted, since a suppression that cannot be recorded protects nobody; a wrong structure must
 * be refused, since it would be recorded and protect nobody either. Where that differs from a
 * collection's verdict, the class of the case stands in the table of deviations, with the number of
 * its cases, so that a change of behaviour is noticed. */
#include "aws_fixture.h"

#include "base/array.h"
#include "model/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum verdict { REFUSE, ACCEPT, EITHER };

struct deviation {
    const char
        *class; /* the collection's word; a case belongs to the class that its own begins with */
    size_t count;
};

struct collection {
    const char *file;
    size_t want_accepted; /* pins the cases for which both answers do, as well */
    size_t cases; /* counts are exact for the collection of this size, else only the classes are */
    const struct deviation *deviations;
    size_t n_deviations;
    size_t seen[64];
    size_t ran;
    size_t accepted;
};

#define COLLECTION(f, n, ok, d)                                                                    \
    {                                                                                              \
        .file = (f), .cases = (n), .want_accepted = (ok), .deviations = (d),                       \
        .n_deviations = SUP_COUNT(d)                                                               \
    }

static void judge(struct collection *c, const char *class, const char *text, size_t n, bool ok,
                  enum verdict want)
{
    c->ran++;
    c->accepted += ok;
    if (want == EITHER || ok == (want == ACCEPT))
        return;
    for (size_t i = 0; i < c->n_deviations; i++) {
        const char *known = c->deviations[i].class;
        if (strncmp(known, class, strlen(known)) == 0) {
            c->seen[i]++;
            return;
        }
    }
    fail_msg("%s: '%.*s' (%s) should be %s", c->file, (int)n, text, class,
             ok ? "refused" : "accepted");
}

static void finish(const struct collection *c)
{
    print_message("%s: %zu cases ran, %zu accepted\n", c->file, c->ran, c->accepted);
    bool changed = c->ran == c->cases && c->accepted != c->want_accepted;

    assert_true(c->ran > 0 && c->n_deviations <= SUP_COUNT(c->seen));
    for (size_t i = 0; i < c->n_deviations; i++) {
        if (c->seen[i] > 0)
            print_message("    %zu differ: %s\n", c->seen[i], c->deviations[i].class);
        if (c->ran == c->cases && c->seen[i] != c->deviations[i].count)
            changed = true;
    }
    if (changed)
        fail_msg("%s: other numbers than the table has", c->file);
}

/* NULL, having said so, when the file is not there. Lone surrogates, which stand in some files and
 * which JSON readers refuse, become the bytes ED A0 80: what sloppy software makes of them. */
static json_t *load(const char *file)
{
    const char *path = fixture_path("addresses/%s", file);
    char *text = path ? fixture_read(path, NULL) : NULL;
    json_t *json;

    if (!text) {
        print_message("%s is not there: skipped\n", file);
        return NULL;
    }
    for (char *p = text; (p = strstr(p, "\\ud")); p += 6) {
        bool high = p[3] != '\0' && strchr("89abAB", p[3]);
        if (high && strncmp(p + 6, "\\ud", 3) == 0)
            p += 6;
        else if (p[3] != '\0' && strchr("89abcdefABCDEF", p[3]))
            memcpy(p, "\\uf8f0", 6);
    }
    json = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    free(text);
    assert_non_null(json);
    return json;
}

/* The string as bytes, behind prefix and before suffix; malloc'd. */
static char *bytes_of(const char *prefix, const json_t *s, const char *suffix, size_t *n)
{
    size_t len = json_string_length(s);
    char *out = malloc(strlen(prefix) + len + strlen(suffix) + 1);

    assert_non_null(out);
    memcpy(out, prefix, strlen(prefix));
    *n = strlen(prefix);
    memcpy(out + *n, json_string_value(s), len);
    *n += len;
    memcpy(out + *n, suffix, strlen(suffix));
    *n += strlen(suffix);
    for (size_t i = 0; i + 3 <= *n; i++) {
        if (memcmp(out + i, "\xef\xa3\xb0", 3) == 0)
            memcpy(out + i, "\xed\xa0\x80", 3);
    }
    out[*n] = '\0';
    return out;
}

/* ---- isemail ---- */

/* Diagnoses below ERR are about form that a mailbox may have; obsolete syntax (DEPREC) and what RFC
 * 5322 has beyond RFC 5321 never reaches an SMTP envelope, so both answers do. */
static enum verdict isemail_verdict(const char *diagnosis)
{
    static const char *const good[] = {"ISEMAIL_VALID", "ISEMAIL_DNSWARN", "ISEMAIL_RFC5321",
                                       "ISEMAIL_CFWS"};

    for (size_t i = 0; i < SUP_COUNT(good); i++) {
        if (strncmp(diagnosis, good[i], strlen(good[i])) == 0)
            return ACCEPT;
    }
    return strncmp(diagnosis, "ISEMAIL_ERR", 11) == 0 ? REFUSE : EITHER;
}

static void judge_isemail(struct collection *c, const char *diagnosis, const char *text, size_t n)
{
    struct sup_address a;
    struct sup_address b;
    bool ok = sup_address_parse_mailbox(text, n, &a, NULL) == SUP_OK;

    judge(c, diagnosis, text, n, ok, isemail_verdict(diagnosis));
    if (sup_address_parse(text, n, &b, NULL) == SUP_OK) {
        assert_true(ok); /* a bare address is a mailbox */
        assert_string_equal(a.key, b.key);
    }
}

static const struct deviation isemail_deviations[] = {
    /* providers have such mailboxes */
    {"ISEMAIL_ERR_DOT_START", 1},
    {"ISEMAIL_ERR_DOT_END", 2},
    {"ISEMAIL_ERR_CONSECUTIVEDOTS", 0},
    /* white space around is trimmed, however its lines are folded */
    {"ISEMAIL_ERR_EXPECTING_ATEXT", 2},
    {"ISEMAIL_ERR_CR_NO_LF", 4},
    {"ISEMAIL_ERR_FWS_CRLF_END", 8},
    {"ISEMAIL_ERR_FWS_CRLF_X2", 4},
    /* what stands in a comment does not matter */
    {"ISEMAIL_ERR_EXPECTING_CTEXT", 1},
    /* RFC 6531 lets any character be quoted */
    {"ISEMAIL_ERR_EXPECTING_QPAIR", 1},
};

/* The text of an XML element, entities resolved. Pictures of control characters (U+2400 and on)
 * become what they show, as the file's notes ask. Only what the file has. */
static size_t xml_text(const char *at, const char *end, char *out)
{
    size_t n = 0;

    while (at < end) {
        unsigned long cp = 0;
        if (*at != '&') {
            out[n++] = *at++;
            continue;
        }
        if (at[1] == '#')
            cp = at[2] == 'x' ? strtoul(at + 3, NULL, 16) : strtoul(at + 2, NULL, 10);
        else
            cp = at[1] == 'a' ? '&' : at[1] == 'q' ? '"' : at[1] == 'l' ? '<' : '>';
        at = strchr(at, ';') + 1;
        if (cp >= 0x2400 && cp < 0x2420)
            cp -= 0x2400;
        if (cp < 0x80) {
            out[n++] = (char)cp;
        } else {
            assert_true(cp < 0x800);
            out[n++] = (char)(0xc0 | cp >> 6);
            out[n++] = (char)(0x80 | (cp & 0x3f));
        }
    }
    return n;
}

static void isemail(void **state)
{
    struct collection c = COLLECTION("isemail-tests.xml", 164, 103, isemail_deviations);
    const char *path = fixture_path("addresses/%s", c.file);
    char *text = path ? fixture_read(path, NULL) : NULL;
    char address[2048];

    (void)state;
    if (!text) {
        print_message("%s is not there: skipped\n", c.file);
        skip();
    }
    for (const char *at = text; (at = strstr(at, "<test id=")); at++) {
        const char *stop = strstr(at, "</test>");
        const char *a = strstr(at, "<address>");
        const char *d = strstr(at, "<diagnosis>");
        char diagnosis[64];
        assert_true(stop && d && d < stop);
        assert_true(sscanf(d, "<diagnosis>%63[A-Z0-9_]", diagnosis) == 1);
        size_t n = 0;
        if (a && a < stop) {
            const char *end = strstr(a, "</address>");
            assert_true(end && (size_t)(end - a) < sizeof(address));
            n = xml_text(a + strlen("<address>"), end, address);
        }
        judge_isemail(&c, diagnosis, address, n);
    }
    free(text);
    finish(&c);
}

static void pyisemail(void **state)
{
    /* another selection of the same collection: the classes only */
    struct collection c =
        COLLECTION("python-email-validator-pyisemail.json", 0, 0, isemail_deviations);
    json_t *list = load(c.file);
    json_t *item;
    size_t i;

    (void)state;
    if (!list)
        skip();
    json_array_foreach(list, i, item)
    {
        size_t n;
        char *text = bytes_of("", json_array_get(item, 0), "", &n);
        judge_isemail(&c, json_string_value(json_array_get(item, 1)), text, n);
        free(text);
    }
    json_decref(list);
    finish(&c);
}

/* ---- JSON Schema ---- */

static void json_schema(struct collection *c, const char *prefix)
{
    json_t *groups = load(c->file);
    json_t *group;
    json_t *test;
    size_t i;
    size_t j;

    if (!groups)
        skip();
    json_array_foreach(groups, i, group)
    {
        json_array_foreach(json_object_get(group, "tests"), j, test)
        {
            struct sup_address a;
            json_t *data = json_object_get(test, "data");
            size_t n;
            if (!json_is_string(data))
                continue;
            char *text = bytes_of(prefix, data, "", &n);
            judge(c, json_string_value(json_object_get(test, "description")), text, n,
                  sup_address_parse(text, n, &a, NULL) == SUP_OK,
                  json_is_true(json_object_get(test, "valid")) ? ACCEPT : REFUSE);
            free(text);
        }
    }
    json_decref(groups);
    finish(c);
}

static void json_schema_email(void **state)
{
    static const struct deviation deviations[] = {
        {"dot before local part", 1},
        {"dot after local part", 1},
        {"two subsequent dots inside local part", 1},
        {"an invalid IPv4-address-literal", 1}, /* a literal's content is not looked at */
    };
    struct collection c = COLLECTION("json-schema-email.json", 21, 14, deviations);

    (void)state;
    json_schema(&c, "");
}

static void json_schema_hostname(void **state)
{
    /* A-labels are taken as they are: the registry decides what exists, and SES asks for that form.
     * Non-ASCII names are mapped (UTS #46) where the collection wants plain host names. */
    static const struct deviation deviations[] = {
        {"trailing dot", 1},
        {"IDN label separator", 1},
        {"contains underscore", 1},
        {"trailing newline", 1},
        {"invalid non-ASCII KELVIN SIGN", 1},
        {"invalid Punycode", 1},
        {"contains illegal char U+302E", 1},
        {"Begins with a", 3},
        {"Exceptions that are DISALLOWED", 2},
        {"MIDDLE DOT with no", 4},
        {"Greek KERAIA not", 2},
        {"Hebrew GERESH not", 2},
        {"Hebrew GERSHAYIM not", 2},
        {"KATAKANA MIDDLE DOT with no", 2},
        {"Arabic-Indic digits mixed", 1},
        {"ZERO WIDTH JOINER not", 2},
        {"contains \"--\" in the 3rd and 4th position", 1},
    };
    struct collection c = COLLECTION("json-schema-hostname.json", 58, 51, deviations);

    (void)state;
    json_schema(&c, "a@");
}

/* ---- python-email-validator ---- */

static void valid(struct collection *c, bool names_domain)
{
    json_t *list = load(c->file);
    json_t *item;
    size_t i;

    if (!list)
        skip();
    json_array_foreach(list, i, item)
    {
        struct sup_address a = {.key_len = 0};
        size_t n;
        char *text = bytes_of("", json_array_get(item, 0), "", &n);
        json_t *domain = json_object_get(json_array_get(item, 1), "ascii_domain");
        bool ok = sup_address_parse_mailbox(text, n, &a, NULL) == SUP_OK;
        judge(c, text, text, n, ok, ACCEPT);
        assert_int_equal(domain != NULL, names_domain);
        if (ok && domain)
            assert_string_equal(a.key + a.domain_at, json_string_value(domain));
        free(text);
    }
    json_decref(list);
    finish(c);
}

static void python_valid(void **state)
{
    struct collection plain = {.file = "python-email-validator-valid.json"};
    struct collection eai = {.file = "python-email-validator-valid-eai.json"};
    struct collection quoted = {.file = "python-email-validator-valid-only-quoted.json"};

    (void)state;
    valid(&plain, true);
    valid(&eai, true);
    valid(&quoted, false);
}

static void python_invalid(void **state)
{
    static const struct deviation deviations[] = {
        /* names of the Internet or not, SES knows; this need not */
        {"The part after the @-sign is not valid. It should have a period.", 2},
        {"The part after the @-sign is not valid. It is not within a valid top-level domain.", 1},
        {"An email address cannot have two letters followed by two dashes", 1},
        /* a literal's content is not looked at */
        {"The address in brackets after the @-sign is not valid", 1},
        {"A bracketed IP address after the @-sign is not allowed here.", 1},
        {"The part after the @-sign contains an invalid address literal tag", 1},
        {"The part after the @-sign in brackets is not an IPv4 address", 1},
        /* RFC 5321 gives the domain 255 bytes and the address 320; the collection counts 253, 254
         */
        {"The email address is too long", 8},
        /* the root's dot, here a full-width one */
        {"An email address cannot end with a period.", 1},
        {"An email address cannot start with a period.", 1},
        {"An email address cannot have two periods in a row.", 1},
        {"The email address contains invalid characters before the @-sign: U+000A.", 1}, /* trim */
        {"After Unicode normalization: ", 1}, /* local parts are not normalized */
    };
    struct collection c = COLLECTION("python-email-validator-invalid.json", 53, 21, deviations);
    json_t *list = load(c.file);
    json_t *item;
    size_t i;

    (void)state;
    if (!list)
        skip();
    json_array_foreach(list, i, item)
    {
        struct sup_address a;
        size_t n;
        char *text = bytes_of("", json_array_get(item, 0), "", &n);
        judge(&c, json_string_value(json_array_get(item, 1)), text, n,
              sup_address_parse(text, n, &a, NULL) == SUP_OK, REFUSE);
        free(text);
    }
    json_decref(list);
    finish(&c);
}

/* Names that nothing on the Internet has: SES knows, this need not. */
static void python_reserved_domains(void **state)
{
    struct collection c = {.file = "python-email-validator-reserved-domain.json"};
    json_t *list = load(c.file);
    json_t *item;
    size_t i;

    (void)state;
    if (!list)
        skip();
    json_array_foreach(list, i, item)
    {
        struct sup_address a;
        const char *s = json_string_value(item);
        judge(&c, s, s, strlen(s), sup_address_parse(s, strlen(s), &a, NULL) == SUP_OK, ACCEPT);
    }
    json_decref(list);
    finish(&c);
}

static void python_unsafe_characters(void **state)
{
    static const struct deviation in_local[] = {
        {"COMBINING GRAVE ACCENT", 1}, /* visible; what it stands on is not ours to judge */
        {"U+0010FDEF", 1},             /* private use */
    };
    static const struct deviation in_domain[] = {{"none", 0}};
    struct collection local =
        COLLECTION("python-email-validator-unsafe-characters.json", 8, 2, in_local);
    struct collection domain =
        COLLECTION("python-email-validator-unsafe-characters.json", 8, 0, in_domain);
    json_t *list = load(local.file);
    json_t *item;
    size_t i;

    (void)state;
    if (!list)
        skip();
    json_array_foreach(list, i, item)
    {
        struct sup_address a;
        const char *class = json_string_value(json_array_get(item, 1));
        size_t n;
        char *text = bytes_of("", json_array_get(item, 0), "@example.com", &n);
        judge(&local, class, text, n, sup_address_parse(text, n, &a, NULL) == SUP_OK, REFUSE);
        free(text);
        text = bytes_of("a@", json_array_get(item, 0), ".example.com", &n);
        judge(&domain, class, text, n, sup_address_parse(text, n, &a, NULL) == SUP_OK, REFUSE);
        free(text);
    }
    json_decref(list);
    finish(&local);
    finish(&domain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(isemail),
        cmocka_unit_test(pyisemail),
        cmocka_unit_test(json_schema_email),
        cmocka_unit_test(json_schema_hostname),
        cmocka_unit_test(python_valid),
        cmocka_unit_test(python_invalid),
        cmocka_unit_test(python_reserved_domains),
        cmocka_unit_test(python_unsafe_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
