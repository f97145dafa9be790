#include "aws/config.h"

#include "aws/config_parse.h"
#include "base/array.h"
#include "base/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FILE_MAX (1u << 20)

struct sup_aws_config *sup_aws_config_new(void)
{
    return calloc(1, sizeof(struct sup_aws_config));
}

void sup_config_section_clear(struct sup_config_section *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->props[i].key);
        free(s->props[i].value);
    }
    s->n = 0;
}

void sup_aws_config_free(struct sup_aws_config *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->n; i++) {
        sup_config_section_clear(&c->sections[i]);
        free(c->sections[i].props);
        free(c->sections[i].name);
    }
    free(c->sections);
    free(c);
}

/* ---- tables ---- */

static struct sup_config_section *find(const struct sup_aws_config *c, enum sup_aws_section kind,
                                       const char *name, size_t name_n)
{
    for (size_t i = 0; i < c->n; i++) {
        struct sup_config_section *s = &c->sections[i];
        if (s->kind == kind && strlen(s->name) == name_n && memcmp(s->name, name, name_n) == 0)
            return s;
    }
    return NULL;
}

struct sup_config_section *sup_config_section_get(struct sup_aws_config *c,
                                                  enum sup_aws_section kind, const char *name,
                                                  size_t name_n)
{
    struct sup_config_section *s = find(c, kind, name, name_n);

    if (s != NULL)
        return s;
    if (sup_array_grow((void **)&c->sections, &c->cap, c->n + 1, sizeof *c->sections) != SUP_OK)
        return NULL;
    s = &c->sections[c->n];
    *s = (struct sup_config_section){.kind = kind, .name = sup_text_dup(name, name_n)};
    if (s->name == NULL)
        return NULL;
    c->n++;
    return s;
}

static struct sup_config_prop *find_prop(const struct sup_config_section *s, const char *key,
                                         size_t key_n)
{
    for (size_t i = 0; i < s->n; i++)
        if (strlen(s->props[i].key) == key_n && memcmp(s->props[i].key, key, key_n) == 0)
            return &s->props[i];
    return NULL;
}

int sup_config_section_set(struct sup_config_section *s, enum sup_aws_file file, const char *key,
                           size_t key_n, const char *value, size_t value_n)
{
    struct sup_config_prop *p = find_prop(s, key, key_n);
    char *copy = sup_text_dup(value, value_n);

    if (copy == NULL)
        return SUP_ENOMEM;
    if (p != NULL) {
        free(p->value);
        p->value = copy;
        p->file = file;
        return SUP_OK;
    }
    char *name = sup_text_dup(key, key_n);
    if (name == NULL ||
        sup_array_grow((void **)&s->props, &s->cap, s->n + 1, sizeof *s->props) != SUP_OK) {
        free(name);
        free(copy);
        return SUP_ENOMEM;
    }
    s->props[s->n++] = (struct sup_config_prop){.key = name, .file = file, .value = copy};
    return SUP_OK;
}

int sup_config_section_append(struct sup_config_section *s, const char *key, struct sup_slice text)
{
    struct sup_config_prop *p = find_prop(s, key, strlen(key));
    struct sup_buf b;

    if (p == NULL)
        return SUP_OK;
    sup_buf_init(&b, FILE_MAX);
    sup_buf_add_str(&b, p->value);
    sup_buf_add_byte(&b, '\n');
    sup_buf_add_slice(&b, text);
    char *joined = sup_buf_steal(&b);
    if (joined == NULL)
        return SUP_ENOMEM;
    free(p->value);
    p->value = joined;
    return SUP_OK;
}

/* ---- lookups ---- */

const char *sup_aws_config_get(const struct sup_aws_config *c, enum sup_aws_section section,
                               const char *name, const char *key)
{
    if (c == NULL || name == NULL)
        return NULL;
    const struct sup_config_section *s = find(c, section, name, strlen(name));
    const struct sup_config_prop *p = s != NULL ? find_prop(s, key, strlen(key)) : NULL;
    return p != NULL && p->value[0] != '\0' ? p->value : NULL;
}

bool sup_aws_config_has(const struct sup_aws_config *c, enum sup_aws_section section,
                        const char *name)
{
    return c != NULL && name != NULL && find(c, section, name, strlen(name)) != NULL;
}

