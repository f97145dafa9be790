#include "base/clock.h"
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

/* Rows arrive as JSON lines in pieces of any size. */
#define LINE_MAX_BYTES (64 * 1024)

struct listing {
    struct sup_cli *cli;
    struct sup_buf line;
    bool titled;
    bool broken; /* a line that is no row */
    uint64_t rows;
};

static void put_title(struct listing *l)
{
    if (l->titled)
        return;
    l->titled = true;
    sup_cli_put(l->cli, SUP_BOLD, 0,
                "STATE       REASON     CAUSE        DECIDED                   AT              "
                "ADDRESS");
    putchar('\n');
}

static void put_row(struct listing *l, const json_t *row)
{
    struct sup_cli *cli = l->cli;
    const char *state = sup_cli_text(row, "state", "?");
    put_title(l);
    sup_cli_put(cli, strcmp(state, "suppressed") == 0 ? SUP_RED : SUP_GREEN, 12, state);
    sup_cli_put(cli, SUP_PLAIN, 11, sup_cli_text(row, "reason", "-"));
    sup_cli_put(cli, SUP_PLAIN, 13, sup_cli_text(row, "cause", "-"));
    sup_cli_put(cli, SUP_PLAIN, 26, sup_cli_text(row, "time", "-"));
    sup_cli_put(cli, SUP_PLAIN, 16, sup_cli_text(row, "origin", "-"));
    sup_cli_put(cli, SUP_PLAIN, 0, sup_cli_text(row, "address", "?"));
    putchar('\n');
}

static void take_line(struct listing *l)
{
    json_t *row = json_loadb(sup_buf_str(&l->line), l->line.n, 0, NULL);
    if (l->line.failed || !json_is_object(row)) {
        l->broken = true;
    } else if (l->cli->json) {
        fwrite(l->line.p, 1, l->line.n, stdout);
        putchar('\n');
        l->rows++;
    } else {
        put_row(l, row);
        l->rows++;
    }
    json_decref(row);
    sup_buf_reset(&l->line);
}

static bool take_piece(void *arg, const char *p, size_t n)
{
    struct listing *l = arg;
    while (n > 0 && !l->broken) {
        const char *end = memchr(p, '\n', n);
        size_t k = end != NULL ? (size_t)(end - p) : n;
        sup_buf_add(&l->line, p, k);
        if (end != NULL) {
            take_line(l);
            k++;
        }
        p += k;
        n -= k;
    }
    /* A closed pipe (supsync list | head) ends the transfer. */
    return !l->broken && !ferror(stdout);
}

/* A time, or how long ago: both become RFC 3339. */
static bool add_time(struct sup_buf *target, const char *name, const char *value)
{
    char text[SUP_TIME_STR_MAX];
    int64_t ms;
    if (sup_time_parse(value, strlen(value), &ms) != SUP_OK) {
        if (sup_duration_parse(value, &ms) != SUP_OK)
            return false;
        ms = sup_wall_ms() - ms;
    }
    sup_buf_addf(target, "&%s=%s", name, sup_time_format(ms, text));
    return true;
}

static void add_plain(struct sup_buf *target, const char *name, const char *value)
{
    sup_buf_addf(target, "&%s=", name);
    sup_percent_encode(target, value);
}

static int run(struct sup_cli *cli, const char *target)
{
    struct listing l = {.cli = cli};
    struct sup_err err = {0};
    json_t *answer = NULL;
    long status = 0;
    sup_buf_init(&l.line, LINE_MAX_BYTES);
    int rc = sup_cli_call(cli,
                          &(struct sup_call){.method = "GET",
                                             .target = target,
                                             .accept = "application/x-ndjson",
                                             .piece = take_piece,
                                             .arg = &l},
                          &answer, &status, &err);
    int exit_status = SUP_EXIT_OK;
    if (rc != SUP_OK)
        exit_status = sup_cli_error(SUP_EXIT_UNKNOWN, "list: %s", err.msg);
    else if (status == 400)
        exit_status = sup_cli_usage_error(cli, "%s", sup_cli_detail(answer));
    else if (status != 200)
        exit_status = sup_cli_error(SUP_EXIT_UNKNOWN, "list: %s", sup_cli_detail(answer));
    else if (l.broken)
        exit_status = sup_cli_error(SUP_EXIT_UNKNOWN, "list: the agent sent no JSON line");
    else if (!cli->json && l.rows == 0)
        puts("no such address is known");
    sup_buf_fini(&l.line);
    json_decref(answer);
    return exit_status;
}

int sup_cmd_list(struct sup_cli *cli, int argc, char **argv)
{
    const char *since = NULL, *until = NULL;
    const char *plain[5] = {NULL};
    static const char *const names[5] = {"domain", "reason", "state", "region", "limit"};
    const struct sup_cli_option options[] = {
        {names[0], &plain[0], NULL}, {names[1], &plain[1], NULL}, {names[2], &plain[2], NULL},
        {names[3], &plain[3], NULL}, {names[4], &plain[4], NULL}, {"since", &since, NULL},
        {"until", &until, NULL}};
    struct sup_buf target;
    int at = sup_cli_options(cli, argc, argv, options, 7);
    if (at < 0)
        return sup_cli_exit(at);
    if (at != argc)
        return sup_cli_usage_error(cli, "%.60s: not a filter", argv[at]);
    sup_buf_init(&target, 8192);
    sup_buf_add_str(&target, "/v1/addresses?");
    for (size_t i = 0; i < 5; i++) {
        if (plain[i] != NULL)
            add_plain(&target, names[i], plain[i]);
    }
    int status;
    if ((since != NULL && !add_time(&target, "since", since)) ||
        (until != NULL && !add_time(&target, "until", until)))
        status = sup_cli_usage_error(cli, "--since and --until: use a time such as "
                                          "2026-01-31T12:00:00Z, or how long ago, such as 7d");
    else
        status = run(cli, sup_buf_str(&target));
    sup_buf_fini(&target);
    return status;
}
