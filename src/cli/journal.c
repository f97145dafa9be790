#include "cli/journal.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sup_journal {
    FILE *f;
    json_t *objects; /* by name: the latest line of each */
};

static int read_lines(struct sup_journal *j, FILE *f, const char *path, struct sup_err *err)
{
    char *line = NULL;
    size_t cap = 0, number = 0;
    ssize_t n;
    int rc = SUP_OK;

    while (rc == SUP_OK && (n = getline(&line, &cap, f)) > 0) {
        json_t *o = json_loadb(line, (size_t)n, 0, NULL);
        const char *name = json_string_value(json_object_get(o, "object"));
        number++;
        if (name != NULL)
            json_object_set(j->objects, name, o);
        else if (n > 1 && line[n - 1] == '\n' && !json_is_object(o) && number == 1)
            rc = sup_err_set(err, SUP_EINPUT, "%s:%zu: is not a line of a journal", path, number);
        json_decref(o);
    }
    if (rc == SUP_OK && ferror(f))
        rc = sup_err_set(err, SUP_EIO, "%s: cannot be read", path);
    free(line);
    return rc;
}

static int read_file(struct sup_journal *j, const char *path, struct sup_err *err)
{
    FILE *f = fopen(path, "re");

    if (f == NULL)
        return errno == ENOENT ? SUP_OK
                               : sup_err_set(err, SUP_EIO, "%s: %s", path, strerror(errno));
    int rc = read_lines(j, f, path, err);
    fclose(f);
    return rc;
}

int sup_journal_open(struct sup_journal **out, const char *path, struct sup_err *err)
{
    struct sup_journal *j = calloc(1, sizeof(*j));
    int rc = SUP_OK;

    if (j == NULL || (j->objects = json_object()) == NULL) {
        sup_journal_close(j);
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    }
    if (path != NULL)
        rc = read_file(j, path, err);
    if (path != NULL && rc == SUP_OK && (j->f = fopen(path, "ae")) == NULL)
        rc = sup_err_set(err, SUP_EIO, "%s: %s", path, strerror(errno));
    /* Behind a line that was cut off. */
    if (j->f != NULL && rc == SUP_OK && ftell(j->f) > 0)
        fputc('\n', j->f);
    if (rc != SUP_OK) {
        sup_journal_close(j);
        return rc;
    }
    *out = j;
    return SUP_OK;
}

void sup_journal_close(struct sup_journal *j)
{
    if (j == NULL)
        return;
    if (j->f != NULL)
        fclose(j->f);
    json_decref(j->objects);
    free(j);
}

void sup_journal_look_up(const struct sup_journal *j, const struct sup_journal_object *o,
                         uint64_t *offset, bool *done)
{
    const json_t *line = json_object_get(j->objects, o->name);
    const char *version = json_string_value(json_object_get(line, "version"));
    bool same = line != NULL && strcmp(version != NULL ? version : "", o->version) == 0 &&
                json_integer_value(json_object_get(line, "size")) == (json_int_t)o->size &&
                json_integer_value(json_object_get(line, "changed")) == (json_int_t)o->changed_ms;
    json_int_t at = same ? json_integer_value(json_object_get(line, "offset")) : 0;

    *offset = at > 0 ? (uint64_t)at : 0;
    *done = same && json_is_true(json_object_get(line, "done"));
}

int sup_journal_note(struct sup_journal *j, const struct sup_journal_object *o, uint64_t offset,
                     bool done, struct sup_err *err)
{
    if (j->f == NULL)
        return SUP_OK;
    json_t *line = json_pack("{s:s, s:I, s:I, s:I, s:b}", "object", o->name, "size",
                             (json_int_t)o->size, "changed", (json_int_t)o->changed_ms, "offset",
                             (json_int_t)offset, "done", (int)done);
    if (line != NULL && o->version[0] != '\0')
        json_object_set_new(line, "version", json_string(o->version));
    bool ok = line != NULL && json_dumpf(line, j->f, JSON_COMPACT) == 0 && fputc('\n', j->f) >= 0 &&
              fflush(j->f) == 0;
    json_decref(line);
    return ok ? SUP_OK : sup_err_set(err, SUP_EIO, "the journal cannot be written");
}
