/* The line grammar of the shared files, as the SDKs' common parser cases define it. */
#include "aws/config_parse.h"

#include "base/array.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define KEY_MAX 256

struct parser {
    struct sup_aws_config *config;
    enum sup_aws_file kind;
    size_t line_no;
    bool in_section;                    /* a header was read */
    struct sup_config_section *section; /* NULL: ignored. Valid until the next header */
    bool in_prop;
    char key[KEY_MAX]; /* property that a continuation belongs to; "" when it is ignored */
    bool nested;       /* its value was empty: continuations are sub-properties */
};

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r';
}

static struct sup_slice trim(struct sup_slice s)
{
    while (s.n > 0 && is_space(s.p[0]))
        s = sup_slice_of(s.p + 1, s.n - 1);
    while (s.n > 0 && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

static bool is_name(struct sup_slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!isalnum(s.p[i]) && (s.p[i] == '\0' || strchr("-/.%@_:+", s.p[i]) == NULL))
            return false;
    return s.n > 0;
}

static bool is_comment(uint8_t c)
{
    return c == '#' || c == ';';
}

static int fail(const struct parser *p, struct sup_err *err, const char *what)
{
    return sup_err_set(err, SUP_EINPUT, "line %zu: %s", p->line_no, what);
}

static int out_of_memory(struct sup_err *err)
{
    return sup_err_set(err, SUP_ENOMEM, "out of memory");
}

/* ---- section headers ---- */

static struct sup_slice unquote(struct sup_slice s)
{
    if (s.n >= 2 && (s.p[0] == '"' || s.p[0] == '\'') && s.p[s.n - 1] == s.p[0])
        return trim(sup_slice_of(s.p + 1, s.n - 2));
    return s;
}

/* Splits "profile NAME" into kind and name; false: the section is ignored. */
static bool header_name(enum sup_aws_file file, struct sup_slice inner, enum sup_aws_section *kind,
                        struct sup_slice *name, bool *prefixed)
{
    static const struct {
        const char *word;
        enum sup_aws_section kind;
    } words[] = {{"profile", SUP_AWS_PROFILE},
                 {"sso-session", SUP_AWS_SSO_SESSION},
                 {"services", SUP_AWS_SERVICES}};

