/* From YAML nodes to the table's places: sections, lists, duplicates, unknown keys, defaults. */
#include "agent/config_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_MAX_LEN 128

int sup_config_refuse(struct sup_reading *r, size_t line, const char *key, const char *fmt, ...)
{
    char text[SUP_ERR_MSG_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return sup_err_set(r->err, SUP_EINPUT, "%s:%zu: %s: %s", r->path, line, key, text);
}

void *sup_config_alloc(struct sup_config *c, size_t n)
{
    struct sup_config_text *t = c->texts;
    if (t->n == t->cap) {
        size_t cap = t->cap == 0 ? 32 : t->cap * 2;
        void **blocks = realloc(t->blocks, cap * sizeof(*blocks));
        if (blocks == NULL)
            return NULL;
        t->blocks = blocks;
        t->cap = cap;
    }
    void *p = calloc(1, n);
    if (p != NULL)
        t->blocks[t->n++] = p;
    return p;
}

static size_t line_of(const yaml_node_t *node)
{
    return node->start_mark.line + 1;
}

static const char *text_of(const yaml_node_t *node)
{
    return (const char *)node->data.scalar.value;
}

/* "key:" with nothing behind it, "~" or "null": as if the key were not there. */
static bool is_null(const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    const char *s = text_of(node);
    return *s == '\0' || strcmp(s, "~") == 0 || strcmp(s, "null") == 0;
}

/* For an error text: "mode, max_rps, …", the keys that may stand below prefix. */
static void allowed_keys(const char *prefix, struct sup_buf *out)
{
    size_t n = strlen(prefix);
    size_t last_at = 0, last_n = 0;
    for (size_t i = 0; i < sup_schema_len; i++) {
        const char *path = sup_schema[i].path;
        if (strncmp(path, prefix, n) != 0)
            continue;
        size_t len = strcspn(path + n, ".[");
        if (len == last_n && last_n > 0 && memcmp(out->p + last_at, path + n, len) == 0)
            continue;
        if (out->n > 0)
            sup_buf_add_str(out, ", ");
        last_at = out->n;
        last_n = len;
        sup_buf_add(out, path + n, len);
    }
}

static void printable(const char *s, size_t n, char *out, size_t cap)
{
    size_t i = 0;
    for (; i < n && i + 1 < cap; i++)
        out[i] = s[i] < ' ' || s[i] == 0x7f ? '?' : s[i];
    out[i] = '\0';
}

static int refuse_unknown(struct sup_reading *r, const yaml_node_t *key, const char *prefix)
{
    char name[48];
    struct sup_buf path, keys;
    sup_buf_init(&path, PATH_MAX_LEN + sizeof(name));
    sup_buf_init(&keys, 400);
    printable(text_of(key), key->data.scalar.length, name, sizeof(name));
    sup_buf_addf(&path, "%s%s", prefix, name);
    allowed_keys(prefix, &keys);
    int rc = sup_config_refuse(r, line_of(key), sup_buf_str(&path), "unknown key: use one of %s",
                               sup_buf_str(&keys));
    sup_buf_fini(&path);
    sup_buf_fini(&keys);
    return rc;
}

static int read_strings(struct sup_reading *r, const struct sup_key *key, yaml_node_t *node,
                        void *base)
{
    size_t n = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    const char **items = sup_config_alloc(r->out, n * sizeof(*items));
    struct sup_key each = *key;
    each.type = SUP_KEY_STRING;
    each.offset = 0;
    if (items == NULL)
        return sup_err_set(r->err, SUP_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        yaml_node_t *item = yaml_document_get_node(&r->doc, node->data.sequence.items.start[i]);
        if (item->type != YAML_SCALAR_NODE)
            return sup_config_refuse(r, line_of(item), key->path, "use a list of %s", key->what);
        int rc = sup_config_set(r, &each, &items[i], text_of(item), line_of(item));
        if (rc != SUP_OK)
            return rc;
    }
    memcpy((char *)base + key->offset, &items, sizeof(void *));
    memcpy((char *)base + key->count_offset, &n, sizeof(n));
    return SUP_OK;
}

static int check_unique(struct sup_reading *r, const char *prefix, const char *items, size_t i,
                        size_t size)
{
    for (size_t k = 0; k < sup_schema_len; k++) {
        const struct sup_key *key = &sup_schema[k];
        if (!key->unique || strncmp(key->path, prefix, strlen(prefix)) != 0)
            continue;
        const char *mine, *other;
        memcpy(&mine, items + i * size + key->offset, sizeof(mine));
        for (size_t j = 0; j < i; j++) {
            memcpy(&other, items + j * size + key->offset, sizeof(other));
            if (strcmp(mine, other) == 0)
                return sup_config_refuse(r, r->lines[k], key->path,
                                         "\"%.200s\" stands in the list twice: keep one", mine);
        }
    }
    return SUP_OK;
}

static int read_element(struct sup_reading *r, const struct sup_key *list, yaml_node_t *node,
                        char *items, size_t i)
{
    char prefix[PATH_MAX_LEN];
    snprintf(prefix, sizeof(prefix), "%s[].", list->path);
    for (size_t k = 0; k < sup_schema_len; k++) {
        if (strncmp(sup_schema[k].path, prefix, strlen(prefix)) == 0)
            r->lines[k] = 0;
    }
    void *element = items + i * list->elem_size;
    int rc = sup_config_read_map(r, node, prefix, element);
    if (rc == SUP_OK)
        rc = sup_config_fill_defaults(r, prefix, element, line_of(node));
    if (rc == SUP_OK)
        rc = check_unique(r, prefix, items, i, list->elem_size);
    return rc;
}

static int read_maps(struct sup_reading *r, const struct sup_key *key, yaml_node_t *node,
                     void *base)
{
    size_t n = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    char *items = sup_config_alloc(r->out, n * key->elem_size);
    if (items == NULL)
        return sup_err_set(r->err, SUP_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        yaml_node_t *item = yaml_document_get_node(&r->doc, node->data.sequence.items.start[i]);
        if (strcmp(key->path, "mesh.peers") == 0)
            r->peer_lines[i] = line_of(item);
        int rc = read_element(r, key, item, items, i);
        if (rc != SUP_OK)
            return rc;
    }
    memcpy((char *)base + key->offset, &items, sizeof(void *));
    memcpy((char *)base + key->count_offset, &n, sizeof(n));
    return SUP_OK;
}

static int read_list(struct sup_reading *r, const struct sup_key *key, yaml_node_t *node,
                     void *base)
{
    if (node->type != YAML_SEQUENCE_NODE)
        return sup_config_refuse(r, line_of(node), key->path, "use a list, such as [] or - …");
    size_t n = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    if (n == 0)
        return SUP_OK;
    if (n > SUP_CONFIG_LIST_MAX)
        return sup_config_refuse(r, line_of(node), key->path,
                                 "%zu elements are too many: use %d at the most", n,
                                 SUP_CONFIG_LIST_MAX);
    return key->type == SUP_KEY_MAPS ? read_maps(r, key, node, base)
                                     : read_strings(r, key, node, base);
}

static int read_key(struct sup_reading *r, const struct sup_key *key, yaml_node_t *name,
                    yaml_node_t *value, void *base)
{
    size_t *line = &r->lines[key - sup_schema];
    if (*line != 0)
        return sup_config_refuse(r, line_of(name), key->path,
                                 "given twice (first in line %zu): keep one", *line);
    if (is_null(value))
        return SUP_OK;
    *line = line_of(name);
    if (key->type == SUP_KEY_MAPS || key->type == SUP_KEY_STRINGS)
        return read_list(r, key, value, base);
    if (value->type != YAML_SCALAR_NODE)
        return sup_config_refuse(r, line_of(value), key->path, "use one value, not a list or map");
    if (strlen(text_of(value)) != value->data.scalar.length)
        return sup_config_refuse(r, line_of(value), key->path, "holds a NUL character: remove it");
    return sup_config_set(r, key, base, text_of(value), line_of(value));
}

/* The same section twice would merge in silence; refuse it as the same key twice. */
static int check_sections(struct sup_reading *r, yaml_node_t *node, const yaml_node_pair_t *upto,
                          const char *path)
{
    yaml_node_t *name = yaml_document_get_node(&r->doc, upto->key);
    for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < upto; p++) {
        yaml_node_t *other = yaml_document_get_node(&r->doc, p->key);
        if (strcmp(text_of(other), text_of(name)) == 0)
            return sup_config_refuse(r, line_of(name), path,
                                     "given twice (first in line %zu): keep one", line_of(other));
    }
    return SUP_OK;
}

