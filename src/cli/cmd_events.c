#include "cli/events_export.h"
#include "cli/rows.h"

#include <string.h>

static void put_event(struct sup_cli *cli, const json_t *v, uint64_t before)
{
    size_t i;
    json_t *one;

    (void)before;
    sup_cli_put(cli, SUP_DIM, 0, sup_cli_text(v, "time", "?"));
    printf("  ");
    sup_cli_put(cli, SUP_BOLD, 18, sup_cli_text(v, "type", "?"));
    sup_cli_put(cli, SUP_PLAIN, 0, sup_cli_text(v, "message_id", ""));
    putchar('\n');
    json_array_foreach(json_object_get(v, "verdicts"), i, one)
    {
        printf("  ");
        sup_cli_put(cli, SUP_PLAIN, 0, json_string_value(one) ? json_string_value(one) : "?");
        putchar('\n');
    }
}

static bool any(const char *const plain[4])
{
    return plain[0] != NULL || plain[1] != NULL || plain[2] != NULL || plain[3] != NULL;
}

int sup_cmd_events(struct sup_cli *cli, int argc, char **argv)
{
    static const char *const names[] = {"address", "type", "message_id", "limit"};
    const char *plain[4] = {NULL}, *since = NULL, *until = NULL;
    struct sup_events_export export = {.compress = "gzip"};
    const struct sup_cli_option options[] = {{"address", &plain[0], NULL},
                                             {"type", &plain[1], NULL},
                                             {"message-id", &plain[2], NULL},
                                             {"limit", &plain[3], NULL},
                                             {"since", &since, NULL},
                                             {"until", &until, NULL},
                                             {"compress", &export.compress, NULL},
                                             {"replace", NULL, &export.replace}};
    static const struct sup_cli_rows rows = {.none =
                                                 "no such event is kept (is events.retention set?)",
                                             .line_max = (size_t)8 << 20,
                                             .put = put_event};
    struct sup_buf target;
    int at = sup_cli_options(cli, argc, argv, options, 8);

    if (at < 0)
        return sup_cli_exit(at);
    if (argc - at == 2 && strcmp(argv[at], "export") == 0 && !any(plain)) {
        export.dir = argv[at + 1];
        export.since = since;
        export.until = until;
        return sup_events_export(cli, &export);
    }
    if (at != argc)
        return sup_cli_usage_error(cli, "%.60s: not a filter", argv[at]);
    sup_buf_init(&target, 8192);
    sup_buf_add_str(&target, "/v1/events?");
    for (size_t i = 0; i < 4; i++)
        sup_cli_add_filter(&target, names[i], plain[i]);
    int status;
    if (!sup_cli_add_time(&target, "since", since) || !sup_cli_add_time(&target, "until", until))
        status = sup_cli_usage_error(cli, "--since and --until: use a time, or how long ago");
    else
        status = sup_cli_rows(cli, &rows, sup_buf_str(&target));
    sup_buf_fini(&target);
    return status;
}
