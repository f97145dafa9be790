/* Reads the configuration file: a libyaml document walked along the table in schema.c. Every node
 * of the document carries its line, so that each refusal can name it. */
#include "agent/config.h"

#include "agent/config_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_MAX (1024 * 1024)

static int read_file(const char *path, struct sup_buf *out, struct sup_err *err)
{
    char chunk[8192];
    size_t n;
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return sup_err_set(err, SUP_EIO, "%s: cannot be read: %s", path, strerror(errno));
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        sup_buf_add(out, chunk, n);
    int bad = ferror(f) ? errno : 0;
    fclose(f);
    if (bad != 0)
        return sup_err_set(err, SUP_EIO, "%s: cannot be read: %s", path, strerror(bad));
    if (out->failed)
        return sup_err_set(err, SUP_EINPUT, "%s: larger than 1 MiB: this is no configuration file",
                           path);
    return SUP_OK;
}

static int parse_document(struct sup_reading *r, struct sup_buf *text)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return sup_err_set(r->err, SUP_ENOMEM, "out of memory");
    /* Never NULL, not even for an empty file: libyaml asserts that. */
    yaml_parser_set_input_string(&parser, (const unsigned char *)sup_buf_str(text), text->n);
    int rc = SUP_OK;
    if (!yaml_parser_load(&parser, &r->doc)) {
        rc = sup_err_set(r->err, SUP_EINPUT, "%s:%zu: not valid YAML: %s", r->path,
                         parser.problem_mark.line + 1, parser.problem ? parser.problem : "?");
        memset(&r->doc, 0, sizeof(r->doc));
    } else {
        yaml_document_t second;
        if (!yaml_parser_load(&parser, &second) || yaml_document_get_root_node(&second) != NULL)
            rc = sup_err_set(r->err, SUP_EINPUT,
                             "%s:%zu: a second document, or rubbish behind the first: remove it",
                             r->path, parser.mark.line + 1);
        yaml_document_delete(&second);
    }
    yaml_parser_delete(&parser);
    return rc;
}

/* Fills *out from the document, then defaults, then the checks across keys. */
static int read_document(struct sup_reading *r)
{
    yaml_node_t *root = yaml_document_get_root_node(&r->doc);
    if (root == NULL)
        return sup_err_set(r->err, SUP_EINPUT,
                           "%s:1: the file is empty: give at least node and "
                           "region",
                           r->path);
    int rc = sup_config_read_map(r, root, "", r->out);
    if (rc == SUP_OK)
        rc = sup_config_fill_defaults(r, "", r->out, 1);
    if (rc == SUP_OK)
        rc = sup_config_check_whole(r);
    return rc;
}

int sup_config_load(const char *path, struct sup_config *out, struct sup_err *err)
{
    struct sup_buf text;
    struct sup_reading r = {.path = path, .out = out, .err = err};

    memset(out, 0, sizeof(*out));
    out->texts = calloc(1, sizeof(*out->texts));
    r.lines = calloc(sup_schema_len, sizeof(*r.lines));
    sup_buf_init(&text, CONFIG_MAX);
    int rc;
    if (out->texts == NULL || r.lines == NULL) {
        rc = sup_err_set(err, SUP_ENOMEM, "out of memory");
        goto out;
    }
    rc = read_file(path, &text, err);
    if (rc == SUP_OK)
        rc = parse_document(&r, &text);
    if (rc == SUP_OK)
        rc = read_document(&r);
    yaml_document_delete(&r.doc);
out:
    free(r.lines);
    sup_buf_fini(&text);
    if (rc != SUP_OK)
        sup_config_fini(out);
    return rc;
}

void sup_config_fini(struct sup_config *c)
{
    if (c->texts != NULL) {
        for (size_t i = 0; i < c->texts->n; i++)
            free(c->texts->blocks[i]);
        free(c->texts->blocks);
        free(c->texts);
    }
    memset(c, 0, sizeof(*c));
}
