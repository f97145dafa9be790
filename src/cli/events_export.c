#include "cli/events_export.h"

#include "base/clock.h"
#include "cli/export_file.h"
#include "cli/rows.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define HOUR_MS    INT64_C(3600000)
#define LINE_MAX_N ((size_t)8 << 20)

struct exporting {
    const struct sup_events_export *x;
    char node[80];
    enum sup_export_packing packing;
    struct sup_buf line;
    int64_t hour;                 /* of the file; -1: none yet */
    struct sup_export_file *file; /* NULL: the hour's file is there and stays */
    uint64_t written, kept, events;
    int rc;
    struct sup_err err;
};

/* DIR/dt=2026-11-24/NODE-2026-11-24T07.json.gz */
static void make_path(const struct exporting *e, struct sup_buf *path)
{
    char t[SUP_TIME_STR_MAX];

    sup_time_format(e->hour * HOUR_MS, t);
    sup_buf_addf(path, "%s/dt=%.10s/%s-%.13s.json%s", e->x->dir, t, e->node, t,
                 sup_export_packing_suffix(e->packing));
}

static int finish(struct exporting *e)
{
    struct sup_export_file *f = e->file;

    e->file = NULL;
    if (f == NULL)
        return SUP_OK;
    e->written++;
    return sup_export_file_finish(f, &e->err);
}

static int turn_to(struct exporting *e, int64_t hour)
{
    struct sup_buf path;
    int rc = finish(e);

    if (rc != SUP_OK)
        return rc;
    e->hour = hour;
    sup_buf_init(&path, PATH_MAX - 16);
    make_path(e, &path);
    if (path.failed)
        rc = sup_err_set(&e->err, path.failed, "the path is too long");
    else if (!e->x->replace && access(sup_buf_str(&path), F_OK) == 0)
        e->kept++;
    else
        rc = sup_export_file_open(&e->file, sup_buf_str(&path), e->packing, &e->err);
    sup_buf_fini(&path);
    return rc;
}

/* Lines come by time, oldest first. */
static int write_line(struct exporting *e)
{
    json_t *row = e->line.failed
                      ? NULL
                      : json_loadb((const char *)e->line.p, e->line.n, JSON_ALLOW_NUL, NULL);
    const char *text = json_string_value(json_object_get(row, "time"));
    int64_t ms = 0;
    int rc = text != NULL ? sup_time_parse(text, strlen(text), &ms) : SUP_EINPUT;

    json_decref(row);
    if (rc != SUP_OK)
        return sup_err_set(&e->err, SUP_EINPUT, "the agent sent no JSON line");
    if (ms / HOUR_MS != e->hour)
        rc = turn_to(e, ms / HOUR_MS);
    sup_buf_add_byte(&e->line, '\n');
    if (rc == SUP_OK && e->file != NULL) {
        e->events++;
        rc = sup_export_file_write(e->file, e->line.p, e->line.n, &e->err);
    }
    sup_buf_reset(&e->line);
    return rc;
}

static bool take_line(void *arg)
{
    struct exporting *e = arg;

    e->rc = write_line(e);
    return e->rc == SUP_OK;
}

static bool take_piece(void *arg, const char *s, size_t n)
{
    struct exporting *e = arg;

    return sup_cli_lines(&e->line, s, n, take_line, e);
}

/* --- what is asked for --- */

/* The hour that an option's time lies in; what no option names is left alone. */
static bool hour_of(const char *value, int64_t *hour)
{
    int64_t ms;

    if (value == NULL)
        return true;
    if (!sup_cli_time(value, &ms))
        return false;
    *hour = ms / HOUR_MS;
    return true;
}

static int ask_name(struct sup_cli *cli, struct exporting *e)
{
    const struct sup_call call = {.method = "GET", .target = "/v1/status"};
    json_t *answer = NULL;
    long status = 0;
    int rc = sup_cli_call(cli, &call, &answer, &status, &e->err);

    if (rc == SUP_OK && status != 200)
        rc = sup_err_set(&e->err, SUP_EIO, "%s", sup_cli_detail(answer));
    if (rc == SUP_OK)
        snprintf(e->node, sizeof(e->node), "%s", sup_cli_text(answer, "node", "node"));
    for (char *p = e->node; *p != '\0'; p++)
        *p = *p == '/' ? '-' : *p;
    json_decref(answer);
    return rc;
}

static int stream(struct sup_cli *cli, struct exporting *e, int64_t since, int64_t until)
{
    char t[SUP_TIME_STR_MAX], from[SUP_TIME_STR_MAX], target[160];
    const struct sup_call call = {.method = "GET",
                                  .target = target,
                                  .accept = "application/x-ndjson",
                                  .piece = take_piece,
                                  .arg = e};
    struct sup_err err = {0};
    json_t *answer = NULL;
    long status = 0;

    snprintf(target, sizeof(target), "/v1/events?until=%s&since=%s",
             sup_time_format(until * HOUR_MS, t), sup_time_format(since * HOUR_MS, from));
    int rc = sup_cli_call(cli, &call, &answer, &status, &err);
    if (rc == SUP_OK && e->rc == SUP_OK && status != 200)
        rc = sup_err_set(&err, SUP_EIO, "%s", sup_cli_detail(answer));
    json_decref(answer);
    if (e->rc != SUP_OK)
        return e->rc;
    return rc == SUP_OK ? finish(e) : sup_err_set(&e->err, rc, "%s", err.msg);
}

static void say(const struct sup_cli *cli, const struct exporting *e)
{
    if (cli->json)
        printf("{\"files\":%" PRIu64 ",\"kept\":%" PRIu64 ",\"events\":%" PRIu64 "}\n", e->written,
               e->kept, e->events);
    else
        printf("%" PRIu64 " files with %" PRIu64 " events written, %" PRIu64 " were there\n",
               e->written, e->events, e->kept);
}

int sup_events_export(struct sup_cli *cli, const struct sup_events_export *x)
{
    struct exporting e = {.x = x, .hour = -1};
    /* A file is not written again, and events may come late: their hour gets another one. */
    int64_t since = 0, until = sup_wall_ms() / HOUR_MS - 1;

    if (!hour_of(x->since, &since) || !hour_of(x->until, &until))
        return sup_cli_usage_error(cli, "--since and --until: use a time, or how long ago");
    if (!sup_export_packing_parse(x->compress, &e.packing))
        return sup_cli_usage_error(cli, "--compress: use gzip, zstd or none");
    sup_buf_init(&e.line, LINE_MAX_N);
    int rc = ask_name(cli, &e);
    if (rc == SUP_OK)
        rc = stream(cli, &e, since, until);
    sup_export_file_drop(e.file);
    sup_buf_fini(&e.line);
    if (rc != SUP_OK)
        return sup_cli_error(SUP_EXIT_UNKNOWN, "events export: %s", e.err.msg);
    say(cli, &e);
    return SUP_EXIT_OK;
}
