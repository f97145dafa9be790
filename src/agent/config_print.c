/* The effective configuration as YAML, and what differs between two of them. */
#include "agent/config_internal.h"

#include <string.h>

static void indent(struct sup_buf *out, size_t depth)
{
    while (depth-- > 0)
        sup_buf_add_str(out, "  ");
}

static size_t common(const char *a, const char *b)
{
    size_t i = 0, last = 0;
    for (; a[i] != '\0' && a[i] == b[i]; i++) {
        if (a[i] == '.')
            last = i + 1;
    }
    return last;
}

/* Writes the section lines that path has and the key before it had not; returns the last
 * component and sets its depth. */
static const char *open_sections(const char *before, const char *path, struct sup_buf *out,
                                 size_t *depth)
{
    const char *known = path + common(before, path);
    const char *at = path;
    *depth = 0;
    for (const char *dot; (dot = strchr(at, '.')) != NULL; at = dot + 1) {
        if (at >= known) {
            indent(out, *depth);
            sup_buf_add(out, at, (size_t)(dot - at));
            sup_buf_add_str(out, ":\n");
        }
        ++*depth;
    }
    return at;
}

static void print_element(const struct sup_key *list, const char *element, struct sup_buf *out,
                          size_t depth)
{
    size_t n = strlen(list->path);
    const char *lead = "- ";
    for (const struct sup_key *k = list + 1; k < sup_schema + sup_schema_len; k++) {
        if (strncmp(k->path, list->path, n) != 0 || strncmp(k->path + n, "[].", 3) != 0)
            break;
        indent(out, depth + 1);
        sup_buf_addf(out, "%s%s: ", lead, k->path + n + 3);
        sup_config_print_value(k, element, out);
        sup_buf_add_byte(out, '\n');
        lead = "  ";
    }
}

static void print_list(const struct sup_key *key, const struct sup_config *c, struct sup_buf *out,
                       size_t depth)
{
    const char *items;
    size_t n;
    memcpy(&items, (const char *)c + key->offset, sizeof(items));
    memcpy(&n, (const char *)c + key->count_offset, sizeof(n));
    sup_buf_add_str(out, n == 0 ? " []\n" : "\n");
    for (size_t i = 0; i < n; i++) {
        const char *element = items + i * key->elem_size;
        if (key->type == SUP_KEY_MAPS) {
            print_element(key, element, out, depth);
            continue;
        }
        struct sup_key each = *key;
        each.type = SUP_KEY_STRING;
        each.offset = 0;
        indent(out, depth + 1);
        sup_buf_add_str(out, "- ");
        sup_config_print_value(&each, element, out);
        sup_buf_add_byte(out, '\n');
    }
}

static void print_key(const struct sup_key *key, const struct sup_config *c, struct sup_buf *out,
                      size_t depth)
{
    if (key->type == SUP_KEY_MAPS || key->type == SUP_KEY_STRINGS) {
        print_list(key, c, out, depth);
        return;
    }
    sup_buf_add_byte(out, ' ');
    sup_config_print_value(key, c, out);
    sup_buf_add_byte(out, '\n');
}

/* Element keys are printed with their list; a node without a mesh has no section for it. */
static bool stands_alone(const struct sup_key *key, const struct sup_config *c)
{
    return strchr(key->path, '[') == NULL &&
           (c->options.mesh.enabled || strncmp(key->path, "mesh.", 5) != 0);
}

void sup_config_print(const struct sup_config *c, struct sup_buf *out)
{
    const char *before = "";
    for (size_t i = 0; i < sup_schema_len; i++) {
        const struct sup_key *key = &sup_schema[i];
        if (!stands_alone(key, c))
            continue;
        size_t depth;
        const char *name = open_sections(before, key->path, out, &depth);
        indent(out, depth);
        sup_buf_addf(out, "%s:", name);
        print_key(key, c, out, depth);
        before = key->path;
    }
}

void sup_config_restart_keys(const struct sup_config *a, const struct sup_config *b,
                             struct sup_buf *out)
{
    struct sup_buf x, y;
    sup_buf_init(&x, 1024 * 1024);
    sup_buf_init(&y, 1024 * 1024);
    for (size_t i = 0; i < sup_schema_len; i++) {
        const struct sup_key *key = &sup_schema[i];
        if (key->reload || strchr(key->path, '[') != NULL)
            continue;
        sup_buf_reset(&x);
        sup_buf_reset(&y);
        print_key(key, a, &x, 0);
        print_key(key, b, &y, 0);
        if (!sup_slice_eq(sup_buf_slice(&x), sup_buf_slice(&y)))
            sup_buf_addf(out, "%s%s", out->n > 0 ? ", " : "", key->path);
    }
    sup_buf_fini(&x);
    sup_buf_fini(&y);
}
