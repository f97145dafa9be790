#include "cli/rows.h"

#include "base/clock.h"

#include <string.h>

struct reading {
    struct sup_cli *cli;
    const struct sup_cli_rows *rows;
    struct sup_buf line; /* lines arrive in pieces of any size */
    uint64_t n;
    bool broken; /* a line that is no row */
};

bool sup_cli_lines(struct sup_buf *line, const char *piece, size_t n, bool (*take)(void *arg),
                   void *arg)
{
    bool more = true;

    while (n > 0 && more) {
        const char *end = memchr(piece, '\n', n);
        size_t k = end != NULL ? (size_t)(end - piece) : n;
        sup_buf_add(line, piece, k);
        if (end != NULL) {
            more = take(arg);
            k++;
        }
        piece += k;
        n -= k;
    }
    return more;
}

static bool take_line(void *arg)
{
    struct reading *r = arg;
    json_t *row = r->line.failed
                      ? NULL
                      : json_loadb((const char *)r->line.p, r->line.n, JSON_ALLOW_NUL, NULL);

    if (!json_is_object(row)) {
        r->broken = true;
    } else if (r->cli->json) {
        fwrite(r->line.p, 1, r->line.n, stdout);
        putchar('\n');
    } else {
        r->rows->put(r->cli, row, r->n);
    }
    r->n++;
    json_decref(row);
    sup_buf_reset(&r->line);
    return !r->broken;
}

static bool take_piece(void *arg, const char *s, size_t n)
{
    struct reading *r = arg;

    return sup_cli_lines(&r->line, s, n, take_line, r) && !ferror(stdout);
}

int sup_cli_rows(struct sup_cli *cli, const struct sup_cli_rows *rows, const char *target)
{
    struct reading r = {.cli = cli, .rows = rows};
    const struct sup_call call = {.method = "GET",
                                  .target = target,
                                  .accept = "application/x-ndjson",
                                  .piece = take_piece,
                                  .arg = &r};
    const char *name = cli->command->name;
    struct sup_err err = {0};
    json_t *answer = NULL;
    long status = 0;
    int result = SUP_EXIT_OK;
    int rc;

    sup_buf_init(&r.line, rows->line_max);
    rc = sup_cli_call(cli, &call, &answer, &status, &err);
    if (rc != SUP_OK)
        result = sup_cli_error(SUP_EXIT_UNKNOWN, "%s: %s", name, err.msg);
    else if (status == 400 && rows->usage)
        result = sup_cli_usage_error(cli, "%s", sup_cli_detail(answer));
    else if (status != 200)
        result = sup_cli_error(sup_cli_status_exit(status), "%s: %s", name, sup_cli_detail(answer));
    else if (r.broken)
        result = sup_cli_error(SUP_EXIT_UNKNOWN, "%s: the agent sent no JSON line", name);
    else if (!cli->json && r.n == 0)
        puts(rows->none);
    sup_buf_fini(&r.line);
    json_decref(answer);
    return result;
}

void sup_cli_add_filter(struct sup_buf *target, const char *name, const char *value)
{
    if (value == NULL)
        return;
    sup_buf_addf(target, "&%s=", name);
    sup_percent_encode(target, value);
}

bool sup_cli_time(const char *value, int64_t *ms)
{
    int64_t ago;

    if (sup_time_parse(value, strlen(value), ms) == SUP_OK)
        return true;
    if (sup_duration_parse(value, &ago) != SUP_OK)
        return false;
    *ms = sup_wall_ms() - ago;
    return true;
}

bool sup_cli_add_time(struct sup_buf *target, const char *name, const char *value)
{
    char text[SUP_TIME_STR_MAX];
    int64_t ms;

    if (value == NULL)
        return true;
    if (!sup_cli_time(value, &ms))
        return false;
    sup_buf_addf(target, "&%s=%s", name, sup_time_format(ms, text));
    return true;
}