static int read_pair(struct sup_reading *r, yaml_node_t *node, const yaml_node_pair_t *pair,
                     const char *prefix, void *base)
{
    char path[PATH_MAX_LEN];
    yaml_node_t *name = yaml_document_get_node(&r->doc, pair->key);
    yaml_node_t *value = yaml_document_get_node(&r->doc, pair->value);

    if (name->type != YAML_SCALAR_NODE)
        return sup_config_refuse(r, line_of(name), *prefix ? prefix : "top",
                                 "a key is not plain text: use KEY: VALUE lines");
    size_t n = name->data.scalar.length;
    if (n == 0 || n + strlen(prefix) + 2 > sizeof(path) || strcspn(text_of(name), ".[") != n)
        return refuse_unknown(r, name, prefix);
    snprintf(path, sizeof(path), "%s%s", prefix, text_of(name));
    const struct sup_key *key = sup_schema_find(path);
    if (key != NULL)
        return read_key(r, key, name, value, base);
    if (!sup_schema_is_section(path))
        return refuse_unknown(r, name, prefix);
    int rc = check_sections(r, node, pair, path);
    if (rc != SUP_OK)
        return rc;
    if (strcmp(path, "mesh") == 0)
        r->mesh = true;
    if (is_null(value))
        return SUP_OK;
    path[n + strlen(prefix)] = '.';
    path[n + strlen(prefix) + 1] = '\0';
    return sup_config_read_map(r, value, path, base);
}

