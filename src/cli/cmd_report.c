#include "cli/cli.h"
#include "cli/report.h"

#include <string.h>

static int get(struct sup_cli *cli, const char *target, json_t **v)
{
    struct sup_call call = {.method = "GET", .target = target};
    struct sup_err err = {0};
    long status = 0;

    if (sup_cli_call(cli, &call, v, &status, &err) != SUP_OK)
        return sup_cli_error(SUP_EXIT_UNKNOWN, "report: %s", err.msg);
    if (status == 200 && *v != NULL)
        return SUP_EXIT_OK;
    return sup_cli_error(SUP_EXIT_UNKNOWN, "report: %s", sup_cli_detail(*v));
}

static int put_html(struct sup_cli *cli, bool all_regions, const json_t *report)
{
    json_t *history = NULL;
    int status = get(cli, "/v1/reports", &history);

    if (status == SUP_EXIT_OK && all_regions)
        sup_regions_put_html(report, json_object_get(history, "reports"));
    else if (status == SUP_EXIT_OK)
        sup_report_put_html(report, json_object_get(history, "reports"));
    json_decref(history);
    return status;
}

static int put_report(struct sup_cli *cli, const char *format, bool all_regions,
                      const json_t *report)
{
    if (strcmp(format, "html") == 0)
        return put_html(cli, all_regions, report);
    if (strcmp(format, "json") == 0)
        sup_cli_put_json(report);
    else if (strcmp(format, "csv") == 0)
        (all_regions ? sup_regions_put_csv : sup_report_put_csv)(report);
    else
        (all_regions ? sup_regions_put_text : sup_report_put_text)(cli, report);
    return SUP_EXIT_OK;
}

static bool is_format(const char *s)
{
    return strcmp(s, "text") == 0 || strcmp(s, "json") == 0 || strcmp(s, "csv") == 0 ||
           strcmp(s, "html") == 0;
}

int sup_cmd_report(struct sup_cli *cli, int argc, char **argv)
{
    const char *id = NULL, *format = NULL;
    bool last = false;
    bool all = false;
    struct sup_buf target;
    json_t *report = NULL;
    const struct sup_cli_option options[] = {{"last", NULL, &last},
                                             {"id", &id, NULL},
                                             {"all-regions", NULL, &all},
                                             {"format", &format, NULL}};
    int at = sup_cli_options(cli, argc, argv, options, 4);

    if (at < 0)
        return sup_cli_exit(at);
    if (at != argc)
        return sup_cli_usage_error(cli, "takes no operands");
    if ((last && id != NULL) || (all && (last || id != NULL)))
        return sup_cli_usage_error(cli, "--last, --id and --all-regions exclude each other");
    if (format == NULL)
        format = cli->json ? "json" : "text";
    if (!is_format(format))
        return sup_cli_usage_error(cli, "--format: use text, json, csv or html");
    sup_buf_init(&target, 4096);
    sup_buf_add_str(&target, all ? "/v1/regions" : "/v1/reports/");
    if (!all)
        sup_percent_encode(&target, id != NULL && *id != '\0' ? id : "last");
    int status = target.failed ? sup_cli_usage_error(cli, "--id is too long")
                               : get(cli, sup_buf_str(&target), &report);
    if (status == SUP_EXIT_OK)
        status = put_report(cli, format, all, report);
    sup_buf_fini(&target);
    json_decref(report);
    return status;
}