bool sup_aws_config_is_from(const struct sup_aws_config *c, const char *profile, const char *key,
                            enum sup_aws_file file)
{
    const struct sup_config_section *s =
        c != NULL ? find(c, SUP_AWS_PROFILE, profile, strlen(profile)) : NULL;
    const struct sup_config_prop *p = s != NULL ? find_prop(s, key, strlen(key)) : NULL;
    return p != NULL && p->file == file;
}

/* "\nkey = value\nother = …": the value of sub in line, or NULL; *n is its length. */
static const char *sub_line(const char *line, size_t len, const char *sub, size_t *n)
{
    const char *eq = memchr(line, '=', len);

    if (eq == NULL)
        return NULL;
    const char *key_end = eq;
    while (key_end > line && isspace((unsigned char)key_end[-1]))
        key_end--;
    if ((size_t)(key_end - line) != strlen(sub) || strncasecmp(line, sub, strlen(sub)) != 0)
        return NULL;
    const char *value = eq + 1;
    const char *end = line + len;
    while (value < end && isspace((unsigned char)*value))
        value++;
    *n = (size_t)(end - value);
    return value;
}

int sup_aws_config_get_sub(const struct sup_aws_config *c, enum sup_aws_section section,
                           const char *name, const char *key, const char *sub, char **out)
{
    const char *text = sup_aws_config_get(c, section, name, key);

    *out = NULL;
    while (text != NULL && *text == '\n') {
        const char *line = text + 1;
        size_t len = strcspn(line, "\n");
        size_t n = 0;
        const char *value = sub_line(line, len, sub, &n);
        if (value != NULL && n > 0) {
            free(*out);
            *out = sup_text_dup(value, n);
            if (*out == NULL)
                return SUP_ENOMEM;
        }
        text = line + len;
    }
    return *out != NULL ? SUP_OK : SUP_ENOTFOUND;
}

void sup_aws_config_each(const struct sup_aws_config *c,
                         void (*fn)(void *arg, enum sup_aws_section section, const char *name,
                                    const char *key, const char *value),
                         void *arg)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct sup_config_section *s = &c->sections[i];
        fn(arg, s->kind, s->name, NULL, NULL);
        for (size_t k = 0; k < s->n; k++)
            fn(arg, s->kind, s->name, s->props[k].key, s->props[k].value);
    }
}

const char *sup_aws_config_profile(const struct sup_aws_env *env, const char *explicit_name)
{
    if (explicit_name != NULL && explicit_name[0] != '\0')
        return explicit_name;
    const char *name = sup_aws_getenv(env, "AWS_PROFILE");
    return name != NULL ? name : "default";
}

/* ---- files ---- */

char *sup_aws_config_path(const struct sup_aws_env *env, enum sup_aws_file kind)
{
    bool config = kind == SUP_AWS_CONFIG_FILE;
    const char *path =
        sup_aws_getenv(env, config ? "AWS_CONFIG_FILE" : "AWS_SHARED_CREDENTIALS_FILE");
    if (path != NULL)
        return strdup(path);
    const char *home = sup_aws_getenv(env, "HOME");
    if (home == NULL)
        return NULL;
    struct sup_buf b;
    sup_buf_init(&b, 8192);
    sup_buf_addf(&b, "%s/.aws/%s", home, config ? "config" : "credentials");
    return sup_buf_steal(&b);
}

static int load_file(struct sup_aws_config *c, const struct sup_aws_env *env,
                     enum sup_aws_file kind, struct sup_err *err)
{
    char *path = sup_aws_config_path(env, kind);
    struct sup_buf text;

    if (path == NULL)
        return SUP_OK;
    int rc = sup_aws_read_file(env, path, FILE_MAX, &text, err);
    if (rc == SUP_OK) {
        rc = sup_aws_config_parse(c, kind, sup_buf_slice(&text), err);
        if (rc != SUP_OK)
            sup_err_prefix(err, rc, "%s", path);
    } else if (rc == SUP_ENOTFOUND) {
        rc = SUP_OK;
    }
    sup_buf_fini(&text);
    free(path);
    return rc;
}

int sup_aws_config_load(struct sup_aws_config **out, const struct sup_aws_env *env,
                        struct sup_err *err)
{
    struct sup_aws_config *c = sup_aws_config_new();

    *out = NULL;
    if (c == NULL)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    int rc = load_file(c, env, SUP_AWS_CONFIG_FILE, err);
    if (rc == SUP_OK)
        rc = load_file(c, env, SUP_AWS_CREDENTIALS_FILE, err);
    if (rc != SUP_OK) {
        sup_aws_config_free(c);
        return rc;
    }
    *out = c;
    return SUP_OK;
}
