#include "base/clock.h"
#include "cli/cli.h"

#include <string.h>

#define LINE_MAX_BYTES ((size_t)8 << 20)

struct printing {
    struct sup_cli *cli;
    struct sup_buf line;
    uint64_t rows;
    bool broken;
};

static void put_text(struct printing *p, const json_t *v)
{
    size_t i;
    json_t *one;

    sup_cli_put(p->cli, SUP_DIM, 0, sup_cli_text(v, "time", "?"));
    printf("  ");
    sup_cli_put(p->cli, SUP_BOLD, 18, sup_cli_text(v, "type", "?"));
    sup_cli_put(p->cli, SUP_PLAIN, 0, sup_cli_text(v, "message_id", ""));
    putchar('\n');
    json_array_foreach(json_object_get(v, "verdicts"), i, one)
    {
        printf("  ");
        sup_cli_put(p->cli, SUP_PLAIN, 0, json_string_value(one) ? json_string_value(one) : "?");
        putchar('\n');
    }
}

static void take_line(struct printing *p)
{
    json_t *v = p->line.failed
                    ? NULL
                    : json_loadb((const char *)p->line.p, p->line.n, JSON_ALLOW_NUL, NULL);

    p->broken |= v == NULL;
    p->rows++;
    if (v != NULL && p->cli->json)
        sup_cli_put_json(v);
    else if (v != NULL)
        put_text(p, v);
    json_decref(v);
    sup_buf_reset(&p->line);
}

static bool take_piece(void *arg, const char *s, size_t n)
{
    struct printing *p = arg;

    while (n > 0 && !p->broken) {
        const char *nl = memchr(s, '\n', n);
        size_t k = nl != NULL ? (size_t)(nl - s) : n;
        sup_buf_add(&p->line, s, k);
        if (nl != NULL)
            take_line(p);
        k += nl != NULL;
        s += k;
        n -= k;
    }
    return !p->broken && !ferror(stdout);
}

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

static int run(struct sup_cli *cli, const char *target)
{
    struct printing p = {.cli = cli};
    const struct sup_call call = {
        .method = "GET", .target = target, .piece = take_piece, .arg = &p};
    struct sup_err err = {0};
    json_t *answer = NULL;
    long status = 0;
    int result = SUP_EXIT_OK;

    sup_buf_init(&p.line, LINE_MAX_BYTES);
    int rc = sup_cli_call(cli, &call, &answer, &status, &err);
    if (rc != SUP_OK)
        result = sup_cli_error(SUP_EXIT_UNKNOWN, "events: %s", err.msg);
    else if (status != 200)
        result = sup_cli_error(sup_cli_status_exit(status), "events: %s", sup_cli_detail(answer));
    else if (p.broken)
        result = sup_cli_error(SUP_EXIT_UNKNOWN, "events: the agent sent no JSON line");
    else if (!cli->json && p.rows == 0)
        puts("no such event is kept (is events.retention set?)");
    sup_buf_fini(&p.line);
    json_decref(answer);
    return result;
}

int sup_cmd_events(struct sup_cli *cli, int argc, char **argv)
{
    static const char *const names[] = {"address", "type", "message_id", "limit"};
    const char *plain[4] = {NULL}, *since = NULL, *until = NULL;
    const struct sup_cli_option options[] = {
        {"address", &plain[0], NULL}, {"type", &plain[1], NULL}, {"message-id", &plain[2], NULL},
        {"limit", &plain[3], NULL},   {"since", &since, NULL},   {"until", &until, NULL}};
    struct sup_buf target;
    int at = sup_cli_options(cli, argc, argv, options, 6);

    if (at < 0)
        return sup_cli_exit(at);
    if (at != argc)
        return sup_cli_usage_error(cli, "%.60s: not a filter", argv[at]);
    sup_buf_init(&target, 8192);
    sup_buf_add_str(&target, "/v1/events?");
    for (size_t i = 0; i < 4; i++) {
        if (plain[i] == NULL)
            continue;
        sup_buf_addf(&target, "&%s=", names[i]);
        sup_percent_encode(&target, plain[i]);
    }
    int status;
    if ((since != NULL && !add_time(&target, "since", since)) ||
        (until != NULL && !add_time(&target, "until", until)))
        status = sup_cli_usage_error(cli, "--since and --until: use a time, or how long ago");
    else
        status = run(cli, sup_buf_str(&target));
    sup_buf_fini(&target);
    return status;
}
