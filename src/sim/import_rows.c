#include "imports.h"
#include "region.h"
#include "text.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct row {
    char address[SIM_ADDRESS_MAX + 1];
    enum sim_reason reason;
};

/* address,REASON with neither header nor quotes; for DELETE only the address. */
static bool read_csv(const char *line, bool remove, struct row *row)
{
    const char *comma = strrchr(line, ',');
    if (remove)
        return sim_address_spelling(line, row->address);
    if (!comma)
        return false;
    char *address = sim_strndup(line, (size_t)(comma - line));
    bool ok = sim_address_spelling(address, row->address);
    free(address);
    const char *reason = comma + 1 + strspn(comma + 1, " \t");
    char *text = sim_strndup(reason, strcspn(reason, " \t"));
    row->reason = sim_reason_parse(text);
    free(text);
    return ok && row->reason;
}

/* {"emailAddress":"…","reason":"BOUNCE"}: names in lower camel case, unlike the API's. */
static bool read_json(const char *line, bool remove, struct row *row)
{
    json_t *object = json_loads(line, 0, NULL);
    const char *address = json_string_value(json_object_get(object, "emailAddress"));
    row->reason = sim_reason_parse(json_string_value(json_object_get(object, "reason")));
    bool ok = address && sim_address_spelling(address, row->address) && (remove || row->reason);
    json_decref(object);
    return ok;
}

static bool apply(struct sim_region *g, const struct sim_import_job *job, const char *line)
{
    struct row row;
    if (!(job->json ? read_json : read_csv)(line, job->remove, &row) ||
        sim_refusals_row(&g->refusals, row.address))
        return false;
    if (job->remove)
        sim_suppression_delete(&g->list, row.address);
    else
        sim_suppression_put(&g->list, row.address, row.reason, sim_region_now(g), NULL);
    return true;
}

static size_t count_rows(const struct sim_buf *text)
{
    size_t n = 0;
    for (size_t i = 0; i < text->len;) {
        const char *newline = memchr(text->data + i, '\n', text->len - i);
        size_t end = newline ? (size_t)(newline - text->data) : text->len;
        n += end > i && !(end == i + 1 && text->data[i] == '\r');
        i = end + 1;
    }
    return n;
}

void sim_import_apply(struct sim_region *g, struct sim_import_job *job, const struct sim_buf *text,
                      struct sim_buf *failed_rows)
{
    size_t most = job->remove ? SIM_IMPORT_DELETE_MAX : SIM_IMPORT_PUT_MAX;
    size_t rows = count_rows(text);
    if (!rows || rows > most) {
        job->error = sim_strdup(rows ? "The import file has more records than one job may have."
                                     : "The import file is empty.");
        return;
    }
    for (size_t i = 0; i < text->len;) {
        const char *newline = memchr(text->data + i, '\n', text->len - i);
        size_t end = newline ? (size_t)(newline - text->data) : text->len;
        size_t len = end - i;
        if (len && text->data[i + len - 1] == '\r')
            len--;
        if (len) {
            char *line = sim_strndup(text->data + i, len);
            if (strlen(line) == len && apply(g, job, line)) {
                job->processed++;
            } else {
                job->failed++;
                sim_buf_add(failed_rows, line, len);
                sim_buf_char(failed_rows, '\n');
            }
            free(line);
        }
        i = end + 1;
    }
}
