#include "cli/rows.h"

#include <string.h>

static void put_row(struct sup_cli *cli, const json_t *row, uint64_t before)
{
    const char *state = sup_cli_text(row, "state", "?");

    if (before == 0) {
        sup_cli_put(cli, SUP_BOLD, 0,
                    "STATE       REASON     CAUSE        DECIDED                   AT              "
                    "ADDRESS");
        putchar('\n');
    }
    sup_cli_put(cli, strcmp(state, "suppressed") == 0 ? SUP_RED : SUP_GREEN, 12, state);
    sup_cli_put(cli, SUP_PLAIN, 11, sup_cli_text(row, "reason", "-"));
    sup_cli_put(cli, SUP_PLAIN, 13, sup_cli_text(row, "cause", "-"));
    sup_cli_put(cli, SUP_PLAIN, 26, sup_cli_text(row, "time", "-"));
    sup_cli_put(cli, SUP_PLAIN, 16, sup_cli_text(row, "origin", "-"));
    sup_cli_put(cli, SUP_PLAIN, 0, sup_cli_text(row, "address", "?"));
    putchar('\n');
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
    static const struct sup_cli_rows rows = {
        .none = "no such address is known", .line_max = 64 * 1024, .usage = true, .put = put_row};
    struct sup_buf target;
    int at = sup_cli_options(cli, argc, argv, options, 7);
    if (at < 0)
        return sup_cli_exit(at);
    if (at != argc)
        return sup_cli_usage_error(cli, "%.60s: not a filter", argv[at]);
    sup_buf_init(&target, 8192);
    sup_buf_add_str(&target, "/v1/addresses?");
    for (size_t i = 0; i < 5; i++)
        sup_cli_add_filter(&target, names[i], plain[i]);
    int status;
    if (!sup_cli_add_time(&target, "since", since) || !sup_cli_add_time(&target, "until", until))
        status = sup_cli_usage_error(cli, "--since and --until: use a time such as "
                                          "2026-01-31T12:00:00Z, or how long ago, such as 7d");
    else
        status = sup_cli_rows(cli, &rows, sup_buf_str(&target));
    sup_buf_fini(&target);
    return status;
}
