#include "cli/cli.h"
#include "cli/report.h"

#include <string.h>

/* The agent answers when the run is over; its pace is the Region's API rate. */
#define RUN_MS (6L * 3600 * 1000)

int sup_cmd_reconcile(struct sup_cli *cli, int argc, char **argv)
{
    struct sup_err err = {0};
    bool dry = false;
    json_t *v = NULL;
    long status = 0;
    const struct sup_cli_option options[] = {{"dry-run", NULL, &dry}};
    int at = sup_cli_options(cli, argc, argv, options, 1);

    if (at < 0)
        return sup_cli_exit(at);
    if (at != argc)
        return sup_cli_usage_error(cli, "takes no operands");
    const char *body = dry ? "{\"dry_run\":true}" : "{\"dry_run\":false}";
    struct sup_call call = {
        .method = "POST", .target = "/v1/reconcile", .body = body, .body_n = strlen(body)};
    cli->transport = sup_transport_new(cli->socket);
    if (cli->transport == NULL)
        return sup_cli_error(SUP_EXIT_UNKNOWN, "reconcile: out of memory");
    sup_transport_set_timeout(cli->transport, RUN_MS);
    if (sup_cli_call(cli, &call, &v, &status, &err) != SUP_OK)
        return sup_cli_error(SUP_EXIT_UNKNOWN, "reconcile: %s", err.msg);
    int exit_status = SUP_EXIT_UNKNOWN;
    if (status != 200 || v == NULL) {
        sup_cli_error(0, "reconcile: %s", sup_cli_detail(v));
    } else {
        if (cli->json)
            sup_cli_put_json(v);
        else
            sup_report_put_text(cli, v);
        const char *error = sup_cli_text(v, "error", NULL);
        if (error != NULL)
            sup_cli_error(0, "reconcile: %s", error);
        else
            exit_status = json_is_true(json_object_get(v, "converged")) ? SUP_EXIT_OK : SUP_EXIT_NO;
    }
    json_decref(v);
    return exit_status;
}