/* prefix is "" at the top, else it ends with a dot. The depth is that of the table, whatever the
 * document's is. */
int sup_config_read_map(struct sup_reading *r, yaml_node_t *node, const char *prefix, void *base)
{
    if (node->type != YAML_MAPPING_NODE) {
        char name[PATH_MAX_LEN];
        snprintf(name, sizeof(name), "%.*s", *prefix ? (int)strlen(prefix) - 1 : 0, prefix);
        return sup_config_refuse(r, line_of(node), *name ? name : "top of the file",
                                 "use KEY: VALUE lines here");
    }
    for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top;
         p++) {
        int rc = read_pair(r, node, p, prefix, base);
        if (rc != SUP_OK)
            return rc;
    }
    return SUP_OK;
}

int sup_config_fill_defaults(struct sup_reading *r, const char *prefix, void *base, size_t line)
{
    size_t n = strlen(prefix);
    for (size_t k = 0; k < sup_schema_len; k++) {
        const struct sup_key *key = &sup_schema[k];
        bool in_list = strchr(key->path, '[') != NULL;
        if (strncmp(key->path, prefix, n) != 0 || in_list != (n > 0) || r->lines[k] != 0 ||
            key->type == SUP_KEY_MAPS || key->type == SUP_KEY_STRINGS)
            continue;
        if (key->def == NULL)
            return sup_config_refuse(r, line, key->path, "is missing: give %s", key->what);
        int rc = sup_config_set(r, key, base, key->def, line);
        if (rc != SUP_OK)
            return rc;
    }
    return SUP_OK;
}
