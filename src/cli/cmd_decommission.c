#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

static int rule(struct sup_cli *cli, const char *body, const char *node, bool undo)
{
    struct sup_call call = {
        .method = "POST", .target = "/v1/decommission", .body = body, .body_n = strlen(body)};
    struct sup_err err = {0};
    json_t *v = NULL;
    long status = 0;
    int exit_status = SUP_EXIT_OK;

    if (sup_cli_call(cli, &call, &v, &status, &err) != SUP_OK)
        return sup_cli_error(SUP_EXIT_UNKNOWN, "decommission: %s", err.msg);
    if (status != 200 || v == NULL)
        exit_status =
            sup_cli_error(sup_cli_status_exit(status), "decommission: %s", sup_cli_detail(v));
    else if (cli->json)
        sup_cli_put_json(v);
    else if (undo)
        printf("%s is a member again, as far as this node is concerned\n", node);
    else
        printf(
            "%s is decommissioned, as far as this node is concerned: run this on the others too, "
            "and take it out of their configurations\n",
            node);
    json_decref(v);
    return exit_status;
}

int sup_cmd_decommission(struct sup_cli *cli, int argc, char **argv)
{
    const char *note = "";
    bool undo = false;
    bool force = false;
    const struct sup_cli_option options[] = {
        {"note", &note, NULL}, {"undo", NULL, &undo}, {"force", NULL, &force}};
    int at = sup_cli_options(cli, argc, argv, options, sizeof(options) / sizeof(options[0]));
    int status;

    if (at < 0)
        return sup_cli_exit(at);
    if (at + 1 != argc)
        return sup_cli_usage_error(cli, "name one node");
    json_t *body = json_pack("{s:s, s:s, s:s, s:b, s:b}", "node", argv[at], "actor",
                             sup_cli_actor(), "note", note, "undo", undo, "force", force);
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    status = text != NULL ? rule(cli, text, argv[at], undo)
                          : sup_cli_error(SUP_EXIT_USAGE, "decommission: not UTF-8");
    free(text);
    json_decref(body);
    return status;
}