    *kind = SUP_AWS_PROFILE;
    *prefixed = false;
    *name = inner;
    if (file == SUP_AWS_CREDENTIALS_FILE)
        return is_name(inner);
    if (sup_slice_eq(inner, SUP_SLICE_LIT("default")))
        return true;
    size_t n = 0;
    while (n < inner.n && !is_space(inner.p[n]))
        n++;
    for (size_t i = 0; i < SUP_COUNT(words); i++)
        if (sup_slice_eq(sup_slice_of(inner.p, n), sup_slice_str(words[i].word))) {
            *kind = words[i].kind;
            *prefixed = true;
            *name = unquote(trim(sup_slice_of(inner.p + n, inner.n - n)));
            return is_name(*name);
        }
    return false;
}

static int open_section(struct parser *p, enum sup_aws_section kind, struct sup_slice name,
                        bool prefixed)
{
    struct sup_config_section *s =
        sup_config_section_get(p->config, kind, (const char *)name.p, name.n);
    if (s == NULL)
        return SUP_ENOMEM;
    bool is_default = kind == SUP_AWS_PROFILE && p->kind == SUP_AWS_CONFIG_FILE &&
                      sup_slice_eq(name, SUP_SLICE_LIT("default"));
    if (is_default && prefixed && !s->prefixed) {
        sup_config_section_clear(s);
        s->prefixed = true;
    } else if (is_default && !prefixed && s->prefixed) {
        return SUP_OK;
    }
    p->section = s;
    return SUP_OK;
}

static int parse_header(struct parser *p, struct sup_slice line, struct sup_err *err)
{
    enum sup_aws_section kind;
    struct sup_slice name;
    bool prefixed;

    for (size_t i = 0; i < line.n; i++)
        if (is_comment(line.p[i]))
            line.n = i;
    line = trim(line);
    if (line.n < 2 || line.p[line.n - 1] != ']')
        return fail(p, err, "Profile definition must end with ']'");
    p->in_section = true;
    p->in_prop = false;
    p->section = NULL;
    struct sup_slice inner = trim(sup_slice_of(line.p + 1, line.n - 2));
    if (!header_name(p->kind, inner, &kind, &name, &prefixed))
        return SUP_OK;
    return open_section(p, kind, name, prefixed) == SUP_OK ? SUP_OK : out_of_memory(err);
}

/* ---- properties ---- */

/* In a property a comment needs white space before it. */
static struct sup_slice strip_comment(struct sup_slice line)
{
    for (size_t i = 1; i < line.n; i++)
        if (is_comment(line.p[i]) && is_space(line.p[i - 1]))
            return sup_slice_of(line.p, i);
    return line;
}

static int parse_property(struct parser *p, struct sup_slice line, struct sup_err *err)
{
    if (!p->in_section)
        return fail(p, err, "Expected a profile definition");
    line = strip_comment(line);
    const uint8_t *eq = memchr(line.p, '=', line.n);
    if (eq == NULL)
        return fail(p, err, "Expected an '=' sign defining a property");
    struct sup_slice key = trim(sup_slice_of(line.p, (size_t)(eq - line.p)));
    struct sup_slice value = trim(sup_slice_of(eq + 1, line.n - (size_t)(eq + 1 - line.p)));
    if (key.n == 0)
        return fail(p, err, "Property did not have a name");
    p->in_prop = true;
    p->nested = value.n == 0;
    p->key[0] = '\0';
    if (p->section == NULL || !is_name(key) || key.n >= KEY_MAX)
        return SUP_OK;
    for (size_t i = 0; i < key.n; i++)
        p->key[i] = (char)tolower(key.p[i]);
    p->key[key.n] = '\0';
    int rc =
        sup_config_section_set(p->section, p->kind, p->key, key.n, (const char *)value.p, value.n);
    return rc == SUP_OK ? rc : out_of_memory(err);
}

static int parse_continuation(struct parser *p, struct sup_slice line, struct sup_err *err)
{
    if (!p->in_section)
        return fail(p, err, "Expected a profile definition");
    if (!p->in_prop)
        return fail(p, err, "Expected a property definition, found continuation");
    struct sup_slice text = trim(line);
    if (p->nested) {
        const uint8_t *eq = memchr(text.p, '=', text.n);
        if (eq == NULL)
            return fail(p, err, "Expected an '=' sign defining a sub-property");
        if (eq == text.p)
            return fail(p, err, "Sub-property did not have a name");
    }
    if (p->section == NULL || p->key[0] == '\0')
        return SUP_OK;
    int rc = sup_config_section_append(p->section, p->key, text);
    return rc == SUP_OK ? rc : out_of_memory(err);
}

static int parse_line(struct parser *p, struct sup_slice line, struct sup_err *err)
{
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    if (trim(line).n == 0 || is_comment(line.p[0]))
        return SUP_OK;
    if (memchr(line.p, '\0', line.n) != NULL)
        return fail(p, err, "NUL byte");
    if (line.p[0] == '[')
        return parse_header(p, line, err);
    if (is_space(line.p[0]))
        return parse_continuation(p, line, err);
    return parse_property(p, line, err);
}

int sup_aws_config_parse(struct sup_aws_config *c, enum sup_aws_file kind, struct sup_slice text,
                         struct sup_err *err)
{
    struct parser p = {.config = c, .kind = kind};

    if (text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0)
        text = sup_slice_of(text.p + 3, text.n - 3);
    while (text.n > 0) {
        const uint8_t *nl = memchr(text.p, '\n', text.n);
        size_t n = nl != NULL ? (size_t)(nl - text.p) : text.n;
        p.line_no++;
        int rc = parse_line(&p, sup_slice_of(text.p, n), err);
        if (rc != SUP_OK)
            return rc;
        size_t used = nl != NULL ? n + 1 : n;
        text = sup_slice_of(text.p + used, text.n - used);
    }
    return SUP_OK;
}
